# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whether a loss takes logits and soft targets, as class and mask losses do: as it says, or found out by trying."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from loss_plugins import Loss, build_loss
from loss_plugins.catalog.entries import Entry, is_shipped, shipped
from loss_plugins.errors import WrongResult, refusal
from loss_plugins.fusion import by_autograd

#: how far a logit lies on the side of its target: a loss falls all along the wrong side, a hinge may end at its margin
WRONG, RIGHT = (-8.0, -4.0, -2.0, -1.0, 0.0), (1.0, 2.0, 4.0, 8.0)
#: what a cost may rise by on the right side, or lie below 0, in shares of the largest: rounding
ROUNDING = 1e-6
#: what a prediction with half of the pixels on one side wrong costs more than the right one, in shares of one all wrong
MARGIN = 1e-3
NO_GRADIENT = (
    "comes back without gradient: it would be logged, not trained (is it detached, or made by item() or numpy?)"
)
#: classes of the scores that a loss is tried with
EXAMPLE_COLUMNS = 4
Function = Callable[[Tensor], Tensor]


def require_fit(asked: str, allowed: str, what: str, trial: Callable[[], str]) -> None:
    """Raise unless a loss fits.

    Args:
        asked: what was asked for, for the error: "mask='dice'".
        allowed: what would fit.
        what: the slot gives it.
        trial: finds out why it does not; "" if it does.

    Raises:
        ValueError: it does not, or raises when it is tried.
    """
    where, remedy = "ultralytics adapter", "pass one of these, with its defaults"
    try:
        reason = trial()
    except WrongResult:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise refusal(where, f"{asked} does not take {what}: {error}", allowed, remedy) from error
    if reason:
        raise refusal(where, f"{asked} {reason}", allowed, remedy)


def per_score(entry: Entry) -> bool:
    """Whether a loss of the catalogue is one of single scores: logits, each with a soft target of its own."""
    return entry.kind == "classification" and of_logits(entry, "dense") and "class_map" not in entry.targets


def of_logits(entry: Entry, *targets: str) -> bool:
    """Whether a loss of scores or masks takes logits, and targets of one of these forms."""
    return entry.traits.scale == "logits" and not {*targets}.isdisjoint(entry.targets)


def names_of(fits: Callable[[Entry], bool]) -> str:
    """The losses of the catalogue that fit, for messages."""
    return ", ".join(entry.name for entry in shipped() if fits(entry))


def singles(loss: Loss) -> Iterator[Loss]:
    """The loss, and of a mix each of its losses."""
    return (each for each in loss.modules() if isinstance(each, Loss))


def says_otherwise(loss: Loss) -> str:
    """What a loss, or a member of a mix, says of its predictions if that is not logits; "" if it is."""
    others = (each for each in singles(loss) if each.entry.traits.scale != "logits")
    return next((f"wants {each.entry.traits.scale.replace('_', '-')}, and gets logits" for each in others), "")


def unsmoothed(loss: Loss) -> Loss:
    """The loss, or a mix, as it is without `label_smoothing`, which moves its minimum from the target towards 1/2.

    With a smoothing of 1 nothing is left of the target: such a loss stays as it is.
    """
    if not any(0 < (each.resolved().get("label_smoothing") or 0) < 1 for each in singles(loss)):
        return loss
    return build_loss(_unsmoothed(loss.spec())).train(loss.training)


def _unsmoothed(spec: Mapping[str, Any]) -> dict[str, Any]:
    smoothed = 0 < (spec.get("label_smoothing") or 0) < 1
    hard = {**spec, "label_smoothing": 0.0} if smoothed else dict(spec)
    return {**hard, "losses": [_unsmoothed(each) for each in spec["losses"]]} if "losses" in spec else hard


def fits_scores(entry: Entry) -> bool:
    """Whether a loss of this package is one of single scores, found out by trying it with its defaults."""
    return per_score(entry) and _fits_by_trial(entry.name)


@functools.cache
def _fits_by_trial(name: str) -> bool:
    with by_autograd():
        return not misfit_of_scores(build_loss(name, reduction="none").eval(), EXAMPLE_COLUMNS)


def misfit_of_scores(loss: Loss, columns: int) -> str:
    """Why a loss is none of single scores, logits with soft targets; "" if it is one.

    Args:
        loss: the loss.
        columns: how many classes the scores have.
    """
    loss = unsmoothed(loss)
    scores = torch.zeros(6, columns)
    shape = tuple(loss.elementwise(scores, torch.full_like(scores, 0.5)).shape)
    if shape != tuple(scores.shape):
        return f"gives shape {shape} for scores {tuple(scores.shape)}"
    side = torch.tensor([[1.0], [-1.0]]).expand(-1, columns)

    def cost(pred: Tensor) -> Tensor:
        return loss.elementwise(pred, (side + 1) / 2).sum(-1)

    if loss.entry.traits.detached and descends(cost, side):
        return ""
    return misfit_of_costs(cost, None if is_shipped(loss.entry.function) else cost, side)


def descends(cost: Function, side: Tensor) -> bool:
    """Whether the gradient leads logits to the side of their target from all along the wrong one, whatever the cost.

    It decides for a loss that leaves a part of its gradient out: the value of one whose target moves with the score may
    fall while the gradient leads the other way.

    Args:
        cost: of logits of the shape of `side`, to a number per row, each at least 0.
        side: where the target is: 1 (the logit should be large) or -1.
    """
    if torch.is_inference_mode_enabled():  # a validation: it was looked at when it was asked for
        return True
    for far in (*WRONG, *RIGHT):
        with torch.enable_grad():  # type: ignore[no-untyped-call]
            leaf = (far * side).requires_grad_()
            found = cost(leaf)
            if not found.requires_grad or not found.isfinite().all() or not (found >= 0).all():
                return False
            (gradient,) = torch.autograd.grad(found.sum(), leaf)
        pull = -gradient * side
        if not (pull >= -ROUNDING).all() or (far in WRONG and not (pull > 0).all()):
            return False
    return True


def misfit_of_costs(cost: Function, of_probabilities: Function | None, side: Tensor) -> str:
    """Why a cost is none of logits: it does not fall towards a number from 0 on; "" if it does.

    Args:
        cost: of logits of the shape of `side`, to a number per row.
        of_probabilities: the cost of what may be given in their place; None: it is known to be one of logits.
        side: where the target is: 1 (the logit should be large) or -1.
    """
    if falls(cost, side):
        return "" if pulls(cost, side) else NO_GRADIENT
    other = of_probabilities
    wanted = other is not None and falls(lambda logits: other(logits.sigmoid()), side)
    return f"does not fall as logits move towards their targets{' (it wants probabilities?)' if wanted else ''}"


def misfit_of_sides(cost: Function, side: Tensor) -> str:
    """Why a cost of maps (n, ..., h, w) leaves one side out: it does not rise where half of that is wrong; "" if not.

    Args:
        cost: of logits of the shape of `side`, to a number per row or for all.
        side: where the target is: 1 (the logit should be large) or -1.
    """
    odd = torch.arange(side.shape[-1]) % 2 == 1
    right, least = cost(8 * side), MARGIN * (cost(-8 * side) - cost(8 * side))
    for what, wrong in (("more", (side < 0) & odd), ("less", (side > 0) & odd)):
        if not (cost(8 * torch.where(wrong, -side, side)) > right + least).all():
            return f"costs the same for pixels {what} than the mask has (does it leave one side out?)"
    return ""


def falls(cost: Function, side: Tensor) -> bool:
    """Whether a cost falls all along the wrong side, does not rise on the right one, and is never below 0."""
    costs = torch.stack([cost(far * side) for far in (*WRONG, *RIGHT)])
    steps, slack = costs.diff(dim=0), ROUNDING * costs.abs().amax(0)
    falling, staying = (steps[: len(WRONG) - 1] < 0).all(), (steps <= slack).all()
    return bool(costs.isfinite().all() and (costs >= -slack).all() and falling and staying)


def pulls(cost: Function, side: Tensor) -> bool:
    """Whether a gradient other than 0 comes back from a cost where predictions are on the wrong side.

    A criterion that a validation makes is checked in inference mode, where nothing has gradients: its loss was looked
    at when it was asked for.
    """
    if torch.is_inference_mode_enabled():
        return True
    with torch.enable_grad():  # type: ignore[no-untyped-call]
        leaf = (-2 * side).requires_grad_()
        found = cost(leaf).sum()
        if not found.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(found, leaf, allow_unused=True)
    return gradient is not None and bool((gradient != 0).any())
