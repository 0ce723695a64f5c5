# SPDX-License-Identifier: AGPL-3.0-or-later
"""What of the stock loss of semantic models is computed beside a plugged one, and what the targets of that take."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from ultralytics.utils import loss as stock

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.detr import soft_targets
from loss_plugins.adapters.ultralytics.plug import plugged
from loss_plugins.adapters.ultralytics.sem_slot import target_of
from loss_plugins.adapters.ultralytics.semantic import auxiliary_loss

from .test_semantic import criterion, given

#: a loss of one's own that takes maps of 0 and 1, not labels
OF_MAPS: Any = SimpleNamespace(entry=SimpleNamespace(targets=("dense",)))


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("far", [torch.inf, -torch.inf])
def test_maps_of_which_the_stock_loss_is_not_finite_are_trained_by_one_that_is(far: float, classes: int) -> None:
    """A logit beyond float16 costs Dice what a far one does, and cross-entropy NaN, which is not in our sum."""
    logits, labels = given(classes)
    main = torch.randn(2, classes, 8, 10)
    main[0, 0, 4:6] = far
    main.requires_grad_()
    assert not criterion(classes)((main, -logits), {"semantic_mask": labels})[0].isfinite()
    with lpu.patched(sem="dice"):
        total, items = criterion(classes)((main, -logits), {"semantic_mask": labels})
        gradient, beside = torch.autograd.grad(total, (main, logits))
    assert total == 2 * (items["sem_loss"] + items["aux_loss"])
    for each in (gradient, beside):
        assert each.isfinite().all()
        assert each.any()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [1, 3, 19])
def test_the_auxiliary_loss_is_the_stock_one(classes: int, weighted: bool) -> None:
    """To the last digit, of one class to rounding; also with Cityscapes' weights, and where no pixel counts."""
    live = criterion(classes)
    if weighted:
        if classes != 19:
            return
        live.ce.register_buffer("weight", torch.as_tensor(stock.CITYSCAPES_WEIGHT).float(), persistent=False)
    logits, labels = given(classes)
    for seen in (labels, labels * 0 + 255, labels.long()):
        for size in ((4, 5), (8, 10), (2, 3)):
            auxiliary = functional.interpolate(logits.detach(), size=size).requires_grad_()
            found, wanted = auxiliary_loss(live, auxiliary, seen), live((logits, auxiliary), {"semantic_mask": seen})
            torch.testing.assert_close(found.detach(), wanted[1]["aux_loss"], rtol=0 if classes > 1 else 1e-6, atol=0)
            gradients = [torch.autograd.grad(each, auxiliary)[0] for each in (found * len(logits), wanted[0])]
            torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-9)


def test_the_stock_loss_of_the_main_maps_is_computed_for_the_ratio_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found, calls = stock.SemanticSegmentationLoss.forward, []

    def counted_call(self: Any, preds: Any, batch: Any) -> Any:
        calls.append(isinstance(preds, tuple))
        return found(self, preds, batch)

    monkeypatch.setattr(stock.SemanticSegmentationLoss, "forward", counted_call)
    logits, labels = given(3)
    with plugged(lpu.make_spec(sem="dice")) as plug:
        live = criterion(3)
        for measures in (False, True):
            calls.clear()
            assert plug.sem is not None
            plug.sem.measure_next = measures
            live((logits, -logits), {"semantic_mask": labels})
            assert calls == [False] * measures, "of the main maps alone"
        assert plug.sem.ratio is not None
        plug.sem.calls.begin_step()


class Widest(TorchDispatchMode):
    """The most bytes that a new tensor has, of numbers other than float32."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for each in (part for part in tree_leaves(made) if isinstance(part, Tensor) and part.dtype != torch.float32):
            self.bytes = max(self.bytes, each.numel() * each.element_size())
        return made


def test_maps_of_classes_are_made_without_wider_numbers() -> None:
    """Labels as whole numbers are 8 bytes a pixel: so much for each class besides would be thrice the maps."""
    labels = given(19)[1]
    calls = (lambda: target_of(OF_MAPS, labels, 19, 255), lambda: soft_targets(labels[0], torch.rand(8, 10), 19))
    for made in calls:
        with Widest() as widest:
            maps = made()
        assert maps.dtype == torch.float32
        assert widest.bytes <= 19 * labels.numel()


def test_maps_of_classes_have_a_1_for_the_class_of_each_pixel() -> None:
    labels = given(5)[1]
    maps = target_of(OF_MAPS, labels, 5, 255)
    for place, label in [(place, int(labels[place])) for place in itertools.product(range(2), range(8), range(10))]:
        image, row, column = place
        expected = [255.0] * 5 if label == 255 else [float(number == label) for number in range(5)]
        assert maps[image, :, row, column].tolist() == expected
