"""A criterion of one's own, written as users write theirs, and odd ones that have to be refused."""

from __future__ import annotations

from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import box_convert, generalized_box_iou, sigmoid_focal_loss

from .criteria import CLASSES


class Matcher(nn.Module):
    """Hungarian, with the costs of Deformable DETR."""

    @torch.no_grad()
    def forward(self, outputs: Any, targets: Any) -> list[tuple[Tensor, Tensor]]:
        images, queries = outputs["pred_logits"].shape[:2]
        boxes = outputs["pred_boxes"].flatten(0, 1)
        wanted = torch.cat([target["boxes"] for target in targets])
        labels = torch.cat([target["labels"] for target in targets])
        scores = outputs["pred_logits"].flatten(0, 1).sigmoid()[:, labels]
        corners = box_convert(boxes, "cxcywh", "xyxy"), box_convert(wanted, "cxcywh", "xyxy")
        cost = 5 * torch.cdist(boxes, wanted, p=1) - 2 * generalized_box_iou(*corners) - scores
        parts = cost.view(images, queries, -1).split([len(target["boxes"]) for target in targets], -1)
        found = [linear_sum_assignment(part[image]) for image, part in enumerate(parts)]
        return [(torch.as_tensor(queries), torch.as_tensor(objects)) for queries, objects in found]


class Criterion(nn.Module):
    """Losses of the last layer and of those before it, unweighted."""

    def __init__(self) -> None:
        super().__init__()
        self.matcher = Matcher()
        self.num_classes = CLASSES
        self.focal_alpha = 0.25
        self.losses = ["labels", "boxes"]

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        pred, target = pairs(outputs, targets, indices)
        giou = generalized_box_iou(box_convert(pred, "cxcywh", "xyxy"), box_convert(target, "cxcywh", "xyxy"))
        sides = functional.l1_loss(pred, target, reduction="none")
        return {"loss_bbox": sides.sum() / num_boxes, "loss_giou": (1 - giou.diag()).sum() / num_boxes}

    def loss_labels(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        target = torch.zeros_like(outputs["pred_logits"])
        for image, (queries, objects) in enumerate(indices):
            target[image, queries, targets[image]["labels"][objects]] = 1
        return {"loss_ce": sigmoid_focal_loss(outputs["pred_logits"], target, self.focal_alpha).sum() / num_boxes}

    def forward(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        layers = {"": outputs, **{f"_{at}": each for at, each in enumerate(outputs.get("aux_outputs", ()))}}
        num_boxes = max(sum(len(target["boxes"]) for target in targets), 1)
        losses = {}
        for name, layer in layers.items():
            indices = self.matcher(layer, targets)
            for word in self.losses:
                method = {"labels": self.loss_labels, "boxes": self.loss_boxes}[word]
                found = method(layer, targets, indices, num_boxes)
                losses.update({key + name: self.weighted(loss) for key, loss in found.items()})
        return losses

    def weighted(self, loss: Tensor) -> Tensor:
        return loss


class Weighing(Criterion):
    """Weighs its losses in the loop over layers, as RT-DETR does."""

    def weighted(self, loss: Tensor) -> Tensor:
        return 2 * loss


class Doubling(Criterion):
    """Its box loss is twice GIoU."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        found = super().loss_boxes(outputs, targets, indices, num_boxes)
        return {"loss_bbox": found["loss_bbox"], "loss_giou": 2 * found["loss_giou"]}


class Detached(Criterion):
    """Its box loss has the right value and no gradient."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        found = super().loss_boxes(outputs, targets, indices, num_boxes)
        return {"loss_bbox": found["loss_bbox"], "loss_giou": found["loss_giou"].detach()}


class Scaling(Criterion):
    """Its box loss is GIoU where there are objects, and 1 where there are none."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        found = super().loss_boxes(outputs, targets, indices, num_boxes)
        return (
            found
            if len(torch.cat([queries for queries, _ in indices]))
            else {**found, "loss_giou": 1 + found["loss_giou"]}
        )


class Needing(Criterion):
    """Cannot be called with four arguments."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any, scale: Any) -> dict[str, Tensor]:  # type: ignore[override]
        return super().loss_boxes(outputs, targets, indices, num_boxes)


class Listing(Criterion):
    """Returns a list."""

    def loss_boxes(self, *given: Any) -> Any:
        outputs, targets, indices, num_boxes = given
        return [*super().loss_boxes(outputs, targets, indices, num_boxes).values()]


class Telling(Criterion):
    """Takes an argument more, and returns statistics beside its losses."""

    def loss_boxes(
        self, outputs: Any, targets: Any, indices: Any, num_boxes: Any, scale: Any = None
    ) -> dict[str, Tensor]:
        found = super().loss_boxes(outputs, targets, indices, num_boxes)
        pred, target = pairs(outputs, targets, indices)
        return {**found, "size_error": (pred[:, 2:] - target[:, 2:]).abs().mean().detach()}


class Slotted:
    """An object whose class cannot be changed."""

    __slots__ = ("losses",)

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        return Criterion().loss_boxes(outputs, targets, indices, num_boxes)


def pairs(outputs: Any, targets: Any, indices: Any) -> tuple[Tensor, Tensor]:
    found = [
        (outputs["pred_boxes"][image, queries], targets[image]["boxes"][objects])
        for image, (queries, objects) in enumerate(indices)
    ]
    return torch.cat([pred for pred, _ in found]), torch.cat([target for _, target in found])


def layers(count: int = 3, images: int = 4, queries: int = 12, seed: int = 0, dtype: Any = torch.float64) -> Any:
    """Outputs of so many layers and targets, of which the second has no object."""
    from .criteria import batch

    every = [batch(images, queries, seed=seed + at, dtype=dtype) for at in range(count)]
    outputs = {**every[0][0], "aux_outputs": [each[0] for each in every[1:]]}
    return outputs, every[0][1]


def leaves(outputs: Any) -> list[Tensor]:
    """The predicted boxes of all layers."""
    return [layer["pred_boxes"] for layer in (outputs, *outputs["aux_outputs"])]
