"""Every "Raises" of the comparison of trainings, with a call that raises it (tests/house/test_promises.py)."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loss_plugins.adapters.mmdet.compare import training as mmdet_training
from loss_plugins.adapters.ultralytics.compare import training
from loss_plugins.evidence.cells import run_cells, train_here
from loss_plugins.evidence.compare import planned
from loss_plugins.evidence.compared import compare_results
from loss_plugins.evidence.contenders import contenders
from loss_plugins.evidence.grid import hardware, store
from loss_plugins.evidence.paired import distributions
from tests.evidence.trainings import Quick, result
from tests.house.raises_core import Table

EVIDENCE_ROOM, ULTRALYTICS = "loss_plugins/evidence", "adapters/ultralytics"
MMDET = "adapters/mmdet"


def without_scipy(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setitem(sys.modules, "scipy", None)
    distributions()


STOCK, CIOU = (result(loss, 0, 40.0) for loss in ("stock", "ciou"))


class Elsewhere(Quick):
    """What is installed here, where results of something else lie."""

    def __init__(self, **here: str) -> None:
        super().__init__()
        self.here = here

    def versions(self) -> dict[str, str]:
        return self.here


def run_beside(folder: Path, training: Quick, **changed: Any) -> None:
    """A comparison where one cell is there already."""
    plan = planned(("yolo",), "ciou", 1, "keep", 1)
    cell = plan.cells[0]
    store(result("stock", 0, 40.0, key=cell.key, hardware=hardware(), **changed), folder)
    run_cells(plan.cells, training, folder, lambda _: [], print)


def other_hardware(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr("loss_plugins.evidence.cells.hardware", lambda: {"cpu": "another"})
    run_beside(folder, Elsewhere(torch="2"))


def no_number(_: pytest.MonkeyPatch, folder: Path) -> None:
    training = Quick()
    training.value = float("inf")
    train_here(planned(("yolo",), "ciou", 1, "keep", 1).cells[0], training, folder)


def no_coco(_: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "config.py").write_text("model = dict(type='ATSS')\nval_evaluator = dict(type='VOCMetric')\n")
    mmdet_training([str(folder / "config.py")])


MODEL, DATA = "model=yolo11n.yaml", "data=digits.yaml"
EVIDENCE: Table = {
    (f"{EVIDENCE_ROOM}/paired.py::distributions", "ImportError"): {"scipy is missing": without_scipy},
    (f"{EVIDENCE_ROOM}/contenders.py::contenders", "ValueError"): {
        "a loss that there is not": lambda *_: contenders("coiu", "compare"),
        "that is named in another form": lambda *_: contenders("ciou(", "compare"),
    },
    (f"{EVIDENCE_ROOM}/compared.py::compare_results", "ValueError"): {
        "none of them is of stock": lambda *_: compare_results([CIOU]),
        "they are not of one command": lambda *_: compare_results(
            [STOCK, replace(CIOU, asked={"words": [], "gain": ""})]
        ),
        "machine": lambda *_: compare_results([STOCK, replace(CIOU, hardware={})]),
        "set of versions": lambda *_: compare_results([STOCK, replace(CIOU, versions={})]),
        "cells of a seed began with other weights": lambda *_: compare_results([STOCK, result("ciou", 0, 1, start="")]),
        "two results of one cell differ": lambda *_: compare_results([STOCK, CIOU, result("ciou", 0, 41.0)]),
        "a loss was trained in two ways": lambda *_: compare_results([STOCK, CIOU, replace(CIOU, key="b")]),
    },
    (f"{EVIDENCE_ROOM}/cells.py::run_cells", "ValueError"): {
        "there are results of another machine": other_hardware,
        "of other versions": lambda _, folder: run_beside(folder, Elsewhere(torch="3")),
    },
    (f"{EVIDENCE_ROOM}/cells.py::train_here", "ValueError"): {"what was measured is no number": no_number},
    (f"{ULTRALYTICS}/compare.py::training", "ValueError"): {
        "it is none": lambda *_: training(["detect", "val", MODEL, DATA]),
        "names a loss": lambda *_: training(["detect", "train", MODEL, DATA, "box_loss=ciou"]),
        "sets what the comparison sets": lambda *_: training(["detect", "train", MODEL, DATA, "seed=3"]),
        "a model": lambda *_: training(["detect", "train", "model=nowhere.yaml", "data=coco8.yaml"]),
        "names data that are missing": lambda *_: training(["detect", "train", MODEL, "data=nowhere.yaml"]),
    },
    (f"{MMDET}/compare.py::training", "ValueError"): {
        "no config": lambda *_: mmdet_training([]),
        "a config that is missing or cannot be read": lambda *_: mmdet_training(["no/such.py"]),
        "a key that the comparison sets": lambda *_: mmdet_training(["config.py", "work_dir=here"]),
        "an evaluation that is not COCO's of boxes": no_coco,
    },
}
