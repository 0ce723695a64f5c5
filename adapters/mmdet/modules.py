"""Catalogued losses behind MMDetection's call contract: one wrapper class per kind of loss."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from loss_plugins import build_loss
from loss_plugins.catalog.dialects import translated
from loss_plugins.catalog.entries import Entry, check_tensors
from loss_plugins.catalog.ranges import closest
from loss_plugins.errors import refusal, shown
from loss_plugins.module.arguments import entry_of
from loss_plugins.module.loss import Loss
from loss_plugins.module.reduction import check_avg_factor
from loss_plugins.module.state import statistics_of
from loss_plugins.tensors import Target, check_weight, fit_weight, warn_of_inverted

from .steps import Steps

ENOUGH_ROWS = 20  # fewest targets by which encoded offsets are told from boxes
SENSELESS_SHARE = 0.05  # of targets without width or height: measured 43 % and 91 % for offsets, 0 % for boxes
#: the losses that are sigmoid or softmax, and the class of the other one
OTHER_ACTIVATION = {
    "cross_entropy": "BCEWithLogitsLoss",
    "bce_with_logits": "CrossEntropyLoss",
    "softmax_focal": "FocalLoss",
    "focal": "SoftmaxFocalLoss",
    "asymmetric_softmax": "AsymmetricLoss",
    "asymmetric": "AsymmetricSoftmaxLoss",
}


class SenselessSlot(ValueError):
    """The loss is in a slot of the head whose inputs it cannot measure; the error names the config key to set."""


class PluggedLoss(nn.Module):
    """A catalogued loss behind MMDetection's call contract.

    Args:
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        **parameters: the loss's own; all are checked, unknown ones are refused.

    Attributes:
        loss: the core's module; its buffers (a running mean, say) travel in the checkpoint.
        calls: how often a head has called it with gradients on.
        rows: how many boxes it has computed in those calls.
        lessons: how many of those calls could update running statistics.
        steps: which of those calls are one update.

    Raises:
        TypeError: unknown parameters; the error names each.
        ValueError: a parameter out of range.
    """

    entry: Entry

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0, *positional: Any, **parameters: Any) -> None:
        nn.Module.__init__(self)  # not super(): one class also inherits from MMDetection (registration.py, `_bases`)
        entry_of(type(self))
        if positional:
            raise self.entry.by_position(positional[0], len(positional))
        _refuse_unknown(self.entry, parameters)
        self.loss: Loss = build_loss(self.entry.name, reduction=reduction, loss_weight=loss_weight, **parameters)
        self.entry = self.loss.entry  # with the traits that the parameters give it
        self.calls = self.rows = self.lessons = 0
        self.steps = Steps()

    @property
    def reduction(self) -> str:
        """The reduction without override; heads read it."""
        return str(self.loss.reduction)

    @property
    def loss_weight(self) -> float:
        """The factor on the result; heads read it, and schedules set it."""
        return self.loss.loss_weight

    @loss_weight.setter
    def loss_weight(self, value: float) -> None:
        self.loss.loss_weight = value

    def spec(self) -> dict[str, Any]:
        """Everything needed to build this loss again, all defaults resolved, in plain types."""
        return {**self.loss.spec(), "type": f"loss_plugins.{type(self).__name__}"}

    def forward(
        self,
        pred: Tensor = None,  # type: ignore[assignment]
        target: Target = None,  # type: ignore[assignment]
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        **ignored: Any,
    ) -> Tensor:
        """The reduced loss.

        Args:
            pred: predictions.
            target: targets, in a form that the loss takes.
            weight: per row or per element; what has weight 0 reaches neither value nor gradient of a box loss.
            avg_factor: "mean" divides the sum by it.
            reduction_override: used instead of `reduction`.
            **ignored: what some heads pass beside.
        """
        check_tensors(self.entry, pred, target)
        if weight is not None:
            check_weight(self.entry.name, weight, pred)
        if avg_factor is not None:
            avg_factor = check_avg_factor(self.entry.name, avg_factor, reduction_override or self.reduction, pred)
        return self.compute(pred, target, weight, avg_factor, reduction_override)

    def compute(
        self, pred: Tensor, target: Any, weight: Tensor | None, avg_factor: float | Tensor | None, override: str | None
    ) -> Tensor:
        """What `forward` returns; kinds of loss differ in what they do with rows of weight 0."""
        return self.call_core(pred, target, weight, avg_factor, override)

    def call_core(
        self,
        pred: Tensor,
        target: Target,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        override: str | None,
    ) -> Tensor:
        """Call the core's module, and let its running statistics learn only from a training step with rows.

        Heads use "none" to rank candidates (PAA does, with gradients on): no statistic learns from such a call.
        """
        counted = torch.is_grad_enabled()
        learns = counted and self.training and len(pred) > 0 and (override or self.reduction) != "none"
        if counted:
            self.count(len(pred), learns)
        self.loss.train(learns)
        result: Tensor = self.loss(pred, target, weight, avg_factor, override)
        return result

    # counters that change on each call would be compiled anew on each call
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def count(self, rows: int, learns: bool) -> None:
        """Count a call, by which the hook proves that the loss is used, and begin a step where one is due."""
        self.calls += 1
        self.rows += rows
        self.lessons += learns
        if learns and self.is_stateful:
            self.steps.follow(self.loss)

    @property
    def is_stateful(self) -> bool:
        """Whether running statistics are kept, with the parameters given."""
        return bool(statistics_of([self.loss]))

    def extra_repr(self) -> str:
        """Calls so far; parameters are shown by the submodule `loss`."""
        return f"calls={self.calls}"


class BoxLoss(PluggedLoss):
    """Axis-aligned boxes (n, 4) to one number per box; rows of weight 0 are never computed.

    Heads pass *all* anchors or queries, most of them with weight 0 and a target of no area. Multiplying by that
    weight is not enough to keep them out of value and gradient, as NaN * 0 is NaN.
    """

    columns: ClassVar[int] = 4

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0, *positional: Any, **parameters: Any) -> None:
        super().__init__(reduction, loss_weight, *positional, **parameters)
        self.targets_seen = self.inverted_named = False

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

    def check_targets(self, target: Tensor) -> None:
        """Once, on the first call with enough rows: targets must be boxes, not encoded offsets.

        The first inverted one is named once targets are known to be boxes, on the CPU only: on a GPU the host would
        wait in every step.
        """
        self.refuse_offsets(target)
        if self.targets_seen and not self.inverted_named:
            self.inverted_named = warn_of_inverted(self.entry.name, target, self.sides(target))

    def refuse_offsets(self, target: Tensor) -> None:
        """Raise if targets have no size too often to be boxes."""
        if self.targets_seen or len(target) < ENOUGH_ROWS:
            return
        self.targets_seen = True
        share = (self.sides(target) <= 0).any(-1).float().mean().item()
        if share >= SENSELESS_SHARE:
            raise SenselessSlot(
                f"{type(self).__name__}: {share:.0%} of {len(target)} targets have no width or height, so these are "
                "encoded offsets, not boxes. Set reg_decoded_bbox=True in this head, or use a coordinate loss "
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
    """Boxes or encoded offsets (n, 4) to one number per coordinate."""

    columns: ClassVar[int] = 4

    def compute(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        override: str | None,
    ) -> Tensor:
        """As the core's module, but coordinates of weight 0 are set to 0: an infinite one would become NaN."""
        _refuse_single_row(self.entry.name, pred, self.columns)
        if weight is not None:
            fit_weight(self.entry.name, weight, pred.shape)
            idle = (weight.unsqueeze(-1) if weight.dim() < pred.dim() else weight) == 0
            pred, target = pred.masked_fill(idle, 0), target.masked_fill(idle, 0)
        return self.call_core(pred, target, weight, avg_factor, override)


class ClassLoss(PluggedLoss):
    """Class scores to one number per score; heads read `use_sigmoid`, most of them from the config.

    Args:
        use_sigmoid: whether classes are scored one by one; only what the loss does anyway is allowed, and the config
            should say it, as heads choose their number of outputs by it.
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        **parameters: the loss's own.
    """

    def __init__(
        self,
        use_sigmoid: bool | None = None,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        *positional: Any,
        **parameters: Any,
    ) -> None:
        super().__init__(reduction, loss_weight, *positional, **parameters)
        self.use_sigmoid = "class_map" not in self.entry.targets
        if use_sigmoid not in (None, self.use_sigmoid):
            came = (
                f"use_sigmoid={shown(use_sigmoid)}, but this is a {'sigmoid' if self.use_sigmoid else 'softmax'} loss"
            )
            raise refusal(self.entry.name, came, self.use_sigmoid, _other_activation(self.entry.name, self.use_sigmoid))

    @property
    def activated(self) -> bool:
        """Whether predictions are probabilities already; heads read it."""
        return bool(self.loss.resolved().get("activated", False))

    def spec(self) -> dict[str, Any]:
        """As in `PluggedLoss`, with `use_sigmoid` for the head."""
        return {**super().spec(), "use_sigmoid": self.use_sigmoid}


def _other_activation(name: str, use_sigmoid: bool) -> str:
    """The remedy for a config that wants the other activation: the loss that has it, where there is one."""
    keep = f"set use_sigmoid={use_sigmoid}"
    other = OTHER_ACTIVATION.get(name)
    return f"use loss_plugins.{other} for use_sigmoid={not use_sigmoid}, or {keep}" if other else keep


def _refuse_single_row(where: str, pred: Tensor, columns: int) -> None:
    if pred.dim() < 2:
        remedy = "pass one row at least (pred[None])"
        raise refusal(where, f"pred has shape {tuple(pred.shape)}", f"rows (n, {columns})", remedy)


def _refuse_unknown(entry: Entry, parameters: dict[str, Any]) -> None:
    known = (*entry.parameters, "compile")
    unknown_names = [name for name in translated(entry.name, parameters) if name not in known]
    if unknown_names:
        given = ", ".join(f"{name}={shown(parameters.get(name))}" for name in unknown_names)
        remedy = (
            f"{closest(unknown_names[0], entry.parameters)} If this comes from a _base_ config, put _delete_=True "
            "beside 'type' to replace the base's loss as a whole"
        )
        raise refusal(entry.name, f"unknown parameter {given}", ", ".join(known), remedy, TypeError)
