"""What the functions of a loss return, and do to their arguments, looked at before the result is used.

Types, shapes and versions of tensors alone, which cost no wait for a device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Size, Tensor

from ..errors import WrongResult, refusal, shown
from ..tensors import BETWEEN_BINS, FLOATS, spreads, without
from .declare import COLUMNS
from .entry import Entry

Shape = tuple[int, ...]
#: the shapes that a loss may have, from that of pred, and what there is one number for
SHAPES: dict[str, tuple[tuple[Callable[[Size], Shape], str], ...]] = {
    "box": ((lambda pred: pred[:-1], "box"),),
    "rotated_box": ((lambda pred: pred[:-1], "box"),),
    "quad": ((lambda pred: pred[:-1], "quadrilateral"),),
    "coordinate": ((tuple, "coordinate"),),
    "classification": ((tuple, "score"), (lambda pred: without(pred, min(1, len(pred) - 1)), "row or pixel")),
    "region": (
        (lambda pred: pred[:1], "image"),
        (lambda pred: pred[:2], "image and channel"),
        (tuple, "score"),
        (lambda pred: without(pred, min(1, len(pred) - 1)), "pixel"),
        (lambda pred: pred[1:2], "channel"),
        (lambda pred: (), "batch"),
    ),
    "distribution": ((lambda pred: pred[:-1], "row"),),
    "keypoint": (
        (lambda pred: pred[:-2], "instance"),
        (lambda pred: pred[:-1], "key point"),
        (tuple, "coordinate"),
    ),
}
#: and of losses whose target has no entry for what lies along the last axis of pred
SCORES = (lambda pred: pred[:-1], "row")


def called(entry: Entry, function: Callable[..., Any], given: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    """What a function of a loss returns; raise if one of a user's own changed a tensor that it was given in place.

    Such a change reaches the tensor of the caller, whose later losses would be computed with other numbers.

    Args:
        entry: the loss.
        function: that of the loss, or one beside it.
        given: what it takes by position, by name.
        arguments: what it takes by keyword.
    """
    own = entry.identity.digest != ""
    before = [] if not own or torch.compiler.is_compiling() else list(_versions({**given, **arguments}))
    result = function(*given.values(), **arguments)
    changed = {name: tensor for name, tensor, version in before if tensor._version != version}
    if changed:  # several where they are views of one tensor
        came = " or ".join(f"{name} ({shown(tensor)})" for name, tensor in changed.items())
        name = next(iter(changed))
        remedy = f"clone it first: {name} = {name}.clone()"
        allowed = "functions that leave their arguments as they are"
        raise refusal(entry.name, f"{shown(function)} changed {came} in place", allowed, remedy, WrongResult)
    return result


def _versions(given: Mapping[str, Any]) -> Iterator[tuple[str, Tensor, int]]:
    """Tensors by name, and how often each has been changed; those made in inference mode do not count it."""
    for name, value in given.items():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Tensor) and not part.is_inference():
                yield name, part, part._version


def check_result(entry: Entry, loss: Any, pred: Tensor) -> Tensor:
    """The loss per element as the function returned it; raise unless it has a shape that goes with pred."""
    if isinstance(loss, Tensor) and loss.dtype in FLOATS:
        shape = loss.shape
        for wanted, _ in _shapes(entry):
            if same(shape, wanted(pred.shape)):
                return loss
        if "include_background" in entry.parameters and _of_fewer_channels(shape, pred.shape):
            return loss
    raise _wrong_loss(entry, loss, pred.shape)


def check_part(where: str, name: str, value: Any, shape: Sequence[int] | None = None) -> Tensor:
    """What a function beside the loss returned; raise unless it is a tensor, of that shape if one is given."""
    if isinstance(value, Tensor) and not value.is_complex() and (shape is None or same(value.shape, shape)):
        return value
    allowed = "a tensor of real numbers" if shape is None else f"a tensor of shape {tuple(shape)}, of real numbers"
    raise refusal(where, f"{name} returned {shown(value)}", allowed, f"return that from {name}", WrongResult)


def check_divisor(where: str, divisor: Any, loss: Tensor) -> None:
    """Raise unless what "mean" divides by is one number, or one per row of the loss."""
    if (
        not isinstance(divisor, Tensor)
        or divisor.is_complex()
        or (divisor.ndim and not spreads(divisor.shape, loss.shape))
    ):
        check_part(where, "denominator", divisor, ())


def same(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether both are one shape; axes are compared only where there are as many."""
    return len(shape) == len(wanted) and all(size == other for size, other in zip(shape, wanted, strict=True))


def _of_fewer_channels(shape: Size, pred: Size) -> bool:
    """Whether the loss is one per channel, or image and channel, of some of the channels of pred."""
    one_each = len(pred) > 2 and len(shape) in (1, 2) and shape[-1] < pred[1]
    return bool(one_each and (len(shape) == 1 or shape[0] == pred[0]))


def _shapes(entry: Entry) -> Iterator[tuple[Callable[[Size], Shape], str]]:
    yield from SHAPES[entry.kind]
    if not BETWEEN_BINS.isdisjoint(entry.targets):
        yield SCORES


def _wrong_loss(entry: Entry, loss: Any, pred: Size) -> WrongResult:
    what = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else shown(loss)
    if isinstance(loss, Tensor) and loss.dtype not in FLOATS:
        what = f"dtype {loss.dtype}"
    given = f"{pred[:-1].numel()} boxes" if entry.kind in COLUMNS else f"pred {tuple(pred)}"
    known = {word: tuple(wanted(pred)) for wanted, word in _shapes(entry)}
    shapes = " or ".join(f"{shape} (one number per {word})" for word, shape in known.items())
    remedy = f"return a tensor, one number per {next(iter(known))}, without mean or sum"
    return refusal(
        entry.name, f"returned {what} for {given}", f"a floating-point tensor of shape {shapes}", remedy, WrongResult
    )
