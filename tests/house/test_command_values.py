"""Every parameter of every command with a table of wrong texts: refused in our words, or by the shell's own usage line.

Commands and parameters are those that --help names, so that one added tomorrow is tried tomorrow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from loss_plugins import cli
from loss_plugins.adapters.mmdet import demo as demo_mmdet
from loss_plugins.adapters.transformers import demo as demo_transformers
from loss_plugins.adapters.ultralytics import cli as shell
from loss_plugins.adapters.ultralytics import demo, hardest
from loss_plugins.audit import command as audit_command
from loss_plugins.bench import command as bench_command
from loss_plugins.evidence import compare as compare_command
from loss_plugins.evidence import simulate as simulate_command
from loss_plugins.evidence.explore import command as explore_command
from loss_plugins.parity import command as parity_command

from .test_promises import commands, options
from .wrong_values import STYLE

TEXTS = ("", "x", "ciuo", "-1", "0", "1.5", "nan", "inf", "[]", "{}", "None", "1e-7", "a=b", "../..", "no/such/file")
#: what a command cannot do without
GIVEN = {
    "show": ["ciou"],
    "check": ["ciou"],
    "compare": ["--losses=stock,ciou", "yolo", "detect", "train", "model=yolo11n.yaml", "data=coco8.yaml"],
    "hardest": ["best.pt", "--data=data.yaml"],
    "yolo": ["detect", "train", "model=yolo11n.yaml", "box_loss=eiou"],
}


class Worked(Exception):
    """The command has taken what it was given and begins its work."""


def begin(*_: Any, **__: Any) -> NoReturn:
    raise Worked


@pytest.fixture
def idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command works."""
    monkeypatch.chdir(tmp_path)
    for room, name in (
        (audit_command, "_audit_all"), (parity_command, "make_report"), (bench_command, "_measured"),
        (bench_command, "bench_criteria"), (simulate_command, "_simulated"), (explore_command, "explored"),
        (compare_command, "training_of"),
        (demo, "make_digits"), (demo_mmdet, "train"), (demo_transformers, "make_digits"),
        (shell, "make_model"), (cli, "_examined"), (hardest, "opened_both"),
    ):  # fmt: skip
        monkeypatch.setattr(room, name, begin)


def function_of(name: str) -> Any:
    """What the command calls."""
    brought = {point.name: point for point in cli._points(cli.COMMANDS)}
    if name in brought:
        return brought[name].load()
    return next(each.callback for each in cli.app.registered_commands if _name(each) == name)


def app_of(name: str) -> typer.Typer:
    """The command on its own, as `loss-plugins NAME` runs it."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(function_of(name))
    return app


def must_be_known(name: str, parameter: str) -> bool:
    """Whether a text has to be one of some names: of a loss, a kind, a framework, a device."""
    return parameter != "config" and get_type_hints(function_of(name))[parameter] in (str, str | None)


def _name(command: Any) -> str:
    return str(command.name or command.callback.__name__)


def words(name: str, parameter: Any, text: str) -> list[str]:
    """The command line that gives the parameter the text."""
    if parameter.param_type_name == "argument":
        return [*GIVEN.get(name, []), text] if parameter.nargs == -1 else ["--", text]
    given = GIVEN.get(name, [])
    return [*given, parameter.opts[0]] if parameter.is_flag else [*given, f"{parameter.opts[0]}={text}"]


@pytest.mark.parametrize(
    ("name", "parameter"), [pytest.param(*each, id="-".join(each)) for each in options() if each[0]]
)
def test_wrong_texts_of_each_parameter_are_refused(name: str, parameter: str, idle: None) -> None:
    (known,) = (each for each in commands()[name].params if each.name == parameter)
    for text in TEXTS:
        line = words(name, known, text)
        done = CliRunner().invoke(app_of(name), line)
        error = done.exception
        usage = isinstance(error, SystemExit) and done.exit_code == 2 and "Usage:" in done.output
        taken = done.exit_code == 0 or isinstance(error, Worked)
        assert not (taken and text == "ciuo" and must_be_known(name, parameter)), f"{line} is taken"
        if taken or usage:
            continue
        parts = STYLE.fullmatch(str(error))
        assert parts is not None, f"{line}: {error!r}"
        assert any(each.lstrip("-") in parts["came"] for each in (*known.opts, parameter, repr(text), text)), str(error)


@pytest.mark.parametrize("name", ["demo", "demo-mmdet", "demo-transformers"])
def test_the_demos_take_losses_of_boxes_alone(name: str, idle: None) -> None:
    for loss in ("l1", "focal"):
        error = CliRunner().invoke(app_of(name), [f"--box={loss}"]).exception
        assert not isinstance(error, Worked), f"{loss} is taken"
        parts = STYLE.fullmatch(str(error))
        assert parts is not None, repr(error)
        assert "losses of kind box" in parts["allowed"]
    assert isinstance(CliRunner().invoke(app_of(name), ["--box=EIoULoss"]).exception, Worked)
