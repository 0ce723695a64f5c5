"""Numbers per class, smoothed labels and what is left out, for every class and region loss that the catalogue has."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import loss_plugins as lp
from loss_plugins.catalog.declare import LABELS
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.catalog.offered import LABEL_SMOOTHING, OF_CLASSES
from loss_plugins.catalog.ranges import PerClass
from loss_plugins.samples import as_scale
from loss_plugins.tensors import BETWEEN_BINS, Target, on_target

N, C = 7, 4
#: maps have as many columns as classes: what is put on the wrong axis fits all the same
SHAPES = {"rows": (N, C), "maps": (2, C, 3, C)}
NUMBERS = [0.3, 0.25, 1.0, 0.75]
CLASS_LOSSES = [entry for entry in shipped() if entry.kind == "classification"]
WITH_CLASSES = [e for e in CLASS_LOSSES if e.traits.scale in OF_CLASSES and BETWEEN_BINS.isdisjoint(e.targets)]
PER_CLASS = [
    pytest.param(entry, key, id=f"{entry.name}-{key}")
    for entry in CLASS_LOSSES
    for key, parameter in entry.parameters.items()
    if isinstance(parameter.allowed, PerClass)
]
SMOOTHED = [e for e in CLASS_LOSSES if e.parameters.get("label_smoothing") is LABEL_SMOOTHING]
UNLABELLED = [e for e in CLASS_LOSSES if not LABELS.intersection(e.targets)]


def names(entries: list[Entry]) -> list[str]:
    return [entry.name for entry in entries]


def draw(entry: Entry, shape: tuple[int, ...]) -> tuple[Tensor, Target]:
    """Scores of the loss's scale; labels of all classes if it takes them, else a target of its own form."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, C, (shape[0], *shape[2:]), generator=generator)
    shares = torch.rand(shape, generator=generator, dtype=torch.float64)
    pred = as_scale(logits, entry.traits.scale)
    if LABELS.intersection(entry.targets):
        return pred, labels
    if BETWEEN_BINS.intersection(entry.targets):
        bins = torch.randn(*labels.shape, 5, generator=generator, dtype=torch.float64)
        return bins, 2 * shares.amax(1)
    signs = 2.0 * (shares < 0.5) - 1
    if "input_sign" in entry.targets:
        return pred, (torch.flip(logits, (0,)), signs)
    return pred, signs if entry.holds == "signs" else shares


def call(entry: Entry, given: tuple[Tensor, Target], **parameters: Any) -> Tensor:
    return lp.build_loss(entry.name, **{"reduction": "none", **entry.example, **parameters}).eval()(*given)


def weights_by_hand(given: tuple[Tensor, Target], numbers: list[float]) -> Tensor:
    pred, labels = given
    assert isinstance(labels, Tensor)
    return pred.new_tensor(numbers)[labels]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("entry", "key"), PER_CLASS)
def test_numbers_per_class_are_a_loop_over_the_classes(entry: Entry, key: str, shape: tuple[int, ...]) -> None:
    given = draw(entry, shape)
    found = call(entry, given, **{key: NUMBERS})
    if found.shape == given[0].shape:
        by_hand = torch.stack([call(entry, given, **{key: each})[:, c] for c, each in enumerate(NUMBERS)], 1)
    else:  # one loss per row: the number of its label
        by_hand = call(entry, given, **{key: None}) * weights_by_hand(given, NUMBERS)
    torch.testing.assert_close(found, by_hand)
    function = getattr(lp, f"{entry.name}_loss")
    for numbers in (NUMBERS, tuple(NUMBERS), torch.tensor(NUMBERS), torch.tensor(NUMBERS, dtype=torch.float64)):
        torch.testing.assert_close(function(*given, **{**entry.example, key: numbers}), found)


@pytest.mark.parametrize(("entry", "key"), PER_CLASS)
def test_one_number_may_be_a_tensor(entry: Entry, key: str) -> None:
    given = draw(entry, SHAPES[next(iter(SHAPES))])
    function = getattr(lp, f"{entry.name}_loss")
    found = function(*given, **{**entry.example, key: torch.tensor(0.25)})
    torch.testing.assert_close(found, function(*given, **{**entry.example, key: 0.25}))


@pytest.mark.parametrize("entry", WITH_CLASSES, ids=names(WITH_CLASSES))
def test_every_loss_of_classes_has_weights_of_them(entry: Entry) -> None:
    """The mean of one loss per row divides by the weights that it met, as that of torch's cross-entropy."""
    given = draw(entry, SHAPES["maps"])
    losses = call(entry, given, class_weight=NUMBERS)
    mean = call(entry, given, class_weight=NUMBERS, reduction="mean")
    if losses.shape == given[0].shape:
        plain = call(entry, given)
        torch.testing.assert_close(losses, plain * torch.tensor(NUMBERS, dtype=plain.dtype).view(C, 1, 1))
        divisor = plain.sum() / call(entry, given, reduction="mean")
    else:
        divisor = weights_by_hand(given, NUMBERS).sum()
    torch.testing.assert_close(mean, losses.sum() / divisor)


@pytest.mark.parametrize(("entry", "key"), PER_CLASS)
def test_maps_are_rows_that_were_moved(entry: Entry, key: str) -> None:
    pred, target = draw(entry, SHAPES["maps"])

    def as_rows(part: Tensor) -> Tensor:
        return part.movedim(1, -1).reshape(-1, C) if part.ndim == pred.ndim else part.reshape(-1)

    found = call(entry, (pred, target), **{key: NUMBERS})
    torch.testing.assert_close(
        as_rows(found), call(entry, (as_rows(pred), on_target(as_rows, target)), **{key: NUMBERS})
    )


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("entry", "key"), PER_CLASS)
def test_another_count_is_refused_with_loss_key_and_lengths(entry: Entry, key: str, shape: tuple[int, ...]) -> None:
    given = draw(entry, shape)
    wanted = rf"^{entry.name}: {key} has 3 numbers, and pred .* has C = {C} classes; .* axis 1"
    function = getattr(lp, f"{entry.name}_loss")
    for numbers in ([1.0, 0.5, 0.5], torch.tensor([1.0, 0.5, 0.5])):
        with pytest.raises(ValueError, match=wanted):
            call(entry, given, **{key: numbers})
        with pytest.raises(ValueError, match=wanted):
            function(*given, **{**entry.example, key: numbers})


WRONG = {
    "number 1 of 4 is nan": [0.5, torch.nan, 1.0, 1.0],
    "number 2 of 4 is -0.5": [0.5, 0.5, -0.5, 1.0],
    "number 0 of 1 is": [[0.5, 0.5, 0.5, 0.5]],
}


@pytest.mark.parametrize("said", WRONG)
@pytest.mark.parametrize(("entry", "key"), PER_CLASS)
def test_what_is_no_number_per_class_is_refused(entry: Entry, key: str, said: str) -> None:
    given, function = draw(entry, SHAPES["rows"]), getattr(lp, f"{entry.name}_loss")
    for numbers in (WRONG[said], torch.tensor(WRONG[said])):
        with pytest.raises(ValueError, match=f"^{entry.name}: {key}=.*{said}"):
            call(entry, given, **{key: numbers})
        told = said if isinstance(numbers, list) or numbers.ndim == 1 else r"tensor of shape \(C,\)"
        with pytest.raises(ValueError, match=f"^{entry.name}: {key}=.*{told}"):
            function(*given, **{**entry.example, key: numbers})


@pytest.mark.parametrize(("entry", "key"), PER_CLASS)
def test_the_numbers_move_with_the_module(entry: Entry, key: str) -> None:
    given = draw(entry, SHAPES["rows"])
    module = lp.build_loss(entry.name, reduction="none", **{**entry.example, key: NUMBERS}).eval()
    wanted = module(*given)
    for moved in (copy.deepcopy(module).half(), copy.deepcopy(module).double(), copy.deepcopy(module).float()):
        torch.testing.assert_close(moved(*given), wanted, rtol=0, atol=0)  # exact: the numbers are not rounded
    away = module.to("meta")
    assert {buffer.device.type for buffer in away.buffers()} == {"meta"}
    elsewhere = on_target(lambda part: part.to("meta"), given[1])
    assert away(given[0].to("meta"), elsewhere).device.type == "meta"
    assert away.spec()[key] == NUMBERS


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("entry", SMOOTHED, ids=names(SMOOTHED))
def test_smoothed_labels_are_shares_of_yes_and_no(entry: Entry, shape: tuple[int, ...]) -> None:
    pred, labels = draw(entry, shape)
    assert isinstance(labels, Tensor)
    labels.view(-1)[0] = C  # background
    hard = torch.nn.functional.one_hot(labels, C + 1)[..., :C].movedim(-1, 1).double()
    by_hand = call(entry, (pred, 0.8 * hard + 0.1))
    function = getattr(lp, f"{entry.name}_loss")
    for target in (labels, hard, hard.bool(), hard.long()):
        torch.testing.assert_close(call(entry, (pred, target), label_smoothing=0.2), by_hand)
        torch.testing.assert_close(function(pred, target, **entry.example, label_smoothing=0.2), by_hand)


@pytest.mark.parametrize("key", ["class_weight", "label_smoothing"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("entry", CLASS_LOSSES, ids=names(CLASS_LOSSES))
def test_ignored_rows_might_as_well_not_be_there(entry: Entry, shape: tuple[int, ...], key: str) -> None:
    """The oracle is the same loss on the rows that are left, or the entries of a dense target."""
    parameters = {"class_weight": NUMBERS} if key == "class_weight" else {key: 0.2}
    parameters = {name: value for name, value in parameters.items() if name in entry.parameters}
    pred, target = draw(entry, shape)
    mark = target[-1] if isinstance(target, tuple) else target
    lost = torch.zeros(mark.shape, dtype=torch.bool)
    lost.view(-1)[1::3] = True
    marked = mark.masked_fill(lost, 255)
    leaf = pred.clone().requires_grad_()
    module = lp.build_loss(entry.name, ignore_index=[255, 77], **entry.example, **parameters)
    found = module(leaf, (target[0], marked) if isinstance(target, tuple) else marked)
    (gradient,) = torch.autograd.grad(found, leaf)
    losses = call(
        entry, (pred, (target[0], marked) if isinstance(target, tuple) else marked), ignore_index=255, **parameters
    )
    per_row = losses.shape == lost.shape
    gone = lost if per_row else lost.unsqueeze(1).expand_as(losses) if lost.ndim < losses.ndim else lost
    assert torch.equal(losses[gone], torch.zeros_like(losses[gone]))
    if lost.ndim < pred.ndim:
        axis = -1 if BETWEEN_BINS.intersection(entry.targets) else 1
        lost = lost.unsqueeze(axis).expand_as(pred)
    assert torch.equal(gradient[lost], torch.zeros_like(gradient[lost]))
    if entry in UNLABELLED:
        total = call(entry, (pred, target), **parameters)[~gone].sum()
        count = module.entry.denominator is None and int((~gone).sum())
        torch.testing.assert_close(found.detach(), total / (count or rows_left(gone)))
    else:
        keep = ~lost.movedim(1, -1).reshape(-1, C)[:, 0]
        rows = pred.movedim(1, -1).reshape(-1, C)[keep]
        theirs = lp.build_loss(entry.name, **entry.example, **parameters)(rows, mark.reshape(-1)[keep])
        torch.testing.assert_close(found.detach(), theirs)


@pytest.mark.parametrize("entry", CLASS_LOSSES, ids=names(CLASS_LOSSES))
def test_a_prediction_that_is_ignored_may_be_nan(entry: Entry) -> None:
    pred, target = draw(entry, SHAPES["rows"])
    marked = on_target(torch.clone, target)
    mark = marked[-1] if isinstance(marked, tuple) else marked
    mark[2] = 255
    leaf = pred.clone()
    leaf[2] = torch.nan
    leaf.requires_grad_()
    loss = lp.build_loss(entry.name, ignore_index=255, **entry.example)(leaf, marked)
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert (gradient[2] == 0).all()


def rows_left(gone: Tensor) -> int:
    return int((~gone.all(1)).sum())


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [[1.0, 1e30], torch.tensor([1.0, 1e30])], ids=["list", "tensor"])
def test_a_number_that_float32_cannot_multiply_is_told_the_largest(value: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^focal: class_weight=.*number 1 of 2 is 1(\.0\d+)?e\+30; pass at most 1e\+12"
    ):
        lp.FocalLoss(class_weight=value)
    for wrong in ([1.0, 1e30], 1e30):
        with pytest.raises(ValueError, match=r"alpha=.*\[0, 1\], or one per class; (?!.*at most)"):
            lp.FocalLoss(alpha=wrong)


@pytest.mark.parametrize("number", [1e12, 1.2e-38])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_largest_and_the_smallest_weights_leave_all_finite(number: float, reduction: Any) -> None:
    pred = (50 * torch.randn(64, 3, generator=torch.Generator().manual_seed(0))).requires_grad_()
    labels = torch.arange(64) % 3
    for loss in (lp.FocalLoss, lp.CrossEntropyLoss, lp.BCEWithLogitsLoss):
        factor = {"pos_weight": [number] * 3} if loss is not lp.CrossEntropyLoss else {}
        value = loss(reduction=reduction, class_weight=[number] * 3, **factor)(pred, labels)
        assert value.isfinite()
        assert torch.autograd.grad(value, pred)[0].isfinite().all()


def test_weight_is_told_what_it_may_be() -> None:
    for name, given in (("focal", [1.0, 2.0]), ("bce_with_logits", torch.ones(2)), ("cross_entropy", [1.0])):
        with pytest.raises(TypeError, match=rf"^{name}: unknown parameter 'weight'.*did you mean 'class_weight', num"):
            lp.build_loss(name, weight=given)
    with pytest.raises(TypeError, match=r"^ciou: (?!.*class_weight).*passed at the call.*one factor is loss_weight"):
        lp.build_loss("ciou", weight=2.0)
    with pytest.raises(TypeError, match=r"build_loss\('focal'\)\(pred, target, weight\)"):
        lp.focal_loss(torch.zeros(2, 3), torch.zeros(2, 3), weight=torch.ones(2))


# --- what learns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["seesaw", "eqlv2", "efl"])
def test_what_the_page_says_of_checkpoints_and_transforms(name: str) -> None:
    """A pass that is computed again teaches again, but for EFL; transforms take what does not learn."""
    pred = torch.randn(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.arange(12) % 4
    once, inside, outside = (lp.build_loss(name, num_classes=3, reduction="sum") for _ in range(3))
    for module in (once, inside, outside):
        module.begin_step()
    once(pred, target).backward()
    checkpoint(lambda x: inside(x, target), pred, use_reentrant=False).backward()
    outside(checkpoint(torch.clone, pred, use_reentrant=False), target).backward()
    learnt, twice, alike = (next(iter(module.state_dict().values())) for module in (once, inside, outside))
    torch.testing.assert_close(alike, learnt)
    torch.testing.assert_close(twice, (1 if name == "efl" else 2) * learnt)
    with pytest.raises(RuntimeError):
        torch.func.grad(lambda x: once(x, target))(pred.detach())
    (wanted,) = torch.autograd.grad(once.eval()(pred, target), pred)
    torch.testing.assert_close(torch.func.grad(lambda x: once(x, target))(pred.detach()), wanted)
