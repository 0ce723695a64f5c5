"""Ordinary seeded inputs of every kind of loss: the one sampler of runtime, audit, parity, bench and tests.

`SAMPLES` has inputs by name: the table on which losses are compared and timed. `ordinary` finds the input for any loss
from what its entry declares: kind, form of the target, scale of the scores. Numbers are drawn in float64 from a
generator of the call's own, so every dtype gets the same, and the global generator is left alone; `trial_pairs`,
which has one dtype, draws float32 (from a generator of its own as well).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from .catalog.declare import COLUMNS, Kind, Scale
from .corners import centered, outlined, rotated
from .labels import IGNORED
from .points import drawn_points
from .tensors import Target, cast, class_axis

CLASSES = 5  # of an ordinary input
CHANNELS = 3  # of an ordinary mask
TABLE_CLASSES = 4  # of the named logits
MANY_CLASSES = 80  # of those that are timed
BINS = 16
REACH = 4.0  # of offsets, on either side of 0
SIDE = 16  # of a named mask
PIXELS_PER_ROW = 50  # so many rows of boxes cost as much as a mask
Pair = tuple[Tensor, Target]


@dataclass(frozen=True)
class Sample:
    """Inputs of one form: `make(n, generator)` gives float64 tensors, n rows or what costs as much.

    >>> pred, target = SAMPLES["logits, labels"](6, seed=0, dtype=torch.float16)
    >>> pred.shape, pred.dtype, target.dtype
    (torch.Size([6, 4]), torch.float16, torch.int64)
    """

    text: str
    make: Callable[[int, torch.Generator], Pair]

    def __call__(self, n: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Pair:
        """n rows of prediction and target; the same numbers for every dtype."""
        with torch.device("cpu"):  # whatever the default device is
            pred, target = self.make(n, torch.Generator().manual_seed(seed))
        return pred.to(dtype), cast(target, dtype)


def _uniform(generator: torch.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def _normal(generator: torch.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


# --- boxes -----------------------------------------------------------------------------------------------------------


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
    pred, target = Sample("", _pairs)(n, seed, dtype)
    assert isinstance(target, Tensor)
    return pred, target


def _pairs(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    uniform = functools.partial(_uniform, generator, n, 2)
    kind = torch.arange(n) % 8
    scale = torch.where(kind == 6, 1e-2, torch.where(kind == 7, 20.0, 1.0)).to(torch.float64)[:, None]
    reach = torch.where((kind == 4) | (kind == 5), 4.0, 0.5).to(torch.float64)[:, None]
    size, corner = uniform(low=8, high=160), uniform(high=480)
    target = torch.cat([corner, corner + size], dim=1)
    moved = corner + uniform(low=-1) * size * reach
    pred = torch.cat([moved, moved + size * uniform(low=0.4, high=1.8)], dim=1)
    return pred * scale, target * scale


def _boxes(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    pred, target = _pairs(n, generator)
    kind = torch.arange(n)
    normalised = (kind % 8 == 3)[:, None]
    pred, target = torch.where(normalised, pred / 640, pred), torch.where(normalised, target / 640, target)
    return torch.where((kind % 100 == 0)[:, None], target, pred), target


def _center_boxes(n: int, generator: torch.Generator) -> Pair:
    pred, target = _boxes(n, generator)
    return centered(pred), centered(target)


def _degenerate(n: int, generator: torch.Generator) -> Pair:
    pred, target = _pairs(n, generator)
    kind = torch.arange(n) % 4
    for axis, bad in ((0, (kind == 0) | (kind == 2)), (1, (kind == 1) | (kind == 2))):
        pred[:, axis + 2] = torch.where(bad, pred[:, axis], pred[:, axis + 2])
    return torch.where((kind == 3)[:, None], target, pred), target


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


def _jittered(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    uniform = functools.partial(_uniform, generator, n, 2)
    corner, size = uniform(high=200), uniform(low=8, high=120)
    target = torch.cat([corner, corner + size], dim=-1)
    reach = torch.where(torch.arange(n) % 3 == 2, 3.0, 0.4)[:, None]
    corner = corner + uniform(low=-1) * size * reach
    return torch.cat([corner, corner + size * uniform(low=0.4, high=1.8)], dim=-1), target


def _jittered_rotated(n: int, generator: torch.Generator) -> Pair:
    pred, target = _jittered(n, generator)
    angles = math.pi * (_uniform(generator, 2, n, 1) - 0.5)
    return rotated(pred, angles[0]), rotated(target, angles[1])


def _jittered_quads(n: int, generator: torch.Generator) -> Pair:
    pred, target = (
        outlined(boxes) + (boxes[:, 2:] - boxes[:, :2]).repeat(1, 4) * _uniform(generator, n, 8, low=-0.1, high=0.1)
        for boxes in _jittered(n, generator)
    )
    return pred, target


# --- scores ----------------------------------------------------------------------------------------------------------


def _logits(n: int, generator: torch.Generator, columns: int = TABLE_CLASSES) -> Tensor:
    return _normal(generator, n, columns, scale=4.0)


def _hard(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return _logits(n, generator), (_uniform(generator, n, TABLE_CLASSES) < 0.2).double()


def _soft(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), _uniform(generator, n, TABLE_CLASSES)


def _quality(n: int, generator: torch.Generator) -> Pair:
    pred, positive = _hard(n, generator)
    return pred, positive * _uniform(generator, n, TABLE_CLASSES, low=0.01)


def _few_qualities(n: int, generator: torch.Generator) -> Pair:
    pred, chance = _normal(generator, n, MANY_CLASSES, scale=3.0), _uniform(generator, n, MANY_CLASSES)
    return pred, _uniform(generator, n, MANY_CLASSES) * (chance < 1 / 40)


def _background(n: int, generator: torch.Generator) -> Tensor:
    return torch.randint(0, TABLE_CLASSES + 1, (n,), generator=generator)


def _labels(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), _background(n, generator)


def _label_score(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), (_background(n, generator), _uniform(generator, n))


def _mild_label_score(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator) / 2, (_background(n, generator), _uniform(generator, n))


def _label_score_dense(n: int, generator: torch.Generator) -> Pair:
    pred, label = _hard(n, generator)
    return pred, (label, label * _uniform(generator, n, TABLE_CLASSES))


def _class_map(n: int, generator: torch.Generator) -> Pair:
    labels = torch.randint(0, TABLE_CLASSES, (n,), generator=generator)
    return _logits(n, generator), torch.where(torch.arange(n) % 10 == 0, IGNORED, labels)


def _all_classes(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator), torch.randint(0, TABLE_CLASSES, (n,), generator=generator)


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


def _offset_bins(n: int, generator: torch.Generator) -> Pair:
    return _logits(n, generator, BINS + 1), _uniform(generator, n, low=-1.1 * REACH, high=1.1 * REACH)


def _heatmap(n: int, generator: torch.Generator) -> Pair:
    pred = _logits(n, generator).sigmoid()
    target = (_normal(generator, n, TABLE_CLASSES) ** 2 * -2).exp()
    return pred, torch.where(_uniform(generator, n, TABLE_CLASSES) < 0.05, 1.0, target)


def _second_and_sign(n: int, generator: torch.Generator) -> Pair:
    return _normal(generator, n), (_normal(generator, n), _uniform(generator, n).sub(0.5).sign())


def _distances(n: int, generator: torch.Generator) -> Pair:
    return _uniform(generator, n, high=3), _uniform(generator, n).sub(0.5).sign()


def _distilled(n: int, generator: torch.Generator) -> Pair:
    logits = _normal(generator, 2, n, CLASSES, scale=2.0)
    return logits[0], (logits[1], torch.arange(n) % 3 == 0)


# --- masks -----------------------------------------------------------------------------------------------------------


def _masks(n: int, generator: torch.Generator, channels: int = 3, soft: bool = False) -> Pair:
    images = max(n // PIXELS_PER_ROW, 4)
    shape = (images, channels, SIDE, SIDE)
    pred, target = _normal(generator, *shape, scale=3.0), _uniform(generator, *shape)
    if not soft:
        target = (target < _uniform(generator, images, channels, 1, 1, high=0.6)).double()
        target[0] = 0  # nothing to find
    return pred, target


def _class_masks(n: int, generator: torch.Generator) -> Pair:
    pred, _ = _masks(n, generator, TABLE_CLASSES)
    return pred, torch.randint(0, TABLE_CLASSES, (len(pred), SIDE, SIDE), generator=generator)


# --- what any loss takes ---------------------------------------------------------------------------------------------


def as_scale(logits: Tensor, scale: Scale) -> Tensor:
    """Logits as what a loss of that scale takes."""
    if scale == "probabilities":
        return logits.sigmoid()
    if scale == "log_probabilities":
        return logits.log_softmax(class_axis(logits))
    return logits.abs() if scale == "distances" else logits


def _ordinary_scores(n: int, generator: torch.Generator, form: str, scale: Scale, classes: int) -> Pair:
    logits = _normal(generator, n, classes, scale=2.0)
    labels = torch.randint(0, classes, (n,), generator=generator)
    return as_scale(logits, scale), _hard_target(labels, _uniform(generator, n), form, scale, classes)


def _hard_target(labels: Tensor, quality: Tensor, form: str, scale: Scale, classes: int) -> Target:
    """Labels in the form that the loss takes; `quality` in (0, 1) fills forms that have a score too."""
    positive = one_hot(labels, classes).double()
    if form in ("labels", "class_map"):
        return labels
    if form == "score":
        return quality * (classes - 1)
    if form == "offset":
        return REACH * (2 * quality - 1)
    several: dict[str, Target] = {
        "label_score": (labels, quality),
        "label_score_rank": (labels, quality, torch.arange(len(labels)) % 3),
        "target_iou": (positive * quality[:, None], quality),
        "input_sign": (positive * 2 - 0.5 + quality[:, None], 1 - 2 * positive),
    }
    if form in several:
        return several[form]
    return 2 * positive - 1 if scale == "distances" else positive


def _ordinary_masks(n: int, generator: torch.Generator, form: str, scale: Scale) -> Pair:
    pred = as_scale(_normal(generator, n, CHANNELS, 8, 8, scale=2.0), scale)
    quarters = torch.randint(0, CHANNELS, (n, 2, 2), generator=generator)
    labels = quarters.repeat_interleave(4, 1).repeat_interleave(4, 2)
    return pred, labels if form == "class_map" else one_hot(labels, CHANNELS).movedim(-1, 1).double().contiguous()


def ordinary(kind: Kind, form: str = "dense", scale: Scale = "logits", classes: int = CLASSES) -> Sample:
    """The input for any loss, by what its entry declares.

    Args:
        kind: of the loss.
        form: of the target of a loss that has several, see `tensors.FORMS`.
        scale: what the prediction of a class or region loss is.
        classes: of a class loss.

    >>> pred, target = ordinary("classification", form="class_map")(8, seed=0)
    >>> pred.shape, target.shape
    (torch.Size([8, 5]), torch.Size([8]))
    """
    if kind == "region":
        make = functools.partial(_ordinary_masks, form=form, scale=scale)
        return Sample(f"logits of deviation 2 in {CHANNELS} channels of 8 x 8, one class per quarter", make)
    if kind == "classification":
        scores = functools.partial(_ordinary_scores, form=form, scale=scale, classes=classes)
        return Sample(f"logits of deviation 2 for {classes} classes, one true per row", scores)
    if kind == "distribution":
        return Sample(f"logits of deviation 2 over {CLASSES} bins, a teacher's beside, a third matched", _distilled)
    if kind == "keypoint":
        return Sample("five key points in boxes with sides of 8 to 120 px", functools.partial(drawn_points, form=form))
    return SAMPLES[{"rotated_box": "jittered rotated boxes", "quad": "jittered quads"}.get(kind, "jittered boxes")]


def trial_pairs(kind: Kind, rows: int, classes: int = CLASSES, labelled: bool = False) -> tuple[Tensor, Tensor]:
    """Some float32 pred and target that any loss of a kind can be tried on, the same at every call.

    Args:
        kind: of the loss; boxes for "box" and "coordinate", for others numbers that are logits and probabilities alike.
        rows: how many.
        classes: of a class loss.
        labelled: the target is one label per row, the class of its largest number.

    >>> pred, target = trial_pairs("rotated_box", 9)
    >>> pred.shape, bool(pred.min() >= 0.1), bool(target.max() <= 1)
    (torch.Size([9, 5]), True, True)
    """
    if kind in ("box", "coordinate"):
        return sample_pairs(rows)
    with torch.device("cpu"):  # whatever the default device is
        generator = torch.Generator().manual_seed(0)
        columns = (classes, 2) if kind == "keypoint" else (COLUMNS.get(kind, classes),)
        pred, target = torch.rand(2, rows, *columns, generator=generator).unbind()
    return pred + 0.1, target.argmax(-1) if labelled else target.clamp(min=0.1)


# --- the table -------------------------------------------------------------------------------------------------------


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
    "jittered boxes": Sample(
        "xyxy boxes with sides of 8 to 120 px at 0 to 200 px; predictions 0.4 to 1.8 times as large, moved by up to "
        "0.4 sides, one row in three by up to three",
        _jittered,
    ),
    "jittered rotated boxes": Sample("the same boxes as centre and size, at any angle", _jittered_rotated),
    "jittered quads": Sample("the same boxes as four corners, each moved by up to a tenth of a side", _jittered_quads),
    "logits, hard targets": Sample(f"logits of deviation 4 for {TABLE_CLASSES} classes, a fifth positive", _hard),
    "logits, soft targets": Sample("the same logits, uniform targets", _soft),
    "logits, qualities": Sample("the same logits, a fifth with a quality, the rest 0", _quality),
    "logits, labels": Sample("the same logits, labels with background", _labels),
    "logits, labels and scores": Sample("the same logits, (label, quality) per row", _label_score),
    "mild logits, labels and scores": Sample("half of those logits, (label, quality) per row", _mild_label_score),
    "logits, label and score maps": Sample("the same logits, (positive, quality) per score", _label_score_dense),
    "logits, class map": Sample("the same logits, one class per row, a tenth to ignore", _class_map),
    "logits, classes": Sample("the same logits, one class per row", _all_classes),
    "logits, few qualities": Sample(
        f"logits of deviation 3 for {MANY_CLASSES} classes, one in forty with a quality, the rest 0", _few_qualities
    ),
    "probabilities, hard targets": Sample("the sigmoid of those logits", _as_probabilities(_hard)),
    "probabilities, labels": Sample("the sigmoid of those logits", _as_probabilities(_labels)),
    "probabilities, qualities": Sample("the sigmoid of those logits", _as_probabilities(_quality)),
    "probabilities, labels and scores": Sample("the sigmoid of those logits", _as_probabilities(_label_score)),
    "log-probabilities": Sample("log-softmax of those logits, one class per row", _log_probabilities),
    "distributions": Sample("log-softmax of those logits, softmax of others", _distributions),
    "bins": Sample(f"logits over {BINS} bins, distances between the first and the last", _bins),
    "bins to the end": Sample("the same, distances up to the last bin", _bins_to_the_end),
    "offset bins": Sample(
        f"logits over {BINS + 1} bins, offsets of up to {1.1 * REACH:g} on either side of 0", _offset_bins
    ),
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
    "soft masks": Sample("the same with uniform targets", functools.partial(_masks, soft=True)),
    "key points": Sample(
        "five key points in boxes with sides of 8 to 120 px, predicted up to 0.3 sides off; a fifth is not visible, of "
        "every sixth instance none, and the area is the box's",
        functools.partial(drawn_points, form="points_visible_area"),
    ),
    "key points with a flow": Sample(
        "the same, with deviations of 0.2 to 0.9 and log densities of -3 to 1",
        functools.partial(drawn_points, form="points_visible_flow"),
    ),
    "class masks": Sample("logits for 4 classes, one class per pixel", _class_masks),
}
