"""The unit of the boxes does not matter to a loss whose trait says so: value, and gradient times the unit."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import get_entry, shipped
from loss_plugins.samples import SAMPLES

Loss = Callable[[Tensor, Tensor], Tensor]
GEOMETRY = ("box", "coordinate", "rotated_box")
#: parameters that choose another formula, for every loss that has them
OTHER_FORMS: dict[str, list[dict[str, Any]]] = {
    "iou": [{"mode": "log"}, {"mode": "square"}],
    "siou": [{"theta": 2.0}],
    "shape_iou": [{"scale": 1.0}],
    "piou": [{"version": 2}],
    "uiou": [{"schedule": None, "ratio": 2.0}, {"gamma": 0.5}],
    "sdiou": [{"delta": 0.9, "area": 5000.0}],
    "wiou": [{"version": 3}],
    "kld": [{"symmetric": "max"}, {"sqrt": False}],
    "gwd": [{"fun": "sqrt", "tau": 0.0}],
    "prob_iou": [{"aspect": True}],
}
TRANSFORMS: list[dict[str, Any]] = [
    {"inner_ratio": 0.7},
    {"focaler": (0.0, 0.95)},
    {"power": 2.0},
    {"focal_gamma": 0.5},
    {"wise": 3},
    {"interp": 0.98},
    {"d_interp": (0.6, 0.99)},
]


def subjects() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for entry in shipped():
        forms = [{}, *OTHER_FORMS.get(entry.name, [])] if entry.kind in GEOMETRY else []
        if entry.kind == "box" and entry.name != "mix":
            forms += [extra for extra in TRANSFORMS if extra.keys() <= entry.parameters.keys()]
        found += [(entry.name, form) for form in forms if build(entry.name, **form).entry.traits.scale_invariant]
    return found


def build(name: str, **parameters: Any) -> lp.Loss:
    return lp.build_loss(name, **{"reduction": "none", **get_entry(name).example, **parameters}).eval()


def plain(name: str, **parameters: Any) -> Loss:
    """The function, by autograd: as the module, but for the program that it records."""
    return functools.partial(getattr(lp, f"{name}_loss"), **{**get_entry(name).example, **parameters})


def boxes(kind: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Jittered boxes in units of the longest, so that a factor is the length of a box."""
    name = "jittered rotated boxes" if kind == "rotated_box" else "jittered boxes"
    pred, target = SAMPLES[name](300, 5, torch.float64)
    assert isinstance(target, Tensor)
    longest = (target[:, 2:4] if kind == "rotated_box" else target[:, 2:] - target[:, :2]).amax()
    return at_scale(pred, 1 / float(longest)).to(dtype), at_scale(target, 1 / float(longest)).to(dtype)


def at_scale(rows: Tensor, factor: float) -> Tensor:
    return torch.cat((factor * rows[:, :4], rows[:, 4:]), -1)


def value_and_gradient(module: Loss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = pred.clone().requires_grad_()
    loss = module(leaf, target)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), gradient


SUBJECTS = subjects()
#: lengths of boxes: normalised ones of a pixel in 10,000, to those of a map
SCALES = (1e-4, 1e-2, 1e3, 1e6)


@pytest.mark.parametrize(("name", "parameters"), SUBJECTS, ids=str)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 2e-4)], ids=str)
def test_the_unit_of_the_boxes_does_not_matter(
    name: str, parameters: dict[str, Any], dtype: torch.dtype, error: float
) -> None:
    """The trait's relative error: 1e-9 in float64 where nothing but rounding is left; float32 rounds corners too."""
    kind = get_entry(name).kind
    module = (plain if parameters else build)(name, **parameters)
    pred, target = boxes(kind, dtype)
    loss, gradient = value_and_gradient(module, pred, target)
    assert gradient.abs().max() > 0.1
    for scale in SCALES:
        # a power of two, so that scaling itself rounds nothing
        factor = 2.0 ** round(float(torch.tensor(scale).log2()))
        there, slope = value_and_gradient(module, at_scale(pred, factor), at_scale(target, factor))
        torch.testing.assert_close(there, loss, rtol=error, atol=error)
        torch.testing.assert_close(at_scale(slope, factor), gradient, rtol=100 * error, atol=100 * error)


def test_every_loss_on_boxes_says_whether_its_unit_matters() -> None:
    """Who does not say that the unit is free says which it needs: adapters then give it that, or refuse."""
    for entry in shipped():
        if entry.kind in GEOMETRY and entry.name != "mix":
            assert entry.traits.scale_invariant == (entry.traits.units == "any"), entry.name


def test_normalised_rotated_boxes_cost_what_they_cost_in_pixels() -> None:
    # the same boxes in thousandths: B is large, and so is its slope
    pred, target = [[0.5, 0.5, 0.02, 0.01, 0.3]], [[0.525, 0.505, 0.02, 0.01, 0.5]]
    p, t = torch.tensor(pred, dtype=torch.float64), torch.tensor(target, dtype=torch.float64)
    loss, gradient = value_and_gradient(build("prob_iou"), p, t)
    larger, _ = value_and_gradient(build("prob_iou"), at_scale(p, 1000.0), at_scale(t, 1000.0))
    assert float(loss) == pytest.approx(float(larger), rel=1e-9)
    assert float(loss) == pytest.approx(0.9675, abs=1e-3)
    assert gradient.abs().max() > 1


@pytest.mark.parametrize("name", [name for name, form in SUBJECTS if not form and get_entry(name).kind == "box"])
def test_normalised_boxes_of_four_pixels_cost_what_they_cost_in_pixels(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(500, 2, generator=generator, dtype=torch.float64) * 3900
    target = torch.cat((low, low + 4), -1)
    pred = target + torch.rand(500, 4, generator=generator, dtype=torch.float64) * 2 - 1
    module = plain(name)
    torch.testing.assert_close(module(pred / 4000, target / 4000), module(pred, target), rtol=1e-6, atol=1e-6)
