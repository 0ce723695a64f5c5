"""What the catalogue does for losses whose functions know nothing of it: labels to ignore, classes to weigh, smoothing.

A function that takes one of these keywords itself, as cross-entropy does, keeps its own meaning of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import refusal
from ..labels import IGNORED, Given, IgnoreIndex, per_class
from ..tensors import BETWEEN_BINS, dense, raised
from .declare import LABELS, Kind, Parameter, Traits
from .dialects import dialect_rules
from .entry import Entry
from .ranges import Choice, Integers, Interval, PerClass

IGNORE_INDEX = Parameter(
    "ignore_index",
    IGNORED,
    Integers(),
    optional=True,
    meaning='label of rows that cost 0, have no gradient and do not count in "mean"; one number or several.',
    hint=IgnoreIndex,
)
CLASS_WEIGHT = Parameter(
    "class_weight",
    None,
    PerClass(Interval(0), single=True),
    optional=True,
    meaning="factor on the scores of a class, or on the rows that are labelled so: one number, or one per class.",
    hint=Sequence[float] | Tensor | float | None,
)
LABEL_SMOOTHING = Parameter(
    "label_smoothing",
    0.0,
    Interval(0, 1),
    meaning="share s of the target that is spread over yes and no: a target y becomes (1 - s) y + s / 2.",
    hint=float,
)
COUNT_IGNORED = Parameter(
    "count_ignored",
    None,
    Choice(False, True),
    optional=True,
    meaning='whether "mean" counts what is ignored; None: as the dialect does, and without one it does not.',
    hint=bool | None,
)
#: scales of predictions that are one number per class
OF_CLASSES = ("logits", "probabilities", "log_probabilities")


def offered(name: str, kind: Kind, forms: tuple[str, ...], traits: Traits, told: bool) -> Iterator[Parameter]:
    """The keywords that a loss gets from the catalogue.

    Args:
        name: of the loss.
        kind: of the loss.
        forms: of its targets.
        traits: what it promises.
        told: its function is told what is left out.
    """
    labelled = bool(LABELS.intersection(forms))
    if kind == "classification" or (labelled and told):
        yield IGNORE_INDEX
    if any(keyword.to == COUNT_IGNORED.name for rule in dialect_rules(name) for keyword in rule.names.values()):
        yield COUNT_IGNORED
    if kind != "classification" or BETWEEN_BINS.intersection(forms) or traits.scale not in OF_CLASSES:
        return
    yield CLASS_WEIGHT
    if {"labels", "dense"}.issubset(forms) and "label_score" not in forms:  # with qualities, 0 says what is negative
        yield LABEL_SMOOTHING


#: the keywords that are applied around the function
AROUND = (CLASS_WEIGHT.name, LABEL_SMOOTHING.name)


def applied(entry: Entry, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the parameters that are applied around the function of a loss, if they ask for anything."""
    own = {name: parameters.get(name) for name in AROUND if name not in entry.keywords and name in entry.parameters}
    return {name: value for name, value in own.items() if value is not None and (name != "label_smoothing" or value)}


def smoothed(given: Given, asked: Mapping[str, Any]) -> Given:
    """The target with a share of it spread over yes and no, in float32 at least."""
    share = asked.get("label_smoothing")
    if share is None:
        return given
    pred, target = raised(given.pred, given.target)
    assert isinstance(target, Tensor)  # losses of tuples are not offered it
    return Given(pred, dense(pred, target) * (1 - share) + share / 2, given.ignored)


def weighed(entry: Entry, loss: Tensor, given: Given, asked: Mapping[str, Any]) -> Tensor:
    """The loss times the weights of the classes, along the class axis or by the labels of the rows."""
    if "class_weight" not in asked:
        return loss
    weight = weight_of(entry, given, asked["class_weight"], per_row=loss.ndim < given.pred.ndim)
    return loss * weight.to(loss.dtype)


def weight_of(entry: Entry, given: Given, class_weight: Any, per_row: bool) -> Tensor:
    """The weights of the classes, shaped to lie along the class axis; `per_row`: that of the label of each row."""
    pred = given.pred if given.pred.dtype == torch.float64 else given.pred.float()
    numbers = per_class(entry.name, "class_weight", class_weight, pred, aligned=not per_row)
    if not per_row or numbers.ndim == 0:
        return numbers
    labels = given.target if isinstance(given.target, Tensor) else given.target[0]
    if labels.is_floating_point() or labels.ndim == pred.ndim:
        came = f"class_weight with a target of shape {tuple(labels.shape)} and one loss per row"
        raise refusal(entry.name, came, "labels, which tell whose weight it is", "pass labels, or leave it out")
    background = "labels" in entry.targets  # whose rows cost nothing, and are not counted
    return (torch.cat([numbers, numbers.new_zeros(1)]) if background else numbers)[labels]


def weights_met(
    entry: Entry, given: Given, loss: Tensor, asked: Mapping[str, Any], divisor: Tensor | None
) -> Tensor | None:
    """What "mean" divides by: of one loss per row the sum of the weights of the labels that count, else as before."""
    if "class_weight" not in asked or loss.ndim == given.pred.ndim:
        return divisor
    weight = weight_of(entry, given, asked["class_weight"], per_row=True)
    total = given.silenced(weight.expand(loss.shape)).sum().to(loss.dtype)
    return total.masked_fill(total == 0, 1.0)
