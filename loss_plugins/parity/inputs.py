"""Small inputs of every shape and form that the contracts of other packages' losses are compared on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..labels import IGNORED
from ..samples import SAMPLES
from ..tensors import Target

ROWS, CLASSES = 6, 4
#: images, channels, height, width: the width equals the number of classes, so that numbers per class along a wrong
#: axis are not refused but wrong
MAP = (3, CLASSES, 2, CLASSES)
PIXELS = (3, 2, CLASSES)
BINS = 8
Pair = tuple[Tensor, Target]


@dataclass(frozen=True)
class Draw:
    """Random float64 numbers of one seed."""

    generator: torch.Generator

    def normal(self, *shape: int) -> Tensor:
        """Of deviation 2."""
        return 2 * torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def uniform(self, *shape: int) -> Tensor:
        """Between 0 and 1, neither included."""
        return torch.rand(*shape, generator=self.generator, dtype=torch.float64).clamp(1e-3, 1 - 1e-3)

    def hard(self, *shape: int) -> Tensor:
        """0 or 1."""
        return (self.uniform(*shape) < 0.3).double()

    def labels(self, *shape: int, classes: int = CLASSES) -> Tensor:
        """Integers below `classes`."""
        return torch.randint(0, classes, shape, generator=self.generator)


def _table(name: str, rows: int = ROWS, view: tuple[int, ...] = (), scale: float = 1.0) -> Callable[[Draw], Pair]:
    """The first rows of a named sample after its first 8, which holds an exact match."""

    def made(draw: Draw) -> Pair:
        pred, target = SAMPLES[name](rows + 9, seed=3, dtype=torch.float64)
        assert isinstance(target, Tensor)
        pred, target = scale * pred, scale * target
        kept = slice(9, 9 + rows)
        return (pred[kept].view(*view, 4), target[kept].view(*view, 4)) if view else (pred[kept], target[kept])

    return made


def _rotated(draw: Draw) -> Pair:
    pred, target = SAMPLES["rotated_boxes"](ROWS, seed=3, dtype=torch.float64)
    return pred, target


def _label_and_score(draw: Draw, *shape: int) -> Pair:
    label = draw.hard(*shape)
    return draw.normal(*shape), (label, label * draw.uniform(*shape))


def _no_columns(draw: Draw) -> Pair:
    return torch.zeros(0, 4, dtype=torch.float64), torch.zeros(0, 4, dtype=torch.float64)


def _ignored(labels: Tensor) -> Tensor:
    flat = labels.flatten().clone()
    flat[::3] = IGNORED
    return flat.view_as(labels)


def _background() -> Tensor:
    """A label per row, the last of which is background."""
    return torch.arange(ROWS) % (CLASSES + 1)


def _third(labels: Tensor, label: int) -> Tensor:
    """Every third label is another."""
    return labels.masked_fill(torch.arange(len(labels)) % 3 == 0, label)


def _present_apart(draw: Draw) -> Tensor:
    """One class per pixel: of the first image class 0 alone, of the second 1 and 3, of the third all."""
    first, second = torch.zeros(PIXELS[1:], dtype=torch.int64), 2 * draw.labels(*PIXELS[1:], classes=2) + 1
    return torch.stack([first, second, torch.arange(second.numel()).view_as(second) % CLASSES])


def _pooled(draw: Draw) -> Tensor:
    """Masks of which one image is empty, and one channel of all images."""
    masks = draw.hard(*MAP)
    masks[0], masks[:, 2] = 0, 0
    masks[1:, :2, 0, 0] = 1
    return masks


def _shares(draw: Draw, *shape: int) -> Tensor:
    return draw.normal(*shape).softmax(1)


def _key_points(draw: Draw, visible: Tensor) -> Pair:
    """Points of instances of different size, as many as there are classes."""
    points = draw.normal(ROWS, CLASSES, 2)
    return points + draw.normal(ROWS, CLASSES, 2) / 4, (points, visible, 4 * draw.uniform(ROWS))


def _flow(draw: Draw, visible: Tensor) -> Pair:
    pred, (points, *_) = _key_points(draw, visible)
    return pred, (points, visible, draw.uniform(ROWS, CLASSES, 2), draw.normal(ROWS, CLASSES))


def _seen(draw: Draw) -> Tensor:
    """Which of the points are visible; of the last instance none is."""
    visible = draw.uniform(ROWS, CLASSES) < 0.7
    visible[-1] = False
    return visible


INPUTS: dict[str, Callable[[Draw], Pair]] = {
    "key points": lambda draw: _key_points(draw, _seen(draw)),
    "key points, all visible": lambda draw: _key_points(draw, torch.ones(ROWS, CLASSES, dtype=torch.bool)),
    "key points, none visible": lambda draw: _key_points(draw, torch.zeros(ROWS, CLASSES, dtype=torch.bool)),
    "key points with a flow": lambda draw: _flow(draw, _seen(draw)),
    "key points with a flow, weights": lambda draw: _flow(draw, draw.uniform(ROWS, CLASSES)),
    "boxes": _table("boxes"),
    "boxes in batches": _table("boxes", view=(2, 3)),
    "boxes of little area": _table("boxes", scale=1e-6),
    "no boxes": _no_columns,
    "offsets": lambda draw: (draw.normal(ROWS, 4), draw.normal(ROWS, 4)),
    "offsets in batches": lambda draw: (draw.normal(2, 3, 4), draw.normal(2, 3, 4)),
    "no offsets": _no_columns,
    "offsets in half precision": lambda draw: (draw.normal(ROWS, 4).half(), draw.uniform(ROWS, 4).half()),
    "a number without dimension": lambda draw: (draw.normal(1)[0], draw.uniform(1)[0]),
    "rotated boxes": _rotated,
    "hard targets": lambda draw: (draw.normal(ROWS, CLASSES), draw.hard(ROWS, CLASSES)),
    "soft targets": lambda draw: (draw.normal(ROWS, CLASSES), draw.uniform(ROWS, CLASSES)),
    "soft targets, maps": lambda draw: (draw.normal(*MAP), draw.uniform(*MAP)),
    "no rows": _no_columns,
    "probabilities": lambda draw: (draw.uniform(ROWS, CLASSES), draw.uniform(ROWS, CLASSES)),
    "probabilities, maps": lambda draw: (draw.uniform(*MAP), draw.uniform(*MAP)),
    "probabilities, labels": lambda draw: (draw.uniform(ROWS, CLASSES), _background()),
    "labels and background": lambda draw: (draw.normal(ROWS, CLASSES), _background()),
    "labels, some negative": lambda draw: (draw.normal(ROWS, CLASSES), _third(_background(), -1)),
    "labels, some ignored": lambda draw: (draw.normal(ROWS, CLASSES), _third(_background(), -100)),
    "no labels": lambda draw: (_no_columns(draw)[0], torch.zeros(0, dtype=torch.int64)),
    "labels and scores": lambda draw: (
        draw.normal(ROWS, CLASSES),
        (_background(), draw.uniform(ROWS)),
    ),
    "labels and scores, some negative": lambda draw: (
        draw.normal(ROWS, CLASSES),
        (_third(_background(), -1), draw.uniform(ROWS)),
    ),
    "labels and scores, some ignored": lambda draw: (
        draw.normal(ROWS, CLASSES),
        (_third(_background(), -100), draw.uniform(ROWS)),
    ),
    "qualities": lambda draw: (draw.normal(ROWS, CLASSES), draw.hard(ROWS, CLASSES) * draw.uniform(ROWS, CLASSES)),
    "qualities, maps": lambda draw: (draw.normal(*MAP), draw.hard(*MAP) * draw.uniform(*MAP)),
    "labels and qualities": lambda draw: _label_and_score(draw, ROWS, CLASSES),
    "labels and qualities, maps": lambda draw: _label_and_score(draw, *MAP),
    "class map": lambda draw: (draw.normal(ROWS, CLASSES), draw.labels(ROWS)),
    "class map, maps": lambda draw: (draw.normal(*MAP), draw.labels(*PIXELS)),
    "no classes": lambda draw: (_no_columns(draw)[0], torch.zeros(0, dtype=torch.int64)),
    "class map, some ignored": lambda draw: (draw.normal(ROWS, CLASSES), _ignored(draw.labels(ROWS))),
    "class map, maps, some ignored": lambda draw: (draw.normal(*MAP), _ignored(draw.labels(*PIXELS))),
    "class map, all ignored": lambda draw: (draw.normal(ROWS, CLASSES), torch.full((ROWS,), IGNORED)),
    "class shares": lambda draw: (draw.normal(ROWS, CLASSES), _shares(draw, ROWS, CLASSES)),
    "class shares, maps": lambda draw: (draw.normal(*MAP), _shares(draw, *MAP)),
    "log-probabilities": lambda draw: (draw.normal(ROWS, CLASSES).log_softmax(1), _ignored(draw.labels(ROWS))),
    "log-probabilities, maps": lambda draw: (draw.normal(*MAP).log_softmax(1), _ignored(draw.labels(*PIXELS))),
    "distributions": lambda draw: (draw.normal(ROWS, CLASSES).log_softmax(1), _shares(draw, ROWS, CLASSES)),
    "distributions, maps": lambda draw: (draw.normal(*MAP).log_softmax(1), _shares(draw, *MAP)),
    "two scores and a sign": lambda draw: (draw.normal(ROWS), (draw.normal(ROWS), 2 * draw.hard(ROWS) - 1)),
    "distances": lambda draw: (3 * draw.uniform(ROWS), 2 * draw.hard(ROWS) - 1),
    "bins of four sides": lambda draw: (draw.normal(4 * ROWS, BINS), (BINS - 1.1) * draw.uniform(4 * ROWS)),
    "bins": lambda draw: (draw.normal(ROWS, BINS), (BINS - 1) * draw.uniform(ROWS)),
    "no bins": lambda draw: (torch.zeros(0, BINS, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)),
    "heat maps": lambda draw: (draw.uniform(ROWS, CLASSES), torch.maximum(draw.hard(ROWS, CLASSES), draw.uniform(1))),
    "heat maps, maps": lambda draw: (draw.uniform(*MAP), torch.maximum(draw.hard(*MAP), draw.uniform(1))),
    "masks": lambda draw: (draw.normal(*MAP), _pooled(draw)),
    "soft masks": lambda draw: (draw.normal(*MAP), draw.uniform(*MAP)),
    "masks, some ignored": lambda draw: (draw.normal(*MAP), _ignored(_pooled(draw))),
    "class masks, some ignored": lambda draw: (draw.normal(*MAP), _ignored(_present_apart(draw))),
    "masks of one channel": lambda draw: (draw.normal(*PIXELS), _pooled(draw)[:, 0]),
    "no masks": lambda draw: (draw.normal(0, *PIXELS[1:]), draw.normal(0, *PIXELS[1:])),
    "no maps": lambda draw: (draw.normal(0, *MAP[1:]), draw.uniform(0, *MAP[1:])),
    "no class masks": lambda draw: (draw.normal(0, *MAP[1:]), draw.labels(0, *PIXELS[1:])),
    "class masks": lambda draw: (draw.normal(*MAP), _present_apart(draw)),
    "class masks, all present": lambda draw: (
        draw.normal(*MAP),
        torch.arange(PIXELS[1] * PIXELS[2]).view(1, *PIXELS[1:]).expand(PIXELS) % CLASSES,
    ),
}


def made(name: str) -> Pair:
    """The input of that name, in float64, the same at every call."""
    return INPUTS[name](Draw(torch.Generator().manual_seed(len(name))))
