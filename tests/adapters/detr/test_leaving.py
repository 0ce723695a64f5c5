"""How a plug leaves, what it proves by then, and what becomes of copies."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins.adapters.detr import Plug, plug, plug_of, unplug
from loss_plugins.adapters.detr.proof import PROVEN_AFTER
from loss_plugins.errors import LossNotUsed

from . import own
from .criteria import batch
from .trainings import trained


def statistic(plugged: Plug) -> Tensor:
    found: Tensor = plugged.state_dict()["box"]["statistics"]["mean.value"]
    return found


def test_plugs_leave_in_any_order_and_twice() -> None:
    first, second = own.Criterion(), own.Weighing()
    plugs = [plug(first, box="eiou"), plug(second, box="siou", matcher="match", fast=True)]
    assert type(first) is not own.Criterion
    for each in (plugs[0], plugs[1], plugs[0], plugs[1]):
        each.unplug()
    assert (type(first), type(second), type(second.matcher)) == (own.Criterion, own.Weighing, own.Matcher)
    assert "loss_plugins_losses" not in vars(first)
    plug(first, box="eiou").unplug()


def test_a_second_plug_is_refused_until_the_first_has_left() -> None:
    criterion = own.Criterion()
    plugged = plug(criterion, box="eiou")
    with pytest.raises(ValueError, match=r"Criterion are plugged already.* call \.unplug\(\) of the first one"):
        plug(criterion, cls="focal")
    plugged.unplug()
    plug(criterion, cls="focal")


def test_an_exception_passes_and_restores() -> None:
    criterion = own.Criterion()
    with pytest.raises(KeyError, match="mine"), plug(criterion, box="eiou"):
        raise KeyError("mine")
    assert type(criterion) is own.Criterion


def test_a_criterion_that_nobody_called_is_an_error() -> None:
    with (
        pytest.raises(LossNotUsed, match=r"Criterion computed no loss since the plug: is the loss computed by another"),
        plug(own.Criterion(), box="eiou"),
    ):
        pass


def test_a_training_that_leaves_the_loss_out_ends_after_some_calls() -> None:
    criterion, given = own.Criterion(), own.layers(1)
    plug(criterion, box="eiou")
    for _ in range(3):
        criterion(*given)  # without a backward pass, as for a log
        with torch.no_grad():
            criterion(*given)
    for _ in range(PROVEN_AFTER):
        criterion(*given)["loss_bbox"].backward()
    with pytest.raises(LossNotUsed, match=r"received no gradient.*after 8 calls .* needs prove_after\(0\)"):
        criterion(*given)


def test_calls_whose_results_nothing_learns_from_end_nothing() -> None:
    criterion, given = own.Criterion(), own.layers(1)
    with plug(criterion, box="eiou"):
        for _ in range(3 * PROVEN_AFTER):
            criterion(*given)
        for _ in range(2 * PROVEN_AFTER):
            trained(criterion, *given)


class Sparing(own.Criterion):
    """Computes its box loss where there are objects alone."""

    def forward(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        self.losses = ["labels", "boxes"] if any(len(target["boxes"]) for target in targets) else ["labels"]
        return super().forward(outputs, targets)


def test_batches_without_objects_prove_nothing() -> None:
    criterion, given = Sparing(), own.layers(1)
    empty = [{name: value[:0] for name, value in target.items()} for target in given[1]]
    with plug(criterion, box="eiou"):
        for _ in range(2 * PROVEN_AFTER):
            criterion(given[0], empty)["loss_ce"].backward()
        trained(criterion, *given)


def test_a_loss_that_trains_late_is_proven_at_the_end() -> None:
    criterion, given = own.Criterion(), own.layers(1)
    with plug(criterion, box="eiou") as plugged:
        plugged.prove_after(0)
        for _ in range(2 * PROVEN_AFTER):
            criterion(*given)["loss_bbox"].backward()
        trained(criterion, *given)


def test_methods_of_losses_that_are_called_by_themselves_are_proven_too() -> None:
    criterion, given = own.Criterion(), batch()
    plug(criterion, box="eiou")
    for _ in range(PROVEN_AFTER):
        criterion.loss_boxes(*given)["loss_bbox"].backward()
    with pytest.raises(LossNotUsed, match="received no gradient"):
        criterion.loss_boxes(*given)


def test_a_criterion_that_leaves_the_loss_out_is_an_error() -> None:
    criterion = own.Criterion()
    criterion.losses = ["labels"]
    with (
        pytest.raises(LossNotUsed, match="box loss eiou was never called in 1 training calls"),
        plug(criterion, box="eiou"),
    ):
        trained(criterion, *own.layers())


def test_frozen_predictions_are_told() -> None:
    criterion, (outputs, targets) = own.Criterion(), own.layers(1)
    frozen = {**outputs, "pred_boxes": outputs["pred_boxes"].detach()}
    with pytest.raises(LossNotUsed, match="computed on predictions that take no gradient"), plug(criterion, box="eiou"):
        criterion(frozen, targets)["loss_ce"].backward()


def test_a_copy_counts_for_itself() -> None:
    criterion, given = own.Criterion(), own.layers()
    plugged = plug(criterion, box="eiou", matcher="match", fast=True)
    for copied in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        trained(copied, *given)
        assert type(copied).__mro__[1] is own.Criterion
        counted = plug_of(copied).report
        assert (counted.trained, counted.box.calls, counted.box.gradient_calls) == (1, 1, 1)  # type: ignore[union-attr]
    assert (plugged.report.trained, plugged.report.box.calls) == (0, 0)  # type: ignore[union-attr]
    plugged.unplug()


def test_the_plug_of_a_copy_is_found_and_leaves_it() -> None:
    criterion, given = own.Criterion(), own.layers()
    plugged = plug(criterion, box="wiou", fast=True)
    trained(criterion, *given)
    copied = copy.deepcopy(criterion)
    found = plug_of(copied)
    assert repr(found) == repr(plugged)
    assert torch.equal(statistic(found), statistic(plugged))
    trained(copied, *given)
    assert (found.report.trained, plug_of(copied).report.trained, plugged.report.trained) == (2, 2, 1)
    found.require_use()
    found.unplug()
    assert (type(copied), type(copied.matcher)) == (own.Criterion, own.Matcher)
    assert plug_of(criterion).plugged
    other = copy.deepcopy(criterion)
    for _ in range(2):
        unplug(other)
        assert (type(other), type(other.matcher)) == (own.Criterion, own.Matcher)
    with pytest.raises(ValueError, match=r"criterion=Criterion has no plug; allowed: .*, or its copy"):
        plug_of(other)
    assert plugged.plugged


def test_a_class_that_somebody_put_over_ours_stays() -> None:
    criterion, given = own.Criterion(), own.layers()
    stock = criterion(*given)
    plugged = plug(criterion, box="eiou")
    mine = type("Mine", (type(criterion),), {})
    criterion.__class__ = mine
    plugged.unplug()
    assert type(criterion) is mine
    assert all(torch.equal(loss, stock[name]) for name, loss in criterion(*given).items())
