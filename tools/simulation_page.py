"""The page of the regression experiment, made of what `loss-plugins simulate --full` has written.

python -m tools.simulation_page FOLDER          # docs/simulation.md and its pictures, of the runs in FOLDER
python -m tools.simulation_page FOLDER --run    # first every run that is not there yet; half an hour on two cores
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from loss_plugins.evidence.published import FOLLOWED

FOUR = tuple(FOLLOWED)
#: folder of a run to the arguments of `loss-plugins simulate`
RUNS: dict[str, tuple[str, ...]] = {
    "exact": ("--full",),
    "published": ("--gradients", "published", "--full"),
    **{
        f"{loss}-{name}": (loss, "--gradients", "published", "--convention", name, "--full")
        for loss, names in FOLLOWED.items()
        for name in names
    },
    "wiou": ("--setting", "wiou", "--full"),
}


def run_missing(folder: Path) -> None:
    """Every run that the folder does not hold."""
    for name, arguments in RUNS.items():
        if not (folder / name / "simulate.json").exists():
            print(f"running: {' '.join(arguments)}", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "loss_plugins", "simulate", *arguments, "--out", str(folder / name)]
            subprocess.run(command, check=True)


def main(arguments: Sequence[str]) -> int:
    """Write the page."""
    folder, *rest = [*arguments, ""][: max(1, len(arguments))]
    if not folder or rest not in ([], ["--run"]):
        print(__doc__, file=sys.stderr)
        return 2
    if rest:
        run_missing(Path(folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
