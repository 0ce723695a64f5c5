"""A mix of two box losses that share each box by the size of its target."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import loss_plugins as lp
from loss_plugins.adapters.ultralytics.spec import make_spec

#: squares of sides 0, 16, 32 and 96, of which the first weighs 1, 4/5, 1/2 and 1/10 at 32
SIDES, SHARES = torch.tensor([0.0, 16, 32, 96]), torch.tensor([1.0, 0.8, 0.5, 0.1])
TARGET = torch.stack((0 * SIDES, 0 * SIDES, SIDES, SIDES), dim=-1) + 10
PRED = TARGET + torch.tensor([2.0, -1, 3, 5])
GATED = {"type": "mix", "losses": ["nwd", {"type": "ciou", "loss_weight": 2.0}], "gate": "size", "at": 32}


def apart() -> tuple[torch.Tensor, torch.Tensor]:
    return lp.nwd_loss(PRED, TARGET), 2 * lp.ciou_loss(PRED, TARGET)


def test_the_first_loss_weighs_most_where_targets_are_small() -> None:
    loss = lp.build_loss(GATED)
    first, second = apart()
    wanted = SHARES * first + (1 - SHARES) * second
    torch.testing.assert_close(loss(PRED, TARGET, reduction_override="none"), wanted)
    torch.testing.assert_close(loss(PRED, TARGET), wanted.mean())
    weight = torch.tensor([1.0, 0, 2, 1])
    torch.testing.assert_close(loss(PRED, TARGET, weight, avg_factor=3), (weight * wanted).sum() / 3)
    torch.testing.assert_close(loss(PRED[None], TARGET[None], reduction_override="sum"), wanted.sum())
    torch.testing.assert_close(lp.build_loss({**GATED, "loss_weight": 3.0})(PRED, TARGET), 3 * wanted.mean())
    torch.testing.assert_close(lp.mix_loss(PRED, TARGET, losses=GATED["losses"], gate="size", at=32), wanted)
    assert loss(PRED[:0], TARGET[:0]).item() == 0


def test_a_large_at_leaves_the_first_loss_and_a_small_one_the_second() -> None:
    target, pred = TARGET[1:], PRED[1:]
    for at, name in ((1e6, "nwd"), (1e-6, "giou")):
        found = lp.mix_loss(pred, target, losses=["nwd", "giou"], gate="size", at=at)
        torch.testing.assert_close(found, lp.build_loss(name, reduction="none")(pred, target))


def test_the_gradient_is_that_of_the_shares() -> None:
    pred = PRED[1:].double().requires_grad_()
    loss = lp.build_loss(GATED, reduction="sum")
    assert torch.autograd.gradcheck(lambda boxes: loss(boxes, TARGET[1:].double()), pred)


def test_it_is_built_again_from_its_spec_copied_and_pickled() -> None:
    loss = lp.build_loss(GATED)
    for again in (lp.build_loss(loss.spec()), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert again.spec() == loss.spec()
        assert again(PRED, TARGET).equal(loss(PRED, TARGET))
    assert make_spec(GATED).box == {key: each for key, each in loss.spec().items() if key != "reduction"}


def test_its_traits_are_those_of_sizes_in_pixels() -> None:
    traits = lp.build_loss("mix", losses=["iou", "giou"], gate="size").entry.traits
    assert (traits.units, traits.scale_invariant, traits.symmetric) == ("pixels", False, False)
    assert traits.range == (0, 2)
    assert lp.build_loss("mix", losses=["iou", "giou"]).entry.traits.range == (0, 3)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (["ciou"], "1 losses"),
        (["ciou", "giou", "iou"], "3 losses"),
        (["focal", "bce_with_logits"], r"focal \(classification\), bce_with_logits \(classification\)"),
        (["l1", "smooth_l1"], r"l1 \(coordinate\)"),
        (["ciou", {"type": "mpdiou", "image_size": [1, 1]}], r"mpdiou \(in sides of the image\)"),
        (["ciou", {"type": "giou", "box_format": "cxcywh"}], r"giou \(cxcywh\)"),
    ],
)
def test_other_members_are_refused(losses: Any, said: str) -> None:
    with pytest.raises(ValueError, match=rf"mix: gate='size' beside {said}.*; allowed: two losses of kind box"):
        lp.build_loss("mix", losses=losses, gate="size")
