# SPDX-License-Identifier: AGPL-3.0-or-later
"""While a loss is plugged in, training in other processes, which would use the stock loss, is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from .errors import UnsupportedUltralytics
from .plug import replaced

USE_TRAINER = "Pass trainer=lpu.trainer(...) to YOLO(...).train(...), which other processes can import"


@contextmanager
def subprocess_training_refused() -> Iterator[None]:
    """Inside the context, training that would start other processes with the stock loss raises instead.

    These are `tune()`, and `train(data=[...])` or several GPUs without a trainer of `loss_plugins`.
    """
    from ultralytics.engine import trainer as engine
    from ultralytics.engine.model import Model

    with ExitStack() as stack:
        stack.enter_context(replaced(Model, "tune", _refuse("tune() trains in other processes")))
        multi = getattr(engine, "MultiTrainer", None)
        if multi is not None:
            stack.enter_context(replaced(multi, "train", _unless(multi.train, _starts_stock_data_sets)))
        base = engine.BaseTrainer
        stack.enter_context(replaced(base, "train", _unless(base.train, _starts_stock_ranks)))
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


def _starts_stock_data_sets(multi: Any) -> str | None:
    return "train(data=[...]) without a trainer starts one process per data set" if multi.trainer is None else None


def _starts_stock_ranks(trainer: Any) -> str | None:
    stock = getattr(trainer, "ddp", False) and not hasattr(trainer, "loss_spec")
    return "training on several GPUs starts one process per GPU" if stock else None
