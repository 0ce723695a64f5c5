"""The local losses of D-FINE's criteria on whole boxes, from what a criterion has at hand, against its numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp

from .test_golden import GOLDEN_DIR, numbers, read

CASES = [
    pytest.param(case, id=f"{number}-{case['case']}")
    for number, case in enumerate(read(GOLDEN_DIR / "cls_ddf.json")["cases"])
]


def cases(beginning: str) -> list[Any]:
    return [case for case in CASES if case.values[0]["case"].startswith(beginning)]


def inputs_of(case: dict[str, Any]) -> dict[str, Tensor]:
    found = {name: numbers(values) for name, values in case["inputs"].items()}
    return {**found, **{name: found[name].long() for name in ("image", "query")}}


def corners(boxes: Tensor) -> Tensor:
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def matched_ious(inputs: dict[str, Tensor]) -> Tensor:
    pred = inputs["pred_boxes"][inputs["image"], inputs["query"]]
    return 1 - lp.iou_loss(corners(pred), corners(inputs["target_boxes"]), eps=0)


def offsets(inputs: dict[str, Tensor], reg_scale: float) -> Tensor:
    """How far each side of a target lies from where the reference box has it, in shares of that times the scale."""
    reference, target = inputs["ref_points"][inputs["image"], inputs["query"]], corners(inputs["target_boxes"])
    centre, unit = reference[:, :2], reference[:, 2:] / reg_scale + 1e-16
    distances = torch.cat([(centre - target[:, :2]) / unit, (target[:, 2:] - centre) / unit], 1)
    return distances - reg_scale / 2


def assert_close(loss: Tensor, pred: Tensor, case: dict[str, Any]) -> None:
    torch.testing.assert_close(loss, numbers(case["loss"]), rtol=1e-9, atol=1e-11)
    (gradient,) = torch.autograd.grad(loss, pred)
    torch.testing.assert_close(gradient, numbers(case["grad_pred_of_sum"]), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", cases("fgl"))
def test_fgl_of_matched_boxes(case: dict[str, Any]) -> None:
    inputs, given = inputs_of(case), case["params"]
    pred = inputs["pred_corners"].requires_grad_()
    reg_max, reg_scale = given["max_num_bins"], given["reg_scale"]
    matched = pred[inputs["image"], inputs["query"]].view(-1, reg_max + 1)
    loss = lp.build_loss("fgl", reduction="sum", reg_max=reg_max, reg_scale=reg_scale, up=given["up"])
    iou = matched_ious(inputs).repeat_interleave(4)
    found = loss(matched, offsets(inputs, reg_scale).flatten(), iou)
    assert_close(found / inputs["num_boxes"], pred, case)


@pytest.mark.parametrize("case", cases("ddf"))
def test_ddf_of_all_boxes(case: dict[str, Any]) -> None:
    """Matched queries weigh their IoU, the others the largest class score of the teacher."""
    inputs, bins = inputs_of(case), case["params"]["max_num_bins"] + 1
    pred, matches = inputs["pred_corners"].requires_grad_(), (inputs["image"], inputs["query"])
    matched = torch.zeros(pred.shape[:2], dtype=torch.bool)
    matched[matches] = True
    weight = inputs["teacher_logits"].sigmoid().amax(-1)
    weight[matches] = matched_ious(inputs)
    teacher = inputs["teacher_corners"].view(-1, bins)
    loss = lp.build_loss("ddf", temperature=float(case["params"]["T"]))
    sides = [each.flatten().repeat_interleave(4) for each in (matched, weight)]
    assert_close(loss(pred.view(-1, bins), (teacher, sides[0]), sides[1]), pred, case)
