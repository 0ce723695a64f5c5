"""The callback of a Trainer: proof that losses train, a record beside each checkpoint, and resumed trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from loss_plugins.errors import LossNotUsed, refusal, shown

from ..detr.installed import versions
from .record import RECORD_FILE, as_tensors, in_plain_types, read_record, write_record
from .stock import WHERE

#: how a loss is computed, not which
MAY_CHANGE = ("fast",)


class PlugCallback(TrainerCallback):  # type: ignore[misc]
    """Proves that the losses of a plug train, and keeps loss_plugins.yaml in the output folder and in checkpoints.

    A training with other losses ends by `LossNotUsed` after a few steps, or at its end. A resumed one goes on with the
    running statistics of its checkpoint, if the losses are the same.

    Args:
        plugged: the `Plug` of the model that is trained.
        resumed_from: the folder of the checkpoint, where that is not one of the output folder.
    """

    def __init__(self, plugged: Any, resumed_from: Path | None = None) -> None:
        self.plugged, self.resumed_from = plugged, resumed_from
        self._first, self._calls = 0, 0
        self._earlier: list[dict[str, Any]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """The model is the plugged one; a training that goes on has the losses that it began with.

        Raises:
            LossNotUsed: another model is trained, or the losses were taken out.
            ValueError: the checkpoint was trained with other losses, or says nothing of them.
        """
        if not any(each is self.plugged.model for each in model.modules()) or not self.plugged.plugged:
            raise LossNotUsed(
                f"the Trainer trains a {type(model).__name__} without these losses: pass it the model that was "
                "plugged, and no model_init"
            )
        self._first, self._calls = state.global_step, self.plugged.calls
        if state.global_step:
            self._resume(self.resumed_from or _checkpoint(args, state))

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The losses know how much of the training is over."""
        self.plugged.set_progress(min(state.global_step / state.max_steps, 1.0))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After the first steps the losses have been used.

        Raises:
            LossNotUsed: they were not.
        """
        after = self.plugged.losses.proof.after
        if after and state.global_step == self._first + after:
            self._prove()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The record goes beside the checkpoint.

        Raises:
            LossNotUsed: the losses were taken out.
        """
        self._require_plug()
        self._write(_checkpoint(args, state), state)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The losses were used, unless there was nothing left to train; the record goes into the output folder.

        Raises:
            LossNotUsed: they were not.
        """
        if state.global_step > self._first:
            self._prove()
        self._write(Path(args.output_dir), state)

    def _prove(self) -> None:
        self._require_plug()
        if self.plugged.calls == self._calls:
            raise LossNotUsed(
                f"{type(self.plugged.model).__name__} computed no loss in the last steps: are there labels, and does "
                "compute_loss of the Trainer use the loss of the model?"
            )
        self._calls = self.plugged.calls
        self.plugged.require_use()

    def _require_plug(self) -> None:
        if not self.plugged.plugged:
            raise LossNotUsed(
                f"the losses of {type(self.plugged.model).__name__} were taken out before the training ended"
            )

    def _write(self, folder: Path, state: Any) -> None:
        """On every rank, as ranks share what their losses have learnt; the first one writes."""
        self.plugged.sync()
        if not state.is_world_process_zero:
            return
        folder.mkdir(parents=True, exist_ok=True)
        record = {
            "model": type(self.plugged.model).__name__,
            "asked": self.plugged.asked,
            **self._part([self._first + 1, state.global_step]),
            "earlier": self._earlier,
            "state": in_plain_types(self.plugged.state_dict()),
        }
        write_record(folder, record)

    def _part(self, steps: list[int]) -> dict[str, Any]:
        return {"steps": steps, "versions": versions("transformers"), "report": self.plugged.report.as_dict()}

    def _resume(self, folder: Path) -> None:
        """Go on with the statistics of a checkpoint.

        Raises:
            ValueError: it was trained with other losses, or says nothing of them.
        """
        record = read_record(folder)
        now, before = self.plugged.asked, record["asked"]
        different = [
            f"{name} was {shown(before.get(name))}, asked for now: {shown(now.get(name))}"
            for name in {**before, **now}
            if name not in MAY_CHANGE and before.get(name) != now.get(name)
        ]
        if different:
            came = f"{folder} was trained with other losses: {'; '.join(different)}"
            remedy = f"plug what {RECORD_FILE} there says, or train anew from its weights"
            raise refusal(WHERE, came, "the losses of the checkpoint", remedy)
        self.plugged.load_state_dict(as_tensors(record["state"], self.plugged.losses))
        self._earlier = [*record["earlier"], {name: record[name] for name in ("steps", "versions", "report")}]


def _checkpoint(args: Any, state: Any) -> Path:
    """The folder of the checkpoint of this step."""
    return Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
