"""Labels of every loss that takes them: which are classes, which are left out, which are refused."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.declare import LABELS
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.samples import as_scale
from loss_plugins.tensors import on_target

from .taken import allows, taken

N, C = 6, 4
ROWS = (N, C)
MAPS = (N, C, 3, 5)
#: as many columns as classes: what is put on the wrong axis fits all the same
SQUARE = (N, C, C, C)
SIGNAL = (N, C, 7)
LABELLED = [entry for entry in shipped() if LABELS.intersection(entry.targets)]
PER_ROW = [entry for entry in LABELLED if entry.kind == "classification"]
REGIONS = [entry for entry in LABELLED if entry.kind == "region"]
#: parameters beside the defaults with which each loss is tried
VARIED: dict[str, list[dict[str, Any]]] = {
    "bce_with_logits": [{"pos_weight": 3.0}, {"pos_weight": [0.5, 1.0, 2.0, 4.0]}],
    "cross_entropy": [{"class_weight": [0.5, 1.0, 2.0, 4.0]}, {"label_smoothing": 0.1}],
    "nll": [{"class_weight": [0.5, 1.0, 2.0, 4.0]}],
    "focal": [{"alpha": None, "gamma": 0.5}],
    "softmax_focal": [{"alpha": 0.3}],
    "asymmetric_softmax": [{"label_smoothing": 0.0, "gamma_pos": 1.0}],
    "ghm_c": [{"momentum": 0.5}],
}


def names(entries: list[Entry]) -> list[str]:
    return [entry.name for entry in entries]


def is_sigmoid(entry: Entry) -> bool:
    return "labels" in entry.targets


def draw(entry: Entry, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores of the loss's scale, and labels among which are all classes and, if it may be, background."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64) * 2
    last = C + 1 if is_sigmoid(entry) else C
    labels = torch.randint(0, last, (shape[0], *shape[2:]), generator=generator)
    return as_scale(logits, entry.traits.scale), labels


def with_quality(entry: Entry, labels: Tensor, form: str) -> Any:
    if form not in ("label_score", "label_score_rank"):
        return labels
    generator = torch.Generator().manual_seed(9)
    quality = torch.rand(labels.shape, generator=generator, dtype=torch.float64)
    ranks = torch.randint(0, 3, labels.shape, generator=generator)
    return (labels, quality) if form == "label_score" else (labels, quality, ranks)


def forms(entry: Entry) -> list[str]:
    return [form for form in entry.targets if form in LABELS]


def value_and_gradient(module: Any, pred: Tensor, target: Any, **call: Any) -> tuple[Tensor, Tensor]:
    leaf = pred.detach().clone().requires_grad_()
    loss = module(leaf, target, **call)
    (gradient,) = torch.autograd.grad((loss * torch.arange(1, loss.numel() + 1).view(loss.shape)).sum(), leaf)
    return loss.detach(), gradient


def as_rows(tensor: Tensor) -> Tensor:
    """(n, C, ...) to (all pixels, C)."""
    return tensor.movedim(1, -1).reshape(-1, tensor.shape[1])


def cases() -> list[Any]:
    return [
        pytest.param(entry, parameters, form, id=f"{entry.name}-{','.join(parameters) or 'default'}-{form}")
        for entry in PER_ROW
        for parameters in [{}, *VARIED.get(entry.name, [])]
        for form in forms(entry)
    ]


@pytest.mark.parametrize("shape", [ROWS, SIGNAL, SQUARE], ids=["rows", "signal", "square map"])
@pytest.mark.parametrize(("entry", "parameters", "form"), cases())
def test_what_is_ignored_might_as_well_not_be_there(
    entry: Entry, parameters: dict[str, Any], form: str, shape: tuple[int, ...]
) -> None:
    """The oracle is the same loss on the rows or pixels that are left, as plain rows."""
    pred, labels = draw(entry, shape)
    ignored = torch.zeros(labels.shape, dtype=torch.bool)
    ignored.view(-1)[1::3] = True
    left = ~ignored.reshape(-1)
    target = with_quality(entry, labels, form)
    given = with_quality(entry, labels.masked_fill(ignored, -100), form)
    pieces = on_target(lambda part: part.reshape(-1)[left], target)
    rows = as_rows(pred)[left]
    for call in ({"reduction_override": "mean"}, {"reduction_override": "sum"}, {"avg_factor": 3.5}):
        ours, gradient = value_and_gradient(lp.build_loss(entry.name, **parameters), pred, given, **call)
        theirs, wanted = value_and_gradient(lp.build_loss(entry.name, **parameters), rows, pieces, **call)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(as_rows(gradient)[left], wanted)
        assert torch.equal(as_rows(gradient)[~left], torch.zeros_like(as_rows(gradient)[~left]))
    loss = lp.build_loss(entry.name, reduction="none", **parameters)(pred, given)
    theirs = lp.build_loss(entry.name, reduction="none", **parameters)(rows, pieces)
    each = as_rows(loss) if loss.shape == pred.shape else loss.reshape(-1)
    torch.testing.assert_close(each[left], theirs)
    assert torch.equal(each[~left], torch.zeros_like(each[~left]))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("entry", PER_ROW, ids=names(PER_ROW))
def test_weights_go_with_the_rows_that_are_left(entry: Entry, reduction: str) -> None:
    pred, labels = draw(entry, ROWS)
    left = torch.tensor([True, False, True, True, False, True])
    weight = torch.rand(N, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) + 0.1
    module = lp.build_loss(entry.name, reduction=reduction).eval()
    ours, gradient = value_and_gradient(module, pred, labels.masked_fill(~left, -100), weight=weight)
    theirs, wanted = value_and_gradient(module, pred[left], labels[left], weight=weight[left])
    if reduction == "none":
        assert torch.equal(ours[~left], torch.zeros_like(ours[~left]))
        torch.testing.assert_close(ours[left], theirs)
    else:
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(gradient[left], wanted)
    assert torch.equal(gradient[~left], torch.zeros_like(gradient[~left]))


def regions() -> list[Any]:
    """Each loss of regions with all that its regions may be."""
    said = itertools.product(
        ("sigmoid", "softmax", "none"), ("image", "batch", "channel", "batch_channel"), ("cost", "zero", "skip")
    )
    found = {}
    for entry, (activation, over, empty) in itertools.product(REGIONS, said):
        given = {"activation": activation, "over": over, "empty": empty}
        if allows(entry, **given):
            known = taken(entry, **given)
            name = "-".join([entry.name, *known.values()])
            found[name] = pytest.param(entry, known, id=name)
    return list(found.values())


@pytest.mark.parametrize(("entry", "given"), regions())
def test_regions_are_those_of_the_pixels_that_are_left(entry: Entry, given: dict[str, str]) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(3, C, 2, 6, generator=generator, dtype=torch.float64)
    pred = pred.softmax(1) if given.get("activation") == "none" else pred
    labels = torch.randint(0, C, (3, 2, 6), generator=generator)
    ignored = torch.rand(2, 6, generator=generator) < 0.4
    module = lp.build_loss(entry.name, **given, ignore_index=[255, -7])
    marked = labels.masked_fill(ignored, 255)
    marked[0] = labels[0].masked_fill(ignored, -7)
    for reduction in ("mean", "sum", "none"):
        call = {"reduction_override": reduction}
        ours, gradient = value_and_gradient(module, pred, marked, **call)
        theirs, wanted = value_and_gradient(module, pred[:, :, ~ignored], labels[:, ~ignored], **call)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(gradient[:, :, ~ignored], wanted)
        assert torch.equal(gradient[:, :, ignored], torch.zeros_like(gradient[:, :, ignored]))


@pytest.mark.parametrize("entry", LABELLED, ids=names(LABELLED))
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf])
def test_garbage_in_ignored_rows_reaches_neither_value_nor_gradient(entry: Entry, garbage: float) -> None:
    pred, labels = draw(entry, MAPS)
    labels[0, 1] = -100
    labels[2, 0, 3] = -100
    wild = pred.clone()
    wild.movedim(1, -1)[labels == -100] = garbage
    module = lp.build_loss(entry.name).eval()
    for ours, wanted in zip(
        value_and_gradient(module, wild, labels), value_and_gradient(module, pred, labels), strict=True
    ):
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("entry", LABELLED, ids=names(LABELLED))
def test_where_all_is_ignored_the_loss_is_0_and_so_is_its_gradient(entry: Entry) -> None:
    pred, labels = draw(entry, MAPS)
    for reduction in ("mean", "sum", "none"):
        module = lp.build_loss(entry.name, reduction=reduction, **taken(entry, smooth=1.0))
        loss, gradient = value_and_gradient(module, pred, torch.full_like(labels, -100))
        assert loss.abs().max() < 1e-2 if entry.kind == "region" else torch.equal(loss, torch.zeros_like(loss))
        assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("shape", [ROWS, SIGNAL, MAPS], ids=["rows", "signal", "map"])
@pytest.mark.parametrize("entry", LABELLED, ids=names(LABELLED))
def test_any_other_label_is_refused_by_module_and_function(entry: Entry, shape: tuple[int, ...]) -> None:
    if entry.kind == "region" and len(shape) < 3:
        shape = MAPS
    pred, labels = draw(entry, shape)
    function = getattr(lp, f"{entry.name}_loss")
    background = is_sigmoid(entry) or entry.kind == "region"  # whose activation is the sigmoid by default
    for wrong in (-1, -101, 255, C + 1, *([] if background else [C])):
        bad = labels.clone()
        bad[2] = wrong
        for form in forms(entry):
            for call in (lp.build_loss(entry.name), function):
                with pytest.raises(ValueError, match=rf"^{entry.name}: target\[2.*label {wrong}\b.*C = {C}.*") as error:
                    call(pred, with_quality(entry, bad, form))
                assert f"pass ignore_index={wrong}" in str(error.value), "the remedy"
                lp.build_loss(entry.name, ignore_index=wrong)(pred, with_quality(entry, bad, form))
    labels[2] = C
    if background:
        assert function(pred, labels).isfinite().all()
    if "activation" in entry.parameters:
        with pytest.raises(ValueError, match=rf"label {C}\b"):
            function(pred, labels, activation="softmax")


@pytest.mark.parametrize("entry", LABELLED, ids=names(LABELLED))
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_labels_of_any_integer_type_are_the_same(entry: Entry, dtype: torch.dtype) -> None:
    pred, labels = draw(entry, MAPS)
    labels[0] = 100
    for reduction in ("mean", "none"):
        module = lp.build_loss(entry.name, reduction=reduction, ignore_index=100).eval()
        assert torch.equal(module(pred, labels.to(dtype)), module(pred, labels))
    if dtype == torch.uint8:  # of 8 bits, -100 is 156
        labels[0] = 156
        with pytest.raises(ValueError, match="label 156"):
            lp.build_loss(entry.name)(pred, labels.to(dtype))


@pytest.mark.parametrize("entry", PER_ROW, ids=names(PER_ROW))
def test_a_class_may_be_ignored_and_several_labels_and_none(entry: Entry) -> None:
    pred, labels = draw(entry, MAPS)
    build = functools.partial(lp.build_loss, entry.name)
    marked = labels.masked_fill(labels == 1, -100).masked_fill(labels == 3, -100)
    for reduction in ("mean", "sum", "none"):
        found = build(reduction=reduction, ignore_index=[1, 3])(pred, labels)
        assert torch.equal(found, build(reduction=reduction)(pred, marked))
    with pytest.raises(ValueError, match="label -100"):
        build(ignore_index=None)(pred, marked)
    for wrong in (1.5, "255", True, [1, 2.5]):
        with pytest.raises(ValueError, match=f"{entry.name}: ignore_index=.*allowed: an integer, or several"):
            build(ignore_index=wrong)


@pytest.mark.parametrize("entry", LABELLED, ids=names(LABELLED))
def test_where_labels_cannot_be_read_they_are_not(entry: Entry) -> None:
    """On the meta device there is nothing to read: whatever waited for a GPU would raise here."""
    pred, labels = (part.to("meta") for part in draw(entry, MAPS))
    for reduction in ("mean", "none"):
        loss = lp.build_loss(entry.name, reduction=reduction).to("meta")(pred.requires_grad_(), labels)
        loss.sum().backward()
    assert pred.grad is not None


@pytest.mark.parametrize("entry", LABELLED, ids=names(LABELLED))
def test_vmap_ignores_as_a_loop_does(entry: Entry) -> None:
    pred, labels = draw(entry, MAPS)
    labels[:, 0] = -100
    labels[3] = -100

    def one(pred: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = lp.build_loss(entry.name).eval()(pred[None], labels[None])
        return loss

    looped = torch.stack([one(*pair) for pair in zip(pred, labels, strict=True)])
    torch.testing.assert_close(torch.func.vmap(one)(pred, labels), looped)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "ghm_c", "dice"])
def test_a_compiled_and_an_exported_model_ignores_as_eager_code_does(name: str) -> None:
    module = lp.build_loss(name).eval()
    pred, labels = draw(module.entry, MAPS)
    labels[:, 0] = -100
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    for found, wanted in zip(
        value_and_gradient(compiled, pred, labels), value_and_gradient(module, pred, labels), strict=True
    ):
        torch.testing.assert_close(found, wanted)
    exported = torch.export.export(module, (pred, labels)).module()
    torch.testing.assert_close(exported(pred, labels), module(pred, labels))
    other = labels.roll(1, 1)
    torch.testing.assert_close(exported(pred, other), module(pred, other))


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("name", ["bce_with_logits", "focal", "asymmetric"])
def test_fused_losses_ignore_as_plain_ones_do(name: str, compile: bool) -> None:
    module = lp.build_loss(name, compile=compile)
    pred, labels = draw(module.entry, (70, C))
    labels[::3] = -100
    loss, gradient = value_and_gradient(module, pred.float(), labels)
    function = getattr(lp, f"{name}_loss")
    left = labels != -100
    theirs, wanted = value_and_gradient(lambda p, t: function(p, t).mean(), pred[left].float(), labels[left])
    torch.testing.assert_close(loss, theirs)
    torch.testing.assert_close(gradient[left], wanted)
    assert torch.equal(gradient[~left], torch.zeros_like(gradient[~left]))
