"""Our losses against numbers that other people's code produced.

Every case of every file in GOLDEN_DIR (default: tests/golden) is mapped to a call of ours, or is a known-wrong
reference from which we must differ. Where we promise a reference's epsilons ("exact"), numbers must agree to 1e-9,
elsewhere to 1e-6 on boxes of ordinary size.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp

from .golden_calls import MAPPED, ON_INPUTS, ON_ROTATED
from .golden_points import ON_POINTS

#: cases with inputs of their own
CALLED = {**ON_INPUTS, **ON_POINTS}
GOLDEN_DIR = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parents[1] / "golden"))
LOOSE_TAGS_EXCLUDED = ("tiny", "normalised", "degenerate", "inverted")

#: Files whose cases are tested elsewhere (reduction) or carry no numbers of their own.
OTHER_FILES = {
    "box_pairs.json", "cls_ddf.json", "detr_criteria.json", "INDEX.json", "lowprec_observed.json",
    "reduction_mmdet.json", "rotated_mgiou_quad.json",
}  # fmt: skip


def case_inputs(case: dict[str, Any]) -> dict[str, Tensor]:
    """The inputs of a case; lists of integers are labels."""
    found = {name: tensor_of(values) for name, values in case["inputs"].items()}
    if "target" in found:
        found["flat_target"] = found["target"].flatten()
    return found


def tensor_of(values: Any) -> Tensor:
    floats = numbers(values)
    return floats.long() if holds_integers(values) else floats


def holds_integers(values: Any) -> bool:
    return all(map(holds_integers, values)) if isinstance(values, list) else type(values) is int


def input_cases(negative: bool = False) -> list[Any]:
    known = [case for case in CASES if case.values[0]["case"] in CALLED]
    return [case for case in known if (case.values[0]["status"] == "negative_example") == negative]


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


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
        pairs = read(file).get("pairs")
        for number, case in enumerate(read(file)["cases"]):
            case["pairs"] = pairs
            found.append(pytest.param(case, id=f"{file.stem}-{number}-{case['case']}"))
    return found


CASES = case_list()
PAIRS = read(GOLDEN_DIR / "box_pairs.json")["pairs"]


def boxes(key: str) -> Tensor:
    return torch.tensor([pair[key] for pair in PAIRS], dtype=torch.float64)


def comparable(exact: bool) -> Tensor:
    return torch.tensor([exact or not pair["tag"].startswith(LOOSE_TAGS_EXCLUDED) for pair in PAIRS])


def assert_close(actual: Tensor, expected: Tensor, exact: bool, loose: float = 1e-6) -> None:
    rtol, atol = (1e-9, 1e-11) if exact else (0.0, loose)
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)


def test_the_folder_holds_cases() -> None:
    assert len(CASES) > 0, f"no golden cases in {GOLDEN_DIR}"


def test_every_case_is_mapped() -> None:
    names = {case.values[0]["case"] for case in CASES}
    unmapped = sorted(name for name in names - {*MAPPED, *CALLED, *ON_ROTATED} if not name.startswith(SEQUENCES))
    assert unmapped == [], f"map these cases: {unmapped}"


def element_cases() -> list[Any]:
    return [
        case
        for case in CASES
        if case.values[0]["case"] in MAPPED
        and case.values[0]["status"] != "negative_example"
        and case.values[0]["case"] not in SPECIAL
    ]


#: Cases that are steps with a state.
SEQUENCES = ("wiou", "NEGATIVE_wiou", "ghmc", "ema_slide", "seesaw", "eqlv2", "efl")
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
    assert_close(actual[rows], expected[rows], ours.exact, ours.atol)


@pytest.mark.parametrize("case", [case for case in element_cases() if "grad_pred_of_sum" in case.values[0]])
def test_gradients(case: dict[str, Any]) -> None:
    ours = MAPPED[case["case"]]
    pred, target = boxes("pred").requires_grad_(), boxes("target")
    (actual,) = torch.autograd.grad(ours(case["params"], pred, target).sum(), pred)
    expected = numbers(case["grad_pred_of_sum"])
    assert actual.isfinite().all()
    own = case.get("extra_kinks", [])
    smooth = torch.tensor([not pair["kinks"] and row not in own for row, pair in enumerate(PAIRS)])
    exact = ours.exact and ours.exact_gradient
    rows = comparable(exact) & smooth & expected.isfinite().all(-1)
    assert rows.sum() >= 10
    assert_close(actual[rows], expected[rows], exact, ours.atol)


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
    [c for c in CASES if c.values[0]["status"] == "negative_example" and c.values[0]["case"] in MAPPED],
)
def test_known_wrong_references_differ(case: dict[str, Any]) -> None:
    actual = MAPPED[case["case"]](case["params"], boxes("pred"), boxes("target"))
    expected = numbers(case["loss"])
    rows = comparable(False) & expected.isfinite()
    assert (actual[rows] - expected[rows]).abs().max() > 1e-2


@pytest.mark.parametrize("case", input_cases())
def test_values_on_inputs(case: dict[str, Any]) -> None:
    ours, inputs = CALLED[case["case"]], case_inputs(case)
    actual, expected = ours(case["params"], inputs), numbers(case["loss"])
    assert actual.isfinite().all()
    assert_close(actual, expected, ours.exact)


@pytest.mark.parametrize("case", [case for case in input_cases() if "grad_pred_of_sum" in case.values[0]])
def test_gradients_on_inputs(case: dict[str, Any]) -> None:
    ours, inputs = CALLED[case["case"]], case_inputs(case)
    pred = inputs[ours.pred].requires_grad_()
    (actual,) = torch.autograd.grad(ours(case["params"], inputs).sum(), pred)
    assert actual.isfinite().all()
    assert_close(actual, numbers(case["grad_pred_of_sum"]), ours.exact)


@pytest.mark.parametrize("case", [case for case in input_cases() if "grad_log_phi" in case.values[0]])
def test_gradients_of_every_input(case: dict[str, Any]) -> None:
    ours, inputs = CALLED[case["case"]], case_inputs(case)
    names = [name for name in inputs if f"grad_{name}" in case]
    assert names == ["sigma", "log_phi", "error"]
    leaves = [inputs[name].requires_grad_() for name in names]
    gradients = torch.autograd.grad(ours(case["params"], inputs), leaves)
    for name, actual in zip(names, gradients, strict=True):
        assert_close(actual, numbers(case[f"grad_{name}"]), ours.exact)


@pytest.mark.parametrize("case", input_cases(negative=True))
def test_known_wrong_references_on_inputs_differ(case: dict[str, Any]) -> None:
    """Where the reference is finite ours may equal it; where it is not, ours is."""
    ours, inputs = CALLED[case["case"]], case_inputs(case)
    actual, expected = ours(case["params"], inputs), numbers(case["loss"])
    assert actual.isfinite().all()
    assert not expected.isfinite().all() or (actual - expected).abs().max() > 1e-2


# --- losses that carry a state from step to step ------------------------------------------------------------------


def wiou_module(case: dict[str, Any]) -> lp.Loss:
    version = int(re.search(r"wiou_v(\d)", case["case"])[1])
    return lp.build_loss("wiou", reduction="none", version=version, dialect="wise_iou", **case["params"])


def stateful_cases(beginning: str) -> list[Any]:
    return [case for case in CASES if case.values[0]["case"].startswith(beginning)]


@pytest.mark.parametrize("case", stateful_cases("wiou"))
def test_wiou_sequence(case: dict[str, Any]) -> None:
    module = wiou_module(case)
    for step in case["steps"]:
        rows = step["indices"]
        module.train(step["mode"] == "train")
        assert_close(module.mean.current, numbers(step["iou_mean_before"]), exact=True)
        pred, target = boxes("pred")[rows].requires_grad_(), boxes("target")[rows]
        loss = module(pred, target)
        (gradient,) = torch.autograd.grad(loss.sum(), pred)
        assert_close(module.mean.current, numbers(step["iou_mean_after"]), exact=True)
        assert_close(loss, numbers(step["loss"]), exact=True)
        smooth = torch.tensor([not PAIRS[row]["kinks"] for row in rows])
        assert_close(gradient[smooth], numbers(step["grad_pred_of_sum"])[smooth], exact=True)


@pytest.mark.parametrize("case", stateful_cases("NEGATIVE_wiou"))
def test_the_copied_around_port_of_wiou_differs_in_its_gradients(case: dict[str, Any]) -> None:
    module, worst = wiou_module(case), 0.0
    for step in case["steps"]:
        rows = step["indices"]
        pred, target = boxes("pred")[rows].requires_grad_(), boxes("target")[rows]
        loss = module(pred, target)
        (gradient,) = torch.autograd.grad(loss.sum(), pred)
        same = comparable(False)[rows]
        assert_close(loss[same], numbers(step["loss"])[same], exact=False, loose=1e-5)
        worst = max(worst, (gradient - numbers(step["grad_pred_of_sum"]))[same].abs().max().item())
    assert worst > 1e-3


@pytest.mark.parametrize("case", stateful_cases("ghmc"))
def test_ghmc_sequence(case: dict[str, Any]) -> None:
    module = lp.build_loss("ghm_c", **case["params"]).train()
    inputs = case_inputs(case)
    target, weight = inputs["target"].float(), inputs["label_weight"].float()
    for step in case["steps"]:
        pred = numbers(step["pred_logits"]).float().requires_grad_()
        loss = module(pred, target, weight)
        (gradient,) = torch.autograd.grad(loss, pred)
        assert_close(loss.double(), numbers(step["loss"]), exact=False, loose=1e-5)  # the reference is float32
        assert_close(gradient.double(), numbers(step["grad_pred"]), exact=False)
        if step["acc_sum_after"] is not None:
            assert_close(module.counts.value, numbers(step["acc_sum_after"]), exact=False)


@pytest.mark.parametrize("case", stateful_cases("ema_slide"))
def test_ema_slide_sequence(case: dict[str, Any]) -> None:
    """A mean IoU of -1 is that of a batch without positives: no IoU comes with its target."""
    module = lp.build_loss("ema_slide", reduction="none", **case["params"])
    for step in case["steps"]:
        module.train(step["mode"] == "train")
        assert_close(module.mean.current[0], numbers(step["iou_mean_before"]), exact=True)
        pred, target = numbers(step["pred_logits"]).requires_grad_(), numbers(step["target"])
        mean = step["mean_iou"]
        loss = module(pred, target if mean == -1 else (target, torch.full_like(target[:, 0], mean)))
        (gradient,) = torch.autograd.grad(loss.sum(), pred)
        assert_close(module.mean.current, numbers([step["iou_mean_after"], step["updates_after"]]), exact=True)
        assert_close(loss, numbers(step["loss"]), exact=True)
        assert_close(gradient, numbers(step["grad_pred_of_sum"]), exact=True)


# --- rotated boxes ------------------------------------------------------------------------------------------------


def rotated_boxes(case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The pairs of the case's file; a framework that turns the other way sees them with the angles of a mirror."""
    pred, target = (numbers([pair[side] for pair in case["pairs"]]) for side in ("pred", "target"))
    turned = torch.tensor([1, 1, 1, 1, case["params"].get("angle_sign", 1)])
    return pred * turned, target * turned


def rotated_cases(negative: bool) -> list[Any]:
    cases = [case for case in CASES if case.values[0]["case"] in ON_ROTATED]
    return [case for case in cases if (case.values[0]["status"] == "negative_example") == negative]


@pytest.mark.parametrize("case", rotated_cases(False))
def test_rotated(case: dict[str, Any]) -> None:
    ours = ON_ROTATED[case["case"]]
    pred, target = rotated_boxes(case)
    loss = ours(case["params"], pred.requires_grad_(), target)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    gradient = gradient * torch.tensor([1, 1, 1, 1, case["params"].get("angle_sign", 1)])
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
    expected, expected_gradient = numbers(case["loss"]), numbers(case["grad_pred_of_sum"])
    # without width, the reference inverts a matrix that is singular in float64
    rows = expected.isfinite() & torch.tensor([pair["tag"] != "zero_w" for pair in case["pairs"]])
    assert_close(loss[rows], expected[rows], ours.exact)
    smooth = torch.tensor([not is_kink(pair) for pair in case["pairs"]])
    rows = smooth & expected_gradient.isfinite().all(-1)
    assert rows.sum() >= 10
    assert_close(gradient[rows], expected_gradient[rows], ours.exact)


@pytest.mark.parametrize("case", rotated_cases(True))
def test_known_wrong_references_of_rotated_boxes_differ(case: dict[str, Any]) -> None:
    loss, expected = ON_ROTATED[case["case"]](case["params"], *rotated_boxes(case)), numbers(case["loss"])
    rows = expected.isfinite()
    assert (loss[rows] - expected[rows]).abs().max() > 1e-2


def is_kink(pair: dict[str, Any]) -> bool:
    if "kinks" in pair:
        return bool(pair["kinks"]) or pair["tag"] == "zero_w"
    return pair["tag"] in ROTATED_KINKS


#: Pairs at which a root or a clamp has a kink.
ROTATED_KINKS = ("identical", "angle_only", "square_rotated", "wh_swap_90", "zero_w")

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
