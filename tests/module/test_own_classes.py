"""Classes of one's own around a loss: what they compute once its function is registered again, and may hold."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.module.loss import Loss

from ..house.wrong_values import refused

#: of names, as a class follows its own, and tests are not to share them
COUNT = itertools.count()
PRED, TARGET = torch.tensor([[0.0, 0, 4, 4], [1, 1, 3, 5]]), torch.tensor([[1.0, 0, 4, 6], [0, 0, 3, 3]])


@pytest.fixture
def name() -> Iterator[str]:
    """A name that is free, and is so again."""
    made = f"test_again{next(COUNT)}"
    yield made
    if made in lp.list_losses():
        lp.unregister_loss(made)


def cell(name: str, factor: float) -> Callable[..., Tensor]:
    """The cell of a notebook that registers a function, run with another text each time."""

    def own(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs().sum(-1) * factor

    lp.register_loss(name)(own)
    return own


def value(loss: Loss) -> float:
    return float(loss(PRED, TARGET))


def test_a_class_follows_the_name_that_it_was_given(name: str) -> None:
    cell(name, 1.0)
    mine: Any = type("TestAgainMine", (Loss,), {"__module__": __name__}, name=name)
    below: Any = type("TestAgainBelow", (mine,), {"__module__": __name__})
    before = mine()
    assert value(before) == 3.5  # (1 + 2) and (1 + 1 + 2)
    cell(name, 2.0)
    for loss in (mine(), below(), lp.build_loss("TestAgainMine"), lp.build_loss(name), lp.build_loss({"type": name})):
        assert value(loss) == 7.0
    assert isinstance(lp.build_loss(name), mine), "the class is still that of the loss"
    assert value(before) == 3.5, "what was built stays what it was"
    lp.unregister_loss(name)
    assert value(mine()) == 7.0
    refused(lambda: lp.build_loss("TestAgainMine"), "build_loss", "spec", "TestAgainMine")

    def other(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).square().sum(-1)

    lp.register_loss(name)(other)
    assert value(mine()) == 7.0, "another function has the name, and the class does not take it for its own"


def test_what_was_pickled_before_computes_what_it_did(name: str) -> None:
    cell(name, 1.0)
    before = lp.build_loss(name)
    saved = pickle.dumps(before)
    cell(name, 2.0)
    assert value(pickle.loads(saved)) == value(pickle.loads(pickle.dumps(before))) == 3.5
    assert value(pickle.loads(pickle.dumps(lp.build_loss(name)))) == 7.0


def test_a_loss_registered_again_as_another_kind_is_of_that_kind(name: str) -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs().sum(-1)

    lp.register_loss(name, kind="rotated_box")(own)
    rotated, boxes = lp.build_loss(name), torch.rand(3, 5)
    lp.register_loss(name, kind="box")(own)
    for loss, given in ((rotated, boxes), (lp.build_loss(name), PRED)):
        for twin in (loss, pickle.loads(pickle.dumps(loss))):
            assert float(twin(given, given + 1)) == pytest.approx(given.shape[-1])


def test_the_class_of_a_shipped_loss_stays_that_loss() -> None:
    entry = lp.get_entry("diou")
    lp.unregister_loss("diou")
    try:
        lp.register_loss("diou")(lambda pred, target: (pred - target).abs().sum(-1))
        assert value(lp.build_loss("diou")) == 3.5
        assert value(lp.DIoULoss()) == float(lp.diou_loss(PRED, TARGET).mean())
        parts = refused(lambda: lp.build_loss("DIoULoss"), "build_loss", "spec", "'DIoULoss'")
        assert "'diou'" in parts["remedy"]
    finally:
        lp.catalog.entries._ENTRIES["diou"] = entry
        lp.catalog.entries.add_alias("DIoULoss", "diou")
    assert type(lp.build_loss("DIoULoss")) is lp.DIoULoss


# --- running statistics ----------------------------------------------------------------------------------------------

SEEN = lp.State(
    lambda parameters: torch.tensor(1.0),
    lambda parameters: torch.zeros(2),
    lambda pred, target, weight: torch.stack([pred.sum(), pred.new_tensor(float(len(pred)))]),
    lambda value, summary: value,
)


def with_statistic(pred: Tensor, target: Tensor, *, seen: Annotated[Tensor | float, SEEN] = 1.0) -> Tensor:
    return (pred - target).abs().sum(-1) * seen


HELD: dict[str, dict[str, Any]] = {
    "a method": {"seen": lambda self: 1},
    "an attribute": {"seen": 3},
    "a property": {"seen": property(lambda self: 1)},
}


@pytest.mark.parametrize("what", HELD)
def test_a_class_has_nothing_called_like_its_running_statistic(what: str, name: str) -> None:
    lp.register_loss(name)(with_statistic)
    refused(lambda: type("TestAgainHolds", (Loss,), HELD[what], name=name), "class TestAgainHolds", "'seen'", "")
    plain: Any = type("TestAgainPlain", (Loss,), {"__module__": __name__}, name=name)
    refused(lambda: type("TestAgainBelow2", (plain,), HELD[what]), "class TestAgainBelow2", "'seen'", "")
    refused(lambda: type("TestAgainWise", (lp.WIoULoss,), {"mean": 3}), "class TestAgainWise", "'mean'", "")
    assert value(plain()) == 3.5


def test_nor_has_a_module_when_it_is_built(name: str) -> None:
    lp.register_loss(name)(with_statistic)
    plain: Any = type("TestAgainInit", (Loss,), {"__module__": __name__}, name=name)
    plain.seen = 3  # after the class was made
    refused(plain, "TestAgainInit", "'seen'", "")
