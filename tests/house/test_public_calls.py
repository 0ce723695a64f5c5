"""Every public call with a table of wrong values for each parameter that its signature names: our style, never torch's.

Parameters are read from signatures, so that one written tomorrow is tried tomorrow.
"""

from __future__ import annotations

import ast
import inspect
import math
import numbers
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import sympy
import torch
from torchvision.models.detection.retinanet import RetinaNetHead

import loss_plugins as lp
from loss_plugins import Interval, adapters
from loss_plugins import audit as auditing
from loss_plugins.adapters import mmdet as lpm
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.module.build import module_class
from tests.adapters.detr.own import Criterion
from tests.adapters.transformers.models import build

from .wrong_values import STYLE, TOO_LARGE, UNREADABLE, example_of, function_of, refused, samples

ROOT = Path(__file__).parents[2]
#: what is handed out and never built by users, and errors
RESULTS = {
    "Entry",
    "Parameter",
    "Report",
    "Spec",
    "LossSlot",
    "LossNotUsed",
    "UnsupportedUltralytics",
    "SenselessSlot",
    "SweepEnded",
    "IterationFailed",
    "LossNotFinite",
    "Tuning",
    "Plug",
    "SlotReport",
    "DensePlug",
    "Patched",
    "UnsupportedCriterion",
    "UnsupportedModel",
}
#: trains: its own test hands it the same values
TRAINS = {"tune"}
#: the bases of the classes of losses, which are tried below
BASES = {"Loss", "PluggedLoss"}
TABLE = (
    None, "", "x", "ciuo", -1, 0, 1.5, math.nan, math.inf, True, [], {}, object(), 1j, b"x", torch.ones(2), [1.0, 2.0],
    np.float32(3), np.ones(2), (1, 2, 3), int, len, *TOO_LARGE, Decimal("0.5"), np.array([10**400]), *UNREADABLE,
    torch.ones(3, device="meta"),
)  # fmt: skip
#: numbers of types that Python counts as real, and what each is as one of Python's own
SAME_NUMBERS: tuple[tuple[Any, float], ...] = (
    (Fraction(1, 2), 0.5), (np.float16(0.5), 0.5), (np.longdouble(0.5), 0.5), (np.array(0.5), 0.5),
    (torch.tensor(0.5), 0.5), (sympy.Rational(1, 2), 0.5), (sympy.Float(0.5), 0.5),
    (type("Half", (float,), {})(0.5), 0.5), (type("One", (int,), {})(1), 1), (np.uint8(1), 1), (sympy.Integer(1), 1),
    (IntEnum("Enum", {"one": 1})["one"], 1), (2**70, float(2**70)), (np.uint64(2**64 - 1), float(2**64)),
)  # fmt: skip
#: values for parameters without default
GIVEN: dict[str, Any] = {
    "name": "ciou",
    "task": "detect",
    "boxes": torch.rand(3, 4),
    "criterion": Criterion(),
    "length": 2,
    "box": "eiou",
    "function": lambda pred, target: (pred - target).abs().sum(-1),
    **dict.fromkeys(("initial", "empty", "summary", "update"), lambda *_, **__: torch.zeros(())),
}


@cache
def model_for(adapter: str) -> torch.nn.Module:
    """What is plugged there as a model; nothing that computes losses where nothing is."""
    made = {"torchvision": lambda: RetinaNetHead(8, 3, 2), "transformers": lambda: build("YolosForObjectDetection")}
    return made.get(adapter, lambda: torch.nn.Linear(1, 1))()


def packages() -> Iterator[types.ModuleType]:
    """Those of all adapters."""
    for each in pkgutil.iter_modules(adapters.__path__):
        yield import_module(f"{adapters.__name__}.{each.name}")


def publics() -> dict[str, Callable[..., Any]]:
    """All that `__all__` of the package and of the adapters names and users call, but for the losses."""
    losses = {function_of(entry) for entry in shipped()} | {module_class(entry.name) for entry in shipped()}
    found = {}
    named = {package: (*package.__all__, *getattr(package, "HOOK_NAMES", ())) for package in (lp, *packages())}
    for package, names in {**named, auditing: ("audit",)}.items():
        for name in names:
            value = getattr(package, name)
            if callable(value) and name not in RESULTS | BASES | TRAINS and value not in losses:
                found[f"{package.__name__.rpartition('.')[2]}.{name}"] = value
    return found


PUBLIC = publics()
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function, eval_str=False).parameters
    return {name: each for name, each in found.items() if each.kind in NAMED}


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of what is called."""
    target = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    inner = inspect.unwrap(target)
    scope = inspect.getmodule(function if isinstance(function, type) else inner)
    return typing.get_type_hints(inner, globalns=vars(scope), include_extras=True)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type; a number may be of any type of number, True is none."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return fits(value, parts[0])
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is typing.Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin is tuple and parts[-1] is not ...:
        return isinstance(value, tuple) and len(value) == len(parts)
    if hint in (int, float):
        hint = numbers.Integral if hint is int else numbers.Real
        return isinstance(value, hint) and not isinstance(value, bool)
    return hint is Any or isinstance(value, origin or hint)


def entered(result: Any) -> None:
    """Run what a context manager would do; that nobody used it is no matter here."""
    if isinstance(result, AbstractContextManager):
        with pytest.raises(lp.errors.LossNotUsed), result:  # type: ignore[attr-defined]
            pass


def call(function: Callable[..., Any], given: Mapping[str, Any]) -> str | None:
    """What the refusal says came; None if the call was taken. Any other error fails the test."""
    try:
        entered(function(**given))
    except Exception as error:
        caught = error
    else:
        return None
    parts = STYLE.fullmatch(str(caught))
    assert parts is not None, f"{given}: {type(caught).__name__} in another style: {caught}"
    assert isinstance(caught, (ValueError, TypeError)), repr(caught)
    return parts["came"]


def base(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """As much as the function needs to be called, for the parameter to be tried."""
    if function is lp.register_loss:
        return {"name": "test_public_calls"}
    required = [each for each, known in parameters(function).items() if known.default is inspect.Parameter.empty]
    if function is lp.build_loss and name != "spec":
        return {"spec": "ciou"}
    needs_loss = "box" in parameters(function) and name != "box" and function is not lpu.tune
    given = {**GIVEN, "model": model_for(function.__module__.partition(".adapters.")[2].partition(".")[0])}
    return {each: given[each] for each in (*required, *(("box",) if needs_loss else ()))}


def tried() -> Iterator[Any]:
    for place, function in PUBLIC.items():
        for name in parameters(function):
            yield pytest.param(function, name, id=f"{place}-{name}")


@pytest.mark.parametrize(("function", "name"), list(tried()))
def test_wrong_values_of_each_parameter_are_refused(function: Callable[..., Any], name: str) -> None:
    hint = hints(function).get(name, Any)
    for value in TABLE:
        came = call(function, {**base(function, name), name: value})
        if came is None:
            assert fits(value, hint), f"{name}={value!r} is taken, and is no {hint}"
        else:
            assert name in came, f"{name}={value!r}: {came}"


@pytest.mark.parametrize("function", PUBLIC.values(), ids=PUBLIC)
def test_unknown_missing_and_surplus_arguments_are_refused(function: Callable[..., Any]) -> None:
    given = base(function, "")
    known = inspect.signature(function).parameters
    kinds = {parameter.kind for parameter in known.values()}
    assert "nosuch" in str(call(function, {**given, "nosuch": 3}))
    for name in given.keys() & known.keys():
        if known[name].default is inspect.Parameter.empty:
            assert name in str(call(function, {key: value for key, value in given.items() if key != name}))
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        with pytest.raises(TypeError) as caught:
            function(*[None] * (len(known) + 1))
        assert STYLE.fullmatch(str(caught.value)), caught.value


def test_a_typing_mistake_is_told_with_the_name_that_was_meant() -> None:
    for function, wrong, meant in (
        (lpu.trainer, "bx", "box"),
        (lpu.patched, "asigner", "assigner"),
        (lpm.LossPluginsHook, "alow", "allow"),
        (lp.list_losses, "knd", "kind"),
        (lp.Interval, "hgh", "high"),
        (lp.register_loss, "fomula", "formula"),
    ):
        with pytest.raises(TypeError, match=f"unknown argument {wrong}=.*allowed: .*did you mean '{meant}'"):
            function(**{**base(function, ""), wrong: 1})


@pytest.mark.parametrize("name", ["eoiu", "EIuoLoss", "", "no such thing at all"])
def test_an_unknown_loss_is_told_with_the_names_that_are_close(name: str) -> None:
    calls: dict[str, Callable[[str], Any]] = {
        "build_loss": lp.build_loss,
        "get_entry": lp.get_entry,
        "unregister_loss": lp.unregister_loss,
        "ultralytics adapter, box loss": lambda name: lpu.make_spec(box=name),
        "ultralytics adapter, cls loss": lambda name: lpu.trainer("detect", cls={"type": name}),
    }
    for where, called in calls.items():
        parts = refused(lambda: called(name), where, repr(name), "is an unknown loss")  # noqa: B023
        assert "list_losses()" in parts["allowed"]
        near = "'eiou'" if name == "eoiu" else "'EIoULoss'" if name else "loss-plugins list"
        assert (near if len(name) < 10 else "loss-plugins list") in parts["remedy"], parts["remedy"]


def test_a_name_that_the_package_lacks_is_told_with_those_that_are_close() -> None:
    for wrong, meant in {"CIOULoss": "CIoULoss", "ciuo_loss": "ciou_loss", "build_los": "build_loss"}.items():
        with pytest.raises(AttributeError, match=f"no attribute '{wrong}'; did you mean '{meant}'"):
            getattr(lp, wrong)
    assert not hasattr(lp, "__wrapped__")


@pytest.mark.parametrize("entry", [entry for entry in shipped() if any(p.required for p in entry.parameters.values())])
def test_a_function_without_a_parameter_that_it_needs_says_so(entry: lp.Entry) -> None:
    needed = next(name for name, parameter in entry.parameters.items() if parameter.required)
    boxes = torch.rand(3, 4).cumsum(-1)
    refused(lambda: function_of(entry)(boxes, boxes), entry.name, needed, "is required")


@pytest.mark.parametrize("base", [lp.Loss, lpm.PluggedLoss])
def test_the_bases_of_the_losses_are_not_built(base: Any) -> None:
    for given in ({}, {"reduction": "sum"}, {"nosuch": 3}):
        refused(lambda: base(**given), base.__name__, base.__name__, "computes none")  # noqa: B023


# --- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)
def test_wrong_values_of_each_keyword_of_a_loss_are_refused(entry: Entry) -> None:
    """Whatever the signatures of its function and its class name."""
    pred, target = next(samples(entry))
    for function, tensors in ((function_of(entry), {"pred": pred, "target": target}), (module_class(entry.name), {})):
        for name in parameters(function):
            for value in TABLE:
                came = call(function, {**example_of(entry), **tensors, name: value})
                known = entry.parameters.get(name)
                if came is not None:
                    assert name in came, f"{name}={value!r}: {came}"
                elif known is not None:
                    listed = isinstance(value, (np.generic, np.ndarray, torch.Tensor)) and not getattr(
                        value, "is_meta", False
                    )
                    plain = value.tolist() if listed else value
                    assert (value is None and known.optional) or plain in known.allowed, f"{name}={value!r} is taken"


@pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)
def test_numbers_of_every_type_are_the_floats_that_they_are_or_are_refused(entry: Entry) -> None:
    cls, (pred, target) = module_class(entry.name), next(samples(entry))
    for name in (
        "loss_weight",
        *(key for key, known in entry.parameters.items() if isinstance(known.allowed, Interval)),
    ):
        for number, plain in SAME_NUMBERS:
            given, same = ({**example_of(entry), name: each} for each in (number, plain))
            came = call(cls, given)
            if came is not None:
                assert name in came, came
                continue
            loss, expected = cls(**given).eval(), cls(**same).eval()
            if name != "num_classes":  # which says how many scores a row has
                torch.testing.assert_close(loss(pred, target), expected(pred, target), rtol=0, atol=0, equal_nan=True)
            assert type(loss.spec()[name]) in (int, float), f"{name}={number!r}"
            assert loss.spec() == expected.spec()


# --- the source ------------------------------------------------------------------------------------------------------

#: raised for what is no argument of a user, or in a room that knows nothing of ours
OTHERS = {
    "loss_plugins/fusion",  # which imports nothing of ours but tensors; its messages are in this style all the same
    "loss_plugins/parity/compare.py",  # ours and theirs are of different shapes: a fault of ours
}


def test_no_code_raises_an_error_of_its_own_making_for_an_argument() -> None:
    """ValueError and TypeError are made by `errors.refusal` alone."""
    found = []
    for room in ("loss_plugins", "adapters"):
        for file in sorted((ROOT / room).rglob("*.py")):
            place = file.relative_to(ROOT).as_posix()
            if any(place.startswith(other) for other in OTHERS):
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                made = node.exc if isinstance(node, ast.Raise) else None
                if isinstance(made, ast.Call) and ast.unparse(made.func) in ("ValueError", "TypeError"):
                    found.append(f"{place}:{node.lineno}")  # type: ignore[attr-defined]
    assert found == []
