"""A mix of one loss is that loss, and a mix of several the sum of what each of them gives by itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.declare import COLUMNS
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.catalog.ranges import Choice, PerClass
from loss_plugins.points import POINTS
from loss_plugins.samples import CLASSES as BINS
from loss_plugins.samples import as_scale, ordinary
from loss_plugins.tensors import Target, class_axis, without_class_axis

ENTRIES = [entry for entry in shipped() if entry.name != "mix"]
ROWS, CLASSES = 4, 3
#: the maps are as many as classes, so that a weight per image might be one per class
SHAPES = [(ROWS, CLASSES), (CLASSES, CLASSES, 2, 2), (ROWS, 1), (0, CLASSES)]
Outcome = tuple[Tensor, Tensor, dict[str, Any]] | str


def parameters(entry: Entry) -> Iterator[tuple[bool, dict[str, Any]]]:
    """The example's in every dialect, which are called in many ways; in few each choice, and numbers per class."""
    dialects = [{}, *({"dialect": name} for name in choices(entry, "dialect"))]
    values = [{name: value} for name in entry.parameters for value in choices(entry, name) if name != "dialect"]
    numbers = [name for name, parameter in entry.parameters.items() if isinstance(parameter.allowed, PerClass)]
    classes = [
        {name: [0.25, 0.75, 0.5, 1.0, 0.125][: POINTS if entry.kind == "keypoint" else CLASSES], **dialect}
        for name in numbers
        for dialect in dialects
    ]
    for many, given in [*((True, each) for each in dialects), *((False, each) for each in values + classes)]:
        yield many, {**entry.example, **given}


def choices(entry: Entry, name: str) -> list[Any]:
    """The values of a parameter that has a list of them, without its default."""
    parameter = entry.parameters.get(name)
    if parameter is None or not isinstance(parameter.allowed, Choice):
        return []
    return [value for value in parameter.allowed.values if value not in (None, parameter.default)]


def samples(entry: Entry) -> Iterator[tuple[Tensor, Target]]:
    """Rows and maps in every form of the target, as many as classes, of one class, none; labels with some to ignore."""
    if entry.kind not in ("classification", "region"):
        for form, rows in itertools.product(
            entry.targets or ("dense",), ({**COLUMNS, "distribution": BINS}.get(entry.kind, ROWS), 0)
        ):
            yield ordinary(entry.kind, form)(rows, seed=1, dtype=torch.float64)
        return
    for form, shape in itertools.product(entry.targets, SHAPES):
        generator = torch.Generator().manual_seed(len(form))
        pred = as_scale(torch.randn(shape, generator=generator, dtype=torch.float64), entry.traits.scale)
        labels = torch.randint(0, shape[1], without_class_axis(pred), generator=generator)
        ignored = labels.masked_fill(torch.rand(labels.shape, generator=generator) < 0.4, -100)
        quality = torch.rand(labels.shape, generator=generator, dtype=torch.float64)
        hard = (torch.rand(shape, generator=generator) > 0.6).double()
        if form in ("labels", "class_map"):
            yield pred, ignored
        elif form == "label_score":
            yield pred, (ignored, quality)
            yield pred, (hard, hard * quality.unsqueeze(class_axis(pred)))
        elif form == "label_score_rank":
            yield pred, (ignored, quality, labels)
        elif form == "target_iou":
            yield pred, (hard * quality.unsqueeze(class_axis(pred)), quality)
        elif form == "input_sign":
            yield pred, (pred.flip(0) + 0.1, 2 * hard - 1)
        elif form == "offset":
            pred = pred[..., : 3 if shape[-1] < 5 else 5]  # as many bins on either side of 0
            if shape[-1] >= 3:
                yield pred, 4 * torch.rand(pred.shape[:-1], generator=generator, dtype=torch.float64) - 2
        elif form == "score":
            yield pred, quality.mean(1) if quality.ndim > 1 else quality * (shape[1] - 1)
        else:
            yield pred, 2 * hard - 1 if entry.holds == "signs" else hard


def calls(pred: Tensor, many: bool) -> Iterator[dict[str, Any]]:
    """Weights of each form with zeros among them, or none, with `avg_factor` and without, for every reduction."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.arange(len(pred), dtype=torch.float64)
    columns = torch.arange(pred.shape[-1], dtype=torch.float64)
    each = torch.rand(pred.shape, generator=generator, dtype=torch.float64) * columns
    weights = [None, rows, rows.view(-1, *(1 for _ in pred.shape[1:])), each, columns]
    for weight, reduction in (
        itertools.product(weights, ("mean", "sum", "none")) if many else [(None, "mean"), (rows, "none")]
    ):
        yield {"weight": weight, "reduction_override": reduction}
    for weight, reduction in itertools.product(weights[:2] if many else [], ("mean", "none")):
        yield {"weight": weight, "reduction_override": reduction, "avg_factor": 2.5}


def outcome(loss: lp.Loss, pred: Tensor, target: Target, call: dict[str, Any]) -> Outcome:
    """Value, gradient and what has been learnt; or what is allowed instead, where the call is refused."""
    leaf = pred.clone().requires_grad_()
    try:
        value = loss.train()(leaf, target, **call)
    except (ValueError, TypeError) as refused:
        return str(refused).partition("; allowed:")[2]
    scaled = value * torch.arange(1.0, value.numel() + 1, dtype=value.dtype).view_as(value)
    (gradient,) = torch.autograd.grad(scaled.sum(), leaf)
    learnt = {name.removeprefix("members.0."): each.clone() for name, each in loss.state_dict().items()}
    return value.detach(), gradient, learnt


@pytest.fixture(autouse=True)
def _by_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    """To record a program takes longer than all calls here, and what is compared comes after it."""
    monkeypatch.setattr("loss_plugins.module.loss.fused_loss", lambda *given: None)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_mix_of_one_loss_is_that_loss(entry: Entry) -> None:
    """In every dialect, choice of a parameter, form of target, reduction, weight and avg_factor; refusals too."""
    compared = 0
    for many, given in parameters(entry):
        try:
            loss = lp.build_loss({"type": entry.name, **given})
        except ValueError:  # two of them exclude each other
            continue
        mix = lp.build_loss({"type": "mix", "losses": [{"type": entry.name, **given}]})
        for pred, target in samples(entry):
            for call in calls(pred, many and len(pred) > 0):
                found, wanted = outcome(mix, pred, target, call), outcome(loss, pred, target, call)
                assert same(found, wanted), f"{given} {tuple(pred.shape)} {call}: {found}, but {wanted}"
                compared += not isinstance(found, str)
    assert compared >= 20


def same(found: Outcome, wanted: Outcome) -> bool:
    """Equal to the last bit, or the same refusal."""
    if isinstance(found, str) or isinstance(wanted, str):
        return found == wanted
    pairs = [*zip(found[:2], wanted[:2], strict=True), *((found[2][key], each) for key, each in wanted[2].items())]
    return all(a.shape == b.shape and torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)) for a, b in pairs)


PAIRS = [
    (first, second)
    for first, second in itertools.combinations(ENTRIES, 2)
    if first.kind == second.kind and first.traits.scale == second.traits.scale and first.targets == second.targets
]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_mix_of_several_is_the_sum_of_each_reduced_by_its_own_rule(reduction: str) -> None:
    """Losses per score, row and image may meet; nested, and with a factor of its own."""
    for first, second in PAIRS:
        specs = [{"type": each.name, "loss_weight": w, **each.example} for each, w in ((first, 0.5), (second, 2.0))]
        losses = [*(lp.build_loss(spec, reduction=reduction) for spec in specs)]
        mix = lp.build_loss("mix", losses=[specs[0], {"type": "mix", "losses": specs[1:]}], loss_weight=3.0)
        for pred, target in itertools.islice(samples(first), 2):
            weight = torch.arange(len(pred), dtype=torch.float64)
            call: dict[str, Any] = {"weight": weight, "reduction_override": reduction}
            found, *each = (outcome(loss, pred, target, call) for loss in (mix, *losses))
            assert not isinstance(found, str), (first.name, second.name, found)
            for number in (0, 1):  # value and gradient
                expected = 3 * (each[0][number] + each[1][number])  # type: ignore[operator]
                torch.testing.assert_close(found[number], expected, msg=f"{first.name} + {second.name}")


@pytest.mark.parametrize(
    ("losses", "shape", "message"),
    [
        (["focal", {"type": "quality_focal", "dialect": "mmdet"}], (4, 4), r"focal \(4, 4\), quality_focal \(4,\)"),
        (["cross_entropy", "asymmetric_softmax"], (4, 4, 2), ""),
        (
            ["dice", {"type": "dice", "dialect": "monai", "activation": "sigmoid"}],
            (3, 4, 2, 2),
            r"dice \(3,\), dice \(3, 4, 1, 1\)",
        ),
    ],
)
def test_none_adds_what_each_loss_gives_where_their_shapes_agree(losses: Any, shape: Any, message: str) -> None:
    """In the shape that each has by itself; where they differ, torch would spread one along the other's axes."""
    mix, alone = lp.build_loss("mix", losses=losses), [lp.build_loss(loss) for loss in losses]
    pred, target = torch.randn(shape, generator=torch.Generator().manual_seed(0)), torch.ones(shape)
    target = target if message else target[:, 0].long()
    torch.testing.assert_close(mix(pred, target), sum(loss(pred, target) for loss in alone))
    none = {"reduction_override": "none"}
    if not message:
        torch.testing.assert_close(mix(pred, target, **none), sum(loss(pred, target, **none) for loss in alone))
        return
    with pytest.raises(ValueError, match=rf"mix: losses: .*differ in shape: {message}; allowed: .*; reduce to 'mean'"):
        mix(pred, target, **none)
