"""Numbers of the benchmark as text, for terminal and Markdown alike."""

from __future__ import annotations

from typing import Any

from .cases import COMPILED, OURS
from .measure import Result

#: what the names of `Report.costs` mean
COSTS = {
    "record": "first eager step of CIoU, in which its program is recorded, on the CPU",
    "compile": "compiling CIoU for 100 and for 20,000 boxes; compilations while the number of boxes changes 50 times",
}


def times(value: float | None) -> str:
    """A ratio; empty where there is none."""
    return "" if value is None else f"{value:.2f}x"


def full_cells(result: Result) -> list[str]:
    """A row of the full table."""
    cells = [result.loss, f"{result.size:,}"]
    for contender in (OURS, COMPILED):
        cells += _contender_cells(result, contender)
    fastest = min(result.median[name] for name in (OURS, COMPILED) if name in result.median)
    cells.append(f"{fastest / result.limit:.1f}")
    others = {name: value for name, value in result.median.items() if name not in (OURS, COMPILED)}
    cells.append(", ".join(f"{n} {v:.3f} ({result.saved[n]:.1f}, {result.peak[n]:.1f})" for n, v in others.items()))
    return cells


def _contender_cells(result: Result, contender: str) -> list[str]:
    if contender not in result.median:
        return [""] * 5
    over = result.over_bce(contender)
    return [
        f"{result.median[contender]:.3f} ± {result.spread[contender]:.3f}",
        times(result.ratio(contender)),
        "" if over is None else f"{over:.2f}",
        f"{result.saved[contender]:.1f}",
        f"{result.peak[contender]:.1f}",
    ]


def short_cells(result: Result) -> list[str]:
    """A row of the table that fits 80 columns."""
    over = result.over_bce(COMPILED)
    return [
        result.loss,
        f"{result.size:,}",
        f"{result.median[OURS]:.3f}",
        times(result.ratio(OURS)),
        f"{result.median[COMPILED]:.3f}" if COMPILED in result.median else "",
        times(result.ratio(COMPILED)),
        "" if over is None else f"{over:.2f}",
    ]


def cost_line(name: str, value: Any) -> str:
    """What was measured beside the losses.

    >>> cost_line("ultralytics", {"model": "yolo11n", "ms": {"stock": 375.3, "ciou": 377.2}})
    'ultralytics: model yolo11n, ms (stock 375.3, ciou 377.2)'
    """
    return f"{COSTS.get(name, name)}: {_flat(value)}"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key} ({_flat(part)})" if isinstance(part, dict) else f"{key} {_flat(part)}"
            for key, part in value.items()
        )
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)
