"""Small detectors with random weights, and batches for them."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, KeypointRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.ssd import SSD

CLASSES = 4
SIZE = 64


def backbone(channels):
    layers = nn.Sequential(nn.Conv2d(3, channels, 3, stride=8, padding=1), nn.ReLU())
    layers.out_channels = channels
    return layers


def fcos():
    anchors = AnchorGenerator(((8,),), ((1.0,),))
    model = FCOS(backbone(32), CLASSES, min_size=SIZE, max_size=SIZE, anchor_generator=anchors)
    model.head.regression_head.bbox_reg.bias.data.fill_(1.5)  # boxes with an area
    return model


def retinanet(kind="l1"):
    anchors = AnchorGenerator(((16, 24),), ((0.5, 1.0, 2.0),))
    model = RetinaNet(backbone(8), CLASSES, min_size=SIZE, max_size=SIZE, anchor_generator=anchors)
    model.head.regression_head._loss_type = kind
    return model


def retinanet_v2():
    return retinanet("giou")


def faster_rcnn(kind=FasterRCNN):
    anchors = AnchorGenerator(((16, 32),), ((0.5, 1.0, 2.0),))
    settings = {"min_size": SIZE, "max_size": SIZE, "rpn_anchor_generator": anchors}
    return kind(backbone(8), num_classes=CLASSES, rpn_pre_nms_top_n_train=50, rpn_post_nms_top_n_train=20, **settings)


def mask_rcnn():
    return faster_rcnn(MaskRCNN)


def keypoint_rcnn():
    return faster_rcnn(KeypointRCNN)


def ssd():
    generator = DefaultBoxGenerator([[2]], scales=[0.3, 0.6])
    layers = backbone(8)
    layers.out_channels = [8]
    return SSD(layers, generator, (SIZE, SIZE), CLASSES)


#: models that are served whole
DENSE = {"fcos": fcos, "retinanet": retinanet, "retinanet_v2": retinanet_v2}
SERVED = {**DENSE, "faster_rcnn": faster_rcnn}


def built(make, seed=0):
    torch.manual_seed(seed)
    return make().train()


def batch(counts=(2, 0, 3), seed=1):
    """Images, and targets with so many objects."""
    random = torch.Generator().manual_seed(seed)
    images = [torch.rand(3, SIZE, SIZE, generator=random) for _ in counts]
    targets = []
    for count in counts:
        corner = torch.rand(count, 2, generator=random) * 30
        boxes = torch.cat([corner, corner + 14 + 16 * torch.rand(count, 2, generator=random)], dim=-1)
        labels = torch.randint(1, CLASSES, (count,), generator=random)
        targets.append({"boxes": boxes, "labels": labels})
    return images, targets


def losses(model, counts=(2, 0, 3), seed=1):
    """The losses of a batch, with the same random numbers for the samplers each time."""
    images, targets = batch(counts, seed)
    torch.manual_seed(7)
    return model(images, targets)


def key_of(model):
    """What the box loss is called."""
    return "loss_box_reg" if hasattr(model, "roi_heads") else "bbox_regression"


def gradients(model, total):
    """Of each parameter that the total depends on."""
    named = dict(model.named_parameters())
    found = torch.autograd.grad(total, list(named.values()), allow_unused=True, retain_graph=True)
    return {name: gradient for name, gradient in zip(named, found, strict=True) if gradient is not None}
