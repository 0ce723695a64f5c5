# SPDX-License-Identifier: AGPL-3.0-or-later
"""Functions of a user's own as box loss: a resume knows them by what they compute, not by what they are called."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.functions import changed, functions_of, renamed
from loss_plugins.adapters.ultralytics.mixin import LossPluginMixin
from loss_plugins.adapters.ultralytics.plug import Plug

pytestmark = pytest.mark.usefixtures("own_losses")

CELL = """
def cell_iou(pred, target):
    return (pred - target).abs().sum(-1)
"""


def sides(pred: Tensor, target: Tensor, factor: float = 1.0) -> Tensor:
    return factor * (pred - target).abs().sum(-1)


def run_cell(code: str = CELL, place: dict[str, Any] | None = None) -> Any:
    """A function that a notebook's cell defines."""
    names = {"__name__": "__main__"} if place is None else place
    exec(code, names)
    return names["cell_iou"]


def stamped(box: Any) -> dict[str, Any]:
    """The part of a stamp that names losses."""
    spec = lpu.make_spec(box)
    return {"losses": spec.as_dict(), "functions": functions_of(Plug(spec).slots), "state": {}, "report": {}}


class Stock:
    """What Ultralytics does after our checks."""

    def resume_training(self, ckpt: Any) -> str:
        return f"epoch {ckpt['epoch']}"


class Trainer(LossPluginMixin, Stock):
    """A trainer of which only the resume is there."""

    def __init__(self, box: Any) -> None:
        self.loss_spec = lpu.make_spec(box)
        self.loss_plug = Plug(self.loss_spec)
        self.resume = True


def resumed(stamp: dict[str, Any], box: Any) -> Any:
    checkpoint = {"epoch": 3, "ema": SimpleNamespace(loss_plugins=stamp)}
    return Trainer(box).resume_training(checkpoint)


def test_arguments_of_a_partial_are_part_of_the_loss() -> None:
    stamp = stamped(functools.partial(sides, factor=2.0))
    lp.unregister_loss(stamp["losses"]["box"]["type"])  # another process has not seen it: the name is free again
    other = functools.partial(sides, factor=3.0)
    assert stamped(other)["losses"] == stamp["losses"]
    with pytest.raises(ValueError, match=r"the function .*sides.* computes something else"):
        resumed(stamp, other)
    assert resumed(stamp, functools.partial(sides, factor=2.0)) == "epoch 3"


def test_a_cell_that_is_run_again_is_the_same_loss() -> None:
    notebook: dict[str, Any] = {"__name__": "__main__"}
    stamp = stamped(run_cell(place=notebook))
    assert resumed(stamp, run_cell(place=notebook)) == "epoch 3"
    edited = run_cell(CELL.replace("sum", "mean"), notebook)
    with pytest.raises(ValueError, match=r"box\.type was 'cell_iou', asked for now: 'cell_iou_2'"):
        resumed(stamp, edited)


def test_a_loss_that_is_the_same_may_have_another_name() -> None:
    """In another process the number at the end of its name may be another one."""
    stamp = stamped(run_cell())
    numbered = {
        **stamp,
        "losses": {**stamp["losses"], "box": {"type": "cell_iou_7", "loss_weight": 1.0}},
        "functions": {"cell_iou_7": stamp["functions"]["cell_iou"]},
    }
    assert resumed(numbered, run_cell()) == "epoch 3"


def test_functions_of_two_places_are_two() -> None:
    """What they call by a global name may differ."""
    assert stamped(run_cell())["losses"] != stamped(run_cell())["losses"]


def test_of_two_releases_of_python_nothing_can_be_told() -> None:
    now = stamped(run_cell())["functions"]
    older = {"cell_iou": {**now["cell_iou"], "python": "3.9", "digest": "0"}}
    losses = {"box": {"type": "cell_iou"}}
    assert changed(older, now) == []
    assert changed({}, now) == []
    assert renamed(losses, older, now) == renamed(losses, {}, now) == losses


def mixed(name: str, other: str = "eiou", **parameters: float) -> dict[str, Any]:
    return {"type": "mix", "losses": [{"type": name, **parameters}, other]}


def test_a_mix_with_a_function_is_compared_whole() -> None:
    notebook: dict[str, Any] = {"__name__": "__main__"}
    name = lpu.make_spec(run_cell(place=notebook)).as_dict()["box"]["type"]
    stamp = stamped(mixed(name))
    assert [each["function"] for each in stamp["functions"].values()] == ["__main__.<cell_iou>"]
    assert resumed(stamp, mixed(name)) == "epoch 3"
    for other in (mixed(name, "ciou"), mixed(name, loss_weight=100.0), name, mixed("giou")):
        with pytest.raises(ValueError, match="trained with other losses"):
            resumed(stamp, other)
    with pytest.raises(ValueError, match="trained with other losses"):
        resumed(stamped(name), mixed(name, "giou"))
    edited = run_cell(CELL.replace("sum", "mean"), notebook)
    other = lpu.make_spec(edited).as_dict()["box"]["type"]
    with pytest.raises(ValueError, match="trained with other losses"):
        resumed(stamp, mixed(other))
    lp.unregister_loss(name)
    lp.unregister_loss(other)
    again = lpu.make_spec(run_cell(place=notebook)).as_dict()["box"]["type"]
    numbered = {
        **stamp,
        "losses": {**stamp["losses"], "box": {**stamp["losses"]["box"], "losses": mixed("cell_iou_7")["losses"]}},
        "functions": {"cell_iou_7": stamp["functions"][name]},
    }
    assert resumed(numbered, mixed(again)) == "epoch 3"


def test_losses_of_the_catalogue_have_none() -> None:
    assert functions_of(Plug(lpu.make_spec("eiou", "focal", mask="dice")).slots) == {}
