"""The audit's promises on boxes that hypothesis makes up, for every loss on boxes."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from loss_plugins.audit import Subject, catalogued
from loss_plugins.catalog.entries import shipped
from loss_plugins.corners import rotated

NAMES = [entry.name for entry in shipped() if entry.kind in ("box", "coordinate", "rotated_box")]
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
every_loss = pytest.mark.parametrize("name", NAMES)
quick = settings(max_examples=20, deadline=None, derandomize=True)

#: numbers at which formulas break: zero, ties, tiny, huge
AWKWARD = [0.0, 1.0, 7.0, 7.000001, -3.5, 1e-7, 1e-3, 0.3, 255.0, 256.0, 640.0, 1e4]
coordinate = st.sampled_from(AWKWARD) | st.floats(-1e4, 1e4, allow_nan=False, width=32)
any_box = st.lists(coordinate, min_size=4, max_size=4)
#: boxes then lie inside an image of 640 px, as mpdiou demands
corner = st.floats(0, 320, allow_nan=False, width=32)
side = st.just(0.0) | st.floats(1, 320, allow_nan=False, width=32)
valid_side = st.floats(4, 320, allow_nan=False, width=32)


@st.composite
def sized_box(draw: st.DrawFn, sides: st.SearchStrategy[float]) -> list[float]:
    x, y = draw(corner), draw(corner)
    return [x, y, x + draw(sides), y + draw(sides)]


def pairs(box: st.SearchStrategy[list[float]]) -> st.SearchStrategy[tuple[list[list[float]], list[list[float]]]]:
    """Six pairs at once: each example is a batch."""
    batch = st.lists(box, min_size=6, max_size=6)
    return st.tuples(batch, batch)


@functools.cache
def subject(name: str) -> Subject:
    return catalogued(name)


def tensors(name: str, drawn: tuple[list[list[float]], list[list[float]]], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    pred, target = (torch.tensor(boxes, dtype=torch.float64) for boxes in drawn)
    if subject(name).kind == "rotated_box":
        angle = torch.linspace(-1.5, 1.5, len(pred), dtype=torch.float64)[:, None]
        pred, target = rotated(pred, angle), rotated(target, angle.flip(0))
    return pred.to(dtype), target.to(dtype)


@every_loss
@quick
@given(drawn=pairs(any_box))
def test_finite_boxes_give_finite_numbers_in_every_precision(
    name: str, drawn: tuple[list[list[float]], list[list[float]]]
) -> None:
    for dtype in DTYPES:
        pred, target = tensors(name, drawn, dtype)
        loss, gradient = subject(name).gradient(pred, target)
        assert loss.isfinite().all(), dtype
        _, wide = subject(name).gradient(pred.double(), target.double())
        told = wide.abs() < torch.finfo(dtype).max  # half precision has no larger gradients
        assert gradient[told].isfinite().all(), dtype


@every_loss
@quick
@given(drawn=pairs(sized_box(side)))
def test_ordinary_boxes_have_bounded_gradients(name: str, drawn: tuple[list[list[float]], list[list[float]]]) -> None:
    _, gradient = subject(name).gradient(*tensors(name, drawn, torch.float32))
    assert gradient.abs().max() <= 1e4


@every_loss
@quick
@given(drawn=pairs(sized_box(valid_side)))
def test_valid_boxes_stay_in_range(name: str, drawn: tuple[list[list[float]], list[list[float]]]) -> None:
    traits = subject(name).traits
    assert traits is not None
    loss = subject(name).value(*tensors(name, drawn, torch.float64))
    low, high = traits.range
    assert loss.min() >= low - 1e-4  # eps beside a small union
    assert loss.max() <= high + 1e-4


@every_loss
@quick
@given(drawn=pairs(sized_box(valid_side)))
def test_symmetry_and_shift_as_promised(name: str, drawn: tuple[list[list[float]], list[list[float]]]) -> None:
    audited = subject(name)
    assert audited.traits is not None
    pred, target = tensors(name, drawn, torch.float64)
    rows = audited.rows(pred, target)
    slack = 1e-6 * rows.abs().clamp(min=1)
    if audited.traits.symmetric:
        assert ((audited.rows(target, pred) - rows).abs() <= slack).all()
    if audited.traits.translation_invariant:
        offset = torch.zeros(pred.shape[1], dtype=torch.float64)
        offset[: 2 if audited.kind == "rotated_box" else 4] = 64.0
        assert ((audited.rows(pred + offset, target + offset) - rows).abs() <= slack).all()


@every_loss
@quick
@given(drawn=pairs(sized_box(valid_side)), factor=st.sampled_from([0.25, 3.0, 16.0]))
def test_scale_as_promised(name: str, drawn: tuple[list[list[float]], list[list[float]]], factor: float) -> None:
    audited = subject(name)
    assert audited.traits is not None
    if not audited.traits.scale_invariant:
        return
    pred, target = tensors(name, drawn, torch.float64)
    scale = torch.ones(pred.shape[1], dtype=torch.float64)
    scale[:4] = factor
    rows = audited.rows(pred, target)
    assert math.isclose(0, float((audited.rows(scale * pred, scale * target) - rows).abs().max()), abs_tol=2e-3)
