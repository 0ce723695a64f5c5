"""Whether a loss gives gradients at all, on the calls that a head made."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from .calls import Call
from .image_size import tell_size
from .modules import PluggedLoss
from .remedies import Fault

#: how far predictions are moved from their targets, in shares of them, where those of the head get no gradient
SHIFT = 0.1


def without_gradient(loss: PluggedLoss, calls: Sequence[Call], size: tuple[int, int]) -> Fault | None:
    """That the loss is not finite on finite numbers, or gives its predictions no gradient; None: neither.

    Boxes that lie apart from their targets get no gradient of some losses, so targets that were moved are tried too.

    Args:
        loss: the loss, which is left as it is.
        calls: its calls.
        size: height and width of the images.
    """
    loss = copy.deepcopy(loss)
    tell_size(loss, size)
    tried = [call for call in calls if _can_be_tried(call)]
    if not tried:
        return None
    found = [_gradient(loss, call, call.pred) for call in tried]
    if any(gradient is not None and not gradient.isfinite().all() for gradient in found):
        return Fault("this loss gives infinite numbers or NaN for finite predictions and targets: mend it")
    found += [] if _some(found) else [_gradient(loss, call, _near_target(call)) for call in tried]
    if _some(found):
        return None
    return Fault(
        "this loss gives its predictions no gradient, so it would train nothing: its result has to depend on them, "
        "without detach()"
    )


def _some(gradients: Sequence[Tensor | None]) -> bool:
    """Whether a prediction has a gradient that is a number other than 0."""
    return any(gradient is not None and bool((gradient.isfinite() & (gradient != 0)).any()) for gradient in gradients)


def _can_be_tried(call: Call) -> bool:
    """Whether a call had finite numbers that count, and a result."""
    if not isinstance(call.result, Tensor) or not call.pred.numel() or not call.counted.any():
        return False
    floats = [each for each in (call.pred, call.target) if isinstance(each, Tensor) and each.is_floating_point()]
    return all(bool(each.isfinite().all()) for each in floats)


def _near_target(call: Call) -> Tensor:
    """Predictions a little beside their targets; where these are no numbers of pred's shape, the predictions."""
    target = call.target
    if not isinstance(target, Tensor) or target.shape != call.pred.shape or not target.is_floating_point():
        return call.pred
    from_0_to_1 = bool(((target >= 0) & (target <= 1)).all())  # a loss of probabilities takes no others
    return target + SHIFT * (0.5 - target if from_0_to_1 else target.abs())


def _gradient(loss: PluggedLoss, call: Call, pred: Tensor) -> Tensor | None:
    """The gradient of the sum of what the loss returns, with NaN where a value is none; None: no graph."""
    pred = pred.detach().clone().requires_grad_()
    with torch.enable_grad():  # type: ignore[no-untyped-call]
        result = loss(pred, call.target, call.weight, call.avg_factor, call.reduction, **call.others)
    if not result.isfinite().all():
        return torch.full_like(pred, torch.nan)
    if not result.requires_grad:
        return None
    return torch.autograd.grad(result.sum(), pred, allow_unused=True)[0]
