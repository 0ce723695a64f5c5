"""What class losses share: logarithms of bounded slope, numbers per class, labels with scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Effect, Traits
from ..catalog.ranges import Choice, Interval, PerClass
from ..tensors import dense, softmax_axis

Exponent = Annotated[float, Interval(0, 10)]
Share = Annotated[float | None, Interval(0, 1)]
ClassWeight = Annotated[Sequence[float] | Tensor | None, PerClass(Interval(0))]
Activated = Annotated[bool, Choice(False, True), Effect(scale="probabilities")]
LabelScore = Tensor | tuple[Tensor, Tensor]
DOCS = "https://pytorch.org/docs/stable/generated/torch.nn."
#: probabilities below it do not steepen a logarithm any more: gradients stay below 5e3
SLOPE_FLOOR = 2e-4
#: the traits of a loss on scores: there are no boxes to scale or shift
SCORES = Traits(scale_invariant=False, translation_invariant=False)
UNEQUAL = Traits(scale_invariant=False, translation_invariant=False, zero_at_equality=False)


def label_and_score(pred: Tensor, target: LabelScore) -> tuple[Tensor, Tensor]:
    """Which classes are positive, and with what quality, both in pred's shape."""
    if isinstance(target, Tensor):
        score = dense(pred, target)
        return (score > 0).to(pred.dtype), score
    label = dense(pred, target[0])
    score = target[1] if target[1].shape == pred.shape else target[1].unsqueeze(-1)
    return label, label * score if target[1].shape != pred.shape else score.to(pred.dtype)


def bounded_log(x: Tensor, offset: float = 0.0, floor: float = SLOPE_FLOOR) -> Tensor:
    """ln x, at least -100 as in torch, with a slope of at most 1 / floor."""
    small = x < floor
    inside = torch.where(small, torch.ones_like(x), x)
    at = x.detach()
    line = (at.clamp(min=0) + offset).log().clamp(min=-100) + (x - at) / floor
    return torch.where(small, line, (inside + offset).log())


def binary_cross_entropy(pred: Tensor, target: Tensor, activated: bool) -> Tensor:
    """Of logits, or of probabilities."""
    if not activated:
        return functional.binary_cross_entropy_with_logits(pred, target, reduction="none")
    return -(target * bounded_log(pred) + (1 - target) * bounded_log(1 - pred))


def per_class(values: Sequence[float] | Tensor | float, pred: Tensor) -> Tensor:
    """Numbers per class on pred's device, in its dtype."""
    if isinstance(values, Tensor):
        return values.to(pred)
    return torch.tensor(values, dtype=pred.dtype, device=pred.device)


def share(target: Tensor, alpha: float | None) -> Tensor | float:
    """alpha for positives, 1 - alpha for negatives, in between for soft targets."""
    return 1.0 if alpha is None else alpha * target + (1 - alpha) * (1 - target)


def picked(values: Tensor, labels: Tensor) -> Tensor:
    """The value of each row's label; rows with a label that is no class take some class's, for others to mask."""
    axis = softmax_axis(values)
    index = labels.clamp(0, values.shape[axis] - 1).unsqueeze(axis)
    return values.gather(axis, index).squeeze(axis)


def samples(pred: Tensor, target: Any, **_: Any) -> Tensor:
    """How many rows there are: what losses that sum over classes divide by."""
    return torch.tensor(float(max(pred.shape[:-1].numel(), 1)), dtype=pred.dtype, device=pred.device)
