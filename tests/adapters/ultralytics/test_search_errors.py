# SPDX-License-Identifier: AGPL-3.0-or-later
"""What ends a training of `tune` on several data sets, in this process and in one of Ray, and errors sent by these."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.ray_search import trials
from loss_plugins.adapters.ultralytics.search import Search
from loss_plugins.adapters.ultralytics.space import Dimension
from loss_plugins.adapters.ultralytics.sweeps import SweepEnded

from .test_tuning import stand_in


class Model:
    """One whose trainings on several data sets are ended by an error of the loss."""

    def __init__(self, cause: Exception) -> None:
        self.callbacks: dict[str, list[Any]] = {}
        self.cause = cause

    def train(self, **_: Any) -> None:
        raise SweepEnded(f"train(data=[...]) was ended, as one of its trainings was: {self.cause}") from self.cause


CAUSES = {
    "the stock loss was trained": lpu.LossNotUsed("the stock loss was trained"),
    "no box in cells. Use 8.4.0": lpu.UnsupportedUltralytics("no box in cells", "Use 8.4.0"),
    "eiou: eps='x' is no number": ValueError("eiou: eps='x' is no number"),
}


def search(cause: Exception, folder: Path) -> Search:
    found = Search.__new__(Search)
    found.model, found.spec, found.base = Model(cause), lpu.make_spec("alpha_iou"), None  # type: ignore[assignment]
    found.space, found.iterations, found.seed = [Dimension("lr0", 0.001, 0.01)], 3, 0
    found.train, found.folder = {"data": ["a.yaml", "b.yaml"]}, folder
    return found


@pytest.mark.parametrize("said", CAUSES)
@pytest.mark.parametrize("ray", [False, True])
def test_what_ends_several_data_sets_is_the_failed_iteration(
    ray: bool, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A process of Ray answers with an `Exception`, and dies of any other: its number and values would be lost."""
    for name, module in stand_in(lambda ends: ends[0]).items():
        monkeypatch.setitem(sys.modules, name, module)
    tune = search(CAUSES[said], tmp_path)
    with pytest.raises(lpu.IterationFailed) as caught:
        trials(tune, 2) if ray else tune.trained(2, {"lr0": 0.001})
    for part in ("iteration 2 of 3 with lr0=0.001 failed", type(CAUSES[said]).__name__, said):
        assert part in str(caught.value)


@pytest.mark.parametrize("metrics", [None, {}, {"trial_id": "1"}])
def test_a_process_of_ray_that_died_is_the_failed_iteration(
    metrics: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ray has neither an error nor a result of it; one that raised is told before one that was stopped for it."""
    modules = stand_in(lambda ends: ends[0])
    died = {"config": {"lr0": 0.002}, "metrics": metrics, "error": None}
    raised = {**died, "config": {"lr0": 0.003}, "error": ValueError("no box")}
    found = [SimpleNamespace(**died), SimpleNamespace(**died)]
    monkeypatch.setattr(modules["ray.tune"].Tuner, "fit", lambda _: found)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(lpu.IterationFailed, match=r"iteration 2 of 3 with lr0=0.002 failed: .*ended without a result"):
        trials(search(CAUSES[next(iter(CAUSES))], tmp_path), 2)
    found[1] = SimpleNamespace(**raised)
    with pytest.raises(lpu.IterationFailed, match=r"iteration 3 of 3 with lr0=0.003 failed: ValueError: no box"):
        trials(search(CAUSES[next(iter(CAUSES))], tmp_path), 2)


ERRORS = [each for each in vars(lpu).values() if isinstance(each, type) and issubclass(each, BaseException)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_says_the_same_in_another_process(error: type[BaseException]) -> None:
    made = error("no box", "Use another") if error is lpu.UnsupportedUltralytics else error("no box")
    sent = pickle.loads(pickle.dumps(made))
    assert (type(sent), str(sent)) == (error, str(made))
