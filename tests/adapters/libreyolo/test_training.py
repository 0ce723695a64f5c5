"""LibreYOLO's own trainers, on scenes of digits: the loss that is asked for is trained, inside of the context alone."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from libreyolo.models.deimv2.loss import DEIMv2Criterion
from libreyolo.models.deimv2.trainer import DEIMv2Trainer
from libreyolo.training import ddp_spawn
from libreyolo.training.trainer import BaseTrainer

from loss_plugins.adapters.detr.asked import Asked
from loss_plugins.adapters.detr.losses import Losses
from loss_plugins.adapters.libreyolo import LossNotUsed, Patched, UnsupportedCriterion, patched, plug, unplug
from loss_plugins.adapters.libreyolo.trainers import Trained
from tests.adapters.detr import own

from .parts import DETECTORS, digits, train

SETUP, SPAWN = BaseTrainer.setup, ddp_spawn.spawn_for_model


@pytest.fixture(scope="module", params=list(DETECTORS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Patched, Any, Path]:
    folder = tmp_path_factory.mktemp("libreyolo")
    with patched(box="wiou") as used:
        assert BaseTrainer.setup is not SETUP
        detector = train(DETECTORS[request.param], folder)
    return request.param, used, detector, folder


def test_every_step_is_trained_with_it_and_the_validation_too(trained: tuple[str, Patched, Any, Path]) -> None:
    name, used, _, _ = trained
    known, report = DETECTORS[name], used.report
    assert report.box is not None
    assert (report.box.loss, report.box.stock) == ("wiou", known.stock)
    assert report.trained == 3
    assert report.box.calls == report.box.gradient_calls == 3 * known.calls
    assert report.box.rows >= report.box.gradient_rows > 0
    assert report.box.val_calls > 0


def test_it_learns_one_mean_for_all_criteria(trained: tuple[str, Patched, Any, Path]) -> None:
    states = [plug.state_dict()["box"]["statistics"] for plug in trained[1].plugs]
    assert any(value != 1 for value in states[0].values())
    assert all(torch.equal(state[name], value) for state in states for name, value in states[0].items())


def test_what_was_found_is_put_back(trained: tuple[str, Patched, Any, Path]) -> None:
    _, used, detector, _ = trained
    assert BaseTrainer.setup is SETUP
    assert ddp_spawn.spawn_for_model is SPAWN
    assert not any(plug.plugged for plug in used.plugs)
    assert not [module for module in detector.model.modules() if type(module).__name__.startswith("Plugged")]


def test_checkpoints_hold_nothing_of_it(trained: tuple[str, Patched, Any, Path]) -> None:
    files = list(trained[3].rglob("*.pt"))
    assert files
    for file in files:
        assert b"loss_plugins" not in file.read_bytes()


def test_its_own_loss_trains_the_same_model(tmp_path: Path) -> None:
    """Where its criterion is built by the first step, which is computed once more for that."""
    plain = train(DETECTORS["YOLO9-E2E"], tmp_path, val_loss=False).model.state_dict()
    with patched(box="ciou"):
        same = train(DETECTORS["YOLO9-E2E"], tmp_path, val_loss=False).model.state_dict()
    for key, value in plain.items():  # rounding grows in three steps of training, as batches of two are normalised
        torch.testing.assert_close(same[key], value, rtol=1e-2, atol=1e-4)


def trainer(**more: Any) -> Any:
    """A trainer of DEIMv2 that is not set up."""
    detector = DETECTORS["DEIMv2"].build()
    settings = {"size": "atto", "num_classes": 10, "device": "cpu", "epochs": 1, "workers": 0, **more}
    return DEIMv2Trainer(model=detector.model, wrapper_model=detector, **settings)


def test_the_criterion_of_the_validation_is_plugged_with_the_same_losses(tmp_path: Path) -> None:
    made = trainer(data=digits(tmp_path), imgsz=320, batch=2, project=str(tmp_path), val_loss=True)
    with patched(box="eiou") as used:
        made.setup()
        made.setup()  # does nothing
        adapter = made.build_validation_loss_adapter(made.model)
        first, second = made.criterion.loss_plugins_losses, adapter.criterion.loss_plugins_losses
        assert isinstance(first, Losses)
        assert first.box is second.box
        assert len(used.plugs) == 2
        first.trained = first.slots[0].use.calls = 1  # as if it had been trained
    assert type(made.criterion) is type(adapter.criterion) is DEIMv2Criterion
    assert type(made.build_validation_loss_adapter(made.model).criterion) is DEIMv2Criterion
    assert not {"on_forward", "build_validation_loss_adapter"} & set(vars(made))


class Bare:
    """A trainer in which there is nothing to be found."""

    def __init__(self, **config: Any) -> None:
        self.config = type("Config", (), config)()
        self.model = torch.nn.Linear(1, 1)

    def on_forward(self, *_: Any) -> None:
        self.model.weight.data.numpy()

    def build_validation_loss_adapter(self, _: Any) -> None:
        return None


def served(asked: dict[str, Any]) -> Any:
    from loss_plugins.adapters.libreyolo.served import Served

    return Served(Asked(**asked), lambda _: None)


def test_a_trainer_without_a_loss_of_boxes_is_refused_in_its_first_step() -> None:
    bare = Bare()
    Trained(bare, served({"box": "eiou"}))
    with pytest.raises(UnsupportedCriterion, match=r"Bare: sought a criterion with loss_boxes, .* found no criterion"):
        bare.on_forward()


@pytest.mark.parametrize("way", ["compile", "cuda_graph"])
def test_ways_around_the_first_step_are_refused(way: str) -> None:
    with pytest.raises(ValueError, match=f"{way}=True of Bare: on_forward is not called, where a criterion is built"):
        Trained(Bare(**{way: True}), served({"box": "eiou"}))


@pytest.mark.parametrize("fast", [False, True])
def test_a_second_criterion_computes_the_losses_of_the_first_and_learns_nothing_in_validation(fast: bool) -> None:
    both, (training, validation) = served({"box": "wiou", "fast": fast}), (own.Criterion(), own.Criterion())
    both.serve(training)
    both.serve(validation)
    sum(training(*own.layers()).values()).backward()
    learnt = both.plugs[0].state_dict()["box"]["statistics"]["mean.value"]
    assert learnt != 1
    given = own.layers(seed=3)
    with torch.no_grad():
        found = validation(*given)
        assert all(torch.equal(loss, found[name]) for name, loss in training(*given).items())
    for plugged in both.plugs:
        assert plugged.state_dict()["box"]["statistics"]["mean.value"] == learnt
        assert (plugged.report.trained, plugged.report.validated) == (1, 2)
        plugged.require_use()
        plugged.unplug()


def test_several_devices_are_refused_before_processes_start() -> None:
    with pytest.raises(RuntimeError, match="several devices: LibreYOLO would start processes"), patched(box="eiou"):
        ddp_spawn.spawn_for_model(None, {}, 2)
    assert ddp_spawn.spawn_for_model is SPAWN


def test_other_threads_train_what_they_did(tmp_path: Path) -> None:
    made = trainer(data=digits(tmp_path), imgsz=320, batch=2, project=str(tmp_path))
    thread, context = threading.Thread(target=made.setup), patched(box="eiou")
    with pytest.raises(LossNotUsed, match="no criterion was built in this context by this thread"), context:
        thread.start(), thread.join()
    assert type(made.criterion) is DEIMv2Criterion


def test_the_class_loss_of_deim_is_recognised_before_training(tmp_path: Path) -> None:
    made = trainer(data=digits(tmp_path), imgsz=320, batch=2, project=str(tmp_path))
    made.setup()
    plugged = plug(made.criterion, cls="focal")
    assert plugged.report.cls is not None
    assert plugged.report.cls.stock == "matchability (gamma=1.5)"
    plugged.unplug()
    assert type(made.criterion) is DEIMv2Criterion


def test_mistakes_are_told_before_anything_is_built() -> None:
    with pytest.raises(ValueError, match="did you mean 'eiou'"):
        patched(box="eiuo")
    with pytest.raises(TypeError, match="patched: unknown argument boxes='eiou'; allowed: box"):
        patched(boxes="eiou")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="libreyolo adapter: box=None and cls=None: no loss was asked for"):
        patched()


def test_a_criterion_of_the_detr_family_in_hand_is_served() -> None:
    criterion = DEIMv2Criterion(matcher=None, weight_dict={}, losses=["boxes"], num_classes=4)
    made = plug(criterion, box="eiou", image_size=(320, 320))
    assert made.report.box is not None
    assert made.report.box.stock == "giou"
    with pytest.raises(ValueError, match=r"criterion=DEIMv2Criterion \(DEIMv2Criterion\) are plugged already"):
        plug(criterion, box="giou")
    unplug(criterion)
    second = DEIMv2Criterion(matcher=None, weight_dict={}, losses=["boxes"], num_classes=4)
    with pytest.raises(ValueError, match="criterion=ModuleList holds 2 criteria; allowed: one"):
        plug(torch.nn.ModuleList([criterion, second]), box="eiou")
    assert type(criterion) is type(second) is DEIMv2Criterion


def test_losses_are_told_how_much_of_the_training_is_over() -> None:
    told: list[float] = []
    served = SimpleNamespace(any=True, dense=None, is_told=True, serve=lambda _: [], set_progress=told.append)
    config = SimpleNamespace(epochs=4)
    trained = SimpleNamespace(
        config=config, current_epoch=0, on_forward=lambda batch: batch, build_validation_loss_adapter=None
    )
    Trained(trained, served)  # type: ignore[arg-type]
    for trained.current_epoch in range(5):
        assert trained.on_forward("batch") == "batch"
    assert told == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize("way", ["compile", "cuda_graph"])
def test_a_loss_that_has_to_be_told_is_refused_where_nobody_would_tell_it(way: str) -> None:
    served = SimpleNamespace(any=True, is_told=True, serve=lambda _: [])
    with pytest.raises(ValueError, match=f"{way}=True of Bare: on_forward is not called, where a loss has to be told"):
        Trained(Bare(**{way: True}), served)  # type: ignore[arg-type]
    served.is_told = False
    Trained(Bare(**{way: True}), served)  # type: ignore[arg-type]


@pytest.mark.parametrize(("box", "told"), [("uiou", True), ("eiou", False)])
def test_a_loss_with_a_schedule_has_to_be_told(box: str, told: bool) -> None:
    one = served({"box": box})
    one.serve(own.Criterion())
    assert one.is_told == told
