"""What heads hand over beside rows of boxes and classes: numbers of any shape, masks with labels, lists of weights."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from mmdet.models import losses as theirs
from mmdet.models.roi_heads import DynamicRoIHead
from mmengine.registry import MODELS
from torch import Tensor

from loss_plugins.adapters.mmdet import SenselessSlot
from loss_plugins.catalog.entries import shipped
from loss_plugins.module.build import module_class

from .heads import shipped as shipped_model

SHAPES = [(2, 2, 8, 6), (5, 28), (7,), (6, 5), (3, 4)]
ELEMENTWISE = [
    entry.name
    for entry in shipped()
    if entry.kind == "coordinate" and not entry.traits.whole_boxes and not entry.example
]


def build(name: str, **parameters: Any) -> Any:
    return MODELS.build({"type": f"loss_plugins.{name}", **parameters})


def ours(name: str, **parameters: Any) -> Any:
    return build(module_class(name).__name__, **parameters)


def drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# --- coordinates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "arguments", [{}, {"avg_factor": 7.0}, {"reduction_override": "sum"}, {"reduction_override": "none"}]
)
@pytest.mark.parametrize("name", ["SmoothL1Loss", "L1Loss", "MSELoss", "BalancedL1Loss"])
def test_numbers_of_any_shape_are_mmdets(
    name: str, arguments: dict[str, Any], weighted: bool, shape: tuple[int, ...]
) -> None:
    pred, target = drawn(shape, 0), drawn(shape, 1)
    weight = (drawn(shape, 2) > 0).float() if weighted else None
    found, expected = [], []
    for loss, into in ((build(name, dialect="mmdet"), found), (getattr(theirs, name)(), expected)):
        leaf = pred.clone().requires_grad_()
        value = loss(leaf, target, weight, **arguments)
        into += [value, *torch.autograd.grad(value.sum(), leaf)]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_loss_of_coordinates_takes_any_shape(name: str, shape: tuple[int, ...]) -> None:
    """Number by number it costs what it costs in a row of four."""
    pred, target = drawn(shape, 0), drawn(shape, 1)
    each = ours(name)(pred, target, reduction_override="none")
    assert each.shape == pred.shape
    first = torch.stack([pred.flatten()[0]] * 4)[None], torch.stack([target.flatten()[0]] * 4)[None]
    torch.testing.assert_close(each.flatten()[0], ours(name)(*first, reduction_override="none")[0, 0])


def test_what_has_no_weight_may_be_infinite() -> None:
    pred = torch.tensor([1.0, float("inf"), 3.0], requires_grad=True)
    value = build("L1Loss")(pred, torch.zeros(3), torch.tensor([1.0, 0.0, 1.0]), avg_factor=2)
    (gradient,) = torch.autograd.grad(value, pred)
    torch.testing.assert_close(value, torch.tensor(2.0))
    torch.testing.assert_close(gradient, torch.tensor([0.5, 0.0, 0.5]))


def test_numbers_and_targets_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"l1: target .*\(4,\).*allowed: a tensor of pred's shape"):
        build("L1Loss")(torch.zeros(3), torch.zeros(4))


def test_a_loss_of_whole_boxes_takes_rows_of_four_alone() -> None:
    with pytest.raises(ValueError, match=r"bounded_iou: pred has shape \(3, 5\)"):
        build("BoundedIoULoss")(torch.zeros(3, 5), torch.zeros(3, 5))


def test_dynamic_rcnn_takes_and_sets_our_smooth_l1() -> None:
    loss = build("SmoothL1Loss", beta=1.0, loss_weight=2.0)
    assert isinstance(loss, theirs.SmoothL1Loss)
    written = loss.spec()
    loss.beta = 0.25
    assert loss.beta == 0.25
    assert loss.spec() == written  # what a config has to say to build it
    pred, target = drawn((5, 4), 0), drawn((5, 4), 1)
    torch.testing.assert_close(loss(pred, target), theirs.SmoothL1Loss(beta=0.25, loss_weight=2.0)(pred, target))
    with pytest.raises(ValueError, match=r"beta=-1\.0 is out of range"):
        loss.beta = -1.0


def test_dynamic_rcnn_is_built_with_our_smooth_l1() -> None:
    model = shipped_model("dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco.py")
    head = {**model.roi_head, "train_cfg": model.train_cfg.rcnn, "test_cfg": model.test_cfg.rcnn}
    head["bbox_head"] = {**head["bbox_head"], "loss_bbox": {"type": "loss_plugins.SmoothL1Loss", "beta": 1.0}}
    assert isinstance(MODELS.build(head), DynamicRoIHead)


# --- masks ------------------------------------------------------------------------------------------------------

MASKS = {"Mask R-CNN": (6, 5, 14, 14), "points": (6, 5, 20)}


@pytest.mark.parametrize("shape", MASKS.values(), ids=MASKS)
def test_labels_choose_the_channel_of_a_mask(shape: tuple[int, ...]) -> None:
    """As MMDetection's binary cross-entropy of masks, by its own function."""
    pred, labels = drawn(shape, 0) * 3, torch.tensor([4, 0, 2, 2, 1, 3])
    target = (drawn((shape[0], *shape[2:]), 1) > 0).float()
    found, expected = [], []
    mask_loss = theirs.CrossEntropyLoss(use_mask=True, loss_weight=2.0)
    for loss, into in ((build("BCEWithLogitsLoss", loss_weight=2.0), found), (mask_loss, expected)):
        leaf = pred.clone().requires_grad_()
        value = loss(leaf, target, labels).mean()
        into += [value, *torch.autograd.grad(value, leaf)]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("name", ["DiceLoss", "TverskyLoss", "FocalLoss", "FocalTverskyLoss", "PolyFocalLoss"])
def test_region_and_class_losses_serve_masks(name: str, shape: tuple[int, ...]) -> None:
    pred, labels = drawn(shape, 0) * 3, torch.tensor([4, 0, 2, 2, 1, 3])
    target = (drawn((shape[0], *shape[2:]), 1) > 0).float()
    chosen = torch.stack([mask[label] for mask, label in zip(pred, labels, strict=True)])
    value = build(name)(pred, target, labels)
    torch.testing.assert_close(value, build(name)(chosen[:, None], target[:, None]))


def test_whole_numbers_are_weights_where_targets_are_labels() -> None:
    """MaskFormer's weights are integers."""
    pred, labels = drawn((4, 3), 0), torch.tensor([0, 1, 2, 1])
    weight = torch.tensor([1, 0, 1, 1])
    expected = theirs.CrossEntropyLoss()(pred, labels, weight, avg_factor=3)
    torch.testing.assert_close(build("CrossEntropyLoss")(pred, labels, weight, avg_factor=3), expected)


# --- weights and keywords ---------------------------------------------------------------------------------------


def test_a_weight_may_list_all_scores() -> None:
    """FSAF's, as MMDetection's own focal loss takes it."""
    pred, labels = drawn((6, 5), 0), torch.tensor([4, 0, 2, 5, 1, 3])
    weight = (drawn((30,), 1) > 0).float()
    expected = theirs.FocalLoss()(pred, labels, weight, avg_factor=3.0)
    torch.testing.assert_close(build("FocalLoss", dialect="mmdet")(pred, labels, weight, avg_factor=3.0), expected)


def test_positives_of_a_heatmap_may_be_named_apart() -> None:
    """CenterNet-update's: as MMDetection's own, value and gradient; one point is named twice."""
    pred = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    heat = torch.rand(20, 3, generator=torch.Generator().manual_seed(1)) * 0.8
    rows, columns = torch.tensor([2, 7, 7, 11]), torch.tensor([0, 2, 2, 1])
    heat[2, 0] = 1.0
    found, expected = [], []
    stock = theirs.GaussianFocalLoss(alpha=2.0, gamma=4.0)
    for loss, into in ((build("GaussianFocalLoss", alpha=2.0, gamma=4.0, dialect="mmdet"), found), (stock, expected)):
        leaf = pred.clone().requires_grad_()
        value = loss(leaf, heat, pos_inds=rows, pos_labels=columns, avg_factor=4)
        into += [value, *torch.autograd.grad(value, leaf)]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("FocalLoss", {"pos_inds": torch.tensor([0])}),
        ("CrossEntropyLoss", {"ignore_index": 7}),
        ("CIoULoss", {"iou": 1}),
    ],
)
def test_keywords_that_would_be_swallowed_are_refused(name: str, others: dict[str, Any]) -> None:
    pred = drawn((3, 4), 0)
    target = pred if name == "CIoULoss" else torch.tensor([0, 1, 2])
    with pytest.raises(TypeError, match=f"the head passes {next(iter(others))}="):
        build(name)(pred, target, **others)


def test_harmless_keywords_pass() -> None:
    pred, target = drawn((3, 4), 0), torch.tensor([0, 1, 2])
    loss = build("CrossEntropyLoss", ignore_index=7)
    torch.testing.assert_close(loss(pred, target, ignore_index=7, class_weight=None), loss(pred, target))


def test_ghm_divides_by_what_it_has_counted() -> None:
    """RetinaNet passes the number of positives, which MMDetection's GHMC does not look at either."""
    pred, labels = drawn((40, 3), 0) * 4, torch.arange(40) % 4
    weight = (torch.arange(40) % 5 > 0).float()
    expected = theirs.GHMC(bins=30, momentum=0.0)(pred, labels, weight, avg_factor=2)
    for more in ({}, {"dialect": "mmdet"}):
        value = build("GHMCLoss", bins=30, **more)(pred, labels, weight, avg_factor=2)
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


# --- boxes ------------------------------------------------------------------------------------------------------

BOXES = torch.tensor([[0.0, 0, 4, 6], [2, 1, 9, 5], [3, 3, 8, 12]]).repeat(10, 1)


def test_rows_without_object_are_no_offsets() -> None:
    """DDOD gives rows of zeros a weight."""
    target = torch.cat([BOXES, torch.zeros(1500, 4)])
    value = build("GIoULoss")(target + 0.1, target, torch.ones(len(target)), avg_factor=30)
    assert value.isfinite()


def test_a_flat_annotation_is_named_as_one() -> None:
    target = torch.cat([BOXES, torch.tensor([[5.0, 5, 5, 9]]).repeat(1000, 1)])
    with pytest.warns(UserWarning, match=r"giou: target 30 of 1030 is flat: \[5.0, 5.0, 5.0, 9.0\] .*1000 in this"):
        build("GIoULoss")(target + 0.1, target)


def test_offsets_are_still_refused() -> None:
    with pytest.raises(SenselessSlot, match="have a width or height below 0, so these are encoded offsets"):
        build("GIoULoss")(drawn((40, 4), 0), drawn((40, 4), 1))


def test_ordinary_boxes_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build("GIoULoss")(BOXES + 0.1, BOXES)
