"""What is made from the catalogue: `python -m tools.stubs`.

The signatures of the module classes for editors and type checkers, which run nothing, and the formulas in Unicode for
`help`, which needs no more than torch.
"""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

from loss_plugins.catalog import formulas as formulas_module
from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.latex import rendered
from loss_plugins.module import classes
from loss_plugins.module.build import module_class
from loss_plugins.module.loss import Loss

FORMULAS = Path(formulas_module.__file__)
FORMULAS_HEAD = '''"""The shipped formulas in Unicode, by their LaTeX. Made by `python -m tools.stubs`; do not edit."""

from __future__ import annotations
'''
STUB = Path(classes.__file__).with_suffix(".pyi")
MODULE = ["self", 'reduction: Reduction = "mean"', "loss_weight: float = 1.0", "compile: bool = False"]
HEAD = '''"""Signatures of the module classes. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Sequence

from torch import Tensor

from .loss import Loss
from .mix import MixLoss as MixLoss
from .reduction import Reduction
'''


def stub() -> str:
    """The text of `classes.pyi`."""
    losses = [module_class(entry.name) for entry in shipped()]
    found = [cls for cls in losses if cls.__module__ == classes.__name__]
    return "\n".join([HEAD, *map(_declared, sorted(found, key=lambda cls: cls.__name__))])


def _declared(cls: type[Loss]) -> str:
    parameters = inspect.signature(cls).parameters.values()
    keywords = [_written(parameter) for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    taken = [*MODULE, *(["*"] if keywords else []), *keywords]
    return (
        f'class {cls.__name__}(Loss, name="{cls.entry.name}"):\n'
        f'    """{cls.entry.summary}"""\n'
        f"    def __init__(\n{_lines(taken)}\n    ) -> None: ...\n"
    )


def _lines(parameters: list[str]) -> str:
    """Comma-separated, broken between parameters."""
    joined = ", ".join(parameter.replace(" ", "\0") for parameter in parameters)
    return textwrap.fill(joined, 120, initial_indent=" " * 8, subsequent_indent=" " * 8).replace("\0", " ")


def _written(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {_type(parameter.annotation)}{default}"


def _type(annotation: object) -> str:
    text = inspect.formatannotation(annotation).replace("torch.", "").replace("collections.abc.", "")
    # lists are taken where tuples are, as configuration files have no tuples
    return text.replace("tuple[float, float]", "Sequence[float]")


def formulas() -> str:
    """The text of `catalog/formulas.py`."""
    rows = (f"    {entry.formula!r}: (\n        {rendered(entry.formula)!r}\n    )," for entry in shipped())
    return "\n".join([FORMULAS_HEAD, "READABLE: dict[str, str] = {", *dict.fromkeys(rows), "}", ""])


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
    FORMULAS.write_text(formulas(), encoding="utf-8")
