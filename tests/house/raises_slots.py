"""What each "Raises" of the slots of Ultralytics' criteria says, and a call for each condition, or its test."""

from __future__ import annotations

from loss_plugins.adapters.ultralytics import spec
from tests.house.raises_core import Table

ULTRALYTICS = "adapters/ultralytics"
SIDES = "tests/adapters/ultralytics/test_dfl_slot.py::test_"
DOCTOR = "tests/adapters/ultralytics/test_doctor.py::test_"
CLASSES = "tests/adapters/ultralytics/test_bbox_loss.py::test_"

SLOTS: Table = {
    (f"{ULTRALYTICS}/class_slot.py::fair_gain", "ValueError"): {
        "what is right for positives is wrong for negatives": CLASSES + "losses_that_spare_negatives_cannot_be_matched",
    },
    (f"{ULTRALYTICS}/dfl_canary.py::check_stock", "UnsupportedUltralytics"): {
        "it is not": SIDES + "a_stock_loss_that_has_changed_is_noticed",
    },
    (f"{ULTRALYTICS}/dfl_canary.py::check_dfl", "UnsupportedUltralytics"): {
        "the live branch does not return the plugged loss and its gradient": SIDES
        + "a_criterion_whose_loss_is_another_one_is_noticed",
    },
    (f"{ULTRALYTICS}/dfl_fits.py::require_dfl_loss", "ValueError"): {
        "it is of another kind": lambda *_: spec.make_spec(dfl="eiou"),
        "takes neither bins nor single distances": lambda *_: spec.make_spec(dfl="cross_entropy"),
    },
    (f"{ULTRALYTICS}/dfl_slot.py::require_known", "UnsupportedUltralytics"): {
        "it has others for rotated boxes": SIDES + "versions_that_compute_other_distances_are_refused",
        "does not pass the size of the image": SIDES + "versions_that_compute_other_distances_are_refused",
    },
    (f"{ULTRALYTICS}/doctor_criteria.py::arrived", "UnsupportedUltralytics"): {
        "the criterion computes another one": DOCTOR + "a_criterion_that_computes_the_stock_loss_is_noticed",
        "cannot be made": DOCTOR + "a_head_that_is_made_otherwise_is_noticed",
    },
    (f"{ULTRALYTICS}/dfl_fits.py::require_bins", "UnsupportedUltralytics"): {
        "it does not": SIDES + "models_that_predict_otherwise_are_refused",
    },
}
