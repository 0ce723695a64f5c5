"""The plug around a whole criterion: layers, counts, steps, units and gains."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins import build_loss, cxcywh_to_xyxy, nwd_loss
from loss_plugins.adapters.detr import Plug, UnsupportedCriterion, plug
from loss_plugins.errors import LossNotUsed
from loss_plugins.module.gain import box_gain, class_gain

from . import own
from .criteria import KNOWN, batch, padded
from .trainings import trained

# --- layers and counts ------------------------------------------------------------------------------------------------


def test_every_layer_gets_the_loss_and_nothing_else_changes() -> None:
    criterion, given = own.Criterion(), own.layers()
    stock = criterion(*given)
    with plug(criterion, box="eiou") as plugged:
        found = trained(criterion, *given)
        assert list(found) == list(stock)
        for name in stock:
            assert torch.equal(found[name], stock[name]) is not name.startswith("loss_giou"), name
    box = plugged.report.box
    assert box is not None
    rows = 3 * sum(len(target["boxes"]) for target in given[1])
    assert (box.calls, box.rows, box.gradient_calls, box.gradient_rows) == (3, rows, 3, rows)
    assert plugged.report.trained == 1
    assert plugged.report.cls is None
    assert all(torch.equal(loss, stock[name]) for name, loss in criterion(*given).items())


def test_calls_without_gradients_are_counted_apart() -> None:
    criterion, given = own.Criterion(), own.layers()
    plugged = plug(criterion, box="eiou", cls="varifocal")
    with torch.no_grad():
        criterion(*given)
    assert plugged.report.box.val_calls == plugged.report.cls.val_calls == 3  # type: ignore[union-attr]
    assert plugged.report.box.calls == plugged.report.validated - 1 == 0  # type: ignore[union-attr]
    with pytest.raises(LossNotUsed, match="Criterion computed its losses without gradients alone since the plug"):
        plugged.require_use()


def test_a_batch_without_objects_costs_nothing_and_stays_in_the_graph() -> None:
    criterion, (outputs, targets) = own.Criterion(), own.layers(1)
    empty = [{name: value[:0] for name, value in target.items()} for target in targets]
    with plug(criterion, box="eiou", cls="varifocal"):
        found = criterion(outputs, empty)
        assert found["loss_giou"] == found["loss_bbox"] == 0
        found["loss_giou"].backward(retain_graph=True)
        assert outputs["pred_boxes"].grad is not None
        found["loss_ce"].backward()


def test_other_losses_of_the_same_boxes_do_not_count_as_gradient() -> None:
    criterion, given = own.Criterion(), own.layers(1)
    with (
        pytest.raises(LossNotUsed, match=r"box loss eiou was computed on \d+ rows and received no gradient"),
        plug(criterion, box="eiou"),
    ):
        criterion(*given)["loss_bbox"].backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    outputs, targets, indices, num_boxes = batch(dtype=torch.float32)
    low = {name: value.detach().to(dtype).requires_grad_() for name, value in outputs.items()}
    criterion = own.Criterion()
    with plug(criterion, box="eiou"):
        loss = criterion.loss_boxes(low, targets, indices, num_boxes)["loss_giou"]
        criterion.loss_boxes(low, targets, indices, num_boxes)
        same = {name: value.detach().float().requires_grad_() for name, value in low.items()}
        assert loss.dtype == torch.float32
        assert torch.equal(loss, criterion.loss_boxes(same, targets, indices, num_boxes)["loss_giou"])
        criterion(own.layers(1)[0], own.layers(1)[1])["loss_giou"].backward()


def test_autocast_leaves_the_losses_in_single() -> None:
    criterion, given = own.Criterion(), own.layers(dtype=torch.float32)
    plugged = plug(criterion, box="eiou", cls="varifocal")
    plain = criterion(*given)
    with torch.autocast("cpu", torch.bfloat16):
        found = criterion(*given)
    for name in ("loss_giou", "loss_ce", "loss_giou_1", "loss_ce_1"):
        assert torch.equal(found[name], plain[name]), name
        assert found[name].dtype == torch.float32
    plugged.unplug()


# --- running statistics -----------------------------------------------------------------------------------------------


def test_a_running_statistic_learns_once_a_step_from_all_layers() -> None:
    criterion, given = own.Criterion(), own.layers()
    one = build_loss("wiou")
    one.begin_step()
    with plug(criterion, box="wiou") as plugged:
        trained(criterion, *given)
        for layer in (given[0], *given[0]["aux_outputs"]):
            pred, target = own.pairs(layer, given[1], criterion.matcher(layer, given[1]))
            one.elementwise(cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target))
        assert torch.equal(statistic(plugged), one.mean.value)
        before = statistic(plugged)
        with torch.no_grad():
            criterion(*given)
        assert torch.equal(statistic(plugged), before)
        trained(criterion, *own.layers(seed=5))
        assert not torch.equal(statistic(plugged), before)


def statistic(plugged: Plug) -> Tensor:
    found: Tensor = plugged.state_dict()["box"]["statistics"]["mean.value"]
    return found


def test_a_state_goes_on_and_another_one_is_refused() -> None:
    criterion = own.Criterion()
    with plug(criterion, box="wiou", gain="match") as plugged:
        trained(criterion, *own.layers())
        state = plugged.state_dict()
    with plug(criterion, box="wiou") as resumed:
        resumed.load_state_dict(pickle.loads(pickle.dumps(state)))
        assert torch.equal(statistic(resumed), state["box"]["statistics"]["mean.value"])
        assert resumed.report.box.gain == plugged.report.box.gain  # type: ignore[union-attr]
        trained(criterion, *own.layers())
    with pytest.raises(ValueError, match="plug the losses that the state is of"):
        plug(own.Criterion(), box={"type": "wiou", "version": 3}).load_state_dict(state)


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nwd", "mpdiou"])
def test_a_loss_in_pixels_needs_the_size_of_the_image(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"box='{name}' needs the size of the image, .* pass image_size=\(height, width\)"
    ):
        plug(own.Criterion(), box=name)


def test_boxes_come_in_pixels_where_the_size_is_known() -> None:
    outputs, targets, indices, num_boxes = batch()
    criterion = own.Criterion()
    pred, target = own.pairs(outputs, targets, indices)
    scale = torch.tensor([640.0, 480.0, 640.0, 480.0], dtype=torch.float64)
    pixels = [cxcywh_to_xyxy(boxes) * scale for boxes in (pred, target)]
    for asked, expected in (
        ("nwd", nwd_loss(*pixels)),
        ("mpdiou", build_loss("mpdiou", image_size=(480, 640)).elementwise(*pixels)),
        ("ciou", build_loss("ciou").elementwise(*pixels)),
    ):
        plugged = plug(criterion, box=asked, image_size=(480, 640))
        loss = criterion.loss_boxes(outputs, targets, indices, num_boxes)["loss_giou"]
        torch.testing.assert_close(loss, expected.sum() / num_boxes, rtol=1e-9, atol=0)
        plugged.unplug()
    with_size = plug(criterion, box={"type": "mpdiou", "image_size": [480, 640]})
    again = criterion.loss_boxes(outputs, targets, indices, num_boxes)["loss_giou"]
    torch.testing.assert_close(
        again, build_loss("mpdiou", image_size=(480, 640)).elementwise(*pixels).sum() / num_boxes
    )
    with_size.unplug()
    with pytest.raises(ValueError, match="several sizes of the image"):
        plug(criterion, box={"type": "mpdiou", "image_size": [480, 640]}, image_size=(640, 640))


# --- padded targets and weights of pairs ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rfdetr SetCriterion, ia_bce", "rfdetr SetCriterion, focal"])
def test_rows_that_fill_targets_up_do_not_count(name: str) -> None:
    criterion = KNOWN[name].build()
    outputs, targets, indices, num_boxes = batch()
    filled, matched = padded(targets, indices, 7, 4)
    stock = criterion.loss_boxes(outputs, filled, matched, num_boxes)
    real = criterion.loss_boxes(outputs, targets, indices, num_boxes)
    plugged = plug(criterion, box="giou")
    for key, loss in criterion.loss_boxes(outputs, filled, matched, num_boxes).items():
        torch.testing.assert_close(loss, stock[key], rtol=2e-6, atol=0)
        torch.testing.assert_close(loss, real[key], rtol=2e-6, atol=0)
    plugged.unplug()
    plug(criterion, box="wiou")  # whose mean is that of real objects
    filled_loss = criterion.loss_boxes(outputs, filled, matched, num_boxes)["loss_giou"]
    torch.testing.assert_close(filled_loss, wiou(outputs, targets, indices) / num_boxes)


def wiou(outputs: Any, targets: Any, indices: Any) -> Tensor:
    """The first call of a new loss."""
    total: Tensor = build_loss("wiou").elementwise(*map(cxcywh_to_xyxy, own.pairs(outputs, targets, indices))).sum()
    return total


@pytest.mark.parametrize("name", ["libreyolo D-FINE", "libreyolo DEIM", "libreyolo GTR"])
def test_pairs_are_weighed_where_the_criterion_says_so(name: str) -> None:
    criterion = KNOWN[name].build()
    given, weight = batch(), torch.linspace(0.1, 2.0, 4, dtype=torch.float64)
    weight = weight[: sum(len(queries) for queries, _ in given[2])]
    stock = criterion.loss_boxes(*given, boxes_weight=weight)
    plugged = plug(criterion, box="giou")
    for key, loss in criterion.loss_boxes(*given, boxes_weight=weight).items():
        torch.testing.assert_close(loss, stock[key], rtol=2e-6, atol=0)
    assert not torch.allclose(criterion.loss_boxes(*given)["loss_giou"], stock["loss_giou"])
    plugged.unplug()


# --- what else is returned -------------------------------------------------------------------------------------------


def test_what_a_criterion_returns_beside_its_losses_stays() -> None:
    criterion, given = own.Telling(), batch()
    stock = criterion.loss_boxes(*given)
    plugged = plug(criterion, box="eiou")
    found = criterion.loss_boxes(*given)
    assert torch.equal(found["size_error"], stock["size_error"])
    assert not torch.equal(found["loss_giou"], stock["loss_giou"])
    with pytest.raises(UnsupportedCriterion, match=r"calls its losses with scale=\.\.\."):
        criterion.loss_boxes(*given, scale=2)
    plugged.unplug()


# --- gains ------------------------------------------------------------------------------------------------------------


def test_a_matched_gain_is_the_constant_of_the_fixed_set() -> None:
    criterion, given = own.Criterion(), batch()
    keep = plug(criterion, box="alpha_ciou", cls="quality_focal")
    before = criterion.loss_boxes(*given)["loss_giou"], criterion.loss_labels(*given)["loss_ce"]
    keep.unplug()
    plugged = plug(criterion, box="alpha_ciou", gain="match")
    expected = box_gain(build_loss("alpha_ciou"), build_loss("giou").elementwise)
    assert plugged.report.box.norms == (expected.stock, expected.new)  # type: ignore[union-attr]
    torch.testing.assert_close(criterion.loss_boxes(*given)["loss_giou"], before[0] * expected.factor)
    plugged.unplug()


def test_the_same_loss_has_the_gain_of_one() -> None:
    plugged = plug(own.Criterion(), box="giou", cls="focal", gain="match")
    assert plugged.report.box.gain == pytest.approx(1, rel=1e-4)  # type: ignore[union-attr]
    assert plugged.report.cls.gain == pytest.approx(1, rel=1e-4)  # type: ignore[union-attr]


def test_a_loss_weight_multiplies() -> None:
    criterion, given = own.Criterion(), batch()
    found = []
    for weight in (1.0, 2.5):
        plugged = plug(
            criterion, box={"type": "eiou", "loss_weight": weight}, cls={"type": "focal", "loss_weight": weight}
        )
        found.append((criterion.loss_boxes(*given)["loss_giou"], criterion.loss_labels(*given)["loss_ce"]))
        plugged.unplug()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, 2.5 * one)


def test_a_gain_that_is_wrong_for_negatives_is_refused() -> None:
    gain = class_gain(build_loss("bce_with_logits"), build_loss("focal").elementwise, labels=True).factor
    assert gain < 1
    with pytest.raises(ValueError, match=r"gain='match' would be .* times as hard on negatives"):
        plug(own.Criterion(), cls="bce_with_logits", gain="match")


def test_a_report_is_plain_and_says_what_was_done() -> None:
    criterion = own.Criterion()
    plugged = plug(criterion, box="eiou", cls="varifocal")
    trained(criterion, *own.layers())
    told = plugged.report.as_dict()
    assert pickle.loads(pickle.dumps(told)) == told
    assert told["box"]["stock"] == "giou"
    assert "eiou in the place of giou: 3 training calls on" in str(plugged.report)
    assert "varifocal in the place of focal (alpha=0.25, gamma=2)" in repr(plugged)
