"""Calls in which ours is not the built-in, each with the number that it must be instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..peers.contract import ROWS, Contract
from . import stated
from .cases import Case
from .stated import Number


@dataclass(frozen=True)
class CaseRule:
    """Calls in which ours differs from a built-in on purpose, and by how much: a comparison of contracts counts them.

    Attributes:
        calls: which calls.
        frameworks: names of dialects; (): all.
        losses: our names; (): all.
        ours: what ours must be there, value and gradient; None: it must raise.
        instead: where ours raises and theirs does not: what of ours equals theirs.
        theirs_raises: the built-in raises there.
    """

    name: str
    why: str
    calls: Callable[[Case], bool]
    frameworks: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    ours: Number | None = None
    instead: Number | None = None
    theirs_raises: bool = False

    @property
    def ours_raises(self) -> bool:
        """Ours has no number there."""
        return self.ours is None

    def applies(self, contract: Contract, case: Case) -> bool:
        """Whether it speaks of this call."""
        named = not self.frameworks or contract.framework in self.frameworks
        return named and (not self.losses or contract.loss in self.losses) and self.calls(case)


# --- which calls ------------------------------------------------------------------------------------------------------


def _nothing(case: Case) -> bool:
    return case.inputs.startswith("no ")


def _nothing_left(case: Case) -> bool:
    return case.reduction == "mean" and (_nothing(case) or "all ignored" in case.inputs)


def _given(name: str, *values: Any) -> Callable[[Case], bool]:
    """Calls with that parameter, or with one of these values of it."""
    return lambda case: name in case.parameters and (not values or case.parameters[name] in values)


def _all(*conditions: Callable[[Case], bool]) -> Callable[[Case], bool]:
    return lambda case: all(condition(case) for condition in conditions)


def _none(case: Case) -> bool:
    return case.reduction == "none"


def _negative(case: Case) -> bool:
    return "some negative" in case.inputs


def _ignored(case: Case) -> bool:
    return "labels" in case.inputs and "some ignored" in case.inputs


_CHANNEL = "its ignore_index names a channel of the target, and pixels of that class are left out of all channels"

CASE_RULES: tuple[CaseRule, ...] = (
    # --- ours takes what theirs refuses
    CaseRule(
        "weights-of-batches",
        "it takes one weight per box for boxes in rows only; ours is that of the same boxes in rows",
        lambda case: "in batches" in case.inputs and case.weight == ROWS,
        ("mmdet",),
        ("iou", "giou"),
        ours=stated.same_in_rows,
        theirs_raises=True,
    ),
    CaseRule(
        "beta-0",
        "it refuses beta=0; ours is L1 there",
        _given("beta", 0),
        ("mmdet",),
        ("smooth_l1",),
        ours=stated.l1,
        theirs_raises=True,
    ),
    CaseRule(
        "alpha-off",
        "alpha=None is no number there; ours has no weights then, which is twice their alpha=0.5",
        _all(_given("alpha", None), lambda case: "labels, some" not in case.inputs),
        ("mmdet", "ultralytics", "torchvision", "transformers", "rfdetr"),
        ("focal",),
        ours=stated.without_alpha,
        theirs_raises=True,
    ),
    CaseRule(
        "sum-of-ghm",
        "it refuses reduction='sum', as it divides by its own number of scores; ours is the sum of ours for 'none'",
        lambda case: case.reduction == "sum",
        ("mmdet",),
        ("ghm_c",),
        ours=stated.per_score,
        theirs_raises=True,
    ),
    CaseRule(
        "no-images",
        "it cannot take a batch without images; ours is 0, in the graph",
        _nothing,
        ("smp",),
        ("dice", "focal_tversky", "jaccard"),
        ours=stated.zero,
        theirs_raises=True,
    ),
    CaseRule(
        "no-half-on-cpu",
        "its backward knows no half precision on a CPU; ours computes in float32",
        lambda case: "half precision" in case.inputs,
        ("torch",),
        ("smooth_l1",),
        ours=stated.in_float32,
        theirs_raises=True,
    ),
    CaseRule(
        "shares-are-not-ignored",
        "ignore_index names a label, so it refuses it with shares of the classes; ours leaves nothing out",
        lambda case: "shares" in case.inputs and "ignore_index" in case.parameters,
        ("torch", "mmdet"),
        ("cross_entropy",),
        ours=stated.all_shares,
        theirs_raises=True,
    ),
    CaseRule(
        "ignored-scores",
        "its multilabel mode selects pixels of a channel by a mask of all channels, which raises; ours leaves out the "
        "scores that equal ignore_index, as its binary mode does",
        _given("ignore_index"),
        ("smp",),
        ("focal",),
        ours=stated.scores_left,
        theirs_raises=True,
    ),
    CaseRule(
        "weights-of-none",
        "with reduction 'none' it takes no class_weights; ours weighs the scores of each class",
        _all(_none, _given("class_weights")),
        ("smp",),
        ("focal",),
        ours=stated.scores_left,
        theirs_raises=True,
    ),
    CaseRule(
        "weights-of-none-by-label",
        "with reduction 'none' it takes no class_weights; ours weighs the scores of each class, and sums over them",
        _all(_none, _given("class_weights")),
        ("smp",),
        ("softmax_focal",),
        ours=stated.weighed_rows,
        theirs_raises=True,
    ),
    CaseRule(
        "ignored-rows",
        "it refuses negative labels on a CPU; ours leaves out rows labelled -100",
        _ignored,
        ("mmdet",),
        ("focal",),
        ours=stated.rows_left,
        theirs_raises=True,
    ),
    # --- neither takes it
    CaseRule(
        "negative-labels",
        "both refuse the label -1",
        _negative,
        ("mmdet",),
        ("focal",),
        theirs_raises=True,
    ),
    CaseRule(
        "no-classes",
        "a prediction without dimension has no classes, so both refuse numbers per class",
        _all(lambda case: "without dimension" in case.inputs, _given("pos_weight")),
        ("torch",),
        ("bce_with_logits",),
        theirs_raises=True,
    ),
    # --- ours refuses what theirs takes
    CaseRule(
        "one-row-at-least",
        "a prediction without dimension is refused, as ours takes rows",
        lambda case: "without dimension" in case.inputs,
        ("torch",),
        instead=stated.four_times,
    ),
    CaseRule(
        "batchmean",
        "reduction='batchmean' is refused: it is the 'sum' divided by the batch, for rows the 'mean' without dialect",
        lambda case: case.reduction == "batchmean",
        ("torch",),
        ("kl_div",),
        instead=stated.sum_over_batch,
    ),
    CaseRule(
        "negative-is-background",
        "negative labels count as background there; ours refuses -1: the background's label is C",
        _negative,
        ("mmdet",),
        ("quality_focal", "ghm_c"),
        instead=stated.as_background,
    ),
    # --- both take it
    CaseRule(
        "reward-for-wrong-scores",
        "an alpha above 1 weighs negatives by less than 0 there; ours weighs them by 0",
        lambda case: case.parameters.get("alpha", 0) > 1,
        ("rfdetr",),
        ("varifocal",),
        ours=stated.negatives_weigh_nothing,
    ),
    CaseRule(
        "ignored-is-background",
        "negative labels count as background there; ours leaves out rows labelled -100",
        _ignored,
        ("mmdet",),
        ("quality_focal", "ghm_c"),
        ours=stated.rows_left,
    ),
    CaseRule(
        "float32-out",
        "half precision gives half precision there; ours computes in float32 and returns it",
        lambda case: "half precision" in case.inputs,
        ("torch",),
        ours=stated.in_float32,
    ),
    CaseRule(
        "nothing-left",
        "the mean of no elements, or of ignored ones only, is 0 / 0 = NaN there; ours is 0, in the graph",
        _nothing_left,
        ours=stated.zero,
    ),
    CaseRule(
        "shape-of-nothing",
        "no rows give one number, 0, with reduction 'none' too; ours gives no numbers",
        _all(_none, _nothing),
        ("mmdet",),
        ours=stated.no_numbers,
    ),
    CaseRule(
        "positives-as-negatives",
        "with gamma=0 its discount (1 - y)^0 is 1 at centres as well: each counts as a negative beside; ours does not",
        _given("gamma", 0),
        ("mmdet",),
        ("gaussian_focal",),
        ours=stated.without_positives,
    ),
    CaseRule(
        "class-weights-along-the-width",
        "with reduction 'none', class_weights on maps are broadcast there along the last axis, the width; ours lie "
        "along the class axis",
        _all(_none, _given("class_weights"), lambda case: "maps" in case.inputs),
        ("smp",),
        ("softmax_focal",),
        ours=stated.weighed_mean,
    ),
    CaseRule(
        "weights-along-the-width",
        "class_weight on maps is broadcast there along the last axis, the width; ours lies along the class axis",
        lambda case: "maps" in case.inputs and "class_weight" in case.parameters,
        ("mmdet",),
        ("bce_with_logits",),
        ours=stated.classes_last,
    ),
    CaseRule(
        "ignored-channel",
        f"{_CHANNEL}; of a dense target, ours leaves out the scores that equal ignore_index",
        _given("ignore_index"),
        ("monai",),
        ("focal",),
        ours=stated.scores_left,
    ),
    CaseRule(
        "ignored-channel-of-a-region",
        f"{_CHANNEL}; of a dense target, ours leaves out the scores that equal ignore_index, of both sums",
        _given("ignore_index"),
        ("monai",),
        ("dice", "tversky"),
        ours=stated.shares_left,
    ),
    CaseRule(
        "mean-of-the-others",
        "its 'none' is the mean of each class over the pixels that are not ignored; ours has one number per pixel, 0 "
        "where it is ignored; the means are equal",
        _all(_none, _given("ignore_index")),
        ("smp",),
        ("softmax_focal",),
        ours=stated.mean_over_all,
    ),
    CaseRule(
        "root-of-zero",
        "with a power below 1, the gradient of a loss that is exactly 0 is 0 * inf = NaN there; ours is 0",
        lambda case: 0 < case.parameters.get("gamma", 1) < 1 and "ignore_index" in case.parameters,
        ("smp",),
        ("focal_tversky",),
        ours=stated.zero,
    ),
    CaseRule(
        "counted-scores",
        "with 'none' and a weight its losses are relative to the number of scores with weight, ours to that of all "
        "scores; the means are equal",
        lambda case: case.reduction == "none" and bool(case.weight),
        ("mmdet",),
        ("ghm_c",),
        ours=stated.per_score,
    ),
    CaseRule(
        "logarithm-of-0",
        "with eps=0 its -ln IoU of boxes apart is infinite, and so is the sum; ours is at most -ln 1e-20",
        lambda case: case.parameters.get("eps") == 0 and not _nothing(case),
        ("mmdet",),
        ("iou",),
        ours=stated.clamped_logarithm,
    ),
)
