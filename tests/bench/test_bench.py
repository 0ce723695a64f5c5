"""The benchmark's machinery on a few boxes; its timings are for docs/performance.md, never for a test."""

from __future__ import annotations

import pytest
import torch

from loss_plugins import build_loss
from loss_plugins.bench import measure
from loss_plugins.bench.cases import CASES, COMPILED, OURS
from loss_plugins.bench.measure import Result
from loss_plugins.bench.report import goals_missed
from loss_plugins.peers import timed


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


@pytest.mark.parametrize(("loss", "peer"), [(loss, peer.framework) for loss in CASES for peer in timed(loss)])
def test_the_peers_compute_the_same_loss(loss: str, peer: str) -> None:
    """A ratio of times means something only between equal results."""
    case = CASES[loss]
    pred, target = case.inputs(8000, "cpu")
    theirs = case.contenders()[peer](pred, target)
    ours = build_loss(loss, reduction="none", **case.parameters)(pred, target)
    if theirs.numel() != ours.numel():  # some return a number per row where ours has one per score or channel
        theirs, ours = (part.reshape(len(pred), -1).sum(-1) for part in (theirs, ours))
    theirs, ours = theirs.flatten(), ours.flatten()
    # MMDetection's CIoU counts the aspect above IoU 0.5 only, its bounded IoU adds 0.001 to sides of this length
    close = torch.isclose(theirs, ours, rtol=1e-3, atol=1e-3)
    assert close.float().mean() > {"ciou": 0.5, "bounded_iou": 0.85}.get(loss, 0.95)


def test_missing_goals_are_named_with_both_numbers() -> None:
    slow = Result("ciou", 512, {OURS: 2.0, COMPILED: 1.0, "mmdet": 1.5}, saved={OURS: 4.0, COMPILED: 1.0})
    assert goals_missed(slow) == [
        "ciou, 512, eager: 0.75x of the fastest peer, goal 1",
        "ciou, 512, eager: 4.0x saved, goal 2",
        "ciou, 512, compiled: 1.50x of the fastest peer, goal 3.5",
    ]
    dense = Result(
        "focal", 4_000_000, {OURS: 1.0, COMPILED: 3.0, "mmdet": 1.2, "bce": 2.0}, saved={OURS: 1.0, COMPILED: 1.0}
    )
    assert goals_missed(dense) == [
        "focal, 4,000,000, eager: 1.20x of mmdet, goal 1.3",
        "focal, 4,000,000, compiled: 1.50 times BCE, goal 1.2",
    ]
    good = Result("ciou", 512, {OURS: 1.0, COMPILED: 0.2, "mmdet": 1.5}, saved={OURS: 1.0, COMPILED: 1.0})
    assert goals_missed(good) == []


def test_a_goal_that_speaks_of_a_peer_needs_that_peer() -> None:
    alone = Result("focal", 160_000, {OURS: 1.0, COMPILED: 0.5, "bce": 0.5}, saved={OURS: 1.0, COMPILED: 1.0})
    assert goals_missed(alone) == []
