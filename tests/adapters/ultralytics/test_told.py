# SPDX-License-Identifier: AGPL-3.0-or-later
"""What record, doctor, picture and errors tell of a training: counts, epochs, ticks and ways out."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from matplotlib.figure import Figure

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import runs, slot_table
from loss_plugins.adapters.ultralytics.calls import Calls
from loss_plugins.adapters.ultralytics.loss_plot import draw_ratio
from loss_plugins.adapters.ultralytics.plug import Plug
from loss_plugins.adapters.ultralytics.slots import Slot
from loss_plugins.adapters.ultralytics.space import NEEDS
from loss_plugins.adapters.ultralytics.tuned import Iteration, Tuning, best_values

EIOU = lpu.make_spec("eiou")


def slot_of(name: str, **losses: Any) -> Slot:
    slot = Plug(lpu.make_spec(**losses)).slot(name)
    assert slot is not None
    return slot


# --- counts ----------------------------------------------------------------------------------------------------------


def counted(calls: Calls, follow: Any) -> Calls:
    """Two batches of three rows, each with a gradient; of a criterion's second branch, which detaches, as many."""
    for detached in (False, True, False, True):
        rows = torch.ones(3, 4, requires_grad=not detached)
        follow(rows)
        loss = rows.sum()
        calls.count(loss, 3, training=True)
        if not detached:
            loss.backward()
    return calls


def test_rows_that_are_not_all_looked_at_are_not_recorded() -> None:
    """Of anchors some batch is looked at: six of twelve would read as if half of them had no gradient."""
    calls = Calls()
    assert counted(calls, calls.follow).as_dict()["gradient_rows"] == 6
    calls = Calls()
    assert "gradient_rows" not in counted(calls, calls.follow_until_seen).as_dict()


@pytest.mark.parametrize("loss", [{"sem": "dice"}, {"cls": "focal"}, {"box": "eiou"}])
def test_calls_that_can_have_no_gradient_are_explained(loss: dict[str, str]) -> None:
    (name,) = loss
    slot = slot_of(name, **loss)
    counted(slot.calls, slot.calls.follow_until_seen if name == "cls" else slot.calls.follow)
    what = slot_table.SLOTS[name].rows
    said = slot.outcome()
    assert f"4 training calls on 12 {what}, gradient in 2" in said
    assert (f"for 6 {what}" in said) == (name != "cls")
    assert f"(2 had {what} that the criterion detaches)" in said


def test_one_is_no_plural() -> None:
    assert [slot_table.many(1, place.rows) for place in slot_table.PLACES] == [
        "1 box", "1 anchor", "1 box", "1 mask", "1 image", "1 instance",
    ]  # fmt: skip
    assert slot_table.many(2, "boxes") == "2 boxes"
    assert slot_table.many(1, "training calls") == "1 training call"
    slot = slot_of("box", box="eiou")
    rows = torch.ones(1, 4, requires_grad=True)
    slot.calls.follow(rows)
    slot.calls.count(rows.sum(), 1, training=True)
    slot.calls.count(rows.sum().detach(), 1, training=False)
    assert "1 training call on 1 box, gradient in 0, for 0 boxes; 1 validation call" in slot.outcome()


# --- the doctor ------------------------------------------------------------------------------------------------------

OURS, STOCK = "1,0.5,0.1", "1,0.5"


def run_of(folder: Path, epochs: tuple[int, int], rows: list[str], earlier: list[tuple[int, int]] = []) -> Path:  # noqa: B006
    said = {
        "run": "a" * 32,
        "epochs": list(epochs),
        "losses": EIOU.as_dict(),
        "earlier": [{"epochs": [*each]} for each in earlier],
    }
    (folder / "loss_plugins.yaml").write_text(yaml.safe_dump(said))
    (folder / "args.yaml").write_text(f"# loss_plugins: {EIOU.to_json()}\n")
    lines = [f"{at}{row[1:]}" for at, row in enumerate(rows, 1)]
    (folder / "results.csv").write_text("\n".join(["epoch,time,plug/box_gradient_ratio", *lines]) + "\n")
    return folder


def rows_of(folder: Path) -> dict[str, tuple[bool, str]]:
    return {row["name"]: (row["ok"], row["detail"]) for row in runs.examine(folder)["checks"]}


@pytest.mark.parametrize(
    ("rows", "trained", "said"),
    [
        ([OURS], (1, 1), "box loss eiou, epoch 1"),
        ([OURS, OURS], (1, 2), "box loss eiou, epochs 1 to 2"),
        ([], (1, 0), "box loss eiou, no whole epoch"),
        ([OURS, OURS, STOCK, STOCK], (1, 2), "box loss eiou, epochs 1 to 2; epochs 3 to 4 by the stock losses"),
        ([OURS, STOCK], (1, 1), "box loss eiou, epoch 1; epoch 2 by the stock losses"),
        ([STOCK, OURS, STOCK, STOCK], (2, 2), "box loss eiou, epoch 2; epochs 1 and 3 to 4 by the stock losses"),
    ],
)
def test_who_trained_which_epochs(rows: list[str], trained: tuple[int, int], said: str, tmp_path: Path) -> None:
    found = rows_of(run_of(tmp_path, trained, rows))
    assert found["trained by"] == (STOCK not in rows, said)
    assert found["results.csv"][1].startswith(f"{len(rows)} epoch{'' if len(rows) == 1 else 's'}")
    assert found["results.csv"][0] == (STOCK not in rows)


def test_a_resumed_run_of_single_epochs(tmp_path: Path) -> None:
    found = rows_of(run_of(tmp_path, (2, 2), [OURS, OURS], earlier=[(1, 1)]))
    assert found["trained by"] == (True, "box loss eiou, epoch 1, resumed for 2")


GUARD = {"what": "box loss eiou", "value": math.nan, "epoch": 2, "batch": 3, "row": 0, "image": "images/a.png"}


@pytest.mark.parametrize("name", ["nan_guard.yaml", "nan_guard-rank1.yaml"])
@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_run_that_the_guard_ended_has_a_row(name: str, last: int, tmp_path: Path) -> None:
    run_of(tmp_path, (1, last), [OURS] * last)
    (tmp_path / name).write_text(yaml.safe_dump(GUARD))
    ok, said = rows_of(tmp_path)[name]
    assert ok == (last == 2), "it has gone on since"
    assert "the box loss eiou was nan in epoch 2, batch 3, image images/a.png" in said


@pytest.mark.parametrize("content", ["[1, 2", "[1, 2]", "what: x\n"])
def test_a_torn_record_of_the_guard_is_a_finding(content: str, tmp_path: Path) -> None:
    run_of(tmp_path, (1, 1), [OURS])
    (tmp_path / "nan_guard.yaml").write_text(content)
    ok, said = rows_of(tmp_path)["nan_guard.yaml"]
    assert not ok
    assert said.startswith("cannot be read: ")


# --- the picture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ratios", [[], [1.0], [4.0, 6.5], [9.99], [0.2], [0.05, 20.0], [1e-5], [1e-12, 1e9], [3e-7], [10.0], [0.0, 2.0]]
)
def test_points_of_the_ratio_lie_between_ticks(ratios: list[float]) -> None:
    plot = Figure().subplots()
    draw_ratio(plot, slot_of("box", box="eiou"), dict(enumerate(ratios, 1)))
    low, high = plot.get_ylim()
    ticks = [tick for tick in plot.get_yticks() if low <= tick <= high]
    assert 3 <= len(ticks) <= 13
    for ratio in (0.3, 3.0, *(each for each in ratios if each > 0)):
        assert ticks[0] <= ratio * 1.001
        assert ratio <= ticks[-1] * 1.001


# --- ways out --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("eiou", "box={'type': 'eiou', 'loss_weight': 0.913}"),
        ({"type": "eiou", "loss_weight": 2.0}, "box={'type': 'eiou', 'loss_weight': 1.83}"),
        ({"type": "alpha_iou", "alpha": 2.0}, "'alpha': 2.0"),
        ("wiou", "'type': 'wiou'"),
        ({"type": "mix", "losses": ["eiou", "giou"]}, "'type': 'mix'"),
    ],
)
@pytest.mark.parametrize("cls", ["focal", "quality_focal"])
def test_the_box_loss_beside_a_class_loss_without_a_constant_has_a_way_out(box: Any, said: str, cls: str) -> None:
    """What the error shows is taken, and pulls as hard as gain="match" makes the box loss alone."""
    with pytest.raises(ValueError, match="gain='match' would be") as refused:
        lpu.trainer("detect", box=box, cls=cls, gain="match")
    shown = re.search(r"to match the box loss alone, pass box=(\{.*\}) with it", str(refused.value))
    assert shown is not None
    assert said in f"box={shown[1]}"
    ours = Plug(lpu.make_spec(ast.literal_eval(shown[1]), cls)).slots[0].prototype.loss_weight
    matched = Plug(lpu.make_spec(box, gain="match")).slots[0]
    assert ours == pytest.approx(matched.calls.gain * matched.prototype.loss_weight, rel=1e-2)


def test_a_class_loss_alone_has_none() -> None:
    with pytest.raises(ValueError, match="gain='match' would be") as refused:
        lpu.trainer("detect", cls="focal", gain="match")
    assert "box=" not in str(refused.value)


# --- the best values of a search -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["lr0", "momentum", "warmup_bias_lr", "box", "box_loss.eps"])
def test_the_best_values_hold_when_they_are_read(key: str, tmp_path: Path) -> None:
    """Without its optimizer, a training with `cfg=best` chooses these by itself."""
    found = Tuning((Iteration(1, 0.5, {key: 0.01}, tmp_path),), tmp_path)
    written = yaml.safe_load(best_values(found, EIOU, {"optimizer": "AdamW"}))
    assert written.get("optimizer") == ("AdamW" if key in NEEDS else None)
