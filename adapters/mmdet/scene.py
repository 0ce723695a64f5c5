"""Two noise images with known objects, as a detector's `loss` takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

#: the objects of both images, as shares of the image: small and large ones, none square, no two alike
BOXES = (
    ((0.06, 0.08, 0.55, 0.70), (0.47, 0.16, 0.94, 0.47), (0.04, 0.70, 0.31, 0.95), (0.62, 0.55, 0.72, 0.81),
     (0.10, 0.20, 0.18, 0.31), (0.30, 0.05, 0.90, 0.92)),
    ((0.23, 0.23, 0.86, 0.90), (0.02, 0.03, 0.20, 0.23), (0.62, 0.04, 0.98, 0.39), (0.05, 0.55, 0.40, 0.97),
     (0.75, 0.70, 0.83, 0.93), (0.35, 0.42, 0.51, 0.50)),
)  # fmt: skip
#: how much wider than high the images are: no axis of theirs can be taken for the other
WIDER = 1.25
#: what a map of classes says where nothing is annotated, and where an image is padded
UNKNOWN = 255
#: share of the map's rows, the lowest ones, of which nothing is known
UNSEEN = 0.15


@dataclass(frozen=True)
class Scene:
    """Images and what is known of them.

    Attributes:
        images: (2, 3, h, w) noise.
        samples: objects, and whatever else heads read of a sample.
        boxes: (12, 4) corners of all objects, in pixels.
        size: height and width.
    """

    images: Tensor
    samples: list[Any]
    boxes: Tensor
    size: tuple[int, int]


def make_scene(
    side: int,
    classes: int,
    masks: bool,
    scale: int = 1,
    wider: float = WIDER,
    device: torch.device | str = "cpu",
) -> Scene:
    """A scene, the same each time.

    Args:
        side: height of the images in pixels.
        classes: how many classes the objects may have.
        masks: whether objects have masks, and images a map of classes.
        scale: how many pixels a pixel of the map of classes stands for.
        wider: width over height.
        device: where its tensors lie.
    """
    size = side, int(side * wider)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(len(BOXES), 3, *size, generator=generator).to(device)
    per_image = [torch.tensor(boxes) * torch.tensor([size[1], size[0]] * 2) for boxes in BOXES]
    samples = [_sample(index, boxes, size, classes, masks, scale, device) for index, boxes in enumerate(per_image)]
    return Scene(images, samples, torch.cat(per_image).to(device), size)


def _sample(
    index: int,
    boxes: Tensor,
    size: tuple[int, int],
    classes: int,
    masks: bool,
    scale: int,
    device: torch.device | str,
) -> DetDataSample:
    labels = torch.arange(len(boxes)) % max(classes, 1)
    objects = InstanceData(bboxes=boxes.clone(), labels=labels)
    ignored = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    shift = torch.tensor([0.02 * size[1], 0.03 * size[0]] * 2)
    proposals = InstanceData(bboxes=torch.cat([boxes, boxes + shift]), scores=torch.ones(2 * len(boxes)))
    sample = DetDataSample(
        gt_instances=objects, ignored_instances=ignored, proposals=proposals, metainfo=_meta(index, size)
    )
    if masks:
        drawn = np.stack([_ellipse(box, size) for box in boxes.tolist()])
        objects.masks = BitmapMasks(drawn, *size)
        ignored.masks = BitmapMasks(drawn[:0], *size)
        sample.gt_sem_seg = PixelData(sem_seg=_map(drawn, labels)[None, ::scale, ::scale])
    return sample.to(device)


def _meta(index: int, size: tuple[int, int]) -> dict[str, Any]:
    same = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), size)
    return {**same, "img_id": index, "scale_factor": (1.0, 1.0), "flip": False, "border": (0, size[0], 0, size[1])}


def _ellipse(box: list[float], size: tuple[int, int]) -> Any:
    """The ellipse inside a box, as booleans in bytes."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    left, top, right, bottom = box
    across = (2 * x - left - right) / (right - left)
    down = (2 * y - top - bottom) / (bottom - top)
    return (across**2 + down**2 <= 1).astype(np.uint8)


def _map(drawn: Any, labels: Tensor) -> Tensor:
    """(h, w) the class of each pixel, where several objects lie over each other that of the last; 0 elsewhere.

    Of the lowest rows nothing is known.
    """
    classes = torch.zeros(drawn.shape[1:], dtype=torch.long)
    for mask, label in zip(torch.from_numpy(drawn), labels, strict=True):
        classes[mask > 0] = label
    classes[int(len(classes) * (1 - UNSEEN)) :] = UNKNOWN
    return classes
