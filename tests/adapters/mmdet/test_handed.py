"""What a slot is said to get, from calls that were made up: scores, numbers, offsets, and what is neither."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from loss_plugins.adapters.mmdet.calls import Call
from loss_plugins.adapters.mmdet.fits import FITTING, misfit
from loss_plugins.adapters.mmdet.handed import what
from loss_plugins.adapters.mmdet.modules import PluggedLoss
from loss_plugins.adapters.mmdet.scene import make_scene
from loss_plugins.adapters.mmdet.score_modules import choose_channels
from loss_plugins.adapters.mmdet.slots import LossSlot

SCENE = make_scene(128, 3, masks=False)


def call(pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Call:
    return Call(pred, target, weight, None, "mean")


def numbers(*shape: int, low: float = -2.0, high: float = 2.0) -> Tensor:
    return torch.linspace(low, high, torch.Size(shape).numel()).view(shape)


ONE_HOT = nn.functional.one_hot(torch.arange(8) % 4, 4).float()


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (call(numbers(8, 2), numbers(8, 2)), "numbers"),
        (call(numbers(8), numbers(8, low=0, high=1)), "logits"),
        (call(numbers(8), numbers(8, low=0, high=3)), "numbers"),
        (
            call(numbers(8), numbers(8, low=0, high=3), torch.zeros(8)),
            "logits",
        ),  # of what has no weight nothing is told
        (call(numbers(8, 4), ONE_HOT), "logits"),
        (call(numbers(8, 4), ONE_HOT * 0.7), "logits"),
        (call(numbers(8, 4), numbers(8, 4)), "coordinates"),
        (call(numbers(8, 4), numbers(8, 4, low=0.1, high=0.9)), "coordinates"),
        (call(numbers(2, 8, 4), numbers(2, 8, 4)), "coordinates"),
        (call(numbers(8, 4), torch.arange(8) % 4), "logits"),
        (call(numbers(8, 4), torch.zeros(8, 4), torch.ones(8, 4)), "coordinates"),  # a proposal that is its object
        (call(numbers(8, 4), torch.zeros(8, 4), torch.zeros(8, 4)), "nothing"),
        (call(numbers(12, 4), SCENE.boxes), "pixels"),
        (call(numbers(12, 4), SCENE.boxes / 16), "cells"),
        (call(numbers(12, 4), SCENE.boxes / 7), "units"),
        (call(numbers(12, 4), torch.cat([SCENE.boxes[:6] / 7, numbers(6, 4)])), "units"),
        (call(numbers(2, 4), torch.cat([SCENE.boxes[:1] / 7, numbers(1, 4)])), "coordinates"),  # alike by chance
    ],
)
def test_targets_say_what_a_slot_gets(made: Call, wanted: str) -> None:
    assert what([made], SCENE) == wanted


def slot(loss: str) -> LossSlot:
    built = MODELS.build({"type": f"loss_plugins.{loss}"})
    assert isinstance(built, PluggedLoss)
    return LossSlot("head.loss_x", "loss_x", nn.Module(), built, "model.head.loss_x", frozenset())


@pytest.mark.parametrize(
    ("target", "fits"),
    [
        (ONE_HOT, False),
        (torch.arange(8) % 4, False),
        (numbers(8, 4, low=0.1, high=0.9), True),  # several numbers a row are no class
        (numbers(8, 2, low=0, high=3), True),
    ],
)
def test_a_loss_of_coordinates_is_refused_for_classes_alone(target: Tensor, fits: bool) -> None:
    """Of a head that says nothing of its usual loss."""
    pred = numbers(*target.shape) if target.is_floating_point() else numbers(len(target), 4)
    fault = misfit(FITTING, slot("SmoothL1Loss"), [call(pred, target)], "logits")
    assert (fault is None) == fits


@pytest.mark.parametrize("shape", [(5, 3, 4, 4), (5, 4, 4)])
def test_integer_weights_of_class_maps_choose_no_channel(shape: tuple[int, ...]) -> None:
    """Masks are compared with masks: labels as targets are class maps, and integers beside them their weights."""
    pred, weight = torch.rand(5, 3, 4, 4), torch.ones(5, dtype=torch.long)
    assert choose_channels(pred, torch.rand(5, 4, 4), weight)
    assert not choose_channels(pred, torch.zeros(shape, dtype=torch.long), weight)
