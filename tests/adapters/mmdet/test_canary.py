"""The canary: heads of names that nobody knows, with planted faults, and a model that is left as it was."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from loss_plugins.adapters.mmdet.canary import canary
from loss_plugins.adapters.mmdet.inspection import inspect

from .unheard import Unheard

CIOU, NWD, L1 = ({"type": f"loss_plugins.{name}"} for name in ("CIoULoss", "NWDLoss", "L1Loss"))
BOUNDED, FOCAL, BCE = ({"type": f"loss_plugins.{name}"} for name in ("BoundedIoULoss", "FocalLoss", "BCELoss"))
NLL, LOGITS, CENTERS = (
    {"type": "loss_plugins.NLLLoss"},
    {"type": "loss_plugins.BCEWithLogitsLoss"},
    {"type": "loss_plugins.GIoULoss", "box_format": "cxcywh"},
)
HINGE, DICE = {"type": "loss_plugins.HingeEmbeddingLoss"}, {"type": "loss_plugins.DiceLoss"}

#: what the head is told to do, and the sort of slot that the canary finds
SORTS = {
    "pixels": "pixels",
    "cells": "cells",
    "shrunk": "cells",
    "shares": "shares",
    "centers": "centers",
    "offsets": "coordinates",
    "sixths": "units",
    "y first": "units",
    "pixel centers": "pixel centers",
    "eighths of centers": "unit centers",
}


@pytest.mark.parametrize("boxes", SORTS)
def test_what_an_unknown_head_hands_over_is_found(boxes: str) -> None:
    trial = canary(Unheard({"loss_box": L1}, boxes))
    assert trial.error is None
    assert trial.handed("odd_head.loss_box") == SORTS[boxes]


@pytest.mark.parametrize("scores", ["logits", "probabilities"])
def test_what_scores_are_is_found(scores: str) -> None:
    trial = canary(Unheard({"loss_class": FOCAL}, scores=scores))
    assert trial.handed("odd_head.loss_class") == scores


#: (loss of boxes, what it gets): the words of the refusal; None: it fits
BOX_SLOT: dict[tuple[str, str], str | None] = {
    **{("CIOU", boxes): None for boxes in ("pixels", "cells", "shrunk", "shares")},
    ("CIOU", "centers"): "takes corners",
    ("CIOU", "offsets"): "gets encoded offsets, and ciou compares boxes",
    ("CENTERS", "centers"): None,
    ("CENTERS", "pixels"): "set model.odd_head.loss_box.box_format='xyxy'",
    ("NWD", "pixels"): None,
    ("NWD", "cells"): "nwd needs pixels",
    ("NWD", "shrunk"): "nwd needs pixels",
    ("NWD", "shares"): "nwd needs pixels",
    **{("CIOU", boxes): None for boxes in ("sixths", "y first")},
    **{("CENTERS", boxes): None for boxes in ("pixel centers", "eighths of centers")},
    ("CIOU", "pixel centers"): "takes corners: set model.odd_head.loss_box.box_format='cxcywh'",
    ("NWD", "sixths"): "in a unit of the head's own, and nwd needs pixels",
    ("L1", "pixels"): "l1 is hundreds",
    ("L1", "pixel centers"): "l1 is hundreds",
    **{("L1", boxes): None for boxes in ("cells", "shares", "centers", "offsets")},
    ("BOUNDED", "pixels"): None,
    ("BOUNDED", "offsets"): "bounded_iou compares boxes",
    ("FOCAL", "pixels"): "focal takes scores",
    ("FOCAL", "offsets"): "focal takes scores",
    ("DICE", "pixels"): "dice takes scores",
}


@pytest.mark.parametrize(("name", "boxes"), BOX_SLOT)
def test_a_box_slot_takes_what_fits(name: str, boxes: str) -> None:
    found = messages(Unheard({"loss_box": globals()[name]}, boxes))
    wanted = BOX_SLOT[name, boxes]
    assert found == [] if wanted is None else len(found) == 1 and wanted in found[0], found


#: likewise of scores
CLASS_SLOT: dict[tuple[str, str], str | None] = {
    ("FOCAL", "logits"): None,
    ("FOCAL", "probabilities"): "gets probabilities, and focal takes logits",
    ("LOGITS", "logits"): None,
    ("LOGITS", "probabilities"): "put a loss of probabilities (loss_plugins.BCELoss)",
    ("BCE", "probabilities"): None,
    ("BCE", "logits"): "put a loss of logits (loss_plugins.BCEWithLogitsLoss)",
    ("DICE", "logits"): None,
    ("DICE", "probabilities"): "set model.odd_head.loss_class.activation='none'",
    ("HINGE", "logits"): "hinge_embedding takes distances",
    ("CIOU", "logits"): "gets logits, and ciou compares boxes",
    ("L1", "logits"): "gets logits of classes, and l1 compares numbers",
}


@pytest.mark.parametrize(("name", "scores"), CLASS_SLOT)
def test_a_class_slot_takes_what_fits(name: str, scores: str) -> None:
    found = messages(Unheard({"loss_class": globals()[name]}, scores=scores))
    wanted = CLASS_SLOT[name, scores]
    assert found == [] if wanted is None else len(found) == 1 and wanted in found[0], found


@pytest.mark.parametrize(
    ("ending", "reduction", "wanted"),
    [
        ("kept", "mean", None),
        ("kept", "none", "set model.odd_head.loss_box.reduction='mean'"),
        ("kept", "sum", "set model.odd_head.loss_box.reduction='mean'"),
        ("divided", "mean", "once more: set model.odd_head.loss_box.reduction='sum'"),
        ("divided", "sum", None),
        ("mostly empty", "mean", "of which 4.8% have a weight"),
        ("mostly empty", "sum", None),
    ],
)
def test_a_reduction_that_the_head_cannot_use_is_named(ending: str, reduction: str, wanted: str | None) -> None:
    found = messages(Unheard({"loss_box": {**CIOU, "reduction": reduction}}, ending=ending))
    assert found == [] if wanted is None else len(found) == 1 and wanted in found[0], found


def test_a_slot_that_is_never_called_is_refused() -> None:
    (finding,) = inspect(Unheard({"loss_box": CIOU, "loss_other": L1})).findings
    assert finding.slot.key == "model.odd_head.loss_other"
    assert "OddHead did not call it on two images with objects, so it would train nothing" in finding.message
    assert "take model.odd_head.loss_other out of the config, or name it in `allow`" in finding.message


def test_several_faults_are_named_at_once() -> None:
    found = messages(Unheard({"loss_box": FOCAL, "loss_class": CIOU}))
    assert len(found) == 2, found


def test_a_model_that_cannot_be_tried_is_no_fault_of_the_loss() -> None:
    model = Unheard({"loss_box": CIOU})
    model.odd_head.loss = lambda images, samples: samples[0].gt_instances.captions
    found = inspect(model)
    assert found.findings == []
    assert "captions" in found.untried
    assert any("captions" in told for told in found.warnings)


def messages(model: Unheard) -> list[str]:
    return [each.message for each in inspect(model).findings]


def test_nothing_is_changed() -> None:
    model = Unheard({"loss_box": {"type": "loss_plugins.WIoULoss"}, "loss_class": FOCAL})
    hub = MessageHub.get_current_instance()
    hub.update_info("epoch", 7)
    hub.runtime_info.pop("iter", None)
    before = copy.deepcopy((model.state_dict(), model.odd_head.history))
    told = repr(hub.runtime_info)  # earlier trainings may have left texts in it
    drawn = state_of_chance()
    canary(model)
    torch.testing.assert_close((model.state_dict(), model.odd_head.history), before, rtol=0, atol=0)
    assert repr(hub.runtime_info) == told
    assert state_of_chance() == drawn
    assert model.odd_head.loss_box.calls == 0
    assert all(parameter.grad is None for parameter in model.parameters())


def state_of_chance() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())
