# SPDX-License-Identifier: AGPL-3.0-or-later
"""Criteria of one's own that compute a loss beside the place where it is replaced: refused with the true reason."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn
from ultralytics.models.utils.loss import RTDETRDetectionLoss
from ultralytics.utils import loss

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import bases
from loss_plugins.adapters.ultralytics.slot_table import SLOTS


class Maps(loss.SemanticSegmentationLoss):
    """Of one's own altogether."""

    def forward(self, preds: Any, batch: Any) -> Any:
        return preds.sum(), {}


class WrappedMaps(loss.SemanticSegmentationLoss):
    """Twice the loss, which may be a plugged one."""

    def forward(self, preds: Any, batch: Any) -> Any:
        total, items = super().forward(preds, batch)
        return 2 * total, items


class Layers(RTDETRDetectionLoss):
    def forward(self, preds: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        return {"loss_giou": preds.sum()}


class LayersByParts(RTDETRDetectionLoss):
    """Each part is that of Ultralytics."""

    def forward(self, preds: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, "_get_loss")(preds, batch) or self._get_loss_bbox(preds, batch)  # noqa: B009


class BoxesOfLayers(RTDETRDetectionLoss):
    def _get_loss_bbox(self, pred_bboxes: Tensor, gt_bboxes: Tensor, postfix: str = "") -> dict[str, Tensor]:
        return {"loss_giou": (pred_bboxes - gt_bboxes).sum()}


class Masks(loss.v8SegmentationLoss):
    @staticmethod
    def single_mask_loss(gt_mask: Tensor, pred: Tensor, proto: Tensor, xyxy: Tensor, area: Tensor) -> Tensor:
        return pred.sum()


class Boxes(loss.BboxLoss):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args[0].sum(), args[0].sum()


class WrappedBoxes(loss.BboxLoss):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        boxes, sides = super().forward(*args, **kwargs)
        return 2 * boxes, sides


class BranchMaps(loss.BCEDiceLoss):
    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).sum()


def with_part(cls: type, part: str, held: nn.Module) -> Any:
    made = cls.__new__(cls)
    setattr(made, part, held)
    return made


@pytest.mark.parametrize(
    ("criterion", "slot", "replaced"),
    [
        (Maps.__new__(Maps), "sem", "Maps.forward"),
        (Layers.__new__(Layers), "box", "Layers.forward"),
        (Layers.__new__(Layers), "cls", "Layers.forward"),
        (BoxesOfLayers.__new__(BoxesOfLayers), "box", "BoxesOfLayers._get_loss_bbox"),
        (Masks.__new__(Masks), "mask", "Masks.single_mask_loss"),
        (with_part(loss.v8DetectionLoss, "bbox_loss", Boxes()), "box", "Boxes.forward"),
        (with_part(loss.v8DetectionLoss, "bbox_loss", Boxes()), "dfl", "Boxes.forward"),
        (with_part(loss.v8SegmentationLoss, "bcedice_loss", BranchMaps()), "sem", "BranchMaps.forward"),
    ],
    ids=lambda case: case if isinstance(case, str) else type(case).__name__,
)
def test_what_computes_a_loss_by_itself_is_named(criterion: Any, slot: str, replaced: str) -> None:
    with pytest.raises(lpu.UnsupportedUltralytics) as caught:
        bases.check_criterion([criterion], [SLOTS[slot].attribute])
    name = replaced.rpartition(".")[2]
    assert f"{replaced} computes its losses without super().{name}(), so that" in str(caught.value)
    assert str(caught.value).endswith(f"Call super().{name}(...) in it")


@pytest.mark.parametrize(
    ("criterion", "slot"),
    [
        (WrappedMaps.__new__(WrappedMaps), "sem"),
        (loss.SemanticSegmentationLoss.__new__(loss.SemanticSegmentationLoss), "sem"),
        (LayersByParts.__new__(LayersByParts), "box"),
        (LayersByParts.__new__(LayersByParts), "cls"),
        (with_part(loss.v8DetectionLoss, "bbox_loss", WrappedBoxes()), "box"),
        (with_part(loss.v8DetectionLoss, "bbox_loss", loss.BboxLoss()), "dfl"),
        (with_part(loss.v8SegmentationLoss, "bcedice_loss", loss.BCEDiceLoss()), "sem"),
    ],
    ids=lambda case: case if isinstance(case, str) else type(case).__name__,
)
def test_what_goes_on_to_ultralytics_is_taken(criterion: Any, slot: str) -> None:
    bases.check_criterion([criterion], [SLOTS[slot].attribute])
