# SPDX-License-Identifier: AGPL-3.0-or-later
"""Traces of patches that others have made in Ultralytics: in its files, and in the functions of this process."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from .probe import unplugged

#: where losses, and what they are computed from, stand
MODULES = (
    "ultralytics.utils.loss",
    "ultralytics.utils.metrics",
    "ultralytics.utils.tal",
    "ultralytics.models.utils.loss",
    "ultralytics.nn.tasks",
)
REMEDY = "start Python without the patch, and pass the loss to lpu.trainer(...)"


def changed_files() -> str:
    """Compare the files of losses with the list that was installed with them.

    Raises:
        RuntimeError: a file is not the one that was installed; it names each.
    """
    wanted = {f"{name.replace('.', '/')}.py" for name in MODULES}
    try:
        listed = metadata.files("ultralytics") or ()
    except metadata.PackageNotFoundError:  # a clone on PYTHONPATH
        listed = ()
    files = [file for file in listed if str(file) in wanted and file.hash is not None]
    edited = [str(file.locate()) for file in files if _digest(Path(str(file.locate()))) != file.hash.value]  # type: ignore[union-attr]
    if edited:
        raise RuntimeError(f"edited since it was installed: {', '.join(edited)}; install ultralytics anew")
    return f"{len(files)} files are as installed" if files else "installed without a list of its files"


def _digest(file: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode()


def replaced_functions() -> str:
    """Compare the modules of losses with what their files define, read a second time.

    Raises:
        RuntimeError: others have replaced a function, a method or a class in this process; it names each.
    """
    found = [line for name in MODULES for line in _replaced(importlib.import_module(name))]
    if found:
        raise RuntimeError("; ".join([*found, REMEDY]))
    return "Ultralytics' own"


def _replaced(module: ModuleType) -> Iterator[str]:
    for name, expected in vars(_read_again(module)).items():
        where, here = f"{module.__name__}.{name}", vars(module).get(name)
        if getattr(expected, "__module__", None) != module.__name__:
            yield from _of_import(module, name, here, expected)
        elif isinstance(expected, type):
            yield from _of_class(where, here, expected)
        elif callable(expected) and _layers(here) != _layers(expected):
            yield f"{where} is {_place(here, _layers(expected))}"


def _read_again(module: ModuleType) -> ModuleType:
    """What the file of a module defines: a copy of the module, which nobody else sees."""
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{module.__file__} cannot be read")
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


def _of_class(where: str, here: Any, expected: type) -> Iterator[str]:
    if not isinstance(here, type) or _title(here) != _title(expected):
        yield (
            f"{where} is {_place(here)}: subclasses of the original, and modules that imported it before, "
            "still use the original"
        )
        return
    if [_title(base) for base in here.__bases__] != [_title(base) for base in expected.__bases__]:
        yield f"{where} has other base classes than in its file"
    for name in (*vars(expected), *(vars(here).keys() - vars(expected).keys())):
        found, wanted = _layers(vars(here).get(name)), _layers(vars(expected).get(name))
        if found != wanted:
            yield f"{where}.{name} is {_place(vars(here)[name], wanted)}" if found else f"{where}.{name} was taken away"


def _of_import(module: ModuleType, name: str, here: Any, expected: Any) -> Iterator[str]:
    """What a module imports today is another object than it had imported: one of the two was replaced, or read anew."""
    if here is expected or not (inspect.isroutine(expected) or isinstance(expected, (type, ModuleType))):
        return
    if inspect.isroutine(here) and _layers(here) == _layers(expected):  # made by a decorator of another module
        return
    others = (other for other in MODULES if vars(sys.modules[other]).get(name) is expected)
    source = expected.__name__ if isinstance(expected, ModuleType) else next(others, "the module that defines it")
    yield f"{module.__name__} has another {name} than {source}: callers of the two compute different things"


def _layers(value: Any) -> list[tuple[Any, ...]]:
    """The functions that a function, method or property is made of, decorators first; none: it cannot be called."""
    value = unplugged(value)
    if isinstance(value, (staticmethod, classmethod)):
        return [(type(value),), *_layers(value.__func__)]
    if isinstance(value, property):
        return [(property,), *(layer for part in (value.fget, value.fset, value.fdel) for layer in _layers(part))]
    if isinstance(value, functools.cached_property):
        return [(functools.cached_property,), *_layers(value.func)]
    if not callable(value):
        return []
    code = getattr(value, "__code__", None)
    if code is None:
        return [_title(value if isinstance(value, type) else type(value))]
    inside = _layers(value.__wrapped__) if hasattr(value, "__wrapped__") else []
    return [(code.co_filename, code.co_firstlineno, code.co_name), *inside]


def _title(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _place(value: Any, wanted: Sequence[tuple[Any, ...]] = ()) -> str:
    """Where a function or class was defined, for messages; of a function, the layer that is not a wanted one."""
    for layer in [] if isinstance(value, type) else _layers(value):
        if layer not in wanted and len(layer) == len(("file", "line", "name")):
            return f"of {layer[0]}:{layer[1]}"
    try:
        file, line = inspect.getsourcefile(value), inspect.getsourcelines(value)[1]
    except (OSError, TypeError):
        return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', value)!s}"
    return f"of {file}:{line}"
