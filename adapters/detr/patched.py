"""A context in which every criterion that a framework builds gets its losses, with proof that they were used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from loss_plugins.errors import LossNotUsed, refusal

from .base import BasePlug
from .report import Report


class Patched(AbstractContextManager["Patched"]):
    """From entering to leaving, criteria that this thread builds are plugged.

    Leaving puts back what was found and takes the losses out again. Without an exception it raises `LossNotUsed` where
    a loss was not trained; a training without it ends with that after a few steps already.

    Args:
        where: the framework, for errors.
        doors: of this context; what is entered with it.

    Attributes:
        plugs: of the criteria built by now, the latest last.
    """

    def __init__(self, where: str, doors: Callable[[Patched], AbstractContextManager[Any]]) -> None:
        self.where = where
        self.plugs: list[BasePlug] = []
        self._doors = doors
        self._leaving: ExitStack | None = None

    def take(self, plug: BasePlug) -> None:
        """Keep the plug of a criterion that was built, until the context is left."""
        self.plugs.append(plug)

    @property
    def report(self) -> Report:
        """That of the criterion which was trained last; of the latest, where none was.

        Raises:
            LossNotUsed: no criterion was built.
        """
        reports: list[Report] = [plug.report for plug in self.plugs]
        if not reports:
            raise LossNotUsed(self._none_built())
        return next((report for report in reversed(reports) if report.trained), reports[-1])

    def require_use(self) -> None:
        """Raise unless the losses were used.

        Raises:
            LossNotUsed: no criterion was built, or none was trained; or one was trained without a loss.
        """
        if not self.plugs:
            raise LossNotUsed(self._none_built())
        trained = [plug for plug in self.plugs if plug.trained]
        if not trained:
            raise LossNotUsed(
                f"{self.where}: no criterion that was built here was trained: did other processes train, which have to "
                "be inside of a context of their own, or was it after the context was left?"
            )
        for plug in trained:
            plug.require_use()

    def _none_built(self) -> str:
        return f"{self.where}: no criterion was built in this context by this thread: call train() inside of it"

    def __enter__(self) -> Patched:
        inside = _here.__dict__.setdefault("frameworks", set())
        if self.where in inside or self.plugs:
            came = f"{'another' if self.where in inside else 'this'} context is in force, or was"
            raise refusal(self.where, came, "one at a time, entered once", "leave it, and call patched() again")
        with ExitStack() as leaving:
            leaving.enter_context(self._doors(self))
            leaving.callback(inside.discard, self.where)
            inside.add(self.where)
            self._leaving = leaving.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        assert self._leaving is not None
        self._leaving.close()
        for plug in reversed(self.plugs):
            if kind is None:
                plug.sync()
            plug.unplug()
        if kind is None:
            self.require_use()

    def __repr__(self) -> str:
        return f"Patched({self.where}: {len(self.plugs)} criteria)"


_here = threading.local()
