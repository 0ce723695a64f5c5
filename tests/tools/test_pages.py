"""The measured pages of docs/ are their templates, filled with what was measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from loss_plugins.bench.cases import COMPILED, OURS
from loss_plugins.bench.measure import Result
from loss_plugins.bench.report import Report as BenchReport
from loss_plugins.parity import markdown
from loss_plugins.parity.deviations import Deviation, deviations, to_json
from loss_plugins.parity.reasons import measure_all
from loss_plugins.parity.report import Report, make_report
from loss_plugins.parity.training import TrainingResult
from loss_plugins.reports import environment
from tools.pages import DOCS, TEMPLATES, compose
from tools.pages import __main__ as pages

NAMES = [file.stem for file in TEMPLATES.glob("*.md")]
TIMES = {OURS: 2.0, COMPILED: 1.0, "mmdet": 1.5}
RESULT = Result("ciou", 512, TIMES, TIMES, saved=TIMES, peak=TIMES, limit=1.0)


#: date, device, threads, Python, packages
ENVIRONMENT = r"\d{4}-\d\d-\d\d, (?:.+, )?\d+ CPU threads?, Python [\d.]+(?:, [\w-]+ [\w.+]+)+"


def pattern(template: str) -> str:
    """A regular expression of a template's prose, with anything in its gaps but for the environment."""
    parts = re.split(r"(\{\w+\})", words(template))
    gaps = {part: ENVIRONMENT if part == "{environment}" else ".*" for part in parts[1::2]}
    return "".join(gaps.get(part, re.escape(part)) for part in parts)


def words(text: str) -> str:
    return " ".join(text.split())


def test_there_is_a_template_for_every_page() -> None:
    assert sorted(NAMES) == ["deviations", "parity", "performance", "performance-gpu", "simulation", "training-parity"]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_in_docs_has_the_prose_of_its_template(name: str) -> None:
    template, page = (folder.joinpath(f"{name}.md").read_text() for folder in (TEMPLATES, DOCS))
    assert re.fullmatch(pattern(template), words(page)), f"run: python -m tools.pages ({name})"


def test_the_prose_would_not_match_another_page() -> None:
    assert not re.fullmatch(pattern((TEMPLATES / "parity.md").read_text()), words((DOCS / "deviations.md").read_text()))


def test_an_environment_without_versions_would_not_match() -> None:
    whole = str(environment())
    assert re.fullmatch(pattern("on {environment}."), f"on {whole}.")
    assert not re.fullmatch(pattern("on {environment}."), f"on {whole.partition(', Python')[0]}, torch 2.9.1.")


def test_the_parity_page_is_made_of_the_report_that_the_command_makes() -> None:
    report = make_report("torch", 400)
    page = pages.parity_page(report)
    for part in markdown.comparison_sections(report).values():
        assert part in page


def test_the_training_page_has_a_row_for_each_case() -> None:
    result = TrainingResult("mmdet", "ATSS", "loss_bbox GIoULoss", 6, 2e-7, 5, 1e-4)
    page = pages.training_page(Report(0, 0, environment(), trained=(result,)))
    assert "| mmdet | ATSS | loss_bbox GIoULoss | 6 | 2.0e-07 | 5 | 0.0001 | equal |" in page


def test_deviations_are_written_down_as_show_reads_them(tmp_path: Path) -> None:
    found = tuple(measure_all("torch", 400))
    report = pages.with_kept(Report(400, 0, environment(), deviations=found))
    kept = [row for row in deviations() if row.framework != "torch"]
    assert report.deviations == (*found, *kept)
    page = pages.deviations_page(report)
    assert page.count("| torch ") == len(found) == 2
    assert page.count("| mmdet 3.") == len([row for row in kept if row.framework == "mmdet"])
    read = [Deviation(**row) for row in json.loads(to_json(report.deviations))]
    assert [replace(row, value_max=0, value_mean=0, gradient_max=0) for row in read[2:]] == [
        replace(row, value_max=0, value_mean=0, gradient_max=0) for row in kept
    ]
    assert read[0].value_max == pytest.approx(found[0].value_max, rel=1e-3)


@pytest.mark.parametrize("kernels", [{}, {OURS: 140, COMPILED: 3, "mmdet": 90}], ids=["cpu", "gpu"])
def test_the_performance_page_speaks_of_the_device_at_hand(kernels: dict[str, int]) -> None:
    where = replace(environment(), device="some device")
    report = BenchReport(where, [replace(RESULT, kernels=kernels)], left_out={"monai": "No module named 'monai'"})
    told = json.loads(json.dumps(report.to_dict()))
    page = pages.performance_page(BenchReport.from_dict(told), "performance.png", "none")
    assert "some device" in page
    assert "- monai: No module named 'monai'" in page
    assert "| ciou | 512 |" in page
    assert "- ciou, 512, eager: 0.75x of the fastest peer, goal 1" in page
    assert ("Times are the GPU's own" in page) == bool(kernels)
    assert ("kernels in a step" in page) == bool(kernels)
    assert "unmeasured" not in page


def test_a_template_cannot_name_a_part_that_is_not_measured() -> None:
    with pytest.raises(KeyError, match="summary"):
        compose("parity", {})


@pytest.mark.parametrize(
    "arguments", [[], ["parities"], ["performance"], ["performance-gpu"], ["parity", "docs/parity.md"]], ids=str
)
def test_other_arguments_print_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert pages.main(arguments) == 2
    assert "python -m tools.pages parity" in capsys.readouterr().err
