"""RF-DETR's criterion with losses of ours: all layers, groups, padded targets, normalisers, flags, masks, keypoints."""

from __future__ import annotations

import copy
import logging
import pickle
from typing import Any

import pytest
import torch
from rfdetr.models.criterion import SetCriterion
from torch import Tensor

from loss_plugins import cxcywh_to_xyxy, eiou_loss
from loss_plugins.adapters.detr.proof import PROVEN_AFTER
from loss_plugins.adapters.rfdetr import LossNotUsed, UnsupportedCriterion, plug

from .parts import criterion, outputs, targets

LAYERS = ("", "_0", "_1", "_enc")


def values(criterion: Any, given: Any, wanted: Any, **more: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = criterion(given, wanted, **more)
    return found


def layers(given: dict[str, Any]) -> list[dict[str, Tensor]]:
    return [given, *given["aux_outputs"], given["enc_outputs"]]


@pytest.mark.parametrize("training", [True, False], ids=["groups", "one group"])
@pytest.mark.parametrize("counts", [(3, 1), (0, 2), (0, 0)], ids=str)
def test_giou_gives_what_the_criterion_gave(training: bool, counts: tuple[int, int]) -> None:
    given, wanted, stock = outputs(), targets(*counts), criterion().train(training)
    before = values(stock, given, wanted)
    made = plug(stock, box="giou")
    same = values(stock, given, wanted)
    assert list(same) == list(before)
    for name, value in before.items():
        torch.testing.assert_close(same[name], value, rtol=1e-6, atol=1e-9)
    made.unplug()
    assert type(stock) is SetCriterion
    assert all(torch.equal(value, before[name]) for name, value in values(stock, given, wanted).items())


def test_eiou_changes_the_box_loss_of_every_layer_and_nothing_else() -> None:
    given, wanted, stock = outputs(), targets(3, 1), criterion().train()
    before = values(stock, given, wanted)
    with plug(stock, box="eiou") as made:
        after = values(stock, given, wanted)
        sum(after[f"loss_giou{layer}"] for layer in LAYERS).backward()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {f"loss_giou{layer}" for layer in LAYERS}
    assert all(layer["pred_boxes"].grad is not None for layer in layers(given))
    assert made.report.box is not None
    assert (made.report.box.calls, made.report.box.rows, made.report.trained) == (4, 4 * 4 * 2, 1)  # two groups


def test_rows_that_fill_targets_up_count_for_nothing() -> None:
    padded, plain = targets(3, 1, padded_to=5), targets(3, 1)
    queries = torch.arange(5)
    indices = [(queries + 7 * image, queries) for image in range(2)]
    first = [(queries[:count] + 7 * image, queries[:count]) for image, count in enumerate((3, 1))]
    stock, found = criterion(), []
    plug(stock, box="eiou")
    for wanted, matched in ((padded, indices), (plain, first)):
        given = outputs()
        value = stock.loss_boxes(given, wanted, matched, 4.0)["loss_giou"]
        value.backward()
        found.append((value.detach(), given["pred_boxes"].grad))
    torch.testing.assert_close(*found)
    pred = torch.cat([outputs()["pred_boxes"][image, found] for image, (found, _) in enumerate(first)])
    target = torch.cat([each["boxes"] for each in plain])
    wanted_value = eiou_loss(cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)).sum() / 4
    torch.testing.assert_close(found[0][0], wanted_value.detach())


def test_padded_batches_train_in_whole() -> None:
    stock = criterion().train()
    with plug(stock, box="eiou"):
        found = values(stock, outputs(), targets(3, 1, padded_to=5))
        sum(found[f"loss_giou{layer}"] for layer in LAYERS).backward()
    assert all(found[name].isfinite() for name in found)


def test_the_caller_s_number_of_objects_divides() -> None:
    given, wanted, stock = outputs(), targets(3, 1), criterion().train()
    assert stock.supports_loss_normalizer_override
    with plug(stock, box="eiou"):
        assert stock.supports_loss_normalizer_override
        own = values(stock, given, wanted)
        raw = values(stock, given, wanted, num_boxes=torch.tensor(1.0))
        sum(raw[f"loss_giou{layer}"] for layer in LAYERS).backward()
    for layer in LAYERS:
        torch.testing.assert_close(raw[f"loss_giou{layer}"], 8 * own[f"loss_giou{layer}"])  # 4 objects, 2 groups


@pytest.mark.parametrize(
    ("flags", "stock"),
    [
        ({}, "IA-BCE (alpha=0.25, gamma=2)"),
        ({"ia_bce_loss": False}, "focal (alpha=0.25, gamma=2)"),
        ({"ia_bce_loss": False, "use_varifocal_loss": True}, "varifocal with 1 - alpha (alpha=0.25, gamma=2)"),
    ],
    ids=["IoU-aware BCE", "focal", "varifocal"],
)
def test_class_losses_that_are_known_are_replaced(flags: dict[str, bool], stock: str) -> None:
    given, wanted, built = outputs(), targets(3, 1), criterion(**flags).train()
    before = values(built, given, wanted)
    with plug(built, cls="quality_focal") as made:
        after = values(built, given, wanted)
        sum(after[f"loss_ce{layer}"] for layer in LAYERS).backward()
    assert made.report.cls is not None
    assert made.report.cls.stock == stock
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {f"loss_ce{layer}" for layer in LAYERS}


def test_a_class_loss_that_is_not_known_is_refused() -> None:
    built = criterion(ia_bce_loss=False, use_position_supervised_loss=True)
    with pytest.raises(UnsupportedCriterion, match=r"sought a class loss equal to .* found loss_ce"):
        plug(built, cls="focal")
    assert type(built) is SetCriterion


def test_the_compiled_path_is_left_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    stock = criterion()
    stock.enable_compiled_detection_losses()
    with caplog.at_level(logging.INFO, "loss_plugins"):
        made = plug(stock, box="eiou")
    assert (
        "SetCriterion: layers are computed one by one, as RF-DETR's one call for all of them (compile=True, on CUDA)"
        in caplog.text
    )
    values(stock, outputs(), targets(3, 1))
    assert made.report.box.calls == 4  # type: ignore[union-attr]  # one for each layer
    made.unplug()
    assert type(stock) is SetCriterion  # the condition under which RF-DETR takes its own path again


def test_masks_and_keypoints_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = criterion()
    stock.losses = [*stock.losses, "masks", "keypoints"]
    called: list[str] = []
    monkeypatch.setattr(
        stock, "loss_masks", lambda *_, **__: called.append("masks") or {"loss_mask_ce": torch.ones(())}
    )
    monkeypatch.setattr(
        stock, "loss_keypoints", lambda *_, **__: called.append("keypoints") or {"loss_keypoints_l1": torch.ones(())}
    )
    made = plug(stock, box="eiou")
    with torch.no_grad():
        found = values(stock, outputs(), targets(3, 1))
    made.unplug()
    assert called == ["masks", "keypoints"] * 4
    assert found["loss_mask_ce_enc"] == found["loss_keypoints_l1"] == 1


def test_copies_and_pickles_keep_the_losses() -> None:
    given, wanted, stock = outputs(), targets(3, 1), criterion()
    made = plug(stock, box="eiou")
    loss = values(stock, given, wanted)["loss_giou"]
    for copied in (copy.deepcopy(stock), pickle.loads(pickle.dumps(stock))):
        torch.testing.assert_close(values(copied, given, wanted)["loss_giou"], loss)
    assert not stock.state_dict()
    made.unplug()


def test_a_loss_without_weight_ends_the_training_after_some_steps() -> None:
    stock = criterion().train()
    made = plug(stock, box="eiou")
    for _ in range(PROVEN_AFTER):
        values(stock, outputs(), targets(3, 1))["loss_bbox"].backward()
    with pytest.raises(LossNotUsed, match="the box loss eiou was computed on 256 rows and received no gradient"):
        values(stock, outputs(), targets(3, 1))
    made.unplug()
