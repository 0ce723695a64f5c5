"""What the assigner knows reaches the class losses that read it: IoUs of positives, and which scores are matched."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.utils.metrics import probiou

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import matches
from loss_plugins.adapters.ultralytics.class_slot import ClassSlot

from .ultralytics_runs import batch_of

MODELS = {
    "yolo11n.yaml": tasks.DetectionModel,
    "yolo26n.yaml": tasks.DetectionModel,
    "yolo11n-obb.yaml": tasks.OBBModel,
}
FORMS = ("target_iou", "label_score")
seen: list[Any] = []


@pytest.fixture(params=FORMS)
def recorder(request: pytest.FixtureRequest) -> Iterator[str]:
    """A class loss that keeps each target of that form."""

    @lp.register_loss("test_matches", kind="classification", targets=("dense", request.param))
    def test_matches_loss(pred: Tensor, target: Any) -> Tensor:
        wanted = target if isinstance(target, Tensor) else target[request.param == "label_score"]
        missed = 0.0 if isinstance(target, Tensor) else target[0]  # a match of quality 0 is no negative
        if pred.requires_grad and isinstance(target, tuple):
            seen.append(target)
        return nn.functional.binary_cross_entropy_with_logits(pred, wanted, reduction="none") + missed

    seen.clear()
    yield request.param
    lp.unregister_loss("test_matches")


@pytest.mark.parametrize("file", MODELS)
def test_it_is_what_the_assigner_of_the_branch_found(file: str, recorder: str) -> None:
    torch.manual_seed(0)
    model = MODELS[file](file, nc=3, verbose=False).train()
    model.args = get_cfg()
    assignments: list[tuple[Any, Any]] = []
    with lpu.patched(cls="test_matches"):
        criterion = model.criterion = model.init_criterion()
        branches = [criterion.one2many, criterion.one2one] if hasattr(criterion, "one2many") else [criterion]
        for branch in branches:  # copies, as boxes are changed in place afterwards
            branch.assigner.register_forward_hook(lambda _, *both: assignments.append(copy.deepcopy(both)))
        model.loss(batch_of(model))[0].sum().backward()
    count = 2 if file == "yolo26n.yaml" else 1
    assert (len(seen), len(assignments)) == (count, count)
    for (given, found), (first, second) in zip(assignments, seen, strict=True):
        labels, boxes, scores, foreground = found[:4]
        assert 0 < int(foreground.sum()) < foreground.numel()
        rows = foreground.bool().flatten()
        if recorder == "target_iou":
            pred, target = given[1].flatten(0, 1)[rows], boxes.flatten(0, 1)[rows]
            iou = probiou(pred, target).flatten() if pred.shape[-1] == 5 else box_iou(pred, target).diagonal()
            torch.testing.assert_close(second[rows], iou, rtol=1e-4, atol=1e-5)
            assert (second[~rows] == 0).all()
            torch.testing.assert_close(first, scores.flatten(0, 1))
        else:
            assert torch.equal(first.sum(-1), rows.float())
            assert torch.equal(first[rows].argmax(-1), labels.flatten()[rows])
            torch.testing.assert_close(second, scores.flatten(0, 1))


def test_slide_takes_the_mean_iou_of_the_batch() -> None:
    """A score of 0.5 with the target 0.45 weighs e^(1 - 0.5) at a mean IoU of 0.5, and 1 at one of 0.9."""
    target = torch.tensor([[[0.45], [0.0]]])
    box = torch.tensor([0.0, 0.0, 10.0, 10.0]).expand(1, 2, 4)
    for iou, weight in ((0.5, math.exp(0.5)), (0.9, 1.0)):
        pred = box * torch.tensor([iou, 1.0, iou, 1.0])
        assigned = torch.zeros(1, 2, dtype=torch.int64), box, target, target[..., 0] > 0
        matches.keep("target_iou", {"pd_bboxes": pred}, assigned)
        given = matches.beside(target, target.flatten(0, 1))
        loss = lp.build_loss("slide", reduction="none")(torch.zeros(2, 1), given)
        torch.testing.assert_close(loss.flatten(), torch.tensor([weight * math.log(2), math.log(2)]))
        assert isinstance(matches.beside(target, target.flatten(0, 1)), Tensor)  # it was kept for one loss alone


@pytest.mark.parametrize(("iou", "wanted"), [(0.5, math.exp(0.5)), (0.9, 1.0)])
def test_the_ratio_is_that_of_the_loss_with_its_own_target(iou: float, wanted: float) -> None:
    """As above, over the stock loss; the same soft targets in both cases."""
    slot = ClassSlot(partial(lp.build_loss, "slide", reduction="none"), match_gain=False, token="token")
    slot.measure_next = True
    target = torch.tensor([[[0.45], [0.0]]])
    box = torch.tensor([0.0, 0.0, 10.0, 10.0]).expand(1, 2, 4)
    assigned = torch.zeros(1, 2, dtype=torch.int64), box, target, target[..., 0] > 0
    matches.keep(slot.reads, {"pd_bboxes": box * torch.tensor([iou, 1.0, iou, 1.0])}, assigned)
    slot.compute(object.__new__(nn.Module), torch.zeros(1, 2, 1, requires_grad=True), target)
    assert slot.ratio == pytest.approx(wanted, rel=1e-5)


def test_a_match_of_quality_0_counts_in_matchability_and_not_as_a_negative() -> None:
    """RT-DETR hands over labels and IoUs; of the match with IoU 0 the loss is BCE(x, 0) in full, not p^1.5 of it."""
    criterion = rtdetr_criterion()
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    with lpu.patched(cls="matchability"):
        labels, quality = torch.tensor([[1, 3]]), torch.zeros(1, 2)
        loss = criterion._get_loss_class(logits, labels, quality, 1)["loss_class"]
        loss.backward()
    share = 0.5**1.5
    assert float(loss.detach()) == pytest.approx((1 + 5 * share) * math.log(2) * criterion.loss_gain["class"], rel=1e-6)


def rtdetr_criterion() -> Any:
    from ultralytics.models.utils.loss import RTDETRDetectionLoss

    return RTDETRDetectionLoss(nc=3, use_vfl=True)
