"""`loss-plugins hardest`: label errors of a spoilt set of digits, which the model was trained on, are found."""

from __future__ import annotations

import csv
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
import yaml
from PIL import Image
from typer.testing import CliRunner, Result
from ultralytics import YOLO
from ultralytics.data import utils

from loss_plugins.adapters.ultralytics.hardest import hardest
from loss_plugins.adapters.ultralytics.hardest_data import read_data
from loss_plugins.adapters.ultralytics.hardest_predictions import (
    Asked,
    Found,
    open_model,
    predictions,
    ranked_rows,
    weights_of,
)
from tools.hardest_page import FIRST, SIZE, SPOILT, Spoilt, found, spoilt_run

from ...command_line import started

PLAIN = Asked(conf=0.01, iou=0.7, imgsz=SIZE, device="cpu", batch=16)


@dataclass(frozen=True)
class Trained:
    """A spoilt set, and the run of a model that was trained on it."""

    data: Path
    spoilt: Spoilt
    run: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    digits, spoilt, run = spoilt_run(tmp_path_factory.mktemp("spoilt"), seed=0)
    return Trained(digits.yaml, spoilt, run)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Checkpoints of models as they are built; their scores are all far below 0.01."""
    folder = tmp_path_factory.mktemp("untrained")

    def checkpoint(name: str) -> Path:
        file = folder / f"{name}.pt"
        if not file.exists():
            torch.manual_seed(0)
            YOLO(f"{name}.yaml").save(file)
        return file

    return checkpoint


def ran(*arguments: object) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(hardest)
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


def refused(*arguments: object) -> str:
    done = ran(*arguments)
    assert isinstance(done.exception, (ValueError, TypeError)), repr(done.exception)
    said = str(done.exception)
    assert said.startswith("hardest: ")
    assert "\n" not in said
    return said


# --- the proof -------------------------------------------------------------------------------------------------------


def test_spoilt_labels_are_within_the_first_of_their_ranking(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 of about 980 boxes are shifted, 10 classes swapped: a random order finds 0.4 of each within the first 40."""

    def no_network(*_: object) -> None:
        raise AssertionError("nothing is downloaded")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    done = ran(trained.run, "--data", trained.data, "--count", max(FIRST), "--out", tmp_path)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "hardest.json").read_text())
    assert report["labels"] == trained.spoilt.labels
    assert report["images"] == 250
    boxes, classes = (found(report, trained.spoilt, ranking, 40) for ranking in ("box", "cls"))
    assert boxes + classes >= 15, (boxes, classes)
    random_order = SPOILT / trained.spoilt.labels
    for ranking in ("box", "cls"):
        for first in FIRST:
            precision = found(report, trained.spoilt, ranking, first) / first
            assert precision > 5 * random_order, (ranking, first, precision)


# --- the report ------------------------------------------------------------------------------------------------------


def test_table_csv_sheets_and_json_say_the_same(trained: Trained, tmp_path: Path) -> None:
    said = ("--split", "train", "--count", 7, "--box", "giou", "--cls", "quality_focal(beta=1)", "--conf", 0.02)
    said = (*said, "--iou", 0.6, "--imgsz", 128, "--device", "cpu", "--batch", 64, "--out", tmp_path)
    done = ran(trained.run / "weights/last.pt", "--data", trained.data, *said)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "hardest.json").read_text())
    assert report["losses"] == {"box": "giou", "cls": "quality_focal(beta=1)"}
    command = report["made"]["command"]
    for words in (f"--data {trained.data}", "--count 7", "--box giou", "--cls 'quality_focal(beta=1)'", "--conf 0.02"):
        assert words in command
    for words in ("--iou 0.6", "--imgsz 128", "--device cpu", "--batch 64", "--split train"):
        assert words in command
    assert report["made"]["seed"] is None
    assert {"loss_plugins", "torch", "ultralytics", "python"} <= set(report["made"]["versions"])
    for name, heading in {
        "box": "box loss giou: the 7 highest",
        "cls": "class loss quality_focal(beta=1): the 7",
    }.items():
        assert heading in done.output
        lines = (tmp_path / f"{name}.csv").read_text().splitlines()
        assert lines[0] == f"# {command}"
        rows = list(csv.DictReader(line for line in lines if line[0] != "#"))
        assert len(rows) == len(report[name]) == 7
        for row, told in zip(rows, report[name], strict=True):
            assert float(row["loss"]) == pytest.approx(told["loss"])
            assert (row["label_file"], int(row["line"])) == (told["label_file"], told["line"])
            assert f"{Path(told['label_file']).name}:{told['line']}" in done.output
            label = Path(told["label_file"]).read_text(encoding="utf-8").splitlines()[told["line"] - 1].split()
            assert label[0] == told["name"], "file and line lead to the label"
            center = [(told["box"][k] + told["box"][k + 2]) / 2 / SIZE for k in (0, 1)]
            assert center == pytest.approx([float(each) for each in label[1:3]], abs=1e-3)
        losses = [each["loss"] for each in report[name]]
        assert losses == sorted(losses, reverse=True)
        with Image.open(tmp_path / f"{name}.png") as drawn:
            assert command in drawn.info["Description"]
            assert "ultralytics" in drawn.info["Description"]


def test_each_option_changes_the_ranking(trained: Trained, tmp_path: Path) -> None:
    def asked(*options: object) -> Any:
        common = ("--data", trained.data, "--split", "val", "--count", 4, "--json", "--out", tmp_path)
        done = ran(trained.run, *common, *options)
        assert done.exit_code == 0, done.output
        told = json.loads(done.stdout)
        return {name: [each["loss"] for each in told[name]] for name in ("box", "cls")}

    usual = asked()
    assert asked("--box", "ciou", "--cls", "bce_with_logits", "--conf", 0.01, "--iou", 0.7, "--imgsz", SIZE) == usual
    for options in (("--conf", 0.9), ("--iou", 0.0), ("--imgsz", 160)):
        assert asked(*options) != usual, options
    assert asked("--batch", 1)["box"] == pytest.approx(usual["box"], rel=1e-4)
    assert None in asked("--conf", 1.0)["box"], "without a prediction a loss is infinite"
    other = asked("--box", "giou")
    assert (other["box"] != usual["box"], other["cls"]) == (True, usual["cls"])


def test_json_is_all_that_is_printed_from_the_first_start_on(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ultralytics tells of its settings where it is imported the first time."""
    (settings := tmp_path / "settings").mkdir()
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(settings))
    line = ("hardest", str(trained.run), "--data", str(trained.data), "--split", "val", "--json")
    done = started(*line, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["losses"]["box"] == "ciou"
    assert "Settings" in done.stderr


# --- predictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trained", "yolo26n", "yolo11n-seg", "yolov8n-pose"])
def test_predictions_are_those_of_ultralytics_with_all_scores(
    name: str, trained: Trained, untrained: Callable[[str], Path], tmp_path: Path
) -> None:
    """Boxes in pixels of images that are not square, and the best score, are equal to what `predict` finds."""
    Image.open(next(trained.data.parent.glob("images/train/*"))).resize((70, 110)).save(wide := tmp_path / "a.png")
    Image.open(trained.data.parent / "images/train/train_00003.png").convert("RGB").save(other := tmp_path / "b.png")
    model = open_model(trained.run / "weights/best.pt" if name == "trained" else untrained(name))
    asked = PLAIN if name == "trained" else Asked(0.0, 0.7, 64, "cpu", 2)
    seen = list(predictions(model, [wide, other], asked))
    assert [size for size, _ in seen] == [(110, 70), (96, 96)]
    theirs = YOLO(model.ckpt_path).predict(
        [str(wide), str(other)],
        imgsz=asked.imgsz,
        conf=asked.conf,
        iou=0.7,
        agnostic_nms=True,
        rect=False,
        verbose=False,
    )
    for (_, ours), their in zip(seen, theirs, strict=True):
        assert isinstance(ours, Found)
        assert ours.scores.shape == (len(ours.boxes), len(model.names))
        assert ((ours.scores >= 0) & (ours.scores <= 1)).all()
        height, width = their.orig_shape  # what reaches beyond the image is cut in theirs
        cut = torch.minimum(ours.boxes.clamp(min=0), torch.tensor([width, height, width, height]))
        assert len(ours.boxes) > 0
        for box, score, number in zip(their.boxes.xyxy, their.boxes.conf, their.boxes.cls, strict=True):
            apart = (cut - box).abs().amax(1) + 1000 * (ours.scores[:, int(number)] - score).abs()
            assert apart.min() < 0.05
        if name == "trained":  # others leave out what has an empty mask, or repeat a box for each class
            assert len(ours.boxes) == len(their.boxes)


def test_rows_of_an_end_to_end_head_become_one_box_with_scores() -> None:
    first, second = [1.0, 2, 3, 4], [5.0, 6, 7, 8]
    boxes, scores = ranked_rows(torch.tensor([[*first, 0.9, 2], [*second, 0.5, 0], [*first, 0.3, 1]]), 3)
    told = {tuple(box): score for box, score in zip(boxes.tolist(), scores.tolist(), strict=True)}
    assert told[tuple(first)] == pytest.approx([0, 0.3, 0.9])
    assert told[tuple(second)] == pytest.approx([0.5, 0, 0])


# --- data sets -------------------------------------------------------------------------------------------------------


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A data set of odd labels, with images that hold nothing."""
    folders = {name: tmp_path / name / "train" for name in ("images", "labels")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    for stem in ("boxes", "polygons", "without", "empty", "outside"):
        Image.new("L", (64, 32), 90).save(folders["images"] / f"{stem}.png")
    (folders["images"] / "torn.jpg").write_bytes(b"no image")
    texts = {
        "boxes": "0 0.5 0.5 0.25 0.5\n\n1 0.5 0.5 x 0.5\n9 0.5 0.5 0.1 0.1\n1 0.5 0.5\n0.5 0.5 0.5 1 1\n1 nan 0 1 1\n",
        "polygons": "1 0.1 0.2 0.5 0.3 0.2 0.6\n",
        "empty": "",
        "outside": "0 1.5 0.5 0.5 0.5\n",
        "torn": "0 0.5 0.5 0.5 0.5\n",
    }
    for stem, text in texts.items():
        (folders["labels"] / f"{stem}.txt").write_text(text)
    (tmp_path / "list.txt").write_text("./images/train/boxes.png\n./images/train/without.png\n")
    said = {"path": str(tmp_path), "train": "images/train", "val": "list.txt", "names": ["a", "b"]}
    said["download"] = "raise AssertionError('nothing is downloaded')"
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(said))
    return tmp_path / "data.yaml"


def test_labels_are_read_as_they_are_written(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "check_font", lambda *_: pytest.fail("it looks for a font, and would download one"))
    data = read_data(odd, "train", "detect")
    read = {each.image.stem: [(label.line, label.number, label.box) for label in each.labels] for each in data.pictures}
    assert list(read) == ["boxes", "empty", "outside", "polygons", "torn", "without"]
    assert read["boxes"] == [(1, 0, (0.375, 0.25, 0.625, 0.75))]
    assert read["polygons"] == [(1, 1, (0.1, 0.2, 0.5, 0.6))]
    assert read["outside"] == [(1, 0, (1.25, 0.25, 1.75, 0.75))]
    assert read["without"] == read["empty"] == []
    assert [each.partition("boxes.txt:")[2] for each in data.problems] == [
        "3: holds what is no number",
        "4: class 9 is none of 0 to 1",
        "5: has 3 numbers, where a box has 5 and a polygon an odd count from 7",
        "6: class 0.5 is none of 0 to 1",
        "7: holds a number that is not finite",
    ]
    assert not list(odd.parent.rglob("*.cache")), "nothing is written beside the data"


def test_images_may_be_listed_in_a_file(odd: Path) -> None:
    assert [each.image.name for each in read_data(odd, "val", "detect").pictures] == ["boxes.png", "without.png"]


def test_lines_of_pose_models_go_on_behind_the_box(odd: Path) -> None:
    (odd.parent / "labels/train/boxes.txt").write_text("1 0.5 0.5 0.2 0.4 0.1 0.1 2 0.9 0.9 0\n")
    (first, *_) = read_data(odd, "train", "pose").pictures
    assert first.labels[0].box == pytest.approx((0.4, 0.3, 0.6, 0.7))


def test_odd_labels_are_ranked_and_what_cannot_be_read_is_told(
    odd: Path, untrained: Callable[[str], Path], tmp_path: Path
) -> None:
    model = YOLO("yolo11n.yaml")
    model.model.names = {0: "a", 1: "b"}
    model.save(file := tmp_path / "two.pt")
    done = ran(file, "--data", odd, "--conf", 0, "--imgsz", 64, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out/hardest.json").read_text())
    assert (report["images"], report["labels"], len(report["problems"])) == (6, 3, 6)
    assert report["problems"][-1].endswith("torn.jpg: is no image")
    assert report["unmatched"] >= 1
    worst = report["box"][0]
    assert (Path(worst["image"]).stem, worst["loss"], worst["predicted_box"]) == ("outside", None, None)
    assert worst["box"] == [80, 8, 112, 24]
    assert "left out: " in done.output
    assert "boxes.txt:3: holds what is no number" in done.output
    assert "and 1 more" in done.output


# --- refusals --------------------------------------------------------------------------------------------------------


def test_models_and_data_that_are_not_there_are_refused(odd: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("x")
    (tmp_path / "torn.pt").write_bytes(b"no checkpoint")
    (tmp_path / "run/weights").mkdir(parents=True)
    for name, said in {
        "yolo11n.pt": "yolo11n.pt is missing; allowed: a .pt file",
        "note.txt": "note.txt is no .pt file",
        "run": "run has no weights/best.pt",
        "torn.pt": "torn.pt cannot be read",
    }.items():
        assert said in refused(tmp_path / name, "--data", odd)
    (tmp_path / "run/weights/last.pt").touch()
    assert weights_of(tmp_path / "run").name == "last.pt"
    (tmp_path / "run/weights/best.pt").touch()
    assert weights_of(tmp_path / "run").name == "best.pt"


def test_data_sets_that_are_not_there_are_refused(odd: Path, untrained: Callable[[str], Path]) -> None:
    model, folder = untrained("yolo11n"), odd.parent
    (folder / "broken.yaml").write_text("names: [a\n")
    text = odd.read_text(encoding="utf-8")
    (folder / "lost.yaml").write_text(text.replace("images/train", "nowhere"))
    (folder / "gone.yaml").write_text(text.replace("list.txt", "nowhere"))
    (folder / "bare.yaml").write_text(text.replace("list.txt", "empty.txt"))
    (folder / "empty.txt").write_text("./images/train/without.png\n")
    for options, said in {
        ("no.yaml",): "--data=no.yaml is missing",
        (model,): "is no YAML file",
        (folder / "broken.yaml",): "broken.yaml cannot be read",
        (folder / "lost.yaml",): "nowhere is missing",
        (folder / "gone.yaml",): "images not found, missing path",
        (folder / "bare.yaml", "--split", "val"): "have no label that can be read",
        (odd, "--split", "test"): "--split=test",
        (odd,): "has 2 classes, and the model of",
    }.items():
        assert said in refused(model, "--data", *options)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yolo11n-obb", "is of the task obb: its boxes are rotated"),
        ("yolo11n-cls", "is of the task classify: it predicts no boxes"),
    ],
)
def test_models_that_cannot_be_served_are_refused(
    name: str, said: str, odd: Path, untrained: Callable[[str], Path]
) -> None:
    assert said in refused(untrained(name), "--data", odd)


def test_losses_devices_and_splits_are_refused_before_anything_is_looked_for() -> None:
    for option, said in {
        ("--box", "coiu"): "did you mean 'ciou'",
        ("--box", "nwd"): "nwd measures by its constant",
        ("--cls", "cross_entropy"): "one softmax",
        ("--device", "cuda:99"): "--device='cuda:99' is not here; allowed: cpu",
        ("--split", "trian"): "--split='trian'",
    }.items():
        assert said in refused("no.pt", "--data", "no.yaml", *option)
