"""Running statistics on several ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loss_plugins import build_loss
from loss_plugins.demo.digits import DigitsSet
from loss_plugins.labels import Given
from loss_plugins.module.state import statistics_of

from ...two_ranks import run_two_ranks
from . import ranks

BRANCHES = 2  # of yolo26n


def test_two_ranks_have_the_state_of_one_process_with_all_rows_after_every_batch(
    digits: DigitsSet, tmp_path: Path
) -> None:
    first, second = (
        torch.load(file, weights_only=True) for file in run_two_ranks(ranks.__file__, str(digits.yaml), str(tmp_path))
    )
    alone = [build_loss(spec, reduction="none") for spec in ranks.LOSSES.values() for _ in range(BRANCHES)]
    statistics = statistics_of(alone)
    assert len(first) == len(second) == 4
    for batch, (ours, theirs) in enumerate(zip(first, second, strict=True)):
        boxes = sum(len(pred) for number, pred, _ in theirs["rows"] if number < BRANCHES)
        assert (boxes == 0) == (batch == 0), "rank 1 has no objects at first"
        for number, statistic in enumerate(statistics):
            before = statistic.value.clone()
            rows = [pair for which, *pair in ours["rows"] + theirs["rows"] if which == number]
            pred, target = (torch.cat([part.flatten(0, -2) for part in parts]) for parts in zip(*rows, strict=True))
            statistic.learn(Given(pred, target), None)
            assert torch.equal(ours["states"][number], theirs["states"][number])
            assert ours["states"][number].tolist() == pytest.approx(statistic.value.tolist(), rel=1e-6)
            assert not torch.equal(statistic.value, before), "each batch is a step, also one without an optimizer step"
    assert torch.equal(first[1]["weights"], first[0]["weights"]), "gradients are accumulated"
    assert torch.equal(first[3]["weights"], second[3]["weights"])
