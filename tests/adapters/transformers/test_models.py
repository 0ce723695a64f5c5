"""Every DETR-like model of transformers: equal with the loss that it has, changed with another one, and restored."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
import torch
import transformers

from loss_plugins.adapters.transformers import Plug, UnsupportedCriterion, plug, plug_of
from loss_plugins.adapters.transformers.stock import detectors, unserved

from .models import CONFIGS, batch, built, loss_of

EVERY = pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in CONFIGS])
#: the class loss that the probe finds; the others have one that the catalogue does not
CLASS_LOSSES = {
    "DetrForObjectDetection": "weighted cross-entropy",
    "DetrForSegmentation": "weighted cross-entropy",
    "TableTransformerForObjectDetection": "weighted cross-entropy",
    "YolosForObjectDetection": "weighted cross-entropy",
    "ConditionalDetrForObjectDetection": "focal (alpha=0.25, gamma=2)",
    "ConditionalDetrForSegmentation": "focal (alpha=0.25, gamma=2)",
    "DeformableDetrForObjectDetection": "focal (alpha=0.25, gamma=2)",
    "DabDetrForObjectDetection": "focal (alpha=0.25, gamma=2)",
    "RTDetrForObjectDetection": "varifocal (alpha=0.75, gamma=2)",
    "RTDetrV2ForObjectDetection": "varifocal (alpha=0.75, gamma=2)",
    "DFineForObjectDetection": "varifocal (alpha=0.75, gamma=2)",
    "Deimv2ForObjectDetection": "matchability (gamma=2)",
    **dict.fromkeys(
        ("LwDetrForObjectDetection", "RfDetrForObjectDetection", "RfDetrForInstanceSegmentation"),
        "IA-BCE (alpha=0.25, gamma=2)",
    ),
}


@EVERY
def test_giou_equals_the_model_and_eiou_changes_that_loss_alone(name: str) -> None:
    model = built(name)
    given = batch(model)
    before, stock = dict(vars(model)), loss_of(model, given)

    with plug(model, box="giou"):
        same = loss_of(model, given)
        same["total"].backward()
    model.zero_grad()
    assert list(same) == list(stock)
    for key, loss in stock.items():
        torch.testing.assert_close(same[key], loss, rtol=2e-6, atol=0)

    with plug(model, box="eiou") as made:
        other = loss_of(model, given)
        other["total"].backward()
    model.zero_grad()
    changed = {key for key in stock if not torch.equal(stock[key], other[key])}
    assert changed == {key for key in stock if key.startswith("loss_giou")} | {"total"}
    assert made.report.box is not None
    assert made.report.box.calls == sum(loss.requires_grad for key, loss in other.items() if "giou" in key) > 0
    assert made.report.box.gradient_rows == made.report.box.rows > 0

    assert vars(model).keys() == before.keys()
    assert not hasattr(model.config, "loss_plugins")
    restored = loss_of(model, given)
    assert all(torch.equal(restored[key], loss) for key, loss in stock.items())


@EVERY
def test_the_class_loss_is_recognised_or_refused(name: str) -> None:
    model = built(name)
    if name not in CLASS_LOSSES:
        with pytest.raises(UnsupportedCriterion, match=r"sought a class loss equal to .* found"):
            plug(model, cls="focal")
        return
    given = batch(model)
    stock = loss_of(model, given)
    softmax = CLASS_LOSSES[name] == "weighted cross-entropy"
    with plug(model, cls="softmax_focal" if softmax else "quality_focal") as made:
        other = loss_of(model, given)
        other["total"].backward()
    model.zero_grad()
    assert made.report.cls is not None
    assert made.report.cls.stock == CLASS_LOSSES[name]
    changed = {key for key in stock if not torch.equal(stock[key], other[key])}
    assert changed == {key for key in stock if key.startswith(("loss_ce", "loss_vfl", "loss_mal"))} | {"total"}


def test_every_detector_is_served_or_refused_by_name() -> None:
    reasons = {cls.__name__: unserved(cls) for cls in detectors()}
    assert {name for name, reason in reasons.items() if reason is None} == set(CONFIGS)
    refused = {name: reason for name, reason in reasons.items() if reason is not None}
    masks = r"its own \w+Loss with (\w+, )*loss_labels, loss_masks, none of them of boxes"
    for name, reason in refused.items():
        if name.endswith(("UniversalSegmentation", "InstanceSegmentation")):
            assert re.fullmatch(masks, reason), f"{name}: {reason}"
        else:
            assert re.search("computes no loss$|transformers has no loss for it$", reason), f"{name}: {reason}"
    assert {"Mask2FormerForUniversalSegmentation", "OmDetTurboForObjectDetection", "Owlv2ForObjectDetection"} <= set(
        refused
    )


def test_a_model_of_masks_is_refused() -> None:
    config = transformers.Mask2FormerConfig()
    with torch.device("meta"):
        model = transformers.Mask2FormerForUniversalSegmentation(config)
    with pytest.raises(UnsupportedCriterion, match=r"Mask2FormerForUniversalSegmentation: .* own Mask2FormerLoss with"):
        plug(model, box="eiou")


def test_copies_and_pickles_compute_the_loss_and_count_for_themselves() -> None:
    model = copy.deepcopy(built("RTDetrForObjectDetection"))
    given = batch(model)
    made = plug(model, box={"type": "wiou"}, cls="focal")
    loss = loss_of(model, given)
    state = made.state_dict()
    again = loss_of(model, given)  # with a running mean that has learnt from the first batch
    made.load_state_dict(state)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        of_copy: Plug = plug_of(other)
        assert of_copy.report.trained == 2
        of_copy.load_state_dict(state)
        assert torch.equal(loss_of(other, given)["loss_giou"], again["loss_giou"])
        assert of_copy.report.trained == 3
        assert made.report.trained == 2
        of_copy.unplug()
        of_copy.unplug()
        assert vars(other).keys() == vars(built("RTDetrForObjectDetection")).keys()
        assert torch.equal(
            loss_of(other, given)["loss_giou"], loss_of(built("RTDetrForObjectDetection"), given)["loss_giou"]
        )
    assert not torch.equal(loss["loss_giou"], loss_of(built("RTDetrForObjectDetection"), given)["loss_giou"])
    assert made.plugged
    with pytest.raises(ValueError, match="plugged already"):
        plug(model, box="giou")
