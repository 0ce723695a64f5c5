# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which losses the class slot and the mask slot take: those of logits with soft targets, one number each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.catalog.ranges import Choice

SCORES = [entry for entry in shipped() if entry.kind in ("classification", "region")]
SLOTS = {"classification": ("cls", "mask"), "region": ("mask",)}
#: a loss of the kind that fits, to mix others with
FITS = {"classification": "bce_with_logits", "region": "dice"}


def variants(entry: Entry) -> Iterator[lp.Loss]:
    """The loss as it is, and with each value of each parameter that is chosen from a list."""
    yield lp.build_loss(entry.name, **entry.example, reduction="none")
    for name, parameter in entry.parameters.items():
        if isinstance(parameter.allowed, Choice):
            for value in parameter.allowed.values:
                try:
                    yield lp.build_loss(entry.name, **{**entry.example, name: value}, reduction="none")
                except ValueError:  # it goes with another parameter
                    continue


def is_computed(loss: lp.Loss) -> bool:
    """Whether soft targets are taken, to a number for each score, or for each mask."""
    shape = (6, 1) if loss.entry.kind == "classification" else (3, 1, 4, 4)
    pred = torch.zeros(shape)
    try:
        return loss.elementwise(pred, pred + 0.5).shape == (shape if len(shape) == 2 else shape[:1])
    except ValueError:
        return False


def refused(**losses: Any) -> str:
    """Why they are; "" if they are not."""
    try:
        lpu.make_spec(**losses)
    except (ValueError, TypeError) as error:
        return str(error)
    return ""


@contextmanager
def registered(function: Callable[[Tensor, Tensor], Tensor], kind: str) -> Iterator[str]:
    lp.register_loss("test_fits", kind=kind)(lambda pred, target: function(pred, target))  # type: ignore[arg-type]
    try:
        yield "test_fits"
    finally:
        lp.unregister_loss("test_fits")


def learns_of_pixels(entry: Entry) -> bool:
    """Whether a running statistic learns from each pixel: not from IoUs, and not from gradients, outside of boxes 0."""
    of_gradient = any(state.of_gradient for state in entry.states.values())
    return "dense" in entry.targets and "target_iou" not in entry.targets and not of_gradient


@pytest.mark.parametrize("entry", SCORES, ids=lambda entry: entry.name)
def test_losses_of_logits_are_taken_and_all_others_refused(entry: Entry) -> None:
    for loss in variants(entry):
        traits, computed = loss.entry.traits, is_computed(loss)
        for slot in SLOTS[entry.kind]:
            reason = refused(**{slot: loss})
            if traits.scale != "logits":
                assert f"wants {traits.scale.replace('_', '-')}, and gets logits" in reason, loss.spec()
            elif slot == "mask" and traits.stateful and learns_of_pixels(entry):
                assert "depends on pixels outside of the boxes" in reason
            else:
                assert (reason == "") == computed, (loss.spec(), reason)
                assert "probabilities" not in reason.partition("; allowed")[0]


@pytest.mark.parametrize("entry", SCORES, ids=lambda entry: entry.name)
def test_a_mix_has_members_of_logits_alone(entry: Entry) -> None:
    """Beside five times a loss of logits the sum may fall, and a member be of no use."""
    for number, loss in enumerate(variants(entry)):
        if number and loss.entry.traits.scale == entry.traits.scale:
            continue
        spec = {**loss.spec(), "loss_weight": 1e-3}
        del spec["reduction"]
        for slot in SLOTS[entry.kind]:
            mix = {"type": "mix", "losses": [{"type": FITS[entry.kind], "loss_weight": 5.0}, spec]}
            assert bool(refused(**{slot: mix})) == bool(refused(**{slot: loss})), spec


@pytest.mark.parametrize("entry", SCORES, ids=lambda entry: entry.name)
def test_a_loss_that_does_not_say_what_it_takes_is_tried(entry: Entry) -> None:
    for loss in variants(entry):
        if loss.entry.traits.scale != "logits" and is_computed(loss):
            with registered(loss.elementwise, entry.kind) as name:
                for slot in SLOTS[entry.kind]:
                    reason = refused(**{slot: name})
                    if "pred holds -8" not in reason:  # its own refusal
                        assert "does not fall as logits move towards their targets" in reason, loss.spec()
                        assert ("(it wants probabilities?)" in reason) == (loss.entry.traits.scale == "probabilities")


def signs(target: Tensor) -> Tensor:
    return 2 * target - 1


def lovasz_hinge(logits: Tensor, target: Tensor) -> Tensor:
    """The convex extension of the Jaccard loss on hinge errors (Berman et al. 2018), one number per mask."""
    errors, order = (1 - logits * signs(target)).flatten(1).sort(descending=True)
    truth = target.flatten(1).gather(1, order)
    inside = truth.sum(1, keepdim=True) - truth.cumsum(1)
    around = truth.sum(1, keepdim=True) + (1 - truth).cumsum(1)
    steps = torch.diff(1 - inside / around, dim=1, prepend=torch.zeros(len(truth), 1))
    return (errors.relu() * steps).sum(1)


OWN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "hinge": lambda x, t: (1 - x * signs(t)).relu(),
    "squared hinge": lambda x, t: (1 - x * signs(t)).relu().square(),
    "perceptron": lambda x, t: (-x * signs(t)).relu(),
    "squared error": lambda x, t: (x - t).square(),
    "absolute error": lambda x, t: (x - t).abs(),
    "unbounded below": lambda x, t: -x * signs(t),
    "of the wrong sign": lambda x, t: torch.nn.functional.softplus(x * signs(t)),
    "constant": lambda x, t: x * 0 + 1,
}
#: a loss of a user's, and whether it fits; else whether it would if it were given probabilities
FITTING = dict(zip(OWN, ["yes", "yes", "yes", "probabilities", "probabilities", "no", "no", "no"], strict=True))


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("slot", ["cls", "mask"])
def test_margins_fit_and_the_hint_is_true(name: str, slot: str) -> None:
    with registered(OWN[name], "classification") as own:
        reason = refused(**{slot: own})
    assert (reason == "") == (FITTING[name] == "yes"), reason
    assert ("(it wants probabilities?)" in reason) == (FITTING[name] == "probabilities"), reason


def test_the_lovasz_hinge_fits_masks() -> None:
    with registered(lovasz_hinge, "region") as own:
        assert refused(mask=own) == ""


SMOOTHED: list[tuple[str, Any]] = [
    *(
        (slot, {"type": name, "label_smoothing": 0.1})
        for slot in ("cls", "mask", "sem")
        for name in ("bce_with_logits", "focal")
    ),
    ("cls", {"type": "bce_with_logits", "dialect": "smp", "smooth_factor": 0.1}),
    (
        "cls",
        {"type": "mix", "losses": ["focal", {"type": "bce_with_logits", "label_smoothing": 0.1, "pos_weight": [1, 2]}]},
    ),
    ("sem", {"type": "cross_entropy", "label_smoothing": 0.1}),
    ("sem", {"type": "mix", "losses": [{"type": "cross_entropy", "label_smoothing": 0.1}, "lovasz_softmax"]}),
]


@pytest.mark.parametrize(("slot", "spec"), SMOOTHED)
def test_smoothed_labels_fit_though_their_minimum_is_not_the_target(slot: str, spec: Any) -> None:
    made = getattr(lpu.make_spec(**{slot: spec}), slot)
    assert [each["label_smoothing"] for each in made.get("losses", [made]) if each.get("label_smoothing")] in (
        [0.1],
        [0.2],
    )


def test_labels_that_are_smoothed_to_nothing_are_refused() -> None:
    assert "does not fall" in refused(cls={"type": "bce_with_logits", "label_smoothing": 1.0})
