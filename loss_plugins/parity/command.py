"""`loss-plugins parity`: our dialects beside the installed built-ins; exit code 1 if one of them is not equal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from ..peers import FRAMEWORKS, compared, installed
from ..reports import require_writable, strict_json, write_whole
from .contract import contracts_to_compare
from .markdown import comparison_page, deviation_page, training_page
from .reasons import reasons_of
from .report import check_framework, make_report
from .terminal import print_report


def parity(
    against: Annotated[str, typer.Option(help=f"{', '.join(FRAMEWORKS)}, or all that are installed.")] = "all",
    pairs: Annotated[int, typer.Option(min=400, help="Rows to sample.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the sampler.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a Markdown report here.")] = None,
    deviations_to: Annotated[
        Path | None, typer.Option("--deviations", help="Measure where our defaults differ, and write it here.")
    ] = None,
    train: Annotated[bool, typer.Option(help="Train instead: our dialect of the stock losses beside them.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each run of --train.")] = 8,
) -> None:
    """Compare value and gradient of our dialects with the installed built-ins. Exit code 1 if one is not equal."""
    check_framework(against)
    for option, file in (("--report", report), ("--deviations", deviations_to)):
        require_writable(option, file)
    measure_deviations = deviations_to is not None
    # what frameworks print when they are imported is not part of the report
    with progress_bar(against, train, measure_deviations) as progress, contextlib.redirect_stdout(sys.stderr):
        found = make_report(
            against,
            pairs,
            seed,
            train_steps=steps if train else 0,
            deviations=measure_deviations,
            progress=progress,
        )
    if report is not None:
        write_whole(report, training_page(found) if train else comparison_page(found))
    if deviations_to is not None:
        write_whole(deviations_to, deviation_page(found))
    if as_json:
        typer.echo(strict_json(found.to_dict(), indent=1))
    else:
        console = Console()
        print_report(found, console)
        for written in filter(None, (report, deviations_to)):
            console.print(f"written: {escape(str(written))}", soft_wrap=True, highlight=False)
    if not found.ok:
        raise typer.Exit(1)


@contextlib.contextmanager
def progress_bar(against: str, train: bool, deviations: bool) -> Iterator[Callable[[str], None]]:
    """A progress bar on standard error; trainings, which take minutes each, are told in lines."""
    console = Console(stderr=True)
    if train:
        yield console.print
        return
    rows = len([row for row in compared(against) if installed(row.framework)])
    reasons = len(reasons_of(against)) if deviations else 0
    contracts = len(contracts_to_compare(against))
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("comparing", total=rows + contracts + reasons)
        yield lambda step: progress.update(task, description=step, advance=1)
