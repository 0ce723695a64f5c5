# SPDX-License-Identifier: AGPL-3.0-or-later
"""Plugged losses in the criteria that Ultralytics makes: of masks, of key points, of RT-DETR, of semantic models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.nn.modules import head as heads

from .errors import UnsupportedUltralytics
from .plug import plugged
from .probe import REMEDY
from .spec import make_spec

CLASSES = 3


class Headed(nn.Module):
    """As much of a model as makes its criterion: a small head, and the trainer's settings."""

    def __init__(self, head: nn.Module | None = None) -> None:
        super().__init__()
        self.model = nn.ModuleList([nn.Identity() if head is None else head])
        self.args = get_cfg()
        self.nc = CLASSES


def of_masks() -> Any:
    """The criterion of instance segmentation, which is one of boxes and classes too."""
    head = heads.Segment(nc=CLASSES, nm=4, npr=8, ch=(8, 8, 8))
    head.stride = torch.tensor([8.0, 16.0, 32.0])
    return tasks.SegmentationModel.init_criterion(Headed(head))


def of_points() -> Any:
    """The criterion of pose models, with the deviations of COCO's 17 key points."""
    head = heads.Pose(nc=CLASSES, kpt_shape=(17, 3), ch=(8, 8, 8))
    head.stride = torch.tensor([8.0, 16.0, 32.0])
    return tasks.PoseModel.init_criterion(Headed(head))


def of_queries() -> Any:
    """The criterion of RT-DETR."""
    return tasks.RTDETRDetectionModel.init_criterion(Headed())


def of_maps() -> Any:
    """The criterion of semantic models."""
    return tasks.SemanticSegmentationModel.init_criterion(Headed(heads.SemanticSegment(nc=CLASSES, ch=(8, 8))))


def arrived(make: Callable[[], Any], slot: str, loss: str) -> str:
    """The loss of fixed inputs through a criterion that was made while the loss was plugged in.

    Raises:
        UnsupportedUltralytics: the criterion computes another one, or cannot be made.
    """
    asked: dict[str, Any] = {slot: loss}
    with plugged(make_spec(**asked)) as plug:
        try:
            criterion = make()
        except (TypeError, AttributeError) as error:
            raise UnsupportedUltralytics(f"its criterion cannot be made: {error}", REMEDY) from error
        plug.check(criterion)
        return f"{loss} {plug.report.canary[slot][0]:.6f} on fixed inputs"


def actions() -> Iterator[tuple[str, Callable[[], str]]]:
    """What the doctor tries, and what the report calls it."""
    yield "a plugged quality_focal arrives (class scores)", partial(arrived, of_masks, "cls", "quality_focal")
    yield "a plugged dice arrives (masks)", partial(arrived, of_masks, "mask", "dice")
    yield "a plugged wing arrives (key points)", partial(arrived, of_points, "keypoint", "wing")
    yield "a plugged eiou arrives (RT-DETR)", partial(arrived, of_queries, "box", "eiou")
    yield "a plugged quality_focal arrives (RT-DETR)", partial(arrived, of_queries, "cls", "quality_focal")
    if hasattr(tasks, "SemanticSegmentationModel"):
        yield "a plugged dice arrives (semantic models)", partial(arrived, of_maps, "sem", "dice")
