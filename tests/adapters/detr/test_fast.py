"""fast=True: the same assignment and the same losses, in fewer calls; and what falls back."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import RTDetrConfig
from transformers.loss.loss_deformable_detr import DeformableDetrHungarianMatcher, DeformableDetrImageLoss
from transformers.loss.loss_lw_detr import LwDetrHungarianMatcher, LwDetrImageLoss
from transformers.loss.loss_rt_detr import RTDetrLoss

from loss_plugins import Loss
from loss_plugins.adapters.detr import UnsupportedCriterion, plug
from loss_plugins.adapters.detr.box_slot import BoxSlot

from . import own
from .criteria import CLASSES, KNOWN

PLAIN = ["labels", "boxes", "cardinality"]


def rt_detr() -> Any:
    return RTDetrLoss(RTDetrConfig(num_labels=CLASSES))


def deformable() -> Any:
    return DeformableDetrImageLoss(DeformableDetrHungarianMatcher(1, 5, 2), CLASSES, 0.25, PLAIN)


def lw_detr() -> Any:
    return LwDetrImageLoss(LwDetrHungarianMatcher(1, 5, 2), CLASSES, 0.25, PLAIN, 2)


CRITERIA = [own.Criterion, own.Weighing, rt_detr, deformable, lw_detr]


def given_for(seed: int, images: int = 4, dtype: Any = torch.float32) -> Any:
    outputs, targets = own.layers(3, images, 12, seed, dtype)
    outputs["auxiliary_outputs"] = outputs["aux_outputs"]
    outputs["enc_outputs"] = outputs["aux_outputs"][0]
    return outputs, targets


def gradients(losses: dict[str, Tensor], outputs: Any) -> list[Tensor]:
    total = sum(loss for name, loss in losses.items() if "error" not in name)
    return list(torch.autograd.grad(total, own.leaves(outputs)))  # type: ignore[arg-type]


@pytest.mark.parametrize("build", CRITERIA)
@pytest.mark.parametrize("box", ["eiou", "wiou", {"type": "nwd"}])
def test_losses_and_gradients_are_the_same(build: Any, box: Any) -> None:
    size = (480, 640) if box == {"type": "nwd"} else None
    slow, fast = build(), build()
    plugs = [plug(slow, box=box, image_size=size), plug(fast, box=box, image_size=size, fast=True)]
    for seed, images in ((0, 4), (7, 1), (9, 5)):
        given = given_for(seed, images)
        found, quick = slow(*given), fast(*given)
        assert list(quick) == list(found)
        for name, loss in found.items():
            torch.testing.assert_close(quick[name], loss, rtol=1e-5, atol=1e-7)
        for one, other in zip(gradients(quick, given[0]), gradients(found, given[0]), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    reports = [each.report.box for each in plugs]
    assert reports[0].rows == reports[1].rows  # type: ignore[union-attr]
    if "statistics" in (state := plugs[0].state_dict()["box"]):
        for name, value in state["statistics"].items():
            torch.testing.assert_close(plugs[1].state_dict()["box"]["statistics"][name], value, rtol=1e-6, atol=0)


def calls_of_the_box_loss(build: Any, patch: pytest.MonkeyPatch) -> int:
    """In the second batch."""
    criterion = build()
    plug(criterion, box="eiou", fast=True)
    criterion(*given_for(0))
    rows, seen = BoxSlot.rows, []

    def counted(self: BoxSlot, pairs: Any, weight: Any) -> Tensor:
        seen.append(len(pairs.pred))
        return rows(self, pairs, weight)

    with patch.context() as patched:
        patched.setattr(BoxSlot, "rows", counted)
        criterion(*given_for(1))
    return len(seen)


def test_all_layers_are_one_call_where_weights_are_applied_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [calls_of_the_box_loss(build, monkeypatch) for build in CRITERIA] == [1, 3, 3, 1, 1]


def test_the_cost_matrix_is_one_of_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    criterion = own.Criterion()
    plug(criterion, box="eiou", fast=True)
    criterion(*given_for(0))
    seen: list[int] = []
    cdist = torch.cdist
    monkeypatch.setattr(torch, "cdist", lambda a, b, p: seen.append(len(a)) or cdist(a, b, p=p))  # type: ignore[func-returns-value]
    criterion(*given_for(1))
    assert seen == [12] * 12  # 3 layers of 4 images


def test_the_first_batch_with_objects_decides_and_nothing_is_counted_or_learnt_by_that() -> None:
    criterion = own.Criterion()
    plugged = plug(criterion, box="wiou", fast=True)
    outputs, targets = given_for(0)
    empty = [{name: value[:0] for name, value in target.items()} for target in targets]
    losses = plugged.losses
    criterion(outputs, empty)
    assert losses.fast.together is None  # type: ignore[union-attr]
    before = torch.get_rng_state()
    criterion(outputs, targets)
    assert losses.fast.together  # type: ignore[union-attr]
    assert torch.equal(torch.get_rng_state(), before)
    assert plugged.report.trained == 2
    assert plugged.report.box.calls == 3 + 1  # type: ignore[union-attr]  # the first batch layer by layer


def test_after_a_batch_that_raises_the_next_one_decides() -> None:
    criterion = own.Criterion()
    plugged = plug(criterion, box="eiou", fast=True)
    outputs, targets = given_for(0)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid numeric entries"):
            criterion({**outputs, "pred_boxes": outputs["pred_boxes"] * math.nan}, targets)
    criterion(outputs, targets)
    assert plugged.report.box.calls == 1  # type: ignore[union-attr]  # of all layers


class Learning(own.Criterion):
    """Runs with gradients alone, which a trial has not."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[Any] = []

    def forward(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        if not torch.is_grad_enabled():
            self.refused.append(outputs)
            raise RuntimeError("no gradients")
        return super().forward(outputs, targets)


def test_a_criterion_that_raises_whenever_it_is_tried_is_left_in_peace() -> None:
    criterion, stock = Learning(), own.Criterion()
    plugged = plug(criterion, box="giou", fast=True)
    for step in range(6):
        outputs, targets = given_for(step)
        wanted = stock(outputs, targets)
        for name, loss in criterion(outputs, targets).items():
            torch.testing.assert_close(loss, wanted[name], rtol=2e-6, atol=0)
    assert len(criterion.refused) == 3 * 2  # in double precision, and as it came
    assert plugged.report.box.calls == 6 * 3  # type: ignore[union-attr]


class Impure(own.Matcher):
    """Matches the first image of a batch with other queries."""

    def forward(self, outputs: Any, targets: Any) -> Any:
        (queries, objects), *others = super().forward(outputs, targets)
        return [((queries + 1) % outputs["pred_boxes"].shape[1], objects), *others]


def test_a_matcher_that_looks_at_the_whole_batch_is_called_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    slow, fast = own.Criterion(), own.Criterion()
    slow.matcher, fast.matcher = Impure(), Impure()
    plug(slow, box="eiou"), plug(fast, box="eiou", fast=True)
    with caplog.at_level(logging.INFO, "loss_plugins"):
        for seed in (0, 3):
            given = given_for(seed)
            for name, loss in slow(*given).items():
                torch.testing.assert_close(fast(*given)[name], loss, rtol=1e-5, atol=1e-7)
    said = [record.message for record in caplog.records]
    assert sum("its matcher is called as it is" in line for line in said) == 1


class Changing(own.Criterion):
    """Weighs its losses from the second batch on."""

    count = 0

    def forward(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        self.count += 1
        return super().forward(outputs, targets)

    def weighted(self, loss: Tensor) -> Tensor:
        return loss if self.training else 2 * loss


def test_a_criterion_that_changes_its_ways_is_computed_layer_by_layer() -> None:
    criterion, stock = Changing(), own.Weighing()
    plug(criterion, box="eiou", fast=True), plug(stock, box="eiou")
    criterion(*given_for(0))
    criterion.eval()
    given = given_for(1)
    for name, loss in stock(*given).items():
        torch.testing.assert_close(criterion(*given)[name], loss, rtol=1e-5, atol=1e-7)


# --- matcher="match" --------------------------------------------------------------------------------------------------


def test_the_cost_is_the_box_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    criterion, (outputs, targets) = own.Criterion(), own.layers(1)
    stock = criterion.matcher(outputs, targets)
    plugged = plug(criterion, box="giou", matcher="match")
    for one, other in zip(criterion.matcher(outputs, targets), stock, strict=True):
        assert all(torch.equal(*parts) for parts in zip(one, other, strict=True))
    plugged.unplug()
    seen: list[Any] = []
    elementwise = Loss.elementwise

    def noted(self: Loss, pred: Tensor, target: Tensor) -> Tensor:
        seen.append(pred)
        return elementwise(self, pred, target)

    plug(criterion, box="nwd", image_size=(300, 200), matcher="match", fast=True)
    monkeypatch.setattr(Loss, "elementwise", noted)
    criterion.matcher(outputs, targets)
    objects = [len(target["boxes"]) for target in targets]
    assert [tuple(boxes.shape) for boxes in seen] == [(12, count, 4) for count in objects]
    assert max(float(boxes.detach().max()) for boxes in seen if boxes.numel()) > 50


@pytest.mark.parametrize("name", [name for name in KNOWN if "DETR" in name or "Loss" in name])
def test_a_matched_cost_of_giou_matches_as_the_criterion_does(name: str) -> None:
    criterion = KNOWN[name].build()
    if type(criterion.matcher).__name__ == "RfDetrHungarianMatcher":
        criterion.matcher = LwDetrHungarianMatcher(1, 5, 2)  # the other one needs masks
    outputs, targets = given_for(2, dtype=torch.float64)
    outputs["label_maps"] = [torch.eye(CLASSES, dtype=torch.float64)] * len(targets)
    more = (1,) if isinstance(criterion.matcher, LwDetrHungarianMatcher) else ()
    stock = flat(criterion.matcher(outputs, targets, *more))
    plugged = plug(criterion, box="giou", matcher="match")
    assert flat(criterion.matcher(outputs, targets, *more)) == stock
    plugged.unplug()


def flat(matched: Any) -> list[list[int]]:
    pairs = matched["indices"] if isinstance(matched, dict) else matched
    return [part.tolist() for pair in pairs for part in pair]


def test_matchers_that_cannot_be_matched_are_refused() -> None:
    criterion = own.Criterion()
    with pytest.raises(ValueError, match="running statistic would count candidates"):
        plug(criterion, box="wiou", matcher="match")
    with pytest.raises(ValueError, match="matcher='match' needs a box loss"):
        plug(criterion, cls="focal", matcher="match")
    criterion.matcher = torch.nn.Identity()
    with pytest.raises(UnsupportedCriterion, match="sought a matcher that calls generalized_box_iou, found Identity"):
        plug(criterion, box="eiou", matcher="match")
    assert type(criterion) is own.Criterion
