"""What is raised when the losses of a model cannot be replaced."""

from __future__ import annotations

from typing import Any

from ..detr.errors import UnsupportedCriterion


class UnsupportedModel(UnsupportedCriterion):
    """A loss cannot be plugged into this model, or into this version of torchvision, with certainty.

    Args:
        model: the model, or the part of it that this is about.
        found: what was sought there, and what was found.
        remedy: what to do, as an instruction.
    """

    def __init__(self, model: Any, found: str, remedy: str) -> None:
        import torchvision

        super().__init__(model, found, remedy, f" (torchvision {torchvision.__version__})")
