"""What each "Raises" of the transformers adapter says, and a call for each condition, or where it is proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from loss_plugins.adapters.transformers import Plug, plug, plug_again, plug_of, unplug
from loss_plugins.adapters.transformers.record import read_record
from loss_plugins.adapters.transformers.stock import stock_of
from tests.adapters.transformers.models import build, built
from tests.house.raises_core import Table

HERE = "adapters/transformers"
TRAINER = "tests/adapters/transformers/test_trainer.py::test_"
REFUSALS = "tests/adapters/transformers/test_refusals.py::test_"
NAME = "YolosForObjectDetection"
OTHERS = TRAINER + "other_losses_than_those_of_the_checkpoint_are_refused"
TORN = TRAINER + "a_checkpoint_without_record_or_with_a_torn_one_is_refused"
TAKEN_OUT = TRAINER + "a_training_whose_losses_are_taken_out_ends"
ANOTHER = TRAINER + "a_training_with_another_loss_ends"


def plugged(**losses: Any) -> Plug:
    return plug(build(NAME), **losses)


def torn(folder: Path) -> None:
    (folder / "loss_plugins.yaml").write_text("{", encoding="utf-8")
    read_record(folder)


TRANSFORMERS: Table = {
    (f"{HERE}/plug.py::plug", "TypeError"): {
        "it is no model of transformers": lambda *_: plug(torch.nn.Linear(1, 1), box="eiou"),
    },
    (f"{HERE}/plug.py::plug", "ValueError"): {
        "a loss or an argument that does not go with the model": lambda *_: plug(built(NAME), box="focal"),
        "a second plug on it": REFUSALS + "no_loss_a_second_plug_and_no_plug_are_refused",
    },
    (f"{HERE}/plug.py::plug", "UnsupportedCriterion"): {
        "the model computes no loss of boxes": "tests/adapters/transformers/test_models.py::"
        "test_a_model_of_masks_is_refused",
        "none that is known": lambda *_: plug(built("GroundingDinoForObjectDetection"), cls="focal"),
    },
    (f"{HERE}/plug.py::plug_again", "ValueError"): {"its config names none": lambda *_: plug_again(built(NAME))},
    (f"{HERE}/plug.py::plug_of", "ValueError"): {"it has none": lambda *_: plug_of(built(NAME))},
    (f"{HERE}/plug.py::unplug", "TypeError"): {
        "it is no model of transformers": lambda *_: unplug(torch.nn.Linear(1, 1))
    },
    (f"{HERE}/stock.py::stock_of", "TypeError"): {"it is no model of transformers": lambda *_: stock_of(3)},
    (f"{HERE}/stock.py::stock_of", "UnsupportedCriterion"): {
        "it computes no loss of boxes": REFUSALS + "a_model_of_something_else_is_refused",
        "not by its loss function": "tests/adapters/transformers/test_models.py::test_a_model_of_masks_is_refused",
    },
    (f"{HERE}/record.py::read_record", "ValueError"): {
        "there is none": lambda _, folder: read_record(folder),
        "it cannot be read": lambda _, folder: torn(folder),
    },
    (f"{HERE}/callback.py::PlugCallback.on_train_begin", "LossNotUsed"): {
        "another model is trained": TRAINER + "another_model_than_the_plugged_one_is_not_trained",
        "the losses were taken out": TAKEN_OUT,
    },
    (f"{HERE}/callback.py::PlugCallback.on_train_begin", "ValueError"): {
        "the checkpoint was trained with other losses": OTHERS,
        "says nothing of them": TORN,
    },
    (f"{HERE}/callback.py::PlugCallback.on_step_end", "LossNotUsed"): {"they were not": ANOTHER},
    (f"{HERE}/callback.py::PlugCallback.on_save", "LossNotUsed"): {"the losses were taken out": TAKEN_OUT},
    (f"{HERE}/callback.py::PlugCallback.on_train_end", "LossNotUsed"): {"they were not": ANOTHER},
    (f"{HERE}/callback.py::PlugCallback._resume", "ValueError"): {
        "it was trained with other losses": OTHERS,
        "says nothing of them": TORN,
    },
}
