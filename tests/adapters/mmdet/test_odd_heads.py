"""Heads that do what MMDetection's do not: they are judged, or told not to be, and nothing else is raised."""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from loss_plugins import Traits, register_loss, unregister_loss
from loss_plugins.adapters.mmdet.inspection import Inspection, inspect

GIOU = {"type": "loss_plugins.GIoULoss"}
L1 = {"type": "loss_plugins.L1Loss"}
SOFTMAX = {"type": "loss_plugins.CrossEntropyLoss", "use_sigmoid": False}
SIGMOID = {"type": "loss_plugins.FocalLoss", "use_sigmoid": True}


class Head(nn.Module):
    """One loss, and what is done with the objects of the first image."""

    num_classes = 3

    def __init__(self, loss: dict[str, Any], work: Callable[[Head, Any], Any], slot: str = "loss_it") -> None:
        super().__init__()
        self.work, self.slot = work, slot
        self.add_module(slot, MODELS.build(loss))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, objects: Any) -> Any:
        return self.work(self, objects)

    @property
    def loss_function(self) -> Any:
        return getattr(self, self.slot)


class Detector(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def loss(self, images: Tensor, samples: list[DetDataSample]) -> dict[str, Any]:
        return {"loss_it": self.head(samples[0].gt_instances)}


def boxes(head: Head, objects: Any) -> Any:
    return head.loss_function(objects.bboxes * head.scale * 1.1, objects.bboxes)


def scores(head: Head, objects: Any) -> Any:
    drawn = torch.linspace(-3, 3, 3 * len(objects)).view(-1, 3)
    return head.loss_function(drawn * head.scale, objects.labels)


def looked_at(loss: dict[str, Any], work: Callable[[Head, Any], Any], slot: str = "loss_it") -> Inspection:
    return inspect(Detector(Head(loss, work, slot)))


# --- what the training has is left as it is ------------------------------------------------------------------------


@pytest.fixture
def drawing() -> Iterator[dict[str, Any]]:
    @register_loss("test_drawing", kind="box", traits=Traits())
    def drawing(pred: Tensor, target: Tensor) -> Tensor:
        """It draws random numbers, and warns."""
        warnings.warn("drawn", UserWarning, stacklevel=1)
        return (pred - target).abs().sum(-1) * (random.random() + torch.rand(()))

    yield {"type": "loss_plugins.TestDrawingLoss"}
    unregister_loss("test_drawing")


def test_no_loss_draws_of_the_numbers_of_the_training(drawing: dict[str, Any]) -> None:
    """It is called once more to see whether it has a gradient."""
    model = Detector(Head(drawing, boxes))
    before = torch.get_rng_state(), random.getstate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = inspect(model)
    assert found.untried == ""
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


# --- models that cannot be tried -----------------------------------------------------------------------------------


def test_a_model_that_cannot_be_copied_is_not_tried() -> None:
    model = Detector(Head(GIOU, boxes))
    model.lock = threading.Lock()
    found = inspect(model)
    assert found.untried.startswith("TypeError: cannot pickle")
    assert found.findings == []


def test_a_model_whose_preprocessor_takes_no_images_is_not_tried() -> None:
    """Those of video detectors take clips."""
    from mmdet.models.data_preprocessors import DetDataPreprocessor

    class OfClips(DetDataPreprocessor):
        def forward(self, data: Any, training: bool = False) -> Any:
            raise AssertionError("clips have five axes")

    model = Detector(Head(GIOU, boxes))
    model.data_preprocessor = OfClips()
    found = inspect(model)
    assert found.untried == "AssertionError: clips have five axes"
    assert found.warnings == [
        "the model could not be tried on made-up images (AssertionError: clips have five axes): no slot was looked at"
    ]


# --- calls of other forms ------------------------------------------------------------------------------------------


def test_a_loss_that_is_called_by_other_names_is_told_what_came() -> None:
    def by_name(head: Head, objects: Any) -> Any:
        return head.loss_function(cls_score=head.scale * torch.rand(6, 3), label=objects.labels)

    (finding,) = looked_at(SOFTMAX, by_name).findings
    assert "cls_score" in finding.message


@pytest.mark.parametrize("loss", [L1, SOFTMAX], ids=str)
def test_a_single_number_is_judged(loss: dict[str, Any]) -> None:
    found = looked_at(loss, lambda head, objects: head.loss_function(head.scale.sum(), objects.bboxes.mean() / 1000))
    assert found.untried == ""
    assert bool(found.findings) == (loss is SOFTMAX)


@pytest.fixture
def detached() -> Iterator[dict[str, Any]]:
    @register_loss("test_detached", kind="classification", traits=Traits(scale="probabilities"))
    def detached(pred: Tensor, target: Tensor) -> Tensor:
        """A cross-entropy that trains nothing where probabilities lie from 0 to 1, and is NaN elsewhere."""
        pred = pred.detach() + 0 * (1 - pred).sqrt()
        return -(target * pred.log() + (1 - target) * (1 - pred).log())

    yield {"type": "loss_plugins.TestDetachedLoss"}
    unregister_loss("test_detached")


def test_a_gradient_that_is_no_number_trains_nothing(detached: dict[str, Any]) -> None:
    def probabilities(head: Head, objects: Any) -> Any:
        drawn = torch.linspace(-3, 3, 3 * len(objects)).view(-1, 3)
        target = nn.functional.one_hot(objects.labels, 3).float()
        return head.loss_function((drawn * head.scale).sigmoid(), target)

    (finding,) = looked_at(detached, probabilities).findings
    assert "gives its predictions no gradient" in finding.message


# --- defaults of other forms ---------------------------------------------------------------------------------------


class Own(nn.Module):
    """A loss that no registry knows."""

    def forward(self, pred: Tensor, target: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        return pred.sum()


@pytest.mark.parametrize("default", [{}, {"type": "NoSuchLoss"}, {"type": Own}], ids=str)
@pytest.mark.parametrize("loss", [SIGMOID, GIOU], ids=str)
def test_a_default_of_any_form_is_no_hindrance(loss: dict[str, Any], default: dict[str, Any]) -> None:
    class WithDefault(Head):
        def __init__(self, loss_it: dict[str, Any] = default) -> None:
            super().__init__(loss_it, scores)

    found = inspect(Detector(WithDefault(loss)))
    assert found.untried == ""
    assert len(found.findings) == (loss is GIOU)


def test_where_no_usual_loss_goes_through_the_others_are_judged_without() -> None:
    """The default of the head raises too, on what its loss gets."""

    def choosy(head: Head, objects: Any) -> Any:
        return head.loss_function(objects.bboxes[:, :3] * head.scale, objects.bboxes[:5, :3])

    class Choosy(Head):
        def __init__(self, loss_it: dict[str, Any] = {"type": "loss_plugins.BCEWithLogitsLoss"}) -> None:  # noqa: B006
            super().__init__(loss_it, choosy)

    class Two(Detector):
        def loss(self, images: Tensor, samples: list[DetDataSample]) -> dict[str, Any]:
            return {**super().loss(images, samples), "loss_other": self.other(samples[0].gt_instances)}

    model = Two(Choosy(SOFTMAX))
    model.other = Head(GIOU, scores)
    told = {each.slot.path: each.message for each in inspect(model).findings}
    assert "giou compares boxes" in told["other.loss_it"]


# --- where a loss belongs ------------------------------------------------------------------------------------------


def test_centers_in_a_slot_that_is_called_loss_iou_are_not_sent_there() -> None:
    def centers(head: Head, objects: Any) -> Any:
        corners = objects.bboxes / torch.tensor([160.0, 128.0] * 2)
        target = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
        return head.loss_function(target * head.scale * 1.1, target)

    (finding,) = looked_at(GIOU, centers, "loss_iou").findings
    assert finding.changes == {"model.head.loss_iou.box_format": "cxcywh"}


@pytest.mark.parametrize(("default", "sent"), [("SmoothL1Loss", True), ("GIoULoss", False)])
def test_numbers_are_sent_to_a_slot_that_takes_numbers(default: str, sent: bool) -> None:
    class Refining(Head):
        def __init__(self, loss_refine: dict[str, Any] = GIOU, loss_bbox: Any = {"type": default}) -> None:  # noqa: B006
            super().__init__(loss_refine, boxes, "loss_refine")
            self.loss_bbox = MODELS.build(loss_bbox)

    (finding,) = inspect(Detector(Refining(L1))).findings
    assert "l1 is hundreds" in finding.message
    assert ("put this loss into model.head.loss_bbox" in finding.message) == sent
