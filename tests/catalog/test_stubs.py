"""What editors and type checkers read of the losses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools.stubs import STUB, stub
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
    "lp.ciou_loss(p, t, gama=1)": 'Unexpected keyword argument "gama" for "ciou_loss"',
    "lp.ciou_loss(p, t, inner_ratio=0.8)": "",
    "lp.focal_loss(p, t, gama=1)": 'Unexpected keyword argument "gama" for "focal_loss"',
}


def test_the_stub_is_made_from_the_catalogue_of_today() -> None:
    assert STUB.read_text(encoding="utf-8") == stub(), "run: python -m tools.stubs"


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
        number = int(place.rsplit(":", 1)[1]) - 3
        found[number] = found.get(number, "") + message
    return found


@pytest.mark.parametrize("number", range(1, len(LINES) + 1), ids=list(LINES))
def test_mypy_knows_the_parameters(number: int, said: dict[int, str]) -> None:
    wanted = list(LINES.values())[number - 1]
    if wanted:
        assert wanted in said.get(number, "")
    else:
        assert number not in said
