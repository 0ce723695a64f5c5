"""`loss-plugins simulate`: the regression experiment of the DIoU paper, or of WIoU's, with any loss of boxes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ..catalog.ranges import Choice, check_value
from ..errors import refusal
from ..plots.made import Made, command_line
from ..plots.style import INSTALL, can_draw
from ..reports import require_writable, strict_json, write_whole
from .cases import SETTINGS, Cases, draw_cases
from .experiment import outcome_of
from .named import Named, named_losses, require_kinds, require_size
from .published import FOLLOWED, Conventions, conventions_of, told
from .simulation_pictures import draw_curves, draw_maps
from .slopes import Slopes
from .stored import Asked, Simulated, file_of, store, stored

DEFAULT = ("iou", "giou", "diou", "ciou", "eiou", "siou", "wiou")
#: torch's generators take no larger seed
MOST = 2**63 - 1


def simulate(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Losses: NAME, 'NAME(key=value, ...)' or package.module:function. "
            f"None: {' '.join(DEFAULT)}; with --gradients published {' '.join(FOLLOWED)}.",
        ),
    ] = None,
    gradients: Annotated[
        str,
        typer.Option(
            help="exact: of the loss; published: the updates of the published figure, which are not, "
            f"for {', '.join(FOLLOWED)}."
        ),
    ] = "exact",
    convention: Annotated[
        list[str] | None,
        typer.Option(help="With --gradients published: follow this convention of theirs alone; may be repeated."),
    ] = None,
    setting: Annotated[
        str, typer.Option(help="diou: 1911.08287, descent on centre and size; wiou: 2301.10051, Adam on corners.")
    ] = "diou",
    full: Annotated[bool, typer.Option("--full", help="All 1,715,000 cases instead of 2 in 100.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=MOST, help="Of the centres, and of the cases that are drawn.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for pictures, tables, JSON, and results to continue from.")] = Path(
        "runs/simulate"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Let boxes descend along the gradient of a loss to their targets, in 1,715,000 cases, and draw what is left."""
    look_up(gradients, setting, seed)
    losses = chosen(names or (), gradients)
    conventions = followed(losses, gradients, setting, convention or ())
    only = tuple(name.replace("-", "_") for name in convention or ())
    asked = Asked(setting, gradients, only, full, seed)
    require_writable("--out", out / "simulate.json")
    made = Made(said(names or (), asked), seed)
    with contextlib.redirect_stdout(sys.stderr):  # what a loss prints is not part of the report
        results = [*_simulated(losses, asked, conventions, out, made)]
    told_all = strict_json([{**each.to_dict(), **_conventions(each, conventions)} for each in results])
    write_whole(out / "simulate.json", told_all)
    written = {"numbers": str(out / "simulate.json"), **_drawn(results, out, made)}
    if as_json:
        typer.echo(told_all)
        return
    console = Console()
    console.print(_table(results))
    for label, file in written.items():
        console.print(f"{label}: {escape(file)}", soft_wrap=True, highlight=False)


def look_up(gradients: str, setting: str, seed: int) -> None:
    """Raise for an option that has no such value."""
    check_value("simulate", "--gradients", gradients, Choice("exact", "published"))
    check_value("simulate", "--setting", setting, Choice(*SETTINGS))
    if not 0 <= seed <= MOST:
        raise refusal("simulate", f"--seed={seed}", f"0 to {MOST}", "leave it out for 0")


def chosen(names: Sequence[str], gradients: str) -> list[Named]:
    """The losses of the command; raises for what it cannot serve."""
    losses = named_losses(names or (FOLLOWED if gradients == "published" else DEFAULT), "simulate")
    require_kinds(losses, ("box", "coordinate"), "simulate")
    require_size(losses, "simulate")
    for each in losses:
        if gradients == "published" and each.label not in FOLLOWED:
            came = f"--gradients published: none was published for {each.label}"
            raise refusal("simulate", came, ", ".join(FOLLOWED), f"leave {each.label} out, or --gradients")
    return losses


def followed(losses: Sequence[Named], gradients: str, setting: str, only: Sequence[str]) -> Conventions | None:
    """The conventions of the published updates; None: the gradients are those of the losses."""
    if gradients == "exact":
        if only:
            came = f"--convention={only[0]} beside --gradients exact"
            raise refusal("simulate", came, "none", "say --gradients published, too")
        return None
    if setting != "diou":
        came = f"--gradients published beside --setting {setting}"
        raise refusal("simulate", came, "--setting diou, whose figure they made", "leave one of the two out")
    return conventions_of([each.label for each in losses], only)


def said(names: Sequence[str], asked: Asked) -> str:
    """The command line that computes the same, without where it is written to."""
    options = {
        "gradients": None if asked.gradients == "exact" else asked.gradients,
        "convention": asked.conventions,
        "setting": None if asked.setting == "diou" else asked.setting,
        "full": asked.full,
        "seed": asked.seed or None,
    }
    return command_line(["simulate", *names], options)


def _simulated(
    losses: Sequence[Named], asked: Asked, conventions: Conventions | None, out: Path, made: Made
) -> list[Simulated]:
    """The results of all losses, of which some may be there already."""
    found = []
    cases: Cases | None = None
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulating", total=len(losses))
        for number, each in enumerate(losses):
            file = file_of(out, each, asked)
            known = stored(file, asked)
            if known is None:
                progress.update(task, description=f"simulating {escape(each.label)}")
                cases = cases or draw_cases(SETTINGS[asked.setting], asked.seed, asked.full)
                known = simulated(each, cases, asked, conventions, lambda share: progress.advance(task, share))
                store(file, known)
            progress.update(task, completed=number + 1)
            found.append(Simulated(**{**vars(known), "loss": each.label, "made": made}))
    return found


def simulated(each: Named, cases: Cases, asked: Asked, conventions: Conventions | None, tell: Any) -> Simulated:
    """The experiment with one loss."""
    slopes = Slopes(each)
    if conventions is None:
        slopes.try_on(cases)
    start = time.perf_counter()
    outcome = outcome_of(cases, slopes, conventions, tell)
    return Simulated(each.label, asked, len(cases), cases.setting.cases, outcome, time.perf_counter() - start)


def _conventions(each: Simulated, conventions: Conventions | None) -> dict[str, Any]:
    """The conventions that the update of a loss has followed."""
    return {} if conventions is None else {"conventions": told(conventions, each.loss)}


def _drawn(results: Sequence[Simulated], out: Path, made: Made) -> dict[str, str]:
    """The pictures, by what they show."""
    if not can_draw():
        return {"pictures": f"none without matplotlib: {INSTALL}"}
    draw_curves(results, out / "curves.png", made)
    draw_maps(results, out / "map.png", made)
    return {"curves": str(out / "curves.png"), "map": str(out / "map.png")}


def _table(results: Sequence[Simulated]) -> Table:
    """A line a loss, the best first."""
    title = f"{results[0].cases:,} of {results[0].of:,} cases, seed {results[0].asked.seed}"
    if results[0].measure == "error":
        table = Table(
            "loss", "after step 50", "100", "160", "200", "mean of a case", "seconds", title=f"error, {title}"
        )
        for each in sorted(results, key=lambda each: each.outcome.curve[-1]):
            curve = [f"{each.outcome.curve[step - 1]:,.0f}" for step in (50, 100, 160, 200)]
            mean = f"{each.outcome.summary['mean_final_error']:.5f}"
            table.add_row(escape(each.loss), *curve, mean, f"{each.seconds:.1f}")
    else:
        headings = ("best step", "mean IoU", "of the worst centre", "seconds")
        table = Table("loss", *headings, title=f"IoU at the best step, {title}")
        for each in sorted(results, key=lambda each: -max(each.outcome.curve)):
            summary = each.outcome.summary
            means = [f"{summary[name]:.4f}" for name in ("mean_over_centres", "minimum_over_centres")]
            table.add_row(escape(each.loss), str(summary["best_step"]), *means, f"{each.seconds:.1f}")
    for column in table.columns[1:]:
        column.justify = "right"
    return table
