"""How each error is raised that the adapter's docstrings promise of maps, key points, tasks and resumed runs."""

from __future__ import annotations

from loss_plugins.adapters.ultralytics import spec, sweeps, trainers
from loss_plugins.adapters.ultralytics.plug import Plug
from tests.house.raises_core import Table

ULTRALYTICS = "adapters/ultralytics"
TESTS = ("sem_slot", "semantic", "keypoint_slot")
BRANCH, MODEL, POINTS = (f"tests/adapters/ultralytics/test_{name}.py::test_" for name in TESTS)


def ended_sweep() -> None:
    """Trainings on several data sets that an error of the loss has ended."""
    with sweeps.ended_by_its_cause():
        raise sweeps.SweepEnded("ended") from ValueError("an error of the loss")


MAPS: Table = {
    (f"{ULTRALYTICS}/spec.py::Spec.build", "ValueError"): {
        "no loss was asked for there": lambda *_: spec.Spec(box={"type": "eiou"}).build("sem"),
    },
    (f"{ULTRALYTICS}/sem_fits.py::require_sem_loss", "ValueError"): {
        "it is of another kind": lambda *_: spec.make_spec(sem="eiou"),
        "fits neither": lambda *_: spec.make_spec(sem="bce"),
    },
    (f"{ULTRALYTICS}/sem_fits.py::require_maps", "ValueError"): {
        "it does not": BRANCH + "what_a_semantic_model_takes_may_not_fit_a_branch",
    },
    (f"{ULTRALYTICS}/sem_fits.py::require_labels", "ValueError"): {
        "it does not": MODEL + "what_does_not_fit_its_labels_is_refused",
    },
    (f"{ULTRALYTICS}/sem_canary.py::require_branch", "UnsupportedUltralytics"): {
        "one has none": BRANCH + "models_without_semantic_maps_are_refused",
    },
    (f"{ULTRALYTICS}/sem_canary.py::require_branch", "ValueError"): {
        "the loss does not fit": BRANCH + "what_a_semantic_model_takes_may_not_fit_a_branch",
    },
    (f"{ULTRALYTICS}/sem_canary.py::require_head", "UnsupportedUltralytics"): {
        "it computes none": BRANCH + "models_without_semantic_maps_are_refused",
    },
    (f"{ULTRALYTICS}/sem_canary.py::check_stock", "UnsupportedUltralytics"): {
        "it is not": BRANCH + "a_stock_loss_that_has_changed_is_noticed",
    },
    (f"{ULTRALYTICS}/sem_canary.py::check_sem", "UnsupportedUltralytics"): {
        "the live branch does not return the plugged loss and its gradient": BRANCH
        + "a_branch_with_a_loss_of_its_own_is_noticed",
    },
    (f"{ULTRALYTICS}/keypoint_fits.py::require_keypoint_loss", "ValueError"): {
        "it is of another kind": lambda *_: spec.make_spec(keypoint="eiou"),
        "takes other targets": lambda *_: spec.make_spec(keypoint="rle"),
        "does not fall towards its target": POINTS + "a_loss_of_ones_own_is_tried",
    },
    (f"{ULTRALYTICS}/keypoint_fits.py::require_points", "ValueError"): {
        "it does not": POINTS + "deviations_of_another_number_of_points_are_refused_before_training",
    },
    (f"{ULTRALYTICS}/keypoint_canary.py::require_branch", "UnsupportedUltralytics"): {
        "one has none": POINTS + "a_model_without_key_points_is_refused",
        "hands over other arguments": POINTS + "a_criterion_that_is_called_otherwise_is_refused",
        "has other deviations than one before it": POINTS + "two_models_of_other_deviations_are_refused_in_one_context",
    },
    (f"{ULTRALYTICS}/keypoint_canary.py::require_branch", "ValueError"): {
        "the loss does not fit": POINTS + "deviations_of_another_number_of_points_are_refused_before_training",
    },
    (f"{ULTRALYTICS}/keypoint_canary.py::check_stock", "UnsupportedUltralytics"): {
        "it is not": POINTS + "the_canary_finds_a_criterion_that_computes_something_else",
    },
    (f"{ULTRALYTICS}/keypoint_canary.py::check_keypoint", "UnsupportedUltralytics"): {
        "the live branch does not return the plugged loss and its gradient": POINTS
        + "the_canary_finds_a_criterion_that_computes_something_else",
    },
    (f"{ULTRALYTICS}/trainers.py::check_slots", "ValueError"): {
        "one has none": lambda *_: trainers.trainer("semantic", box="eiou"),
    },
    (f"{ULTRALYTICS}/trainers.py::check_served", "ValueError"): {
        "one is a loss of something else": lambda *_: trainers.trainer("obb", box="eiou"),
    },
    (f"{ULTRALYTICS}/trainers.py::check_served", "UnsupportedUltralytics"): {
        "no model of the task can compute one": lambda *_: trainers.trainer("rtdetr", box="nwd"),
    },
    (f"{ULTRALYTICS}/detr.py::require_losses", "UnsupportedUltralytics"): {
        "it does not compute one": lambda *_: trainers.trainer("rtdetr", box="nwd"),
        "not so": lambda *_: trainers.trainer("rtdetr", box="eiou", gain="match"),
    },
    (f"{ULTRALYTICS}/detr.py::require_losses", "ValueError"): {
        "the size of the images was given": lambda *_: trainers.trainer(
            "rtdetr", box={"type": "mpdiou", "image_size": [64, 64]}
        ),
    },
    (f"{ULTRALYTICS}/sweeps.py::ended_by_its_cause", "Exception"): {
        "the cause of a SweepEnded": lambda *_: ended_sweep(),
    },
    (f"{ULTRALYTICS}/slots.py::Slot.restore_gain", "ValueError"): {
        "today there is none, and the record has none": lambda *_: Plug(
            spec.make_spec(cls="focal", gain="match"), resumed=True
        ).restore({"state": {}}),
    },
}
