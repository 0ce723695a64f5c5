# SPDX-License-Identifier: AGPL-3.0-or-later
"""The YAML that names losses: numbers as people write them, errors in one line, and whose `imports:` are followed."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

import loss_plugins
from loss_plugins.catalog.ranges import closest
from loss_plugins.errors import refusal, shown

KEYS = ("box", "cls", "gain", "assigner")
EXAMPLE = "losses: {box: {type: eiou}}"


class Numbers(yaml.SafeLoader):
    """YAML with the numbers of version 1.2, in which 1e-7 is one; PyYAML alone reads it as text."""


Numbers.add_implicit_resolver(  # type: ignore[no-untyped-call]
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def yaml_value(text: str, where: str) -> Any:
    """What a YAML text says.

    Args:
        text: the YAML.
        where: where it comes from, for the error: "config='losses.yaml'".

    Raises:
        ValueError: it is no YAML; in one line.

    >>> yaml_value("{type: eiou, eps: 1e-7}", "box_loss")
    {'type': 'eiou', 'eps': 1e-07}
    """
    try:
        return yaml.load(text, Loader=Numbers)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise refusal("ultralytics adapter", f"{where}{place}: {problem}", "YAML", f"write, say, {EXAMPLE}") from error


def ready_made() -> dict[str, Path]:
    """The files of configs/ultralytics by name, wherever the package is installed."""
    folder = Path(str(files("loss_plugins.adapters.ultralytics.configs")))
    return {file.stem: file for file in folder.glob("*.yaml")}


def read_config(file: str | Path, said: str = "config") -> dict[str, Any]:
    """The `losses` section of a YAML file, or of the ready-made one of that name.

    Its `imports:` are code: they run when the file is read.

    They are followed only in files of the current folder and of this package. For another file, import the modules
    yourself before, or name them on the command line: imports=mylosses.

    Raises:
        ValueError: no such file, no such section, a key in it that is not known, or imports that are not followed.
    """
    if not isinstance(file, (str, os.PathLike)):
        raise refusal(
            "ultralytics adapter", f"{said}={shown(file)} is no path", "a YAML file", "pass its path", TypeError
        )
    path, where = Path(file), f"{said}={str(file)!r}"
    if not path.is_file() and path.parent == Path():
        path = ready_made().get(path.name.removesuffix(".yaml"), path)
    if not path.is_file():
        remedy = f"name a file, or one of the ready-made ones: {', '.join(sorted(ready_made()))}"
        raise refusal("ultralytics adapter", f"{where} is not a file", "a YAML file", remedy)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise refusal("ultralytics adapter", f"{where}: {error}", "text in UTF-8", "save it as such") from error
    content = yaml_value(text, where)
    losses = content.get("losses") if isinstance(content, Mapping) else None
    if not isinstance(losses, Mapping):
        raise refusal("ultralytics adapter", f"{where} has no section 'losses:'", "one", f"write, say, {EXAMPLE}")
    allowed = (*KEYS, "imports")
    for key in losses:
        if key not in allowed:
            came = f"{where}: unknown key losses.{key}"
            raise refusal("ultralytics adapter", came, ", ".join(allowed), closest(str(key), allowed))
    follow_imports(path, losses.get("imports") or ())
    return {key: losses[key] for key in KEYS if key in losses}


def follow_imports(path: Path, modules: Any) -> None:
    """Import the modules that a file names, if it is one of the current folder or of this package.

    Raises:
        ValueError: a file from elsewhere names a module that nobody has imported; no list of names; no such module.
    """
    where = f"config={str(path)!r}: imports={shown(modules)}"
    if isinstance(modules, str) or not all(isinstance(module, str) for module in modules):
        raise refusal("ultralytics adapter", where, "a list of modules", "write imports: [mylosses]")
    homes = (Path.cwd(), Path(loss_plugins.__file__).parent)
    trusted = any(path.resolve().is_relative_to(home.resolve()) for home in homes)
    missing = [module for module in modules if module not in sys.modules]
    if missing and not trusted:
        came = f"{where} would run code that a file outside of the current folder names"
        remedy = f"say imports={','.join(missing)} on the command line, or import {missing[0]} before"
        raise refusal("ultralytics adapter", came, "modules that are imported already", remedy)
    import_modules(missing, where)


def import_modules(modules: Iterable[str], where: str) -> None:
    """Import modules that register losses.

    Raises:
        ValueError: one cannot be imported.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            remedy = "correct the name, or put its folder on PYTHONPATH"
            raise refusal("ultralytics adapter", f"{where}: {error}", "modules that can be imported", remedy) from error
