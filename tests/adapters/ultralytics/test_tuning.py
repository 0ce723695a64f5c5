# SPDX-License-Identifier: AGPL-3.0-or-later
"""`tune`: what it trains, what it writes, and what is refused before anything is trained."""

from __future__ import annotations

import csv
import inspect
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from ultralytics import YOLO

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import search
from loss_plugins.adapters.ultralytics.mixin import LossPluginMixin
from loss_plugins.adapters.ultralytics.search import Search, fitness_of, next_values
from loss_plugins.adapters.ultralytics.slot_table import SLOTS
from loss_plugins.adapters.ultralytics.space import Dimension, Values
from loss_plugins.adapters.ultralytics.tuned import Iteration, Tuning
from loss_plugins.demo.digits import DigitsSet
from tests.house.test_public_calls import TABLE, call, fits, hints
from tools.wheel import ROOT

from .ultralytics_runs import SETTINGS, proof, results, train_once

SPACE = {"box_loss.alpha": (1, 5), "lr0": (1e-4, 1e-2), "close_mosaic": (0, 10)}
TRAIN = {"optimizer": "SGD", **SETTINGS}


@pytest.fixture(scope="module")
def model() -> YOLO:
    return YOLO("yolo11n.yaml")


class Callback:
    """A user's own, with a memory."""

    def __init__(self) -> None:
        self.folders: list[Path] = []

    def called(self, trainer: Any) -> None:
        self.folders.append(Path(trainer.save_dir))


@pytest.fixture(scope="module")
def tuned(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tuning, Callback, YOLO]:
    """Two trainings, and the model that they trained copies of."""
    yolo, callback = YOLO("yolo11n.yaml"), Callback()
    yolo.add_callback("on_train_start", callback.called)
    project = str(tmp_path_factory.mktemp("tuned"))
    found = lpu.tune(
        yolo, "alpha_iou", space=SPACE, iterations=2, data=str(digits.yaml), project=project, seed=3, **TRAIN
    )
    return found, callback, yolo


# --- two trainings ---------------------------------------------------------------------------------------------------


def test_the_first_iteration_is_the_training_without_a_search(
    tuned: tuple[Tuning, Callback, YOLO], digits: DigitsSet, tmp_path: Path
) -> None:
    first = tuned[0].iterations[0]
    assert first.values == {"box_loss.alpha": 3.0, "lr0": 0.01, "close_mosaic": 10}
    trainer = lpu.trainer("detect", box="alpha_iou")
    plain = train_once("yolo11n.yaml", tmp_path, data=str(digits.yaml), trainer=trainer, **{**TRAIN, "seed": 3})
    assert results(first.folder) == results(plain)
    assert first.fitness == pytest.approx(results(plain)[-1]["metrics/mAP50-95(B)"], rel=1e-3, abs=1e-4)


def test_each_iteration_trains_a_fresh_copy_with_its_values_and_the_same_seed(
    tuned: tuple[Tuning, Callback, YOLO],
) -> None:
    found, callback, yolo = tuned
    first, second = found.iterations
    assert first.values != second.values
    for each in found.iterations:
        args = yaml.safe_load((each.folder / "args.yaml").read_text())
        trained = {"box_loss.alpha": proof(each.folder)["losses"]["box"]["alpha"], "lr0": args["lr0"]}
        assert {**trained, "close_mosaic": args["close_mosaic"]} == each.values
        assert (args["seed"], args["plots"]) == (3, False)
    assert callback.folders == [first.folder, second.folder]
    assert yolo.trainer is None  # the user's own was not trained


def test_weights_are_kept_of_the_best_alone(tuned: tuple[Tuning, Callback, YOLO]) -> None:
    found, *_ = tuned
    assert [each for each in found.iterations if (each.folder / "weights/best.pt").is_file()] == [found.best]


def test_config_reads_the_best_losses_and_cfg_beside_it_the_best_settings(
    tuned: tuple[Tuning, Callback, YOLO], digits: DigitsSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, *_ = tuned
    spec = lpu.make_spec(config=found.config)
    assert spec.box == {**lpu.make_spec("alpha_iou").box, "alpha": found.best.values["box_loss.alpha"]}

    class Stop(BaseException):
        """Instead of a training."""

    def stop(trainer: Any) -> None:
        raise Stop(trainer.args)

    monkeypatch.setattr(LossPluginMixin, "train", stop)
    given = {"cfg": str(found.config), "data": str(digits.yaml), "project": str(tmp_path), "device": "cpu"}
    with pytest.raises(Stop) as caught:
        YOLO("yolo11n.yaml").train(trainer=lpu.trainer(config=found.config), **given)
    args = caught.value.args[0]
    assert (args.lr0, args.close_mosaic) == (found.best.values["lr0"], found.best.values["close_mosaic"])
    with pytest.raises(ValueError, match=r"cfg= and the trainer have different losses: in cfg= box.type was 'alpha_"):
        YOLO("yolo11n.yaml").train(trainer=lpu.trainer(box="eiou"), **given)
    with pytest.raises(SyntaxError, match="losses"):  # Ultralytics alone would train the stock loss
        YOLO("yolo11n.yaml").train(**given)


# --- the search, with a known fitness in place of trainings ----------------------------------------------------------


def tried(
    patch: pytest.MonkeyPatch, folder: Path, fitness: Callable[[Values], float], model: Any, **given: Any
) -> Tuning:
    """What `tune` finds where the fitness is a function of the values."""
    patch.setattr(Search, "fitness", lambda _, values, *__, **___: fitness(values))
    return lpu.tune(model, **{"space": SPACE, "optimizer": "SGD", "project": str(folder), "device": "cpu", **given})


def peak(values: Values) -> float:
    """Highest at an alpha of 2, of which the start is 1 away."""
    return 1 - abs(values["box_loss.alpha"] - 2)


def test_the_best_values_come_nearer_and_stay_in_their_ranges(
    model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = tried(monkeypatch, tmp_path, peak, model, box="alpha_iou", iterations=40)
    assert found.best.fitness == peak(found.best.values) > 0.95
    assert [each.number for each in found.iterations] == list(range(1, 41))
    for each in found.iterations:
        for key, (low, high) in SPACE.items():
            assert low <= each.values[key] <= high
        assert type(each.values["close_mosaic"]) is int
    assert len({str(each.values) for each in found.iterations}) == 40
    again = tried(monkeypatch, tmp_path, peak, model, box="alpha_iou", iterations=40)
    assert [each.values for each in again.iterations] == [each.values for each in found.iterations]
    assert again.folder != found.folder
    other = tried(monkeypatch, tmp_path, peak, model, box="alpha_iou", iterations=4, seed=1)
    assert other.iterations[1].values != found.iterations[1].values


def test_what_is_found_is_a_table_in_python_and_in_a_file(
    model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = tried(monkeypatch, tmp_path, peak, model, box="alpha_iou", iterations=5, name="search", plots=True)
    assert found.folder == tmp_path / "search"
    with (found.folder / "tune_results.csv").open(encoding="utf-8") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert rows == [{"iteration": each.number, "fitness": each.fitness, **each.values} for each in found.iterations]
    lines = str(found).splitlines()
    assert lines[0] == "|  | iteration | fitness | box_loss.alpha | lr0 | close_mosaic |"
    assert [line.startswith("| **best** |") for line in lines[2:]] == [each is found.best for each in found.iterations]
    written = yaml.safe_load(found.config.read_text(encoding="utf-8"))
    assert written.pop("losses")["box"]["alpha"] == found.best.values["box_loss.alpha"]
    assert written.pop("optimizer") == "SGD"  # without it lr0 would not hold
    assert {"box_loss.alpha": found.best.values["box_loss.alpha"], **written} == found.best.values
    assert (found.folder / "tune_results.png").read_bytes()[:4] == b"\x89PNG"


def test_gains_of_ultralytics_stand_beside_the_losses(
    model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`box` and `cls` are numbers at the top of the file, and losses in its section."""
    given = {"box": "eiou", "cls": "bce_with_logits", "gain": "match"}
    space = {"box": (1, 20), "cls": (0.1, 4), "cls_loss.loss_weight": (0.5, 3)}
    found = tried(monkeypatch, tmp_path, lambda values: values["box"], model, **given, space=space, iterations=3)
    spec = lpu.make_spec(config=found.config)
    assert ((spec.box or {})["type"], spec.gain) == ("eiou", "match")
    assert (spec.cls or {})["loss_weight"] == found.best.values["cls_loss.loss_weight"]
    assert yaml.safe_load(found.config.read_text())["box"] == found.best.values["box"]


def test_a_start_outside_of_the_space_is_untouched_and_what_follows_is_inside() -> None:
    space = [Dimension("a", 1, 2), Dimension("b", 0, 1), Dimension("n", 2.5, 6.5, whole=True)]
    start = Iteration(1, 0.5, {"a": 9.0, "b": None, "n": 1}, Path())
    for seed in range(20):
        values = next_values(space, [start], Random(seed))
        assert 1 <= values["a"] <= 2
        assert 0 <= values["b"] <= 1
        assert values["n"] in (3, 4, 5, 6)


def test_a_third_number_makes_mutations_narrower() -> None:
    """The standard deviation is 0.2 of the range, times that number; 400 draws are within 20 % of it."""
    for spread in (1.0, 0.1):
        dimension = Dimension("a", 0, 100, spread)
        drawn = torch.tensor([dimension.near(50, Random(seed)) for seed in range(400)])
        assert float((drawn - 50).square().mean().sqrt()) == pytest.approx(20 * spread, rel=0.2)


def test_each_value_of_a_small_space_is_tried_once(
    model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    space = {"close_mosaic": (9, 11)}
    found = tried(monkeypatch, tmp_path, lambda values: 1.0, model, box="eiou", space=space, iterations=3)
    assert sorted(each.values["close_mosaic"] for each in found.iterations) == [9, 10, 11]
    with pytest.raises(ValueError, match="iterations=4, and space has 3 different values"):
        tried(monkeypatch, tmp_path, lambda values: 1.0, model, box="eiou", space=space, iterations=4)


def test_the_fitness_of_several_data_sets_is_their_mean() -> None:
    one, other = SimpleNamespace(results_dict={"fitness": 0.2}), {"fitness": 0.6}
    assert fitness_of({"a": one, "b": other}) == pytest.approx(0.4)
    for failed in ({"a": one, "b": None}, None, {}, SimpleNamespace()):
        assert math.isnan(fitness_of(failed))


def test_the_example_of_the_docs_runs(
    model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a known fitness, and a model that is there."""
    page = (ROOT / "docs" / "ultralytics.md").read_text(encoding="utf-8")
    ((block),) = re.findall(r"^```python\n(found = lpu\.tune.*?)^```$", page, re.M | re.S)
    monkeypatch.setattr(Search, "fitness", lambda _, values, *__, **___: peak(values))
    monkeypatch.setattr(search, "get_save_dir", lambda *_, **__: tmp_path)
    names = {"lpu": lpu, "YOLO": lambda _: model}
    exec(block, names)
    assert len(names["found"].iterations) == 30
    assert str(names["found"]) in capsys.readouterr().out


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_failed_iteration_raises_with_its_number_and_its_values(
    model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Values] = []

    def third_fails(values: Values) -> float:
        seen.append(values)
        return 1.0 if len(seen) < 3 else 1 / 0

    with pytest.raises(lpu.IterationFailed) as caught:
        tried(monkeypatch, tmp_path, third_fails, model, box="alpha_iou", iterations=9)
    assert len(seen) == 3
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    for part in ("iteration 3 of 9", "ZeroDivisionError", f"box_loss.alpha={seen[2]['box_loss.alpha']:.6g}", "lr0="):
        assert part in str(caught.value)
    assert len((tmp_path / "tune/tune_results.csv").read_text().splitlines()) == 3  # what is known by then is kept


@pytest.mark.parametrize("several", [False, True])
def test_a_training_that_cannot_start_raises(several: bool, model: YOLO, tmp_path: Path) -> None:
    """Ultralytics passes over the failed one of several data sets: it has no metrics then."""
    data: Any = str(tmp_path / "missing.yaml")
    with pytest.raises(lpu.IterationFailed, match=r"iteration 1 of 2 with .*lr0=0.01.* failed: "):
        lpu.tune(
            model, "alpha_iou", space=SPACE, iterations=2, data=[data] if several else data, project=str(tmp_path),
            **TRAIN,
        )  # fmt: skip


# --- refusals --------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[Any, str]] = {
    "no dict": ([("lr0", 1, 2)], "is no dict"),
    "empty": ({}, "has nothing to search"),
    "unknown setting": ({"lr": (0.1, 0.2)}, "'lr', .*did you mean 'lrf' or 'lr0'"),
    "unknown parameter": ({"box_loss.alhpa": (1, 2)}, "did you mean 'box_loss.alpha'"),
    "a slot without a loss": ({"cls_loss.gamma": (1, 2)}, "'cls_loss.gamma', which is no number"),
    "the slot's name in Python": ({"box.alpha": (1, 2)}, "'box.alpha', .*did you mean .*'box_loss.alpha'"),
    "no text": ({3: (1, 2)}, "has the key 3,"),
    "no number": ({"optimizer": ("SGD", "Adam")}, "'optimizer', which is no number"),
    "the seed": ({"seed": (0, 3)}, "'seed', which is no number"),
    "turned round": ({"lr0": (0.1, 0.01)}, "0.1 is not below 0.01"),
    "one value": ({"lr0": (0.1, 0.1)}, "is not below"),
    "NaN": ({"lr0": (math.nan, 0.1)}, "nan is no finite number"),
    "infinite": ({"box_loss.alpha": (1, math.inf)}, "inf is no finite number"),
    "too large": ({"box_loss.alpha": (1, 10**400)}, "is no finite number"),
    "a text": ({"box_loss.alpha": ("1", "5")}, "'1' is no finite number"),
    "True": ({"box_loss.alpha": (True, 5)}, "True is no finite number"),
    "no pair": ({"box_loss.alpha": 3}, "=3 is no range"),
    "a text for a pair": ({"box_loss.alpha": "15"}, "is no range"),
    "four numbers": ({"box_loss.alpha": (1, 2, 1, 1)}, "is no range"),
    "a spread above 1": ({"box_loss.alpha": (1, 5, 2)}, r"2 is out of range; allowed: \(0, 1\]"),
    "beyond the loss's range": ({"box_loss.alpha": (0, 5)}, r"alpha_iou.*: alpha=0\.0 is out of range; allowed: \("),
    "beyond the trainer's range": ({"momentum": (0.5, 1.5)}, "momentum.*1.5.* is "),
    "a weight of 0": ({"box_loss.loss_weight": (0, 1)}, "loss_weight"),
    "no whole number": ({"close_mosaic": (2.1, 2.9)}, "holds 0 whole numbers"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_space_is_refused_before_the_first_training(
    kind: str, model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    space, said = WRONG[kind]

    def trains(_: Values) -> float:
        raise AssertionError("trained")

    with pytest.raises((ValueError, TypeError), match=said):
        tried(monkeypatch, tmp_path, trains, model, box="alpha_iou", space=space)
    assert not list(tmp_path.iterdir())


def test_ends_at_which_no_gain_matches_are_refused_too(model: YOLO) -> None:
    """A constant matches focal with a gamma of 0.5, and none with the 2 of its paper."""
    cls = {"type": "focal", "gamma": 0.5, "alpha": 0.5}
    with pytest.raises(ValueError, match=r"space\['cls_loss.gamma'\].*gain='match' would be"):
        lpu.tune(model, cls=cls, gain="match", space={"cls_loss.gamma": (0.5, 2)})


@pytest.mark.parametrize("key", ["lr0", "momentum"])
def test_what_the_automatic_optimizer_chooses_is_not_searched(key: str, model: YOLO) -> None:
    """It would train with its own value, whatever the iteration's is."""
    for given in ({}, {"optimizer": "auto"}):
        with pytest.raises(ValueError, match=f"'{key}', and optimizer='auto' chooses {key} itself"):
            lpu.tune(model, "eiou", space={key: (0.001, 0.01)}, **given)


def test_settings_of_the_trainer_that_tune_says_itself_are_refused(model: YOLO) -> None:
    for key, value in {"trainer": lpu.trainer(box="eiou"), "resume": True, "save_dir": "x"}.items():
        with pytest.raises(ValueError, match=f"tune: {key}=.* is no setting of a training that is tuned"):
            lpu.tune(model, "eiou", space={"lrf": (0.1, 0.2)}, **{key: value})
    with pytest.raises(SyntaxError, match="epohcs"):  # Ultralytics' own words
        lpu.tune(model, "eiou", space={"lrf": (0.1, 0.2)}, epohcs=3)


def test_the_start_is_that_of_a_file_of_settings(model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("optimizer: AdamW\nlr0: 0.002\nmomentum: 0.8\n")
    given = {"box": "eiou", "space": {"lr0": (1e-4, 0.1), "momentum": (0.1, 0.9)}, "iterations": 1, "cfg": str(file)}
    del (settings := {**given, "momentum": 0.7})["box"]
    monkeypatch.setattr(Search, "fitness", lambda *_, **__: 1.0)
    found = lpu.tune(model, "eiou", project=str(tmp_path), **settings)
    assert found.best.values == {"lr0": 0.002, "momentum": 0.7}


PARAMETERS = [
    name
    for name, each in inspect.signature(lpu.tune).parameters.items()
    if each.kind is not inspect.Parameter.VAR_KEYWORD
]


def test_each_slot_is_a_parameter() -> None:
    assert SLOTS.keys() <= {*PARAMETERS}


@pytest.mark.parametrize("name", PARAMETERS)
def test_wrong_values_of_each_parameter_are_refused(
    name: str, model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As of all public calls, see `tests/house/test_public_calls.py`; nothing is trained here."""
    monkeypatch.setattr(Search, "fitness", lambda *_, **__: 1.0)
    monkeypatch.setattr("loss_plugins.adapters.ultralytics.tuning.ray_search.by_ray", lambda search: search)
    given = {"model": model, "box": "alpha_iou", "space": {"lrf": (0.1, 0.2)}, "iterations": 1}
    for value in TABLE:
        came = call(lambda **named: lpu.tune(project=str(tmp_path), **named), {**given, name: value})
        if came is None:
            assert fits(value, hints(lpu.tune).get(name, Any)), f"{name}={value!r} is taken"
        else:
            assert name in came, f"{name}={value!r}: {came}"


# --- Ray -------------------------------------------------------------------------------------------------------------


def test_ray_is_asked_for_where_it_is_missing(model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'use_ray=True\) needs Ray Tune: pip install "ray\[tune\]'):
        tried(monkeypatch, tmp_path, peak, model, box="alpha_iou", use_ray=True)
    assert not list(tmp_path.iterdir())


def stand_in(draw: Callable[[Any], Any]) -> dict[str, Any]:
    """As much of Ray as `tune` calls, one trial after the other in this process; `draw` takes a value of a domain."""

    class Tuner:
        def __init__(self, trainable: Any, param_space: Any, tune_config: Any, run_config: Any) -> None:
            self.run, self.space, self.number = trainable, param_space, tune_config.num_samples

        def fit(self) -> list[Any]:
            return [self.trial({key: draw(domain) for key, domain in self.space.items()}) for _ in range(self.number)]

        def trial(self, config: Any) -> Any:
            try:
                return SimpleNamespace(config=config, metrics=self.run(config), error=None)
            except Exception as error:
                return SimpleNamespace(config=config, metrics=None, error=error)

    tune = SimpleNamespace(
        Tuner=Tuner, TuneConfig=SimpleNamespace, RunConfig=SimpleNamespace, FailureConfig=SimpleNamespace,
        with_resources=lambda trainable, resources: trainable, uniform=lambda low, high: (low, high),
        randint=lambda low, high: (low, high), search=SimpleNamespace(BasicVariantGenerator=SimpleNamespace),
        get_context=lambda: SimpleNamespace(get_trial_id=lambda: "7"),
    )  # fmt: skip
    ray = SimpleNamespace(tune=tune, is_initialized=lambda: True)
    return {"ray": ray, "ray.tune": tune}


def test_by_ray_the_start_is_trained_first_and_the_others_are_drawn(
    model: YOLO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, module in stand_in(lambda ends: ends[0] + 0.25 * (ends[1] - ends[0])).items():
        monkeypatch.setitem(sys.modules, name, module)
    given = {"box": "alpha_iou", "iterations": 3, "use_ray": True}
    found = tried(monkeypatch, tmp_path, peak, model, **given)
    assert found.iterations[0].values == {"box_loss.alpha": 3.0, "lr0": 0.01, "close_mosaic": 10}
    assert found.iterations[1].values == {"box_loss.alpha": 2.0, "lr0": 0.002575, "close_mosaic": 3}
    assert [each.fitness for each in found.iterations] == [0.0, 1.0, 1.0]
    assert (found.best.number, found.best.folder.name) == (2, "trial-7")

    def only_the_start(values: Values) -> float:
        return 1.0 if values["box_loss.alpha"] == 3 else 1 / 0

    with pytest.raises(lpu.IterationFailed, match=r"iteration 2 of 3 with box_loss.alpha=2, .*ZeroDivisionError"):
        tried(monkeypatch, tmp_path, only_the_start, model, **given)


def test_by_ray_a_training_has_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from loss_plugins.adapters.ultralytics.ray_search import gpus_of

    assert gpus_of("cpu") == gpus_of([0, 1]) == 0  # none is there
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [gpus_of(device) for device in (None, 0, "0", [1], "cpu")] == [1, 1, 1, 1, 0]
    for several in ("0,1", [0, 1]):
        with pytest.raises(ValueError, match="use_ray=True gives each training one GPU"):
            gpus_of(several)


def test_copies_call_the_callbacks_of_the_user(model: YOLO) -> None:
    callback = Callback()
    model.add_callback("on_train_start", callback.called)
    twin = search.fresh(model)
    assert twin.callbacks["on_train_start"][-1].__self__ is callback
    assert twin.callbacks["on_train_start"] is not model.callbacks["on_train_start"]
    assert twin.model is not model.model
