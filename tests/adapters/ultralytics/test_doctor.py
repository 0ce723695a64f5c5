"""The doctor's criteria: those that the installed version makes; one that computes another loss is noticed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn
from ultralytics.nn import tasks
from ultralytics.nn.modules import head as heads

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import detr, doctor_criteria
from loss_plugins.adapters.ultralytics.seams import MaskLoss

TRIED = [name for name, _ in doctor_criteria.actions()]
doctor = sys.modules["loss_plugins.adapters.ultralytics.doctor"]  # the package's attribute is the function


def found(name: str) -> dict[str, Any]:
    check: dict[str, Any] = doctor.tried(name, doctor.ACTIONS[name])
    return check


@pytest.mark.parametrize("name", TRIED)
def test_a_plugged_loss_arrives_in_the_criterion(name: str) -> None:
    assert found(name)["ok"], found(name)["detail"]
    assert name.split()[2] in found(name)["detail"]


def stock_classes(criterion: Any) -> Any:
    criterion.bce = nn.BCEWithLogitsLoss(reduction="none")
    return criterion


def stock_points(criterion: Any) -> Any:
    criterion.keypoint_loss.forward = type(criterion.keypoint_loss).forward.plugged_over.__get__(
        criterion.keypoint_loss
    )
    return criterion


def stock_method(name: str) -> Callable[[Any], Any]:
    """Replaces a method of a criterion by the one below the plug's."""

    def replace(criterion: Any) -> Any:
        changed = next(vars(cls)[name] for cls in type(criterion).__mro__ if name in vars(cls))
        own = changed.stock if isinstance(changed, MaskLoss) else changed.plugged_over
        setattr(criterion, name, own.__get__(criterion, type(criterion)))
        return criterion

    return replace


REPLACED = {
    "a plugged quality_focal arrives (class scores)": stock_classes,
    "a plugged dice arrives (masks)": stock_method("single_mask_loss"),
    "a plugged wing arrives (key points)": stock_points,
    "a plugged eiou arrives (RT-DETR)": stock_method(detr.METHODS["box"]),
    "a plugged quality_focal arrives (RT-DETR)": stock_method(detr.METHODS["cls"]),
    "a plugged dice arrives (semantic models)": stock_method("forward"),
}


@pytest.mark.parametrize("name", TRIED)
def test_a_criterion_that_computes_the_stock_loss_is_noticed(name: str) -> None:
    make, slot, loss = doctor.ACTIONS[name].args
    with pytest.raises(lpu.UnsupportedUltralytics, match="the plug does not hold"):
        doctor_criteria.arrived(lambda: REPLACED[name](make()), slot, loss)


def test_a_head_that_is_made_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "Segment", lambda classes: nn.Identity())
    with pytest.raises(lpu.UnsupportedUltralytics, match="its criterion cannot be made"):
        doctor_criteria.arrived(doctor_criteria.of_masks, "mask", "dice")
    assert not found("a plugged dice arrives (masks)")["ok"]


def test_versions_without_semantic_models_do_not_try_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tasks, "SemanticSegmentationModel")
    assert {name for name, _ in doctor_criteria.actions()} == {*TRIED} - {"a plugged dice arrives (semantic models)"}
