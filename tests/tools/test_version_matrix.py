"""The programs that the version matrix runs elsewhere name what there is here."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

from tests.house.environments import distribution, environment, run
from tools.version_matrix import ENVIRONMENTS, EXTRAS, RESULTS, TEXT, Outcome, compatibility_page, extra_checks
from tools.wheel import ROOT


@pytest.mark.parametrize("checks", sorted({environment.checks for environment in ENVIRONMENTS}))
def test_programs_import_what_there_is(checks: str) -> None:
    for node in ast.walk(ast.parse(checks)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("loss_plugins"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
    assert [name for name in re.findall(r"tests/[\w/]+\.py", checks) if not (ROOT / name).is_file()] == []


def test_every_extra_has_its_environment() -> None:
    extras = set(distribution("loss-plugins").metadata.get_all("Provides-Extra"))
    assert extras - {"dev"} == {extra for extra in EXTRAS if extra}
    assert {environment.extra for environment in ENVIRONMENTS} == {None, *EXTRAS}


@pytest.mark.parametrize("extra", ["cli", "mmdet", "ultralytics"])
def test_an_extra_does_what_it_is_for(extra: str, tmp_path: Path) -> None:
    """The matrix's own program, where pip's work is done by links."""
    done = run(environment(f"loss-plugins[{extra}]"), "python", "-c", extra_checks(extra), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT"))
    assert Outcome("", "", "", found).ok, found


def test_the_page_is_made_from_the_results() -> None:
    rows = [Outcome(**row) for row in json.loads(RESULTS.read_text(encoding="utf-8"))]
    assert (ROOT / "docs/compatibility.md").read_text(encoding="utf-8") == compatibility_page(rows)
    assert "{rows}" in TEXT
