# SPDX-License-Identifier: AGPL-3.0-or-later
"""The trainings of `loss-plugins compare -- yolo TASK train key=value ...`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ultralytics.cfg import get_cfg
from ultralytics.data.utils import check_det_dataset
from ultralytics.nn.tasks import torch_safe_load
from ultralytics.utils import torch_utils

from loss_plugins.errors import in_one_line, refusal
from loss_plugins.evidence.contenders import Contender
from loss_plugins.evidence.grid import Trained
from loss_plugins.reports import strict_json, write_whole

from .cli import SAID, SHELL, chosen_task, make_model, required_model, split_settings
from .mixin import ultralytics_versions
from .plug import plugged
from .record import read_record
from .spec import Spec, spec_of
from .stamp import assigners_of, data_of, digest_of_file, digest_of_weights, settings_of
from .trainers import trainer_for, trainer_of

#: kinds of losses to the slots that may take them; the first that does is theirs
SLOTS_OF = {
    "box": ("box",),
    "rotated_box": ("box",),
    "classification": ("cls", "dfl"),
    "coordinate": ("dfl",),
    "distribution": ("dfl",),
    "region": ("mask",),
    "keypoint": ("keypoint",),
}
#: keys of Ultralytics that the comparison sets itself, or that would leave it nothing to compare
TAKEN = {
    "seed": "the seeds are those of --seeds",
    "project": "the folder is that of --out",
    "name": "the folder is that of --out",
    "exist_ok": "the folder is that of --out",
    "save_dir": "the folder is that of --out",
    "resume": "a training that was stopped goes on by itself: give the same command again",
    "time": "a limit of time gives losses other numbers of epochs",
}
MEASURED = {"mAP50-95": "metrics/mAP50-95(B)", "mAP50": "metrics/mAP50(B)"}
RUN, START = "run", "start.json"


def training(words: Sequence[str]) -> YoloTraining:
    """The training of `yolo WORDS`.

    Raises:
        ValueError: it is none, names a loss, sets what the comparison sets, names data that are missing, or a model.
    """
    return YoloTraining(words)


class YoloTraining:
    """A training by Ultralytics, with its own losses or with one of ours.

    Args:
        words: of its command, behind `yolo`.
    """

    def __init__(self, words: Sequence[str]) -> None:
        losses, overrides = split_settings([word for word in words if "=" in word])
        task, flags = chosen_task([word for word in words if "=" not in word])
        overrides.update(flags)
        require_free(losses, overrides)
        self._file = required_model(overrides.pop("model", None))
        self._overrides = overrides
        self._data = require_data(overrides.get("data"))
        model = require_there(task, self._file)
        self._task: str = task or model.task
        trainer_of(self._task)
        self._net = model.model

    def require(self, contender: Contender, gain: str) -> None:
        """Raise for a loss that the model cannot be trained with: what it says on fixed boxes is looked at."""
        spec = spec_for(contender, gain)
        trainer_for(self._task, spec)
        net = type(self._net)({**self._net.yaml, "nc": self._data["nc"]}, verbose=False)
        net.args = get_cfg(overrides={**self._overrides, "task": self._task})
        side = net.args.imgsz
        with plugged(spec, bound=True, image_size=max(side) if isinstance(side, (list, tuple)) else side) as plug:
            plug.bind(net)
            plug.check(net.init_criterion())

    def versions(self) -> dict[str, str]:
        """Of what results depend on."""
        return ultralytics_versions()

    def train(self, contender: Contender, seed: int, gain: str, threads: int, folder: Path) -> Trained:
        """Train in this process; a training that was stopped in that folder goes on."""
        torch_utils.NUM_THREADS = threads  # which it would otherwise set by itself
        run = folder.resolve() / RUN
        resumed = epochs_done(run / "weights/last.pt")
        if resumed is None:
            shutil.rmtree(run, ignore_errors=True)
        note = Noted(folder / START, fresh=resumed is None)
        model = make_model(self._task, self._file if resumed is None else str(run / "weights/last.pt"))
        for event in ("on_train_start", "on_train_batch_end"):
            model.add_callback(event, getattr(note, event))
        options: dict[str, Any] = {"resume": True}
        if resumed is None:
            options = {**self._overrides, "seed": seed, "project": str(run.parent), "name": RUN, "exist_ok": True}
        if not contender.is_stock:
            spec = spec_for(contender, gain)
            options["trainer"] = trainer_for(self._task, spec, may_resume=resumed is not None)
        found = model.train(**options)
        found = getattr(found, "results_dict", found)
        measures = {name: 100 * float(found[key]) for name, key in MEASURED.items()}
        record = read_record(run) or {}
        same = {**note.same, "first weights": digest_of_file(self._file)}
        return Trained(measures, same, note.start, {"losses": record.get("losses")} if record else {}, resumed)


class Noted:
    """What a training says of itself, by callbacks.

    Args:
        file: keeps what it began with, for a training that goes on.
        fresh: it has just begun.
    """

    def __init__(self, file: Path, fresh: bool) -> None:
        self.file = file
        self.same: dict[str, Any] = {}
        self.start = ""
        if not fresh:
            told = json.loads(file.read_text(encoding="utf-8"))
            self.same, self.start = told["same"], told["start"]

    def on_train_start(self, trainer: Any) -> None:
        """Data, settings and weights, before the first step; of a training that goes on, the first two once more."""
        self.same = {"data": data_of(trainer), "settings": settings_of(trainer.args)}
        if not self.start:
            self.start = digest_of_weights(trainer.model)
            write_whole(self.file, strict_json({"same": self.same, "start": self.start}))

    def on_train_batch_end(self, trainer: Any) -> None:
        """The assigner, which is there from the first step on."""
        if "assigner" not in self.same:
            self.same["assigner"] = assigners_of(trainer.model)


def spec_for(contender: Contender, gain: str) -> Spec:
    """The losses of a training: one, in the slot of its kind, which every branch of the criterion has."""
    if contender.entry is None:
        return spec_of({"box": contender.function, "gain": gain}, SAID)
    slots = SLOTS_OF.get(contender.entry.kind, ())
    errors = []
    for slot in slots:
        try:
            return spec_of({slot: contender.spec, "gain": gain}, SAID)
        except ValueError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    came = f"{contender.label} is a loss of kind {contender.entry.kind}"
    remedy = f"choose one: loss-plugins list --kind {next(iter(SLOTS_OF))}"
    raise refusal("compare", came, f"losses of kind {', '.join(SLOTS_OF)}", remedy)


def require_free(losses: dict[str, Any], overrides: dict[str, Any]) -> None:
    """Raise for keys that the comparison sets itself."""
    if losses:
        said = {name: shell for shell, name in SHELL.items()}
        key = said.get(next(iter(losses)), next(iter(losses)))
        came = f"{key}=... stands behind --"
        raise refusal("compare", came, "the losses of --losses, and --gain", f"leave {key} out there")
    for key, why in TAKEN.items():
        if key in overrides:
            raise refusal("compare", f"{key}={overrides[key]} stands behind --", "keys of a training", why)
    for key in ("val", "save"):
        if overrides.get(key) is False:
            came = f"{key}=False stands behind --"
            raise refusal(
                "compare", came, f"{key}=True", f"leave {key} out: what is validated is what was saved as best"
            )
    devices = overrides.get("device")
    if isinstance(devices, (list, tuple)) or "," in str(devices):
        came = f"device={devices} stands behind --"
        raise refusal("compare", came, "one device", "train cells beside each other instead: see --print")


def require_data(file: Any) -> dict[str, Any]:
    """What the file of a data set says, whose images are there; raises if it or they are missing."""
    if file is None:
        raise refusal("compare", "data=... is missing", "the YAML file of a data set", "write data=data.yaml")
    try:
        found: dict[str, Any] = check_det_dataset(file)
    except (FileNotFoundError, SyntaxError, RuntimeError, OSError, KeyError, TypeError) as error:
        came = f"data={file} cannot be read: {in_one_line(error)}"
        raise refusal("compare", came, "the YAML file of a data set", "name one that exists") from error
    return found


def require_there(task: str | None, file: str) -> Any:
    """The model of a file; raises if it is missing."""
    try:
        return make_model(task, file)
    except (FileNotFoundError, OSError) as error:
        came = f"model={file} cannot be read: {in_one_line(error)}"
        raise refusal("compare", came, "a model file of Ultralytics", "name one that exists") from error


def epochs_done(checkpoint: Path) -> int | None:
    """How many epochs a training has done that can go on from there; None: it cannot, or has not begun."""
    try:
        held, _ = torch_safe_load(str(checkpoint))
        done = int(held["epoch"]) + 1
    except Exception:  # whatever a file raises that is not there, or not whole
        return None
    return done if done > 0 and held.get("optimizer") is not None else None
