"""What is saved of losses beside a checkpoint: which they are, their gains and running statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loss_plugins.errors import check_type, refusal, shown

from . import asked
from .slot import Slot


def state_of(slots: Sequence[Slot]) -> dict[str, Any]:
    """Of each slot the loss in plain types, its gain, and the tensors of its running statistics."""
    return {
        slot.name: {
            "loss": asked.resolved(slot.loss),
            "gain": slot.gain,
            "statistics": {name: value.clone() for name, value in slot.loss.state_dict().items()},
        }
        for slot in slots
    }


def load_state(where: str, slots: Sequence[Slot], state: Mapping[str, Any]) -> None:
    """Go on with saved statistics and gains.

    Args:
        where: the adapter, for errors.
        slots: of the losses, to be told.
        state: what `state_of` returned.

    Raises:
        TypeError: it is no dict.
        ValueError: its losses were others.
    """
    check_type(where, "state", state, Mapping)
    for name in ("box", "cls"):
        slot = next((slot for slot in slots if slot.name == name), None)
        saved = state.get(name)
        loss, found = slot and asked.resolved(slot.loss), saved["loss"] if isinstance(saved, Mapping) else saved
        if found != loss:
            came = f"{name}: the state is of {shown(found)}"
            raise refusal(where, came, shown(loss), "plug the losses that the state is of")
    for slot in slots:
        slot.gain = state[slot.name]["gain"]
        slot.loss.load_state_dict(state[slot.name]["statistics"])
