"""Every box and class loss of the package trains a few batches on a real head, otherwise than MMDetection's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loss_plugins.catalog.entries import shipped
from loss_plugins.module.build import module_class

from .heads import BATCHES, CASES, Case, total

BOX = [entry for entry in shipped() if entry.kind == "box"]
STOCK = {"type": "GIoULoss", "loss_weight": 2.0}
#: class losses of labels: of sigmoids, or of a softmax, whose head has one more class; seesaw takes heads of two stages
SCORES = [
    entry
    for entry in shipped()
    if entry.kind == "classification"
    and entry.traits.scale == "logits"
    and {"labels", "class_map"} & {*entry.targets}
    and entry.name != "seesaw"
]


@pytest.fixture(scope="module")
def stock() -> list[Tensor]:
    """The gradients with MMDetection's own loss."""
    return CASES["ATSS"].step(CASES["ATSS"].build(STOCK), BATCHES["gt"])[1]


@pytest.mark.parametrize("name", [entry.name for entry in BOX])
def test_every_box_loss_trains_a_few_batches(name: str, stock: list[Tensor]) -> None:
    case, boxes = CASES["ATSS"], BATCHES["gt"]
    (entry,) = [entry for entry in BOX if entry.name == name]
    heads = case.build({"type": f"loss_plugins.{module_class(name).__name__}", "loss_weight": 2.0, **entry.example})
    optimizer = torch.optim.SGD(heads.parameters(), lr=1e-3)
    parameters = list(heads.parameters())
    for step in range(3):
        losses, gradients = case.step(heads, boxes)
        assert total(losses).isfinite()
        assert all(gradient.isfinite().all() for gradient in gradients)
        if step == 0:
            changed = max(float((a - b).abs().max()) for a, b in zip(gradients, stock, strict=True))
            # our default GIoU has its epsilon elsewhere than MMDetection's, and nothing more
            assert (changed > 1e-4) == (name != "giou")
        for parameter, gradient in zip(parameters, gradients, strict=False):
            parameter.grad = gradient
        optimizer.step()


@pytest.mark.parametrize("name", [entry.name for entry in SCORES])
def test_every_class_loss_of_labels_trains_a_few_batches(name: str) -> None:
    (entry,) = [entry for entry in SCORES if entry.name == name]
    case = Case("retinanet/retinanet_r50_fpn_1x_coco.py", ("bbox_head.loss_cls",))
    sigmoid = "class_map" not in entry.targets
    stock = {"type": "FocalLoss" if sigmoid else "CrossEntropyLoss", "use_sigmoid": sigmoid}
    ours = {"type": f"loss_plugins.{module_class(name).__name__}", "use_sigmoid": sigmoid, **entry.example}
    before = case.all_gradients(case.build(stock), BATCHES["gt"])[1]
    heads = case.build(ours)
    optimizer = torch.optim.SGD(heads.parameters(), lr=1e-3)
    for step in range(3):
        losses, gradients = case.all_gradients(heads, BATCHES["gt"])
        assert total(losses).isfinite()
        assert all(gradient is None or gradient.isfinite().all() for gradient in gradients.values())
        of_scores = [key for key in gradients if "cls" in key]
        assert of_scores
        assert all(gradients[key] is not None and gradients[key].any() for key in of_scores)
        if step == 0:
            changed = max(float((gradients[key] - before[key]).abs().max()) for key in of_scores)
            assert (changed > 1e-6) == (name not in ("focal", "efl", "cross_entropy"))
        for key, parameter in heads.named_parameters():
            parameter.grad = gradients[key]
        optimizer.step()
