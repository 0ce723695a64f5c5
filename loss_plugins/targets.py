"""Targets of class losses in one form: a score for each class."""

from __future__ import annotations

import torch
from torch import Tensor


def dense(pred: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """The target in pred's shape and dtype; integer labels become one-hot rows, background rows stay 0."""
    if target.shape == pred.shape:
        return target.to(pred.dtype)
    return one_hot(target, pred.shape[axis], axis).to(pred.dtype)


def one_hot(labels: Tensor, classes: int, axis: int = -1) -> Tensor:
    """Labels to booleans with a class axis; unlike torch's, any label that is no class gives False throughout."""
    axis = axis % (labels.ndim + 1)
    shape = [1] * (labels.ndim + 1)
    shape[axis] = classes
    return labels.unsqueeze(axis) == torch.arange(classes, device=labels.device).view(shape)
