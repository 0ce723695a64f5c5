"""How each case of the golden files is called here: losses of boxes, of scores and masks, of rotated boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import loss_plugins as lp


@dataclass(frozen=True)
class Ours:
    """How a reference case is called here.

    `exact` promises its epsilon convention, so every pair with a finite reference value is compared at 1e-9.
    `fixed` are our keywords; `renamed` maps the case's parameter names to ours (None: not a parameter of ours).
    `after` composes the case's number from our loss and the boxes. `unit` is the parameter that divides the boxes.
    """

    loss: str
    exact: bool = False
    fixed: dict[str, Any] = field(default_factory=dict)
    renamed: dict[str, str | None] = field(default_factory=dict)
    after: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    from_cxcywh: bool = False
    unit: str = ""
    atol: float = 1e-6
    exact_gradient: bool = True

    def __call__(self, params: dict[str, Any], pred: Tensor, target: Tensor) -> Tensor:
        keywords = dict(self.fixed)
        params = dict(params if self.convert is None else self.convert(params))
        unit = params.pop(self.unit, 1)
        pred, target = pred / unit, target / unit
        for name, value in params.items():
            ours = self.renamed.get(name, name)
            if ours is not None:
                keywords[ours] = value
        module = lp.build_loss(self.loss, reduction="none", **keywords)
        arguments = (xyxy_to_cxcywh(pred), xyxy_to_cxcywh(target)) if self.from_cxcywh else (pred, target)
        loss = module(*arguments)
        return loss if self.after is None else self.after(loss, pred, target)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((low + high) / 2, high - low), dim=-1)


def squared_metric(loss: Tensor, pred: Tensor, target: Tensor) -> Tensor:
    """1 - x^2 of the metric x = 1 - loss."""
    return 1 - (1 - loss) ** 2


def corner_term(share: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """CDIoU's corner term alone: the loss less its IoU part."""
    return lambda loss, pred, target: share * (loss - lp.iou_loss(pred, target))


def dialect(name: str, **more: Any) -> dict[str, Any]:
    return {"dialect": name, **more}


def family(name: str, dialects: dict[str, str]) -> dict[str, Ours]:
    return {f"{name}_{case}": Ours(name, exact=True, fixed=dialect(ours)) for case, ours in dialects.items()}


def alpha_family() -> dict[str, Ours]:
    # the authors raise rho2 and c2 apart, before the epsilon; so only the first two are promised to the last digit
    names = {"alpha_iou": True, "alpha_giou": True, "alpha_diou": False, "alpha_ciou": False}
    return {
        name: Ours(name, exact=exact, fixed=dialect("alpha_iou"), renamed={"alpha_": "alpha"})
        for name, exact in names.items()
    }


def paddle() -> dict[str, Ours]:
    cases = {
        f"paddle_IouLoss_{name}_square{square}": Ours(
            name, renamed={"loss_square": None}, after=squared_metric if square else None
        )
        for name in ("iou", "giou", "diou", "ciou")
        for square in (True, False)
    }
    return {
        **cases,
        "paddle_GIoULoss": Ours("giou"),
        "paddle_DIouLoss_completeTrue": Ours("ciou"),
        "paddle_DIouLoss_completeFalse": Ours("diou"),
    }


NWD_MODES = ("exp", "sqrt", "log", "norm_sqrt", "w2")


def focaler(params: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in params.items() if name not in ("d", "u")}
    return {**rest, "focaler": (params["d"], params["u"]), "dialect": "ultralytics"}


def image_size(params: dict[str, Any]) -> dict[str, Any]:
    return {"eps": params["eps"], "image_size": (params["img_h"], params["img_w"])}


def between(params: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in params.items() if name not in ("lv", "hv")}
    return {**rest, "d_interp": (params["lv"], params["hv"])}


UIOU = Ours(
    "uiou",
    exact=True,
    fixed=dialect("uiou", schedule=None, box_format="cxcywh"),
    renamed={"epoch": None, "epochs": None},
    from_cxcywh=True,
)

MAPPED: dict[str, Ours] = {
    "l1": Ours("l1", exact=True),
    "mse": Ours("mse", exact=True),
    "smooth_l1": Ours("smooth_l1", exact=True),
    "smooth_l1_mmdet": Ours("smooth_l1", exact=True),
    "smooth_l1_fvcore": Ours("smooth_l1", exact=True),
    "huber": Ours("huber", exact=True),
    "focal_l1": Ours("focal_l1", exact=True),
    "iou_linear": Ours("iou", exact=True, fixed=dialect("mmdet", mode="linear")),
    "iou_log": Ours("iou", exact=True, fixed=dialect("mmdet", mode="log")),
    "iou_square": Ours("iou", exact=True, fixed=dialect("mmdet", mode="square")),
    "iou_linear_ultralytics": Ours("iou", exact=True, fixed=dialect("ultralytics")),
    "iou_linear_wiou_repo": Ours("iou"),
    **family(
        "giou",
        {"torchvision": "torchvision", "mmdet": "mmdet", "ultralytics": "ultralytics", "mmyolo": "mmyolo"},
    ),
    "giou_zzh_official": Ours("giou"),
    **family(
        "diou",
        {"torchvision": "torchvision", "mmdet": "mmdet", "ultralytics": "ultralytics", "yolov6": "yolov6"},
    ),
    "diou_zzh_official": Ours("diou"),
    **family(
        "ciou",
        {
            "torchvision": "torchvision",
            "mmdet": "mmdet",
            "ultralytics_xyxy": "ultralytics",
            "mmyolo": "mmyolo",
            "yolov6": "yolov6",
        },
    ),
    "ciou_ultralytics_xywh": Ours(
        "ciou", exact=True, fixed=dialect("ultralytics", box_format="cxcywh"), from_cxcywh=True
    ),
    "ciou_zzh_official": Ours("ciou"),
    "ciou_wiou_repo": Ours("ciou", fixed=dialect("wise_iou")),
    **alpha_family(),
    "eiou_objdet": Ours("eiou", exact=True, fixed=dialect("objdet")),
    "eiou_alchemy": Ours("eiou", exact=True, fixed=dialect("alchemy")),
    "NEGATIVE_eiou_wiou_repo": Ours("eiou"),
    "focal_eiou_per_box": Ours("focal_eiou", exact=True, fixed=dialect("objdet")),
    "focal_eiou_batch_normalised": Ours("focal_eiou", fixed=dialect("objdet", normalize=True)),
    "cdiou_term_paper": Ours("cdiou", after=corner_term(1.0)),
    "cdiou_term_official_code": Ours("cdiou", after=corner_term(0.25)),
    **paddle(),
    "paddle_SIoULoss": Ours("siou"),
    "balanced_l1": Ours("balanced_l1", exact=True),
    # one tiny pair is off by half the target: there the loss has a kink that its list does not know
    "bounded_iou": Ours("bounded_iou", exact=True, fixed=dialect("mmdet"), exact_gradient=False),
    "extended_iou": Ours("extended_iou", exact=True, fixed=dialect("mmdet")),
    **{f"focaler_{name}": Ours(name, exact=True, convert=focaler) for name in ("iou", "giou", "diou", "ciou")},
    "inner_ciou": Ours("ciou", renamed={"ratio": "inner_ratio"}),
    "inner_siou": Ours("siou", renamed={"ratio": "inner_ratio"}),
    "mpdiou": Ours("mpdiou", exact=True, fixed=dialect("mpdiou_port"), convert=image_size),
    **{f"nwd_{mode}": Ours("nwd", exact=True, fixed=dialect("nwd", mode=mode)) for mode in NWD_MODES},
    "gcd": Ours("gcd", exact=True, fixed=dialect("gcd")),
    **{f"NEGATIVE_gcd_{mode}": Ours("gcd", fixed=dialect("gcd", mode=mode)) for mode in NWD_MODES[1:]},
    "piou": Ours("piou", exact=True, fixed=dialect("powerful_iou"), renamed={"Lambda": "lam"}),
    "piou_v2": Ours("piou", exact=True, fixed=dialect("powerful_iou", version=2), renamed={"Lambda": "lam"}),
    "shape_iou": Ours("shape_iou", exact=True, fixed=dialect("shape_iou")),
    "sdiou": Ours("sdiou", exact=True, fixed=dialect("sdiou"), unit="stride"),
    "sdiou_xywh": Ours("sdiou", exact=True, fixed=dialect("sdiou", box_format="cxcywh"), from_cxcywh=True),
    **{  # with an epsilon beside each of two areas
        f"interp_iou_{form}": Ours("iou", renamed={"interp_coe": "interp"}, atol=2e-6)
        for form in ("xyxy", "xywh", "second")
    },
    **{f"d_interp_iou_{form}": Ours("iou", convert=between, atol=2e-6) for form in ("xyxy", "xywh")},
    "NEGATIVE_d_interp_iou_swapped": Ours("iou", fixed={"d_interp": (0.6, 0.99)}, renamed={"alpha": None}),
    "uiou": UIOU,
    "uiou_focal": UIOU,
    "siou_mmdet_neg_gamma_True": Ours("siou", exact=True, fixed=dialect("mmdet")),
    "siou_mmdet_neg_gamma_False": Ours("siou", fixed=dialect("mmdet")),
    "siou_mmyolo": Ours("siou", exact=True, fixed=dialect("mmyolo"), renamed={"siou_theta": "theta"}),
    "siou_yolov6": Ours("siou", exact=True, fixed=dialect("yolov6")),
    "siou_wiou_repo": Ours("siou", atol=1e-5),  # 1e-4 in the denominator of its sine
}


@dataclass(frozen=True)
class OnInputs:
    """How a reference case with its own inputs is called here.

    `pred` and `target` name the inputs, several for a target that is a tuple. `fixed` and `renamed` as above.
    `after` makes the case's number of our losses. `given` are inputs that are parameters here, and `prepare` makes
    those that we take from those of the case.
    """

    loss: str
    pred: str = "pred_logits"
    target: tuple[str, ...] = ("target",)
    exact: bool = True
    fixed: dict[str, Any] = field(default_factory=dict)
    renamed: dict[str, str | None] = field(default_factory=dict)
    convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    after: Callable[[Tensor, dict[str, Tensor]], Tensor] | None = None
    reduction: str = "none"
    given: tuple[str, ...] = ()
    prepare: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None

    def __call__(self, params: dict[str, Any], inputs: dict[str, Tensor]) -> Tensor:
        inputs = inputs if self.prepare is None else self.prepare(inputs)
        params = {**params, **{name: inputs[name].tolist() for name in self.given}}
        params = params if self.convert is None else self.convert(params)
        keywords = {ours: value for name, value in params.items() if (ours := self.renamed.get(name, name)) is not None}
        module = lp.build_loss(self.loss, **{"reduction": self.reduction, **self.fixed, **keywords})
        target = tuple(inputs[name] for name in self.target)
        loss = module(inputs[self.pred], target if len(target) > 1 else target[0])
        return loss if self.after is None else self.after(loss, inputs)


def ultralytics_sum(loss: Tensor, inputs: dict[str, Tensor]) -> Tensor:
    return loss.mean(1).sum()


def weighted(loss: Tensor, inputs: dict[str, Tensor]) -> Tensor:
    return loss * inputs["weight"]


def into_columns(loss: Tensor, inputs: dict[str, Tensor]) -> Tensor:
    return torch.zeros_like(inputs["pred_logits"]).scatter(1, inputs["target"][:, None], loss[:, None])


def focal_alpha(params: dict[str, Any]) -> dict[str, Any]:
    # torchvision and others switch alpha off by a negative number
    return {**params, "alpha": None if params.get("alpha", 0) < 0 else params["alpha"]}


def dice_smp(params: dict[str, Any]) -> dict[str, Any]:
    # smp: (O + s) / max((P + T) / 2 + s, e)
    return {"log": params.get("log_loss", False), "smooth": 2 * params["smooth"], "eps": 2 * params["eps"]}


def tversky_smp(params: dict[str, Any]) -> dict[str, Any]:
    return {**params, "gamma": 1 / params["gamma"]}


def dice_mmdet(params: dict[str, Any]) -> dict[str, Any]:
    # V-Net's form has epsilon in both sums of its denominator, the naive one above and below
    if params["naive_dice"]:
        return {"form": "naive", "smooth": params["eps"], "eps": TINY}
    return {"form": "vnet", "eps": 2 * params["eps"]}


def dice_monai(params: dict[str, Any]) -> dict[str, Any]:
    form = "vnet" if params["squared_pred"] else "naive"
    extra = params["smooth_dr"] - params["smooth_nr"]
    return {"form": form, "jaccard": params["jaccard"], "smooth": params["smooth_nr"], "eps": max(extra, TINY)}


def tversky_monai(params: dict[str, Any]) -> dict[str, Any]:
    extra = params["smooth_dr"] - params["smooth_nr"]
    return {
        "alpha": params["alpha"],
        "beta": params["beta"],
        "smooth": params["smooth_nr"],
        "eps": max(extra, TINY),
    }


def jaccard_monai(params: dict[str, Any]) -> dict[str, Any]:
    # it counts every mass twice
    smooth, whole = params["smooth_nr"] / 2, params["smooth_dr"] / 2
    rule = "min" if params["soft_label"] else "product"
    over = "batch" if params["batch"] else "image"
    return {"overlap": rule, "over": over, "smooth": smooth, "eps": max(whole - smooth, TINY)}


TINY = 1e-30
SMP = {"over": "batch", "overlap": "min", "empty": "zero"}
PROBABILITY = {"activation": "none"}
SOFTMAX = {"activation": "softmax"}


ON_INPUTS: dict[str, OnInputs] = {
    "bce_prob_hard": OnInputs("bce", "pred_prob"),
    "bce_prob_soft": OnInputs("bce", "pred_prob"),
    "bce_prob_saturated": OnInputs("bce", "pred_prob", fixed=dialect("torch")),
    **{
        f"bce_logits_{kind}{weighted}": OnInputs("bce_with_logits")
        for kind in ("hard", "soft")
        for weighted in ("", "_pos_weight")
    },
    "cross_entropy": OnInputs("cross_entropy", renamed={"weight": "class_weight"}),
    "cross_entropy_mean": OnInputs("cross_entropy", renamed={"weight": "class_weight"}, reduction="mean"),
    "cross_entropy_ignore": OnInputs("cross_entropy", reduction="mean"),
    "nll": OnInputs("nll", "pred_logprob"),
    "kl_div_none": OnInputs("kl_div", "pred_logprob", ("target_prob",)),
    "kl_div_batchmean": OnInputs("kl_div", "pred_logprob", ("target_prob",), reduction="mean"),
    "kl_div_mean": OnInputs("kl_div", "pred_logprob", ("target_prob",), after=lambda loss, _: loss.mean()),
    "kl_div_sum": OnInputs("kl_div", "pred_logprob", ("target_prob",), reduction="sum"),
    "kl_div_log_target": OnInputs("kl_div", "pred_logprob", ("target_logprob",)),
    "margin_ranking": OnInputs("margin_ranking", "x1", ("x2", "y")),
    "hinge_embedding": OnInputs("hinge_embedding", "x", ("y",)),
    **{
        f"sigmoid_focal_{name}": OnInputs("focal", convert=focal_alpha)
        for name in ("torchvision", "mmdet_hard", "mmdet_soft", "kornia", "monai", "smp")
    },
    "sigmoid_focal_ultralytics_scalar": OnInputs("focal", convert=focal_alpha, after=ultralytics_sum),
    "focal_with_prob_mmdet": OnInputs("focal", "pred_prob", ("target_label",), fixed={"activated": True}),
    "softmax_focal_smp": OnInputs("softmax_focal"),
    "softmax_focal_kornia": OnInputs("softmax_focal", after=into_columns),
    "qfl_label_score": OnInputs("quality_focal", target=("label", "score"), after=lambda loss, _: loss.sum(-1)),
    "qfl_tensor_target": OnInputs("quality_focal", after=lambda loss, _: loss.sum(-1)),
    "qfl_prob": OnInputs(
        "quality_focal",
        "pred_prob",
        ("label", "score"),
        fixed={"activated": True},
        after=lambda loss, _: loss.sum(-1),
    ),
    "vfl_mmdet": OnInputs("varifocal"),
    **{
        f"ia_bce_{case}": OnInputs("ia_bce", target=("label", "score"))
        for case in ("rfdetr", "rfdetr_saturated", "align_detr")
    },
    "slide": OnInputs("slide"),
    "NEGATIVE_slide_reswan": OnInputs("slide"),
    "ia_bce_hf": OnInputs("ia_bce", target=("label", "score"), fixed=dialect("transformers")),
    "NEGATIVE_ia_bce_hf_saturated": OnInputs("ia_bce", target=("label", "score"), fixed=dialect("transformers")),
    "ia_bce_align_detr_rank": OnInputs(
        "ia_bce", target=("label", "score", "rank"), renamed={"candidates": None}, reduction="sum"
    ),
    **{f"mal_{code}": OnInputs("matchability", target=("label", "score")) for code in ("hf", "deim", "libre")},
    # its binary cross-entropy is float32
    "vfl_ultralytics_scalar": OnInputs("varifocal", target=("label", "gt_score"), exact=False, after=ultralytics_sum),
    **{case: OnInputs("fgl", renamed={"max_num_bins": "reg_max"}, after=weighted) for case in ("fgl_hf", "fgl_dfine")},
    "dfl_mmdet": OnInputs("distribution_focal", renamed={"bins": None}),
    "dfl_ultralytics": OnInputs(
        "distribution_focal",
        target=("flat_target",),
        fixed={"margin": 0.01},
        renamed={"reg_max": None},
        after=lambda loss, inputs: loss.view_as(inputs["target"]).mean(-1, keepdim=True),
    ),
    "gaussian_focal": OnInputs("gaussian_focal", "pred_prob"),
    "poly1_ce": OnInputs("poly_cross_entropy"),
    "poly1_focal": OnInputs("poly_focal", convert=focal_alpha),
    "asl_detach_True": OnInputs("asymmetric", reduction="sum"),
    "asl_detach_False": OnInputs("asymmetric", fixed={"detach_focus": False}, reduction="sum"),
    "asl_single_label": OnInputs("asymmetric_softmax", renamed={"eps": "label_smoothing"}),
    **{
        # its target is float32
        f"dice_mmdet_{form}_{kind}": OnInputs("dice", "pred_prob", exact=False, fixed=PROBABILITY, convert=dice_mmdet)
        for form in ("vnet", "naive")
        for kind in ("hard", "soft", "one_empty")
    },
    **{
        # max(., e) in the denominator, not + e
        f"dice_smp_binary_{kind}_log{log}": OnInputs(
            "dice", exact=False, fixed={"form": "naive", **SMP}, convert=dice_smp
        )
        for kind in ("hard", "soft", "all_empty")
        for log in (False, True)
    },
    **{
        f"tversky_smp_binary_{kind}": OnInputs("focal_tversky", exact=False, fixed=SMP, convert=tversky_smp)
        for kind in ("hard", "soft", "all_empty")
    },
    "dice_smp_multiclass": OnInputs(
        "dice",
        exact=False,
        fixed={"form": "naive", **SMP, **SOFTMAX, "over": "batch_channel"},
        convert=dice_smp,
        after=lambda loss, _: loss.mean(),
    ),
    "dice_ultralytics_multichannel": OnInputs(
        "dice", fixed={"form": "naive", "over": "channel", "eps": TINY}, after=lambda loss, _: loss.mean(-1)
    ),
    "dice_kornia_micro": OnInputs(
        "dice", fixed={"form": "naive", **SOFTMAX}, renamed={"average": None}, reduction="mean"
    ),
    "dice_kornia_macro": OnInputs(
        "dice", fixed={"form": "naive", **SOFTMAX, "over": "channel"}, renamed={"average": None}, reduction="mean"
    ),
    "tversky_kornia": OnInputs("tversky", fixed={**SOFTMAX, "over": "channel", "empty": "skip"}, reduction="mean"),
    "dice_monai": OnInputs("dice", convert=dice_monai, after=lambda loss, _: loss.view(-1, 1, 1, 1)),
    **{
        f"jaccard_smp_{kind}": OnInputs("jaccard", fixed=dialect("smp", mode=kind.split("_")[0]), reduction="mean")
        for kind in ("binary_hard", "binary_soft", "binary_all_empty", "multiclass", "multilabel")
    },
    **{
        f"jaccard_monai_{kind}": OnInputs(
            "jaccard", fixed={"activation": "sigmoid"}, convert=jaccard_monai, after=lambda loss, _: loss.view(-1)
        )
        for kind in ("hard", "soft")
    },
    "soft_iou_sirst": OnInputs("jaccard", fixed={"eps": TINY}, reduction="mean"),
    **{
        f"log_cosh_dice_{kind}": OnInputs("log_cosh_dice", "pred_prob", fixed={**PROBABILITY, "over": "batch"})
        for kind in ("hard", "soft", "all_empty")
    },
    **{
        f"lovasz_{name}{ignore}": OnInputs(f"lovasz_{name.split('_')[0]}", fixed=dialect("smp"), reduction="mean")
        for name in ("hinge_smp", "softmax_smp")
        for ignore in ("", "_ignore")
    },
    "lovasz_hinge_kornia": OnInputs(
        "lovasz_hinge", fixed=dialect("kornia"), renamed={"per_image": None}, reduction="mean"
    ),
    "lovasz_softmax_kornia": OnInputs(
        "lovasz_softmax", fixed=dialect("kornia"), renamed={"per_image": None}, reduction="mean"
    ),
    "tversky_monai": OnInputs("tversky", convert=tversky_monai, after=lambda loss, _: loss.view(-1, 1)),
}

MMROTATE = dialect("mmrotate")
MGIOU = Ours("mgiou", exact=True, renamed={"fast_mode": None, "angle_sign": None})
ON_ROTATED: dict[str, Ours] = {
    **dict.fromkeys(("mgiou", "mgiou_rect", "NEGATIVE_mgiou_none_divided"), MGIOU),
    "gwd": Ours("gwd", exact=True, fixed=MMROTATE),
    "kld": Ours("kld", exact=True, fixed=MMROTATE),
    "kld_symmax": Ours("kld", exact=True, fixed={**MMROTATE, "symmetric": "max"}),
    "kld_symmin": Ours("kld", exact=True, fixed={**MMROTATE, "symmetric": "min"}),
    "jd": Ours("jd", exact=True, fixed=MMROTATE),
    **{f"kfiou_{fun}": Ours("kfiou", exact=True, fixed=MMROTATE) for fun in ("none", "ln", "exp")},
    "probiou_ultralytics": Ours("prob_iou", exact=True, fixed=dialect("ultralytics"), renamed={"CIoU": "aspect"}),
}
