"""The call contract of MMDetection's losses: arguments, weights, averages, reductions."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
import torch
from mmdet.models.losses.iou_loss import giou_loss
from mmdet.models.losses.utils import weight_reduce_loss
from mmengine.registry import MODELS
from torch import Tensor

from loss_plugins.adapters.mmdet import SenselessSlot
from loss_plugins.catalog.entries import shipped
from loss_plugins.module.build import module_class
from loss_plugins.samples import SAMPLES

ROWS = 30
REDUCTIONS = ("none", "mean", "sum")
OVERRIDES = (None, *REDUCTIONS)
FACTORS = {"none": None, "int": 7, "float": 7.5, "tensor": torch.tensor(7.0), "zero": 0}
WEIGHTS = ("none", "(n,)", "(n, 1)", "(n, 4)", "zeros")
BOX_LOSSES = [entry.name for entry in shipped() if entry.kind == "box" and not entry.example]
COORDINATE_LOSSES = [entry.name for entry in shipped() if entry.kind == "coordinate" and not entry.example]


def boxes(rows: int = ROWS, seed: int = 0) -> Tensor:
    _, target = SAMPLES["jittered boxes"](rows, seed)
    assert isinstance(target, Tensor)
    return target


def build(name: str, **parameters: Any) -> Any:
    return MODELS.build({"type": f"loss_plugins.{module_class(name).__name__}", **parameters})


def weights(kind: str) -> Tensor | None:
    row = torch.rand(ROWS, generator=torch.Generator().manual_seed(2)) * (torch.arange(ROWS) % 3 > 0)
    return {"none": None, "(n,)": row, "(n, 1)": row[:, None], "(n, 4)": row[:, None].expand(-1, 4), "zeros": row * 0}[
        kind
    ]


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(("reduction", "override"), list(itertools.product(REDUCTIONS, OVERRIDES)))
def test_reduction_is_mmdets(reduction: str, override: str | None, factor: str, weight: str) -> None:
    pred, target, given = boxes(seed=0), boxes(seed=1), weights(weight)
    loss = build("giou", dialect="mmdet", reduction=reduction, loss_weight=1.5)
    arguments = {"weight": given, "avg_factor": FACTORS[factor], "reduction_override": override}
    if FACTORS[factor] is not None and (override or reduction) == "sum":
        with pytest.raises(ValueError, match="avg_factor"):
            loss(pred, target, **arguments)
        return
    one_per_box = giou_loss(pred, target, eps=1e-6, reduction="none")
    per_row = given.mean(-1) if given is not None and given.dim() == 2 else given
    expected = 1.5 * weight_reduce_loss(one_per_box, per_row, override or reduction, FACTORS[factor])
    torch.testing.assert_close(loss(pred, target, **arguments), expected)


@pytest.mark.parametrize("name", BOX_LOSSES)
def test_rows_of_weight_zero_reach_nothing(name: str) -> None:
    """Anchors without target: a target of no area, a prediction of any shape, infinite even."""
    pred, target = boxes(seed=0), boxes(seed=1)
    idle = torch.arange(ROWS) % 2 == 0
    nonsense = torch.tensor([float("inf"), 0, float("nan"), -1e30]).expand(ROWS, 4)
    pred, target = torch.where(idle[:, None], nonsense, pred), target.masked_fill(idle[:, None], 0)
    pred.requires_grad_()
    weight = (~idle).float()
    for given in (weight, weight[:, None].expand(-1, 4)):
        value = build(name)(pred, target, given, avg_factor=10)
        (gradient,) = torch.autograd.grad(value, pred)
        expected = build(name)(pred[~idle], target[~idle], avg_factor=10)
        (expected_gradient,) = torch.autograd.grad(expected, pred)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, expected_gradient)
        assert (gradient[idle] == 0).all()


@pytest.mark.parametrize("name", COORDINATE_LOSSES)
def test_coordinates_of_weight_zero_reach_nothing(name: str) -> None:
    pred, target = boxes(seed=0), boxes(seed=1)
    weight = (torch.rand(ROWS, 4) > 0.5).float()
    pred = pred.masked_fill(weight == 0, float("inf")).requires_grad_()
    value = build(name)(pred, target, weight, avg_factor=10)
    (gradient,) = torch.autograd.grad(value, pred)
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert (gradient[weight == 0] == 0).all()
    assert (gradient[weight == 1] != 0).any()


@pytest.mark.parametrize("name", [*BOX_LOSSES, *COORDINATE_LOSSES])
@pytest.mark.parametrize("rows", [0, ROWS])
def test_nothing_positive_costs_a_connected_zero(name: str, rows: int) -> None:
    pred = boxes(rows).requires_grad_()
    for arguments in ({"weight": torch.zeros(rows)}, {"weight": torch.zeros(rows, 4), "avg_factor": 1.0}):
        value = build(name)(pred, torch.zeros(rows, 4), **arguments)
        assert value.item() == 0
        assert value.requires_grad
        (gradient,) = torch.autograd.grad(value, pred)
        assert (gradient == 0).all()


@pytest.mark.parametrize("name", ["eiou", "l1"])
def test_empty_batch(name: str) -> None:
    pred = boxes(0).requires_grad_()
    for reduction in REDUCTIONS:
        value = build(name, reduction=reduction)(pred, boxes(0))
        assert value.requires_grad
        assert value.sum().item() == 0
    shape = (0,) if name == "eiou" else (0, 4)
    assert build(name)(pred, boxes(0), reduction_override="none").shape == shape


@pytest.mark.parametrize("name", ["eiou", "bounded_iou"])
def test_rotated_boxes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"pred has shape \(3, 5\); allowed: \(\.\.\., 4\)"):
        build(name)(torch.rand(3, 5), torch.rand(3, 5))


@pytest.mark.parametrize("shape", [(ROWS - 1,), (ROWS, 3, 4), (4, ROWS)])
def test_a_weight_that_fits_no_row_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="weight has shape"):
        build("eiou")(boxes(), boxes(seed=1), torch.ones(shape))


def test_extra_arguments_of_forward_are_ignored() -> None:
    """Rotated heads of other toolboxes pass more."""
    pred, target = boxes(), boxes(seed=1)
    assert build("eiou")(pred, target, pred_decode=pred) == build("eiou")(pred, target)


def test_attributes_that_heads_read_and_schedules_set() -> None:
    loss = build("eiou", reduction="sum", loss_weight=2.0)
    assert (loss.reduction, loss.loss_weight) == ("sum", 2.0)
    before = loss(boxes(), boxes(seed=1))
    loss.loss_weight = 6.0
    torch.testing.assert_close(loss(boxes(), boxes(seed=1)), 3 * before)


def test_half_precision_is_computed_in_full() -> None:
    pred, target = boxes() * 10, boxes(seed=1) * 10
    half = build("eiou")(pred.half(), target.half())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, build("eiou")(pred.half().float(), target.half().float()))


def offsets(rows: int = 40) -> Tensor:
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(0)) * 0.2


def test_offsets_in_place_of_boxes_are_refused() -> None:
    with pytest.raises(SenselessSlot, match=r"targets have a width or height below 0.*reg_decoded_bbox=True"):
        build("eiou")(offsets(), offsets(), torch.ones(40, 4), avg_factor=40)


def test_offsets_are_judged_by_rows_that_count_only() -> None:
    target = torch.cat((boxes(), torch.zeros(500, 4)))
    weight = torch.cat((torch.ones(ROWS), torch.zeros(500)))
    assert build("eiou")(target, target, weight, avg_factor=ROWS).isfinite()


def test_few_or_rarely_degenerate_targets_are_left_alone() -> None:
    build("eiou")(offsets(19), offsets(19))
    target = torch.cat((boxes(100), torch.zeros(4, 4)))  # 3.8 %: careless labels
    build("eiou")(target, target)


def test_targets_are_judged_once() -> None:
    loss = build("eiou")
    loss(boxes(19), boxes(19))  # too few to tell
    assert not loss.targets_seen
    loss(boxes(), boxes())
    assert loss.targets_seen
    loss(offsets(), offsets())  # no look at the data, and so no wait for the device, ever after


def test_coordinate_losses_take_offsets() -> None:
    assert build("smooth_l1")(offsets(), offsets() + 1).item() == pytest.approx(0.5, rel=1e-4)


def test_compiled_heads_do_not_recompile_for_the_counters() -> None:
    loss = build("eiou")
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(lambda pred, target: loss(pred * 2, target) + 1, backend=backend, dynamic=False)
    compiled(boxes(), boxes(seed=1))
    compiled(boxes(), boxes(seed=1))
    first = len(graphs)
    for _ in range(4):
        compiled(boxes(), boxes(seed=1))
    assert len(graphs) == first
    assert loss.calls == 6


def test_a_config_may_use_the_names_of_the_framework_and_compile() -> None:
    dice = MODELS.build({"type": "loss_plugins.DiceLoss", "dialect": "mmdet", "naive_dice": True})
    assert dice.spec()["form"] == "naive"
    compiled = build("eiou", compile=True)
    pred, target = boxes(seed=0).requires_grad_(), boxes(seed=1)
    torch.testing.assert_close(compiled(pred, target), build("eiou")(pred, target))
    assert compiled.loss.spec()["compile"] is True
    assert "compile" not in build("eiou").loss.spec()


def test_a_config_that_compiles_without_a_compiler_is_refused_when_the_model_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeError, match="compile=True needs a C"):
        build("eiou", compile=True)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_first_inverted_target_is_named_once(weighted: bool) -> None:
    loss, target = build("eiou"), boxes()
    target[7] = torch.tensor([9.0, 2.0, 3.0, 8.0])
    weight = (torch.arange(ROWS) != 0).float() if weighted else None
    row = 6 if weighted else 7  # of those with weight
    with pytest.warns(UserWarning, match=rf"eiou: target {row} of {ROWS - weighted} is inverted: \[9\.0, 2\.0, 3\.0"):
        loss(boxes(seed=1), target, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(boxes(seed=1), target, weight)


def test_few_encoded_offsets_are_not_called_inverted_boxes() -> None:
    offsets = torch.tensor([[0.25, -0.5, -0.125, -0.75]]).repeat(4, 1)  # too few to tell them from boxes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build("eiou")(boxes()[:4], offsets)
