"""Losses with running statistics: when they learn, across calls, ranks and checkpoints."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner

from . import ranks
from .heads import BATCHES, CASES
from .ranks import STEPS, rows, train

WISE = {"type": "loss_plugins.WIoULoss", "version": 3, "momentum": 0.1}
OTHER = {"type": "loss_plugins.EIoULoss", "wise": 3}

CONFIGS = Path(__file__).parents[3] / "configs" / "mmdet"


def state(loss: Any) -> float:
    return float(next(loss.buffers()))


def build(**parameters: Any) -> Any:
    return MODELS.build({**WISE, **parameters})


# --- when it learns ---------------------------------------------------------------------------------------


def call(loss: Any, count: int = 9, **arguments: Any) -> Any:
    pred, target = rows(0, 0, count)
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
    pred, target = rows(0, 0, 9)
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
    pred, target = rows(0, 0, 9)
    ends = [sum(parts[: index + 1]) for index in range(len(parts))]
    cuts = [slice(end - size, end) for size, end in zip(parts, ends, strict=True)]
    pieces = {index: (pred[cut], target[cut]) for index, cut in enumerate(cuts)}
    monkeypatch.setattr(ranks, "rows", lambda step, rank, count: pieces[rank] if step else (pred, target))
    split = train(WISE, [[(1, index, 0) for index in range(len(parts))]])
    assert split == pytest.approx(train(WISE, [[(0, 0, 9)]]), rel=1e-7)


# --- ranks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [WISE, OTHER], ids=["wiou", "wise eiou"])
def test_two_ranks_agree_with_each_other_and_with_one_process(spec: dict[str, Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("ranks.py")), json.dumps(spec)]
    processes = [
        subprocess.Popen(command, env={**common, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=120)[0] for rank in processes]
    assert [rank.returncode for rank in processes] == [0, 0]
    first, second = json.loads(outputs[0].splitlines()[-1])
    assert first == second
    calls = [[(step, rank, count) for rank, count in enumerate(counts)] for step, counts in enumerate(STEPS)]
    alone = train(spec, calls)
    assert first == pytest.approx(alone, rel=1e-7)
    assert first[0] != first[1] != first[2] == first[3]


# --- checkpoints ------------------------------------------------------------------------------------------------------


def short_run(folder: Path, digits: Path, epochs: int, resume: bool = False) -> Runner:
    cfg = Config.fromfile(CONFIGS / "rtmdet_tiny_eiou_digits.py")
    cfg.merge_from_dict({"model.bbox_head.loss_bbox": {"_delete_": True, **WISE}})
    cfg.train_dataloader.batch_size = 4
    cfg.train_dataloader.dataset.update(root=str(digits), train=8, val=4)
    for key in ("val_dataloader", "val_evaluator", "val_cfg", "test_dataloader", "test_evaluator", "test_cfg"):
        cfg[key] = None
    cfg.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": epochs}
    cfg.param_scheduler = None
    cfg.work_dir, cfg.resume, cfg.log_level = str(folder), resume, "WARNING"
    cfg.experiment_name = f"{folder.name}-{epochs}"
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def test_state_is_saved_and_resumed(tmp_path: Path, digits: Path) -> None:
    first = short_run(tmp_path, digits, 1).model.bbox_head.loss_bbox
    saved = torch.load(tmp_path / "epoch_1.pth", weights_only=False)
    assert saved["state_dict"]["bbox_head.loss_bbox.loss.mean.value"].item() == state(first) != state(build())
    assert saved["meta"]["loss_plugins"][0]["loss"]["version"] == 3
    resumed: list[float] = []
    begin = type(first.loss).begin_step
    patch = pytest.MonkeyPatch()
    patch.setattr(type(first.loss), "begin_step", lambda loss: (resumed.append(float(loss.mean.value)), begin(loss))[1])
    with patch.context():
        second = short_run(tmp_path, digits, 2, resume=True).model.bbox_head.loss_bbox
    patch.undo()
    assert resumed[0] == state(first)
    assert state(second) != state(first)
