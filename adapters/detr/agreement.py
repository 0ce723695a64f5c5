"""What a criterion returns for fixed outputs, and whether two losses agree in value and gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from loss_plugins.errors import in_one_line

from .errors import UnsupportedCriterion
from .fixed import Fixed

#: how far values and gradients may lie apart: an epsilon of the criterion, and single precision
TOLERANCE = 1e-5
LISTED = "`loss-plugins doctor` lists the criteria of installed frameworks that are served"
#: what a criterion may raise where it cannot take what it gets
FAILURES = (TypeError, KeyError, AttributeError, IndexError, ValueError, RuntimeError, AssertionError)
Method = Callable[..., Mapping[str, Tensor]]


def device_of(criterion: Any) -> torch.device:
    """Where the tensors of a criterion lie."""
    if isinstance(criterion, torch.nn.Module):
        tensors: Iterator[Tensor] = iter((*criterion.parameters(), *criterion.buffers()))
        return next((tensor.device for tensor in tensors), torch.device("cpu"))
    return torch.device("cpu")


def dtype_of(criterion: Any) -> torch.dtype:
    """The precision in which a criterion takes scores: that of its own numbers, where it has any."""
    if isinstance(criterion, torch.nn.Module):
        floats = (each.dtype for each in (*criterion.parameters(), *criterion.buffers()) if each.is_floating_point())
        return next(floats, torch.float32)
    return torch.float32


def classes_of(criterion: Any) -> int:
    """How many classes a criterion knows; 4 where it does not say."""
    known = getattr(criterion, "num_classes", None)
    return max(int(known), 0) or 4 if isinstance(known, Integral) and not isinstance(known, bool) else 4


def check_arguments(criterion: Any, name: str) -> None:
    """Raise unless a method of a criterion can be called with the four arguments that all criteria have.

    Raises:
        UnsupportedCriterion: it cannot be called with four, or needs one that nobody knows.
    """
    signature = inspect.signature(getattr(criterion, name))
    parameters = list(signature.parameters.values())
    first, rest = parameters[:4], parameters[4:]
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        each.name
        for each in rest
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(first) < 4 or any(each.kind not in by_position for each in first) or needed:
        raise UnsupportedCriterion(
            criterion,
            f"sought {name}(outputs, targets, indices, num_boxes), found {name}{signature}",
            LISTED,
        )


def check_method(criterion: Any, name: str) -> None:
    """Raise unless a method that a criterion has is one of its class, in whose place another can stand.

    Raises:
        UnsupportedCriterion: the object alone has it, or one that it wraps.
    """
    if name in getattr(criterion, "__dict__", {}) or not hasattr(type(criterion), name):
        raise UnsupportedCriterion(
            criterion,
            f"sought {name} as a method of its class, found it on this object alone, or on one that it wraps",
            f"plug the criterion before it is wrapped or compiled, or make {name} a method of its class",
        )


def takes(method: Method, argument: str) -> bool:
    """Whether a method can be called with an argument of that name."""
    try:
        inspect.signature(method).bind_partial(**{argument: None})
    except TypeError:
        return False
    return True


def answered(criterion: Any, method: Method, given: Fixed, **keywords: Any) -> dict[str, Tensor]:
    """As `returned_by`, of a criterion that nobody knows yet.

    Raises:
        UnsupportedCriterion: it cannot take them, as one of rotated boxes; it returns something else.
    """
    try:
        return returned_by(criterion, method, given, **keywords)
    except UnsupportedCriterion:
        raise
    except FAILURES as error:
        found = f"found {in_one_line(error)}, raised by {_name(method)}"
        raise UnsupportedCriterion(criterion, f"sought losses of boxes (cx, cy, w, h), {found}", LISTED) from error


def returned_by(criterion: Any, method: Method, given: Fixed, **keywords: Any) -> dict[str, Tensor]:
    """The losses that a method of a criterion returns for fixed outputs.

    Raises:
        UnsupportedCriterion: it returns something else.
    """
    with torch.enable_grad():  # type: ignore[no-untyped-call]
        returned = method(given.outputs, given.targets, given.indices, given.num_boxes, **keywords)
    if not isinstance(returned, Mapping) or not all(isinstance(loss, Tensor) for loss in returned.values()):
        found = f"found {type(returned).__name__} from {_name(method)}"
        raise UnsupportedCriterion(criterion, f"sought losses by name, {found}", LISTED)
    return dict(returned)


def _name(method: Method) -> str:
    return getattr(method, "__name__", "its method")


def depends(loss: Tensor, leaf: Tensor) -> bool:
    """Whether a loss is computed from the leaf."""
    return leaf_gradient(loss, leaf) is not None


def leaf_gradient(loss: Tensor, leaf: Tensor) -> Tensor | None:
    """The gradient of a loss; None: it does not depend on the leaf."""
    if not loss.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(loss.sum(), leaf, retain_graph=True, allow_unused=True)
    return gradient


def equals(theirs: Tensor, ours: Tensor, leaf: Tensor) -> bool:
    """Whether two losses and their gradients are equal, to the epsilon that a criterion may add."""
    gradients = [leaf_gradient(loss, leaf) for loss in (theirs, ours)]
    if theirs.ndim or gradients[0] is None or gradients[1] is None:
        return False
    parts = zip((theirs.detach(), gradients[0]), (ours.detach(), gradients[1]), strict=True)
    return all(close(one, other) for one, other in parts)


def close(found: Tensor | None, wanted: Tensor | None, tolerance: float = TOLERANCE) -> bool:
    """Whether numbers lie no farther apart than so much of 1, or of the largest one wanted; or are both None."""
    if found is None or wanted is None:
        return found is wanted
    if found.shape != wanted.shape:
        return False
    found, wanted = found.detach(), wanted.detach()
    farthest, largest = ((each.abs().max() if each.numel() else 0.0) for each in (found - wanted, wanted))
    return bool(farthest <= tolerance * max(1.0, float(largest)))


def value_and_norm(loss: Tensor, leaf: Tensor) -> str:
    """A loss as errors show it: the value, and the norm of the gradient."""
    gradient = leaf_gradient(loss, leaf)
    norm = "no gradient" if gradient is None else f"{float(gradient.norm()):.6f}"
    return f"({loss.sum().item():.6f}, {norm})"
