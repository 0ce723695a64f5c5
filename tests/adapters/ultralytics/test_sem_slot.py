# SPDX-License-Identifier: AGPL-3.0-or-later
"""The slot of semantic maps in YOLO26-seg: the stock loss's twin, oracles, refusals, proof, and a whole training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.cfg import get_cfg
from ultralytics.models.utils.loss import RTDETRDetectionLoss
from ultralytics.nn import tasks
from ultralytics.utils import loss as stock

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import sem_canary
from loss_plugins.adapters.ultralytics.cli import SAID, split_settings
from loss_plugins.adapters.ultralytics.config import read_config
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.adapters.ultralytics.runs import examine
from loss_plugins.adapters.ultralytics.spec import spec_of
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import BOX_GAIN, column, octagon, proof, relabelled, results, stepped, train_once

EPS = 1e-3  # of `dice`
#: YOLO26-seg's own loss: half of binary cross-entropy, half of the Dice of each class in each image
TWIN = {
    "type": "mix",
    "losses": [
        {"type": "bce_with_logits", "loss_weight": 0.5},
        {"type": "dice", "dialect": "ultralytics", "smooth": 1.0, "loss_weight": 0.5},
    ],
}
Step = tuple[dict[str, float], Tensor]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    made = tasks.SegmentationModel("yolo26n-seg.yaml", nc=3, verbose=False)
    made.args = get_cfg()
    return made.train()


@pytest.fixture(scope="module")
def step(model: nn.Module) -> Step:
    """A step of the stock loss."""
    return stepped(model)


def test_the_twin_of_the_stock_loss_is_the_stock_loss(model: nn.Module, step: Step) -> None:
    """To the rounding of float32: theirs averages Dice over classes, then images, ours over all at once."""
    value, gradient = step
    with lpu.patched(sem=TWIN, model=model) as report:
        ours, moved = stepped(model)
    assert ours == pytest.approx(value, rel=1e-6)
    assert (moved - gradient).norm() < 1e-5 * gradient.norm()
    assert report.sem is not None
    assert report.sem.train_calls == 2  # of both branches; the one-to-one branch has the maps without gradient
    assert report.sem.gradient_calls == 1
    assert report.sem.gradient_rows == 2


def test_another_loss_changes_the_semantic_loss_alone(model: nn.Module, step: Step) -> None:
    value, gradient = step
    with lpu.patched(sem="dice", model=model):
        ours, moved = stepped(model)
    assert {name for name in value if ours[name] != value[name]} == {"sem_loss"}
    assert not torch.allclose(moved, gradient)
    assert stepped(model)[0] == value


def test_it_stands_beside_the_mask_loss(model: nn.Module, step: Step) -> None:
    value, _ = step
    with lpu.patched(mask="dice", sem="tversky", model=model) as report:
        ours, _ = stepped(model)
    assert {name for name in value if ours[name] != value[name]} == {"seg_loss", "sem_loss"}
    assert report.mask is not None
    assert report.mask.gradient_calls == report.mask.train_calls > 0


def dice_of(share: Tensor, target: Tensor) -> Tensor:
    """V-Net's Dice of all channels of an image, the mean over the images."""
    costs = [1 - 2 * (p * t).sum() / ((p * p).sum() + (t * t).sum() + EPS) for p, t in zip(share, target, strict=True)]
    return torch.stack(costs).mean()


def cross_entropy_of(share: Tensor, target: Tensor) -> Tensor:
    return -torch.where(target == 1, share, 1 - share).log().mean()


def tversky_of(share: Tensor, target: Tensor) -> Tensor:
    costs = []
    for p, t in zip(share.flatten(0, 1), target.flatten(0, 1), strict=True):
        hit, false, missed = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
        costs.append(1 - hit / (hit + 0.3 * false + 0.7 * missed + 1e-7))
    return torch.stack(costs).mean()


@pytest.mark.parametrize("larger", [1, 2, 3])
@pytest.mark.parametrize(
    ("sem", "formula"),
    [("dice", dice_of), ("bce_with_logits", cross_entropy_of), ({"type": "tversky", "over": "channel"}, tversky_of)],
    ids=["dice", "bce_with_logits", "tversky"],
)
def test_value_and_gradient_are_those_of_the_formula(
    sem: Any, formula: Callable[[Tensor, Tensor], Tensor], larger: int
) -> None:
    """Targets of another size are brought to that of the logits as the stock loss does: the nearest pixel."""
    generator = torch.Generator().manual_seed(larger)
    logits = torch.randn(2, 3, 5, 7, generator=generator, requires_grad=True)
    target = (torch.rand(2, 3, 5 * larger, 7 * larger, generator=generator) > 0.6).float()
    expected = formula(logits.sigmoid(), target[:, :, ::larger, ::larger])
    with lpu.patched(sem=sem):
        found = stock.BCEDiceLoss()(logits, target)
        (gradient,) = torch.autograd.grad(found, logits)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 3, 5, 7, dtype=dtype, requires_grad=True)
    with lpu.patched(sem="dice"):
        found = stock.BCEDiceLoss()(logits, torch.ones(2, 3, 5, 7))
        found.backward()
    assert found.dtype == torch.float32
    assert logits.grad is not None
    assert logits.grad.dtype == dtype


@pytest.mark.parametrize(
    ("sem", "reason"),
    [
        ("eiou", "is a loss of kind box"),
        ("bce", "wants probabilities"),
        ("gaussian_focal", "wants probabilities"),
        ("hinge_embedding", "wants distances"),
        ("distribution_focal", "does not take maps"),
        ({"type": "dice", "activation": "none"}, "wants probabilities"),
        ({"type": "tversky", "alpha": 0.0}, "costs the same for pixels more than the mask has"),
        ({"type": "tversky", "beta": 0.0}, "costs the same for pixels less than the mask has"),
        ({"type": "focal", "alpha": 0.0}, "costs the same|does not fall"),
        ({"type": "dice", "reduction": "mean"}, "reduction"),
        ({"type": "dice", "loss_weight": 0.0}, "loss_weight"),
        (
            {"type": "mix", "losses": ["bce_with_logits", {"type": "dice", "activation": "none"}]},
            "of different predictions",
        ),
        ("dise", "dice"),
        (lambda pred, target: (pred - target).sum(), "register_loss"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(sem: Any, reason: str) -> None:
    with pytest.raises((ValueError, TypeError), match=reason):
        lpu.trainer("segment", sem=sem)


@pytest.mark.parametrize(
    ("sem", "reason"),
    [
        ("cross_entropy", "does not push down the scores of pixels without a class"),
        ({"type": "dice", "activation": "softmax"}, "does not push down the scores of pixels without a class"),
        ("softmax_focal", "does not take a semantic branch"),
        ({"type": "bce_with_logits", "pos_weight": [1.0, 2.0]}, "pos_weight has 2 numbers, and .* classes"),
    ],
)
def test_what_a_semantic_model_takes_may_not_fit_a_branch(model: nn.Module, sem: Any, reason: str) -> None:
    """Its pixels may belong to no class, or to several."""
    plug = Plug(lpu.make_spec(sem=sem))
    with pytest.raises(ValueError, match=reason):
        plug.adopt(model.init_criterion(), model)


def test_a_gain_cannot_be_matched() -> None:
    with pytest.raises(ValueError, match="gain='match' is known for boxes and classes, and sem=dice"):
        lpu.make_spec("eiou", sem="dice", gain="match")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: tasks.SegmentationModel("yolo11n-seg.yaml", verbose=False), "the head Segment computes no semantic"),
        (lambda: tasks.YOLOESegModel("yoloe-26n-seg.yaml", verbose=False), "the head YOLOESegment26 computes no"),
        (lambda: tasks.DetectionModel("yolo11n.yaml", verbose=False), "v8DetectionLoss has no semantic loss"),
    ],
    ids=["yolo11n-seg", "yoloe-26n-seg", "yolo11n"],
)
def test_models_without_semantic_maps_are_refused(make: Callable[[], nn.Module], reason: str) -> None:
    """YOLOE's segmentation head has the layers of the maps, and never calls them."""
    model = make()
    model.args = get_cfg()
    with plugged(lpu.make_spec(sem="dice"), bound=True) as plug:
        plug.bind(model)
        with pytest.raises(lpu.UnsupportedUltralytics, match=reason):
            model.init_criterion()


def test_criteria_without_semantic_maps_are_refused() -> None:
    plug = Plug(lpu.make_spec(sem="dice"))
    with pytest.raises(lpu.UnsupportedUltralytics, match="RTDETRDetectionLoss has no sem loss"):
        plug.adopt(RTDETRDetectionLoss(nc=3))


# --- proof -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sem", ["dice", "focal", "ghm_c", {**TWIN, "loss_weight": 2.0}], ids=str)
def test_the_canary_finds_what_was_asked_for(model: nn.Module, sem: Any) -> None:
    with plugged(lpu.make_spec(sem=sem)) as plug:
        made = model.init_criterion()
        assert plug.check(made) == 2
        assert plug.report.canary["sem"][0] == plug.report.canary["sem"][1] > 0
        assert plug.stock_gains == {"sem": BOX_GAIN}
        assert plug.sem is not None
        assert plug.sem.calls.train_calls == 0


def test_a_branch_with_a_loss_of_its_own_is_noticed(model: nn.Module) -> None:
    class Own(stock.BCEDiceLoss):
        def forward(self, pred: Tensor, target: Tensor) -> Tensor:
            found: Tensor = super().forward(pred, target).detach() + 0 * pred.sum()
            return found

    with plugged(lpu.make_spec(sem="dice")) as plug:
        made = model.init_criterion()
        made.one2one.bcedice_loss = Own()
        with pytest.raises(lpu.UnsupportedUltralytics, match="the plug does not hold"):
            plug.check(made)


def test_a_stock_loss_that_has_changed_is_noticed(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stock.BCEDiceLoss.forward
    monkeypatch.setattr(stock.BCEDiceLoss, "forward", lambda self, *maps: 1.01 * found(self, *maps))
    with plugged(lpu.make_spec(sem="dice")) as plug:
        made = model.init_criterion()
        with pytest.raises(lpu.UnsupportedUltralytics, match="has changed"):
            sem_canary.check_sem(made.one2many, plug.sem)


def test_a_call_that_was_left_out_is_noticed(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two batches computes the stock loss: half of the calls that are due."""
    with plugged(lpu.make_spec(sem="dice"), bound=True) as plug:
        plug.bind(model)
        stepped(model)
        plug.require_use()
        monkeypatch.setattr(stock.BCEDiceLoss, "forward", stock.BCEDiceLoss.forward.plugged_over)
        stepped(model)
        with pytest.raises(lpu.LossNotUsed, match="sem loss dice was called 2 times in training where 4 calls"):
            plug.require_use()
        monkeypatch.undo()


def test_the_very_method_comes_back(model: nn.Module) -> None:
    found = vars(stock.BCEDiceLoss)["forward"]
    with lpu.patched(sem="dice", model=model):
        assert vars(stock.BCEDiceLoss)["forward"] is not found
        stepped(model)
    assert vars(stock.BCEDiceLoss)["forward"] is found


# --- ways of asking, and a training ----------------------------------------------------------------------------------


def test_the_shell_and_a_file_ask_for_it(tmp_path: Path) -> None:
    losses, _ = split_settings(["sem_loss=dice", "sem_loss.smooth=1"])
    assert lpu.make_spec(**losses).sem == lpu.make_spec(sem={"type": "dice", "smooth": 1}).sem
    (tmp_path / "losses.yaml").write_text("losses:\n  sem: {type: dice, smooth: 1.0}\n")
    assert read_config(tmp_path / "losses.yaml") == {"sem": {"type": "dice", "smooth": 1.0}}
    with pytest.raises(ValueError, match="sem_loss='eiou' is a loss of kind box"):
        spec_of({"sem": "eiou"}, SAID)


def test_another_process_reads_it() -> None:
    spec = lpu.make_spec("eiou", sem=TWIN)
    assert lpu.Spec.from_json(spec.to_json()) == spec
    assert spec.build("sem").spec() == lp.build_loss({**TWIN, "reduction": "none"}).spec()
    with pytest.raises(ValueError, match="no loss was asked for in the slot 'mask'"):
        spec.build("mask")


@pytest.fixture(scope="module")
def outlined_digits(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relabelled(digits, tmp_path_factory.mktemp("outlined"), octagon)


def test_a_training_computes_records_and_tells_of_it(outlined_digits: Path, tmp_path: Path) -> None:
    """Each map costs 7 less at most a thousandth, times the trainer's box gain; validation computes no such maps."""
    run = train_once(
        "yolo26n-seg.yaml",
        tmp_path,
        trainer=lpu.trainer(sem={"type": "constant_mask", "value": 7.0}),
        data=str(outlined_digits),
        epochs=1,
    )
    report, losses = proof(run)["report"]["sem"], proof(run)["losses"]
    assert losses["sem"]["type"] == "constant_mask"
    assert report["expected_calls"] == report["train_calls"] == 2 * report["gradient_calls"] > 0
    assert report["gradient_rows"] > 0
    assert len(proof(run)["report"]["canary"]["sem"]) == 2
    assert all(row["plug/sem_gradient_ratio"] > 0 for row in results(run))
    assert column(run, "train/sem_loss") == [pytest.approx(7 * BOX_GAIN, rel=2e-4)]
    assert column(run, "val/sem_loss") == [0.0]
    told = examine(run)
    assert told["ok"]
    assert "sem loss constant_mask, epoch 1" in told["checks"][0]["detail"]


def test_the_stock_maps_are_what_the_test_says() -> None:
    """The oracle of the twin by itself: the mean of both halves of the stock loss."""
    logits, target = torch.randn(2, 3, 4, 5), (torch.rand(2, 3, 4, 5) > 0.5).float()
    share = logits.sigmoid()
    overlap, both = (share * target).sum((2, 3)), share.sum((2, 3)) + target.sum((2, 3))
    dice = (1 - (2 * overlap + 1) / (both + 1)).mean()
    expected = (functional.binary_cross_entropy_with_logits(logits, target) + dice) / 2
    torch.testing.assert_close(stock.BCEDiceLoss()(logits, target), expected)
    torch.testing.assert_close(lp.build_loss({**TWIN, "reduction": "mean"})(logits, target), expected)
