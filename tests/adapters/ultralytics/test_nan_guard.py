# SPDX-License-Identifier: AGPL-3.0-or-later
"""`nan_guard=True`: a loss that is not finite in training ends it, with image, row and value named and saved."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import torch
import yaml
from torch import Tensor
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks

from loss_plugins import Loss, Traits, register_loss
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import cli
from loss_plugins.adapters.ultralytics.cli import split_settings
from loss_plugins.adapters.ultralytics.mixin import LossPluginMixin
from loss_plugins.adapters.ultralytics.nan_guard import Guard, labelled
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.adapters.ultralytics.record import Record
from loss_plugins.adapters.ultralytics.spec import differences
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import SETTINGS, batch_of, relabelled, train_once

#: class and box of an object that is 2.5 times as wide as it is high, which no digit is; in the middle of a grid cell
THIN = [0.0, 0.5, 0.4375, 0.5, 0.2]
NO_AUGMENTATION = dict.fromkeys(
    ("mosaic", "translate", "scale", "fliplr", "hsv_h", "hsv_s", "hsv_v", "erasing", "close_mosaic"), 0
)


def thin(boxes: Tensor) -> Tensor:
    """Which boxes are about 2.5 times as wide as high."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    return (width / height - 2.5).abs() < 0.1


def value_breaks(pred: Tensor, target: Tensor) -> Tensor:
    """NaN where the target is thin: the root of a negative number."""
    return torch.where(thin(target), -1.0, 1.0).sqrt() * (pred - target).abs().sum(-1)


def gradient_breaks(pred: Tensor, target: Tensor) -> Tensor:
    """Finite, with the gradient inf * 0 where the target is thin: a root at 0."""
    nothing = (pred - pred.detach()).sum(-1)
    return (pred - target).abs().sum(-1) + torch.where(thin(target), nothing.abs(), 1.0).sqrt()


@pytest.fixture
def broken_losses(own_losses: None) -> None:
    traits = Traits(zero_at_equality=False)
    register_loss("value_breaks", traits=traits)(value_breaks)
    register_loss("gradient_breaks", traits=traits)(gradient_breaks)


@pytest.fixture(scope="module")
def with_a_thin_box(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The digits, one of which is labelled as a thin box, and the name of its image."""
    root = tmp_path_factory.mktemp("thin") / "digits"
    data = relabelled(digits, root, lambda label: f"0 {label.split(maxsplit=1)[1]}\n")
    file = min((root / "labels" / "train").glob("*.txt"))
    others = file.read_text().splitlines()[1:]
    file.write_text("\n".join([" ".join(map(str, THIN)), *others]))
    return data, file.stem


@pytest.mark.parametrize("loss", ["value_breaks", "gradient_breaks"])
def test_the_image_and_the_box_are_named_and_saved(
    loss: str, with_a_thin_box: tuple[Path, str], broken_losses: None, tmp_path: Path
) -> None:
    data, image = with_a_thin_box
    batches: list[str] = []
    seen: list[Any] = []
    trainer = lpu.trainer("detect", box=loss, nan_guard=True)
    given = {**SETTINGS, **NO_AUGMENTATION, "batch": 4, "data": str(data), "trainer": trainer}
    on = {
        "on_train_batch_start": lambda trainer: batches.append(""),
        "on_pretrain_routine_end": lambda trainer: seen.append(trainer.train_loader.dataset),
    }
    with pytest.raises(lpu.LossNotFinite) as caught:
        train_once("yolo11n.yaml", tmp_path, on, **given)
    folder = tmp_path / "run"
    said = yaml.safe_load((folder / "nan_guard.yaml").read_text())
    what = f"box loss {loss}" if loss == "value_breaks" else f"gradient of the box loss {loss}"
    assert (said["what"], said["epoch"], said["batch"]) == (what, 1, len(batches))
    assert said["value"] != said["value"]
    assert Path(said["image"]).stem == image
    saved = torch.load(folder / "nan_guard.pt", weights_only=True)
    left, top, right, bottom = said["target"]  # in cells of one of the three grids
    assert (right - left) / (bottom - top) == pytest.approx(2.5, rel=1e-3)
    assert [left / right, top / bottom] == pytest.approx([0.25 / 0.75, 0.3375 / 0.5375], rel=1e-3)
    assert saved["target"].tolist() == said["target"]
    assert saved["predicted"].tolist() == said["predicted"]
    assert any(label == pytest.approx(THIN, abs=1e-4) for label in said["labels"])
    (index,) = (index for index, file in enumerate(seen[0].im_files) if Path(file).stem == image)
    assert torch.equal(saved["image"], seen[0][index]["img"].float() / 255)
    drawn = torch.from_numpy(cv2.imread(str(folder / "nan_guard.png"))).permute(2, 0, 1).flip(0)
    assert torch.equal(drawn, seen[0][index]["img"])
    for part in (f"the {what} is nan in epoch 1, batch {len(batches)}, row ", image, str(folder / "nan_guard.yaml")):
        assert part in str(caught.value)
    assert "diverged" not in str(caught.value)


def test_without_it_nobody_looks() -> None:
    """So that nobody waits for the device."""
    plug = Plug(lpu.make_spec("eiou", "bce_with_logits"))
    assert plug.guard is None
    assert [slot.guard for slot in plug.slots] == [None, None]


# --- every slot of every kind of criterion ---------------------------------------------------------------------------


@dataclass
class Setup:
    """A model in training under a guard, and a batch of two images with objects."""

    plug: Plug
    model: Any
    batch: dict[str, Any]

    def loss(self) -> Tensor:
        return self.model.loss(self.batch)[0].sum()


CASES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "detect-box": (tasks.DetectionModel, "yolo11n.yaml", {"box": "eiou"}),
    "detect-cls": (tasks.DetectionModel, "yolo11n.yaml", {"cls": "quality_focal"}),
    "detect-dfl": (tasks.DetectionModel, "yolo11n.yaml", {"dfl": "distribution_focal"}),
    "end-to-end-box": (tasks.DetectionModel, "yolo26n.yaml", {"box": "eiou"}),
    "end-to-end-dfl": (tasks.DetectionModel, "yolo26n.yaml", {"dfl": "l1"}),
    "segment-mask": (tasks.SegmentationModel, "yolo11n-seg.yaml", {"mask": "dice"}),
    "segment-pixels": (tasks.SegmentationModel, "yolo11n-seg.yaml", {"mask": "focal"}),
    "obb-box": (tasks.OBBModel, "yolo11n-obb.yaml", {"box": "prob_iou"}),
    "rtdetr-box": (tasks.RTDETRDetectionModel, "rtdetr-resnet50.yaml", {"box": "giou"}),
    "rtdetr-cls": (tasks.RTDETRDetectionModel, "rtdetr-resnet50.yaml", {"cls": "quality_focal"}),
}


@pytest.fixture(scope="module", params=sorted({case[:2] for case in CASES.values()}, key=str), ids=lambda case: case[1])
def model(request: pytest.FixtureRequest) -> Any:
    cls, file = request.param
    torch.manual_seed(0)
    made = cls(file, nc=3, verbose=False)
    made.args, made.nc = get_cfg(), 3
    return made


@pytest.fixture
def setups(model: Any, tmp_path: Path) -> Callable[..., Any]:
    """setups(**losses) is a context with a Setup."""

    @contextmanager
    def made(**losses: Any) -> Iterator[Setup]:
        model.criterion = None
        batch = {**batch_of(model), "im_file": ["first.jpg", "second.jpg"]}
        with plugged(lpu.make_spec(**losses, nan_guard=True), bound=True) as plug:
            plug.bind(model)
            model.criterion = model.init_criterion()
            assert plug.guard is not None
            plug.guard.begin(batch, 3, tmp_path)
            yield Setup(plug, model, batch)
        model.criterion = None

    return made


def losses_for(model: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(name, losses) for name, (cls, _, losses) in CASES.items() if type(model) is cls and matches(model, name)]


def matches(model: Any, name: str) -> bool:
    return CASES[name][1] == Path(model.yaml["yaml_file"]).name


def poison(patch: pytest.MonkeyPatch, plug: Plug, row: Callable[[Tensor, int], int]) -> list[int]:
    """The loss is NaN from the row on that `row` chooses, given the losses of a call and its number."""
    (slot,) = plug.slots
    stock, calls = type(slot.prototype).elementwise, []

    def elementwise(self: Loss, *args: Any, **kwargs: Any) -> Tensor:
        losses = stock(self, *args, **kwargs)
        calls.append(len(losses))
        chosen = row(losses, len(calls))
        if chosen < 0:
            return losses
        place = torch.zeros_like(losses, dtype=torch.bool)
        place[chosen:] = True
        return losses.masked_fill(place, torch.nan)

    patch.setattr(type(slot.prototype), "elementwise", elementwise)
    return calls


@pytest.mark.parametrize("last", [False, True])
def test_the_image_of_a_row_is_found_in_every_slot(
    last: bool, model: Any, setups: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first row is one of the first image, the last row one of the second; masks are computed image by image."""
    for name, losses in losses_for(model):
        with monkeypatch.context() as patch, setups(**losses) as setup:
            if "mask" in losses:
                poison(patch, setup.plug, lambda _, call: 0 if call == (2 if last else 1) else -1)
            else:
                poison(patch, setup.plug, lambda losses, _: len(losses) - 1 if last else 0)
            with pytest.raises(lpu.LossNotFinite) as caught:
                setup.loss()
        said = yaml.safe_load((tmp_path / "nan_guard.yaml").read_text())
        image = int(last)
        assert said["image"] == ("first.jpg", "second.jpg")[image], name
        assert len(said["labels"]) == (3, 2)[image], name
        (slot,) = setup.plug.slots
        assert said["what"] == f"{slot.name} loss {slot.loss_name}"
        assert f"the {said['what']} is nan in epoch 3, batch 1, row {said['row']}" in str(caught.value)
        assert ("class" in said) == (slot.name == "cls"), name
        assert torch.equal(torch.load(tmp_path / "nan_guard.pt", weights_only=True)["image"], setup.batch["img"][image])


def test_masks_of_an_image_behind_one_without_objects_are_its_own(
    model: Any, setups: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for _, losses in losses_for(model):
        if "mask" not in losses:
            continue
        with monkeypatch.context() as patch, setups(**losses) as setup:
            second = setup.batch["batch_idx"] == 1
            setup.batch.update({key: setup.batch[key][second] for key in ("batch_idx", "cls", "bboxes")})
            poison(patch, setup.plug, lambda _, call: 0 if call == 1 else -1)
            with pytest.raises(lpu.LossNotFinite):
                setup.loss()
        assert yaml.safe_load((tmp_path / "nan_guard.yaml").read_text())["image"] == "second.jpg"


@pytest.mark.parametrize("image", [0, 1])
def test_the_image_of_a_semantic_map_is_found(image: int, tmp_path: Path) -> None:
    """Its loss is one number of all maps."""
    plug = Plug(lpu.make_spec(sem="dice", nan_guard=True))
    assert plug.guard is not None
    assert plug.sem is not None
    plug.guard.begin({"img": torch.rand(2, 3, 8, 8), "im_file": ["first.jpg", "second.jpg"]}, 1, tmp_path)
    logits, target = torch.zeros(2, 3, 4, 4), (torch.rand(2, 3, 4, 4) < 0.5).float()
    plug.sem.compute(torch.nn.Identity(), logits.requires_grad_(), target, torch.sum)
    logits = logits.detach().clone()
    logits[image, 0, 0, 0] = torch.nan
    with pytest.raises(lpu.LossNotFinite, match=("first", "second")[image]):
        plug.sem.compute(torch.nn.Identity(), logits.requires_grad_(), target, torch.sum)


def test_finite_losses_and_those_of_validation_pass(model: Any, setups: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, losses in losses_for(model):
        with setups(**losses) as setup:
            assert setup.loss().isfinite()
            with monkeypatch.context() as patch, torch.no_grad():
                calls = poison(patch, setup.plug, lambda *_: 0)
                setup.loss()
                assert calls


# --- what is kept of a batch -----------------------------------------------------------------------------------------


class Events:
    """A trainer of which there are the events alone."""

    def run_callbacks(self, event: str) -> None: ...

    def preprocess_batch(self, batch: Any) -> Any:
        return batch


class Training(LossPluginMixin, Events):
    """In epoch 1, with a plug that looks."""

    def __init__(self, plug: Plug, folder: Path) -> None:
        self.loss_plug, self.save_dir, self.epoch, self.loss_items = plug, folder, 0, None
        self.loss_names = ()


#: the next event after a batch: it is over, or no memory was left for it and its epoch begins again, or the next one
#: is trained as a user's callback passes an error over, or `time=` has stopped between its last batch and its end
NEXT = ("on_train_batch_end", "on_train_epoch_start", "on_train_batch_start", "on_train_epoch_end", "the end")


@pytest.mark.parametrize("event", NEXT)
def test_nothing_of_a_batch_is_kept_once_it_is_over_or_given_up(
    event: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither by the guard nor by what looks at gradients, though the graph of the loss lives on."""
    monkeypatch.setattr(LossPluginMixin, "_log_epoch", lambda _: None)
    monkeypatch.setattr(LossPluginMixin, "_write_proof", lambda _: None)
    with plugged(lpu.make_spec("eiou", nan_guard=True), bound=True) as plug:
        training = Training(plug, tmp_path)
        training.loss_record = Record()
        batch = training.preprocess_batch({"img": torch.zeros(2, 3, 8, 8), "im_file": ["a.jpg", "b.jpg"]})
        pred = torch.rand(5, 4, requires_grad=True) * 1
        losses = pred.sum(-1)
        assert plug.guard is not None
        assert plug.box is not None
        plug.guard.look("box loss eiou", losses, pred, torch.rand(5, 4), lambda _: 0)
        plug.box.calls.branch_calls = 1
        kept = weakref.ref(batch["img"])
        node = losses.grad_fn
        del batch, pred, losses
        gc.collect()
        assert kept() is not None, "it is looked at"
        if event != "the end":
            training.run_callbacks(event)
            gc.collect()
            assert kept() is None
    gc.collect()
    assert kept() is None
    assert node is not None


def test_batches_of_an_epoch_that_begins_again_are_counted_anew(tmp_path: Path) -> None:
    """Out of memory, Ultralytics halves the batch and starts the epoch again."""
    plug = Plug(lpu.make_spec("eiou", nan_guard=True))
    training = Training(plug, tmp_path)
    for _ in range(2):
        training.run_callbacks("on_train_epoch_start")
        for number in (1, 2):
            training.preprocess_batch({})
            assert str(plug.guard and plug.guard.batch) == f"epoch 1, batch {number}"


# --- what is said ----------------------------------------------------------------------------------------------------


def guarded(folder: Path) -> tuple[Guard, dict[str, Any]]:
    guard, batch = Guard(), batch_of(SimpleNamespace(yaml={}))  # type: ignore[arg-type]
    guard.begin(batch, 1, folder)
    return guard, batch


def test_a_prediction_that_is_not_finite_is_told_from_a_loss_that_is_not(tmp_path: Path) -> None:
    guard, _ = guarded(tmp_path)
    pred = torch.ones(3, 4, requires_grad=True) * torch.tensor([[1.0], [torch.inf], [1.0]])
    with pytest.raises(
        lpu.LossNotFinite, match=r"is inf in .*row 1, image unknown, .*: the model diverged before; see"
    ):
        guard.look("box loss eiou", pred.sum(-1), pred, torch.ones(3, 4), lambda _: 1)


def test_batches_are_numbered_in_their_epoch(tmp_path: Path) -> None:
    guard, batch = guarded(tmp_path)
    guard.begin(batch, 1, tmp_path)
    assert str(guard.batch) == "epoch 1, batch 2"
    guard.begin(batch, 2, tmp_path)
    assert str(guard.batch) == "epoch 2, batch 1"


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_stock_loss_that_is_not_finite_is_named(as_dict: bool, tmp_path: Path) -> None:
    """Older versions have a tensor and the names, newer ones a dict."""
    guard, _ = guarded(tmp_path)
    names, items = ["box_loss", "dfl_loss"], torch.tensor([1.0, torch.nan])
    guard.require_finite_sum(torch.ones(2), names)
    with pytest.raises(lpu.LossNotFinite, match="the trainer's dfl_loss is nan in epoch 1, batch 1, and no row"):
        guard.require_finite_sum(dict(zip(names, items, strict=True)) if as_dict else items, names)


# --- ways to ask for it ----------------------------------------------------------------------------------------------


def test_it_is_asked_for_in_python_yaml_and_on_the_shell(tmp_path: Path) -> None:
    assert not lpu.make_spec("eiou").nan_guard
    assert lpu.make_spec("eiou", nan_guard=True).nan_guard
    file = tmp_path / "guarded.yaml"
    file.write_text("losses: {box: eiou, nan_guard: true}")
    assert lpu.make_spec(config=file).nan_guard
    assert not lpu.make_spec(config=file, nan_guard=False).nan_guard
    assert split_settings(["box_loss=eiou", "nan_guard=True"])[0] == {"box": "eiou", "nan_guard": True}
    assert lpu.Spec.from_json(lpu.make_spec("eiou", nan_guard=True).to_json()).nan_guard
    with pytest.raises(ValueError, match=r"patched: config=.* has nan_guard, which saves into the folder of a trainer"):
        lpu.patched(config=file)
    file.write_text("losses: {box: eiou, nan_guard: 'yes'}")
    with pytest.raises(TypeError, match=r"losses.nan_guard: .*nan_guard='yes' is of type str"):
        lpu.make_spec(config=file)


def test_a_resumed_run_may_turn_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[lpu.Spec] = []
    monkeypatch.setattr(cli, "losses_of", lambda _: {"box": {"type": "eiou"}})
    monkeypatch.setattr(cli, "trainer_for", lambda _, spec, **__: seen.append(spec))
    monkeypatch.setattr(cli, "make_model", lambda *_: SimpleNamespace(train=lambda **_: None))
    cli.yolo(["train", "resume", "model=last.pt", "nan_guard=True"])
    (spec,) = seen
    assert spec.nan_guard
    assert differences(lpu.make_spec("eiou").as_dict(), spec.as_dict()) == []


def test_a_label_that_two_images_have_names_neither() -> None:
    batch = {
        "batch_idx": torch.tensor([0.0, 1.0, 1.0]),
        "bboxes": torch.tensor([[0.5, 0.5, 1.0, 1.0], [0.5, 0.5, 1.0, 1.0], [0.25, 0.25, 0.5, 0.5]]),
    }
    assert labelled(batch, torch.tensor([0.0, 0.0, 0.5, 0.5])) == 1
    assert labelled(batch, torch.tensor([0.0, 0.0, 1.0, 1.0])) == -1
    assert labelled(batch, torch.tensor([0.0, 0.0, 0.3, 0.3])) == -1
