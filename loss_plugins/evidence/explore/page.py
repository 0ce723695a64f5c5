"""The page: programs, what is said of each loss, and the script that shows them, in one file."""

from __future__ import annotations

import html
import inspect
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import torch

from ...catalog.entries import get_entry, is_shipped
from ...catalog.entry import Entry
from ...catalog.formulas import READABLE
from ...errors import refusal
from ...module.build import class_of
from ...module.loss import Loss
from ...version import __version__
from ..named import Named
from .forms import Form, form_of, forms_of
from .numbers import Number
from .pool import OPERATIONS, Pool, Unknown

#: the parts of the script, in the order in which they need each other
SCRIPTS = ("compute.js", "state.js", "stage.js", "plot.js", "config.js", "losses.js", "main.js")
#: the losses that are shown at first
SHOWN = ("iou", "giou", "ciou", "eiou")


@dataclass(frozen=True)
class Explored:
    """A loss of the page.

    Attributes:
        name: what the page calls it.
        entry: what the catalogue says of it; None: it is in no catalogue.
        forms: of which some may have no program.
        summary: what it is.
    """

    name: str
    entry: Entry | None
    forms: Sequence[Form]
    summary: str = ""

    @property
    def is_shipped(self) -> bool:
        """Whether it is a loss of this package, which the page has to show."""
        return self.entry is not None and is_shipped(self.entry.function)


def explored(entry: Entry) -> Explored:
    """A loss of the catalogue in all its forms; a loss of this package that has no program is an error."""
    forms = forms_of(entry, {}, alone=False)
    if is_shipped(entry.function) and forms[0].program is None:
        raise _unwritten(entry.name, forms[0].reason)
    return Explored(entry.name, entry, forms, entry.summary)


def asked_for(named: Named) -> Explored:
    """A loss with the parameters that a user gave, or one that is in no catalogue: in this one form."""
    if not isinstance(named.loss, Loss):
        said = (inspect.getdoc(named.loss) or "").partition("\n")[0]
        return Explored(named.label, None, [form_of(named.loss)], said)
    entry = get_entry(named.loss.entry.name)
    return Explored(named.label, entry, forms_of(entry, named.loss.parameters_given, alone=True), entry.summary)


def _unwritten(name: str, reason: str) -> ValueError:
    allowed = "losses that are recorded whole, of operations that the page knows"
    return refusal("explore", f"{name}: {reason}", allowed, "teach `pool.OPERATIONS` and page/compute.js the operation")


def page_of(losses: Iterable[Explored], command: str, shown: Sequence[str] = SHOWN) -> str:
    """The whole file; an operation that the page does not know is an error in a loss of this package.

    Args:
        losses: in the order of the list.
        command: by which it is made.
        shown: names of those that are ticked at first.
    """
    pool, numbers = Pool(), list[Number]()
    described = [_loss(each, pool, numbers) for each in losses]
    data = {
        "losses": described,
        "numbers": [_number(each) for each in numbers],
        "operations": OPERATIONS,
        "nodes": ";".join(pool.nodes),
        "shown": shown,
    }
    made = f"Made by {command} of loss_plugins {__version__} with torch {torch.__version__}."
    return _filled(
        style=_part("style.css"),
        script="\n".join(map(_part, SCRIPTS)),
        made=html.escape(made),
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    )


def _filled(**parts: str) -> str:
    text = _part("page.html")
    for name, part in parts.items():
        text = text.replace(f"{{{{{name}}}}}", part)
    return text


def _part(name: str) -> str:
    return (resources.files(__package__) / "page" / name).read_text(encoding="utf-8")


def _loss(each: Explored, pool: Pool, numbers: list[Number]) -> dict[str, Any]:
    """A loss as the script reads it."""
    forms = [_form(form, each.name, each.is_shipped, pool, numbers) for form in each.forms]
    reason = "" if forms[0]["results"] else forms[0]["reason"]
    said = {} if each.entry is None else _said(each.entry)
    return {"name": each.name, "summary": each.summary, **said, "forms": [] if reason else forms, "reason": reason}


def _said(entry: Entry) -> dict[str, Any]:
    """What the catalogue says of a loss."""
    source = entry.source
    return {
        "type": entry.name,
        "cls": class_of(entry).__name__,
        "units": entry.traits.units,
        "formula": READABLE.get(entry.formula, entry.formula),
        "source": {"title": source.title, "year": source.year, "url": source.url} if source.title else None,
        "required": [name for name, parameter in entry.parameters.items() if parameter.required],
    }


def _form(form: Form, name: str, shipped: bool, pool: Pool, numbers: list[Number]) -> dict[str, Any]:
    results, reason = None, form.reason
    if form.program is not None:
        try:
            results = pool.add(form.program)
        except Unknown as unknown:
            if shipped:
                raise _unwritten(name, str(unknown)) from unknown
            reason = str(unknown)
    numbers.extend(each for each in form.numbers if each not in numbers)
    return {
        "label": form.label,
        "sort": form.sort,
        "sets": _plain(form.sets),
        "numbers": [numbers.index(each) for each in form.numbers],
        "results": results,
        "reason": reason,
    }


def _number(number: Number) -> dict[str, Any]:
    interval = number.interval
    limits: list[float | bool | None] = [None, None, False, False]
    if interval is not None:
        ends = (end if math.isfinite(end) else None for end in (interval.low, interval.high))
        limits = [*ends, interval.open_low, interval.open_high]
    return {
        "name": number.name,
        "parameter": number.parameter,
        "place": number.place,
        "default": number.default,
        "low": number.low,
        "high": number.high,
        "allowed": number.allowed,
        "meaning": number.meaning.replace("`", ""),
        "limits": limits,
        "gap": number.gap,
        "running": number.running,
    }


def _plain(sets: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON has them: tuples are lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in sets.items()}
