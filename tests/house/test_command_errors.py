"""What the command line prints for programs, for mistakes, and of losses that misbehave; how files are written."""

from __future__ import annotations

import ast
import errno
import json
import math
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer

import loss_plugins as lp
from loss_plugins import reports
from loss_plugins.audit.command import check
from loss_plugins.catalog.entries import shipped
from loss_plugins.cli import describe, list_command, print_json, show
from loss_plugins.module.imported import resolve

from ..command_line import called, started

PACKAGES = (Path(lp.__file__).parent, Path(__file__).parents[2] / "adapters")


def strict(text: str) -> Any:
    """What a reader of JSON makes of it that knows neither Infinity nor NaN."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_of_every_loss_is_strict_and_null_is_no_bound(capsys: pytest.CaptureFixture[str]) -> None:
    said = " ".join((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split())
    assert "with `null` for a number that is not finite, such as the upper end of a loss without bound" in said
    list_command(as_json=True)
    rows = {row["name"]: row for row in strict(capsys.readouterr().out)}
    for entry in shipped():
        show(entry.name, as_json=True)
        row = strict(capsys.readouterr().out)
        assert row == rows[entry.name]
        expected = [end if math.isfinite(end) else None for end in entry.traits.range]
        assert row["traits"]["range"] == expected
        assert math.inf not in row["traits"]["range"]
    assert any(math.isinf(end) for entry in shipped() for end in describe(entry)["traits"]["range"])


def test_json_is_strict_however_deep_a_number_lies(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [math.inf, (math.nan, {"b": -math.inf})], "c": Path("x"), "d": 1.5})
    assert strict(capsys.readouterr().out) == {"a": [None, [None, {"b": None}]], "c": "x", "d": 1.5}


MISBEHAVING = """
import sys

def printing(pred, target):
    print("noise")
    return (pred - target).abs().mean(-1)

def leaving(pred, target):
    sys.exit(0)

class LeavingClass:
    def __init__(self):
        sys.exit(0)

    def __call__(self, pred, target):
        return pred.sum(-1)
"""


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "misbehaving_losses.py").write_text(MISBEHAVING)
    (tmp_path / "leaving_module.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "misbehaving_losses"


def test_what_an_audited_loss_prints_is_no_part_of_the_json(
    misbehaving: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):  # L1 of boxes promises less than a box loss must hold
        check(f"{misbehaving}:printing", as_json=True)
    captured = capsys.readouterr()
    assert strict(captured.out)["target"] == f"{misbehaving}:printing"
    assert "noise" in captured.err


def test_a_loss_that_leaves_the_process_fails_its_audit(misbehaving: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left:
        check(f"{misbehaving}:leaving", as_json=True)
    assert left.value.exit_code == 1
    assert "SystemExit" in capsys.readouterr().out
    for target in (f"{misbehaving}:LeavingClass", "leaving_module:loss"):
        with pytest.raises(ValueError, match=r"sys\.exit"):
            resolve(target)


@pytest.mark.parametrize("text", ["losses: {box: {type: eiou", "losses:\n  box: eiou\n cls: bce", "losses: [1"])
def test_broken_yaml_is_one_line_and_exit_code_2(text: str, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    run = started if text.endswith("eiou") else called
    done = run("yolo", "detect", "train", "model=yolo11n.yaml", "losses=broken.yaml", cwd=tmp_path, columns=60)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "broken.yaml" in line
    assert "line " in line


def test_the_command_line_says_its_version_and_what_it_is_made_for() -> None:
    """As the package's own requirements say it; a framework that is named is examined alone."""
    assert called("--version").stdout.strip() == f"loss-plugins {lp.__version__}"
    needed = {name.lower() for name in metadata.requires("loss-plugins") or []}
    done = started("doctor", "ultralytics", "--json", columns=60)
    assert done.returncode == 0, done.stderr
    ((name, report),) = strict(done.stdout).items()
    assert name == "ultralytics"
    assert report["versions"]["ultralytics"] == metadata.version("ultralytics")
    assert any(each.startswith(report["supported"] + ";") for each in needed)
    lines = called("doctor", "ultralytics", columns=60).stdout.splitlines()
    assert f"  supported - {report['supported']}" in lines
    assert f"  served - {'; '.join(report['tasks'])}" in lines
    for task, reason in report["refused"].items():
        assert f"  refused: {task} - {reason}" in lines, "in one line, however narrow the terminal"


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "loss_plugins.yaml"
    reports.write_whole(file, "epochs: 1\n")
    file.chmod(0o640)

    def full(self: Path, text: str, **_: Any) -> None:
        with self.open("w", encoding="utf-8") as stream:
            stream.write(text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            reports.write_whole(file, "epochs: 2\n")
    assert file.read_text() == "epochs: 1\n"
    reports.write_whole(file, "epochs: 2\n")
    assert file.read_text() == "epochs: 2\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "nothing is left beside it"


def written_in_place() -> set[str]:
    """Where code of the package writes a file by another way than beside it, by file and receiver."""
    found = set()
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                receiver = ast.unparse(node.func.value)
                if node.func.attr in ("write_text", "write_bytes") and receiver != "part":
                    found.add(f"{path.name}: {receiver}")
                if node.func.attr in ("savefig", "dump") and not any(ast.unparse(each) == "part" for each in node.args):
                    found.add(f"{path.name}: {receiver}.{node.func.attr}")
    return found


def test_every_file_is_written_beside_its_place_and_renamed() -> None:
    """But for the many labels of a data set, whose manifest comes last, and a chart, which its caller renames."""
    allowed = {"digits.py: labels / f'{stem}.txt'", "training_parity.py: label", "chart.py: figure.savefig"}
    assert written_in_place() == allowed
