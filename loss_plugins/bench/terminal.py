"""A report of the benchmark in the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .cells import cost_line, short_cells
from .report import Report

HEADINGS = ("loss", "size", "eager", "vs peer", "compiled", "vs peer", "over BCE")


def print_report(report: Report, console: Console) -> None:
    """The ratios, and what was measured beside them."""
    title, caption = "forward + backward, in ms", "vs peer: the fastest peer's time over ours"
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True, justify="left" if heading == "loss" else "right")
    for result in report.results:
        table.add_row(*short_cells(result))
    console.print(table)
    for name, value in report.costs.items():
        console.print(escape(cost_line(name, value)), highlight=False)
