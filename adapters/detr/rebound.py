"""A function of somebody else's module with some of the names that it reads meaning something else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from loss_plugins.errors import closest, refusal, shown


def rebound(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """A copy of a function that finds these values under these global names; its module stays as it is.

    The copy reads a snapshot of the module's globals, taken now. Functions that it calls keep their own.

    Args:
        function: a plain function, or a method as the class has it.
        **names: the new value of each global name.

    Raises:
        TypeError: it is no function written in Python.
        ValueError: the function does not read a global of that name.

    >>> import textwrap
    >>> upper = rebound(textwrap.dedent, re=None)
    >>> upper is textwrap.dedent, textwrap.re is None
    (False, False)
    """
    if not isinstance(function, FunctionType):
        came = f"function={shown(function)} is of type {type(function).__name__}"
        remedy = "give the function itself, which a method has under __func__"
        raise refusal("rebound", came, "a function written in Python", remedy, TypeError)
    read = globals_of(function)
    for name in names:
        if name not in read:
            came = f"{function.__qualname__} of {function.__module__} reads no global {name!r}"
            raise refusal("rebound", came, ", ".join(read) or "none", closest(name, read))
    scope = {**function.__globals__, **names}
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(copy, function)
    del copy.__wrapped__  # type: ignore[attr-defined]  # signatures and tracebacks are those of the copy
    return copy


def globals_of(function: Callable[..., Any]) -> list[str]:
    """The global names that a function written in Python reads."""
    return sorted(_names(function.__code__) & {*function.__globals__}) if isinstance(function, FunctionType) else []


def _names(code: CodeType) -> set[str]:
    """The names that code reads other than locals, with those of the functions inside of it."""
    inside = (_names(each) for each in code.co_consts if isinstance(each, CodeType))
    return {*code.co_names}.union(*inside)
