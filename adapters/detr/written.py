"""The losses that the code of a criterion writes down, of which a call returns some alone."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any


def names_written(criterion: Any, method: str) -> set[str]:
    """The keys of dicts in a method of a criterion, and in those that it overrides.

    Args:
        criterion: whose code may be read; else it writes nothing.
        method: "loss_boxes".
    """
    own = (vars(cls)[method] for cls in type(criterion).__mro__ if method in vars(cls))
    return {name for function in own for node in ast.walk(_tree(function)) for name in _keys(node)}


def _tree(method: Any) -> ast.AST:
    function = inspect.unwrap(getattr(method, "__func__", method))
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # made by a program, or typed into an interpreter
        return ast.Module([], [])


def _keys(node: ast.AST) -> Iterator[str]:
    """The names under which a dict holds something there."""
    found: list[Any] = []
    if isinstance(node, ast.Dict):
        found = list(node.keys)
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        found = [node.slice]
    for key in found:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value
