# SPDX-License-Identifier: AGPL-3.0-or-later
"""The gradient of a loss over that of the stock loss: when it tells of the balance, what is fair, and what mends it."""

from __future__ import annotations

import math

#: outside of it, with a loss_weight of 1, no factor on the loss mends the balance
FAR = (0.01, 100.0)
#: the share of the epochs, and the number of epochs, after which predictions are near their targets
EARLY = (0.25, 2)
BALANCE = (
    "no loss_weight mends that: the loss weighs its predictions otherwise than the stock loss does, as easy and hard "
    "ones, or positives and negatives (docs/ultralytics.md#what-gainmatch-promises)"
)


def counts(epoch: int, epochs: int) -> bool:
    """Whether the ratio of an epoch tells of the balance of the losses: before, predictions are far from their targets.

    Args:
        epoch: from 1.
        epochs: how many the training has.
    """
    return epoch > max(EARLY[0] * epochs, EARLY[1])


def remedy(ratio: float, matched: float | None, match_taken: bool, weight: float, gain: str) -> str:
    """What makes a loss pull as hard as the stock loss does.

    Args:
        ratio: the measured one.
        matched: what it would be times the constant of gain="match"; None: there is none, or it is in force.
        match_taken: whether gain="match" is taken beside the other losses.
        weight: the loss_weight.
        gain: the trainer's setting that multiplies this loss alone; "": there is none.
    """
    advice = []
    useful = matched is not None and _within(matched) and abs(math.log(matched)) < _distance(ratio)
    if useful and match_taken:
        advice.append(f'use gain="match", with which it would be {matched:.3g}')
    near = _within(ratio / weight)
    if near or (useful and not match_taken):
        trainers = f", or multiply the trainer's {gain}= by {1 / ratio:.2g}" if near and gain else ""
        advice.append(f"set loss_weight={weight / ratio:.2g} (it is {weight:g}), with which it would be 1{trainers}")
    return ", or ".join(advice) or BALANCE


def _within(ratio: float) -> bool:
    return FAR[0] <= ratio <= FAR[1]


def _distance(ratio: float) -> float:
    return abs(math.log(ratio)) if ratio > 0 else math.inf
