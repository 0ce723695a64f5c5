"""The canary in two processes, whose random numbers differ: heads that sum over ranks, and norms that do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ...two_ranks import MMDET, run_two_ranks
from . import canary_ranks

L1, CIOU, WIOU = ({"type": f"loss_plugins.{name}Loss"} for name in ("L1", "CIoU", "WIoU"))
BOX, ROI = "model.bbox_head.loss_bbox", "model.roi_head.bbox_head"
#: config, changes
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ATSS": ("atss/atss_r50_fpn_1x_coco", {BOX: WIOU}),
    "TOOD": ("tood/tood_r50_fpn_1x_coco", {BOX: CIOU}),
    "RTMDet": ("rtmdet/rtmdet_tiny_8xb32-300e_coco", {BOX: L1}),
    "Libra R-CNN": ("libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco", {f"{ROI}.loss_bbox": CIOU}),
}
#: what the refusals say
REFUSED = {"RTMDet": "l1 is hundreds", "Libra R-CNN": f"set {ROI}.reg_decoded_bbox=True"}


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """What the hook says of each model on each rank."""
    return run_two_ranks(canary_ranks.__file__, json.dumps(CASES), known=MMDET)


@pytest.mark.parametrize("name", CASES)
def test_ranks_find_the_same(name: str, told: list[dict[str, Any]]) -> None:
    first, second = (each[name] for each in told)
    assert first["warned"] == second["warned"] == []
    assert first["refused"] == second["refused"]
    assert REFUSED.get(name, "") in first["refused"]
    assert bool(first["refused"]) == (name in REFUSED)
    assert first["seen"]
    assert first["seen"] == second["seen"], "samplers draw the same"


@pytest.mark.parametrize("name", CASES)
def test_ranks_are_left_as_they_were(name: str, told: list[dict[str, Any]]) -> None:
    for rank in told:
        assert rank[name]["same"]
        assert bool(rank[name]["synced"]) == (name == "RTMDet")
