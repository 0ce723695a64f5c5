"""Weights and choice of classes of the losses of regions."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.labels import IGNORED
from loss_plugins.samples import as_scale

#: as many columns as classes: what is put on the wrong axis fits all the same
N, C, H = 3, 4, 5
NUMBERS = [0.5, 2.0, 0.0, 1.0]
REGIONS = [entry for entry in shipped() if entry.kind == "region"]
CHANNELS = [each for each in REGIONS if "channel" in getattr(each.parameters["over"].allowed, "values", ())]
OF_CHANNELS = [
    pytest.param(entry, over, id=f"{entry.name}-{over}") for entry in CHANNELS for over in ("channel", "batch_channel")
]


def names(entries: list[Entry]) -> list[str]:
    return [entry.name for entry in entries]


def draw(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits, and labels of all classes."""
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(N, C, H, C, generator=generator, dtype=torch.float64)
    return pred, torch.randint(0, C, (N, H, C), generator=generator)


def call(entry: Entry, pred: Tensor, target: Tensor, **parameters: Any) -> Tensor:
    return lp.build_loss(entry.name, **{"reduction": "none", **parameters})(pred, target)


@pytest.mark.parametrize(("entry", "over"), OF_CHANNELS)
def test_weights_are_a_loop_over_the_channels(entry: Entry, over: str) -> None:
    pred, labels = draw()
    numbers = pred.new_tensor(NUMBERS)
    plain = call(entry, pred, labels, over=over)
    by_hand = torch.stack([number * plain[..., c] for c, number in enumerate(NUMBERS)], -1)
    function = getattr(lp, f"{entry.name}_loss")
    for given in (NUMBERS, tuple(NUMBERS), numbers, numbers.float()):
        torch.testing.assert_close(call(entry, pred, labels, over=over, class_weight=given), by_hand)
        torch.testing.assert_close(function(pred, labels, over=over, class_weight=given), by_hand)
    mean = call(entry, pred, labels, over=over, class_weight=NUMBERS, reduction="mean")
    torch.testing.assert_close(mean, by_hand.sum() / numbers.expand_as(by_hand).sum())
    torch.testing.assert_close(call(entry, pred, labels, over=over, class_weight=3.0), 3 * plain)


@pytest.mark.parametrize("entry", CHANNELS, ids=names(CHANNELS))
def test_skipped_regions_have_no_weight_in_the_mean(entry: Entry) -> None:
    if "empty" not in entry.parameters:
        assert entry.name == "lovasz_hinge"
        return
    pred, labels = draw()
    labels = labels.masked_fill(labels == 1, 0)
    given: dict[str, Any] = {"over": "batch_channel", "empty": "skip", "class_weight": NUMBERS}
    losses = call(entry, pred, labels, **given)
    assert losses[1] == 0
    mean = call(entry, pred, labels, reduction="mean", **given)
    torch.testing.assert_close(mean, (losses[0] + losses[3]) / (NUMBERS[0] + NUMBERS[3]))


@pytest.mark.parametrize("over", ["image", "batch"])
@pytest.mark.parametrize("entry", REGIONS, ids=names(REGIONS))
def test_in_regions_of_all_classes_a_class_without_weight_might_as_well_not_be_there(entry: Entry, over: str) -> None:
    pred, labels = draw()
    if entry.name == "lovasz_hinge":
        with pytest.raises(ValueError, match=rf"^lovasz_hinge: class_weight with over='{over}'.*over='channel'"):
            call(entry, pred, labels, over=over, class_weight=NUMBERS)
        return
    found = call(entry, pred, labels, over=over, class_weight=[1.0, 0.0, 1.0, 1.0])
    kept = [0, 2, 3]
    probability = pred.softmax(1) if entry.parameters["activation"].default == "softmax" else pred.sigmoid()
    target = torch.nn.functional.one_hot(labels, C).movedim(-1, 1)[:, kept].double()
    by_hand = call(entry, probability[:, kept], target, over=over, activation="none")
    torch.testing.assert_close(found, by_hand)
    even = call(
        entry, pred, labels, over=over, class_weight=[2.0] * C, **({"eps": 0.0} if "eps" in entry.parameters else {})
    )
    if "smooth" not in entry.parameters or entry.parameters["smooth"].default == 0:
        plain = call(entry, pred, labels, over=over, **({"eps": 0.0} if "eps" in entry.parameters else {}))
        torch.testing.assert_close(even, plain)
    assert not torch.allclose(call(entry, pred, labels, over=over, class_weight=NUMBERS), even)


@pytest.mark.parametrize("empty", ["skip", "zero"])
@pytest.mark.parametrize("entry", REGIONS, ids=names(REGIONS))
def test_an_image_is_empty_that_has_no_class_with_a_weight(entry: Entry, empty: str) -> None:
    """As if the classes without a weight were left out; the second image has class 0 alone, which has none."""
    if "empty" not in entry.parameters or "classes" not in entry.parameters:
        assert entry.name.startswith("lovasz")
        return
    pred, labels = draw()
    labels[1] = 0
    for reduction in ("none", "mean"):
        given: dict[str, Any] = {"over": "image", "empty": empty, "reduction": reduction, "activation": "sigmoid"}
        found = call(entry, pred, labels, class_weight=[0.0, 1.0, 1.0, 1.0], **given)
        torch.testing.assert_close(found, call(entry, pred, labels, include_background=False, **given))


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("entry", REGIONS, ids=names(REGIONS))
def test_chosen_classes_are_those_channels_alone(entry: Entry, ignored: bool) -> None:
    """The softmax is over all of them."""
    pred, labels = draw()
    if ignored:
        labels[0, 0] = IGNORED
    probability = as_scale(pred, "logits") if entry.name == "lovasz_hinge" else pred.sigmoid()
    given: dict[str, Any] = {} if entry.name == "lovasz_hinge" else {"activation": "sigmoid"}
    if "over" in entry.parameters and entry in CHANNELS:
        given["over"] = "channel"
    none = {"activation": "none"} if given.get("activation") else {}
    one_hot = torch.stack([labels == c for c in range(C)], 1).double().masked_fill((labels == IGNORED)[:, None], 255)
    asked: list[tuple[dict[str, Any], list[int]]] = [({"include_background": False}, [1, 2, 3])]
    if entry.name != "lovasz_softmax":  # whose `classes` says which of them the mean is of
        asked += [
            ({"classes": [1, 3]}, [1, 3]),
            ({"classes": 2}, [2]),
            ({"classes": [0, 3], "include_background": False}, [3]),
        ]
    function = getattr(lp, f"{entry.name}_loss")
    for parameters, kept in asked:
        by_hand = call(entry, probability[:, kept], one_hot[:, kept], ignore_index=255, **{**given, **none})
        torch.testing.assert_close(call(entry, pred, labels, **given, **parameters), by_hand)
        torch.testing.assert_close(function(pred, labels, **given, **parameters), by_hand)
        mean = call(entry, pred, labels, reduction="mean", **given, **parameters)
        wanted = call(
            entry, probability[:, kept], one_hot[:, kept], ignore_index=255, reduction="mean", **{**given, **none}
        )
        torch.testing.assert_close(mean, wanted)


def test_the_softmax_is_over_classes_that_do_not_count_too() -> None:
    pred, labels = draw()
    for name in ("dice", "lovasz_softmax"):
        found = lp.build_loss(name, activation="softmax", include_background=False)(pred, labels)
        target = torch.nn.functional.one_hot(labels, C).movedim(-1, 1)[:, 1:].double()
        torch.testing.assert_close(found, lp.build_loss(name, activation="none")(pred.softmax(1)[:, 1:], target))


@pytest.mark.parametrize("entry", REGIONS, ids=names(REGIONS))
def test_what_does_not_go_with_the_classes_is_refused(entry: Entry) -> None:
    pred, labels = draw()
    given = {"over": "channel"} if entry in CHANNELS else {}
    with pytest.raises(ValueError, match=rf"^{entry.name}: class_weight has 3 numbers, and pred .* C = {C} classes"):
        call(entry, pred, labels, class_weight=[1.0, 2.0, 3.0], **given)
    with pytest.raises(ValueError, match=rf"^{entry.name}: class_weight=.*number 1 of 4 is nan"):
        call(entry, pred, labels, class_weight=[1.0, torch.nan, 1.0, 1.0], **given)
    rows = torch.randn(N, 6, dtype=torch.float64)
    if entry in CHANNELS and entry.name != "lovasz_hinge":
        with pytest.raises(ValueError, match=rf"^{entry.name}: class_weight for pred of shape \(3, 6\).*\(n, C, ...\)"):
            call(entry, rows, (rows > 0).double(), class_weight=[1.0] * 6)
    one = {"activation": "sigmoid"} if "activation" in entry.parameters else {}
    with pytest.raises(ValueError, match=rf"^{entry.name}: include_background=False of pred \(3, 1, 5, 4\)"):
        call(entry, pred[:, :1], labels.clamp(max=1), include_background=False, **one)
    if entry.name != "lovasz_softmax":
        for classes in ([], [4], [-1, 2], 7):
            with pytest.raises(ValueError, match=rf"^{entry.name}: classes=.* of pred \(3, 4, 5, 4\).*\[0, 4\)"):
                call(entry, pred, labels, classes=classes)


@pytest.mark.parametrize("entry", REGIONS, ids=names(REGIONS))
def test_the_weights_move_with_the_module_and_reach_the_gradient(entry: Entry) -> None:
    pred, labels = draw()
    given = {"over": "channel"} if entry in CHANNELS else {}
    module = lp.build_loss(entry.name, class_weight=NUMBERS, include_background=False, **given)
    wanted = module(pred, labels)
    for moved in (copy.deepcopy(module).half(), copy.deepcopy(module).double()):
        torch.testing.assert_close(moved(pred, labels), wanted, rtol=0, atol=0)
    assert {buffer.device.type for buffer in copy.deepcopy(module).to("meta").buffers()} == {"meta"}
    leaf = pred[:, :, :2, :2].contiguous().requires_grad_()
    assert torch.autograd.gradcheck(lambda scores: module(scores, labels[:, :2, :2]), leaf)
    (gradient,) = torch.autograd.grad(module(leaf, labels[:, :2, :2]), leaf)
    if entry.parameters.get("activation") is None or entry.parameters["activation"].default == "sigmoid":
        assert (gradient[:, [0, 2]] == 0).all(), "the background, and a class that weighs nothing"
