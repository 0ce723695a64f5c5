"""A parity report in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .cells import COMPARISON_HEADINGS, SHORT_HEADINGS, TRAINING_HEADINGS, comparison_cells, short_cells, training_cells
from .report import Report

#: columns from which on a terminal gets all of the table
WIDE = 120


def print_report(report: Report, console: Console) -> None:
    """Tables for people, then what explains them."""
    if report.comparisons:
        _print_comparisons(report, console)
    if report.trained:
        title = "training parity: our dialect of the stock losses beside them"
        rows = ((training_cells(row), row.ok) for row in report.trained)
        console.print(_table(title, TRAINING_HEADINGS, rows))


def _print_comparisons(report: Report, console: Console) -> None:
    wide = console.width >= WIDE
    headings, cells = (COMPARISON_HEADINGS, comparison_cells) if wide else (SHORT_HEADINGS, short_cells)
    console.print(_table(report.summary, headings, ((cells(row), row.ok) for row in report.comparisons)))
    if not wide:
        console.print("value, gradient: largest difference; rounded: rows within the built-in's own rounding\n")
    for name, text in report.samples.items():
        console.print(f"[cyan]{name}[/cyan]: {escape(text)}", style="dim", highlight=False)
    for rule in report.rules_used:
        console.print(f"excluded by [cyan]{rule.name}[/cyan]: {escape(rule.why)}", highlight=False)
    console.print(f"every way of calling them: {report.contract_summary}", highlight=False)
    for case_rule in report.case_rules_used:
        console.print(f"on purpose, [cyan]{case_rule.name}[/cyan]: {escape(case_rule.why)}", highlight=False)
    for contract in report.contracts:
        for wrong in contract.wrong:
            name = f"[red]{contract.framework} {escape(contract.loss)}[/red]"
            console.print(f"{name}, {escape(wrong.case)}: {escape(wrong.verdict)}", highlight=False)
    for line in report.absent:
        console.print(f"not compared: {escape(line)}", highlight=False)
    for broken in (row for row in report.comparisons if not row.ok):
        console.print(
            f"[red]{broken.framework} {escape(broken.loss)} {broken.dtype}[/red]: row {broken.worst}, "
            f"pred {broken.worst_pred}, target {broken.worst_target}"
        )


def _table(title: str, headings: Sequence[str], rows: Iterable[tuple[Sequence[str], bool]]) -> Table:
    """A row is its cells, of which the last is the verdict, and whether that is a good one."""
    table = Table(*headings, title=title, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for cells, ok in rows:
        *rest, verdict = map(escape, cells)
        table.add_row(*rest, f"[{'green' if ok else 'red'}]{verdict}[/]")
    return table
