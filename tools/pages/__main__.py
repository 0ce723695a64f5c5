"""Measure and write a page of the documentation.

    python -m tools.pages parity             # docs/parity.md
    python -m tools.pages deviations         # docs/deviations.md, and the numbers that `loss-plugins show` prints
    python -m tools.pages training           # docs/training-parity.md
    python -m tools.pages performance FILE   # docs/performance.md, from the bench.json that `loss-plugins bench` wrote
    python -m tools.pages performance-gpu FILE   # docs/performance-gpu.md, likewise with --device cuda

`performance` takes its chart from beside FILE, and criteria.json, which `loss-plugins bench --criteria` writes.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loss_plugins.bench import markdown as bench
from loss_plugins.bench.criteria import criteria_table, from_dict
from loss_plugins.bench.report import Report as BenchReport
from loss_plugins.parity import markdown as parity
from loss_plugins.parity.deviations import MEASURED, deviations, to_json
from loss_plugins.parity.reasons import measure_all
from loss_plugins.parity.report import Report, make_report
from loss_plugins.reports import Environment, environment

from . import DOCS, compose

ROWS, SEED, TRAINING_STEPS = 20_000, 0, 6


def parity_page(report: Report) -> str:
    return compose("parity", parity.comparison_sections(report))


def deviations_page(report: Report) -> str:
    return compose("deviations", parity.deviation_sections(report))


def training_page(report: Report) -> str:
    return compose("training-parity", parity.training_sections(report))


def performance_page(report: BenchReport, chart: str, criteria: str) -> str:
    return compose("performance", {**bench.sections(report), "chart": chart, "criteria": criteria})


def with_kept(report: Report) -> Report:
    """The deviations measured, and those kept of frameworks that are not installed here."""
    fresh = {row.framework for row in report.deviations}
    kept = (row for row in deviations() if row.framework not in fresh)
    return replace(report, deviations=(*report.deviations, *kept))


def write_parity() -> None:
    _write("parity", parity_page(make_report("all", ROWS, SEED, progress=_tell)))


def write_deviations(docs: Path = DOCS, measured: Path = MEASURED) -> None:
    report = with_kept(Report(ROWS, SEED, environment(), deviations=tuple(measure_all("all", ROWS, SEED, _tell))))
    measured.write_text(to_json(report.deviations), encoding="utf-8")
    _write("deviations", deviations_page(report), docs)


def write_training() -> None:
    _write("training-parity", training_page(make_report("all", train_steps=TRAINING_STEPS, progress=_tell)))


def write_performance(file: str) -> None:
    report = BenchReport.from_dict(json.loads(Path(file).read_text(encoding="utf-8")))
    told = json.loads(Path(file).with_name("criteria.json").read_text(encoding="utf-8"))
    measured = f"Measured {Environment(**told['environment'])}.\n\n{criteria_table(from_dict(told['criteria']))}"
    shutil.copy(Path(file).with_suffix(".png"), DOCS / "performance.png")
    _write("performance", performance_page(report, "performance.png", measured))


def write_performance_gpu(file: str) -> None:
    report = BenchReport.from_dict(json.loads(Path(file).read_text(encoding="utf-8")))
    _write("performance-gpu", compose("performance-gpu", bench.sections(report)))


def _write(name: str, text: str, docs: Path = DOCS) -> None:
    file = docs / f"{name}.md"
    file.write_text(text, encoding="utf-8")
    print(f"written: {file}")


def _tell(step: str) -> None:
    print(f"\r{step:<70}", end="", file=sys.stderr, flush=True)


WRITERS: dict[str, Callable[..., None]] = {
    "parity": write_parity,
    "deviations": write_deviations,
    "training": write_training,
    "performance": write_performance,
    "performance-gpu": write_performance_gpu,
}
#: pages of what was measured before, which is in a file
OF_FILES = ("performance", "performance-gpu")


def main(arguments: list[str]) -> int:
    name, *rest = arguments or [""]
    if name not in WRITERS or len(rest) != (name in OF_FILES):
        print(__doc__, file=sys.stderr)
        return 2
    WRITERS[name](*rest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
