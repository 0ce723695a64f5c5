"""How the class losses are called that are methods of DETR-like criteria: rows are queries, which have boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .calls import BLOCK, LossCall
from .packages import located


@dataclass(frozen=True)
class OfCriterion:
    """A form of call: the class loss of a criterion, divided by one box; our target is (label, score).

    A row with a label is matched to an object, of which its box covers the share that the score says. Images have a
    block of queries, as their boxes make a matrix of all pairs.

    Attributes:
        build: (class of the criterion, number of classes, parameters) to the criterion.
        method: of it that computes the loss.
        key: under which that returns it.
    """

    build: Callable[[Any, int, Mapping[str, Any]], Any]
    method: str
    key: str

    def __call__(self, place: Any, parameters: Mapping[str, Any]) -> LossCall:
        """The sum over all images."""

        def call(pred: Tensor, target: Any) -> Tensor:
            criterion = self.build(place, pred.shape[1], parameters)
            blocks = zip(*(torch.split(each, BLOCK) for each in (pred, *target)), strict=True)
            losses = torch.stack([self._of_image(criterion, *block) for block in blocks])
            return losses.sum()

        return call

    def _of_image(self, criterion: Any, pred: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
        matched = (labels < pred.shape[1]).nonzero().squeeze(1)
        whole = pred.new_tensor([0.5, 0.5, 1, 1]).repeat(len(pred), 1)
        covered = torch.stack([scores / 2, whole[:, 1], scores, whole[:, 3]], dim=1)
        outputs = {"logits": pred[None], "pred_logits": pred[None], "pred_boxes": covered[None]}
        classes = labels[matched]
        objects = {"class_labels": classes, "labels": classes, "boxes": whole[matched]}
        pairs = (matched, torch.arange(len(matched)))
        loss: Tensor = getattr(criterion, self.method)(outputs, [objects], [pairs], 1)[self.key]
        return loss


def _with_config(config: str, names: Mapping[str, str]) -> Callable[[Any, int, Mapping[str, Any]], Any]:
    """A criterion of transformers, which reads its parameters from a configuration, by names of their own."""

    def build(place: Any, classes: int, parameters: Mapping[str, Any]) -> Any:
        given = {names[name]: value for name, value in parameters.items()}
        return place(located(f"transformers:{config}")(num_labels=classes, **given))

    return build


def _with_matcher(**fixed: Any) -> Callable[[Any, int, Mapping[str, Any]], Any]:
    """A criterion that is built of its parts."""

    def build(place: Any, classes: int, parameters: Mapping[str, Any]) -> Any:
        return place(num_classes=classes, matcher=None, losses=[], **fixed, **parameters)

    return build


RT_DETR = OfCriterion(
    _with_config("RTDetrConfig", {"alpha": "focal_loss_alpha", "gamma": "focal_loss_gamma"}),
    "loss_labels_vfl",
    "loss_vfl",
)
DEIMV2 = OfCriterion(
    _with_config("Deimv2Config", {"mal_alpha": "mal_alpha", "focal_loss_gamma": "focal_loss_gamma"}),
    "loss_labels_mal",
    "loss_mal",
)
DEIM = OfCriterion(_with_matcher(weight_dict={}), "loss_labels_mal", "loss_mal")
LW_DETR = OfCriterion(_with_matcher(group_detr=1), "loss_labels", "loss_ce")
RF_DETR = OfCriterion(_with_matcher(weight_dict={}, ia_bce_loss=True), "loss_labels", "loss_ce")


def fine_bins(place: Any, parameters: Mapping[str, Any]) -> LossCall:
    """The loss of bins of D-FINE's criterion, one number per side, with the shares that its helper gives both bins."""

    def call(pred: Tensor, target: Tensor) -> Tensor:
        last = pred.shape[1] - 1
        criterion = _with_config("DFineConfig", {})(place, 1, {}).to(pred.dtype)
        low, right, left = located("transformers.loss.loss_d_fine:translate_gt")(
            target.float(), last, criterion.reg_scale, criterion.up.float()
        )
        low = low.clamp(0, last - 0.1)
        loss: Tensor = criterion.unimodal_distribution_focal_loss(pred, low, right, left, reduction="none")
        return loss

    return call
