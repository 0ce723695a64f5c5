"""How this package says what is wrong: one style for all errors, and the errors that every adapter raises.

A message names the loss (or the function), the argument, what came, what is allowed, and the remedy:

    ciou: eps='x' is out of range; allowed: (0, 0.01]; leave it out for its default None
"""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any, TypeVar, cast

from torch import Tensor

Error = TypeVar("Error", bound=Exception)
Called = TypeVar("Called", bound=Callable[..., Any])
#: what messages call the types that arguments may have
TYPES: dict[Any, str] = {
    str: "text",
    bool: "True or False",
    numbers.Real: "a number",
    numbers.Integral: "a whole number",
    Callable: "a function",
    Mapping: "a dict",
    Tensor: "a tensor",
    NoneType: "None",
}
#: what Python writes for a function, a class, and where an object lies; and what messages write for it
READABLE = {
    re.compile(r"<function (\S+) at 0x[0-9A-Fa-f]+>"): r"the function \1",
    re.compile(r"<bound method (\S+) of .*>"): r"the method \1",
    re.compile(r"<(?:method|slot wrapper) '(\w+)' of '([\w.]+)' objects>"): r"the method \2.\1",
    re.compile(r"<ufunc '(\w+)'>"): r"the function \1",
    re.compile(r"<built-in (?:function|method) (\w+)[^>]*>"): r"the function \1",
    re.compile(r"<class '([^']+)'>"): r"the class \1",
    re.compile(r" at 0x[0-9A-Fa-f]+"): "",
}
#: text in quotes, which stays as it is also in a list, or any of these
WRITTEN = re.compile("|".join([r"'(?:[^'\\]|\\.)*'", r'"(?:[^"\\]|\\.)*"', *(each.pattern for each in READABLE)]))
#: characters of a value that a message shows
SHOWN = 100


class LossNotUsed(RuntimeError):
    """Training did not use the loss that was asked for."""


class WrongResult(ValueError):
    """A function of a loss of one's own returned something that cannot be trained with, or changed its arguments."""


def refusal(
    where: str,
    came: str,
    allowed: object,
    remedy: str,
    error: type[Error] = ValueError,  # type: ignore[assignment]
) -> Error:
    """The exception to raise for an argument that is not taken.

    Args:
        where: the loss, or the public function that was called.
        came: the argument and what came for it: "eps='x' is out of range".
        allowed: what is taken.
        remedy: what to do, as an instruction.
        error: the type of the exception.

    >>> print(refusal("ciou", "eps=2.0 is out of range", "(0, 0.01]", "leave it out for its default None"))
    ciou: eps=2.0 is out of range; allowed: (0, 0.01]; leave it out for its default None
    """
    return error(f"{where}: {came}; allowed: {allowed}; {remedy}")


def shown(value: Any) -> str:
    """A value as messages show it: tensors by shape and dtype, as reading them may wait for a device; the rest cut.

    Functions and classes are shown by name, and nothing by its place in memory.

    >>> shown("exp"), shown(shown)
    ("'exp'", 'the function shown')
    """
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no integers of more than 4300 digits
        return f"<{type(value).__name__} too long to be written>"
    if not isinstance(value, str):
        text = WRITTEN.sub(_readable, text)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _readable(found: re.Match[str]) -> str:
    text = found.group()
    if text[0] in "'\"":
        return text
    for written, readable in READABLE.items():
        text = written.sub(readable, text)
    return text


def in_one_line(error: BaseException) -> str:
    """An error as messages quote it: its type and what it says, without line breaks.

    >>> in_one_line(ValueError("one\\n  two")), in_one_line(KeyError("boxes"))
    ('ValueError: one two', 'KeyError: boxes')
    """
    quoted = isinstance(error, KeyError) and error.args  # Python writes what is missing as it would a value
    said = " ".join(str(error.args[0] if quoted else error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def closest(word: str, words: Iterable[str]) -> str:
    """A sentence with the names most like `word`, or all of them.

    >>> closest("coiu", ["ciou", "l1"])
    "did you mean 'ciou'?"
    """
    known = sorted(words)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "known: " + ", ".join(known)


def check_type(where: str, argument: str, value: Any, *wanted: Any) -> None:
    """Raise a TypeError unless the value has one of the types; True and False are no numbers.

    >>> check_type("Source", "year", "2021", int, type(None))
    Traceback (most recent call last):
    ...
    TypeError: Source: year='2021' is of type str; allowed: int or None; pass one of these types
    """
    if isinstance(value, wanted) and (not isinstance(value, bool) or bool in wanted):
        return
    names = " or ".join(TYPES.get(each, each.__name__) for each in wanted)
    came = f"{argument}={shown(value)} is of type {type(value).__name__}"
    raise refusal(where, came, names, "pass one of these types", TypeError)


def in_our_words(called: Called, refused: Mapping[str, str] | None = None) -> Called:
    """Decorator of a public function or class: unknown, missing and surplus arguments are refused in this style.

    Args:
        called: the function or class.
        refused: by argument that users may expect and there is not, what to do about it.

    >>> @in_our_words
    ... def square(side):
    ...     return side**2
    >>> square(sied=2)
    Traceback (most recent call last):
    ...
    TypeError: square: unknown argument sied=2; allowed: side; did you mean 'side'?
    """
    if isinstance(called, type):
        called.__init__ = _in_our_words(called.__init__, called.__name__, refused or {})  # type: ignore[misc]
        return called
    return cast(Called, _in_our_words(called, called.__name__, refused or {}))


def _in_our_words(function: Any, where: str, refused: Mapping[str, str]) -> Any:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except TypeError:
            mistake = _mistake(function, where, arguments, named, refused)
            if mistake is None:  # the call itself was right
                raise
        raise mistake

    return call


def _mistake(
    function: Any, where: str, arguments: tuple[Any, ...], named: Mapping[str, Any], refused: Mapping[str, str]
) -> TypeError | None:
    """The refusal of a call that does not go with the function's signature; None: it does."""
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        names = [name for name in signature.parameters if name != "self"]
        allowed = ", ".join(names) or "no argument"
        unknown = [name for name in named if name not in names]
        if unknown:
            came = f"unknown argument {unknown[0]}={shown(named[unknown[0]])}"
            near = closest(unknown[0], names)
            remedy = refused.get(unknown[0]) or (near if near.startswith("did you mean") else "leave it out")
            return refusal(where, came, allowed, remedy, TypeError)
        return refusal(where, f"arguments: {error}", allowed, f"see help({where})", TypeError)
    return None
