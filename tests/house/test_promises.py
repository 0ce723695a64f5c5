"""What is promised is tested where it is written: "Raises" in docstrings, options in --help, traits, CONTRIBUTING."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from loss_plugins import cli
from loss_plugins.adapters.ultralytics import cli as yolo_cli
from tests.house.options import EFFECTS
from tests.house.raises_adapters import ADAPTERS
from tests.house.raises_core import CORE, Call
from tests.house.raises_detr import DETR
from tests.house.raises_evidence import EVIDENCE
from tests.house.raises_maps import MAPS
from tests.house.raises_mmdet import MMDET
from tests.house.raises_slots import SLOTS
from tests.house.raises_starts import STARTS
from tests.house.raises_torchvision import TORCHVISION
from tests.house.raises_trainers import TRAINERS
from tests.house.raises_transformers import TRANSFORMERS

ROOT = Path(__file__).parents[2]
ROOMS = ("loss_plugins", "adapters", "tools")
TORCH = {**DETR, **TORCHVISION, **TRAINERS, **TRANSFORMERS}
CASES = {**CORE, **EVIDENCE, **ADAPTERS, **SLOTS, **STARTS, **MAPS, **MMDET, **TORCH}


def source_of_test(place: str) -> str:
    """The code of file::name."""
    file, _, name = place.partition("::")
    source = (ROOT / file).read_text(encoding="utf-8")
    (node,) = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
    return ast.get_source_segment(source, node) or ""


# --- "Raises" ------------------------------------------------------------------------------------------------------


def documented(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and docstring of every function, class and method, nested ones left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            yield prefix + child.name, ast.get_docstring(child) or ""
            if isinstance(child, ast.ClassDef):
                yield from documented(child, f"{prefix}{child.name}.")


def raises(docstring: str) -> dict[str, str]:
    """The names of errors under "Raises", and what is said of each."""
    section = re.search(r"^Raises:\n((?: {4}.*(?:\n|$))+)", docstring, re.MULTILINE)
    lines: dict[str, str] = {}
    for line in section.group(1).splitlines() if section else ():
        head = re.match(r" {4}(\w+(?:, \w+)*): (.*)", line)
        if head:
            lines[head.group(1)] = head.group(2)
        else:
            lines[list(lines)[-1]] += " " + line.strip()
    return lines


@functools.cache
def promised() -> dict[tuple[str, str], str]:
    """(file::name, errors) to what is said, over all rooms."""
    found = {}
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            for name, docstring in documented(ast.parse(file.read_text(encoding="utf-8"))):
                for errors, text in raises(docstring).items():
                    found[f"{file.relative_to(ROOT).as_posix()}::{name}", errors] = text
    return found


def test_the_reader_sees_every_section() -> None:
    sections = sum(
        line.strip() == "Raises:"
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
    )
    assert sections == len({place for place, _ in promised()})


@pytest.mark.parametrize(("place", "errors"), sorted(promised()), ids=lambda value: value.rpartition("/")[2])
def test_every_condition_of_a_raises_line_has_a_case(place: str, errors: str) -> None:
    """What is left of the line without the conditions of the cases is nothing but connectors."""
    left = promised()[place, errors]
    assert (place, errors) in CASES, f"no case for {errors} of {place}: {left}"
    for condition in sorted(CASES[place, errors], key=len, reverse=True):
        assert condition in left, f"{place} does not say {condition!r} any more: {left}"
        left = left.replace(condition, " ", 1)
    assert not re.sub(r"[,;:.]|\bor\b|\band\b", " ", left).split(), f"no case for {left!r} of {place}"


def test_no_case_is_left_over() -> None:
    assert not set(CASES) - set(promised())


def cases(proved_elsewhere: bool) -> list[object]:
    return [
        pytest.param(errors, call, id=f"{place.rpartition('/')[2]}-{condition}")
        for (place, errors), conditions in CASES.items()
        for condition, call in conditions.items()
        if isinstance(call, str) is proved_elsewhere
    ]


@pytest.mark.parametrize(("errors", "call"), cases(False))
def test_the_error_is_raised(errors: str, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = errors.split(", ")
    with pytest.raises(Exception) as caught, monkeypatch.context() as patch:  # noqa: PT011 (its class is looked at below)
        call(patch, tmp_path)
    assert {cls.__name__ for cls in type(caught.value).__mro__} & set(names), repr(caught.value)
    assert len(str(caught.value)) > 5, "an error says what is wrong"


@pytest.mark.parametrize(("errors", "place"), cases(True))
def test_what_takes_a_training_is_proved_there(errors: str, place: str) -> None:
    body = source_of_test(place)
    assert any(f"pytest.raises({prefix}{error}" in body for error in errors.split(", ") for prefix in ("", "lpu."))


# --- --help --------------------------------------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """Every command with its parameters: those of the command line itself, and those of entry points."""
    own: Any = typer.main.get_command(cli.app)
    found: dict[str, Any] = {"": own, **own.commands}
    for point in cli._points(cli.COMMANDS):
        app = typer.Typer()
        app.command()(point.load())
        found[point.name] = typer.main.get_command(app)
    return found


def options() -> list[tuple[str, str]]:
    """(command, parameter) of all that --help names, but for what typer brings itself."""
    brought = ("help", "install_completion", "show_completion")
    return [
        (name, str(parameter.name))
        for name, command in commands().items()
        for parameter in command.params
        if parameter.name not in brought
    ]


def test_every_option_that_help_names_has_a_proof() -> None:
    assert set(options()) == set(EFFECTS)


def test_every_key_that_the_help_of_yolo_names_is_one_that_it_reads() -> None:
    (argument,) = (parameter for parameter in commands()["yolo"].params if parameter.name == "arguments")
    keys = re.findall(r"\b([a-z_]+)(?:\.PARAMETER)?=", str(getattr(argument, "help", "")))
    assert {*keys} - {"key"} <= {*yolo_cli.SHELL, *yolo_cli.SETTINGS}
    assert {*yolo_cli.SHELL, *yolo_cli.SETTINGS} <= {*keys}


@pytest.mark.parametrize("option", [key for key, proof in EFFECTS.items() if callable(proof)], ids=" ".join)
def test_an_option_has_an_effect(option: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    proof = EFFECTS[option]
    assert callable(proof)
    with monkeypatch.context() as patch:
        proof(patch, tmp_path)


@pytest.mark.parametrize("option", [key for key, proof in EFFECTS.items() if not callable(proof)], ids=" ".join)
def test_an_option_is_passed_by_the_test_that_proves_it(option: tuple[str, str]) -> None:
    proof = EFFECTS[option]
    assert not callable(proof)
    assert proof[1] in source_of_test(proof[0])
