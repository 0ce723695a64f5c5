"""YOLO-World: from scratch on boxes and captions, and fine-tuned; losses of boxes are trained, of masks refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ultralytics.models.yolo.world.train_world import WorldTrainerFromScratch

from loss_plugins.adapters import ultralytics as lpu

from .prompted import Prompted, text_model, write_small
from .ultralytics_runs import BOX_GAIN, column, proof, train_once

#: at 64 pixels the sum of scores that losses are divided by is below 1, and counts as 1: both losses are small alike
LARGE = 7e4
LOSSES = {
    "box": {"type": "constant", "value": LARGE},
    "cls": {"type": "constant_class", "value": LARGE},
    "dfl": {"type": "constant_bins", "value": LARGE},
}
WAYS = ("scratch", "grounded", "classes")
Start = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def texts() -> Iterator[None]:
    with text_model():
        yield


@pytest.fixture(scope="module")
def start(prompted: Prompted, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """start(way, box=..., on={event: callback}): one epoch; the run folder."""

    def run(way: str, on: Any = None, **losses: Any) -> Path:
        folder = tmp_path_factory.mktemp(way)
        data = {"scratch": prompted.scratch, "grounded": prompted.grounded, "classes": str(prompted.yaml)}[way]
        trainer = lpu.trainer(base=None if way == "classes" else WorldTrainerFromScratch, **losses)
        model = write_small(folder, "yolo-world-small")
        return train_once(str(model), folder, on, data=data, trainer=trainer, epochs=1)

    return run


@pytest.mark.parametrize("way", WAYS)
def test_constants_in_all_slots_are_what_is_logged(way: str, start: Start) -> None:
    """Each box costs the same, times its score, each score the same, times itself: in the ratio of the gains."""
    run = start(way, **LOSSES)
    (box,), (scores,), (sides,) = (column(run, f"train/{name}_loss") for name in LOSSES)
    assert box == pytest.approx(scores * BOX_GAIN / 0.5, rel=1e-3)
    assert box == pytest.approx(sides * BOX_GAIN / 1.5, rel=1e-3)
    assert 0.1 < box <= LARGE * BOX_GAIN
    for slot in LOSSES:
        calls = proof(run)["report"][slot]
        assert calls["gradient_calls"] == calls["train_calls"] == calls["expected_calls"] > 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("losses", "error", "reason"),
    [
        ({"mask": "dice"}, (ValueError, lpu.UnsupportedUltralytics), "has no mask loss"),
        ({"sem": "dice"}, (ValueError, lpu.UnsupportedUltralytics), "has no sem(antic)? loss"),
        ({"cls": {"type": "bce_with_logits", "pos_weight": [2.0] * 80}}, ValueError, "its own order of prompts"),
    ],
    ids=["mask", "sem", "numbers"],
)
def test_what_is_not_trained_is_refused_before_the_first_batch(
    way: str, losses: Any, error: Any, reason: str, start: Start
) -> None:
    begun: list[Any] = []
    with pytest.raises(error, match=reason):
        start(way, on={"on_train_batch_start": begun.append}, **losses)
    assert not begun
