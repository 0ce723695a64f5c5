"""The table of losses in the README, made from the catalogue: `python -m tools.readme README.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from loss_plugins.catalog.declare import KINDS
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.reports import markdown_table

BEGIN = "<!-- losses: begin (made by python -m tools.readme README.md) -->"
END = "<!-- losses: end -->"
HEADINGS = ("name", "kind", "what it is", "source", "gradient when disjoint", "units")


def loss_table() -> str:
    """One Markdown row per loss of this package, by kind and name."""
    entries = sorted(shipped(), key=lambda entry: (KINDS.index(entry.kind), entry.name))
    return markdown_table(HEADINGS, map(_cells, entries))


def _cells(entry: Entry) -> list[str]:
    year = f", {entry.source.year}" if entry.source.year else ""
    source = f"[{entry.source.title}]({entry.source.url}){year}" if entry.source.url else ""
    disjoint = ("yes" if entry.traits.gradient_when_disjoint else "**no**") if entry.kind == "box" else ""
    summary = entry.summary.rstrip(".")
    return [f"`{entry.name}`", entry.kind, summary, source, disjoint, entry.traits.units]


def update(file: Path) -> None:
    """Write the table between the markers of a Markdown file."""
    text = file.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    file.write_text(f"{before}{BEGIN}\n{loss_table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    update(Path(sys.argv[1]))
