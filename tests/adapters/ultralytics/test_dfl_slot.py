# SPDX-License-Identifier: AGPL-3.0-or-later
"""The slot of the sides, DFL or L1: the stock loss's twin, other losses by hand, refusals, proof."""

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
from ultralytics.utils import tal

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import dfl_canary, dfl_slot
from loss_plugins.adapters.ultralytics.cli import split_settings
from loss_plugins.adapters.ultralytics.config import read_config
from loss_plugins.adapters.ultralytics.plug import Plug, plugged

from .ultralytics_runs import stepped

BINS = {"type": "distribution_focal", "dialect": "ultralytics"}
#: models, the stock loss of their sides, another one, and what the first is called
MODELS = {
    "yolo11n.yaml": (tasks.DetectionModel, BINS, "own_bins", "dfl_loss"),
    "yolo26n.yaml": (tasks.DetectionModel, "l1", {"type": "smooth_l1", "beta": 0.02}, "l1_loss"),
    "yolo11n-obb.yaml": (tasks.OBBModel, BINS, {"type": "own_bins", "times": 2.0}, "dfl_loss"),
    "yolo26n-obb.yaml": (tasks.OBBModel, "l1", {"type": "huber", "delta": 0.02}, "l1_loss"),
    "yolo26n-seg.yaml": (tasks.SegmentationModel, "l1", "mse", "l1_loss"),
}


@pytest.fixture(autouse=True, scope="module")
def own_bins() -> Any:
    """A loss of a user's own, of distributions: their mean and the target, squared."""

    @lp.register_loss("own_bins", kind="classification", targets=("score",))
    def own_bins_loss(pred: Tensor, target: Tensor, *, times: float = 1.0) -> Tensor:
        mean = (pred.softmax(-1) * torch.arange(pred.shape[-1]).to(pred)).sum(-1)
        return times * (mean - target) ** 2

    @lp.register_loss("one_sided", kind="coordinate")
    def one_sided_loss(pred: Tensor, target: Tensor) -> Tensor:
        """Distances that are too small cost nothing."""
        return (pred - target).clamp(min=0)

    yield
    lp.unregister_loss("own_bins")
    lp.unregister_loss("one_sided")


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    made = MODELS[request.param][0](request.param, nc=3, verbose=False)
    made.args = get_cfg()
    made.name = request.param
    return made.train()


def test_the_twin_of_the_stock_loss_is_the_stock_loss(model: nn.Module) -> None:
    value, gradient = stepped(model)
    with lpu.patched(dfl=MODELS[model.name][1], model=model) as report:
        found, moved = stepped(model)
    assert found == pytest.approx(value, rel=1e-6)
    torch.testing.assert_close(moved, gradient, rtol=1e-5, atol=5e-6 * float(gradient.abs().max()))
    assert report.dfl is not None
    assert report.dfl.gradient_calls == report.dfl.train_calls == report.dfl.expected_calls > 0
    assert report.dfl.rows == report.dfl.gradient_rows > 0


def test_another_loss_changes_that_of_the_sides_alone(model: nn.Module) -> None:
    value, gradient = stepped(model)
    with lpu.patched(dfl=MODELS[model.name][2], model=model):
        ours, moved = stepped(model)
    assert {name for name in value if ours[name] != value[name]} == {MODELS[model.name][3]}
    assert not torch.allclose(moved, gradient)
    assert stepped(model)[0] == value


def test_it_goes_with_another_box_loss(model: nn.Module) -> None:
    rotated = "obb" in model.name
    with lpu.patched("kld" if rotated else "eiou", dfl=MODELS[model.name][2], model=model) as report:
        stepped(model)
    assert report.box is not None
    assert report.box.train_calls == report.dfl.train_calls > 0


def test_the_ratio_is_that_of_the_gradients(model: nn.Module) -> None:
    """The stock loss times 5 pulls 5 times as hard, whatever else flows into the prediction."""
    name = MODELS[model.name][1]
    spec = {**(name if isinstance(name, dict) else {"type": name}), "loss_weight": 5.0}
    with plugged(lpu.make_spec(dfl=spec), bound=True) as plug:
        plug.bind(model)
        plug.begin_epoch()
        stepped(model)
        assert plug.dfl is not None
        assert plug.dfl.ratio == pytest.approx(5.0, rel=1e-4)


def fixed(bbox_loss: nn.Module) -> dict[str, Any]:
    """One image of 64 x 96 pixels, two anchor points, the first of them foreground with a score of 0.5."""
    bins = bbox_loss.dfl_loss.reg_max if bbox_loss.dfl_loss else 1
    return {
        "pred_dist": torch.linspace(-1, 2, 2 * 4 * bins).view(1, 2, 4 * bins),
        "pred_bboxes": torch.tensor([[[1.0, 1, 4, 4], [2, 2, 5, 5]]]),
        "anchor_points": torch.tensor([[2.5, 2.5], [3.5, 3.5]]),
        "target_bboxes": torch.tensor([[[1.0, 0.5, 5.5, 4], [2, 2, 5, 5]]]),
        "target_scores": torch.tensor([[[0.5, 0.0], [0.0, 0.0]]]),
        "target_scores_sum": torch.tensor(2.0),
        "fg_mask": torch.tensor([[True, False]]),
        "imgsz": torch.tensor([64.0, 96.0]),
        "stride": torch.tensor([[8.0], [16.0]]),
    }


def test_distances_by_hand() -> None:
    """8 pixels a cell: left (2.5 - 1) 8 / 96, above (2.5 - 0.5) 8 / 64, right 3 x 8 / 96, below 1.5 x 8 / 64."""
    bbox_loss = stock.BboxLoss(1)
    given = fixed(bbox_loss)
    target = torch.tensor([1.5 * 8 / 96, 2.0 * 8 / 64, 3.0 * 8 / 96, 1.5 * 8 / 64])
    pred = given["pred_dist"][0, 0] * torch.tensor([8 / 96, 8 / 64, 8 / 96, 8 / 64])
    with lpu.patched(dfl={"type": "mse", "loss_weight": 3.0}):
        found = bbox_loss(**given)[1]
    torch.testing.assert_close(found, 3.0 * ((pred - target) ** 2).mean() * 0.5 / 2.0)


def test_bins_by_hand() -> None:
    """Distances of 1.5, 2, 3 and 1.5 cells; a loss gets 16 logits and the distance of each side."""
    bbox_loss = stock.BboxLoss(16)
    given = fixed(bbox_loss)
    p = given["pred_dist"][0, 0].view(4, 16).softmax(-1)
    mean = (p * torch.arange(16)).sum(-1)
    with lpu.patched(dfl="own_bins"):
        found = bbox_loss(**given)[1]
    torch.testing.assert_close(found, ((mean - torch.tensor([1.5, 2.0, 3.0, 1.5])) ** 2).mean() * 0.5 / 2.0)


@pytest.mark.parametrize(
    ("dfl", "reason"),
    [
        ("eiou", "is a loss of kind box"),
        ("dice", "is a loss of kind region"),
        ("bounded_iou", "distances"),
        ("cross_entropy", "dfl='cross_entropy' does not take logits over bins"),
        ("focal", "does not take logits over bins|gives shape"),
        ("bce", "bins"),
        ("ddf", "dfl='ddf' is a loss of kind distribution"),
        ("fgl", "dfl='fgl' takes offsets from the sides of a reference box, .* and gets distances"),
        ({"type": "mix", "losses": ["l1", "distribution_focal"]}, "mix"),
        ({"type": "l1", "loss_weight": 0.0}, "loss_weight"),
        ({"type": "l1", "reduction": "mean"}, "reduction"),
        ("l3", "did you mean"),
        (lambda pred, target: (pred - target).abs(), "register_loss.* kind='coordinate' or 'classification'"),
        ("one_sided", "does not grow with the distance"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(dfl: Any, reason: str) -> None:
    with pytest.raises((ValueError, TypeError), match=reason):
        lpu.trainer("detect", dfl=dfl)


@pytest.mark.parametrize("dfl", ["l1", "smooth_l1", "huber", "mse", "focal_l1", "balanced_l1", "distribution_focal"])
def test_what_fits_is_taken(dfl: str) -> None:
    lpu.trainer("detect", dfl=dfl)


def test_a_gain_cannot_be_matched() -> None:
    with pytest.raises(ValueError, match="gain='match' is known for boxes and classes, and dfl=l1"):
        lpu.make_spec("eiou", dfl="l1", gain="match")


@pytest.mark.parametrize(
    ("make", "dfl", "reason"),
    [
        (
            lambda: tasks.DetectionModel("yolo11n.yaml", verbose=False),
            "l1",
            "predicts 16 bins .* a loss of coordinates",
        ),
        (lambda: tasks.DetectionModel("yolo26n.yaml", verbose=False), "distribution_focal", "predicts the distances"),
        (lambda: tasks.RTDETRDetectionModel("rtdetr-resnet50.yaml", verbose=False), "l1", "has no dfl loss"),
    ],
)
def test_models_that_predict_otherwise_are_refused(make: Callable[[], nn.Module], dfl: str, reason: str) -> None:
    model = make()
    model.args = get_cfg()
    model.nc = 80
    plug = Plug(lpu.make_spec(dfl=dfl))
    with pytest.raises(lpu.UnsupportedUltralytics, match=reason):
        plug.adopt(model.init_criterion())


@pytest.mark.parametrize(
    ("bbox_loss", "owner", "name", "reason"),
    [
        (stock.RotatedBboxLoss(16), tal, "rbox2dist", "rotated boxes are others"),
        (stock.BboxLoss(1), dfl_slot, "has_stride", "gets no size of the image"),
    ],
)
def test_versions_that_compute_other_distances_are_refused(
    bbox_loss: nn.Module, owner: Any, name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dfl_slot.require_known(bbox_loss)
    if owner is tal:
        monkeypatch.delattr(owner, name)
    else:
        monkeypatch.setattr(owner, name, lambda _: False)
    with pytest.raises(lpu.UnsupportedUltralytics, match=reason):
        dfl_slot.require_known(bbox_loss)


# --- proof -----------------------------------------------------------------------------------------------------------


def test_the_canary_finds_what_was_asked_for(model: nn.Module) -> None:
    for loss in MODELS[model.name][1:3]:
        with plugged(lpu.make_spec(dfl=loss), bound=True) as plug:
            plug.bind(model)
            plug.check(model.init_criterion())
            assert all(value > 0 for value in plug.report.canary["dfl"])
            assert plug.dfl is not None
            assert plug.dfl.calls.train_calls == 0


def test_the_canary_of_one_slot_trains_no_other() -> None:
    """`BboxLoss` computes boxes and sides in one call: what WIoU has learnt is not from fixed boxes."""
    model = tasks.DetectionModel("yolo11n.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    wiou = {"type": "wiou", "version": 3, "momentum": 0.5}
    with plugged(lpu.make_spec(wiou, dfl="distribution_focal"), bound=True) as plug:
        plug.bind(model)
        criterion = model.init_criterion()
        plug.prepare(1, torch.device("cpu"))
        before = plug.state()
        plug.check(criterion)
        assert plug.state() == before
        assert [(slot.calls.train_calls, slot.calls.val_calls) for slot in plug.slots] == [(0, 0)] * 2
        assert all(loss.training for slot in plug.slots for loss in slot.losses)


def test_a_stock_loss_that_has_changed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    bbox_loss = stock.BboxLoss(16)
    found = bbox_loss.dfl_loss
    monkeypatch.setattr(
        type(found), "__call__", lambda self, pred, target: pred.mean(-1, keepdim=True).view(-1, 4) ** 2
    )
    with pytest.raises(lpu.UnsupportedUltralytics, match="has changed"):
        dfl_canary.check_stock(bbox_loss)


def test_a_criterion_whose_loss_is_another_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tasks.DetectionModel("yolo26n.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    with plugged(lpu.make_spec(dfl="mse"), bound=True) as plug:
        plug.bind(model)
        criterion = model.init_criterion()
        ours = vars(stock.BboxLoss)["forward"]
        monkeypatch.setattr(stock.BboxLoss, "forward", ours.plugged_over)
        with pytest.raises(lpu.UnsupportedUltralytics, match="the plug does not hold"):
            plug.check(criterion)
        monkeypatch.undo()


def test_a_call_that_was_left_out_is_noticed(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two batches computes the stock loss: half of the calls that are due."""
    with plugged(lpu.make_spec(dfl=MODELS[model.name][2]), bound=True) as plug:
        plug.bind(model)
        stepped(model)
        plug.require_use()
        cls = stock.RotatedBboxLoss if "obb" in model.name else stock.BboxLoss
        ours = vars(cls)["forward"]
        monkeypatch.setattr(cls, "forward", ours.plugged_over)
        stepped(model)
        with pytest.raises(lpu.LossNotUsed, match=r"dfl loss \w+ was called \d+ times in training where \d+"):
            plug.require_use()
        monkeypatch.undo()


def test_the_shell_and_a_file_ask_for_it(tmp_path: Path) -> None:
    losses, _ = split_settings(["dfl_loss=smooth_l1", "dfl_loss.beta=0.02"])
    assert lpu.make_spec(**losses).dfl == lpu.make_spec(dfl={"type": "smooth_l1", "beta": 0.02}).dfl
    (tmp_path / "losses.yaml").write_text("losses:\n  dfl: {type: smooth_l1, beta: 0.02}\n", encoding="utf-8")
    assert read_config(tmp_path / "losses.yaml") == {"dfl": {"type": "smooth_l1", "beta": 0.02}}
    assert split_settings(["dfl=2.0"]) == ({}, {"dfl": 2.0}), "Ultralytics' own key is left alone"
    with pytest.raises(ValueError, match="dfl_loss"):
        split_settings(["dfl=smooth_l1"])
    spec = lpu.make_spec("eiou", dfl="l1")
    assert lpu.Spec.from_json(spec.to_json()) == spec
