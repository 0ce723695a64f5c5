"""A report of the benchmark in Markdown: its sections, and the page that the command writes of them."""

from __future__ import annotations

from ..reports import Environment, markdown_list, markdown_table
from .cells import cost_line, full_cells
from .report import BCE_GOAL, COMPILED_GOALS, FOCAL_GOAL, FOCAL_PEER, SAVED_GOAL, Report

HEADINGS = (
    "loss", "size", "eager ms", "vs fastest peer", "over BCE", "saved", "peak",
    "compiled ms", "vs fastest peer", "over BCE", "saved", "peak", "times the limit", "peers: ms (saved, peak)",
)  # fmt: skip
LEGEND = """\
Forward and backward of the sum of the loss per row. All contenders take turns within each repeat, for about 10 ms each
(20 steps at most), after a warm-up that records and compiles; the median of the repeats, and half the distance of the
quartiles. *vs fastest peer* is that peer's median over ours. *Over BCE* is ours over torch's BCE with logits, the floor
of dense losses. *Saved* is what the graph keeps for backward beside the inputs, *peak* all that is allocated at one
time, both in multiples of the prediction. *Times the limit*: over the time in which the bytes that must move (both
inputs in, loss and gradient out) move once, of the faster of ours."""
GPU_LEGEND = " Times are the GPU's own, by its events; *kernels in a step* are those that it launches."


def sections(report: Report) -> dict[str, str]:
    """The parts of the page, by name."""
    return {
        "environment": str(report.environment),
        "legend": LEGEND + (GPU_LEGEND if _on_gpu(report) else ""),
        "left_out": markdown_list((f"{name}: {why}" for name, why in report.left_out.items()), "no peer"),
        "table": table(report),
        "costs": markdown_list(cost_line(name, value) for name, value in report.costs.items()),
        "goals": _goals(),
        "missed": markdown_list(report.goals_missed),
    }


def _on_gpu(report: Report) -> bool:
    return any(result.kernels for result in report.results)


def table(report: Report) -> str:
    """One row for each loss and size; on a GPU with the number of kernels."""
    headings, rows = list(HEADINGS), [full_cells(result) for result in report.results]
    if _on_gpu(report):
        headings.append("kernels in a step")
        counts = [", ".join(f"{name} {count}" for name, count in result.kernels.items()) for result in report.results]
        rows = [[*row, count] for row, count in zip(rows, counts, strict=True)]
    return markdown_table(headings, rows)


def _goals() -> str:
    compiled = ", ".join(f"{goal:g}x at {size:,}" for size, goal in COMPILED_GOALS.items())
    return (
        f"The goals: eager never slower than the fastest peer (focal: {FOCAL_GOAL} times as fast as {FOCAL_PEER}'s) "
        f"and at most {SAVED_GOAL:g}x saved; the IoU family compiled {compiled} boxes; dense losses compiled within "
        f"{BCE_GOAL} times BCE."
    )


def timing_page(report: Report, chart: str = "") -> str:
    """The page of `--report`; `chart` is the name of a picture beside it."""
    part = sections(report)
    picture = [f"![time over size]({chart})"] if chart else []
    parts = [
        "# Performance",
        f"Measured {part['environment']}.",
        *picture,
        part["legend"],
        part["table"],
        "## Beside that",
        part["costs"],
        "## Left out, as it could not be imported",
        part["left_out"],
        "## Goals missed",
        part["goals"],
        part["missed"],
    ]
    return "\n\n".join(parts) + "\n"


def criteria_page(around: Environment, table: str) -> str:
    """The page of `--criteria --report`."""
    return "\n\n".join(["# Whole criteria", f"Measured {around}.", table]) + "\n"
