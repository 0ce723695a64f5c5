"""What editors and type checkers read of the losses."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.text import readable
from loss_plugins.module.build import module_class
from tools.stubs import STUBS, stubs
from tools.wheel import ROOT

#: a line of a user's code, and what mypy says of it ("": nothing)
LINES = {
    "lp.FocalLoss(gama=2)": 'Unexpected keyword argument "gama" for "FocalLoss"',
    "lp.FocalLoss(gamma=2.0).forward": "",
    "lp.FocalLoss(gamma='2')": 'Argument "gamma" to "FocalLoss" has incompatible type "str"; expected "float"',
    "lp.FocalLoss('mean', 2.0, alpha=0.3, override='sum')": 'Unexpected keyword argument "override"',
    "lp.MPDIoULoss()": 'Missing named argument "image_size" for "MPDIoULoss"',
    "lp.MPDIoULoss(image_size=[640, 640], wise=3)": "",
    "lp.MixLoss(losses=['ciou', {'type': 'nwd'}])": "",
    "lp.MixLoss(losses=['ciou'], gama=2)": 'Unexpected keyword argument "gama" for "MixLoss"',
    "lp.MixLoss(losses=['ciou'], compile=True)": 'Argument "compile" to "MixLoss" has incompatible type',
    "lp.MixLoss()": 'Missing named argument "losses" for "MixLoss"',
    "lp.ciou_loss(p, t, gama=1)": 'Unexpected keyword argument "gama" for "ciou_loss"',
    "lp.ciou_loss(p, t, inner_ratio=0.8)": "",
    "lp.focal_loss(p, t, gama=1)": 'Unexpected keyword argument "gama" for "focal_loss"',
}


def test_the_stub_is_made_from_the_catalogue_of_today() -> None:
    written = {path: path.read_text(encoding="utf-8") for path in STUBS.glob("*.pyi")}
    assert written == stubs(), "run: python -m tools.stubs"


def test_editors_show_formula_parameters_and_source_of_every_loss() -> None:
    found = [node for path in STUBS.glob("*.pyi") for node in ast.parse(path.read_text(encoding="utf-8")).body]
    pages = {node.name: " ".join((ast.get_docstring(node) or "").split()) for node in found if hasattr(node, "name")}
    assert len(pages) == len(shipped())
    for entry in shipped():
        page = pages[module_class(entry.name).__name__]
        parameters = [parameter.described for parameter in entry.parameters.values()]
        for words in (entry.summary, readable(entry.formula), *parameters, entry.use_when, entry.source.url):
            assert " ".join(words.split()) in page


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What mypy says of each of the lines, by line number."""
    file = tmp_path_factory.mktemp("user") / "user.py"
    head = "import torch\nimport loss_plugins as lp\np = t = torch.zeros(1, 4)\n"
    file.write_text(head + "\n".join(LINES) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found: dict[int, str] = {}
    for line in done.stdout.splitlines():
        place, _, message = line.partition(": ")
        path, _, number = place.rpartition(":")
        if Path(path).name == file.name:
            row = int(number) - head.count("\n")
            found[row] = found.get(row, "") + message
    return found


@pytest.mark.parametrize("number", range(1, len(LINES) + 1), ids=list(LINES))
def test_mypy_knows_the_parameters(number: int, said: dict[int, str]) -> None:
    wanted = list(LINES.values())[number - 1]
    if wanted:
        assert wanted in said.get(number, "")
    else:
        assert number not in said
