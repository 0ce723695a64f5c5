"""A loss that may look at other rows or elements is never fused, however rarely it does: the operations tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

import loss_plugins as lp
from loss_plugins.fusion import axes, private

from .own import built, is_fused, registered, same_by_both

Change = Callable[[Tensor], Tensor]


def enough(x: Tensor) -> Tensor:
    """Just so many operations that a program is worth it, as each takes a while to record: a rising function."""
    return (x + 1).log().exp().tanh().exp()


def rarely(change: Change) -> Callable[..., Tensor]:
    """A loss per element that does something with what is above 50, as no trial is."""

    def own(pred: Tensor, target: Tensor) -> Tensor:
        distance = (pred - target).abs()
        return enough(distance + change((distance - 50).relu()))

    return own


def rarely_of_rows(change: Change) -> Callable[..., Tensor]:
    """The same per row."""

    def own(pred: Tensor, target: Tensor) -> Tensor:
        distance = (pred - target).abs()
        return enough(distance.sum(-1) + change((distance - 1e5).relu()))

    return own


#: what sets elements beside each other, along the axis (or over all)
MIXING: dict[str, Callable[[Tensor, int], Tensor]] = {
    "cumsum": lambda x, axis: x.cumsum(axis),
    "cummax": lambda x, axis: x.cummax(axis).values,
    "roll": lambda x, axis: x.roll(1, axis),
    "flip": lambda x, axis: x.flip(axis),
    "sort": lambda x, axis: x.sort(axis).values,
    "argsort": lambda x, axis: x.argsort(axis).to(x),
    "softmax": lambda x, axis: x * x.softmax(axis),
    "normalize": lambda x, axis: x * normalize(x.detach(), dim=axis),
    "amax": lambda x, axis: x + x.amax(axis, keepdim=True),
    "topk": lambda x, axis: x + x.topk(1, axis).values,
    "mean": lambda x, axis: x + x.mean(axis, keepdim=True),
    "max": lambda x, axis: x + x.max(),
    "gather": lambda x, axis: x.gather(axis, torch.zeros_like(x, dtype=torch.int64)),
    "first": lambda x, axis: x + x.narrow(axis, 0, 1),
    "matmul": lambda x, axis: x + (x.flatten() @ x.flatten()),
    "scrambled": lambda x, axis: x.t().reshape(x.shape) if x.ndim == 2 else x.flip(axis),
}


def far_ones(shape: tuple[int, ...], scale: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    pred, target = torch.rand(2, *shape, generator=generator).unbind()
    return pred * scale, target


def never_fused(function: Callable[..., Tensor], kind: str, shapes: list[tuple[int, ...]], scale: float) -> None:
    with registered(function, kind) as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for compiled in (False, True):
            module = built(name, compiled)
            if module is None:  # the trial saw it already
                continue
            for shape in shapes[:1] if compiled else shapes:
                pred, target = far_ones(shape, scale)
                same_by_both(module, pred, target)
                assert not is_fused(module, pred, target)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("what", MIXING)
def test_elements_that_are_mixed_where_numbers_are_extreme(what: str, axis: int) -> None:
    never_fused(rarely(lambda x: MIXING[what](x, axis)), "classification", [(30, 4), (2, 4, 5, 3)], 300)


@pytest.mark.parametrize("what", MIXING)
def test_rows_that_are_mixed_where_numbers_are_extreme(what: str) -> None:
    never_fused(rarely_of_rows(lambda x: MIXING[what](x, 0).sum(-1)), "box", [(30, 4), (2, 5, 4)], 8e5)


class Coupled(torch.autograd.Function):
    """A gradient of one's own that looks at other rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (1 + (x - 1e5).relu().cumsum(0))


@pytest.mark.parametrize(
    ("kind", "function"),
    [("classification", rarely(lambda x: x)), ("box", rarely_of_rows(lambda x: x.sum(-1)))],
    ids=["elements", "rows"],
)
def test_the_same_losses_are_fused_where_nothing_is_mixed(kind: str, function: Callable[..., Tensor]) -> None:
    pred, target = far_ones((30, 4), 300)
    with registered(function, kind) as name:
        assert is_fused(lp.build_loss(name, reduction="none"), pred, target)


def test_a_gradient_that_mixes_rows() -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return enough((Coupled.apply(pred) - target).abs().sum(-1))  # type: ignore[no-untyped-call]

    never_fused(own, "box", [(30, 4)], 8e5)


#: what stays within a row of four columns
WITHIN_ROWS: dict[str, Change] = {
    "softmax": lambda x: (x * x.softmax(-1)).sum(-1),
    "norm": lambda x: x.norm(dim=-1),
    "halves": lambda x: sum(x.chunk(2, -1), start=x.new_zeros(())).sum(-1),
    "columns": lambda x: torch.stack([x.unbind(-1)[2], x.unbind(-1)[0]], -1).mean(-1),
}


@pytest.mark.parametrize("what", WITHIN_ROWS)
def test_what_stays_within_a_row_is_fused(what: str) -> None:
    with registered(rarely_of_rows(WITHIN_ROWS[what])) as name:
        module = lp.build_loss(name, reduction="none")
        for shape in ((30, 4), (2, 5, 4)):
            pred, target = far_ones(shape, 8e5)
            assert is_fused(module, pred, target)
            same_by_both(module, pred, target)


LABELLED = ["asymmetric", "bce", "focal", "poly_focal", "quality_focal", "varifocal"]


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 4, 5, 3), (2, 4, 4, 4)])
@pytest.mark.parametrize("name", LABELLED)
def test_maps_of_labels_are_fused(name: str, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = 0.1 + 0.8 * torch.rand(shape, generator=generator)
    labels = torch.randint(0, 5, (shape[0], *shape[2:]), generator=generator)  # 4 is background
    module = lp.build_loss(name, reduction="none")
    assert is_fused(module, pred, labels)
    same_by_both(module, pred, labels)
    dense = torch.stack([labels == label for label in range(4)], 1).to(pred)
    torch.testing.assert_close(module(pred, labels), module(pred, dense))


# --- the tables -------------------------------------------------------------------------------------------------------


def operations(names: set[str]) -> Iterator[tuple[str, Any]]:
    for name in sorted(names):
        packet = getattr(torch.ops.aten, name)
        yield from ((name, getattr(packet, overload)) for overload in packet.overloads() if overload == "default")


@pytest.mark.parametrize(("name", "operation"), list(operations(axes.ELEMENTWISE)))
def test_operations_taken_as_elementwise_are(name: str, operation: Any) -> None:
    """A change of one element of the arguments changes that element of the result, and no other."""
    schema = operation._schema
    count = sum(str(argument.type) == "Tensor" for argument in schema.arguments)
    tensors = [torch.linspace(0.2, 0.8, 6, dtype=torch.float64).roll(number) for number in range(count)]
    rest = {"reduction": 0, "delta": 1.0, "beta": 1.0, "threshold": 20.0}
    others = {a.name: rest[a.name] for a in schema.arguments if a.name in rest}

    def first(arguments: list[Tensor]) -> Tensor:
        result = operation(*arguments, **others)
        return result[0] if isinstance(result, tuple) else result

    before = first(tensors)
    for number, tensor in enumerate(tensors):
        changed = tensor.clone()
        changed[2] = 0.9
        after = first([*tensors[:number], changed, *tensors[number + 1 :]])
        assert (after != before).nonzero().flatten().tolist() in ([2], []), name


@pytest.mark.parametrize("name", sorted(axes.ALONG))
def test_operations_taken_to_work_along_an_axis_leave_the_others_alone(name: str) -> None:
    packet = getattr(torch.ops.aten, name)
    rest = {"k": 2, "shifts": [1], "ord": 2, "p": 2, "half_to_float": False, "stable": True, "keepdim": False}
    rest |= dict.fromkeys(("input_dtype", "dtype"), torch.float64)
    x = torch.linspace(0.1, 0.9, 12, dtype=torch.float64).view(3, 4).sin()
    y = x.clone()
    y[1] = x[1].flip(0) * 3
    tried = 0
    for overload in map(packet.__getattr__, packet.overloads()):
        arguments = overload._schema.arguments
        types = {argument.name: str(argument.type) for argument in arguments if not argument.is_out}
        if any(a.is_out for a in arguments) or "str" in str(types.values()) or not types.keys() & {"dim", "dims"}:
            continue
        dims = {key: [1] if "List" in types[key] else 1 for key in ("dim", "dims") if key in types}
        others = {key: value for key, value in rest.items() if key in types}
        count = sum(kind == "Tensor" for kind in types.values())
        for a, b in zip(*(_results(overload(*[z] * count, **dims, **others)) for z in (x, y)), strict=True):
            assert torch.equal(a[[0, 2]], b[[0, 2]]), overload
            tried += 1
    assert tried


def _results(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else list(found)


# --- arguments --------------------------------------------------------------------------------------------------------


def clamped(x: Tensor) -> Tensor:
    copy = x.clone()
    copy.clamp_(0.2, 0.5)
    return copy


def clamped_view(x: Tensor) -> Tensor:
    copy = x.clone()
    copy.view(-1).clamp_(0.2, 0.5)
    return copy


def clamped_out(x: Tensor) -> Tensor:
    copy = x.detach().clone()
    return torch.clamp(copy, 0.2, 0.5, out=copy)


def masked(x: Tensor) -> Tensor:
    copy = x.clone()
    copy[copy > 0.5] = 0.5
    return copy


def filled(x: Tensor) -> Tensor:
    copy = x.clone()
    copy[..., 0] = 0.5
    return copy


def copied(x: Tensor) -> Tensor:
    return torch.empty_like(x).copy_(x).mul_(2)


COPIES = [clamped, clamped_view, clamped_out, masked, filled, copied]


def by_class(name: str) -> lp.Loss:
    class OwnCopyLoss(lp.Loss, name=name):
        pass

    return OwnCopyLoss(reduction="none")


@pytest.mark.parametrize("change", COPIES)
@pytest.mark.parametrize(
    ("kind", "of", "compiled"),
    [
        *((kind, of, False) for kind in ("classification", "coordinate", "box") for of in ("target", "pred")),
        ("classification", "both", True),  # machine code takes a while to make
    ],
)
def test_a_changed_copy_leaves_the_arguments_as_they_are(kind: str, of: str, compiled: bool, change: Change) -> None:
    detached = change is clamped_out  # out= takes no tensor that wants a gradient
    of = "target" if detached and of == "both" else of

    def own(pred: Tensor, target: Tensor) -> Tensor:
        changed = change(pred) if of != "target" else pred, change(target) if of != "pred" else target
        distance = (changed[0] - changed[1]).abs()
        return enough(distance.sum(-1) if kind == "box" else distance)

    with registered(own, kind) as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for module in (built(name, compiled), None if compiled else by_class(name)):
            if module is None:
                continue
            for shape in ((30, 4), (2, 5, 3, 4))[: 1 if compiled else 2]:
                pred, target = far_ones(shape, 1.0)
                before = pred.clone(), target.clone()
                if of == "target" or not detached:
                    same_by_both(module, pred, target)
                else:
                    with pytest.raises(RuntimeError):
                        module(pred.requires_grad_(), target).sum().backward()
                assert torch.equal(pred, before[0])
                assert torch.equal(target, before[1])


def test_a_changed_copy_is_recorded_without_the_change() -> None:
    """An operation that works in place is taken as what it returns, whatever names its argument has."""

    def own(x: Tensor) -> list[Tensor]:
        copy = x.clone()
        rows = copy.view(-1)
        rows.mul_(2)
        return [copy + rows.view_as(copy)]

    x = torch.rand(3, 4)
    graph = private.record(own, (x,))
    assert not any(map(private.changes_its_argument, graph.nodes))
    before = x.clone()
    found = torch.fx.GraphModule(torch.nn.Module(), graph)(x)
    assert torch.equal(x, before)
    torch.testing.assert_close(found, [4 * x])
