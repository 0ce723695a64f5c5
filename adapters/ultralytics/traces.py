# SPDX-License-Identifier: AGPL-3.0-or-later
"""Traces of patches that others have made in Ultralytics: in its files, and in the functions of this process."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import inspect
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

#: where losses, and what they are computed from, stand
MODULES = (
    "ultralytics.utils.loss",
    "ultralytics.utils.metrics",
    "ultralytics.utils.tal",
    "ultralytics.models.utils.loss",
    "ultralytics.nn.tasks",
)


def changed_files() -> str:
    """ "as installed".

    Raises:
        RuntimeError: a file is not the one that was installed; it names each.
    """
    wanted = {f"{name.replace('.', '/')}.py" for name in MODULES}
    files = [file for file in metadata.files("ultralytics") or () if str(file) in wanted and file.hash is not None]
    edited = [str(file.locate()) for file in files if _digest(Path(str(file.locate()))) != file.hash.value]  # type: ignore[union-attr]
    if edited:
        raise RuntimeError(f"edited since it was installed: {', '.join(edited)}; install ultralytics anew")
    return f"{len(files)} files are as installed" if files else "installed without a list of its files"


def _digest(file: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode()


def replaced_functions() -> str:
    """ "Ultralytics' own".

    Raises:
        RuntimeError: others have replaced a function, a method or a class in this process; it names each.
    """
    found = [line for name in MODULES for line in _replaced(importlib.import_module(name))]
    if found:
        raise RuntimeError("; ".join(found))
    return "Ultralytics' own"


def _replaced(module: ModuleType) -> Iterator[str]:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            yield from _of_function(module, vars(module).get(node.name), f"{module.__name__}.{node.name}")
        elif isinstance(node, ast.ClassDef):
            yield from _of_class(module, node)
        elif isinstance(node, ast.ImportFrom):
            yield from _of_imports(module, node)


def _of_class(module: ModuleType, node: ast.ClassDef) -> Iterator[str]:
    cls = vars(module).get(node.name)
    where = f"{module.__name__}.{node.name}"
    if getattr(cls, "__module__", None) != module.__name__:
        yield f"{where} is {_place(cls)}: what has kept the class that was there, or is stored with it, is not of it"
        return
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and not method.decorator_list:
            yield from _of_function(module, vars(cls).get(method.name), f"{where}.{method.name}")


def _of_function(module: ModuleType, function: Any, where: str) -> Iterator[str]:
    while hasattr(function, "plugged_over"):  # ours, while a plug is in
        function = function.plugged_over
    code = getattr(function, "__code__", None)
    if code is None or code.co_filename != module.__file__:
        yield f"{where} is {_place(function)}"


def _of_imports(module: ModuleType, node: ast.ImportFrom) -> Iterator[str]:
    """A name that was imported before the original was replaced, or its module read anew, is still what it was."""
    name = importlib.util.resolve_name("." * node.level + (node.module or ""), str(module.__package__))
    if name not in MODULES:
        return
    source = importlib.import_module(name)
    for alias in node.names:
        here = vars(module).get(alias.asname or alias.name)
        if here is not vars(source).get(alias.name):
            yield (
                f"{module.__name__} has another {alias.name} than {name}: replacing one of them leaves those "
                "who call the other as they were"
            )


def _place(value: Any) -> str:
    """Where a function or class was defined, for messages."""
    try:
        file, line = inspect.getsourcefile(value), inspect.getsourcelines(value)[1]
    except (OSError, TypeError):
        return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', value)!s}"
    return f"of {file}:{line}"
