"""What stands in the graph of a function that was recorded while it ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx import Graph, Node

from loss_plugins.fusion import private
from loss_plugins.fusion.recorder import Described

Function = Callable[[Tensor], list[Tensor]]


def calls(graph: Graph, without: tuple[str, ...] = ("sym_size",)) -> list[Node]:
    return [node for node in graph.nodes if node.op == "call_function" and private.operation(node) not in without]


def for_any_size(function: Function, *shape: int | str) -> Graph:
    return private.recorded_for_any_size(function, [shape or ("n",)], [torch.empty(0)])[0]


def names(graph: Graph) -> list[str]:
    return [private.operation(node) or node.target.__name__ for node in calls(graph)]  # type: ignore[union-attr]


def test_a_value_is_described_as_it_was_before_its_shape_was_changed_in_place() -> None:
    graph = private.record(lambda x: [(x + 1).unsqueeze_(0).double()], [torch.rand(3)])
    assert names(graph) == ["add", "unsqueeze", "_to_copy"]
    found = [node.meta["val"] for node in calls(graph)]
    shapes = [((3,), torch.float32), ((1, 3), torch.float32), ((1, 3), torch.float64)]
    assert found == [Described(*each) for each in shapes]


def test_each_of_several_results_is_a_value_and_one_changed_in_place_stands_for_what_it_became() -> None:
    def function(x: Tensor) -> list[Tensor]:
        value, index = x.exp().max(0)
        loss = x.sin().mul_(value)
        return [loss, index]

    graph = private.record(function, [torch.rand(3, 2)])
    assert names(graph) == ["exp", "max", "getitem", "getitem", "sin", "mul"]
    largest, product = calls(graph)[1], calls(graph)[-1]
    assert largest.meta["val"] == [Described((2,), torch.float32), Described((2,), torch.int64)]
    (results,) = next(node for node in graph.nodes if node.op == "output").args
    assert results == [product, calls(graph)[3]]
    assert [node.args[1] for node in calls(graph)[2:4]] == [0, 1]


SIZES: dict[str, tuple[Callable[[Tensor], Any], list[str]]] = {
    "own": (lambda x: x.shape[0], ["new_zeros"]),
    "number": (lambda x: x.shape[0] - x.shape[0] + 3, ["new_zeros"]),
    "product": (lambda x: x.shape[0] * x.shape[1] * 2, ["prod", "new_zeros"]),
    "of another": (lambda x: torch.cat([x, x]).shape[0], ["cat", "prod", "new_zeros"]),
    "halved and doubled": (lambda x: x.shape[0] * 2 // 2, ["new_zeros"]),
    "quotient": (lambda x: x.shape[0] // 2, ["computed", "new_zeros"]),
    "sum": (lambda x: x.shape[0] + 1, ["computed", "new_zeros"]),
}


@pytest.mark.parametrize("size", SIZES)
def test_a_size_stands_there_as_what_it_is(size: str) -> None:
    ask, wanted = SIZES[size]
    graph = for_any_size(lambda x: [x.new_zeros(ask(x))], "n", "m")
    assert names(graph) == wanted
    assert [private.is_size(node) for node in calls(graph)] == [name in ("prod", "computed") for name in wanted]


def test_a_tensor_made_of_a_number_is_a_constant_that_may_be_read() -> None:
    def function(x: Tensor) -> list[Tensor]:
        return [x * torch.tensor(3.0).item()]

    for graph in (private.record(function, [torch.rand(3)]), for_any_size(function)):
        assert names(graph) == ["lift_fresh_copy", "mul"]
        assert calls(graph)[-1].args[1] == 3.0
        assert [node.meta["val"] for node in graph.nodes if node.op == "get_attr"] == [Described((), torch.float32)]


@pytest.mark.parametrize("of", [lambda x: x, lambda x: torch.tensor(1.0) + x, lambda x: torch.tensor(0.0).add_(x)])
def test_a_number_of_an_input_may_not_be_read(of: Callable[[Tensor], Tensor]) -> None:
    def function(x: Tensor) -> list[Tensor]:
        return [x * of(x.sum()).item()]

    with pytest.raises(RuntimeError, match=r"_local_scalar_dense.* reads a number in a tensor"):
        private.record(function, [torch.rand(3)])


OF_UNKNOWN: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.sum(),
    lambda x: x.sum() + torch.tensor(1.0),
    lambda x: torch.ones(2)[1],
    lambda x: torch.tensor([2.0, 3.0])[1],
]


@pytest.mark.parametrize("of", OF_UNKNOWN)
def test_without_numbers_it_is_seen_that_one_is_read(of: Callable[[Tensor], Tensor]) -> None:
    assert "_local_scalar_dense" in names(for_any_size(lambda x: [x * of(x).item()]))
