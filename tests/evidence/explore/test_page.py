"""The page as its reader uses it: boxes move, numbers follow, a link shows the same, and nothing is asked for."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from playwright.sync_api import Browser

import loss_plugins as lp

from .browser import SHIPPED, Opened, executable

#: upwards, by which the page would scroll
TOUCHED = ("touchStart", *["touchMove"] * 4, "touchEnd")


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Opened]:
    """The page, opened anew; whatever is done there, nothing goes wrong and nothing is asked for."""
    opened = Opened(browser, file)
    yield opened
    assert opened.requests == []
    assert opened.errors == []
    opened.context.close()


def tensor(numbers: list[float]) -> torch.Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


def config_of(page: Opened, tab: str) -> str:
    page.page.get_by_role("tab", name=tab, exact=True).click()
    page.frame()
    return page.page.inner_text("#config")


def choose(page: Opened, name: str) -> None:
    page.page.locator(f"#losses tr[data-loss={name}] button").click()
    page.frame()


def choose_form(page: Opened, label: str) -> None:
    page.page.select_option("#form", label=label)
    page.frame()


# --- boxes ---------------------------------------------------------------------------------------------------------


def test_it_shows_every_box_loss_and_draws_those_that_are_ticked(page: Opened) -> None:
    assert {*page.values()} == {*SHIPPED}
    assert all(map(math.isfinite, page.values().values()))
    assert page.page.locator("#plot .curve").count() == 4
    page.page.get_by_role("checkbox", name="show nwd").check()
    page.frame()
    assert page.page.locator("#plot .curve").count() == 5
    assert page.page.locator("#arrows path").count() == 5 * 4


def test_dragging_a_box_changes_the_numbers(page: Opened) -> None:
    before, boxes, drawn = page.values(), page.boxes(), page.page.inner_html("#plot")
    page.drag(".box.pred rect", 60, 30)
    after, moved = page.values(), page.boxes()
    assert moved["target"] == boxes["target"]
    shift = [new - old for new, old in zip(moved["pred"], boxes["pred"], strict=True)]
    assert shift[0] == shift[2] > 5
    assert shift[1] == shift[3] > 2
    assert after["ciou"] < before["ciou"]
    assert page.page.inner_html("#plot") != drawn
    pred, target = (tensor(moved[name]) for name in ("pred", "target"))
    assert after["giou"] == pytest.approx(lp.giou_loss(pred, target).item(), rel=1e-12)


def test_dragging_a_corner_resizes_a_box_down_to_a_point(page: Opened) -> None:
    before = page.boxes()["target"]
    page.drag(".corner.target >> nth=2", 40, 20)
    after = page.boxes()["target"]
    assert after[:2] == before[:2]
    assert after[2] > before[2]
    assert after[3] > before[3]
    page.drag(".corner.target >> nth=2", -900, -900)
    assert page.boxes()["target"] == [*before[:2], *before[:2]]
    assert all(map(math.isfinite, page.values().values()))


def test_a_finger_moves_a_box(browser: Browser, file: Path) -> None:
    page = Opened(browser, file, viewport={"width": 390, "height": 844}, has_touch=True)
    before = page.boxes()["pred"]
    x, y = page.middle(".box.pred rect")
    driver = page.context.new_cdp_session(page.page)
    for number, kind in enumerate(TOUCHED):
        points = [] if kind == "touchEnd" else [{"x": x + 5 * number, "y": y - 12 * number}]
        driver.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.frame()
    after = page.boxes()["pred"]
    assert after[0] > before[0] + 5
    assert after[1] < before[1] - 15
    assert page.page.evaluate("scrollY") == 0
    page.context.close()


def test_keys_move_boxes_and_corners(page: Opened) -> None:
    before = page.boxes()
    page.page.focus(".box.pred")
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowUp"):
        page.page.keyboard.press(key)
    page.frame()
    x1, y1, x2, y2 = before["pred"]
    assert page.boxes()["pred"] == [x1 + 11, y1 - 1, x2 + 11, y2 - 1]
    page.page.focus(".corner.target >> nth=0")
    page.page.keyboard.press("ArrowLeft")
    page.frame()
    assert page.boxes()["target"] == [before["target"][0] - 1, *before["target"][1:]]


def test_the_keyboard_reaches_everything(page: Opened) -> None:
    seen = set()
    for _ in range(90):
        page.page.keyboard.press("Tab")
        seen.add(page.page.evaluate("document.activeElement.getAttribute('class') || document.activeElement.tagName"))
    assert {"box pred", "box target", "corner pred", "corner pred turned"} <= seen
    assert {"BUTTON", "INPUT", "SELECT", "SUMMARY"} <= seen


def test_numbers_may_be_typed_and_pairs_chosen(page: Opened) -> None:
    page.page.click(".coordinates summary")
    page.page.fill("#pred-x1", "61.25")
    page.frame()
    assert page.boxes()["pred"][0] == 61.25
    page.page.get_by_role("button", name="equal").click()
    page.frame()
    assert page.boxes()["pred"] == page.boxes()["target"]
    assert page.values()["ciou"] == 0
    assert page.page.inner_text("#scale") == "no gradient"


# --- losses --------------------------------------------------------------------------------------------------------


def test_a_transform_changes_the_loss_and_its_number_may_be_turned(page: Opened) -> None:
    before = page.values()["ciou"]
    choose(page, "ciou")
    choose_form(page, "inner_ratio")
    smaller = page.values()["ciou"]
    assert smaller != before
    page.page.fill("[id='turn-inner_ratio']", "1")
    page.frame()
    assert page.values()["ciou"] == pytest.approx(before, rel=1e-12)
    page.page.fill("[id='turn-inner_ratio']", "7")  # out of range
    page.frame()
    assert page.values()["ciou"] == pytest.approx(before, rel=1e-12)


def test_two_forms_of_a_loss_stand_side_by_side(page: Opened) -> None:
    choose(page, "ciou")
    page.page.get_by_role("button", name="Add another").click()
    page.frame()
    choose_form(page, "wise=3")
    rows = page.page.locator("#losses tr[data-loss=ciou]")
    assert rows.count() == 2
    assert rows.nth(0).locator("td").nth(2).inner_text() != rows.nth(1).locator("td").nth(2).inner_text()
    assert page.page.locator("#plot .curve").count() == 5


def test_a_mix_is_the_sum_of_the_ticked_losses_by_their_weights(page: Opened) -> None:
    for name in ("iou", "giou", "eiou"):
        page.page.get_by_role("checkbox", name=f"show {name}").uncheck()
    page.page.get_by_role("checkbox", name="show nwd").check()
    page.page.get_by_role("checkbox", name="show the mix").check()
    page.page.get_by_label("weight of nwd in the mix").fill("0.5")
    page.frame()
    values = page.values()
    assert values["mix"] == pytest.approx(values["ciou"] + 0.5 * values["nwd"], rel=1e-12)
    assert page.page.locator("#plot .curve").count() == 3
    mix = eval(config_of(page, "PyTorch").splitlines()[2].partition("= ")[2], {"lp": lp})
    pred, target = (tensor(page.boxes()[name]) for name in ("pred", "target"))
    assert mix(pred, target).item() == pytest.approx(values["mix"], rel=1e-12)


def test_a_link_shows_the_same(page: Opened, browser: Browser, file: Path) -> None:
    page.drag(".box.pred rect", 50, 20)
    choose(page, "eiou")
    choose_form(page, "inner_ratio, wise=3")
    page.page.fill("[id='turn-wise_mean']", "0.4")
    page.page.select_option("#along", "y")
    page.page.select_option("#show", "slope")
    config = config_of(page, "MMDetection")
    address = page.page.evaluate("location.hash")
    again = Opened(browser, file, address)
    assert again.boxes() == page.boxes()
    assert again.values() == page.values()
    assert again.page.inner_text("#config") == config
    assert again.page.inner_html("#plot") == page.page.inner_html("#plot")
    assert again.page.input_value("[id='turn-wise_mean']") == "0.4"
    again.page.evaluate("location.hash = '#p=0,0,10,10&t=5,5,20,20&l=gcd'")
    again.frame()
    assert again.boxes()["pred"] == [0, 0, 10, 10]
    assert again.page.locator("#plot .curve").count() == 1
    again.context.close()


# --- config --------------------------------------------------------------------------------------------------------

#: what the page offers, and in which of its lines the loss stands as a call's `box=`
BOXES = ("Ultralytics", "transformers", "RF-DETR", "LibreYOLO", "torchvision", "any DETR")


def box_of(text: str) -> Any:
    """The value of the keyword `box` somewhere in a program."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return next(ast.literal_eval(each.value) for call in calls for each in call.keywords if each.arg == "box")


def test_configs_say_the_loss(page: Opened) -> None:
    for tab in BOXES:
        assert box_of(config_of(page, tab)) == "iou"
    choose(page, "siou")
    choose_form(page, "focaler")
    page.page.fill("[id='turn-focaler[1]']", "0.9")
    page.frame()
    spec = {"type": "siou", "focaler": [0, 0.9]}
    wanted = lp.build_loss(spec).spec()
    for tab in BOXES:
        assert lp.build_loss(box_of(config_of(page, tab))).spec() == wanted
    assert lp.build_loss(yaml.safe_load(config_of(page, "Ultralytics, file"))["losses"]["box"]).spec() == wanted
    built = eval(config_of(page, "PyTorch").splitlines()[2].partition("= ")[2], {"lp": lp})
    assert built.spec() == wanted
    names: dict[str, Any] = {}
    exec(config_of(page, "MMDetection"), names)
    said = names["model"]["bbox_head"]["loss_bbox"]
    assert said.pop("_delete_")
    assert said.pop("loss_weight") == 2.0
    assert lp.build_loss({**said, "type": said["type"].removeprefix("loss_plugins.")}).spec() == wanted


def test_a_size_that_a_trainer_knows_is_not_said(page: Opened) -> None:
    choose(page, "mpdiou")
    assert box_of(config_of(page, "Ultralytics")) == "mpdiou"
    assert box_of(config_of(page, "torchvision")) == {"type": "mpdiou", "image_size": [640, 640]}
    for tab in ("transformers", "RF-DETR", "LibreYOLO", "any DETR"):  # their boxes are in sides of the image
        assert 'box="mpdiou", image_size=(640, 640))' in config_of(page, tab)
    choose(page, "ciou")
    assert 'box="ciou")' in config_of(page, "any DETR")


def test_the_lines_are_copied(browser: Browser, file: Path) -> None:
    page = Opened(browser, file, permissions=["clipboard-read", "clipboard-write"])
    page.page.click("#copy")
    page.page.wait_for_function("document.getElementById('copied').textContent === 'Copied.'")
    assert page.page.evaluate("navigator.clipboard.readText()") == page.page.inner_text("#config")
    page.context.close()


# --- looks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 820, 1360])
def test_nothing_sticks_out_and_dark_mode_is_dark(browser: Browser, file: Path, width: int, scheme: str) -> None:
    page = Opened(browser, file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    (back, text) = page.page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    bright = [sum(map(int, colour[4:-1].split(","))) / 3 for colour in (back, text)]
    assert (bright[0] < 60 and bright[1] > 180) if scheme == "dark" else (bright[0] > 200 and bright[1] < 80)
    page.context.close()


def test_without_a_browser_the_tests_say_how_to_install_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AssertionError, match="apt-get install -y --no-install-recommends chromium"):
        executable()


def test_it_is_one_small_file_that_names_no_other(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.encode()) < 500_000
    assert "default-src 'none'" in text
    for word in ("<script src", '<link rel="stylesheet', "@import", "url(", "fetch(", "XMLHttpRequest", "import("):
        assert word not in text
