"""Losses that change in the course of a training are told by their plug, or say that nobody tells them."""

from __future__ import annotations

import logging

import pytest
import torch

from loss_plugins import cxcywh_to_xyxy, uiou_loss
from loss_plugins.adapters.detr import plug

from . import own
from .trainings import trained


def test_the_plug_tells_its_losses() -> None:
    """The ratio goes linearly from 2 to 0.5."""
    criterion, (outputs, targets) = own.Criterion(), own.layers(1)
    with plug(criterion, box="uiou") as plugged:
        for progress, ratio in ((0.0, 2.0), (0.5, 1.25), (1.0, 0.5)):
            plugged.set_progress(progress)
            found = trained(criterion, outputs, targets)["loss_giou"]
            pred, target = own.pairs(outputs, targets, criterion.matcher(outputs, targets))
            wanted = uiou_loss(cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target), schedule=None, ratio=ratio)
            torch.testing.assert_close(found, wanted.sum() / len(wanted), rtol=1e-9, atol=0)


@pytest.mark.parametrize(("loss", "told", "lines"), [("uiou", False, 1), ("uiou", True, 0), ("eiou", False, 0)])
def test_nobody_tells_it_is_said_once(loss: str, told: bool, lines: int, caplog: pytest.LogCaptureFixture) -> None:
    criterion, given = own.Criterion(), own.layers(1)
    with caplog.at_level(logging.WARNING, "loss_plugins"), plug(criterion, box=loss) as plugged:
        for _ in range(3):
            if told:
                plugged.set_progress(0.25)
            trained(criterion, *given)
    said = [record.getMessage() for record in caplog.records if "set_progress" in record.getMessage()]
    assert len(said) == lines
    assert all(line.startswith(f"the box loss {loss} changes") for line in said)
