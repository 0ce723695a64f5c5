"""Which loss is blamed where a model cannot be tried, and which loss is named in its place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import Tensor, nn

from loss_plugins.adapters.mmdet import inspection
from loss_plugins.adapters.mmdet.canary import canary
from loss_plugins.adapters.mmdet.inspection import Inspection, inspect

WEIGHTED = {"type": "CrossEntropyLoss", "use_sigmoid": False, "class_weight": [1.0] * 133 + [0.1]}
PLAIN = {"type": "CrossEntropyLoss", "use_sigmoid": True}
BCE = {"type": "loss_plugins.BCEWithLogitsLoss", "use_sigmoid": True}
SOFTMAX = {"type": "loss_plugins.SoftmaxFocalLoss", "use_sigmoid": False, "reduction": "none"}


class Detector(nn.Module):
    """A detector of one head, whose scores are drawn."""

    def __init__(self, loss_cls: dict[str, Any], head: type[nn.Module]) -> None:
        super().__init__()
        self.head = head(loss_cls)

    def loss(self, images: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        return {"loss_cls": self.head(samples[0].gt_instances)}


class OnePerRow(nn.Module):
    """It needs one number per row; its default has as many class weights as panoptic COCO has classes."""

    num_classes = 2

    def __init__(self, loss_cls: dict[str, Any] = WEIGHTED) -> None:
        super().__init__()
        self.loss_cls, self.scores = MODELS.build(loss_cls), nn.Linear(4, 3)

    def forward(self, objects: Any) -> Tensor:
        return self.loss_cls(self.scores(objects.bboxes / 100), objects.labels).view(len(objects)).sum()


class Narrow(OnePerRow):
    """It cannot work with large values: its default, a plain cross-entropy, has them, and a focal loss has not."""

    num_classes = 3

    def __init__(self, loss_cls: dict[str, Any] = PLAIN) -> None:
        super().__init__(loss_cls)

    def forward(self, objects: Any) -> Tensor:
        found: Tensor = self.loss_cls(0.01 * self.scores(objects.bboxes / 100), objects.labels)
        if not found < 0.5:  # log(2) a score, and a focal loss at most three quarters of a quarter of that
            raise ArithmeticError("ill-defined covariance")
        return found


def test_the_default_of_a_head_is_named_with_a_number_for_each_of_its_classes() -> None:
    """One weight per class and the background, or the loss raises that is to help."""
    sigmoid = {"type": "loss_plugins.FocalLoss", "use_sigmoid": True, "reduction": "none"}
    (finding,) = inspect(Detector(sigmoid, OnePerRow)).findings
    assert finding.changes == {
        "model.head.loss_cls": {**WEIGHTED, "class_weight": [1.0, 1.0, 0.1], "reduction": "none"}
    }
    assert inspect(Detector(SOFTMAX, OnePerRow)).findings == []


def test_a_loss_is_blamed_although_the_default_of_its_head_fails_too() -> None:
    (finding,) = inspect(Detector(BCE, Narrow)).findings
    assert "its head cannot work with what this loss returns (ArithmeticError" in finding.message
    (change,) = finding.changes.values()
    assert change == {"type": "loss_plugins.FocalLoss", "use_sigmoid": True, "reduction": "mean"}
    assert inspect(Detector(change, Narrow)).findings == []


@MODELS.register_module(name="FailsBeforeItsFirstCall")
class FailsBeforeItsFirstCall(nn.Module):
    """It raises before it calls its loss: of a softmax if `always`, else the first time that one is built."""

    made = 0

    def __init__(self, head: dict[str, Any], always: bool) -> None:
        super().__init__()
        FailsBeforeItsFirstCall.made += 1
        self.head = OnePerRow(head["loss_cls"])
        softmax = not self.head.loss_cls.use_sigmoid
        self.raises = softmax if always else FailsBeforeItsFirstCall.made == 1

    def loss(self, images: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        if self.raises:
            raise IndexError("as it happens")
        return {"loss_cls": self.head.loss_cls(self.head.scores(samples[0].gt_instances.bboxes / 100), _one(samples))}


def _one(samples: list[Any]) -> Tensor:
    labels: Tensor = samples[0].gt_instances.labels
    return labels


@pytest.fixture(autouse=True)
def none_made() -> None:
    FailsBeforeItsFirstCall.made = 0


def before_its_first_call(always: bool) -> Inspection:
    loss = {**SOFTMAX, "reduction": "mean"}
    config = ConfigDict({"type": "FailsBeforeItsFirstCall", "head": {"loss_cls": loss}, "always": always})
    return inspect(MODELS.build(config), config)


def test_a_loss_is_blamed_if_the_head_fails_each_time_that_it_is_built_with_it() -> None:
    found = before_its_first_call(always=True)
    (finding,) = found.findings
    assert "its head fails before it calls this loss (IndexError: as it happens)" in finding.message
    (change,) = finding.changes.values()
    assert change["type"] == "loss_plugins.FocalLoss"
    assert not found.untried


def test_no_loss_is_blamed_for_what_failed_once() -> None:
    """Weights are drawn anew with the other loss; that the model goes through then says nothing of the loss."""
    found = before_its_first_call(always=False)
    assert found.findings == []
    assert found.untried == "IndexError: as it happens"


class Encoding(nn.Module):
    """A head that compares offsets of boxes, or the boxes if it is told to decode them."""

    num_classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.loss_bbox = MODELS.build({"type": "loss_plugins.GIoULoss"})
        self.reg_decoded_bbox = False
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, boxes: Tensor) -> Tensor:
        target = boxes if self.reg_decoded_bbox else (boxes - boxes.mean(0)) / boxes.std(0)
        found: Tensor = self.loss_bbox(1.1 * self.scale * target, target)
        return found


class Stages(nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(Encoding() for _ in range(count))

    def loss(self, images: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        boxes = samples[0].gt_instances.bboxes.repeat(4, 1)  # of as many rows offsets are told from boxes
        return {f"s{index}.loss_bbox": stage(boxes) for index, stage in enumerate(self.stages)}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_head_is_told_to_decode_where_several_must(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one of them mended the next still raises, as its targets are no boxes; all are tried at once, and once."""
    trials: list[object] = []
    monkeypatch.setattr(inspection, "canary", lambda *given: trials.append(given) or canary(*given))
    found = inspect(Stages(count)).findings
    assert [each.changes for each in found] == [
        {f"model.stages.{index}.reg_decoded_bbox": True} for index in range(count)
    ]
    assert all("the IoU of offsets means nothing" in each.message for each in found)
    assert len(trials) == 2 + (count - 1)  # as it is, decoding, and without each that raised but the last
