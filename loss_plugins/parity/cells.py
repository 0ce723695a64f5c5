"""Rows of the parity tables as text, for terminal and Markdown alike."""

from __future__ import annotations

from .compare import Comparison
from .contract import ContractResult, rules_met
from .deviations import Deviation
from .training import TrainingResult

COMPARISON_HEADINGS = (
    "framework", "built-in", "ours", "dtype", "value max", "mean", "gradient max", "mean", "excluded", "verdict",
)  # fmt: skip
CONTRACT_HEADINGS = (
    "framework", "built-in", "ours", "calls", "equal", "value max", "gradient max", "differ on purpose", "verdict",
    "what varies",
)  # fmt: skip
#: for terminals that are too narrow for the full row
SHORT_HEADINGS = ("framework", "ours", "bits", "value", "gradient", "verdict")
DEVIATION_HEADINGS = (
    "ours", "theirs", "value max", "mean", "gradient max", "theirs not finite", "why", "what restores it",
)  # fmt: skip
TRAINING_HEADINGS = ("framework", "model", "losses", "steps", "largest difference", "at step", "tolerance", "verdict")


def comparison_cells(row: Comparison) -> list[str]:
    """A comparison."""
    excluded = ", ".join(f"{count} {name}" for name, count in row.excluded.items() if count)
    numbers = (row.value_max, row.value_mean, row.gradient_max, row.gradient_mean)
    return [row.framework, row.builtin, row.loss, row.dtype, *map(small, numbers), excluded, row.verdict]


def contract_cells(row: ContractResult) -> list[str]:
    """All calls of one built-in."""
    counts = dict(row.counts)
    equal = counts.pop("equal", 0)
    largest = small(row.largest(lambda case: case.value)), small(row.largest(lambda case: case.gradient))
    known = ", ".join(f"{counts[rule.name]} {rule.name}" for rule in rules_met([row]))
    told = [str(len(row.cases)), str(equal), *largest, known, row.verdict]
    return [row.framework, row.builtin, row.loss, *told, row.varied + (f". {row.remark}" if row.remark else "")]


def short_cells(row: Comparison) -> list[str]:
    """A comparison, in less than 80 columns for all but the longest names."""
    verdict = row.verdict.replace("equal bit for bit", "bit for bit")
    if row.ok and row.by_rounding:
        verdict = f"equal, {row.by_rounding} rounded"
    bits = row.dtype.removeprefix("float")
    return [row.framework, row.loss, bits, small(row.value_max), small(row.gradient_max), verdict]


def deviation_cells(row: Deviation) -> list[str]:
    """A default that differs."""
    return [
        row.loss,
        f"{row.framework} {row.version} `{row.builtin}`",
        f"{row.value_max:.2g}",
        f"{row.value_mean:.2g}",
        f"{row.gradient_max:.2g}",
        f"{row.not_finite} of {row.rows}" if row.not_finite else "",
        row.why,
        row.restores,
    ]


def training_cells(row: TrainingResult) -> list[str]:
    """A model trained twice."""
    return [
        row.framework,
        row.name,
        row.losses,
        str(row.steps),
        small(row.largest),
        str(row.at_step) if row.largest else "",
        f"{row.tolerance:g}",
        row.verdict,
    ]


def small(number: float) -> str:
    """0, or two figures."""
    return "0" if number == 0 else f"{number:.1e}"
