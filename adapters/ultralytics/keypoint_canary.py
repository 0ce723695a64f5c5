# SPDX-License-Identifier: AGPL-3.0-or-later
"""Key points: whether a criterion has them, and fixed ones through it must come back as the loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loss_plugins.fusion import by_autograd

from . import probe
from .canary import TOLERANCE, checked, cloned, set_apart, twin, value_and_gradient
from .errors import UnsupportedUltralytics
from .keypoint_fits import require_points
from .keypoint_slot import KeypointSlot, Wanted, target_of

WITHOUT = "Use a pose model, or leave keypoint out"
NAMES = ("masks", "target_gt_idx", "keypoints", "stride_tensor", "target_bboxes", "pred_kpts")


def require_branch(criterion: Any, slot: KeypointSlot) -> None:
    """Raise unless every branch of a criterion has a loss of key points, and the loss fits there.

    Raises:
        UnsupportedUltralytics: one has none, hands over other arguments, or has other deviations than one before it.
        ValueError: the loss does not fit.
    """
    for branch in probe.find_branches(criterion):
        name = type(branch).__name__
        if not hasattr(branch, "keypoint_loss"):
            raise UnsupportedUltralytics(f"the criterion {name} has no keypoint loss", WITHOUT)
        known = list(inspect.signature(type(branch).calculate_keypoints_loss).parameters)[1:]
        if known != [*NAMES]:
            raise UnsupportedUltralytics(f"{name}.calculate_keypoints_loss takes {known}, not {[*NAMES]}", probe.REMEDY)
        sigmas = branch.keypoint_loss.sigmas.tolist()
        if slot.sigmas not in (None, sigmas):
            came = f"the criterion {name} has other deviations of key points than the one before it"
            raise UnsupportedUltralytics(came, "Pass model= to a context of its own for each model")
        slot.sigmas = sigmas
        require_points(slot.prototype, len(sigmas), f"the {len(sigmas)} key points of the model")


def fixed_arguments(number: int) -> dict[str, Tensor]:
    """Two images of six anchors with two instances each, as `calculate_keypoints_loss` takes them."""
    masks = torch.tensor([[1, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0]], dtype=torch.bool)
    wave = torch.linspace(0, 5, 2 * 6 * number * 3).view(2, 6, number, 3).sin()
    keypoints = 60 + 40 * torch.linspace(1, 7, 2 * 2 * number * 3).view(2, 2, number, 3).cos()
    keypoints[..., 2] = 2.0
    keypoints[0, 0, 0, 2] = 0.0
    corner = torch.tensor([20.0, 30.0, 90.0, 110.0]).expand(2, 6, 4).clone()
    corner[0, 2:, 2] = 70.0
    stride = torch.tensor([8.0, 8.0, 8.0, 16.0, 16.0, 32.0])[:, None]
    index = torch.tensor([[0, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0]])
    taken = torch.stack([keypoints[image, index[image]] for image in range(2)]) / stride[:, None]
    return {
        "masks": masks,
        "target_gt_idx": index,
        "keypoints": keypoints,
        "stride_tensor": stride,
        "target_bboxes": corner,
        "pred_kpts": torch.cat([taken[..., :2] + 0.4 * wave[..., :2], wave[..., 2:]], -1),
    }


def by_hand(loss: Callable[[Tensor, Wanted], Tensor], given: dict[str, Tensor], pixels: bool) -> Tensor:
    """The loss of the fixed instances, gathered in a plain loop, in pixels or in cells of the grid."""
    pred, points, visible, area = [], [], [], []
    for image, anchor in given["masks"].nonzero().tolist():
        cell = given["stride_tensor"][anchor]
        unit = cell if pixels else torch.ones(1)
        x1, y1, x2, y2 = given["target_bboxes"][image, anchor] / cell * unit
        target = given["keypoints"][image, given["target_gt_idx"][image, anchor]]
        pred.append(given["pred_kpts"][image, anchor, :, :2] * unit)
        points.append(target[:, :2] / cell * unit)
        visible.append(target[:, 2] != 0)
        area.append((x2 - x1) * (y2 - y1))
    return loss(torch.stack(pred), Wanted(torch.stack(points), torch.stack(visible), torch.stack(area)))


def check_stock(branch: Any) -> None:
    """Raise unless the stock loss is 1 minus object keypoint similarity, averaged as known.

    Raises:
        UnsupportedUltralytics: it is not.
    """
    sigmas = branch.keypoint_loss.sigmas.cpu()
    given = fixed_arguments(len(sigmas))

    def similarity(pred: Tensor, wanted: Wanted) -> Tensor:
        exponent = (pred - wanted.points).square().sum(-1) / (8 * sigmas**2 * wanted.area[:, None])
        missed = ((1 - (-exponent).exp()) * wanted.visible).sum(-1)
        each: Tensor = missed / wanted.visible.sum(-1)
        return each.mean()

    def stock_of(pred: Tensor, wanted: Wanted) -> Tensor:
        forward = probe.unplugged(type(branch.keypoint_loss).forward)
        part = type("Part", (), {"sigmas": sigmas})()
        found: Tensor = forward(part, pred, wanted.points, wanted.visible, wanted.area[:, None])
        return found

    stock, expected = (float(by_hand(loss, given, pixels=False)) for loss in (stock_of, similarity))
    if abs(stock - expected) > TOLERANCE:
        raise UnsupportedUltralytics(
            f"its own loss of key points gives {stock:.6f} where their similarity gives {expected:.6f}: the contract "
            "has changed",
            probe.REMEDY,
        )


def check_keypoint(branch: Any, slot: KeypointSlot) -> float:
    """The loss of fixed key points through the live branch, after comparing value and gradient with a plain loop.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss and its gradient.
    """
    part = branch.keypoint_loss
    check_stock(branch)
    plain = twin(slot, part)
    given = fixed_arguments(len(part.sigmas))

    def through(loss: Callable[[dict[str, Tensor]], Tensor]) -> tuple[Tensor, Tensor]:
        points = given["pred_kpts"].clone().requires_grad_()
        return value_and_gradient(slot, loss({**cloned(given), "pred_kpts": points}), points)

    def mean(pred: Tensor, wanted: Wanted) -> Tensor:
        found: Tensor = plain(pred, target_of(plain, wanted), reduction_override="mean")
        return found / plain.loss_weight

    with set_apart(slot, part):
        live = through(lambda arguments: branch.calculate_keypoints_loss(**arguments)[0])
    with by_autograd():
        expected = through(lambda arguments: by_hand(mean, arguments, slot.in_pixels))
    return checked(slot, live, expected)
