"""What the benchmark prints and writes: the table of ratios, the page of the documentation, the goals missed."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from .cases import CASES, COMPILED, OURS
from .measure import Result

#: what compiled losses of boxes should gain on the fastest peer, by number of boxes
COMPILED_GOALS = {512: 3.5, 8_192: 4.0, 200_000: 6.0}
IOU_FAMILY = ("iou", "giou", "diou", "ciou", "siou", "extended_iou")
BCE_GOAL, SAVED_GOAL, FOCAL_GOAL = 1.2, 2.0, 1.3


def environment(device: str) -> dict[str, Any]:
    """What the numbers depend on."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else f"{os.cpu_count()} CPU cores"
    return {"torch": str(torch.__version__), "device": name, "threads": torch.get_num_threads()}


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def print_results(console: Console, results: list[Result], more: dict[str, Any]) -> None:
    """The ratios, and what was measured beside them."""
    title, caption = "forward + backward, in ms", "vs peer: the fastest peer's time over ours"
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("loss", "size", "eager", "vs peer", "compiled", "vs peer", "over BCE"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "loss" else "right")
    for result in results:
        over = result.over_bce(COMPILED)
        table.add_row(
            result.loss,
            f"{result.size:,}",
            f"{result.median[OURS]:.3f}",
            _times(result.ratio(OURS)),
            f"{result.median[COMPILED]:.3f}" if COMPILED in result.median else "",
            _times(result.ratio(COMPILED)),
            "" if over is None else f"{over:.2f}",
        )
    console.print(table)
    for name, value in more.items():
        console.print(f"{name}: {value}")


HEADINGS = (
    "loss", "size", "eager ms", "vs fastest peer", "over BCE", "saved", "peak",
    "compiled ms", "vs fastest peer", "over BCE", "saved", "peak", "times the limit", "peers: ms (saved, peak)",
)  # fmt: skip


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """One row per loss and size, as text."""
    for result in results:
        cells = [result.loss, f"{result.size:,}"]
        for contender in (OURS, COMPILED):
            if contender not in result.median:
                cells += [""] * 5
                continue
            over = result.over_bce(contender)
            cells.append(f"{result.median[contender]:.3f} ± {result.spread[contender]:.3f}")
            cells.append(_times(result.ratio(contender)))
            cells.append("" if over is None else f"{over:.2f}")
            cells += [f"{result.saved[contender]:.1f}", f"{result.peak[contender]:.1f}"]
        fastest = min(result.median[name] for name in (OURS, COMPILED) if name in result.median)
        cells.append(f"{fastest / result.limit:.1f}")
        others = {name: value for name, value in result.median.items() if name not in (OURS, COMPILED)}
        cells.append(", ".join(f"{n} {v:.3f} ({result.saved[n]:.1f}, {result.peak[n]:.1f})" for n, v in others.items()))
        yield tuple(cells)


def markdown(results: list[Result]) -> str:
    """The table for the documentation."""
    headings: tuple[str, ...] = HEADINGS
    cells = list(rows(results))
    if any(result.kernels for result in results):  # on a GPU
        headings = (*headings, "kernels in a step")
        counts = [", ".join(f"{name} {count}" for name, count in result.kernels.items()) for result in results]
        cells = [(*row, count) for row, count in zip(cells, counts, strict=True)]
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in cells)])


def goals_missed(result: Result) -> list[str]:
    """One Markdown item per goal that a result does not meet."""
    found = []
    where = f"- {result.loss}, {result.size:,}"
    eager, compiled, over = result.ratio(OURS), result.ratio(COMPILED), result.over_bce(COMPILED)
    if eager is not None and eager < 1:
        found.append(f"{where}, eager: {eager:.2f}x of the fastest peer, goal 1")
    if result.saved[OURS] > SAVED_GOAL:
        found.append(f"{where}, eager: {result.saved[OURS]:.1f}x saved, goal {SAVED_GOAL:g}")
    if result.loss == "focal" and result.median["mmdet"] / result.median[OURS] < FOCAL_GOAL:
        found.append(f"{where}, eager: {result.median['mmdet'] / result.median[OURS]:.2f}x of mmdet, goal {FOCAL_GOAL}")
    goal = COMPILED_GOALS.get(result.size, 0.0)
    if result.loss in IOU_FAMILY and compiled is not None and compiled < goal:
        found.append(f"{where}, compiled: {compiled:.2f}x of the fastest peer, goal {goal:g}")
    if over is not None and over > BCE_GOAL:
        found.append(f"{where}, compiled: {over:.2f} times BCE, goal {BCE_GOAL}")
    return found


def page(results: list[Result], numbers: dict[str, Any], chart: str) -> str:
    """The page of the documentation: method, table, chart, and which goals are missed by how much."""
    where = ", ".join(f"{name} {value}" for name, value in numbers["environment"].items())
    more = "\n".join(
        f"- {name}: `{value}`" for name, value in numbers.items() if name not in ("environment", "results")
    )
    missed = [line for result in results for line in goals_missed(result)]
    return PAGE.format(
        date=datetime.date.today(), where=where, chart=chart, table=markdown(results), more=more,
        losses=len(CASES), missed="\n".join(missed) or "None.",
    )  # fmt: skip


PAGE = """# Performance

Made by `loss-plugins bench --report docs/performance.md` on {date}: {where}. The GPU column is unmeasured: none was at
hand. The command runs there unchanged (`--device cuda`: timed by events, with the number of kernels of a step).

![time over size]({chart})

## Mechanism

A loss is *separable* if each number it returns depends, through its gradient, on one row (or one element) of the
prediction. Then the gradient of the sum holds the gradient of every number: both are computed together in the forward
pass, only the gradient is saved, and the backward pass multiplies. One mechanism serves every loss, yours too.

- **Eager.** The loss and PyTorch's own derivative of it are recorded once on a few sample rows
  ([tracing](../loss_plugins/fusion/tracing.py)), simplified without changing a bit
  ([algebra](../loss_plugins/fusion/algebra.py)), and from then on run as straight-line code on a few buffers that stay
  in the cache ([program](../loss_plugins/fusion/program.py)). No compiler is needed, nothing has to be switched on.
- **`compile=True`.** The same function as machine code by TorchInductor, once for few rows (one thread) and once for
  many, for any number of rows, called without the guards and wrappers of `torch.compile`
  ([native](../loss_plugins/fusion/native.py)).
- **Plain autograd** takes over by itself for a dialect (which is to round as its framework does), a target that needs a
  gradient, double backward, functorch transforms, a surrounding `torch.compile`, anomaly detection, losses that are not
  separable, and losses of a few operations, which have nothing to gain.

## Method

Forward and backward of the sum of the loss per row. All contenders take turns within each repeat, for about 10 ms each
(20 steps at most), after a warm-up that records and compiles; the median of the repeats, and half the distance of the
quartiles. *vs fastest peer* is that peer's median over ours. *Over BCE* is ours over torch's BCE with logits, the floor
of dense losses. *Saved* is what the graph keeps for backward beside the inputs, *peak* all that is allocated at one
time, both in multiples of the prediction. *Times the limit*: over the time in which the bytes that must move (both
inputs in, loss and gradient out) move once, of the faster of ours.

{table}

Beside that:

{more}

## Goals missed

The goals: eager never slower than the fastest peer (focal: 1.3 times as fast as mmdet's) and at most 2x saved; the IoU
family compiled 3.5x at 512, 4x at 8,192 and 6x at 200,000 boxes; dense losses compiled within 1.2 times BCE.

{missed}

## Between us and the limit

At 512 boxes, autograd itself (calling a custom function and its backward, the sum, the accumulation into `.grad`) takes
most of what is left, and a loss as short as IoU cannot be much faster than that. At 200,000, copying boxes into columns
and the gradient back into boxes takes longer than the compiled loss between them: vector instructions need columns, and
frameworks keep rows. Dense losses at 4 million logits run at the speed of memory; the backward pass moves the gradient
once more, which a loss that reduces inside of its kernel would save. Losses of one or two operations (L1,
cross-entropy) are torch's own functions inside of a module that checks its input: those 10 microseconds stay. An eager
program holds its buffers while it runs, so its peak may lie above that of autograd, by what a block of rows needs;
beyond that it does not grow.

Tried, and slower: taking the columns apart inside of the compiled kernel (twice the time at 200,000 boxes); saving the
gradient box by box instead of column by column (the multiplication then has an inner loop of 4); blocks that fit the
second-level cache (waking the threads for each operation costs more than the cache saves); a new tensor for each
intermediate result (fresh pages cost a third of the time); `torch.compile` around the kernel (30 microseconds a call).
Not tried: both axes of a box in one tensor, which would halve the operations of an eager program for few boxes.
"""
