"""Ignored labels and background as MMDetection's own losses have them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmdet.models.losses import CrossEntropyLoss, FocalLoss, QualityFocalLoss

import loss_plugins as lp

N, C = 9, 4


def draw(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(N, C, generator=generator).requires_grad_()  # theirs computes in float32
    return pred, torch.arange(N) % (C + 1)  # all classes, and background


def assert_same(ours: torch.Tensor, theirs: torch.Tensor, pred: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad(loss.sum(), pred, retain_graph=True)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("ignore_index", [None, 2, 255])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("class_weight", [None, [0.5, 1.0, 2.0, 4.0]])
def test_sigmoid_cross_entropy_ignores_negative_labels(
    ignore_index: Any, reduction: str, weighted: bool, class_weight: Any
) -> None:
    pred, labels = draw()
    labels[1::3] = -1
    labels[4] = -100 if ignore_index is None else ignore_index
    weight = torch.rand(N, generator=torch.Generator().manual_seed(1)) if weighted else None
    given = {"use_sigmoid": True, "reduction": reduction, "ignore_index": ignore_index, "class_weight": class_weight}
    theirs = CrossEntropyLoss(**given)
    ours = lp.build_loss("bce_with_logits", dialect="mmdet", **given)
    assert_same(ours(pred, labels, weight), theirs(pred, labels, weight), pred)
    if reduction != "sum":
        assert_same(ours(pred, labels, weight, 3.5), theirs(pred, labels, weight, 3.5), pred)

    scores = torch.nn.functional.one_hot(labels.clamp(0, C), C + 1)[:, :C].float()
    scores[0, 1] = scores[5, 2] = -1
    scores[3, 0] = -100 if ignore_index is None else ignore_index
    every = None if weight is None else weight[:, None].expand(N, C)
    assert_same(ours(pred, scores, every), theirs(pred, scores, every), pred)


@pytest.mark.parametrize("shape", [(N, C), (2, C, 3, 5)])
@pytest.mark.parametrize("ignore_index", [None, 1, 255])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("class_weight", [None, [0.5, 1.0, 2.0, 4.0]])
def test_softmax_cross_entropy_counts_ignored_rows(
    shape: tuple[int, ...], ignore_index: Any, reduction: str, class_weight: Any
) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(shape, generator=generator).requires_grad_()
    labels = torch.randint(0, C, (shape[0], *shape[2:]), generator=generator)
    labels.view(-1)[::4] = -100 if ignore_index is None else ignore_index
    given = {"reduction": reduction, "ignore_index": ignore_index}
    theirs = CrossEntropyLoss(class_weight=class_weight, **given)
    ours = lp.build_loss("cross_entropy", dialect="mmdet", class_weight=class_weight, **given)
    assert_same(ours(pred, labels), theirs(pred, labels), pred)


@pytest.mark.parametrize("wrong", [-1, C + 1, 255])
def test_what_mmdet_refuses_is_refused(wrong: int) -> None:
    pred, labels = draw()
    labels[3] = wrong
    with pytest.raises(RuntimeError):
        FocalLoss()(pred, labels)
    with pytest.raises(ValueError, match=f"focal: .*label {wrong}"):
        lp.build_loss("focal", dialect="mmdet")(pred, labels)
    # this one takes any other label for background without a word
    scores = torch.rand(N)
    assert QualityFocalLoss()(pred, (labels, scores)).isfinite()
    with pytest.raises(ValueError, match=f"quality_focal: .*label {wrong}"):
        lp.build_loss("quality_focal", dialect="mmdet")(pred, (labels, scores))
