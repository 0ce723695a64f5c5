"""The mmcv recipe stands once, in install.py: README, Makefile and constraints say the same."""

from __future__ import annotations

import re
import shlex

from loss_plugins.adapters.mmdet.install import COMMANDS, MMCV_FROM_SOURCE
from tools.wheel import ROOT


def words(command: str) -> list[str]:
    return shlex.split(command)


def test_the_readme_has_the_recipe() -> None:
    (row,) = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| from source")]
    *build, rest = [words(command) for command in re.findall(r"`(.*?)`", row.split("|")[3])]
    assert build == [words(command) for command in MMCV_FROM_SOURCE]
    assert rest == [*words(COMMANDS["mmengine"]), *words(COMMANDS["mmdet"])[2:]]


def test_the_makefile_runs_the_recipe() -> None:
    """Its pip takes the versions from the constraints, and as many jobs as there are cores."""
    _, _, rule = (ROOT / "Makefile").read_text().partition("\n$(VENV)/.mmdet:")
    commands = [line.strip() for line in rule.partition("\n\n")[0].splitlines() if "$(PIP)" in line]
    expected = [re.sub(r"==[\d.]+", "", re.sub(r"MAX_JOBS=\d+", "MAX_JOBS=$(JOBS)", step)) for step in MMCV_FROM_SOURCE]
    assert [words(command.replace("$(PIP)", "pip install")) for command in commands[:-1]] == list(map(words, expected))
    constraints = (ROOT / ".ci/constraints.txt").read_text().splitlines()
    for package in ("mmcv", "mmdet"):
        (pin,) = [line for line in constraints if line.startswith(f"{package}==")]
        assert pin in words(COMMANDS[package])
