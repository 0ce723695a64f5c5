"""How other packages' losses are called: their object and its parameters become a function of pred and target."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

LossCall = Callable[[Tensor, Any], Tensor]
#: their object and its parameters, to a loss of pred and target
CallForm = Callable[[Any, Mapping[str, Any]], LossCall]


# --- calling theirs --------------------------------------------------------------------------------------------------


def reduced(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module class, built with its parameters, or a function; with the reduction that is its default."""
    built: LossCall = place(**parameters) if isinstance(place, type) else functools.partial(place, **parameters)
    return built


def per_element(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module class or a function, with reduction="none"."""
    return reduced(place, {**parameters, "reduction": "none"})


def similarity_column(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """1 minus a similarity, in the shape of the similarity, (n, 1)."""
    return lambda pred, target: 1.0 - place(pred, target, **parameters)


def similarity(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """1 minus a similarity of shape (n, 1), as a loss of shape (n,)."""
    return lambda pred, target: 1 - place(pred, target, **parameters).squeeze(-1)


def score_before_label(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module of (pred, score, label); our target is (label, score)."""
    loss = place(**parameters)
    return lambda pred, target: loss(pred, target[1], target[0])


def all_counted(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module of (pred, target, weight), with weight 1 for every score."""
    loss = place(**parameters)
    return lambda pred, target: loss(pred, target, torch.ones_like(pred))


def class_part(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """The part of the classes of a module whose scores have two more columns, of a loss of their own."""
    loss = place(**parameters)
    return lambda pred, target: loss(torch.cat([pred, pred.new_zeros(len(pred), 2)], 1), target)["loss_cls_classes"]


def four_sides(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module of the distances of a box's four sides; they are copied, as it changes its target in place."""
    loss = place(**parameters)
    return lambda pred, target: loss(pred, target.clone().view(-1, 4))


def second_input(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module of two inputs and a target; our target is (second input, target)."""
    loss = per_element(place, parameters)
    return lambda pred, target: loss(pred, *target)


def label_column(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A loss of shape (n, classes) that is 0 in every column but the label's, summed over the columns."""
    loss = per_element(place, parameters)
    return lambda pred, target: loss(pred, target).sum(1)


def weights_third(place: Any, parameters: Mapping[str, Any]) -> Callable[..., Tensor]:
    """GHMC: the third argument says which scores count, and must be there."""
    loss = place(**parameters)

    def call(pred: Tensor, target: Tensor, weight: Tensor | None = None, **said: Any) -> Tensor:
        # integers, as its heads pass them; floats would do
        counted = torch.ones_like(target, dtype=pred.dtype) if weight is None else weight
        return loss(pred, target, counted, **said)  # type: ignore[no-any-return]

    return call


def signed(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module of two inputs and a target, with any reduction; our target is (second input, target)."""
    loss = place(**parameters)
    return lambda pred, target: loss(pred, *target)


def over_labels(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module that returns a map (n, C, ...) for "none", which is 0 but for the label's channel: the sum over it."""
    loss = place(**parameters)

    def call(pred: Tensor, target: Tensor) -> Tensor:
        value: Tensor = loss(pred, target)
        return value.sum(1) if value.ndim else value

    return call


def by_label(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module of masks (n, C, ...) of which labels choose the channel: of one channel, which all labels choose."""
    loss = place(**parameters)
    return lambda pred, target: loss(pred.unsqueeze(1), target, torch.zeros(len(pred), dtype=torch.int64)).reshape(())


#: rows of boxes of which a matrix of all pairs is made at a time
BLOCK = 64


def diagonal(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """1 minus the diagonal of a matrix of similarities, in blocks, as the matrix of all rows would fill the memory."""

    def call(pred: Tensor, target: Tensor) -> Tensor:
        blocks = zip(torch.split(pred, BLOCK), torch.split(target, BLOCK), strict=True)
        return torch.cat([1 - place(*pair, **parameters).diagonal() for pair in blocks])

    return call


#: what our mean adds to `avg_factor`
ADDED = torch.finfo(torch.float32).eps


def over_boxes(place: Any, parameters: Mapping[str, Any]) -> Callable[..., Tensor]:
    """A mean over axis 1, the queries, summed and divided by a number of boxes: by one, or by `avg_factor`.

    Its "sum", and what `avg_factor` divides, is what criteria make of it: times the number of queries.
    """
    given = dict(parameters)
    reduction = given.pop("reduction", "mean")

    def call(pred: Tensor, target: Tensor, avg_factor: float | None = None) -> Tensor:
        loss: Tensor = place(pred, target, 1.0 if avg_factor is None else avg_factor + ADDED, **given)
        return loss if reduction == "mean" and avg_factor is None else loss * pred.shape[1]

    return call


def over_masks(place: Any, parameters: Mapping[str, Any]) -> Callable[..., Tensor]:
    """A sum over masks, of which the target is flat, divided by a number: by how many there are, or by `avg_factor`.

    Its "sum" is divided by one.
    """
    given = dict(parameters)
    count = given.pop("reduction", "mean") == "mean"

    def call(pred: Tensor, target: Tensor, avg_factor: float | None = None) -> Tensor:
        masks = len(pred) if count else 1
        loss: Tensor = place(pred, target.flatten(1), masks if avg_factor is None else avg_factor + ADDED, **given)
        return loss

    return call


# --- bringing our result into the shape of theirs --------------------------------------------------------------------


def unchanged(loss: Tensor) -> Tensor:
    """For losses that have the shape of ours."""
    return loss


def over_sides(loss: Tensor) -> Tensor:
    """For losses that are averaged over the four sides of a box."""
    return loss.view(-1, 4).mean(-1, keepdim=True)


def over_classes_of_map(loss: Tensor) -> Tensor:
    """The mean over rows and classes of a loss that is summed over the classes, of which the inputs have 4."""
    return loss.mean() / 4
