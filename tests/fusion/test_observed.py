"""A loss is fused only where nothing but the numbers in its tensors matters: no size, no place in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.fusion import private
from loss_plugins.fusion.native import Native
from loss_plugins.samples import sample_pairs

from .own import is_fused, long, registered, same_by_both


def far(pred: Tensor, target: Tensor) -> Tensor:
    """A distance, long enough for a program: one number per row, or per element of one axis."""
    distance = (pred - target).abs()
    return long(distance.sum(-1) if pred.ndim > 1 else distance)


def each(pred: Tensor, target: Tensor) -> Tensor:
    """The same for every element."""
    return long((pred - target).abs())


def swallowed(pred: Tensor) -> float:
    """What a size is for a loss that falls back to another one."""
    try:
        return float(torch.ones(pred.size(0)).cumsum(0)[-1] > 100)
    except Exception:
        return 0.0


class Scaled(torch.autograd.Function):
    """A gradient of one's own that depends on a size."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * (1 + gradient.shape[0] // 1000)


#: numbers of a size that are the same for a few dozen rows and other ones for thousands
OF_SIZES: dict[str, Callable[[Tensor], Any]] = {
    "floor": lambda pred: 1 + pred.shape[0] // 1000,
    "ceiling": lambda pred: (pred.size(0) + 999) // 1000,
    "remainder": lambda pred: 1 + (pred.shape[0] // 1000) % 2,
    "shift": lambda pred: 1 + (pred.shape[0] >> 10),
    "numel": lambda pred: 1 + pred.numel() // 100_000,
    "len": lambda pred: 1 + len(pred) // 1000,
    "min": lambda pred: max(pred.shape[0], 1000),
    "sym_max": lambda pred: torch.sym_max(pred.shape[0], 1000),
    "fraction": lambda pred: 2 - 1 / (1 + pred.shape[0] // 1000),
    "root": lambda pred: round(math.log10(pred.shape[0]) / 3),
    "string": lambda pred: len(f"{pred.shape[0]:06}".lstrip("0")) > 3,
    "product": lambda pred: 1 + math.prod(pred.shape) // 100_000,
    "tensor": lambda pred: pred.new_full((), pred.shape[0]).clamp(min=1000),
    "counted": lambda pred: torch.ones(1, pred.shape[0]).sum(1).clamp(min=1000),
    "counted twice": lambda pred: torch.ones(2 * pred.shape[0]).sum().clamp(min=10_000),
    "last index": lambda pred: torch.arange(pred.shape[0]).amax().clamp(min=1000),
    "swallowed": swallowed,
}


@pytest.mark.parametrize("shape", [(4000, 4), (2000, 50, 4)])
@pytest.mark.parametrize("number", OF_SIZES)
def test_boxes_whose_loss_computes_with_a_size(number: str, shape: tuple[int, ...]) -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return far(pred, target) * OF_SIZES[number](pred)

    not_fused(own, "box", shape)


@pytest.mark.parametrize("shape", [(30_000,), (4000, 3), (2000, 5, 20)])
@pytest.mark.parametrize("number", ["floor", "shift", "numel", "tensor", "counted twice"])
def test_scores_whose_loss_computes_with_a_size(number: str, shape: tuple[int, ...]) -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return each(pred, target) * OF_SIZES[number](pred)

    not_fused(own, "coordinate" if shape[-1] == 4 else "classification", shape)


def test_scores_whose_loss_computes_with_the_number_of_classes() -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return each(pred, target) * (1 + pred.shape[-1] // 50)

    not_fused(own, "classification", (20, 80))


def test_a_gradient_that_computes_with_a_size() -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return far(Scaled.apply(pred), target)  # type: ignore[no-untyped-call]

    not_fused(own, "box", (4000, 4))


def test_a_tensor_of_a_size_that_was_computed() -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        pred.new_zeros(1 + pred.shape[0] // 1000)
        return far(pred, target)

    not_fused(own, "box", (4000, 4), "what it does depends on a size (add)")


def not_fused(own: Callable[..., Tensor], kind: str, shape: tuple[int, ...], why: str = "") -> None:
    generator = torch.Generator().manual_seed(0)
    with registered(own, kind) as name:
        module = lp.build_loss(name, reduction="none")
        for rows in (8, shape[0]):
            pred, target = torch.rand(2, rows, *shape[1:], generator=generator).unbind()
            same_by_both(module, pred, target)
            assert why in (module.why_not_fused(pred.requires_grad_(), target) or "")
            assert not is_fused(module, pred, target)


#: what a tensor may tell beside its numbers, which differs between tensors of the same numbers
OF_MEMORY: dict[str, Callable[[Tensor], Any]] = {
    "is_contiguous": lambda pred: 1 if pred.is_contiguous() else 3,
    "stride": lambda pred: pred.stride(-1),
    "strides": lambda pred: pred.stride()[0],
    "storage_offset": lambda pred: 1 + pred.storage_offset(),
    "data_ptr": lambda pred: 1 + (pred.data_ptr() > 0),
    "untyped_storage": lambda pred: max(pred.untyped_storage().nbytes(), 1 << 20),
    "as_strided": lambda pred: pred.detach().as_strided(pred.shape, (4, 1)).sum(-1),
    "is_leaf": lambda pred: 1 if pred.is_leaf else 3,
    "grad_fn": lambda pred: 1 if pred.grad_fn is None else 3,
    "_version": lambda pred: 1 + pred._version,
}


@pytest.mark.parametrize("asks", OF_MEMORY)
def test_a_loss_that_asks_where_its_tensors_lie(asks: str) -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return far(pred, target) * OF_MEMORY[asks](pred)

    pred, target = (part.t().contiguous().t() for part in sample_pairs(40))
    with registered(own) as name:
        module = lp.build_loss(name, reduction="none")
        with pytest.warns(RuntimeWarning, match="runs by ordinary autograd"):
            assert not is_fused(module, pred[3:], target[3:])
        told = module.why_not_fused(pred.requires_grad_(), target) or ""
        assert "asks for more" in told or "holds only for as many" in told
        same_by_both(module, pred.detach(), target)


def test_what_is_the_same_at_each_call_may_be_asked() -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        assert (pred.dtype, pred.device, pred.ndim) == (target.dtype, target.device, target.dim())
        assert not pred.is_complex()
        assert pred.size(-1) == pred.shape[-1] == 4
        shape = torch.broadcast_shapes(pred.shape, target.shape)
        return far(pred.expand(shape), target) + pred.new_zeros(pred.shape[:-1])

    with registered(own) as name:
        module = lp.build_loss(name, reduction="none")
        pred, target = sample_pairs(40)
        for shape in ((40, 4), (5, 8, 4), (5, 2, 4, 4)):
            assert is_fused(module, pred.view(shape), target.view(shape))


# --- machine code -----------------------------------------------------------------------------------------------------


def test_machine_code_computes_with_sizes_only_in_the_shape_of_the_call() -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return each(pred, target) * (1 + pred.shape[0] // 1000)

    with registered(own, "classification") as name:
        module = lp.build_loss(name, reduction="none", compile=True)
        for shape, fused in (((1200,), True), ((400, 5), False)):
            pred, target = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)).unbind()
            same_by_both(module, pred, target)
            assert is_fused(module, pred, target) is fused


def test_a_compiled_loss_that_is_linear_in_pred_is_differentiated() -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return pred.sum(-1) - each(target, target / 2).sum(-1)

    pred, target = sample_pairs(40)
    with registered(own) as name:
        module = lp.build_loss(name, reduction="none", compile=True)
        assert is_fused(module, pred, target)
        same_by_both(module, pred, target)


#: (pred, target) to value and gradient, not all in memory of their own
SHARED: dict[str, Callable[[Tensor, Tensor], list[Tensor]]] = {
    "expanded gradient": lambda p, t: [p + t, p.new_ones(()).expand(p.shape)],
    "expanded loss": lambda p, t: [p.new_ones(()).expand(p.shape), 2 * p],
    "pred as loss": lambda p, t: [p.view(-1), p + t],
    "pred as gradient": lambda p, t: [p * p, p],
    "target as gradient": lambda p, t: [p * t, t],
    "one tensor": lambda p, t: [p.exp()] * 2,
    "views of one tensor": lambda p, t: list(torch.stack([p * t, t + 1]).unbind()),
    "strided": lambda p, t: list(torch.stack([p * t, t + 1], -1).unbind(-1)),
    "own": lambda p, t: [p * t, t + 1],
}


@pytest.mark.parametrize("rows", [(5, 5), (5, 900), (900, 2)])
@pytest.mark.parametrize("code", SHARED)
def test_results_of_machine_code_are_the_callers_own(
    code: str, rows: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_it_is(function: Callable[..., list[Tensor]], *_: Any) -> private.MachineCode:
        return lambda arguments: function(*arguments[1:])

    monkeypatch.setattr(private, "machine_code", as_it_is)
    native = Native(SHARED[code], SHARED[code], [("n",), ("n",)], [torch.empty(0)] * 2, serial=True)
    for n in rows:
        pred, target = torch.rand(2, n).unbind()
        expected = [result.clone() for result in (*SHARED[code](pred, target), pred, target)]
        loss, gradient = native(pred, target)
        gradient.mul_(torch.full((n,), 3.0))
        assert torch.equal(gradient, 3 * expected[1])
        assert torch.equal(loss.add_(1), expected[0] + 1)
        assert torch.equal(pred, expected[2])
        assert torch.equal(target, expected[3])
