"""Trains the cells of a comparison, each in a process of its own, and says how long it will take."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from ..errors import refusal
from .compared import ALONE, Failed, difference
from .grid import MEASURES, Cell, Result, Training, done, hardware, store, stored

Say = Callable[[str], None]
#: of the libraries that compute with threads of their own
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def run_cells(
    cells: Sequence[Cell], training: Training, out: Path, line: Callable[[Cell], list[str]], say: Say
) -> None:
    """Train every cell that has no result yet, one after another; one that fails is said, and the next one begins.

    Args:
        cells: of the plan.
        training: the framework's.
        out: folder of the comparison.
        line: arguments of `loss-plugins` that train one cell.
        say: takes lines of progress.

    Raises:
        ValueError: there are results of another machine, or of other versions.
    """
    known = {cell.key: result for cell in cells if (result := stored(cell.file(out))) is not None}
    require_here(known.values(), training)
    if known:
        say(f"{len(known)} of {len(cells)} trainings are there already, in {out}")
    took = [each.seconds for each in known.values()]
    left = [cell for cell in cells if cell.key not in known]
    for number, cell in enumerate(left):
        say(f"training {len(known) + number + 1} of {len(cells)}: {cell}{time_left(took, len(left) - number)}")
        found = run_cell(cell, out, line(cell))
        if isinstance(found, Failed):
            say(f"{cell} failed, and its pair is left out: {found.why} (see {cell.log(out)})")
        else:
            took.append(found.seconds)
            say(f"{cell}: {', '.join(f'{name} {found.trained.measures[name]:.2f}' for name in MEASURES)}")


def require_here(results: Iterable[Result], training: Training) -> None:
    """Raise for results that were not computed with what is installed here, on a machine like this one."""
    here = {"versions": training.versions(), "hardware": hardware()}
    for each in results:
        differing = difference({"versions": each.versions, "hardware": each.hardware}, here)
        if differing:
            came = f"{each.loss}, seed {each.seed}, was trained elsewhere: {differing} here"
            raise refusal("compare", came, ALONE, "name another folder by --out, or train all cells in one place")


def time_left(took: Sequence[float], cells: int) -> str:
    """What is said of the time that so many trainings will take; "": nothing is known yet.

    >>> time_left([60.0, 120.0], 3)
    ', 4.5 minutes left'
    """
    if not took:
        return ""
    minutes = sum(took) / len(took) * cells / 60
    return f", {minutes:.1f} minutes left" if minutes < 100 else f", {minutes / 60:.1f} hours left"


def run_cell(cell: Cell, out: Path, arguments: Sequence[str]) -> Result | Failed:
    """Train a cell in a process of its own, whose output becomes a file."""
    cell.log(out).parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "loss_plugins", *arguments]
    with cell.log(out).open("w", encoding="utf-8") as log:
        code = subprocess.run(
            command, stdout=log, stderr=subprocess.STDOUT, check=False, env=environment(cell.plan.threads)
        ).returncode
    found = stored(cell.file(out))
    if found is not None:  # which is written last, and whole
        return found
    return Failed(cell.loss.label, cell.seed, why(cell.log(out), code))


def environment(threads: int) -> dict[str, str]:
    """Of the process of a cell."""
    return {**os.environ, **dict.fromkeys(THREADS, str(threads))}


def why(log: Path, code: int | None = None) -> str:
    """Why a training has failed: the last line that it printed."""
    try:
        lines = [each.strip() for each in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return "it was not trained yet"
    last = next((each for each in reversed(lines) if each), "")
    if code is not None and code < 0:
        return f"it was ended by signal {-code}"
    return last or "it printed nothing"


def failed_among(cells: Sequence[Cell], out: Path) -> list[Failed]:
    """The cells that have no result, and why."""
    missing = (cell for cell in cells if stored(cell.file(out)) is None)
    return [Failed(cell.loss.label, cell.seed, why(cell.log(out))) for cell in missing]


def train_here(cell: Cell, training: Training, out: Path) -> Result:
    """Train a cell in this process, unless its result is there.

    Raises:
        ValueError: what was measured is no number.
    """
    known = stored(cell.file(out))
    if known is not None:
        return known
    folder = cell.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    plan, started = cell.plan, time.monotonic()
    with with_threads(plan.threads):
        trained = training.train(cell.loss, cell.seed, plan.gain, plan.threads, folder)
    odd = {name: trained.measures.get(name) for name in MEASURES if not _is_number(trained.measures.get(name))}
    if odd:
        came = f"{cell} measured {odd}"
        raise refusal("compare", came, "numbers", "look at its log: the training has diverged")
    result = done(cell, trained, time.monotonic() - started, training.versions())
    store(result, out)
    return result


def _is_number(value: float | None) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


@contextmanager
def with_threads(threads: int) -> Iterator[None]:
    """torch computes with so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
