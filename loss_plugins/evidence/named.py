"""Losses as the commands of this room take them: NAME, "NAME(key=value, ...)" or package.module:function.

A name is as people type it ("Inner-CIoU", see `catalog.typed`). Values are written as in Python; a word without quotes
is text: "nwd(constant=1, mode=log)".
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..catalog.entries import Entry, get_entry, meaning_of
from ..errors import closest, in_one_line, refusal
from ..module.build import build_loss
from ..module.imported import OWN, LossCallable, look_here, registered_as, resolve
from ..module.loss import Loss

FORMS = "NAME, 'NAME(key=value, ...)' or package.module:function"
#: by name of a loss that measures in the unit of an image, or of its objects: the parameter that tells it
SIZES = {"mpdiou": "image_size", "nwd": "constant"}
OPEN, CLOSED = "([{", ")]}"


@dataclass(frozen=True)
class Named:
    """A loss that a command was asked for.

    Attributes:
        label: what results call it: its name, with the parameters that were set.
        loss: it, per box or element.
        entry: what the catalogue says of it; None: it is a callable of one's own that is in no catalogue.
        sources: files that its numbers depend on, beside those of this package.
    """

    label: str
    loss: LossCallable
    entry: Entry | None
    sources: tuple[Path, ...] = ()

    def identity(self) -> dict[str, Any]:
        """What tells it from every other loss, and from itself after a change of its code."""
        spec = self.loss.spec() if isinstance(self.loss, Loss) else self.label
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in self.sources]
        return {"spec": spec, "sources": digests}


def named_losses(texts: Iterable[str], where: str) -> list[Named]:
    """The losses of a command's arguments, each of which may name several, separated by commas; each loss once.

    Args:
        texts: the arguments.
        where: the command, for errors.

    Raises:
        ValueError: a loss that there is not, or that is named in another form; a parameter out of range.
        TypeError: a parameter that the loss does not have, or one that is missing.

    >>> [each.label for each in named_losses(["CIoU, nwd(constant=1, mode=log)"], "simulate")]
    ['ciou', "nwd(constant=1, mode='log')"]
    """
    found = [named_loss(each, where) for text in texts for each in split_outside_brackets(text)]
    return list({each.label: each for each in found}.values())


def named_loss(text: str, where: str) -> Named:
    """One loss, see `named_losses`."""
    name, parameters = read_call(text, where)
    if ":" in name:
        return _of_your_own(name, parameters, name + said_of(parameters), where)
    return _catalogued(*meant_by_call(name, parameters, where, "NAME"), where)


def meant_by_call(
    name: str, parameters: Mapping[str, Any], where: str, argument: str
) -> tuple[Entry, Mapping[str, Any], str]:
    """The loss of a typed name: what the catalogue says of it, all its parameters, and what results call it."""
    meant = meaning_of(name, where, argument, OWN)
    label = name.strip().lower().replace("-", "_").replace(" ", "_") if meant.parameters else meant.entry.name
    return meant.entry, {**meant.parameters, **parameters}, label + said_of(parameters)


def said_of(parameters: Mapping[str, Any]) -> str:
    """Parameters in brackets, as a call has them; nothing where there are none.

    >>> said_of({"constant": 1, "mode": "log"}), said_of({})
    ("(constant=1, mode='log')", '')
    """
    return f"({', '.join(f'{key}={value!r}' for key, value in parameters.items())})" if parameters else ""


def _catalogued(entry: Entry, parameters: Mapping[str, Any], label: str, where: str) -> Named:
    if "reduction" in parameters:
        raise refusal(where, f"{label} names a reduction", "one number per box", "leave reduction out")
    loss = build_loss(entry.name, reduction="none", **parameters).eval()
    return Named(label, loss, loss.entry, _sources(entry.function))


def _of_your_own(target: str, parameters: Mapping[str, Any], label: str, where: str) -> Named:
    look_here()
    registered = registered_as(resolve(target, where))
    if registered is not None:
        return _catalogued(get_entry(registered), parameters, label, where)
    try:
        found = resolve(target, where, **parameters)
    except TypeError as error:
        allowed = "the keywords that it takes"
        raise refusal(where, f"{label}: {in_one_line(error)}", allowed, "correct the call", TypeError) from error
    return Named(label, found, None, _sources(getattr(found, "func", found)))


def _sources(function: Callable[..., Any]) -> tuple[Path, ...]:
    """The file that a function, or the class of an object, is written in; nothing for what is built in."""
    written = function if inspect.isroutine(function) else type(function)
    try:
        file = inspect.getsourcefile(inspect.unwrap(written))
    except TypeError:
        file = None
    return (Path(file),) if file and Path(file).exists() else ()


def read_call(text: str, where: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of `NAME` or `NAME(key=value, ...)`.

    >>> read_call("mpdiou(image_size=(640, 640))", "simulate")
    ('mpdiou', {'image_size': (640, 640)})
    """
    text = text.strip()
    name, bracket, rest = text.partition("(")
    name = name.strip()
    if not name or any(each in name for each in CLOSED):
        raise refusal(where, f"{text!r} names no loss", FORMS, "look names up: loss-plugins list")
    if not bracket:
        return name, {}
    call = None
    if rest.endswith(")"):
        try:
            call = ast.parse(f"f({rest}", mode="eval").body
        except SyntaxError:
            call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise refusal(where, f"{text!r} cannot be read", FORMS, "close the brackets, and put the whole into quotes")
    if call.args:
        came = f"{text!r}: {ast.unparse(call.args[0])} has no name"
        raise refusal(where, came, FORMS, "name what you pass: key=value")
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        key = keyword.arg or "**"
        if key == "**" or key in found:
            came = f"{text!r}: {'a dict is unpacked' if key == '**' else f'{key} is given again'}"
            raise refusal(where, came, FORMS, "give each parameter once")
        found[key] = _value(keyword.value, key, text, where)
    return name, found


class _Words(ast.NodeTransformer):
    """Words without quotes are texts."""

    def visit_Name(self, node: ast.Name) -> ast.Constant:
        return ast.Constant(node.id)


def _value(node: ast.expr, key: str, text: str, where: str) -> Any:
    written = ast.unparse(node)
    try:
        return ast.literal_eval(_Words().visit(node))
    except ValueError:
        came = f"{text!r}: {key}={written} is no value"
        raise refusal(where, came, "numbers, texts, lists and dicts of them", "write it out") from None


def split_outside_brackets(text: str) -> list[str]:
    """The parts between commas that stand in no bracket and in no quotes.

    >>> split_outside_brackets("ciou, mpdiou(image_size=(1, 1))")
    ['ciou', 'mpdiou(image_size=(1, 1))']
    """
    return ["".join(part).strip() for part in _parts(text)]


def _parts(text: str) -> Iterator[list[str]]:
    depth, quote, part = 0, "", list[str]()
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in OPEN:
            depth += 1
        elif letter in CLOSED:
            depth -= 1
        elif letter == "," and depth <= 0:
            yield part
            part = []
            continue
        part.append(letter)
    yield part


def require_kinds(named: Iterable[Named], kinds: tuple[str, ...], where: str) -> None:
    """Raise for a loss of the catalogue that is of another kind than a command can serve."""
    for each in named:
        if each.entry is not None and each.entry.kind not in kinds:
            came = f"{each.label} is of kind {each.entry.kind}"
            allowed = f"losses of kind {' or '.join(kinds)}"
            raise refusal(where, came, allowed, f"choose one: loss-plugins list --kind {kinds[0]}")


def require_size(named: Iterable[Named], where: str) -> None:
    """Raise for a loss that measures in the unit of an image, or of its objects, and was not told which."""
    for each in named:
        parameter = SIZES.get(each.entry.name) if each.entry is not None else None
        if parameter is not None and isinstance(each.loss, Loss) and parameter not in each.loss.parameters_given:
            example = "1" if parameter == "constant" else "(20, 20)"
            came = f"{each.label} measures by its {parameter}, which no box here says"
            allowed = f"{each.entry.name} with its {parameter}" if each.entry is not None else ""
            raise refusal(where, came, allowed, f'write "{each.label}({parameter}={example})"')


def unknown_among(word: str, words: Iterable[str], option: str, where: str) -> ValueError:
    """The error for a word that is none of those that an option takes."""
    known = sorted(words)
    return refusal(where, f"{option}={word!r} is unknown", ", ".join(known), closest(word, known))
