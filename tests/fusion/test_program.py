"""Value and gradient in one go, eagerly: what is recorded, simplified and run in place equals autograd, bit for bit."""

from __future__ import annotations

import functools
import itertools
import threading
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.fusion import by_autograd, fused, kernels, program
from loss_plugins.fusion.algebra import simplify
from loss_plugins.fusion.kernels import program_kernel
from loss_plugins.fusion.program import Program
from loss_plugins.fusion.tracing import SAMPLE_ROWS, NotTraceable, by_columns, joint, only, trace
from loss_plugins.samples import sample_pairs, trial_pairs

BOX = [entry.name for entry in shipped() if entry.kind == "box" and entry.name not in ("mix", "iou")]
DENSE = ["focal", "quality_focal", "varifocal", "asymmetric", "poly_focal", "gaussian_focal", "balanced_l1", "focal_l1"]


def example(name: str, **parameters: Any) -> lp.Loss:
    return lp.build_loss(name, reduction="none", **{**lp.get_entry(name).example, **parameters})


def inputs(name: str, rows: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    entry = lp.get_entry(name)
    if entry.kind == "box":
        return sample_pairs(rows, dtype=dtype)
    generator = torch.Generator().manual_seed(3)
    pred, target = torch.rand(2, rows, 4, generator=generator, dtype=dtype)
    return (4 * pred - 2 if name in ("focal", "asymmetric", "poly_focal") else pred), target


def differentiated(loss: Any, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Value, and the gradient of its sum."""
    leaf = pred.detach().requires_grad_()
    value = loss(leaf, target)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient


def plainly(module: lp.Loss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The same by autograd."""
    with by_autograd():
        return differentiated(module, pred, target)


def uses_a_program(value: Tensor) -> bool:
    node = value.grad_fn
    assert node is not None
    return "ValueAndGradient" in node.name()


@pytest.mark.parametrize("name", BOX + DENSE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_program_equals_autograd_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    module, (pred, target) = example(name), inputs(name, 403, dtype)
    assert uses_a_program(module(pred.requires_grad_(), target))
    (value, gradient), (expected, expected_gradient) = (f(module, pred, target) for f in (differentiated, plainly))
    assert torch.equal(value, expected)
    # what is computed in another order may differ in the last bit
    torch.testing.assert_close(gradient, expected_gradient, rtol=4 * torch.finfo(dtype).eps, atol=1e-12)


@pytest.mark.parametrize("name", ["ciou", "siou", "piou", "focal", "asymmetric"])
def test_awkward_rows_equal_autograd(name: str) -> None:
    """Equal, touching, nested, disjoint, empty, inverted, huge and infinite boxes; saturated and infinite logits."""
    module = example(name)
    if lp.get_entry(name).kind == "box":
        rows = [
            [0, 0, 2, 2],
            [2, 0, 4, 2],
            [0.5, 0.5, 1, 1],
            [9, 9, 10, 10],
            [1, 1, 1, 1],
            [2, 2, 0, 0],
            [0, 0, 1e9, 1e9],
        ]
        boxes = torch.tensor([*rows, [0, 0, float("inf"), 1]])
        pairs = torch.cartesian_prod(torch.arange(len(boxes)), torch.arange(len(boxes)))
        pred, target = boxes[pairs[:, 0]], boxes[pairs[:, 1]]
    else:
        pred, target = torch.cartesian_prod(
            torch.tensor([-1e4, -90, -1, 0, 1, 90, 1e4, float("inf")]), torch.tensor([0.0, 0.3, 1])
        ).unbind(-1)
        pred, target = pred.reshape(-1, 3), target.reshape(-1, 3)
    (value, gradient), (expected, expected_gradient) = (f(module, pred, target) for f in (differentiated, plainly))
    torch.testing.assert_close(value, expected, equal_nan=True, rtol=0, atol=0)
    finite = expected_gradient.isfinite().all(-1)
    torch.testing.assert_close(gradient[finite], expected_gradient[finite], rtol=1e-6, atol=1e-12)
    assert finite.sum() >= 5


def test_blocks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    pred, target = sample_pairs(1000)
    module = lp.SIoULoss(reduction="none")
    whole = differentiated(module, pred, target)
    monkeypatch.setattr(program, "ROWS_PER_THREAD", 64)
    blocks = differentiated(module, pred, target)
    assert all(torch.equal(a, b) for a, b in zip(whole, blocks, strict=True))


def test_threads_do_not_share_scratch() -> None:
    pred, target = sample_pairs(1000)
    module = lp.DIoULoss(reduction="none")
    whole = differentiated(module, pred, target)
    results: dict[int, tuple[Tensor, Tensor]] = {}

    def work(number: int) -> None:
        for _ in range(20):
            results[number] = differentiated(module, pred[number:], target[number:])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert torch.equal(results[number][0], whole[0][number:])
        assert torch.equal(results[number][1], whole[1][number:])


def test_an_upstream_gradient_per_row_and_any_shape() -> None:
    pred, target = sample_pairs(24, dtype=torch.float64)
    module = lp.EIoULoss(reduction="none")
    upstream = torch.rand(24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    results = []
    for shape in ((24, 4), (2, 3, 4, 4)):
        leaf = pred.view(shape).clone().requires_grad_()
        value = module(leaf, target.view(shape))
        assert value.shape == shape[:-1]
        (gradient,) = torch.autograd.grad(value, leaf, upstream.view(shape[:-1]))
        assert gradient.shape == shape
        results.append(gradient.view(24, 4))
    assert torch.equal(*results)
    leaf = pred.clone().requires_grad_()
    (expected,) = torch.autograd.grad(lp.eiou_loss(leaf, target), leaf, upstream)
    torch.testing.assert_close(results[0], expected)


def test_one_image_of_many_boxes_and_another_default_device() -> None:
    pred, target = sample_pairs(24)
    with torch.device("meta"):  # a stand-in for "cuda"
        value = lp.build_loss("diou", eps=4.5e-7, reduction="none")(pred[None].requires_grad_(), target[None])
    assert uses_a_program(value)
    assert torch.equal(value, lp.diou_loss(pred, target, eps=4.5e-7)[None])


def test_tensors_in_any_layout() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, scores = (torch.randn(2, 7, 5, 3, generator=generator) for _ in range(2))
    scores = scores.sigmoid()
    module = lp.FocalLoss(reduction="none")
    leaf = logits.permute(0, 2, 3, 1).requires_grad_()
    value = module(leaf, scores.permute(0, 2, 3, 1))
    assert uses_a_program(value)
    assert torch.equal(value, lp.focal_loss(logits.permute(0, 2, 3, 1), scores.permute(0, 2, 3, 1)))


def test_labels_and_half_precision() -> None:
    logits = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 7  # with background
    module = lp.FocalLoss(reduction="none")
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        leaf = logits.to(dtype).requires_grad_()
        value = module(leaf, labels)
        assert uses_a_program(value)
        assert value.dtype == torch.float32
        other = logits.to(dtype).requires_grad_()
        expected = lp.focal_loss(other, labels)
        assert torch.equal(value, expected)
        gradients = [torch.autograd.grad(v.sum(), x)[0] for v, x in ((value, leaf), (expected, other))]
        assert gradients[0].dtype == dtype
        assert torch.equal(*gradients)


def test_backward_twice_gives_the_same_gradient() -> None:
    """The last backward pass may overwrite what was saved; an earlier one may not."""
    pred, target = sample_pairs(50)
    leaf = pred.requires_grad_()
    loss = (3 * lp.GIoULoss(reduction="none")(leaf, target)).sum()
    first = torch.autograd.grad(loss, leaf, retain_graph=True)[0].clone()
    second = torch.autograd.grad(loss, leaf, retain_graph=True)[0].clone()
    third = torch.autograd.grad(loss, leaf)[0]
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, leaf)


def test_gradgradcheck_and_hooks_that_keep_what_is_saved() -> None:
    pred, target = sample_pairs(4, dtype=torch.float64)
    pred, target = pred[:2].clone().requires_grad_(), target[:2]
    assert torch.autograd.gradcheck(lambda p: lp.DIoULoss(reduction="none")(p, target), pred)
    assert torch.autograd.gradgradcheck(lambda p: lp.DIoULoss(reduction="none")(p, target), pred)


@pytest.mark.parametrize(
    "build",
    [
        lambda: lp.CIoULoss(reduction="none", dialect="mmdet"),
        lambda: lp.L1Loss(reduction="none"),
        lambda: lp.FocalEIoULoss(reduction="none", normalize=True),
    ],
    ids=["a dialect", "a few operations", "rows that depend on each other"],
)
def test_what_runs_by_autograd(build: Any) -> None:
    pred, target = sample_pairs(30)
    assert not uses_a_program(build()(pred.requires_grad_(), target))


def test_other_ways_to_differentiate_take_autograd() -> None:
    pred, target = sample_pairs(5, dtype=torch.float64)
    module = lp.EIoULoss(reduction="none")
    leaf = target.clone().requires_grad_()
    assert not uses_a_program(module(pred.clone().requires_grad_(), leaf))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(pred, torch.ones_like(pred))
        tangent = torch.autograd.forward_ad.unpack_dual(module(dual.requires_grad_(), target)).tangent
    jacobian = torch.func.jacrev(module)(pred, target)
    torch.testing.assert_close(tangent, jacobian.sum((-2, -1)))
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="eager")
    torch.testing.assert_close(differentiated(compiled, pred, target), differentiated(module, pred, target))


def test_half_precision_shares_the_program_of_single(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return program_kernel(*arguments)

    monkeypatch.setattr(kernels, "program_kernel", counted)
    module = lp.CIoULoss(reduction="none", eps=3e-7)  # an eps that nothing else has recorded
    pred, target = sample_pairs(30)
    for ours, theirs in itertools.product((torch.float32, torch.float16, torch.bfloat16), repeat=2):
        leaf = pred.to(ours).requires_grad_()
        assert uses_a_program(module(leaf, target.to(theirs)))
    assert len(made) == 1


def test_subclasses_of_tensors_take_autograd() -> None:
    class Doubled(Tensor):
        """Says of itself what it is used for."""

    pred, target = sample_pairs(30)
    module = lp.EIoULoss(reduction="none")
    value = module(pred.requires_grad_(), target.as_subclass(Doubled))
    assert type(value) is Doubled
    assert not uses_a_program(value)
    assert torch.equal(value.as_subclass(Tensor), module(pred, target))


def test_a_running_statistic_is_read_at_each_call() -> None:
    pred, target = sample_pairs(64)
    module = lp.build_loss("wiou", version=3, momentum=0.5, reduction="none")
    twin = lp.build_loss("wiou", version=3, momentum=0.5, reduction="none")
    for _ in range(3):
        assert uses_a_program(module(pred.clone().requires_grad_(), target))
        plainly(twin, pred, target)
        assert torch.equal(module.mean.current, twin.mean.current)
    module.eval(), twin.eval()
    assert torch.equal(differentiated(module, pred, target)[0], plainly(twin, pred, target)[0])


def test_a_loss_of_ones_own_is_recorded_only_if_it_is_pure() -> None:
    pred, target = sample_pairs(30)
    scale = 1.0

    def scheduled(pred: Tensor, target: Tensor) -> Tensor:
        return scale * (pred - target).abs().sum(-1).sin().cos().exp().sqrt().log1p().tanh()

    try:
        lp.register_loss("test_scheduled")(scheduled)
        module = lp.build_loss("test_scheduled", reduction="none")
        first = module(pred.requires_grad_(), target)
        assert not uses_a_program(first)
        scale = 2.0
        assert torch.equal(module(pred, target), 2 * first)
        with pytest.raises(ValueError, match="test_scheduled: compile=True records the loss once"):
            lp.build_loss("test_scheduled", compile=True)
        lp.unregister_loss("test_scheduled")
        lp.register_loss("test_scheduled", pure=True)(scheduled)
        assert uses_a_program(lp.build_loss("test_scheduled", reduction="none")(pred, target))
    finally:
        lp.unregister_loss("test_scheduled")


def test_a_loss_of_ones_own_that_looks_at_its_data_runs_by_autograd() -> None:
    @lp.register_loss("test_looks", pure=True)
    def looks(pred: Tensor, target: Tensor) -> Tensor:
        distance = (pred - target).abs().sum(-1)
        return distance.sin().cos().exp().sqrt() if bool(distance.max() > 0) else distance

    try:
        pred, target = sample_pairs(30)
        module = lp.build_loss("test_looks", reduction="none")
        value = module(pred.requires_grad_(), target)
        assert not uses_a_program(value)
        assert torch.equal(value, looks(pred, target))
    finally:
        lp.unregister_loss("test_looks")


def test_the_size_of_the_sample_may_not_be_part_of_the_graph() -> None:
    def padded(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs().sum(-1) + torch.zeros(len(pred)).view(len(pred))

    pred, target = (list(part.unbind(-1)) for part in sample_pairs(SAMPLE_ROWS))
    graph = trace(joint(padded, by_columns), pred, target, {})
    with pytest.raises(NotTraceable, match="view is given the number of rows, and holds only for as many"):
        simplify(graph, [*pred, *target])


def test_a_loss_that_leaves_columns_out_is_recorded() -> None:
    def corner(pred: Tensor, target: Tensor) -> Tensor:
        return (pred.unbind(-1)[2] - target.unbind(-1)[2]).abs()

    pred, target = (list(part.unbind(-1)) for part in sample_pairs(SAMPLE_ROWS))
    run = Program(simplify(trace(joint(corner, by_columns), pred, target, {}), [*pred, *target]))
    boxes, others = sample_pairs(9)
    loss, gradient = run(boxes, others, [])
    assert torch.equal(loss, corner(boxes, others))
    assert gradient[[0, 1, 3]].abs().max() == 0
    assert torch.equal(gradient[2], (boxes - others)[:, 2].sign())


def test_simplifying_shortens_ciou_by_a_quarter() -> None:
    entry = lp.get_entry("ciou")
    pred, target = (list(part.unbind(-1)) for part in trial_pairs("box", SAMPLE_ROWS))
    graph = trace(joint(entry.function, by_columns), pred, target, {})
    before = sum(node.op == "call_function" for node in graph.nodes)
    program_ = Program(simplify(graph, [*pred, *target]))
    assert program_.length < 0.75 * before


@pytest.mark.parametrize(
    ("formula", "operations"),
    [
        (lambda x, y: x.neg().neg() - y.neg(), 1),  # x + y
        (lambda x, y: 2 * x / 2 + y * 4 / 4, 1),
        (lambda x, y: x * y + y * x, 1),  # 2 x y: the factor is left for the end
        (lambda x, y: (x - y) * (y - x), 2),
        (lambda x, y: x**2 / 1, 1),
        (lambda x, y: torch.where(x > y, -2 * x, torch.zeros(())), 2),
    ],
)
def test_the_algebra_keeps_values_and_counts(formula: Any, operations: int) -> None:
    def both(pred: list[Tensor], target: list[Tensor], arguments: dict[str, Tensor]) -> list[Tensor]:
        return [formula(pred[0], target[0]).abs(), pred[0]]

    x, y = torch.randn(2, SAMPLE_ROWS, generator=torch.Generator().manual_seed(0))
    graph = simplify(trace(both, [x], [y], {}), [x, y])
    (value, _) = next(node for node in graph.nodes if node.op == "output").args[0]
    assert torch.equal(value.meta["sample"], formula(x, y).abs())
    calls = [node for node in graph.nodes if node.op == "call_function"]
    extra = sum(node.target in (torch.abs,) or 2.0 in node.args for node in calls)  # abs, and a factor left over
    assert len(calls) - extra == operations


@pytest.mark.parametrize("connective", [torch.logical_and, torch.logical_or])
def test_conditions_are_joined_by_functions_of_torch(connective: Any) -> None:
    """They are called faster than the ATen operations of the same name."""

    def both(pred: list[Tensor], target: list[Tensor], arguments: dict[str, Tensor]) -> list[Tensor]:
        joined = torch.where(connective(pred[0] > 0, target[0] > 0), pred[0], target[0])
        return [joined, torch.where(torch.logical_not(pred[0] > 1), joined, target[0])]

    x, y = torch.randn(2, SAMPLE_ROWS, generator=torch.Generator().manual_seed(0))
    called = [node.target for node in simplify(trace(both, [x], [y], {}), [x, y]).nodes if node.op == "call_function"]
    assert connective in called
    assert torch.logical_not in called


def recorded(formula: Any) -> Program:
    """The program of a formula of x, whatever it is the loss or gradient of."""

    def both(pred: list[Tensor], target: list[Tensor], arguments: dict[str, Tensor]) -> list[Tensor]:
        return [formula(pred[0]), pred[0] + target[0]]

    x, y = torch.randn(2, SAMPLE_ROWS, generator=torch.Generator().manual_seed(0))
    return Program(simplify(trace(both, [x], [y], {}), [x, y]))


def test_a_result_that_is_looked_at_otherwise_is_not_overwritten() -> None:
    def formula(x: Tensor) -> Tensor:
        wave = x.sin()
        view = wave.unsqueeze(0)
        return wave.exp().cos() + view.squeeze(0)

    x = torch.linspace(-3, 3, 50)
    assert torch.equal(recorded(formula)(x, x, [])[0], formula(x))


def test_what_is_changed_in_place_is_recorded_also_where_a_view_sees_it() -> None:
    def changed(x: Tensor) -> Tensor:
        return (x * 3).add_(1).sin().mul_(2)

    def seen(x: Tensor) -> Tensor:
        triple = x * 3
        view = triple.unsqueeze(0)
        triple.add_(1)
        return view.squeeze(0).sin()

    x = torch.linspace(-3, 3, 50)
    for formula in (changed, seen):
        assert torch.equal(recorded(formula)(x, x, [])[0], formula(x))


def test_scratch_is_kept_and_given_back() -> None:
    pred, target = sample_pairs(3000)
    program.forget_scratch()
    differentiated(lp.CIoULoss(reduction="none"), pred, target)
    kept = program._KEPT.bytes
    differentiated(lp.CIoULoss(reduction="none"), pred[:100], target[:100])
    assert program._KEPT.bytes is kept
    assert program.KEEP_FROM < len(kept) < program.KEEP_TO
    program.forget_scratch()
    assert not hasattr(program._KEPT, "bytes")


def test_equal_losses_share_a_program() -> None:
    pred, target = sample_pairs(10)
    for _ in range(2):
        lp.CIoULoss(reduction="none", eps=3.5e-7)(pred.requires_grad_(), target)
    keys = [key for key in fused._KERNELS if "3.5e-07" in str(key)]
    assert len(keys) == 1


def test_one_column_layout() -> None:
    assert only([torch.ones(2)]).shape == (2,)
    assert by_columns([torch.ones(2)] * 3).shape == (2, 3)
    assert functools.reduce(torch.add, by_columns([torch.ones(2), 2 * torch.ones(2)]).unbind(-1)).tolist() == [3, 3]
