"""`loss-plugins parity`: our dialects beside the installed built-ins; exit code 1 if one of them is not equal."""

from __future__ import annotations

import datetime
import json
import platform
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from ..peers import FRAMEWORKS, builtins_of, installed
from ..samples import SAMPLES
from ..version import __version__
from .compare import NEGLIGIBLE, ROUNDINGS, Comparison, absent, parity_of
from .deviations import REASONS, RULES, Deviation, deviations, keep, measure
from .training import GROUP, TrainingResult, compare_training, training_cases

console = Console()
HEADINGS = (
    "framework",
    "built-in",
    "ours",
    "dtype",
    "value max",
    "mean",
    "gradient max",
    "mean",
    "excluded",
    "verdict",
)


def parity(
    against: Annotated[str, typer.Option(help=f"{', '.join(FRAMEWORKS)}, or all that are installed.")] = "all",
    pairs: Annotated[int, typer.Option(min=400, help="Rows to sample.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the sampler.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a Markdown report here.")] = None,
    deviations_to: Annotated[
        Path | None,
        typer.Option("--deviations", help="Measure where our defaults differ, keep it for `show`, and write it here."),
    ] = None,
    train: Annotated[bool, typer.Option(help="Train instead: our dialect of the stock losses beside them.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each run of --train.")] = 8,
) -> None:
    """Compare value and gradient of our dialects with the installed built-ins. Exit code 1 if one is not equal."""
    check_framework(against)
    trained = run_training(against, steps) if train else []
    compared = [] if train else run_comparisons(against, pairs, seed)
    found = run_deviations(against, pairs, seed) if deviations_to else []
    if deviations_to is not None:
        deviations_to.write_text(deviations_page(found), encoding="utf-8")
    if report is not None:
        report.write_text(training_page(trained) if train else parity_page(compared, pairs, seed), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(plain(compared, trained, found, pairs, seed), indent=1))
    else:
        print_tables(compared, trained)
        for written in filter(None, (report, deviations_to)):
            console.print(f"written: {written}")
    if not all_equal(compared, trained):
        raise typer.Exit(1)


def check_framework(against: str) -> None:
    """Raise for a name that is none, or a framework that is not installed."""
    if against == "all":
        return
    if against not in FRAMEWORKS:
        raise ValueError(f"--against={against!r}; allowed: {', '.join(FRAMEWORKS)}, all")
    if installed(against) is None:
        raise ImportError(f"{against} is not installed: pip install {FRAMEWORKS[against]}")


def run_comparisons(against: str, pairs: int, seed: int) -> list[Comparison]:
    """All of them, with a progress bar."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("comparing", total=len(builtins_of(against)))

        def tell(name: str) -> None:
            progress.update(task, description=name, advance=1)

        return list(parity_of(against, pairs, seed, tell))


def run_deviations(against: str, pairs: int, seed: int) -> list[Deviation]:
    """Measure our defaults beside theirs, and keep the numbers; those of other frameworks stay as they were."""
    reasons = [reason for reason in REASONS if against in ("all", reason.stock.framework)]
    found = [measure(reason, pairs, seed) for reason in reasons if installed(reason.stock.framework)]
    fresh = {row.framework for row in found}
    kept = [*found, *(row for row in deviations() if row.framework not in fresh)]
    keep(kept)
    return kept


def run_training(against: str, steps: int) -> list[TrainingResult]:
    """Every case of the installed adapters."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in training_cases(against):
            Console(stderr=True).print(f"training {case.framework} {case.name}: {case.losses}")
            results.append(compare_training(case, Path(folder), steps))
    if not results:
        raise ImportError(f"--train: no adapter brings cases for {against} (entry points {GROUP}); install one of them")
    return results


# --- output ----------------------------------------------------------------------------------------------------------


def plain(
    compared: Sequence[Comparison],
    trained: Sequence[TrainingResult],
    found: Sequence[Deviation],
    pairs: int,
    seed: int,
) -> dict[str, Any]:
    """Everything in plain types."""
    return {
        "ok": all_equal(compared, trained),
        "loss_plugins": __version__,
        "versions": versions(),
        "rows": pairs,
        "seed": seed,
        "samples": {name: SAMPLES[name].text for name in used(compared)},
        "rules": {rule.name: rule.why for rule in RULES},
        "not_compared": sorted({line for row in compared for line in absent(row.framework)}),
        "comparisons": [row.to_dict() for row in compared],
        "training": [row.to_dict() for row in trained],
        "deviations": [vars(row) for row in found],
    }


def all_equal(compared: Sequence[Comparison], trained: Sequence[TrainingResult]) -> bool:
    """Nothing is broken."""
    return all(row.ok for row in compared) and all(row.ok for row in trained)


def versions() -> dict[str, str]:
    """Of what is installed."""
    found = {name: installed(name) for name in FRAMEWORKS}
    return {name: version for name, version in found.items() if version}


def used(compared: Sequence[Comparison]) -> list[str]:
    """Names of samples, in order."""
    return list(dict.fromkeys(row.sample for row in compared))


def cells(row: Comparison) -> list[str]:
    """A comparison as a row of a table."""
    excluded = ", ".join(f"{count} {name}" for name, count in row.excluded.items() if count)
    numbers = (row.value_max, row.value_mean, row.gradient_max, row.gradient_mean)
    return [row.framework, row.builtin, row.loss, row.dtype, *map(small, numbers), excluded, row.verdict]


def small(number: float) -> str:
    """0, or two figures."""
    return "0" if number == 0 else f"{number:.1e}"


def print_tables(compared: Sequence[Comparison], trained: Sequence[TrainingResult]) -> None:
    """For people."""
    if compared:
        table = Table(*HEADINGS, title=summary(compared))
        for row in compared:
            *rest, verdict = map(escape, cells(row))
            table.add_row(*rest, f"[{'green' if row.ok else 'red'}]{verdict}[/]")
        console.print(table)
        for name in used(compared):
            console.print(f"[cyan]{name}[/cyan]: {escape(SAMPLES[name].text)}", style="dim", highlight=False)
        for rule in rules_used(compared):
            console.print(f"excluded by [cyan]{rule.name}[/cyan]: {escape(rule.why)}", highlight=False)
        for missing in sorted({line for row in compared for line in absent(row.framework)}):
            console.print(f"not compared: {escape(missing)}", highlight=False)
        for broken in (row for row in compared if not row.ok):
            console.print(
                f"[red]{broken.framework} {escape(broken.loss)} {broken.dtype}[/red]: row {broken.worst}, "
                f"pred {broken.worst_pred}, target {broken.worst_target}"
            )
    if trained:
        table = Table(*TRAINING_HEADINGS, title="training parity: our dialect of the stock losses beside them")
        for result in trained:
            *rest, verdict = map(escape, training_cells(result))
            table.add_row(*rest, f"[{'green' if result.ok else 'red'}]{verdict}[/]")
        console.print(table)


def summary(compared: Sequence[Comparison]) -> str:
    """One line."""
    functions = dict.fromkeys((row.framework, row.loss) for row in compared)
    broken = {(row.framework, row.loss) for row in compared if not row.ok}
    count = Counter(framework for framework, _ in functions)
    each = ", ".join(f"{name} {number}" for name, number in count.items())
    return f"{len(functions) - len(broken)} of {len(functions)} pairs of functions are equal ({each})"


def rules_used(compared: Sequence[Comparison]) -> list[Any]:
    """Rules by which rows were left out."""
    names = {name for row in compared for name, count in row.excluded.items() if count}
    return [rule for rule in RULES if rule.name in names]


def environment() -> str:
    """Where and when."""
    listed = ", ".join(f"{name} {version}" for name, version in versions().items())
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return f"{today}, Python {platform.python_version()}, {listed}, CPU ({torch.get_num_threads()} threads)."


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def parity_page(compared: Sequence[Comparison], pairs: int, seed: int) -> str:
    """The report."""
    rules = "\n".join(f"- **{rule.name}**: {rule.why}." for rule in rules_used(compared)) or "- none"
    missing = sorted({line for row in compared for line in absent(row.framework)})
    samples = "\n".join(f"- **{name}**: {SAMPLES[name].text}." for name in used(compared))
    remarks = "\n".join(
        f"- {row.framework} {row.loss}, {row.dtype}: {row.tolerance.value:g} in value, {row.tolerance.gradient:g} in "
        f"the gradient, as {row.remark}."
        for row in compared
        if row.remark and (row.dtype == "float32" or row.tolerance.gradient > 1e-9)
    )
    return PAGE.format(
        summary=summary(compared),
        environment=environment(),
        pairs=pairs,
        seed=seed,
        samples=samples,
        roundings=ROUNDINGS,
        negligible=NEGLIGIBLE,
        rules=rules,
        remarks=remarks,
        missing="\n".join(f"- {line}" for line in missing) or "- nothing",
        table=markdown(HEADINGS, [cells(row) for row in compared]),
    )


PAGE = """# Parity with the built-ins

Made by `loss-plugins parity --against all --report docs/parity.md`; do not edit.
**{summary}.** {environment}

Each row compares one of our losses, in the dialect of a framework and built with that framework's own parameter names,
with the loss that is installed: {pairs} rows of input, seed {seed}.

- *value*: |ours - theirs| / max(1, |theirs|); at most 1e-6 in float32, 1e-9 in float64.
- *gradient*: largest difference in a row's gradient over the largest entry of that gradient (or over {negligible:g} of
  the sample's largest); at most 1e-5 in float32, 1e-9 in float64.
- *by their rounding*: rows that exceed this in float32, but lie within {roundings} times the difference between the
  built-in in float32 and the same built-in in float64. The same rows must agree in float64 to 1e-9.
- Where a built-in casts to float32 whatever comes in, there is no row for float64.
- Ultralytics' `ciou`, its training loss, is promised bit for bit: no tolerance and no allowance.

{table}

## Excluded rows

{rules}

## Not compared, as the installed version does not have it

{missing}

## Other tolerances

{remarks}

## Samples

{samples}
"""


def deviations_page(found: Sequence[Deviation]) -> str:
    """Where our defaults differ."""
    rows = [
        [
            row.loss,
            f"{row.framework} {row.version} `{row.builtin}`",
            f"{row.value_max:.2g}",
            f"{row.value_mean:.2g}",
            f"{row.gradient_max:.2g}",
            f"{row.not_finite} of {row.rows}" if row.not_finite else "",
            row.why,
            row.restores,
        ]
        for row in sorted(found, key=lambda row: (row.framework, row.loss))
    ]
    headings = ("ours", "theirs", "value max", "mean", "gradient max", "theirs not finite", "why", "what restores it")
    rules = "\n".join(f"- **{rule.name}** ({rule.framework}: {', '.join(rule.losses)}): {rule.why}." for rule in RULES)
    return DEVIATIONS_PAGE.format(environment=environment(), table=markdown(headings, rows), rules=rules)


DEVIATIONS_PAGE = """# Where we differ from the frameworks

Made by `loss-plugins parity --against all --deviations docs/deviations.md`; do not edit.
{environment}

Our default beside theirs, float32, on the samples of `docs/parity.md`: the numbers are measured by the command, the
reasons are data in `loss_plugins/deviations.py`. *gradient max* is relative to the row's own gradient. What is not
listed here is equal by default as well. `loss-plugins show NAME` prints the rows of one loss.

{table}

## Not reproduced, in any dialect

{rules}
"""

TRAINING_HEADINGS = ("framework", "model", "losses", "steps", "largest difference", "at step", "tolerance", "verdict")


def training_cells(result: TrainingResult) -> list[str]:
    """A training case as a row of a table."""
    return [
        result.framework,
        result.name,
        result.losses,
        str(result.steps),
        small(result.largest),
        str(result.at_step) if result.largest else "",
        f"{result.tolerance:g}",
        result.verdict,
    ]


def training_page(trained: Sequence[TrainingResult]) -> str:
    """The report of --train."""
    table = markdown(TRAINING_HEADINGS, [training_cells(result) for result in trained])
    return TRAINING_PAGE.format(environment=environment(), table=table)


TRAINING_PAGE = """# Training parity

Made by `loss-plugins parity --train --report docs/training-parity.md`; do not edit.
{environment}

Each model is trained twice from the same weights on the same batches of the digits set: with its stock losses, and with
ours in the framework's dialect. Compared is every logged loss of every step, relative above 1. Where the dialect is
equal bit for bit the curves are too; elsewhere rounding of single steps grows with the steps.

{table}
"""
