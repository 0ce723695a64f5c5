"""`loss-plugins compare -- yolo ...`: two losses, two seeds and one epoch on digits, and what ends it before that."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.utils import torch_utils

from loss_plugins.adapters.ultralytics.compare import Noted, training
from loss_plugins.adapters.ultralytics.errors import UnsupportedUltralytics
from loss_plugins.demo.digits import DigitsSet
from loss_plugins.evidence.contenders import Contender, contenders
from loss_plugins.evidence.grid import Result, results_in

from ...command_line import Done, called
from .ultralytics_runs import results

#: a loss that is the stock one, bit for bit
TWIN = "ciou(dialect=ultralytics)"
LOSSES = f"stock,{TWIN}"


def words(digits: DigitsSet, **more: Any) -> list[str]:
    settings = {
        "model": "yolo11n.yaml", "data": digits.yaml, "epochs": 1, "imgsz": 64, "batch": 8, "amp": False,
        "plots": False, "verbose": False, "device": "cpu", **more,
    }  # fmt: skip
    return ["detect", "train", *(f"{key}={value}" for key, value in settings.items())]


def compared(digits: DigitsSet, out: Path, *options: str, **more: Any) -> Done:
    return called("compare", "--threads", "1", "--out", str(out), *options, "--", "yolo", *words(digits, **more))


@dataclass(frozen=True)
class Comparison:
    """A finished one.

    Attributes:
        out: its folder.
        printed: what the command printed.
        cells: its results, by loss and seed.
    """

    out: Path
    printed: str
    cells: dict[tuple[str, int], Result]

    def run(self, loss: str, seed: int) -> Path:
        return self.out / "cells" / self.cells[loss, seed].key / "run"


@pytest.fixture(scope="session")
def comparison(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Stock and its twin, two seeds, one epoch: trained once for all tests that ask for it."""
    out = tmp_path_factory.mktemp("compared")
    done = compared(digits, out, "--losses", LOSSES, "--seeds", "2")
    assert done.returncode == 0, done.stderr
    return Comparison(out, done.stdout, {(each.loss, each.seed): each for each in results_in(out)})


def twin() -> Contender:
    return contenders(TWIN, "compare")[1]


def test_stock_against_its_twin_is_exactly_0(comparison: Comparison) -> None:
    """All that is logged is the same, so that nothing but the loss can tell trainings apart."""
    found = json.loads((comparison.out / "compare.json").read_text())
    stock, ours = found["losses"]
    assert [each["loss"] for each in (stock, ours)] == ["stock", twin().label]
    for name in ("mAP50-95", "mAP50"):
        difference = ours[name]["difference_to_stock"]
        assert (difference["differences"], difference["mean"], difference["sd"]) == ([0.0, 0.0], 0.0, 0.0)
        assert difference["interval"] == [0.0, 0.0]
    assert ours["verdict"] == "cannot tell"
    for seed in (0, 1):
        rows = [results(comparison.run(loss, seed)) for loss in ("stock", twin().label)]
        both = [name for name in rows[0][0] if name in rows[1][0]]
        assert {"train/box_loss", "train/cls_loss", "val/box_loss"} <= set(both)
        assert [rows[0][0][name] for name in both] == [rows[1][0][name] for name in both]
    assert results(comparison.run("stock", 0)) != results(comparison.run("stock", 1)), "seeds differ"


def test_each_cell_says_what_it_was_trained_on_and_by(comparison: Comparison) -> None:
    assert len(comparison.cells) == 4
    stock, ours = (comparison.cells[loss, 0].trained for loss in ("stock", twin().label))
    assert stock.same == ours.same
    assert {*stock.same["data"]} == {"train", "val"}
    assert stock.same["settings"]["box"] == 7.5
    assert stock.same["assigner"][0].startswith("TaskAlignedAssigner(topk=10, num_classes=10, alpha=0.5, beta=6.0")
    assert comparison.cells["stock", 0].trained.start == ours.start
    assert comparison.cells["stock", 1].trained.start != ours.start
    assert ours.loss["losses"]["box"]["type"] == "ciou"
    assert stock.loss == {}
    assert comparison.cells["stock", 0].asked["threads"] == 1
    assert "ultralytics" in comparison.cells["stock", 0].versions


def test_what_is_there_is_not_trained_again_and_page_and_picture_lie_beside(
    comparison: Comparison, digits: DigitsSet
) -> None:
    before = {file: file.stat().st_mtime_ns for file in comparison.out.glob("cells/*.json")}
    done = compared(digits, comparison.out, "--losses", LOSSES, "--seeds", "2")
    assert "4 of 4 trainings are there already" in done.stdout
    assert {file: file.stat().st_mtime_ns for file in comparison.out.glob("cells/*.json")} == before
    assert "each trained with the seeds 0, 1" in comparison.printed.split("training 1 of 4")[0]
    assert "| stock |" in (comparison.out / "compare.md").read_text()
    assert (comparison.out / "compare.png").is_file()
    assert (comparison.out / "compare.csv").is_file()


def test_data_that_have_changed_are_told(comparison: Comparison, digits: DigitsSet, tmp_path: Path) -> None:
    """The same command, with a label less."""
    moved = tmp_path / "digits"
    shutil.copytree(digits.root, moved, ignore=shutil.ignore_patterns("*.cache"))
    label = next(file for file in sorted((moved / "labels/train").iterdir()) if len(file.read_text().splitlines()) > 1)
    label.write_text("\n".join(label.read_text().splitlines()[1:]) + "\n")
    yaml = moved / "digits.yaml"
    yaml.write_text(yaml.read_text().replace(str(digits.root), str(moved)))
    trained = training([word.replace(str(digits.yaml), str(yaml)) for word in words(digits)]).train(
        contenders("ciou", "compare")[0], 0, "keep", 1, tmp_path
    )
    first = comparison.cells["stock", 0].trained
    assert trained.same["data"]["train"] != first.same["data"]["train"]
    assert trained.same["data"]["val"] == first.same["data"]["val"]
    assert trained.start == first.start


def test_a_training_that_was_stopped_goes_on(
    digits: DigitsSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the last whole epoch, with its loss, its threads and the weights that it began with."""
    monkeypatch.setattr(torch_utils, "NUM_THREADS", 7)
    whole = training(words(digits, epochs=3))

    def stop(self: Noted, trainer: Any) -> None:
        if trainer.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Noted, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            whole.train(contenders("eiou", "compare")[1], 0, "keep", 1, tmp_path)
    start = json.loads((tmp_path / "start.json").read_text())["start"]
    trained = whole.train(contenders("eiou", "compare")[1], 0, "keep", 1, tmp_path)
    assert (trained.resumed, trained.start) == (2, start)
    assert [row["epoch"] for row in results(tmp_path / "run")] == [1, 2, 3]
    assert trained.loss["losses"]["box"]["type"] == "eiou"
    assert trained.same["assigner"]
    assert torch_utils.NUM_THREADS == torch.get_num_threads() == 1


BEFORE: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown loss": ("coiu", {}, "unknown loss"),
    "another slot's task": ("dice", {}, "has no mask loss"),
    "a loss per class of others": ("cross_entropy", {}, "cross_entropy"),
    "rotated boxes": ("kld", {}, "losses of kind box"),
    "data that are missing": ("ciou", {"data": "nowhere.yaml"}, "data=nowhere.yaml cannot be read"),
    "a model that is missing": ("ciou", {"model": "nowhere.yaml"}, "model=nowhere.yaml cannot be read"),
    "a loss behind --": ("ciou", {"box_loss": "eiou"}, "box_loss=... stands behind --"),
    "a seed behind --": ("ciou", {"seed": 3}, "seed=3 stands behind --"),
    "no validation": ("ciou", {"val": False}, "val=False stands behind --"),
    "two devices": ("ciou", {"device": "0,1"}, "stands behind --"),
}


@pytest.mark.parametrize("what", BEFORE)
def test_it_ends_before_any_training(what: str, digits: DigitsSet, tmp_path: Path) -> None:
    losses, more, said = BEFORE[what]
    done = compared(digits, tmp_path / "out", "--losses", losses, "--seeds", "2", **more)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_loss_of_each_kind_goes_into_its_slot(digits: DigitsSet) -> None:
    asked = training(words(digits))
    for name in ("mpdiou", "nwd", "wise_inner_diou", "focal", "distribution_focal"):
        asked.require(contenders(name, "compare")[1], "keep")
    asked.require(contenders("giou", "compare")[1], "match")


def test_a_model_that_cannot_compute_a_loss_ends_it(digits: DigitsSet) -> None:
    """YOLO26 has no bins; its criterion is asked before any training."""
    asked = training(words(digits, model="yolo26n.yaml"))
    asked.require(contenders("l1", "compare")[1], "keep")
    with pytest.raises((ValueError, UnsupportedUltralytics)):
        asked.require(contenders("distribution_focal", "compare")[1], "keep")
