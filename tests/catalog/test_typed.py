"""Names as people type them, by the page that promises them."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
from typer.testing import CliRunner

import loss_plugins as lp
from loss_plugins.catalog import typed
from loss_plugins.catalog.entries import meaning_of, shipped
from loss_plugins.cli import app
from tools.wheel import ROOT

ROWS = re.findall(r"^\| `(.+?)` \| `build_loss\((.+)\)` \|$", (ROOT / "docs/names.md").read_text("utf-8"), re.MULTILINE)
PREFIXES = re.findall(
    r"^\| `(\w+)` \| `(\w+=.+?)` \| .+ \|$", (ROOT / "docs/names.md").read_text("utf-8"), re.MULTILINE
)


def read(call: str) -> tuple[str, dict[str, Any]]:
    """The name and the keywords of the call of `build_loss` with these arguments."""
    found = ast.parse(f"f({call})", mode="eval").body
    assert isinstance(found, ast.Call)
    return ast.literal_eval(found.args[0]), {str(each.arg): ast.literal_eval(each.value) for each in found.keywords}


def test_the_page_has_thirty_names_and_every_prefix() -> None:
    assert len(ROWS) >= 30
    assert {prefix: read(f"'', {sets}")[1] for prefix, sets in PREFIXES} == typed.PREFIXES


@pytest.mark.parametrize(("name", "call"), ROWS)
def test_a_typed_name_builds_what_the_page_says(name: str, call: str) -> None:
    registered, keywords = read(call)
    wanted = lp.build_loss(registered, **keywords)
    for each in (name, {"type": name}):
        found = lp.build_loss(each)
        assert (type(found), found.spec()) == (type(wanted), wanted.spec())
    meant = meaning_of(name, "here", "name")
    assert meant.call == f"build_loss({call})"
    assert str(meant) == ", ".join([registered, *(f"{key}={value!r}" for key, value in keywords.items())]).replace(
        ", ", " with ", 1
    )


@pytest.mark.parametrize("name", sorted(entry.name for entry in shipped()))
def test_a_registered_name_wins_in_any_case_and_with_any_separator(name: str) -> None:
    entry = lp.get_entry(name)
    words = name.split("_")
    for each in (name.upper(), "-".join(words), " ".join(words), "".join(map(str.title, words)), f"{name}_loss"):
        assert lp.get_entry(each) is entry


def test_a_plus_is_no_separator() -> None:
    assert lp.get_entry("MGIoU+") is lp.get_entry("mgiou_plus") is lp.get_entry("mgiou_quad")
    with pytest.raises(ValueError, match=r"is an unknown loss; .*did you mean 'CIoULoss'"):
        lp.build_loss("CIoU+")


def test_parameters_win_over_those_of_a_name() -> None:
    assert lp.build_loss("inner_ciou", inner_ratio=1.2).resolved()["inner_ratio"] == 1.2
    assert lp.build_loss({"type": "inner_ciou", "inner_ratio": 1.2}).resolved()["inner_ratio"] == 1.2
    assert lp.build_loss("inner_ciou", inner_ratio=None).spec() == lp.build_loss("ciou").spec()
    mixed = lp.build_loss("mix", losses=["inner_ciou", {"type": "GIoU", "loss_weight": 0.5}])
    assert [each["type"] for each in mixed.spec()["losses"]] == ["ciou", "giou"]
    assert mixed.spec()["losses"][0]["inner_ratio"] == 0.75


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wise_iou", r"may mean wiou or iou with wise=3; .*; write 'wiou' or build_loss\('iou', wise=3\)"),
        ("focal_uiou", "may mean uiou with gamma=0.5 or uiou with focal_gamma=0.5"),
        ("GFL", r"may mean quality_focal or distribution_focal; .*; write 'quality_focal' or 'distribution_focal'"),
        ("Lovász", "may mean lovasz_softmax or lovasz_hinge"),
        ("inner_qfl", "is an unknown loss"),
        ("Inner-Focal-UIoU", "may mean uiou with inner_ratio=0.75, gamma=0.5 or uiou with "),
        ("inner_inner_ciou", "is an unknown loss"),
        ("inner_l1", "is an unknown loss"),
        ("focal_dice", "is an unknown loss"),
        ("piou9", "is an unknown loss; .*did you mean 'piou'"),
        ("inner_cuio", "is an unknown loss; .*did you mean .*'inner_ciou'"),
        ("Inner-Wise", "is an unknown loss"),
        ("", "is an unknown loss"),
        ("loss", "is an unknown loss"),
        ("inner", "is an unknown loss"),
    ],
)
def test_other_names_are_refused_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=rf"build_loss: spec={name!r} {said}"):
        lp.build_loss(name)


def test_a_composition_is_no_entry_of_the_catalogue() -> None:
    for called in (lp.get_entry, lp.unregister_loss):
        with pytest.raises(
            ValueError, match=r"is ciou with inner_ratio=0\.75; .*build_loss\('ciou', inner_ratio=0\.75\)"
        ):
            called("inner_ciou")


@pytest.mark.parametrize("name", ["", "-", "[]", " "])
def test_a_loss_without_description_is_not_meant_by_no_name(name: str) -> None:
    @lp.register_loss("typed_silent")
    def silent(pred: Any, target: Any) -> Any:
        return (pred - target).abs().sum(-1)

    try:
        with pytest.raises(ValueError, match="is an unknown loss"):
            lp.build_loss(name)
    finally:
        lp.unregister_loss("typed_silent")


def test_two_losses_of_one_name_but_for_separators_are_told_apart() -> None:
    @lp.register_loss("typed_own")
    def first(pred: Any, target: Any) -> Any:
        return (pred - target).abs().sum(-1)

    @lp.register_loss("type_down")
    def second(pred: Any, target: Any) -> Any:
        return (pred - target).abs().sum(-1)

    try:
        assert lp.get_entry("typed_own").function is not lp.get_entry("type_down").function
        with pytest.raises(ValueError, match="may mean typed_own or type_down"):
            lp.build_loss("Typed-Own")
    finally:
        lp.unregister_loss("typed_own")
        lp.unregister_loss("type_down")


def test_show_says_what_a_name_is_made_of() -> None:
    done = CliRunner().invoke(app, ["show", "Wise-Inner-DIoU"], env={"COLUMNS": "100"})
    assert re.search(r"made of +diou with wise=3, inner_ratio=0\.75", done.output)
    assert re.search(r"in configs +loss_plugins\.WiseInnerDIoULoss", done.output)
    assert re.search(r"inner_ratio +0\.75 ", done.output)
    told = json.loads(CliRunner().invoke(app, ["show", "inner_ciou", "--json"]).output)
    assert told["sets"] == {"inner_ratio": 0.75}
    assert told["parameters"]["inner_ratio"]["default"] == 0.75
    assert told["type"] == "loss_plugins.InnerCIoULoss"
    assert "made of" not in CliRunner().invoke(app, ["show", "ciou"]).output
    stateful = json.loads(CliRunner().invoke(app, ["show", "wise_ciou", "--json"]).output)
    assert stateful["traits"]["stateful"] is True
