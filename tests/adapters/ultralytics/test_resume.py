"""Resumed runs and checkpoints: the same loss, its running statistics and gain, and nothing of ours to load."""

from __future__ import annotations

import pickletools
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics import YOLO
from ultralytics.engine.trainer import BaseTrainer

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import cli, probe, resuming, spec
from loss_plugins.demo.digits import DigitsSet

from ..interpreter import fresh_python
from .ultralytics_runs import BOTH, BOX_GAIN, Run, Shared, Train, constant, proof, record_run, results


@BOTH
def test_resume_continues_with_the_same_loss(model: str, shared: Shared, train: Train) -> None:
    """Resumed epochs log the plugged loss too, in training and validation: twice the constant, twice the number."""
    resumed = {}
    for value in (7.0, 14.0):
        run = shared(model, box={"type": "constant", "value": value})
        before = len(results(run.folder))
        train(str(run.first_epoch), resume=True, trainer=constant(value))
        (resumed[value],) = results(run.folder)[before:]
        assert resumed[value]["epoch"] == 2
    for name in ("train/box_loss", "val/box_loss"):
        assert resumed[7.0][name] > 0.01
        assert resumed[14.0][name] == pytest.approx(2 * resumed[7.0][name], rel=1e-3)
    if model == "yolo26n.yaml":
        assert resumed[7.0]["train/box_loss"] == pytest.approx(7 * BOX_GAIN, rel=1e-5)


def test_resume_refuses_another_loss(shared: Shared, train: Train) -> None:
    run = shared("yolo11n.yaml", box={"type": "constant", "value": 7.0})
    before = results(run.folder)
    with pytest.raises(
        ValueError,
        match=r"resume: the checkpoint was trained with other losses: box\.value was 7\.0, asked for now: 8\.0; .*pass"
        r" .*on the shell leave box_loss out",
    ):
        train(str(run.first_epoch), resume=True, trainer=constant(8.0))
    assert results(run.folder) == before
    # the run's own record is a config: it resumes with what it says
    trainer = lpu.trainer("detect", config=run.folder / "loss_plugins.yaml")
    resumed = train(str(run.first_epoch), resume=True, trainer=trainer)
    assert len(results(resumed)) == len(before) + 1


def test_what_a_record_does_not_say_is_todays_default() -> None:
    """An older stamp lacks a parameter that has been added since; how a loss is computed may change."""
    today = lpu.make_spec({"type": "alpha_iou", "alpha": 2.0}, "focal").as_dict()
    older = {"box": {"type": "alpha_iou", "alpha": 2.0}, "cls": {"type": "focal", "loss_weight": 1.0}}
    assert spec.differences(older, today) == []
    assert (
        spec.differences(today, lpu.make_spec({"type": "alpha_iou", "alpha": 2.0, "compile": True}, "focal").as_dict())
        == []
    )
    assert spec.differences({**older, "gain": "match"}, today) == ["gain was 'match', asked for now: 'keep'"]
    assert spec.differences({"box": older["box"]}, today)[0] == "cls.type was None, asked for now: 'focal'"
    gone = {"box": {"type": "alpha_iou", "alpha": 2.0, "theta": 1.0}}
    assert "box.theta was 1.0, asked for now: None" in spec.differences(gone, today)


def test_of_losses_of_two_types_the_types_alone_are_told() -> None:
    """The parameters of one are none of the other's."""
    trained = lpu.make_spec({"type": "wiou", "version": 1}, "focal", gain="keep").as_dict()
    asked = lpu.make_spec({"type": "alpha_iou", "alpha": 2.0}, {"type": "focal", "gamma": 1.0}).as_dict()
    different = ["box.type was 'wiou', asked for now: 'alpha_iou'", "cls.gamma was 2.0, asked for now: 1.0"]
    assert spec.differences(trained, asked) == different
    assert spec.differences({"box": trained["box"]}, {"cls": trained["cls"]}) == [
        "box.type was 'wiou', asked for now: None", "cls.type was None, asked for now: 'focal'",
    ]  # fmt: skip


def test_a_finished_run_has_nothing_to_resume(shared: Shared, train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is asked for, before anything is built: Ultralytics trains a new model on another data set instead."""
    run = shared("yolo11n.yaml", box={"type": "constant", "value": 7.0})
    before, weights = results(run.folder), run.folder / "weights"
    last = shutil.copy(weights / "last.pt", run.folder.parent / "finished.pt")  # another test may resume the run
    trainers = [constant(7.0), lpu.trainer(config=run.folder / "loss_plugins.yaml"), constant(8.0)]
    said = r"resume: \S*{}\.pt has finished \(2 of 2 epochs\): nothing to resume; .*start a new run .*model=\S*{}\.pt"
    monkeypatch.setattr(BaseTrainer, "__init__", None)
    for trainer in trainers:
        for file, name in ((last, "finished"), (weights / "best.pt", "best")):
            with pytest.raises(ValueError, match=said.format(name, name)):
                train(str(file), resume=True, trainer=trainer)
            with pytest.raises(ValueError, match=said.format(name, name)):
                train("yolo11n.yaml", resume=str(file), trainer=trainer)
    for words in (["resume", f"model={last}"], [f"resume={last}", "model=yolo11n.yaml"]):
        for losses in ([], ["box_loss=eiou"], [f"losses={run.folder / 'loss_plugins.yaml'}"]):
            with pytest.raises(ValueError, match=said.format("finished", "finished")):
                cli.yolo(["train", *words, *losses])
    with pytest.raises(ValueError, match=r"resume: model=yolo11n\.yaml is no checkpoint: nothing to resume; .*leave"):
        train("yolo11n.yaml", resume=True, trainer=constant(7.0))
    assert results(run.folder) == before


@pytest.mark.parametrize(
    ("checkpoint", "reason"),
    [
        ({"epoch": 3, "optimizer": {}, "train_args": {"epochs": 5}}, ""),
        ({"epoch": 0, "optimizer": {}, "train_args": {"epochs": 5}}, ""),
        ({"epoch": 4, "optimizer": {}, "train_args": {"epochs": 5}}, "has finished"),
        ({"epoch": -1, "optimizer": None, "train_args": {"epochs": 5}}, "has finished"),
        ({"epoch": 3, "optimizer": None, "train_args": {"epochs": 5}}, "has finished"),
        ({"train_args": {"epochs": 5}, "train_results": {"epoch": [1, 2, 2]}}, "has finished (2 of 5 epochs)"),
        ({"epoch": None, "model": None}, "has finished"),
        (torch.nn.Identity(), "is no checkpoint of a training"),
    ],
)  # fmt: skip
def test_what_has_epochs_left_is_told_from_what_has_not(checkpoint: Any, reason: str) -> None:
    assert resuming.ended(checkpoint) == reason


def test_resume_refuses_a_stock_checkpoint(shared: Shared, train: Train) -> None:
    run = shared("yolo11n.yaml", epochs=3, imgsz=96)
    with pytest.raises(ValueError, match="resume: the checkpoint was trained with the stock loss"):
        train(str(run.first_epoch), resume=True, trainer=constant(7.0))


def pickled_modules(checkpoint: Path) -> set[str]:
    """Top-level modules that loading the file imports."""
    with zipfile.ZipFile(checkpoint) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        data = archive.read(member)
    strings: list[str] = []
    found = set()
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "GLOBAL":
            found.add(str(argument).split()[0])
        elif opcode.name == "STACK_GLOBAL":
            found.add(strings[-2])
        elif isinstance(argument, str):
            strings.append(argument)
    return {module.partition(".")[0] for module in found}


@pytest.fixture(scope="module")
def both(shared: Shared) -> Run:
    """Box and class loss, each scaled to the stock loss's gradient."""
    return shared("yolo26n.yaml", box="eiou", cls="ghm_c", gain="match")


def test_checkpoints_know_their_loss_and_need_nothing_of_ours(both: Run) -> None:
    files = [both.folder / "weights/best.pt", both.folder / "weights/last.pt", both.first_epoch]
    for file in files:
        assert pickled_modules(file) <= {"torch", "ultralytics", "numpy", "collections", "builtins", "__builtin__"}
    stamp = YOLO(files[0]).model.loss_plugins
    assert stamp["losses"]["box"]["type"] == "eiou"
    assert stamp["losses"] == both.proof["losses"]
    # an interpreter that cannot import loss_plugins loads and predicts
    code = (
        "import sys; sys.modules['loss_plugins'] = None\n"
        "import numpy; from ultralytics import YOLO\n"
        f"model = YOLO({str(files[0])!r}); print(model.model.loss_plugins['losses']['box']['type'])\n"
        "print(len(model.predict(numpy.zeros((64, 64, 3), dtype='uint8'), imgsz=64, verbose=False)))"
    )
    assert fresh_python(code).split()[-2:] == ["eiou", "1"]


def test_the_class_loss_resumes(both: Run, train: Train) -> None:
    first = both.proof["report"]
    assert set(first) == {"box", "cls", "canary"}
    assert first["cls"]["gradient_calls"] == first["cls"]["train_calls"] == 8
    assert first["cls"]["gain"] == pytest.approx(0.85, abs=0.01), "the matched one"
    trainer = lpu.trainer("detect", config=both.folder / "loss_plugins.yaml")
    train(str(both.first_epoch), resume=True, trainer=trainer)
    resumed = proof(both.folder)["report"]
    assert resumed["cls"]["gain"] == first["cls"]["gain"]
    assert resumed["box"]["gain"] == first["box"]["gain"]


@dataclass
class Watched:
    """What callbacks have seen of a run with WIoU."""

    run: Run
    before_validation: list[Any]
    after_validation: list[Any]
    same_loss: list[bool]
    other_loss: list[bool]
    prepared: list[int]


WIOU = {"type": "wiou", "version": 3, "momentum": 0.1}


@pytest.fixture(scope="module")
def watched(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    before: list[Any] = []
    after: list[Any] = []
    same: list[bool] = []
    other: list[bool] = []
    prepared: list[int] = []

    def look(trainer: Any) -> None:
        after.append(trainer.loss_plug.state()["box"])
        slot = trainer.loss_plug.box
        live, copied = (
            [b.bbox_loss for b in probe.find_branches(c)] for c in (trainer.model.criterion, trainer.ema.ema.criterion)
        )
        device = torch.device("cpu")
        same.extend(slot.loss_of(a, device) is slot.loss_of(b, device) for a, b in zip(live, copied, strict=True))
        other.append(slot.loss_of(live[0], device) is not slot.loss_of(live[1], device))

    events = {
        "on_train_start": lambda trainer: prepared.append(len(trainer.loss_plug.box.losses)),
        "on_train_epoch_end": lambda trainer: before.append(trainer.loss_plug.state()["box"]),
        "on_fit_epoch_end": look,
    }
    folder = tmp_path_factory.mktemp("watched")
    trainer = lpu.trainer("detect", box=WIOU)
    run = record_run("yolo26n.yaml", folder, events, data=str(digits.yaml), trainer=trainer)
    return Watched(run, before, after, same, other, prepared)


def test_the_running_mean_learns_in_training_only_and_resumes(watched: Watched, train: Train) -> None:
    """WIoU's mean: one per branch, shared with the EMA copy, untouched by validation, in the checkpoint, restored."""
    assert watched.before_validation == watched.after_validation[: len(watched.before_validation)]
    first = watched.after_validation[0]
    assert set(first) == {"0", "1"}
    assert first["0"]["mean.value"] != first["1"]["mean.value"], "one2many and one2one see other boxes"
    assert all(0 < state["mean.value"][0] < 1 for state in first.values())
    stamp = torch.load(watched.run.first_epoch, weights_only=False)["ema"].loss_plugins
    assert stamp["state"]["box"] == first
    resumed: list[Any] = []
    train(
        str(watched.run.first_epoch),
        resume=True,
        trainer=lpu.trainer("detect", box=WIOU),
        on={"on_train_start": lambda trainer: resumed.append(trainer.loss_plug.state()["box"])},
    )
    assert resumed == [first]


def test_validation_uses_what_training_has_learnt(watched: Watched) -> None:
    """The EMA copy has a criterion of its own; its WIoU must not start from 1 again."""
    assert watched.same_loss[:2] == [True, True]
    assert watched.other_loss[0], "branches share no statistic"
    assert watched.prepared == [2], "ranks agree on what they sync before the first of them sees an object"
