# SPDX-License-Identifier: AGPL-3.0-or-later
"""The slot of key points: the stock loss's twin, oracles, pixels, refusals, proof, and a whole training."""

from __future__ import annotations

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
from loss_plugins.adapters.ultralytics import keypoint_canary
from loss_plugins.adapters.ultralytics.cli import SAID, split_settings
from loss_plugins.adapters.ultralytics.config import read_config
from loss_plugins.adapters.ultralytics.errors import UnsupportedUltralytics
from loss_plugins.adapters.ultralytics.plug import Plug, plugged

from .ultralytics_runs import batch_of

MODELS = {"yolo11n-pose.yaml": 1, "yolo26n-pose.yaml": 2}
#: 1 minus similarity, as Ultralytics computes it
TWIN = {"type": "oks", "dialect": "ultralytics"}
KEYS = 4


def made(file: str) -> nn.Module:
    torch.manual_seed(0)
    config = tasks.yaml_model_load(file)
    config["kpt_shape"] = [KEYS, 3]
    model = tasks.PoseModel(config, nc=3, verbose=False)
    model.args = get_cfg()
    return model.train()


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return made(request.param)


def stepped(model: nn.Module, visible: float = 2.0) -> tuple[dict[str, float], Tensor]:
    """The items of the loss of a batch, and the gradient of all parameters."""
    batch = batch_of(model)
    number = len(batch["bboxes"])
    corner, size = batch["bboxes"][:, None, :2], batch["bboxes"][:, None, 2:]
    spread = torch.linspace(-0.4, 0.4, number * KEYS * 2).view(number, KEYS, 2)
    points = torch.cat([corner + size * spread, torch.full((number, KEYS, 1), visible)], -1)
    points[:, 0, 2] = 0
    model.zero_grad()
    model.criterion = None
    total, items = model({**batch, "keypoints": points})
    total.sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return {name: float(value) for name, value in items.items()}, gradient


def test_the_dialect_of_ultralytics_is_the_stock_loss_in_value_and_gradient(model: nn.Module) -> None:
    value, gradient = stepped(model)
    with lpu.patched(keypoint=TWIN, model=model) as report:
        ours, moved = stepped(model)
    assert ours == pytest.approx(value, rel=1e-6)
    assert (moved - gradient).norm() < 1e-5 * gradient.norm()
    assert report.keypoint is not None
    assert report.keypoint.train_calls == report.keypoint.gradient_calls > 0


def test_another_loss_changes_the_loss_of_key_points_alone(model: nn.Module) -> None:
    value, gradient = stepped(model)
    with lpu.patched(keypoint="wing", model=model):
        ours, moved = stepped(model)
    assert {name for name in value if ours[name] != value[name]} == {"pose_loss"}
    assert not torch.allclose(moved, gradient)
    assert stepped(model)[0] == value


@pytest.mark.parametrize(
    "loss", ["oks", "wing", {"type": "mix", "losses": ["oks", {"type": "wing", "loss_weight": 0.1}]}]
)
def test_a_criterion_computes_the_loss_of_pixels(loss: Any) -> None:
    """By a plain loop: wing's width is in pixels, and similarity is of any unit."""
    model = made("yolo11n-pose.yaml")
    with lpu.patched(keypoint=loss, model=model):
        branch = model.init_criterion()
        given = keypoint_canary.fixed_arguments(KEYS)
        found = float(branch.calculate_keypoints_loss(**{name: each.clone() for name, each in given.items()})[0])
        pred, points, visible, area = [], [], [], []
        for image, anchor in ((0, 0), (0, 2), (0, 5), (1, 1)):
            cell = float(given["stride_tensor"][anchor])
            target = given["keypoints"][image, given["target_gt_idx"][image, anchor]]
            x1, y1, x2, y2 = given["target_bboxes"][image, anchor].tolist()
            pred.append(given["pred_kpts"][image, anchor, :, :2] * cell)
            points.append(target[:, :2])
            visible.append(target[:, 2] > 0)
            area.append((x2 - x1) * (y2 - y1))
        target = torch.stack(points), torch.stack(visible), torch.tensor(area)
        expected = lp.build_loss(loss)(torch.stack(pred), target)
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_deviations_that_are_not_said_are_those_of_the_model() -> None:
    model = made("yolo11n-pose.yaml")
    model.kpt_oks_sigmas = [0.1, 0.2, 0.3, 0.4]
    value, _ = stepped(model)
    with lpu.patched(keypoint=TWIN, model=model):
        assert stepped(model)[0] == pytest.approx(value, rel=1e-6)
    with lpu.patched(keypoint={**TWIN, "sigmas": [0.25] * KEYS}, model=model):
        assert stepped(model)[0]["pose_loss"] != pytest.approx(value["pose_loss"], rel=1e-3)


def test_a_batch_of_which_nothing_is_visible_costs_nothing() -> None:
    model = made("yolo11n-pose.yaml")
    with plugged(lpu.make_spec(keypoint="oks"), bound=True) as plug:
        plug.bind(model)
        value, gradient = stepped(model, visible=0.0)
    assert value["pose_loss"] == 0
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (
            "eiou",
            r"keypoint='eiou' is a loss of kind box; allowed: a loss of key points \(oks, wing\), whose target is",
        ),
        ("rle", r"keypoint='rle' takes a tuple \(points, visible, sigma, log density\).*trains its own RLE beside it"),
        ({"type": "mix", "losses": ["wing", "wing"], "loss_weight": -1.0}, "would train for a larger loss"),
        (lambda pred, target: pred, r"enter it: @register_loss\(\.\.\., kind='keypoint'\)"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_asked_for(loss: Any, says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        lpu.trainer("pose", keypoint=loss)


def test_a_loss_of_ones_own_is_tried() -> None:
    @lp.register_loss("own_points", kind="keypoint", targets=["points_visible"])
    def own(pred: Tensor, target: Any) -> Tensor:
        return -(pred - target[0]).abs().sum(-1) * target[1]

    try:
        with pytest.raises(ValueError, match="does not fall as points move towards their targets"):
            lpu.make_spec(keypoint="own_points")
    finally:
        lp.unregister_loss("own_points")


def test_a_model_without_key_points_is_refused() -> None:
    torch.manual_seed(0)
    model = tasks.DetectionModel("yolo11n.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    with plugged(lpu.make_spec(keypoint="oks"), bound=True) as plug:
        plug.bind(model)
        with pytest.raises(UnsupportedUltralytics, match="v8DetectionLoss has no keypoint loss"):
            model.init_criterion()
    with pytest.raises(ValueError, match="task='detect' has no keypoint loss, and keypoint=oks was asked for"):
        lpu.trainer("detect", keypoint="oks")


def test_deviations_of_another_number_of_points_are_refused_before_training() -> None:
    model = made("yolo11n-pose.yaml")
    spec = lpu.make_spec(keypoint={"type": "oks", "sigmas": [0.1, 0.2]})
    with plugged(spec, bound=True) as plug:
        plug.bind(model)
        with pytest.raises(ValueError, match=r"sigmas has 2 numbers, .* K = 4 key points"):
            model.init_criterion()


def test_a_criterion_that_is_called_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("yolo11n-pose.yaml")
    monkeypatch.setattr(stock.v8PoseLoss, "calculate_keypoints_loss", lambda self, masks, cells: masks)
    with plugged(lpu.make_spec(keypoint="oks"), bound=True) as plug:
        plug.bind(model)
        with pytest.raises(UnsupportedUltralytics, match=r"calculate_keypoints_loss takes \['masks', 'cells'\], not"):
            model.init_criterion()


def test_two_models_of_other_deviations_are_refused_in_one_context() -> None:
    one, other = made("yolo11n-pose.yaml"), made("yolo11n-pose.yaml")
    other.kpt_oks_sigmas = [0.1, 0.2, 0.3, 0.4]
    with plugged(lpu.make_spec(keypoint="oks")):
        one.init_criterion()
        with pytest.raises(UnsupportedUltralytics, match="other deviations of key points than the one before it"):
            other.init_criterion()


def test_gain_match_is_refused_and_the_name_of_the_gain_is_explained() -> None:
    with pytest.raises(ValueError, match="gain='match' is known for boxes and classes, and keypoint=oks was asked for"):
        lpu.make_spec("eiou", keypoint="oks", gain="match")
    with pytest.raises(TypeError, match=r"pose.*call it keypoint"):
        lpu.make_spec(pose="oks")


def test_in_yaml_and_on_the_shell(tmp_path: Path) -> None:
    losses, _ = split_settings(["keypoint_loss=oks", "keypoint_loss.mode=log", "epochs=3"])
    assert losses == {"keypoint": {"type": "oks", "mode": "log"}}
    assert SAID.keypoint == "keypoint_loss"
    file = tmp_path / "losses.yaml"
    file.write_text("losses:\n  keypoint: {type: wing, width: 8}\n", encoding="utf-8")
    assert read_config(file)["keypoint"] == {"type": "wing", "width": 8}
    assert lpu.make_spec(config=file).keypoint == lpu.make_spec(keypoint={"type": "wing", "width": 8.0}).keypoint


@pytest.mark.parametrize("loss", ["oks", "wing"])
@pytest.mark.parametrize("where", ["value", "gradient"])
def test_the_image_of_an_instance_that_is_not_finite_is_found(loss: str, where: str, tmp_path: Path) -> None:
    """Its loss is one number of all; the gradient comes back when the criterion is done."""
    plug = Plug(lpu.make_spec(keypoint=loss, nan_guard=True))
    assert plug.guard is not None
    assert plug.keypoint is not None
    plug.guard.begin({"img": torch.rand(2, 3, 8, 8), "im_file": ["first.jpg", "second.jpg"]}, 1, tmp_path)
    part, given = stock.KeypointLoss(torch.ones(KEYS) / KEYS), keypoint_canary.fixed_arguments(KEYS)
    pred = torch.rand(4, KEYS, 3)
    target = torch.cat([pred[..., :2] + 0.1, torch.full((4, KEYS, 1), 2.0)], -1)
    if where == "value":
        pred[3, 1, 0] = torch.nan
    leaf = pred.requires_grad_()
    masks = given["masks"] if where == "value" else torch.tensor([[False] * 6, [True] * 4 + [False] * 2])

    def computed() -> Tensor:
        with plug.keypoint.among(masks, given["stride_tensor"]):  # type: ignore[union-attr]
            return plug.keypoint.compute(part, leaf, target, target[..., 2] > 0, torch.full((4, 1), 9.0), torch.sum)  # type: ignore[union-attr]

    if where == "value":
        with pytest.raises(lpu.LossNotFinite, match=rf"keypoint loss {loss} is nan.*, row 3.*second"):
            computed()
        return
    total = computed()
    with pytest.raises(lpu.LossNotFinite, match=rf"gradient of the keypoint loss {loss}.*second"):
        (total * torch.nan).backward()


# --- the proof -------------------------------------------------------------------------------------------------------


def test_the_canary_finds_a_criterion_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("yolo11n-pose.yaml")
    with plugged(lpu.make_spec(keypoint="wing"), bound=True) as plug:
        plug.bind(model)
        criterion = model.init_criterion()
        assert plug.check(criterion) == 1
        assert plug.report.canary["keypoint"][0] > 0
        criterion.keypoint_loss.forward = lambda *given: given[0].sum() * 0.1
        with pytest.raises(UnsupportedUltralytics, match="the plug does not hold"):
            plug.check(criterion)
    changed = type("Changed", (stock.KeypointLoss,), {"forward": lambda self, *given: given[0].sum()})
    criterion.keypoint_loss = changed(torch.ones(KEYS) / KEYS)
    with pytest.raises(UnsupportedUltralytics, match="the contract has changed"):
        keypoint_canary.check_stock(criterion)


def test_a_model_that_was_stepped_by_the_stock_loss_alone_is_found() -> None:
    plug = Plug(lpu.make_spec(keypoint="oks"))
    assert plug.keypoint is not None
    plug.expect(torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(lp.errors.LossNotUsed, match="keypoint loss oks was never called"):
        plug.require_use()
