"""Losses of key points of other packages: how they are called, and their rows of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .calls import LossCall
from .uses import Compared, Peer

#: inputs of contracts, see `parity.inputs`
KEY_POINTS = ("key points", "key points, all visible", "key points, none visible")
FLOWS = ("key points with a flow", "key points with a flow, weights")
WEIGHTED = {"use_target_weight": "what is visible is always said"}


def of_key_points(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module of deviations, 1 / K where none are said, called with predictions and the parts of our target."""

    def call(pred: Tensor, target: tuple[Tensor, ...]) -> Tensor:
        points, visible, area = target
        sigmas = parameters.get("sigmas", torch.ones(pred.shape[-2]) / pred.shape[-2])
        found: Tensor = place(torch.as_tensor(sigmas).to(pred))(pred, points, visible, area[:, None])
        return found

    return call


def of_errors(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """A module of deviations, log densities, errors and weights, a row for each key point."""
    said = {name: value for name, value in parameters.items() if name != "reduction"}
    loss = place(**said, size_average=parameters.get("reduction", "mean") == "mean")

    def call(pred: Tensor, target: tuple[Tensor, ...]) -> Tensor:
        points, visible, sigma, density = target
        deviations, errors = (part.reshape(-1, 2) for part in (sigma, (pred - points) / (sigma + 1e-9)))
        found: Tensor = loss(deviations, density.reshape(-1), errors, visible.reshape(-1).to(pred))
        return found + 0 * pred.sum()  # without its residual term the error has no part in it

    return call


def _of_flow(variant: str = "", **parameters: Any) -> Compared:
    return Compared("rle", "key points with a flow", parameters, of_errors, reduction="mean", variant=variant)


ULTRALYTICS = (
    Peer(
        "ultralytics",
        "ultralytics.utils.loss:KeypointLoss",
        uses=(Compared("oks", "key points", form=of_key_points, reduction="mean", double=None),),  # counts in float32
    ),
    Peer(
        "ultralytics",
        "ultralytics.utils.loss:RLELoss",
        uses=(_of_flow(), _of_flow("without residual", residual=False)),
    ),
)
