"""What a plug has to say: which loss replaces which, what the probe found, and what was computed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .slot import Slot
from .steps import Steps


@dataclass(frozen=True)
class SlotReport:
    """One loss.

    Attributes:
        loss: the catalogue's name.
        stock: the loss that it replaces.
        probe: on fixed outputs, the criterion's own value of that, and the catalogue's; they are equal.
        canary: the value of the new loss there, through the live criterion.
        gain: factor on the loss beside its `loss_weight`.
        norms: mean gradient norms of the stock and of the new loss that make the gain; None: it is kept at 1.
        calls: losses computed on predictions that learn.
        val_calls: losses computed without gradients.
        rows: rows in `calls`: matched boxes of a box loss, queries of a class loss.
        gradient_calls: calls whose loss received a gradient other than 0.
        gradient_rows: rows to which it sent one.
    """

    loss: str
    stock: str
    probe: tuple[float, float]
    canary: float
    gain: float
    norms: tuple[float, float] | None
    calls: int
    val_calls: int
    rows: int
    gradient_calls: int
    gradient_rows: int

    def __str__(self) -> str:
        gain = "" if self.norms is None else f" (times {self.gain:.3g})"
        said = f"{self.loss}{gain} in the place of {self.stock}"
        if not self.calls + self.val_calls:
            return said
        return (
            f"{said}: {self.calls} training calls on {self.rows} rows, gradient in {self.gradient_rows}; "
            f"{self.val_calls} without gradients"
        )


@dataclass(frozen=True)
class Report:
    """The losses of a plug, and calls of its criterion; None where none was asked for.

    Attributes:
        box: the box loss.
        cls: the class loss.
        trained: calls of the criterion in training.
        validated: calls of it without gradients.
    """

    box: SlotReport | None
    cls: SlotReport | None
    trained: int
    validated: int

    def __str__(self) -> str:
        slots = {"box": self.box, "cls": self.cls}
        return "; ".join(f"{name} loss {slot}" for name, slot in slots.items() if slot is not None)

    def as_dict(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


def report_of(computed: Sequence[Steps]) -> Report:
    """What is known by now of the losses of each part; reading it waits for the device."""
    slots = {slot.name: slot for steps in computed for slot in steps.slots}
    counts = max(steps.trained for steps in computed), max(steps.validated for steps in computed)
    return Report(_of(slots.get("box")), _of(slots.get("cls")), *counts)


def _of(slot: Slot | None) -> SlotReport | None:
    if slot is None:
        return None
    name, about = slot.loss.entry.name, (slot.stock, slot.probe, slot.canary, slot.gain, slot.norms)
    return SlotReport(name, *about, **slot.use.as_dict())
