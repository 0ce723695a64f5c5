"""The benchmark of whole criteria: what it counts is held here, what it times is for docs/performance.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins.bench import command
from loss_plugins.bench.command import bench
from loss_plugins.bench.criteria import (
    FAST,
    PLUGGED,
    STOCK,
    VARIANTS,
    CriterionCase,
    criteria_table,
    from_dict,
    installed_criteria,
    measure_criterion,
    saved_for_backward,
    to_dict,
)
from loss_plugins.operators import Counted

FACTORS = {STOCK: 3, PLUGGED: 2, FAST: 1}


def made(variant: str, images: int, objects: int, device: str) -> Any:
    """A call whose work is known: as many products, each of which keeps its inputs."""
    leaf = torch.ones(images, objects, device=device, requires_grad=True)

    def call() -> Tensor:
        total = leaf
        for _ in range(FACTORS[variant]):
            total = total * total
        if variant == STOCK:
            assert float(total.sum()) > 0
        return total.sum()

    return call


KNOWN = CriterionCase("a criterion", made, ((5, 8),))


def test_operators_waits_and_memory_are_those_of_the_call() -> None:
    result = measure_criterion(KNOWN, 5, 8, 3, "cpu")
    # each product keeps the product before it, of 5 x 8 numbers of 4 bytes
    assert result.saved == {STOCK: 3 * 160, PLUGGED: 2 * 160, FAST: 160}
    assert result.waits == {STOCK: 1, PLUGGED: 0, FAST: 0}
    assert result.operators[PLUGGED] == 2 + 1
    assert result.operators[FAST] == 1 + 1
    assert result.leaner(FAST) == 3
    assert set(result.milliseconds) == set(result.spread) == set(VARIANTS)
    table = criteria_table([result])
    assert "| a criterion | 5 | 8 | fast |" in table
    assert "3x less" in table
    assert from_dict(json.loads(json.dumps(to_dict([result])))) == [result]


def test_elements_are_counted() -> None:
    with Counted() as counted:
        torch.ones(3, 4).add(1).sum()
    assert counted.elements == 12 + 12 + 1


def test_the_command_writes_numbers_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(command, "installed_criteria", lambda: ([KNOWN], {"other": "No module named 'other'"}))
    file = tmp_path / "page.md"
    bench(out=tmp_path, repeats=3, criteria=True, report=file)
    told = json.loads((tmp_path / "criteria.json").read_text(encoding="utf-8"))
    assert told["criteria"][0]["saved"] == {STOCK: 480, PLUGGED: 320, FAST: 160}
    assert "| a criterion | 5 | 8 | stock |" in file.read_text(encoding="utf-8")
    assert "other is left out: No module named 'other'" in capsys.readouterr().out


def test_installed_criteria_are_found() -> None:
    cases, left_out = installed_criteria()
    assert {case.name for case in cases} == {"transformers RT-DETR", "rfdetr SetCriterion"}
    assert left_out == {}


@pytest.fixture(scope="module")
def calls() -> dict[str, Any]:
    case = next(case for case in installed_criteria()[0] if case.name == "transformers RT-DETR")
    return {variant: case.make(variant, 16, 7, "cpu") for variant in VARIANTS}


def test_rt_detr_keeps_little_and_waits_seldom(calls: dict[str, Any]) -> None:
    """The goals for 16 images with 7 objects: a fifteenth of the memory, and half of the waits."""
    losses, saved, waits = {}, {}, {}
    for variant, call in calls.items():
        losses[variant] = float(call())
        saved[variant] = saved_for_backward(call)
        with Counted() as counted:
            call()
        waits[variant] = counted.waits
    assert losses[FAST] == pytest.approx(losses[PLUGGED], rel=1e-5)
    assert losses[FAST] != pytest.approx(losses[STOCK], rel=1e-3)
    assert saved[STOCK] > 15 * saved[FAST]
    assert waits[STOCK] == 37  # of torch 2.9 and transformers 5.24
    assert 2 * waits[FAST] <= waits[STOCK]
