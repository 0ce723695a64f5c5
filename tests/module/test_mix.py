"""Weighted sums of losses."""

from __future__ import annotations

import itertools
import math
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


def test_traits_follow_the_parameters_and_the_factors_of_the_members() -> None:
    log = {"type": "iou", "mode": "log"}
    for losses, expected in (
        (["giou", log], (0.0, math.inf)),
        (["giou", {**log, "loss_weight": 0.0}], (0.0, 2.0)),
        ([{"type": "giou", "loss_weight": -1.0}, {"type": "iou", "mode": "square"}], (-2.0, 1.0)),
    ):
        assert lp.build_loss("mix", losses=losses).entry.traits.range == expected
    turned = lp.build_loss("mix", losses=["cross_entropy", {"type": "cross_entropy", "loss_weight": -2.0}])
    assert lp.build_loss("cross_entropy").entry.traits.proper
    assert not turned.entry.traits.proper


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("labelled", [False, True])
def test_class_and_region_losses_mix(labelled: bool, reduction: str) -> None:
    """Cross-entropy beside Dice, as segmentation has it: each is reduced over what it counts, pixels or regions."""
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(2, 3, 4, 5, generator=generator, requires_grad=True)
    if labelled:
        target = torch.randint(0, 3, (2, 4, 5), generator=generator)
        target[0, 1] = 255
        left_out = {"ignore_index": 255}
        pixels = {"type": "cross_entropy", **left_out}
        region = {"type": "dice", "activation": "softmax", "over": "batch_channel", **left_out}
    else:
        target = (torch.rand(2, 3, 4, 5, generator=generator) > 0.6).float()
        pixels, region = {"type": "bce_with_logits"}, {"type": "tversky", "over": "channel"}
    specs = [{**pixels, "loss_weight": 0.5}, region]
    module = lp.build_loss({"type": "mix", "losses": specs, "reduction": reduction, "loss_weight": 2.0})
    assert module.entry.kind == "region"
    apart = [lp.build_loss({**spec, "reduction": reduction})(pred, target) for spec in specs]
    found, expected = module(pred, target), 2 * sum(apart, start=torch.zeros(()))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, pred), torch.autograd.grad(expected, pred))


def test_any_other_kind_mixes_with_its_own_only() -> None:
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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": [1, 2]}, r"a factor of its own: losses=\[\{'type': ..., 'loss_weight': 0.5\}"),
        ({"loss_weight": [1, 2]}, r"give each of its losses one: losses=\[\{'type': ..., 'loss_weight': 0.5\}"),
        ({"ignore_index": 255}, r"belongs to the losses of the mix.*\[\{'type': ..., 'ignore_index': ...\}"),
        ({"dialect": "mmdet"}, r"belongs to the losses of the mix"),
        ({"loses": []}, "did you mean 'losses'"),
        ({"losses": "ciou"}, "put it into a list"),
        ({"losses": {"ciou": 0.5}}, r"write \[\{'type': 'ciou', 'loss_weight': 0.5\}, 'nwd'\], say"),
        ({"losses": ["ciou", ("nwd", 0.5)]}, r"number 1 of 2 is .'nwd', 0.5., write \{'type': 'ciou'"),
        ({"losses": [lp.CIoULoss()]}, r"number 0 of 1 is CIoULoss\(.*write its spec\(\) without the reduction"),
    ],
    ids=str,
)
def test_what_belongs_to_the_losses_is_said_to(given: dict[str, Any], message: str) -> None:
    calls = [lambda: lp.build_loss("mix", **{"losses": CIOU_NWD, **given})]
    if "loss_weight" not in given:
        calls += [lambda: lp.mix_loss(PRED, TARGET, **{"losses": CIOU_NWD, **given})]
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=f"^mix: .*{message}"):
            call()


def test_a_bare_list_is_told_to_be_a_mix() -> None:
    with pytest.raises(TypeError, match=r"pass \{'type': 'mix', 'losses': \[...\]\}"):
        lp.build_loss(CIOU_NWD)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"build_loss\('mix', losses=\[...\]\)"):
        lp.build_loss("mix", CIOU_NWD)


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


WITH_LOGITS = "bce_with_logits"
#: losses of labels that leave out other things of a dense target, or of labels
LEAVE_OUT: list[Any] = [
    "bce_with_logits",
    {"type": "focal", "dialect": "kornia"},
    {"type": "bce_with_logits", "dialect": "mmdet"},
    "ghm_c",
]
#: likewise of probabilities
OF_PROBABILITIES: list[Any] = ["gaussian_focal", {"type": "focal", "activated": True}, "bce"]
SORTS = (LEAVE_OUT, OF_PROBABILITIES)


@pytest.mark.parametrize("losses", [pair for sort in SORTS for pair in itertools.permutations(sort, 2)], ids=str)
def test_what_a_mix_leaves_out_does_not_depend_on_the_order(losses: tuple[Any, Any]) -> None:
    """It is what any of its losses leaves out."""
    alone = [lp.build_loss(loss, reduction="none") for loss in losses]
    mixes = [lp.build_loss("mix", losses=[*order], reduction="none") for order in (losses, losses[::-1])]
    pred = torch.full((2, 3), 0.25)
    for target in map(torch.tensor, ([[1, 0, 1], [-100, 1, 0]], [[1, 0, 1], [-1, 1, 0]], [-100, 1], [-7, 1])):
        found = [_outcome(mix, pred, target) for mix in mixes]
        assert (found[0] is None) == (found[1] is None)
        single = [_outcome(loss, pred, target) for loss in alone]
        taken = [loss for loss in single if loss is not None]
        if found[0] is None:  # what neither leaves out, or a form that one does not take
            assert None in single
            continue
        torch.testing.assert_close(*found)
        if len(taken) == 2:
            torch.testing.assert_close(found[0], taken[0] + taken[1])
        assert torch.equal(found[0][target < 0], torch.zeros_like(found[0][target < 0]))


def _outcome(loss: lp.Loss, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:
    try:
        return loss(pred, target)
    except ValueError:
        return None


def test_different_labels_to_ignore_are_refused_and_the_remedy_works() -> None:
    pred, target = torch.zeros(3, 2), torch.tensor([0, 1, 255])
    losses = [{"type": "focal", "ignore_index": 255}, "quality_focal"]
    for order in (losses, losses[::-1]):
        with pytest.raises(ValueError, match=r"focal .*255.*give all of these the same ignore_index"):
            lp.build_loss("mix", losses=order)
    with pytest.raises(ValueError, match="to leave such rows out, give its losses ignore_index=255"):
        lp.build_loss("mix", losses=["focal", "quality_focal"])(pred, target)
    same = [{"type": "focal", "ignore_index": [255, 9]}, {"type": "bce_with_logits", "ignore_index": [9, 255]}]
    mean = lp.build_loss("mix", losses=same)(pred, target)
    torch.testing.assert_close(mean, lp.build_loss("mix", losses=same)(pred[:2], target[:2]))


def test_a_loss_without_labels_follows_the_others() -> None:
    """Its default, -100, stands for labels, of which it has none."""
    losses: list[Any] = [{"type": "focal", "ignore_index": 255, "activated": True}, {"type": "gaussian_focal"}]
    for order in (losses, losses[::-1]):
        loss = lp.build_loss("mix", losses=order, reduction="none")(torch.full((1, 2), 0.5), torch.tensor([[1, 255]]))
        assert float(loss[0, 1]) == 0
        assert float(loss[0, 0]) > 0


@pytest.mark.parametrize(
    ("losses", "shape", "message"),
    [
        (["cross_entropy", WITH_LOGITS], (4, 4), r"differ in shape: cross_entropy \(4,\), bce_with_logits \(4, 4\)"),
        ([WITH_LOGITS, "cross_entropy"], (4, 4), r"differ in shape: bce_with_logits \(4, 4\), cross_entropy \(4,\)"),
        (["dice", {"type": "tversky", "over": "batch"}], (2, 1, 3), r"differ in shape: dice \(2,\), tversky \(\)"),
    ],
)
def test_losses_per_row_and_per_score_are_not_added(losses: Any, shape: tuple[int, ...], message: str) -> None:
    """Where the number of rows is that of the classes, they would be, along the wrong axis; reduced, they may be."""
    pred, target = torch.zeros(shape), torch.ones(shape)
    with pytest.raises(ValueError, match=message):
        lp.build_loss("mix", losses=losses, reduction="none")(pred, target)
    with pytest.raises(ValueError, match=message):
        lp.build_loss("mix", losses=losses).elementwise(pred, target)
    expected = sum(lp.build_loss(loss)(pred, target) for loss in losses)
    torch.testing.assert_close(lp.build_loss("mix", losses=losses)(pred, target), expected)


def test_losses_without_a_target_in_common_are_refused_when_built() -> None:
    with pytest.raises(ValueError, match=r"no target in common: focal \(dense\), softmax_focal \(class_map\)"):
        lp.build_loss("mix", losses=["focal", "softmax_focal"])


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky"])
@pytest.mark.parametrize("images", [1, 2, 8])
def test_the_mean_of_losses_of_images_counts_images_where_pixels_are_ignored(name: str, images: int) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(images, 3, 6, 5, generator=generator)
    target = torch.randint(0, 3, (images, 6, 5), generator=generator)
    target[:, 0] = 255
    spec = {"type": name, "activation": "softmax", "over": "image", "ignore_index": 255}
    alone, mixed = (float(lp.build_loss(each)(pred, target)) for each in (spec, {"type": "mix", "losses": [spec]}))
    assert mixed == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("first", ["focal", "bce_with_logits", "softmax_focal", "cross_entropy"])
def test_pixels_and_masks_share_a_map_of_labels(first: str) -> None:
    """Each by its own mean, over what is not ignored."""
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(2, 3, 4, 4, generator=generator, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 4), generator=generator)
    labels[0, 0] = 255
    activation = "softmax" if first in ("softmax_focal", "cross_entropy") else "sigmoid"
    dice = {"type": "dice", "activation": activation, "ignore_index": 255}
    mix = lp.build_loss("mix", losses=[{"type": first, "ignore_index": 255}, {**dice, "loss_weight": 2.0}])
    by_hand = lp.build_loss(first, ignore_index=255)(pred, labels) + 2 * lp.build_loss(dice)(pred, labels)
    torch.testing.assert_close(mix(pred, labels), by_hand)
    gradients = [torch.autograd.grad(each, pred)[0] for each in (mix(pred, labels), by_hand)]
    torch.testing.assert_close(*gradients)
    assert (gradients[0][0, :, 0] == 0).all()
    with pytest.raises(ValueError, match="differ in shape"):
        lp.build_loss("mix", losses=mix.spec()["losses"], reduction="none")(pred, labels)
