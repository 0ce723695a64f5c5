"""Parts of panels: ticks of factors, a surface with arrows downhill, a box."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: lightness rises with the value, so that it can be read in grey
MAP = "cividis"
LEVELS = 14
#: arrows a side of a surface, and the share of the room between two that the longest takes
ARROWS, LONGEST = 12, 0.95
#: ticks at most on an axis of factors
TICKS = 7


def factors(axis: Any, low: float, high: float) -> None:
    """Ticks of a horizontal axis of logarithms to base 2: the factors themselves."""
    exponents = list(range(round(low), round(high) + 1))
    exponents = exponents[:: -(-len(exponents) // TICKS)]
    axis.set_xticks(exponents, [f"1/{2**-each}" if each < 0 else f"{2**each}" for each in exponents])


def field(axis: Any, offsets: Tensor, value: Tensor, gradient: Tensor) -> Any:
    """A surface as filled contours, and arrows along minus the gradient; what a colour bar takes.

    Args:
        axis: to draw on.
        offsets: (n,) places along both sides.
        value: (n, n), y first.
        gradient: (n, n, 2), along x and along y.
    """
    filled = axis.contourf(offsets, offsets, value, levels=LEVELS, cmap=MAP)
    step = max(1, len(offsets) // ARROWS)
    some = torch.arange(step // 2, len(offsets), step)
    x, y = short_arrows(-gradient[some][:, some], LONGEST * step * float(offsets[1] - offsets[0])).unbind(-1)
    axis.quiver(
        offsets[some], offsets[some], x, y, angles="xy", scale_units="xy", scale=1, pivot="mid",
        color="white", edgecolor="black", linewidth=0.5, width=0.008, headwidth=4, headlength=4, headaxislength=3.5,
    )  # fmt: skip
    axis.set_aspect("equal")
    return filled


def short_arrows(arrows: Tensor, longest: float) -> Tensor:
    """Arrows (..., 2) with the square root of their lengths, the longest of them `longest` long.

    >>> short_arrows(torch.tensor([[4.0, 0.0], [0.0, 1.0]]), longest=1.0)
    tensor([[1.0000, 0.0000],
            [0.0000, 0.5000]])
    """
    length = arrows.norm(dim=-1, keepdim=True)
    most = float(length.max()) or 1.0
    shortened: Tensor = arrows / length.clamp(min=most * 1e-12) * ((length / most).sqrt() * longest)
    return shortened


def outline(axis: Any, centre: tuple[float, float], sides: tuple[float, float], **style: Any) -> None:
    """A box, not filled."""
    from matplotlib.patches import Rectangle

    corner = (centre[0] - sides[0] / 2, centre[1] - sides[1] / 2)
    axis.add_patch(Rectangle(corner, *sides, fill=False, linewidth=1.3, **style))
