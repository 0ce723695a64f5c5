"""The command line: `loss-plugins list | show | doctor`, and the commands that the adapters bring."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib import metadata
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, OverflowMethod
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from .catalog.declare import KINDS, traits_of
from .catalog.dialects import dialects_of
from .catalog.entries import Entry, get_entry, list_losses
from .catalog.names import IN_CONFIGS
from .catalog.typed import Meaning
from .errors import refusal
from .module.build import class_of
from .module.imported import meant_by
from .parity.deviations import deviations
from .reports import strict_json
from .version import __version__

#: --cfg-options takes as many values as follow it
DOCTOR_SETTINGS = {"allow_extra_args": True}
COMMANDS = "loss_plugins.commands"
DOCTORS = "loss_plugins.doctors"
#: columns of a terminal from which `list` prints kind and year; whole sentences and classes; and sources as well
NARROW, WIDER_THAN_USUAL, WIDE = 60, 100, 140
#: what `list` leaves out where the terminal is narrower than that
WANTED = {NARROW: ("kind", "year"), WIDER_THAN_USUAL: ("class",), WIDE: ("source",)}
#: what a command is for, known before it is imported
HELP = {
    "bench": "Time our losses beside every installed peer's.",
    "check": "Audit a loss, ours or any callable: awkward boxes, precision, promises, graphs.",
    "compare": "Train with several losses and the same seeds, and say which is better than stock, or cannot be told.",
    "demo": "Train YOLO11n on handwritten digits with a plugged loss, and prove it.",
    "demo-mmdet": "The same in MMDetection, through its own tools/train.py.",
    "demo-transformers": "The same with RT-DETR, through the Trainer of transformers.",
    "explore": "Write a page that shows box losses live, value and gradient; it opens from disk.",
    "hardest": "Rank a data set's labels by the loss of a trained Ultralytics model: label errors come first.",
    "parity": "Compare our dialects with the built-ins of the installed frameworks.",
    "plot": "Draw value and gradient of losses while a box shifts, grows and is stretched, or a logit rises.",
    "simulate": "Let boxes descend along the gradient of a loss, in 1,715,000 cases, and draw what is left.",
    "yolo": "Train with Ultralytics: yolo TASK train key=value ... box_loss=NAME.",
}

app = typer.Typer(
    help="Detection losses, written once: look them up, check an installation, train with them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read; null is no bound.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"loss-plugins {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What holds for every command."""


def print_json(value: Any) -> None:
    """Plain JSON on standard output; null stands for what is not finite."""
    typer.echo(strict_json(value))


@app.command("list")
def list_command(
    kind: Annotated[str | None, typer.Option(help=f"Only this kind: {', '.join(KINDS)}.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the catalogued losses."""
    entries = [get_entry(name) for name in list_losses(kind)]
    if as_json:
        print_json([describe(entry) for entry in entries])
        return
    console = Console()
    cut: OverflowMethod = "ellipsis" if _can_show("…", console.encoding) else "crop"
    console.print(_loss_table(entries, console.width, cut))


def _loss_table(entries: list[Entry], width: int, cut: OverflowMethod) -> Table:
    """One line a loss; more is said where the terminal is wider, and less where it is narrow."""
    rows = [
        (
            entry.name,
            entry.kind,
            str(entry.source.year or ""),
            class_of(entry).__name__,
            _words(entry, width),
            entry.source.title,
        )
        for entry in sorted(entries, key=lambda entry: (KINDS.index(entry.kind), entry.name))
    ]
    counted = "1 loss" if len(entries) == 1 else f"{len(entries)} losses"
    table = Table(title=f"{counted} (loss_plugins {__version__})", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), expand=True)
    headings = ("name", "kind", "year", "class", "what it is", "source")
    columns = dict(zip(headings, zip(*rows, strict=True), strict=True))
    left_out = {heading for least, names in WANTED.items() if width < least for heading in names}
    shown = {heading: cells for heading, cells in columns.items() if heading not in left_out}
    for heading, cells in shown.items():
        if heading in ("what it is", "source"):
            table.add_column(heading, no_wrap=True, overflow=cut, ratio=1)
        else:
            table.add_column(heading, no_wrap=True, overflow=cut, min_width=max(map(len, cells), default=0))
    for row in zip(*shown.values(), strict=True):
        table.add_row(*map(escape, row))
    return table


def _words(entry: Entry, width: int) -> str:
    """The summary, or as much of it as names the loss."""
    return entry.summary if width >= WIDER_THAN_USUAL else re.split("[:;,.]", entry.summary)[0]


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="A loss, as in `loss-plugins list`; of your own, package.module:function.")
    ],
    latex: Annotated[bool, typer.Option("--latex", help="Print the formula in LaTeX.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one loss: formula, parameters, traits, source, when to use it."""
    meant = meant_by(name, "show", "NAME")
    entry = meant.as_entry()
    if as_json:
        print_json({**describe(entry), "type": config_type(meant), "sets": meant.parameters})
        return
    console = Console(highlight=False)
    console.print(f"[bold]{entry.name}[/bold] ({entry.kind}) - {escape(entry.summary)}")
    facts = Table.grid(padding=(0, 2))
    facts.add_column()
    facts.add_column(overflow="fold")  # a link that is cut cannot be copied
    for label, text in (
        ("made of", str(meant) if meant.parameters else ""),
        ("formula", entry.formula if latex else _readable(entry.formula, console.encoding)),
        ("source", str(entry.source)),
        ("use when", entry.use_when),
        ("avoid when", entry.avoid_when),
        ("in configs", config_type(meant)),
        ("dialects", ", ".join(dialects_of(entry.name))),
        *(("deviates", str(row)) for row in deviations(entry.name) if not meant.parameters),
    ):
        if text:
            facts.add_row(f"[cyan]{label}[/cyan]", escape(text))
    console.print(facts, "")
    console.print(_parameter_table(entry), "")
    console.print(_trait_table(entry))


def _readable(formula: str, encoding: str) -> str:
    """The formula in Unicode; in LaTeX where that is not known, or for a terminal that cannot show it."""
    from .catalog.latex import Unreadable, rendered  # parses LaTeX by pylatexenc, which no other command waits for

    try:
        text = rendered(formula)
    except Unreadable:
        return formula
    return text if _can_show(text, encoding) else formula


def _can_show(text: str, encoding: str) -> bool:
    return text.encode(encoding, "replace").decode(encoding) == text


def config_type(meant: Meaning) -> str:
    """The `type` of a loss in a config of MMDetection."""
    return f"{IN_CONFIGS}{meant.named(class_of(meant.entry).__name__)}"


def describe(entry: Entry) -> dict[str, Any]:
    """A catalogue entry in plain types."""
    return {
        "name": entry.name,
        "type": config_type(Meaning(entry)),
        "sets": {},
        "kind": entry.kind,
        "summary": entry.summary,
        "formula": entry.formula,
        "source": {"title": entry.source.title, "year": entry.source.year, "url": entry.source.url},
        "parameters": {
            parameter.name: {
                "default": parameter.default,
                "allowed": _allowed(parameter.allowed),
                "meaning": parameter.meaning,
            }
            for parameter in entry.parameters.values()
        },
        "traits": {name: getattr(entry.traits, name) for name in traits_of(entry.kind)},
        "dialects": list(dialects_of(entry.name)),
        "deviations": [str(row) for row in deviations(entry.name)],
        "use_when": entry.use_when,
        "avoid_when": entry.avoid_when,
    }


def _allowed(allowed: Any) -> str | None:
    return None if allowed is None else str(allowed)


def _parameter_table(entry: Entry) -> Table:
    table = Table(title="parameters", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("parameter", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    for parameter in entry.parameters.values():
        allowed = f"[cyan]{escape(str(parameter.allowed))}[/cyan]\n" if parameter.allowed else ""
        default = "required" if parameter.required else repr(parameter.default)
        table.add_row(parameter.name, default, allowed + escape(parameter.meaning))
    return table


def _trait_table(entry: Entry) -> Table:
    table = Table(title="traits", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("trait", "value"):
        table.add_column(heading, overflow="fold")
    for name in traits_of(entry.kind):
        value = getattr(entry.traits, name)
        if value not in ("", None, {}):
            table.add_row(name.replace("_", " "), escape(_trait(value)))
    return table


def _trait(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"{value[0]:g} to {value[1]:g}"
    if isinstance(value, Mapping):
        reasons = dict.fromkeys(value.values())
        return "; ".join(f"{', '.join(key for key in value if value[key] == why)}: {why}" for why in reasons)
    return str(value)


@app.command(context_settings=DOCTOR_SETTINGS)
def doctor(
    context: typer.Context,
    what: Annotated[
        str | None,
        typer.Argument(
            help="A framework; an MMDetection config, to check without training; or a checkpoint, or the folder of a "
            "run, of Ultralytics, MMDetection or transformers' Trainer: what trained it."
        ),
    ] = None,
    cfg_options: Annotated[
        list[str] | None,
        typer.Option("--cfg-options", metavar="KEY=VALUE ...", help="Values that override those of the config."),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Print the lines that mend the config, to put at its end; the report to stderr."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the installed frameworks by trying them, or tell what trained a run; exit code 1 if anything fails."""
    asked = {"cfg_options": _pairs(cfg_options, context.args), "fix": fix}
    settings = {name: value for name, value in asked.items() if value}
    points = {point.name: point for point in _points(DOCTORS)}
    if what in points:
        points, what = {what: points[what]}, None
    if what is not None and "::" not in what and not Path(what).exists():  # mmdet::retinanet/... is a config, no path
        allowed = f"{', '.join(points)}, or the path of one of these"
        came = f"{what!r} is no run, checkpoint, config or framework that there is"
        raise refusal("doctor", came, allowed, "correct the path")
    if what is None and settings:
        raise refusal("doctor", "--cfg-options and --fix are for a config", "CONFIG.py", "name a config")
    examined = {}
    for name, point in points.items():
        with _working(f"{name}: trying {'what is installed' if what is None else what}"):
            examined[name] = _examined(point, what, settings)
    reports = {name: {"supported": _supported(name), **found} for name, found in examined.items() if found is not None}
    known = {name: report for name, report in reports.items() if not report.pop("absent", False)}
    reports = known if what is not None and known else reports
    if not reports:
        allowed = f"{', '.join(points)}, a config, the folder of a run, or a checkpoint"
        raise refusal("doctor", f"{what!r} is nothing that an adapter knows", allowed, "correct the path")
    if as_json:
        print_json(reports)
    else:
        for name, report in reports.items():
            _print_report(name, report, to_stderr=fix)
            for line in report.get("fix", ()):
                typer.echo(line)
    if not all(report["ok"] for report in reports.values()):
        raise typer.Exit(1)


@contextmanager
def _working(text: str) -> Iterator[None]:
    """Show on a terminal what is done, and for how long already; elsewhere nothing."""
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    console = Console(stderr=True)
    if not console.is_terminal:  # an empty line would be printed for each
        yield
        return
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        progress.add_task(text)
        yield


def _pairs(first: list[str] | None, others: list[str]) -> list[str]:
    """All of KEY=VALUE that follow --cfg-options: its own, and what no other option took."""
    if others and not first:
        raise refusal(
            "doctor", f"{others[0]!r} is one argument too many", "one config, run or framework", "take it out"
        )
    return [*(first or ()), *others]


def _supported(framework: str) -> str:
    """The versions of a framework that this package is made for, as its own requirements name them."""
    needed = metadata.requires("loss-plugins") or []
    return next((each.partition(";")[0].strip() for each in needed if re.match(rf"{framework}\b", each)), "")


def _examined(
    point: metadata.EntryPoint, what: str | None, settings: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The report of an adapter; None: what was asked about is not its affair, or not with these settings."""
    try:
        examine = point.load()
        if not set(settings or ()) <= set(signature(examine).parameters):
            return None
        report: dict[str, Any] | None = examine(what, **(settings or {}))
    except ImportError as error:  # a framework that is not wanted here is no fault
        absent = {"name": "not installed", "ok": False, "detail": str(error)}
        report = {"ok": what is None, "versions": {}, "checks": [absent], "absent": True}
    return report


def _print_report(name: str, report: dict[str, Any], to_stderr: bool = False) -> None:
    """A line a check: a remedy is in one line however narrow the terminal, so that it can be copied."""
    console = Console(stderr=to_stderr, highlight=False)
    versions = ", ".join(f"{key} {value}" for key, value in report["versions"].items())
    console.print(f"[bold]{escape(name)}[/bold]: {escape(versions)}", soft_wrap=True)
    for check in report["checks"]:
        mark = "[green]ok[/green]" if check["ok"] else "[red]no[/red]"
        console.print(f"  {mark} {escape(check['name'])} - {escape(check['detail'])}", soft_wrap=True)
    lines = {"supported": report["supported"], "served": "; ".join(report.get("tasks", ()))}
    lines |= {f"refused: {task}": reason for task, reason in report.get("refused", {}).items()}
    for label, text in lines.items():
        if text:
            console.print(f"  {escape(label)} - {escape(text)}", soft_wrap=True)


def _points(group: str) -> Iterator[metadata.EntryPoint]:
    yield from sorted(metadata.entry_points(group=group), key=lambda point: point.name)


def add_adapter_commands() -> None:
    """Add the commands of entry points, which are imported when they are called."""
    for point in _points(COMMANDS):
        settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
        app.command(point.name, help=HELP.get(point.name, f"Brought by {point.module}."), context_settings=settings)(
            _lazy(point)
        )


def _lazy(point: metadata.EntryPoint) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        quiet = redirect_stdout(sys.stderr) if "--json" in context.args else nullcontext()
        with quiet:  # a framework may print when it is imported the first time
            function = point.load()
        command.command()(function)
        command(context.args, prog_name=f"loss-plugins {point.name}")

    return run


def main() -> None:
    """Entry point: errors that name argument, value and remedy are printed without a traceback, exit code 2."""
    add_adapter_commands()
    try:
        app()
    except (ValueError, TypeError, RuntimeError, ImportError, OSError, SyntaxError) as error:
        text = f"[red]error:[/red] {escape(str(error))}"
        Console(stderr=True).print(text, highlight=False, soft_wrap=True)  # a line that is cut cannot be copied
        sys.exit(2)
