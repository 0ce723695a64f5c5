"""The command `loss-plugins bench`."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from ..errors import closest, refusal
from ..reports import beside, environment, require_writable, strict_json, write_whole
from .cases import CASES, Case
from .chart import draw
from .criteria import criteria_table, installed_criteria, measure_criterion, to_dict
from .markdown import criteria_page, timing_page
from .measure import Result, compile_cost, measure_case, record_cost
from .report import Report
from .terminal import print_report

EXTENSIONS = "loss_plugins.benchmarks"
#: repeats, for a median with quartiles
LEAST = 3
DEVICES = "cpu, cuda, cuda:0, ..."


def bench(
    out: Annotated[Path, typer.Option(help="Folder for bench.json and bench.png.")] = Path("runs/bench"),
    losses: Annotated[str, typer.Option(help="Comma-separated names; empty: all that a peer has.")] = "",
    repeats: Annotated[int, typer.Option(min=LEAST, help="Interleaved repeats.")] = 30,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    extensions: Annotated[
        bool | None,
        typer.Option(
            "--extensions/--no-extensions",
            help="Also run what adapters bring (a whole training step), which is so by default.",
        ),
    ] = None,
    criteria: Annotated[bool, typer.Option(help="Time whole criteria of installed frameworks instead.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a Markdown report here, its chart beside it.")] = None,
) -> None:
    """Time every loss that a peer has, ours eager and compiled, and draw the chart."""
    cases = chosen(losses)
    check_device(device)
    if repeats < LEAST:
        raise refusal("bench", f"--repeats={repeats}", f"{LEAST} or more", "leave it out for the default")
    if criteria:
        refuse_beside_criteria(losses, extensions)
    numbers = out / ("criteria.json" if criteria else "bench.json")
    require_writable("--out", numbers)
    require_writable("--report", report)
    console = Console()
    if criteria:
        bench_criteria(numbers, repeats, device, report, console)
        return
    left_out = {name: why for case in cases for name, why in case.missing().items()}
    for name, why in left_out.items():
        console.print(f"{name} is left out: {escape(why)}", highlight=False)
    results = _measured(cases, repeats, device, console)
    costs: dict[str, Any] = {"record": record_cost(), "compile": compile_cost(device)}
    if extensions is not False:
        steps, without = extension_costs()
        costs, left_out = {**costs, **steps}, {**without, **left_out}
    found = Report(environment(device), results, costs, left_out)
    print_report(found, console)
    for label, file in write(found, out, report).items():
        console.print(f"{label}: {escape(str(file))}", soft_wrap=True, highlight=False)


def bench_criteria(file: Path, repeats: int, device: str, report: Path | None, console: Console) -> None:
    """Time whole criteria: stock, with another loss, and the quick way."""
    cases, left_out = installed_criteria()
    for name, why in left_out.items():
        console.print(f"{name} is left out: {escape(why)}", highlight=False)
    jobs = [(case, *size) for case in cases for size in case.sizes]
    results = [
        measure_criterion(case, images, objects, repeats, device)
        for case, images, objects in track(jobs, "timing", console=console)
    ]
    table = criteria_table(results)
    console.print(escape(table), soft_wrap=True, highlight=False)
    around = environment(device)
    write_whole(file, strict_json({"environment": asdict(around), "criteria": to_dict(results)}))
    console.print(f"numbers: {escape(str(file))}", soft_wrap=True, highlight=False)
    if report is not None:
        write_whole(report, criteria_page(around, table))
        console.print(f"report: {escape(str(report))}", soft_wrap=True, highlight=False)


def refuse_beside_criteria(losses: str, extensions: bool | None) -> None:
    """Raise for options that whole criteria have no use for."""
    if losses:
        raise refusal("bench", f"--losses={losses!r} beside --criteria", "one of the two", "leave --losses out")
    if extensions is not None:
        name = "--extensions" if extensions else "--no-extensions"
        raise refusal("bench", f"{name} beside --criteria", "one of the two", f"leave {name} out")


def chosen(losses: str) -> list[Case]:
    """The cases of names that are separated by commas, each once; of none, all."""
    if not losses:
        return list(CASES.values())
    names = list(dict.fromkeys(name.strip() for name in losses.split(",")))
    for name in names:
        if name not in CASES:
            came = f"--losses={losses!r}: no benchmark for {name!r}"
            raise refusal("bench", came, ", ".join(CASES), closest(name, CASES))
    return [CASES[name] for name in names]


def check_device(device: str) -> None:
    """Raise for a device that is none, or is not there."""
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise refusal("bench", f"--device={device!r}", DEVICES, "use --device=cpu") from error
    if wanted.type not in ("cpu", "cuda"):
        raise refusal("bench", f"--device={device!r}", DEVICES, "use --device=cpu")
    count = torch.cuda.device_count()
    if wanted.type == "cuda" and (wanted.index or 0) >= count:
        raise refusal("bench", f"--device={device!r}: torch sees {count} GPUs here", DEVICES, "use --device=cpu")


def extension_costs() -> tuple[dict[str, Any], dict[str, str]]:
    """What adapters measure, by name; and why those are left out whose framework cannot be imported."""
    found, without = {}, {}
    for point in metadata.entry_points(group=EXTENSIONS):
        try:
            found[point.name] = point.load()()
        except ImportError as error:
            without[point.name] = str(error)
    return found, without


def _measured(cases: list[Case], repeats: int, device: str, console: Console) -> list[Result]:
    jobs = [(case, size) for case in cases for size in case.sizes]
    return [measure_case(case, size, repeats, device) for case, size in track(jobs, "timing", console=console)]


def write(found: Report, out: Path, report: Path | None) -> dict[str, Path | str]:
    """Numbers, chart and page; what was written, by what it is."""
    written: dict[str, Path | str] = {"numbers": out / "bench.json"}
    write_whole(out / "bench.json", strict_json(found.to_dict()))
    chart = importlib.util.find_spec("matplotlib") is not None
    written["chart"] = out / "bench.png" if chart else 'none without matplotlib: pip install "loss-plugins[plots]"'
    if chart:
        with beside(out / "bench.png") as part:
            draw(found.results, part)
    if report is not None:
        picture = report.with_suffix(".png")
        if chart:
            with beside(picture) as part:
                shutil.copy(out / "bench.png", part)
        write_whole(report, timing_page(found, picture.name if chart else ""))
        written["report"] = report
    return written
