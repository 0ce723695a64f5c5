"""What every plug is as a context manager: its losses leave at the end, which proves that they were used."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import Self

from loss_plugins.errors import refusal


class LeavingPlug:
    """From entering to leaving the losses are in.

    Leaving takes them out, and without an exception proves that they were used. A plug whose losses were taken out is
    not entered again: the stock losses would be trained.

    Attributes:
        where: the adapter, for errors.
    """

    where: ClassVar[str]

    @property
    def title(self) -> str:
        """What computes the losses, for errors."""
        raise NotImplementedError

    @property
    def plugged(self) -> bool:
        """Whether the losses are in."""
        raise NotImplementedError

    def unplug(self) -> None:
        """Take the losses out; a second call does nothing."""
        raise NotImplementedError

    def require_use(self) -> None:
        """Raise LossNotUsed unless the losses were used."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        if not self.plugged:
            came = f"the losses of {self.title} were taken out already"
            raise refusal(self.where, came, "a plug whose losses are in", "call plug(...) again")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.unplug()
        if kind is None:
            self.require_use()
