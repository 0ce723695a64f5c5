"""Who takes part for each loss, and on what: ours eager and compiled, what is installed of the peers, torch's BCE."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.nn import functional

from ..module.build import build_loss
from ..peers import LossCall, timed
from ..samples import SAMPLES

BOX_SIZES = (512, 8_192, 200_000)
LOGIT_SIZES = (160_000, 4_000_000)
DENSE = "logits, few qualities"
OURS, COMPILED, BCE = "ours", "ours compiled", "bce"


@dataclass(frozen=True)
class Case:
    """One loss to time.

    Attributes:
        loss: our name.
        sample: what it is fed, a name in `samples.SAMPLES`.
        parameters: of ours.
        floor: also time torch's BCE with logits, the floor of dense losses.
    """

    loss: str
    sample: str
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
        sample, trial = SAMPLES[self.sample], 400
        per_row = sample(trial)[0].numel() / trial
        pred, target = sample(size if self.of_boxes else round(size / per_row))
        assert isinstance(target, Tensor)
        return pred.to(device).requires_grad_(), target.to(device)

    def contenders(self) -> dict[str, LossCall]:
        """Losses by name; of the peers, those that are installed."""
        found: dict[str, LossCall] = {OURS: build_loss(self.loss, reduction="none", **self.parameters)}
        with contextlib.suppress(ValueError):  # not separable
            found[COMPILED] = build_loss(self.loss, reduction="none", compile=True, **self.parameters)
        found.update({peer.framework: peer.theirs() for peer in timed(self.loss) if not peer.missing()})
        if self.floor:
            found[BCE] = _bce
        return found

    def missing(self) -> dict[str, str]:
        """The peers that cannot be timed, each with the reason."""
        return {peer.framework: why for peer in timed(self.loss) if (why := peer.missing())}


def _bce(pred: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(pred, target, reduction="none")


MONAI_SIGMOID = {"dialect": "monai", "sigmoid": True}

CASES: dict[str, Case] = {
    case.loss: case
    for case in (
        *(Case(loss, "boxes") for loss in ("iou", "giou", "diou", "ciou", "siou", "extended_iou", "bounded_iou")),
        *(Case(loss, "offsets") for loss in ("balanced_l1", "smooth_l1", "l1")),
        Case("prob_iou", "rotated_boxes"),
        *(Case(loss, DENSE, floor=True) for loss in ("focal", "quality_focal", "varifocal", "asymmetric")),
        Case("bce_with_logits", DENSE),
        Case("gaussian_focal", "heat maps"),
        Case("distribution_focal", "bins"),
        Case("cross_entropy", "logits, class map"),
        *(Case(loss, "masks", MONAI_SIGMOID) for loss in ("dice", "tversky")),
    )
}
