# SPDX-License-Identifier: AGPL-3.0-or-later
"""Training on several data sets, `train(data=[a, b])`, where Ultralytics goes on after an error with a line of log."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from ultralytics.engine import trainer as engine

from loss_plugins.errors import LossNotUsed

from .errors import LossNotFinite, UnsupportedUltralytics


class SweepEnded(BaseException):
    """A training of several was refused, or proved not to use its loss: the others would go the same way.

    It is no `Exception`, which `train(data=[...])` would log and pass over.
    """


@contextmanager
def not_passed_over() -> Iterator[None]:
    """Inside of `train(data=[...])`, an error of a plugged loss ends all trainings.

    Raises:
        SweepEnded: from the error.
    """
    try:
        yield
    except Exception as error:
        if _is_of_loss(error) and in_sweep():
            raise SweepEnded(f"train(data=[...]) was ended, as one of its trainings was: {error}") from error
        raise


@contextmanager
def ended_by_its_cause() -> Iterator[None]:
    """Around `train(data=[...])`: what ended it is raised, an `Exception`; a process of Ray dies of any other.

    Raises:
        Exception: the cause of a SweepEnded.
    """
    cause: BaseException | None = None
    try:
        yield
    except SweepEnded as ended:
        cause = ended.__cause__
    if cause is not None:
        raise cause


def in_sweep() -> bool:
    """Whether this thread trains on several data sets."""
    several = getattr(engine, "MultiTrainer", None)  # older versions have none
    frame: FrameType | None = inspect.currentframe()
    while several is not None and frame is not None:
        if isinstance(frame.f_locals.get("self"), several):
            return True
        frame = frame.f_back
    return False


def _is_of_loss(error: Exception) -> bool:
    """Whether it is ours: a loss that was not used, an installation that cannot be served, a refusal."""
    if isinstance(error, (LossNotUsed, LossNotFinite, UnsupportedUltralytics)):
        return True
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    module = "" if last is None else str(last.tb_frame.f_globals.get("__name__"))
    return isinstance(error, (ValueError, TypeError)) and module.partition(".")[0] == "loss_plugins"
