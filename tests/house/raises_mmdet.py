"""What each "Raises" of MMDetection's adapter says, and a call for each condition, or the test that has it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from loss_plugins import Loss, build_loss, get_entry
from loss_plugins.adapters.mmdet.box_modules import BoxLoss
from loss_plugins.adapters.mmdet.hook import LossPluginsHook
from loss_plugins.adapters.mmdet.image_size import size_of
from loss_plugins.adapters.mmdet.modules import PluggedLoss
from loss_plugins.adapters.mmdet.registration import register
from loss_plugins.adapters.mmdet.training_parity import curve
from loss_plugins.module.image_size import filled
from tests.house.raises_core import Table

HOOKS = "tests/adapters/mmdet/test_hook.py::test_"


class EIoU(PluggedLoss):
    """A plugged loss as the registry makes them."""

    entry = get_entry("eiou")


class MPDIoU(BoxLoss):
    """As EIoU, with a size of the image."""

    entry = get_entry("mpdiou")


BOXES = torch.rand(3, 4)


def both(other: str, size: tuple[int, int] = (3, 4)) -> Loss:
    """A mix of mpdiou and another loss, whose image size is (1, 1) where it has one."""
    spec = filled({"type": "mix", "losses": [other, {"type": "mpdiou", "image_size": size}]})
    return build_loss(spec)


def runner(model: nn.Module, folder: Path) -> Any:
    """As much of a runner as the hook looks at."""
    logger = SimpleNamespace(info=print)
    return SimpleNamespace(model=model, work_dir=str(folder), logger=logger, rank=0, iter=4, cfg={})


def without_our_losses(folder: Path) -> None:
    LossPluginsHook().before_train(runner(nn.Linear(1, 1), folder))


AFTER_AN_EPOCH = (
    "after the first epoch (in loops without epochs, after the data were passed once), one that no head of any rank "
    "has called"
)
SIZES = "tests/adapters/mmdet/test_image_size.py::test_"
RESUMED = "tests/adapters/mmdet/test_resume.py::test_"
MMDET: Table = {
    ("adapters/mmdet/hook.py::LossPluginsHook", "SenselessSlot"): {
        "before training, naming each config key to set": HOOKS + "senseless_places_are_refused",
    },
    ("adapters/mmdet/hook.py::LossPluginsHook", "LossNotUsed"): {
        "no loss of loss_plugins in the model": lambda _, folder: LossPluginsHook().before_train(
            runner(nn.Linear(1, 1), folder)
        ),
        AFTER_AN_EPOCH: HOOKS + "a_loss_that_nobody_calls_is_an_error",
    },
    ("adapters/mmdet/hook.py::LossPluginsHook", "ValueError"): {
        "before training, a path in `allow` where no loss of loss_plugins is": HOOKS + "allowed_paths_have_a_loss",
        "the checkpoint of a resumed run was trained with other losses": RESUMED
        + "another_loss_is_refused_before_training",
        "While training, a batch whose images have another size than `image_size`": SIZES
        + "another_one_ends_the_training_at_the_first_such_batch",
    },
    ("adapters/mmdet/image_size.py::ImageSize.scaled", "ValueError"): {
        "the size is neither given nor known of the batch": lambda *_: MPDIoU()(BOXES, BOXES),
    },
    ("adapters/mmdet/image_size.py::size_of", "ValueError"): {
        "of a mix, some losses were given a size and others not": lambda *_: size_of(both("mpdiou"), left_out=True),
        "sizes are left out, so that boxes come in sides of the image, and another loss needs pixels": (
            lambda *_: size_of(both("nwd", (1, 1)), left_out=True)
        ),
    },
    ("adapters/mmdet/resuming.py::check_resumed", "ValueError"): {
        "the checkpoint was trained with other losses": RESUMED + "another_loss_is_refused_before_training",
        "what it says of them cannot be read": RESUMED + "a_stamp_of_something_else_is_refused",
    },
    ("adapters/mmdet/longtail.py::CountedLoss.take_classes", "ValueError"): {
        "the config of the loss says another number": lambda *_: register("EFLLoss")(num_classes=3).take_classes(4),
    },
    ("adapters/mmdet/longtail.py::tell_classes", "ValueError"): {
        "the config of a loss says another number": "tests/adapters/mmdet/test_longtail.py::test_"
        "the_number_of_classes_is_filled_in_or_checked_before_a_one_stage_head_trains",
    },
    ("adapters/mmdet/longtail.py::Seesaw.parts", "ValueError"): {
        "there are not two more than there are classes": lambda *_: register("SeesawLoss")(num_classes=3).parts(
            torch.zeros(2, 4)
        ),
    },
    ("adapters/mmdet/modules.py::PluggedLoss", "TypeError"): {
        "unknown parameters; the error names each": lambda *_: EIoU(gama=1, alfa=2),
    },
    ("adapters/mmdet/modules.py::PluggedLoss", "ValueError"): {"a parameter out of range": lambda *_: EIoU(eps=-1.0)},
    ("adapters/mmdet/training_parity.py::curve", "RuntimeError"): {
        "an equivalent was never called": lambda _, folder: curve("RetinaNet", folder / "run", True, 0),
    },
}
