"""What works with the installed Ultralytics."""

from __future__ import annotations

import tempfile
import warnings
from functools import partial
from pathlib import Path

import torch
import ultralytics

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import training_parity as cases
from loss_plugins.parity.compare import absent, parity_of
from loss_plugins.parity.training import TrainingCase, compare_training

from .found import Found, of_doctor
from .slots import MODELS, shipped, tried_slots

#: models that are trained, and their tasks
TRAINED = {"yolov8n": "detect", "yolo11n": "detect", "yolo26n": "detect", "yolo11n-seg": "segment"}
NOT_SHIPPED = "not shipped"


def losses() -> str:
    rows, lacking = list(parity_of("ultralytics", 2000)), absent("ultralytics")
    bad = sorted({row.loss for row in rows if not row.ok})
    count = f"{len({row.loss for row in rows})} losses" + (f", {len(lacking)} not in this version" if lacking else "")
    return "broken: " + ", ".join(bad) if bad else f"ok ({count})"


def trained(model: str, task: str) -> str:
    """How far the curve with our dialect of the stock box loss is from the stock one."""
    if not shipped(model):
        return NOT_SHIPPED
    run = partial(cases.curve, model, task, {"box": cases.BOX})
    with tempfile.TemporaryDirectory() as folder:
        result = compare_training(TrainingCase("ultralytics", model, "box ciou", run, 0.0), Path(folder), 4)
    if result.largest == 0:
        return "ok, bit for bit"
    far = f"differs by {result.largest:.1e} at step {result.at_step}"
    return f"ok, to {result.largest:.0e}" if result.largest < 1e-4 else far


def served(model: str) -> str:
    """The slots that are served, and why the others of the model are not."""
    return tried_slots(model) if shipped(model) else NOT_SHIPPED


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    found = Found(version=ultralytics.__version__, torch=str(torch.__version__))
    found.tried("doctor", lambda: of_doctor(lpu.doctor()))
    found.tried("losses", losses)
    for name in MODELS:
        found.tried(f"slots of {name}", served, name)
    for name, task in TRAINED.items():
        found.tried(name, trained, name, task)
    found.tell()
