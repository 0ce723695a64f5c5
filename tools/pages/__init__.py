"""The measured pages of docs/: each is a template beside this file, filled with what a command has measured."""

from __future__ import annotations

from pathlib import Path

TEMPLATES = Path(__file__).parent
DOCS = TEMPLATES.parent.parent / "docs"


def compose(name: str, parts: dict[str, str]) -> str:
    """The template of that name with its {placeholders} filled in; a part that it does not name is left out.

    Raises:
        KeyError: the template names a part that there is not.
    """
    return (TEMPLATES / f"{name}.md").read_text(encoding="utf-8").format(**parts)
