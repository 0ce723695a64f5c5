"""Paths along which the value and the gradient of a loss are looked at: a prediction that moves past its target.

Each path is a differentiable function of one number, so the gradient along it is what a training would follow, with
whatever the loss detaches left out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..catalog.declare import Kind, Scale
from ..catalog.entry import Entry
from ..corners import in_form
from ..samples import BINS, as_scale
from ..tensors import Target

#: an even number of places, so that no place is the match itself, where many losses have a kink
PLACES = 400
SIDE = 32.0  # of the target, in pixels
CENTRE = 128.0  # of the target, in both axes
OTHERS = 2  # classes of a softmax beside the one whose logit moves
SOFT = 0.5  # the target between 0 and 1
MASK = 32  # pixels a side of a map, whose object has half of that
SHARPNESS = 2.0  # how fast the logits of a predicted mask rise from its edge inwards, per pixel
AREA = SIDE**2  # of the instance that a key point belongs to


@dataclass(frozen=True)
class Sweep:
    """One path.

    Attributes:
        name: of the path, a word for tables.
        title: what happens along it.
        label: of the axis, with its unit.
        low: where the path begins.
        high: where it ends.
        at: places (n,) to n rows of prediction and target.
        per: the unit of the gradient, "per ...".
        doublings: whether places are logarithms to base 2 of a factor.
    """

    name: str
    title: str
    label: str
    low: float
    high: float
    at: Callable[[Tensor], tuple[Tensor, Target]]
    per: str
    doublings: bool = False

    def places(self) -> Tensor:
        """The places, evenly spaced."""
        return torch.linspace(self.low, self.high, PLACES, dtype=torch.float64)


@dataclass(frozen=True)
class Inputs:
    """What a loss takes.

    Attributes:
        kind: of the loss.
        form: of its target, see `tensors.FORMS`.
        scale: of its scores.
        softmax: whether a region loss compares the channels of a softmax.
    """

    kind: Kind
    form: str = "dense"
    scale: Scale = "logits"
    softmax: bool = False


def inputs_of(entry: Entry) -> Inputs:
    """What a loss of the catalogue takes; the first form of its target, where it has several."""
    softmax = entry.defaults.get("activation") == "softmax"
    return Inputs(entry.kind, entry.targets[0] if entry.targets else "dense", entry.traits.scale, softmax)


def sweeps_of(inputs: Inputs) -> tuple[Sweep, ...]:
    """The paths for a loss that takes these inputs.

    >>> [sweep.name for sweep in sweeps_of(Inputs("box"))]
    ['shift', 'scale', 'aspect']
    """
    return tuple(_BY_KIND[inputs.kind](inputs))


# --- boxes -----------------------------------------------------------------------------------------------------------


def boxes_at(centre_x: Tensor, centre_y: Tensor, width: Tensor, height: Tensor) -> Tensor:
    """Corner boxes (n, 4) of these centres and sides, (n,) each."""
    left, top = centre_x - width / 2, centre_y - height / 2
    return torch.stack([left, top, left + width, top + height], dim=-1)


def pair_of_boxes(
    kind: Kind, *, x: Tensor, y: Tensor, width: Tensor, height: Tensor, angle: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """Boxes and the square target, in the form that the kind takes; x and y are distances from the target's centre."""
    side = torch.full_like(x, SIDE)
    middle = torch.full_like(x, CENTRE)
    turned = angle[..., None] if isinstance(angle, Tensor) else angle
    pred = in_form(kind, boxes_at(middle + x, middle + y, width, height), turned)
    return pred, in_form(kind, boxes_at(middle, middle, side, side), 0.0)


def _of_boxes(inputs: Inputs) -> Iterator[Sweep]:
    def shifted(place: Tensor) -> tuple[Tensor, Tensor]:
        side, zero = torch.full_like(place, SIDE), torch.zeros_like(place)
        return pair_of_boxes(inputs.kind, x=place, y=zero, width=side, height=side)

    def scaled(place: Tensor) -> tuple[Tensor, Tensor]:
        side, zero = SIDE * 2**place, torch.zeros_like(place)
        return pair_of_boxes(inputs.kind, x=zero, y=zero, width=side, height=side)

    def stretched(place: Tensor) -> tuple[Tensor, Tensor]:
        zero = torch.zeros_like(place)
        width, height = SIDE * 2 ** (place / 2), SIDE * 2 ** (-place / 2)
        return pair_of_boxes(inputs.kind, x=zero, y=zero, width=width, height=height)

    def turned(place: Tensor) -> tuple[Tensor, Tensor]:
        wide, zero = torch.full_like(place, 2 * SIDE), torch.zeros_like(place)
        long = functools.partial(pair_of_boxes, inputs.kind, x=zero, y=zero, width=wide, height=wide / 4)
        target, _ = long(angle=zero)
        return long(angle=place * (math.pi / 180))[0], target

    side = f"{SIDE:g} px"
    doubling = "per doubling"
    yield Sweep("shift", "a box that moves sideways", f"shift (px, target {side} wide)", -80, 80, shifted, "per px")
    yield Sweep("scale", "a box that grows", "its sides over the target's", -3, 3, scaled, doubling, True)
    yield Sweep("aspect", "a box that is stretched", "width over height, area kept", -4, 4, stretched, doubling, True)
    if inputs.kind == "rotated_box":
        yield Sweep("angle", "a box of 4 : 1 that turns", "angle (degrees)", -90, 90, turned, "per degree")


# --- scores ----------------------------------------------------------------------------------------------------------

#: label of the axis, ends, unit of the gradient; probabilities are those of the logit
_LOGIT = ("logit", -8.0, 8.0, "per unit of the logit")
_SCORES = {
    "distances": ("distance", 0.0, 3.0, "per unit of distance"),
    "ranks": ("first score minus second", -4.0, 4.0, "per unit of the score"),
}


def _of_scores(inputs: Inputs) -> Iterator[Sweep]:
    form = inputs.form
    if form in ("score", "offset"):
        yield _of_bins(form)
        return
    label, low, high, per = _SCORES.get(inputs.scale, _LOGIT)
    for title, at in _targets(inputs):
        yield Sweep(title.replace(" ", "_"), title, label, low, high, at, per)


def _targets(inputs: Inputs) -> Iterator[tuple[str, Callable[[Tensor], tuple[Tensor, Target]]]]:
    """What is asked of the score that moves, and the rows for that."""
    form, scale = inputs.form, inputs.scale
    if scale == "ranks":
        yield "first should lead", lambda place: (place, (torch.zeros_like(place), torch.ones_like(place)))
        yield "second should lead", lambda place: (place, (torch.zeros_like(place), -torch.ones_like(place)))
    elif scale == "distances":
        yield "alike", lambda place: (place, torch.ones_like(place))
        yield "not alike", lambda place: (place, -torch.ones_like(place))
    elif form in ("class_map", "labels"):
        yield "the true class", lambda place: (_among_others(place, scale), torch.zeros(len(place), dtype=torch.int64))
        yield "another class", lambda place: (_among_others(place, scale), torch.ones(len(place), dtype=torch.int64))
    else:
        for target in (1.0, 0.0, SOFT):
            yield f"target {target:g}", functools.partial(_one_score, target=target, scale=scale)


def _one_score(place: Tensor, target: float, scale: Scale) -> tuple[Tensor, Tensor]:
    logits = place[:, None]
    score = logsigmoid(logits) if scale == "log_probabilities" else as_scale(logits, scale)
    return score, torch.full_like(logits, target)


def _among_others(place: Tensor, scale: Scale) -> Tensor:
    """Rows of scores whose first logit moves; those of the others are 0."""
    return as_scale(torch.stack([place, *[torch.zeros_like(place)] * OTHERS], dim=1), scale)


# --- bins ------------------------------------------------------------------------------------------------------------


def peaked(place: Tensor, bins: int) -> Tensor:
    """Logits over bins (n, bins), highest at the place of the row: a Gaussian of deviation 1 bin."""
    number = torch.arange(bins, dtype=place.dtype)
    return -((number - place[:, None]) ** 2) / 2


def _of_bins(form: str) -> Sweep:
    """A distribution that moves over the bins; the target is half way between two in the middle, or the offset 0."""
    bins = BINS if form == "score" else BINS + 1
    target = (BINS - 1) / 2 if form == "score" else 0.0

    def moved(place: Tensor) -> tuple[Tensor, Tensor]:
        return peaked(place, bins), torch.full_like(place, target)

    said = f"at {target:g}" if form == "score" else f"in bin {(bins - 1) // 2}"
    return Sweep("peak", "a distribution that moves", f"peak (bins, target {said})", 0, bins - 1, moved, "per bin")


def _of_distributions(inputs: Inputs) -> Iterator[Sweep]:
    def moved(place: Tensor) -> tuple[Tensor, Target]:
        teacher = peaked(torch.full_like(place, (BINS - 1) / 2), BINS)
        return peaked(place, BINS), (teacher, torch.ones(len(place), dtype=torch.bool))

    label = f"peak (bins, the teacher's at {(BINS - 1) / 2:g})"
    yield Sweep("peak", "a distribution that moves", label, 0, BINS - 1, moved, "per bin")


# --- masks -----------------------------------------------------------------------------------------------------------


def _square(x: Tensor, half: Tensor) -> Tensor:
    """Logits (n, 1, MASK, MASK) of a square mask: 0 at its edge, rising inwards; x is the shift of its centre."""
    number = torch.arange(MASK, dtype=x.dtype) - (MASK - 1) / 2
    from_edge = half[:, None, None] - torch.maximum((number - x[:, None, None]).abs(), number[:, None].abs())
    return (SHARPNESS * from_edge)[:, None]


def _of_regions(inputs: Inputs) -> Iterator[Sweep]:
    half = MASK / 4

    def rows(logits: Tensor) -> tuple[Tensor, Tensor]:
        place = torch.zeros(len(logits), dtype=logits.dtype)
        target = (_square(place, place + half) > 0).to(logits.dtype)
        if inputs.softmax:
            return torch.cat([-logits / 2, logits / 2], 1), torch.cat([1 - target, target], 1)
        return as_scale(logits, inputs.scale), target

    def shifted(place: Tensor) -> tuple[Tensor, Tensor]:
        return rows(_square(place, torch.full_like(place, half)))

    def scaled(place: Tensor) -> tuple[Tensor, Tensor]:
        return rows(_square(torch.zeros_like(place), half * 2**place))

    def sharpened(place: Tensor) -> tuple[Tensor, Tensor]:
        zero = torch.zeros_like(place)
        return rows((_square(zero, zero + half).sign()) * place[:, None, None, None])

    wide = f"{MASK / 2:g} px"
    yield Sweep("shift", "a mask that moves sideways", f"shift (px, object {wide} wide)", -20, 20, shifted, "per px")
    yield Sweep("scale", "a mask that grows", "its sides over the object's", -3, 1, scaled, "per doubling", True)
    certain = "logit inside, and minus it outside"
    yield Sweep("logit", "the right mask, more certain", certain, -8, 8, sharpened, "per unit of the logit")


# --- key points ------------------------------------------------------------------------------------------------------


def _of_points(inputs: Inputs) -> Iterator[Sweep]:
    form = inputs.form

    def shifted(place: Tensor) -> tuple[Tensor, Target]:
        zero = torch.zeros_like(place)
        pred = torch.stack([place, zero], dim=-1)[:, None]
        point, visible = torch.zeros_like(pred), torch.ones(len(place), 1, dtype=torch.bool)
        others: dict[str, tuple[Tensor, ...]] = {
            "points_visible_area": (torch.full_like(zero, AREA),),
            "points_visible_flow": (torch.ones_like(pred), torch.zeros_like(zero)[:, None]),
        }
        return pred, point if form == "dense" else (point, visible, *others.get(form, ()))

    label = {
        "points_visible_area": f"shift of the point (px, instance of {AREA:g} px^2)",
        "points_visible_flow": "shift of the point (px, sigma 1 px)",
    }.get(form, "shift of the point (px)")
    yield Sweep("shift", "a key point that moves sideways", label, -20, 20, shifted, "per px")


#: forms of the targets that are drawn, by kind; of others it is "dense"
FORMS = {
    "classification": ("dense", "labels", "class_map", "score", "offset"),
    "keypoint": ("dense", "points_visible", "points_visible_area", "points_visible_flow"),
}
#: kinds whose losses have a surface over the places of a box
OF_BOXES = ("box", "coordinate", "rotated_box", "quad")
_BY_KIND: dict[str, Callable[[Inputs], Iterator[Sweep]]] = {
    **dict.fromkeys(OF_BOXES, _of_boxes),
    "classification": _of_scores,
    "distribution": _of_distributions,
    "region": _of_regions,
    "keypoint": _of_points,
}
