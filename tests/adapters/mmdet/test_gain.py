"""How hard losses pull beside the usual ones of their slots: on the fixed set, and on a batch of each epoch."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import Tensor, nn

import loss_plugins as lp
from loss_plugins.adapters.mmdet.gain import at_odds, matching_weight, named
from loss_plugins.adapters.mmdet.ratio import comparable, gradient_ratio
from loss_plugins.module.gain import box_gain, class_gain

from .sized import BOXES, IMAGES, PADDED, Sized, saved_models, shifted, training

GIOU = {"type": "mmdet.GIoULoss", "loss_weight": 2.0}
EIOU = {"type": "loss_plugins.EIoULoss", "loss_weight": 3.0}
WIOU = {"type": "loss_plugins.WIoULoss"}
SCALAR = "bbox_head.loss_bbox/gradient_over_usual"
KEY = "loss_plugins: model.bbox_head.loss_bbox"


class Head(nn.Module):
    def __init__(self, loss: dict[str, Any]) -> None:
        super().__init__()
        self.loss_bbox = MODELS.build(loss)


class Stock(Head):
    def __init__(self, loss_bbox: dict[str, Any] = GIOU) -> None:
        super().__init__(loss_bbox)


class Offsets(Head):
    def __init__(self, loss_bbox: dict[str, Any] = {"type": "mmdet.SmoothL1Loss"}) -> None:  # noqa: B006
        super().__init__(loss_bbox)


class Odd(Head):
    def __init__(self, loss_bbox: dict[str, Any] = {"type": "mmdet.NoSuchLoss"}) -> None:  # noqa: B006
        super().__init__(loss_bbox)


class Detector(Sized):
    """One whose head has a usual loss; the first batch of an epoch has no object, as its weights say."""

    def __init__(self, loss: dict[str, Any], kind: type[Head] = Stock) -> None:
        super().__init__(loss)
        self.bbox_head = kind(loss)

    def loss(self, images: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        target = torch.cat([sample.gt_instances.bboxes for sample in samples])
        weight = torch.full(target.shape, float(images.shape[-2:] != PADDED[0]))
        total = self.bbox_head.loss_bbox(shifted(target) + self.shift, target, weight, avg_factor=2.0)
        self.said.append(total.item())
        return {"loss_bbox": total}


def trained(folder: Path, model: Sized, **hook: Any) -> tuple[Runner, list[str]]:
    """Two epochs of two batches, and what is logged."""
    runner = training(folder, model, IMAGES, epochs=2, measure_gain=True, **hook)
    said: list[str] = []
    runner.logger.info = said.append
    runner.train()
    return runner, said


def scalars(runner: Runner) -> list[dict[str, Any]]:
    lines = [path.read_text().splitlines() for path in Path(runner.work_dir).glob("*/vis_data/scalars.json")]
    return [json.loads(line) for each in lines for line in each]


def pull(loss: Any) -> float:
    """The mean gradient norm per row."""
    pred = shifted(BOXES).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(pred, BOXES).sum(), pred)
    return float(gradient.norm(dim=-1).mean())


def test_a_training_says_what_matches_and_measures_each_epoch(tmp_path: Path) -> None:
    runner, said = trained(tmp_path, Detector(EIOU))
    weight = box_gain(lp.build_loss("eiou"), lambda pred, target: 2 * lp.giou_loss(pred, target)).factor
    ratio = 3 * pull(lp.eiou_loss) / (2 * pull(lp.giou_loss))
    assert f"{KEY}: loss_weight={weight:.3g} would pull as hard as GIoULoss with loss_weight=2.0 (fixed set)" in said
    for epoch in (1, 2):
        text = f"its gradient is {ratio:.3g} times that of GIoULoss with loss_weight=2.0"
        assert f"{KEY}: epoch {epoch}: {text}" in said
    found = [(line["step"], line[SCALAR]) for line in scalars(runner) if SCALAR in line]
    assert found == [(2, pytest.approx(ratio, rel=1e-4)), (4, pytest.approx(ratio, rel=1e-4))]
    (kept,) = yaml.safe_load((tmp_path / "loss_plugins.yaml").read_text())["losses"]
    assert kept["usual"] == "GIoULoss with loss_weight=2.0"
    assert kept["matching_loss_weight"] == pytest.approx(weight, rel=1e-4)
    assert kept["gradient_over_usual"] == {epoch: pytest.approx(ratio, rel=1e-4) for epoch in (1, 2)}


def test_one_batch_of_an_epoch_is_looked_at_and_the_loss_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[float | None] = []

    def counted(*arguments: Any, **keywords: Any) -> float | None:
        looked.append(gradient_ratio(*arguments, **keywords))
        return looked[-1]

    monkeypatch.setattr("loss_plugins.adapters.mmdet.ratio.gradient_ratio", counted)
    model, plain = Sized(WIOU), Sized(WIOU)
    model.bbox_head = Stock(WIOU)
    trained(tmp_path / "measured", model)
    training(tmp_path / "plain", plain, IMAGES, epochs=2).train()
    assert len(looked) == 2
    assert model.said == plain.said
    ours, theirs = model.bbox_head.loss_bbox, plain.bbox_head.loss_bbox
    assert (ours.calls, ours.rows, float(ours.loss.mean.value)) == (
        theirs.calls, theirs.rows, float(theirs.loss.mean.value),
    )  # fmt: skip
    assert not ours._forward_pre_hooks


def test_a_model_that_is_saved_whole_is_looked_at_no_more(tmp_path: Path) -> None:
    models = saved_models(training(tmp_path, Detector(EIOU), IMAGES, measure_gain=True))
    assert [len(each.bbox_head.loss_bbox._forward_pre_hooks) for each in models] == [1, 1, 1, 0]
    for loss in (models[0].bbox_head.loss_bbox, copy.deepcopy(models[0].bbox_head.loss_bbox)):
        assert loss(shifted(BOXES), BOXES).isfinite()


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    model = Detector(EIOU)
    runner = training(tmp_path, model, IMAGES)
    runner.train()
    assert not [line for line in scalars(runner) if SCALAR in line]
    assert "usual" not in (tmp_path / "loss_plugins.yaml").read_text()


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (Head, "its head names no usual loss"),
        (Offsets, "SmoothL1Loss, the usual loss of this slot, measures coordinates, and eiou boxes"),
        (Odd, "its usual loss cannot be built: "),
    ],
)
def test_a_slot_without_comparison_says_so(head: type[Head], reason: str, tmp_path: Path) -> None:
    runner, said = trained(tmp_path, Detector(EIOU, head))
    assert any(line.startswith(f"{KEY}: no gain is measured: {reason}") for line in said)
    assert not [line for line in scalars(runner) if SCALAR in line]


class Broken(nn.Module):
    """A loss of another package that cannot be called so."""

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        raise RuntimeError("no such call")


def test_a_usual_loss_that_raises_is_named_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Detector({"type": "loss_plugins.L1Loss"})
    usual = type("L1Loss", (Broken,), {})()
    monkeypatch.setattr("loss_plugins.adapters.mmdet.ratio.usual_loss", lambda *_: usual)
    _, said = trained(tmp_path, model, canary=False)
    assert f"{KEY}: no fixed set is defined for l1" in said
    assert sum("cannot be measured: TypeError" in line for line in said) == 1
    assert len(model.said) == 4


# --- the fixed set of scores --------------------------------------------------------------------------------------


def bce(pred: Tensor, target: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(pred, target, reduction="none")


def test_scores_have_their_own_set() -> None:
    usual = MODELS.build({"type": "mmdet.CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 0.5})
    ours = MODELS.build({"type": "loss_plugins.QualityFocalLoss"})
    assert at_odds(ours, usual) == ""
    wanted = 0.5 * class_gain(lp.build_loss("quality_focal"), bce).factor
    assert matching_weight(ours, usual) == pytest.approx(wanted, rel=1e-6)


def test_a_usual_loss_of_qualities_is_measured() -> None:
    usual = MODELS.build({"type": "mmdet.QualityFocalLoss", "use_sigmoid": True})
    ours = MODELS.build({"type": "loss_plugins.BCEWithLogitsLoss"})
    wanted = 1 / class_gain(lp.build_loss("quality_focal"), bce).factor
    assert matching_weight(ours, usual) == pytest.approx(wanted, rel=1e-6)


def test_a_softmax_is_not_compared_with_sigmoids() -> None:
    usual = MODELS.build({"type": "mmdet.CrossEntropyLoss", "use_sigmoid": False})
    ours = MODELS.build({"type": "loss_plugins.FocalLoss"})
    assert "has use_sigmoid=False, and focal use_sigmoid=True" in at_odds(ours, usual)
    softmax = MODELS.build({"type": "loss_plugins.CrossEntropyLoss"})
    assert matching_weight(softmax, usual) == "no fixed set is defined for cross_entropy"
    assert named(usual) == "CrossEntropyLoss with loss_weight=1.0"


def test_a_loss_in_sides_of_the_image_gets_its_set_in_those() -> None:
    usual = MODELS.build(GIOU)
    whole = box_gain(lp.build_loss("mpdiou", image_size=(640, 640)), lambda *pair: 2 * lp.giou_loss(*pair)).factor
    for size in ({}, {"image_size": (640, 640)}):
        assert matching_weight(MODELS.build({"type": "loss_plugins.MPDIoULoss", **size}), usual) == pytest.approx(
            whole, rel=1e-3
        )


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3), (2, 3, 4, 5)], ids=str)
def test_predictions_of_any_shape_have_a_ratio(shape: tuple[int, ...]) -> None:
    """Twice the loss has twice the gradient."""
    ours = MODELS.build({"type": "loss_plugins.BCEWithLogitsLoss", "loss_weight": 2.0})
    theirs = MODELS.build({"type": "loss_plugins.BCEWithLogitsLoss"})
    pred, target = torch.linspace(-3, 3, 120)[: math.prod(shape)].view(shape), torch.rand(shape)
    assert gradient_ratio(ours, theirs, pred, target) == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize("left_out", [255, -100])
def test_the_usual_loss_ignores_the_labels_that_ours_does(left_out: int) -> None:
    """On a GPU a label that is no class would end the process."""

    class Maps(nn.Module):
        def __init__(self, loss_seg: dict[str, Any] = {"type": "mmdet.CrossEntropyLoss"}) -> None:  # noqa: B006
            super().__init__()

    ours = MODELS.build({"type": "loss_plugins.CrossEntropyLoss", "ignore_index": left_out})
    usual, reason = comparable(Maps(), "loss_seg", ours)
    assert reason == ""
    labels = torch.randint(3, (2, 4, 5))
    labels[:, 3:] = left_out
    assert gradient_ratio(ours, usual, torch.randn(2, 3, 4, 5), labels) == pytest.approx(1, rel=1e-5)


def test_a_call_that_trains_nothing_has_no_ratio() -> None:
    ours, usual = MODELS.build(EIOU), MODELS.build(GIOU)
    assert gradient_ratio(ours, usual, shifted(BOXES), BOXES, reduction_override="none") is None
    assert gradient_ratio(ours, usual, BOXES[:0], BOXES[:0]) is None
    assert gradient_ratio(ours, usual, shifted(BOXES), BOXES, torch.zeros(2)) is None
    half = gradient_ratio(ours, usual, shifted(BOXES).half(), BOXES)  # whole numbers: exact
    assert half == pytest.approx(1.5 * pull(lp.eiou_loss) / pull(lp.giou_loss), rel=1e-5)
