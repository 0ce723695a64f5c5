"""What README and CONTRIBUTING say in numbers, lists and names is what there is."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import pytest
import typer

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.mmdet.registration import register
from loss_plugins.adapters.ultralytics.cli import chosen_task, split_settings
from loss_plugins.adapters.ultralytics.trainers import REFUSED, TRAINERS
from loss_plugins.audit import checks_for
from loss_plugins.catalog.declare import COLUMNS, KINDS, Parameter
from loss_plugins.catalog.dialects import dialects_of
from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.plugins import ENTRY_POINTS
from loss_plugins.losses import boxes, family, scores
from loss_plugins.parity.command import parity
from loss_plugins.parity.compare import compared
from tests.adapters.mmdet.heads import CASES
from tests.adapters.ultralytics.test_models import MODELS

ROOT = Path(__file__).parents[2]
README, CONTRIBUTING = (" ".join((ROOT / f"{page}.md").read_text().split()) for page in ("README", "CONTRIBUTING"))


def said(pattern: str, text: str = README) -> tuple[str, ...]:
    """The parts of a sentence; raises if it is not there."""
    found = re.search(pattern, text)
    assert found, f"nothing says {pattern!r} any more"
    return found.groups()


# --- README: numbers -------------------------------------------------------------------------------------------------


def test_the_oldest_python_is_the_one_that_installs() -> None:
    (oldest,) = said(r"On a machine with Python (\S+) or newer")
    assert f'requires-python = ">={oldest}"' in (ROOT / "pyproject.toml").read_text()


def test_as_many_built_ins_are_compared_on_as_many_rows() -> None:
    count, rows = said(r"compares (\d+) of them with what is installed, value and gradient, on ([\d,]+) rows each")
    assert int(count) == len(list(compared("all")))
    app = typer.Typer()
    app.command()(parity)
    (pairs,) = (each for each in typer.main.get_command(app).params if each.name == "pairs")
    assert pairs.default == int(rows.replace(",", ""))


def test_a_loss_meets_as_many_checks() -> None:
    least, others = map(int, said(r"runs more than (\d+) checks on a loss of boxes, (\d+) on others"))
    for bound, kinds in ((least, COLUMNS), (others, set(KINDS) - set(COLUMNS))):
        assert bound < min(len(checks_for(kind)) for kind in kinds) < bound + 20


def test_as_many_heads_keep_their_gradients() -> None:
    """`tests/adapters/mmdet/test_parity.py` trains each of these cases."""
    (heads,) = said(r"Swapping MMDetection's GIoULoss for ours on (\d+) heads changes no gradient")
    assert int(heads) == len(CASES)


def test_the_installed_ultralytics_is_the_one_that_is_tested() -> None:
    (tested,) = said(r"The Ultralytics adapter is tested on (\S+) and")
    assert tested == version("ultralytics")


# --- README: lists ---------------------------------------------------------------------------------------------------


def words(text: str) -> set[str]:
    return set(re.split(r", | and ", text))


def test_the_tasks_and_families_are_those_that_train() -> None:
    tasks, families = said(r"It works for (.+) models of the (.+) families")
    assert words(tasks) == set(TRAINERS)
    tried = {match[1] for name in MODELS if (match := re.match(r"yolo(v?\d+)", name))}
    assert words(families) == tried


def test_what_is_said_to_be_refused_is_refused() -> None:
    """What visual prompts drop is refused by what is computed: `tests/adapters/ultralytics/test_yoloe.py`."""
    listed, tune = said(r"\*\*Refusals\.\*\* (.+) and `(\w+)\(\)` are refused with the reason")
    assert listed == "Classification, depth, box, dfl and mask losses of YOLOE's visual prompts"
    assert tune == "tune"
    for task in REFUSED:
        with pytest.raises(lpu.UnsupportedUltralytics, match=task):
            lpu.trainer(task, box="eiou")
    with pytest.raises(lpu.UnsupportedUltralytics, match=tune):
        chosen_task(["detect", tune])


def test_the_dialects_that_are_named_exist() -> None:
    first, others = said(r'`dialect="(\w+)"` \(or (.+), \.\.\.\) reproduces')
    known = {dialect for entry in shipped() for dialect in dialects_of(entry.name)}
    assert {first, *re.findall(r"`(\w+)`", others)} <= known


def test_the_kinds_of_the_shell_and_the_settings_are_as_written() -> None:
    (setting,) = said(r"in a config or as `(box_loss\.\S+)`")
    losses, others = split_settings(["box_loss=eiou", setting])
    assert (losses, others) == ({"box": {"type": "eiou", "compile": True}}, {})
    assert lp.build_loss(losses["box"]).compile_wanted


def test_a_loss_of_ones_own_has_the_class_that_is_named_for_mmdetection() -> None:
    name, cls = said(r"a loss of your own, `(\w+)`, is `type=\"loss_plugins\.(\w+)\"`;")
    assert said(r"Its class is `(\w+)`: .*? `type=\"loss_plugins\.(\w+)\"` or `\"loss_plugins\.(\w+)\"`") == (
        cls,
        cls,
        name,
    )
    lp.register_loss(name)(lambda pred, target: (pred - target).abs().sum(-1))
    try:
        assert type(lp.build_loss(name)).__name__ == cls
        for each in (cls, name):
            found = register(each)
            assert found is not None
            assert (found.entry.name, found.__name__) == (name, cls)
    finally:
        lp.unregister_loss(name)


def test_the_name_of_a_loss_is_another_name_of_its_class() -> None:
    name, cls = said(r"`type=\"loss_plugins\.(\w+)\"` is another name of `loss_plugins\.(\w+)`")
    assert register(name) is register(cls) is not None


def test_packages_bring_losses_by_the_entry_point_that_is_named() -> None:
    assert said(r'under `\[project\.entry-points\."(.*?)"\]`') == (ENTRY_POINTS,)


# --- CONTRIBUTING ----------------------------------------------------------------------------------------------------


def test_the_helpers_that_are_recommended_exist() -> None:
    first, second = said(r"it goes through `boxes\.(\w+)` and `boxes\.(\w+)`", CONTRIBUTING)
    assert callable(getattr(boxes, first))
    assert callable(getattr(boxes, second))
    for name in said(r"Roots and powers of 0 go through `(\w+)` and `(\w+)`", CONTRIBUTING):
        assert any(callable(getattr(room, name, None)) for room in (boxes, family, scores)), name


def test_the_annotations_are_those_that_are_understood() -> None:
    table = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("| `")]
    examples = [code for line in table for code in re.findall(r"`([A-Z]\w+\(.*?\)|Annotated\[.*?\])`", line)]
    names = {"Interval", "Choice", "Series", "PerClass", "Effect", "State"}
    seen = set()
    for example in examples:
        called = {node.id for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Name)}
        seen |= called & names
        if "State" not in called:  # whose arguments are functions
            eval(example, {**vars(lp), "Annotated": Annotated})
    assert seen == names


def test_a_required_parameter_has_an_example() -> None:
    assert "A parameter without default is required; give the entry an `example` then" in CONTRIBUTING
    required = [(entry, each) for entry in shipped() for each in entry.parameters.values() if each.required]
    assert required
    for entry, parameter in required:
        assert parameter.name in entry.example
    assert Parameter("x", None, required=True).described.startswith("x (required")


def test_the_formulas_keep_the_habits() -> None:
    """No host sync, and relu for clamp at 0: but for what has no gradient."""
    assert "`relu`, not `clamp(min=0)`" in CONTRIBUTING
    assert "No `if` on the data, no `.item()`, no boolean-mask assignment" in CONTRIBUTING
    found = []
    for file in sorted((ROOT / "loss_plugins/losses").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            text = ast.unparse(node) if isinstance(node, (ast.Call, ast.Assign)) else ""
            if isinstance(node, ast.Call) and re.search(r"\.(item|tolist)\(\)$|\.clamp\(min=0\)$", text):
                found.append(f"{file.name}: {text}")
            places = [each.slice for each in getattr(node, "targets", ()) if isinstance(each, ast.Subscript)]
            if not all(isinstance(place, ast.Constant) for place in places):  # but for the keys of a dict
                found.append(f"{file.name}: {text}")
    assert found == ["scores.py: at.clamp(min=0)"], "at is detached there"


def test_the_kinds_that_have_files_are_all_kinds() -> None:
    (others,) = said(r'Other kinds leave it out and say `kind=("\w+"`, .*? or `"\w+")`', CONTRIBUTING)
    assert {"box", *re.findall(r'"(\w+)"', others)} == set(KINDS)
