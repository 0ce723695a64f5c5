"""Wrong hyper-parameters of every shipped loss: the message names loss, argument, value, range and remedy."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import loss_plugins as lp
from loss_plugins.catalog.dialects import defaults_of, dialects_of
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.catalog.ranges import Choice, Interval, PerClass, Series
from loss_plugins.errors import shown
from loss_plugins.module.arguments import SETTINGS
from loss_plugins.module.build import module_class

from .wrong_values import TOO_LARGE, UNREADABLE, came, example_of, function_of, refused, samples, wrong_values

ENTRIES = shipped()
by_name = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


@by_name
def test_wrong_hyper_parameters_are_refused_by_function_and_module(entry: Entry) -> None:
    pred, target = next(samples(entry))
    function, cls, given = function_of(entry), module_class(entry.name), example_of(entry)
    assert all(parameter.allowed is not None for parameter in entry.parameters.values()), "a parameter is not checked"
    for name, parameter in entry.parameters.items():
        for value in wrong_values(parameter):
            parts = refused(lambda: cls(**{**given, name: value}), entry.name, name, "")  # noqa: B023
            if not isinstance(value, (tuple, torch.Tensor)) and name != "losses":  # modules turn these into lists
                assert came(value) in parts["came"]
            refused(lambda: lp.build_loss({"type": entry.name, **given, name: value}), entry.name, name, "")  # noqa: B023
            if name in entry.keywords or name == "dialect":
                refused(lambda: function(pred, target, **{**given, name: value}), entry.name, name, came(value))  # noqa: B023


@by_name
def test_wrong_hyper_parameters_are_refused_under_the_names_of_every_dialect(entry: Entry) -> None:
    wrong = ("nothing", [0.25, 0.75], {}, object(), torch.zeros(2, 2, 2), 1 + 2j)
    for dialect in dialects_of(entry.name):
        for name, keyword in defaults_of(entry.name, dialect).names.items():
            for value in wrong:
                if keyword.values is None and (not keyword.to or value in entry.parameters[keyword.to].allowed):
                    continue  # a number that needs no counterpart, whatever it is, or one that is right
                call = lambda: lp.build_loss(entry.name, dialect=dialect, **{**entry.example, name: value})  # noqa: B023, E731
                refused(call, entry.name, name, "")
        for name, parameter in entry.parameters.items():
            if name in defaults_of(entry.name, dialect).names or name == "dialect":
                continue
            for value in (value for value in wrong_values(parameter) if value is not None):
                call = lambda: lp.build_loss(entry.name, dialect=dialect, **{**entry.example, name: value})  # noqa: B023, E731
                refused(call, entry.name, name, "")


@by_name
def test_wrong_settings_of_the_module_are_refused(entry: Entry) -> None:
    cls, given = module_class(entry.name), example_of(entry)
    wrong: dict[str, tuple[Any, ...]] = {
        "reduction": (None, "avg", "", 1, True, ["mean"], 0.25, torch.nn.Identity()),
        "loss_weight": (
            None,
            "2",
            "x",
            True,
            math.nan,
            math.inf,
            [1.0],
            1j,
            torch.ones(2),
            *UNREADABLE,
            *TOO_LARGE,
            Decimal(1),
        ),
        "compile": (None, "yes", 1, 0.5, [True]),
    }
    assert wrong.keys() == SETTINGS.keys()
    for name, values in wrong.items():
        for value in values:
            refused(lambda: cls(**{**given, name: value}), entry.name, name, came(value))  # noqa: B023
    refused(lambda: cls("mean", 1.0, False, 0.25, **given), entry.name, "by position", "0.25")
    refused(lambda: cls(0.25, 2.0, **given), entry.name, "reduction", "0.25")
    parts = refused(lambda: cls(nosuch=3, **given), entry.name, "nosuch", "3")
    assert set(entry.parameters) <= set(parts["allowed"].split(", ")) or not entry.parameters


@by_name
def test_hyper_parameters_by_position_and_unknown_ones_are_refused_by_the_function(entry: Entry) -> None:
    function, given = function_of(entry), example_of(entry)
    pred, target = next(samples(entry))
    refused(lambda: function(pred, target, 0.25, **given), entry.name, "by position", "0.25")
    refused(lambda: function(pred, target, nosuch=3, **given), entry.name, "nosuch", "3")
    refused(lambda: function(pred, target, reduction="mean", **given), entry.name, "reduction", "'mean'")
    refused(lambda: function(**given), entry.name, "pred", "None")


@by_name
def test_numbers_of_numpy_become_plain_ones_at_the_door(entry: Entry) -> None:
    """A sweep over np.linspace or np.array gives the loss that plain numbers give, and a spec that YAML can write."""
    given: dict[str, Any] = {}
    for name, parameter in entry.parameters.items():
        value = entry.example.get(name, parameter.default)
        if isinstance(parameter.allowed, Interval) and value is not None:
            given[name] = np.int64(value) if parameter.allowed.whole else np.float64(value)
        elif isinstance(parameter.allowed, Choice) and isinstance(value, (bool, str, int)):
            given[name] = {bool: np.bool_, str: np.str_, int: np.int32}[type(value)](value)
        elif isinstance(parameter.allowed, (Series, PerClass)):
            given[name] = np.array([0.5, 0.75] if value is None else value)
        elif value is not None:
            given[name] = value
    module = lp.build_loss(np.str_(entry.name), loss_weight=np.float32(2.0), reduction=np.str_("sum"), **given)
    spec = yaml.safe_load(yaml.safe_dump(module.spec()))
    assert lp.build_loss(spec).spec() == module.spec()
    for name, value in given.items():
        expected = value.tolist() if hasattr(value, "tolist") else module.spec()[name]
        assert module.spec()[name] == expected
        assert type(module.spec()[name]) in (bool, int, float, str, list)


@pytest.mark.parametrize(
    ("call", "where", "argument", "value"),
    [
        (lambda: lp.build_loss(), "build_loss", "spec", "None"),
        (lambda: lp.build_loss(3), "build_loss", "spec", "3"),
        (lambda: lp.build_loss(["ciou"]), "build_loss", "spec", "['ciou']"),
        (lambda: lp.build_loss(lp.CIoULoss), "build_loss", "spec", "CIoULoss"),
        (lambda: lp.build_loss(lp.CIoULoss()), "build_loss", "spec", "CIoULoss()"[:7]),
        (lambda: lp.build_loss({}), "build_loss", "spec", "{}"),
        (lambda: lp.build_loss({"type": 3}), "build_loss", "type", "3"),
        (lambda: lp.build_loss({"type": None}), "build_loss", "type", "None"),
        (lambda: lp.build_loss({"type": "ciou", 3: 4}), "build_loss", "key", "3"),
        (lambda: lp.build_loss("ciou", "mean"), "build_loss", "by position", "'mean'"),
        (lambda: lp.build_loss("ciou", type="giou"), "ciou", "type", "'giou'"),
        (lambda: lp.get_entry(3), "get_entry", "name", "3"),
        (lambda: lp.get_entry(["ciou"]), "get_entry", "name", "['ciou']"),
        (lambda: lp.list_losses(kind=["box"]), "list_losses", "kind", "['box']"),
        (lambda: lp.unregister_loss(3), "unregister_loss", "name", "3"),
        (lambda: lp.MixLoss(), "mix", "losses", "required"),
        (lambda: lp.MixLoss(["ciou", "nwd"]), "mix", "reduction", "['ciou', 'nwd']"),
        (lambda: lp.MixLoss(losses=["ciou"], compile=True), "mix", "compile", "True"),
        (lambda: lp.MixLoss(losses=["ciou", "l1"]), "mix", "losses", "l1 (coordinate)"),
        (lambda: lp.MixLoss(losses=[{"type": "ciou", "reduction": "sum"}]), "mix", "losses", "'sum'"),
        (lambda: lp.MixLoss(losses=[{"type": 3}]), "build_loss", "type", "3"),
        (lambda: lp.MixLoss(losses=[lp.CIoULoss()]), "mix", "losses", "CIoULoss"),
        (lambda: lp.CIoULoss(size_average=True), "ciou", "size_average", "True"),
        (lambda: lp.CIoULoss(reduce=[]), "ciou", "reduce", "[]"),
    ],
)
def test_builders_name_what_came(call: Any, where: str, argument: str, value: str) -> None:
    refused(call, where, argument, value)


METHOD = "the function Owner.method"


class Owner:
    """Has a method."""

    def method(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Owner().method, "the method Owner.method"),
        (str.join, "the method str.join"),
        (str.__add__, "the method str.__add__"),
        ("".join, "the function join"),
        (np.add, "the function add"),
        ([len, Owner.method], "[the function len, the function Owner.method]"),
        ("at 0x10 and at 0x20 there", "'at 0x10 and at 0x20 there'"),
        ("<function f at 0x10>", "'<function f at 0x10>'"),
        (["is at 0x10", len, 'it\'s "so at 0x20"'], "['is at 0x10', the function len, 'it\\'s \"so at 0x20\"']"),
        ({"<class 'int'>": int, "it's": Owner.method}, '{"<class \'int\'>": the class int, "it\'s": ' + METHOD + "}"),
        (("x", object()), "('x', <object object>)"),
    ],
)
def test_functions_are_shown_by_name_and_text_as_it_is(value: object, text: str) -> None:
    assert shown(value) == text
