"""The hooks of a config: whether LossPluginsHook is among them, and which of its bases went missing for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.utils import get_installed_path

HOOK = "LossPluginsHook"
LINE = "default_hooks = dict(loss_plugins=dict(type='loss_plugins.LossPluginsHook'))"
BASES = "_base_"


def has_hook(cfg: Config) -> bool:
    """Whether a config, as it is merged, holds LossPluginsHook: in default_hooks, or in custom_hooks."""
    defaults = (cfg.get("default_hooks") or {}).values()
    return HOOK in [*_custom(cfg), *(_name(hook) for hook in defaults if hook is not None)]


def lost_hooks(cfg: Config) -> list[str]:
    """The hooks that bases of a config have in custom_hooks, and that a list with LossPluginsHook has replaced.

    MMEngine merges dicts and replaces lists. The file is read again, as a merged config does not know its bases; of
    one that has none, as a dumped copy, or whose file is gone, nothing is known and nothing said.
    """
    kept = _custom(cfg)
    if HOOK not in kept or not cfg.filename or not Path(cfg.filename).is_file():
        return []
    before = _before(Config.fromfile(cfg.filename, import_custom_modules=False))
    return [name for name in dict.fromkeys(before) if name not in kept]


def in_words(lost: list[str]) -> str:
    """What was lost, and what to do."""
    return (
        f"the list custom_hooks that holds {HOOK} has replaced the one of its _base_, so {', '.join(lost)} of the base "
        f"will not run: take {HOOK} out of custom_hooks, and write {LINE}, which is merged with the base's"
    )


def _before(cfg: Config) -> list[str]:
    """The custom hooks of the youngest configs of a tree of bases that do not hold ours."""
    names = _custom(cfg)
    if HOOK not in names:
        return names
    return [name for base in bases(Path(cfg.filename)) for name in _before(base)]


def _custom(cfg: Config) -> list[str]:
    return [_name(hook) for hook in cfg.get("custom_hooks") or ()]


def _name(hook: Any) -> str:
    """The class of a hook: of an instance, or of a dict whose type is a class or its name with or without a scope."""
    kind = hook.get("type") if isinstance(hook, dict) else type(hook)
    return kind.__name__ if isinstance(kind, type) else str(kind).rpartition(".")[2]


def bases(file: Path) -> Iterator[Config]:
    """The configs that a config file names as its bases, each merged with its own."""
    if file.suffix == ".py":
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named = [*_assigned(tree), *(str(_module_file(file, node)) for node in _imported(tree))]
    else:
        named = _as_list(mmengine.load(file).get(BASES, []))
    for name in named:
        if "::" in name:  # of an installed package
            yield get_config(name)
        else:
            yield Config.fromfile(file.parent / name, import_custom_modules=False)


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
