"""A resumed run goes on with the losses of its checkpoint, or is refused; its record goes on as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmengine.hooks import Hook
from mmengine.runner import Runner

from loss_plugins.adapters.mmdet import find_losses
from loss_plugins.adapters.mmdet.resuming import differences

from .runs import BATCHES, HOOK, Detector, heard, run

EIOU = {"type": "loss_plugins.EIoULoss", "loss_weight": 2.0}
ITERATIONS = {"by_epoch": False, "max_iters": 6}
KEY = r"model\.bbox_head\.loss_bbox"


class Halving(Hook):  # type: ignore[misc]
    """A schedule of the factor of a loss."""

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        runner.model.bbox_head.loss_bbox.loss_weight /= 2


def training(folder: Path, loss: dict[str, Any] = EIOU, epochs: int = 1, **settings: Any) -> Runner:
    loop = settings.pop("loop", {"by_epoch": True, "max_epochs": epochs})
    settings["levels"] = settings.pop("levels", [[4, 5]])
    return run(folder, loss, loop=loop, **settings)


def record(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "loss_plugins.yaml").read_text()))


def numbers(part: dict[str, Any]) -> tuple[Any, ...]:
    (loss,) = part["losses"]
    return part["epochs"], part["iterations"], loss["calls"], loss["boxes"]


def test_the_record_goes_on(tmp_path: Path) -> None:
    training(tmp_path).train()
    first = record(tmp_path)
    assert numbers(first) == ([1, 1], [1, BATCHES], 2 * BATCHES, 9 * BATCHES)
    assert first["earlier"] == []
    training(tmp_path, epochs=3, resume=True).train()
    second = record(tmp_path)
    assert second["run"] == first["run"]
    assert numbers(second) == ([2, 3], [BATCHES + 1, 3 * BATCHES], 4 * BATCHES, 18 * BATCHES)
    assert [numbers(part) for part in second["earlier"]] == [numbers(first)]
    training(tmp_path, epochs=4, resume=True).train()
    third = record(tmp_path)
    assert [part["epochs"] for part in (*third["earlier"], third)] == [[1, 1], [2, 3], [4, 4]]


def test_it_goes_on_from_the_checkpoint_not_from_what_was_trained_after_it(tmp_path: Path) -> None:
    training(tmp_path, epochs=3).train()
    training(tmp_path, epochs=3, resume=True, load_from=str(tmp_path / "epoch_1.pth")).train()
    assert [numbers(part) for part in record(tmp_path)["earlier"]] == [([1, 1], [1, BATCHES], 2 * BATCHES, 9 * BATCHES)]


def test_a_checkpoint_between_epochs_knows_its_calls(tmp_path: Path) -> None:
    saving = {**HOOK, "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 3}}
    training(tmp_path, loop=ITERATIONS, default_hooks=saving).train()
    stamp = torch.load(tmp_path / "iter_3.pth", weights_only=False)["meta"]["loss_plugins"]
    assert stamp["iterations"] == [1, 3]
    assert (stamp["losses"][0]["calls"], stamp["losses"][0]["boxes"]) == (6, 27)
    assert "epochs" not in stamp  # a loop without


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "another loss": (
        {"type": "loss_plugins.CIoULoss"},
        rf"{KEY}\.type was 'loss_plugins\.EIoULoss', asked for now: 'loss_plugins\.CIoULoss'",
    ),
    "another factor": ({**EIOU, "loss_weight": 5.0}, rf"{KEY}\.loss_weight was 2\.0, asked for now: 5\.0"),
    "another parameter": ({**EIOU, "focal_gamma": 0.5}, rf"{KEY}\.focal_gamma was 0\.0, asked for now: 0\.5"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_another_loss_is_refused_before_training(case: str, tmp_path: Path) -> None:
    loss, message = DIFFERENT[case]
    training(tmp_path).train()
    before = record(tmp_path)
    other = training(tmp_path, loss, epochs=2, resume=True)
    with pytest.raises(ValueError, match=rf"^resume: .*epoch_1\.pth \(epoch 1, iteration 4\) .*{message}") as refused:
        other.train()
    assert "allowed: the losses of the checkpoint; set these keys as they were" in str(refused.value)
    assert "load_from=..., resume=False" in str(refused.value)
    assert other.iter == BATCHES
    assert record(tmp_path) == before


def test_a_loss_of_ours_in_one_of_both_alone_is_a_difference() -> None:
    model = Detector(EIOU, [[9]])
    slots = find_losses(model)
    trained = [{"where": "bbox_head.loss_other", "loss": {"type": "loss_plugins.L1Loss"}}]
    assert differences(trained, slots) == {
        "bbox_head.loss_other": [
            "model.bbox_head.loss_other.type was 'loss_plugins.L1Loss', asked for now: 'no loss of loss_plugins'"
        ],
        "bbox_head.loss_bbox": [
            "model.bbox_head.loss_bbox.type was 'no loss of loss_plugins', asked for now: 'loss_plugins.EIoULoss'"
        ],
    }


def test_an_older_record_had_todays_defaults_and_compilation_may_change() -> None:
    slots = find_losses(Detector({**EIOU, "compile": True}, [[9]]))
    trained = slots[0].loss.spec()
    trained.pop("compile")
    trained.pop("focal_gamma")
    assert differences([{"where": "bbox_head.loss_bbox", "loss": trained}], slots) == {}


def test_an_allowed_difference_is_warned_of(tmp_path: Path) -> None:
    training(tmp_path).train()
    hook = {"loss_plugins": {**HOOK["loss_plugins"], "allow": ["bbox_head.loss_bbox"]}}
    second = training(tmp_path, {**EIOU, "loss_weight": 5.0}, epochs=2, resume=True, default_hooks=hook)
    warned = heard(second)
    second.train()
    text = "loss_plugins: allowed: model.bbox_head.loss_bbox.loss_weight was 2.0, asked for now: 5.0"
    assert text in warned
    said = record(tmp_path)
    weights = [part["losses"][0]["loss"]["loss_weight"] for part in (*said["earlier"], said)]
    assert weights == [2.0, 5.0]


def test_a_checkpoint_of_the_stock_losses_is_warned_of(tmp_path: Path) -> None:
    training(tmp_path, default_hooks={}).train()
    second = training(tmp_path, epochs=2, resume=True)
    warned = heard(second)
    second.train()
    (text,) = [text for text in warned if "names no loss of loss_plugins" in text]
    assert "epoch_1.pth (epoch 1, iteration 4) names" in text
    assert "model.bbox_head.loss_bbox: loss_plugins.EIoULoss" in text
    said = record(tmp_path)
    assert said["earlier"] == [{"iterations": [1, 4], "epochs": [1, 1], "losses": []}]
    assert said["epochs"] == [2, 2]


def test_weights_alone_are_no_resume(tmp_path: Path) -> None:
    training(tmp_path / "first").train()
    file = str(tmp_path / "first" / "epoch_1.pth")
    training(tmp_path / "second", {"type": "loss_plugins.CIoULoss"}, load_from=file).train()
    said = record(tmp_path / "second")
    assert said["earlier"] == []
    assert said["run"] != record(tmp_path / "first")["run"]


def test_a_schedule_of_the_factor_is_no_other_loss(tmp_path: Path) -> None:
    """What a head or a hook sets while it trains is not what the config said."""
    first = training(tmp_path)
    first.register_hook(Halving())
    first.train()
    assert first.model.bbox_head.loss_bbox.loss_weight < 2.0
    training(tmp_path, epochs=2, resume=True).train()
    assert record(tmp_path)["losses"][0]["loss"]["loss_weight"] == 2.0


@pytest.mark.parametrize("stamp", [None, [], {"losses": [{"where": "x"}]}, {"losses": [{"where": 3, "loss": {}}]}])
def test_a_stamp_of_something_else_is_refused(stamp: Any, tmp_path: Path) -> None:
    training(tmp_path).train()
    file = tmp_path / "epoch_1.pth"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["meta"]["loss_plugins"] = stamp
    torch.save(checkpoint, file)
    with pytest.raises(ValueError, match=r"resume: meta\['loss_plugins'\] of .*epoch_1\.pth .*cannot be read"):
        training(tmp_path, epochs=2, resume=True).train()
