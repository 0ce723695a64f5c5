# SPDX-License-Identifier: AGPL-3.0-or-later
"""Ways of training that start other processes without our trainer: refused while a plug is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from .errors import UnsupportedUltralytics
from .plug import replaced

USE_TRAINER = "Pass trainer=lpu.trainer(...) to YOLO(...).train(...), which other processes can import"


@contextmanager
def subprocess_training_refused() -> Iterator[None]:
    """While inside, training that would run elsewhere with the stock loss raises instead.

    These are `tune()`, `train(data=[...])` without our trainer, and several GPUs without our trainer.
    """
    from ultralytics.engine import trainer as engine
    from ultralytics.engine.model import Model

    with ExitStack() as stack:
        stack.enter_context(replaced(Model, "tune", _refuse("tune() trains in other processes")))
        multi = getattr(engine, "MultiTrainer", None)
        if multi is not None:
            stack.enter_context(replaced(multi, "train", _unless(multi.train, _runs_stock_list)))
        base = engine.BaseTrainer
        stack.enter_context(replaced(base, "train", _unless(base.train, _runs_stock_ranks)))
        yield


def _refuse(what: str) -> Callable[..., Any]:
    def refused(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedUltralytics(f"{what}, where the plugged loss would be missing", USE_TRAINER)

    return refused


def _unless(method: Callable[..., Any], reason: Callable[[Any], str | None]) -> Callable[..., Any]:
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        what = reason(self)
        return _refuse(what)(self) if what else method(self, *args, **kwargs)

    return guarded


def _runs_stock_list(multi: Any) -> str | None:
    return "train(data=[...]) without a trainer starts one process per data set" if multi.trainer is None else None


def _runs_stock_ranks(trainer: Any) -> str | None:
    plain = getattr(trainer, "ddp", False) and not hasattr(trainer, "loss_spec")
    return "training on several GPUs starts one process per GPU" if plain else None
