"""The page computes what the library computes, in float64: values and gradients, kinks included."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import get_entry
from loss_plugins.evidence.explore.pool import OPERATIONS

from .browser import SHIPPED, Opened

LOSSES = [name for name in SHIPPED if name != "mix"]
PAIRS = 200
#: relative to the value; of a gradient, to its largest component
NEAR = 1e-12
#: forms that have no program, as a box of theirs depends on others
WITHOUT = {("focal_eiou", "normalize=True")}


def pairs(n: int) -> Tensor:
    """(4 n, 8) pred and target: overlapping, nested, disjoint and touching, of whole and of broken coordinates."""
    generator = torch.Generator().manual_seed(11)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator, dtype=torch.float64)

    corner, side = uniform(40, 80, 2), uniform(10, 60, 2)
    target = torch.cat([corner, corner + side], 1)
    moved = target + torch.cat([shift := side * uniform(-0.4, 0.4, 2), shift], 1)
    overlapping = torch.cat([moved[:, :2], moved[:, 2:] + side * uniform(-0.2, 0.5, 2)], 1)
    nested = torch.cat([corner + side * uniform(0.05, 0.4, 2), corner + side * uniform(0.6, 0.95, 2)], 1)
    apart = target + torch.cat([shift := side * uniform(1.1, 2.5, 2) * uniform(-1, 1, 2).sign(), shift], 1)
    # they share an edge, or a corner, or lie on one line
    touching = torch.cat(
        [target[:, 2:3], target[:, 1:2] + (uniform(0, 2, 1) > 1) * side[:, 1:], uniform(150, 220, 2)], 1
    )
    whole = torch.arange(n) % 2 == 0
    both = []
    for pred in (overlapping, nested, apart, touching):
        both.append(torch.where(whole[:, None], torch.cat([pred, target], 1).round(), torch.cat([pred, target], 1)))
    return torch.cat(both)


def of_the_library(name: str, sets: dict[str, Any], rows: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient by the function that users call."""
    pred, target = rows[:, :4].clone().requires_grad_(), rows[:, 4:]
    loss = getattr(lp, f"{name}_loss")(pred, target, **{**get_entry(name).example, **sets})
    loss.sum().backward()
    assert pred.grad is not None
    return loss.detach(), pred.grad


def require_near(found: Tensor, loss: Tensor, gradient: Tensor) -> None:
    value, slope = found[:, 0], found[:, 1:]
    assert found.isfinite().all()
    assert ((value - loss).abs() <= NEAR * loss.abs()).all(), ((value - loss).abs() / loss.abs()).max()
    largest = gradient.abs().amax(1, keepdim=True)
    assert ((slope - gradient).abs() <= NEAR * largest).all(), ((slope - gradient).abs() / largest).max()


#: as text, which takes the browser's driver a fraction of the time
EVALUATE = "text => JSON.stringify(JSON.parse(text).map(each => explore.evaluate(...each)))"


def of_the_page(opened: Opened, *calls: tuple[str, str, dict[str, float], Tensor]) -> list[Tensor]:
    """(name, label of the form, numbers, rows) to the loss and its gradient, a row each."""
    text = json.dumps([(name, label, numbers, rows.tolist()) for name, label, numbers, rows in calls])
    found = json.loads(opened.page.evaluate(EVALUATE, text))
    return [torch.tensor(results, dtype=torch.float64) for results in found]


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_that_of_the_library(name: str, opened: Opened) -> None:
    rows = pairs(PAIRS)
    (found,) = of_the_page(opened, (name, "", {}, rows))
    require_near(found, *of_the_library(name, {}, rows))


def turned(form: dict[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
    """Numbers of a form away from their defaults, as the page takes them and as the library does."""
    numbers, sets = {}, dict(form["sets"])
    for number in form["numbers"]:
        share = {None: 0.6, 0: 0.3, 1: 0.8}[number["place"]]
        value = number["low"] + share * (number["high"] - number["low"])
        numbers[number["name"]] = value
        if number["place"] is None:
            sets[number["parameter"]] = value
        else:
            before = sets.get(number["parameter"], []) if number["place"] else []
            sets[number["parameter"]] = [*before, value]
    return numbers, sets


def forms(opened: Opened, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(opened.page.evaluate("name => JSON.stringify(explore.forms(name))", name))
    return found


@pytest.mark.parametrize("name", LOSSES)
def test_every_form_is_that_of_the_library_whatever_its_numbers(name: str, opened: Opened) -> None:
    rows = pairs(10)
    found = forms(opened, name)
    assert found[0]["label"] == ""
    assert {(name, form["label"]) for form in found if form["results"] is None} <= WITHOUT
    assert all(form["reason"] for form in found if form["results"] is None)
    calls, wanted = [], []
    for form in found:
        if form["results"] is not None:
            numbers, sets = turned(form)
            calls.append((name, form["label"], numbers, rows))
            wanted.append(of_the_library(name, sets, rows))
    for page, library in zip(of_the_page(opened, *calls), wanted, strict=True):
        require_near(page, *library)


def test_choices_transforms_and_dialects_are_forms(opened: Opened) -> None:
    labels = {form["label"] for form in forms(opened, "ciou")}
    wanted = {"inner_ratio", "focaler", "power", "interp", "d_interp", "wise=2", "wise=3", "focal_gamma=0.5"}
    assert wanted <= labels
    assert {f"dialect={name}" for name in get_entry("ciou").parameters["dialect"].allowed.values} <= labels
    assert {"mode=log", "mode=square"} <= {form["label"] for form in forms(opened, "iou")}
    assert [number["name"] for number in forms(opened, "nwd")[0]["numbers"]] == ["constant"]
    assert {number["name"]: number["running"] for number in forms(opened, "wiou")[1]["numbers"]} == {"mean": True}


def test_the_page_knows_the_operations_that_are_said_to_be_known(opened: Opened) -> None:
    said, computed = opened.page.evaluate("explore.operations()")
    assert said == [*OPERATIONS]
    assert {*said} == {*computed}


def test_the_pairs_are_what_they_are_called() -> None:
    rows = pairs(PAIRS)
    iou = 1 - lp.iou_loss(rows[:, :4], rows[:, 4:])
    overlapping, nested, apart, touching = iou.split(PAIRS)
    assert (overlapping > 0).all()
    assert (nested > 0).all()
    assert (apart == 0).all()
    assert (touching == 0).all()
    assert (rows[3 * PAIRS :, 0] == rows[3 * PAIRS :, 6]).all()
