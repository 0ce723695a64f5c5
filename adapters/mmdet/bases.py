"""The text of a config file as MMEngine reads it, and the configs that it names as its bases."""

from __future__ import annotations

import ast
import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.utils import get_installed_path

BASES = "_base_"
#: what stands for a part of the file's path: {{ fileDirname }}
OF_THE_FILE = re.compile(r"\{\{\s*(file\w+)\s*\}\}")
#: what stands for a variable of the environment, with or without a value in its absence: {{$NAME:value}}, {{'$NAME:3'}}
OF_THE_ENVIRONMENT = re.compile(r"\{\{['\"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['\"]?\}\}")
#: what stands for a value of a base: {{ _base_.model.type }}
OF_A_BASE = re.compile(r"\{\{\s*(_base_\.[\w.]+)\s*\}\}")


def bases(file: Path) -> Iterator[Config]:
    """The configs that a config file names as its bases, each merged with its own."""
    if file.suffix == ".py":
        tree = ast.parse(read_text(file))
        named = [*_assigned(tree), *(str(_module_file(file, node)) for node in _imported(tree))]
    else:
        named = _as_list(_held(file).get(BASES, []))
    for name in named:
        if "::" in name:  # of an installed package
            yield get_config(name)
        else:
            yield Config.fromfile(file.parent / name, import_custom_modules=False)


def holds_dict(file: Path) -> bool:
    """Whether a config file is one: of Python it is not looked at, and YAML and JSON may hold anything else."""
    return file.suffix not in (".yaml", ".yml", ".json") or isinstance(_held(file), Mapping)


def _held(file: Path) -> Any:
    """What a file of YAML or JSON holds."""
    return mmengine.load(io.StringIO(read_text(file)), file_format=file.suffix[1:])


def read_text(file: Path) -> str:
    """The text of a config as MMEngine replaces it, but for a value of a base, which is its name as a string."""
    text = OF_THE_ENVIRONMENT.sub(lambda found: os.environ.get(*found.groups()), with_its_path(file))
    return OF_A_BASE.sub(r'"\1"', text)


def with_its_path(file: Path) -> str:
    """The text of a config, with the parts of its path where it asks for them."""
    path = file.absolute()
    parts = {
        "fileDirname": path.parent.as_posix(),
        "fileBasename": path.name,
        "fileBasenameNoExtension": path.stem,
        "fileExtname": path.suffix,
    }
    return OF_THE_FILE.sub(lambda found: parts.get(found[1], found[0]), path.read_text(encoding="utf-8"))


def _assigned(tree: ast.Module) -> list[str]:
    """What a text config says: _base_ = [...], of which MMEngine takes any expression of constants."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == BASES:
            return _as_list(eval(compile(ast.Expression(node.value), BASES, "eval")))
    return []


def _imported(tree: ast.Module) -> Iterator[ast.ImportFrom]:
    """What a pure-Python config imports inside of `with read_base():`."""
    for block in tree.body:
        if isinstance(block, ast.With):
            yield from (node for node in block.body if isinstance(node, ast.ImportFrom))


def _module_file(file: Path, node: ast.ImportFrom) -> Path:
    """The file of `from .bases.coco import *`, or of `from mmdet.configs.rtmdet import *`."""
    parts = str(node.module).split(".")
    folder = file.parent.joinpath(*[".."] * (node.level - 1)) if node.level else Path(get_installed_path(parts.pop(0)))
    return folder.joinpath(*parts).with_suffix(".py").resolve()


def _as_list(value: Any) -> list[str]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
