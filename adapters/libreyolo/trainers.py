"""Trainers of LibreYOLO that are set up inside of a context: their criteria are plugged, validation included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from loss_plugins.errors import refusal

from ..detr.asked import Asked
from ..detr.doors import standing_in
from ..detr.installed import framework
from ..detr.patched import Patched
from .served import WHERE, Served, nothing_found

#: what trainers are set up by, and what starts processes
TRAINER = ("libreyolo.training.trainer", "BaseTrainer", "setup")
PROCESSES = ("libreyolo.training.ddp_spawn", "spawn_for_model")
#: settings of a trainer with which its `on_forward` is not called
OTHER_WAYS = ("compile", "cuda_graph")


class Trained:
    """One trainer.

    Args:
        trainer: that has been set up.
        served: what is plugged for it.
    """

    def __init__(self, trainer: Any, served: Served) -> None:
        self.trainer, self.served = trainer, served
        self._forward: Callable[..., Any] = trainer.on_forward
        self._adapter: Callable[..., Any] = trainer.build_validation_loss_adapter
        self._others = served.serve(trainer)
        self._check_ways()
        trainer.on_forward = self._on_forward
        trainer.build_validation_loss_adapter = self._build_validation_loss_adapter

    def leave(self) -> None:
        """The trainer's own methods."""
        for name in ("on_forward", "build_validation_loss_adapter"):
            vars(self.trainer).pop(name, None)

    def _check_ways(self) -> None:
        """Raise where `on_forward`, which is not called, would have to plug a criterion or to tell losses of steps."""
        ways = [name for name in OTHER_WAYS if getattr(self.trainer.config, name, False)]
        told = self.served.is_told
        if ways and (told or not self.served.any):
            why = "a loss has to be told of steps" if told else "a criterion is built by the first one"
            came = f"{ways[0]}=True of {type(self.trainer).__name__}: on_forward is not called, where {why}"
            raise refusal(WHERE, came, f"{ways[0]}=False", "leave it out")

    def _on_forward(self, *arguments: Any, **named: Any) -> Any:
        if not self.served.any:
            self._discover(arguments, named)
        self.served.set_progress(min(self.trainer.current_epoch / self.trainer.config.epochs, 1.0))
        dense = self.served.dense
        if dense is None:
            return self._forward(*arguments, **named)
        return dense.losses.run(lambda _, *given, **more: self._forward(*given, **more), self, arguments, named)

    def _discover(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Plug criteria that are built by the first step, which is computed once before for that, and leaves no trace.

        Raises:
            UnsupportedCriterion: there is none that is known.
        """
        with _without_a_trace(self.trainer.model):
            self._forward(*arguments, **named)
        others = self.served.serve(self.trainer)
        if not self.served.any:
            raise nothing_found(self.trainer, [*self._others, *others])

    def _build_validation_loss_adapter(self, *arguments: Any, **named: Any) -> Any:
        adapter = self._adapter(*arguments, **named)
        self.served.serve(adapter)
        return adapter


@contextmanager
def _without_a_trace(model: torch.nn.Module) -> Iterator[None]:
    """No gradients, the random numbers of before, and what a forward pass writes into a model undone."""
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = sorted({buffer.device.index for buffer, _ in kept if buffer.is_cuda})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        try:
            yield
        finally:
            for buffer, before in kept:
                buffer.copy_(before)


@contextmanager
def doors(asked: Asked, context: Patched) -> Iterator[None]:
    """While inside, trainers that this thread sets up are plugged; processes that LibreYOLO starts are refused."""
    trainers: dict[int, Trained] = {}

    def set_up(found: Callable[..., Any], trainer: Any, *arguments: Any, **named: Any) -> Any:
        returned = found(trainer, *arguments, **named)
        if id(trainer) not in trainers:
            trainers[id(trainer)] = Trained(trainer, Served(asked, context.take))
        return returned

    def spawn(found: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        came = "several devices: LibreYOLO would start processes that know nothing of this context"
        remedy = "start a script by torchrun, of which each process enters the context"
        raise refusal(WHERE, came, "one device, or torchrun", remedy, RuntimeError)

    (module, base, method), (processes, start) = TRAINER, PROCESSES
    trainer = getattr(framework(module), base)
    try:
        with standing_in(trainer, method, set_up), standing_in(framework(processes), start, spawn):
            yield
    finally:
        for each in trainers.values():
            each.leave()
