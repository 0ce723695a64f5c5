"""`loss-plugins compare`: trainings with several losses and the same seeds, and what may be said of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from ..catalog.ranges import Choice, check_value
from ..errors import closest, refusal
from ..plots.made import PROGRAM, Made, command_line, versions
from ..plots.style import INSTALL, can_draw
from ..reports import require_writable, strict_json, write_whole
from .cells import failed_among, run_cells, train_here
from .compared import Failed, compare_results, rules
from .comparison_page import exceptions, lines, page
from .comparison_picture import draw_comparison
from .contenders import contenders, require_stock_beside
from .grid import Cell, Plan, Training, planned_in, results_in, seeds_of, stored
from .paired import distributions

EXTENSIONS = "loss_plugins.comparisons"
EXAMPLE = "loss-plugins compare --losses stock,ciou --seeds 5 -- yolo detect train model=yolo11n.yaml data=data.yaml"
SEEDS = 5


def compare(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- COMMAND...",
            help="Behind --: the training, `yolo detect train model=... data=...` or `mmdet CONFIG.py key=value ...`.",
        ),
    ] = None,
    losses: Annotated[
        str,
        typer.Option(
            help="Comma-separated: NAME, 'NAME(key=value, ...)' or package.module:function; stock is always one."
        ),
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="How many, from 0 on, the same for all losses.")] = SEEDS,
    gain: Annotated[str, typer.Option(help="keep the gains, or match: each loss pulls as hard as stock.")] = "keep",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of the CPU, in each training; all cores by default.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for trainings, results, picture and report.")] = Path(
        "runs/compare"
    ),
    cell: Annotated[
        int | None, typer.Option(min=0, help="Train this cell of the grid alone, from 0 on, as lines of --print do.")
    ] = None,
    print_lines: Annotated[
        bool, typer.Option("--print", help="Print one shell line a training, for a job array, and train nothing.")
    ] = False,
    collect: Annotated[
        Path | None, typer.Option(help="Join the results below this folder, and train nothing; alone, or with --json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Train with several losses and the same seeds, and say which is better than stock, worse, or cannot be told."""
    distributions()  # scipy is needed at the end, and its absence told now
    if collect is not None:
        refuse_beside_collect(words, losses, cell, print_lines)
        finish(*collected(collect), collect, None, as_json)
        return
    plan = planned(words or [], losses, seeds, gain, threads)
    if cell is not None and print_lines:
        raise refusal("compare", f"--cell={cell} beside --print", "one of the two", "leave --cell out")
    if cell is not None and not 0 <= cell < len(plan.cells):
        came, remedy = f"--cell={cell} of {len(plan.cells)} cells", "see --print"
        raise refusal("compare", came, f"0 to {len(plan.cells) - 1}", remedy)
    training = training_of(plan.words)
    for each in plan.losses:
        if not each.is_stock:
            training.require(each, plan.gain)
    if print_lines:
        for one in plan.cells:
            typer.echo(shlex.join([PROGRAM, *line_of(one, out)]))
        return
    require_writable("--out", out / "compare.json")
    said = rules([each.label for each in plan.losses], plan.seeds)
    write_whole(out / "plan.json", strict_json({**plan.to_dict(), "rules": said}))
    if cell is not None:
        train_here(plan.cells[cell], training, out)
        return
    console = Console(stderr=as_json)
    for rule in said:
        _say(console, f"- {rule}")
    run_cells(plan.cells, training, out, lambda each: line_of(each, out), lambda text: _say(console, text))
    found = [result for each in plan.cells if (result := stored(each.file(out))) is not None]
    finish(found, failed_among(plan.cells, out), out, command_of(plan), as_json)


def planned(words: Sequence[str], losses: str, seeds: int, gain: str, threads: int | None) -> Plan:
    """The grid of a command; raises for options that cannot be."""
    check_value("compare", "--gain", gain, Choice("keep", "match"))
    for option, number in (("--seeds", seeds), ("--threads", 1 if threads is None else threads)):
        if number < 1:
            raise refusal("compare", f"{option}={number}", "1 or more", "leave it out for the default")
    if not losses.strip():
        came = "--losses is missing" if not losses else f"--losses={losses!r} names none"
        raise refusal("compare", came, "names of losses", f"write, for example: {EXAMPLE}")
    found = contenders(losses, "compare")
    require_stock_beside(found, "compare")
    return Plan(tuple(found), tuple(seeds_of(seeds)), gain, threads or usable_cores(), tuple(words))


def training_of(words: Sequence[str]) -> Training:
    """The training of a framework's command."""
    points = {point.name: point for point in metadata.entry_points(group=EXTENSIONS)}
    if not words:
        raise refusal("compare", "no training stands behind --", " or ".join(points), f"write, for example: {EXAMPLE}")
    if words[0] not in points:
        came = f"{words[0]!r} is no command that trains"
        raise refusal("compare", came, " or ".join(sorted(points)), closest(words[0], points))
    found: Training = points[words[0]].load()(tuple(words[1:]))
    return found


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def line_of(cell: Cell, out: Path) -> list[str]:
    """The arguments that train one cell alone."""
    plan = cell.plan
    options = {**_options(plan), "threads": plan.threads, "out": out, "cell": cell.number}
    return [*shlex.split(command_line(["compare"], options))[1:], "--", *plan.words]


def command_of(plan: Plan) -> str:
    """The line that makes the comparison again, without where it is written to."""
    return f"{command_line(['compare'], _options(plan))} -- {shlex.join(plan.words)}"


def _options(plan: Plan) -> dict[str, Any]:
    losses = ",".join(each.text for each in plan.losses)
    return {"losses": losses, "seeds": len(plan.seeds), "gain": None if plan.gain == "keep" else plan.gain}


def refuse_beside_collect(words: Sequence[str] | None, losses: str, cell: int | None, print_lines: bool) -> None:
    """Raise for options of a training."""
    given = {"--losses": losses, "--cell": cell, "--print": print_lines or None, "a training": words}
    for name, value in given.items():
        if value not in (None, "", []):
            raise refusal("compare", f"--collect beside {name}", "--collect alone", f"leave {name} out")


def collected(folder: Path) -> tuple[list[Any], list[Failed]]:
    """Results below a folder, and the cells of its plans that have none."""
    found = results_in(folder)
    if not found:
        came = f"--collect={str(folder)!r} holds no result"
        raise refusal(
            "compare", came, "the folder of a comparison, or one that holds such", "see its logs, cells/*.log"
        )
    keys = {each.key for each in found}
    missing = {cell["key"]: cell for cell in planned_in(folder) if cell["key"] not in keys}
    return found, [Failed(cell["loss"], cell["seed"], "it has no result here") for cell in missing.values()]


def finish(results: Sequence[Any], failed: Sequence[Failed], out: Path, command: str | None, as_json: bool) -> None:
    """Write numbers, picture and report, and print them."""
    found = compare_results(results, failed)
    seeds = sorted({each.seed for each in found.results})
    said = rules(list(found.losses), seeds)
    made = Made(command or command_line(["compare"], {"collect": out}), None, {**versions(), **results[0].versions})
    told = strict_json({**made.to_dict(), "seeds": seeds, "rules": said, **found.to_dict()})
    write_whole(out / "compare.json", told)
    picture = "compare.png" if can_draw() else ""
    if picture:
        draw_comparison(found, out / picture, made)
    write_whole(out / "compare.md", page(found, said, made, picture))
    if as_json:
        typer.echo(told)
        return
    console = Console()
    for line in (*lines(found), *exceptions(found)):
        _say(console, line)
    for label, file in written(out, picture):
        _say(console, f"{label}: {file}")


def written(out: Path, picture: str) -> Iterator[tuple[str, str]]:
    """What lies where."""
    yield "numbers", str(out / "compare.json")
    yield "picture", str(out / picture) if picture else f"none without matplotlib: {INSTALL}"
    yield "report", str(out / "compare.md")


def _say(console: Console, text: str) -> None:
    console.print(escape(text), soft_wrap=True, highlight=False)
