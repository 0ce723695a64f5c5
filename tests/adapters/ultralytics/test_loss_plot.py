"""The picture of a run's losses: what it shows for each slot and family, when it is drawn; it teaches nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.loss_plot import LossPlot, ratios_of
from loss_plugins.adapters.ultralytics.mixin import LossPluginMixin
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.module.curves import over_iou, over_logit
from loss_plugins.module.gain import box_gain

MODELS = {
    "detect": (tasks.DetectionModel, "yolo11n.yaml"),
    "segment": (tasks.SegmentationModel, "yolo11n-seg.yaml"),
    "obb": (tasks.OBBModel, "yolo11n-obb.yaml"),
    "rtdetr": (tasks.RTDETRDetectionModel, "rtdetr-resnet50.yaml"),
}
VARIFOCAL = ["stock, varifocal, target 0.8", "stock, varifocal, target 0"]
#: of a run that went on from its first epoch
RATIOS = (
    "epoch,time,plug/box_gradient_ratio,plug/cls_gradient_ratio\n1,2,6.5,nan\n2,3,0,0.5\n2,3,1.25,inf\n3,4,2.5,0.75\n"
)


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    made = {}
    for task, (cls, file) in MODELS.items():
        made[task] = cls(file, nc=3, verbose=False)
        made[task].args = get_cfg()
        made[task].nc = 3
    return made


@contextmanager
def checked(model: nn.Module, **losses: Any) -> Iterator[Plug]:
    """A plug whose criterion has been checked, as before a training."""
    with plugged(lpu.make_spec(**losses), bound=True) as plug:
        plug.bind(model)
        plug.check(model.init_criterion())
        yield plug


def seen(picture: LossPlot, table: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The plots of a picture that is drawn, row by row."""
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **kwargs: (figures.append(self), save(self, *args, **kwargs))
    )
    picture.draw(table)
    return list(figures[-1].axes)


def points(plot: Any) -> dict[str, list[list[float]]]:
    """The lines of a plot, x and y, by their labels."""
    return {line.get_label(): [list(map(float, each)) for each in line.get_data()] for line in plot.get_lines()}


def test_boxes_scores_and_ratios_are_those_of_the_losses_and_the_table(
    models: dict[str, nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results.csv").write_text(RATIOS)
    box = {"type": "alpha_ciou", "loss_weight": 2.0}
    with checked(models["segment"], box=box, cls="quality_focal", mask="dice", gain="keep") as plug:
        plots = seen(LossPlot(plug, tmp_path), tmp_path / "results.csv", monkeypatch)
    height, width = imread(tmp_path / "loss_plugins.png").shape[:2]
    assert width > height > 1000
    assert len(plots) == 9

    ours, stock = over_iou(lp.build_loss("alpha_ciou"), lp.ciou_loss)
    for plot, of in ((plots[0], "loss"), (plots[1], "gradient")):
        drawn = list(points(plot).values())
        assert [line[0] for line in drawn] == [stock.at.tolist()] * 2
        assert drawn[0][1] == pytest.approx(getattr(stock, of).tolist(), rel=1e-4)
        assert drawn[1][1] == pytest.approx((2 * getattr(ours, of)).tolist(), rel=1e-6)
    assert list(points(plots[0])) == ["stock, CIoU", "alpha_ciou x 2"]

    labels = ["stock, BCE, target 0.8", "quality_focal, target 0.8", "stock, BCE, target 0", "quality_focal, target 0"]
    assert list(points(plots[3])) == labels
    (p0, _), (n0, _) = (over_logit(lp.build_loss("quality_focal"), lp.bce_with_logits_loss, q) for q in (0.8, 0.0))
    for label, curve in ((labels[1], p0), (labels[3], n0)):
        assert points(plots[3])[label][1] == pytest.approx(curve.loss.tolist(), rel=1e-6)
    x = torch.tensor(points(plots[4]).popitem()[1][0])
    assert list(points(plots[4]).values())[2][1] == pytest.approx(x.sigmoid().tolist(), rel=1e-4)

    measured = [list(points(plot).values())[-1] for plot in (plots[2], plots[5], plots[8])]
    assert measured == [[[1.0, 2.0, 3.0], [6.5, 1.25, 2.5]], [[2.0, 3.0], [0.5, 0.75]], [[], []]]
    for plot in (plots[2], plots[5], plots[8]):
        low, high = plot.get_ylim()
        assert low <= 0.3, "the band"
        assert high >= 3
        assert plot.get_yscale() == "log"
    assert not plots[6].get_lines(), "masks have no curve"
    assert "mask loss dice: no curves" in plots[6].texts[0].get_text()


def test_a_matched_gain_is_part_of_what_is_drawn(models: dict[str, nn.Module], tmp_path: Path) -> None:
    with checked(models["detect"], box="alpha_ciou", gain="match") as plug:
        (row,) = LossPlot(plug, tmp_path).rows
    factor = box_gain(lp.build_loss("alpha_ciou"), lp.ciou_loss).factor
    assert row.lines[1].label == f"alpha_ciou x {factor:.3g}"
    plain, _ = over_iou(lp.build_loss("alpha_ciou"), lp.ciou_loss)
    torch.testing.assert_close(row.lines[1].curve.gradient, factor * plain.gradient, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("task", "losses", "stock"),
    [
        ("rtdetr", {"box": "mpdiou", "cls": "focal"}, ["stock, GIoU", *VARIFOCAL]),
        ("obb", {"box": "kld"}, ["stock, ProbIoU"]),
        ("detect", {"box": "nwd"}, ["stock, CIoU"]),
        ("detect", {"cls": "ghm_c"}, []),
        ("detect", {"dfl": "distribution_focal"}, []),
    ],
    ids=str,
)  # fmt: skip
def test_each_family_has_its_own_stock_loss(
    task: str, losses: dict[str, Any], stock: list[str], models: dict[str, nn.Module], tmp_path: Path
) -> None:
    with checked(models[task], **losses) as plug:
        picture = LossPlot(plug, tmp_path)
        picture.draw(tmp_path / "results.csv")
    lines = [line for row in picture.rows for line in row.lines]
    assert [line.label for line in lines if line.label.startswith("stock")] == stock
    assert len(lines) == 2 * len(stock)
    for line in lines:
        assert all(each.isfinite().all() for each in line.curve)
    assert imread(picture.file).size


def test_drawing_teaches_the_losses_nothing_and_draws_no_random_number(
    models: dict[str, nn.Module], tmp_path: Path
) -> None:
    with checked(models["detect"], box={"type": "wiou", "version": 3}, cls="ghm_c", gain="match") as plug:
        plug.prepare(1, torch.device("cpu"))
        plug.slots[0].losses[0](torch.tensor([[0.0, 0, 2, 2]], requires_grad=True), torch.tensor([[1.0, 1, 3, 3]]))
        counted = [slot.calls.as_dict() for slot in plug.slots]
        before, random = copy.deepcopy(plug.state()), torch.get_rng_state()
        LossPlot(plug, tmp_path).draw(tmp_path / "results.csv")
        assert plug.state() == before
        assert [slot.calls.as_dict() for slot in plug.slots] == counted
        assert plug.slots[0].losses[0].training
        assert not torch.is_anomaly_enabled()
    assert torch.equal(torch.get_rng_state(), random)


class Stock:
    """A trainer that does nothing but call its callbacks."""

    def run_callbacks(self, event: str) -> None:
        self.events.append((event, list(self.plots)))  # type: ignore[attr-defined]

    def plot_metrics(self) -> None:
        self.events.append(("results.png", list(self.plots)))  # type: ignore[attr-defined]

    def on_plot(self, file: Path) -> None:
        self.plots.append(file)  # type: ignore[attr-defined]


class Trainer(LossPluginMixin, Stock):
    """The same between two epochs."""

    def __init__(self, folder: Path, picture: Any) -> None:
        self.csv, self.plots, self.events, self.loss_plot = folder / "results.csv", [], [], picture


def test_it_is_drawn_after_epochs_1_2_4_8_and_in_the_end_before_loggers_look(tmp_path: Path) -> None:
    drawn: list[int] = []
    picture = SimpleNamespace(file=tmp_path / "loss_plugins.png", draw=lambda table: drawn.append(trainer.epoch + 1))
    trainer = Trainer(tmp_path, picture)
    for trainer.epoch in range(10):
        trainer.run_callbacks("on_fit_epoch_end")
    assert drawn == [1, 2, 4, 8]
    assert trainer.events[0] == ("on_fit_epoch_end", [picture.file]), "loggers find it among the plots"
    trainer.plot_metrics()
    assert drawn == [1, 2, 4, 8, 10]
    assert trainer.plots == [picture.file] * 5
    assert trainer.events[-1][0] == "results.png"


def test_a_trainer_that_plots_nothing_draws_nothing(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path, None)
    trainer.epoch = 0
    trainer.run_callbacks("on_fit_epoch_end")
    trainer.plot_metrics()
    assert trainer.plots == []


def test_a_table_may_lack_what_is_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    assert not any(ratios_of(file).values())
    file.write_text("")
    assert not any(ratios_of(file).values())
    file.write_text("  epoch,  plug/box_gradient_ratio\n  1,  2.5\nx,1\n2,\n3\n4,torn\n")
    assert ratios_of(file)["box"] == {1: 2.5}
