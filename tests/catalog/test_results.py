"""What the functions of a loss of one's own return is looked at: type and shape, on every way to a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.declare import KINDS
from loss_plugins.errors import WrongResult
from loss_plugins.samples import trial_pairs

from ..house.wrong_values import refused

NAME = "result_own"
Function = Callable[..., Any]


@pytest.fixture(autouse=True)
def _free_name() -> Iterator[None]:
    yield
    if NAME in lp.list_losses():
        lp.unregister_loss(NAME)


def right(kind: str, pred: Tensor) -> tuple[int, ...]:
    """The shape that a loss of that kind has by its definition."""
    if kind in ("box", "rotated_box", "quad", "distribution"):
        return tuple(pred.shape[:-1])
    return tuple(pred.shape[:1]) if kind == "region" else tuple(pred.shape)


def cost(kind: str, pred: Tensor, target: Any) -> Tensor:
    inside = tuple(range(len(right(kind, pred)), pred.ndim))
    return (pred - target).pow(2).sum(inside) if inside else (pred - target).pow(2)


#: what a function may return in place of its loss, and how the error tells what came
WRONG: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "None": (lambda loss: None, "None"),
    "a list": (lambda loss: [0.0, 1.0], "[0.0, 1.0]"),
    "a number": (lambda loss: 3.0, "3.0"),
    "a dict": (lambda loss: {"loss": loss}, "{'loss'"),
    "a tuple": (lambda loss: (loss, loss), "(tensor"),
    "an array": (lambda loss: loss.detach().numpy(), "array("),
    "a generator": (lambda loss: (each for each in loss), "<generator"),
    "integers": (lambda loss: loss.long(), "dtype torch.int64"),
    "booleans": (lambda loss: loss > 0, "dtype torch.bool"),
    "complex": (lambda loss: loss + 0j, "dtype torch.complex64"),
    "twice as long": (lambda loss: torch.cat([loss, loss]), "shape (1"),
    "shorter": (lambda loss: loss[1:], "shape ("),
    "an axis more": (lambda loss: loss[..., None], ", 1)"),
    "an axis before": (lambda loss: loss[None], "shape (1, "),
}
#: and what is wrong only for some kinds
NO_MEAN = {"the mean": (lambda loss: loss.mean(), "shape ()"), "the sum": (lambda loss: loss.sum(), "shape ()")}
CALLS: dict[str, Callable[..., Any]] = {
    "function": lambda loss, pred, target, function: function(pred, target),
    "none": lambda loss, pred, target, function: loss(pred, target, reduction_override="none"),
    "mean": lambda loss, pred, target, function: loss(pred, target),
    "sum": lambda loss, pred, target, function: loss(pred, target, reduction_override="sum"),
    "weight": lambda loss, pred, target, function: loss(pred, target, torch.ones(len(pred))),
    "avg_factor": lambda loss, pred, target, function: loss(pred, target, avg_factor=2.0),
    "elementwise": lambda loss, pred, target, function: loss.elementwise(pred, target),
    "in a mix": lambda loss, pred, target, function: lp.build_loss("mix", losses=[NAME, NAME])(pred, target),
    "no gradient": lambda loss, pred, target, function: loss(pred.detach(), target),
}


@pytest.mark.filterwarnings("ignore:.*runs by ordinary autograd")
@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_loss_is_refused_on_every_way(kind: Any, pure: bool) -> None:
    pred, target = trial_pairs(kind, 8)
    wrong = {**WRONG, **({} if kind == "region" else NO_MEAN)}
    for what, (change, came) in wrong.items():
        function = lp.register_loss(NAME, kind=kind, pure=pure)(own := own_function(kind, change))
        loss = lp.build_loss(NAME)
        for way, call in CALLS.items():
            with pytest.raises(WrongResult) as caught:
                call(loss, pred.clone().requires_grad_(), target, function)
            assert "returned" in str(caught.value), (what, way)
            parts = refused(lambda: call(loss, pred.clone().requires_grad_(), target, function), NAME, "", came)  # noqa: B023
            assert str(right(kind, pred)) in parts["allowed"]
            assert "return a tensor, one number per" in parts["remedy"]
        assert own
        lp.unregister_loss(NAME)


def own_function(kind: str, change: Callable[[Tensor], Any]) -> Function:
    def own(pred: Tensor, target: Tensor) -> Any:
        return change(cost(kind, pred, target))

    return own


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_right_result_passes_for_any_number_of_rows(kind: Any, rows: int) -> None:
    lp.register_loss(NAME, kind=kind)(own_function(kind, lambda loss: loss))
    pred, target = (part[:rows] for part in trial_pairs(kind, 8))
    assert lp.build_loss(NAME)(pred, target).shape == ()
    assert tuple(lp.build_loss(NAME, reduction="none")(pred, target).shape) == right(kind, pred)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
def test_leading_axes_of_boxes_are_those_of_the_loss(shape: tuple[int, ...]) -> None:
    lp.register_loss(NAME)(lambda pred, target: (pred - target).abs().sum(-1))
    assert lp.build_loss(NAME, reduction="none")(torch.rand(shape), torch.rand(shape)).shape == shape[:-1]


@pytest.mark.parametrize("shape", [(5,), (6, 5), (2, 5, 3), (2, 5, 3, 4)])
def test_a_class_loss_is_per_score_or_per_row(shape: tuple[int, ...]) -> None:
    axis = min(1, len(shape) - 1)
    pred, target = torch.rand(shape), torch.rand(shape)
    for change in (lambda loss: loss, lambda loss: loss.sum(axis)):
        lp.register_loss(NAME, kind="classification")(own_function("classification", change))
        expected = change((pred - target).pow(2))
        torch.testing.assert_close(lp.build_loss(NAME, reduction="none")(pred, target), expected)
        lp.unregister_loss(NAME)
    if len(shape) > 2:
        lp.register_loss(NAME, kind="classification")(own_function("classification", lambda loss: loss.sum(-1)))
        refused(lambda: lp.build_loss(NAME)(pred, target), NAME, "", f"shape {shape[:-1]}")


@pytest.mark.parametrize(
    "change",
    [lambda x: x.flatten(1).sum(1), lambda x: x.flatten(2).sum(2), lambda x: x.sum(1), lambda x: x, lambda x: x.sum(),
     lambda x: x.flatten(2).sum((0, 2))],
)  # fmt: skip
def test_a_region_loss_is_per_image_channel_pixel_score_or_batch(change: Any) -> None:
    lp.register_loss(NAME, kind="region")(lambda pred, target: change((pred - target).abs()))
    assert lp.build_loss(NAME)(torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)).shape == ()


@pytest.mark.parametrize("kind", ["box", "classification", "region"])
def test_the_check_neither_breaks_a_graph_nor_ties_it_to_one_size(kind: Any) -> None:
    lp.register_loss(NAME, kind=kind)(own_function(kind, lambda loss: loss))
    loss = lp.build_loss(NAME)
    torch._dynamo.reset()
    compiled: Any = torch.compile(loss, fullgraph=True, dynamic=True, backend="eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for rows in (3, 5, 8):
            pair = trial_pairs(kind, rows)
            torch.testing.assert_close(compiled(*pair), loss(*pair))
    pairs = [torch.stack(parts) for parts in zip(*(trial_pairs(kind, 4) for _ in range(3)), strict=True)]
    torch.testing.assert_close(torch.func.vmap(loss)(*pairs), loss(*trial_pairs(kind, 4)).expand(3))
    assert loss(*(part.to("meta") for part in trial_pairs(kind, 4))).device.type == "meta"


# --- what belongs to a loss ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "came"),
    [(None, "None"), (2.0, "2.0"), ([2.0], "[2.0]"), (torch.ones(7), "(7,)"), (np.float64(2), "2.0")],
    ids=["None", "number", "list", "tensor", "numpy"],
)
def test_a_denominator_that_is_none_is_refused(made: Any, came: str) -> None:
    lp.register_loss(NAME, denominator=lambda pred, target: made)(lambda pred, target: (pred - target).abs().sum(-1))
    pair = torch.rand(3, 4), torch.rand(3, 4)
    parts = refused(lambda: lp.build_loss(NAME)(*pair), NAME, "denominator returned", came)
    assert "a tensor of shape ()" in parts["allowed"]
    assert lp.build_loss(NAME, reduction="sum")(*pair).shape == ()


@pytest.mark.parametrize("made", [torch.tensor(2.0), torch.tensor(2), torch.full((3,), 2.0)], ids=str)
def test_a_denominator_is_one_number_or_one_per_row(made: Tensor) -> None:
    lp.register_loss(NAME, denominator=lambda pred, target: made)(lambda pred, target: (pred - target).abs().sum(-1))
    assert lp.build_loss(NAME)(torch.zeros(3, 4), torch.ones(3, 4)).item() == 3 * 4 / 2


def state(**wrong: Any) -> lp.State:
    parts: dict[str, Any] = {
        "initial": lambda parameters: torch.ones(()),
        "empty": lambda parameters: torch.zeros(2),
        "summary": lambda pred, target, weight, **parameters: torch.ones(2),
        "update": lambda value, summary: value + summary.sum(),
    }
    return lp.State(**{**parts, **wrong})


def learning(kept: lp.State) -> Tensor:
    def own(pred: Tensor, target: Tensor, *, seen: Annotated[Tensor | None, kept] = None) -> Tensor:
        return (pred - target).abs().sum(-1)

    own.__annotations__["seen"] = Annotated[Tensor | None, kept]
    lp.register_loss(NAME)(own)
    loss = lp.build_loss(NAME)
    result = loss(torch.rand(3, 4).requires_grad_(), torch.rand(3, 4))
    assert loss.statistics["seen"].current.item() == 3
    return result


@pytest.mark.parametrize("made", [None, 2.0, [1.0], torch.ones(3), torch.ones(2) + 0j], ids=str)
@pytest.mark.parametrize("part", ["initial", "empty", "summary", "update"])
def test_what_a_running_statistic_is_made_of_is_tensors(part: str, made: Any) -> None:
    assert learning(state()).shape == ()
    lp.unregister_loss(NAME)
    if part in ("initial", "empty") and isinstance(made, Tensor) and not made.is_complex():
        return  # these say what the shape is
    refused(
        lambda: learning(state(**{part: lambda *given, **parameters: made})), NAME, f"{part} of 'seen' returned", ""
    )
