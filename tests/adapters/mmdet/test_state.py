"""Losses with running statistics: when they learn, across calls, ranks and checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner

from ...two_ranks import MMDET, STEPS, rows, run_two_ranks
from . import ranks
from .heads import BATCHES, CASES
from .ranks import train
from .shipped import load

WISE = {"type": "loss_plugins.WIoULoss", "version": 3, "momentum": 0.1}
OTHER = {"type": "loss_plugins.EIoULoss", "wise": 3}
SCORES = {"type": "loss_plugins.GHMCLoss", "momentum": 0.5}


def state(loss: Any) -> float:
    return float(next(loss.buffers()))


def build(**parameters: Any) -> Any:
    return MODELS.build({**WISE, **parameters})


# --- when it learns ---------------------------------------------------------------------------------------


def call(loss: Any, count: int = 9, **arguments: Any) -> Any:
    pred, target = rows("box", 0, 0, count, torch.float32)
    return loss(pred.requires_grad_(), target, **arguments)


def test_it_learns_from_a_training_step() -> None:
    loss = build()
    before = state(loss)
    call(loss)
    assert state(loss) < before
    assert loss.lessons == 1


def test_a_call_for_scores_teaches_nothing() -> None:
    loss = build()
    before = state(loss)
    call(loss, reduction_override="none").sum().backward()
    call(build(reduction="none"))
    assert state(loss) == before
    assert loss.lessons == 0


def test_validation_teaches_nothing() -> None:
    loss = build()
    before = state(loss)
    with torch.no_grad():
        call(loss)
    with torch.inference_mode():
        call(loss)
    loss.eval()
    call(loss)
    assert state(loss) == before
    loss.train()
    call(loss).backward()  # buffers of inference mode would break the next step
    assert state(loss) < before


@pytest.mark.parametrize("weight", [None, 0.0])
def test_no_boxes_teach_nothing(weight: float | None) -> None:
    loss = build()
    before = state(loss)
    call(loss, 0) if weight is None else call(loss, weight=torch.zeros(9))
    assert state(loss) == before


def test_rows_of_weight_zero_teach_nothing() -> None:
    loss, other = build(), build()
    pred, target = rows("box", 0, 0, 9, torch.float32)
    idle = torch.arange(9) > 3
    loss(pred.requires_grad_(), target, (~idle).float())
    other(pred[~idle], target[~idle])
    assert state(loss) == state(other)


def test_each_instance_has_its_own() -> None:
    heads = CASES["Cascade R-CNN"].build(WISE)
    losses = [module for module in heads.modules() if type(module).__name__ == "WIoULoss" and hasattr(module, "calls")]
    CASES["Cascade R-CNN"].step(heads, BATCHES["gt"])
    assert len({state(loss) for loss in losses}) == 4


def test_scoring_pass_of_paa_teaches_nothing() -> None:
    heads = CASES["PAA"].build(WISE)
    CASES["PAA"].step(heads, BATCHES["gt"])
    loss = heads.bbox_head.loss_bbox
    assert (loss.calls, loss.lessons) == (3, 1)


# --- calls per iteration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(9,), (4, 5), (1, 0, 3, 5), (2, 2, 2, 2, 1)])
def test_one_step_is_one_update_however_many_calls(parts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """RetinaNet calls once per level, FCOS once: the same boxes must give the same state."""
    pred, target = rows("box", 0, 0, 9, torch.float32)
    ends = [sum(parts[: index + 1]) for index in range(len(parts))]
    cuts = [slice(end - size, end) for size, end in zip(parts, ends, strict=True)]
    pieces = {index: (pred[cut], target[cut]) for index, cut in enumerate(cuts)}
    monkeypatch.setattr(ranks, "rows", lambda kind, step, rank, *_: pieces[rank] if step else (pred, target))
    split = train(WISE, [[(1, index, 0) for index in range(len(parts))]])
    assert split[0] == pytest.approx(train(WISE, [[(0, 0, 9)]])[0], rel=1e-7)


# --- ranks ------------------------------------------------------------------------------------------------------------


def test_two_ranks_agree_with_each_other_and_with_one_process() -> None:
    specs = [WISE, OTHER, SCORES]
    first, second = run_two_ranks(ranks.__file__, json.dumps(specs), known=MMDET)
    assert first == second
    calls = [[(step, rank, count) for rank, count in enumerate(counts)] for step, counts in enumerate(STEPS)]
    for spec, states in zip(specs, first, strict=True):
        for ours, whole in zip(states, train(spec, calls), strict=True):
            assert ours == pytest.approx(whole, rel=1e-7)
        assert states[0] != states[1] != states[2] == states[3]


# --- checkpoints ------------------------------------------------------------------------------------------------------


def short_run(folder: Path, digits: Path, epochs: int, resume: bool = False) -> Runner:
    cfg = load("rtmdet_tiny_eiou_digits", digits, folder, batch_size=4)
    cfg.merge_from_dict({"model.bbox_head.loss_bbox": {"_delete_": True, **WISE}})
    for key in ("val_dataloader", "val_evaluator", "val_cfg", "test_dataloader", "test_evaluator", "test_cfg"):
        cfg[key] = None
    cfg.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}
    cfg.resume = resume
    cfg.experiment_name = f"{folder.name}-{epochs}"
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def test_state_is_saved_and_resumed(tmp_path: Path, digits: Path) -> None:
    first = short_run(tmp_path, digits, 1).model.bbox_head.loss_bbox
    saved = torch.load(tmp_path / "epoch_1.pth", weights_only=False)
    key = "bbox_head.loss_bbox.loss.mean.value"  # RTMDet's EMAHook saves its average under the model's own key
    assert saved["ema_state_dict"][f"module.{key}"].item() == state(first) != state(build())
    assert saved["meta"]["loss_plugins"]["losses"][0]["loss"]["version"] == 3
    resumed: list[float] = []
    begin = type(first.loss).begin_step
    patch = pytest.MonkeyPatch()
    patch.setattr(type(first.loss), "begin_step", lambda loss: (resumed.append(float(loss.mean.value)), begin(loss))[1])
    with patch.context():
        second = short_run(tmp_path, digits, 2, resume=True).model.bbox_head.loss_bbox
    patch.undo()
    assert resumed[0] == state(first)
    assert state(second) != state(first)
