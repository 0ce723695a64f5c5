"""What each "Raises" of the adapters of RF-DETR and LibreYOLO says, and a call for each condition."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins import build_loss
from loss_plugins.adapters.detr import installed
from loss_plugins.adapters.detr.asked import Asked
from loss_plugins.adapters.detr.examination import requested
from loss_plugins.adapters.detr.patched import Patched
from loss_plugins.adapters.detr.steps import Steps
from loss_plugins.adapters.libreyolo import patched, plug
from loss_plugins.adapters.libreyolo.dense import DenseSlot, Place, compared
from loss_plugins.adapters.libreyolo.forms import Form
from loss_plugins.adapters.libreyolo.served import Served
from loss_plugins.adapters.rfdetr import doctor as rfdetr_doctor
from loss_plugins.adapters.rfdetr import plug as rfdetr_plug
from tests.adapters.detr import own
from tests.adapters.libreyolo.parts import DENSE
from tests.house.raises_core import Table, plain

RFDETR, LIBREYOLO = "tests/adapters/rfdetr/test_", "tests/adapters/libreyolo/test_"


def context() -> Patched:
    return Patched("here", lambda _: nullcontext())


class Slotted:
    """A loss whose class cannot be changed."""

    __slots__ = ()

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        return plain(pred, target)


class Holder:
    """A loss of boxes."""

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        return build_loss("giou").elementwise(pred, target)


def slot(name: str = "eiou") -> DenseSlot:
    return DenseSlot(build_loss(name, reduction="none"), Form("rows", stock="giou"))


class Leaking(DenseSlot):
    """Computes another loss than it says."""

    def of_corners(self, pred: Tensor, target: Tensor) -> Tensor:
        return plain(pred, target)


def of_two_kinds() -> None:
    served = Served(Asked(box="eiou"), lambda _: None)
    served.serve(DENSE["YOLO9"].build())
    served.serve(DENSE["RTMDet"].build())


def doctor_without_rfdetr(patch: pytest.MonkeyPatch, _: Path) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    patch.setattr(installed, "import_module", missing)
    rfdetr_doctor.report()


TRAINERS: Table = {
    ("adapters/detr/examination.py::requested", "ValueError, TypeError"): {
        "no loss": lambda *_: requested("here", Asked()),
        "an argument that no criterion goes with": lambda *_: requested("here", Asked(box="eiou", gain="much")),
    },
    ("adapters/detr/installed.py::framework", "ModuleNotFoundError"): {
        "it, or a package that it needs, is not installed; the message says how to": lambda *_: installed.framework(
            "rfdetr.nosuch"
        ),
    },
    ("adapters/detr/patched.py::Patched.report", "LossNotUsed"): {
        "no criterion was built": lambda *_: context().report,
    },
    ("adapters/detr/patched.py::Patched.require_use", "LossNotUsed"): {
        "no criterion was built": lambda *_: context().require_use(),
        "none was trained": RFDETR + "training.py::test_nothing_built_or_nothing_called_is_an_error",
        "one was trained without a loss": RFDETR
        + "criterion.py::test_a_loss_without_weight_ends_the_training_after_some_steps",
    },
    ("adapters/libreyolo/dense.py::Place.put_in", "UnsupportedCriterion"): {
        "its class cannot be changed": lambda *_: Place(Slotted(), Form("rows")).put_in(Steps([slot()])),
    },
    ("adapters/libreyolo/dense.py::_value", "UnsupportedCriterion"): {
        "an argument that nobody knows would be lost": LIBREYOLO
        + "dense.py::test_an_argument_that_nobody_knows_is_not_lost",
    },
    ("adapters/libreyolo/dense.py::compared", "UnsupportedCriterion"): {
        "value or gradient differ, or are not finite": lambda *_: compared(
            Place(Holder(), Form("rows", stock="giou")), Leaking(build_loss("eiou"), Form("rows", stock="giou"))
        ),
    },
    ("adapters/libreyolo/doctor.py::report", "ModuleNotFoundError"): {
        "LibreYOLO is not installed; the message says how to": LIBREYOLO
        + "doctor.py::test_what_is_not_installed_is_told_with_the_command",
    },
    ("adapters/libreyolo/plug.py::patched", "ModuleNotFoundError"): {
        "LibreYOLO is not installed": LIBREYOLO + "doctor.py::test_what_is_not_installed_is_told_with_the_command",
    },
    ("adapters/libreyolo/plug.py::patched", "ValueError, TypeError"): {
        "an argument that no detector goes with": lambda *_: patched(box="eoiu"),
    },
    ("adapters/libreyolo/plug.py::plug", "UnsupportedCriterion"): {
        "its losses are none that are known": lambda *_: plug(torch.nn.Identity(), box="eiou"),
    },
    ("adapters/libreyolo/plug.py::plug", "ValueError, TypeError"): {
        "what was asked for does not go with it": lambda *_: plug(DENSE["YOLO9"].build(), cls="focal"),
        "several criteria in one object": LIBREYOLO
        + "training.py::test_a_criterion_of_the_detr_family_in_hand_is_served",
    },
    ("adapters/libreyolo/served.py::Served._slot", "UnsupportedCriterion"): {
        "it replaces another loss than these": lambda *_: of_two_kinds(),
    },
    ("adapters/libreyolo/served.py::Served._slot", "ValueError"): {
        "what was asked for does not go with dense criteria": LIBREYOLO
        + "dense.py::test_what_does_not_go_with_a_dense_criterion_is_refused",
    },
    ("adapters/libreyolo/served.py::Served.serve", "UnsupportedCriterion"): {
        "one of the criteria in it computes losses that are not known": lambda *_: plug(own.Doubling(), box="eiou"),
    },
    ("adapters/libreyolo/served.py::Served.serve", "ValueError"): {
        "what was asked for does not go with one": lambda *_: plug(own.Criterion(), cls="cross_entropy"),
    },
    ("adapters/libreyolo/trainers.py::Trained._discover", "UnsupportedCriterion"): {
        "there is none that is known": LIBREYOLO
        + "training.py::test_a_trainer_without_a_loss_of_boxes_is_refused_in_its_first_step",
    },
    ("adapters/rfdetr/doctor.py::report", "ModuleNotFoundError"): {
        "RF-DETR is not installed; the message says how to": doctor_without_rfdetr,
    },
    ("adapters/rfdetr/plug.py::patched", "ModuleNotFoundError"): {
        "RF-DETR, or a package of its training, is not installed": RFDETR
        + "doctor.py::test_what_is_not_installed_is_told_with_the_command",
    },
    ("adapters/rfdetr/plug.py::patched", "UnsupportedCriterion, ValueError, TypeError"): {
        "as of `plug`": RFDETR + "training.py::test_mistakes_are_told_before_anything_is_built",
    },
    ("adapters/rfdetr/plug.py::plug", "TypeError"): {
        "a whole `RFDETR`, whose `train()` builds another criterion": RFDETR
        + "training.py::test_a_module_in_hand_is_served_and_a_whole_detector_told_what_to_do",
    },
    ("adapters/rfdetr/plug.py::plug", "UnsupportedCriterion"): {
        "as of `adapters.detr.plug`": lambda *_: rfdetr_plug(own.Doubling(), box="eiou"),
    },
    ("adapters/rfdetr/plug.py::plug", "ValueError"): {
        "as of `adapters.detr.plug`": lambda *_: rfdetr_plug(own.Criterion(), box="l1"),
    },
}
