"""`loss-plugins compare -- mmdet CONFIG.py`: stock and its twin on digits, and what ends it before any training."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmdet.evaluation.metrics import coco_metric

from loss_plugins.adapters.mmdet import compare
from loss_plugins.adapters.mmdet.compare import FirstWeights, coco_numbers, stock_losses, training
from loss_plugins.adapters.mmdet.demo import BASE
from loss_plugins.evidence.contenders import Contender, contenders
from loss_plugins.evidence.grid import Trained, results_in

from ...command_line import called

#: a loss that is the config's own, bit for bit
TWIN = "giou(dialect=mmdet)"
CONFIG = """
_base_ = ["{base}"]
model = dict(bbox_head=dict(loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0)))
train_dataloader = dict(dataset=dict(root="{root}", train=16, val=4))
val_dataloader = dict(dataset=dict(root="{root}", train=16, val=4))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file="{root}/annotations/val.json")
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=1))
"""


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ATSS with ResNet-18 and MMDetection's GIoU, one epoch of two steps."""
    folder = tmp_path_factory.mktemp("mmdet-compared")
    base = Path(str(files(BASE) / "demo.py")).as_posix()
    (folder / "config.py").write_text(CONFIG.format(base=base, root=(folder / "digits").as_posix()))
    return folder / "config.py"


def named(text: str) -> Contender:
    return contenders(text, "compare")[-1]


@pytest.fixture(scope="session")
def trained(config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Trained, Path]]:
    """Both, with one seed, and stock with another: trained once for all tests."""
    found = {}
    for name, text, seed in (("stock", "stock", 0), ("twin", TWIN, 0), ("another", "stock", 1)):
        folder = tmp_path_factory.mktemp(name)
        found[name] = training([str(config)]).train(named(text), seed, "keep", 1, folder), folder
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "run/epoch_1.pth", weights_only=False)["state_dict"]
    return {key: value for key, value in state.items() if "loss" not in key}


def test_stock_and_its_twin_end_with_the_same_weights(trained: dict[str, tuple[Trained, Path]]) -> None:
    stock, ours, another = (weights(trained[name][1]) for name in ("stock", "twin", "another"))
    assert stock.keys() == ours.keys()
    assert all(torch.equal(stock[key], ours[key]) for key in stock)
    assert not all(torch.equal(stock[key], another[key]) for key in stock), "seeds differ"


def test_each_says_what_it_was_trained_on_and_by(trained: dict[str, tuple[Trained, Path]]) -> None:
    stock, ours, another = (trained[name][0] for name in ("stock", "twin", "another"))
    assert stock.same == ours.same == another.same
    assert stock.start == ours.start != another.start
    assert {*stock.same["data"]} == {"train", "val"}
    assert stock.same["assigner"] == {"bbox_head.assigner": "ATSSAssigner(ignore_iof_thr=-1, topk=9)"}
    assert stock.same["gains"]["model.bbox_head.loss_bbox"] == 2.0
    assert stock.loss == {}
    expected = {"type": "loss_plugins.GIoULoss", "dialect": "mmdet", "loss_weight": 2.0}
    assert ours.loss == {"model.bbox_head.loss_bbox": expected}
    assert {*stock.measures} == {"mAP50-95", "mAP50"}
    assert (trained["twin"][1] / "run/loss_plugins.yaml").is_file()
    assert not (trained["stock"][1] / "run/loss_plugins.yaml").exists()


def test_the_command_trains_a_cell(config: Path, tmp_path: Path) -> None:
    line = ("--losses", "ciou", "--seeds", "1", "--threads", "1", "--cell", "1", "--out", str(tmp_path))
    done = called("compare", *line, "--", "mmdet", str(config))
    assert done.returncode == 0, done.stderr
    (found,) = results_in(tmp_path)
    assert (found.loss, found.seed) == ("ciou", 0)
    assert {"mmdet", "mmengine", "torch"} <= {*found.versions}


def test_a_training_that_was_stopped_goes_on(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = training([str(config), "train_cfg.max_epochs=2"])

    def stop(self: FirstWeights, runner: Any) -> None:
        if runner.epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FirstWeights, "before_train_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            whole.train(named("eiou"), 0, "keep", 1, tmp_path)
    start = json.loads((tmp_path / "start.json").read_text())["start"]
    first = tmp_path / "run/epoch_1.pth"
    written = first.stat().st_mtime_ns
    found = whole.train(named("eiou"), 0, "keep", 1, tmp_path)
    assert (found.resumed, found.start) == (1, start)
    assert first.stat().st_mtime_ns == written, "the first epoch is not trained again"
    assert (tmp_path / "run/epoch_2.pth").is_file()


def test_coco_is_read_before_it_is_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Coco:
        def __init__(self, kind: str) -> None:
            self.params = SimpleNamespace(iouType=kind)

        def summarize(self) -> None:
            self.stats = [0.123456, 0.654321]

    monkeypatch.setattr(coco_metric, "COCOeval", Coco)
    with coco_numbers() as found:
        coco_metric.COCOeval("segm").summarize()
        coco_metric.COCOeval("bbox").summarize()
    assert found == [[0.123456, 0.654321]]
    assert coco_metric.COCOeval is Coco
    assert compare.PLACES == {"mAP50-95": 0, "mAP50": 1}


SHIPPED = {
    "faster_rcnn": "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "gfl": "mmdet::gfl/gfl_r50_fpn_1x_coco.py",
    "detr": "mmdet::detr/detr_r50_8xb2-150e_coco.py",
}


@pytest.mark.parametrize(
    ("model", "loss", "keys"),
    [
        ("faster_rcnn", "focal", ["model.rpn_head.loss_cls"]),
        ("faster_rcnn", "cross_entropy", ["model.roi_head.bbox_head.loss_cls"]),
        ("faster_rcnn", "smooth_l1", ["model.rpn_head.loss_bbox", "model.roi_head.bbox_head.loss_bbox"]),
        ("gfl", "ciou", ["model.bbox_head.loss_bbox"]),
        ("gfl", "distribution_focal", ["model.bbox_head.loss_dfl"]),
        ("detr", "ciou", ["model.bbox_head.loss_iou"]),
    ],
)
def test_a_loss_goes_into_its_kinds_slot_in_every_head(model: str, loss: str, keys: list[str], tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(f'_base_ = ["{SHIPPED[model]}"]\n')
    asked = training([str(tmp_path / "config.py")])
    before = dict(stock_losses(asked._config.model))
    after = dict(stock_losses(asked._with(named(loss), "keep").model))
    assert [key for key in before if before[key] != after[key]] == keys
    assert all(after[key]["type"].startswith("loss_plugins.") for key in keys)
    assert all(after[key]["loss_weight"] == before[key].get("loss_weight", 1.0) for key in keys)


def test_a_matched_gain_is_that_of_the_stock_loss(config: Path) -> None:
    asked = training([str(config)])
    kept, matched = (asked._with(named("eiou"), gain).model.bbox_head.loss_bbox for gain in ("keep", "match"))
    assert kept["loss_weight"] == 2.0
    assert matched["loss_weight"] != 2.0
    twin = asked._with(named(TWIN), "match").model.bbox_head.loss_bbox
    assert twin["loss_weight"] == pytest.approx(2.0, rel=1e-6)


BEFORE: dict[str, tuple[str, tuple[str, ...], str]] = {
    "an unknown loss": ("coiu", (), "unknown loss"),
    "no slot": ("dice", (), "dice has no slot"),
    "a kind without slot": ("oks", (), "is a loss of kind keypoint"),
    "a slot that refuses": ("cross_entropy", (), "cross_entropy has no slot"),
    "a seed behind --": ("ciou", ("randomness.seed=3",), "randomness.seed=3 stands behind --"),
    "no boxes": ("ciou", ("val_evaluator.metric=proposal",), "measures no COCO mAP of boxes"),
}


@pytest.mark.parametrize("what", BEFORE)
def test_it_ends_before_any_training(what: str, config: Path, tmp_path: Path) -> None:
    losses, options, said = BEFORE[what]
    line = ("--losses", losses, "--seeds", "1", "--out", str(tmp_path / "out"))
    done = called("compare", *line, "--", "mmdet", str(config), *options)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_config_that_is_missing_ends_it(tmp_path: Path) -> None:
    line = ("--losses", "ciou", "--seeds", "1", "--out", str(tmp_path / "out"), "--", "mmdet")
    assert "no/such.py cannot be read" in called("compare", *line, "no/such.py").stderr
    assert "no config stands behind mmdet" in called("compare", *line, "key=3").stderr
