"""The examples of the pages are what a user wants to copy: their names are known, and their losses are no mistake."""

from __future__ import annotations

import ast
import builtins
import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from loss_plugins import get_entry
from tests.command_line import started
from tools import gains
from tools.wheel import ROOT

PAGES = ("README.md", "docs/ultralytics.md", "docs/mmdet.md")
#: what a class loss may lose on average before an example with it would be bad advice
WORSE = -0.02


def code(text: str, language: str = r"\w*") -> list[str]:
    """The fenced blocks of a text."""
    return [found[1] for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)]


def sections(page: str) -> list[str]:
    """What stands above the first heading of the second level, and under each."""
    return re.split(r"^## .*$", (ROOT / page).read_text(encoding="utf-8"), flags=re.M)


def bound(tree: ast.AST) -> Iterator[str]:
    """The names that a program makes: what it assigns, imports, defines, and its parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def unknown_names(block: str, known: set[str]) -> set[str]:
    """The names that a block reads and nobody made; what it makes joins those known."""
    tree = ast.parse(block)
    known.update(bound(tree))
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - known - {*vars(builtins)}


def test_names_of_nobody_are_found() -> None:
    known = {"data"}
    assert unknown_names("model = YOLO('x').train(data=data)", known) == {"YOLO"}
    assert unknown_names("class A:\n    def f(self, x): return [x + y for y in model]", known) == set()


@pytest.mark.parametrize("page", PAGES)
def test_each_block_of_python_knows_its_names(page: str) -> None:
    """They are those of the lines that the page says each example follows, and of the blocks of its section."""
    first, *others = sections(page)
    common: dict[str, object] = {}
    for block in code(first, "python"):
        exec(compile(block, page, "exec"), common)
    count = 0
    for section in others:
        known = {*common}
        for block in code(section, "python"):
            assert unknown_names(block, known) == set(), block
            count += 1
    assert count > 3


def test_a_block_that_is_a_module_of_its_own_imports_what_it_uses() -> None:
    """A loss of one's own is saved in a file, without the blocks before it."""
    for page in (*PAGES, "CONTRIBUTING.md"):
        for block in code((ROOT / page).read_text(encoding="utf-8"), "python"):
            if "@lp." in block:
                assert unknown_names(block, set()) == set(), block


def test_the_loss_of_ones_own_passes_its_check(tmp_path: Path) -> None:
    """The block of README and the command that stands below it, in a fresh process."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = (each for each in code(text, "python") if "@lp.register_loss" in each)
    (target,) = re.findall(r"`loss-plugins check (mylosses:\w+)`", text)
    (tmp_path / "mylosses.py").write_text(block, encoding="utf-8")
    done = started("check", target, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"my_iou \(box\): (\d+)/\1 checks passed", done.stdout)


# --- losses of classes -----------------------------------------------------------------------------------------------


def lost() -> dict[str, list[float]]:
    """The mean differences of the class losses that ended below the stock loss, whatever their gain."""
    measured = [gains.Outcome(**row) for row in json.loads(gains.RESULTS.read_text(encoding="utf-8"))]
    stock = {each.seed: each.map50 for each in measured if each.loss == "stock"}
    found: dict[str, list[float]] = {}
    for loss in (name for name, (slot, _) in gains.LOSSES.items() if slot == "cls"):
        for gain in gains.GAINS:
            pairs = [each.map50 - stock[each.seed] for each in measured if (each.loss, each.gain) == (loss, gain)]
            found.setdefault(loss, []).append(statistics.mean(pairs))
    return {loss: differences for loss, differences in found.items() if max(differences) < WORSE}


def test_no_example_trains_with_a_class_loss_that_lost() -> None:
    files = [ROOT / page for page in PAGES] + sorted((ROOT / "configs/ultralytics").glob("*.yaml"))
    for file in files:
        text = file.read_text(encoding="utf-8")
        for block in code(text) if file.suffix == ".md" else [text]:
            named = re.findall(r"""cls(?:_loss)?["']?\s*[=:]\s*(?:\{\s*["']?type["']?:\s*)?["']?(\w+)""", block)
            assert {*lost()}.isdisjoint(named), (file, block)


def test_pages_and_catalogue_say_which_class_losses_lost() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    worst, least = (pick(-each for pairs in lost().values() for each in pairs) for pick in (max, min))
    assert f"lost {least:.2f} to {worst:.2f} mAP50 in trainings of {gains.RECIPE['epochs']} epochs" in text
    sentence = next(each for each in re.split(r"\. (?=[A-Z])", text) if "mAP50 in trainings of" in each)
    assert "(docs/gains.md)" in sentence
    assert {*re.findall(r"`(\w+)`", sentence)} == {*lost()}
    for name, (slot, _) in gains.LOSSES.items():
        if slot == "cls":
            assert ("docs/gains.md" in get_entry(name).avoid_when) == (name in lost())
