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


# --- bringing our result into the shape of theirs --------------------------------------------------------------------


def unchanged(loss: Tensor) -> Tensor:
    """For losses that have the shape of ours."""
    return loss


def over_sides(loss: Tensor) -> Tensor:
    """For losses that are averaged over the four sides of a box."""
    return loss.view(-1, 4).mean(-1, keepdim=True)
