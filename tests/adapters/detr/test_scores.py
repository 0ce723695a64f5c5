"""The class slot of a criterion: what each loss is to meet, and how it is reduced."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from loss_plugins import build_loss, cxcywh_to_xyxy
from loss_plugins.adapters.detr import plug
from loss_plugins.adapters.detr.class_probe import class_methods

from . import own
from .criteria import CLASSES, KNOWN, batch


def test_labels_or_qualities_are_the_target_as_the_loss_says() -> None:
    outputs, targets, indices, num_boxes = batch()
    criterion = own.Criterion()
    pred, target = own.pairs(outputs, targets, indices)
    iou = 1 - build_loss("iou").elementwise(cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)).detach()
    iou = iou.clamp(min=1e-30)  # a pair without overlap is positive all the same
    labels, qualities = torch.zeros_like(outputs["logits"]), torch.zeros_like(outputs["logits"])
    at = 0
    for image, (queries, objects) in enumerate(indices):
        for query, label in zip(queries.tolist(), targets[image]["labels"][objects].tolist(), strict=True):
            labels[image, query, label], qualities[image, query, label] = 1, iou[at]
            at += 1
    for name, wanted in (
        ("bce_with_logits", labels),
        ("focal", labels),
        ("quality_focal", qualities),
        ("varifocal", qualities),
        ("matchability", qualities),
        ("ia_bce", qualities),
    ):
        plugged = plug(criterion, cls=name)
        loss = criterion.loss_labels(outputs, targets, indices, num_boxes)["loss_ce"]
        rows = build_loss(name).elementwise(outputs["logits"].flatten(0, 1), wanted.flatten(0, 1))
        torch.testing.assert_close(loss, rows.sum() / num_boxes)
        plugged.unplug()


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("libreyolo DEIM", {"type": "mal", "gamma": 2.0}),
        ("transformers Deimv2Loss", {"type": "mal", "gamma": 2.0}),
        ("rfdetr SetCriterion, ia_bce", "ia_bce"),
        ("transformers LwDetrImageLoss", "ia_bce"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["type"],
)
def test_a_match_without_overlap_counts_as_in_the_criterion_s_own_loss(name: str, loss: Any) -> None:
    """Its target is 0, or the floor, and it weighs 1: no negative."""
    criterion = KNOWN[name].build()
    outputs, targets, indices, num_boxes = batch(dtype=torch.float32)
    first = indices[0][0][0]
    outputs["pred_boxes"].data[0, first] = torch.tensor([0.05, 0.05, 0.02, 0.02])
    (method,) = class_methods(criterion)
    key = "loss_mal" if method == "loss_labels_mal" else "loss_ce"
    plugged = plug(criterion, cls=loss)
    ours = getattr(criterion, method)(outputs, targets, indices, num_boxes)[key]
    plugged.unplug()
    stock = getattr(criterion, method)(outputs, targets, indices, num_boxes)[key]
    torch.testing.assert_close(ours, stock)
    torch.testing.assert_close(*(torch.autograd.grad(value, outputs["logits"])[0] for value in (ours, stock)))


def test_a_softmax_keeps_its_weights_and_what_it_divides_by() -> None:
    criterion = KNOWN["transformers ImageLoss"].build()
    outputs, targets, indices, num_boxes = batch(channels=CLASSES + 1, dtype=torch.float32)
    stock = criterion.loss_labels(outputs, targets, indices, num_boxes)["loss_ce"]
    same = plug(criterion, cls="cross_entropy")
    torch.testing.assert_close(criterion.loss_labels(outputs, targets, indices, num_boxes)["loss_ce"], stock)
    same.unplug()
    plug(criterion, cls={"type": "softmax_focal", "gamma": 0.0})
    torch.testing.assert_close(criterion.loss_labels(outputs, targets, indices, num_boxes)["loss_ce"], stock)
