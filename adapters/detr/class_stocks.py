"""How criteria compute their class loss: every form that is known, as the catalogue's loss that equals it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from loss_plugins import build_loss

from .asked import of_quality


@dataclass(frozen=True)
class ClassStock:
    """A form of the class loss.

    Attributes:
        name: as papers call it, with its parameters.
        spec: the loss of the catalogue that equals it.
        softmax: exactly one class is true of a query, and the last one stands for no object; the sum is divided by the
            weights of the queries' classes instead of the number of objects.
        weights: the buffer of the criterion with the weight of each class, where it is a softmax.
        lowest: the quality of a pair without overlap: above 0 it is still positive.
    """

    name: str
    spec: Mapping[str, Any]
    softmax: bool = False
    weights: str = ""
    lowest: float = torch.finfo(torch.float32).tiny

    def weights_of(self, criterion: Any, like: Tensor) -> Tensor:
        """(classes,) the weights of the classes."""
        return getattr(criterion, self.weights).to(like)  # type: ignore[no-any-return]


def known_stocks(criterion: Any, classes: int) -> Iterator[ClassStock]:
    """The forms that a criterion of so many classes may have, with the parameters that it holds."""
    for name, buffer in _buffers(criterion):
        if buffer.shape == (classes + 1,):
            yield ClassStock("weighted cross-entropy", {"type": "cross_entropy"}, softmax=True, weights=name)
    alphas = _numbers(criterion, ("focal_alpha", "alpha"), 0.25)
    gammas = _numbers(criterion, ("gamma", "focal_gamma"), 2.0)
    yield from _matched_alone(criterion, alphas, gammas)
    for alpha, gamma in itertools.product(alphas, gammas):
        given, said = {"alpha": alpha, "gamma": gamma}, f"(alpha={alpha:g}, gamma={gamma:g})"
        if alpha <= 1:
            yield ClassStock(f"focal {said}", {"type": "focal", **given})
            other = {"type": "varifocal", **given, "alpha": 1 - alpha}
            yield ClassStock(f"varifocal with 1 - alpha {said}", other, lowest=0.0)
        yield ClassStock(f"varifocal {said}", {"type": "varifocal", **given, "detach_weight": True})
    yield ClassStock("binary cross-entropy", {"type": "bce_with_logits"})


def _matched_alone(criterion: Any, alphas: list[float], gammas: list[float]) -> Iterator[ClassStock]:
    """The forms in which a match counts in full whatever its quality."""
    for alpha in (alpha for alpha in alphas if alpha <= 1):  # of IA-BCE, a share; its gamma is 2 everywhere
        yield ClassStock(f"IA-BCE (alpha={alpha:g}, gamma=2)", {"type": "ia_bce", "alpha": alpha})
    weight = getattr(criterion, "mal_alpha", None)
    said = "" if weight is None else f", alpha={weight:g}"
    for gamma in gammas:
        spec = {"type": "matchability", "gamma": gamma, "alpha": weight}
        yield ClassStock(f"matchability (gamma={gamma:g}{said})", spec)


def _buffers(criterion: Any) -> list[tuple[str, Tensor]]:
    return list(criterion.named_buffers()) if hasattr(criterion, "named_buffers") else []


def _numbers(criterion: Any, names: tuple[str, ...], usual: float) -> list[float]:
    """The values of attributes that a focal loss takes, and the usual one, each once."""
    found = [getattr(criterion, name, None) for name in names]
    numbers = [float(value) for value in found if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return [value for value in dict.fromkeys([*numbers, usual]) if 0 <= value <= 10]


def stock_value(
    form: ClassStock, criterion: Any, logits: Tensor, label: Tensor, quality: Tensor, num_boxes: float
) -> Tensor:
    """The class loss of one layer in that form, as the criterion reduces it.

    Args:
        form: the form.
        criterion: whose weights it takes.
        logits: (b, queries, channels).
        label: (b, queries) classes, with the number of classes where there is no object.
        quality: (b, queries) IoU of matched boxes, 0 elsewhere.
        num_boxes: how many objects there are.
    """
    loss = build_loss(form.spec, reduction="none")
    rows = logits.flatten(0, 1)
    if form.softmax:
        weights = form.weights_of(criterion, logits)[label.flatten()]
        total: Tensor = (loss.elementwise(rows, label.flatten()) * weights).sum() / weights.sum()
        return total
    target = (label[..., None] == torch.arange(logits.shape[-1], device=label.device)).to(logits)
    if of_quality(loss):
        target = target * quality.clamp(min=form.lowest)[..., None]
    return loss.elementwise(rows, target.flatten(0, 1)).sum() / num_boxes
