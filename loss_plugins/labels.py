"""The one rule for labels: which of them a loss takes, which rows it leaves out, and where numbers per class lie.

With C classes, which lie on axis 1 of maps (n, C, ...) and on the last axis of rows (n, C):

- A softmax loss takes labels in [0, C). A sigmoid loss takes labels in [0, C], where C means background.
- Rows and pixels labelled `ignore_index` cost 0, have a gradient of exactly 0, and do not count in "mean".
- Any other label is an error. To find it, the smallest and the largest label are read, which is done for tensors on the
  CPU alone: on a GPU the host would have to wait, and under `torch.compile`, `vmap` and `torch.export` there is nothing
  to read. There a wrong label of a softmax loss is caught by PyTorch's own indexing, if at all, and one of a sigmoid
  loss counts as background.
- Of one class, C = 1, integers without class axis may be labels (0 is the class) or a mask (1 is the object). Region
  losses take a target without class axis as the mask. Class losses take rows as labels, as heads of one class hand them
  over; maps are an error, and so are rows in the dialect of a framework that knows no labels.
- In a dense target, of the shape of pred, the scores equal to `ignore_index` are left out one by one, unless it is
  -100, the default, which stands for labels alone: scores are in [0, 1], and comparing them all takes time.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from .errors import refusal
from .tensors import BETWEEN_BINS, Target, check_device, class_axis, is_mask, number_in, readable

#: the label that is left out by default, as in torch
IGNORED = -100
IgnoreIndex = int | Sequence[int] | None
Single = Literal["labels", "rows", "mask", "refused"]
#: what numbers the dense target of a loss has
Numbers = Literal["shares", "signs"]
ALLOWED: dict[Numbers, str] = {"shares": "[0, 1]", "signs": "-1 or 1"}


class Given(NamedTuple):
    """What a loss computes with: rows to leave out hold zeros, and scores to leave out have no gradient.

    Attributes:
        ignored: what to leave out, of pred's shape or with one entry along the class axis; of targets without pred's
            last axis, as bins have them, of the shape of the target; None: nothing.
    """

    pred: Tensor
    target: Target
    ignored: Tensor | None = None

    def silenced(self, loss: Tensor) -> Tensor:
        """The loss with 0, of gradient 0, where something is left out; one per score, or one per row."""
        if self.ignored is None:
            return loss
        as_it_is = loss.ndim == self.ignored.ndim
        return loss.masked_fill(self.ignored if as_it_is else self.ignored.squeeze(class_axis(self.pred)), 0)

    def counted(self, loss: Tensor) -> Tensor | None:
        """How many numbers of the loss are left; None: all of them, as where there is one for each image."""
        if self.ignored is None or loss.numel() < self.ignored.numel():
            return None
        each = loss.numel() // self.ignored.numel()
        return (self.ignored.logical_not().sum() * each).to(loss.dtype)


@dataclass(frozen=True)
class LabelRule:
    """Which labels one loss takes and leaves out.

    Attributes:
        where: what errors call the loss.
        background: C is a label, which means background: a loss of sigmoids.
        ignore: labels of rows to leave out.
        negative: negative labels are left out too.
        scores: which scores of a dense target are left out: "none", those "given" by a number other than -100, or
            "all" that equal one of the numbers.
        adjust: how errors tell to set `ignore_index`; "": the loss does not take it.
        single: what a target without class axis is where there is one class: "labels"; "rows": labels if there is
            nothing behind the class axis, else refused; "mask": the mask of the object; "refused".
        holds: what numbers a dense target has, and qualities beside labels; each of these is checked.
        follows: it takes no labels and was told of no number, so in a mix it leaves out what the others do.
    """

    where: str
    background: bool
    ignore: tuple[int, ...] = ()
    negative: bool = False
    scores: str = "given"
    adjust: str = "pass"
    single: Single = "labels"
    holds: tuple[Numbers, ...] = ()
    follows: bool = False

    def read(self, pred: Tensor, target: Target, form: str) -> Given:
        """Leave out what is to be ignored, and raise for labels that are no class and scores that are none.

        Args:
            pred: predictions of C classes.
            target: labels or a dense target, alone or with qualities beside it.
            form: which form of `tensors.ALL_FORMS` the target has.

        Raises:
            ValueError: a label that is neither a class, nor background, nor ignored; labels that may be a mask; a score
                that the loss does not take.
        """
        if form == "input_sign" or form in BETWEEN_BINS:
            return self._read_marked(pred, target, form)
        first, *others = target if isinstance(target, tuple) else (target,)
        axis, bare = class_axis(pred), first.ndim < pred.ndim
        labelled = bare and not first.is_floating_point() and first.dtype != torch.bool
        if labelled and form != "mask":
            self._refuse_ambiguous(pred, first)
        ignored = None
        if first.numel():
            ignored = self._ignored_labels(first, pred.shape[axis]) if labelled else self._ignored_scores(first)
        mask = ignored
        if ignored is not None:
            first, *others = (_filled(part, ignored, 1 if "signs" in self.holds else 0) for part in (first, *others))
            mask = ignored.unsqueeze(axis) if bare else ignored
            pred = pred.masked_fill(mask, 0) if labelled else _without_gradient(pred, mask)
        for number, part in enumerate((first, *others[:1])):  # a third part is ranks
            if number or not labelled:
                self._check_scores(part, f"target[{number}]" if others else "target")
        if form == "mask" or (labelled and self.single == "mask" and pred.shape[axis] == 1):
            first = first.unsqueeze(axis)
        return Given(pred, (first, *others) if others else first, mask)

    def _read_marked(self, pred: Tensor, target: Target, form: str) -> Given:
        """As `read`, of bins, whose targets lack the last axis, and of pairs, whose sign says which are left out."""
        parts = target if isinstance(target, tuple) else (target,)
        ignored = self._ignored_scores(parts[-1]) if parts[-1].numel() else None
        if ignored is not None:
            parts = tuple(part.masked_fill(ignored, 1 if number else 0) for number, part in enumerate(parts))
            pred = pred.masked_fill(ignored if form == "input_sign" else ignored.unsqueeze(-1), 0)
        for part in parts[1:]:
            self._check_scores(part, "target[1]")
        return Given(pred, parts if isinstance(target, tuple) else parts[0], ignored)

    def _ignored_labels(self, labels: Tensor, classes: int) -> Tensor | None:
        last = self._last(classes)
        found = extremes(labels)
        inside = found is not None and found[0] >= 0 and found[1] <= last
        if inside and not any(0 <= label <= last for label in self.ignore):
            return None
        ignored = self._matches(labels, self.ignore)
        if found is not None and not inside:
            self._check(labels if ignored is None else labels.masked_fill(ignored, 0), classes)
        return ignored

    def _last(self, classes: int) -> int:
        return classes if self.background or (self.single == "mask" and classes == 1) else classes - 1

    def _refuse_ambiguous(self, pred: Tensor, labels: Tensor) -> None:
        rows = pred.ndim <= 2
        if not is_mask(pred, labels) or self.single in ("labels", "mask") or (self.single == "rows" and rows):
            return
        given = f"{tuple(labels.shape)} {str(labels.dtype).removeprefix('torch.')}"
        came = (
            f"target {given} for pred {tuple(pred.shape)} of one class: 0 may be the class, or the background of a mask"
        )
        axis = class_axis(pred)
        remedy = f"pass a mask as target.unsqueeze({axis}).float(), labels as (target == 0).unsqueeze({axis}).float()"
        raise refusal(self.where, came, "a target of pred's shape", remedy)

    def _ignored_scores(self, target: Tensor) -> Tensor | None:
        if self.scores == "none":
            return None
        numbers = self.ignore if self.scores == "all" else tuple(x for x in self.ignore if x != IGNORED)
        return self._matches(target, numbers)

    def _matches(self, values: Tensor, numbers: tuple[int, ...]) -> Tensor | None:
        found = [values == number for number in numbers]
        found += [values < 0] if self.negative else []
        return functools.reduce(torch.logical_or, found) if found else None

    def _check_scores(self, target: Tensor, name: str) -> None:
        if not self.holds or target.dtype == torch.bool or not target.numel() or not readable(target):
            return
        for numbers in self.holds:
            wrong = outside(target.detach(), numbers)
            if wrong is not None and number_in(wrong.any()):
                raise self._wrong_score(target, name, numbers, wrong.nonzero())

    def _wrong_score(self, target: Tensor, name: str, numbers: Numbers, wrong: Tensor) -> ValueError:
        place = tuple(wrong[0].tolist())
        score = target[place].item()
        several = f" ({len(wrong)} such numbers)" if len(wrong) > 1 else ""
        remedy = (
            "pass labels of 0 and 1 as 2 * target - 1" if numbers == "signs" else "pass masks as (target > 0).float()"
        )
        if self.adjust and self.scores != "none" and score == int(score):
            number = 255 if score == IGNORED and self.scores == "given" else int(score)
            mark = "mark it by 255 and " if number != score else ""
            remedy += f"; to leave out what is {score:g}, {mark}{self.adjust} ignore_index={number}"
        return refusal(self.where, f"{name}{list(place) or ''} is {score:g}{several}", ALLOWED[numbers], remedy)

    def _check(self, labels: Tensor, classes: int) -> None:
        last = self._last(classes)
        wrong = ((labels < 0) | (labels > last)).nonzero()
        if not len(wrong):
            return
        place = tuple(wrong[0].tolist())
        label = int(labels[place])
        several = f" ({len(wrong)} such labels)" if len(wrong) > 1 else ""
        came = f"target{list(place) or ''} is the label {label}{several}, and pred has C = {classes} classes"
        remedy = (
            f"to leave such rows out, {self.adjust} ignore_index={label}" if self.adjust else "give each row its class"
        )
        if classes == last + 1 == 1:
            remedy = "the softmax of one class is always 1: take a loss of sigmoids for the mask of one object"
        raise refusal(self.where, came, self._allowed(classes), remedy)

    def _allowed(self, classes: int) -> str:
        names = [f"[0, {classes})", *([f"{classes} for background"] if self.background else [])]
        if self.single == "mask" and classes == 1:
            names = ["0 for background and 1 for the object"]
        left_out = [*map(str, self.ignore), *(["negative labels"] if self.negative else [])]
        return ", ".join(names) + (f", and {', '.join(left_out)} to ignore" if left_out else "")


def _filled(part: Tensor, ignored: Tensor, blank: int) -> Tensor:
    """With a blank where something is ignored; IoUs of rows, which stand beside scores, stay."""
    return part if part.ndim < ignored.ndim else part.masked_fill(ignored, blank)


def _without_gradient(pred: Tensor, mask: Tensor) -> Tensor:
    """A score that is left out keeps its value, for a softmax over the classes has a share for it; NaN becomes 0."""
    return torch.where(mask, pred.detach().nan_to_num(0, 0, 0), pred)


def outside(scores: Tensor, numbers: Numbers) -> Tensor | None:
    """Which finite scores are not such numbers; None: all are, or are not read, as it takes time for many floats."""
    if numbers == "signs":
        return (scores.abs() != 1) & scores.isfinite()
    found = None if scores.is_floating_point() else extremes(scores)
    if found is None or (found[0] >= 0 and found[1] <= 1):
        return None
    return (scores < 0) | (scores > 1)


def extremes(labels: Tensor) -> tuple[float, float] | None:
    """The smallest and the largest label; None where reading them would make the host wait, or cannot be done."""
    if not readable(labels):
        return None
    low, high = map(number_in, labels.aminmax())
    return None if low is None or high is None else (low, high)


def check_shares(where: str, name: str, scores: Tensor, remedy: str) -> None:
    """Raise for scores outside of [0, 1], and for NaN, where scores may be read."""
    found = extremes(scores.detach()) if scores.numel() else None
    wrong = [score for score in found or () if not 0 <= score <= 1]
    if wrong:
        raise refusal(where, f"{name} holds {wrong[0]:g}", ALLOWED["shares"], remedy)


def numbers(ignore_index: IgnoreIndex) -> tuple[int, ...]:
    """One number, several, or none, as a tuple."""
    if ignore_index is None:
        return ()
    return tuple(map(int, ignore_index)) if isinstance(ignore_index, Sequence) else (int(ignore_index),)


def along_classes(where: str, pred: Tensor, **values: Sequence[float] | Tensor | float | None) -> list[Any]:
    """Parameters of one number, or of one per class, as factors on what has the shape of pred; numbers and None stay.

    Raises:
        ValueError: not as many numbers as classes.
    """
    return [
        each if each is None or isinstance(each, (int, float)) else per_class(where, name, each, pred, aligned=True)
        for name, each in values.items()
    ]


def per_class(where: str, name: str, values: Sequence[float] | Tensor | float, pred: Tensor, aligned: bool) -> Tensor:
    """Numbers per class on the device of pred, in its dtype.

    Args:
        where: what errors call the loss.
        name: what errors call the numbers.
        values: one number, or one per class.
        pred: predictions.
        aligned: shaped to lie along the class axis of pred; else (C,), as torch's softmax losses want them.

    Raises:
        ValueError: not as many numbers as classes.
    """
    if isinstance(values, Tensor) and values.is_meta:  # no other device can take it over
        check_device(where, name, values, pred)
    tensor = values.to(pred) if isinstance(values, Tensor) else pred.new_tensor(values)
    if tensor.ndim == 0:
        return tensor
    axis = class_axis(pred)
    if tensor.shape[0] != pred.shape[axis]:
        came = f"{name} has {tensor.shape[0]} numbers, and pred {tuple(pred.shape)} has C = {pred.shape[axis]} classes"
        remedy = f"pass {pred.shape[axis]} numbers, one for each of pred's entries along axis {axis}"
        raise refusal(where, came, "one number per class", remedy)
    after = pred.ndim - axis - 1
    return tensor.view(-1, *(1 for _ in range(after))) if aligned and after else tensor
