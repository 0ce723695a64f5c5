"""What each "Raises" of the plug for criteria of the DETR family says, and a call for each condition."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loss_plugins import build_loss, register_loss, unregister_loss
from loss_plugins.adapters.detr import (
    agreement,
    asked,
    box_probe,
    canary,
    class_probe,
    gain,
    matcher,
    plug,
    plug_of,
    saved,
    subclass,
)
from loss_plugins.adapters.detr.asked import Asked
from loss_plugins.adapters.detr.box_slot import BoxSlot
from loss_plugins.adapters.detr.class_slot import ClassSlot
from loss_plugins.adapters.detr.counting import Use
from loss_plugins.adapters.detr.examination import examined
from loss_plugins.adapters.detr.losses import Losses
from loss_plugins.adapters.detr.rebound import rebound
from tests.adapters.detr import own
from tests.adapters.detr.criteria import KNOWN, batch
from tests.house.raises_core import Table, plain

HERE = "adapters/detr"
LEAVING = "tests/adapters/detr/test_leaving.py::test_"


def box_slot(name: str = "eiou") -> BoxSlot:
    return BoxSlot(build_loss(name, reduction="none"), None)


def class_slot(name: str = "focal") -> ClassSlot:
    return ClassSlot(build_loss(name, reduction="none"))


def softmax_slot() -> ClassSlot:
    slot = class_slot("cross_entropy")
    class_probe.examine_scores(KNOWN["transformers ImageLoss"].build(), slot)
    return slot


def focal_slot(name: str) -> ClassSlot:
    slot = class_slot(name)
    class_probe.examine_scores(own.Criterion(), slot)
    return slot


class Constant(own.Criterion):
    """Returns a box loss of one's own, plugged or not."""

    def loss_boxes(self, *given: Any) -> Any:
        return own.Criterion().loss_boxes(*given)

    def loss_labels(self, *given: Any) -> Any:
        return own.Criterion().loss_labels(*given)


def looked_at(name: str) -> None:
    """A criterion that computes its own loss whatever was plugged."""
    slot: Any = box_slot("eiou") if name == "box" else focal_slot("varifocal")
    slot.key = "loss_giou" if name == "box" else "loss_ce"
    losses = Losses(slot, None) if name == "box" else Losses(None, slot)
    (canary.check_boxes if name == "box" else canary.check_scores)(Constant(), losses, slot)


def infinite(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().sum(-1) * torch.inf


def detached(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().sum(-1).detach()


def still(pred: Tensor, target: Tensor) -> Tensor:
    return 0 * (pred - target).sum(-1)


def with_own(function: Any, call: Any) -> None:
    """A call with the name of a loss of one's own."""
    register_loss("odd", kind="box")(function)
    try:
        call("odd")
    finally:
        unregister_loss("odd")


def used(**counts: Any) -> Use:
    found = Use()
    for name, value in counts.items():
        setattr(found, name, value)
    return found


def trained_elsewhere() -> None:
    criterion = own.Criterion()
    criterion.losses = ["labels"]
    with plug(criterion, box="eiou"):
        criterion(*own.layers())["loss_ce"].backward()


def validated_alone() -> None:
    criterion = own.Criterion()
    with plug(criterion, box="eiou"), torch.no_grad():
        criterion(*own.layers())


def without_backward() -> None:
    criterion = own.Criterion()
    with plug(criterion, box="eiou"):
        criterion(*own.layers())


def twice(criterion: Any) -> None:
    plug(criterion, box="eiou")
    plug(criterion, box="eiou")


def resumed(**state: Any) -> None:
    plug(own.Criterion(), box="eiou").load_state_dict(plug(own.Criterion(), **state).state_dict())


def loaded(**state: Any) -> None:
    saved.load_state("detr adapter", [box_slot()], plug(own.Criterion(), **state).state_dict())


def plugged(name: str) -> None:
    plug(own.Criterion(), box=name)


def looked_at_with(name: str) -> None:
    examined("here", own.Criterion(), Asked(box=name))


def matched(name: str) -> None:
    slot = box_slot(name)
    slot.stock = "giou"
    gain.match_boxes(slot)


def told_more() -> None:
    criterion = own.Telling()
    plug(criterion, box="eiou")
    criterion.loss_boxes(*batch(), scale=2)


class Raising(own.Criterion):
    """Cannot take such outputs."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> Any:
        raise AttributeError("no angles")


class Returning(own.Criterion):
    """Returns no losses by name."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> Any:
        return None


class Bound(torch.nn.Module):
    """Has its method as an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.loss_boxes = own.Criterion().loss_boxes


def shared() -> None:
    first, second = own.Criterion(), own.Criterion()
    second.matcher = first.matcher
    plug(first, box="eiou", matcher="match")
    matcher.matcher_plug("here", second, box_slot(), False)


DETR: Table = {
    (f"{HERE}/rebound.py::rebound", "TypeError"): {
        "it is no function written in Python": lambda *_: rebound(len, plain=1),
    },
    (f"{HERE}/rebound.py::rebound", "ValueError"): {
        "the function does not read a global of that name": lambda *_: rebound(plain, nothing=1),
    },
    (f"{HERE}/agreement.py::check_arguments", "UnsupportedCriterion"): {
        "it cannot be called with four": lambda *_: agreement.check_arguments(own.Listing(), "loss_boxes"),
        "needs one that nobody knows": lambda *_: agreement.check_arguments(own.Needing(), "loss_boxes"),
    },
    (f"{HERE}/agreement.py::check_method", "UnsupportedCriterion"): {
        "the object alone has it": lambda *_: agreement.check_method(Bound(), "loss_boxes"),
        "one that it wraps": lambda *_: agreement.check_method(torch.compile(own.Criterion()), "loss_boxes"),
    },
    (f"{HERE}/agreement.py::returned_by", "UnsupportedCriterion"): {
        "it returns something else": lambda *_: box_probe.examine_boxes(Returning(), box_slot()),
    },
    (f"{HERE}/agreement.py::answered", "UnsupportedCriterion"): {
        "it cannot take them, as one of rotated boxes": lambda *_: box_probe.examine_boxes(Raising(), box_slot()),
        "it returns something else": lambda *_: box_probe.examine_boxes(Returning(), box_slot()),
    },
    (f"{HERE}/asked.py::module_of", "TypeError"): {
        "something else": lambda *_: asked.module_of("here", "box", 3),
    },
    (f"{HERE}/asked.py::module_of", "ValueError"): {
        "an unknown loss": lambda *_: asked.module_of("here", "box", "eoiu"),
        "parameter": lambda *_: asked.module_of("here", "box", {"type": "eiou", "eps": -1.0}),
        "a reduction": lambda *_: asked.module_of("here", "box", {"type": "eiou", "reduction": "sum"}),
        "factors that train nothing": lambda *_: asked.module_of("here", "box", {"type": "eiou", "loss_weight": 0.0}),
    },
    (f"{HERE}/asked.py::Asked.check_any", "ValueError"): {"none is": lambda *_: Asked().check_any("here")},
    (f"{HERE}/asked.py::upright_module", "ValueError"): {
        "one of something else": lambda *_: asked.upright_module("here", "kld", "we compare"),
        "boxes in another form": lambda *_: asked.upright_module(
            "here", {"type": "eiou", "box_format": "cxcywh"}, "we compare"
        ),
    },
    (f"{HERE}/asked.py::box_module", "ValueError"): {
        "no loss of axis-aligned boxes": lambda *_: asked.box_module("here", "kld", None, "nobody says"),
        "its constants are in pixels, and nobody says how many there are": lambda *_: asked.box_module(
            "here", "nwd", None, "nobody says"
        ),
    },
    (f"{HERE}/asked.py::checked_size", "TypeError, ValueError"): {
        "something else": lambda *_: asked.checked_size("here", 640),
        "sides that are no lengths": lambda *_: asked.checked_size("here", (0, 640)),
    },
    (f"{HERE}/base.py::BasePlug.require_use", "LossNotUsed"): {
        "nothing was computed in training": lambda *_: plug(own.Criterion(), box="eiou").require_use(),
        "a loss was not computed there": lambda *_: trained_elsewhere(),
        "nothing learnt from it": lambda *_: without_backward(),
    },
    (f"{HERE}/base.py::BasePlug.set_progress", "ValueError"): {
        "it is not from 0 to 1": lambda *_: plug(own.Criterion(), box="uiou").set_progress(2.0),
    },
    (f"{HERE}/base.py::BasePlug.load_state_dict", "ValueError"): {
        "its losses were others": lambda *_: resumed(box="siou"),
    },
    (f"{HERE}/losses.py::Losses.check_matcher", "LossNotUsed"): {
        "somebody has put it there": (
            "tests/adapters/detr/test_replaced.py::test_a_matcher_that_replaces_the_one_with_the_new_cost_is_told"
        ),
    },
    (f"{HERE}/box_probe.py::examine_boxes", "UnsupportedCriterion"): {
        "its losses of fixed outputs are not those known, in value": lambda *_: box_probe.examine_boxes(
            own.Doubling(), box_slot()
        ),
        "gradient": lambda *_: box_probe.examine_boxes(own.Detached(), box_slot()),
    },
    (f"{HERE}/class_probe.py::_leaves_padding_out", "UnsupportedCriterion"): {
        "its loss is neither with these rows nor without them the one that is known": (
            "tests/adapters/detr/test_padding.py::test_a_class_loss_that_counts_them_otherwise_is_refused"
        ),
    },
    (f"{HERE}/class_probe.py::examine_scores", "UnsupportedCriterion"): {
        "there is not one class loss": lambda *_: class_probe.examine_scores(torch.nn.Identity(), class_slot()),
        "it is none of those known, in value or gradient": lambda *_: class_probe.examine_scores(
            KNOWN["rfdetr SetCriterion, position-supervised"].build(), class_slot()
        ),
    },
    (f"{HERE}/canary.py::check_boxes", "UnsupportedCriterion"): {
        "value or gradient differ": lambda *_: looked_at("box"),
        "are not finite": lambda *_: with_own(infinite, plugged),
        "there is no gradient": lambda *_: with_own(detached, plugged),
    },
    (f"{HERE}/canary.py::check_scores", "UnsupportedCriterion"): {
        "as above": lambda *_: looked_at("cls"),
    },
    (f"{HERE}/counting.py::Use.require", "LossNotUsed"): {
        "it was not": lambda *_: used().require("the loss", 1),
    },
    (f"{HERE}/examination.py::examined", "UnsupportedCriterion"): {
        "its losses are none that are known": lambda *_: examined("here", own.Doubling(), Asked(box="eiou")),
        "a new one does not come back through it": lambda *_: with_own(detached, looked_at_with),
    },
    (f"{HERE}/examination.py::examined", "ValueError, TypeError"): {
        "what was asked for does not go with the criterion": lambda *_: examined(
            "here", own.Criterion(), Asked(cls="cross_entropy")
        ),
    },
    (f"{HERE}/gain.py::match_boxes", "ValueError"): {
        "one of the losses has no gradient on the fixed set": lambda *_: with_own(still, matched),
    },
    (f"{HERE}/gain.py::match_scores", "ValueError"): {
        "the stock loss is one of softmax": lambda *_: gain.match_scores(softmax_slot()),
        "what is right for positives is wrong for negatives": lambda *_: gain.match_scores(
            focal_slot("bce_with_logits")
        ),
    },
    (f"{HERE}/matcher.py::matcher_plug", "UnsupportedCriterion"): {
        "there is no matcher with a GIoU cost": lambda *_: matcher.matcher_plug(
            "here", torch.nn.Identity(), box_slot(), False
        ),
    },
    (f"{HERE}/matcher.py::matcher_plug", "ValueError"): {
        "the matcher is shared with a criterion that has a plug": lambda *_: shared(),
        "the loss keeps a running statistic": lambda *_: matcher.matcher_plug(
            "here", own.Criterion(), box_slot("wiou"), False
        ),
    },
    (f"{HERE}/plug.py::plug", "UnsupportedCriterion"): {
        "its losses are none that are known; the message has both numbers": lambda *_: plug(own.Doubling(), box="eiou"),
    },
    (f"{HERE}/plug.py::plug", "ValueError, TypeError"): {
        "a loss": lambda *_: plug(own.Criterion(), box="l1"),
        "an argument that does not go with the criterion": lambda *_: plug(own.Criterion, box="eiou"),
        "a second plug on it": lambda *_: twice(own.Criterion()),
    },
    (f"{HERE}/plug.py::plug_of", "ValueError"): {"it has none": lambda *_: plug_of(own.Criterion())},
    (f"{HERE}/making.py::put_in", "UnsupportedCriterion"): {
        "its class cannot be changed": lambda *_: subclass.put_in(own.Slotted(), Losses(box_slot(), None)),
    },
    (f"{HERE}/saved.py::load_state", "TypeError"): {
        "it is no dict": lambda *_: saved.load_state("here", [box_slot()], None),  # type: ignore[arg-type]
    },
    (f"{HERE}/saved.py::load_state", "ValueError"): {
        "its losses were others": lambda *_: loaded(cls="focal"),
    },
    (f"{HERE}/steps.py::Steps.run", "LossNotUsed"): {
        "a few calls were trained with, and a loss was not used in them": LEAVING
        + "a_training_that_leaves_the_loss_out_ends_after_some_calls",
    },
    (f"{HERE}/steps.py::Steps.alone", "LossNotUsed"): {
        "a few were trained with, and a loss was not used in them": LEAVING
        + "methods_of_losses_that_are_called_by_themselves_are_proven_too",
    },
    (f"{HERE}/steps.py::Steps.require_training", "LossNotUsed"): {
        "it was not called": lambda *_: Losses(box_slot(), None).require_training("it", "why?"),
        "without gradients alone": lambda *_: validated_alone(),
    },
    (f"{HERE}/subclass.py::put_in", "UnsupportedCriterion"): {
        "its class cannot be changed": lambda *_: subclass.put_in(own.Slotted(), Losses(box_slot(), None)),
    },
    (f"{HERE}/subclass.py::_read", "UnsupportedCriterion"): {
        "one that nobody knows would be lost": lambda *_: told_more(),
    },
}
