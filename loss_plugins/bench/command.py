"""The command `loss-plugins bench`."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from ..catalog.ranges import closest
from .cases import CASES
from .chart import draw
from .measure import Result, compile_cost, measure, record_cost
from .report import environment, page, print_results

EXTENSIONS = "loss_plugins.benchmarks"
console = Console()


def bench(
    out: Annotated[Path, typer.Option(help="Folder for bench.json and bench.png.")] = Path("runs/bench"),
    losses: Annotated[str, typer.Option(help="Comma-separated names; empty: all that a peer has.")] = "",
    repeats: Annotated[int, typer.Option(min=3, help="Interleaved repeats.")] = 30,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    extensions: Annotated[bool, typer.Option(help="Also run what adapters bring (a whole training step).")] = True,
    report: Annotated[
        Path | None, typer.Option(help="Write the documentation's page here, its chart beside it.")
    ] = None,
) -> None:
    """Time every loss that a peer has, ours eager and compiled, and draw the chart."""
    cases = [_case(name) for name in losses.split(",") if name] or list(CASES.values())
    for package in dict.fromkeys(package for case in cases for package in case.missing()):
        console.print(f"{package} is not installed: left out")
    results = _measured([(case.loss, size) for case in cases for size in case.sizes], repeats, device)
    more: dict[str, Any] = {"record": record_cost(), "compile": compile_cost(device)}
    if extensions:
        for point in metadata.entry_points(group=EXTENSIONS):
            more[point.name] = point.load()()
    out.mkdir(parents=True, exist_ok=True)
    print_results(console, results, more)
    numbers = {"environment": environment(device), "results": [vars(result) for result in results], **more}
    (out / "bench.json").write_text(json.dumps(numbers, indent=2))
    draw(results, out / "bench.png")
    if report is not None:
        shutil.copy(out / "bench.png", report.with_suffix(".png"))
        report.write_text(page(results, numbers, report.with_suffix(".png").name), encoding="utf-8")
    console.print(f"numbers: {out / 'bench.json'}\nchart: {out / 'bench.png'}")


def _case(name: str) -> Any:
    if name not in CASES:
        raise typer.BadParameter(f"no benchmark for {name!r}; {closest(name, CASES)}")
    return CASES[name]


def _measured(jobs: list[tuple[str, int]], repeats: int, device: str) -> list[Result]:
    return [measure(CASES[name], size, repeats, device) for name, size in track(jobs, "timing", console=console)]
