"""Wherever a call stands, it gives what plain autograd gives: modes, hooks, threads, layouts, vmap, traces."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.fusion import fused
from loss_plugins.samples import sample_pairs, trial_pairs

from .own import by_both, is_fused, long, registered, same_by_both

EPS = (1e-6 * (1 + count / 1000) for count in itertools.count())  # each has a program of its own


def fresh(compiled: bool = False, name: str = "diou") -> lp.Loss:
    """A loss that nothing has recorded yet."""
    return lp.build_loss(name, reduction="none", eps=next(EPS), compile=compiled)


def plainly(module: lp.Loss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    return by_both(module, pred, target)[1]


def step(module: Callable[..., Tensor], pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = pred.detach().clone().requires_grad_()
    value = module(leaf, target)
    upstream = torch.linspace(0.1, 1, value.numel(), dtype=value.dtype, device="cpu").view(value.shape)
    value.backward(upstream)
    assert leaf.grad is not None
    return value.detach(), leaf.grad


BOTH = pytest.mark.parametrize("compiled", [False, True])


# --- the first call ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("reentrant", [False, True])
def test_the_first_call_inside_a_checkpoint(compiled: bool, reentrant: bool) -> None:
    pred, target = sample_pairs(30)
    module = fresh(compiled)

    def recomputed(pred: Tensor, target: Tensor) -> Tensor:
        return checkpoint(module, pred, target, use_reentrant=reentrant)

    for _ in range(2):
        torch.testing.assert_close(step(recomputed, pred, target), plainly(module, pred, target))
    assert is_fused(module, pred, target)


@BOTH
def test_the_first_call_under_hooks_of_saved_tensors(compiled: bool) -> None:
    pred, target = sample_pairs(30)
    module, seen = fresh(compiled), []

    def packed(tensor: Tensor) -> Tensor:
        seen.append(tensor)
        return tensor.clone()

    with torch.autograd.graph.saved_tensors_hooks(packed, lambda tensor: tensor):
        found = step(module, pred, target)
    torch.testing.assert_close(found, plainly(module, pred, target))
    assert len(seen) == 1  # the gradient alone
    with torch.autograd.graph.save_on_cpu():
        torch.testing.assert_close(step(module, pred, target), found)


@BOTH
def test_the_first_call_under_autocast_and_for_another_default_device(compiled: bool) -> None:
    pred, target = sample_pairs(30)
    for surroundings in (torch.device("meta"), torch.autocast("cpu", torch.bfloat16)):
        module = fresh(compiled)
        with surroundings:
            found = step(module, pred, target)
            assert is_fused(module, pred, target)
        torch.testing.assert_close(found, plainly(module, pred, target))


def test_the_first_call_of_a_process_with_another_default_device() -> None:
    """Scratch is kept from 4,000 boxes on, and a constant must lie where the boxes are."""
    code = """
import torch
torch.set_default_device("meta")
import loss_plugins as lp
@lp.register_loss("own", pure=True)
def own(pred, target, *, power: float = 2.0):
    distance = (pred - target).abs().sum(-1) / 1000
    return torch.where(distance > 0.5, distance.sin().exp().cos().exp(), torch.full((), 0.25, device=pred.device)).exp()
for name in ("own", "ciou", "focal"):
    columns = 7 if name == "focal" else 4
    pred = torch.rand(6000, columns, device="cpu").cumsum(-1).requires_grad_()
    target = torch.rand(6000, columns, device="cpu")
    module = lp.build_loss(name, reduction="none")
    value = module(pred, target)
    (gradient,) = torch.autograd.grad(value.sum(), pred)
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        expected = module(pred, target)
    (other,) = torch.autograd.grad(expected.sum(), pred)
    print(value.grad_fn.name(), value.device, torch.allclose(value, expected), torch.allclose(gradient, other))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all("ValueAndGradient" in line and line.endswith("cpu True True") for line in lines), lines


@BOTH
def test_first_calls_from_many_threads(compiled: bool) -> None:
    pred, target = sample_pairs(40)
    modules = [fresh(compiled) for _ in range(1 if compiled else 2)]
    errors: list[BaseException] = []
    found: list[tuple[lp.Loss, tuple[Tensor, Tensor]]] = []
    start = threading.Barrier(6)

    def work(module: lp.Loss) -> None:
        try:
            start.wait()
            found.append((module, step(module, pred, target)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(modules[i % len(modules)],)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(found) == 6
    for module, result in found:
        torch.testing.assert_close(result, plainly(module, pred, target))
        assert is_fused(module, pred, target)


def test_a_first_call_within_a_backward_pass_does_not_record() -> None:
    """A recording waits for the thread that computes all gradients of a GPU; a backward pass may occupy it."""
    pred, target = sample_pairs(30)
    module = fresh()
    recorded: list[bool] = []
    leaf = torch.ones(2, requires_grad=True)

    def hook(gradient: Tensor) -> None:
        with torch.enable_grad():
            recorded.append(is_fused(module, pred, target))

    leaf.register_hook(hook)
    leaf.sum().backward()
    assert recorded == [False]
    assert is_fused(module, pred, target)


def test_a_loss_that_calls_another_loss() -> None:
    def outer(pred: Tensor, target: Tensor) -> Tensor:
        return long(lp.build_loss("giou", reduction="none", eps=1.25e-6)(pred, target))

    pred, target = sample_pairs(30)
    with registered(outer) as name:
        module = lp.build_loss(name, reduction="none")
        same_by_both(module, pred, target)
        assert is_fused(module, pred, target)


def test_keys_know_the_device() -> None:
    pred, target = sample_pairs(30)
    module = fresh()
    assert is_fused(module, pred, target)
    devices = [part for key in module.fused._kernels for part in key if isinstance(part, torch.device)]  # type: ignore[union-attr]
    assert devices == [pred.device]
    shared = [key for key in fused._KERNELS if str(module.fixed["eps"]) in str(key)]
    assert [pred.device in key for key in shared] == [True]


# --- ways to call -----------------------------------------------------------------------------------------------------


def test_tensors_on_the_meta_device() -> None:
    pred, target = (part.to("meta") for part in sample_pairs(30))
    value = fresh()(pred.requires_grad_(), target)
    value.sum().backward()
    assert value.is_meta
    assert pred.grad is not None
    assert pred.grad.is_meta


FUSED = [entry.name for entry in shipped() if entry.kind != "region" and entry.name != "mix"]


def dense_pair(name: str) -> tuple[Tensor, Tensor]:
    pred, target = trial_pairs(lp.get_entry(name).kind, 20)
    return pred, target


@pytest.mark.parametrize(
    "what", ["inference target", "target changed", "prediction changed", "traced", "batched", "meta"]
)
@pytest.mark.parametrize("name", FUSED)
def test_as_plain_autograd(name: str, what: str) -> None:
    """What works by autograd works; what it refuses is refused or gives the right gradient."""
    module = lp.build_loss(name, reduction="none", **lp.get_entry(name).example).eval()
    pred, target = dense_pair(name)
    if name in ("bce", "gaussian_focal"):
        pred = pred / 1.2
    try:
        expected = _called(what, module, pred, target, plain=True)
    except (RuntimeError, ValueError, TypeError):
        if what == "inference target":
            with pytest.raises((RuntimeError, ValueError, TypeError)):
                _called(what, module, pred, target, plain=False)
        return
    torch.testing.assert_close(_called(what, module, pred, target, plain=False), expected, rtol=1e-5, atol=1e-6)


def _called(what: str, module: lp.Loss, pred: Tensor, target: Tensor, plain: bool) -> Any:
    function: Callable[..., Tensor] = module
    if plain:

        def function(pred: Tensor, target: Tensor) -> Tensor:
            with torch.autograd.set_detect_anomaly(True, check_nan=False):
                return module(pred, target)

    leaf = pred.clone().requires_grad_()
    if what == "inference target":
        with torch.inference_mode():
            target = target.clone()
        return step(function, pred, target)
    if what == "traced":
        traced = torch.jit.trace(lambda p, t: module(p, t), (leaf, target), check_trace=False)
        return step(traced, pred[:11], target[:11])
    if what == "batched":
        value = function(leaf, target)
        upstream = torch.rand(3, *value.shape, generator=torch.Generator().manual_seed(0))
        return torch.autograd.grad(value, leaf, upstream, is_grads_batched=True)
    if what == "meta":
        value = function(leaf.detach().to("meta").requires_grad_(), target.to("meta"))
        return value.shape
    target, moved = target.clone(), leaf * 1
    value = function(moved, target)
    with torch.no_grad():
        (target if what == "target changed" else moved).add_(0.1)
    return torch.autograd.grad(value.sum(), leaf)


@BOTH
def test_jacobians(compiled: bool) -> None:
    pred, target = sample_pairs(8, dtype=torch.float64)
    module = lp.build_loss("eiou", reduction="none", compile=compiled)
    assert is_fused(module, pred, target)

    for vectorize, create_graph in itertools.product((False, True), repeat=2):
        ours, plain = (
            torch.autograd.functional.jacobian(
                lambda p, f=function: f(p, target), pred, vectorize=vectorize, create_graph=create_graph
            )
            for function in (module, lp.eiou_loss)
        )
        torch.testing.assert_close(ours, plain)


def test_an_upstream_gradient_under_vmap() -> None:
    """The loss is computed outside of vmap, its gradient inside."""
    pred, target = sample_pairs(8, dtype=torch.float64)
    leaf = pred.requires_grad_()
    value = lp.EIoULoss(reduction="none")(leaf, target)
    found = torch.func.vmap(lambda upstream: torch.autograd.grad(value, leaf, upstream)[0])(torch.eye(8).double())
    torch.testing.assert_close(found, torch.autograd.functional.jacobian(lambda p: lp.eiou_loss(p, target), pred))


def test_a_second_derivative_after_a_change_in_place_is_refused() -> None:
    pred, target = sample_pairs(8)
    leaf = pred.requires_grad_()
    value = lp.EIoULoss(reduction="none")(leaf, target)
    target.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(value.sum(), leaf, create_graph=True)


def test_an_argument_that_wants_a_gradient_gets_it() -> None:
    def weighed(pred: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
        loss = long((pred - target).abs())
        return loss if weight is None else loss * weight

    pred, target = torch.rand(2, 20, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.ones(20, 3, requires_grad=True)
    with registered(weighed, "classification") as name:
        module = lp.build_loss(name, reduction="none")
        loss = module.elementwise(pred.requires_grad_(), target, weight)
        assert torch.autograd.grad(loss.sum(), weight)[0].abs().min() > 0


# --- layouts ----------------------------------------------------------------------------------------------------------


def layouts(make: Callable[..., Tensor]) -> dict[str, Tensor]:
    """12 rows of 5 numbers, however they may lie in memory."""
    return {
        "contiguous": make(12, 5),
        "columns of more": make(12, 9)[:, 4:],
        "every second column": make(12, 10)[:, ::2],
        "every second row": make(24, 5)[::2],
        "rows from the third on": make(14, 5)[2:],
        "transposed": make(5, 12).t(),
        "permuted": make(5, 4, 3).permute(2, 1, 0).reshape(12, 5),
        "flipped": make(12, 5).flip(0, 1),
        "expanded": make(12, 1).expand(12, 5),
        "one row for all": make(1, 5).expand(12, 5),
    }


@BOTH
@pytest.mark.parametrize("form", ["scores", "labels", "scores, per class", "labels, per class"])
def test_scores_in_any_layout(form: str, compiled: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    more = {"pos_weight": [0.5, 1.0, 2.0, 3.0, 1.5]} if "per class" in form else {}
    module = lp.build_loss("bce_with_logits" if more else "focal", reduction="none", compile=compiled, **more)
    preds = layouts(lambda *shape: torch.randn(shape, generator=generator))
    if "scores" in form:
        targets = layouts(lambda *shape: torch.rand(shape, generator=generator))
    else:
        targets = {name: (part * 10).long().clamp(0, 5)[:, 2] for name, part in layouts(torch.rand).items()}
    for pred, target in zip(preds.values(), [*targets.values()][3:] + [*targets.values()][:3], strict=True):
        same_by_both(module, pred, target)
    assert not compiled or is_fused(module, preds["transposed"], targets["flipped"])


@BOTH
def test_boxes_in_any_layout(compiled: bool) -> None:
    pred, target = sample_pairs(12)
    module = lp.DIoULoss(reduction="none", compile=compiled)
    wide = torch.zeros(12, 9)
    for place in (slice(4), slice(4, 8), slice(0, 8, 2)):
        wide[:, place] = pred
        same_by_both(module, wide[:, place], target)
    same_by_both(module, pred.t().contiguous().t(), target.t().contiguous().t())
    same_by_both(module, pred.view(3, 4, 4).permute(1, 0, 2), target.view(3, 4, 4).permute(1, 0, 2))
    same_by_both(module, pred[:1].expand(12, 4), target)
