"""Losses share a program only if their parameters are the same, whatever they print like."""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy
import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins import PerClass
from loss_plugins.fusion.keys import NoKeyError, key_of_parameters
from loss_plugins.samples import sample_pairs

from .own import is_fused, long, registered, same_by_both


class Power:
    """Prints like any other of its class."""

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def __repr__(self) -> str:
        return "Power()"

    def __call__(self, x: Tensor) -> Tensor:
        return x**self.exponent


def power(exponent: float) -> Callable[[Tensor], Tensor]:
    return lambda x: x**exponent


class Printed(float):
    """A number that prints like any other."""

    def __repr__(self) -> str:
        return "number"


@dataclasses.dataclass(frozen=True)
class Frozen:
    exponent: float = dataclasses.field(repr=False)


@dataclasses.dataclass
class Thawed:
    exponent: float = dataclasses.field(repr=False)


def of_parameter(pred: Tensor, target: Tensor, *, how: Any = None) -> Tensor:
    distance = (pred - target).abs().sum(-1) / 100
    if callable(how):
        return long(how(distance))
    if isinstance(how, torch.nn.Module):
        return long(how(distance[..., None])[..., 0])
    if isinstance(how, (list, numpy.ndarray)):
        return long(distance * float(how[700]))
    exponent = getattr(how, "exponent", how)
    return long(distance * (exponent["exponent"] if isinstance(exponent, dict) else exponent))


def table(value: float) -> Any:
    numbers = numpy.zeros(2000)  # printed with dots in the middle
    numbers[700] = value
    return numbers


class Scale(torch.nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Mode(enum.Enum):
    ONE = 1.0
    TWO = 2.0

    @property
    def exponent(self) -> float:
        return self.value

    def __repr__(self) -> str:
        return "Mode"


MAKERS = {
    "objects": Power, "closures": power, "numbers": Printed, "frozen": Frozen, "thawed": Thawed, "arrays": table,
    "modules": Scale, "modes": Mode, "dicts": lambda value: {"exponent": value},
    "partials": lambda value: functools.partial(torch.pow, exponent=value),
    "methods": lambda value: Power(value).__call__,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:loss_plugins. test_own:RuntimeWarning")
@pytest.mark.parametrize("what", MAKERS)
def test_parameters_that_print_alike(what: str) -> None:
    pred, target = sample_pairs(40)
    with registered(of_parameter) as name:
        values = {}
        for number in (1.0, 2.0, 1.0):  # the first is gone when the last comes, and its place in memory free
            module = lp.build_loss(name, reduction="none", how=MAKERS[what](number))
            same_by_both(module, pred, target)
            values[number] = module(pred.requires_grad_(), target).sum().item()
            del module
        assert values[1.0] != values[2.0]


@pytest.mark.filterwarnings("ignore:loss_plugins. test_own:RuntimeWarning")
@pytest.mark.parametrize("what", ["objects", "thawed", "modules"])
def test_a_parameter_that_changes_later(what: str) -> None:
    pred, target = sample_pairs(40)
    how = MAKERS[what](1.0)
    with registered(of_parameter) as name:
        module = lp.build_loss(name, reduction="none", how=how)
        for number in (1.0, 3.0):
            setattr(how, "factor" if what == "modules" else "exponent", number)
            same_by_both(module, pred, target)
        with pytest.raises(ValueError, match=r"test_own: compile=True .* parameter 'how' is a \w+, which may change"):
            lp.build_loss(name, how=how, compile=True)


def test_a_parameter_that_is_changed_on_the_module() -> None:
    pred, target = sample_pairs(40)
    module = lp.AlphaIoULoss(reduction="none", alpha=2.0)
    assert is_fused(module, pred, target)
    module.fixed["alpha"] = 3.0
    same_by_both(module, pred, target)


def test_one_parameter_of_the_kind_is_told_about_once() -> None:
    pred, target = sample_pairs(40)
    with registered(of_parameter) as name:
        module = lp.build_loss(name, reduction="none", how=Power(2.0))
        with pytest.warns(RuntimeWarning, match="'how' is a Power, which may change between calls") as told:
            fused = [is_fused(module, pred[:rows], target[:rows]) for rows in (40, 20, 40)]
        assert fused == [False] * 3
        assert len(told) == 1


ALIKE = [
    {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, {"a": b"1"}, {"a": None}, {"a": 0.0}, {"a": -0.0}, {"a": math.inf},
    {"a": numpy.float64(1)}, {"a": numpy.float32(1)}, {"a": numpy.int64(1)}, {"a": (1, 2)}, {"a": [1, 2]},
    {"a": (1, (2,))}, {"a": ((1, 2),)}, {"a": torch.float32}, {"a": torch.device("cpu")}, {"a": Mode.ONE},
    {"a": Mode.TWO}, {"a": Frozen(1)}, {"a": Frozen(2)}, {"a": torch.sin}, {"a": torch.cos}, {"a": abs},
    {"a": functools.partial(torch.pow, exponent=2)}, {"a": functools.partial(torch.pow, exponent=3)}, {"b": 1},
    {"a": 1, "b": 1}, {"a": 1e-7}, {"a": numpy.nextafter(1e-7, 1).item()},
]  # fmt: skip


def test_keys_are_equal_for_equal_parameters_and_for_no_others() -> None:
    keys = [key_of_parameters(parameters) for parameters in ALIKE]
    assert len(set(keys)) == len(keys)
    assert keys == [key_of_parameters(dict(parameters)) for parameters in ALIKE]
    assert key_of_parameters({"a": 1, "b": 2}) == key_of_parameters({"b": 2, "a": 1})
    assert key_of_parameters({"a": math.nan}) == key_of_parameters({"a": float("nan")})


@pytest.mark.parametrize("value", [object(), {}, {1}, numpy.ones(2), torch.ones(2), Power(1), Printed(1), [{}]])
def test_what_may_change_has_no_key(value: Any) -> None:
    with pytest.raises(NoKeyError, match="parameter 'a' is a"):
        key_of_parameters({"a": value})


# --- tensors beside pred and target -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(None, [1.0, 2, 3]), ([1.0, 2, 3], None)])
def test_numbers_per_class_come_and_go_in_one_process(order: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    pred, target = torch.randn(20, 3, generator=generator), torch.rand(20, 3, generator=generator)
    for pos_weight in order:
        more = {} if pos_weight is None else {"pos_weight": pos_weight}
        module = lp.build_loss("bce_with_logits", reduction="none", compile=True, **more)
        same_by_both(module, pred, target)
        same_by_both(module, pred, torch.arange(20) % 4)


def test_two_sets_of_numbers_per_class_are_not_confused() -> None:
    def weighed(pred: Tensor, target: Tensor, *, up: Any = 1.0, down: Any = 1.0) -> Tensor:
        return torch.as_tensor(up).to(pred) * pred.exp() * target + torch.as_tensor(down).to(pred) * pred.sigmoid()

    numbers = Annotated[list[float], PerClass(single=True)]
    weighed.__annotations__.update(up=numbers, down=numbers)
    generator = torch.Generator().manual_seed(0)
    pred, target = torch.randn(20, 3, generator=generator), torch.rand(20, 3, generator=generator)
    given = {"up": [1.0, 2, 3], "down": [3.0, 5, 7]}
    with registered(weighed, "classification") as name:
        for names in (("up", "down"), ("down", "up"), ("up",), ("down",), ("up", "down")):
            chosen = {each: given[each] for each in names}
            same_by_both(lp.build_loss(name, reduction="none", compile=True, **chosen), pred, target)
