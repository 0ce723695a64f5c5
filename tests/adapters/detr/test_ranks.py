"""Two processes: a running statistic is what one process with the rows of both would have made of them."""

from __future__ import annotations

import torch

from loss_plugins import build_loss, cxcywh_to_xyxy

from ...two_ranks import run_two_ranks
from . import criterion_ranks, own
from .criterion_ranks import STEPS, given


def test_ranks_learn_as_one() -> None:
    one, matcher = build_loss("wiou"), own.Matcher()
    for step in range(STEPS):
        one.begin_step()
        for rank in range(2):
            outputs, targets = given(step, rank)  # type: ignore[misc]
            for layer in (outputs, *outputs["aux_outputs"]):
                pred, target = own.pairs(layer, targets, matcher(layer, targets))
                one.elementwise(cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target))
    ranks = run_two_ranks(criterion_ranks.__file__)
    assert ranks[0] == ranks[1]
    found = torch.tensor(ranks[0]["mean.value"], dtype=torch.float64)
    torch.testing.assert_close(found, one.mean.value, rtol=1e-9, atol=0)
