"""Our losses against numbers that other people's code produced.

Every case of every file in GOLDEN_DIR (default: tests/golden) is mapped to a call of ours, is a loss still to come
(one list, which only shrinks), or is a known-wrong reference from which we must differ.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp

GOLDEN_DIR = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))
LOOSE_TAGS_EXCLUDED = ("tiny", "normalised", "degenerate", "inverted")

#: Files whose cases are tested elsewhere (reduction) or carry no numbers of their own.
OTHER_FILES = {"box_pairs.json", "INDEX.json", "lowprec_observed.json", "reduction_mmdet.json"}

#: Losses still to come, by the beginning of the case's name. This list only shrinks.
TO_COME = (
    "asl",
    "balanced_l1",
    "bce",
    "bounded_iou",
    "ce_",
    "cross_entropy",
    "dfl",
    "dice",
    "extended_iou",
    "focal_with_prob",
    "focaler",
    "gaussian_focal",
    "ghmc",
    "gwd",
    "hinge",
    "inner",
    "jd",
    "kfiou",
    "kl",
    "kld",
    "margin",
    "mpdiou",
    "nll",
    "nwd",
    "paddle_SIoULoss",
    "piou",
    "poly",
    "probiou",
    "qfl",
    "shape_iou",
    "sigmoid_focal",
    "siou",
    "softmax_focal",
    "tversky",
    "vfl",
    "wiou",
    "NEGATIVE_wiou",
)


@dataclass(frozen=True)
class Ours:
    """How a reference case is called here.

    `exact` promises its epsilon convention, so every pair with a finite reference value is compared at 1e-9.
    `fixed` are our keywords; `renamed` maps the case's parameter names to ours (None: not a parameter of ours).
    `after` composes the case's number from our loss and the boxes.
    """

    loss: str
    exact: bool = False
    fixed: dict[str, Any] = field(default_factory=dict)
    renamed: dict[str, str | None] = field(default_factory=dict)
    after: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    from_cxcywh: bool = False

    def __call__(self, params: dict[str, Any], pred: Tensor, target: Tensor) -> Tensor:
        keywords = dict(self.fixed)
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
    "eiou_alchemy": Ours("eiou", exact=True),
    "NEGATIVE_eiou_wiou_repo": Ours("eiou"),
    "focal_eiou_per_box": Ours("focal_eiou", exact=True, fixed=dialect("objdet")),
    "focal_eiou_batch_normalised": Ours("focal_eiou", fixed=dialect("objdet", normalize=True)),
    "cdiou_term_paper": Ours("cdiou", after=corner_term(1.0)),
    "cdiou_term_official_code": Ours("cdiou", after=corner_term(0.25)),
    **paddle(),
}


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def numbers(values: Any) -> Tensor:
    """Nested lists with 'nan', 'inf', '-inf' as strings, to float64."""

    def plain(value: Any) -> Any:
        return [plain(item) for item in value] if isinstance(value, list) else float(value)

    return torch.tensor(plain(values), dtype=torch.float64)


def case_list() -> list[Any]:
    found = []
    for file in sorted(GOLDEN_DIR.glob("*.json")):
        if file.name in OTHER_FILES:
            continue
        for number, case in enumerate(read(file)["cases"]):
            found.append(pytest.param(case, id=f"{file.stem}-{number}-{case['case']}"))
    return found


CASES = case_list()
PAIRS = read(GOLDEN_DIR / "box_pairs.json")["pairs"]


def to_come(case: dict[str, Any]) -> bool:
    return case["case"].startswith(TO_COME) and case["case"] not in MAPPED


def boxes(key: str) -> Tensor:
    return torch.tensor([pair[key] for pair in PAIRS], dtype=torch.float64)


def comparable(exact: bool) -> Tensor:
    return torch.tensor([exact or not pair["tag"].startswith(LOOSE_TAGS_EXCLUDED) for pair in PAIRS])


def assert_close(actual: Tensor, expected: Tensor, exact: bool) -> None:
    rtol, atol = (1e-9, 1e-11) if exact else (0.0, 1e-6)
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)


def test_the_folder_holds_cases() -> None:
    assert len(CASES) > 0, f"no golden cases in {GOLDEN_DIR}"


def test_every_case_is_mapped_or_listed_as_to_come() -> None:
    names = {case.values[0]["case"] for case in CASES}
    unmapped = sorted(name for name in names if name not in MAPPED and not name.startswith(TO_COME))
    assert unmapped == [], f"map these cases, or list their losses as still to come: {unmapped}"


def test_losses_to_come_are_not_in_the_catalogue() -> None:
    built = [name for name in lp.list_losses() if name.startswith(TO_COME)]
    assert built == [], f"these losses are there: take them off TO_COME and map their cases: {built}"


def element_cases() -> list[Any]:
    return [
        case
        for case in CASES
        if not to_come(case.values[0])
        and case.values[0]["status"] != "negative_example"
        and case.values[0]["case"] not in SPECIAL
    ]


SPECIAL = {"focal_l1", "focal_eiou_batch_normalised"}


@pytest.mark.parametrize("case", element_cases())
def test_values(case: dict[str, Any]) -> None:
    ours = MAPPED[case["case"]]
    pred, target = boxes("pred"), boxes("target")
    actual, expected = ours(case["params"], pred, target), numbers(case["loss"])
    assert actual.isfinite().all(), "finite boxes must cost a finite number, wherever the reference is NaN"
    rows = comparable(ours.exact)
    rows &= expected.isfinite() if expected.ndim == 1 else expected.isfinite().all(-1)
    assert rows.sum() >= 20
    assert_close(actual[rows], expected[rows], ours.exact)


@pytest.mark.parametrize("case", [case for case in element_cases() if "grad_pred_of_sum" in case.values[0]])
def test_gradients(case: dict[str, Any]) -> None:
    ours = MAPPED[case["case"]]
    pred, target = boxes("pred").requires_grad_(), boxes("target")
    (actual,) = torch.autograd.grad(ours(case["params"], pred, target).sum(), pred)
    expected = numbers(case["grad_pred_of_sum"])
    assert actual.isfinite().all()
    smooth = torch.tensor([not pair["kinks"] for pair in PAIRS])
    rows = comparable(ours.exact) & smooth & expected.isfinite().all(-1)
    assert rows.sum() >= 10
    assert_close(actual[rows], expected[rows], ours.exact)


@pytest.mark.parametrize("case", [case for case in CASES if case.values[0]["case"] == "focal_l1"])
def test_focal_l1_against_quadrature(case: dict[str, Any]) -> None:
    distance = numbers(case["abs_diff"])
    pred = torch.stack([distance, -distance, distance, -distance], dim=-1).requires_grad_()
    loss = MAPPED["focal_l1"](case["params"], pred, torch.zeros_like(pred))
    (slope,) = torch.autograd.grad(loss.sum(), pred)
    assert_close(loss, numbers(case["loss"])[:, None].expand_as(loss), exact=True)
    expected = numbers(case["dloss_dabs"])[:, None] * torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert_close(slope, expected, exact=True)


@pytest.mark.parametrize("case", [c for c in CASES if c.values[0]["case"] == "focal_eiou_batch_normalised"])
def test_focal_eiou_batch_normalised(case: dict[str, Any]) -> None:
    rows = case["indices"]
    pred, target = boxes("pred")[rows].requires_grad_(), boxes("target")[rows]
    loss = MAPPED[case["case"]](case["params"], pred, target).mean()
    (actual,) = torch.autograd.grad(loss, pred)
    assert_close(loss, numbers(case["loss"]), exact=False)
    smooth = torch.tensor([not PAIRS[row]["kinks"] for row in rows]) & comparable(False)[rows]
    assert_close(actual[smooth], numbers(case["grad_pred"])[smooth], exact=False)


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.values[0]["status"] == "negative_example" and not to_come(c.values[0])],
)
def test_known_wrong_references_differ(case: dict[str, Any]) -> None:
    actual = MAPPED[case["case"]](case["params"], boxes("pred"), boxes("target"))
    expected = numbers(case["loss"])
    rows = comparable(False) & expected.isfinite()
    assert (actual[rows] - expected[rows]).abs().max() > 1e-2


REDUCTION = read(GOLDEN_DIR / "reduction_mmdet.json")


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{i}-{case['case']}-{case['params']}") for i, case in enumerate(REDUCTION["cases"])],
)
def test_reduction(case: dict[str, Any]) -> None:
    params = dict(case["params"])
    module = lp.GIoULoss(
        reduction=params.pop("reduction"), loss_weight=REDUCTION["loss_weight"], dialect="mmdet", eps=1e-6
    )
    pred, target = numbers(REDUCTION["pred"]).requires_grad_(), numbers(REDUCTION["target"])
    weights = {
        "no_weight": None,
        "override": None,
        "weight_all_zero": torch.zeros(len(pred), dtype=torch.float64),
        "weight_4d": numbers(REDUCTION["weight_4d"]),
    }
    weight = weights.get(case["case"], numbers(REDUCTION["weight_1d"]))
    if "raises" in case:
        with pytest.raises(ValueError, match="avg_factor"):
            module(pred, target, weight, **params)
        return
    loss = module(pred, target, weight, **params)
    # mmdet returns one 0 for all-zero weights even for 'none'; we keep the shape (n,)
    expected = numbers(case["loss"]).expand_as(loss)
    assert_close(loss, expected, exact=True)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert_close(gradient, numbers(case["grad_pred_of_sum"]), exact=True)


def test_the_default_reductions_are_those_of_the_closed_forms() -> None:
    # IoU of these two pairs is 1/2 and 0, so the losses are 0.5 and 1
    pred, target = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]]), torch.tensor([[0.0, 0, 2, 4], [5, 5, 6, 6]])
    assert math.isclose(lp.IoULoss()(pred, target).item(), 0.75, abs_tol=1e-6)
    assert math.isclose(lp.IoULoss(reduction="sum", loss_weight=2.0)(pred, target).item(), 3.0, abs_tol=1e-6)
