"""Weighted sums of losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import loss_plugins as lp

PRED = torch.tensor([[0.0, 0, 10, 5], [0, 0, 5, 5], [20, 0, 30, 10]])
TARGET = torch.tensor([[0.0, 0, 10, 10]]).repeat(3, 1)
CIOU_NWD: list[Any] = [{"type": "ciou", "loss_weight": 0.5}, {"type": "nwd", "loss_weight": 0.5}]


def test_it_is_the_weighted_sum() -> None:
    expected = 0.5 * lp.ciou_loss(PRED, TARGET) + 0.5 * lp.nwd_loss(PRED, TARGET)
    torch.testing.assert_close(lp.mix_loss(PRED, TARGET, losses=CIOU_NWD), expected)
    module = lp.build_loss({"type": "mix", "losses": CIOU_NWD, "loss_weight": 2.0})
    torch.testing.assert_close(module(PRED, TARGET), 2 * expected.mean())
    weight = torch.tensor([1.0, 0, 1])
    torch.testing.assert_close(module(PRED, TARGET, weight, avg_factor=2.0), 2 * (expected * weight).sum() / 2)


def test_names_alone_weigh_1_and_mixes_nest() -> None:
    inner = {"type": "mix", "losses": ["iou", "giou"], "loss_weight": 0.5}
    nested = lp.build_loss({"type": "mix", "losses": [inner, "diou"], "reduction": "none"})
    expected = 0.5 * (lp.iou_loss(PRED, TARGET) + lp.giou_loss(PRED, TARGET)) + lp.diou_loss(PRED, TARGET)
    torch.testing.assert_close(nested(PRED, TARGET), expected)


def test_traits_are_what_all_members_promise_and_the_units_the_strictest() -> None:
    traits = lp.build_loss({"type": "mix", "losses": CIOU_NWD}).entry.traits
    assert traits.units == "pixels"
    assert not traits.scale_invariant
    assert traits.symmetric
    assert not traits.stateful
    assert traits.range == (0, 1.75)
    three = [*CIOU_NWD, {"type": "mpdiou", "image_size": [640, 640]}, {"type": "wiou", "version": 3}]
    traits = lp.build_loss({"type": "mix", "losses": three}).entry.traits
    assert traits.units == "image"
    assert traits.stateful


def test_any_kind_mixes_with_its_own_only() -> None:
    module = lp.build_loss({"type": "mix", "losses": ["focal", "quality_focal"], "reduction": "none"})
    assert module.entry.kind == "classification"
    logits, target = torch.zeros(2, 3), torch.ones(2, 3) / 2
    expected = lp.focal_loss(logits, target) + lp.quality_focal_loss(logits, target)
    torch.testing.assert_close(module(logits, target), expected)
    with pytest.raises(ValueError, match=r"different kinds: ciou \(box\), focal \(classification\)"):
        lp.build_loss({"type": "mix", "losses": ["ciou", "focal"]})


@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        ([], ValueError, "a list of losses"),
        ("ciou", ValueError, "a list of losses"),
        ([{"loss_weight": 1.0}], ValueError, "'type'"),
        (["coiu"], ValueError, "did you mean 'ciou'"),
        ([{"type": "ciou", "reduction": "sum"}], ValueError, "set it on the mix"),
        ([{"type": "ciou", "gamma": 1}], TypeError, "gamma"),
        ([{"type": "nwd", "constant": 0.0}], ValueError, "constant"),
    ],
)
def test_mistakes_are_named(losses: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lp.build_loss({"type": "mix", "losses": losses})


def test_losses_are_required() -> None:
    with pytest.raises(TypeError, match=r"losses.*required"):
        lp.build_loss("mix")
    with pytest.raises(TypeError, match="unknown parameter 'weights'"):
        lp.build_loss("mix", losses=CIOU_NWD, weights=[1, 2])


def test_the_spec_holds_all_and_is_plain() -> None:
    import json

    module = lp.build_loss({"type": "mix", "losses": [*CIOU_NWD, {"type": "wiou", "version": 2}]})
    spec = json.loads(json.dumps(module.spec()))
    assert spec["losses"][1]["constant"] == 12.8
    assert lp.build_loss(spec).spec() == module.spec()


def test_members_keep_their_state() -> None:
    module = lp.build_loss({"type": "mix", "losses": ["ciou", {"type": "wiou", "version": 2, "momentum": 0.5}]})
    module(PRED.clone().requires_grad_(), TARGET)
    (mean,) = module.state_dict().values()
    assert float(mean) < 1
