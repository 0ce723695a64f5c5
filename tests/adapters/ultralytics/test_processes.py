"""Training in other processes: workers get the loss, and what would train the stock loss there is refused."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ultralytics import YOLO
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.dist import generate_ddp_file

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import mixin
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.demo.digits import DigitsSet

from .gloo_trainer import GlooTrainer
from .ultralytics_runs import BOX_GAIN, SETTINGS, column, constant, proof


def launched(
    model: str, digits: DigitsSet, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the file that Ultralytics writes for its worker processes, in a fresh interpreter."""
    overrides = {
        "model": model, "data": str(digits.yaml), "epochs": 1, "imgsz": 64, "batch": 8, "workers": 0, "amp": False,
        "plots": False, "device": "cpu", "project": str(folder), "name": "child", "exist_ok": True,
    }  # fmt: skip
    parent = constant(7.0)(overrides=overrides)
    parent.model = YOLO(model).model
    file = generate_ddp_file(parent)
    run = subprocess.run(
        [sys.executable, file], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    Path(file).unlink()
    return run


def test_a_worker_process_trains_with_the_loss(digits: DigitsSet, tmp_path: Path) -> None:
    spec = lpu.make_spec({"type": "constant", "value": 7.0})
    done = launched("yolo26n.yaml", digits, tmp_path, {mixin.ENVIRONMENT: spec.to_json()})
    assert done.returncode == 0, done.stderr
    assert column(tmp_path / "child", "train/box_loss") == pytest.approx([7 * BOX_GAIN], rel=1e-5)


def test_a_worker_process_without_the_spec_raises(digits: DigitsSet, tmp_path: Path) -> None:
    done = launched("yolo26n.yaml", digits, tmp_path, {})
    assert done.returncode != 0
    assert "LossNotUsed" in done.stderr
    assert not (tmp_path / "child" / "results.csv").exists()


def test_two_processes_that_ultralytics_starts_train_with_one_loss(digits: DigitsSet, tmp_path: Path) -> None:
    """Through its launcher, from YOLO(...).train: the loss, its gain and its statistic are the same in both."""
    losses = {"box": {"type": "wiou", "version": 3, "momentum": 0.1}, "gain": "match"}
    trainer = lpu.trainer("detect", **losses, base=GlooTrainer)
    YOLO("yolo11n.yaml").train(
        trainer=trainer, data=str(digits.yaml), project=str(tmp_path), name="run", **{**SETTINGS, "val": False}
    )
    first, second = (json.loads((tmp_path / f"run-rank{rank}.json").read_text()) for rank in range(2))
    gain = Plug(lpu.make_spec(**losses), image_size=SETTINGS["imgsz"]).report.box.gain
    for rank in (first, second):
        calls = rank["report"]["box"]
        assert calls["gain"] == gain != 1
        assert calls["train_calls"] == calls["expected_calls"] == calls["gradient_calls"] == 2  # 16 images, 8 a batch
        assert calls["rows"] == calls["gradient_rows"] > 0
    assert first["report"]["canary"] == second["report"]["canary"]
    assert first["report"]["box"]["rows"] != second["report"]["box"]["rows"], "each has images of its own"
    assert first["state"] == second["state"]
    assert first["state"]["box"]["0"] != {}
    assert first["weights"] == second["weights"]
    assert (first["written"], second["written"]) == (2, 0), "before training and after the epoch, by one of them"
    (record,) = tmp_path.rglob("loss_plugins.yaml")
    assert proof(record.parent)["report"] == first["report"]
    assert proof(record.parent)["state"] == first["state"]


@pytest.mark.parametrize("ddp", [True, False])
def test_the_spec_is_in_the_environment_only_while_workers_train(
    ddp: bool, digits: DigitsSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trainings in two threads of one process would overwrite each other's."""
    seen: list[str | None] = []
    monkeypatch.setattr(BaseTrainer, "train", lambda _: seen.append(os.environ.get(mixin.ENVIRONMENT)))
    overrides = {"model": "yolo11n.yaml", "data": str(digits.yaml), "project": str(tmp_path), "device": "cpu"}
    trainer = constant(7.0)(overrides=overrides)
    trainer.ddp = ddp
    with contextlib.nullcontext() if ddp else pytest.raises(lpu.LossNotUsed):
        trainer.train()
    (text,) = seen
    assert (text is not None) == ddp
    assert text is None or lpu.Spec.from_json(text).box["type"] == "constant"
    assert mixin.ENVIRONMENT not in os.environ


def test_a_class_that_other_processes_cannot_import_is_refused() -> None:
    class Hidden(mixin.LossPluginMixin, DetectionTrainer):
        pass

    with pytest.raises(lpu.UnsupportedUltralytics, match="cannot be imported by other processes"):
        mixin.check_trainer(Hidden)


def test_several_data_sets_train_with_the_loss(digits: DigitsSet, tmp_path: Path) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(digits.yaml.read_text())
    yolo = YOLO("yolo26n.yaml")
    yolo.train(data=[str(digits.yaml), str(second)], trainer=constant(7.0), project=str(tmp_path / "multi"), **SETTINGS)
    runs = sorted((tmp_path / "multi").rglob("results.csv"))
    assert len(runs) == 2
    for run in runs:
        assert column(run.parent, "train/box_loss") == pytest.approx([7 * BOX_GAIN], rel=1e-5)


def test_a_loss_that_is_not_used_ends_the_trainings_on_several_data_sets(digits: DigitsSet, tmp_path: Path) -> None:
    """Ultralytics logs the error of one training, goes on with the next, and ends as if all were well."""
    started: list[Any] = []
    yolo = YOLO("yolo11n.yaml")
    yolo.add_callback("on_train_start", started.append)
    with pytest.raises(lpu.SweepEnded, match=r"train\(data=\[...\]\) was ended, .*logged, not trained") as caught:
        yolo.train(
            data=[str(digits.yaml)] * 2,
            trainer=lpu.trainer("detect", box="eiou"),
            box=0.0,  # the gain of the box loss
            project=str(tmp_path),
            **SETTINGS,
        )
    assert isinstance(caught.value.__cause__, lpu.LossNotUsed)
    assert len(started) == 1


def test_a_refusal_ends_them_too_and_other_errors_do_not(digits: DigitsSet, tmp_path: Path) -> None:
    other_size = lpu.trainer("detect", box={"type": "mpdiou", "image_size": [640, 640]})
    with pytest.raises(lpu.SweepEnded, match="and the trainer's imgsz is"):
        YOLO("yolo11n.yaml").train(data=[str(digits.yaml)], trainer=other_size, project=str(tmp_path / "a"), **SETTINGS)
    missing = str(tmp_path / "missing.yaml")
    results = YOLO("yolo11n.yaml").train(
        data=[missing], trainer=lpu.trainer("detect", box="eiou"), project=str(tmp_path / "b"), **SETTINGS
    )
    assert list(results.values()) == [None]


def test_ways_that_would_train_the_stock_loss_elsewhere_raise(digits: DigitsSet, tmp_path: Path) -> None:
    yolo = YOLO("yolo11n.yaml")
    with (
        pytest.raises(lpu.UnsupportedUltralytics, match=r"tune\(\) trains in other processes"),
        lpu.patched(box="eiou"),
    ):
        yolo.tune(data=str(digits.yaml), iterations=1, epochs=1, project=str(tmp_path))
    with pytest.raises(lpu.UnsupportedUltralytics, match="one process per data set"), lpu.patched(box="eiou"):
        yolo.train(data=[str(digits.yaml)] * 2, epochs=1, project=str(tmp_path))
    # upstream itself refuses a trainer here, before anything runs
    with pytest.raises(SyntaxError, match="trainer"):
        yolo.tune(data=str(digits.yaml), iterations=1, trainer=constant(7.0), project=str(tmp_path))


class Begun(Exception):
    """A training began."""


def begun(trainer: BaseTrainer) -> None:
    raise Begun


@pytest.mark.parametrize("own", [True, False])
def test_a_context_for_a_model_does_not_serve_the_new_one_that_train_makes(
    own: bool, digits: DigitsSet, tmp_path: Path
) -> None:
    """`train` builds its model anew: with the one that was given it would train the stock loss to the end."""
    yolo, other = YOLO("yolo11n.yaml"), YOLO("yolo11n.yaml")
    for each in (yolo, other):
        each.add_callback("on_pretrain_routine_start", begun)
    settings = {**SETTINGS, "data": str(digits.yaml), "project": str(tmp_path)}
    trainer = {"trainer": constant(7.0)} if own else {}
    with plugged(lpu.make_spec("eiou"), bound=True) as plug:  # as by patched(model=...)
        plug.bind(yolo.model if own else yolo)
        for each in (yolo, copy.deepcopy(yolo)):
            with pytest.raises(lpu.UnsupportedUltralytics, match=r"train\(\) trains a new one.*without patched"):
                each.train(**settings, **trainer)
        with pytest.raises(Begun):
            other.train(**settings, **trainer)
    with pytest.raises(Begun):
        yolo.train(**settings, **trainer)


def test_several_gpus_without_our_trainer_raise(digits: DigitsSet, tmp_path: Path) -> None:
    plain = DetectionTrainer(
        overrides={"model": "yolo11n.yaml", "data": str(digits.yaml), "device": "cpu", "project": str(tmp_path)}
    )
    plain.ddp = True  # as with device=0,1
    with pytest.raises(lpu.UnsupportedUltralytics, match="one process per GPU"), lpu.patched(box="eiou"):
        plain.train()
