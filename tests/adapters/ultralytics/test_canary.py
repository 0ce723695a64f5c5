# SPDX-License-Identifier: AGPL-3.0-or-later
"""The canary compares value and gradient through the path that trains, and leaves no trace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from ultralytics.utils.loss import BboxLoss

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import canary
from loss_plugins.adapters.ultralytics.anchors import BCEReplacement
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.fusion.program import Program


def checked(plug: Plug) -> list[float]:
    """What the canary finds in a branch with both slots."""
    assert plug.cls is not None
    assert plug.box is not None
    branch = SimpleNamespace(bbox_loss=BboxLoss(16), bce=BCEReplacement(nn.BCEWithLogitsLoss(reduction="none")))
    return [canary.check_box(branch, plug.box), canary.check_cls(branch, plug.cls)]


@pytest.mark.parametrize("gain", ["keep", "match"])
def test_it_finds_what_was_asked_for_and_leaves_no_trace(gain: str) -> None:
    with plugged(lpu.make_spec({"type": "wiou", "version": 3}, "ghm_c", gain=gain)) as plug:
        plug.begin_epoch()
        gains = [slot.calls.gain for slot in plug.slots]
        box, cls = checked(plug)
        assert box > 0
        assert cls > 0
        assert plug.report.box is not None
        for slot in plug.slots:
            calls = slot.calls
            assert (calls.train_calls, calls.val_calls, calls.rows, calls.gradient_calls) == (0, 0, 0, 0)
        assert [(slot.measure_next, slot.ratio) for slot in plug.slots] == [(True, None)] * 2
        assert [slot.calls.gain for slot in plug.slots] == gains
        for slot in plug.slots:
            for loss in slot._own.values():
                assert loss.training
                assert [float(part.current) for part in loss.statistics.values()] == [1.0] * len(loss.statistics)


@pytest.mark.parametrize("part", [0, 1])
def test_a_recorded_program_that_is_wrong_is_noticed(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gradients no program runs: only a canary that differentiates sees it."""
    original = Program.__call__

    def wrong(*arguments: Any) -> tuple[Tensor, ...]:
        found = list(original(*arguments))
        found[part] = 1.01 * found[part]
        return tuple(found)

    with plugged(lpu.make_spec("eiou", "focal")) as plug:
        checked(plug)  # recorded, and compared with autograd
        monkeypatch.setattr(Program, "__call__", wrong)
        what = ("value", "gradient")[part]
        with pytest.raises(lpu.UnsupportedUltralytics, match=rf"as {what} where eiou is .* does not hold"):
            checked(plug)


def test_a_gradient_that_is_lost_on_the_way_is_noticed() -> None:
    with plugged(lpu.make_spec("eiou", "focal")) as plug:
        branch = SimpleNamespace(bbox_loss=BboxLoss(16), bce=lambda x, y: plug.cls.compute(branch.bce, x.detach(), y))
        with pytest.raises(lpu.UnsupportedUltralytics, match=r"cls loss focal comes back without gradient"):
            canary.check_cls(branch, plug.cls)


def test_a_loss_that_is_not_finite_on_the_canarys_boxes_is_named() -> None:
    """On ordinary boxes of its own it was looked at when it was asked for."""
    broken = False

    @lp.register_loss("test_own")
    def own(pred: Tensor, target: Tensor) -> Tensor:
        loss = (pred - target).abs().sum(-1)
        return loss * torch.nan if broken else loss

    try:
        with plugged(lpu.make_spec("test_own", "focal")) as plug:
            broken = True
            with pytest.raises(lpu.UnsupportedUltralytics, match="the value of test_own is not finite"):
                checked(plug)
    finally:
        lp.unregister_loss("test_own")


@pytest.mark.parametrize("changed", ["pred", "target"])
def test_a_loss_that_changes_its_arguments_is_refused_before_training(changed: str) -> None:
    @lp.register_loss("test_own")
    def own(pred: Tensor, target: Tensor) -> Tensor:
        loss = (pred - target).abs().sum(-1)
        {"pred": pred, "target": target}[changed].detach().clamp_(min=0)
        return loss

    try:
        with pytest.raises(ValueError, match=f"test_own: .* changed {changed} .* in place"):
            lpu.make_spec("test_own", "focal")
    finally:
        lp.unregister_loss("test_own")
