"""The benchmark's machinery on a few boxes; its timings are for docs/performance.md, never for a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from loss_plugins import bench, build_loss


def test_the_bench_measures_draws_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BOX_SIZES", (64, 128))
    monkeypatch.setattr(bench, "LOGIT_SIZES", (1600,))
    bench.bench(
        out=tmp_path, losses="giou,focal", repeats=3, device="cpu", extensions=False, report=tmp_path / "performance.md"
    )
    numbers = json.loads((tmp_path / "bench.json").read_text())
    assert [(row["loss"], row["size"]) for row in numbers["results"]] == [("giou", 64), ("giou", 128), ("focal", 1600)]
    assert set(numbers["results"][0]["median"]) == {"ours", "ours compiled", "ultralytics", "mmdet", "torchvision"}
    assert "bce" in numbers["results"][2]["median"]
    assert all(value > 0 for row in numbers["results"] for value in row["median"].values())
    assert numbers["results"][0]["saved"]["ours compiled"] == 1.0
    assert numbers["compile"]["recompilations"] == 0
    assert "| giou | 64 |" in (tmp_path / "performance.md").read_text()
    assert (tmp_path / "performance.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("loss", "peer"),
    [(name, peer) for table in (bench.BOX_PEERS, bench.DENSE_PEERS) for name, peers in table.items() for peer in peers],
)
def test_the_peers_compute_the_same_loss(loss: str, peer: str) -> None:
    """A ratio of times means something only between equal results."""
    pred, target = bench.inputs(loss, 800, "cpu")
    theirs = bench.contenders(loss)[peer](pred, target).reshape(len(pred), -1).sum(-1)
    ours = build_loss(loss, reduction="none")(pred, target).reshape(len(pred), -1).sum(-1)
    # MMDetection's CIoU counts the aspect above IoU 0.5 only, and its epsilons lie elsewhere: a few tiny boxes differ
    close = torch.isclose(theirs, ours, rtol=1e-3, atol=1e-3)
    assert close.float().mean() > (0.5 if (loss, peer) == ("ciou", "mmdet") else 0.95)
