"""Changes of a config as Python text to put at the end of its file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .bases import BASES, bases, read_text
from .keys import inside
from .written import written

#: a part of a config whose text is no literal, so what it holds is not known from reading it
OPAQUE = object()
Tree = dict[str, Any]


def fragment(file: Path, cfg: Config, changes: Mapping[str, Any]) -> list[str]:
    """Lines that make these changes at the end of a config file.

    Args:
        file: the config, in Python text, pure Python, YAML or JSON; of the last two the lines are a new config.
        cfg: the same, read and merged.
        changes: config keys to values; a dict is a loss that replaces the one that was there.
    """
    source = _Source.of(file, cfg)
    tree = _tree(changes)
    lines = [f"{BASES} = {written(file.name)}"] if tree and file.suffix != ".py" else []
    for name, below in tree.items():
        lines += source.lines(name, below)
    return lines


@dataclass(frozen=True)
class _Loss:
    """A value that replaces what was there."""

    value: Any


def _tree(changes: Mapping[str, Any]) -> Tree:
    tree: Tree = {}
    for key, value in changes.items():
        *path, last = key.split(".")
        at = tree
        for name in path:
            at = at.setdefault(name, {})
        at[last] = _Loss(value)
    return tree


@dataclass(frozen=True)
class _Source:
    """What a config file assigns itself, and what it takes from its bases.

    Attributes:
        cfg: the file with its bases.
        base: its bases; empty: it has none.
        own: top-level names that the file assigns, with what is known of them.
    """

    cfg: Mapping[str, Any]
    base: Mapping[str, Any]
    own: Mapping[str, Any]

    @classmethod
    def of(cls, file: Path, cfg: Config) -> _Source:
        if file.suffix != ".py":
            return cls(cfg, cfg, {})
        tree = ast.parse(read_text(file))
        if _is_pure_python(tree):
            return cls(cfg, {}, dict(cfg))
        base: dict[str, Any] = {}
        for each in bases(file):
            base.update(each)
        return cls(cfg, base, _assigned(tree) if base else dict(cfg))

    def lines(self, name: str, below: Tree) -> Iterator[str]:
        """Lines for the changes below a top-level name."""
        merges = name in self.base
        if name in self.own:
            yield from self.statements(name, self.own[name], [name], below, merges)
        elif merges and _meets_list(self.base[name], below):
            yield f"{name} = {BASES}.{name}"
            yield from self.statements(name, self.base[name], [name], below, merges)
        else:
            yield f"{name} = {written(self.merging([name], below))}"

    def statements(self, text: str, known: Any, path: list[str], below: Tree, merges: bool) -> Iterator[str]:
        """Assignments to parts of a variable.

        Args:
            text: the variable, or the part of it that these are below of.
            known: what the file says of this part.
            path: names and numbers down to it.
            below: the changes.
            merges: whether this part is merged with that of a base; what lies in a list is not.
        """
        for name, change in below.items():
            inner = [*path, name]
            part = f"{text}[{name if _is_index(known, name) else written(name)}]"
            merged = merges and not _is_index(known, name)
            if isinstance(change, _Loss):
                yield f"{part} = {written(self.replacing(inner, change.value) if merged else change.value)}"
            elif known is OPAQUE:
                opened = part if name.isdigit() else f"{text}.setdefault({written(name)}, {{}})"
                yield from self.statements(opened, OPAQUE, inner, change, merged)
            elif (found := inside(known, name)) is not None:
                yield from self.statements(part, found, inner, change, merged)
            elif merged and _meets_list(base := _at(self.base, inner), change):
                yield f"{part} = {BASES}.{'.'.join(inner)}"
                yield from self.statements(part, base, inner, change, merged)
            else:
                yield f"{part} = {written(self.merging(inner, change) if merged else _plain(change))}"

    def merging(self, path: list[str], below: Tree) -> Any:
        """Changes as a dict that is merged with that of a base."""
        return {
            name: self.replacing([*path, name], change.value)
            if isinstance(change, _Loss)
            else self.merging([*path, name], change)
            for name, change in below.items()
        }

    def replacing(self, path: list[str], value: Any) -> Any:
        """A value that replaces that of a base, where the base has one to merge with."""
        if isinstance(value, Mapping) and isinstance(_at(self.base, path), Mapping):
            return {"_delete_": True, **value}
        return value


def _plain(below: Tree) -> Any:
    return {name: each.value if isinstance(each, _Loss) else _plain(each) for name, each in below.items()}


def _at(config: Any, path: list[str]) -> Any:
    for name in path:
        config = inside(config, name)
    return config


def _is_index(config: Any, name: str) -> bool:
    return name.isdigit() and not isinstance(config, Mapping) and config is not None


def _meets_list(config: Any, below: Tree) -> bool:
    """Whether a list lies on the way to a change, where no dict can be merged."""
    for name, change in below.items():
        if isinstance(config, (list, tuple)):
            return True
        if not isinstance(change, _Loss) and _meets_list(inside(config, name), change):
            return True
    return False


# --- what a file says -------------------------------------------------------------------------------------------


def _is_pure_python(tree: ast.Module) -> bool:
    """Whether MMEngine reads a config as pure Python: names of its bases are imported, and then its own."""
    named = any(isinstance(node, ast.Assign) and _target(node) == BASES for node in tree.body)
    return not named and any(isinstance(node, (ast.With, ast.ImportFrom)) for node in tree.body)


def _assigned(tree: ast.Module) -> dict[str, Any]:
    """What is known of the names that a file assigns; of one that is changed afterwards, that it is there."""
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            name = _target(node)
            plain = isinstance(node.targets[0], ast.Name)
            found[name] = _known(node.value) if plain else OPAQUE
    for node in tree.body:
        if isinstance(node, (ast.Expr, ast.For, ast.AugAssign, ast.If)):
            changed = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            found |= dict.fromkeys(changed & set(found), OPAQUE)
    return found


def _target(node: ast.Assign) -> str:
    """The variable of `a = ...`, and of `a["b"]["c"] = ...`."""
    target: ast.expr = node.targets[0]
    while isinstance(target, (ast.Subscript, ast.Attribute)):
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def _known(node: ast.expr) -> Any:
    """What a literal holds, down to what is none."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        if all(each.arg for each in node.keywords):
            return {str(each.arg): _known(each.value) for each in node.keywords}
    elif isinstance(node, ast.Dict):
        if all(isinstance(each, ast.Constant) for each in node.keys):
            return {
                str(key.value): _known(value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
    elif isinstance(node, ast.List) and not any(isinstance(each, ast.Starred) for each in node.elts):
        return [_known(each) for each in node.elts]
    return OPAQUE
