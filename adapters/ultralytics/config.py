# SPDX-License-Identifier: AGPL-3.0-or-later
"""The YAML that names losses: its section, its keys, and whose `imports:` are followed."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from types import NoneType
from typing import Any

import loss_plugins
from loss_plugins.catalog.ranges import closest
from loss_plugins.errors import refusal, shown

from .own import enter_from, entered_from
from .slot_table import SLOTS, UNSERVED
from .yaml12 import EXAMPLE, yaml_file

KEYS = (*SLOTS, "gain", "assigner", "nan_guard")
#: what else stands in `losses`
ALLOWED = (*KEYS, "imports")


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
    path, where = found_file(file, said)
    losses = _section(yaml_file(path, where), where)
    for key in losses:
        if key not in ALLOWED:
            raise refusal(
                "ultralytics adapter",
                f"{where}: unknown key losses.{key}",
                ", ".join(ALLOWED),
                UNSERVED.get(str(key)) or closest(str(key), ALLOWED),
            )
    follow_imports(path, losses.get("imports"), where)
    return {key: losses[key] for key in KEYS if key in losses}


def found_file(file: str | os.PathLike[str], said: str) -> tuple[Path, str]:
    """The path of a file, or of the ready-made one of that name, and how messages call it.

    Raises:
        ValueError: there is none.
    """
    path, where = Path(file), f"{said}={shown(str(file))}"
    try:
        if not path.is_file() and path.parent == Path():
            path = ready_made().get(path.name.removesuffix(".yaml"), path)
        if path.is_file():
            return path, where
        came = f"{where} is a folder" if path.is_dir() else f"{where} is not a file"
    except OSError as error:  # a name that no file can have, or a folder that may not be looked into
        came = f"{where} is not a file: {error.strerror}"
    near = closest(path.name.removesuffix(".yaml").replace("-", "_"), ready_made())
    guess = f"{near} " if near.startswith("did you mean") else ""
    remedy = f"{guess}name a file, or one of the ready-made ones: {', '.join(sorted(ready_made()))}"
    raise refusal("ultralytics adapter", came, "a YAML file", remedy)


def _section(content: Any, where: str) -> Mapping[Any, Any]:
    """The section `losses` of a file."""
    keys = content if isinstance(content, Mapping) else {}
    losses = keys.get("losses")
    beside = [key for key in ALLOWED if key in keys and not isinstance(keys[key], (int, float))]  # gains of Ultralytics
    if beside and isinstance(losses, Mapping):
        came, remedy = (
            f"{where}: the key {beside[0]} stands beside losses:",
            "indent it, so that it stands under losses:",
        )
        raise refusal("ultralytics adapter", came, f"losses: {{{beside[0]}: ...}}", remedy)
    if isinstance(losses, Mapping):
        return losses
    held = "nothing" if content is None else shown(content)
    near = difflib.get_close_matches("losses", map(str, keys), n=1)
    remedy = f"write 'losses' for {near[0]!r}" if near and "losses" not in keys else f"write, say, {EXAMPLE}"
    came = f"{where} has no section 'losses:' with keys, it holds {held}"
    raise refusal("ultralytics adapter", came, "one", remedy)


def follow_imports(path: Path, modules: Any, where: str) -> None:
    """Import the modules that a file names, if it is one of the current folder or of this package.

    Raises:
        ValueError: a file from elsewhere names a module that nobody has imported; no list of names; no such module.
    """
    where = f"{where}: imports={shown(modules)}"
    if not isinstance(modules, (list, NoneType)):
        raise refusal("ultralytics adapter", where, "a list of modules", "write imports: [mylosses]")
    for module in modules or ():
        check_module(module, where)
    homes = (Path.cwd(), Path(loss_plugins.__file__).parent)
    trusted = any(path.resolve().is_relative_to(home.resolve()) for home in homes)
    missing = [module for module in modules or () if not is_here(module)]
    if missing and not trusted:
        came = f"{where} would run code that a file outside of the current folder names"
        remedy = f"say imports={','.join(missing)} on the command line, or import {missing[0]} before"
        raise refusal("ultralytics adapter", came, "modules that are imported already", remedy)
    import_modules(missing, where)


def check_module(module: Any, where: str) -> None:
    """Raise unless this is the name of a module, from the top: "mylosses" or "mypackage.losses"."""
    parts = module.replace(":", ".", 1).split(".") if isinstance(module, str) and not is_here(module) else ["sys"]
    if not (isinstance(module, str) and all(part.isidentifier() for part in parts)):
        remedy = f"{shown(module)} is none: write the name as after `import`, without .py, or MODULE:FUNCTION"
        raise refusal("ultralytics adapter", where, "names of modules", remedy)


def is_here(module: str) -> bool:
    """Whether a module is imported, or a function "mylosses:my_iou" in the catalogue."""
    return entered_from(module) if ":" in module else module in sys.modules


def import_modules(modules: Iterable[str], where: str) -> None:
    """Import modules that register losses; those of the current folder are found, as by `python -m`.

    Raises:
        ValueError: one cannot be imported.
    """
    for module in modules:
        check_module(module, where)
        if is_here(module):
            continue
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            enter_from(module) if ":" in module else importlib.import_module(module)
        except ImportError as error:
            remedy = "correct the name, or put its folder on PYTHONPATH"
            raise refusal("ultralytics adapter", f"{where}: {error}", "modules that can be imported", remedy) from error
        except (Exception, SystemExit) as error:
            came = f"{where}: {module} raised {type(error).__name__}: {error}"
            remedy = f"mend it, until `python -c 'import {module}'` runs"
            raise refusal("ultralytics adapter", came, "modules that can be imported", remedy) from error
