"""What the check of losses on a GPU compares, without one: sound losses pass, and a wrong number is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from loss_plugins.catalog.entries import shipped
from tools import gpu_check
from tools.gpu_check import Case, cases, fault_of


def test_every_loss_is_tried_in_every_form_and_with_each_kind_of_numbers() -> None:
    found = list(cases())
    assert {(case.entry.name, case.form) for case in found} == {
        (entry.name, form) for entry in shipped() for form in entry.targets or ("",)
    }
    assert {case.dtype for case in found} == {*gpu_check.ALLOWED}
    assert {case.numbers for case in found} >= {"", "alpha", "class_weight", "pos_weight", "sigmas"}
    assert any(case.compiled for case in found)


SAMPLE = [case for case in cases() if not case.compiled][::17]


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_sound_loss_passes(case: Case) -> None:
    assert fault_of(case, "cpu") == ""


@pytest.mark.parametrize("what", ["value", "gradient"])
def test_a_wrong_number_is_told(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = [case for case in cases() if str(case) == "ciou (boxes, eager, float32)"]
    found = gpu_check.found

    def changed(loss: Any, pred: torch.Tensor, target: Any) -> tuple[torch.Tensor, torch.Tensor]:
        value, gradient = found(loss, pred, target)
        off = 1.0 if pred.dtype == torch.float64 else 1.001  # what is compared with float64 is off by a thousandth
        return (value * off, gradient) if what == "value" else (value, gradient * off)

    monkeypatch.setattr(gpu_check, "found", changed)
    assert fault_of(case, "cpu").startswith(f"{what} is 0.001 away")
