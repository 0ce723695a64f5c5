"""Pictures and charts: nothing that is written on them is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs the extra: loss-plugins[digits]")

from matplotlib import pyplot
from PIL import Image

from loss_plugins.bench.cases import BCE, COMPILED, OURS
from loss_plugins.bench.chart import draw
from loss_plugins.bench.measure import Result
from loss_plugins.demo.pictures import DetectedScene, draw_scenes


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> list[pyplot.Figure]:
    """The figures drawn by the test, kept open."""
    kept: list[pyplot.Figure] = []
    monkeypatch.setattr(pyplot, "close", kept.append)
    return kept


@pytest.mark.parametrize("top", [0.0, 3.0, 12.0, 150.0, 290.0])
def test_labels_of_boxes_lie_inside_the_picture(top: float, figure: list[pyplot.Figure], tmp_path: Path) -> None:
    Image.new("RGB", (320, 320), "gray").save(tmp_path / "scene.png")
    boxes = [((20.0, top, 90.0, top + 30), "5 90%")]
    scenes = [DetectedScene(tmp_path / "scene.png", boxes, boxes)] * 3
    assert draw_scenes(scenes, "eiou", tmp_path / "picture.png").is_file()
    for axis in figure[0].axes:
        (label,) = axis.texts
        assert label.get_window_extent().y1 <= axis.get_window_extent().y1 + 1  # a pixel


@pytest.mark.parametrize("losses", [("iou",), ("iou", "focal"), ("iou", "giou", "focal")])
@pytest.mark.parametrize("contenders", [(OURS, COMPILED, "mmdet"), (OURS, COMPILED, BCE, "mmdet")])
def test_the_legend_fits_and_names_what_is_drawn(
    losses: tuple[str, ...], contenders: tuple[str, ...], figure: list[pyplot.Figure], tmp_path: Path
) -> None:
    results = [Result(name, size, dict.fromkeys(contenders, size / 1e4)) for name in losses for size in (512, 8192)]
    draw(results, tmp_path / "chart.png")
    (legend,) = figure[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [*contenders[:-1], "peers"]
    box, page = legend.get_window_extent(), figure[0].bbox
    assert page.x0 <= box.x0
    assert box.x1 <= page.x1
