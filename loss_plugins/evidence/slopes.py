"""The gradient of a loss, case by case: by autograd in float64 of what the library computes, or its fused path."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import in_one_line, refusal
from ..labels import Given
from ..module.loss import Loss
from ..module.state import RunningStatistic, statistics_of
from .cases import Cases
from .named import Named

#: what a loss of one's own is tried on
TRIED = 8


class Slopes:
    """A loss's gradient on the corners of boxes.

    Attributes:
        named: the loss.
        apart: the gradient of a case depends on no other case.
        early: running statistics that learn before the gradient of a step is computed.
        late: those that learn after it.
    """

    def __init__(self, named: Named) -> None:
        self.named, self._loss = named, named.loss
        statistics = statistics_of([self._loss]) if isinstance(self._loss, Loss) else []
        for statistic in statistics:
            if statistic.of_gradient:
                came = f"{named.label}: its running statistic {statistic.name!r} learns from gradients"
                raise refusal("simulate", came, "statistics of boxes", "leave this loss out")
        self.early = [statistic for statistic in statistics if not statistic.is_late]
        self.late = [statistic for statistic in statistics if statistic.is_late]
        self.apart = True
        self._fused = self._loss.fused if isinstance(self._loss, Loss) and _is_function(self._loss) else None

    @property
    def changes(self) -> bool:
        """Whether the loss changes from step to step, so that all cases take a step together."""
        follows = isinstance(self._loss, Loss) and self._loss.takes_progress
        return bool(self.early or self.late) or follows

    def try_on(self, cases: Cases) -> None:
        """Find out whether cases depend on each other; raise for what is no loss of boxes."""
        picked = torch.linspace(0, len(cases) - 1, TRIED).long()
        pred, target = corners(cases.anchors[:, picked]), corners(cases.targets[:, picked])
        try:
            whole = self(pred, target)
            half = TRIED // 2
            parts = torch.cat((self(pred[:, :half], target[:, :half]), self(pred[:, half:], target[:, half:])), dim=1)
        except (ValueError, TypeError, RuntimeError, IndexError, AttributeError) as error:
            if self.named.entry is not None:
                raise
            came = f"{self.named.label}: on ordinary boxes it raised {in_one_line(error)}"
            allowed = "a function (pred, target) of (n, 4) corners to (n,) or (n, 4) losses"
            raise refusal("simulate", came, allowed, "correct it") from error
        self.apart = torch.allclose(whole, parts, rtol=1e-9, atol=1e-12)

    def tell(self, progress: float) -> None:
        """Tell a loss that changes in the course of a training how much of it is over."""
        if isinstance(self._loss, Loss) and self._loss.takes_progress:
            self._loss.set_progress(progress)

    def learn(self, statistics: list[RunningStatistic], pred: list[Tensor], target: list[Tensor]) -> None:
        """One update of running statistics, by all cases of a step, which come in parts of (4, n) corners."""
        for statistic in statistics:
            statistic.begin_step()
            for boxes, truth in zip(pred, target, strict=True):
                statistic.learn(Given(boxes.t(), truth.t()), None)

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        """The gradient of the sum of the losses: (4, n) by the corners x1, y1, x2, y2, for (4, n) corners."""
        if self._fused is not None and isinstance(self._loss, Loss):
            return self._fused.value_and_gradient(pred.t(), target.t(), self._loss.arguments_now())[1]
        leaf = pred.t().requires_grad_()
        if isinstance(self._loss, Loss):
            loss = self._loss.elementwise(leaf, target.t())
        else:
            loss = self._loss(leaf, target.t())
            self._check(loss, leaf)
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        return gradient.t()

    def _check(self, loss: Tensor, leaf: Tensor) -> None:
        allowed = f"one number per box, {tuple(leaf.shape[:1])}, or per coordinate, {tuple(leaf.shape)}"
        if not isinstance(loss, Tensor) or loss.shape not in (leaf.shape, leaf.shape[:1]):
            shape = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"type {type(loss).__name__}"
            came = f"{self.named.label} returned {shape} for {leaf.shape[0]} boxes"
            raise refusal("simulate", came, allowed, "return the loss without reduction")


def _is_function(loss: Loss) -> bool:
    """Whether the module adds nothing to its function: it is no mix, and no parameter is applied around it."""
    return not loss.asked and not any(isinstance(part, Loss) for part in loss.modules() if part is not loss)


def corners(boxes: Tensor) -> Tensor:
    """(4, n) rows x1, y1, x2, y2 of rows cx, cy, w, h."""
    half = boxes[2:] / 2
    return torch.cat((boxes[:2] - half, boxes[:2] + half))


def by_centre_and_size(gradient: Tensor) -> Tensor:
    """The gradient by cx, cy, w and h, of that by the corners; (4, n) both."""
    low, high = gradient[:2], gradient[2:]
    return torch.cat((low + high, (high - low) / 2))
