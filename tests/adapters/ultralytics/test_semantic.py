# SPDX-License-Identifier: AGPL-3.0-or-later
"""Semantic segmentation models: the stock loss's twin, ignored pixels, the auxiliary head, refusals, a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.utils import loss as stock

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.cli import losses_of
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.adapters.ultralytics.runs import examine
from loss_plugins.adapters.ultralytics.semantic import Semantic
from loss_plugins.adapters.ultralytics.trainers import LossPluginSemanticTrainer
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.demo.digits import DigitsSet
from loss_plugins.tensors import dense

from .ultralytics_runs import column, octagon, proof, relabelled, results, train_once

SMOOTH = {"form": "naive", "smooth": 1.0, "eps": 0.0}
#: the criterion's own loss of its main maps, of several classes and of one
TWIN = {
    "type": "mix",
    "losses": ["cross_entropy", {"type": "dice", "activation": "softmax", "over": "batch_channel", **SMOOTH}],
}
BINARY_TWIN = {"type": "mix", "losses": ["bce_with_logits", {"type": "dice", "over": "batch", **SMOOTH}]}
Batch = dict[str, Tensor]
Step = tuple[Tensor, dict[str, float], dict[str, Tensor]]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    built = tasks.SemanticSegmentationModel("yolo26n-sem.yaml", nc=3, verbose=False)
    built.args = get_cfg()
    return built.train()


def labelled(imgsz: int = 64) -> Batch:
    """Two random images, with labels of which a part is left out."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (2, imgsz, imgsz), generator=generator, dtype=torch.int32)
    labels[0, :9], labels[1, :, 40:47] = 255, 255
    return {"img": torch.rand(2, 3, imgsz, imgsz, generator=generator), "semantic_mask": labels}


def stepped(model: nn.Module) -> Step:
    """Loss and items of one batch, and the gradient of each parameter."""
    model.criterion = None
    model.zero_grad()
    loss, items = model.loss(labelled())
    loss.backward()
    gradients = {name: part.grad for name, part in model.named_parameters() if part.grad is not None}
    model.criterion = None
    return loss.detach(), {name: float(value) for name, value in items.items()}, gradients


@pytest.fixture(scope="module")
def step(model: nn.Module) -> Step:
    """A step of the stock loss."""
    return stepped(model)


def norm(gradients: dict[str, Tensor]) -> float:
    return float(torch.cat([gradient.flatten() for gradient in gradients.values()]).norm())


def test_the_twin_of_the_stock_loss_is_the_stock_loss(model: nn.Module, step: Step) -> None:
    """To the rounding of float32: theirs sums cross-entropy before it divides, and Dice by an indexed sum."""
    total, value, gradients = step
    with lpu.patched(sem=TWIN, model=model) as report:
        loss, ours, moved = stepped(model)
    assert ours == {
        "sem_loss": pytest.approx(value["ce_loss"] + value["dice_loss"], rel=1e-6),
        "aux_loss": value["aux_loss"],
    }
    torch.testing.assert_close(loss, total, rtol=1e-6, atol=0)
    assert norm({name: moved[name] - gradients[name] for name in gradients}) < 1e-5 * norm(gradients)
    assert report.sem is not None
    assert report.sem.train_calls == report.sem.gradient_calls == report.sem.expected_calls == 1
    assert report.sem.gradient_rows == report.sem.rows == 2


@pytest.mark.parametrize(("classes", "sem"), [(3, TWIN), (1, BINARY_TWIN)], ids=["classes", "binary"])
def test_the_curve_of_the_twin_is_the_stock_curve(classes: int, sem: Any) -> None:
    """Five steps of gradient descent on the maps themselves; the rounding of a gradient adds up."""

    def curve() -> list[float]:
        logits, labels = given(classes)
        live, losses = criterion(classes), []
        for _ in range(5):
            loss, _ = live((logits, -logits), {"semantic_mask": labels})
            losses.append(float(loss.detach()))
            (gradient,) = torch.autograd.grad(loss, logits)
            logits = (logits - 5 * gradient).detach().requires_grad_()
        return losses

    expected = curve()
    with lpu.patched(sem=sem):
        found = curve()
    assert found == pytest.approx(expected, rel=1e-6)
    assert len({round(loss, 3) for loss in found}) == 5


def test_the_auxiliary_head_keeps_its_loss(model: nn.Module, step: Step) -> None:
    """Its own layers have the very gradient of the stock loss, and the others that of the new loss too."""
    _, value, gradients = step
    with lpu.patched(sem="dice", model=model):
        _, ours, moved = stepped(model)
    assert ours["aux_loss"] == value["aux_loss"] > 0
    auxiliary = [name for name in gradients if ".aux_head." in name]
    assert len(auxiliary) > 0
    for name in auxiliary:
        assert torch.equal(moved[name], gradients[name])
    assert all(not torch.equal(moved[name], gradients[name]) for name in gradients if ".classifier." in name)


def given(classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(2, classes, 4, 5, generator=generator, requires_grad=True)
    labels = torch.randint(0, max(classes, 2), (2, 8, 10), generator=generator, dtype=torch.int32)
    labels[0, 2], labels[1, :, 3] = 255, 255
    labels[1, 0] = 255  # another count in each image
    return logits, labels


def counted(logits: Tensor, labels: Tensor, image: int) -> tuple[Tensor, Tensor]:
    """The pixels that count of an image: logits (C, pixels), labels (pixels,)."""
    whole = functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
    there = labels[image] != 255
    return whole[image][:, there], labels[image][there].long()


def cross_entropy_of(pixels: list[tuple[Tensor, Tensor]]) -> Tensor:
    rights = [logits.log_softmax(0).gather(0, labels[None])[0] for logits, labels in pixels]
    return -torch.cat(rights).mean()


def dice_of(pixels: list[tuple[Tensor, Tensor]]) -> Tensor:
    """V-Net's Dice of the sigmoids of each image, over all its classes."""
    costs = []
    for logits, labels in pixels:
        target = torch.stack([labels == number for number in range(len(logits))]).float()
        target = labels[None].float() if len(logits) == 1 else target
        p = logits.sigmoid()
        costs.append(1 - 2 * (p * target).sum() / ((p * p).sum() + (target * target).sum() + 1e-3))
    return torch.stack(costs).mean()


def focal_of(pixels: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Focal loss of each class against the others, alpha 0.25 and gamma 2, the mean over pixels and classes."""
    costs = []
    for logits, labels in pixels:
        classes = [1] if len(logits) == 1 else range(len(logits))
        for row, number in zip(logits.sigmoid(), classes, strict=True):
            right = torch.where(labels == number, row, 1 - row)
            costs.append(-torch.where(labels == number, 0.25, 0.75) * (1 - right) ** 2 * right.log())
    return torch.cat(costs).mean()


@pytest.mark.parametrize(
    ("classes", "sem", "formula"),
    [
        *((classes, "dice", dice_of) for classes in (1, 2, 5)),
        *((classes, "focal", focal_of) for classes in (1, 2, 5)),
        *((classes, "cross_entropy", cross_entropy_of) for classes in (2, 5)),
    ],
)
def test_value_and_gradient_are_those_of_the_pixels_that_count(
    sem: str, formula: Callable[..., Tensor], classes: int
) -> None:
    logits, labels = given(classes)
    expected = formula([counted(logits, labels, image) for image in range(2)])
    (wanted,) = torch.autograd.grad(expected, logits)
    with lpu.patched(sem=sem):
        loss, items = criterion(classes)(logits, {"semantic_mask": labels})
        (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(items["sem_loss"], expected.detach(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradient, 2 * wanted, rtol=1e-4, atol=1e-7)


def criterion(classes: int) -> Any:
    """The criterion of a model that is a head alone."""
    model = nn.Module()
    model.model = nn.ModuleList([nn.Conv2d(1, 1, 1)])
    model.model[-1].nc = classes
    model.args = get_cfg()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loss_plugins.adapters.ultralytics.plug.require_head", lambda model: None)
        return stock.SemanticSegmentationLoss(model)


def test_images_without_a_pixel_that_counts_cost_nothing() -> None:
    logits, labels = given(3)
    for sem in ("cross_entropy", {"type": "dice", "empty": "zero"}, "focal"):
        with lpu.patched(sem=sem):
            loss, _ = criterion(3)(logits, {"semantic_mask": labels * 0 + 255})
            (gradient,) = torch.autograd.grad(loss, logits)
        assert loss == 0
        assert not gradient.any()


def test_a_criterion_that_was_built_before_leaves_pixels_out_too(model: nn.Module) -> None:
    """One without a mark, in a context around it, computes what an adopted one does."""
    model.criterion = model.init_criterion()
    with lpu.patched(sem="dice"):
        before = model.loss(labelled())[0]
        before.backward()
    model.criterion = None
    with lpu.patched(sem="dice", model=model):
        adopted = model.loss(labelled())[0]
        adopted.backward()
    model.criterion = None
    torch.testing.assert_close(before, adopted)


def test_a_restored_statistic_is_of_pixels_that_count() -> None:
    """What a checkpoint has is restored before there is a criterion."""
    state = Plug(lpu.make_spec(sem="ghm_c"))
    state.prepare(1, torch.device("cpu"))
    plug = Plug(lpu.make_spec(sem="ghm_c"))
    plug.restore({"state": state.state()})
    (loss,) = plug.slots[0].losses
    assert loss.spec()["ignore_index"] == 255
    assert plug.slots[0].prototype.spec()["ignore_index"] == -100


def test_labels_that_a_loss_leaves_out_by_itself_stay_out() -> None:
    """`ignore_index=0` leaves the background out, beside the pixels of no class."""
    logits, labels = given(3)
    with lpu.patched(sem={"type": "cross_entropy", "ignore_index": 0}):
        _, items = criterion(3)(logits, {"semantic_mask": labels})
        background = labels.masked_fill(labels != 0, 255)
        (gradient,) = torch.autograd.grad(criterion(3)(logits, {"semantic_mask": background})[0], logits)
    expected = cross_entropy_of([counted(logits, labels.masked_fill(labels == 0, 255), image) for image in range(2)])
    torch.testing.assert_close(items["sem_loss"], expected.detach())
    assert not gradient.any()


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", ["box", "cls", "dfl", "mask"])
def test_other_losses_are_refused(model: nn.Module, slot: str) -> None:
    loss = {"box": "eiou", "cls": "focal", "dfl": "distribution_focal", "mask": "dice"}[slot]
    for losses in ({slot: loss}, {slot: loss, "sem": "dice"}):
        with pytest.raises(ValueError, match=f"task='semantic' has no {slot} loss, and {slot}={loss}"):
            lpu.trainer("semantic", **losses)
        with pytest.raises(lpu.UnsupportedUltralytics, match=f"SemanticSegmentationLoss has no {slot} loss"):
            Plug(lpu.make_spec(**losses)).adopt(model.init_criterion(), model)


def own_region(pred: Tensor, target: Tensor, ignored: Tensor | None = None) -> Tensor:
    """Of a user: it is told of the pixels that are left out, and counts them."""
    return (pred.sigmoid() - dense(pred, target)).abs().flatten(1).mean(1)


@pytest.mark.parametrize(
    ("sem", "classes", "reason"),
    [
        ("cross_entropy", 1, "does not"),
        ({"type": "dice", "activation": "softmax"}, 1, "softmax"),
        ({"type": "cross_entropy", "class_weight": [1.0, 2.0]}, 3, "class_weight has 2 numbers, and .* classes"),
        ("constant_mask", 3, "leaves no pixels out"),
        ("test_own_region", 3, "counts the pixels of label 255"),
    ],
)
def test_what_does_not_fit_its_labels_is_refused(own_losses: None, sem: Any, classes: int, reason: str) -> None:
    lp.register_loss("test_own_region", kind="region")(own_region)
    plug = Plug(lpu.make_spec(sem=sem))
    with pytest.raises(ValueError, match=reason):
        plug.adopt(criterion(classes))


@pytest.mark.parametrize("classes", [3, 19])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_region_loss_may_weigh_the_classes(classes: int, mixed: bool) -> None:
    """One number for each class of the model, whatever their count; another count is named with the parameter."""
    dice = {"type": "dice", "activation": "softmax", "over": "channel", "class_weight": [1.0] * classes}
    sem = {"type": "mix", "losses": ["cross_entropy", dice]} if mixed else dice
    with plugged(lpu.make_spec(sem=sem)) as plug:
        plug.adopt(fitting := criterion(classes))
        assert plug.check(fitting) == 1
        with pytest.raises(ValueError, match=f"dice: class_weight has {classes} numbers, and .* has 5 classes"):
            plug.adopt(criterion(5))


def test_weights_of_classes_are_refused() -> None:
    """The trainer's `cls_pw` makes them; those of Cityscapes are a part of the loss that is replaced."""
    weighted, city = criterion(3), criterion(19)
    weighted.ce.register_buffer("weight", torch.tensor([1.0, 2.0, 3.0]), persistent=False)
    city.ce.register_buffer("weight", torch.as_tensor(stock.CITYSCAPES_WEIGHT).float(), persistent=False)
    with plugged(lpu.make_spec(sem="dice")) as plug:
        with pytest.raises(lpu.UnsupportedUltralytics, match="cls_pw weighs the classes"):
            plug.adopt(weighted)
        plug.adopt(city)
        assert plug.check(city) == 1


@pytest.mark.parametrize(
    "entry", [entry for entry in shipped() if entry.kind in ("classification", "region")], ids=lambda entry: entry.name
)
def test_losses_of_logits_that_take_maps_are_taken_and_all_others_refused(entry: Entry) -> None:
    """What is taken moves the scores of each pixel to its class, in a branch or in a semantic model of four classes."""
    fits = entry.traits.scale == "logits" and bool({"dense", "class_map", "labels"}.intersection(entry.targets))
    loss = {"type": entry.name, **entry.example}
    if not fits:
        with pytest.raises(ValueError, match="ultralytics adapter: sem="):
            lpu.make_spec(sem=loss)
        return
    plug = Plug(lpu.make_spec(sem=loss))
    logits, labels = (torch.zeros(2, 4, 8, 10, requires_grad=True), given(4)[1])
    with plugged(plug.spec):
        live = criterion(4)
        for _ in range(3):
            live(logits, {"semantic_mask": labels})[0].backward()
            logits = (logits - 100 * torch.nn.functional.normalize(logits.grad, dim=1)).detach().requires_grad_()
    there = labels != 255
    assert (logits.argmax(1) == labels)[there].float().mean() > 0.99
    assert not logits.movedim(1, -1)[~there].any()


# --- proof -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "sem"),
    [(1, "dice"), (1, BINARY_TWIN), (3, TWIN), (19, {**TWIN, "loss_weight": 0.5}), (3, "ghm_c"), (150, "tversky")],
    ids=str,
)
def test_the_canary_finds_what_was_asked_for(classes: int, sem: Any) -> None:
    with plugged(lpu.make_spec(sem=sem)) as plug:
        live = criterion(classes)
        assert plug.check(live) == 1
    assert plug.report.canary["sem"][0] > 0
    assert plug.stock_gains == {"sem": 1.0}


def test_a_stock_loss_that_has_changed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = stock.SemanticSegmentationLoss.forward

    def twice(self: Any, preds: Any, batch: Any) -> Any:
        total, items = found(self, preds, batch)
        return 2 * total, items

    monkeypatch.setattr(stock.SemanticSegmentationLoss, "forward", twice)
    with pytest.raises(lpu.UnsupportedUltralytics, match="beside what it logs: the contract has changed"):
        Semantic().check_stock(criterion(3))


def test_a_criterion_that_does_not_compute_the_loss_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with plugged(lpu.make_spec(sem="dice")) as plug:
        live = criterion(3)
        monkeypatch.setattr(stock.SemanticSegmentationLoss, "forward", type(live).forward.plugged_over)
        with pytest.raises((lpu.UnsupportedUltralytics, KeyError), match="the plug does not hold"):
            plug.check(live)
        monkeypatch.undo()


# --- a training ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outlined_digits(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits as outlines, which Ultralytics paints as labels, with one class more for what lies outside."""
    return relabelled(digits, tmp_path_factory.mktemp("outlined"), octagon)


def test_a_training_computes_records_and_tells_of_it(outlined_digits: Path, tmp_path: Path) -> None:
    """The task is inferred; each batch costs 7 less at most a thousandth, in training and in validation."""
    started: list[Any] = []
    run = train_once(
        "yolo26n-sem.yaml",
        tmp_path,
        {"on_train_start": started.append},
        trainer=lpu.trainer(sem={"type": "constant_map", "value": 7.0}),
        data=str(outlined_digits),
        epochs=1,
    )
    assert type(started[0]) is LossPluginSemanticTrainer
    report = proof(run)["report"]
    assert proof(run)["losses"]["sem"]["type"] == "constant_map"
    assert report["sem"]["expected_calls"] == report["sem"]["train_calls"] == report["sem"]["gradient_calls"] == 2
    assert report["sem"]["val_calls"] > 0
    assert report["sem"]["gradient_rows"] > 0
    assert report["canary"]["sem"][0] == pytest.approx(7, rel=1e-3)
    assert all(row["plug/sem_gradient_ratio"] > 0 for row in results(run))
    assert column(run, "train/sem_loss") == [pytest.approx(7, rel=1e-3)]
    assert column(run, "val/sem_loss") == [pytest.approx(7, rel=1e-3)]
    assert column(run, "train/aux_loss")[0] > 0
    assert losses_of(str(run / "weights/last.pt"))["sem"] == proof(run)["losses"]["sem"]
    told = examine(run)
    assert told["ok"]
    assert "sem loss constant_map, epoch 1" in told["checks"][0]["detail"]
