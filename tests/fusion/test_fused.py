"""compile=True: the same numbers, one saved gradient, and the plain path wherever the fused one cannot go."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.fusion import fused, graphs_compiled, native
from loss_plugins.samples import sample_pairs

BOX = ["ciou", "eiou", "alpha_ciou", "siou", "nwd", "wiou"]
DENSE = ["focal", "quality_focal", "varifocal", "asymmetric"]


def pair(name: str, **parameters: Any) -> tuple[lp.Loss, lp.Loss]:
    built = (lp.build_loss(name, reduction="none", compile=compiled, **parameters) for compiled in (True, False))
    return tuple(built)  # type: ignore[return-value]


def weighted(loss: lp.Loss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient under an upstream gradient that differs from row to row."""
    leaf = pred.clone().requires_grad_()
    value = loss(leaf, target)
    upstream = torch.rand(value.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((value * upstream).sum(), leaf)
    return value.detach(), gradient


@pytest.mark.parametrize("name", BOX)
def test_box_losses_are_the_same_compiled(name: str) -> None:
    pred, target = sample_pairs(400)
    compiled, plain = pair(name)
    (value, gradient), (expected, expected_gradient) = (weighted(m, pred, target) for m in (compiled, plain))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DENSE)
def test_dense_class_losses_are_the_same_compiled(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(50, 7, generator=generator)
    target = torch.rand(50, 7, generator=generator) * (torch.rand(50, 7, generator=generator) > 0.7)
    compiled, plain = pair(name)
    (value, gradient), (expected, expected_gradient) = (weighted(m, logits, target) for m in (compiled, plain))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", ["labels", "labels and per class", "per class"])
def test_class_losses_with_labels_and_numbers_per_class(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_KERNELS", {})  # other tests may have compiled the same
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(50, 7, generator=generator)
    scores = torch.rand(50, 7, generator=generator)
    target = scores if form == "per class" else torch.arange(50) % 8  # with background
    parameters = {} if form == "labels" else {"pos_weight": [0.5, 1, 2, 3, 1, 1, 4]}
    name = "focal" if form == "labels" else "bce_with_logits"
    compiled, plain = pair(name, **parameters)
    before = graphs_compiled()
    found, expected = (weighted(module, logits, target) for module in (compiled, plain))
    assert graphs_compiled() == before + 1
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_half_precision_and_weights() -> None:
    pred, target = sample_pairs(64)
    compiled = lp.CIoULoss(compile=True)
    plain = lp.CIoULoss()
    weight = torch.rand(64)
    for dtype in (torch.float16, torch.bfloat16):
        leaves = [pred.to(dtype).requires_grad_() for _ in range(2)]
        losses = [
            m(leaf, target.to(dtype), weight, avg_factor=3.0) for m, leaf in zip((compiled, plain), leaves, strict=True)
        ]
        torch.testing.assert_close(*losses)
        gradients = [torch.autograd.grad(loss, leaf)[0] for loss, leaf in zip(losses, leaves, strict=True)]
        assert gradients[0].dtype == dtype
        torch.testing.assert_close(*gradients, rtol=1e-2, atol=1e-3)


def test_no_recompilation_while_the_number_of_boxes_changes() -> None:
    loss = lp.DIoULoss(reduction="sum", compile=True, eps=1e-6)

    def step(n: int) -> None:
        pred, target = sample_pairs(n)
        loss(pred.requires_grad_(), target).backward()

    before = graphs_compiled()
    step(9)
    step(20_000)
    assert graphs_compiled() == before + 2  # one for few boxes, one for many
    before = graphs_compiled()
    for n in [*range(11, 60), 2, 1, 0]:
        step(n) if n >= 8 else loss(torch.rand(n, 4).requires_grad_(), torch.rand(n, 4)).backward()
    assert graphs_compiled() == before


def test_only_the_gradient_is_saved_beside_the_inputs() -> None:
    pred, target = sample_pairs(1000)
    leaf = pred.requires_grad_()
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    module = lp.CIoULoss(reduction="none", compile=True)
    module(leaf, target)  # compiles
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(leaf, target)
    inputs = {pred.data_ptr(), target.data_ptr()}
    assert sum(size for pointer, size in saved.items() if pointer not in inputs) == pred.numel() * 4


def test_what_the_fused_path_cannot_serve_takes_the_plain_one() -> None:
    pred, target = sample_pairs(6, dtype=torch.float64)
    compiled, plain = pair("eiou")
    # a target with gradient
    leaf = target.clone().requires_grad_()
    expected = torch.autograd.grad(plain(pred, leaf).sum(), leaf)[0]
    assert torch.equal(torch.autograd.grad(compiled(pred.clone().requires_grad_(), leaf).sum(), leaf)[0], expected)
    # double backward
    second = []
    for module in (compiled, plain):
        leaf = pred.clone().requires_grad_()
        (first,) = torch.autograd.grad(module(leaf, target).sum(), leaf, create_graph=True)
        second.append(torch.autograd.grad((first**2).sum(), leaf)[0])
    torch.testing.assert_close(*second)
    # functorch
    torch.testing.assert_close(torch.func.vmap(compiled)(pred, target), plain(pred, target))
    jacobians = [torch.func.jacrev(module)(pred, target) for module in (compiled, plain)]
    torch.testing.assert_close(*jacobians)


def test_the_running_mean_learns_when_compiled() -> None:
    pred, target = sample_pairs(64)
    compiled, plain = pair("wiou", momentum=0.5)
    for _ in range(3):
        losses = [module(pred.clone().requires_grad_(), target) for module in (compiled, plain)]
        torch.testing.assert_close(*losses)
    assert plain.mean.current.item() != 1.0
    assert compiled.mean.current.item() == pytest.approx(plain.mean.current.item())


def test_copies_and_pickles_compute_the_same() -> None:
    pred, target = sample_pairs(20)
    module = lp.GIoULoss(reduction="none", compile=True)
    expected = weighted(module, pred, target)
    for twin in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module), lp.build_loss(module.spec())):
        assert twin.fused is not None
        assert all(torch.equal(a, b) for a, b in zip(weighted(twin, pred, target), expected, strict=True))


@pytest.mark.parametrize("name", ["bounded_iou", "dice", "cross_entropy", "distribution_focal"])
def test_losses_that_are_not_separable_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: .*losses in which each number depends on one row"):
        lp.build_loss(name, compile=True)


@pytest.mark.parametrize(("name", "sized"), [("efl", True), ("eqlv2", True), ("seesaw", True), ("ema_slide", False)])
def test_losses_whose_statistics_are_several_numbers_are_refused(name: str, sized: bool) -> None:
    for given in ({}, {"num_classes": 3}) if sized else ({},):
        with pytest.raises(ValueError, match=f"^{name}: compile=True .* running statistic '.*' is several numbers"):
            lp.build_loss(name, compile=True, **given)
    lp.WIoULoss(compile=True)


def test_a_loss_of_ones_own_that_couples_rows_is_refused() -> None:
    @lp.register_loss("test_coupled", pure=True)
    def coupled(pred: Tensor, target: Tensor) -> Tensor:
        distance = (pred - target).abs().sum(-1)
        return distance / distance.sum()

    try:
        with pytest.raises(ValueError, match="test_coupled: compile=True does not serve this loss"):
            lp.build_loss("test_coupled", compile=True)
    finally:
        lp.unregister_loss("test_coupled")


def test_a_machine_without_a_compiler_says_so_when_the_loss_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(native.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="compile=True needs a C"):
        lp.CIoULoss(compile=True)
    lp.CIoULoss()
