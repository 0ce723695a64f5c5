"""The callback of a Trainer: proof, records, and trainings that go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import Trainer, TrainerCallback, YolosForObjectDetection

from loss_plugins.adapters.transformers import LossNotUsed, plug, plug_again
from loss_plugins.adapters.transformers.record import in_plain_types

from ..interpreter import forked_python
from .models import batch, build, loss_of
from .runs import trainer

NAME = "YolosForObjectDetection"
LOSSES: dict[str, Any] = {"box": "wiou", "cls": "softmax_focal"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """A model that was trained in one go, its plug and the folder."""
    folder = tmp_path_factory.mktemp("whole")
    model = build(NAME)
    plugged = plug(model, **LOSSES)
    trainer(model, folder, plugged.callback()).train()
    return model, plugged, folder


def test_the_losses_know_how_much_of_the_training_is_over(tmp_path: Path) -> None:
    model = build(NAME)
    plugged = plug(model, box="uiou")
    trainer(model, tmp_path, plugged.callback()).train()
    (loss,) = plugged.losses.modules
    assert loss.progress.value.tolist() == [0.75]  # in the last of 4 steps
    assert record(tmp_path)["state"]["box"]["statistics"] == {"progress.value": [0.75]}


def record(folder: Path) -> Any:
    return yaml.safe_load((folder / "loss_plugins.yaml").read_text(encoding="utf-8"))


def test_the_record_says_what_was_trained(whole: Any) -> None:
    model, plugged, folder = whole
    said = record(folder)
    assert said["model"] == NAME
    assert said["asked"] == plugged.asked == model.config.loss_plugins
    assert (said["asked"]["box"]["type"], said["asked"]["cls"]["type"]) == ("wiou", "softmax_focal")
    assert said["steps"] == [1, 4]
    assert said["report"] == {**plugged.report.as_dict(), **{slot: _lists(said["report"], slot) for slot in LOSSES}}
    assert said["report"]["box"]["calls"] == 4
    assert said["report"]["box"]["gradient_rows"] == said["report"]["box"]["rows"] > 0
    assert said["state"] == in_plain_types(plugged.state_dict())
    assert said["versions"]["transformers"].startswith("5.")
    assert said["state"]["box"]["statistics"]["mean.value"] != [1.0]
    assert record(folder / "checkpoint-2")["steps"] == [1, 2]
    assert record(folder / "checkpoint-2")["state"] != said["state"]


def _lists(report: Any, slot: str) -> Any:
    return {**report[slot], "probe": list(report[slot]["probe"])}


def test_a_resumed_training_is_the_one_that_was_not_stopped(whole: Any, tmp_path: Path) -> None:
    model, plugged, folder = whole
    stopped = folder / "checkpoint-2"
    other = YolosForObjectDetection.from_pretrained(stopped)  # the Trainer alone loads no parameter that was renamed
    again = plug_again(other)
    trainer(other, tmp_path, again.callback(resumed_from=stopped)).train(resume_from_checkpoint=str(stopped))
    assert in_plain_types(again.state_dict()) == in_plain_types(plugged.state_dict())
    for (name, one), (_, two) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(one, two), name
    said = record(tmp_path)
    assert said["steps"] == [3, 4]
    assert [part["steps"] for part in said["earlier"]] == [[1, 2]]


def test_nothing_is_left_to_train(whole: Any) -> None:
    _, _, folder = whole
    other = build(NAME)
    trainer(other, folder, plug(other, **LOSSES).callback()).train(resume_from_checkpoint=True)
    assert record(folder)["steps"] == [5, 4]


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ({"box": "eiou", "cls": "softmax_focal"}, "box was .*wiou.*, asked for now: .*eiou"),
        ({"box": "wiou"}, "cls was .*softmax_focal.*, asked for now: None"),
        ({**LOSSES, "matcher": "keep", "gain": "keep", "image_size": (64, 64)}, "image_size was None"),
    ],
)
def test_other_losses_than_those_of_the_checkpoint_are_refused(
    whole: Any, tmp_path: Path, losses: Any, said: str
) -> None:
    folder = whole[2] / "checkpoint-2"
    model = build(NAME)
    callback = plug(model, **losses).callback(resumed_from=folder)
    with pytest.raises(ValueError, match=f"checkpoint-2 was trained with other losses: .*{said}"):
        trainer(model, tmp_path, callback).train(resume_from_checkpoint=str(folder))


def test_a_checkpoint_without_record_or_with_a_torn_one_is_refused(whole: Any, tmp_path: Path) -> None:
    model = build(NAME)
    plugged = plug(model, **LOSSES)
    run = trainer(model, tmp_path, plugged.callback())
    with pytest.raises(
        ValueError, match=r"there is no .*checkpoint-2/loss_plugins.yaml.*callback\(resumed_from=FOLDER\)"
    ):
        run.train(resume_from_checkpoint=str(whole[2] / "checkpoint-2"))
    for text in ("", "{", "3", "asked: 3"):
        (tmp_path / "loss_plugins.yaml").write_text(text, encoding="utf-8")
        run = trainer(model, tmp_path, plugged.callback(resumed_from=tmp_path))
        with pytest.raises(ValueError, match="cannot be read"):
            run.train(resume_from_checkpoint=str(whole[2] / "checkpoint-2"))


def test_the_method_in_the_place_of_the_callback_is_told_with_the_line_to_write(tmp_path: Path) -> None:
    model = build(NAME)
    plugged = plug(model, box="eiou")
    with pytest.raises(TypeError, match=r"callbacks=\[plugged.callback\] holds a method; .*write .*\.callback\(\)\]"):
        trainer(model, tmp_path, plugged.callback)
    assert not hasattr(plugged.callback(), "__self__")


class OwnLoss(Trainer):
    """Trains another loss than the model's, from the second step on."""

    first = 0

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
        if self.state.global_step < self.first:
            return super().compute_loss(model, inputs, return_outputs, **more)
        return model(pixel_values=inputs["pixel_values"]).pred_boxes.sum()


class LateOwnLoss(OwnLoss):
    first = 8


class WarmUp(Trainer):
    """Trains another loss than the model's in the first steps."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
        if self.state.global_step < 9:
            return model(**inputs).pred_boxes.sum()
        return super().compute_loss(model, inputs, return_outputs, **more)


def test_a_loss_that_trains_late_is_proven_at_the_end(tmp_path: Path) -> None:
    for proven_after in (8, 0):
        model = build(NAME)
        plugged = plug(model, box="eiou")
        plugged.prove_after(proven_after)
        run = trainer(model, tmp_path, plugged.callback(), kind=WarmUp, save_strategy="no", num_train_epochs=3)
        if proven_after:
            with pytest.raises(LossNotUsed, match="received no gradient"):
                run.train()
        else:
            run.train()
        assert run.state.global_step == (proven_after or 12)


class TakesOut(TrainerCallback):
    def __init__(self, plugged: Any) -> None:
        self.plugged = plugged

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.plugged.unplug()


@pytest.mark.parametrize("kind", [OwnLoss, LateOwnLoss])
def test_a_training_with_another_loss_ends(kind: type, tmp_path: Path) -> None:
    model = build(NAME)
    run = trainer(
        model, tmp_path, plug(model, box="eiou").callback(), kind=kind, save_strategy="no", num_train_epochs=3
    )
    with pytest.raises(LossNotUsed, match="YolosForObjectDetection computed no loss"):
        run.train()
    assert run.state.global_step == (8 if kind is OwnLoss else 12)
    assert not (tmp_path / "loss_plugins.yaml").exists()


def test_a_training_whose_losses_are_taken_out_ends(tmp_path: Path) -> None:
    model = build(NAME)
    plugged = plug(model, box="eiou")
    run = trainer(model, tmp_path, TakesOut(plugged), plugged.callback())
    with pytest.raises(LossNotUsed, match="were taken out before the training ended"):
        run.train()
    run = trainer(model, tmp_path, plugged.callback())
    with pytest.raises(LossNotUsed, match="without these losses"):
        run.train()


def test_another_model_than_the_plugged_one_is_not_trained(tmp_path: Path) -> None:
    run = trainer(build(NAME), tmp_path, plug(build(NAME), box="eiou").callback())
    with pytest.raises(LossNotUsed, match="pass it the model that was plugged, and no model_init"):
        run.train()
    assert run.state.global_step == 0


def test_a_saved_model_computes_the_stock_loss_until_it_is_plugged_again(whole: Any) -> None:
    model, _, folder = whole
    loaded = YolosForObjectDetection.from_pretrained(folder / "checkpoint-4").train()
    assert "_loss_function" not in vars(loaded)
    assert loaded.config.loss_plugins == model.config.loss_plugins
    given = batch(loaded)
    before = loss_of(loaded, given)
    with plug_again(loaded) as again:
        other = loss_of(loaded, given)
        other["total"].backward()
    assert again.report.box is not None
    assert again.report.box.loss == "wiou"
    assert {key for key in before if not torch.equal(before[key], other[key])} == {"loss_ce", "loss_giou", "total"}
    assert loaded.config.loss_plugins == model.config.loss_plugins
    restored = loss_of(loaded, given)
    assert all(torch.equal(restored[key], loss) for key, loss in before.items())
    with pytest.raises(ValueError, match="has no loss_plugins"):
        plug_again(build(NAME))


def test_an_interpreter_without_this_package_loads_it(whole: Any, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['loss_plugins'] = None\n"
        "import torch; from transformers import YolosForObjectDetection as Model\n"
        "model = Model.from_pretrained(sys.argv[1])\n"
        "labels = [{'boxes': torch.tensor([[0.5, 0.5, 0.2, 0.2]]), 'class_labels': torch.tensor([1])}]\n"
        "torch.manual_seed(0)\n"
        "print(sorted(model(pixel_values=torch.randn(1, 3, 64, 64), labels=labels).loss_dict))"
    )
    printed = forked_python(code, whole[2] / "checkpoint-4", cwd=tmp_path)
    assert printed.strip() == "['cardinality_error', 'loss_bbox', 'loss_ce', 'loss_giou']"
