"""What a loss of one's own may be called and made of, and what a class of one's own takes over: nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import register_loss
from loss_plugins.module.build import module_class
from loss_plugins.module.loss import Loss

from .wrong_values import refused


def distance(pred: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (pred - target).abs().mean(-1)


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "3d_iou", "CIoULoss", "MyIoU", "my-iou", "my iou", "my.iou", "_mine", "mine_", "my__iou", "größe",
        "a/b",
        3, None, ["my_iou"], 1.5, b"my_iou", distance,
        "ciou", "mix", "tensors", "registry", "catalog", "module", "cli", "adapters", "c_io_u",
    ],
)  # fmt: skip
def test_names_are_snake_case_and_stand_for_nothing_else(name: Any) -> None:
    before = lp.list_losses()
    value = getattr(name, "__name__", None) or repr(name)
    refused(lambda: register_loss(name)(distance), "register_loss", "name", value)
    assert lp.list_losses() == before
    assert lp.get_entry("CIoULoss").name == "ciou"
    assert type(lp.build_loss("CIoULoss")) is lp.CIoULoss


@pytest.mark.parametrize(
    "name",
    [
        "My-IoU",
        "1abc",
        "é",
        "my__iou",
        "MyIoULoss",
        "_x",
        "---",
        "ÉIoU",
        "IoU",
        "CIoU",
        "größe",
        "cli",
        "c_io_u",
        "Dice",
    ],
)
def test_the_name_that_a_remedy_proposes_is_accepted(name: str) -> None:
    parts = refused(lambda: register_loss(name)(distance), "register_loss", "name", name)
    (proposed,) = re.findall(r"call it '(.*)', say", parts["remedy"])
    register_loss(proposed)(distance)
    lp.unregister_loss(proposed)
    assert name != "My-IoU" or proposed == "my_iou"


@pytest.mark.parametrize(
    ("arguments", "argument", "value"),
    [
        ({"kind": "boxes"}, "kind", "'boxes'"), ({"kind": ["box"]}, "kind", "['box']"),
        ({"kind": None}, "kind", "None"),
        ({"traits": {"range": (0, 1)}}, "traits", "range"), ({"formula": 3}, "formula", "3"),
        ({"source": "arXiv"}, "source", "'arXiv'"), ({"use_when": 3}, "use_when", "3"),
        ({"avoid_when": ["x"]}, "avoid_when", "['x']"), ({"options": "iou"}, "options", "'iou'"),
        ({"without": "eps"}, "without", "'eps'"), ({"targets": "dense"}, "targets", "'dense'"),
        ({"targets": ("lables",)}, "targets", "'lables'"), ({"denominator": 3}, "denominator", "3"),
        ({"example": [1]}, "example", "[1]"), ({"pure": "yes"}, "pure", "'yes'"),
    ],
)  # fmt: skip
def test_wrong_arguments_of_register_loss_are_refused(arguments: dict[str, Any], argument: str, value: str) -> None:
    refused(lambda: register_loss("test_refused", **arguments)(distance), "register_loss", argument, value)
    assert "test_refused" not in lp.list_losses()


def test_functions_of_another_form_are_refused() -> None:
    def loose(pred: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
        return gamma * distance(pred, target)

    def other(boxes: Tensor, truth: Tensor) -> Tensor:
        return distance(boxes, truth)

    for function, value in (
        (loose, "gamma"),
        (other, "boxes"),
        (torch.nn.L1Loss(), "L1Loss()"),
        (None, "None"),
        (3, "3"),
    ):
        refused(lambda: register_loss("test_refused")(function), "test_refused", "", value)  # noqa: B023
    refused(lambda: register_loss("test_refused", example={"nosuch": 1})(distance), "test_refused", "nosuch", "1")
    assert "test_refused" not in lp.list_losses()


def test_a_class_of_ones_own_takes_over_no_other_name() -> None:
    register_loss("test_mine")(distance)
    try:
        for name, loss in (
            ("CIoULoss", "eiou"),
            ("CIoULoss", "test_mine"),
            ("ciou", "test_mine"),
            ("CIoULoss", "ciou"),
        ):
            refused(lambda: type(name, (Loss,), {}, name=loss), loss, f"class {name}", name)  # noqa: B023
        refused(lambda: type("Nameless", (Loss,), {}), "Loss", "Nameless", "names no loss")
        assert type(lp.build_loss("CIoULoss")) is lp.CIoULoss is module_class("ciou")
        assert type(lp.build_loss("EIoULoss")) is lp.EIoULoss

        mine: Any = type("MineLoss", (Loss,), {"__module__": __name__}, name="test_mine")
        again: Any = type(
            "MineLoss", (Loss,), {"__module__": __name__}, name="test_mine"
        )  # the cell of a notebook, twice
        assert type(lp.build_loss("MineLoss")) in (mine, again)
        heavier: Any = type("Heavier", (lp.CIoULoss,), {"__module__": __name__})  # a subclass is the same loss
        assert heavier().entry.name == "ciou"
        assert type(lp.build_loss("ciou")) is lp.CIoULoss
    finally:
        lp.unregister_loss("test_mine")


def test_the_class_of_a_loss_is_known_before_it_is_made() -> None:
    register_loss("test_line_1")(distance)
    try:
        for name in ("TestLine1Loss", "loss_plugins.TestLine1Loss", "loss_plugins.test_line_1"):
            assert lp.get_entry(name).name == "test_line_1"
        parts = refused(lambda: lp.get_entry("loss_plugins.TestLien1Loss"), "get_entry", "name", "TestLien1Loss'")
        assert "did you mean 'TestLine1Loss'" in parts["remedy"]
        refused(lambda: register_loss("test_line1")(distance), "register_loss", "name='test_line1'", "TestLine1Loss")
        refused(lambda: type("TestLine1Loss", (Loss,), {}, name="ciou"), "ciou", "class TestLine1Loss", "")
        assert type(lp.build_loss("TestLine1Loss")).__name__ == "TestLine1Loss"
    finally:
        lp.unregister_loss("test_line_1")
    refused(lambda: lp.get_entry("TestLine1Loss"), "get_entry", "name", "'TestLine1Loss'")
