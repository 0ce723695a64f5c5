"""`loss-plugins explore`: what it writes where, and which losses it cannot write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import get_entry
from loss_plugins.evidence.explore import command, page
from loss_plugins.evidence.explore.page import explored, page_of

from ...command_line import called
from .browser import Opened


def data_of(text: str) -> dict[str, Any]:
    """What the page knows of losses."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture
def own() -> Iterator[None]:
    """Losses of a user: one that is recorded, one that reads a number, one that does what the page does not know."""

    @lp.register_loss("own_distance", kind="box")
    def own_distance(pred: Tensor, target: Tensor, *, scale: float = 2.0) -> Tensor:
        """The distance of the corners <script>."""
        return scale * (pred - target).abs().sum(-1)

    @lp.register_loss("own_switch", kind="box")
    def own_switch(pred: Tensor, target: Tensor) -> Tensor:
        """Either of two."""
        distance = (pred - target).square().sum(-1)
        return distance if float(distance.detach().sum()) > 1 else 2 * distance

    @lp.register_loss("own_bell", kind="box")
    def own_bell(pred: Tensor, target: Tensor) -> Tensor:
        """By the error function."""
        return torch.special.erf((pred - target).abs()).sum(-1)

    @lp.register_loss("own_area", kind="box")
    def own_area(pred: Tensor, target: Tensor) -> Tensor:
        """The ratio of the areas: its gradient puts two columns beside four."""
        sides, wanted = pred[:, 2:] - pred[:, :2], target[:, 2:] - target[:, :2]
        return 1 - sides.prod(-1) / wanted.prod(-1)

    names = ("own_distance", "own_switch", "own_bell", "own_area")
    yield
    for name in names:
        lp.unregister_loss(name)


def test_the_page_is_written_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "list_losses", lambda kind: ["nwd", "mix"])
    file = tmp_path / "pages/here.html"
    done = called("explore", "--out", str(file))
    assert done.returncode == 0, done.stderr
    assert [loss["name"] for loss in data_of(file.read_text(encoding="utf-8"))["losses"]] == ["nwd"]
    assert str(file) in done.stdout
    assert data_of(file.read_text(encoding="utf-8"))["shown"] == [*page.SHOWN]
    called("explore", cwd=tmp_path)
    assert (tmp_path / "explore.html").read_bytes() == file.read_bytes()


def test_named_losses_are_ticked_and_those_with_parameters_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    monkeypatch.setattr(command, "list_losses", lambda kind: ["iou", "nwd", "mix"])
    (tmp_path / "mine_to_explore.py").write_text(
        "def height(pred, target):\n    'How high.'\n    return (pred[..., 3] - target[..., 1]).abs()\n"
    )
    names = [
        "NWD",
        "wise_inner_diou, ciou(power=2, inner_ratio=0.7)",
        "mine_to_explore:height",
        "mix(losses=[iou, nwd])",
    ]
    done = called("explore", *names, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    composed, mine, mix = "ciou(power=2, inner_ratio=0.7)", "mine_to_explore:height", "mix(losses=['iou', 'nwd'])"
    opened = Opened(browser, tmp_path / "explore.html", "")
    values, boxes = opened.values(), opened.boxes()
    assert [*values] == ["wise_inner_diou", composed, mine, mix, "iou", "nwd", "mix"]
    pred, target = (torch.tensor([boxes[name]], dtype=torch.float64) for name in ("pred", "target"))
    assert values["wise_inner_diou"] == pytest.approx(lp.diou_loss(pred, target, wise=3, inner_ratio=0.75).item())
    assert values[composed] == pytest.approx(lp.ciou_loss(pred, target, power=2, inner_ratio=0.7).item(), rel=1e-12)
    assert values[mine] == abs(boxes["pred"][3] - boxes["target"][1])
    assert values[mix] == pytest.approx(values["iou"] + values["nwd"], rel=1e-12)
    assert opened.page.locator("#losses tr.is-shown").count() == 5
    opened.page.locator("#losses tr[data-loss^=ciou] button").click()
    opened.page.get_by_role("tab", name="any DETR").click()
    opened.frame()
    assert '{"type": "ciou", "power": 2, "inner_ratio": 0.7}' in opened.page.inner_text("#config")
    opened.page.locator("#losses tr[data-loss^=mine] button").click()
    opened.frame()
    assert "@register_loss" in opened.page.inner_text("#config")
    assert opened.errors == []
    opened.context.close()


@pytest.mark.parametrize(
    ("name", "came"),
    [("focal", "focal is of kind classification"), ("l1", "l1 is of kind coordinate"), ("coiu", "coiu")],
)
def test_what_is_no_loss_of_boxes_is_refused_by_name(name: str, came: str, tmp_path: Path) -> None:
    done = called("explore", name, cwd=tmp_path)
    assert done.returncode == 2
    assert came in done.stderr
    assert not (tmp_path / "explore.html").exists()


def test_losses_of_ones_own_are_shown_or_greyed_with_the_reason(own: None, tmp_path: Path, browser: Browser) -> None:
    losses = [explored(get_entry(name)) for name in ("iou", "own_distance", "own_switch", "own_bell", "own_area")]
    (file := tmp_path / "page.html").write_text(page_of(losses, "a test"), encoding="utf-8")
    opened = Opened(browser, file, "#l=own_distance&p=0,0,10,10&t=1,2,13,14")
    assert opened.values()["own_distance"] == 2 * (1 + 2 + 3 + 4)
    grey = opened.page.locator("#losses tr.grey")
    reasons = {text.split()[0]: text for text in grey.all_inner_texts()}
    assert {*reasons} == {"own_switch", "own_bell", "own_area"}
    assert "columns" in reasons["own_area"]
    assert "it reads the numbers in its tensors" in reasons["own_switch"]
    assert "erf" in reasons["own_bell"]
    assert grey.locator("input:disabled").count() == 3
    opened.page.locator("#losses tr[data-loss=own_distance] button").click()
    assert "<script>" in opened.page.inner_text("#chosen")
    assert opened.errors == opened.requests == []
    opened.context.close()


def test_an_operation_that_the_page_does_not_know_ends_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    from loss_plugins.evidence.explore import pool

    losses = [explored(get_entry("nwd"))]
    monkeypatch.setattr(pool, "OPERATIONS", tuple(name for name in pool.OPERATIONS if name != "sqrt"))
    with pytest.raises(ValueError, match=r"explore: nwd: the page does not know sqrt; allowed: .*; teach "):
        page_of(losses, "a test")


def test_a_loss_of_this_package_that_is_not_recorded_ends_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "forms_of", lambda entry, given, alone: [page.Form("", {}, (), None, "it is odd")])
    with pytest.raises(ValueError, match="explore: ciou: it is odd; allowed: "):
        explored(get_entry("ciou"))
