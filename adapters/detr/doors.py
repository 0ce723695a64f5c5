"""A function of a framework, followed by something of ours for the time of a context, for one thread alone."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: gets the function that was found, and what it is called with; returns what the caller gets
Around = Callable[..., Any]


class _Door:
    """What stands for a function while contexts are in force.

    Args:
        holder: the module or class that has the function.
        name: under which it has it.
    """

    def __init__(self, holder: Any, name: str) -> None:
        self.holder, self.name = holder, name
        self.found = vars(holder)[name]
        self.guests: dict[int, Around] = {}

        @functools.wraps(self.found)
        def call(*arguments: Any, **named: Any) -> Any:
            around = self.guests.get(threading.get_ident())
            return self.found(*arguments, **named) if around is None else around(self.found, *arguments, **named)

        self.call = call
        setattr(holder, name, call)

    def close(self) -> None:
        """Put back the function that was found; one that somebody else has put there since stays."""
        if vars(self.holder)[self.name] is self.call:
            setattr(self.holder, self.name, self.found)


_doors: dict[tuple[int, str], _Door] = {}
_lock = threading.Lock()


@contextmanager
def standing_in(holder: Any, name: str, around: Around) -> Iterator[None]:
    """Until the context is left, calls of `holder.name` by this thread are answered by `around`.

    Other threads get what was found, which is put back when the last of them has left. One context of a thread at a
    time.

    Args:
        holder: the module or class that itself has a function of that name.
        name: of the function.
        around: called with the function that was found, and its arguments.

    >>> import textwrap
    >>> stock = textwrap.dedent
    >>> with standing_in(textwrap, "dedent", lambda found, text: found(text).upper()):
    ...     textwrap.dedent("  a")
    'A'
    >>> textwrap.dedent is stock
    True
    """
    key, thread = (id(holder), name), threading.get_ident()
    with _lock:
        if key not in _doors:
            _doors[key] = _Door(holder, name)
        door = _doors[key]
        door.guests[thread] = around
    try:
        yield
    finally:
        with _lock:
            del door.guests[thread]
            if not door.guests:
                door.close()
                del _doors[key]
