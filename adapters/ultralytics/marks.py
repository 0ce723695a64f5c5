# SPDX-License-Identifier: AGPL-3.0-or-later
"""The mark that names the plug of a model, a criterion and its parts: plain text, which deepcopy carries along."""

from __future__ import annotations

from typing import Any, NamedTuple

ATTRIBUTE = "_loss_plugin"


class Mark(NamedTuple):
    """Whose loss a part computes.

    Attributes:
        token: the plug's, unique over processes: in another one, and after the plug has left, it names nobody.
        branch: the branch of the criterion: parts with the same one share a loss and its running statistic.
    """

    token: str
    branch: str


def mark(part: Any, token: str, branch: str = "") -> None:
    """Mark a part; an earlier mark is lost."""
    setattr(part, ATTRIBUTE, f"{token}/{branch}")


def mark_of(part: Any) -> Mark | None:
    """The mark of a part, or None."""
    text = getattr(part, "__dict__", {}).get(ATTRIBUTE)
    parts = text.split("/") if isinstance(text, str) else ()
    return Mark(*parts) if len(parts) == 2 else None  # what another version wrote names nobody


def unmark(part: Any) -> None:
    """Take the mark off."""
    getattr(part, "__dict__", {}).pop(ATTRIBUTE, None)
