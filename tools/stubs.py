"""What is made from the catalogue: `python -m tools.stubs`.

The module classes for editors and type checkers, which run nothing: signatures, and of what `help` shows the formula,
the parameters, when to use the loss, and its source. The formulas in Unicode for `help`, which needs torch alone.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

from loss_plugins.catalog import formulas as formulas_module
from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.latex import rendered
from loss_plugins.module import classes
from loss_plugins.module.build import module_class
from loss_plugins.module.loss import Loss
from loss_plugins.module.reduction import Reduction

FORMULAS = Path(formulas_module.__file__)
FORMULAS_HEAD = '''"""The shipped formulas in Unicode, by their LaTeX. Made by `python -m tools.stubs`; do not edit."""

from __future__ import annotations
'''
#: a stub beside each file of classes
STUBS = Path(classes.__file__).parent
#: sections of a docstring that an editor does without
LEFT_OUT = ("Called with", "Returns", "Raises", "Dialects", "Example")
HEAD = '''"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction
'''


def stubs() -> dict[Path, str]:
    """The text of each `.pyi`, by its path."""
    found: dict[Path, list[type[Loss]]] = {}
    for entry in shipped():
        cls = module_class(entry.name)
        file = cls.__module__.rpartition(".")[2]
        found.setdefault(STUBS / f"{file}.pyi", []).append(cls)
    return {path: "\n".join([HEAD, *map(_declared, members)]) for path, members in found.items()}


def _declared(cls: type[Loss]) -> str:
    parameters = inspect.signature(cls).parameters.values()
    settings = [_written(parameter) for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    keywords = [_written(parameter) for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    taken = ["self", *settings, *(["*"] if keywords else []), *keywords]
    text = textwrap.indent(f'"""{_told(cls)}\n"""', " " * 4)
    return (
        f'class {cls.__name__}(Loss, name="{cls.entry.name}"):\n{text}\n'
        f"    def __init__(\n{_lines(taken)}\n    ) -> None: ...\n"
    )


def _told(cls: type[Loss]) -> str:
    """The docstring of a class, in short."""
    sections = re.split(r"\n\n(?=[A-Z][a-z ]+:\n)", inspect.getdoc(cls) or "")
    return "\n\n".join(section for section in sections if section.partition(":\n")[0] not in LEFT_OUT)


def _lines(parameters: list[str]) -> str:
    """Comma-separated, broken between parameters."""
    joined = ", ".join(parameter.replace(" ", "\0") for parameter in parameters)
    return textwrap.fill(joined, 120, initial_indent=" " * 8, subsequent_indent=" " * 8).replace("\0", " ")


def _written(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {_type(parameter.annotation)}{default}"


def _type(annotation: object) -> str:
    if annotation == Reduction:
        return "Reduction"
    text = re.sub(r"\b(typing|torch|collections\.abc)\.", "", inspect.formatannotation(annotation))
    # lists are taken where tuples are, as configuration files have no tuples
    return text.replace("tuple[float, float]", "Sequence[float]")


def formulas() -> str:
    """The text of `catalog/formulas.py`."""
    rows = (f"    {entry.formula!r}: (\n        {rendered(entry.formula)!r}\n    )," for entry in shipped())
    return "\n".join([FORMULAS_HEAD, "READABLE: dict[str, str] = {", *dict.fromkeys(rows), "}", ""])


if __name__ == "__main__":
    for path, text in stubs().items():
        path.write_text(text, encoding="utf-8")
    FORMULAS.write_text(formulas(), encoding="utf-8")
