"""Wrong tensors for every shipped loss: the message names loss, argument, what came, what is allowed, the remedy."""

from __future__ import annotations

import functools
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.declare import COLUMNS
from loss_plugins.catalog.dialects import dialects_of
from loss_plugins.catalog.entries import Entry, get_entry, shipped
from loss_plugins.module.build import module_class
from loss_plugins.module.state import statistics_of
from loss_plugins.tensors import Target, on_target

from .wrong_values import STYLE, example_of, function_of, refused, samples

by_name = pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)
WEIGHT, FACTOR = "weight", "avg_factor"


def built(entry: Entry, reduction: str = "mean") -> Any:
    return module_class(entry.name)(reduction, **example_of(entry))


def wrong_tensors(tensor: Tensor) -> list[tuple[Any, str]]:
    """What no loss takes in place of the tensor, and what the message has to show."""
    return [
        (None, "None"),
        (1.5, "float"),
        ("boxes", "str"),
        (tensor.tolist(), "list"),
        (np.asarray(tensor), "ndarray"),
        (tensor.to(torch.complex64), "complex64"),
        (tensor.float().to_sparse(), "sparse"),
        (tensor.float().to(torch.float8_e4m3fn), "float8"),
        (torch.nested.nested_tensor([tensor.float(), tensor.float()]), "nested"),
        (torch.zeros(()), "()"),
    ]


@by_name
def test_wrong_predictions_and_targets_are_refused_by_function_and_module(entry: Entry) -> None:
    function, module, given = function_of(entry), built(entry), example_of(entry)
    for pred, target in samples(entry):
        more = [(pred.int(), "int32"), (pred.bool(), "bool"), ((pred, pred), "tuple")]
        for wrong, shows in (*wrong_tensors(pred), *more):
            refused(lambda: function(wrong, target, **given), entry.name, "pred", shows)  # noqa: B023
            refused(lambda: module(wrong, target), entry.name, "pred", shows)  # noqa: B023
        first = target[0] if isinstance(target, tuple) else target
        tuples = [((first, first, first), str(tuple(first.shape))), ((first,), str(tuple(first.shape))), ((), "()")]
        for wrong, shows in (*wrong_tensors(first), *(tuples if entry.kind not in COLUMNS else [((), "tuple")])):
            refused(lambda: function(pred, wrong, **given), entry.name, "target", shows)  # noqa: B023
            refused(lambda: module(pred, wrong), entry.name, "target", shows)  # noqa: B023
        for moved in (on_target(lambda part: part.to("meta"), target), on_target(lambda part: part[:-1], target)):
            parts = refused(lambda: module(pred, moved), entry.name, "target", "")  # noqa: B023
            assert "meta" in parts["came"] or "differ" in parts["came"] or "does not go with" in parts["came"]
        if isinstance(target, tuple):
            refused(lambda: module(pred, list(target)), entry.name, "target", "list")  # noqa: B023
    with pytest.raises(TypeError, match=f"{entry.name}: sample_weight=.*; allowed: pred, target, weight"):
        module(pred, target, sample_weight=pred)
    refused(lambda: module(pred, target, None, None, None, 3), entry.name, "sixth argument", "3")
    refused(lambda: module(pred), entry.name, "target", "None")
    for wrong in ("avg", 1, ["sum"], True):
        refused(lambda: module(pred, target, reduction_override=wrong), entry.name, "reduction_override", "")  # noqa: B023


def wrong_weights(pred: Tensor, loss: Tensor) -> list[tuple[Any, str]]:
    """What no loss takes as weights, and what its message has to show."""
    rows = len(pred)
    ones = torch.ones(rows)
    return [
        (1.0, "float"),
        ([1.0] * rows, "list"),
        ("rows", "str"),
        (np.ones(rows), "ndarray"),
        (torch.tensor(2.0), "()"),
        (torch.ones(1), "(1,)"),
        (torch.ones(rows + 1), f"({rows + 1},)"),
        (torch.ones(rows, 1, 7), f"({rows}, 1, 7)"),
        (torch.ones(rows, 7), f"({rows}, 7)"),
        (torch.ones(rows, 0), f"({rows}, 0)"),
        (torch.quantize_per_tensor(ones, 0.1, 0, torch.quint8), "quint8"),
        (ones.to(torch.float8_e4m3fn), "float8"),
        (ones.index_fill(0, torch.tensor([2]), float("inf")), "inf"),
        (ones.to(torch.complex64), "complex64"),
        (ones.to_sparse(), "sparse"),
        (ones.to("meta"), "meta"),
        (-ones, "-1"),
        (ones.index_fill(0, torch.tensor([2]), float("nan")), "nan"),
    ]


@by_name
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_wrong_weights_are_refused_and_teach_no_running_statistic(entry: Entry, reduction: str) -> None:
    module = built(entry, reduction).train()
    named = {
        entry.name,
        *(member.entry.name for member in getattr(module, "members", ())),
    }  # a mix, or one of its losses
    for pred, target in samples(entry):
        loss = module.eval()(pred, target, reduction_override="none")
        before = [statistic.value.clone() for statistic in statistics_of([module])]
        module.train()
        for weight, shows in wrong_weights(pred, loss):
            if isinstance(weight, Tensor) and weight.shape == loss.shape:
                continue  # right for a loss of one region, say
            said = refused(lambda: module(pred.requires_grad_(), target, weight), "", WEIGHT, shows)  # noqa: B023
            assert said["where"] in named
        after = [statistic.value for statistic in statistics_of([module])]
        assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@by_name
def test_wrong_avg_factors_are_refused_and_single_numbers_taken(entry: Entry) -> None:
    module = built(entry)
    pred, target = next(samples(entry))
    wrong: list[tuple[Any, str]] = [
        ("4", "'4'"), ([4.0], "[4.0]"), (True, "True"), (4j, "4j"), (object(), "object"), (-1.0, "-1.0"), (-2, "-2"),
        (float("nan"), "nan"), (float("inf"), "inf"),
        (torch.tensor([2.0, 3.0]), "(2,)"), (torch.zeros(0), "(0,)"), (torch.tensor(-3.0), "-3.0"),
        (torch.tensor([float("nan")]), "nan"), (torch.tensor(1j), "complex64"), (torch.ones(1, device="meta"), "meta"),
        (np.array([2.0, 3.0]), "["), (10**400, "1000"), (10**5000, "int"), (Fraction(10**400, 3), "Fraction"),
        (1e300, "1e+300"), (torch.tensor(1e300, dtype=torch.float64), "1e+300"), (Decimal(4), "Decimal"),
        (torch.ones(1).to_sparse(), "tensor"), (torch.tensor(True), "bool"), (torch.ones(1, dtype=torch.bool), "bool"),
        (torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.quint8), "quint8"),
    ]  # fmt: skip
    for factor, shows in wrong:
        refused(lambda: module(pred, target, avg_factor=factor), entry.name, FACTOR, shows)  # noqa: B023
        call = functools.partial(module, pred, target, avg_factor=factor, reduction_override="none")
        refused(call, entry.name, FACTOR, shows)
    refused(lambda: module(pred, target, avg_factor=4, reduction_override="sum"), entry.name, FACTOR, "4")
    module.eval()  # from here on nothing is learnt
    expected = module(pred, target, avg_factor=4.0)
    assert expected.shape == ()
    plain = (4, np.float64(4), np.int32(4), np.longdouble(4), Fraction(8, 2))
    tensors = (torch.tensor(4), torch.tensor([4.0]), torch.tensor([[4.0]]), torch.tensor(4.0, dtype=torch.float64))
    for factor in (*plain, *tensors):
        torch.testing.assert_close(module(pred, target, avg_factor=factor), expected)
    if entry.kind in COLUMNS:  # a batch without boxes: 0 over 0 is 0
        assert module(pred, target, weight=torch.zeros(len(pred)), avg_factor=0).item() == 0.0


def with_strange_values(tensor: Tensor) -> list[Tensor]:
    """Copies in which one number, or all, are such as no score or box should be."""
    if not tensor.is_floating_point():
        return []
    strange = (float("nan"), float("inf"), -1.0, 2.0, -1e30)
    one = [tensor.index_fill(0, torch.tensor([1]), number) for number in strange]
    return [*one, *(torch.full_like(tensor, number) for number in strange[:1])]


@by_name
def test_no_value_of_a_tensor_reaches_an_error_of_torch(entry: Entry) -> None:
    """In our form and in each dialect: such values are computed with, or refused in our style."""
    for dialect in (None, *dialects_of(entry.name)):
        module = module_class(entry.name)(**example_of(entry), **({"dialect": dialect} if dialect else {}))
        for pred, target in samples(entry):
            parts = target if isinstance(target, tuple) else (target,)
            targets = [
                (*parts[:place], each, *parts[place + 1 :]) if isinstance(target, tuple) else each
                for place, part in enumerate(parts)
                for each in with_strange_values(part)
            ]
            for given in (*((each, target) for each in with_strange_values(pred)), *((pred, each) for each in targets)):
                said = ""
                try:
                    module(given[0].clone().requires_grad_(), given[1]).backward()
                except Exception as error:
                    said = str(error)
                assert not said or STYLE.fullmatch(said), f"{dialect}: {said}"


def test_bce_of_torch_tells_what_to_do_with_logits() -> None:
    module, scores = lp.BCELoss(dialect="torch"), torch.tensor([[0.5, 0.25]])
    for wrong, shows in ((torch.tensor([[-3.0, 0.5]]), "-3"), (torch.tensor([[0.5, 1.5]]), "1.5")):
        assert "bce_with_logits" in refused(lambda: module(wrong, scores), "bce", "pred", shows)["remedy"]  # noqa: B023
        refused(lambda: module(scores, wrong), "bce", "target", shows)  # noqa: B023
    empty = torch.zeros(0, 3, requires_grad=True)
    assert module(empty, torch.zeros(0, 3)).item() == 0.0
    torch.testing.assert_close(module(scores, scores), torch.nn.functional.binary_cross_entropy(scores, scores))
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(scores, scores), module(scores, scores))


@by_name
def test_weights_of_any_real_type_are_taken(entry: Entry) -> None:
    module = built(entry, "none").eval()
    pred, target = next(samples(entry))
    loss = module(pred, target)
    if not loss.ndim or len(loss) != len(pred):
        return
    weight = torch.arange(len(pred)) % 2
    expected = module(pred, target, weight.float())
    for given in (weight, weight.bool(), weight.half(), weight.double()):
        found = module(pred, target, given)
        torch.testing.assert_close(found, expected.to(found.dtype))


@by_name
def test_labels_of_any_integer_type_are_taken(entry: Entry) -> None:
    function, module, given = function_of(entry), built(entry, "sum").eval(), example_of(entry)
    for pred, target in samples(entry):
        for kind in (torch.int32, torch.int16, torch.uint8):
            other = on_target(lambda part: part if part.is_floating_point() else part.to(kind), target)  # noqa: B023
            assert torch.equal(function(pred, other, **given), function(pred, target, **given))
            leaf, twin = pred.clone().requires_grad_(), pred.clone().requires_grad_()
            module(leaf, other).backward()
            module(twin, target).backward()
            assert torch.equal(leaf.grad, twin.grad)


@pytest.mark.parametrize("name", ["ciou", "l1", "focal", "cross_entropy", "dice", "wiou"])
def test_values_are_not_read_where_that_would_break_a_graph(name: str) -> None:
    """Under compile and vmap no value is looked at, so that weights of either sign pass."""
    module = built(get_entry(name)).eval()
    pred, target = next(samples(module.entry))
    weight = -torch.ones(len(pred))

    def call(pred: Tensor, target: Target, weight: Tensor) -> Tensor:
        return module(pred, target, weight, avg_factor=2.0)  # type: ignore[no-any-return]

    expected = -call(pred, target, -weight)
    compiled = torch.compile(call, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(pred, target, weight), expected)
    batch = [part[None].expand(2, *part.shape) for part in (pred, target, weight)]  # type: ignore[union-attr]
    torch.testing.assert_close(torch.func.vmap(call)(*batch), expected.expand(2))
    exported = torch.export.export(module, (pred, target, weight)).module()
    torch.testing.assert_close(exported(pred, target, weight), -module(pred, target, -weight))


def test_a_running_statistic_of_another_form_is_refused() -> None:
    pred, target = next(samples(get_entry("wiou")))
    for wrong in ("x", [1.0], None, torch.ones(3), 1j):
        refused(lambda: lp.wiou_loss(pred, target, version=2, mean=wrong), "wiou", "mean", "")  # noqa: B023
    logits, soft = next(samples(get_entry("ghm_c")))
    for wrong in ("x", [1.0], torch.ones(3), 2.0):
        refused(lambda: lp.ghm_c_loss(logits, soft, counts=wrong), "ghm_c", "counts", "")  # noqa: B023
    for wrong in ("x", 1.0, torch.ones(3), -torch.ones(len(logits))):
        refused(lambda: lp.ghm_c_loss(logits, soft, weight=wrong), "ghm_c", WEIGHT, "")  # noqa: B023
