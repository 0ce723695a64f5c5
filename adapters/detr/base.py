"""What every plug is: losses in the place of others, counted, proven to train, and taken out again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import Self

from loss_plugins.errors import refusal

from .report import Report, report_of
from .saved import load_state, state_of
from .slot import Slot
from .steps import Steps


class BasePlug:
    """From entering to leaving the losses are in.

    Leaving takes them out, and without an exception proves that they were trained. A plug whose losses were taken out
    is not entered again: the stock losses would be trained.

    Attributes:
        where: the adapter, for errors.
        owner: what the argument is called that has the losses.
    """

    where: str
    owner: ClassVar[str] = "criterion"

    @property
    def name(self) -> str:
        """The class of what computes the losses."""
        raise NotImplementedError

    @property
    def plugged(self) -> bool:
        """Whether the losses are in."""
        raise NotImplementedError

    def unplug(self) -> None:
        """Take the losses out; a second call does nothing."""
        raise NotImplementedError

    def _parts(self) -> list[tuple[str, Steps, str]]:
        """What computes losses, the losses, and what may be the reason if it never computed any; for errors."""
        raise NotImplementedError

    @property
    def _steps(self) -> list[Steps]:
        """The losses, each once."""
        return list({id(steps): steps for _, steps, _ in self._parts()}.values())

    @property
    def _slots(self) -> list[Slot]:
        return [slot for steps in self._steps for slot in steps.slots]

    @property
    def title(self) -> str:
        """What computes the losses, as errors name it."""
        return f"{self.owner}={self.name}"

    @property
    def report(self) -> Report:
        """Which loss replaces which, what the probe found, and what was computed since."""
        return report_of(self._steps)

    @property
    def trained(self) -> bool:
        """Whether a loss was computed in training since it was plugged."""
        return any(steps.was_trained for steps in self._steps)

    def prove_after(self, calls: int) -> None:
        """End a training in which a loss is not used, with `LossNotUsed`, when so many calls were trained with.

        Args:
            calls: from whose results a gradient came back; 0: leave the proof to the end.
        """
        for steps in self._steps:
            steps.proof.after = calls

    def require_use(self) -> None:
        """Raise unless the losses were trained.

        Raises:
            LossNotUsed: nothing was computed in training; or a loss was not computed there, or nothing learnt from it.
        """
        for what, steps, question in self._parts():
            steps.require_training(what, question)
            steps.require_use()

    def set_progress(self, progress: float) -> None:
        """Tell losses that change in the course of a training (`uiou`) how much of it is over, before each step.

        The callback for the Trainer of transformers and the context for LibreYOLO's trainers do it by themselves.

        Args:
            progress: 0 at the beginning, 1 at the end; step / steps, say.

        Raises:
            ValueError: it is not from 0 to 1.
        """
        for steps in self._steps:
            steps.set_progress(progress)

    def sync(self) -> None:
        """End the step, on every rank: running statistics are those of the rows of all of them.

        Each call in training does so for the step before; after the last one, before the state is saved, nobody else
        does.
        """
        for steps in self._steps:
            steps.end_step()

    def state_dict(self) -> dict[str, Any]:
        """The losses, their gains and running statistics, to be saved beside a checkpoint."""
        return state_of(self._slots)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the running statistics and gains of an earlier plug.

        Raises:
            ValueError: its losses were others.
        """
        load_state(self.where, self._slots, state)

    def __enter__(self) -> Self:
        if not self.plugged:
            came = f"the losses of {self.title} were taken out already"
            raise refusal(self.where, came, "a plug whose losses are in", "call plug(...) again")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.unplug()
        if kind is None:
            self.require_use()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}: {self.report})"
