# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ratio of the gradients: told where it counts, once in the later epochs and at the end, with advice that helps."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import mixin, ratio
from loss_plugins.adapters.ultralytics.mixin import LossPluginMixin
from loss_plugins.adapters.ultralytics.plug import Plug
from loss_plugins.adapters.ultralytics.slots import Slot
from tools.wheel import ROOT

ANCHOR = "docs/ultralytics.md#what-gainmatch-promises"
BOXES = ["alpha_ciou", "eiou", "giou", "mpdiou"]
CLASSES = ["focal", "quality_focal", "ghm_c", "bce_with_logits"]


class Run(LossPluginMixin):
    """A trainer as far as it tells of its epochs; `ratios` are those of the box loss, None where none was measured."""

    def __init__(self, ratios: list[float | None], folder: Path, **losses: Any) -> None:
        self.loss_spec = lpu.make_spec(**losses)
        self.loss_plug, self.save_dir, self.epochs = Plug(self.loss_spec), folder, len(ratios)
        self.lines: list[str] = []
        self.ratios = ratios

    def _write_proof(self) -> None:
        """The losses are of no training."""

    def told(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        monkeypatch.setattr(mixin, "log", self.lines.append)
        monkeypatch.setattr(Plug, "require_use", lambda _: None)
        slot = self._plug.slots[0]
        slot.calls.rows = 1
        for epoch, measured in enumerate(self.ratios):
            self.epoch = epoch
            slot.ratio = slot.ratio if measured is None else measured
            self._log_epoch()
        self._prove_at_end()
        return self.lines


NAN = float("nan")
#: the ratio of each epoch, and where a warning is due: an epoch, or 0 for the end
TRAININGS: list[tuple[list[float | None], list[int]]] = [
    ([9.0], [0]),
    ([9.0, 9.0], [0]),
    ([9.0, 1.0], []),
    ([9.0, 9.0, 9.0], [3, 0]),
    ([9.0, 9.0, 9.0, 9.0, 9.0], [3, 0]),
    ([0.1, 0.1, 1.0, 0.1, 1.0], [4]),
    ([9.0] * 5 + [1.0] * 15, []),
    ([9.0] * 6 + [1.0] * 14, [6]),
    ([9.0] * 20, [6, 0]),
    ([1.0] * 11 + [1e-5], [12, 0]),
    ([1.0] * 11 + [0.0], [12, 0]),
    ([NAN, NAN], [1, 0]),
    ([9.0, None, None], [3, 0]),
    ([1.0, 2.9, 0.31], []),
]


@pytest.mark.parametrize(("ratios", "due"), TRAININGS)
def test_a_ratio_is_warned_of_where_it_counts(
    ratios: list[float | None], due: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Run(ratios, tmp_path, box="eiou").told(monkeypatch)
    warned = [line for line in lines if "WARNING" in line and "times the stock loss's" in line]
    assert [int(found[1]) if (found := re.match(r"epoch (\d+): WARNING", line)) else 0 for line in warned] == due
    assert sum("tells little" in line for line in lines) <= 1
    measured = [each for each in ratios if each is not None]
    (outcome,) = [line for line in lines if "was trained" in line]
    assert f"in the end the gradient of the box loss eiou is {measured[-1]:.3g} times the stock loss's" in outcome
    assert sum(line.startswith("epoch") and "WARNING" not in line for line in lines) == len(ratios)


def slot_of(name: str, measured: float, **losses: Any) -> Slot:
    slot = Plug(lpu.make_spec(**losses)).slot(name)
    assert slot is not None
    slot.ratio = measured
    return slot


@pytest.mark.parametrize("measured", [0.1, 9.0, 60.0])
@pytest.mark.parametrize("slot", ["box", "cls"])
def test_what_is_advised_makes_the_ratio_what_is_said(slot: str, measured: float) -> None:
    """Each loss alone: gain="match" is advised where it is taken, with what its constant makes of this one."""
    for loss in BOXES if slot == "box" else CLASSES:
        made = slot_of(slot, measured, **{slot: {"type": loss, "loss_weight": 2.0}})
        said = made.unfair()
        try:
            gain = Plug(lpu.make_spec(**{slot: loss}, gain="match")).slots[0].calls.gain  # type: ignore[arg-type]
        except ValueError:
            gain = 1.0
        nearer = abs(math.log(measured * gain)) < abs(math.log(measured))
        advised = re.search(r'use gain="match", with which it would be (\S+), or set', said)
        assert (advised is not None) == nearer, said
        if advised:
            assert float(advised[1]) == pytest.approx(measured * gain, rel=1e-2)
        weight = re.search(r"set loss_weight=(\S+) \(it is 2\), with which it would be 1", said)
        assert weight is not None, said
        assert float(weight[1]) == pytest.approx(2.0 / measured, rel=0.05)
        assert f"the trainer's {slot}= by" in said


@pytest.mark.parametrize("beside", [{"cls": "focal"}, {"mask": "dice"}, {"cls": "focal", "dfl": "distribution_focal"}])
def test_a_gain_that_another_loss_does_not_take_is_not_advised(beside: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="gain='match'"):
        Plug(lpu.make_spec("alpha_ciou", **beside, gain="match"))  # type: ignore[arg-type]
    assert "match" not in slot_of("box", 9.0, box="alpha_ciou", **beside).unfair()
    assert 'use gain="match", with which it would be 4.3' in slot_of("box", 9.0, box="alpha_ciou", cls="ghm_c").unfair()


@pytest.mark.parametrize("measured", [1e-5, 0.0, 0.0099, 101.0, 1e6])
@pytest.mark.parametrize("losses", [{"box": "eiou"}, {"cls": "focal"}, {"mask": "dice"}, {"sem": "dice"}])
def test_no_weight_is_advised_where_none_helps(losses: dict[str, str], measured: float) -> None:
    (slot,) = losses
    said = slot_of(slot, measured, **losses).unfair()
    if losses == {"box": "eiou"} and measured == 101.0:  # 92 by gain="match"
        assert 'use gain="match"' in said
    else:
        assert "no loss_weight mends that" in said
        assert ANCHOR in said
    assert "set loss_weight" not in said


def test_the_section_that_the_warning_names_is_there() -> None:
    text = (ROOT / ANCHOR.partition("#")[0]).read_text(encoding="utf-8")
    heads = [line.removeprefix("## ").lower() for line in text.splitlines() if line.startswith("## ")]
    assert ANCHOR.partition("#")[2] in [re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in heads]
    assert ANCHOR in ratio.BALANCE


@pytest.mark.parametrize("loss", [{"mask": "dice"}, {"sem": "dice"}])
def test_the_gain_of_the_boxes_is_not_advised_for_masks(loss: dict[str, str]) -> None:
    (slot,) = loss
    said = slot_of(slot, 9.0, **loss).unfair()
    assert said.endswith("set loss_weight=0.11 (it is 1), with which it would be 1")


def thousandfold(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 1000 * lp.eiou_loss(pred, target)


def test_a_loss_of_another_size_is_no_loss_of_another_balance(own_losses: None) -> None:
    """A factor of 1000 is mended by a factor: that of gain="match", or the weight where a loss beside it takes none."""
    alone, beside = {"box": thousandfold}, {"box": thousandfold, "mask": "dice"}
    assert re.search(r'; use gain="match", with which it would be 0\.9\d+$', slot_of("box", 1000.0, **alone).unfair())
    assert (
        slot_of("box", 1000.0, **beside).unfair().endswith("set loss_weight=0.001 (it is 1), with which it would be 1")
    )
    weighted = slot_of("box", 1000.0, box={"type": "eiou", "loss_weight": 1000.0}).unfair()
    assert "; set loss_weight=1 (it is 1000), with which it would be 1" in weighted
