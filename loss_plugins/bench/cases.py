"""Who takes part for each loss, and on what: ours eager and compiled, what is installed of the peers, torch's BCE."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..module.build import build_loss
from ..peers import located
from ..samples import SAMPLES

FloatLoss = Callable[[Tensor, Any], Tensor]
BOX_SIZES = (512, 8_192, 200_000)
LOGIT_SIZES = (160_000, 4_000_000)
CLASSES = 80
OURS, COMPILED, BCE = "ours", "ours compiled", "bce"


@dataclass(frozen=True)
class Peer:
    """A loss of an installed package: where it is, its keywords, and whether it returns a similarity."""

    package: str
    place: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    similarity: bool = False

    def is_installed(self) -> bool:
        """Whether its module can be imported."""
        try:
            located(self.place)
        except ImportError:
            return False
        return True

    def loss(self) -> FloatLoss:
        """Theirs as a loss.

        Raises:
            ImportError: not installed.
        """
        place = located(self.place)
        function = place(**self.keywords) if isinstance(place, type) else place
        keywords = {} if isinstance(place, type) else self.keywords
        if self.similarity:
            return lambda pred, target: 1.0 - function(pred, target, **keywords)
        return lambda pred, target: function(pred, target, **keywords)


@dataclass(frozen=True)
class Case:
    """One loss to time.

    Attributes:
        loss: our name.
        sample: what it is fed, see `sampling.SAMPLES`; "logits": 80 classes, one soft positive in forty.
        peers: who has the same loss.
        parameters: of ours.
        floor: also time torch's BCE with logits, the floor of dense losses.
    """

    loss: str
    sample: str
    peers: tuple[Peer, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    floor: bool = False

    @property
    def of_boxes(self) -> bool:
        """Whether its rows are boxes; logits otherwise."""
        return self.sample in ("boxes", "offsets", "rotated_boxes")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Boxes, or logits."""
        return BOX_SIZES if self.of_boxes else LOGIT_SIZES

    def inputs(self, size: int, device: str) -> tuple[Tensor, Tensor]:
        """pred, with gradient, and target, in float32."""
        if self.sample == "logits":
            pred, target = _logits(size)
        else:
            sample, trial = SAMPLES[self.sample], 400
            per_row = sample(trial, 0, torch.float32)[0].numel() / trial
            pred, target = sample(size if self.of_boxes else round(size / per_row), 0, torch.float32)  # type: ignore[assignment]
        return pred.to(device).requires_grad_(), target.to(device)

    def contenders(self) -> dict[str, FloatLoss]:
        """Losses by name; of the peers, those that are installed."""
        found: dict[str, FloatLoss] = {OURS: build_loss(self.loss, reduction="none", **self.parameters)}
        with contextlib.suppress(ValueError):  # not separable
            found[COMPILED] = build_loss(self.loss, reduction="none", compile=True, **self.parameters)
        missing = self.missing()
        found.update({peer.package: peer.loss() for peer in self.peers if peer.package not in missing})
        if self.floor:
            found[BCE] = _bce
        return found

    def missing(self) -> list[str]:
        """The packages of the peers that are not installed."""
        return [peer.package for peer in self.peers if not peer.is_installed()]


def _bce(pred: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(pred, target, reduction="none")


def _logits(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (size // CLASSES, CLASSES)
    pred = 3 * torch.randn(shape, generator=generator)
    positive = torch.rand(shape, generator=generator) < 1 / 40
    return pred, torch.rand(shape, generator=generator) * positive


MONAI_KEYWORDS = {"sigmoid": True, "reduction": "none"}


def _mmdet(place: str, **keywords: Any) -> Peer:
    return Peer("mmdet", f"mmdet.models.losses.{place}", {"reduction": "none", **keywords})


def _torch(place: str) -> Peer:
    return Peer("torch", f"torch.nn:{place}", {"reduction": "none"})


def _iou(loss: str, flags: Mapping[str, Any], vision: str = "", **mmdet: Any) -> Case:
    peers = [
        Peer("ultralytics", "ultralytics.utils.metrics:bbox_iou", {"xywh": False, **flags}, similarity=True),
        _mmdet(f"iou_loss:{loss}_loss", **mmdet),
    ]
    if vision:
        peers.append(Peer("torchvision", f"torchvision.ops:{vision}"))
    return Case(loss, "boxes", tuple(peers))


CASES: dict[str, Case] = {
    case.loss: case
    for case in (
        _iou("iou", {}, mode="linear"),
        _iou("giou", {"GIoU": True}, "generalized_box_iou_loss"),
        _iou("diou", {"DIoU": True}, "distance_box_iou_loss"),
        _iou("ciou", {"CIoU": True}, "complete_box_iou_loss"),
        Case("siou", "boxes", (_mmdet("iou_loss:siou_loss", neg_gamma=True),)),
        Case("extended_iou", "boxes", (_mmdet("iou_loss:eiou_loss"),)),
        Case("bounded_iou", "boxes", (_mmdet("iou_loss:bounded_iou_loss"),)),
        Case("balanced_l1", "offsets", (_mmdet("balanced_l1_loss:balanced_l1_loss"),)),
        Case("smooth_l1", "offsets", (_mmdet("smooth_l1_loss:smooth_l1_loss"), _torch("SmoothL1Loss"))),
        Case("l1", "offsets", (_mmdet("smooth_l1_loss:l1_loss"), _torch("L1Loss"))),
        Case(
            "prob_iou",
            "rotated_boxes",
            (Peer("ultralytics", "ultralytics.utils.metrics:probiou", similarity=True),),
        ),
        Case(
            "focal",
            "logits",
            (
                _mmdet("focal_loss:py_sigmoid_focal_loss"),
                Peer("torchvision", "torchvision.ops:sigmoid_focal_loss"),
                Peer("kornia", "kornia.losses:binary_focal_loss_with_logits", {"alpha": 0.25, "reduction": "none"}),
                Peer("monai", "monai.losses:FocalLoss", {"alpha": 0.25, "reduction": "none"}),
            ),
            floor=True,
        ),
        Case("quality_focal", "logits", (_mmdet("gfocal_loss:quality_focal_loss_tensor_target"),), floor=True),
        Case("varifocal", "logits", (_mmdet("varifocal_loss:varifocal_loss"),), floor=True),
        Case("asymmetric", "logits", (), floor=True),
        Case("bce_with_logits", "logits", (_torch("BCEWithLogitsLoss"),)),
        Case("gaussian_focal", "heat maps", (_mmdet("gaussian_focal_loss:gaussian_focal_loss"),)),
        Case("distribution_focal", "bins", (_mmdet("gfocal_loss:distribution_focal_loss"),)),
        Case("cross_entropy", "logits, class map", (_torch("CrossEntropyLoss"),)),
        *(
            Case(
                loss,
                "masks",
                (Peer("monai", f"monai.losses:{theirs}", MONAI_KEYWORDS),),
                {"dialect": "monai", "sigmoid": True},
            )
            for loss, theirs in (("dice", "DiceLoss"), ("tversky", "TverskyLoss"))
        ),
    )
}
