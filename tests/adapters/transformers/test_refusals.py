"""Wrong arguments, models that cannot be served, and models of one's own."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from transformers import (
    DetrForObjectDetection,
    RTDetrForObjectDetection,
    ViTConfig,
    ViTForImageClassification,
    YolosForObjectDetection,
)
from transformers.loss.loss_for_object_detection import ForObjectDetectionLoss, HungarianMatcher, ImageLoss
from transformers.loss.loss_rt_detr import RTDetrForObjectDetectionLoss

from loss_plugins.adapters.detr.proof import PROVEN_AFTER
from loss_plugins.adapters.transformers import LossNotUsed, UnsupportedCriterion, plug, plug_of, unplug
from tests.house.wrong_values import STYLE

from .models import CONFIGS, batch, build, built, loss_of

NAME = "YolosForObjectDetection"
WRONG: dict[str, tuple[Any, ...]] = {
    "box": ("ciuo", "l1", "prob_iou", "focal", 3, "", {}, {"type": "eiou", "reduction": "sum"}, "nwd", "mpdiou"),
    "cls": ("ciuo", "eiou", "l1", 3, "", {}, "quality_focal", "varifocal"),
    "image_size": (3, (1, 2, 3), "x", (0, 4), (math.nan, 2), (True, 4), [-1, 2]),
    "gain": ("x", None, 1, True),
    "matcher": ("x", None, 1, True),
    "fast": ("x", None, 1, 0.5),
}


class MyDetector(YolosForObjectDetection):
    """transformers knows no loss for this name."""


class NetForObjectDetection(RTDetrForObjectDetection):
    """By this name transformers takes DETR's loss."""


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_arguments_are_refused_by_their_name(name: str, value: Any) -> None:
    model = built(NAME)
    with pytest.raises((ValueError, TypeError)) as caught:
        plug(model, **{"box": "eiou", name: value})
    parts = STYLE.fullmatch(str(caught.value))
    assert parts is not None, str(caught.value)
    assert parts["came"].startswith((f"{name}=", f"{name}.type="))
    assert "_loss_function" not in vars(model)
    assert not hasattr(model.config, "loss_plugins")


def test_no_loss_a_second_plug_and_no_plug_are_refused() -> None:
    model = built(NAME)
    with pytest.raises(ValueError, match="no loss was asked for"):
        plug(model)
    with pytest.raises(TypeError, match=r"unknown argument bx='eiou'.*did you mean 'box'"):
        plug(model, bx="eiou")
    with pytest.raises(ValueError, match=f"model={NAME} has no plug"):
        plug_of(model)
    made = plug(model, box="eiou")
    with pytest.raises(ValueError, match="plugged already"):
        plug(model, box="giou")
    assert plug_of(model).report.box == made.report.box
    copied = copy.deepcopy(model)
    for _ in range(2):
        unplug(copied)
        assert "_loss_function" not in vars(copied)
        assert not hasattr(copied.config, "loss_plugins")
    assert made.plugged
    made.unplug()


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, torch.nn.Sequential])
def test_a_wrapped_model_is_refused(wrap: Any) -> None:
    with pytest.raises(TypeError, match=rf"model={wrap.__name__} is no model of transformers; .*pass the model itself"):
        plug(wrap(built(NAME)), box="eiou")


def test_a_model_of_something_else_is_refused() -> None:
    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    with pytest.raises(UnsupportedCriterion, match="criterion with loss_boxes, found ForSequenceClassificationLoss"):
        plug(ViTForImageClassification(config), box="eiou")


def test_a_context_in_which_no_loss_was_computed_ends_with_an_error() -> None:
    model = built(NAME)
    with pytest.raises(LossNotUsed, match="computed no loss since"), plug(model, box="eiou"):
        model(pixel_values=batch(model)["pixel_values"])
    with pytest.raises(LossNotUsed, match="received no gradient"), plug(model, box="eiou"):
        loss_of(model, batch(model))
    with pytest.raises(LossNotUsed, match="without gradients alone"), plug(model, box="eiou"), torch.no_grad():
        loss_of(model, batch(model))


def test_a_loop_of_ones_own_without_the_loss_ends_after_some_calls() -> None:
    model = built(NAME)
    plugged, given = plug(model, box="eiou"), batch(model)
    for _ in range(2):
        loss_of(model, given)  # without a backward pass
    for _ in range(PROVEN_AFTER):
        loss_of(model, given)["loss_bbox"].backward()
    with pytest.raises(LossNotUsed, match=r"received no gradient.*after 8 calls"):
        loss_of(model, given)
    plugged.unplug()
    model.zero_grad()


def test_a_class_of_ones_own_has_the_loss_of_the_class_it_derives_from() -> None:
    torch.manual_seed(0)
    model = MyDetector(CONFIGS[NAME]()).train()
    assert model.loss_type is None
    given = batch(model)
    stock = loss_of(built(NAME), given)
    with plug(model, box="giou"):
        same = loss_of(model, given)
        same["total"].backward()
    for key, loss in stock.items():
        torch.testing.assert_close(same[key], loss, rtol=2e-6, atol=0)
    assert "_loss_function" not in vars(model)


def test_a_class_whose_name_means_another_loss_is_refused_until_it_says_which() -> None:
    model = NetForObjectDetection(CONFIGS["RTDetrForObjectDetection"]()).train()
    names = ForObjectDetectionLoss.__name__, RTDetrForObjectDetectionLoss.__name__
    said = " for the class that it derives from ".join(names).replace(" for", ", and for", 1)
    with pytest.raises(UnsupportedCriterion, match=f"computes {said}; set model.loss_type"):
        plug(model, box="eiou")
    model.loss_type = "RTDetrForObjectDetection"
    with plug(model, box="eiou"):
        loss_of(model, batch(model))["total"].backward()


def test_a_loss_function_of_ones_own_is_served_and_given_back() -> None:
    model = build("DetrForObjectDetection")
    given = batch(model)
    model.loss_function = half
    model.config.loss_plugins = {"box": "of an earlier training"}
    stock = loss_of(model, given)
    with plug(model, box="eiou"):
        other = loss_of(model, given)
        other["total"].backward()
    assert {key for key in stock if not torch.equal(stock[key], other[key])} == {"loss_giou", "total"}
    assert model.loss_function is half
    assert model.config.loss_plugins == {"box": "of an earlier training"}
    assert isinstance(model, DetrForObjectDetection)


def half(logits: Any, labels: Any, device: Any, pred_boxes: Any, config: Any, *_: Any, **more: Any) -> Any:
    """Half of the loss, without auxiliary layers."""
    criterion = ImageLoss(HungarianMatcher(1, 5, 2), config.num_labels, 0.1, ["labels", "boxes"])
    criterion.to(device)
    found = criterion({"logits": logits, "pred_boxes": pred_boxes}, labels)
    return sum(found.values()) / 2, found, None


def test_a_plug_that_has_left_is_not_entered_again() -> None:
    plugged = plug(build(NAME), box="eiou")
    plugged.unplug()
    with (
        pytest.raises(ValueError, match=r"model=Yolos.* were taken out already; .* call plug\(\.\.\.\) again"),
        plugged,
    ):
        pass
