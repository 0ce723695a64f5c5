"""Losses with running statistics learn once per iteration of a runner, with the hook and without it."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS

from loss_plugins import UIoULoss, iou_loss

from ...two_ranks import MMDET, rows, run_two_ranks
from . import steps_ranks
from .runs import BATCHES, HOOK, run

MOMENTUM = 0.1
WISE = {"type": "loss_plugins.WIoULoss", "version": 3, "momentum": MOMENTUM}
LEVELS = [4, 1, 3]  # boxes of each call of an iteration


def mean_of(loss: Any) -> float:
    return float(loss.loss.mean.value)


def by_hand(steps: list[list[tuple[int, int, int]]]) -> float:
    """m := 0.9 m + 0.1 mean(1 - IoU), over all boxes of a step at once."""
    mean = 1.0
    for calls in steps:
        costs = torch.cat([iou_loss(*rows("box", *call, torch.float32)) for call in calls])
        mean = 0.9 * mean + 0.1 * costs.double().mean().item()
    return mean


ITERATIONS = [[(step, level, count) for level, count in enumerate(LEVELS)] for step in range(BATCHES)]
CALLS = [[call] for calls in ITERATIONS for call in calls]


@pytest.mark.parametrize("hooks", [HOOK, {}], ids=["with the hook", "without it"])
def test_an_iteration_is_one_update(hooks: dict[str, Any], tmp_path: Path) -> None:
    training = run(tmp_path, WISE, [LEVELS], default_hooks=hooks)
    training.train()
    found = mean_of(training.model.bbox_head.loss_bbox)
    assert found == pytest.approx(by_hand(ITERATIONS), rel=1e-6)
    assert found != pytest.approx(by_hand(CALLS), rel=0.01)


def test_the_hook_tells_how_much_of_the_training_is_over(tmp_path: Path) -> None:
    uiou = {"type": "loss_plugins.MixLoss", "losses": [{"type": "loss_plugins.UIoULoss"}, "eiou"]}
    training = run(tmp_path, uiou, [LEVELS], default_hooks=HOOK)
    training.train()
    (loss,) = (each for each in training.model.bbox_head.loss_bbox.modules() if isinstance(each, UIoULoss))
    assert float(loss.progress.value) == pytest.approx(1 - 1 / training.max_iters)


def call(loss: Any, step: int, level: int, count: int) -> None:
    pred, target = rows("box", step, level, count, torch.float32)
    loss(pred.requires_grad_(), target)


def test_outside_of_a_runner_each_call_is_a_step() -> None:
    loss = MODELS.build(WISE)
    for (each,) in CALLS:
        call(loss, *each)
    assert mean_of(loss) == pytest.approx(by_hand(CALLS), rel=1e-6)


def test_outside_of_a_runner_steps_may_be_begun_by_hand() -> None:
    loss = MODELS.build(WISE)
    for calls in ITERATIONS:
        loss.loss.begin_step()
        for each in calls:
            call(loss, *each)
    assert mean_of(loss) == pytest.approx(by_hand(ITERATIONS), rel=1e-6)


@pytest.mark.parametrize("hooks", [HOOK, {}], ids=["with the hook", "without it"])
def test_after_a_training_each_call_is_a_step_again(hooks: dict[str, Any], tmp_path: Path) -> None:
    training = run(tmp_path, WISE, [LEVELS], default_hooks=hooks)
    training.train()
    loss = training.model.bbox_head.loss_bbox.train()
    for (each,) in CALLS[:4]:
        call(loss, *each)
    assert mean_of(loss) == pytest.approx(by_hand([*ITERATIONS, *CALLS[:4]]), rel=1e-6)


def test_the_next_run_begins_a_step_in_its_first_iteration(tmp_path: Path) -> None:
    """The last iteration of a run, and the first one of the next, may have the same number."""
    loop = {"by_epoch": False, "max_iters": 1}
    first = run(tmp_path, WISE, [LEVELS], loop, default_hooks={})
    first.train()
    second = run(tmp_path, WISE, [LEVELS], loop, default_hooks={})
    second.model.bbox_head.loss_bbox = first.model.bbox_head.loss_bbox
    second.train()
    assert mean_of(second.model.bbox_head.loss_bbox) == pytest.approx(by_hand([ITERATIONS[0]] * 2), rel=1e-6)


def test_copies_follow_by_themselves() -> None:
    loss = MODELS.build(WISE)
    call(loss, 0, 0, 9)
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        call(other, 1, 0, 9)
        assert mean_of(other) != mean_of(loss)


# --- ranks ------------------------------------------------------------------------------------------------------------


def test_ranks_that_nothing_sums_are_warned_of_once() -> None:
    """In a run without the hook, and outside of runs; not with the hook, nor where steps are begun by hand."""
    for said in run_two_ranks(steps_ranks.__file__, json.dumps(WISE), known=MMDET):
        assert said["hook"] == []
        assert said["by hand"] == []
        for place in ("runner", "outside"):
            (text,) = said[place]
            assert "wiou keeps running statistics, and nothing sums them over the 2 processes" in text
            assert "default_hooks = dict(loss_plugins=" in text
