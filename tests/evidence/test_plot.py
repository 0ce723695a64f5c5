"""`loss-plugins plot`: values and gradients along sweeps against closed forms, and pictures that can be read."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import typer
from PIL import Image
from torch import Tensor
from torch.nn.functional import softplus
from typer.testing import CliRunner

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.evidence.curves import REACH, SIDES, curve, surface
from loss_plugins.evidence.named import named_loss
from loss_plugins.evidence.plot import plot
from loss_plugins.evidence.sweeps import SIDE, inputs_of, sweeps_of
from loss_plugins.plots import style

SHIPPED = [entry.name for entry in shipped()]


def along(name: str, sweep: str) -> tuple[Tensor, Tensor, Tensor]:
    """Places, values and gradients of a loss."""
    named = named_loss(name, "plot")
    assert named.entry is not None
    (found,) = [each for each in sweeps_of(inputs_of(named.entry)) if each.name == sweep]
    drawn = curve(named, found)
    return drawn.places, drawn.value, drawn.gradient


# IoU of two squares of side s, one shifted by d: (s - d) / (s + d), where they overlap.
# Concentric squares of sides s and f s: min(f, 1 / f)^2, which is 4^-|x| for f = 2^x.
# Boxes of one area, of shapes 1 and r = 2^x: they share a = 2^(-|x| / 2) of it, so IoU = a / (2 - a).
IOUS: dict[str, Callable[[Tensor], Tensor]] = {
    "shift": lambda x: (SIDE - x.abs()).clamp(min=0) / (SIDE + x.abs()),
    "scale": lambda x: 4 ** -x.abs(),
    "aspect": lambda x: 2 ** (-x.abs() / 2) / (2 - 2 ** (-x.abs() / 2)),
}
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "shift": lambda x: torch.where(x.abs() < SIDE, x.sign() * 2 * SIDE / (SIDE + x.abs()) ** 2, 0.0),
    "scale": lambda x: x.sign() * math.log(4) * 4 ** -x.abs(),
    # d/dx of a / (2 - a) is 2 a' / (2 - a)^2, and a' = -sign(x) ln 2 / 2 a
    "aspect": lambda x: x.sign() * math.log(2) * 2 ** (-x.abs() / 2) / (2 - 2 ** (-x.abs() / 2)) ** 2,
}


@pytest.mark.parametrize("sweep", list(IOUS))
def test_iou_along_a_path_is_its_closed_form(sweep: str) -> None:
    places, value, gradient = along("iou", sweep)
    torch.testing.assert_close(value, 1 - IOUS[sweep](places), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, SLOPES[sweep](places), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["bce_with_logits", "bce"])
def test_cross_entropy_over_the_logit_is_softplus(name: str) -> None:
    # y softplus(-x) + (1 - y) softplus(x), whose slope is sigmoid(x) - y
    for title, target in (("target_1", 1.0), ("target_0", 0.0), ("target_0.5", 0.5)):
        x, value, gradient = along(name, title)
        torch.testing.assert_close(value, target * softplus(-x) + (1 - target) * softplus(x), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient, x.sigmoid() - target, rtol=1e-4, atol=1e-6)


def test_a_softmax_is_over_one_logit_among_zeros() -> None:
    # of the true class: ln(1 + 2 e^-x); of another one: ln(2 + e^x)
    for name in ("cross_entropy", "nll"):
        for title, expected in (
            ("the_true_class", lambda x: (1 + 2 * (-x).exp()).log()),
            ("another_class", lambda x: (2 + x.exp()).log()),
        ):
            x, value, _ = along(name, title)
            torch.testing.assert_close(value, expected(x), rtol=1e-6, atol=1e-6)


def test_a_surface_of_l1_is_a_sum_of_distances() -> None:
    # |x - w/2 + s/2| + |x + w/2 - s/2| in x, and the same in y
    named = named_loss("l1", "plot")
    found = surface(named, "coordinate")
    assert float(found.offsets[0]) == -REACH
    part = [(found.offsets - (side - SIDE) / 2).abs() + (found.offsets + (side - SIDE) / 2).abs() for side in SIDES]
    torch.testing.assert_close(found.value, part[1][:, None] + part[0][None, :])
    right_below = found.gradient[-1, -1]
    torch.testing.assert_close(right_below, torch.full_like(right_below, 2.0))
    below = found.gradient[-1, len(found.offsets) // 2]  # one edge of the wider box on either side of the target's
    assert below.tolist() == [0.0, 2.0]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_loss_has_curves_whose_gradient_is_their_slope(name: str) -> None:
    entry = lp.get_entry(name)
    named = named_loss(f"{name}({', '.join(f'{key}={value!r}' for key, value in entry.example.items())})", "plot")
    for sweep in sweeps_of(inputs_of(entry)):
        drawn = curve(named, sweep)
        assert bool(drawn.value.isfinite().all())
        assert bool(drawn.gradient.isfinite().all())
        if entry.traits.detached or named.loss.statistics:  # type: ignore[attr-defined]
            continue
        slope = (drawn.value[2:] - drawn.value[:-2]) / (drawn.places[2:] - drawn.places[:-2])
        error = (slope - drawn.gradient[1:-1]).abs() / drawn.gradient.abs().max().clamp(min=1e-12)
        assert float(error.median()) < 1e-2, sweep.name  # kinks apart


# --- the command ----------------------------------------------------------------------------------------------------


def test_losses_side_by_side_with_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "boxes.png"
    plot(["CIoU, nwd(constant=12, mode=exp)", "siou"], out=file)
    with Image.open(file) as picture:
        told = picture.info["Description"]
    assert told.startswith("loss-plugins plot 'CIoU, nwd(constant=12, mode=exp)' siou --out ")
    assert f"loss_plugins {lp.__version__}" in told
    printed = capsys.readouterr().out
    assert str(file) in printed
    assert str(file.with_suffix(".csv")) in printed
    lines = [line for line in file.with_suffix(".csv").read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["loss", "sweep", "place", "value", "gradient"]
    assert {row["loss"] for row in rows} == {"ciou", "nwd(constant=12, mode='exp')", "siou"}
    factors = [float(row["place"]) for row in rows if row["sweep"] == "scale" and row["loss"] == "siou"]
    assert (factors[0], factors[-1]) == (1 / 8, 8)


def test_json_is_all_that_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    app = typer.Typer()
    app.command()(plot)
    done = CliRunner().invoke(app, ["l1", "--json", "--out", str(file)], catch_exceptions=False)
    (found,) = json.loads(done.stdout)
    assert found["picture"] == str(file)
    assert found["command"] == f"loss-plugins plot l1 --out {file}"
    assert found["versions"]["loss_plugins"] == lp.__version__
    shift = found["curves"][0]
    assert (shift["loss"], shift["sweep"]) == ("l1", "shift")
    # two of four coordinates differ, by the shift
    assert shift["value"] == pytest.approx([2 * abs(place) for place in shift["place"]])
    assert set(shift["gradient"]) == {-2.0, 2.0}


def test_losses_of_unlike_inputs_get_a_picture_each(tmp_path: Path) -> None:
    plot(["focal", "giou", "bce", "cross_entropy"], out=tmp_path / "some.svg")
    found = {file.name for file in tmp_path.glob("*.svg")}
    assert found == {"some-focal-bce.svg", "some-giou.svg", "some-cross_entropy.svg"}


def test_dark_pictures_are_dark(tmp_path: Path) -> None:
    light, dark = tmp_path / "light.png", tmp_path / "dark.png"
    plot(["focal"], out=light)
    plot(["focal"], out=dark, dark=True)
    of_light, of_dark = (numpy.asarray(Image.open(file).convert("L")).mean() for file in (light, dark))
    assert of_light > 200
    assert of_dark < 60


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The figures that are drawn, open until the end."""
    from matplotlib import pyplot

    kept: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(pyplot, "close", kept.append)
        yield kept
    for each in kept:
        pyplot.close(each)


@pytest.mark.parametrize(
    "names", [["iou", "giou", "diou", "ciou", "eiou", "siou", "wiou"], ["prob_iou"], ["focal"], ["dice"], ["wing"]]
)
def test_no_label_touches_another(
    names: list[str], tmp_path: Path, figures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.text import Text

    plot(names, out=tmp_path / "a.png")
    (figure,) = figures
    shown: list[tuple[str, Any]] = []
    draw = Text.draw

    def noted(text: Text, renderer: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            shown.append((text.get_text(), text.get_window_extent(renderer)))
        draw(text, renderer)

    with monkeypatch.context() as patch:  # what is drawn, without the ticks beyond the ends of an axis
        patch.setattr(Text, "draw", noted)
        figure.draw_without_rendering()
    touching = [(one, other) for (one, a), (other, b) in combinations(shown, 2) if a.overlaps(b)]
    assert len(shown) > 20
    assert touching == []


def test_lines_are_told_apart_in_grey() -> None:
    assert len({str(style.line_of(number)["linestyle"]) for number in range(7)}) == 7
    assert len({str(style.line_of(number)) for number in range(14)}) == 14


def write_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "plotted_losses.py").write_text(
        "def corners(pred, target):\n    return (pred - target).abs().sum(-1)\n\n\n"
        "def mean(pred, target):\n    return (pred - target).abs().mean()\n\n\n"
        "def boxes_alone(pred, target):\n    a, b, c, d = pred.unbind(-1)\n    return a - target[..., 0]\n"
    )
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)


def test_a_function_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_own(tmp_path, monkeypatch)
    plot(["plotted_losses:corners", "l1"], out=tmp_path / "a.png")
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines() if not line.startswith("#")]
    own = [row[1:] for row in rows if row[0] == "plotted_losses:corners"]
    assert own
    assert own == [row[1:] for row in rows if row[0] == "l1"]


def test_a_class_loss_of_your_own(tmp_path: Path) -> None:
    plot(
        ["torch.nn:CrossEntropyLoss", "cross_entropy"], out=tmp_path / "a.png", kind="classification", form="class_map"
    )
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines() if not line.startswith("#")]
    values = [
        [float(row[3]) for row in rows if row[0] == name] for name in ("torch.nn:CrossEntropyLoss", "cross_entropy")
    ]
    assert values[0]
    assert values[0] == pytest.approx(values[1])


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["ciou"], {"out": Path("a.jpg")}, r"plot: --out='a.jpg'; allowed: a name that ends in .png, .svg, .pdf"),
        (["cio"], {}, r"ciou"),
        (["plotted_losses:mean"], {}, r"plotted_losses:mean gives \(\).*take its reduction out"),
        (["plotted_losses:boxes_alone"], {"kind": "rotated_box"}, r"plotted_losses:boxes_alone: .*--kind"),
        (["plotted_losses:corners"], {"kind": "boxes"}, r"--kind='boxes'"),
        (["plotted_losses:corners"], {"form": "labels"}, r"--form='labels'"),
        (["mpdiou"], {}, r"image_size"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    names: list[str], options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own(tmp_path, monkeypatch)
    with pytest.raises((ValueError, TypeError), match=message):
        plot(names, **{"out": tmp_path / "a.png", **options})
    assert not list(tmp_path.glob("a.*"))


def test_without_matplotlib_the_line_to_install_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install .*plots"):
        plot(["ciou"], out=tmp_path / "a.png")


# --- the page -------------------------------------------------------------------------------------------------------

DOCS = Path(__file__).parents[2] / "docs"


def test_pictures_of_the_page_are_made_by_the_command_beside_them() -> None:
    text = (DOCS / "plot.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(loss-plugins plot .*)$", text, flags=re.MULTILINE)
    pictures = re.findall(r"!\[[^]]+\]\(([\w-]+\.png)\)", text)
    assert len(pictures) > 2
    for picture in pictures:
        with Image.open(DOCS / picture) as drawn:
            made = str(drawn.info["Description"]).splitlines()[0]
        assert made in commands
        assert made.endswith(f"--out docs/{picture}") or f"--out docs/{picture} " in made
