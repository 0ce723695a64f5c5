"""What a matched gain does to trainings: from scratch on the digits, paired seeds, beside the stock losses.

    python -m tools.gains                # all that docs/gains.json does not have yet, into docs/gains.md
    python -m tools.gains alpha_ciou     # of one loss

A training takes a minute or two on one core, all of them some hours; each is noted as it ends. A class loss that
refuses gain="match" is trained with the constant that it would have had, as its loss_weight.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .wheel import ROOT

PAGE, RESULTS = ROOT / "docs/gains.md", ROOT / "docs/gains.json"
SEEDS = range(5)
#: losses by the slot that they are trained in
LOSSES: dict[str, tuple[str, Any]] = {
    "alpha_ciou": ("box", "alpha_ciou"),
    "eiou": ("box", "eiou"),
    "wiou v3": ("box", {"type": "wiou", "version": 3}),
    "quality_focal": ("cls", "quality_focal"),
    "focal": ("cls", "focal"),
    "varifocal": ("cls", "varifocal"),
    "asymmetric": ("cls", "asymmetric"),
}
#: "stock", or how the gain is chosen
GAINS = ("keep", "match")
RECIPE: dict[str, Any] = {
    "epochs": 8, "imgsz": 128, "batch": 16, "nbs": 16, "optimizer": "SGD", "lr0": 0.03, "warmup_epochs": 1,
    "mosaic": 0.0, "fliplr": 0.0, "workers": 0, "cache": True, "amp": False, "plots": False, "verbose": False,
}  # fmt: skip
TEXT = """# What a matched gain does

Made by `python -m tools.gains`; do not edit. YOLO11n from scratch on 400 scenes of digits, {recipe}.
mAP50 on 100 other scenes, the mean of the seeds that were trained and, in brackets, the mean difference to the stock
losses with the same seeds. Seeds of the stock losses alone differ by {spread:.2f}.

| loss | `gain="keep"` | `gain="match"` | seeds |
|---|---|---|---|
| stock | {stock:.3f} | | {seeds} |
{rows}

Box losses end with the matched gain where the stock loss ends, or above. Class losses of the focal kind do not, with
either gain: one that is right for positives is wrong for negatives, which they spare. `gain="match"` refuses them;
what stands in its column was trained with the constant that they would have had.
"""


class Outcome(NamedTuple):
    """One training.

    Attributes:
        loss: "stock", or a key of LOSSES.
        gain: "stock", "keep" or "match".
        seed: of the training.
        map50: on the validation scenes.
    """

    loss: str
    gain: str
    seed: int
    map50: float


def wanted(losses: Iterable[str]) -> Iterable[tuple[str, str, int]]:
    """What is to be trained: loss, gain and seed."""
    for seed in SEEDS:
        yield "stock", "stock", seed
        yield from ((loss, gain, seed) for loss in losses for gain in GAINS)


def trained(loss: str, gain: str, seed: int, folder: Path) -> Outcome:
    """Train once."""
    from ultralytics import YOLO

    from loss_plugins.adapters.ultralytics.demo import place_font
    from loss_plugins.demo.digits import make_digits

    place_font()
    digits = make_digits(folder / "digits", progress=False)
    chosen = {} if loss == "stock" else {"trainer": trainer_of(loss, gain)}
    metrics = YOLO("yolo11n.yaml").train(
        data=str(digits.yaml), project=str(folder), name="run", exist_ok=True, seed=seed, **RECIPE, **chosen
    )
    return Outcome(loss, gain, seed, float(metrics.box.map50))


def trainer_of(loss: str, gain: str) -> Any:
    """The trainer of a loss; a class loss has its matched gain as loss_weight."""
    from loss_plugins import build_loss
    from loss_plugins.adapters import ultralytics as lpu
    from loss_plugins.adapters.ultralytics.class_slot import stock_class_loss
    from loss_plugins.module.gain import class_gain

    slot, spec = LOSSES[loss]
    if slot == "cls" and gain == "match":
        factor = class_gain(build_loss(spec), stock_class_loss).factor
        return lpu.trainer("detect", cls={"type": spec, "loss_weight": factor})
    return lpu.trainer("detect", **{slot: spec}, gain=gain)


def page(outcomes: Sequence[Outcome]) -> str:
    """The page of all outcomes."""
    stock = {each.seed: each.map50 for each in outcomes if each.loss == "stock"}

    def cell(found: dict[int, float]) -> str:
        paired = [value - stock[seed] for seed, value in found.items() if seed in stock]
        return f"{statistics.mean(found.values()):.3f} ({statistics.mean(paired):+.3f})" if paired else ""

    rows = []
    for loss in LOSSES:
        by_gain = {
            gain: {each.seed: each.map50 for each in outcomes if (each.loss, each.gain) == (loss, gain)}
            for gain in GAINS
        }
        counts = " and ".join(str(len(found)) for found in by_gain.values())
        rows.append(f"| {loss} | {' | '.join(cell(found) for found in by_gain.values())} | {counts} |")
    recipe = f"{RECIPE['epochs']} epochs at {RECIPE['imgsz']} px, {RECIPE['optimizer']} at {RECIPE['lr0']}"
    spread = max(stock.values()) - min(stock.values())
    mean = statistics.mean(stock.values())
    return TEXT.format(recipe=recipe, spread=spread, stock=mean, seeds=len(stock), rows="\n".join(rows))


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in LOSSES]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(LOSSES)}")
    outcomes = [Outcome(**row) for row in json.loads(RESULTS.read_text(encoding="utf-8"))] if RESULTS.is_file() else []
    done = {each[:3] for each in outcomes}
    missing = [each for each in wanted(names or LOSSES) if each not in done]
    with tempfile.TemporaryDirectory() as folder:
        for number, (loss, gain, seed) in enumerate(missing, start=1):
            print(f"{number} of {len(missing)}: {loss}, {gain}, seed {seed} ...", flush=True)
            outcomes.append(trained(loss, gain, seed, Path(folder)))
            print(f"  mAP50 {outcomes[-1].map50:.3f}", flush=True)
            RESULTS.write_text(json.dumps([each._asdict() for each in outcomes], indent=1) + "\n", encoding="utf-8")
            PAGE.write_text(page(outcomes), encoding="utf-8")
    PAGE.write_text(page(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
