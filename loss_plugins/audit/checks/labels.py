"""Integer labels: what is no class is refused, what is ignored counts for nothing; of rows and of maps alike."""

from __future__ import annotations

import functools
import itertools
import math
import re
from typing import Any

import torch
from torch import Tensor

from ...labels import IGNORED
from ...tensors import Target, class_axis, on_target
from ..check import SCORES, Check, Finding, judged, not_applicable
from ..subject import Scores, Subject, literal
from .maps import MAP, as_maps, flat_rows, no_maps

#: the forms whose target holds integers
INTEGERS = ("labels", "class_map", "label_score", "label_score_rank")
#: an error that says where a label may lie
REFUSALS = (ValueError, IndexError, RuntimeError, TypeError)


def integer_forms(subject: Subject) -> list[Subject]:
    """The subject, fed with each form of integer labels that it takes."""
    forms = subject.forms or (subject.form,)
    return [subject.fed(Scores(form, subject.scores.scale)) for form in forms if form in INTEGERS]


def _fed(subject: Subject, maps: bool) -> list[Subject]:
    """The loss, fed with each form of integer labels that it takes, on maps or on rows."""
    return [fed for fed in integer_forms(subject) if not (maps and no_maps(fed))]


def labels_of(target: Target) -> Tensor:
    """The integers of a target."""
    return target[0] if isinstance(target, tuple) else target


def with_labels(target: Target, labels: Tensor) -> Target:
    """The target with other integers."""
    return (labels, *target[1:]) if isinstance(target, tuple) else labels


def ignored(subject: Subject) -> tuple[int, ...]:
    """The labels that the loss leaves out, by its parameter `ignore_index`."""
    parameter = subject.parameters.get("ignore_index")
    if parameter is None or parameter.default is None:
        return ()
    value: Any = parameter.default
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def batch(subject: Subject, maps: bool) -> tuple[Tensor, Target]:
    """Eight rows with their labels, or the same as maps; masks are maps already."""
    pred, target = subject.sample(math.prod(MAP), dtype=torch.float32) if maps else subject.sample(8)
    return as_maps(pred, target, MAP) if maps and subject.kind != "region" else (pred, target)


# --- labels that are no class --------------------------------------------------------------------------------------


def bad_labels(subject: Subject, classes: int) -> tuple[int, ...]:
    """Labels that nothing declares: next to the classes, the usual marks for "ignore", and far off."""
    softmax = subject.kind == "classification" and "class_map" in (subject.forms or (subject.form,))
    first = classes if softmax else classes + 1  # where C means background
    return tuple(label for label in (first, 255, 10**6, -1, -2, IGNORED) if label not in ignored(subject))


def out_of_range(subject: Subject, maps: bool) -> Finding:
    """A label that is no class, nor declared as ignored, is an error that names the label."""
    forms = _fed(subject, maps)
    if not forms:
        return not_applicable("takes no integer labels")
    for fed in forms:
        pred, target = batch(fed, maps)
        for label in bad_labels(subject, pred.shape[class_axis(pred)]):
            finding = _taken(fed, pred, target, label)
            if finding is not None:
                return finding
    return judged(True, f"refused: {', '.join(map(str, bad_labels(subject, pred.shape[class_axis(pred)])))}")


def _taken(subject: Subject, pred: Tensor, target: Target, label: int) -> Finding | None:
    """What is wrong with how a bad label is taken; None: nothing."""
    labels, classes = labels_of(target).clone(), pred.shape[class_axis(pred)]
    labels[0] = label
    given = with_labels(target, labels)
    code = f"print(f({literal(pred[:1].float())}, {literal(on_target(lambda part: part[:1], given))}))"
    try:
        loss, gradient = subject.gradient(pred, given)
    except REFUSALS as error:
        if re.search(rf"(?<![\w-]){label}(?!\d)", str(error)):
            return None
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        return judged(False, f"label {label} of {classes} classes: the error does not name it: {said}", code=code)
    silent = bool((gradient[0] == 0).all()) and (not subject.gives_rows or bool((loss[0] == 0).all()))
    if silent and label < 0:  # some frameworks ignore what is negative
        return None
    return judged(False, _taken_as(subject, pred, target, label, classes), label, code)


def _taken_as(subject: Subject, pred: Tensor, target: Target, label: int, classes: int) -> str:
    """What a wrong label is trained as."""

    def gradient(index: int) -> Tensor:
        labels = labels_of(target).clone()
        labels[0] = index
        return subject.gradient(pred, with_labels(target, labels))[1][0]

    found = gradient(label)
    if bool((found == 0).all()):
        return f"label {label} of {classes} classes is left out in silence; it is not declared as ignored"
    for index in range(classes):
        if torch.equal(found, gradient(index)):
            return f"label {label} of {classes} classes is accepted and trained as class {index}"
    return f"label {label} of {classes} classes is accepted and trained as if no class were true"


# --- ignored labels ------------------------------------------------------------------------------------------------


def ignores(subject: Subject, maps: bool) -> Finding:
    """An ignored label: loss and gradient exactly 0, and not counted by the mean."""
    if subject.rebuild is None or "ignore_index" not in subject.parameters:
        return not_applicable("no parameter ignore_index")
    forms = _fed(subject, maps)
    if not forms:
        return not_applicable("takes no integer labels")
    marks: list[tuple[Any, int]] = [(None, label) for label in ignored(subject)] + [(255, 255)]
    if _takes_several(subject):
        marks += [([255, -7], 255), ([255, -7], -7)]
    for fed, (given, label) in itertools.product(forms, marks):
        function = subject.rebuild(**({} if given is None else {"ignore_index": given}))
        problem = _counts(fed.running(function), batch(fed, maps), label) or _mean_counts(fed, given, label, maps)
        if problem:
            said = "" if given is None else f" (ignore_index={given!r})"
            return judged(False, f"label {label}{said}: {problem}")
    return judged(True, f"silent, and not in the mean: {', '.join(str(label) for _, label in marks)}")


def _takes_several(subject: Subject) -> bool:
    """Whether `ignore_index` may be several labels, as far as the loss says."""
    allowed = subject.parameters["ignore_index"].allowed
    return allowed is not None and [255, -7] in allowed


def _half_ignored(target: Target, label: int) -> tuple[Target, Tensor]:
    labels = labels_of(target).clone()
    where = torch.arange(labels.numel()).view_as(labels) % 3 == 0
    return with_labels(target, labels.masked_fill(where, label)), where


def _counts(subject: Subject, pair: tuple[Tensor, Target], label: int) -> str:
    """What an ignored label does; "": nothing."""
    pred, target = pair[0], _half_ignored(pair[1], label)[0]
    where = _half_ignored(pair[1], label)[1]
    loss, gradient = subject.gradient(pred, target)
    at = where.unsqueeze(class_axis(pred)).expand_as(pred)
    if bool((gradient[at] != 0).any()):
        return f"where it stands the gradient is up to {float(gradient[at].abs().max()):.3g}, not 0"
    if subject.kind != "region":
        own = at if loss.shape == pred.shape else where
        if bool((loss[own] != 0).any()):
            return f"where it stands the loss is up to {float(loss[own].abs().max()):.3g}, not 0"
    other, _ = subject.gradient(torch.where(at, -pred + 1, pred), target)
    if not torch.equal(loss, other):
        return "the loss elsewhere changes with the scores where it stands"
    return ""


def _mean_counts(subject: Subject, given: Any, label: int, maps: bool) -> str:
    """How the mean differs from that of the rows which are not ignored; "": it does not."""
    if subject.kind == "region":
        return ""
    assert subject.rebuild is not None
    mean = subject.rebuild(reduction="mean", **({} if given is None else {"ignore_index": given}))
    pred, whole = batch(subject, maps)
    target, where = _half_ignored(whole, label)
    rows, labels = flat_rows(pred, target) if maps else (pred, target)
    keep = ~where.flatten()
    left = with_labels(labels, labels_of(labels)[keep])
    left = (left[0], left[1][keep]) if isinstance(left, tuple) else left
    found, wanted = mean(pred, target), mean(rows[keep], left)
    off = float((found - wanted).abs() / wanted.abs().clamp(min=1))
    if not off < 1e-5:
        return f"the mean is {float(found):.4g}, that of the others alone {float(wanted):.4g}"
    everything = mean(pred, with_labels(whole, torch.full_like(labels_of(whole), label)))
    return "" if bool(everything.isfinite()) else f"where all are ignored the mean is {float(everything):.4g}"


def _for(run: Any, maps: bool) -> Any:
    return functools.partial(run, maps=maps)


CHECKS = (
    Check("labels out of range, rows", "classes", _for(out_of_range, False), ("classification",)),
    Check("labels out of range, maps", "classes", _for(out_of_range, True), SCORES),
    Check("ignored labels, rows", "classes", _for(ignores, False), ("classification",)),
    Check("ignored labels, maps", "classes", _for(ignores, True), SCORES),
)
