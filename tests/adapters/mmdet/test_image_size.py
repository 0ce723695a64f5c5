"""MPDIoU gets the size of the images of each batch as the network sees them; a wrong or unknown one is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

import loss_plugins as lp
from loss_plugins.adapters.mmdet.canary import canary
from loss_plugins.adapters.mmdet.image_size import follow_batches
from loss_plugins.adapters.mmdet.inspection import inspect

from .sized import BOXES, IMAGES, PADDED, Sized, data, saved_models, shifted, training
from .unheard import Unheard

MPDIOU = {"type": "loss_plugins.MPDIoULoss"}
MIX = {"type": "loss_plugins.MixLoss", "losses": [{"type": "loss_plugins.CIoULoss", "loss_weight": 0.5}, "MPDIoULoss"]}
#: the loss, and the share of ciou in it
LOSSES: dict[str, tuple[dict[str, Any], float]] = {
    "alone": (MPDIOU, 0.0),
    "mixed": (MIX, 0.5),
    "in a mix of a mix": ({**MIX, "losses": [{"type": "mix", "losses": ["mpdiou"]}]}, 0.0),
}


def by_hand(size: tuple[int, int], ciou: float = 0.0) -> float:
    pred = shifted(BOXES)
    losses = lp.mpdiou_loss(pred, BOXES, image_size=size) + ciou * lp.ciou_loss(pred, BOXES)
    return float(losses.mean())


@pytest.mark.parametrize("kind", LOSSES)
def test_a_training_gets_that_of_each_batch(kind: str, tmp_path: Path) -> None:
    loss, ciou = LOSSES[kind]
    model = Sized(loss)
    training(tmp_path, model, IMAGES).train()
    wanted = [by_hand(size, ciou) for size in PADDED]
    assert wanted != pytest.approx([by_hand(size, ciou) for size in IMAGES], rel=1e-3)
    assert model.said == pytest.approx(wanted, rel=1e-5)
    assert "image_size" not in (tmp_path / "loss_plugins.yaml").read_text()
    with pytest.raises(ValueError, match="nobody tells"):  # the training has ended
        model.bbox_head.loss_bbox(BOXES, BOXES)


def test_without_the_hook_the_first_call_says_what_to_do(tmp_path: Path) -> None:
    runner = training(tmp_path, Sized(MPDIOU), IMAGES, hooks={})
    with pytest.raises(ValueError, match=r"image_size was left out.*add LossPluginsHook, default_hooks.*or give image"):
        runner.train()


def test_the_canary_gets_that_of_its_scene() -> None:
    trial = canary(Unheard({"loss_box": MPDIOU}))
    assert trial.error is None
    assert trial.scene is not None
    (call,) = trial.calls("odd_head.loss_box")
    wanted = lp.build_loss("mpdiou", image_size=trial.scene.size)(call.pred, call.target, avg_factor=call.avg_factor)
    torch.testing.assert_close(call.result, wanted)
    assert inspect(Unheard({"loss_box": MPDIOU})).findings == []


def test_a_slot_without_pixels_is_refused() -> None:
    (finding,) = inspect(Unheard({"loss_box": MPDIOU}, "shares")).findings
    assert "mpdiou needs pixels" in finding.message


# --- a size in the config ---------------------------------------------------------------------------------------


def test_one_that_is_given_is_taken_where_each_batch_has_it(tmp_path: Path) -> None:
    model = Sized({**MPDIOU, "image_size": PADDED[0]})
    training(tmp_path, model, [IMAGES[0]] * 2).train()
    assert model.said == pytest.approx([by_hand(PADDED[0])] * 2, rel=1e-6)


@pytest.mark.parametrize(("given", "batches"), [(PADDED[0], 1), ((1, 1), 0)])
def test_another_one_ends_the_training_at_the_first_such_batch(
    given: tuple[int, int], batches: int, tmp_path: Path
) -> None:
    model = Sized({**MPDIOU, "image_size": given})
    wanted = rf"image_size=\[{given[0]:.1f}, {given[1]:.1f}\], and the images of this batch.*leave image_size out"
    with pytest.raises(ValueError, match=wanted):
        training(tmp_path, model, IMAGES).train()
    assert len(model.said) == batches


def test_another_one_may_be_allowed(tmp_path: Path) -> None:
    model = Sized({**MPDIOU, "image_size": PADDED[0]})
    training(tmp_path, model, IMAGES, allow=["bbox_head.loss_bbox"]).train()
    assert model.said == pytest.approx([by_hand(PADDED[0])] * 2, rel=1e-6)


def test_losses_of_a_mix_get_boxes_of_one_unit() -> None:
    nwd = {"type": "loss_plugins.NWDLoss"}
    with pytest.raises(ValueError, match=r"nwd needs pixels, and mpdiou sides of the image.*give image_size"):
        MODELS.build({**MIX, "losses": [nwd, MPDIOU]})
    given = {**MPDIOU, "image_size": (64, 96)}
    loss = MODELS.build({**MIX, "losses": [nwd, given]})
    torch.testing.assert_close(loss(shifted(BOXES), BOXES), loss.loss(shifted(BOXES), BOXES))
    with pytest.raises(ValueError, match=r"one has image_size=\[64.0, 96.0\], and another has none.*all or none"):
        MODELS.build({**MIX, "losses": [MPDIOU, given]})


@pytest.mark.parametrize("config", [*(loss for loss, _ in LOSSES.values()), {**MPDIOU, "image_size": [64, 96]}])
def test_a_loss_is_built_again_from_what_it_says_of_itself(config: dict[str, Any]) -> None:
    loss = MODELS.build(config)
    again = MODELS.build(loss.spec())
    assert again.spec() == loss.spec()
    assert again.image == loss.image


def test_images_that_do_not_train_may_have_another_size() -> None:
    """Those of a validation are resized in another way."""
    model = Sized({**MPDIOU, "image_size": (64, 96)})
    follow_batches(model, ())
    samples = [each["data_samples"] for each in data(IMAGES[:1])]
    model.eval()(torch.zeros(1, 3, 32, 32), samples)
    with pytest.raises(ValueError, match="the images of this batch have"):
        model.train()(torch.zeros(1, 3, 32, 32), samples)


def test_a_model_in_training_is_saved_and_copied_whole(tmp_path: Path) -> None:
    first = saved_models(training(tmp_path, Sized(MPDIOU), IMAGES))[0]
    samples = [each["data_samples"] for each in data(IMAGES[:1])]
    for model in (first, copy.deepcopy(first)):
        model(torch.zeros(1, 3, 32, 32), samples)
        assert model.bbox_head.loss_bbox.image.batch == (32, 32)


# --- models with several batches in one --------------------------------------------------------------------------


class Two(nn.Module):
    """As semi-supervised models are: two copies, of which one is trained."""

    def __init__(self, loss: dict[str, Any]) -> None:
        super().__init__()
        self.student, self.teacher = Sized(loss), Sized(loss)


def test_semi_supervised_models_need_one() -> None:
    (finding,) = inspect(Two(MPDIOU)).findings
    assert finding.slot.path == "student.bbox_head.loss_bbox"
    assert "give image_size=(height, width)" in finding.message
    assert inspect(Two({**MPDIOU, "image_size": (64, 96)})).findings == []


class Sizeless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loss_bbox = MODELS.build(MPDIOU)

    def forward(self, inputs: Any) -> Any:
        return self.loss_bbox(BOXES, BOXES)


@pytest.mark.parametrize("inputs", [{"sup": torch.zeros(1, 3, 8, 8)}, [torch.zeros(3, 8, 8)]])
def test_inputs_that_are_no_images_tell_nothing(inputs: Any) -> None:
    model = Sizeless()
    assert follow_batches(model, ()) is not None
    model(torch.zeros(1, 3, 8, 8))
    assert model.loss_bbox.image.batch == (8, 8)
    for call in (lambda: model(inputs=inputs), lambda: model(inputs)):
        with pytest.raises(ValueError, match="nobody tells"):
            call()


def test_a_model_without_such_losses_is_left_alone() -> None:
    assert follow_batches(Sized({"type": "loss_plugins.CIoULoss"}), ()) is None
