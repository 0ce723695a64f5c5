"""Losses of class scores and of masks behind MMDetection's call contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from loss_plugins.catalog.entries import Entry
from loss_plugins.catalog.ranges import Interval, PerClass, check_value
from loss_plugins.errors import refusal, shown
from loss_plugins.module.arguments import entry_of
from loss_plugins.tensors import Target, without_class_axis

from .modules import PluggedLoss

CLASS_WEIGHT = PerClass(Interval(0))
#: types of labels
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

#: the losses that are sigmoid or softmax, and the class of the other one
OTHER_ACTIVATION = {
    "cross_entropy": "BCEWithLogitsLoss",
    "bce_with_logits": "CrossEntropyLoss",
    "softmax_focal": "FocalLoss",
    "focal": "SoftmaxFocalLoss",
    "asymmetric_softmax": "AsymmetricLoss",
    "asymmetric": "AsymmetricSoftmaxLoss",
}


class ScoreLoss(PluggedLoss):
    """Scores or masks; of masks with a channel per class, integer labels in place of the weight choose the channel."""

    def arranged(self, pred: Any, target: Any, weight: Any) -> tuple[Any, Any, Any]:
        """As in `PluggedLoss`."""
        if choose_channels(pred, target, weight):
            return *of_its_channel(pred, target, weight), None
        if self.entry.kind == "region" and _are_labels_of_one(pred, target):
            target = (target == 0).to(pred.dtype).unsqueeze(1)
        if isinstance(weight, Tensor) and isinstance(pred, Tensor):
            weight = _as_laid_out(weight, pred)
        return pred, target, weight


class ClassLoss(ScoreLoss):
    """Class scores to one number per score; heads read `use_sigmoid`, most of them from the config.

    Args:
        use_sigmoid: whether classes are scored one by one; only what the loss does anyway is allowed, and the config
            should say it, as heads choose their number of outputs by it.
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        class_weight: a number per class; of all but cross_entropy and nll it multiplies the weight of each row by that
            of the row's label, which is what Mask2Former and MaskFormer divide by. A label beyond it weighs 1.
        **parameters: the loss's own.
    """

    def __init__(
        self,
        use_sigmoid: bool | None = None,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        *positional: Any,
        class_weight: Sequence[float] | Tensor | None = None,
        **parameters: Any,
    ) -> None:
        own = {} if class_weight is None else {"class_weight": class_weight}
        of_rows = bool(own) and "class_weight" not in entry_of(type(self)).keywords
        super().__init__(reduction, loss_weight, *positional, **parameters, **({} if of_rows else own))
        self.label_weight: Tensor | None
        self.register_buffer("label_weight", self.weights(class_weight) if of_rows else None, persistent=False)
        self.use_sigmoid = uses_sigmoid(self.entry)
        self.said_use_sigmoid = use_sigmoid is not None
        if use_sigmoid not in (None, self.use_sigmoid):
            came = (
                f"use_sigmoid={shown(use_sigmoid)}, but this is a {'sigmoid' if self.use_sigmoid else 'softmax'} loss"
            )
            raise refusal(self.entry.name, came, self.use_sigmoid, _other_activation(self.entry.name, self.use_sigmoid))

    def weights(self, class_weight: Any) -> Tensor:
        """The numbers per class that the config gives a loss without such a parameter."""
        check_value(self.entry.name, "class_weight", class_weight, CLASS_WEIGHT, "write a list with a number per class")
        return torch.as_tensor(class_weight, dtype=torch.get_default_dtype())

    def arranged(self, pred: Any, target: Any, weight: Any) -> tuple[Any, Any, Any]:
        """As in `ScoreLoss`; rows weigh what their labels do."""
        if self.label_weight is not None:
            self.require_classes(pred, self.label_weight)
            weight = self.weight_of_rows(target, weight, self.label_weight)
        return super().arranged(pred, target, weight)

    def require_classes(self, pred: Any, numbers: Tensor) -> None:
        """Raise unless there is a number for each class of the scores, and perhaps one for the background."""
        if not isinstance(pred, Tensor) or pred.ndim < 2:
            return
        classes = self.classes_of(pred)
        if len(numbers) - classes in (0, 1):
            return
        came = f"class_weight has {len(numbers)} numbers, and pred {tuple(pred.shape)} has C = {classes} classes"
        allowed = "one number per class, and perhaps one for the background"
        raise refusal(self.entry.name, came, allowed, f"pass {classes} numbers, or {classes + 1}")

    def classes_of(self, pred: Tensor) -> int:
        """How many classes the scores are of."""
        return pred.shape[1]

    def weight_of_rows(self, target: Any, weight: Tensor | None, numbers: Tensor) -> Tensor:
        """The weight of each row, times the number of its label; quality losses have labels and scores for target."""
        labels = target[0] if isinstance(target, (tuple, list)) and target else target
        if not isinstance(labels, Tensor) or labels.dtype not in WHOLE:
            came = f"class_weight with the target {shown(target)}, which has no labels"
            raise refusal(self.entry.name, came, "integer labels", "take class_weight out", TypeError)
        known = (labels >= 0) & (labels < len(numbers))
        factors = torch.where(known, numbers[labels.long().clamp(0, len(numbers) - 1)], 1.0)
        if weight is None:
            return factors
        return weight * (factors if weight.ndim == factors.ndim else factors.unsqueeze(1))

    @property
    def activated(self) -> bool:
        """Whether predictions are probabilities already; heads read it."""
        return bool(self.loss.resolved().get("activated", False))

    def spec(self) -> dict[str, Any]:
        """As in `PluggedLoss`, with what the head reads or has set."""
        own = {} if self.label_weight is None else {"class_weight": self.label_weight.tolist()}
        return {**super().spec(), "use_sigmoid": self.use_sigmoid, **own}


class HeatmapLoss(ClassLoss):
    """A class loss of heatmaps, whose positives a head may name apart from the map."""

    def forward(
        self,
        pred: Tensor = None,  # type: ignore[assignment]
        target: Target = None,  # type: ignore[assignment]
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        pos_inds: Tensor | None = None,
        pos_labels: Tensor | None = None,
        **others: Any,
    ) -> Tensor:
        """As in `PluggedLoss`; with `pos_inds`, (m,) rows, and `pos_labels`, (m,) columns, these alone are positives.

        Each positive counts as often as it is named, and the map says only how near to one its other points are.
        """
        call = super().forward
        if pos_inds is None or pos_labels is None or not isinstance(target, Tensor):
            return call(pred, target, weight, avg_factor, reduction_override, **others)
        positives = pred[pos_inds, pos_labels].unsqueeze(1)
        near = call(positives, torch.ones_like(positives), None, avg_factor, reduction_override, **others)
        return near + call(pred, target, (target < 1).to(pred.dtype), avg_factor, reduction_override, **others)


def uses_sigmoid(entry: Entry) -> bool:
    """Whether a class loss scores classes one by one; one of a softmax takes no target for each of them."""
    return "class_map" not in entry.targets and not ("labels" in entry.targets and "dense" not in entry.targets)


def _other_activation(name: str, use_sigmoid: bool) -> str:
    """The remedy for a config that wants the other activation: the loss that has it, where there is one."""
    keep = f"set use_sigmoid={use_sigmoid}"
    other = OTHER_ACTIVATION.get(name)
    return f"use loss_plugins.{other} for use_sigmoid={not use_sigmoid}, or {keep}" if other else keep


def choose_channels(pred: Any, target: Any, weight: Any) -> bool:
    """Whether what came in place of the weight are labels, one for each of masks (n, C, ...) with targets (n, ...).

    Elsewhere heads may pass weights as integers.
    """
    if not all(isinstance(each, Tensor) for each in (pred, target, weight)) or weight.dtype not in WHOLE:
        return False
    masks = pred.ndim > 2 and target.is_floating_point() and target.shape == without_class_axis(pred)
    return bool(masks and weight.shape == pred.shape[:1])


def _are_labels_of_one(pred: Any, target: Any) -> bool:
    """Whether these are one score a row and labels, of which 0 is the class: as heads of one class write objectness."""
    if not isinstance(pred, Tensor) or not isinstance(target, Tensor) or target.dtype not in WHOLE:
        return False
    return pred.ndim == 2 and pred.shape[1] == 1 and target.shape == pred.shape[:1]


def of_its_channel(pred: Tensor, target: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The channel of each mask that its label chooses, and its target, both (n, 1, ...).

    Args:
        pred: (n, C, ...) a mask per class.
        target: (n, ...) the mask of the class.
        labels: (n,) which class.
    """
    chosen = pred[torch.arange(len(pred), device=pred.device), labels.long()]
    return chosen.unsqueeze(1), target.to(pred.dtype).unsqueeze(1)


def _as_laid_out(weight: Tensor, pred: Tensor) -> Tensor:
    """A weight that lists all elements of pred one after another, in pred's shape."""
    listed = weight.ndim == 1 and pred.ndim > 1 and weight.numel() == pred.numel() != len(pred)
    return weight.view(pred.shape) if listed else weight
