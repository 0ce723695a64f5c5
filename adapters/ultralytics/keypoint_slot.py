# SPDX-License-Identifier: AGPL-3.0-or-later
"""The slot of key points: `KeypointLoss` of pose models, computed on the instances of a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loss_plugins import Loss, build_loss

from .nan_guard import ImageOf
from .slots import Slot

#: forms of a target that the slot can make, the one that says most first
FORMS = ("points_visible_area", "points_visible")


class Instances(NamedTuple):
    """What a criterion knows of the instances that it hands over.

    Attributes:
        cell: side of the grid's cells in pixels, (n, 1, 1).
        masks: which anchors they are, (images, anchors).
    """

    cell: Tensor
    masks: Tensor


class Wanted(NamedTuple):
    """The targets of a call: points (n, K, 2), which are visible (n, K), and areas (n,), in cells of the grid."""

    points: Tensor
    visible: Tensor
    area: Tensor


class KeypointSlot(Slot):
    """The loss of the instances of a batch, reduced by the loss's own "mean".

    It gets pixels, unless points of any scale cost the same. Deviations that were not said are the criterion's.
    """

    def __init__(self, build: Callable[[], Loss], token: str) -> None:
        self.sigmas: list[float] | None = None
        super().__init__("keypoint", lambda: with_sigmas(build(), self.sigmas), None, token)
        self.may_rest = True  # of points far off the similarity has the gradient 0
        self.in_pixels = not self.prototype.entry.traits.scale_invariant
        self._instances: list[Instances] = []

    @contextmanager
    def among(self, masks: Tensor, stride: Tensor) -> Iterator[None]:
        """The criterion hands over the instances of a batch in here.

        Args:
            masks: which anchors are foreground, (images, anchors).
            stride: of each anchor (anchors, 1).
        """
        cell = stride.view(1, -1).expand(masks.shape)[masks]
        self._instances.append(Instances(cell.view(-1, 1, 1), masks))
        try:
            yield
        finally:
            self._instances.pop()

    def compute(
        self, part: Any, pred: Tensor, target: Tensor, mask: Tensor, area: Tensor, stock: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """The loss in float32.

        Args:
            part: the criterion's `KeypointLoss`.
            pred: points (n, K, 2 or more) in cells of the grid.
            target: those to meet.
            mask: which of them are visible, (n, K).
            area: of each instance (n, 1), in cells.
            stock: the stock loss of points.
        """
        if self.sigmas is None:
            self.sigmas = part.sigmas.tolist()
        points = pred[..., :2].float()
        wanted = Wanted(target[..., :2].float(), mask, area.float().reshape(len(points)))
        training = torch.is_grad_enabled() and points.requires_grad
        loss_module = self.loss_of(part, points.device)
        self.calls.follow(points)
        with torch.autocast(points.device.type, enabled=False):
            if training and self.measure_next:
                self.compare(
                    loss_module,
                    lambda given, _: stock(given),
                    lambda twin, given, _: self.value(twin, given, wanted),
                    points,
                    wanted.points,
                    weighted=True,
                )
            total = self.value(loss_module, points, wanted)
            if self.guard is not None:
                losses = by_row(loss_module, total, *self.in_unit(points, wanted))
                self.look(losses, points, wanted.points, self.image_of())
        self.calls.count(total, len(points), training)
        return total

    def value(self, loss: Loss, points: Tensor, wanted: Wanted) -> Tensor:
        """The mean of the loss, times its loss_weight, of points in cells of the grid."""
        return mean_of(loss, *self.in_unit(points, wanted))

    def in_unit(self, points: Tensor, wanted: Wanted) -> tuple[Tensor, Wanted]:
        """Points and targets in the unit that the loss takes."""
        if not (self.in_pixels and self._instances):
            return points, wanted
        cell = self._instances[-1].cell.to(points)
        return points * cell, Wanted(wanted.points * cell, wanted.visible, wanted.area * cell.flatten() ** 2)

    def image_of(self) -> ImageOf:
        """The image that an instance of this call lies in."""
        images = self._instances[-1].masks.nonzero()[:, 0] if self._instances else None
        return lambda row: 0 if images is None else int(images[row])


def mean_of(loss: Loss, points: Tensor, wanted: Wanted) -> Tensor:
    """The loss of all instances as one number, times its loss_weight."""
    found: Tensor = loss(points, target_of(loss, wanted), reduction_override="mean")
    return found


def by_row(loss: Loss, total: Tensor, points: Tensor, wanted: Wanted) -> Tensor:
    """The loss of each instance alone (n,), if that of all is not finite; else that of all, n times."""
    if total.isfinite():
        return total.expand(len(points))
    twin = copy.deepcopy(loss).eval()
    rows = (Wanted(*(part[at : at + 1] for part in wanted)) for at in range(len(points)))
    return torch.stack([mean_of(twin, points[at : at + 1], row) for at, row in enumerate(rows)])


def form_of(loss: Loss) -> str | None:
    """The form of the target that a loss is given; None: the slot has none that it takes."""
    return next((form for form in FORMS if form in loss.entry.targets), None)


def target_of(loss: Loss, wanted: Wanted) -> tuple[Tensor, ...]:
    """The target in the form that a loss takes."""
    return tuple(wanted) if form_of(loss) == FORMS[0] else tuple(wanted[:2])


def with_sigmas(loss: Loss, sigmas: list[float] | None) -> Loss:
    """The loss with these deviations wherever it takes some and was given none."""
    spec = loss.spec()
    filled = spec if sigmas is None else _filled(spec, sigmas)
    return loss if filled == spec else build_loss(filled)


def _filled(spec: Mapping[str, Any], sigmas: list[float]) -> dict[str, Any]:
    changed = dict(spec)
    if "losses" in spec:
        changed["losses"] = [_filled(each, sigmas) if isinstance(each, Mapping) else each for each in spec["losses"]]
    if "sigmas" in spec and spec["sigmas"] is None:
        changed["sigmas"] = sigmas
    return changed
