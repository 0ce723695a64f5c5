"""The dialects: what other frameworks call the parameters of a loss, their defaults, what a reduction divides by.

A dialect is data. `dialect=None` is ours: the paper's formula, kept finite without a constant in the unit of the boxes.
Naming a framework reproduces its built-in to rounding: `conventions` says how it writes the formulas, `DEFAULTS` which
values and which names its parameters have. Where a built-in is broken (NaN on an exact match, say) we stay finite, and
`parity.rules` and `parity.case_rules` keep the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..errors import refusal, shown
from ..labels import IGNORED
from .conventions import DIALECTS, GUARDS
from .foreign import Defaults, Keyword
from .meanings import (
    dice_mmdet,
    dice_monai,
    exponent_smp,
    jaccard_monai,
    negatives_rfdetr,
    none_below_zero,
    none_from_zero,
    of_mean_1,
    smooth_monai,
    twice,
    without_trailing_axes,
)

Parameters = dict[str, Any]


def fixed_at(value: Any, remedy: str = "") -> Keyword:
    """A parameter of theirs that has this one value here."""
    return Keyword(values={value: None}, remedy=remedy)


def renamed(name: str) -> Keyword:
    """A parameter of ours under another name."""
    return Keyword(name)


_AT_THE_CALL = fixed_at(None, "pass it when the loss is called: loss(pred, target, weight)")
#: theirs is broadcast from the last axis, so for maps it has the shape (C, 1, 1)
_POS_WEIGHT = Keyword("pos_weight", convert=without_trailing_axes)
_SIGMOID = {"use_sigmoid": fixed_at(True)}
_IGNORE_MMDET = Keyword("ignore_index", convert=lambda index: IGNORED if index is None else index)
_COUNT_MMDET = Keyword("count_ignored", {True: False, False: None})
_MMYOLO = {"return_iou": fixed_at(False, "a loss returns one number: take the IoU from box_iou of torchvision, say")}
#: the mean over the queries, axis 1, summed; their number of boxes is `avg_factor` at the call
_DETR_FOCAL = Defaults(names={"alpha": Keyword("alpha", convert=none_below_zero)}, mean="columns")
#: likewise a sum over the masks
_DETR_DICE = Defaults({"form": "naive", "smooth": 1.0, "eps": 0.0})
_SMP = {
    "class_weights": renamed("class_weight"),
    "mode": Keyword(
        "over",
        {"binary": "batch", "multilabel": "batch_channel", "multiclass": "batch_channel"},
        defaults={"multiclass": {"activation": "softmax"}},
    ),
    "from_logits": Keyword("activation", {True: None, False: "none"}),
}
_SMP_VALUES = {"over": "batch", "overlap": "min", "empty": "zero"}
_SMP_FOCAL = {
    "normalized": fixed_at(False),
    "reduced_threshold": fixed_at(None),
    "from_logits": fixed_at(True, "pass logits"),
    "eps": fixed_at(1e-7, "it bounds probabilities, and pred is logits"),
}
_MONAI = {
    "sigmoid": Keyword("activation", {True: "sigmoid", False: None}),
    "softmax": Keyword("activation", {True: "softmax", False: None}),
    "batch": Keyword("over", {True: "batch_channel", False: "channel"}),
    "smooth_nr": renamed("smooth"),
    "smooth_dr": renamed("eps"),
}
_PER_IMAGE = {
    "per_image": Keyword("over", {True: "image", False: "batch"}),
    "from_logits": fixed_at(True, "pass logits"),
}
_WEIGHTS_MONAI = {"weight": renamed("class_weight")}
_MONAI_VALUES = {"activation": "none", "over": "channel", "smooth": 1e-5, "eps": 1e-5}
_SOFT_MONAI = {**_MONAI, "soft_label": Keyword("overlap", {True: "min", False: None})}
_OF_JACCARD = {"jaccard": fixed_at(True, "take the loss dice"), "squared_pred": fixed_at(False, "take the loss dice")}
_BY_CLASS = {"batch": Keyword("over", {True: "batch", False: "image"}), "w_type": renamed("weighting")}
_MASKS_SMP = Keyword(values={"binary": None, "multilabel": None}, remedy="take lovasz_softmax")

#: loss -> dialect -> parameters
DEFAULTS: dict[str, dict[str, Defaults]] = {
    "iou": {"mmdet": Defaults({"mode": "log"}, {"linear": Keyword("mode", {True: "linear", False: None})})},
    "siou": {
        # neg_gamma=False rewards distance: see parity.reasons
        "mmdet": Defaults(names={"neg_gamma": fixed_at(True)}),
        "mmyolo": Defaults(names={"siou_theta": renamed("theta"), **_MMYOLO}),
    },
    **{name: {"mmyolo": Defaults(names=_MMYOLO)} for name in ("giou", "ciou")},
    "extended_iou": {"mmdet": Defaults({"eps": 1e-6})},
    "bounded_iou": {"mmdet": Defaults({"eps": 1e-3})},
    "nwd": {"nwd": Defaults({"eps": 1e-7})},
    "gcd": {"gcd": Defaults({"eps": 1e-6})},
    "l1": {"mmdet": Defaults(), "torch": Defaults()},
    "mse": {"mmdet": Defaults(), "torch": Defaults()},
    "smooth_l1": {"mmdet": Defaults(), "torch": Defaults()},
    "huber": {"torch": Defaults()},
    "balanced_l1": {"mmdet": Defaults()},
    "bce": {"torch": Defaults(names={"weight": _AT_THE_CALL}, weight="last axes")},
    "bce_with_logits": {
        "torch": Defaults(names={"weight": _AT_THE_CALL, "pos_weight": _POS_WEIGHT}, weight="last axes"),
        "ultralytics": Defaults(),
        "smp": Defaults(
            names={
                "weight": _AT_THE_CALL,
                "pos_weight": _POS_WEIGHT,
                "smooth_factor": Keyword("label_smoothing", convert=twice),
            },
            mean="elements",
            ignores="scores",
        ),
        "mmdet": Defaults(
            names={
                "use_sigmoid": fixed_at(True),
                "use_mask": Keyword(values={False: None, True: None}),  # of the channel that labels choose
                "class_weight": renamed("pos_weight"),
                "avg_non_ignore": _COUNT_MMDET,
                "ignore_index": _IGNORE_MMDET,
            },
            mean="elements",
            ignores="negative",
        ),
    },
    "cross_entropy": {
        "torch": Defaults(names={"weight": renamed("class_weight")}),
        "mmdet": Defaults(
            names={
                "use_sigmoid": fixed_at(False),
                "use_mask": fixed_at(False, "take the loss bce_with_logits"),
                "avg_non_ignore": _COUNT_MMDET,
                "ignore_index": _IGNORE_MMDET,
            },
            mean="elements",
        ),
        "smp": Defaults(
            names={
                "smooth_factor": renamed("label_smoothing"),
                "dim": fixed_at(1, "move the classes to axis 1"),
            },
            mean="elements",
        ),
    },
    "nll": {"torch": Defaults(names={"weight": renamed("class_weight")})},
    "kl_div": {"torch": Defaults(mean="elements")},
    "margin_ranking": {"torch": Defaults()},
    "hinge_embedding": {"torch": Defaults()},
    "focal": {
        "torchvision": Defaults(names={"alpha": Keyword("alpha", convert=none_below_zero)}),
        "mmdet": Defaults(names=_SIGMOID),
        "ultralytics": Defaults({"gamma": 1.5}, {"alpha": Keyword("alpha", convert=none_from_zero)}, mean="columns"),
        "kornia": Defaults(names={"weight": renamed("class_weight")}, mean="elements", ignores="scores"),
        "monai": Defaults(
            {"alpha": None},
            {
                "use_softmax": fixed_at(False),
                "weight": renamed("class_weight"),
                "include_background": fixed_at(True, "pass pred[:, 1:] and target[:, 1:]"),
            },
            mean="kept pixels",
            sum="pixels",
        ),
        "smp": Defaults(
            {"alpha": None},
            {
                **_SMP_FOCAL,
                "class_weights": Keyword("class_weight", convert=of_mean_1),
                "mode": fixed_at(
                    "multilabel",
                    "'multiclass' is the loss softmax_focal, and 'binary' is 'multilabel' of one channel (n, 1, ...)",
                ),
            },
            sum="columns",
        ),
        "transformers": _DETR_FOCAL,
        "rfdetr": _DETR_FOCAL,
    },
    "softmax_focal": {
        "kornia": Defaults(names={"weight": renamed("class_weight")}, mean="scores"),
        "smp": Defaults(
            names={
                **_SMP_FOCAL,
                "mode": fixed_at("multiclass", "take the loss focal"),
                "class_weights": Keyword("class_weight", convert=of_mean_1),
            },
            none="rows",
            mean="counted scores",
            sum="columns",
        ),
    },
    "quality_focal": {"mmdet": Defaults(names=_SIGMOID, none="rows")},
    "varifocal": {
        "mmdet": Defaults(names=_SIGMOID, mean="elements"),
        "ultralytics": Defaults(mean="columns"),
        "transformers": Defaults({"detach_weight": True}),
        "rfdetr": Defaults({"alpha": 0.25}, meaning=negatives_rfdetr, mean="columns"),
    },
    "matchability": {
        "transformers": Defaults({"gamma": 2.0}, {"mal_alpha": renamed("alpha"), "focal_loss_gamma": renamed("gamma")}),
        "libreyolo": Defaults({"gamma": 2.0}, {"mal_alpha": renamed("alpha")}),
    },
    "ia_bce": dict.fromkeys(("transformers", "rfdetr", "libreyolo"), Defaults(names={"focal_alpha": renamed("alpha")})),
    "distribution_focal": {
        "mmdet": Defaults(),
        "ultralytics": Defaults({"margin": 0.01}, {"reg_max": Keyword()}),
    },
    "fgl": {"transformers": Defaults(names={"max_num_bins": renamed("reg_max")})},
    "ghm_c": {"mmdet": Defaults(names=_SIGMOID, counts_itself=True)},
    "seesaw": {"mmdet": Defaults(names={"use_sigmoid": fixed_at(False)}, learns="each call")},
    "eqlv2": {
        "mmdet": Defaults(
            names={
                **_SIGMOID,
                "class_weight": Keyword(),  # of which it takes no heed
                "use_distributed": fixed_at(False, "leave out dialect: ours adds up over all processes"),
                "vis_grad": Keyword(),
            },
            mean="rows",
            learns="each call",
            deaf=True,
        ),
    },
    "gaussian_focal": {"mmdet": Defaults()},
    "dice": {
        "mmdet": Defaults(
            {"form": "vnet", "eps": 1e-3},
            {
                **_SIGMOID,
                "activate": Keyword("activation", {True: "sigmoid", False: "none"}),
                "naive_dice": Keyword("form", {False: "vnet", True: "naive"}),
            },
            dice_mmdet,
        ),
        "ultralytics": Defaults(
            {"form": "naive", "over": "channel", "smooth": 1e-6, "eps": 0.0}, sum="columns", none="images"
        ),
        "kornia": Defaults(
            {"form": "naive", "activation": "softmax", "eps": 1e-8},
            {
                "average": Keyword("over", {"micro": "image", "macro": "channel"}),
                "weight": renamed("class_weight"),
            },
        ),
        "monai": Defaults(
            {**_MONAI_VALUES, "form": "naive"},
            {**_SOFT_MONAI, **_WEIGHTS_MONAI, "squared_pred": Keyword("form", {False: "naive", True: "vnet"})},
            dice_monai,
            mean="elements",
            none="pixel axes",
        ),
        "smp": Defaults(
            {**_SMP_VALUES, "form": "naive", "smooth": 0.0, "eps": 1e-7},
            {**_SMP, "log_loss": renamed("log")},
        ),
        "transformers": _DETR_DICE,
        "rfdetr": _DETR_DICE,
    },
    "jaccard": {
        "smp": Defaults({**_SMP_VALUES, "eps": 1e-7}, {**_SMP, "log_loss": renamed("log")}),
        "monai": Defaults(
            _MONAI_VALUES,
            {**_SOFT_MONAI, **_WEIGHTS_MONAI, **_OF_JACCARD},
            jaccard_monai,
            mean="elements",
            none="pixel axes",
        ),
    },
    "lovasz_hinge": {
        "smp": Defaults({"over": "batch"}, {**_PER_IMAGE, "mode": _MASKS_SMP}),
        "kornia": Defaults(),
    },
    "lovasz_softmax": {
        "smp": Defaults({"over": "batch"}, {**_PER_IMAGE, "mode": fixed_at("multiclass", "take lovasz_hinge")}),
        "kornia": Defaults({"classes": "all"}, {"weight": renamed("class_weight")}),
    },
    "generalized_dice": {
        "monai": Defaults(_MONAI_VALUES | {"over": "image"}, _SOFT_MONAI | _BY_CLASS, smooth_monai, none="image axes"),
    },
    "tversky": {
        "kornia": Defaults({"activation": "softmax", "over": "channel", "eps": 1e-8}),
        "monai": Defaults({**_MONAI_VALUES, "alpha": 0.5, "beta": 0.5}, _SOFT_MONAI, smooth_monai),
    },
    "focal_tversky": {
        "smp": Defaults(
            {**_SMP_VALUES, "gamma": 1.0, "alpha": 0.5, "beta": 0.5, "eps": 1e-7},
            {**_SMP, "log_loss": fixed_at(False, "the loss dice has it")},
            exponent_smp,
        )
    },
    **{name: {"mmrotate": Defaults({"tau": 0.0})} for name in ("gwd", "kld", "jd")},
    "oks": {
        "ultralytics": Defaults(mean="elements"),
        "mmpose": Defaults(
            {"over": "all"},
            {
                "norm_target_weight": Keyword("over", {False: "all", True: "visible"}),
                "use_target_weight": Keyword(),
                "eps": fixed_at(1e-8),
            },
            mean="elements",
        ),
    },
    "wing": {
        "smp": Defaults({"width": 5.0, "curvature": 0.5}, mean="elements"),
        "mmpose": Defaults(
            names={"omega": renamed("width"), "epsilon": renamed("curvature"), "use_target_weight": Keyword()},
            mean="instances",
        ),
    },
    "rle": {
        "ultralytics": Defaults(names={"use_target_weight": Keyword()}, mean="elements"),
    },
    "prob_iou": {"ultralytics": Defaults({"floor": 0.01}, {"CIoU": renamed("aspect")})},
}


def dialects_of(loss: str) -> tuple[str, ...]:
    """The frameworks that a loss can equal.

    >>> dialects_of("focal")
    ('torchvision', 'mmdet', 'ultralytics', 'kornia', 'monai', 'smp', 'transformers', 'rfdetr')
    """
    names = (*DIALECTS.get(loss, ()), *DEFAULTS.get(loss, ()), *GUARDS.get(loss, ()))
    return tuple(dict.fromkeys(names))


def defaults_of(loss: str, dialect: object) -> Defaults:
    """The parameters of that framework's loss; ours, unchanged, where nothing is known to differ."""
    return DEFAULTS.get(loss, {}).get(dialect, _SAME) if isinstance(dialect, str) else _SAME


_SAME = Defaults()


def dialect_rules(loss: str) -> tuple[Defaults, ...]:
    """What is said of that loss in each framework."""
    return tuple(DEFAULTS.get(loss, {}).values())


#: what integers without class axis are to the class losses of a dialect that takes them; the others refuse
_SINGLE_CLASS: Mapping[object, Literal["rows", "mask"]] = {None: "rows", "mmdet": "rows", "smp": "mask"}


def single_class(dialect: object) -> Literal["rows", "mask", "refused"]:
    """What integers without class axis are to a sigmoid class loss where there is one class.

    Heads of MMDetection hand over rows of labels, and so may ours; to smp they are the mask of the object; other
    frameworks refuse a target that is not of the shape of the prediction.
    """
    return _SINGLE_CLASS.get(dialect, "refused")


def translated(loss: str, parameters: Mapping[str, Any]) -> Parameters:
    """Parameters under our names, with the defaults of the dialect that they name. A second call changes nothing.

    Raises:
        ValueError: a value of theirs that we do not have, or one parameter under two names.

    >>> translated("dice", {"dialect": "mmdet", "naive_dice": True})
    {'form': 'naive', 'eps': 0.001, 'dialect': 'mmdet'}
    >>> translated("dice", {"eps": 0.1})  # no dialect: ours
    {'eps': 0.1}
    """
    rule = defaults_of(loss, parameters.get("dialect"))
    given: Parameters = {}
    said = {name for name, value in parameters.items() if value is not None}  # None under one name says nothing
    defaults, said_by = dict(rule.values), {name: name for name in said if name not in rule.names}
    for name, value in parameters.items():
        keyword = rule.names.get(name)
        if keyword is None:
            given.setdefault(name, value)
            continue
        ours, stands = _counterpart(loss, parameters["dialect"], name, value, keyword)
        defaults.update(stands)
        if not keyword.to:
            continue
        if keyword.to != name and keyword.to in parameters:
            if name in said and keyword.to in said:
                raise _two_names(loss, parameters, name, keyword.to)
            if name not in said:
                continue
        if keyword.values is not None and ours is None:
            continue
        other = said_by.setdefault(keyword.to, name)
        if other != name:
            raise _two_names(loss, parameters, other, name)
        given[keyword.to] = ours
    return {**defaults, **given}


def _counterpart(loss: str, dialect: str, name: str, value: Any, keyword: Keyword) -> tuple[Any, Mapping[str, Any]]:
    """Our value for one of theirs, and the defaults that come with it."""
    known = keyword.values or {}
    matches = (value is None or isinstance(value, (bool, int, float, str))) and value in known
    if known and name != keyword.to and not matches:
        came = f"{name}={shown(value)} of {dialect} has no counterpart"
        allowed = " or ".join(repr(choice) for choice in known)
        raise refusal(loss, came, allowed, keyword.remedy or f"leave {name} out, or dialect={dialect!r}")
    ours = known[value] if matches else value
    return (ours if keyword.convert is None else keyword.convert(ours)), (
        keyword.defaults.get(value, {}) if matches else {}
    )


def _two_names(loss: str, parameters: Mapping[str, Any], one: str, other: str) -> ValueError:
    """The error for one parameter that came under two names."""
    came = " and ".join(f"{name}={shown(parameters[name])}" for name in (one, other))
    allowed = f"one of {one!r} and {other!r}, as dialect={parameters['dialect']!r} has two names for it"
    return refusal(loss, f"{came}, two names of one parameter", allowed, "pass one of them")


def function_keywords(loss: str, parameters: Mapping[str, Any]) -> Parameters:
    """Translated parameters as the function takes them, where a number means something else in the dialect.

    >>> function_keywords("focal_tversky", {"dialect": "smp", "gamma": 2.0})["gamma"]
    0.5
    """
    rule = defaults_of(loss, parameters.get("dialect"))
    return dict(parameters) if rule.meaning is None else rule.meaning({**rule.values, **parameters})


def convention_keywords(loss: str, dialect: str | None, box_format: str = "xyxy") -> dict[str, Any]:
    """What the catalogue hands to the function beside the user's parameters, so that it rounds as that dialect does.

    The function takes it by parameters that stand before the `*` of its signature, so they are none of the user's. Our
    own form needs nothing: it is what the functions do by default. The catalogue has checked the names.

    >>> convention_keywords("gwd", "mmrotate")
    {'side_floor': 1e-07, 'root_floor': 1e-07}
    >>> convention_keywords("gwd", None)
    {}
    """
    if dialect is None:
        return {}
    rule = DIALECTS.get(loss, {}).get(dialect)
    if rule is None:
        return dict(GUARDS.get(loss, {}).get(dialect, {}))
    return {"convention": rule.for_centers() if box_format == "cxcywh" else rule}
