"""The demo, cut down to one epoch."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from loss_plugins.adapters.ultralytics.demo import demo


def test_the_demo_trains_proves_draws_and_reuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo(folder=tmp_path, box="diou", epochs=1)
    first = capsys.readouterr().out
    run = tmp_path / "diou-1"
    assert [line.split("│")[1].strip() for line in first.splitlines() if "│ ultralytics " in line] == [
        "iou",
        "giou",
        "diou",
        "ciou",
    ]
    assert "proof: box loss diou; on fixed boxes" in first
    finished = yaml.safe_load((run / "finished.yaml").read_text())
    assert f"mAP50 {finished['mAP50']:.3f}" in first
    picture = tmp_path / "diou-1.png"
    assert picture.name in first.replace("\n", "")
    with Image.open(picture) as image:
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 24)) > 100
    written = (run / "results.csv").stat().st_mtime_ns
    demo(folder=tmp_path, box="diou", epochs=1)
    assert "reusing the run" in capsys.readouterr().out
    assert (run / "results.csv").stat().st_mtime_ns == written
