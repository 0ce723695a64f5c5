"""A loss of one's own is fused only where that gives what autograd gives, whatever it looks at."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import loss_plugins as lp
from loss_plugins.fusion import program
from loss_plugins.samples import sample_pairs

from .own import built, by_both, is_fused, long, registered, same_by_both


def bce(pred: Tensor, target: Tensor) -> Tensor:
    if target.shape != pred.shape:
        target = (target[:, None] == torch.arange(pred.shape[1], device=pred.device)).to(pred)  # C is background
    return long(binary_cross_entropy_with_logits(pred, target, reduction="none"))


def far(pred: Tensor, target: Tensor) -> Tensor:
    return long((pred - target).abs().sum(-1))


def own_far() -> Callable[..., Tensor]:
    """The same as a function that nothing has recorded yet."""

    def own(pred: Tensor, target: Tensor) -> Tensor:
        return far(pred, target)

    return own


# --- what looks at shapes ---------------------------------------------------------------------------------------------


def times_classes(pred: Tensor, target: Tensor) -> Tensor:
    return bce(pred, target) * pred.shape[-1]


def times_rows(pred: Tensor, target: Tensor) -> Tensor:
    return bce(pred, target) / len(pred)


def times_numbers(pred: Tensor, target: Tensor) -> Tensor:
    return bce(pred, target) / pred.numel()


def times_axes(pred: Tensor, target: Tensor) -> Tensor:
    return bce(pred, target) * pred.ndim


def maps_otherwise(pred: Tensor, target: Tensor) -> Tensor:
    return bce(pred, target) * (2 if pred.ndim == 4 else 1)


def many_otherwise(pred: Tensor, target: Tensor) -> Tensor:
    return bce(pred, target) * (2 if pred.numel() > 500 else 1)


def many_classes_otherwise(pred: Tensor, target: Tensor) -> Tensor:
    return bce(pred, target) * (2 if pred.shape[-1] > 20 else 1)


def best_class(pred: Tensor, target: Tensor) -> Tensor:
    return bce(pred, target) * (1 + target.to(pred).reshape(len(pred), -1).amax(-1).view(-1, *[1] * (pred.ndim - 1)))


BY_SHAPE = [
    times_classes, times_rows, times_numbers, times_axes, maps_otherwise, many_otherwise, many_classes_otherwise,
    best_class,
]  # fmt: skip
SHAPES = [(7,), (20, 4), (900, 2), (6, 40), (2, 5, 3), (2, 3, 4, 5)]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("function", BY_SHAPE)
def test_scores_whose_loss_looks_at_shapes(function: Callable[..., Tensor], compiled: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    with registered(function, "classification") as name:
        module = built(name, compiled)
        if module is None:
            return
        for shape in SHAPES if not compiled else SHAPES[1:]:
            scores, target = (torch.rand(shape, generator=generator) for _ in range(2))
            same_by_both(module, 4 * scores - 2, target)


@pytest.mark.parametrize("compiled", [False, True])
def test_labels_of_rows(compiled: bool) -> None:
    with registered(bce, "classification") as name:
        module = lp.build_loss(name, reduction="none", compile=compiled)
        for shape, labels in (((9, 4), (9,)), ((70, 6), (70,))):
            generator = torch.Generator().manual_seed(0)
            pred = torch.randn(shape, generator=generator)
            same_by_both(module, pred, torch.randint(0, shape[1] + 1, labels, generator=generator))
            assert is_fused(module, pred, torch.zeros(labels, dtype=torch.int64))


# --- what looks at other rows -----------------------------------------------------------------------------------------


def less_the_mean_target(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) * target.mean()


def by_largest_target(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) / target.amax((0, 1))


def if_any_is_large(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) * torch.where((target > 1e5).any(), 2.0, 1.0)


def by_rank(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) * target[..., 0].argsort(0).argsort(0)


def by_running_sum(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) * target[..., 0].cumsum(0)


def by_detached_mean(pred: Tensor, target: Tensor) -> Tensor:
    distance = far(pred, target)
    return distance / distance.detach().mean()


def by_position(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) * torch.arange(len(pred), device=pred.device)


def by_neighbour(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target.roll(1, 0))


COUPLED = [
    less_the_mean_target, by_largest_target, if_any_is_large, by_rank, by_running_sum, by_detached_mean, by_position,
    by_neighbour,
]  # fmt: skip


@pytest.mark.parametrize("function", COUPLED)
def test_boxes_whose_loss_looks_at_other_rows(function: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "ROWS_PER_THREAD", 256)  # blocks of rows
    pred, target = sample_pairs(2000)
    target[-1] += 2e5
    with registered(function) as name:
        module = lp.build_loss(name, reduction="none")
        same_by_both(module, pred, target)
        assert not is_fused(module, pred, target)


@pytest.mark.parametrize("function", COUPLED)
def test_such_a_loss_is_not_compiled(function: Callable[..., Tensor]) -> None:
    pred, target = sample_pairs(40)
    target[-1] += 2e5
    with registered(function) as name:
        module = built(name, compiled=True)
        if module is None:
            return
        with pytest.warns(RuntimeWarning, match="runs by ordinary autograd"):
            assert not is_fused(module, pred, target)


# --- what cannot be recorded ------------------------------------------------------------------------------------------


def many_boxes_otherwise(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) * (2 if len(pred) > 100 else 1)


def by_numpy(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) * torch.from_numpy(target.detach().cpu().numpy().max(-1)).to(pred)


def by_a_number(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) * (2 if float(target.max()) > 1e5 else 1)


def by_a_loop(pred: Tensor, target: Tensor) -> Tensor:
    return torch.stack([far(p, t) for p, t in zip(pred, target, strict=True)])


def with_a_table(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target * torch.tensor([1.0, 2.0, 3.0, 4.0], device=pred.device))


def of_small_boxes(pred: Tensor, target: Tensor) -> Tensor:
    assert len(pred) == 7, "seven boxes, please"
    return far(pred, target)


def with_noise(pred: Tensor, target: Tensor) -> Tensor:
    return far(pred, target) + 0 * torch.rand(len(pred), device=pred.device)


@pytest.mark.parametrize(
    "function", [many_boxes_otherwise, by_numpy, by_a_number, by_a_loop, with_a_table, of_small_boxes, with_noise]
)
def test_what_cannot_be_recorded_runs_plainly_and_says_so_once(function: Callable[..., Tensor]) -> None:
    with registered(function) as name:
        module = lp.build_loss(name, reduction="none")
        pred, target = sample_pairs(14)
        pred, target = pred[7:], target[7:]
        with pytest.warns(RuntimeWarning, match="test_own runs by ordinary autograd") as told:
            fused = [is_fused(module, pred, target) for _ in range(3)]
        assert fused == [False] * 3
        assert len(told) == 1
        same_by_both(module, pred, target)
        if function is not of_small_boxes:
            pred, target = sample_pairs(120)
            target[3] += 2e5
            same_by_both(module, pred, target)


def test_a_loss_that_raises_on_ordinary_input_is_refused_before_it_is_compiled() -> None:
    with registered(of_small_boxes) as name, pytest.raises(ValueError, match="seven boxes, please"):
        lp.build_loss(name, compile=True)


def test_a_compiler_that_fails_leaves_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr("loss_plugins.fusion.private.machine_code", broken)
    pred, target = sample_pairs(30)
    with registered(own_far()) as name:
        module = lp.build_loss(name, reduction="none", compile=True)
        with pytest.warns(RuntimeWarning, match="no space left on device"):
            assert not is_fused(module, pred, target)


@pytest.mark.parametrize("compiled", [False, True])
def test_numbers_that_differ_from_those_of_autograd_are_not_used(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loss_plugins.fusion import kernels

    maker = "recorded_native_kernel" if compiled else "program_kernel"
    original = getattr(kernels, maker)

    def wrong(*arguments: Any) -> Any:
        kernel = original(*arguments)

        def off(*tensors: Any) -> tuple[Tensor, Tensor]:
            loss, gradient = kernel(*tensors)
            return loss, 1.001 * gradient

        return off

    monkeypatch.setattr(kernels, maker, wrong)
    pred, target = sample_pairs(30)
    with registered(own_far()) as name:
        module = lp.build_loss(name, reduction="none", compile=compiled)
        with pytest.warns(RuntimeWarning, match="gives other numbers than autograd"):
            assert not is_fused(module, pred, target)


# --- what can ---------------------------------------------------------------------------------------------------------


def test_what_can_be_recorded_is_and_says_nothing() -> None:
    pred, target = sample_pairs(30)
    with registered(own_far()) as name, warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for compiled in (False, True):
            module = lp.build_loss(name, reduction="none", compile=compiled)
            for shape in ((30, 4), (5, 6, 4), (5, 2, 3, 4)):
                assert is_fused(module, pred.view(shape), target.view(shape))
                ours, plain = by_both(module, pred.view(shape), target.view(shape))
                torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)
