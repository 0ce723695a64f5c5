"""Which made-up images a model is tried on, and which usual loss helps a head that needs one number per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mmengine.registry import MODELS
from torch import Tensor, nn

from loss_plugins.adapters.mmdet import inspection
from loss_plugins.adapters.mmdet.canary import Setting, canary
from loss_plugins.adapters.mmdet.inspection import inspect

GIOU = {"type": "loss_plugins.GIoULoss"}


class Choosy(nn.Module):
    """A detector that raises on images that it does not take."""

    def __init__(self, takes: Callable[[Tensor, Any], None]) -> None:
        super().__init__()
        self.takes, self.loss_box = takes, MODELS.build(GIOU)
        self.scale = nn.Parameter(Tensor([1.0]))

    def loss(self, images: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        objects = samples[0].gt_instances
        type(self).sizes.append((images.shape[-2], "masks" in objects))
        self.takes(images, objects)
        return {"loss_box": self.loss_box(objects.bboxes * self.scale, objects.bboxes)}

    sizes: list[tuple[int, bool]]


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    made: list[tuple[int, bool]] = []
    monkeypatch.setattr(Choosy, "sizes", made, raising=False)
    return made


def large(images: Tensor, objects: Any) -> None:
    if images.shape[-2] < 512:
        raise RuntimeError("too small")


def large_without_masks(images: Tensor, objects: Any) -> None:
    if images.shape[-2] < 256:
        raise RuntimeError("too small")
    if "masks" in objects:
        raise RuntimeError("masks are not for this model")


def test_larger_images_are_tried_once_where_masks_make_no_difference(sizes: list[tuple[int, bool]]) -> None:
    assert canary(Choosy(large)).setting == Setting(512)
    assert sizes == [(128, True), (128, True), (128, False), (256, True), (512, True)]


def test_masks_are_left_out_where_they_are_what_a_larger_image_raises_for() -> None:
    assert canary(Choosy(large_without_masks)).setting == Setting(256, masks=False)


def one_square(images: Tensor, objects: Any) -> None:
    if images.shape[-2:] != (300, 300):
        raise RuntimeError("anchors are laid for 300 x 300")


def test_a_square_is_tried_last() -> None:
    assert canary(Choosy(one_square)).setting == Setting(300, wider=1)


USUAL = {"type": "CrossEntropyLoss", "use_sigmoid": False}


class RowHead(nn.Module):
    """It adds up the losses of pairs of rows, as its shipped config has them: reduction="none"."""

    num_classes = 3

    def __init__(self, loss_cls: dict[str, Any] = USUAL) -> None:
        super().__init__()
        self.loss_cls, self.scores = MODELS.build(loss_cls), nn.Linear(4, 3)

    def forward(self, objects: Any) -> Tensor:
        rows = self.loss_cls(self.scores(objects.bboxes / 100), objects.labels)
        return rows.view(len(objects) // 2, 2).sum(1).min()


class Pairs(nn.Module):
    def __init__(self, loss_cls: dict[str, Any]) -> None:
        super().__init__()
        self.head = RowHead(loss_cls)

    def loss(self, images: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        return {"loss_rows": self.head(samples[0].gt_instances)}


def test_what_helps_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked to blame the loss, and again to name the remedy; each look costs several calls of the model."""
    looked: list[object] = []
    known = inspection._known
    monkeypatch.setattr(inspection, "_known", lambda slot: looked.append(slot) or known(slot))
    sigmoid = {"type": "loss_plugins.FocalLoss", "use_sigmoid": True}
    assert len(inspect(Pairs(sigmoid)).findings) == 1
    assert len(looked) == 1


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_usual_loss_is_named_with_the_reduction_that_helps(reduction: str) -> None:
    """The class has a mean by default, with which the head cannot work either."""
    focal = {"type": "loss_plugins.SoftmaxFocalLoss", "use_sigmoid": False, "reduction": reduction}
    assert [each.changes for each in inspect(Pairs(focal)).findings] == (
        [] if reduction == "none" else [{"model.head.loss_cls.reduction": "none"}]
    )
    sigmoid = {"type": "loss_plugins.FocalLoss", "use_sigmoid": True, "reduction": reduction}
    (finding,) = inspect(Pairs(sigmoid)).findings
    assert finding.changes == {"model.head.loss_cls": {**USUAL, "reduction": "none"}}
    assert inspect(Pairs({"type": "loss_plugins.CrossEntropyLoss", "reduction": "none"})).findings == []
