"""By what a parameter of a loss is told from others: by value where it cannot change, by identity if it is code."""

from __future__ import annotations

import dataclasses
import enum
import functools
import numbers
from collections.abc import Hashable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch

#: types whose values never change, and which are equal only if they are the same
CONSTANTS = (type(None), str, bytes, torch.dtype, torch.device)
#: code: two functions are the same only if they are one
CODE = (FunctionType, BuiltinFunctionType, type)


class NoKeyError(TypeError):
    """A parameter may change, or cannot be told from another."""


def key_of_parameters(parameters: Mapping[str, Any]) -> Hashable:
    """A key that two sets of parameters share only if they are the same.

    Raises:
        NoKeyError: a parameter that may change later, as an array or an object of some class.
    """
    return tuple((name, _key_of(name, value)) for name, value in sorted(parameters.items()))


def _key_of(name: str, value: Any) -> Hashable:
    kind = type(value)
    if isinstance(value, numbers.Number) and kind.__module__ in ("builtins", "numpy"):
        return kind, repr(value)  # 0.0 and -0.0 are equal, as are 1 and True, but they are different parameters
    if kind in CONSTANTS or isinstance(value, (enum.Enum, *CODE)):
        return kind, value
    if kind in (tuple, list):
        return kind, tuple(_key_of(name, part) for part in value)
    if kind is functools.partial:
        return kind, _key_of(name, value.func), _key_of(name, value.args), key_of_parameters(value.keywords)
    if dataclasses.is_dataclass(value) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return kind, tuple((field, _key_of(name, part)) for field, part in fields)
    raise NoKeyError(
        f"parameter {name!r} is a {kind.__name__}, which may change between calls; pass numbers, strings, "
        "tuples of them, or a function"
    )
