# SPDX-License-Identifier: AGPL-3.0-or-later
"""The mask slot: the stock loss's twin, region losses inside the boxes, refusals, proof, and a whole training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.utils import loss as stock

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import mask_canary
from loss_plugins.adapters.ultralytics.cli import split_settings
from loss_plugins.adapters.ultralytics.config import read_config
from loss_plugins.adapters.ultralytics.mask_fits import example_masks
from loss_plugins.adapters.ultralytics.mask_slot import per_instance, pixels_inside
from loss_plugins.adapters.ultralytics.plug import Plug, plugged

from .ultralytics_runs import stepped

EPS = 1e-3  # of `dice`
MODELS = ("yolo11n-seg.yaml", "yolo26n-seg.yaml")
Batch = dict[str, Tensor]


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    made = tasks.SegmentationModel(request.param, nc=3, verbose=False)
    made.args = get_cfg()
    return made.train()


def test_the_twin_of_the_stock_loss_is_the_stock_loss(model: nn.Module) -> None:
    value, gradient = stepped(model)
    with lpu.patched(mask="bce_with_logits", model=model) as report:
        assert stepped(model)[0] == value
        assert torch.equal(stepped(model)[1], gradient)
    assert report.mask is not None
    assert report.mask.gradient_calls == report.mask.train_calls == report.mask.expected_calls > 0


def test_another_loss_changes_the_masks_loss_alone(model: nn.Module) -> None:
    value, gradient = stepped(model)
    with lpu.patched(mask="dice", model=model):
        ours, moved = stepped(model)
    assert {name for name in value if ours[name] != value[name]} == {"seg_loss"}
    assert not torch.allclose(moved, gradient)
    assert stepped(model)[0] == value


def given(seed: int = 0, instances: int = 5, size: tuple[int, int] = (9, 12), proto: int = 4) -> Batch:
    """Arguments of `single_mask_loss`, with boxes on fractions of pixels, one of them smaller than a pixel."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    corner = torch.rand(instances, 2, generator=generator) * torch.tensor([width / 2, height / 2])
    boxes = torch.cat([corner, corner + 1.3 + torch.rand(instances, 2, generator=generator) * 4], dim=1)
    boxes[-1] = torch.tensor([3.2, 3.2, 3.8, 3.8])
    return {
        "gt_mask": (torch.rand(instances, *size, generator=generator) > 0.5).float(),
        "pred": torch.randn(instances, proto, generator=generator),
        "proto": torch.randn(proto, *size, generator=generator),
        "xyxy": boxes,
        "area": (boxes[:, 2:] - boxes[:, :2]).prod(1) / (height * width),
    }


def cut_out(arguments: Batch, number: int) -> tuple[Tensor, Tensor]:
    """Probabilities and mask of an instance, of the pixels whose index lies in its box."""
    x1, y1, x2, y2 = arguments["xyxy"][number].tolist()
    _, height, width = arguments["gt_mask"].shape
    rows = [row for row in range(height) if y1 <= row < y2]
    columns = [at for at in range(width) if x1 <= at < x2]
    logits = torch.einsum("k,khw->hw", arguments["pred"][number], arguments["proto"])
    return logits[rows][:, columns].sigmoid(), arguments["gt_mask"][number][rows][:, columns]


def dice_of(p: Tensor, t: Tensor) -> Tensor:
    return 1 - 2 * (p * t).sum() / ((p * p).sum() + (t * t).sum() + EPS)


def tversky_of(p: Tensor, t: Tensor) -> Tensor:
    hit, false, missed = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
    return 1 - hit / (hit + 0.3 * false + 0.7 * missed + 1e-7)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("name", "formula"), [("dice", dice_of), ("tversky", tversky_of)])
def test_a_region_loss_sees_the_pixels_inside_the_box_and_no_others(
    name: str, formula: Callable[[Tensor, Tensor], Tensor], seed: int
) -> None:
    """Cut out by hand, pixel by pixel; an instance without a pixel costs nothing and trains nothing."""
    arguments = given(seed)
    proto = arguments["proto"].requires_grad_()
    with_pixels = [cut_out(arguments, number) for number in range(4)]
    assert cut_out(arguments, 4)[0].numel() == 0
    expected = sum((formula(p, t) for p, t in with_pixels), start=torch.zeros(()))
    (wanted,) = torch.autograd.grad(expected, proto)
    slot = Plug(lpu.make_spec(mask=name)).mask
    assert slot is not None
    found = slot.compute(nn.Identity(), **arguments)
    (gradient,) = torch.autograd.grad(found, proto)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["focal", "quality_focal", "asymmetric", "poly_focal"])
def test_a_loss_per_pixel_takes_the_place_of_cross_entropy(name: str) -> None:
    """Stock: the sum inside the box, over the pixels of the image and the share of it that the box covers."""
    arguments = given()
    logits = torch.einsum("nk,khw->nhw", arguments["pred"], arguments["proto"])
    pixels = lp.build_loss(name, reduction="none")(logits.reshape(-1, 1), arguments["gt_mask"].reshape(-1, 1))
    cropped = stock.crop_mask(pixels.view(logits.shape).clone(), arguments["xyxy"])
    expected = (cropped.mean(dim=(1, 2)) / arguments["area"]).sum()
    slot = Plug(lpu.make_spec(mask=name)).mask
    assert slot is not None
    assert float(slot.compute(nn.Identity(), **arguments)) == pytest.approx(float(expected), rel=1e-6)


def crop_of_whole_pixels(masks: Tensor, boxes: Tensor) -> Tensor:
    """As Ultralytics 8.3 and 8.4.0 crop less than 50 masks on the CPU."""
    for number, (x1, y1, x2, y2) in enumerate(boxes.round().int().tolist()):
        masks[number, :y1] = 0
        masks[number, y2:] = 0
        masks[number, :, :x1] = 0
        masks[number, :, x2:] = 0
    return masks


def test_masks_are_cropped_as_the_version_crops_them(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions that round the boxes before: the twin of the stock loss is the stock loss there, the canary knows it."""
    usual = float(stock.v8SegmentationLoss.single_mask_loss(**given()))
    monkeypatch.setattr(stock, "crop_mask", crop_of_whole_pixels)
    arguments = given()
    arguments["proto"].requires_grad_()
    expected = stock.v8SegmentationLoss.single_mask_loss(**arguments)
    assert float(expected.detach()) != pytest.approx(usual, rel=1e-3)
    slot = Plug(lpu.make_spec(mask="bce_with_logits")).mask
    assert slot is not None
    found = slot.compute(nn.Identity(), **arguments)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(each, arguments["proto"])[0] for each in (found, expected)]
    torch.testing.assert_close(*gradients)
    with plugged(lpu.make_spec(mask="dice"), bound=True) as plug:
        plug.bind(model)
        assert plug.check(model.init_criterion()) > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    arguments = {name: value.to(dtype) for name, value in given().items()}
    slot = Plug(lpu.make_spec(mask="dice")).mask
    assert slot is not None
    found = slot.compute(nn.Identity(), **arguments)
    assert found.dtype == torch.float32
    assert found.isfinite()


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        ("eiou", "is a loss of kind box"),
        ("bce", "wants probabilities"),
        ("cross_entropy", r"gives shape \(6,\) for scores \(6, 1\)"),
        ("ghm_c", "depends on pixels outside of the boxes"),
        ({"type": "dice", "activation": "none"}, "wants probabilities"),
        ({"type": "dice", "activation": "softmax"}, "softmax"),
        ({"type": "dice", "over": "batch"}, r"shape \(\) for 3 masks"),
        ({"type": "dice", "over": "channel"}, r"shape \(3, 1\) for 3 masks"),
        ({"type": "bce_with_logits", "pos_weight": [1.0, 2.0]}, "2 numbers"),
        ({"type": "bce_with_logits", "ignore_index": 1}, "does not fall"),
        ({"type": "focal", "alpha": 0.0}, "does not fall"),
        ({"type": "dice", "ignore_index": 0}, "costs the same for pixels more than the mask has"),
        ({"type": "tversky", "alpha": 0.0}, "costs the same for pixels more than the mask has"),
        ({"type": "dice", "ignore_index": 1}, "does not fall"),
        ({"type": "tversky", "beta": 0.0}, "costs the same for pixels less than the mask has"),
        ({"type": "dice", "reduction": "mean"}, "reduction"),
        ({"type": "dice", "loss_weight": 0.0}, "loss_weight"),
        ("dise", "dice"),
        (lambda pred, target: (pred - target).sum(), "register_loss"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(mask: Any, reason: str) -> None:
    with pytest.raises((ValueError, TypeError), match=reason):
        lpu.trainer("segment", mask=mask)


def test_a_gain_cannot_be_matched() -> None:
    with pytest.raises(ValueError, match="gain='match' is known for boxes and classes, and mask=dice"):
        lpu.make_spec("eiou", mask="dice", gain="match")


def own_region(pred: Tensor, target: Tensor) -> Tensor:
    """Of a user: a mean over all pixels, of which there would be more than the box has."""
    return (pred.sigmoid() - target).abs().flatten(1).mean(1)


def test_a_region_loss_that_counts_pixels_which_are_left_out_is_refused() -> None:
    lp.register_loss("test_region", kind="region")(own_region)
    try:
        with pytest.raises(ValueError, match="counts the pixels outside of the boxes"):
            lpu.make_spec(mask="test_region")
    finally:
        lp.unregister_loss("test_region")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: tasks.DetectionModel("yolo11n.yaml", verbose=False), "v8DetectionLoss has no mask loss"),
        (lambda: tasks.PoseModel("yolo26n-pose.yaml", verbose=False), "PoseLoss26 has no mask loss"),
        (lambda: tasks.OBBModel("yolo11n-obb.yaml", verbose=False), "v8OBBLoss has no mask loss"),
        (lambda: tasks.RTDETRDetectionModel("rtdetr-resnet50.yaml", verbose=False), "has no mask loss"),
    ],
)  # fmt: skip
def test_models_without_masks_are_refused(make: Callable[[], nn.Module], reason: str) -> None:
    model = make()
    model.args = get_cfg()
    model.nc = 80
    plug = Plug(lpu.make_spec(mask="dice"))
    with pytest.raises(lpu.UnsupportedUltralytics, match=reason):
        plug.adopt(model.init_criterion())


# --- proof -----------------------------------------------------------------------------------------------------------


def criterion(cls: type = stock.v8SegmentationLoss) -> Any:
    model = tasks.SegmentationModel("yolo11n-seg.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    return cls(model)


BCE_DICE = {"type": "mix", "losses": ["bce_with_logits", {"type": "dice", "loss_weight": 2.0}]}


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky", "bce_with_logits", "focal", BCE_DICE], ids=str)
def test_the_canary_finds_what_was_asked_for(name: Any) -> None:
    with plugged(lpu.make_spec(mask=name)) as plug:
        made = criterion()
        plug.check(made)
        assert plug.report.canary["mask"][0] > 0
        assert plug.mask is not None
        assert plug.mask.calls.train_calls == 0


def test_a_criterion_with_a_mask_loss_of_its_own_is_noticed() -> None:
    class Own(stock.v8SegmentationLoss):
        single_mask_loss = staticmethod(stock.v8SegmentationLoss.single_mask_loss)

    with plugged(lpu.make_spec(mask="dice")) as plug:
        made = criterion(Own)
        plug.adopt(made)
        with pytest.raises(lpu.UnsupportedUltralytics, match="the plug does not hold"):
            plug.check(made)


def test_a_stock_loss_that_has_changed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = stock.v8SegmentationLoss.single_mask_loss
    twice = staticmethod(lambda *args, **kwargs: 2 * found(*args, **kwargs))
    monkeypatch.setattr(stock.v8SegmentationLoss, "single_mask_loss", twice)
    with plugged(lpu.make_spec(mask="dice")) as plug, pytest.raises(lpu.UnsupportedUltralytics, match="has changed"):
        mask_canary.check_mask(criterion(), plug.mask)


def test_a_call_that_was_left_out_is_noticed(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two batches computes the stock loss: half of the calls that are due."""
    with plugged(lpu.make_spec(mask="dice"), bound=True) as plug:
        plug.bind(model)
        stepped(model)
        plug.require_use()
        ours = vars(stock.v8SegmentationLoss)["single_mask_loss"]
        monkeypatch.setattr(stock.v8SegmentationLoss, "single_mask_loss", ours.stock)
        stepped(model)
        with pytest.raises(lpu.LossNotUsed, match=r"mask loss dice was called \d+ times in training where \d+"):
            plug.require_use()
        monkeypatch.undo()


def test_the_static_method_stays_one() -> None:
    arguments = given()
    before = float(stock.v8SegmentationLoss.single_mask_loss(**arguments))
    found = vars(stock.v8SegmentationLoss)["single_mask_loss"]
    with plugged(lpu.make_spec(mask="dice")):
        assert float(stock.v8SegmentationLoss.single_mask_loss(**arguments)) == before
        assert vars(stock.v8SegmentationLoss)["single_mask_loss"] is not found
    assert vars(stock.v8SegmentationLoss)["single_mask_loss"] is found


# --- ways of asking ----------------------------------------------------------------------------------


def test_the_shell_and_a_file_ask_for_it(tmp_path: Path) -> None:
    losses, _ = split_settings(["mask_loss=dice", "mask_loss.smooth=1"])
    assert lpu.make_spec(**losses).mask == lpu.make_spec(mask={"type": "dice", "smooth": 1}).mask
    (tmp_path / "losses.yaml").write_text("losses:\n  mask: {type: dice, smooth: 1.0}\n")
    assert read_config(tmp_path / "losses.yaml") == {"mask": {"type": "dice", "smooth": 1.0}}


def test_another_process_reads_it() -> None:
    spec = lpu.make_spec("eiou", mask="dice")
    assert lpu.Spec.from_json(spec.to_json()) == spec


def test_a_mix_of_pixels_and_masks_adds_its_members_up() -> None:
    """BCE + Dice, each as by itself; in mixes in it the factors multiply."""
    mask, boxes, area = example_masks()
    inside = pixels_inside(boxes, *mask.shape[1:])
    logits = torch.linspace(-3, 3, mask.numel()).view_as(mask).cos() * 3
    alone = [
        per_instance(lp.build_loss(name, reduction="none"), logits, mask, inside, area) for name in ("focal", "dice")
    ]
    half = {"type": "mix", "loss_weight": 0.5, "losses": [{"type": "dice", "loss_weight": 3.0}]}
    mix = lp.build_loss("mix", losses=[{"type": "focal", "loss_weight": 2.0}, half], reduction="none")
    torch.testing.assert_close(per_instance(mix, logits, mask, inside, area), 2 * alone[0] + 1.5 * alone[1])


@pytest.mark.parametrize("first", ["bce_with_logits", "focal"])
def test_a_mix_of_pixels_and_masks_is_trained(first: str, model: nn.Module) -> None:
    mix = {"type": "mix", "losses": [first, {"type": "dice", "loss_weight": 2.0}]}
    found = []
    for mask in (first, "dice", mix):
        with lpu.patched(mask=mask, model=model):
            found.append(float(stepped(model)[0]["seg_loss"]))
    assert found[2] == pytest.approx(found[0] + 2 * found[1], rel=1e-4)


def test_a_member_of_a_mix_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="wants probabilities, and gets logits"):
        lpu.make_spec(mask={"type": "mix", "losses": ["bce", {"type": "dice", "activation": "none"}]})
    with pytest.raises(ValueError, match="where one number each is wanted"):
        lpu.make_spec(mask={"type": "mix", "losses": ["bce_with_logits", {"type": "dice", "over": "batch"}]})
