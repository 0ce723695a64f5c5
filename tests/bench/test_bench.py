"""The benchmark's machinery on a few boxes; its timings are for docs/performance.md, never for a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import typer

from loss_plugins import build_loss
from loss_plugins.bench import cases as contenders
from loss_plugins.bench import measure, report
from loss_plugins.bench.cases import CASES, COMPILED, OURS, Case
from loss_plugins.bench.command import bench
from loss_plugins.bench.measure import Result


def test_the_bench_measures_draws_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "BOX_SIZES", (64, 128))
    monkeypatch.setattr(contenders, "LOGIT_SIZES", (1600,))
    bench(
        out=tmp_path,
        losses="giou,focal,dice",
        repeats=3,
        device="cpu",
        extensions=False,
        report=tmp_path / "performance.md",
    )
    numbers = json.loads((tmp_path / "bench.json").read_text())
    found = {(row["loss"], row["size"]): row for row in numbers["results"]}
    assert set(found) == {("giou", 64), ("giou", 128), ("focal", 1600), ("dice", 1600)}
    assert set(found["giou", 64]["median"]) == {OURS, COMPILED, "ultralytics", "mmdet", "torchvision"}
    assert set(found["focal", 1600]["median"]) == {OURS, COMPILED, "mmdet", "torchvision", "kornia", "monai", "bce"}
    assert set(found["dice", 1600]["median"]) == {OURS, "monai"}  # not separable: nothing to compile
    assert all(value > 0 for row in numbers["results"] for value in row["median"].values())
    assert numbers["compile"]["recompilations"] == 0
    assert "| giou | 64 |" in (tmp_path / "performance.md").read_text()
    assert (tmp_path / "performance.png").stat().st_size > 10_000


def test_a_loss_without_a_peer_is_refused_with_the_closest_name() -> None:
    with pytest.raises(typer.BadParameter, match="did you mean 'ciou'"):
        bench(losses="coiu")


@pytest.mark.parametrize("name", ["giou", "ciou", "siou"])
def test_memory_of_a_box_loss(name: str) -> None:
    """By hand, for n boxes of 4 numbers: 4n are saved, the gradient. Backward lays it out anew, another 4n."""
    n = 2000
    pred, target = CASES[name].inputs(n, "cpu")
    runs = CASES[name].contenders()
    for contender in (OURS, COMPILED):
        measure.step(runs[contender], pred, target)
        assert measure.saved_bytes(runs[contender], pred, target) == 4 * n * 4
    n = 5000  # of fewer, the copies are not the largest part
    pred, target = CASES[name].inputs(n, "cpu")
    measure.step(runs[COMPILED], pred, target)
    scratch = 8 * n * 4  # the columns of both boxes
    assert 0 <= measure.peak_bytes(runs[COMPILED], pred, target) - (8 * n * 4 + scratch) < n
    assert measure.peak_bytes(runs["mmdet"], pred, target) > 25 * n * 4


@pytest.mark.parametrize(
    ("loss", "peer"), [(case.loss, peer.package) for case in CASES.values() for peer in case.peers]
)
def test_the_peers_compute_the_same_loss(loss: str, peer: str) -> None:
    """A ratio of times means something only between equal results."""
    case = CASES[loss]
    pred, target = case.inputs(8000, "cpu")
    theirs = case.contenders()[peer](pred, target)
    ours = build_loss(loss, reduction="none", **case.parameters)(pred, target)
    if theirs.numel() != ours.numel():  # some return a number per row where ours has one per score or channel
        theirs, ours = (part.reshape(len(pred), -1).sum(-1) for part in (theirs, ours))
    theirs, ours = theirs.flatten(), ours.flatten()
    # MMDetection's CIoU counts the aspect above IoU 0.5 only, and epsilons lie elsewhere: some boxes differ
    close = torch.isclose(theirs, ours, rtol=1e-3, atol=1e-3)
    assert close.float().mean() > (0.5 if (loss, peer) == ("ciou", "mmdet") else 0.95)


def test_missing_goals_are_named_with_both_numbers() -> None:
    slow = Result("ciou", 512, {OURS: 2.0, COMPILED: 1.0, "mmdet": 1.5}, saved={OURS: 4.0, COMPILED: 1.0})
    assert report.goals_missed(slow) == [
        "- ciou, 512, eager: 0.75x of the fastest peer, goal 1",
        "- ciou, 512, eager: 4.0x saved, goal 2",
        "- ciou, 512, compiled: 1.50x of the fastest peer, goal 3.5",
    ]
    dense = Result(
        "focal", 4_000_000, {OURS: 1.0, COMPILED: 3.0, "mmdet": 1.2, "bce": 2.0}, saved={OURS: 1.0, COMPILED: 1.0}
    )
    assert report.goals_missed(dense) == [
        "- focal, 4,000,000, eager: 1.20x of mmdet, goal 1.3",
        "- focal, 4,000,000, compiled: 1.50 times BCE, goal 1.2",
    ]
    good = Result("ciou", 512, {OURS: 1.0, COMPILED: 0.2, "mmdet": 1.5}, saved={OURS: 1.0, COMPILED: 1.0})
    assert report.goals_missed(good) == []


def test_kernels_of_a_gpu_are_a_column_of_their_own() -> None:
    times = {OURS: 2.0, COMPILED: 1.0, "mmdet": 1.5}
    result = Result("ciou", 512, times, times, saved=times, peak=times, limit=1.0)
    assert "kernels" not in report.markdown([result])
    result.kernels = {OURS: 140, COMPILED: 3, "mmdet": 90}
    assert report.markdown([result]).endswith("| ours 140, ours compiled 3, mmdet 90 |")


def test_a_package_that_is_not_installed_is_named_and_left_out() -> None:
    case = Case("ciou", "boxes", (contenders.Peer("nowhere", "no_such_package:loss"),))
    assert case.missing() == ["nowhere"]
    assert "nowhere" not in case.contenders()
