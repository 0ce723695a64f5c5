"""Losses of boxes and of coordinates behind MMDetection's call contract."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional

from loss_plugins import build_loss
from loss_plugins.errors import refusal, shown
from loss_plugins.module.arguments import entry_of
from loss_plugins.module.image_size import without_image_size
from loss_plugins.module.reduction import reduce_loss
from loss_plugins.tensors import Target, fit_weight, readable, warn_of_first, warn_of_inverted

from .image_size import completed, size_of
from .modules import PluggedLoss, SenselessSlot

ENOUGH_ROWS = 20  # fewest targets by which encoded offsets are told from boxes
SENSELESS_SHARE = 0.05  # of targets with a side below 0: nearly half of encoded offsets have one, and no box


class BoxLoss(PluggedLoss):
    """Axis-aligned boxes (n, 4) to one number per box; rows of weight 0 are never computed.

    Heads pass *all* anchors or queries, most of them with weight 0 and a target of no area. Multiplying by that
    weight is not enough to keep them out of value and gradient, as NaN * 0 is NaN.
    """

    columns: ClassVar[int] = 4

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0, *positional: Any, **parameters: Any) -> None:
        given, left_out = completed(entry_of(type(self)).name, parameters)
        super().__init__(reduction, loss_weight, *positional, **given)
        self.targets_seen = self.odd_named = False
        self.image = size_of(self.loss, left_out)

    def core_spec(self) -> dict[str, Any]:
        """As in `PluggedLoss`; an image size that was left out still is."""
        spec = super().core_spec()
        return spec if self.image is None or self.image.given else without_image_size(spec)

    def compute(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        override: str | None,
    ) -> Tensor:
        """Compute the rows with a weight other than 0, and reduce over all rows."""
        _refuse_single_row(self.entry.name, pred, self.columns)
        if weight is None:
            self.check_targets(target)
            return self.call_core(pred, target, None, avg_factor, override)
        weight = fit_weight(self.entry.name, weight, pred.shape[:-1], columns=self.columns)
        counts = weight != 0
        self.check_targets(target[counts])
        kept = pred[counts], target[counts], weight[counts]
        reduction = override or self.reduction
        if reduction == "none":
            loss = self.call_core(*kept, None, "none")
            return loss.new_zeros(counts.shape).masked_scatter(counts, loss)
        if reduction == "mean" and avg_factor is None:  # over all rows, those of weight 0 included
            return self.call_core(*kept, None, "sum") / max(counts.numel(), 1)
        return self.call_core(*kept, avg_factor, override)

    def call_core(
        self,
        pred: Tensor,
        target: Target,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        override: str | None,
    ) -> Tensor:
        """As in `PluggedLoss`; a loss in the unit of the image gets boxes in that unit."""
        if self.image is not None and isinstance(target, Tensor):
            pred, target = self.image.scaled(self.entry.name, pred, target)
        return super().call_core(pred, target, weight, avg_factor, override)

    def check_targets(self, target: Tensor) -> None:
        """Once, on the first call with enough rows: targets must be boxes, not encoded offsets.

        The first inverted or flat one is named once targets are known to be boxes, on the CPU only: on a GPU the host
        would wait in every step.
        """
        self.refuse_offsets(target)
        if self.targets_seen and not self.odd_named:
            sides = self.sides(target)
            self.odd_named = warn_of_inverted(self.entry.name, target, sides) or _warn_of_flat(
                self.entry.name, target, sides
            )

    def refuse_offsets(self, target: Tensor) -> None:
        """Raise if targets have sides below 0 too often to be boxes."""
        if self.targets_seen or len(target) < ENOUGH_ROWS:
            return
        self.targets_seen = True
        share = (self.sides(target) < 0).any(-1).float().mean().item()
        if share >= SENSELESS_SHARE:
            raise SenselessSlot(
                f"{type(self).__name__}: {share:.0%} of {len(target)} targets have a width or height below 0, so these "
                "are encoded offsets, not boxes. Set reg_decoded_bbox=True in this head, or use a coordinate loss "
                "(loss_plugins.SmoothL1Loss) here"
            )

    def sides(self, target: Tensor) -> Tensor:
        """Width and height of each target."""
        centers = self.loss.parameters_given.get("box_format") == "cxcywh"
        return target[:, 2:] if centers else target[:, 2:] - target[:, :2]


class RotatedBoxLoss(BoxLoss):
    """Rotated boxes (n, 5) to one number per box."""

    columns = 5

    def sides(self, target: Tensor) -> Tensor:
        """Width and height of each target."""
        return target[:, 2:4]


class CoordinateLoss(PluggedLoss):
    """Numbers of any shape to one loss per number; those that compare whole boxes take rows (n, 4) alone."""

    columns: ClassVar[int] = 4

    def check(self, pred: Any, target: Any) -> None:
        """As in `PluggedLoss`, but numbers in any other shape than rows of four only have to be as many as targets."""
        if not self.in_any_shape(pred):
            super().check(pred, target)
        elif not isinstance(target, Tensor) or target.shape != pred.shape:
            came = f"target {shown(target)} for pred of shape {tuple(pred.shape)}"
            raise refusal(self.entry.name, came, "a tensor of pred's shape", "pass that")

    def in_any_shape(self, pred: Any) -> bool:
        """Whether these are numbers that do not stand in rows of four, of a loss that takes such."""
        return isinstance(pred, Tensor) and not self.entry.traits.whole_boxes and pred.shape[-1:] != (self.columns,)

    def compute(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        override: str | None,
    ) -> Tensor:
        """As the core's module, but coordinates of weight 0 are set to 0: an infinite one would become NaN."""
        if self.in_any_shape(pred):
            return self.of_any_shape(pred, target, weight, avg_factor, override)
        _refuse_single_row(self.entry.name, pred, self.columns)
        if weight is not None:
            fit_weight(self.entry.name, weight, pred.shape)
            idle = (weight.unsqueeze(-1) if weight.dim() < pred.dim() else weight) == 0
            pred, target = pred.masked_fill(idle, 0), target.masked_fill(idle, 0)
        return self.call_core(pred, target, weight, avg_factor, override)

    def of_any_shape(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        override: str | None,
    ) -> Tensor:
        """The reduced loss of numbers that do not stand in rows of four: they are written in such rows."""
        if weight is not None:
            weight = fit_weight(self.entry.name, weight, pred.shape)
            pred, target = pred.masked_fill(weight == 0, 0), target.masked_fill(weight == 0, 0)
        rows, wanted = _in_rows(pred, self.columns), _in_rows(target, self.columns)
        each = self.call_core(rows, wanted, None, None, "none").flatten()[: pred.numel()].view(pred.shape)
        return reduce_loss(each, weight, override or self.reduction, avg_factor)  # type: ignore[arg-type]


class SmoothL1(CoordinateLoss):
    """Smooth L1, whose beta Dynamic R-CNN sets while it trains."""

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0, *positional: Any, **parameters: Any) -> None:
        super().__init__(reduction, loss_weight, *positional, **parameters)
        self.beta_given = self.beta

    @property
    def beta(self) -> float:
        """The width of the parabola now."""
        return float(self.loss.resolved()["beta"])

    @beta.setter
    def beta(self, value: float) -> None:
        settings = {name: setting for name, setting in self.loss.spec().items() if name != "type"}
        self.loss = build_loss(self.entry.name, **{**settings, "beta": float(value)})

    def spec(self) -> dict[str, Any]:
        """As in `PluggedLoss`, with the beta that the loss was built with."""
        return {**super().spec(), "beta": self.beta_given}


def _refuse_single_row(where: str, pred: Tensor, columns: int) -> None:
    if pred.dim() < 2:
        remedy = "pass one row at least (pred[None])"
        raise refusal(where, f"pred has shape {tuple(pred.shape)}", f"rows (n, {columns})", remedy)


def _in_rows(numbers: Tensor, columns: int) -> Tensor:
    """All numbers in rows (m, columns), the last filled up with 0."""
    flat = numbers.flatten()
    return functional.pad(flat, (0, -flat.numel() % columns)).view(-1, columns)


def _warn_of_flat(where: str, boxes: Tensor, sides: Tensor) -> bool:
    """Name the first box without width or height in a warning, where values may be looked at; whether there was one.

    Rows of four zeros are no boxes: heads write them for what has no object.
    """
    if not readable(boxes, sides):
        return False
    flat = (sides == 0).any(-1) & (boxes != 0).any(-1)
    remedy = "Remove such annotations (filter_cfg=dict(min_size=1) of the data set)"
    return warn_of_first(where, boxes, flat, "is flat", "no width or height", remedy)
