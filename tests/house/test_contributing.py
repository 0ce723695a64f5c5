"""CONTRIBUTING: what it says of sizes is measured, and what "must hold" has checks of the audit behind each clause."""

from __future__ import annotations

import ast
import inspect
import re
import statistics
import textwrap
from pathlib import Path

import pytest

import loss_plugins as lp
from loss_plugins.audit import checks_for
from loss_plugins.audit.checks.boxes import GRADIENT_BOUND
from loss_plugins.catalog.declare import COLUMNS
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.losses import penalties

ROOT = Path(__file__).parents[2]
ROOMS = ("loss_plugins", "adapters", "tools", "tests", "configs")
TEXT = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())


# --- sizes ---------------------------------------------------------------------------------------------------------


def test_no_file_is_longer_than_it_says() -> None:
    found = re.search(r"No file has more than (\d+) lines", TEXT)
    assert found is not None
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    lines = {str(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert len(files) > 300
    assert {file: count for file, count in lines.items() if count > int(found[1])} == {}


def function_of(entry: Entry) -> tuple[ast.FunctionDef, list[str]]:
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(entry.function)))
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    return node, source.splitlines()


def lines_of_code(node: ast.FunctionDef, lines: list[str]) -> int:
    """Without docstring, comments and empty lines."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    inside = {number for part in body for number in range(part.lineno, (part.end_lineno or 0) + 1)}
    return sum(lines[number - 1].strip()[:1] not in ("", "#") for number in inside)


def test_the_losses_are_as_small_as_it_says() -> None:
    said = re.search(
        r"The (\d+) losses here have a median of (\d+) lines of code in the function \((\d+) at most, the longest "
        r"penalty beside them (\d+)\), (\d+) lines of entry and (\d+) of signature",
        TEXT,
    )
    assert said
    count, median, most, penalty, entry, signature = map(int, said.groups())
    found = [function_of(each) for each in shipped()]
    sizes = [lines_of_code(*each) for each in found]
    decorated = [node for node, _ in found if node.decorator_list]
    entries = [(node.decorator_list[-1].end_lineno or 0) - node.decorator_list[0].lineno + 1 for node in decorated]
    source = inspect.getsource(penalties)
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert count == len(found)
    assert statistics.median(sizes) <= median
    assert max(sizes) <= most
    assert max(lines_of_code(node, source.splitlines()) for node in functions) <= penalty
    assert statistics.median(entries) <= entry
    assert statistics.median(node.body[0].lineno - node.lineno for node, _ in found) <= signature


# --- what must hold ------------------------------------------------------------------------------------------------

BOUNDED = (
    "finite values and gradients below 1e4 for boxes without area, equal, inverted or disjoint, and for saturated "
)
#: each clause of "What must hold", and the checks of the audit (or the test) that it stands for
CLAUSES: dict[str, tuple[str, ...]] = {
    f"{BOUNDED}scores": (
        "both of zero area: gradient",
        "equal: gradient",
        "target inverted: gradient",
        "disjoint, far: gradient",
        "scores of 200, wrong: gradient",
    ),
    "float16 and bfloat16 raised to float32": ("fp16", "bf16", "pred fp16, target fp32"),
    "`torch.compile(fullgraph=True, dynamic=True)`, `vmap` and `grad`": ("compiles to one graph", "vmap", "jacrev"),
    "pickle, deepcopy and `spec()`": ("pickle", "deepcopy", "tests/losses/test_every_loss.py"),
    "an empty batch costs 0 in the graph": ("no rows", "mean of no rows", "sum of no rows"),
    "the traits": ("range", "zero at equality", "symmetric"),
}


def clauses() -> list[str]:
    said = re.search(r"\*\*What must hold\*\*, and is tested for every entry: (.*?)\. Three habits", TEXT)
    assert said
    return said.group(1).split("; ")


def test_each_clause_has_checks() -> None:
    assert clauses() == list(CLAUSES)


@pytest.mark.parametrize("clause", CLAUSES)
def test_the_checks_of_a_clause_are_part_of_the_audit(clause: str) -> None:
    """`tests/audit/test_catalogue.py` runs them on every loss."""
    boxes = {check.name for kind in COLUMNS for check in checks_for(kind)}
    known = boxes | {check.name for check in checks_for("classification")}
    for check in CLAUSES[clause]:
        assert check in known or (ROOT / check).is_file(), check
    assert GRADIENT_BOUND == 1e4


def test_spec_is_tested_for_every_loss() -> None:
    for entry in shipped():
        loss = lp.build_loss(entry.name, **entry.example)
        assert lp.build_loss(loss.spec()).spec() == loss.spec()
