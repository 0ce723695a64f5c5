"""Checked tensors and parameters in, the loss per element out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import refusal, shown
from ..labels import Given, LabelRule
from ..points import check_points
from ..tensors import (
    BETWEEN_BINS,
    Target,
    check_boxes,
    check_forms,
    check_weight,
    class_axis,
    fit_weight,
    raised,
    whole_labels,
)
from .declare import COLUMNS
from .entry import Entry
from .offered import smoothed, weighed
from .results import called, check_result


def evaluate(
    entry: Entry, given: Given, parameters: Mapping[str, Any], asked: Mapping[str, Any] | None = None
) -> Tensor:
    """The loss per element, for tensors and parameters that are checked already.

    Args:
        entry: the loss.
        given: what it computes with.
        parameters: as the function takes them.
        asked: those that are applied around it, see `offered.applied`.
    """
    if asked:
        given = smoothed(given, asked)
        return weighed(entry, evaluate(entry, given, parameters), given, asked)
    pred, target = raised(given.pred, given.target)
    arguments = with_ignored(entry, entry.function, parameters, given)
    loss = called(entry, entry.function, {"pred": pred, "target": target}, arguments)
    check_result(entry, loss, pred)
    return loss if entry.function in entry.told else given.silenced(loss)


def with_ignored(
    entry: Entry, function: Callable[..., Any], arguments: Mapping[str, Any], given: Given
) -> Mapping[str, Any]:
    """The arguments, and with them what is left out, if the function is told."""
    wanted = given.ignored is not None and function in entry.told
    return {**arguments, "ignored": given.ignored} if wanted else arguments


def check_tensors(entry: Entry, pred: Tensor, target: Target) -> str:
    """Raise unless the tensors are what the loss's kind demands; the form of the target.

    It is one of `tensors.ALL_FORMS`, or "" for boxes.
    """
    if entry.kind in COLUMNS:
        check_boxes(entry.name, pred, target, COLUMNS[entry.kind])
        return ""
    if entry.kind == "keypoint":
        return check_points(entry.name, pred, target, entry.forms)
    return check_forms(entry.name, pred, target, entry.forms)


def read_tensors(entry: Entry, pred: Tensor, target: Target, rule: LabelRule | None) -> Given:
    """Check the tensors, and take out what the labels say is to be ignored; labels become int64."""
    form = check_tensors(entry, pred, target)
    target = whole_labels(target)
    return Given(pred, target) if rule is None else rule.read(pred, target, form)


def fitted_weight(entry: Entry, weight: Tensor, shape: torch.Size, pred: Tensor) -> Tensor:
    """The weight for a loss of that shape of these predictions, see `fit_weight`."""
    has_class_axis = entry.kind == "classification" and BETWEEN_BINS.isdisjoint(entry.targets)
    columns = pred.shape[-1] if pred.ndim == len(shape) + 1 else 1
    return fit_weight(entry.name, weight, shape, pred.shape if has_class_axis else None, columns)


def check_handed(entry: Entry, name: str, value: Any, pred: Tensor, parameters: Mapping[str, Any]) -> None:
    """Raise unless a function's running statistic, or its weight, is of the right form."""
    if value is None and entry.keywords[name].default is None:
        return
    if name == "weight":
        check_weight(entry.name, value, pred)
        fitted_weight(entry, value, pred.shape, pred)
        return
    state = entry.states[name]
    if state.sized_by and parameters.get(state.sized_by) is None:
        parameters = {**parameters, state.sized_by: pred.shape[class_axis(pred)]}
    shape = tuple(state.initial(parameters).shape)
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and not shape
    number = number and not (isinstance(value, int) and abs(value) > sys.float_info.max)
    fits = isinstance(value, Tensor) and not value.is_complex() and tuple(value.shape) in (shape, shape or (1,))
    if not (number or fits):
        allowed = f"a tensor of shape {shape}" if shape else "a number, or a tensor with one"
        remedy = "leave it out, or let the module keep it"
        raise refusal(entry.name, f"{name}={shown(value)} is no running statistic", allowed, remedy, TypeError)
