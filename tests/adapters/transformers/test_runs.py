"""What the doctor tells of the folders that a Trainer writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import YolosForObjectDetection

from loss_plugins.adapters.transformers import plug, plug_again
from loss_plugins.adapters.transformers.doctor import report

from ...command_line import called
from .models import build
from .runs import trainer

NAME = "YolosForObjectDetection"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of four steps, from step 3 on resumed, and the model saved beside it."""
    folder = tmp_path_factory.mktemp("run")
    model = build(NAME)
    trainer(model, folder, plug(model, box="eiou").callback(), max_steps=2).train()
    again = YolosForObjectDetection.from_pretrained(folder / "checkpoint-2")
    resumed = trainer(again, folder, plug_again(again).callback())
    resumed.train(resume_from_checkpoint=str(folder / "checkpoint-2"))
    resumed.save_model(str(folder / "saved"))
    return folder


def told(folder: Path) -> dict[str, tuple[bool, str]]:
    found: Any = report(str(folder))
    assert found["ok"] is all(check["ok"] for check in found["checks"])
    return {check["name"]: (check["ok"], check["detail"]) for check in found["checks"]}


def test_the_record_tells_which_steps_a_loss_trained(trained: Path) -> None:
    rows = yaml.safe_load((trained / "loss_plugins.yaml").read_text(encoding="utf-8"))["report"]["box"]["rows"]
    earlier = yaml.safe_load((trained / "checkpoint-2/loss_plugins.yaml").read_text(encoding="utf-8"))
    before = earlier["report"]["box"]["rows"]
    assert told(trained) == {
        "trained by": (
            True,
            f"steps 1 to 2: eiou in the place of giou, gradient in {before} of {before} rows; resumed: "
            f"steps 3 to 4: eiou in the place of giou, gradient in {rows} of {rows} rows",
        )
    }


def test_a_checkpoint_and_a_saved_model_tell_what_is_plugged_again(trained: Path) -> None:
    config = (True, "box=eiou: plug_again(model) plugs it")
    assert told(trained / "checkpoint-4")["loss_plugins of config.json"] == config
    assert list(told(trained / "checkpoint-4")) == ["trained by", "loss_plugins of config.json"]
    assert told(trained / "saved") == {"loss_plugins of config.json": config}


def test_the_command_asks_no_other_adapter(trained: Path) -> None:
    for folder in (trained, trained / "checkpoint-4", trained / "saved"):
        done = called("doctor", str(folder), "--json")
        assert done.returncode == 0, done.stderr
        assert list(json.loads(done.stdout)) == ["transformers"]


def other_losses(folder: Path) -> str:
    file = folder / "config.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"eiou"', '"ciou"'), encoding="utf-8")
    return "names other losses"


def torn(folder: Path) -> str:
    (folder / "loss_plugins.yaml").write_text("asked: {box: eiou}\n", encoding="utf-8")
    return "cannot be read"


def without_a_report(folder: Path) -> str:
    file = folder / "loss_plugins.yaml"
    said = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**said, "report": {}}), encoding="utf-8")
    return "KeyError: box"


@pytest.mark.parametrize("spoil", [other_losses, torn, without_a_report])
def test_what_disagrees_is_told(spoil: Callable[[Path], str], trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained / "checkpoint-4", tmp_path / "checkpoint-4"))
    reason = spoil(folder)
    assert [reason in detail for ok, detail in told(folder).values() if not ok] == [True]
    assert called("doctor", str(folder)).returncode == 1


@pytest.mark.parametrize(
    "files",
    [
        {"loss_plugins.yaml": "losses: {box: eiou}"},
        {"loss_plugins.yaml": "[asked"},
        {"loss_plugins.yaml": ""},
        {"config.json": "{}"},
        {"config.json": "{"},
        {},
    ],
    ids=str,
)
def test_folders_of_others_are_left_to_them(files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert report(str(tmp_path)) is None
