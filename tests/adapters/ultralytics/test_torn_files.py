# SPDX-License-Identifier: AGPL-3.0-or-later
"""The doctor of a run names files that were written in part, and files of another content; nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import runs
from loss_plugins.adapters.ultralytics.record import Record, write_comment

FILES = ("loss_plugins.yaml", "args.yaml", "results.csv")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run of two epochs, without weights."""
    losses = lpu.make_spec("eiou", "focal")
    record = {**Record(last=2).as_dict(), "losses": losses.as_dict(), "versions": {"torch": "2"}}
    (tmp_path / "loss_plugins.yaml").write_text(yaml.safe_dump(record, sort_keys=False), encoding="utf-8")
    (tmp_path / "args.yaml").write_text("task: detect\nimgsz: 64\n", encoding="utf-8")
    write_comment(tmp_path / "args.yaml", losses)
    (tmp_path / "results.csv").write_text("epoch,time,plug/box\n1,2.0,3.0\n2,4.0,3.5\n", encoding="utf-8")
    assert runs.examine(tmp_path)["ok"]
    return tmp_path


def found(run: Path, name: str) -> dict[str, Any]:
    (check,) = (each for each in runs.examine(run)["checks"] if each["name"] == name)
    return dict(check)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_a_finding(run: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    for length in range(len(whole)):
        (run / name).write_bytes(whole[:length])
        if name == "loss_plugins.yaml" and b"losses" not in whole[:length] and length % 7:
            continue  # most of what stands before is alike
        check = found(run, name)
        at_a_line = whole[length - 1 : length] == b"\n"
        if not at_a_line and name == "results.csv":
            assert "cannot be read" in check["detail"], length
        if name != "results.csv" and b"type" not in whole[:length]:
            assert not check["ok"], length


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.csv", b""),
        ("results.csv", b"epoch,plug/box\n1,2\n\n"),
        ("results.csv", b"epoch,plug/box\nnan,2\n"),
        ("results.csv", b"epoch,plug/box\n\xff,2\n"),
        ("args.yaml", b"# loss_plugins: {\n"),
        ("args.yaml", b"# loss_plugins: 5\n"),
        ("args.yaml", b'# loss_plugins: {"box": {}}\n'),
        ("args.yaml", b"\xff"),
        ("loss_plugins.yaml", b""),
        ("loss_plugins.yaml", b"5"),
        ("loss_plugins.yaml", b"losses: {box"),
        ("loss_plugins.yaml", b"\xff"),
        ("loss_plugins.yaml", b"losses: {box: {alpha: 1}}"),
        ("loss_plugins.yaml", b"losses: {box: {type: 3}}"),
        ("loss_plugins.yaml", b"run: 5\nlosses: {box: {type: eiou}}"),
        ("loss_plugins.yaml", b"epochs: 3\nlosses: {box: {type: eiou}}"),
        ("loss_plugins.yaml", b"epochs: [1, x]\nlosses: {box: {type: eiou}}"),
        ("loss_plugins.yaml", b"earlier: 3\nlosses: {box: {type: eiou}}"),
        ("loss_plugins.yaml", b"earlier: [3]\nlosses: {box: {type: eiou}}"),
    ],
)
def test_other_content_is_a_finding(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    check = found(run, name)
    assert not check["ok"]
    assert check["detail"].startswith("cannot be read: ")


def test_a_torn_checkpoint_of_a_run_is_a_finding(run: Path) -> None:
    (run / "weights").mkdir()
    (run / "weights" / "last.pt").write_bytes(b"PK\x03\x04")
    assert "cannot be read" in found(run, "last.pt")["detail"]


def test_a_path_that_does_not_exist_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "best.pt", tmp_path / "run"):
        with pytest.raises(ValueError, match=r"doctor: .* is missing"):
            runs.examine(path)
