"""Every box loss and every class loss of single scores trains a few batches in a criterion; others are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from loss_plugins.adapters.detr import plug
from loss_plugins.adapters.detr.asked import per_row, per_score
from loss_plugins.catalog.entries import Entry, shipped

from . import own
from .trainings import trained

SIZE = (480.0, 640.0)
BOXES = [entry for entry in shipped() if entry.kind == "box"]
SCORES = [entry for entry in shipped() if entry.kind == "classification"]


def spec_of(entry: Entry) -> dict[str, Any]:
    """The size of the images is given to the plug."""
    return {"type": entry.name, **{key: value for key, value in entry.example.items() if key != "image_size"}}


def descend(**asked: Any) -> Any:
    """Three steps on outputs that learn; the report."""
    criterion, (outputs, targets) = own.Criterion(), own.layers(1, dtype=torch.float32)
    leaves = [outputs["pred_boxes"], outputs["pred_logits"]]
    stock = trained(criterion, outputs, targets)
    before = [leaf.grad.clone() for leaf in leaves]
    with plug(criterion, **asked) as plugged:
        for step in range(3):
            for leaf in leaves:
                leaf.grad = None
            found = trained(criterion, outputs, targets)
            assert list(found) == list(stock)
            assert all(loss.isfinite() for loss in found.values())
            assert all(leaf.grad.isfinite().all() for leaf in leaves)
            if step == 0:
                changed = [not torch.allclose(leaf.grad, g) for leaf, g in zip(leaves, before, strict=True)]
            for leaf in leaves:
                leaf.data -= 1e-4 * leaf.grad
    return plugged.report, changed


@pytest.mark.parametrize("entry", BOXES, ids=lambda entry: entry.name)
def test_every_box_loss_trains(entry: Entry) -> None:
    in_pixels = entry.traits.units != "any" or entry.name == "mix"  # the example of a mix has NWD
    report, (boxes, scores) = descend(box=spec_of(entry), image_size=SIZE if in_pixels else None)
    assert report.box.gradient_calls == 3
    assert boxes == (entry.name != "giou")
    assert not scores


@pytest.mark.parametrize("entry", SCORES, ids=lambda entry: entry.name)
def test_every_class_loss_of_single_scores_trains_and_others_are_refused(entry: Entry) -> None:
    if per_score(entry):
        report, (boxes, scores) = descend(cls=spec_of(entry))
        assert report.cls.gradient_calls == 3
        assert scores == (entry.name not in ("focal", "efl"))  # which is that before it has learnt
        assert not boxes
        return
    with pytest.raises(ValueError, match=r"cls=.*allowed: .*focal") as refused:
        descend(cls=spec_of(entry))
    assert entry.name in str(refused.value)
    if per_row(entry):
        assert "which is of sigmoids" in str(refused.value)
