"""What each "Raises" of the torchvision adapter says, and a call for each condition, or where it is proved."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.detection import fcos

from loss_plugins.adapters.torchvision import plug, unplug
from loss_plugins.adapters.torchvision.asked import box_module, class_module
from loss_plugins.adapters.torchvision.parts import places
from loss_plugins.adapters.torchvision.seat import Seat
from loss_plugins.adapters.torchvision.subclass import put_in
from tests.house.raises_core import Table

HERE = "adapters/torchvision"
TESTS = "tests/adapters/torchvision"
REFUSALS, PLUG = f"{TESTS}/test_refusals.py::test_", f"{TESTS}/test_plug.py::test_"


def head() -> nn.Module:
    return fcos.FCOSHead(32, 1, 2, 1)  # type: ignore[no-any-return]


def two_heads() -> nn.Module:
    return nn.ModuleList([head(), head()])


class OfOneClass(fcos.FCOSHead):
    """A head that does not let its class be changed."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "__class__":
            raise TypeError("it stays what it is")
        super().__setattr__(name, value)  # type: ignore[arg-type]


TORCHVISION: Table = {
    (f"{HERE}/asked.py::box_module", "TypeError"): {"something else than a loss": lambda *_: box_module(3)},
    (f"{HERE}/asked.py::box_module", "ValueError"): {
        "an unknown loss": lambda *_: box_module("coiu"),
        "one of something else": lambda *_: box_module("kld"),
        "of boxes in another form": lambda *_: box_module({"type": "ciou", "box_format": "cxcywh"}),
        "one that needs the size of the images": lambda *_: box_module("mpdiou"),
    },
    (f"{HERE}/asked.py::class_module", "TypeError"): {"something else than a loss": lambda *_: class_module(3)},
    (f"{HERE}/asked.py::class_module", "ValueError"): {
        "an unknown loss": lambda *_: class_module("focla"),
        "one of something else": lambda *_: class_module("cross_entropy"),
    },
    (f"{HERE}/gain.py::match", "ValueError"): {
        "one of the losses has no gradient on the fixed set": REFUSALS + "a_loss_without_gradient_has_no_gain",
        "what is right for positive scores is wrong for negative ones": (
            lambda *_: plug(head(), cls="asymmetric", gain="match")
        ),
    },
    (f"{HERE}/parts.py::places", "UnsupportedModel"): {
        "nowhere": lambda *_: places(nn.Linear(1, 1), "box"),
        "in a part that is not served": REFUSALS + "models_that_are_not_served_are_named",
        "in several": lambda *_: places(two_heads(), "box"),
    },
    (f"{HERE}/parts.py::knows_boxes", "UnsupportedModel"): {
        "it is held by something else than torchvision's head": (
            REFUSALS + "a_head_around_the_scores_that_is_another_is_refused"
        ),
    },
    (f"{HERE}/plug.py::plug", "UnsupportedModel"): {
        "the model has no such head": lambda *_: plug(nn.Linear(1, 1), box="ciou"),
        "one whose losses are not those known": (
            REFUSALS + "a_head_whose_loss_is_another_is_refused_with_both_numbers"
        ),
    },
    (f"{HERE}/plug.py::plug", "ValueError, TypeError"): {
        "a loss": lambda *_: plug(head(), box="kld"),
        "an argument that does not go with the model": lambda *_: plug(head(), box="ciou", gain="mtch"),
        "a second plug on it": PLUG + "a_second_plug_is_refused_and_changes_nothing",
    },
    (f"{HERE}/plug.py::unplug", "TypeError"): {"it is no module": lambda *_: unplug(torch.ones(1))},
    (f"{HERE}/probe.py::examine", "UnsupportedModel"): {
        "its losses of fixed outputs are not those known, in value or gradient": (
            REFUSALS + "a_head_whose_loss_is_another_is_refused_with_both_numbers"
        ),
    },
    (f"{HERE}/probe.py::check_live", "UnsupportedModel"): {
        "value or gradient differ": REFUSALS + "a_loss_that_changes_from_call_to_call_is_refused",
        "are not finite": REFUSALS + "a_loss_that_is_not_finite_is_refused",
        "there is no gradient": REFUSALS + "a_loss_without_gradient_is_refused",
    },
    (f"{HERE}/probe.py::check_live", "ValueError"): {
        "the loss does not take what the part gives it": PLUG + "a_plug_that_fails_leaves_the_model_as_it_was",
    },
    (f"{HERE}/probe.py::_tried", "UnsupportedModel"): {
        "it cannot be called as torchvision's own": REFUSALS + "a_head_that_cannot_be_called_is_refused",
    },
    (f"{HERE}/subclass.py::put_in", "UnsupportedModel"): {
        "its class cannot be changed": lambda *_: put_in(OfOneClass(32, 1, 2, 1), Seat({})),
    },
}
