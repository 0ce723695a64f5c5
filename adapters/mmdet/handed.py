"""What a slot is handed, found by comparing the targets of its calls with the objects of the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from .calls import Call
from .scene import Scene
from .score_modules import choose_channels

Handed = Literal[
    "pixels", "cells", "shares", "units", "centers", "pixel centers", "unit centers",
    "coordinates", "numbers", "logits", "probabilities", "channels", "nothing",
]  # fmt: skip
#: what each is, in words
WORDS: dict[str, str] = {
    "pixels": "corners of boxes in pixels",
    "cells": "corners of boxes in cells of a stride",
    "shares": "corners of boxes as shares of the image",
    "units": "corners of boxes in a unit of the head's own",
    "centers": "centers and sizes of boxes as shares of the image",
    "pixel centers": "centers and sizes of boxes in pixels",
    "unit centers": "centers and sizes of boxes in a unit of the head's own",
    "coordinates": "encoded offsets",
    "numbers": "single numbers",
    "logits": "logits",
    "probabilities": "probabilities",
    "channels": "masks with a channel per class, and labels that choose it",
    "nothing": "nothing",
}
PIXELS = ("pixels", "pixel centers")
CENTERS = ("centers", "pixel centers", "unit centers")
BOXES = ("pixels", "cells", "shares", "units", *CENTERS)
#: objects that must agree on a unit that is not known, so that it is none by chance
AGREEING = 3
#: the strides that cells may have
STRIDES = tuple(2.0**power for power in range(1, 9))
#: share of the rows that must be of one sort: some targets are clipped, rounded or made up by the head
MOST = 0.3
#: how many pairs of a row and an object are asked for the unit
ASKED = 64
#: how far a side may be from that of an object, in shares of it
NEAR = 1e-2


def what(calls: Sequence[Call], scene: Scene) -> Handed:
    """What a slot with these calls is handed.

    Box targets are told by their sides: those of an object, or the same over a stride, or over the image's sides.
    """
    made = [call for call in calls if isinstance(call.pred, Tensor) and call.pred.numel()]
    known = [sort for call in made if (sort := _sort(call, scene)) != "nothing"]
    if known:
        return max(dict.fromkeys(known), key=known.count)
    return "coordinates" if any(map(_are_exact_matches, made)) else "nothing"


def _are_exact_matches(call: Call) -> bool:
    """Whether rows of zeros have a weight: the offset of an object from a proposal that is this object."""
    return call.weight is not None and _is_coordinates(call) and bool(call.counted.any())


def _sort(call: Call, scene: Scene) -> Handed:
    if choose_channels(call.pred, call.target, call.weight):
        return "channels"
    if _is_coordinates(call):
        return _sort_of_boxes(call, scene)
    return "numbers" if _are_no_shares(call) else _sort_of_scores(call)


def _are_no_shares(call: Call) -> bool:
    """Whether targets of pred's shape are numbers that no score is to meet: some lie outside of [0, 1]."""
    target = call.target
    if not isinstance(target, Tensor) or not target.is_floating_point() or target.shape != call.pred.shape:
        return False
    if call.weight is not None and call.weight.shape == target.shape:
        target = target[call.weight != 0]
    return bool(((target < 0) | (target > 1)).any())


def _is_coordinates(call: Call) -> bool:
    """Whether these are rows of four numbers that are no scores: some row has several, or one outside of [0, 1].

    Rows of four zeros, which have no object, may be either.
    """
    pred, target = call.pred, call.target
    if not (isinstance(target, Tensor) and pred.ndim in (2, 3) and pred.shape == target.shape and pred.shape[-1] == 4):
        return False
    return target.is_floating_point() and (not target.any() or not _is_one_hot(target))


def _is_one_hot(target: Tensor) -> bool:
    return bool(((target >= 0) & (target <= 1)).all() and ((target != 0).sum(-1) <= 1).all())


def _sort_of_scores(call: Call) -> Handed:
    outside = bool(((call.pred < 0) | (call.pred > 1)).any())
    return "probabilities" if not outside and call.squashed else "logits"


def _sort_of_boxes(call: Call, scene: Scene) -> Handed:
    rows = _rows_that_count(call)
    rows = rows[(rows != 0).any(-1)]  # what has no object
    if not len(rows):
        return "nothing"
    for sort, matches in SORTS.items():
        if matches(rows, scene).float().mean() >= MOST:
            return sort
    return "coordinates"


def _rows_that_count(call: Call) -> Tensor:
    """(n, 4) targets with a weight; of a weight of another shape than theirs all."""
    counts, target = call.counted, call.target
    if counts.shape == target.shape:
        counts = counts.any(-1)
    fits = counts.shape == target.shape[: counts.ndim]
    rows: Tensor = (target[counts] if fits else target).reshape(-1, 4)
    return rows


def _sides(rows: Tensor) -> Tensor:
    return rows[:, 2:] - rows[:, :2]


def _near(sides: Tensor, wanted: Tensor) -> Tensor:
    """(n,): whether both sides are those of one of the objects, (m, 2) or (n, m, 2)."""
    return ((sides[:, None] - wanted).abs() <= NEAR * wanted).all(-1).any(-1)


def _in_pixels(rows: Tensor, scene: Scene) -> Tensor:
    return _near(_sides(rows), _sides(scene.boxes))


def _in_cells(rows: Tensor, scene: Scene) -> Tensor:
    wanted = torch.cat([_sides(scene.boxes) / stride for stride in STRIDES])
    return _near(_sides(rows), wanted)


def _as_shares(rows: Tensor, scene: Scene) -> Tensor:
    return _near(_sides(rows), _shares(scene))


def _as_centers(rows: Tensor, scene: Scene) -> Tensor:
    return _near(rows[:, 2:], _shares(scene))


def _shares(scene: Scene) -> Tensor:
    height, width = scene.size
    return _sides(scene.boxes) / scene.boxes.new_tensor([width, height])


def _centers_in_pixels(rows: Tensor, scene: Scene) -> Tensor:
    return _near(rows[:, 2:], _sides(scene.boxes))


def _in_one_unit(rows: Tensor, scene: Scene) -> Tensor:
    """Corners, x or y first, whose sides are all those of objects times one number."""
    wanted = _sides(scene.boxes)
    return _times_one_number(_sides(rows), torch.cat([wanted, wanted.flip(-1)]))


def _centers_in_one_unit(rows: Tensor, scene: Scene) -> Tensor:
    middles = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2
    return _times_one_number(rows, torch.cat([middles, _sides(scene.boxes)], 1))


def _times_one_number(rows: Tensor, wanted: Tensor) -> Tensor:
    """(n,): which rows of positive numbers are one of `wanted`, (m, k), times a number that is the same for all."""
    ratios = rows[:, None] / wanted  # (n, m, k)
    factors = ratios[..., -1]
    alike = (ratios > 0).all(-1) & ((ratios - factors[..., None]).abs() <= NEAR * factors[..., None].abs()).all(-1)
    candidates = factors[alike][:ASKED]
    agree = alike & ((factors - candidates[:, None, None]).abs() <= NEAR * candidates[:, None, None])  # (c, n, m)
    agree = agree[agree.any(1).sum(-1) >= AGREEING].any(-1)  # (c, n)
    if not len(agree):
        return torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    return agree[agree.sum(-1).argmax()]


SORTS: dict[Handed, Callable[[Tensor, Scene], Tensor]] = {
    "pixels": _in_pixels,
    "shares": _as_shares,
    "centers": _as_centers,
    "cells": _in_cells,
    "pixel centers": _centers_in_pixels,
    "units": _in_one_unit,
    "unit centers": _centers_in_one_unit,
}
