# SPDX-License-Identifier: AGPL-3.0-or-later
"""The record of a run goes on over resumes, and the doctor sees where a stock trainer took part."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.utils import LOGGER

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.cli import report as ultralytics_report
from loss_plugins.adapters.ultralytics.record import Record, read_comment
from loss_plugins.adapters.ultralytics.runs import examine
from loss_plugins.cli import app
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import SETTINGS, proof, record_run


@contextmanager
def heard() -> Iterator[list[str]]:
    """What Ultralytics logs."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    LOGGER.addHandler(handler)
    try:
        yield lines
    finally:
        LOGGER.removeHandler(handler)


@pytest.fixture(scope="module")
def seen() -> list[dict[str, Any]]:
    """The arguments of the training, as loggers see them at its start and in its first epoch."""
    return []


@pytest.fixture(scope="module")
def whole(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory, seen: list[dict[str, Any]]) -> Path:
    """Two epochs of eiou; beside it the checkpoint of the first."""
    watch = {event: lambda trainer: seen.append(dict(vars(trainer.args))) for event in STARTS}
    root = tmp_path_factory.mktemp("record")
    run = record_run("yolo11n.yaml", root, watch, data=str(digits.yaml), trainer=lpu.trainer(box="eiou"))
    return run.folder


STARTS = ("on_pretrain_routine_start", "on_train_epoch_start")


def resumed(whole: Path, **how: Any) -> Path:
    """The run, killed after its first epoch and resumed in its folder."""
    first = whole.parent / "first-epoch.pt"
    rows = (whole / "results.csv").read_text().splitlines()
    (whole / "results.csv").write_text("\n".join(rows[:2]) + "\n")
    shutil.copy(first, whole / "weights/last.pt")
    YOLO(str(whole / "weights/last.pt")).train(resume=True, **how)
    return whole


def found(path: Path) -> dict[str, Any]:
    """The places that disagree."""
    return {check["name"]: check["detail"] for check in examine(path)["checks"] if not check["ok"]}


@pytest.fixture
def run(whole: Path) -> Iterator[Path]:
    """The run as it was, whatever a test does to it in its place (a resume knows its folder)."""
    kept = whole.parent / "kept"
    shutil.copytree(whole, kept, dirs_exist_ok=True)
    yield whole
    shutil.rmtree(whole)
    kept.rename(whole)


def test_a_run_and_its_checkpoints_agree(run: Path) -> None:
    report = examine(run)
    assert report["ok"]
    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert list(details) == ["trained by", "loss_plugins.yaml", "best.pt", "last.pt", "args.yaml", "results.csv"]
    assert details["trained by"] == "box loss eiou, epochs 1 to 2"
    identity = proof(run)["run"][:8]
    for file in ("loss_plugins.yaml", "best.pt", "last.pt"):
        assert f"run {identity}" in details[file]
    assert examine(run / "weights/best.pt")["ok"]


def test_the_arguments_of_a_run_name_its_losses_and_are_a_config_still(run: Path) -> None:
    losses = read_comment(run / "args.yaml")
    assert losses == proof(run)["losses"]
    assert "loss_plugins" not in yaml.safe_load((run / "args.yaml").read_text())
    assert get_cfg(str(run / "args.yaml")).imgsz == SETTINGS["imgsz"]


def test_loggers_see_the_losses_at_the_start_and_nobody_later(whole: Path, seen: list[dict[str, Any]]) -> None:
    at_start, later = seen[0], seen[1:]
    assert at_start["loss_plugins"]["box"]["type"] == "eiou"
    assert later
    assert all("loss_plugins" not in each for each in later)
    checkpoint = torch.load(whole / "weights/last.pt", weights_only=False)
    assert "loss_plugins" not in checkpoint["train_args"]


def test_a_resumed_run_continues_its_record(run: Path) -> None:
    before = proof(run)
    resumed(run, trainer=lpu.trainer(box="eiou"))
    after = proof(run)
    assert after["run"] == before["run"]
    assert after["epochs"] == [2, 2]
    (part,) = after["earlier"]
    assert part["epochs"] == [1, 1]
    assert part["report"]["box"]["train_calls"] == 2
    assert part["report"]["box"]["train_calls"] + after["report"]["box"]["train_calls"] == 4
    assert examine(run)["ok"]
    assert examine(run)["checks"][0]["detail"] == "box loss eiou, epoch 1, resumed for 2"


def test_a_stock_trainer_that_goes_on_with_a_run_is_told_and_found(run: Path) -> None:
    with heard() as lines:
        resumed(run)
    assert any("was trained with box loss eiou, and a stock trainer goes on" in line for line in lines)
    wrong = found(run)
    assert set(wrong) - {"best.pt"} == {
        "trained by",
        "last.pt",
        "args.yaml",
        "results.csv",
    }  # the first epoch may be the best
    assert "no stamp" in wrong["last.pt"]
    assert "epoch 2 was trained by a stock trainer" in wrong["results.csv"]


def test_a_stock_run_over_it_is_told_and_found(run: Path, digits: DigitsSet) -> None:
    with heard() as lines:
        YOLO("yolo11n.yaml").train(
            **{**SETTINGS, "data": str(digits.yaml), "project": str(run.parent), "name": run.name, "exist_ok": True}
        )
    assert any("tells of an earlier run" in line for line in lines)
    assert set(found(run)) == {"trained by", "best.pt", "last.pt", "args.yaml", "results.csv"}


def other_losses(run: Path) -> str:
    record = proof(run)
    record["losses"]["box"]["type"] = "giou"
    (run / "loss_plugins.yaml").write_text(yaml.safe_dump(record))
    return "box.type was 'eiou', asked for now: 'giou'"


def other_run(run: Path) -> str:
    (run / "loss_plugins.yaml").write_text(yaml.safe_dump({**proof(run), "run": "0" * 32}))
    return "another run"


def more_epochs(run: Path) -> str:
    rows = (run / "results.csv").read_text().splitlines()
    (run / "results.csv").write_text("\n".join([*rows, "3" + rows[-1].removeprefix("2")]) + "\n")
    return "the last is 3"


def no_comment(run: Path) -> str:
    lines = (run / "args.yaml").read_text().splitlines()
    (run / "args.yaml").write_text("\n".join(lines[:-1]) + "\n")
    return "names no loss"


def no_record(run: Path) -> str:
    (run / "loss_plugins.yaml").unlink()
    return "none"


def torn_record(run: Path) -> str:
    (run / "loss_plugins.yaml").write_text("losses: {box")
    return "cannot be read"


@pytest.mark.parametrize(
    ("spoil", "places"),
    [
        (other_losses, {"best.pt", "last.pt", "args.yaml"}),
        (other_run, {"best.pt", "last.pt"}),
        (more_epochs, {"results.csv"}),
        (no_comment, {"args.yaml"}),
        (no_record, {"loss_plugins.yaml"}),
        (torn_record, {"loss_plugins.yaml"}),
    ],
)
def test_what_disagrees_is_named(run: Path, spoil: Callable[[Path], str], places: set[str]) -> None:
    reason = spoil(run)
    wrong = found(run)
    assert set(wrong) == places
    assert all(reason in detail for detail in wrong.values())


def test_the_command_says_so_and_ends_with_1(run: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", str(run), "--json"])
    assert done.exit_code == 0, done.output
    assert list(json.loads(done.output)) == ["ultralytics"]
    other_run(run)
    assert CliRunner().invoke(app, ["doctor", str(run)]).exit_code == 1
    best = CliRunner().invoke(app, ["doctor", str(run / "weights/best.pt"), "--json"])
    assert "another run" in best.output


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_what_is_no_run_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"has no args\.yaml"):
        examine(tmp_path)
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights/last.pt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"last\.pt cannot be read"):
        examine(file)


@pytest.mark.parametrize(
    ("files", "others"),
    [
        ({"loss_plugins.yaml": "versions: {transformers: 5.24.0}"}, True),
        ({"loss_plugins.yaml": "versions: {ultralytics: 8.4.190}"}, False),
        ({"loss_plugins.yaml": "losses: {box: eiou}"}, False),
        ({"loss_plugins.yaml": "[versions"}, False),
        ({"config.json": "{}"}, True),
        ({"config.json": "{}", "args.yaml": "imgsz: 64"}, False),
    ],
    ids=str,
)
def test_folders_of_other_frameworks_are_left_to_them(files: dict[str, str], others: bool, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert (ultralytics_report(str(tmp_path)) is None) is others


def test_a_stock_run_has_no_trace(tmp_path: Path) -> None:
    (tmp_path / "args.yaml").write_text("imgsz: 64\n")
    (tmp_path / "results.csv").write_text("epoch,time,train/box_loss\n1,2.0,3.0\n")
    report = examine(tmp_path)
    assert report["ok"]
    assert "no trace of loss_plugins" in report["checks"][0]["detail"]


def test_a_stamp_of_an_earlier_version_goes_on_too() -> None:
    record = Record.resumed({"losses": {}, "report": {"box": {}}, "state": {}, "versions": {}}, first=4)
    assert record.as_dict()["epochs"] == [4, 3]
    assert record.earlier == [{"epochs": [1, 3], "report": {"box": {}}, "versions": {}}]
    assert len(record.run) == 32
