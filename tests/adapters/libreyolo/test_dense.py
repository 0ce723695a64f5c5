"""Dense criteria: equal with the loss that they have, changed with another one, and restored; what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from libreyolo.models.gtr.obb_criterion import OBBGTRCriterion
from libreyolo.models.yolonas.obb_loss import YOLONASOBBLoss
from torch import Tensor
from torchvision.ops import box_convert

from loss_plugins import build_loss, eiou_loss
from loss_plugins.adapters.detr.proof import PROVEN_AFTER
from loss_plugins.adapters.libreyolo import DensePlug, LossNotUsed, UnsupportedCriterion, plug, unplug
from loss_plugins.adapters.libreyolo.dense import instead_of
from loss_plugins.adapters.libreyolo.forms import STOCKS, recognised
from loss_plugins.adapters.libreyolo.found import plugged_in

from .parts import DENSE, Dense, boxes

EVERY = pytest.mark.parametrize("dense", [pytest.param(dense, id=name) for name, dense in DENSE.items()])
WEIGHT = torch.linspace(0.1, 1.5, 7, dtype=torch.float64)


def called(dense: Dense, criterion: Any, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The box loss of a criterion on boxes, as the criterion calls it: a sum; and its gradient."""
    pred, target = boxes(seed)
    if dense.box_format == "cxcywh":
        pred, target = (box_convert(each, "xyxy", "cxcywh") for each in (pred, target))
    pred.requires_grad_()
    loss = dense.loss(criterion)
    if dense.kind == "masked":
        chosen = torch.ones(1, 7, dtype=torch.bool)
        value = loss(pred[None], target[None], chosen, WEIGHT, torch.tensor(2.0))
    elif dense.kind == "averaged":
        value = loss(pred, target, weight=WEIGHT, avg_factor=2.0)
    elif dense.kind == "function":
        plugged = type(loss).__name__.startswith("Plugged")
        function = (
            type(loss).forward.__globals__["giou_loss"] if not plugged else lambda *given: instead_of(loss, *given)
        )
        value = (function(pred, target) * WEIGHT).sum() / 2
    else:
        rows = loss(pred, target)
        assert rows.shape[0] == 7
        value = (rows.reshape(-1) * WEIGHT).sum() / 2
    (gradient,) = torch.autograd.grad(value, pred)
    return value.detach(), gradient


@EVERY
def test_its_own_loss_equals_another_changes_it_and_it_is_restored(dense: Dense) -> None:
    criterion = dense.build()
    stock_class = type(dense.loss(criterion))
    stock = called(dense, criterion)
    same = plug(criterion, box=STOCKS[dense.stock])
    torch.testing.assert_close(called(dense, criterion), stock, rtol=1e-6, atol=1e-9)
    report = same.report.box
    assert report is not None
    assert report.stock == dense.stock
    assert report.probe[0] == pytest.approx(report.probe[1], rel=1e-6)
    same.unplug()

    other = plug(criterion, box="eiou")
    value, gradient = called(dense, criterion)
    scale = 2.0 if dense.kind == "averaged" else 1.0  # RTMDet's weight of the loss stays
    torch.testing.assert_close(value, scale * (eiou_loss(*boxes()) * WEIGHT).sum() / 2)
    assert not torch.allclose(gradient, stock[1], rtol=1e-2)
    assert isinstance(dense.loss(criterion), stock_class)
    other.unplug()
    other.unplug()
    assert type(dense.loss(criterion)) is stock_class
    assert all(torch.equal(one, two) for one, two in zip(called(dense, criterion), stock, strict=True))


@EVERY
def test_copies_and_pickles_compute_the_loss_too(dense: Dense) -> None:
    criterion = dense.build()
    made = plug(criterion, box="siou")
    value, _ = called(dense, criterion)
    for copied in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        torch.testing.assert_close(called(dense, copied)[0], value)
    made.unplug()
    assert not torch.allclose(called(dense, criterion)[0], value)


def test_picodet_calls_it_where_it_called_its_own() -> None:
    criterion = DENSE["PicoDet"].build()
    sides = [64 // stride for stride in criterion.strides]
    scores = [torch.randn(1, 10, side, side) for side in sides]
    found = [torch.randn(1, 32, side, side, requires_grad=True) for side in sides]
    given = scores, found, [torch.tensor([[8.0, 8, 40, 44]])], [torch.tensor([3])]
    stock = criterion(*given)
    with plug(criterion, box="giou") as made:
        same = criterion(*given)
        same["total_loss"].backward()
        torch.testing.assert_close(same, stock, rtol=1e-5, atol=1e-6)
    with plug(criterion, box={"type": "giou", "loss_weight": 3.0}):
        other = criterion(*given)
        other["total_loss"].backward()
    torch.testing.assert_close(other["loss_bbox"], 3 * stock["loss_bbox"])
    assert torch.equal(other["loss_dfl"], stock["loss_dfl"])
    assert made.report.box is not None
    assert made.report.box.gradient_rows == made.report.box.rows > 0
    assert torch.equal(criterion(*given)["total_loss"], stock["total_loss"])


def test_losses_of_boxes_come_back_in_the_shape_that_they_had() -> None:
    for name in ("YOLO-NAS, PP-YOLOE", "YOLOX"):
        criterion = DENSE[name].build()
        stock = criterion.iou_loss(*boxes()).shape
        plug(criterion, box="eiou")
        assert criterion.iou_loss(*boxes()).shape == stock


def test_a_loss_of_no_weight_ends_the_training_after_some_calls() -> None:
    for name in ("YOLO-NAS, PP-YOLOE", "PicoDet"):
        dense = DENSE[name]
        criterion = dense.build()
        plug(criterion, box={"type": "eiou"})
        for _ in range(3):
            box_loss(dense, criterion)  # without a backward pass
        for _ in range(PROVEN_AFTER):
            (0 * box_loss(dense, criterion)).sum().backward()
        with pytest.raises(LossNotUsed, match=r"received no gradient.*after 8 calls"):
            box_loss(dense, criterion)


def box_loss(dense: Dense, criterion: Any) -> Tensor:
    pred, target = boxes()
    function = criterion.iou_loss if dense.kind == "rows" else lambda *given: instead_of(criterion, *given)
    found: Tensor = function(pred.requires_grad_(), target)
    return found


def test_a_trainer_whose_total_leaves_the_loss_out_ends_after_some_steps() -> None:
    criterion = DENSE["YOLO-NAS, PP-YOLOE"].build()
    made: Any = plug(criterion, box="eiou")
    weight = torch.ones(4, requires_grad=True)

    def step(_: Any) -> dict[str, Tensor]:
        criterion.iou_loss(weight * boxes()[0][:, :4].float(), boxes()[1].float())
        return {"total_loss": weight.sum()}

    for _ in range(PROVEN_AFTER):
        made.losses.run(step, None, (), {})["total_loss"].backward()
    with pytest.raises(LossNotUsed, match=r"received no gradient.*after 8 calls"):
        made.losses.run(step, None, (), {})


def test_steps_without_objects_end_no_training() -> None:
    """Some criteria call their box loss where there are objects alone."""
    made: Any = plug(DENSE["YOLO-NAS, PP-YOLOE"].build(), box="eiou")
    weight = torch.ones(4, requires_grad=True)
    for _ in range(2 * PROVEN_AFTER):
        made.losses.run(lambda _: {"total_loss": weight.sum()}, None, (), {})["total_loss"].backward()
    with pytest.raises(LossNotUsed, match="never called in 16 training calls"):
        made.require_use()


def test_the_two_losses_of_end_to_end_heads_are_one() -> None:
    criterion = DENSE["YOLO9-E2E"].build()
    made = plug(criterion, box="eiou")
    assert isinstance(made, DensePlug)
    assert [place.stock.__name__ for place in made.places] == ["BoxLoss", "BoxLoss"]
    assert type(criterion.dense_loss.box_loss) is type(criterion.exclusive_loss.box_loss)
    made.unplug()


def test_gain_match_pulls_as_hard_as_the_stock_loss() -> None:
    made = plug(DENSE["YOLO9"].build(), box="alpha_ciou", gain="match")
    assert made.report.box is not None
    assert made.report.box.gain == pytest.approx(0.48, abs=0.01)


def test_the_state_of_a_loss_goes_with_the_loss_alone() -> None:
    criterion = DENSE["YOLO9"].build()
    first = plug(criterion, box="wiou")
    called(DENSE["YOLO9"], criterion)
    second, third = (plug(DENSE["YOLO9"].build(), box=box) for box in ("wiou", "eiou"))
    before = second.state_dict()["box"]["statistics"]
    second.load_state_dict(first.state_dict())
    learnt, after = first.state_dict()["box"]["statistics"], second.state_dict()["box"]["statistics"]
    assert all(torch.equal(after[name], value) for name, value in learnt.items())
    assert any(not torch.equal(before[name], value) for name, value in learnt.items())
    with pytest.raises(ValueError, match="plug the losses that the state is of"):
        third.load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cls": "focal"}, r"cls='focal': the class loss of a dense criterion \(BoxLoss\) is computed inside of it"),
        ({"box": "eiou", "image_size": (64, 64)}, "BoxLoss gets boxes in a unit that it does not say"),
        ({"box": "eiou", "matcher": "match"}, "BoxLoss has no Hungarian matcher"),
        ({"box": "eiou", "fast": True}, "fast=True: BoxLoss has no Hungarian matcher"),
        ({}, "no loss was asked for"),
        ({"box": "focal"}, "is a loss of kind classification"),
        ({"box": "nwd"}, r"pass image_size=\(height, width\) in pixels"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_does_not_go_with_a_dense_criterion_is_refused(asked: dict[str, Any], said: str) -> None:
    criterion = DENSE["YOLO9"].build()
    stock = type(criterion.box_loss)
    with pytest.raises(ValueError, match=said):
        plug(criterion, **asked)
    assert type(criterion.box_loss) is stock


def test_what_is_no_loss_of_upright_boxes_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedCriterion, match=r"sought a criterion with loss_boxes, or .* found YOLONASOBBLoss"):
        plug(YOLONASOBBLoss(4), box="eiou")
    with pytest.raises(TypeError, match=r"criterion=<object object> .*; allowed: a module, or an object of LibreYOLO"):
        plug(object(), box="eiou")


def test_a_criterion_of_rotated_boxes_is_refused() -> None:
    criterion = OBBGTRCriterion(None, {}, ["boxes"], num_classes=4, angle_periodic_l1=True)
    with pytest.raises(UnsupportedCriterion, match=r"OBBGTRCriterion: sought losses of boxes \(cx, cy, w, h\), found"):
        plug(criterion, box="eiou")
    assert type(criterion) is OBBGTRCriterion


def test_a_loss_of_other_values_is_not_recognised() -> None:
    def near(pred: Tensor, target: Tensor) -> Tensor:
        return 1.001 * build_loss("giou").elementwise(pred, target)

    def detached(pred: Tensor, target: Tensor) -> Tensor:
        return build_loss("giou").elementwise(pred.detach(), target) + 0 * pred.sum()

    def whole(pred: Tensor, target: Tensor) -> Tensor:
        return build_loss("giou").elementwise(pred, target)

    assert recognised(near) is None
    assert recognised(detached) is None
    assert recognised(whole) is not None


@pytest.mark.parametrize("name", ["YOLO9-E2E", "PicoDet"])
def test_a_second_plug_is_told_and_a_copy_is_unplugged(name: str) -> None:
    criterion = DENSE[name].build()
    made = plug(criterion, box="eiou")
    with pytest.raises(ValueError, match=r"libreyolo adapter: the losses of criterion=\w+ \(\w+\) are plugged already"):
        plug(criterion, box="siou")
    copied = copy.deepcopy(criterion)
    assert [type(each).__name__ for each in plugged_in(copied)]
    unplug(copied)
    assert not plugged_in(copied)
    assert made.plugged
    unplug(copied)
    plug(copied, box="siou")


def test_a_plug_that_is_not_called_says_so() -> None:
    criterion = DENSE["YOLO9"].build()
    with pytest.raises(LossNotUsed, match="BoxLoss computed no loss since the plug"), plug(criterion, box="eiou"):
        pass


def test_an_argument_that_nobody_knows_is_not_lost() -> None:
    criterion = DENSE["YOLO-NAS, PP-YOLOE"].build()
    plug(criterion, box="eiou")
    criterion.iou_loss(*boxes(), 1.0, None)
    with pytest.raises(UnsupportedCriterion, match="calls its box loss with loc_reweight="):
        criterion.iou_loss(*boxes(), loc_reweight=WEIGHT)
