"""YOLOE: each slot of each of its trainers is trained, or refused before the first step, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from ultralytics import YOLOE
from ultralytics.models.yolo import yoloe

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.demo.digits import DigitsSet

from .prompted import Prompted, make_prompted, text_model, write_small
from .ultralytics_runs import BOX_GAIN, column, proof, train_once

MARKS = {"box": "constant", "cls": "constant_class", "mask": "constant_mask"}
#: by slot: the column of results.csv, and 7 times the gain; criteria of visual prompts name their columns otherwise
LOGGED = {"box": ("box_loss", 7 * BOX_GAIN), "cls": ("cls_loss", 7 * 0.5), "mask": ("seg_loss", 7 * BOX_GAIN)}
#: no digit is cut to less than a pixel of the masks
WHOLE = {"mosaic": 0.0, "scale": 0.0, "translate": 0.0}


class Way(NamedTuple):
    """A way of training YOLOE: the model ("pt" is a saved one), the trainer (None: the task says it), its slots."""

    model: str
    base: type | None
    slots: tuple[str, ...]
    from_scratch: bool


WAYS = {
    "text": Way("yoloe-small.yaml", yoloe.YOLOETrainerFromScratch, ("box", "cls"), True),
    "text-seg": Way("yoloe-small-seg.yaml", yoloe.YOLOESegTrainerFromScratch, ("box", "cls", "mask"), True),
    "classes": Way("yoloe-small.pt", None, ("box", "cls"), False),
    "classes-seg": Way("yoloe-small-seg.pt", None, ("box", "cls", "mask"), False),
    "free": Way("yoloe-small.pt", yoloe.YOLOEPEFreeTrainer, ("box", "cls"), True),
    "visual": Way("yoloe-small.yaml", yoloe.YOLOEVPTrainer, ("cls",), True),
    "visual-seg": Way("yoloe-small-seg.yaml", yoloe.YOLOESegVPTrainer, ("cls",), True),
}
CELLS = [(way, slot) for way in WAYS for slot in MARKS]


@pytest.fixture(scope="module")
def prompted(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prompted]:
    with text_model():
        yield make_prompted(digits, tmp_path_factory.mktemp("prompted"))


@pytest.fixture(scope="module")
def model_of(prompted: Prompted, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A model's file; of a checkpoint, one of a random model."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def model(name: str) -> str:
        file = folder / name
        if not file.exists():
            described = write_small(folder, file.stem)
            if file.suffix == ".pt":
                torch.manual_seed(0)
                YOLOE(described).save(str(file))
        return str(file)

    return model


@pytest.fixture(scope="module")
def trained(
    prompted: Prompted, model_of: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The run of a way, with a constant in each of its slots; each is trained once."""
    runs: dict[str, Path] = {}

    def run(name: str) -> Path:
        if name not in runs:
            way = WAYS[name]
            trainer = lpu.trainer(base=way.base, **{slot: MARKS[slot] for slot in way.slots})
            data = prompted.scratch if way.from_scratch else str(prompted.yaml)
            folder = tmp_path_factory.mktemp(name)
            runs[name] = train_once(model_of(way.model), folder, data=data, trainer=trainer, epochs=1, **WHOLE)
        return runs[name]

    return run


@pytest.mark.parametrize(("name", "slot"), [cell for cell in CELLS if cell[1] in WAYS[cell[0]].slots])
def test_a_constant_loss_is_what_is_logged(name: str, slot: str, trained: Callable[[str], Path]) -> None:
    run = trained(name)
    named, expected = LOGGED[slot]
    named = named.removesuffix("_loss") if name.startswith("visual") else named
    assert column(run, f"train/{named}") == pytest.approx([expected], rel=1e-3)
    calls = proof(run)["report"][slot]
    assert calls["gradient_calls"] == calls["train_calls"] == calls["expected_calls"] > 0
