"""The command line, run as a user runs it: each kind of command in a process of its own once, else in this one."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
from transformers import RTDetrForObjectDetection

import loss_plugins as lp
from loss_plugins import cli
from loss_plugins.adapters.transformers import doctor as transformers_doctor
from loss_plugins.catalog.entries import shipped
from loss_plugins.demo.digits import make_digits
from loss_plugins.module.build import module_class

from .adapters.interpreter import forked_python
from .command_line import COMMAND, called, forked, started

#: the losses of other tests are in the catalogue of this process, and not in that of a fresh one
FRESH = (["show", "coiu"], ["doctor", "nosuch.py"], ["yolo", "detect", "train", "box_loss=eiou"])


def test_list_shows_every_loss() -> None:
    done = started("list")
    assert done.returncode == 0, done.stderr
    for entry in shipped():
        assert f" {entry.name} " in done.stdout


def test_list_counts_one_loss_as_one() -> None:
    assert "1 loss (" in called("list", "--kind", "quad").stdout
    assert re.search(r"\d+ losses \(", called("list", "--kind", "keypoint").stdout)


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_list_has_one_line_a_loss_at_any_width(columns: int) -> None:
    lines = called("list", columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    by_name = {line.split()[0]: line for line in lines if line.strip()}
    for entry in shipped():
        line = by_name[entry.name]
        assert line.split()[1] == entry.kind
        assert str(entry.source.year or "") in line
        assert entry.summary[:8] in line
        assert (f" {module_class(entry.name).__name__} " in line) == (columns >= 100)
    assert ("source" in by_name["name"]) == (columns >= 140)


@pytest.mark.parametrize("columns", [80, 140])
def test_show_fits_and_prints_a_readable_formula(columns: int) -> None:
    done = called("show", "giou", columns=columns)
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "1 - IoU + (C - U)/C" in done.stdout
    words = " ".join(done.stdout.replace("│", " ").split())
    for parameter in lp.get_entry("giou").parameters.values():
        assert parameter.name in words
    assert "the penalty keeps" in words


def test_show_prints_latex_when_asked_or_where_the_terminal_has_no_unicode() -> None:
    latex = lp.get_entry("focal").formula
    assert latex in called("show", "focal", "--latex").stdout
    assert latex not in called("show", "focal").stdout
    environment = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "ascii", "TERM": "dumb", "PYTHONUTF8": "0"}
    done = subprocess.run([*COMMAND, "show", "focal"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert latex in done.stdout


def test_a_formula_that_is_not_known_is_shown_as_it_was_written() -> None:
    code = (
        "import sys, loss_plugins as lp\n"
        "from loss_plugins.cli import main\n"
        "lp.register_loss('odd', formula=r'\\dfrac{a + b}{c}')(lambda pred, target: (pred - target).sum(-1))\n"
        "sys.argv = ['loss-plugins', 'show', 'odd']\n"
        "main()"
    )
    assert r"\dfrac{a + b}{c}" in forked_python(code)


@pytest.mark.parametrize("arguments", [["list"], ["show", "balanced_l1"]])
def test_a_terminal_without_unicode_is_served(arguments: list[str]) -> None:
    environment = {**os.environ, "COLUMNS": "40", "PYTHONIOENCODING": "ascii", "TERM": "dumb", "PYTHONUTF8": "0"}
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_narrow_terminal_folds_links_and_leaves_columns_out_whole() -> None:
    link = lp.get_entry("cross_entropy").source.url
    assert link in called("show", "cross_entropy", columns=50).stdout.replace("\n", "").replace(" ", "")
    lines = called("list", columns=50).stdout.splitlines()
    head = next(line for line in lines if "what it is" in line)
    assert head.split() == ["name", "what", "it", "is"]


def test_list_of_one_kind_as_json() -> None:
    done = forked("list", "--kind", "coordinate", "--json")
    entries = json.loads(done.stdout)
    assert [entry["name"] for entry in entries] == [entry.name for entry in shipped() if entry.kind == "coordinate"]
    assert {entry["kind"] for entry in entries} == {"coordinate"}
    assert {entry["type"] for entry in entries} >= {"loss_plugins.SmoothL1Loss", "loss_plugins.L1Loss"}


def test_show_tells_formula_parameters_and_traits() -> None:
    done = called("show", "focal_eiou")
    assert done.returncode == 0, done.stderr
    for text in (
        "https://arxiv.org/abs/2101.08158",
        "gamma",
        "0.5",
        "[0, 10]",
        "gradient when disjoint",
        "no gradient",
    ):
        assert text in done.stdout


@pytest.mark.parametrize("name", [entry.name for entry in shipped()])
def test_show_as_json_for_every_loss(name: str) -> None:
    """The data behind `show`, without starting an interpreter for each."""
    from loss_plugins.cli import describe

    entry = json.loads(json.dumps(describe(lp.get_entry(name))))
    assert entry["name"] == name
    assert all(len(parameter["meaning"]) > 5 for parameter in entry["parameters"].values())
    for needed in ("summary", "formula", "use_when", "avoid_when"):
        assert len(entry[needed]) > 2, f"{name} lacks {needed}"
    assert name == "mix" or entry["source"]["url"].startswith("https://")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["show", "coiu"],
            f"NAME='coiu' is an unknown loss; allowed: the {len(shipped())} names of list_losses(); did",
        ),
        (["list", "--kind", "boxes"], "kind='boxes'"),
        (["check", "my_iou_loss"], "one of your own is MODULE:FUNCTION"),
        (["doctor", "runs/nosuch"], "error: doctor: 'runs/nosuch' is no run, checkpoint, config or framework"),
        (["doctor", "nosuch.py"], "error: doctor: 'nosuch.py' is no run, checkpoint, config or framework"),
        (["doctor", "mmdet", "ultralytics"], "error: doctor: 'ultralytics' is one argument too many"),
        (["doctor", "--fix"], "error: doctor: --cfg-options and --fix are for a config"),
        (["doctor", "nosuch.pt"], "error: doctor: 'nosuch.pt' is no run, checkpoint, config or framework"),
        (["yolo", "train", "model=yolo11n.yaml", "box_loss=my_own"], "imports=MODULE on the shell"),
        (["yolo", "detect", "tune", "box_loss=eiou"], "tune trains in other processes"),
        (["yolo", "detect", "predict", "box_loss=eiou"], "only training uses a loss"),
        (["yolo", "detect", "train", "box_loss=eiou"], "model=... is missing"),
        (["yolo", "detect", "train", "model=yolo11n.yaml"], "no loss was asked for"),
        (["yolo", "detect", "train", "model=yolo11n.yaml", "box_loss=eoiu"], "did you mean 'eiou'"),
        (["yolo", "classify", "train", "model=yolo11n-cls.yaml", "box_loss=eiou"], "task 'classify' cannot be served"),
        (["yolo", "detect", "train", "box_loss.alpha=2"], "was given without box_loss=NAME"),
        (["yolo", "detect", "train", "losses=nowhere.yaml"], "is not a file"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(arguments: list[str], message: str) -> None:
    done = (forked if arguments in FRESH else called)(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_finds_a_working_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every adapter's report; those of each model, and of a doctor in a process of its own, are tested with them."""
    monkeypatch.setattr(transformers_doctor, "detectors", lambda: [RTDetrForObjectDetection])
    done = called("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert set(report) == {point.name for point in entry_points(group=cli.DOCTORS)}
    assert all(each["ok"] for each in report.values())
    assert report["ultralytics"]["ok"]
    assert "classify" in report["ultralytics"]["refused"]


def test_yolo_trains_with_the_loss(tmp_path: Path) -> None:
    digits = make_digits(tmp_path / "digits", train=8, val=4, progress=False)
    settings = {
        "model": "yolo26n.yaml", "data": str(digits.yaml), "epochs": 1, "imgsz": 64, "batch": 4, "workers": 0,
        "amp": False, "plots": False, "device": "cpu", "project": str(tmp_path), "name": "run",
    }  # fmt: skip
    pairs = [f"{key}={value}" for key, value in settings.items()]
    done = started("yolo", "train", "cos_lr", "box_loss.alpha=2", *pairs, "box_loss=alpha_iou", "gain=match")
    assert done.returncode == 0, done.stderr
    proof = (tmp_path / "run/loss_plugins.yaml").read_text()
    assert "type: alpha_iou" in proof
    assert "alpha: 2" in proof
    assert "gain: match" in proof
    assert "cos_lr: true" in (tmp_path / "run/args.yaml").read_text()
    with (tmp_path / "run/results.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["train/box_loss"]) > 0


def test_doctor_takes_a_missing_framework_for_no_fault() -> None:
    point = EntryPoint("absent", "no_such_module_of_ours:report", cli.DOCTORS)
    report = cli._examined(point, None)
    assert report["ok"]
    assert report["checks"] == [
        {"name": "not installed", "ok": False, "detail": "No module named 'no_such_module_of_ours'"}
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_tried_is_shown_on_a_terminal_alone(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    monkeypatch.setenv("TERM", "xterm")
    with cli._working("mmdet: trying [config].py"):
        print("a line of the framework")
    out, err = capsys.readouterr()
    assert out == "a line of the framework\n"
    assert ("mmdet: trying [config].py" in err, "0:00:0" in err) == (terminal, terminal)
    assert bool(err) is terminal


@pytest.mark.parametrize("columns", [60, 80])
def test_doctor_cuts_no_remedy(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    detail = "set model.bbox_head.a_head_of_a_long_name.reg_decoded_bbox=True in the config"
    cli._print_report(
        "mmdet", {"supported": "", "versions": {}, "checks": [{"name": "a", "ok": False, "detail": detail}]}
    )
    assert f"  no a - {detail}" in capsys.readouterr().out.splitlines()


def test_show_takes_a_loss_of_ones_own(tmp_path: Path) -> None:
    """MODULE:FUNCTION of the current folder, as `check` does; what is not registered is told so."""
    (tmp_path / "shown_losses.py").write_text(
        "import loss_plugins as lp\n\n\n@lp.register_loss('shown_iou')\ndef shown_iou_loss(pred, target):\n"
        '    "One minus IoU."\n    return lp.iou_loss(pred, target)\n\n\ndef plain(pred, target):\n    return pred\n'
    )
    done = forked("show", "shown_losses:shown_iou_loss", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("shown_iou (box) - One minus IoU")
    assert "in configs  loss_plugins.ShownIouLoss" in done.stdout
    unknown = forked("show", "shown_iou", cwd=tmp_path)
    assert "MODULE:FUNCTION" in unknown.stderr
    assert "imports=" not in unknown.stderr
    plain = forked("show", "shown_losses:plain", cwd=tmp_path)
    assert "show: NAME='shown_losses:plain' is in no catalogue" in plain.stderr


def test_every_command_that_is_installed_has_a_line_of_help() -> None:
    assert {*cli.HELP} == {each.name for each in entry_points(group="loss_plugins.commands")}
