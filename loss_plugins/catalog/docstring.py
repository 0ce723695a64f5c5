"""What a docstring in Google's style says: summary, description, `Args`, `Returns`, `Raises`, example."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_HEADING = re.compile(r"^(Args|Attributes|Returns|Raises|Note|Notes|Examples?):[ ]*$", re.MULTILINE)
#: `name: text`, `name (type): text` or `**name: text`, with more lines indented
_ITEM = re.compile(r"^\*{0,2}(\w+)(?: \([^)\n]*\))?:[ \n]*(.*(?:\n+[ \t]+.*)*)", re.MULTILINE)
_PROMPT = re.compile(r"^[ \t]*>>> ", re.MULTILINE)


@dataclass(frozen=True)
class Docstring:
    """The parts of a docstring; what it does not say is empty."""

    summary: str = ""
    description: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    returns: str = ""
    raises: Mapping[str, str] = field(default_factory=dict)
    example: str = ""


@functools.cache
def parsed(documented: Callable[..., Any]) -> Docstring:
    """The docstring of a function or class, in parts.

    >>> def area(width, height):
    ...     '''Area of a box.
    ...
    ...     Args:
    ...         width: its width,
    ...             at least 0.
    ...         height: its height.
    ...     '''
    >>> parsed(area).summary, dict(parsed(area).arguments)
    ('Area of a box.', {'width': 'its width, at least 0.', 'height': 'its height.'})
    """
    text = inspect.getdoc(documented) or ""
    prompt = _PROMPT.search(text)
    example = textwrap.dedent(text[prompt.start() :]).strip() if prompt else ""
    lead, *parts = _HEADING.split(text[: prompt.start()] if prompt else text)
    summary, _, description = lead.strip().partition("\n\n")
    sections = dict(zip(parts[::2], map(textwrap.dedent, parts[1::2]), strict=True))
    return Docstring(
        summary=_joined(summary),
        description=description.strip(),
        arguments=_items(sections.get("Args", "")),
        returns=_joined(sections.get("Returns", "")),
        raises=_items(sections.get("Raises", "")),
        example=example,
    )


def _items(section: str) -> dict[str, str]:
    return {name: _joined(text) for name, text in _ITEM.findall(section)}


def _joined(text: str) -> str:
    return " ".join(text.split())
