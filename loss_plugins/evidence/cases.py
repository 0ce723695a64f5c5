"""The cases of the regression experiment: every anchor box beside every target (1911.08287, section 4; 2301.10051).

Boxes are (cx, cy, w, h). A case is one anchor that is moved to one target; cases are numbered by centre, area and shape
of the anchor and shape of the target, the last running fastest. All are drawn by a seed: first the centres, then which
cases are computed, so that the same seed without `full` computes some of the cases of `full`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

CENTRES = 5_000
#: width over height, of anchors and of targets
SHAPES = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)
#: share of the cases that is computed where not all are wanted
SHARE = 0.02


def evenly_in_disc(u: Tensor) -> Tensor:
    """Radii of points that are uniform in a disc of radius 3, of numbers uniform in [0, 1)."""
    return 3 * u.sqrt()


def thinning_out(u: Tensor) -> Tensor:
    """Radii up to 0.5 that are denser near the centre, likewise: 0.5 ln(1 + u (e^3 - 1)) / 3."""
    return 0.5 * torch.log(1 + u * (math.e**3 - 1)) / 3


@dataclass(frozen=True)
class Setting:
    """One way to choose the cases and to move the boxes.

    Attributes:
        name: of the option that chooses it.
        centre: of all targets, in both axes.
        area: of all targets.
        areas: of the anchors.
        radius: numbers uniform in [0, 1) to distances of the anchors' centres.
        reach: the largest of them.
        unit: of lengths, in words.
    """

    name: str
    centre: float
    area: float
    areas: tuple[float, ...]
    radius: Callable[[Tensor], Tensor]
    reach: float
    unit: str

    @property
    def cases(self) -> int:
        """How many there are."""
        return CENTRES * len(self.areas) * len(SHAPES) ** 2


DIOU = Setting(
    "diou", 10.0, 1.0, (0.5, 0.67, 0.75, 1.0, 1.33, 1.5, 2.0), evenly_in_disc, 3.0, "sides of a square target"
)
WIOU = Setting(
    "wiou",
    0.5,
    1 / 32,
    (1 / 32, 1 / 24, 3 / 64, 1 / 16, 1 / 12, 3 / 32, 1 / 8),
    thinning_out,
    0.5,
    "sides of the image",
)
SETTINGS = {setting.name: setting for setting in (DIOU, WIOU)}


@dataclass(frozen=True)
class Cases:
    """Those that are computed.

    Attributes:
        setting: where they are from.
        anchors: (4, n) boxes, a row each of cx, cy, w and h, float64.
        targets: (4, n) likewise.
        centre: (n,) number of the anchor's centre.
        centres: (CENTRES, 2) all of them.
    """

    setting: Setting
    anchors: Tensor
    targets: Tensor
    centre: Tensor
    centres: Tensor

    def __len__(self) -> int:
        return self.anchors.shape[1]


def draw_cases(setting: Setting, seed: int, full: bool) -> Cases:
    """The cases of a seed: all, or two in a hundred, each as likely as any other.

    >>> len(draw_cases(DIOU, 0, full=False)), DIOU.cases
    (34300, 1715000)
    """
    generator = torch.Generator().manual_seed(seed)
    u, turn = torch.rand(2, CENTRES, generator=generator, dtype=torch.float64)
    radius, angle = setting.radius(u), 2 * math.pi * turn
    centres = setting.centre + radius[:, None] * torch.stack((angle.cos(), angle.sin()), dim=-1)
    number = torch.arange(setting.cases)
    if not full:
        chosen = torch.randperm(setting.cases, generator=generator)[: round(SHARE * setting.cases)]
        number = chosen.sort().values
    return numbered(setting, centres, number)


def numbered(setting: Setting, centres: Tensor, number: Tensor) -> Cases:
    """The cases of these numbers."""
    shapes, areas = (torch.tensor(each, dtype=torch.float64) for each in (SHAPES, setting.areas))
    rest, of_target = number // len(SHAPES), number % len(SHAPES)
    rest, of_anchor = rest // len(SHAPES), rest % len(SHAPES)
    centre, size = rest // len(areas), rest % len(areas)
    middle = torch.full((2, len(number)), setting.centre, dtype=torch.float64)
    area = torch.full((len(number),), setting.area, dtype=torch.float64)
    anchors = torch.cat((centres[centre].t(), sides(areas[size], shapes[of_anchor])))
    return Cases(setting, anchors, torch.cat((middle, sides(area, shapes[of_target]))), centre, centres)


def sides(area: Tensor, shape: Tensor) -> Tensor:
    """(2, n) widths and heights of boxes of that area and width over height."""
    return torch.stack(((area * shape).sqrt(), (area / shape).sqrt()))
