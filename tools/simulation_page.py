"""The page of the regression experiment, made of what `loss-plugins simulate` has written.

python -m tools.simulation_page FOLDER          # docs/simulation.md, its pictures and numbers, of the runs in FOLDER
python -m tools.simulation_page FOLDER --run    # first every run that is not there yet
python -m tools.simulation_page                 # the text alone, of the numbers in docs/simulation.json
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from loss_plugins.evidence.published import FOLLOWED
from loss_plugins.evidence.simulate import simulate
from loss_plugins.reports import markdown_table, strict_json

from .pages import DOCS, compose

#: folder of a run to the arguments of `simulate`
RUNS: dict[str, dict[str, Any]] = {
    "exact": {"full": True},
    "published": {"gradients": "published", "full": True},
    "sample": {},
    "sample-published": {"gradients": "published"},
    **{
        f"{loss}-{name}": {"names": [loss], "gradients": "published", "convention": [name.replace("_", "-")]}
        for loss, names in FOLLOWED.items()
        for name in names
    },
    "wiou-sample": {"setting": "wiou"},
}
#: runs whose pictures the page shows
DRAWN = ("exact", "published")
PICTURES = ("curves", "map")
#: digits of an error that are kept
DIGITS = 7
#: from so many sides away on, a start counts as far
FAR = 2.0
#: a factor below which two errors count as the same
SAME = 1.05
Numbers = Mapping[str, Any]
Run = list[dict[str, Any]]


# --- the runs ------------------------------------------------------------------------------------------------------


def run_missing(folder: Path) -> None:
    """Every run that the folder does not hold."""
    for name, arguments in RUNS.items():
        if not (folder / name / "simulate.json").exists():
            simulate(**arguments, out=folder / name)


def collected(folder: Path) -> dict[str, Any]:
    """The results of every run, and the mean final error of far starts beside the axes and the diagonals."""
    found: dict[str, Any] = {}
    for name in RUNS:
        results = json.loads((folder / name / "simulate.json").read_text(encoding="utf-8"))
        found[name] = [{key: _short(value) for key, value in each.items()} for each in results]
    found["far"] = {name: far_starts(folder / name / "map.csv") for name in DRAWN}
    return found


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def far_starts(file: Path) -> dict[str, list[float]]:
    """By loss, the mean final error of cases that start far away, nearer to an axis and nearer to a diagonal."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = [row for row in csv.DictReader(lines) if math.hypot(float(row["dx"]), float(row["dy"])) > FAR]
    places: list[list[dict[str, str]]] = [[], []]
    for row in rows:
        small, large = sorted((abs(float(row["dx"])), abs(float(row["dy"]))))
        places[small > math.tan(math.pi / 8) * large].append(row)
    losses = [name for name in rows[0] if name not in ("dx", "dy", "cases")]
    return {loss: [_short(_mean_of(loss, place)) for place in places] for loss in losses}


def _mean_of(loss: str, rows: Sequence[Mapping[str, str]]) -> float:
    cases = sum(int(row["cases"]) for row in rows)
    return sum(int(row["cases"]) * float(row[loss]) for row in rows) / cases


# --- the page ------------------------------------------------------------------------------------------------------


def page(found: Numbers) -> str:
    """The whole page, in Markdown."""
    exact, published = found["exact"], found["published"]
    versions = ", ".join(f"{name} {version}" for name, version in exact[0]["versions"].items())
    return compose(
        "simulation",
        {
            "versions": versions,
            "exact_command": exact[0]["command"],
            "published_command": published[0]["command"],
            "sample_command": found["sample"][0]["command"],
            "wiou_command": found["wiou-sample"][0]["command"],
            "exact_table": exact_table(exact),
            "exact_said": order_said(exact),
            "modes_table": modes_table(exact, published),
            "ranking": ranking(exact, published),
            "far_table": far_table(found["far"]),
            "conventions_table": conventions_table(found),
            "conventions_said": conventions_said(found),
            "sample_table": sample_table(found),
            "wiou_table": wiou_table(found["wiou-sample"]),
        },
    )


def final(run: Run, loss: str) -> float:
    """The error of a loss after the last step."""
    (each,) = (each for each in run if each["loss"] == loss)
    return float(each["error"][-1])


def ordered(run: Run, losses: Sequence[str] = tuple(FOLLOWED)) -> list[str]:
    """The losses of a run, the smallest final error first."""
    return sorted(losses, key=lambda loss: final(run, loss))


def exact_table(run: Run) -> str:
    steps = (1, 50, 100, 160, 200)
    rows = [
        [f"`{loss}`", *(f"{each['error'][step - 1]:,.0f}" for step in steps), f"{each['mean_final_error']:.5f}"]
        for loss in ordered(run, [each["loss"] for each in run])
        for each in run
        if each["loss"] == loss
    ]
    return markdown_table(["loss", *(f"after step {step}" for step in steps), "mean of a case at the end"], rows)


def order_said(run: Run) -> str:
    losses = ordered(run, [each["loss"] for each in run])
    best, worst = losses[0], losses[-1]
    ends = ", ".join(f"`{loss}` with {final(run, loss) / run[0]['of']:.5f} per case" for loss in (best, worst))
    return f"From the smallest final error: {_listed(losses)}. The first and the last end {ends}."


def modes_table(exact: Run, published: Run) -> str:
    places = [ordered(run) for run in (exact, published)]
    rows = []
    for loss in places[0]:
        one, other = final(exact, loss), final(published, loss)
        at = [place.index(loss) + 1 for place in places]
        rows.append([f"`{loss}`", f"{one:,.0f}", str(at[0]), f"{other:,.0f}", str(at[1]), f"{other / one:.3g}"])
    return markdown_table(
        ["loss", "exact gradients", "place", "published updates", "place", "published over exact"], rows
    )


def ranking(exact: Run, published: Run) -> str:
    """Whether the published order survives, in words."""
    one, other = ordered(exact), ordered(published)
    said = f"By the published updates the order is {_listed(other)}, by exact gradients {_listed(one)}, the best first"
    near = [*near_said(exact, one, "exact gradients"), *near_said(published, other, "the published updates")]
    if one == other:
        return " ".join([f"**The published ranking survives exact gradients.** {said}.", *near])
    moved = _listed([loss for loss in one if one.index(loss) != other.index(loss)])
    return " ".join([f"**The published ranking does not survive exact gradients.** {said}: {moved} move.", *near])


def near_said(run: Run, losses: Sequence[str], how: str) -> list[str]:
    """A sentence for each two neighbours whose errors count as the same."""
    found = []
    for better, worse in pairwise(losses):
        factor = final(run, worse) / final(run, better)
        if factor < SAME:
            found.append(f"By {how} `{better}` and `{worse}` end within {100 * (factor - 1):.1g} % of each other.")
    return found


def _listed(losses: Sequence[str]) -> str:
    return ", ".join(f"`{loss}`" for loss in losses)


def far_table(far: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    rows = [
        [f"`{loss}`", *(f"{far[name][loss][place]:.3g}" for name in DRAWN for place in (0, 1))] for loss in FOLLOWED
    ]
    headings = [f"{name}, {place}" for name in ("exact", "published") for place in ("near an axis", "near a diagonal")]
    return markdown_table(["loss", *headings], rows)


def conventions_table(found: Numbers) -> str:
    rows = []
    for loss, names in FOLLOWED.items():
        exact, published = final(found["sample"], loss), final(found["sample-published"], loss)
        rows.append([f"`{loss}`", "none: exact", f"{exact:,.0f}", "1", f"`loss-plugins simulate {loss}`"])
        for name in names:
            run = found[f"{loss}-{name}"]
            error = final(run, loss)
            rows.append([f"`{loss}`", f"`{name}`", f"{error:,.0f}", f"{error / exact:.3g}", f"`{run[0]['command']}`"])
        command = f"`loss-plugins simulate {loss} --gradients published`"
        rows.append([f"`{loss}`", "all", f"{published:,.0f}", f"{published / exact:.3g}", command])
    return markdown_table(["loss", "convention", "final error", "over exact", "command"], rows)


def conventions_said(found: Numbers) -> str:
    """For each loss, which conventions change the final error, and in which direction."""
    lines = []
    for loss, names in FOLLOWED.items():
        exact = final(found["sample"], loss)
        factors = {name: final(found[f"{loss}-{name}"], loss) / exact for name in names}
        worse = [f"`{name}` ({factor:.3g})" for name, factor in factors.items() if factor > SAME]
        better = [f"`{name}` ({factor:.3g})" for name, factor in factors.items() if factor < 1 / SAME]
        none = [f"`{name}`" for name, factor in factors.items() if 1 / SAME <= factor <= SAME]
        parts = [("raised by", worse), ("lowered by", better), ("within five per cent with", none)]
        lines.append(f"- `{loss}`: " + "; ".join(f"{what} {', '.join(said)}" for what, said in parts if said) + ".")
    return "\n".join(lines)


def sample_table(found: Numbers) -> str:
    rows = []
    for run, sample, how in (("exact", "sample", "exact"), ("published", "sample-published", "published")):
        for each in found[run]:
            loss, whole = each["loss"], final(found[run], each["loss"])
            part = final(found[sample], loss)
            rows.append([f"`{loss}`", how, f"{whole:,.0f}", f"{part:,.0f}", f"{100 * (part / whole - 1):+.1f} %"])
    return markdown_table(["loss", "gradients", "all cases", "2 in 100", "difference"], rows)


def wiou_table(run: Run) -> str:
    rows = [
        [
            f"`{each['loss']}`", str(each["best_step"]), f"{max(each['mean_iou']):.4f}",
            f"{each['mean_over_centres']:.4f}", f"{each['minimum_over_centres']:.4f}",
        ]
        for each in sorted(run, key=lambda each: -max(each["mean_iou"]))
    ]  # fmt: skip
    return markdown_table(["loss", "best step", "mean IoU there", "mean over centres", "worst centre"], rows)


def write(folder: Path | None, docs: Path = DOCS, tell: Callable[[str], None] = print) -> None:
    """The page; of the runs in a folder, if there is one, with their numbers and pictures."""
    numbers = docs / "simulation.json"
    if folder is not None:
        numbers.write_text(strict_json(collected(folder), indent=None) + "\n", encoding="utf-8")
        for run in DRAWN:
            for name in PICTURES:
                for kind in ("png", "csv"):
                    shutil.copy(folder / run / f"{name}.{kind}", docs / f"simulation-{run}-{name}.{kind}")
    text = page(json.loads(numbers.read_text(encoding="utf-8")))
    (docs / "simulation.md").write_text(text, encoding="utf-8")
    tell(f"written: {docs / 'simulation.md'}")


def main(arguments: Sequence[str]) -> int:
    """Write the page."""
    folders = [Path(each) for each in arguments if each != "--run"]
    if len(folders) > 1 or (not folders and arguments):
        print(__doc__, file=sys.stderr)
        return 2
    if "--run" in arguments:
        run_missing(folders[0])
    write(folders[0] if folders else None)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
