"""YOLOE: each slot of each of its trainers is trained, or refused before the first step, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from ultralytics import YOLOE
from ultralytics.cfg import get_cfg
from ultralytics.data.augment import LoadVisualPrompt
from ultralytics.models.yolo import yoloe
from ultralytics.nn import tasks
from ultralytics.utils.loss import E2ELoss, TVPDetectLoss, TVPSegmentLoss

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import bases, cli, trainers
from loss_plugins.adapters.ultralytics.class_slot import ClassSlot
from loss_plugins.adapters.ultralytics.plug import Plug, plugged

from .prompted import Prompted, text_model, write_small
from .ultralytics_runs import BOX_GAIN, column, proof, train_once

MARKS = {
    "box": "constant",
    "cls": "constant_class",
    "dfl": "constant_side",
    "mask": "constant_mask",
    "sem": "constant_map",
}
#: by slot: the column of results.csv, and 7 times the gain; criteria of visual prompts name their columns otherwise
LOGGED = {
    "box": ("box_loss", 7 * BOX_GAIN),
    "cls": ("cls_loss", 7 * 0.5),
    "dfl": ("l1_loss", 7 * 1.5),
    "mask": ("seg_loss", 7 * BOX_GAIN),
}
#: no digit is cut to less than a pixel of the masks; the steps of a data set stay as they were built
WHOLE = {"mosaic": 0.0, "scale": 0.0, "translate": 0.0, "close_mosaic": 0}


class Pictures(yoloe.YOLOETrainerFromScratch):  # type: ignore[misc]
    """A trainer of one's own that brings visual prompts."""

    def build_dataset(self, img_path: Any, mode: str = "train", batch: int | None = None) -> Any:
        data = super().build_dataset(img_path, mode, batch)
        data.transforms.append(LoadVisualPrompt())
        return data

    def optimizer_step(self) -> None:
        raise AssertionError("nothing is trained before the refusal")


class Way(NamedTuple):
    """A way of training YOLOE: the model ("pt" is a saved one), the trainer (None: the task says it), its slots.

    Attributes:
        dropped: why the other slots are refused.
    """

    model: str
    base: type | None
    slots: tuple[str, ...]
    from_scratch: bool
    dropped: str = ""


BOXES, MASKS = ("box", "cls", "dfl"), ("box", "cls", "dfl", "mask")
NO_MASKS = "has no (mask|sem|semantic) loss"
NO_MAPS = "has no sem loss"
WAYS = {
    "text": Way("yoloe-small.yaml", yoloe.YOLOETrainerFromScratch, BOXES, True, NO_MASKS),
    "text-seg": Way("yoloe-small-seg.yaml", yoloe.YOLOESegTrainerFromScratch, MASKS, True, NO_MAPS),
    "classes": Way("yoloe-small.pt", None, BOXES, False, NO_MASKS),
    "classes-seg": Way("yoloe-small-seg.pt", None, MASKS, False, "computes no semantic maps"),  # told by the model
    "free": Way("yoloe-small.pt", yoloe.YOLOEPEFreeTrainer, BOXES, True, NO_MASKS),
    "plain": Way("yoloe-small.yaml", yoloe.YOLOETrainer, BOXES, False, NO_MASKS),
    "plain-seg": Way("yoloe-small-seg.yaml", yoloe.YOLOESegTrainer, MASKS, False, NO_MAPS),
    "visual": Way("yoloe-small.yaml", yoloe.YOLOEVPTrainer, ("cls",), True, "YOLOEVPTrainer .* drops the"),
    "visual-seg": Way(
        "yoloe-small-seg.yaml", yoloe.YOLOESegVPTrainer, ("cls",), True, "YOLOESegVPTrainer .* drops the"
    ),
    "pictures": Way("yoloe-small.yaml", Pictures, (), True, f"TVPDetectLoss .* drops the (box|dfl)|{NO_MASKS}"),
    "pictures-seg": Way("yoloe-small-seg.yaml", Pictures, (), True, f"TVPSegmentLoss .* drops the|{NO_MAPS}"),
}
CELLS = [(way, slot) for way in WAYS for slot in MARKS if WAYS[way].slots or slot != "cls"]
SERVED = [(way, slot) for way, slot in CELLS if slot in WAYS[way].slots]
REFUSED = [cell for cell in CELLS if cell not in SERVED]
Start = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def texts() -> Iterator[None]:
    with text_model():
        yield


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A model's file; of a checkpoint, one of a random model."""
    folder = tmp_path_factory.mktemp("models")

    def model(name: str) -> str:
        file = folder / name
        if not file.exists():
            described = write_small(folder, file.stem)
            if file.suffix == ".pt":
                torch.manual_seed(0)
                YOLOE(described).save(str(file))
        return str(file)

    return model


@pytest.fixture(scope="module")
def start(prompted: Prompted, model_of: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Start:
    """start(way, box=..., on={event: callback}): one epoch; the run folder."""

    def run(name: str, on: Any = None, **losses: Any) -> Path:
        way = WAYS[name]
        data = prompted.scratch if way.from_scratch else str(prompted.yaml)
        trainer = lpu.trainer(base=way.base, **losses)
        folder = tmp_path_factory.mktemp(name)
        return train_once(model_of(way.model), folder, on, data=data, trainer=trainer, epochs=1, **WHOLE)

    return run


@pytest.fixture(scope="module")
def trained(start: Start) -> Callable[[str], Path]:
    """The run of a way, with a constant in each of its slots; each is trained once."""
    runs: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in runs:
            runs[name] = start(name, **{slot: MARKS[slot] for slot in WAYS[name].slots})
        return runs[name]

    return run


# --- the cells -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "slot"), SERVED)
def test_a_constant_loss_is_what_is_logged(name: str, slot: str, trained: Callable[[str], Path]) -> None:
    run = trained(name)
    named, expected = LOGGED[slot]
    named = named.removesuffix("_loss") if name.startswith("visual") else named
    assert column(run, f"train/{named}") == pytest.approx([expected], rel=1e-3)
    report = proof(run)["report"]
    assert report[slot]["gradient_calls"] == report[slot]["train_calls"] == report[slot]["expected_calls"] > 0
    assert len(report["canary"][slot]) == 2


@pytest.mark.parametrize(("name", "slot"), REFUSED)
def test_what_is_not_trained_is_refused_before_the_first_step(name: str, slot: str, start: Start) -> None:
    ended: list[Any] = []
    with pytest.raises((ValueError, lpu.UnsupportedUltralytics), match=WAYS[name].dropped):
        start(name, on={"on_train_batch_end": ended.append}, **{slot: MARKS[slot]})
    assert not ended


@pytest.mark.parametrize("name", [name for name in WAYS if WAYS[name].base is not Pictures])
def test_the_table_of_the_docs_has_the_cells(name: str) -> None:
    way = WAYS[name]
    fine_tuning = yoloe.YOLOEPESegTrainer if name.endswith("seg") else yoloe.YOLOEPETrainer
    lines = (Path(__file__).parents[3] / "docs" / "ultralytics.md").read_text(encoding="utf-8").splitlines()
    (row,) = (line for line in lines if line.startswith("|") and f"`{(way.base or fine_tuning).__name__}`" in line)
    of_boxes, _, of_masks = row.split("|")[3].partition("of seg models")
    named = [slot for slot in MARKS if slot in of_boxes or (name.endswith("seg") and slot in of_masks)]
    assert named == list(way.slots)


def test_the_embeddings_are_those_of_the_file(prompted: Prompted, trained: Callable[[str], Path]) -> None:
    """A trainer that misses one loads its text model, and writes the file anew."""
    before = [file.stat().st_mtime_ns for file in prompted.embeddings]
    trained("text-seg")
    assert [file.stat().st_mtime_ns for file in prompted.embeddings] == before


# --- criteria of visual prompts --------------------------------------------------------------------------------------


def small(model_of: Callable[[str], str], name: str) -> nn.Module:
    cls = tasks.YOLOESegModel if name.endswith("seg") else tasks.YOLOEModel
    model = cls(model_of(f"{name}.yaml"), nc=3, verbose=False).train()
    model.args = get_cfg()
    return model


@pytest.mark.parametrize(
    ("name", "criterion", "slot"),
    [
        ("yoloe-small", TVPDetectLoss, "box"),
        ("yoloe-small", TVPDetectLoss, "mask"),
        ("yoloe-small-seg", TVPSegmentLoss, "box"),
        ("yoloe-small-seg", TVPSegmentLoss, "mask"),
        ("yoloe-small-seg", TVPSegmentLoss, "dfl"),
    ],
)
@pytest.mark.parametrize("end_to_end", [False, True])
def test_the_refusal_names_the_criterion_and_what_it_drops(
    name: str, criterion: Any, slot: str, end_to_end: bool, model_of: Callable[[str], str]
) -> None:
    model = small(model_of, name)
    reason = rf"{criterion.__name__} \(visual prompts\) drops the {slot} loss"
    with pytest.raises(lpu.UnsupportedUltralytics, match=reason), lpu.patched(**{slot: MARKS[slot]}):
        E2ELoss(model, criterion) if end_to_end else criterion(model)


def test_a_criterion_of_the_first_batch_is_checked_before_its_first_loss(
    model_of: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before training it was another one that was checked; a kind that was seen is not checked again."""
    model = small(model_of, "yoloe-small")
    stock = ClassSlot.compute

    def other(self: ClassSlot, bce: object, logits: Tensor, target: Tensor) -> Tensor:
        return 2 * stock(self, bce, logits, target)

    checks: list[Any] = []
    check = Plug.check
    with plugged(lpu.make_spec(cls="quality_focal"), bound=True) as plug:
        plug.bind(model)
        plug.check(model.init_criterion())
        monkeypatch.setattr(Plug, "check", lambda self, criterion: checks.append(criterion) or check(self, criterion))
        model.init_criterion()
        assert not checks
        first = E2ELoss(model, TVPDetectLoss)
        E2ELoss(model, TVPDetectLoss)
        assert checks == [first]
        with torch.no_grad():  # of the EMA, which validates
            TVPDetectLoss(model)
        assert len(checks) == 1
        monkeypatch.setattr(ClassSlot, "compute", other)
        with pytest.raises(lpu.UnsupportedUltralytics, match="the plug does not hold"):
            TVPDetectLoss(model)


# --- numbers per class -----------------------------------------------------------------------------------------------

OF_CLASSES = {"type": "bce_with_logits", "pos_weight": [2.0] * 80}


@pytest.mark.parametrize("name", ["text", "visual", "free"])
def test_numbers_per_class_are_refused_where_classes_are_prompts(name: str, start: Start) -> None:
    with pytest.raises(ValueError, match=r"one number for each of 80 classes, and each image has its own order"):
        start(name, cls=OF_CLASSES)


def test_numbers_per_class_train_where_classes_are_those_of_the_data(start: Start) -> None:
    assert proof(start("classes", cls=OF_CLASSES))["report"]["cls"]["gradient_calls"] > 0


# --- tasks and trainers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "task"),
    [
        (cls, "yoloe-seg" if "Seg" in name else "yoloe")
        for name, cls in sorted(vars(yoloe).items())
        if "Trainer" in name
    ],
)
def test_each_trainer_of_ultralytics_may_be_the_base(base: Any, task: str) -> None:
    cls = lpu.trainer(base=base, cls="focal").func  # type: ignore[attr-defined]
    assert cls.plugged_task == task
    assert bases.base_called(cls.__name__) is base
    assert cls is getattr(trainers, cls.__name__)


@pytest.mark.parametrize("task", ["yoloe", "yoloe-seg"])
def test_a_model_without_weights_is_not_fine_tuned(
    task: str, model_of: Callable[[str], str], prompted: Prompted
) -> None:
    file = model_of(f"{task.replace('yoloe', 'yoloe-small')}.yaml")
    with pytest.raises(ValueError, match=r"fine-tunes a checkpoint, and .*\.yaml has no weights.*TrainerFromScratch"):
        YOLOE(file).train(trainer=lpu.trainer(task, box="eiou"), data=str(prompted.yaml), device="cpu", plots=False)


@pytest.mark.parametrize(("asked", "found"), [("detect", "yoloe"), ("yoloe", "yoloe-seg"), ("segment", "yoloe-seg")])
def test_a_task_that_is_not_the_models_is_refused(asked: str, found: str, model_of: Callable[[str], str]) -> None:
    file = model_of(f"{found.replace('yoloe', 'yoloe-small')}.pt")
    with pytest.raises(ValueError, match=f"task={asked!r}, and the model is one for {found!r}"):
        lpu.trainer(asked, box="eiou")(overrides={"model": file})


@pytest.mark.parametrize("task", ["yoloe", "yoloe-seg"])
def test_the_shell_makes_the_model_of_the_task(task: str, model_of: Callable[[str], str]) -> None:
    model = cli.make_model(task, model_of(f"{task.replace('yoloe', 'yoloe-small')}.yaml"))
    assert isinstance(model, YOLOE)
    assert model.task == ("segment" if task.endswith("seg") else "detect")
