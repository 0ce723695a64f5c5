"""The demo, for one epoch on a few scenes, and the doctor's report."""

from __future__ import annotations

import json
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import transformers
import typer
import yaml
from PIL import Image
from transformers.loss import loss_rt_detr
from typer.testing import CliRunner

from loss_plugins.adapters.transformers import demo, doctor

from .models import CONFIGS


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The command, on 16 scenes."""
    monkeypatch.setattr(demo, "make_digits", partial(demo.make_digits, train=16, val=4, progress=False))
    app = typer.Typer()
    app.command()(demo.demo_transformers)
    return app


def test_an_epoch_through_the_trainer(app: typer.Typer, tmp_path: Path) -> None:
    arguments = ["--folder", str(tmp_path), "--box", "ciou", "--epochs", "1"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    run = tmp_path / "ciou-1"
    record = yaml.safe_load((run / "loss_plugins.yaml").read_text(encoding="utf-8"))
    assert record["asked"]["box"]["type"] == "ciou"
    assert record["report"]["trained"] == 2
    assert "epoch 1 of 1: loss " in done.output
    assert f"proof ({run / 'loss_plugins.yaml'}): box loss ciou in the place of giou: " in done.output
    assert f"picture: {tmp_path / 'ciou-1.png'}" in done.output
    finished = json.loads((run / "finished.json").read_text(encoding="utf-8"))
    assert 0 <= finished["mAP"] <= finished["mAP50"] <= 1
    assert f"validation: mAP50 {finished['mAP50']:.3f}" in done.output
    with Image.open(tmp_path / "ciou-1.png") as picture:
        colors = picture.convert("L").getcolors(1 << 16)
        assert colors is not None
        assert len(colors) > 100  # not an empty figure
    loaded = transformers.RTDetrForObjectDetection.from_pretrained(run)
    assert loaded.config.id2label == {label: str(label) for label in range(10)}
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "reusing the run" in again.output
    (run / "finished.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"finished\.json cannot be read"):
        demo.print_result(run)


@pytest.mark.parametrize("lacking", ["accelerate", "matplotlib", "pycocotools", "sklearn"])
def test_missing_packages_are_named_with_the_command(
    lacking: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == lacking else find_spec(name))
    with pytest.raises(ImportError, match=rf"{lacking} is missing: pip install .loss-plugins\[digits,transformers\]"):
        demo.demo_transformers(tmp_path)


def test_the_doctor_tries_every_model() -> None:
    report: Any = doctor.report()
    assert report["ok"] is True
    assert set(report["tasks"]) == set(CONFIGS)
    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert details["RTDetrForObjectDetection"].endswith("eiou for giou; class loss varifocal (alpha=0.75, gamma=2)")
    assert details["LwDetrForObjectDetection"].endswith("class loss IA-BCE (alpha=0.25, gamma=2)")
    assert details["GroundingDinoForObjectDetection"].endswith("class loss not served, it is none of the known ones")
    assert "Mask2FormerForUniversalSegmentation" in report["refused"]
    assert doctor.report("config.py") is None
    json.dumps(report)


def test_the_doctor_names_the_models_whose_loss_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    stock, every = loss_rt_detr.generalized_box_iou, doctor.detectors()
    share_it = {f"{name}ForObjectDetection" for name in ("RTDetr", "RTDetrV2", "DFine", "Deimv2")}
    tried = {*share_it, "DetrForObjectDetection", "LwDetrForObjectDetection"}
    monkeypatch.setattr(doctor, "detectors", lambda: [cls for cls in every if cls.__name__ in tried])
    monkeypatch.setattr(loss_rt_detr, "generalized_box_iou", lambda *boxes: 2 * stock(*boxes))
    report: Any = doctor.report()
    assert report["ok"] is False
    failed = {check["name"]: check["detail"] for check in report["checks"] if not check["ok"]}
    assert set(failed) == share_it
    assert set(report["tasks"]) == tried - share_it
    assert "sought a box loss equal to GIoU" in failed["RTDetrForObjectDetection"]
