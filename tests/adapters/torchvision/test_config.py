"""The training script of configs/torchvision, for a few steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "configs/torchvision/fcos_digits.py"


def test_the_script_trains_with_the_losses_that_it_is_told(tmp_path):
    small = ["--epochs", "2", "--train", "8", "--val", "4", "--folder", str(tmp_path / "digits")]
    asked = ["--box", "wiou", "--cls", "quality_focal"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *small, *asked],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "epoch 2: {'classification': " in done.stdout
    report, score = done.stdout.splitlines()[-2:]
    found = re.fullmatch(
        r"box loss wiou in the place of giou: 2 training calls on (\d+) rows, .*; cls loss quality_focal .*", report
    )
    assert int(found[1]) > 0
    assert 0 <= float(score.removeprefix("mAP50 ")) <= 1


def test_the_script_is_short():
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) < 60
