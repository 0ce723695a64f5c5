"""Names as people type them: any case and separator, a loss's full name, and transforms and versions around it.

"Inner-CIoU" is ciou with inner_ratio=0.75; "wiou_v3" is wiou with version=3; "EfficientIoU" is eiou
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import closest, refusal
from .entry import Entry
from .names import class_name

#: what a word in front of the name of a loss sets: the default of the paper that the transform is from
PREFIXES: dict[str, dict[str, Any]] = {
    "inner": {"inner_ratio": 0.75},
    "focaler": {"focaler": (0.0, 0.95)},
    "alpha": {"power": 3.0},
    "focal": {"focal_gamma": 0.5},
    "wise": {"wise": 3},
    "interp": {"interp": 0.98},
    "d_interp": {"d_interp": (0.6, 0.99)},
}
#: a prefix that names a form in the paper of a loss itself: what that sets, so that the name may mean either
OWN_FORMS: dict[tuple[str, str], dict[str, Any]] = {("focal", "uiou"): {"gamma": 0.5}}
#: abbreviations that are no registered names: the losses that they are of; two make a name that may mean either
ABBREVIATIONS: dict[str, tuple[str, ...]] = {
    "asl": ("asymmetric",),
    "ce": ("cross_entropy",),
    "dfl": ("distribution_focal",),
    "fl": ("focal",),
    "gfl": ("quality_focal", "distribution_focal"),
    "ghm": ("ghm_c",),
    "lovasz": ("lovasz_softmax", "lovasz_hinge"),
    "qfl": ("quality_focal",),
    "vfl": ("varifocal",),
}
#: the parameter that a number behind the name of a loss sets
VERSION = "version"


@dataclass(frozen=True)
class Meaning:
    """What a name stands for.

    Attributes:
        entry: the loss.
        parameters: those that the name sets, in the order of its words.
        words: the prefixes and the version in the name, from the front.
    """

    entry: Entry
    parameters: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As in "ciou with inner_ratio=0.75"."""
        return f"{self.entry.name} with {', '.join(self._said)}" if self.parameters else self.entry.name

    @property
    def _said(self) -> list[str]:
        return [f"{key}={value!r}" for key, value in self.parameters.items()]

    @property
    def call(self) -> str:
        """The call that builds it, by the registered name."""
        return f"build_loss({', '.join([repr(self.entry.name), *self._said])})"

    def as_entry(self) -> Entry:
        """What the catalogue says of the composition: the loss's entry, with the parameters set as defaults."""
        known = {**self.entry.parameters}
        known.update({name: replace(known[name], default=value) for name, value in self.parameters.items()})
        return replace(self.entry.with_parameters(self.parameters), parameters=known)

    def named(self, cls: str) -> str:
        """The class of this composition, from that of the loss: "CIoULoss" to "InnerCIoULoss"."""
        before = "".join(class_name(word).removesuffix("Loss") for word in self.words if word in PREFIXES)
        after = "".join(word.upper() for word in self.words if word not in PREFIXES)
        return f"{before}{cls.removesuffix('Loss')}{after}Loss"


def plain_name(name: str) -> str:
    """A name without case, accents, separators and the word "loss" at its end; "+", which tells losses apart, stays.

    >>> plain_name("Inner-CIoU Loss"), plain_name("inner_ciou"), plain_name("Lovász")
    ('innerciou', 'innerciou', 'lovasz')
    """
    letters = unicodedata.normalize("NFKD", name)  # accents are signs of their own then, and no letters
    return re.sub(r"[\W_]+", "", letters.lower().replace("+", "plus")).removesuffix("loss")


def full_name(entry: Entry) -> str:
    """What the first words of its description call a loss, without what stands in brackets: "Complete IoU loss"."""
    return re.split("[:;,.(]", entry.summary)[0]


def meanings(name: str, entries: Mapping[str, Entry], aliases: Mapping[str, str]) -> list[Meaning]:
    """Everything that a name can stand for; a registered one stands for its loss alone.

    Args:
        name: as it was typed.
        entries: the losses by name.
        aliases: names of module classes to names of losses.
    """
    named = [*((each, entry) for each, entry in entries.items()), *_of_classes(entries, aliases)]
    registered = _by_plain_name(named)
    short = [(each, entries[loss]) for each, losses in ABBREVIATIONS.items() for loss in losses if loss in entries]
    described = _by_plain_name([*((full_name(entry), entry) for entry in entries.values()), *short])
    return _distinct(_read(plain_name(name), registered, described))


Known = Mapping[str, list[Entry]]


def _of_classes(entries: Mapping[str, Entry], aliases: Mapping[str, str]) -> Iterator[tuple[str, Entry]]:
    return ((cls, entries[name]) for cls, name in aliases.items() if name in entries)


def _by_plain_name(named: list[tuple[str, Entry]]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for name, entry in named:
        plain = plain_name(name)
        if not plain:  # a loss without description
            continue
        known = found.setdefault(plain, [])
        if entry not in known:
            known.append(entry)
    return found


def _read(rest: str, registered: Known, described: Known) -> Iterator[Meaning]:
    """The readings of the rest of a name, its first words taken off."""
    if rest in registered:
        yield from map(Meaning, registered[rest])
        return
    yield from map(Meaning, described.get(rest, ()))
    yield from _with_version(rest, registered)
    for prefix, parameters in PREFIXES.items():
        word = plain_name(prefix)
        if not rest.startswith(word):
            continue
        for meant in _read(rest.removeprefix(word), registered, described):
            if all(key in meant.entry.parameters and key not in meant.parameters for key in parameters):
                own = OWN_FORMS.get((prefix, meant.entry.name))
                for sets in (parameters,) if own is None else (own, parameters):
                    yield Meaning(meant.entry, {**sets, **meant.parameters}, (prefix, *meant.words))


def _with_version(rest: str, registered: Known) -> Iterator[Meaning]:
    found = re.fullmatch(r"(.+?)(?:v|version)?(\d)", rest)
    for entry in registered.get(found[1], ()) if found else ():
        allowed = entry.parameters[VERSION].allowed if VERSION in entry.parameters else None
        if found and allowed is not None and int(found[2]) in allowed:
            yield Meaning(entry, {VERSION: int(found[2])}, (f"v{found[2]}",))


def _distinct(found: Iterator[Meaning]) -> list[Meaning]:
    kept: list[Meaning] = []
    for each in found:
        if not any(each.entry is other.entry and dict(each.parameters) == dict(other.parameters) for other in kept):
            kept.append(each)
    return kept


def ambiguous(found: list[Meaning], where: str, came: str) -> ValueError:
    """The error for a name that can stand for several losses."""
    readings = " or ".join(map(str, found))
    remedy = f"write {' or '.join(each.call if each.parameters else repr(each.entry.name) for each in found)}"
    return refusal(where, f"{came} may mean {readings}", "a name that means one loss", remedy)


def composed(meant: Meaning, where: str, came: str) -> ValueError:
    """The error for a name that sets parameters, where only a loss of the catalogue is asked for."""
    remedy = f"pass {meant.entry.name!r}, or build the loss: {meant.call}"
    return refusal(where, f"{came} is {meant}", "the name of a loss alone", remedy)


def like(name: str, names: Iterable[str], entries: Mapping[str, Entry]) -> str:
    """A sentence with the names most like this one, with the transforms in front of it; "": none is."""
    typed = plain_name(name)
    with_transform = [
        f"{prefix}_{each}"
        for prefix, parameters in PREFIXES.items()
        if typed.startswith(plain_name(prefix))
        for each, entry in entries.items()
        if parameters.keys() <= entry.parameters.keys()
    ]
    near = closest(name, {*names, *with_transform})
    return near if near.startswith("did you mean") else ""
