"""Parameters with one number per class, kept on the device of the module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..catalog.entries import Entry
from ..catalog.ranges import PerClass
from .exact import ExactBuffers

#: before the name of a parameter in that of its buffer, as a module has methods that a parameter may be called like
PREFIX = "per_class_"


class ClassConstants(ExactBuffers):
    """One float64 buffer for each parameter; not in the state dict, as the loss is built with them."""

    def __init__(self, values: Mapping[str, list[float]]) -> None:
        super().__init__()
        for name, value in values.items():
            self.register_buffer(PREFIX + name, torch.tensor(value, dtype=torch.float64), persistent=False)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The constants by name, as the loss's function takes them."""
        return {name.removeprefix(PREFIX): buffer for name, buffer in self.named_buffers()}

    def extra_repr(self) -> str:
        """The names; the loss itself shows the numbers."""
        return ", ".join(self.tensors)


def split_constants(entry: Entry, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], ClassConstants | None]:
    """The arguments without those of one number per class, and a module of the latter, if there are any."""
    per_class = {name for name, parameter in entry.parameters.items() if isinstance(parameter.allowed, PerClass)}
    moving = {name: value for name, value in arguments.items() if name in per_class and isinstance(value, list)}
    fixed = {name: value for name, value in arguments.items() if name not in moving}
    return fixed, ClassConstants(moving) if moving else None
