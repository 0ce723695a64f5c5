"""How criteria compute their class loss: every form that is known, as the catalogue's loss that equals it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from loss_plugins import bce_with_logits_loss, cross_entropy_loss, focal_loss, varifocal_loss

#: logits, one target per score that is 1 or 0, and the quality of each, to one loss per score
Function = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ClassStock:
    """A form of the class loss.

    Attributes:
        name: as papers call it, with its parameters.
        function: of logits, labels and qualities, one loss per score; of softmax, (n, classes) logits and labels (n,)
            to one per row.
        softmax: exactly one class is true of a query, and the last one stands for no object; the sum is divided by the
            weights of the queries' classes instead of the number of objects.
        weights: the buffer of the criterion with the weight of each class, where it is a softmax.
    """

    name: str
    function: Callable[..., Tensor]
    softmax: bool = False
    weights: str = ""

    def weights_of(self, criterion: Any, like: Tensor) -> Tensor:
        """(classes,) the weights of the classes."""
        return getattr(criterion, self.weights).to(like)  # type: ignore[no-any-return]

    def soft(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss per score of soft targets, as gain="match" compares it."""
        return self.function(logits, (target > 0).to(target), target)


#: their weight of negatives is detached
DETACHED: dict[str, Any] = {"dialect": "transformers"}


def _focal(logits: Tensor, label: Tensor, quality: Tensor, alpha: float, gamma: float) -> Tensor:
    return focal_loss(logits, label, alpha=alpha, gamma=gamma)


def _bce(logits: Tensor, label: Tensor, quality: Tensor) -> Tensor:
    return bce_with_logits_loss(logits, label)


def _varifocal(logits: Tensor, label: Tensor, quality: Tensor, alpha: float, gamma: float) -> Tensor:
    loss: Tensor = varifocal_loss(logits, (label, quality), alpha=alpha, gamma=gamma, **DETACHED)
    return loss


def _sigmoid_varifocal(logits: Tensor, label: Tensor, quality: Tensor, alpha: float, gamma: float) -> Tensor:
    return varifocal_loss(logits, quality, alpha=1 - alpha, gamma=gamma)


def known_stocks(criterion: Any, classes: int) -> Iterator[ClassStock]:
    """The forms that a criterion of so many classes may have, with the parameters that it holds."""
    for name, buffer in _buffers(criterion):
        if buffer.shape == (classes + 1,):
            yield ClassStock("weighted cross-entropy", cross_entropy_loss, softmax=True, weights=name)
    alphas = _numbers(criterion, ("focal_alpha", "alpha"), 0.25)
    gammas = _numbers(criterion, ("gamma", "focal_gamma"), 2.0)
    for alpha, gamma in itertools.product(alphas, gammas):
        given: dict[str, Any] = {"alpha": alpha, "gamma": gamma}
        said = f"alpha={alpha:g}, gamma={gamma:g}"
        yield ClassStock(f"focal ({said})", partial(_focal, **given))
        yield ClassStock(f"varifocal ({said})", partial(_varifocal, **given))
        yield ClassStock(f"varifocal with 1 - alpha ({said})", partial(_sigmoid_varifocal, **given))
    yield ClassStock("binary cross-entropy", _bce)


def _buffers(criterion: Any) -> list[tuple[str, Tensor]]:
    return [(name, value) for name, value in criterion.named_buffers()] if hasattr(criterion, "named_buffers") else []


def _numbers(criterion: Any, names: tuple[str, ...], usual: float) -> list[float]:
    """The values of attributes that are numbers, and the usual one, each once."""
    found = [getattr(criterion, name, None) for name in names]
    numbers = [float(value) for value in found if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return list(dict.fromkeys([*numbers, usual]))


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
    if form.softmax:
        weights = form.weights_of(criterion, logits)[label.flatten()]
        total: Tensor = (form.function(logits.flatten(0, 1), label.flatten()) * weights).sum() / weights.sum()
        return total
    one_hot = (label[..., None] == torch.arange(logits.shape[-1], device=label.device)).to(logits)
    return form.function(logits, one_hot, quality[..., None] * one_hot).sum() / num_boxes
