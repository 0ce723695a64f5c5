"""How each error that the adapter's docstrings promise of semantic maps is raised."""

from __future__ import annotations

from loss_plugins.adapters.ultralytics import spec, trainers
from tests.house.raises_core import Table

ULTRALYTICS = "adapters/ultralytics"
BRANCH, MODEL = (f"tests/adapters/ultralytics/test_{name}.py::test_" for name in ("sem_slot", "semantic"))

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
    (f"{ULTRALYTICS}/trainers.py::check_slots", "ValueError"): {
        "one is a loss of something else": lambda *_: trainers.trainer("semantic", box="eiou"),
    },
}
