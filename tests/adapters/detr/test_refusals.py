"""What cannot be plugged is refused before anything changes, with what was sought, what was found, and the remedy."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from loss_plugins import build_loss
from loss_plugins.adapters.detr import UnsupportedCriterion, plug

from . import own
from .criteria import KNOWN


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (
            own.Doubling,
            r"sought a box loss equal to GIoU, \(0\.78\d+, .*\) on fixed boxes .*found loss_giou = \(1\.56\d+",
        ),
        (own.Detached, r"found loss_giou = \(0\.78\d+, no gradient\)"),
        (own.Scaling, r"its box loss without objects is \(1\.0+, 0\.0+\) .* where giou gives \(0\.0+, 0\.0+\)"),
        (own.Needing, r"sought loss_boxes\(outputs, targets, indices, num_boxes\), found loss_boxes\(.*scale: .*\)"),
        (own.Listing, r"sought loss_boxes\(outputs, targets, indices, num_boxes\), found loss_boxes\(\*given"),
        (torch.nn.Identity, r"Identity: sought loss_boxes.*, found no method whose name begins with 'loss'; pass the"),
        (own.Slotted, r"Slotted: its class cannot be changed"),
    ],
)
def test_unknown_criteria(build: Any, says: str) -> None:
    criterion = build()
    before = dict(getattr(criterion, "__dict__", {}))
    with pytest.raises(UnsupportedCriterion, match=says):
        plug(criterion, box="eiou")
    assert type(criterion) is build
    assert {*getattr(criterion, "__dict__", {})} == {*before}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "box=None and cls=None: no loss was asked for"),
        ({"box": "eoiu"}, "did you mean 'eiou'"),
        ({"box": "kld"}, "box='kld' is a loss of kind rotated_box, and this criterion compares upright boxes"),
        ({"box": "oks"}, "box='oks' is a loss of kind keypoint, and this criterion compares upright boxes"),
        ({"box": "mgiou_quad"}, "box='mgiou_quad' is a loss of kind quad, and this criterion compares upright boxes"),
        ({"cls": "ddf"}, "cls='ddf' is a loss of distributions over the sides .*loss_fgl and loss_ddf .* have no slot"),
        ({"cls": "fgl"}, "cls='fgl' is a loss of distributions over the sides .*loss_plugins.FGLLoss and DDFLoss"),
        ({"box": "l1"}, "box='l1' is a loss of kind coordinate"),
        ({"box": "focal"}, "box='focal' is a loss of kind classification"),
        ({"box": {"type": "ciou", "box_format": "cxcywh"}}, "leave box_format out"),
        ({"box": {"type": "eiou", "reduction": "mean"}}, "the criterion reduces"),
        ({"box": {"type": "eiou", "loss_weight": 0.0}}, "nothing would be trained"),
        ({"box": {"type": "eiou", "loss_weight": -1.0}}, "would train for a larger loss"),
        ({"box": "eiou", "gain": "double"}, "gain='double' is out of range; allowed: 'keep' or 'match'"),
        ({"box": "eiou", "matcher": "new"}, "matcher='new' is out of range"),
        ({"box": "eiou", "image_size": (0, 640)}, r"image_size=\(0, 640\); allowed: \(height, width\) in pixels"),
        ({"cls": "dice"}, "cls='dice' is a loss of kind region; allowed: a class loss"),
        ({"cls": "cross_entropy"}, "cls='cross_entropy' does not go with focal .*, which is of sigmoids"),
        ({"cls": "bce"}, "cls='bce' does not go with focal"),
        ({"cls": "focal", "image_size": (640, 640)}, "is for a box loss, and box=None"),
        ({"cls": {"type": "mix", "losses": ["focal", "cross_entropy"]}}, "cross_entropy"),
    ],
)
def test_losses_that_do_not_go(asked: dict[str, Any], says: str) -> None:
    criterion = own.Criterion()
    with pytest.raises(ValueError, match=says):
        plug(criterion, **asked)
    assert type(criterion) is own.Criterion


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"box": 3}, "box=3 is of type int; allowed: a name, a dict with 'type', or a module"),
        ({"box": lambda pred, target: pred}, "enter a function with @register_loss"),
        ({"box": type(build_loss("eiou"))}, r"box=EIoULoss is a class; .* pass EIoULoss\(\) or 'eiou'"),
        ({"box": "eiou", "fast": 1}, "fast=1 is of type int; allowed: True or False"),
        ({"box": "eiou", "image_size": 640}, "image_size=640"),
        ({"box": "eiou", "image_size": ("480", "640")}, "image_size="),
        ({"box": "eiou", "boxes": "l1"}, "plug: unknown argument boxes='l1'"),
        ({"box": {"type": "eiou", "epz": 1.0}}, "unknown parameter 'epz'"),
    ],
)
def test_arguments_of_another_type(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        plug(own.Criterion(), **asked)


def test_a_class_is_no_criterion() -> None:
    with pytest.raises(TypeError, match=r"criterion=Criterion is a class; .*pass an instance of it"):
        plug(own.Criterion, box="eiou")


def test_a_sigmoid_loss_is_no_softmax() -> None:
    with pytest.raises(ValueError, match="does not go with weighted cross-entropy, which is of a softmax"):
        plug(KNOWN["transformers ImageLoss"].build(), cls="focal")
    with pytest.raises(ValueError, match="the stock class loss is a softmax"):
        plug(KNOWN["transformers ImageLoss"].build(), cls="softmax_focal", gain="match")


def test_numbers_per_class_have_to_be_as_many_as_the_classes() -> None:
    with pytest.raises(ValueError, match=r"pos_weight.*(2|classes)"):
        plug(own.Criterion(), cls={"type": "bce_with_logits", "pos_weight": [1.0, 2.0]})


def test_a_module_or_a_dict_or_a_mix_says_the_same_as_a_name() -> None:
    criterion, given = own.Criterion(), own.layers(1)
    found = []
    for asked in (
        "eiou",
        {"type": "EIoULoss"},
        build_loss("eiou", reduction="sum"),
        {"type": "mix", "losses": ["eiou"]},
    ):
        plugged = plug(criterion, box=asked)
        found.append(criterion(*given)["loss_giou"])
        plugged.unplug()
    assert all(torch.equal(loss, found[0]) for loss in found)


class Unpadded(own.Criterion):
    """Cannot take targets that say which rows are valid."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> Any:
        if any("valid" in target for target in targets):
            raise TypeError("no padding")
        return super().loss_boxes(outputs, targets, indices, num_boxes)

    def loss_labels(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> Any:
        raise TypeError("no scores")


def test_a_criterion_that_raises_is_refused_or_served_where_it_does_not() -> None:
    criterion = Unpadded()
    plug(criterion, box="eiou").unplug()
    with pytest.raises(UnsupportedCriterion, match="found TypeError: no scores, raised by loss_labels"):
        plug(criterion, cls="focal")
