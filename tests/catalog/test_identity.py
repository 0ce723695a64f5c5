"""What tells the functions of losses apart: code, defaults, and what they take from around them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from loss_plugins.catalog.identity import identity_of

Function = Callable[..., Tensor]


class Setting:
    """What a loss of one's own may close over."""

    def __init__(self, value: float, *others: float) -> None:
        self.value, self.others = value, others


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = value


def power(x: Tensor, k: float) -> Tensor:
    return x**k


def closing_over(value: Any) -> Function:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs().sum(-1) * len(str(value))

    return own


def named(*names: str) -> Function:
    """A function that takes the second of two keywords from the first: which is which is told by their order."""
    text = f"def own(pred, target, *, {', '.join(names)}):\n    return {' - '.join(names)}"
    scope: dict[str, Any] = {"__name__": __name__}
    exec(text, scope)
    own: Function = scope["own"]
    return own


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([1.0]), np.array([100.0])),
        (np.array([1, 2]), np.array([[1, 2]])),
        (np.float32(1), np.float32(2)),
        (functools.partial(power, k=1), functools.partial(power, k=2)),
        (functools.partial(power, 1), functools.partial(power, 2)),
        (Setting(1), Setting(2)),
        (Setting(1, 2, 3), Setting(1, 3, 2)),
        ([{"a": Setting(1)}], [{"a": Setting(2)}]),
        (Slotted(1), Slotted(2)),
        (nn.Linear(1, 1), nn.Linear(1, 1)),
        (torch.tensor([1.0]), torch.tensor([2.0])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_function_takes_from_around_it_tells_it_apart(one: Any, other: Any) -> None:
    mine, equal, different = (identity_of([closing_over(value)]) for value in (one, copy.deepcopy(one), other))
    assert mine.same_as(equal)
    assert not mine.same_as(different)


def test_the_names_of_arguments_tell_functions_apart() -> None:
    assert identity_of([named("a", "b")]).same_as(identity_of([named("a", "b")]))
    assert not identity_of([named("a", "b")]).same_as(identity_of([named("b", "a")]))


class Node:
    """Holds on to others."""

    def __init__(self, *others: Any) -> None:
        self.others = others


def of_node(node: Node) -> Any:
    def loss(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs().sum(-1) * len(node.others)

    return loss


def test_a_function_that_holds_on_to_much_is_told_in_a_moment() -> None:
    """Each node is reached in 2^60 ways through the two of its predecessor; the last one makes a difference."""
    digests = []
    for last in (1.0, 1.0, 2.0):
        node = Node(last)
        for _ in range(60):
            node = Node(node, node)
        digests.append(identity_of([of_node(node)]).digest)
    assert digests[0] == digests[1] != digests[2]


def test_a_function_that_holds_on_to_a_training_is_told_by_what_is_near() -> None:
    """Of more nodes than are told, those beyond make no difference; what the function itself holds does."""

    def of(rows: Node, factor: float) -> Any:
        return lambda pred, target: (pred - target).abs().sum(-1) * len(rows.others) * factor

    rows, others = (Node(*(Node(Node(float(each))) for each in range(40_000)), last) for last in (1.0, 2.0))
    near = [identity_of([of(*given)]).digest for given in ((rows, 1.0), (rows, 1.0), (rows, 2.0), (others, 1.0))]
    assert near[0] == near[1]
    assert len({*near}) == 3


@pytest.mark.parametrize("size", [3, 60_000, 250_000])
def test_tables_are_told_by_all_their_numbers(size: int) -> None:
    """In one word each, so that no table hides what stands beside it."""
    kinds = [torch.arange(float(size)), list(range(size)), tuple(map(float, range(size)))]
    for table in kinds:
        changed = copy.deepcopy(table) if not isinstance(table, tuple) else (*table[:-1], -1.0)
        if not isinstance(table, tuple):
            changed[-1] = -1
        digests = [identity_of([closing_over((each, z))]).digest for each, z in ((table, 1), (table, 2), (changed, 1))]
        assert len({*digests}) == 3
        assert identity_of([closing_over((copy.deepcopy(table), 1))]).digest == digests[0]
