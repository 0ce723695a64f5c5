"""What every box and coordinate loss of the catalogue promises: shapes, precision, graph, traits, errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch._dynamo.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped

BOX = [entry.name for entry in shipped() if entry.kind == "box"]
ELEMENTWISE = BOX + [entry.name for entry in shipped() if entry.kind == "coordinate"]
every_loss = pytest.mark.parametrize("name", ELEMENTWISE)
every_box_loss = pytest.mark.parametrize("name", BOX)


def build(name: str, **parameters: Any) -> lp.Loss:
    return lp.build_loss(name, **{"reduction": "none", **lp.get_entry(name).example, **parameters}).eval()


def sample(n: int = 200, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Pairs of ordinary boxes: jittered, nested, and far apart, without ties."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 2, generator=generator, dtype=torch.float64)

    corner, size = draw(0, 200), draw(8, 120)
    target = torch.cat([corner, corner + size], dim=-1)
    corner = corner + draw(-1, 1) * size * torch.where(torch.arange(n) % 3 == 0, 3.0, 0.4)[:, None]
    pred = torch.cat([corner, corner + size * draw(0.4, 1.8)], dim=-1)
    return pred.to(dtype), target.to(dtype)


#: Finite boxes of every awkward kind: pred, target.
AWKWARD = {
    "equal": ([10, 20, 50, 70], [10, 20, 50, 70]),
    "equal large": ([0, 0, 1e4, 9e3], [0, 0, 1e4, 9e3]),
    "concentric": ([20, 20, 40, 30], [10, 10, 50, 40]),
    "pred inside": ([12, 14, 20, 22], [10, 10, 50, 40]),
    "target inside": ([10, 10, 50, 40], [12, 14, 20, 22]),
    "disjoint": ([0, 0, 8, 6], [20, 31, 33, 40]),
    "far": ([0, 0, 5, 5], [90000, 70000, 90030, 70045]),
    "touching": ([0, 0, 10, 10], [10, 2, 22, 9]),
    "touching corner": ([0, 0, 10, 10], [10, 10, 18, 21]),
    "zero width": ([10, 10, 10, 30], [5, 12, 25, 28]),
    "zero height": ([4, 9, 30, 9], [2, 3, 28, 21]),
    "point inside": ([12, 12, 12, 12], [10, 10, 20, 20]),
    "point outside": ([0, 0, 0, 0], [10, 10, 20, 20]),
    "target point": ([10, 10, 20, 20], [12, 12, 12, 12]),
    "target zero width": ([5, 12, 25, 28], [10, 10, 10, 30]),
    "both points": ([7, 7, 7, 7], [9, 8, 9, 8]),
    "both points equal": ([7, 7, 7, 7], [7, 7, 7, 7]),
    "both zero width": ([7, 3, 7, 9], [7, 4, 7, 8]),
    "inverted x": ([30, 5, 10, 25], [12, 8, 28, 22]),
    "inverted": ([30, 25, 10, 5], [12, 8, 28, 22]),
    "inverted by eps": ([0, 1e-7, 5, 0], [1, 1, 4, 5]),
    "1e-3 px": ([0.001, 0.001, 0.002, 0.003], [0.0015, 0.0012, 0.0026, 0.0031]),
    "1e6 px": ([0, 0, 1e6, 9e5], [1e5, 1e5, 1.1e6, 1e6]),
    "extreme aspect": ([0, 49, 5000, 49.5], [249, 0, 249.5, 4800]),
}


def test_the_catalogue_is_not_empty() -> None:
    assert len(BOX) >= 11
    assert len(ELEMENTWISE) >= 16


DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def fits(case: str, dtype: torch.dtype) -> bool:
    return bool(torch.tensor(AWKWARD[case], dtype=dtype).isfinite().all())


@every_loss
@pytest.mark.parametrize(("case", "dtype"), [(c, d) for c in AWKWARD for d in DTYPES if fits(c, d)], ids=str)
def test_awkward_boxes_have_finite_value_and_bounded_gradient(name: str, case: str, dtype: torch.dtype) -> None:
    pred, target = (torch.tensor([box], dtype=dtype) for box in AWKWARD[case])
    pred.requires_grad_()
    loss = build(name)(pred, target)
    assert loss.isfinite().all()
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert gradient.isfinite().all()
    if "1e-3" not in case and build(name).entry.traits.scale_invariant:
        assert gradient.abs().max() < 1e4


@every_loss
def test_shape_and_result_type(name: str) -> None:
    entry = lp.get_entry(name)
    for shape in ((), (1,), (5,), (2, 3), (0,)):
        pred, target = torch.rand(*shape, 4), torch.rand(*shape, 4)
        loss = build(name)(pred, target)
        assert loss.shape == ((*shape, 4) if entry.kind == "coordinate" else shape)
        assert loss.dtype == torch.float32
    for dtype, expected in ((torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64,) * 2):
        assert build(name)(torch.rand(3, 4).to(dtype), torch.rand(3, 4).to(dtype)).dtype == expected
    assert build(name)(torch.rand(3, 4).half(), torch.rand(3, 4)).dtype == torch.float32


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(name: str, dtype: torch.dtype) -> None:
    """The only error is that of rounding the boxes themselves."""
    pred, target = (boxes.to(dtype) for boxes in sample(dtype=torch.float32))
    exact = build(name)(pred.double(), target.double())
    torch.testing.assert_close(build(name)(pred, target).double(), exact, rtol=2e-5, atol=2e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(build(name)(pred, target).double(), exact, rtol=2e-5, atol=2e-5)


#: Losses with a weight that carries no gradient: finite differences see another function.
#: Their gradients are tested against golden numbers and, below, by hand.
DETACHED = {"ciou", "alpha_ciou", "focal_eiou", "wiou", "mix"}


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name not in DETACHED])
def test_gradcheck(name: str) -> None:
    pred, target = sample(12, seed=1)
    module = build(name)
    assert torch.autograd.gradcheck(lambda p: module(p, target), (pred.requires_grad_(),), atol=1e-5)


@every_loss
def test_non_finite_boxes_give_non_finite_losses(name: str) -> None:
    target = torch.tensor([[1.0, 2, 3, 4]])
    pred = torch.tensor([[float("nan"), 2.0, 3.0, 5.0]])
    assert not build(name)(pred, target).isfinite().all()


@every_loss
def test_compiles_to_one_graph_for_any_number_of_boxes(name: str) -> None:
    torch._dynamo.reset()
    entry = lp.get_entry(name)
    module = build(name)
    counter = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=counter)
    for n in (7, 30, 64):
        pred, target = sample(n, dtype=torch.float32)
        pred.requires_grad_()
        expected = torch.autograd.grad(module(pred, target).sum(), pred)[0]
        actual = torch.autograd.grad(compiled(pred, target).sum(), pred)[0]
        torch.testing.assert_close(actual, expected)
    assert counter.frame_count == 1, f"{entry.name} was compiled again for another number of boxes"


@every_loss
def test_functorch(name: str) -> None:
    pred, target = sample(6, dtype=torch.float32)
    module = build(name)
    if not build(name).entry.traits.stateful:
        rows = torch.func.vmap(lambda p, t: module(p, t))(pred, target)
        torch.testing.assert_close(rows, module(pred, target))
    gradient = torch.func.grad(lambda p: module(p, target).sum())(pred)
    leaf = pred.clone().requires_grad_()
    torch.testing.assert_close(gradient, torch.autograd.grad(module(leaf, target).sum(), leaf)[0])


@every_loss
def test_pickle_deepcopy_and_spec(name: str) -> None:
    pred, target = sample(8, dtype=torch.float32)
    module = build(name, loss_weight=0.25)
    expected = module(pred, target)
    for copied in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module), lp.build_loss(module.spec()).eval()):
        assert torch.equal(copied(pred, target), expected)


@every_loss
def test_inputs_are_left_alone(name: str) -> None:
    pred, target = sample(8, dtype=torch.float32)
    kept = pred.clone(), target.clone()
    build(name)(pred, target)
    assert torch.equal(pred, kept[0])
    assert torch.equal(target, kept[1])
    strided = torch.stack([pred, pred], dim=1)[:, 0]
    assert not strided.is_contiguous()
    assert torch.equal(build(name)(strided, target), build(name)(pred, target))


# --- traits --------------------------------------------------------------------------------------------------------


@every_box_loss
def test_trait_range(name: str) -> None:
    low, high = build(name).entry.traits.range
    loss = build(name)(*sample(2000))
    assert loss.min() >= low - 1e-6
    assert loss.max() <= high + 1e-6


@every_box_loss
def test_trait_zero_at_equality(name: str) -> None:
    boxes, _ = sample(50)
    loss = build(name)(boxes, boxes)
    if build(name).entry.traits.zero_at_equality:
        assert loss.abs().max() < 1e-3
    else:
        assert loss.abs().max() > 1e-3


@every_box_loss
def test_trait_symmetric(name: str) -> None:
    pred, target = sample()
    difference = (build(name)(pred, target) - build(name)(target, pred)).abs().max()
    assert (difference < 1e-6) == build(name).entry.traits.symmetric


@every_box_loss
def test_trait_scale_invariant(name: str) -> None:
    pred, target = sample()
    difference = (build(name)(pred, target) - build(name)(7 * pred, 7 * target)).abs().max()
    assert (difference < 1e-6) == build(name).entry.traits.scale_invariant


@every_box_loss
def test_trait_translation_invariant(name: str) -> None:
    pred, target = sample()
    difference = (build(name)(pred, target) - build(name)(pred + 31.5, target + 31.5)).abs().max()
    assert (difference < 1e-9) == build(name).entry.traits.translation_invariant


@every_box_loss
def test_trait_gradient_when_disjoint(name: str) -> None:
    pred = torch.tensor([[0.0, 0.0, 10.0, 12.0]], requires_grad=True)
    loss = build(name)(pred, torch.tensor([[40.0, 50.0, 52.0, 65.0]]))
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert bool(gradient.abs().sum() > 0) == build(name).entry.traits.gradient_when_disjoint


coordinates = st.floats(-1e4, 1e4, allow_nan=False, width=32)
any_box = st.lists(coordinates, min_size=4, max_size=4)


@settings(max_examples=60, deadline=None)
@given(pred=any_box, target=any_box)
def test_no_finite_box_gives_a_non_finite_number(pred: list[float], target: list[float]) -> None:
    for name in BOX:
        leaf = torch.tensor([pred], dtype=torch.float32, requires_grad=True)
        loss = build(name)(leaf, torch.tensor([target], dtype=torch.float32))
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        assert loss.isfinite().all(), name
        assert gradient.isfinite().all(), name


# --- closed forms not in the docstrings ----------------------------------------------------------------------------


def test_ciou_aspect_term_by_hand() -> None:
    # pred 2 x 4, target 4 x 2, both centred at the origin: IoU = 4 / (8 + 8 - 4) = 1/3, distance 0
    # v = 4/pi^2 (atan 2 - atan 1/2)^2 = 4/pi^2 * 0.643501^2 = 0.167823, alpha = v / (2/3 + v) = 0.201108
    pred, target = torch.tensor([[-1.0, -2, 1, 2]]), torch.tensor([[-2.0, -1, 2, 1]])
    assert lp.ciou_loss(pred, target).item() == pytest.approx(2 / 3 + 0.201108 * 0.167823, abs=1e-5)
    # mmdet counts the term above IoU 0.5 only
    assert lp.ciou_loss(pred, target, dialect="mmdet").item() == pytest.approx(2 / 3, abs=1e-5)


def test_the_weight_of_the_aspect_term_has_no_gradient() -> None:
    # d/dp of alpha * v with alpha held: alpha * dv/dp. For a concentric pair dIoU and dv add up:
    pred = torch.tensor([[-1.0, -2, 1, 2]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[-2.0, -1, 2, 1]], dtype=torch.float64)
    (both,) = torch.autograd.grad(lp.ciou_loss(pred, target).sum(), pred)
    (distance,) = torch.autograd.grad(lp.diou_loss(pred, target).sum(), pred)
    # x2 = 1: v = 4/pi^2 D^2, D = atan 2 - atan(w/h); dD/dx2 = -h / (w^2 + h^2) = -4/20
    # so d(alpha v)/dx2 = alpha * 4/pi^2 * 2 D * (-1/5) = 0.201108 * 0.405285 * 2 * 0.643501 * -0.2 = -0.020980
    assert (both - distance)[0, 2].item() == pytest.approx(-0.020980, abs=1e-5)


def test_centre_format_is_a_change_of_variables() -> None:
    pred, target = sample()
    for name in ("iou", "giou", "diou", "ciou", "eiou", "alpha_ciou", "focal_eiou", "cdiou"):
        module = build(name, box_format="cxcywh")
        torch.testing.assert_close(module(to_centre(pred), to_centre(target)), build(name)(pred, target))


def to_centre(boxes: Tensor) -> Tensor:
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=-1)


def test_the_bare_transforms_equal_the_named_losses() -> None:
    pred, target = sample()
    for name in ("iou", "giou", "diou", "ciou"):
        powered = build(name, power=2.5)(pred, target)
        assert torch.equal(powered, build(f"alpha_{name}", alpha=2.5)(pred, target))
    assert torch.equal(build("eiou", focal_gamma=0.7)(pred, target), build("focal_eiou", gamma=0.7)(pred, target))
    torch.testing.assert_close(
        build("alpha_ciou", alpha=1.0)(pred, target), build("ciou")(pred, target), atol=1e-6, rtol=0
    )


# --- module --------------------------------------------------------------------------------------------------------


def test_weights_of_every_shape() -> None:
    pred, target = sample(6)
    weight = torch.tensor([1.0, 0.0, 2.0, 0.5, 1.0, 0.0], dtype=torch.float64)
    loss = lp.giou_loss(pred, target)
    module = lp.GIoULoss(reduction="sum")
    for given_weight in (weight, weight[:, None], weight[:, None].expand(6, 4)):
        assert module(pred, target, given_weight).item() == pytest.approx((loss * weight).sum().item())
    columns = lp.L1Loss(reduction="sum")
    expected = ((pred - target).abs() * weight[:, None]).sum().item()
    for given_weight in (weight, weight[:, None], weight[:, None].expand(6, 4)):
        assert columns(pred, target, given_weight).item() == pytest.approx(expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weight", [None, torch.zeros(0)], ids=["no weight", "weight"])
def test_an_empty_batch_costs_a_connected_zero(reduction: str, weight: Tensor | None) -> None:
    pred = torch.zeros(0, 4, requires_grad=True)
    loss = lp.CIoULoss(reduction=reduction)(pred, torch.zeros(0, 4), weight)
    loss.backward()
    assert loss.item() == 0.0
    assert pred.grad is not None
    assert pred.grad.shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: lp.ciou_loss(torch.rand(3, 5), torch.rand(3, 5)),
            ValueError,
            r"ciou: pred has shape \(3, 5\).*must be 4",
        ),
        (lambda: lp.ciou_loss(torch.rand(3, 4), torch.rand(4)), ValueError, "differ"),
        (
            lambda: lp.ciou_loss(torch.ones(3, 4).int(), torch.rand(3, 4)),
            TypeError,
            r"pred has dtype torch\.int32.*\.float",
        ),
        (lambda: lp.ciou_loss([1, 2, 3, 4], torch.rand(4)), TypeError, "pred must be a torch"),
        (lambda: lp.ciou_loss(torch.rand(4), torch.rand(4), eps=0.0), ValueError, r"eps=0\.0 is out of range"),
        (lambda: lp.ciou_loss(torch.rand(4), torch.rand(4), dialect="mdet"), ValueError, "dialect='mdet'.*'mmdet'"),
        (lambda: lp.eiou_loss(torch.rand(4), torch.rand(4), box_format="xywh"), ValueError, "'xyxy' or 'cxcywh'"),
        (lambda: lp.alpha_iou_loss(torch.rand(4), torch.rand(4), power=2.0), TypeError, "unknown parameter 'power'"),
        (lambda: lp.iou_loss(torch.rand(4), torch.rand(4), mode="ln"), ValueError, "mode='ln'.*'linear' or 'log'"),
        (lambda: lp.HuberLoss(delta=0.0), ValueError, r"delta=0\.0 is out of range; allowed: \(0, inf\)"),
        (lambda: lp.FocalL1Loss(beta=0.2), ValueError, "beta=0.2"),
        (lambda: lp.CIoULoss(reduction="avg"), ValueError, "reduction='avg' is out of range"),
        (lambda: lp.CIoULoss(loss_weight="2"), ValueError, "loss_weight='2'"),
        (lambda: lp.CIoULoss(gamma=1.0), TypeError, "unknown parameter 'gamma'"),
        (lambda: lp.build_loss("coiu"), ValueError, "did you mean 'ciou'"),
        (lambda: lp.build_loss({"loss": "ciou"}), TypeError, "has no 'type'"),
        (lambda: lp.build_loss(7), TypeError, "got int"),
        (lambda: lp.list_losses(kind="boxes"), ValueError, "kind='boxes'"),
        (
            lambda: lp.CIoULoss()(torch.rand(3, 4), torch.rand(3, 4), torch.rand(2)),
            ValueError,
            r"weight has shape \(2,\)",
        ),
        (
            lambda: lp.CIoULoss()(torch.rand(3, 4), torch.rand(3, 4), reduction_override="x"),
            ValueError,
            "reduction_override",
        ),
        (lambda: lp.CIoULoss("sum")(torch.rand(3, 4), torch.rand(3, 4), avg_factor=2), ValueError, "avg_factor=2"),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# --- registering one's own -----------------------------------------------------------------------------------------


def test_a_loss_of_ones_own() -> None:
    @lp.register_loss("test_own", traits=lp.Traits(range=(0, 1)))
    def own(pred: Tensor, target: Tensor, *, scale: float = 2.0) -> Tensor:
        """My own."""
        return scale * (pred - target).abs().mean(-1)

    try:
        assert "test_own" in lp.list_losses(kind="box")
        module = lp.build_loss("test_own", scale=3.0, reduction="sum")
        pred, target = torch.zeros(2, 4).half(), torch.ones(2, 4)
        assert module(pred, target).item() == 6.0
        assert pickle.loads(pickle.dumps(module))(pred, target).item() == 6.0
        assert copy.deepcopy(module)(pred, target).item() == 6.0
        assert own(pred, target).dtype == torch.float32
        with pytest.raises(ValueError, match=r"the name .test_own. is taken by .*test_contract"):
            lp.register_loss("test_own")(own)
    finally:
        lp.unregister_loss("test_own")
    with pytest.raises(ValueError, match="unknown loss 'test_own'"):
        lp.build_loss("test_own")


def test_a_function_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must take \(pred, target"):

        @lp.register_loss("test_wrong")
        def wrong(boxes: Tensor, other: Tensor) -> Tensor:
            return boxes

    with pytest.raises(ValueError, match="kind='boxes'"):
        lp.register_loss("test_wrong", kind="boxes")  # type: ignore[arg-type]
