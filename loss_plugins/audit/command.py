"""`loss-plugins check`: audit one loss, or the whole catalogue; exit code 1 if a judged check fails."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from ..catalog.declare import KINDS, Kind
from ..catalog.entries import list_losses
from ..catalog.ranges import Choice, check_value
from ..errors import refusal
from ..module.imported import look_here
from ..reports import strict_json
from ..tensors import FORMS
from .find import catalogued, find_subject
from .report import AuditReport, score
from .subject import Scores, Subject
from .suite import audit_subject, checks_for

#: what is said where a loss is not as its traits say
PROMISES = (
    "Traits are promises, and so are their defaults, which hold for what is not declared: help(loss_plugins.Traits). "
    "A loss that is better than it declares is not wrong, its declaration is."
)


def check(
    target: Annotated[str | None, typer.Argument(help="A loss of the catalogue, or package.module:callable.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Audit every loss of the catalogue.")] = False,
    kind: Annotated[str, typer.Option(help=f"What an imported callable is: {', '.join(KINDS)}.")] = "box",
    form: Annotated[str, typer.Option(help=f"Targets of an imported class loss: {', '.join(FORMS)}.")] = "dense",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Audit a loss: awkward boxes, precision, promises, graphs, reductions. Exit code 1 if a judged check fails."""
    with contextlib.redirect_stdout(sys.stderr):  # what a loss prints is not part of the report
        reports = _audit_all(_subjects(target, everything, kind, form))
    if as_json:
        typer.echo(strict_json(_plain(reports, everything)))
    elif everything:
        _print_summary(reports)
    else:
        _print_report(reports[0])
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


def _subjects(target: str | None, everything: bool, kind: str, form: str) -> list[Subject]:
    if everything == (target is not None):
        came = "two things were asked for: a loss and --all" if everything else "no loss was named"
        raise refusal("check", came, "one loss, or --all", "name one loss, or --all: loss-plugins check ciou")
    if everything:
        return [catalogued(name) for name in list_losses()]
    check_value("check", "--kind", kind, Choice(*KINDS))
    check_value("check", "--form", form, Choice(*FORMS))
    assert target is not None
    look_here()
    return [find_subject(target, cast(Kind, kind), Scores(form))]


def _audit_all(subjects: list[Subject]) -> list[AuditReport]:
    total = sum(len(checks_for(subject.kind)) for subject in subjects)
    reports = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("auditing", total=total)
        for subject in subjects:
            progress.update(task, description=f"auditing {subject.name}")
            reports.append(audit_subject(subject, progress=lambda _: progress.advance(task)))
    return reports


def _plain(reports: list[AuditReport], everything: bool) -> Any:
    return [report.to_dict() for report in reports] if everything else reports[0].to_dict()


def _print_summary(reports: list[AuditReport]) -> None:
    total = score(result for report in reports for result in report.results)
    table = Table("loss", "kind", "passed", "failed checks", title=f"{len(reports)} losses, {total} checks passed")
    for report in reports:
        failures = "; ".join(f"{result.check} ({result.detail})" for result in report.failed)
        table.add_row(report.target, report.kind, _coloured(str(score(report.results)), report.ok), escape(failures))
    Console().print(table)


def _print_report(report: AuditReport) -> None:
    console, total = Console(), score(report.results)
    title = f"{report.target} ({report.kind}): {total} checks passed"
    table = Table("group", "passed", "failed, or measured", title=escape(title), title_justify="left")
    for group, result in report.groups().items():
        table.add_row(group, _coloured(str(result), result.clean), escape(_remarks(report, group)))
    console.print(table)
    for failure in report.failed:
        console.print(f"[red]{escape(failure.group)} / {escape(failure.check)}[/red]: {escape(failure.detail)}")
        typer.echo("\n".join(f"    {line}" for line in failure.reproduction.splitlines()))
    if any("; promised: " in failure.detail for failure in report.failed):
        console.print(PROMISES)
    idle = len(report.of("not applicable"))
    if idle:
        checks = "1 check does" if idle == 1 else f"{idle} checks do"
        console.print(f"{checks} not apply; --json gives every check with its reason.", style="dim")


def _remarks(report: AuditReport, group: str) -> str:
    shown = [result for result in report.results if result.group == group]
    lines = [f"{result.check}: {result.detail}" for result in shown if result.status == "failed"]
    lines += [f"{result.check}: {result.detail}" for result in shown if result.status == "measured"]
    return "\n".join(lines)


def _coloured(text: str, good: bool) -> str:
    return f"[{'green' if good else 'red'}]{text}[/]"
