"""A comparison as a page in Markdown, and as lines of text that fit it and the terminal alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..plots.made import Made
from ..reports import markdown_list, markdown_table
from .compared import DECIDES, Comparison, Measured
from .contenders import STOCK
from .grid import MEASURES

HEADINGS = ("loss", "mean ± sd", "difference to stock", "95 % interval", "p (Holm)", "verdict", "seeds for 0.3")
NOTHING = "-"


def page(found: Comparison, said: Sequence[str], made: Made, picture: str) -> str:
    """The report.

    Args:
        found: the comparison.
        said: the rules, as they were printed before the first run.
        made: what made it.
        picture: name of the file beside it; "": there is none.
    """
    parts = [
        "# Losses compared with stock",
        "\n".join(f"    {line}" for line in str(made).splitlines()),
        "## Rules",
        markdown_list(said),
        "## Result",
        *(f"{name}, points:\n\n{markdown_table(HEADINGS, rows(found, name))}" for name in MEASURES),
        *([f"![difference to stock of every seed, its mean and 95 % interval]({picture})"] if picture else []),
        "## Left out, and stopped",
        markdown_list(exceptions(found)),
        "## Equal in all trainings",
        markdown_list(f"{key}: {_shown(value)}" for key, value in found.stamp().items()),
    ]
    return "\n\n".join(parts) + "\n"


def rows(found: Comparison, name: str) -> list[list[str]]:
    """A line a loss."""
    return [cells(label, measured[name]) for label, measured in found.losses.items()]


def cells(label: str, measured: Measured) -> list[str]:
    """Of the table."""
    count = len(measured.by_seed)
    spread = NOTHING if measured.mean is None else f"{measured.mean:.2f} ± {_number(measured.sd)} ({count})"
    if label == STOCK:
        return [label, spread, f"{measured.paired.mean:+.2f}", *[NOTHING] * (len(HEADINGS) - 3)]
    found = measured.paired
    interval = f"{found.low:+.2f} to {found.high:+.2f}" if math.isfinite(found.low) else NOTHING
    difference = f"{found.mean:+.2f} ({len(measured.pairs)})" if measured.pairs else NOTHING
    seeds = NOTHING if found.seeds is None else str(found.seeds)
    return [label, spread, difference, interval, f"{measured.p:.3f}", measured.verdict, seeds]


def lines(found: Comparison) -> Iterator[str]:
    """The result for the terminal, however narrow it is: a line a loss."""
    for name in MEASURES:
        yield f"{name}, points{' (decides)' if name == DECIDES else ''}:"
        for row in rows(found, name):
            label, spread, difference, interval, p, verdict, seeds = row
            if label == STOCK:
                yield f"- {label}: {spread}"
                continue
            needed = "" if seeds == NOTHING else f"; {seeds} seeds would show 0.3 points"
            found_so = f"{spread}, {difference} to stock, 95 % interval {interval}, p {p} (Holm)"
            yield f"- {label}: {verdict}; {found_so}{needed}"


def exceptions(found: Comparison) -> list[str]:
    """Cells that failed, losses without a pair, and trainings that did not run in one go."""
    failed = [f"{each.loss}, seed {each.seed}, is left out with its pair: {each.why}" for each in found.failed]
    resumed = [
        f"{each.loss}, seed {each.seed}, was stopped after epoch {each.trained.resumed} and went on: it has drawn "
        "other random numbers than one that ran in one go"
        for each in found.results
        if each.trained.resumed is not None
    ]
    return [*failed, *resumed]


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
