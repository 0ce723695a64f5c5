"""The layer rules of pyproject.toml, checked by import-linter on the package as it is installed.

    python -m tools.layers

In a checkout the adapters lie beside the package and only an installation has them inside, so the rules are checked on
the unpacked wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

from .wheel import ROOT, unpacked

RUN = "from importlinter.cli import lint_imports_command; lint_imports_command()"


class NoCircles(Contract):
    """No module imports itself by way of others; import-linter's own contract leaves out a package's `__init__`."""

    type_name = "no_circles"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        arrows = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
        try:
            TopologicalSorter(arrows).prepare()
        except CycleError as error:
            return ContractCheck(kept=False, metadata={"circle": error.args[1][::-1]})
        return ContractCheck(kept=True)

    def render_broken_contract(self, check: ContractCheck) -> None:
        output.print_error(" -> ".join(check.metadata["circle"]))


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package `loss_plugins` in a folder; its exit status tells whether all rules hold."""
    return subprocess.run(
        [sys.executable, "-c", RUN, str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo", *options],
        cwd=folder,  # comes first in the path of the modules
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    done = lint(unpacked())
    print(done.stdout + done.stderr)
    sys.exit(done.returncode)
