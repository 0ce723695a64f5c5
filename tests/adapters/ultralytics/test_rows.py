# SPDX-License-Identifier: AGPL-3.0-or-later
"""An epoch in which no row got a gradient: an error, or a warning where the loss may rest; and what looking costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.utils.loss import BboxLoss, RotatedBboxLoss

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import canary, slots
from loss_plugins.adapters.ultralytics.branch_call import BranchCall
from loss_plugins.adapters.ultralytics.calls import Calls
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.catalog.entries import shipped

from .test_bbox_loss import bbox_call
from .test_mask_slot import given

BOXES = [entry for entry in shipped() if entry.kind == "box"]
PART = nn.Identity()
NONE = "the gradient of each was 0"


def a_batch_of_boxes(plug: Plug, apart: bool) -> None:
    bbox_loss, call = bbox_call()
    if apart:
        call["pred_bboxes"] = call["pred_bboxes"] + 9
    call["pred_bboxes"] = call["pred_bboxes"].requires_grad_()
    plug.expect(call["fg_mask"])
    bbox_loss(**call)[0].backward()


def a_batch_of_scores(slot: Any) -> None:
    logits = torch.linspace(-2, 2, 6).view(1, 2, 3).requires_grad_()
    slot.calls.expect(torch.ones(()))
    slot.compute(PART, logits, torch.full_like(logits, 0.3)).sum().backward()


@contextmanager
def multiplied(factor: float) -> Iterator[None]:
    """Losses are multiplied inside by a number."""
    computed = lp.Loss.elementwise
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lp.Loss, "elementwise", lambda self, pred, target: computed(self, pred, target) * factor)
        yield


#: those that rest where boxes lie apart, and two that do not
APART = [entry.name for entry in BOXES if not entry.traits.gradient_when_disjoint] + ["ciou", "mpdiou"]


@pytest.mark.parametrize("name", APART)
def test_an_epoch_of_disjoint_boxes_is_lawful(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(slots, "log", logged.append)
    spec = lpu.make_spec(name)
    with plugged(spec) as plug:
        assert plug.box is not None
        for epoch in range(2):
            plug.begin_epoch()
            a_batch_of_boxes(plug, apart=epoch == 1)
            plug.require_use()
            rested = plug.box.calls.in_epoch("gradient_rows") == 0
            assert any(NONE in text for text in plug.box.news()) == rested
            assert rested == (epoch == 1 and plug.box.may_rest)
    with plugged(spec) as plug:  # a context has no epochs
        a_batch_of_boxes(plug, apart=True)
        assert plug.box is not None
        plug.box.require_call_and_gradient()
        assert any(NONE in text for text in logged) == plug.box.may_rest


def own_iou(pred: Tensor, target: Tensor) -> Tensor:
    return lp.iou_loss(pred, target)


def test_of_a_function_of_ones_own_it_is_measured() -> None:
    with plugged(lpu.make_spec(own_iou)) as plug:
        assert plug.box is not None
        assert plug.box.prototype.entry.traits.gradient_when_disjoint
        plug.begin_epoch()
        a_batch_of_boxes(plug, apart=True)
        plug.require_use()
        assert any(NONE in text for text in plug.box.news())


@pytest.mark.parametrize("losses", [{"box": "ciou"}, {"cls": "focal"}], ids=["box", "cls"])
def test_an_epoch_of_zeros_after_a_good_one_is_an_error(losses: dict[str, str]) -> None:
    with plugged(lpu.make_spec(**losses)) as plug:
        for factor in (1.0, 0.0, 1.0):
            plug.begin_epoch()
            with multiplied(factor):
                for _ in range(2):
                    a_batch_of_boxes(plug, apart=False) if plug.box else a_batch_of_scores(plug.cls)
            if factor:
                plug.require_use()
                continue
            with pytest.raises(lpu.LossNotUsed, match=f"{NONE}: it trains nothing"):
                plug.require_use()


def test_masks_without_a_pixel_are_lawful() -> None:
    for name in ("dice", "tversky"):
        slot = Plug(lpu.make_spec(mask=name)).mask
        assert slot is not None
        arguments = given()
        arguments["gt_mask"] = torch.zeros_like(arguments["gt_mask"])
        slot.calls.expect(torch.ones(()))
        slot.compute(nn.Identity(), **{**arguments, "proto": arguments["proto"].requires_grad_()}).backward()
        assert slot.calls.gradient_rows == 0
        slot.require_use()
        assert any(NONE in text for text in slot.news())


# --- what looking costs ----------------------------------------------------------------------------------------------


def test_anchors_are_looked_at_until_one_got_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    count = Calls._count_rows
    monkeypatch.setattr(Calls, "_count_rows", lambda self, gradient: looked.append(1) or count(self, gradient))
    with plugged(lpu.make_spec(cls="focal")) as plug:
        assert plug.cls is not None
        for zeros in (0, 3):
            looked.clear()
            plug.begin_epoch()
            for batch in range(6):
                with multiplied(0.0 if batch < zeros else 1.0):
                    a_batch_of_scores(plug.cls)
            assert len(looked) == zeros + 1
            plug.require_use()


def test_a_gpu_waits_for_the_size_of_an_image_once() -> None:
    slot = Plug(lpu.make_spec({"type": "mpdiou", "image_size": [64, 64]})).box
    assert slot is not None
    read: list[int] = []

    def batch(device: str, anchors: int, size: list[float]) -> BranchCall:
        imgsz = SimpleNamespace(device=SimpleNamespace(type=device), tolist=lambda: (read.append(1), size)[1])
        return BranchCall({"fg_mask": torch.zeros(2, anchors, dtype=torch.bool), "imgsz": imgsz})

    for device, looks in (("cuda", 1), ("cpu", 5)):
        read.clear()
        for _ in range(5):
            slot.compare_size(batch(device, 84, [64.0, 64.0]))
        assert len(read) == looks
        with pytest.raises(ValueError, match="the images of this batch have"):
            slot.compare_size(batch(device, 126, [96.0, 64.0]))


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a GPU: numbers that are read, indices that are found."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masks = function is torch.ops.aten.index.Tensor and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        self.count += masks or function in (torch.ops.aten.nonzero.default, torch.ops.aten._local_scalar_dense.default)
        return function(*args, **(kwargs or {}))


def waits_of(bbox_loss: nn.Module, call: dict[str, Tensor]) -> int:
    leaves = {"pred_bboxes", "pred_dist"}
    given = {name: value.clone().requires_grad_(name in leaves) for name, value in call.items()}
    with Waits() as waits:
        boxes, sides = bbox_loss(**given)
        (boxes + sides).backward()
    return waits.count


@pytest.mark.parametrize("losses", [("box",), ("dfl",), ("box", "dfl")], ids="-".join)
@pytest.mark.parametrize("bins", [16, 1])
@pytest.mark.parametrize("kind", [BboxLoss, RotatedBboxLoss])
def test_a_branch_looks_up_its_foreground_once_for_all_slots(
    kind: type[nn.Module], bins: int, losses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once beside what the stock loss does; a loss in pixels looks no more often. The CPU warns of inverted boxes."""
    monkeypatch.setattr("loss_plugins.adapters.ultralytics.box_slot.warn_of_inverted", lambda *_: True)
    bbox_loss = kind(bins)
    call = canary.fixed_arguments(bbox_loss)
    stock = waits_of(bbox_loss, call)
    boxes = ("eiou", "side_in_pixels") if kind is BboxLoss else ("kld",)
    for box in boxes:
        asked = {"box": box, "dfl": "distribution_focal" if bins > 1 else "l1"}
        with plugged(lpu.make_spec(**{name: asked[name] for name in losses})):
            waits_of(bbox_loss, call)  # what is looked at once
            assert waits_of(bbox_loss, call) == stock + 1


# --- what a warning advises ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slot", "loss", "gain"),
    [
        ("box", "iou", "keep"), ("box", "iou", "match"), ("cls", "focal", "keep"), ("cls", "ghm_c", "keep"),
        ("cls", "ghm_c", "match"), ("mask", "dice", "keep"),
    ],
)  # fmt: skip
def test_each_slot_advises_what_is_taken(slot: str, loss: str, gain: str) -> None:
    losses: dict[str, Any] = {slot: loss}
    made = Plug(lpu.make_spec(**losses, gain=gain)).slot(slot)
    assert made is not None
    made.ratio = 9.0
    remedy = made.news()[-1].partition("; ")[2]
    assert "set loss_weight" in remedy
    if 'gain="match"' in remedy:
        assert (gain, loss) in [("keep", "iou"), ("keep", "ghm_c")]
        Plug(lpu.make_spec(**losses, gain="match"))
    for word in remedy.replace(",", " ").split():
        if word.endswith("="):
            assert word[:-1] in DEFAULT_CFG_DICT
            assert slot != "mask"  # box= would change the boxes too
