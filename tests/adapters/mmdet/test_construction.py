"""Models that cannot be built name the loss and a value that works, and no weights are loaded for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from loss_plugins.adapters.mmdet.construction import Construction, construct, our_losses
from loss_plugins.adapters.mmdet.offline import OFFLINE, offline, without_weights

from .heads import shipped

register_all_modules(init_default_scope=True)
FOCAL = {"type": "loss_plugins.FocalLoss"}


def built(config: str, key: str, loss: dict[str, Any], **head: Any) -> Construction:
    """The model of a shipped config without its weights, with a loss and settings of the head that holds it."""
    cfg = Config({"model": without_weights(shipped(config))})
    holder = cfg
    for name in key.split(".")[:-1]:
        holder = holder[name]
    holder.update(head)
    holder[key.rpartition(".")[2]] = loss
    return construct(cfg.model)


MASK2FORMER = "mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py"
MASKFORMER = "maskformer/maskformer_r50_ms-16xb1-75e_coco.py"
PANOPTIC = "model.panoptic_head.loss_cls"
RETINANET, CLASSES = "retinanet/retinanet_r18_fpn_1x_coco.py", "model.bbox_head.loss_cls"
OF_A_BASE = {"use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 3.0}


@pytest.mark.parametrize("config", [MASK2FORMER, MASKFORMER])
@pytest.mark.parametrize(("things", "stuff"), [(80, 53), (3, 2)])
def test_class_weight_that_the_head_reads_is_named(config: str, things: int, stuff: int) -> None:
    found = built(config, PANOPTIC, dict(FOCAL), num_things_classes=things, num_stuff_classes=stuff)
    (fault,) = found.faults.values()
    assert f"set {PANOPTIC}.class_weight=[1.0] * {things + stuff} + [0.1]" in fault.message
    assert "reads class_weight from the config of this loss, and it is missing" in fault.message
    assert found.model is not None
    again = built(
        config, PANOPTIC, {**FOCAL, "class_weight": fault.changes[f"{PANOPTIC}.class_weight"]},
        num_things_classes=things, num_stuff_classes=stuff,
    )  # fmt: skip
    assert (again.faults, again.error) == ({}, None)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ("detr/detr_r50_8xb2-150e_coco.py", "put the loss back that the head has by default"),
        ("dab_detr/dab-detr_r50_8xb2-50e_coco.py", "put loss_plugins.BCEWithLogitsLoss into"),
    ],
)
def test_the_default_of_a_head_is_offered_where_it_can_be_built(config: str, wanted: str) -> None:
    """DETR's own head reads bg_cls_weight and class_weight of the default; those derived from it cannot have it."""
    found = built(config, CLASSES, {"type": "loss_plugins.DiceLoss"})
    (fault,) = found.faults.values()
    assert wanted in fault.message
    again = built(config, CLASSES, fault.changes[CLASSES])
    assert (again.faults, again.error) == ({}, None)


def test_the_default_of_a_head_stays_what_it_is_where_another_loss_is_at_fault_too() -> None:
    """DETR's default cannot be built by itself, and the model not at all before the other loss is mended."""
    odd = {"type": "loss_plugins.L1Loss", "momentum": 0.9}
    found = built("detr/detr_r50_8xb2-150e_coco.py", CLASSES, {"type": "loss_plugins.DiceLoss"}, loss_bbox=odd)
    assert found.faults[CLASSES].changes[CLASSES]["type"] == "CrossEntropyLoss"
    assert found.model is not None


def test_a_number_that_the_head_wants_is_named() -> None:
    found = built("detr/detr_r50_8xb2-150e_coco.py", CLASSES, {**FOCAL, "class_weight": [1.0] * 81})
    assert found.faults[CLASSES].changes == {f"{CLASSES}.class_weight": 1.0}
    assert f"set {CLASSES}.class_weight=1.0" in found.faults[CLASSES].message


#: a loss that cannot be built, what is said of it, and what mends it
ALONE: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "a parameter of a base": (
        {"type": "loss_plugins.BCEWithLogitsLoss", **OF_A_BASE},
        "unknown parameter gamma=2.0, alpha=0.25",
        {"type": "loss_plugins.BCEWithLogitsLoss", "use_sigmoid": True, "loss_weight": 3.0},
    ),
    "and the other activation": (
        {"type": "loss_plugins.CrossEntropyLoss", **OF_A_BASE},
        "put _delete_=True",
        {"type": "loss_plugins.BCEWithLogitsLoss", "use_sigmoid": True, "loss_weight": 3.0},
    ),
    "use_sigmoid of a loss of boxes": (
        {"type": "loss_plugins.GIoULoss", "use_sigmoid": True},
        "unknown parameter use_sigmoid=True",
        {"type": "loss_plugins.GIoULoss"},
    ),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_loss_that_cannot_be_built_is_named(name: str) -> None:
    loss, said, wanted = ALONE[name]
    found = built(RETINANET, CLASSES, loss)
    assert list(found.faults) == [CLASSES]
    assert said in found.faults[CLASSES].message
    assert dict(found.faults[CLASSES].changes[CLASSES]) == wanted
    assert found.model is not None


@pytest.mark.parametrize("loss", [{"type": "loss_plugins.FocalLos"}, {**FOCAL, "gamma": -1.0}])
def test_what_no_change_mends_is_replaced_to_go_on(loss: dict[str, Any]) -> None:
    found = built(RETINANET, CLASSES, loss)
    assert found.faults[CLASSES].message.startswith("cannot be built: ")
    assert found.faults[CLASSES].changes == {}
    assert found.model is not None


def test_all_losses_are_named_at_once() -> None:
    other = {"type": "loss_plugins.GIoULos"}
    found = built(RETINANET, CLASSES, {**FOCAL, "gama": 1.0}, loss_bbox=other)
    assert set(found.faults) == {CLASSES, "model.bbox_head.loss_bbox"}


def test_an_error_of_something_else_blames_no_loss() -> None:
    found = built(RETINANET, CLASSES, {**FOCAL, "use_sigmoid": True}, anchor_generator={"type": "Nowhere"})
    assert found.faults == {}
    assert found.model is None
    assert "Nowhere" in str(found.error)


def test_a_loss_that_only_its_head_completes_is_not_blamed_for_another() -> None:
    """DETR makes a list of the number, which the loss itself does not take."""
    loss = {"type": "loss_plugins.CrossEntropyLoss", "class_weight": 1.0, "bg_cls_weight": 0.1}
    found = built("detr/detr_r50_8xb2-150e_coco.py", CLASSES, loss)
    assert (found.faults, found.error) == ({}, None)
    found = built("detr/detr_r50_8xb2-150e_coco.py", CLASSES, loss, loss_iou={"type": "Nowhere"})
    assert found.faults == {}
    assert "Nowhere" in str(found.error)


def test_losses_are_found_by_name_and_by_class() -> None:
    from loss_plugins.adapters.mmdet import EIoULoss

    losses = [{"type": EIoULoss}, {"type": "L1Loss"}, {"type": "loss_plugins.adapters.mmdet.CIoULoss"}]
    assert [key for key, _ in our_losses({"heads": losses})] == ["model.heads.0", "model.heads.2"]


#: shipped models that start from weights, or load some when they are built
WEIGHTY = ("lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py", "detectors/detectors_cascade-rcnn_r50_1x_coco.py")


@pytest.mark.parametrize("config", WEIGHTY)
def test_no_weights_are_loaded(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: Any, **named: Any) -> None:
        raise AssertionError(f"weights are loaded: {arguments}")

    monkeypatch.setattr(CheckpointLoader, "load_checkpoint", load)
    found = construct(shipped(config))
    assert found.error is None
    assert found.model is not None


def test_a_config_without_weights_is_a_copy() -> None:
    config = Config(
        {
            "init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet50"},
            "pretrained": "x.pth",
            "backbone": {"init_cfg": [{"type": "Kaiming"}, {"type": "Pretrained", "checkpoint": "y"}]},
            "head": [{"init_cfg": {"type": "Normal"}}],
        }
    )
    left = without_weights(config.to_dict())
    assert left == {"backbone": {}, "head": [{"init_cfg": {"type": "Normal"}}]}
    assert "pretrained" in config


def test_language_models_stay_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv(OFFLINE[0], "0")
    monkeypatch.delenv(OFFLINE[1], raising=False)
    with offline():
        assert [os.environ[name] for name in OFFLINE] == ["1", "1"]
    assert os.environ[OFFLINE[0]] == "0"
    assert OFFLINE[1] not in os.environ


def test_doctor_tells_of_the_framework_of_the_config_alone(tmp_path: Path) -> None:
    from loss_plugins.adapters.ultralytics.cli import report

    (file := tmp_path / "config.py").write_text("model = dict()")
    assert report(str(file)) is None
