"""fast=True with criteria as users write them, which once broke it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins.adapters.detr import plug

from ...two_ranks import ROOT, run_two_ranks
from . import own
from .criteria import KNOWN
from .trainings import expected, same, trained


def softmax_layers() -> Any:
    """In single precision, which the weights of a softmax ask for."""
    outputs, targets = own.layers(dtype=torch.float32)
    every = [
        {**layer, "logits": torch.cat([layer["logits"], layer["logits"][..., :1]], -1)}
        for layer in (outputs, *outputs["aux_outputs"])
    ]
    return {**every[0], "auxiliary_outputs": every[1:]}, targets


def test_weights_in_single_precision_do_not_end_a_fast_training() -> None:
    criterion, fast = (KNOWN["transformers ImageLoss"].build() for _ in range(2))
    plug(criterion, box="eiou"), plug(fast, box="eiou", fast=True)
    for _ in range(2):
        for name, loss in criterion(*softmax_layers()).items():
            torch.testing.assert_close(fast(*softmax_layers())[name], loss, rtol=1e-5, atol=1e-7, msg=name)


class Swapped(own.Criterion):
    """Takes targets first, under other names."""

    def forward(self, truth: Any, found: Any) -> dict[str, Tensor]:
        return super().forward(found, truth)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_fast_criterion_is_called_as_its_forward_asks(by_name: bool) -> None:
    criterion, (outputs, targets) = Swapped(), own.layers()
    plugged = plug(criterion, box="eiou", fast=True)
    for _ in range(2):
        given = {"truth": targets, "found": outputs}
        same(criterion(**given) if by_name else criterion(*given.values()), expected(box="eiou"))
    assert plugged.report.box.calls == 2  # type: ignore[union-attr]  # one for all layers of each batch


class Counting(own.Criterion):
    """Keeps a running mean and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.ones(1))
        self.calls = 0

    def forward(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        self.calls += 1
        self.mean = self.mean * 0.5 if self.calls % 2 else self.mean.mul_(0.5)
        return super().forward(outputs, targets)


def test_finding_out_leaves_the_numbers_of_the_criterion_alone() -> None:
    criterion = Counting()
    plug(criterion, box="eiou", fast=True)
    for _ in range(2):
        criterion(*own.layers())
    assert (criterion.calls, criterion.mean.item()) == (2, 0.25)


class Failing(own.Criterion):
    """Raises where it is told to."""

    failing = True

    def loss_labels(self, *given: Any) -> Any:
        if self.failing:
            raise KeyError("mine")
        return super().loss_labels(*given)


def test_a_fast_training_goes_on_after_an_exception() -> None:
    criterion = Failing()
    plugged = plug(criterion, box="eiou", fast=True)
    with pytest.raises(KeyError, match="mine"):
        criterion(*own.layers())
    criterion.failing = False
    for _ in range(2):
        same(trained(criterion, *own.layers()), expected(box="eiou"))
    plugged.require_use()


def test_threads_do_not_share_layers() -> None:
    criterion, wanted, wrong = own.Criterion(), expected(box="eiou"), []
    plug(criterion, box="eiou", fast=True)
    criterion(*own.layers())
    together = threading.Barrier(3)

    def wait(*_: Any) -> None:
        together.wait(timeout=60)

    criterion.matcher.register_forward_hook(wait)

    def train() -> None:
        try:
            same(criterion(*own.layers()), wanted)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=train) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_targets_that_change_between_calls_of_the_matcher_are_read_again() -> None:
    criterion, (outputs, targets) = own.Criterion(), own.layers()
    plug(criterion, box="eiou", fast=True)
    criterion(outputs, targets)
    for target in (*targets, *targets):
        target["boxes"].copy_(target["boxes"].flip(0) * 0.9)
        found, wanted = criterion.matcher(outputs, targets), own.Matcher()(outputs, targets)
        assert all(torch.equal(*parts) for pair in zip(found, wanted, strict=True) for parts in zip(*pair, strict=True))


def test_the_own_class_loss_leaves_padding_out_in_the_second_batch_too() -> None:
    plugged = plug(KNOWN["rfdetr SetCriterion, focal"].build(), box="eiou", fast=True)
    assert plugged.losses.own.padded  # type: ignore[union-attr]
    assert not plug(own.Criterion(), box="eiou", fast=True).losses.own.padded  # type: ignore[union-attr]


def test_ranks_that_find_out_in_different_batches_sum_the_same() -> None:
    first, second = run_two_ranks(ROOT / "tests/adapters/detr/sums_ranks.py", timeout=100)
    assert first == second
    objects = [sum(len(target["boxes"]) for target in own.layers(seed=step)[1]) for step in range(3)]
    assert first == [objects[0], 2 * objects[1], 2 * objects[2]]
