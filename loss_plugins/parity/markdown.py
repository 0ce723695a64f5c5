"""A parity report in Markdown: its sections, and the pages that the command writes of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..reports import markdown_list, markdown_table
from .cells import (
    COMPARISON_HEADINGS,
    CONTRACT_HEADINGS,
    DEVIATION_HEADINGS,
    TRAINING_HEADINGS,
    comparison_cells,
    contract_cells,
    deviation_cells,
    training_cells,
)
from .compare import NEGLIGIBLE, ROUNDINGS
from .contract import DOUBLE, SINGLE
from .deviations import Deviation
from .report import Report
from .rules import RULES

COMPARISON_LEGEND = f"""\
Each row compares one of our losses, in the dialect of a framework and built with that framework's own parameter names,
with the loss that is installed: {{rows}} rows of input, seed {{seed}}.

- *value*: |ours - theirs| / max(1, |theirs|); at most 1e-6 in float32, 1e-9 in float64.
- *gradient*: largest difference in a row's gradient over the largest entry of that gradient (or over {NEGLIGIBLE:g} of
  the sample's largest); at most 1e-5 in float32, 1e-9 in float64.
- *by their rounding*: rows that exceed this in float32, but lie within {ROUNDINGS} times the difference between the
  built-in in float32 and the same built-in in float64. The same rows must agree in float64 to 1e-9.
- *excluded*: rows that a rule below leaves out, with their number.
- Where a built-in casts to float32 whatever comes in, there is no row for float64.
"""
CONTRACT_LEGEND = f"""\
Each built-in and our dialect of it are also called in every way that the built-in knows, on a few rows: every reduction
with every form of a weight and of `avg_factor`, as rows, as maps, as nothing at all, with labels for background and
labels to ignore where it takes them; then each parameter that both have, over its range here; then all at once. Value
and gradient differ by at most {DOUBLE:g} (relative above 1), where the built-in casts to float32 by {SINGLE:g}. The
column *differ on purpose* names the rule of each call that does not; a rule says what ours must
be there, and value and gradient are compared with that. `loss-plugins parity --json` lists every call."""
DEVIATION_LEGEND = """\
Our default beside theirs, float32, on the samples of the parity report. *gradient max* is relative to the row's own
gradient; *theirs not finite* counts rows in which their gradient is NaN or infinite."""
TRAINING_LEGEND = """\
Each model is trained twice from the same weights on the same batches of the digits set: with its stock losses, and with
ours in the framework's dialect. Compared is every logged loss of every step, relative above 1."""


def comparison_sections(report: Report) -> dict[str, str]:
    """The parts of the parity page, by name."""
    return {
        "summary": report.summary,
        "environment": str(report.environment),
        "legend": COMPARISON_LEGEND.format(rows=report.rows, seed=report.seed).strip(),
        "table": markdown_table(COMPARISON_HEADINGS, map(comparison_cells, report.comparisons)),
        "rules": markdown_list(f"**{rule.name}**: {rule.why}." for rule in report.rules_used),
        "calls": report.contract_summary,
        "calls_legend": CONTRACT_LEGEND,
        "contracts": markdown_table(CONTRACT_HEADINGS, map(contract_cells, report.contracts)),
        "call_rules": markdown_list(f"**{rule.name}**: {rule.why}." for rule in report.case_rules_used),
        "lacking": markdown_list(_lacking(report)),
        "absent": markdown_list(report.absent, "nothing"),
        "tolerances": markdown_list(_tolerances(report)),
        "samples": markdown_list(f"**{name}**: {text}." for name, text in report.samples.items()),
    }


def _lacking(report: Report) -> list[str]:
    return [
        f"{row.framework} {row.builtin} ({row.loss}): {', '.join(f'`{name}`' for name in row.lacking)}."
        for row in report.contracts
        if row.lacking
    ]


def _tolerances(report: Report) -> list[str]:
    return [
        f"{row.framework} {row.loss}, {row.dtype}: {row.tolerance.value:g} in value, {row.tolerance.gradient:g} in "
        f"the gradient, as {row.remark}."
        for row in report.comparisons
        if row.remark and (row.dtype == "float32" or row.tolerance.gradient > 1e-9)
    ]


def comparison_page(report: Report) -> str:
    """The page of `--report`."""
    part = comparison_sections(report)
    return _page(
        "Parity with the built-ins",
        f"**{part['summary']}.** {part['environment']}.",
        part["legend"],
        part["table"],
        "## Excluded rows",
        part["rules"],
        "## Every way of calling them",
        f"**{part['calls']}.**",
        part["calls_legend"],
        part["contracts"],
        "## Calls that differ on purpose",
        part["call_rules"],
        "## Parameters of theirs that our dialect refuses",
        part["lacking"],
        "## Not compared, as the installed version does not have it",
        part["absent"],
        "## Other tolerances",
        part["tolerances"],
        "## Samples",
        part["samples"],
    )


def deviation_sections(report: Report) -> dict[str, str]:
    """The parts of the page of deviations, by name."""
    found = sorted(report.deviations, key=lambda row: (row.framework, row.loss))
    return {
        "environment": str(report.environment),
        "legend": DEVIATION_LEGEND,
        "table": deviation_table(found),
        "rules": markdown_list(
            f"**{rule.name}** ({rule.framework}: {', '.join(rule.losses)}): {rule.why}." for rule in RULES
        ),
    }


def deviation_table(found: Sequence[Deviation]) -> str:
    """One row for each default that differs."""
    return markdown_table(DEVIATION_HEADINGS, map(deviation_cells, found))


def deviation_page(report: Report) -> str:
    """The page of `--deviations`."""
    part = deviation_sections(report)
    return _page(
        "Where we differ from the frameworks",
        f"Measured {part['environment']}.",
        part["legend"],
        part["table"],
        "## Not reproduced, in any dialect",
        part["rules"],
    )


def training_sections(report: Report) -> dict[str, str]:
    """The parts of the page of trainings, by name."""
    return {
        "environment": str(report.environment),
        "legend": TRAINING_LEGEND,
        "table": markdown_table(TRAINING_HEADINGS, map(training_cells, report.trained)),
    }


def training_page(report: Report) -> str:
    """The page of `--train --report`."""
    part = training_sections(report)
    return _page("Training parity", f"Measured {part['environment']}.", part["legend"], part["table"])


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *parts]) + "\n"
