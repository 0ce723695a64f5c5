"""Which calls of a loss with running statistics belong to one training step: those of one iteration of a runner."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from mmengine.dist import get_world_size
from mmengine.logging import MessageHub

from loss_plugins.module.loss import Loss
from loss_plugins.module.state import statistics_of

from .lost_hooks import LINE


@dataclass
class Steps:
    """Begins the steps of a loss, so that a head which calls it once per level teaches it once.

    LossPluginsHook leads where it is; otherwise the iteration that MMEngine's message hub tells is followed. Outside of
    a runner each call is a step, or what `begin_step` of the loss has begun.

    Attributes:
        led: whether the hook begins the steps.
        current: run and iteration of the last call; None: it was outside of a runner.
    """

    led: bool = False
    current: tuple[str, int] | None = None

    def lead(self, loss: Loss) -> None:
        """Begin a step; from now on the hook begins each."""
        self.led = True
        loss.begin_step()

    def leave(self, loss: Loss) -> None:
        """The training has ended: each call is a step again."""
        self.led, self.current = False, None
        for statistic in statistics_of([loss]):
            statistic.in_step = False

    def follow(self, loss: Loss) -> None:
        """Before a call that teaches the loss: begin a step if the runner has begun another iteration."""
        if self.led:
            return
        now = iteration()
        if now is None and self.current is not None:
            self.leave(loss)
        elif now != self.current:
            loss.begin_step()
        self.current = now
        if get_world_size() > 1 and (now or not any(statistic.in_step for statistic in statistics_of([loss]))):
            warn_of_ranks(loss)


def iteration() -> tuple[str, int] | None:
    """The run that trains in this process, and its iteration; None: none does. Nothing waits for a GPU."""
    hub = MessageHub.get_current_instance()
    said = hub.runtime_info
    return (hub.instance_name, said["iter"]) if said.get("loop_stage") == "train" and "iter" in said else None


def warn_of_ranks(loss: Loss) -> None:
    """Python shows a warning of the same words once."""
    warnings.warn(
        f"loss_plugins: {loss.entry.name} keeps running statistics, and nothing sums them over the {get_world_size()} "
        f"processes: each trains with its own. Add LossPluginsHook, {LINE}, or in a loop of your own call begin_step() "
        "before and sync() after each step",
        stacklevel=2,
    )
