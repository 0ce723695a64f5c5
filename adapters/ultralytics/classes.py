# SPDX-License-Identifier: AGPL-3.0-or-later
"""Class losses with one number per class: how many classes they are for, found out by trying."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from loss_plugins import Loss
from loss_plugins.catalog.ranges import PerClass
from loss_plugins.errors import refusal

#: a loss that takes both of these takes any number of classes
ANY = (4, 5)


def classes_of(loss: Loss) -> int | None:
    """The number of classes that a loss has numbers for, or was told; None: it takes any number of classes."""
    told = (each.resolved().get("num_classes") for each in loss.modules() if isinstance(each, Loss))
    known: int | None = next(filter(None, told), None)
    if known is not None:
        return known
    loss = copy.deepcopy(loss).eval()  # what it is tried on teaches it nothing
    if all(_takes(loss, count) for count in ANY):
        return None
    tried = (count for count in sorted(set(_lengths(loss.spec()))) if _takes(loss, count))
    said = (count for *_, count in _numbers(loss))  # of a loss that takes no rows, as of regions
    return next(itertools.chain(tried, said), None)


def require_classes(loss: Loss, known: int | None, classes: int, model: str) -> None:
    """Raise unless a loss can be computed on the scores of a model.

    Args:
        loss: the loss.
        known: what `classes_of` says of it.
        classes: of the model.
        model: what the model is called in the error.

    Raises:
        ValueError: it has numbers for another count.
    """
    if known is not None and known != classes:
        where, key = _place(loss, known)
        came = f"it has one number for each of {known} classes, and {model} has {classes}"
        if key:
            came = f"{key} has {known} numbers, and {model} has {classes} classes"
        raise refusal(where, came, f"{classes} numbers", "give one number per class of the data, in its order")


def _place(loss: Loss, count: int) -> tuple[str, str]:
    """The loss, of a mix the member, and its parameter that has so many numbers, one each; "": none has."""
    places = ((where, key) for where, key, numbers in _numbers(loss) if numbers == count)
    return next(places, (loss.entry.name, ""))


def _numbers(loss: Loss) -> Iterator[tuple[str, str, int]]:
    """The losses in a loss, their parameters that have one number per class, and how many."""
    for part in (part for part in loss.modules() if isinstance(part, Loss)):
        given = part.resolved()
        for name, parameter in part.entry.parameters.items():
            numbers = given.get(name)
            if isinstance(parameter.allowed, PerClass) and isinstance(numbers, list):
                yield part.entry.name, name, len(numbers)


def _takes(loss: Loss, count: int) -> bool:
    scores = torch.zeros(2, count)
    labelled = loss.entry.targets and "dense" not in loss.entry.targets
    target = torch.zeros(2, dtype=torch.int64) if labelled else torch.full_like(scores, 0.5)
    try:
        loss.elementwise(scores, target)
    except (ValueError, RuntimeError):
        return False
    return True


def _lengths(spec: Mapping[str, Any]) -> Iterator[int]:
    for value in spec.values():
        if isinstance(value, (list, tuple)):
            yield len(value)
            for each in value:
                if isinstance(each, Mapping):
                    yield from _lengths(each)
