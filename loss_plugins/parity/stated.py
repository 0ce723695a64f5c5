"""What ours must be in calls in which it is not the built-in, as functions of the prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..catalog.declare import COLUMNS
from ..catalog.entries import get_entry
from ..labels import IGNORED
from ..module.build import build_loss
from ..peers.contract import Contract
from ..tensors import Target, cast, on_target
from .cases import Case


@dataclass(frozen=True)
class Trial:
    """One call with its tensors, and both losses with other tensors or parameters.

    Attributes:
        parameters: that both are built with, those of the contract among them.
        reduction: that both are built with.
        said: at the call, beside prediction and target.
    """

    contract: Contract
    case: Case
    parameters: Mapping[str, Any]
    reduction: str
    pred: Tensor
    target: Target
    said: Mapping[str, Any]

    def theirs(
        self,
        pred: Tensor,
        target: Target | None = None,
        said: Mapping[str, Any] | None = None,
        reduction: str = "",
        **changed: Any,
    ) -> Tensor:
        """The built-in."""
        parameters = {**self.parameters, **changed}
        call = self.contract.theirs(parameters, reduction or self.reduction, pred)
        given = dict(self.said if said is None else said)
        if reduction:
            given.pop("reduction_override", None)
        return call(pred, self.target if target is None else target, **given)

    def ours(self, pred: Tensor, target: Target | None = None, **changed: Any) -> Tensor:
        """Our loss in its dialect, or with `dialect=None` without one."""
        given = {"dialect": self.contract.framework, "reduction": self.reduction, **self.parameters, **changed}
        module = build_loss(self.contract.loss, **given).train()
        loss: Tensor = module(pred, self.target if target is None else target, **self.said)
        return loss

    @property
    def dense(self) -> Tensor:
        """The target, where it is one tensor."""
        assert isinstance(self.target, Tensor)
        return self.target


#: a number as a function of the prediction, so that its gradient is known too
Number = Callable[[Trial, Tensor], Tensor]


def reduce_plainly(losses: Tensor, reduction: str) -> Tensor:
    """Losses, their mean or their sum."""
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def zero(trial: Trial, pred: Tensor) -> Tensor:
    """0, with a gradient of 0."""
    return 0 * pred.sum()


def no_numbers(trial: Trial, pred: Tensor) -> Tensor:
    """Nothing, in the shape of a loss per box or per number."""
    kind = get_entry(trial.contract.loss).kind
    return pred.sum(-1) if kind in COLUMNS and kind != "coordinate" else pred.clone()


def in_float32(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs of the same numbers in float32."""
    return trial.theirs(pred.float(), cast(trial.dense, torch.float32))


def without_alpha(trial: Trial, pred: Tensor, *tensors: Any) -> Tensor:
    """Both weights are 1, twice those of alpha = 1/2."""
    return 2 * trial.theirs(pred, *tensors, alpha=0.5)


def negatives_weigh_nothing(trial: Trial, pred: Tensor) -> Tensor:
    """Their weight of negatives is 1 - alpha, 0 at 1."""
    return trial.theirs(pred, alpha=1.0)


def l1(trial: Trial, pred: Tensor) -> Tensor:
    """|x|, the limit of |x| - beta / 2."""
    beta = 1e-300  # theirs takes no 0; (1/2) x^2 / beta counts below it alone
    return trial.theirs(pred, beta=beta)


def same_in_rows(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs of the same boxes, and their weights, without batches."""
    said = {**trial.said, "weight": trial.said["weight"].flatten()}
    found = trial.theirs(pred.flatten(0, -2), trial.dense.flatten(0, -2), said)
    return found.view(pred.shape[:-1]) if found.ndim else found


def without_positives(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs less -p^alpha ln(1 - p) of each centre; both logarithms have 1e-12 added."""
    alpha = trial.parameters.get("alpha", 2.0)
    centre = (trial.dense == 1).to(pred.dtype)
    factor = trial.parameters.get("loss_weight", 1.0) * trial.parameters.get("neg_weight", 1.0)
    doubled = -((1 - pred + 1e-12).log() * pred**alpha * centre) * factor
    how = trial.said.get("reduction_override", trial.reduction)
    return trial.theirs(pred) - reduce_plainly(doubled, how)


def classes_last(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs with the class axis where it looks for the numbers per class."""
    said = dict(trial.said)
    if "weight" in said:
        said["weight"] = said["weight"].movedim(1, -1)
    found = trial.theirs(pred.movedim(1, -1), trial.dense.movedim(1, -1), said)
    return found.movedim(-1, 1) if found.ndim else found


def per_score(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs times the number of all scores over that of scores with weight; for "sum", the sum of these."""
    losses = trial.theirs(pred, reduction="none")
    weight = trial.said.get("weight", torch.ones_like(pred))
    counted = weight if weight.shape == pred.shape else weight[:, None].expand_as(pred)
    losses = losses.mul(counted.numel()).div((counted > 0).sum())
    return losses if trial.case.reduction == "none" else losses.sum()


def four_times(trial: Trial, pred: Tensor) -> Tensor:
    """Ours of a row that holds the number four times, which has the same mean and four times the sum."""
    found = trial.ours(pred.expand(1, 4), trial.dense.expand(1, 4))
    return found.mean() if trial.case.reduction != "sum" else found.div(4)


def sum_over_batch(trial: Trial, pred: Tensor) -> Tensor:
    """Ours, summed and divided by the batch; for rows that is the mean of the divergence."""
    mean = trial.ours(pred, dialect=None, reduction="mean")
    return mean if pred.ndim == 2 else trial.ours(pred, reduction="sum").div(len(pred))


def mean_over_all(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs times the share of pixels that are not ignored: the mean of ours, which has 0 at the others."""
    kept: Tensor = trial.dense != trial.parameters["ignore_index"]
    return trial.theirs(pred) * kept.to(pred.dtype).mean()


def clamped_logarithm(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs where it is finite, and -ln 1e-20 elsewhere, without a gradient."""
    apart = trial.theirs(pred.detach(), reduction="none", said={}).isinf()
    near = torch.where(apart[..., None], trial.dense, pred)  # boxes that equal their target are finite
    found = trial.theirs(near, reduction="none", said={})
    return reduce_plainly(torch.where(apart, 46.051701859880914, found), trial.reduction)


def all_shares(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs with the default, which ignores nothing of them."""
    return trial.theirs(pred, ignore_index=-100)


def scores_left(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs of the scores whose target is not ignore_index, one by one; 0 for the others."""
    ignored = trial.parameters.get("ignore_index")
    kept = torch.ones_like(pred, dtype=torch.bool) if ignored is None else trial.dense != ignored
    of_one_channel: dict[str, Any] = {"mode": "binary", "class_weights": None}
    plain = of_one_channel if trial.contract.framework == "smp" else {}
    losses = trial.theirs(pred, reduction="none", ignore_index=None, **plain).view_as(pred) * kept
    if trial.parameters.get("class_weights"):
        weights = pred.new_tensor(trial.parameters["class_weights"]).view(-1, *(1,) * (pred.ndim - 2))
        losses = losses * weights / weights.mean()
    if trial.case.reduction == "mean":
        return losses.sum().div(kept.sum())
    if trial.case.reduction == "sum":  # the framework's: of means over pixels, or over channels
        divisor = losses[0, 0].numel() if trial.contract.framework == "monai" else losses.shape[1]
        return losses.sum().div(divisor)
    return losses


def weighed_rows(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs of each score by itself, weighed by its class, summed over the classes; 0 for rows that are ignored."""
    labels, ignored = trial.dense, trial.parameters.get("ignore_index")
    kept = torch.ones_like(labels, dtype=torch.bool) if ignored is None else labels != ignored
    target = torch.nn.functional.one_hot(labels * kept, pred.shape[1]).movedim(-1, 1).to(pred.dtype)
    single: dict[str, Any] = {"mode": "binary", "class_weights": None, "ignore_index": None}
    losses = trial.theirs(pred, target, reduction="none", **single).view_as(pred) * kept.unsqueeze(1)
    weights = pred.new_tensor(trial.parameters["class_weights"]).view(-1, *(1,) * (pred.ndim - 2))
    return (losses * weights / weights.mean()).sum(1)


def weighed_mean(trial: Trial, pred: Tensor) -> Tensor:
    """Likewise, as the one number that theirs returns."""
    return trial.contract.shape(weighed_rows(trial, pred))


def shares_left(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs of probabilities and targets that are 0 where the target is ignore_index; that score has no gradient."""
    kept: Tensor = trial.dense != trial.parameters["ignore_index"]
    pred = torch.where(kept, pred, pred.detach())
    probability = pred.softmax(1) if trial.parameters.get("softmax") else pred.sigmoid()
    plain: dict[str, Any] = {"sigmoid": False, "softmax": False, "ignore_index": None}
    return trial.theirs(probability * kept, trial.dense * kept, **plain)


def rows_left(trial: Trial, pred: Tensor) -> Tensor:
    """Theirs of the rows that are not labelled -100; 0 for the others, which do not count in "mean"."""
    target = trial.target
    kept = (target[0] if isinstance(target, tuple) else target) != IGNORED
    said = {name: value[kept] if name == "weight" else value for name, value in trial.said.items()}
    theirs = without_alpha if trial.parameters.get("alpha", 0) is None else Trial.theirs
    found = theirs(trial, pred[kept], on_target(lambda part: part[kept], target), said)
    return found if not found.ndim else found.new_zeros(len(pred), *found.shape[1:]).index_put((kept,), found)


def as_background(trial: Trial, pred: Tensor) -> Tensor:
    """Ours with the background's label for negative ones."""
    return trial.ours(pred, on_target(lambda part: part.masked_fill(part < 0, pred.shape[1]), trial.target))
