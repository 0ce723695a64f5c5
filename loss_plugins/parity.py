"""Are two losses the same? Sampled boxes, the largest difference in value and gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BoxLoss = Callable[[Tensor, Tensor], Tensor]


def sample_pairs(n: int = 20_000, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Random pairs of boxes in pixels: half overlap, a quarter is apart, an eighth tiny, an eighth huge.

    Args:
        n: number of pairs, at least 8.
        seed: of a generator of its own; the global one is left alone.
        dtype: of the result.

    Returns:
        pred and target, (n, 4) xyxy each.

    >>> pred, target = sample_pairs(8)
    >>> pred.shape, bool((pred[:, 2:] > pred[:, :2]).all())
    (torch.Size([8, 4]), True)
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, columns: int = 2) -> Tensor:
        return low + (high - low) * torch.rand(n, columns, generator=generator, dtype=torch.float64)

    kind = torch.arange(n) % 8
    scale = torch.where(kind == 6, 1e-2, torch.where(kind == 7, 20.0, 1.0)).to(torch.float64)[:, None]
    reach = torch.where((kind == 4) | (kind == 5), 4.0, 0.5).to(torch.float64)[:, None]
    size, corner = uniform(8, 160), uniform(0, 480)
    target = torch.cat([corner, corner + size], dim=1)
    moved = corner + uniform(-1, 1) * size * reach
    pred = torch.cat([moved, moved + size * uniform(0.4, 1.8)], dim=1)
    return (pred * scale).to(dtype), (target * scale).to(dtype)


@dataclass(frozen=True)
class Difference:
    """Largest absolute difference over all pairs: of the value, and of the gradient relative to its own size."""

    value: float
    gradient: float
    worst: int


def compare(ours: BoxLoss, theirs: BoxLoss, pred: Tensor, target: Tensor) -> Difference:
    """Largest difference of two losses per box on the same boxes; `worst` is the row of the largest in value.

    >>> pred, target = sample_pairs(8)
    >>> compare(lambda p, t: (p - t).sum(-1), lambda p, t: (p - t).sum(-1), pred, target)
    Difference(value=0.0, gradient=0.0, worst=0)
    """
    (our_loss, our_gradient), (their_loss, their_gradient) = (_evaluated(f, pred, target) for f in (ours, theirs))
    value = (our_loss - their_loss).abs()
    size = their_gradient.abs().amax(-1).clamp(min=1e-12)
    gradient = (our_gradient - their_gradient).abs().amax(-1) / size
    return Difference(float(value.max()), float(gradient.max()), int(value.argmax()))


def _evaluated(loss: BoxLoss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = pred.detach().clone().requires_grad_()
    value = loss(leaf, target).reshape(len(pred))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient
