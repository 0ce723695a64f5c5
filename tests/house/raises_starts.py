"""As `raises_adapters`, of the ways of starting an Ultralytics training: `tune`, and what looks at a training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ultralytics import YOLO

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import mixin, ray_search, space
from tests.house.raises_core import Table

ULTRALYTICS = "adapters/ultralytics"
TUNING = "tests/adapters/ultralytics/test_tuning.py::test_"
GUARD = "tests/adapters/ultralytics/test_nan_guard.py::test_"
SPEC = lpu.make_spec("alpha_iou")
SETTINGS = {"optimizer": "SGD"}


def searched(ranges: Any) -> None:
    space.read_space(ranges, SPEC, SETTINGS)


def without_ray(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "ray", None)
    ray_search.require_ray()


def two_gpus(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ray_search.torch.cuda, "is_available", lambda: True)
    ray_search.gpus_of([0, 1])


def tuned(patch: pytest.MonkeyPatch, folder: Path, **given: Any) -> None:
    without = {"space": {"lrf": (0.1, 0.2)}, "project": str(folder), **given}
    patch.setitem(sys.modules, "ray", None)
    lpu.tune(YOLO("yolo11n.yaml"), "eiou", **without)


STARTS: Table = {
    (f"{ULTRALYTICS}/space.py::read_space", "TypeError"): {"it is no dict": lambda *_: searched([])},
    (f"{ULTRALYTICS}/space.py::read_space", "ValueError"): {
        "it is empty": lambda *_: searched({}),
        "has a key that nobody knows": lambda *_: searched({"alpha": (1, 2)}),
        "ends that are no range of that key": lambda *_: searched({"box_loss.alpha": (-1, 2)}),
    },
    (f"{ULTRALYTICS}/space.py::require_enough", "ValueError"): {
        "there are fewer": lambda *_: space.require_enough([space.Dimension("a", 0, 2, whole=True)], 4),
    },
    (f"{ULTRALYTICS}/search.py::Search.trained", "IterationFailed"): {
        "it raised": TUNING + "a_failed_iteration_raises_with_its_number_and_its_values",
        "its fitness is no finite number": TUNING + "a_training_that_cannot_start_raises",
    },
    (f"{ULTRALYTICS}/ray_search.py::require_ray", "ImportError"): {
        "it is not installed": lambda patch, _: without_ray(patch),
    },
    (f"{ULTRALYTICS}/ray_search.py::trials", "IterationFailed"): {
        "a training raised, or its fitness is no finite number": TUNING
        + "by_ray_the_start_is_trained_first_and_the_others_are_drawn",
        "its process died; the others stop": "tests/adapters/ultralytics/test_search_errors.py::"
        "test_a_process_of_ray_that_died_is_the_failed_iteration",
    },
    (f"{ULTRALYTICS}/ray_search.py::gpus_of", "ValueError"): {"several": lambda patch, _: two_gpus(patch)},
    (f"{ULTRALYTICS}/tuning.py::tune", "ValueError, TypeError"): {
        "a wrong value, before the first training": lambda patch, folder: tuned(patch, folder, iterations=0),
    },
    (f"{ULTRALYTICS}/tuning.py::tune", "ImportError"): {
        "use_ray=True without Ray Tune": lambda patch, folder: tuned(patch, folder, use_ray=True),
    },
    (f"{ULTRALYTICS}/tuning.py::tune", "IterationFailed"): {
        "a training raised; names its number and its values": TUNING
        + "a_failed_iteration_raises_with_its_number_and_its_values",
    },
    (f"{ULTRALYTICS}/nan_guard.py::Guard.look", "LossNotFinite"): {
        "from the first row that is not": GUARD + "the_image_of_a_row_is_found_in_every_slot",
    },
    (f"{ULTRALYTICS}/nan_guard.py::Guard.require_finite_sum", "LossNotFinite"): {
        "one is not": GUARD + "a_stock_loss_that_is_not_finite_is_named",
    },
    (f"{ULTRALYTICS}/mixin.py::without_losses", "ValueError"): {
        "the section has other losses than the trainer": lambda *_: mixin.without_losses(
            {"losses": {"box": {"type": "eiou"}}}, SPEC
        ),
    },
    (f"{ULTRALYTICS}/resuming.py::require_unfinished", "ValueError"): {
        "there is nothing to resume": "tests/adapters/ultralytics/test_resume.py::test_"
        + "a_finished_run_has_nothing_to_resume",
    },
}
