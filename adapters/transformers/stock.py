"""The loss function that a model of transformers trains with, and the criterion that it builds."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import transformers
from transformers import PreTrainedModel
from transformers.loss.loss_utils import LOSS_MAPPING

from loss_plugins.errors import refusal

from ..detr import UnsupportedCriterion
from ..detr.rebound import rebound

WHERE = "transformers adapter"
OWN = "_loss_function"  # where the setter of `model.loss_function` keeps what it is given
Function = Callable[..., Any]
SERVED = "`loss-plugins doctor transformers` lists the models that are served"


class Stock(NamedTuple):
    """A loss function.

    Attributes:
        function: as transformers has it.
        criterion: the name of the class of its criterion, among the globals that it reads.
    """

    function: Function
    criterion: str

    @property
    def criterion_class(self) -> Any:
        """The class of the criterion."""
        return self.function.__globals__[self.criterion]  # type: ignore[attr-defined]

    def with_criterion(self, build: Function) -> Function:
        """A copy of the function that builds its criterion so."""
        return rebound(self.function, **{self.criterion: build})

    def live_criterion(self, config: Any) -> Any:
        """A criterion as the function builds it for a model of this config, before it looks at any output."""

        def build(*arguments: Any, **named: Any) -> Any:
            raise _Built(self.criterion_class(*arguments, **named))

        parameters = inspect.signature(self.function).parameters.values()
        needed = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
        known = {"config": config, "device": "cpu"}
        try:
            self.with_criterion(build)(**{name: known.get(name) for name in needed})
        except _Built as built:
            return built.criterion
        raise UnsupportedCriterion(
            config, f"its loss function {self.function.__name__} does not begin by building {self.criterion}", SERVED
        )


class _Built(Exception):
    """Carries a criterion out of the function that builds it."""

    def __init__(self, criterion: Any) -> None:
        self.criterion = criterion


def stock_of(model: Any) -> Stock:
    """The loss that a model trains with.

    A model class of one's own, whose name tells transformers nothing, has that of the class it derives from.

    Raises:
        TypeError: it is no model of transformers.
        UnsupportedCriterion: it computes no loss of boxes, or not by its loss function.
    """
    if not isinstance(model, PreTrainedModel):
        came = f"model={type(model).__name__} is no model of transformers"
        remedy = "pass the model itself, before DistributedDataParallel, torch.compile or PEFT wrap it"
        raise refusal(WHERE, came, "a PreTrainedModel", remedy, TypeError)
    why = unserved(type(model))
    if why is not None:
        raise UnsupportedCriterion(model, f"sought a forward pass that calls its loss_function, found {why}", SERVED)
    own = getattr(model, OWN, None)
    function = own if own is not None else _by_class(model)
    name = _criterion_of(function)
    if name is None:
        raise UnsupportedCriterion(
            model,
            f"sought a loss function that builds one criterion with loss_boxes, found {_named(function)} without it",
            SERVED,
        )
    return Stock(function, name)


def stock_of_class(cls: type) -> Stock | None:
    """The loss that transformers computes for models of a class; None: none of boxes."""
    function = _function_for(cls)
    name = _criterion_of(function)
    return None if function is None or name is None else Stock(function, name)


def detectors() -> Iterator[Any]:
    """The model classes of transformers whose names say that they find boxes or masks of objects."""
    for name in sorted(dir(transformers)):
        if re.search(r"For(ObjectDetection|Segmentation|InstanceSegmentation|UniversalSegmentation)$", name):
            cls = getattr(transformers, name)
            if isinstance(cls, type) and issubclass(cls, PreTrainedModel):
                yield cls


def _by_class(model: PreTrainedModel) -> Function:
    """The loss function of the model's class, or of the one that it derives from."""
    function: Function = LOSS_MAPPING.get(model.loss_type, LOSS_MAPPING["ForCausalLM"])
    parents = [_function_for(cls) for cls in type(model).__mro__ if cls.__module__.startswith("transformers.")]
    parent = next((each for each in parents if _criterion_of(each) is not None), None)
    if _criterion_of(function) is None and parent is not None:
        return parent
    if parent not in (None, function) and function is _function_for(type(model)):
        raise UnsupportedCriterion(
            model,
            f"by its name transformers computes {_named(function)}, and for the class that it derives from "
            f"{_named(parent)}",
            "set model.loss_type to the name of the class whose loss is meant",
        )
    return function


def _function_for(cls: type) -> Function | None:
    """The loss function that transformers finds by the name of a class; None: none."""
    named = [cls.__name__] if cls.__name__ in LOSS_MAPPING else re.findall("|".join(LOSS_MAPPING), cls.__name__)
    found: Function | None = LOSS_MAPPING[named[0]] if named else None
    return found


def _criterion_of(function: Any) -> str | None:
    """The name of the one class with `loss_boxes` among the globals that a function reads; None: there is not one."""
    read = _globals_of(function)
    found = [name for name, value in read.items() if isinstance(value, type) and hasattr(value, "loss_boxes")]
    return found[0] if len(found) == 1 else None


def unserved(cls: type) -> str | None:
    """Why models of a class compute no loss that could be replaced; None: they call their loss function."""
    if any("loss_function" in names for names in _read_in(cls, "forward")):
        return None
    for each in cls.__mro__:
        for name, value in _globals_of(inspect.unwrap(vars(each).get("__init__", _named))).items():
            if isinstance(value, type) and hasattr(value, "loss_labels"):
                methods = [method for method in dir(value) if method.startswith("loss_")]
                return f"its own {name} with {', '.join(methods)}, none of them of boxes"
    if "labels" not in inspect.signature(cls.forward).parameters:  # type: ignore[attr-defined]
        return "no labels among its arguments: it computes no loss"
    return "none: it takes labels, and transformers has no loss for it"


def _read_in(cls: type, method: str) -> Iterator[tuple[str, ...]]:
    """What a method of a class and of each above it reads."""
    for each in cls.__mro__:
        function = vars(each).get(method)
        if callable(function) and inspect.isfunction(inspect.unwrap(function)):
            yield inspect.unwrap(function).__code__.co_names


def _globals_of(function: Any) -> dict[str, Any]:
    """The globals that a function reads."""
    if not inspect.isfunction(function):
        return {}
    read = (name for name in function.__code__.co_names if name in function.__globals__)
    return {name: function.__globals__[name] for name in read}


def _named(function: Any) -> str:
    return getattr(function, "__name__", "none")
