"""Ways to train: half precision, checkpointed gradients, the fast way, units, and steps of running statistics."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins.adapters.detr.matcher import PairwiseSimilarity
from loss_plugins.adapters.transformers import plug

from .models import batch, build, built, loss_of


def gradients(model: Any, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of all parameters that the losses depend on."""
    model.zero_grad()
    losses["total"].backward()
    found = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("name", ["DetrForObjectDetection", "RTDetrForObjectDetection", "LwDetrForObjectDetection"])
def test_autocast_computes_the_box_loss_in_single_precision(name: str) -> None:
    model = built(name)
    given = batch(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        stock = loss_of(model, given)
    with plug(model, box="giou") as made:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            same = loss_of(model, given)
        gradients(model, same)
    assert same["loss_giou"].dtype == torch.float32
    for key, loss in stock.items():
        torch.testing.assert_close(same[key].float(), loss.float(), rtol=1e-2, atol=1e-3)
    assert made.report.box is not None
    assert made.report.box.gradient_rows == made.report.box.rows


@pytest.mark.parametrize("name", ["RfDetrForObjectDetection", "LwDetrForObjectDetection"])
def test_a_model_in_bfloat16(name: str) -> None:
    model = copy.deepcopy(built(name)).to(torch.bfloat16)
    given = batch(model)
    given["pixel_values"] = given["pixel_values"].bfloat16()
    stock = loss_of(model, given)
    with plug(model, box="giou") as made:
        same = loss_of(model, given)
        assert all(grad.isfinite().all() for grad in gradients(model, same).values())
    torch.testing.assert_close(same["loss_giou"].float(), stock["loss_giou"].float(), rtol=1e-2, atol=1e-2)
    assert made.report.box is not None
    assert made.report.box.gradient_calls == made.report.box.calls


@pytest.mark.parametrize("name", ["DetrForObjectDetection", "YolosForObjectDetection"])
def test_checkpointed_gradients_compute_the_loss_once(name: str) -> None:
    model = copy.deepcopy(built(name))
    given = batch(model)
    with plug(model, box="eiou"):
        wanted = gradients(model, loss_of(model, given))
    model.gradient_checkpointing_enable()
    with plug(model, box="eiou") as made:
        found = gradients(model, loss_of(model, given))
    assert made.report.trained == 1
    assert set(found) == set(wanted)
    for key, grad in wanted.items():
        torch.testing.assert_close(found[key], grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["Detr", "RTDetr", "MMGroundingDino", "RfDetr"])
def test_the_fast_way_gives_the_same(name: str) -> None:
    model = built(f"{name}ForObjectDetection")
    given = batch(model, images=3)
    with plug(model, box="eiou"):
        wanted = loss_of(model, given)
        slow = gradients(model, wanted)
    with plug(model, box="eiou", fast=True) as made:
        found = loss_of(model, given)
        quick = gradients(model, found)
    assert made.asked["fast"] is True
    for key, loss in wanted.items():
        torch.testing.assert_close(found[key], loss, rtol=1e-5, atol=1e-6)
    for key, grad in slow.items():
        torch.testing.assert_close(quick[key], grad, rtol=1e-3, atol=1e-5)


def test_the_new_loss_may_be_the_cost_of_the_matcher(monkeypatch: pytest.MonkeyPatch) -> None:
    model = built("YolosForObjectDetection")
    shapes = []

    def noted(
        self: PairwiseSimilarity, boxes: Tensor, others: Tensor, cost: Any = PairwiseSimilarity.__call__
    ) -> Tensor:
        shapes.append((len(boxes), len(others)))
        return cost(self, boxes, others)  # type: ignore[no-any-return]

    monkeypatch.setattr(PairwiseSimilarity, "__call__", noted)
    for matcher, wanted in (("keep", []), ("match", [(2 * 9, 1 + 2)])):
        with plug(model, box="eiou", matcher=matcher):
            shapes.clear()
            gradients(model, loss_of(model, batch(model)))
            assert model.config.loss_plugins["matcher"] == matcher
        assert shapes == wanted


def test_boxes_are_handed_over_in_pixels_where_their_number_is_given() -> None:
    model = built("YolosForObjectDetection")
    given = batch(model)
    losses = []
    for size in ((64, 64), (640, 640)):
        with plug(model, box="nwd", image_size=size) as made:
            found = loss_of(model, given)
            gradients(model, found)
            losses.append(found["loss_giou"].item())
            assert model.config.loss_plugins["image_size"] == list(size)
            assert made.asked["box"]["type"] == "nwd"
    assert losses[0] < losses[1]


def test_a_running_statistic_learns_once_a_step() -> None:
    """Five layers of RT-DETR are one step; two calls of the criterion of Grounding DINO are one step too."""
    for name in ("RTDetrForObjectDetection", "MMGroundingDinoForObjectDetection"):
        model = build(name)
        given = batch(model)
        made = plug(model, box={"type": "wiou", "momentum": 0.5})
        slot = made.losses.box
        assert slot is not None
        rows: list[Tensor] = []
        learn = slot.rows

        def noted(pairs: Any, weight: Any, learn: Any = learn, rows: list[Tensor] = rows) -> Tensor:
            from loss_plugins import iou_loss

            rows.append(iou_loss(*pairs.corners(None)).detach())
            return learn(pairs, weight)

        slot.rows = noted  # type: ignore[method-assign]
        with torch.no_grad():
            loss_of(model, given)  # a validation teaches it nothing
        assert made.state_dict()["box"]["statistics"]["mean.value"].item() == 1.0
        rows.clear()
        loss_of(model, given)["total"].backward()
        assert len(rows) >= 3
        wanted = 0.5 * 1.0 + 0.5 * torch.cat(rows).double().mean().item()
        assert made.state_dict()["box"]["statistics"]["mean.value"].item() == pytest.approx(wanted, rel=1e-5)
