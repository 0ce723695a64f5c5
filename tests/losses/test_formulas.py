"""Formulas know neither their own names nor those of frameworks: the catalogue hands them what differs."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import loss_plugins as lp
from loss_plugins.catalog.conventions import Convention
from loss_plugins.catalog.dialects import convention_keywords, dialects_of
from loss_plugins.catalog.entries import shipped
from loss_plugins.losses import boxes
from loss_plugins.losses.family import iou_family

FILES = sorted(Path(boxes.__file__).parent.glob("*.py"))
NAMES = {entry.name for entry in shipped()}
FRAMEWORKS = {dialect for entry in shipped() for dialect in dialects_of(entry.name)}
FAMILY = [entry.name for entry in shipped() if "inner_ratio" in entry.parameters]
#: what the catalogue hands to each function that can follow a framework otherwise than by its parameters
HANDED = [
    (entry.name, dialect)
    for entry in shipped()
    for dialect in dialects_of(entry.name)
    if convention_keywords(entry.name, dialect)
]


#: functions whose first argument is what errors call the loss
NAMED_IN_ERRORS = {
    "activate",
    "along_classes",
    "check_device",
    "channel_weights",
    "check_regions",
    "chosen",
    "in_regions_of",
    "weights_of_classes",
    "check_shares",
    "class_count",
    "class_weights",
    "fit_weight",
    "masses_of",
    "per_class",
    "refusal",
    "scores_that_count",
}


def strings(tree: ast.AST) -> Iterator[str]:
    yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_formulas_name_no_framework_and_not_themselves(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert not (FRAMEWORKS - NAMES).intersection(strings(tree))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in NAMED_IN_ERRORS:
            del call.args[0]
    inside = [part for function in functions for part in (function.args, *function.body)]
    assert not (FRAMEWORKS | NAMES).intersection(text for part in inside for text in strings(part))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_formulas_take_the_data_classes_alone_from_the_conventions(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in ("catalog.conventions", "catalog.dialects"):
            assert node.module == "catalog.conventions"
            assert {alias.name for alias in node.names} <= {"Convention", "Dialect", "OURS"}


@pytest.mark.parametrize(("name", "dialect"), HANDED, ids=str)
def test_what_the_catalogue_hands_over_is_taken_and_is_no_parameter_of_the_user(name: str, dialect: str) -> None:
    entry = lp.get_entry(name)
    arguments = entry.arguments({**entry.example, "dialect": dialect})
    given = convention_keywords(name, dialect)
    assert {key: arguments[key] for key in given} == given
    assert "dialect" not in arguments
    taken = inspect.signature(iou_family if name in FAMILY else entry.function).parameters
    assert given.keys() <= taken.keys()
    assert given.keys().isdisjoint(entry.parameters)
    assert given.keys().isdisjoint(lp.build_loss(name, **entry.example, dialect=dialect).spec())
    for key, value in given.items():
        with pytest.raises(TypeError, match=f"unknown parameter '{key}'"):
            lp.build_loss(name, **entry.example, **{key: value})


def test_centre_boxes_follow_the_convention_for_centres() -> None:
    corner, centre = (
        lp.get_entry("ciou").arguments({"dialect": "yolov6", "box_format": form}) for form in ("xyxy", "cxcywh")
    )
    assert isinstance(corner["convention"], Convention)
    assert (corner["convention"].union, centre["convention"].union) == ("tall", "add")


@pytest.mark.parametrize("name", FAMILY)
def test_a_loss_of_the_family_is_the_same_under_another_name(name: str) -> None:
    entry = lp.get_entry(name)
    own = {key for key in ("power", "focal_gamma", "wise") if key not in entry.parameters}
    register = lp.register_loss("renamed", traits=entry.traits, options=iou_family, without=tuple(own))
    try:
        copy = register(entry.function)
        pred, target = torch.rand(2, 40, 4, generator=torch.Generator().manual_seed(0)).cumsum(-1).unbind()
        for given in ({}, {"inner_ratio": 0.8, "focaler": (0.1, 0.9)}, {"box_format": "cxcywh"}, {"eps": 1e-3}):
            values = [
                (lp.build_loss(each, reduction="none", **entry.example, **given).eval())(pred, target)
                for each in (name, "renamed")
            ]
            assert torch.equal(*values)
            assert torch.equal(copy(pred, target, **entry.example, **given), values[0])
    finally:
        lp.unregister_loss("renamed")
