"""Losses that take the plain path: on purpose, as where what was recorded is compared with it, or as none can be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class NotTraceable(Exception):
    """The loss cannot be recorded once for all numbers of rows; it runs by ordinary autograd instead."""


class _Wanted(threading.local):
    """Whether this thread wants the plain path."""

    here = False


_wanted = _Wanted()


@contextmanager
def by_autograd() -> Iterator[None]:
    """Losses that this thread calls here are computed by plain autograd, by no program and no machine code."""
    before, _wanted.here = _wanted.here, True
    try:
        yield
    finally:
        _wanted.here = before


def autograd_wanted() -> bool:
    """Whether losses that this thread calls take the plain path."""
    return _wanted.here
