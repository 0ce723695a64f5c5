"""Losses that depend on the size of the image get that of each batch; another one is refused."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.plug import plugged

from .test_bbox_loss import bbox_call
from .ultralytics_runs import Train


def by_hand(call: dict[str, Any], size: tuple[float, float]) -> float:
    """The weighted MPDIoU of the foreground in pixels."""
    rows = call["fg_mask"][0]
    pred, target = (call[name][0][rows] * call["stride"][rows] for name in ("pred_bboxes", "target_bboxes"))
    losses = lp.mpdiou_loss(pred, target, image_size=size)
    return float((losses * call["target_scores"][0][rows].sum(-1)).sum() / call["target_scores_sum"])


@pytest.mark.parametrize("size", [(64.0, 64.0), (64.0, 96.0), (320.0, 32.0)])
@pytest.mark.parametrize(
    "box", ["mpdiou", "MPDIoULoss", {"type": "mpdiou", "image_size": None}, "mix", "mix of classes"]
)
def test_it_is_that_of_the_batch(size: tuple[float, float], box: Any) -> None:
    mixes = {"mix": "mpdiou", "mix of classes": "MPDIoULoss"}
    spec = {"type": "mix", "losses": [mixes[box]]} if isinstance(box, str) and box in mixes else box
    if isinstance(spec, dict) and "image_size" in spec:
        spec = {**spec, "image_size": size}
    bbox_loss, call = bbox_call()
    call["imgsz"] = torch.tensor(size)
    with lpu.patched(box=spec):
        found = float(bbox_loss(**call)[0])
    assert found == pytest.approx(by_hand(call, size), rel=1e-5)


def test_a_loss_of_pixels_keeps_its_own_parameter_of_that_name() -> None:
    """The unit of the boxes decides, not what a parameter is called."""

    @lp.register_loss("own_size", traits=lp.Traits(units="pixels"))
    def loss(
        pred: Tensor, target: Tensor, *, image_size: Annotated[tuple[float, float], lp.Series(2)] = (320.0, 320.0)
    ) -> Tensor:
        return (pred - target).abs().sum(-1) / image_size[0]

    bbox_loss, call = bbox_call()
    try:
        found = []
        for spec in ("own_size", {"type": "own_size", "image_size": [640.0, 640.0]}):
            with lpu.patched(box=spec):
                found.append(float(bbox_loss(**call)[0]))
    finally:
        lp.unregister_loss("own_size")
    rows = call["fg_mask"][0]
    pred, target = (call[name][0][rows] * call["stride"][rows] for name in ("pred_bboxes", "target_bboxes"))
    losses = (pred - target).abs().sum(-1) / 320
    expected = float((losses * call["target_scores"][0][rows].sum(-1)).sum() / call["target_scores_sum"])
    assert found == pytest.approx([expected, expected / 2], rel=1e-5)


def test_another_one_is_refused_with_both() -> None:
    bbox_loss, call = bbox_call()
    call["imgsz"] = torch.tensor([64.0, 64.0])
    error = pytest.raises(ValueError, match=r"mpdiou: image_size=\[1.0, 2.0\], and the images .* \[64.0, 64.0\]")
    with plugged(lpu.make_spec({"type": "mpdiou", "image_size": [1, 2]})), error:
        bbox_loss(**call)


@pytest.mark.parametrize(
    ("box", "more", "error"),
    [
        ({"type": "mpdiou", "image_size": [640, 640]}, {}, r"image_size=\[640.0, 640.0\], and the trainer's imgsz is"),
        ({"type": "mpdiou", "image_size": [64, 64]}, {"multi_scale": 0.5}, "changes that of each batch"),
    ],
)
def test_a_training_with_another_one_ends_before_its_first_batch(
    train: Train, box: Any, more: dict[str, Any], error: str
) -> None:
    batches: list[Any] = []
    with pytest.raises(ValueError, match=error):
        train("yolo11n.yaml", trainer=lpu.trainer(box=box), on={"on_train_batch_start": batches.append}, **more)
    assert not batches


def test_the_assigner_does_not_know_it() -> None:
    with pytest.raises(ValueError, match="an assigner does not know the image's size"):
        lpu.make_spec("mpdiou", assigner="match")
