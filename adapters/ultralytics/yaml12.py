# SPDX-License-Identifier: AGPL-3.0-or-later
"""YAML 1.2, without what can be read in two ways; every error is one line that names the file, the place and the fix.

PyYAML reads version 1.1, in which 1e-7 is text, 010 is 8, 1:30 is 90 and no is False.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from loss_plugins.errors import refusal, shown

EXAMPLE = "losses: {box: {type: eiou}}"
TAG = "tag:yaml.org,2002:"
INT = f"{TAG}int"
#: what a plain scalar is (YAML 1.2.2, section 10.3.2), and the merge key, which everybody uses
CORE = {
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": "<<",
}
#: what is more than text to YAML 1.1
OLDER = {f"{TAG}{name}" for name in ("bool", "int", "float", "timestamp")}
#: no file that names losses comes near these
DEEPEST, LARGEST, LONGEST = 50, 10_000, 400


class Refused(yaml.MarkedYAMLError):
    """What YAML allows, and this reader does not."""

    def __init__(self, problem: str, node: Any, remedy: str) -> None:
        super().__init__(problem=problem, problem_mark=node.start_mark)
        self.remedy = remedy


class Yaml12(yaml.SafeLoader):
    """The reader; what it refuses beyond YAML itself would be read otherwise than it was meant."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own way)
        None: [(f"{TAG}{name}", re.compile(rf"(?:{pattern})\Z")) for name, pattern in CORE.items()]
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._inside: list[str | None] = []
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node: no tag, no alias to what it is part of, no key twice, nothing too deep or too large."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) and event.anchor in self._inside:
            raise Refused(f"the alias *{event.anchor} stands for what it is part of", event, "write out what is meant")
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace(TAG, "!!")
            raise Refused(f"the tag {shown(tag)}", event, "leave the tag out; text is written in quotes")
        if len(self._inside) == DEEPEST:
            raise Refused(f"lists and dicts more than {DEEPEST} deep", event, "take out brackets")
        self._inside.append(getattr(event, "anchor", None))
        node: Any = super().compose_node(parent, index)
        self._inside.pop()
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            _check_plain(node)
        if isinstance(event, yaml.MappingStartEvent):
            _check_keys(node)
        self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in _parts(node))
        if self._sizes[id(node)] > LARGEST:
            raise Refused(f"more than {LARGEST} values", node, "write fewer, or fewer aliases")
        return node


def _parts(node: Any) -> list[Any]:
    """The nodes of a list or dict, keys included."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_keys(node: Any) -> None:
    seen: dict[tuple[str, str], Any] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        first = seen.setdefault((key.tag, key.value), key)
        if first is not key:
            problem = f"the key {shown(key.value)} again, after line {first.start_mark.line + 1}"
            raise Refused(problem, key, "leave one of the two out")


def _check_plain(node: Any) -> None:
    """Refuse a scalar without quotes that YAML 1.1 reads otherwise."""
    text, tag = node.value, node.tag
    if tag == INT and len(text) > LONGEST:
        raise Refused(f"a number of {len(text)} digits", node, "write it as 1e9")
    older = _OLDER.resolve(yaml.ScalarNode, text, (True, False))
    if older == INT and len(text) > LONGEST:
        raise Refused(f"a number of {len(text)} characters to YAML 1.1", node, "write it as 1e9, or text in quotes")
    if older == INT and not any(sign.isalnum() for sign in re.sub("^[-+]?0[xb]", "", text)):
        raise Refused(
            f"{shown(text)} begins as a number to YAML 1.1, without a digit", node, f"write '{text}' in quotes"
        )
    if older not in OLDER or (older == tag and (tag != INT or yaml.safe_load(text) == _whole(text))):
        return
    then = "a date" if older == f"{TAG}timestamp" else json.dumps(yaml.safe_load(text))
    now, meant = (str(_whole(text)), str(_whole(text))) if tag == INT else ("text", f"'{text}' in quotes")
    remedy = f"write {meant}" if then == "a date" else f"write {then} or {meant}"
    raise Refused(f"{text} is {then} to YAML 1.1, and {now} to YAML 1.2", node, remedy)


_OLDER: Any = yaml.resolver.Resolver()


def _whole(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


Yaml12.add_constructor(INT, lambda _, node: _whole(node.value))


def yaml_value(text: str, where: str) -> Any:
    """What a YAML text says.

    Args:
        text: the YAML.
        where: where it comes from, for the error: "config='losses.yaml'".

    Raises:
        ValueError: it is no YAML, or may be read in two ways; in one line.

    >>> yaml_value("{type: eiou, eps: 1e-7}", "box_loss")
    {'type': 'eiou', 'eps': 1e-07}
    """
    try:
        return yaml.load(text, Loader=Yaml12)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        tab = "indent by spaces" if "'\\t'" in problem else ""
        remedy = getattr(error, "remedy", tab) or f"write, say, {EXAMPLE}"
        raise refusal("ultralytics adapter", f"{where}{place}: {problem}", "YAML 1.2", remedy) from error


def yaml_file(path: Path, where: str) -> Any:
    """What a YAML file says.

    Args:
        path: the file.
        where: as for `yaml_value`.

    Raises:
        ValueError: it cannot be read, or as `yaml_value`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        came = f"{where} is no text in UTF-8 ({error.reason} at byte {error.start})"
        raise refusal("ultralytics adapter", came, "a YAML file", "save it as UTF-8, or name another") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise refusal(
            "ultralytics adapter", f"{where}: {reason}", "a YAML file", "name one that you may read"
        ) from error
    return yaml_value(text, where)
