"""Changes of a config as Python text to put at the end of its file."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .attempt import Attempt
from .bases import BASES, bases, read_text, with_its_path
from .edits import Edited
from .keys import inside
from .written import written

#: a part of a config whose text is no literal, so what it holds is not known from reading it
OPAQUE = object()
BY_HAND = "# by hand, as no line at the end of the file was seen to do it: {}={}"
Tree = dict[str, Any]


def fragment(file: Path, cfg: Config, changes: Mapping[str, Any], read: Callable[[str], Config]) -> list[str]:
    """Lines that make these changes at the end of a config file; as comments, those that no line was seen to make.

    Args:
        file: the config, in Python text, pure Python, YAML or JSON; of the last two the lines are a new config.
        cfg: the same, read and merged.
        changes: config keys to values; a dict is a loss that replaces the one that was there.
        read: reads a config file, as `cfg` was read.
    """
    source = _Source.of(file, cfg)
    attempt = Attempt(file, source.text, read)
    opening = [f"{BASES} = {written(file.name)}"] if changes and file.suffix != ".py" else []
    lines: list[str] = []
    for name, below in _tree(changes).items():
        own = {key: value for key, value in changes.items() if key.partition(".")[0] == name}
        wanted = Edited(cfg.get(name) or {})
        for key, value in own.items():
            wanted.set(key, value)
        ways = (list(way) for way in source.ways(name, below))
        way = next((way for way in ways if attempt.holds([*opening, *way], name, wanted.config)), None)
        lines += [BY_HAND.format(key, written(value)) for key, value in own.items()] if way is None else way
    return lines if all(line.startswith("#") for line in lines) else [*opening, *lines]


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
        text: what lines at its end are put behind.
    """

    cfg: Mapping[str, Any]
    base: Mapping[str, Any]
    own: Mapping[str, Any]
    text: str

    @classmethod
    def of(cls, file: Path, cfg: Config) -> _Source:
        if file.suffix != ".py":
            return cls(cfg, cfg, {}, "")
        tree = ast.parse(read_text(file))
        if _is_pure_python(tree):
            return cls(cfg, {}, dict(cfg), file.read_text(encoding="utf-8"))
        base: dict[str, Any] = {}
        for each in bases(file):
            base.update(each)
        return cls(cfg, base, _assigned(tree) if base else dict(cfg), with_its_path(file))

    def ways(self, name: str, below: Tree) -> Iterator[Iterator[str]]:
        """Lines for the changes below a top-level name, in several ways: each suits other files, the first most."""
        merges = name in self.base
        if name in self.own:
            yield self.statements(name, self.own[name], [name], below, merges)
            yield self.statements(name, OPAQUE, [name], below, merges)
        elif not (merges and _meets_list(self.base[name], below)):
            yield iter([f"{name} = {written(self.merging([name], below))}"])
            yield self.statements(name, OPAQUE, [name], below, merges)
        if merges:
            yield chain([f"{name} = {BASES}.{name}"], self.statements(name, self.base[name], [name], below, merges))

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
    named = any(isinstance(node, ast.Assign) and _variable(node) == BASES for node in tree.body)
    return not named and any(isinstance(node, (ast.With, ast.ImportFrom)) for node in tree.body)


def _assigned(tree: ast.Module) -> dict[str, Any]:
    """What is known of the names that a file assigns: of one in any other form than `name = ...`, that it is there."""
    found: dict[str, Any] = {}
    for node in tree.body:
        name = _variable(node)
        if name and isinstance(node, (ast.Assign, ast.AnnAssign)):
            found |= {name: _known(node.value)} if node.value is not None else {}
            continue
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and (isinstance(each.ctx, ast.Store) or each.id in found):
                found[each.id] = OPAQUE
    return found


def _variable(node: ast.stmt) -> str:
    """The variable of `a = ...` and `a: dict = ...`; "": another statement, or one of several variables."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


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
