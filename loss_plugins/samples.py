"""Random inputs for comparing losses: pairs of boxes, scores with their targets, masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .tensors import Target

CLASSES = 4
BINS = 16
SIDE = 16  # of a mask
PIXELS_PER_ROW = 50  # so many rows of boxes cost as much as a mask


def sample_pairs(n: int = 20_000, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Random pairs of boxes in pixels: half near each other, a quarter apart, an eighth tiny, an eighth huge.

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


Pair = tuple[Tensor, Target]


@dataclass(frozen=True)
class Sample:
    """Inputs of one form: `make(n, generator)` gives float64 tensors, n rows or what costs as much."""

    text: str
    make: Callable[[int, torch.Generator], Pair]

    def __call__(self, n: int, seed: int, dtype: torch.dtype) -> Pair:
        """The same numbers for every dtype."""
        pred, target = self.make(n, torch.Generator().manual_seed(seed))
        return pred.to(dtype), cast(target, dtype)


def cast(target: Target, dtype: torch.dtype) -> Target:
    """Floats in that dtype; labels stay integers."""
    if isinstance(target, tuple):
        return tuple(part.to(dtype) if part.is_floating_point() else part for part in target)
    return target.to(dtype) if target.is_floating_point() else target


def _uniform(generator: torch.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def _normal(generator: torch.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def _boxes(n: int, generator: torch.Generator) -> Pair:
    pred, target = sample_pairs(n, int(generator.initial_seed()), torch.float64)
    kind = torch.arange(n)
    normalised = (kind % 8 == 3)[:, None]
    pred, target = torch.where(normalised, pred / 640, pred), torch.where(normalised, target / 640, target)
    return torch.where((kind % 100 == 0)[:, None], target, pred), target


def _center_boxes(n: int, generator: torch.Generator) -> Pair:
    def center(boxes: Tensor) -> Tensor:
        return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=1)

    pred, target = _boxes(n, generator)
    assert isinstance(target, Tensor)
    return center(pred), center(target)


def _rotated(n: int, generator: torch.Generator) -> Pair:
    size, center = _uniform(generator, n, 2, low=4, high=120), _uniform(generator, n, 2, high=600)
    angle = _uniform(generator, n, 1, low=-math.pi / 2, high=math.pi / 2)
    reach = torch.where(torch.arange(n) % 4 == 0, 2.0, 0.4).to(torch.float64)[:, None]
    moved = center + _uniform(generator, n, 2, low=-1, high=1) * size * reach
    scaled = size * _uniform(generator, n, 2, low=0.5, high=1.6)
    turned = angle + _normal(generator, n, 1, scale=0.5)
    return torch.cat([moved, scaled, turned], 1), torch.cat([center, size, angle], 1)


def _offsets(n: int, generator: torch.Generator) -> Pair:
    scale = 10 ** _uniform(generator, n, 1, low=-2, high=2)
    return _normal(generator, n, 4) * scale, _normal(generator, n, 4) * scale


def _logits(n: int, generator: torch.Generator, columns: int = CLASSES) -> Tensor:
    return _normal(generator, n, columns, scale=4.0)


def _hard(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), (_uniform(generator, n, CLASSES) < 0.2).double()


def _soft(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), _uniform(generator, n, CLASSES)


def _quality(n: int, generator: torch.Generator) -> Pair:
    pred, positive = _hard(n, generator)
    assert isinstance(positive, Tensor)
    return pred, positive * _uniform(generator, n, CLASSES, low=0.01)


def _background(n: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, CLASSES + 1, (n,), generator=generator)


def _labels(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), _background(n, generator)


def _label_score(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), (_background(n, generator), _uniform(generator, n))


def _label_score_dense(n: int, generator: torch.Generator) -> Pair:
    pred, label = _hard(n, generator)
    assert isinstance(label, Tensor)
    return pred, (label, label * _uniform(generator, n, CLASSES))


def _class_map(n: int, generator: torch.Generator) -> Pair:
    labels = torch.randint(0, CLASSES, (n,), generator=generator)
    return _logits(n, generator), torch.where(torch.arange(n) % 10 == 0, -100, labels)


def _all_classes(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), torch.randint(0, CLASSES, (n,), generator=generator)


def _as_probabilities(make: Callable[[int, torch.Generator], Pair]) -> Callable[[int, torch.Generator], Pair]:
    def made(n: int, generator: torch.Generator) -> Pair:
        pred, target = make(n, generator)
        return pred.sigmoid(), target

    return made


def _log_probabilities(n: int, generator: torch.Generator) -> Pair:
    pred, target = _class_map(n, generator)
    return pred.log_softmax(1), target


def _distributions(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator).log_softmax(1), _logits(n, generator).softmax(1)


def _bins(n: int, generator: torch.Generator) -> Pair:
    n -= n % 4  # four sides of a box
    return _logits(n, generator, BINS), _uniform(generator, n, high=BINS - 1 - 0.02)


def _bins_to_the_end(n: int, generator: torch.Generator) -> Pair:
    pred, _ = _bins(n, generator)
    return pred, _uniform(generator, len(pred), high=BINS - 1)


def _degenerate(n: int, generator: torch.Generator) -> Pair:
    pred, target = sample_pairs(n, int(generator.initial_seed()), torch.float64)
    kind = torch.arange(n) % 4
    for axis, bad in ((0, (kind == 0) | (kind == 2)), (1, (kind == 1) | (kind == 2))):
        pred[:, axis + 2] = torch.where(bad, pred[:, axis], pred[:, axis + 2])
    return torch.where((kind == 3)[:, None], target, pred), target


def _heatmap(n: int, generator: torch.Generator) -> Pair:
    pred = _logits(n, generator).sigmoid()
    target = (_normal(generator, n, CLASSES) ** 2 * -2).exp()
    return pred, torch.where(_uniform(generator, n, CLASSES) < 0.05, 1.0, target)


def _second_and_sign(n: int, generator: torch.Generator) -> Pair:
    return _normal(generator, n), (_normal(generator, n), _uniform(generator, n).sub(0.5).sign())


def _distances(n: int, generator: torch.Generator) -> Pair:
    return _uniform(generator, n, high=3), _uniform(generator, n).sub(0.5).sign()


def _masks(n: int, generator: torch.Generator, channels: int = 3, soft: bool = False) -> Pair:
    images = max(n // PIXELS_PER_ROW, 4)
    shape = (images, channels, SIDE, SIDE)
    pred, target = _normal(generator, *shape, scale=3.0), _uniform(generator, *shape)
    if not soft:
        target = (target < _uniform(generator, images, channels, 1, 1, high=0.6)).double()
        target[0] = 0  # nothing to find
    return pred, target


def _soft_masks(n: int, generator: torch.Generator) -> Pair:
    return _masks(n, generator, soft=True)


def _class_masks(n: int, generator: torch.Generator) -> Pair:
    pred, _ = _masks(n, generator, CLASSES)
    return pred, torch.randint(0, CLASSES, (len(pred), SIDE, SIDE), generator=generator)


SAMPLES: dict[str, Sample] = {
    "boxes": Sample(
        "xyxy boxes with sides of 8 to 160 px (predictions 0.4 to 1.8 times the target's) at 0 to 480 px: of eight "
        "rows, three near each other (moved by up to half a side), two far (up to four sides), one normalised "
        "(divided by 640), one tiny (by 100), one huge (times 20); one row in a hundred is an exact match",
        _boxes,
    ),
    "center_boxes": Sample("the same boxes as centre and size", _center_boxes),
    "rotated_boxes": Sample(
        "sides of 4 to 120 px, any angle; centres moved by up to 0.4 sides (one row in four: two sides), sizes by "
        "0.5 to 1.6, angles by half a radian",
        _rotated,
    ),
    "offsets": Sample("normal offsets of size 0.01 to 100 px, prediction and target apart", _offsets),
    "logits, hard targets": Sample(f"logits of deviation 4 for {CLASSES} classes, a fifth positive", _hard),
    "logits, soft targets": Sample("the same logits, uniform targets", _soft),
    "logits, qualities": Sample("the same logits, a fifth with a quality, the rest 0", _quality),
    "logits, labels": Sample("the same logits, labels with background", _labels),
    "logits, labels and scores": Sample("the same logits, (label, quality) per row", _label_score),
    "logits, label and score maps": Sample("the same logits, (positive, quality) per score", _label_score_dense),
    "logits, class map": Sample("the same logits, one class per row, a tenth to ignore", _class_map),
    "logits, classes": Sample("the same logits, one class per row", _all_classes),
    "probabilities, hard targets": Sample("the sigmoid of those logits", _as_probabilities(_hard)),
    "probabilities, labels": Sample("the sigmoid of those logits", _as_probabilities(_labels)),
    "probabilities, qualities": Sample("the sigmoid of those logits", _as_probabilities(_quality)),
    "probabilities, labels and scores": Sample("the sigmoid of those logits", _as_probabilities(_label_score)),
    "log-probabilities": Sample("log-softmax of those logits, one class per row", _log_probabilities),
    "distributions": Sample("log-softmax of those logits, softmax of others", _distributions),
    "bins": Sample(f"logits over {BINS} bins, distances between the first and the last", _bins),
    "bins to the end": Sample("the same, distances up to the last bin", _bins_to_the_end),
    "degenerate boxes": Sample(
        "predictions without width, without height, without both, and equal to the target, in turn", _degenerate
    ),
    "heat maps": Sample("probabilities, Gaussian targets, one in twenty exactly 1", _heatmap),
    "two scores and a sign": Sample("normal scores", _second_and_sign),
    "distances": Sample("uniform in 0 to 3, like or unlike", _distances),
    "masks": Sample(
        f"logits of deviation 3, {SIDE} x {SIDE} masks in 3 channels, one image empty; one image per "
        f"{PIXELS_PER_ROW} rows",
        _masks,
    ),
    "soft masks": Sample("the same with uniform targets", _soft_masks),
    "class masks": Sample("logits for 4 classes, one class per pixel", _class_masks),
}
