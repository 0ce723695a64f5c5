"""Rows in which a built-in is broken, or ours is better on purpose: a comparison leaves them out, and counts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..losses.scores import SLOPE_FLOOR
from ..peers import Compared
from ..peers.contracts import Contract
from ..tensors import Target
from .cases import Case


@dataclass(frozen=True)
class Rule:
    """Rows that a comparison leaves out, and counts.

    Attributes:
        rows: which rows, from prediction and target. Ours must be finite in them all the same.
        until: the last version known to need it; "": the installed one does.
        gradient_only: values are still compared. Else only rows are left out in which theirs is not finite.
    """

    name: str
    framework: str
    losses: tuple[str, ...]
    why: str
    rows: Callable[[Tensor, Target], Tensor]
    gradient_only: bool = False
    until: str = ""

    def applies(self, row: Compared) -> bool:
        """Whether it speaks of this built-in."""
        return row.framework == self.framework and row.name in self.losses


def _exact_match(pred: Tensor, target: Target) -> Tensor:
    assert isinstance(target, Tensor)
    return (pred == target).all(-1)


def _steep(pred: Tensor, target: Target) -> Tensor:
    return ((pred < SLOPE_FLOOR) | (pred > 1 - SLOPE_FLOOR)).any(-1)


RULES: tuple[Rule, ...] = (
    Rule(
        "nan-on-match",
        "mmdet",
        ("ciou",),
        "its alpha is 0 / 0 = NaN, in value and gradient, where boxes are equal and eps vanishes in their union "
        "(float32, from an area of about 32 px on); ours is 0 there",
        _exact_match,
    ),
    Rule(
        "nan-on-match-in-centres",
        "ultralytics",
        ("ciou (cxcywh)",),
        "up to 8.4.120 at least, its alpha is v / (v - IoU + (1 + eps)), which is 0 / 0 = NaN for many equal boxes "
        "given as centres; 8.4.190 writes 1 - IoU + v + eps",
        _exact_match,
        until="8.4.120",
    ),
    Rule(
        "bounded-slope",
        "mmdet",
        ("focal (probabilities)", "quality_focal (probabilities)", "gaussian_focal"),
        f"probabilities within {SLOPE_FLOOR:g} of 0 or 1: its logarithm's slope grows to 1e12 there, ours stops at "
        f"{1 / SLOPE_FLOOR:g}; the values are equal",
        _steep,
        gradient_only=True,
    ),
)


@dataclass(frozen=True)
class CaseRule:
    """Calls in which ours differs from a built-in on purpose, and is finite: a comparison of contracts counts them.

    Attributes:
        losses: our names; (): all.
        frameworks: names of dialects; (): all.
        calls: which calls.
        refused: ours raises there.
    """

    name: str
    why: str
    calls: Callable[[Case], bool]
    frameworks: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    refused: bool = False

    def applies(self, contract: Contract, case: Case) -> bool:
        """Whether it speaks of this call."""
        named = not self.frameworks or contract.framework in self.frameworks
        return named and (not self.losses or contract.loss in self.losses) and self.calls(case)


def _nothing_left(case: Case) -> bool:
    return case.reduction == "mean" and (case.inputs.startswith("no ") or "all ignored" in case.inputs)


CASE_RULES: tuple[CaseRule, ...] = (
    CaseRule(
        "float32-out",
        "half precision gives half precision there; ours computes in float32 and returns it",
        lambda case: "half precision" in case.inputs,
        ("torch",),
    ),
    CaseRule(
        "one-row-at-least",
        "a prediction without dimension is refused: pred[None] is one row",
        lambda case: "without dimension" in case.inputs,
        ("torch",),
        refused=True,
    ),
    CaseRule(
        "batchmean",
        "reduction='batchmean' is refused: the 'mean' of kl_div without dialect is it",
        lambda case: case.reduction == "batchmean",
        ("torch",),
        ("kl_div",),
        refused=True,
    ),
    CaseRule(
        "nothing-left",
        "the mean of no elements, or of ignored ones only, is 0 / 0 = NaN there; ours is 0, in the graph",
        _nothing_left,
    ),
    CaseRule(
        "shape-of-nothing",
        "no rows give one number, 0, with reduction 'none' too; ours gives no numbers",
        lambda case: case.reduction == "none" and case.inputs.startswith("no "),
        ("mmdet",),
    ),
    CaseRule(
        "positives-as-negatives",
        "with gamma=0 its discount (1 - y)^0 is 1 at centres as well: each counts as a negative beside; ours does not",
        lambda case: case.parameters.get("gamma") == 0,
        ("mmdet",),
        ("gaussian_focal",),
    ),
    CaseRule(
        "weights-along-the-width",
        "class_weight on maps is broadcast there along the last axis, the width; ours lies along the class axis",
        lambda case: "maps" in case.inputs and "class_weight" in case.parameters,
        ("mmdet",),
        ("bce_with_logits",),
    ),
    CaseRule(
        "ignored-channel",
        "its ignore_index names a channel of the target, and pixels of that class are left out of all channels; of a "
        "dense target, ours leaves out the scores that equal ignore_index",
        lambda case: "ignore_index" in case.parameters,
        ("monai",),
        ("focal", "dice", "tversky"),
    ),
    CaseRule(
        "mean-of-the-others",
        "its 'none' is the mean of each class over the pixels that are not ignored; ours has one number per pixel, 0 "
        "where it is ignored; the means are equal",
        lambda case: case.reduction == "none" and "ignore_index" in case.parameters,
        ("smp",),
        ("softmax_focal",),
    ),
    CaseRule(
        "root-of-zero",
        "with a power below 1, the gradient of a loss that is exactly 0 is 0 * inf = NaN there; ours is finite",
        lambda case: 0 < case.parameters.get("gamma", 1) < 1 and "ignore_index" in case.parameters,
        ("smp",),
        ("focal_tversky",),
    ),
    CaseRule(
        "counted-scores",
        "with 'none' and a weight its losses are relative to the number of scores with weight, ours to that of all "
        "scores; the means are equal",
        lambda case: case.reduction == "none" and bool(case.weight),
        ("mmdet",),
        ("ghm_c",),
    ),
    CaseRule(
        "logarithm-of-0",
        "with eps=0 its -ln IoU of boxes apart is infinite, and so is the sum; ours is at most -ln 1e-20",
        lambda case: case.parameters.get("eps") == 0 and not case.inputs.startswith("no "),
        ("mmdet",),
        ("iou",),
    ),
)
