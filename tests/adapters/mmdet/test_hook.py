"""LossPluginsHook and doctor: what they find, refuse, count and write."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
import yaml
from mmengine.registry import MODELS
from torch import Tensor, nn

from loss_plugins import EIoULoss, Interval, Traits, register_loss, unregister_loss
from loss_plugins.adapters.mmdet import LossNotUsed, LossPluginsHook, SenselessSlot, find_losses
from loss_plugins.adapters.mmdet.doctor import report

from ..interpreter import fresh_python
from .heads import BATCHES, CASES, Case
from .runs import BATCHES as ITERATIONS
from .runs import runner

EIOU = {"type": "loss_plugins.EIoULoss", "loss_weight": 2.0}
L1 = {"type": "loss_plugins.L1Loss"}
CXCYWH = {"type": "loss_plugins.GIoULoss", "box_format": "cxcywh"}
PIXELS = {"type": "loss_plugins.TestPixelsLoss"}


@pytest.fixture(autouse=True)
def _pixel_loss() -> Iterator[None]:
    @register_loss("test_pixels", kind="box", traits=Traits(units="pixels"))
    def pixels(pred: Tensor, target: Tensor, *, constant: Annotated[float, Interval(0)] = 12.8) -> Tensor:
        """Something in pixels."""
        return (pred - target).abs().sum(-1) / constant

    yield
    unregister_loss("test_pixels")


def changed(name: str, **changes: Any) -> Case:
    """A case with other slots or settings."""
    case = CASES[name]
    settings = changes.pop("changes", {})
    return dataclasses.replace(case, changes={**case.changes, **settings}, **changes)


BOX = ("bbox_head.loss_bbox",)
NO_FACTOR = r"allowed: a factor from 1e-07 on; set model\.bbox_head\.loss_bbox\.loss_weight=1\.0"
NOTHING = {"type": "loss_plugins.MixLoss", "losses": [{"type": "ciou", "loss_weight": 0.0}]}
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a factor of 0, which trains nothing": (
        lambda: CASES["ATSS"].build({**EIOU, "loss_weight": 0.0}),
        NO_FACTOR,
    ),
    "a factor that float32 does not resolve": (
        lambda: CASES["ATSS"].build({**EIOU, "loss_weight": 1e-8}),
        rf"nothing in float32 .*{NO_FACTOR}",
    ),
    "a negative factor": (lambda: CASES["ATSS"].build({**EIOU, "loss_weight": -1.0}), NO_FACTOR),
    "a mix of which nothing is trained": (lambda: CASES["ATSS"].build(NOTHING), NO_FACTOR),
    "RetinaNet on offsets": (
        lambda: changed("RetinaNet", changes={"bbox_head.reg_decoded_bbox": False}).build(EIOU),
        r"set model\.bbox_head\.reg_decoded_bbox=True",
    ),
    "RPN on offsets": (
        lambda: changed("RPN", changes={"rpn_head.reg_decoded_bbox": False}).build(EIOU),
        r"set model\.rpn_head\.reg_decoded_bbox=True",
    ),
    "second stage on offsets": (
        lambda: changed("Faster R-CNN", changes={"roi_head.bbox_head.reg_decoded_bbox": False}).build(EIOU),
        r"set model\.roi_head\.bbox_head\.reg_decoded_bbox=True",
    ),
    "third stage of three on offsets": (
        lambda: changed("Cascade R-CNN", changes={"roi_head.bbox_head.2.reg_decoded_bbox": False}).build(EIOU),
        r"^model\.roi_head\.bbox_head\.2\.loss_bbox .*set model\.roi_head\.bbox_head\.2\.reg_decoded_bbox=True$",
    ),
    "DETR's loss_bbox": (
        lambda: changed("DETR", slots=BOX).build(EIOU),
        r"put this loss into model\.bbox_head\.loss_iou",
    ),
    "DINO's loss_bbox": (
        lambda: changed("DINO", slots=BOX).build(EIOU),
        r"put this loss into model\.bbox_head\.loss_iou",
    ),
    "L1 in DETR's loss_iou": (
        lambda: changed("DETR").build(L1),
        r"put this loss into model\.bbox_head\.loss_bbox",
    ),
    "FreeAnchor": (
        lambda: Case("free_anchor/freeanchor_r50_fpn_1x_coco.py").build(EIOU),
        r"gets encoded offsets, and eiou compares boxes: put a coordinate loss .* into model\.bbox_head\.loss_bbox",
    ),
    "PISA RetinaNet": (
        lambda: Case("pisa/retinanet-r50_fpn_pisa_1x_coco.py").build(EIOU),
        r"PISARetinaHead ranks by one number per coordinate",
    ),
    "PISA Faster R-CNN": (
        lambda: changed(
            "Faster R-CNN", config="pisa/faster-rcnn_r50_fpn_pisa_1x_coco.py", slots=("roi_head.bbox_head.loss_bbox",)
        ).build(EIOU),
        r"PISARoIHead ranks by one number per coordinate",
    ),
    "FoveaBox": (
        lambda: Case("foveabox/fovea_r50_fpn_4xb4-1x_coco.py").build(EIOU),
        r"gets encoded offsets, and eiou compares boxes: put a coordinate loss",
    ),
    "YOLOX with a mean": (
        lambda: changed("YOLOX", reduction="mean").build(EIOU),
        r"set model\.bbox_head\.loss_bbox\.reduction='sum'",
    ),
    "YOLOX's loss_l1": (
        lambda: changed("YOLOX", slots=("bbox_head.loss_l1",)).build(EIOU),
        r"gets encoded offsets, and eiou compares boxes",
    ),
    "pixels in GFL": (
        lambda: changed("GFL").build(PIXELS),
        r"corners of boxes in cells of a stride, and test_pixels needs pixels",
    ),
    "pixels in TOOD": (lambda: changed("TOOD").build(PIXELS), r"boxes in cells of a stride"),
}


@pytest.mark.parametrize("place", REFUSED)
def test_senseless_places_are_refused(place: str, tmp_path: Path) -> None:
    build, message = REFUSED[place]
    with pytest.raises(SenselessSlot, match=message):
        LossPluginsHook().before_train(runner(build(), tmp_path))


ACCEPTED: dict[str, Callable[[], nn.Module]] = {
    **{name: (lambda case=case: case.build(EIOU)) for name, case in CASES.items()},
    "L1 in DETR's loss_bbox": lambda: changed("DETR", slots=BOX).build(L1),
    "IoU of centres and sizes in DETR's loss_bbox": lambda: changed("DETR", slots=BOX).build(CXCYWH),
    "L1 on offsets": lambda: changed("RetinaNet", changes={"bbox_head.reg_decoded_bbox": False}).build(L1),
    "L1 in YOLOX's loss_l1": lambda: changed("YOLOX", slots=("bbox_head.loss_l1",)).build(L1),
    "pixels in FCOS": lambda: changed("FCOS").build(PIXELS),
}


@pytest.mark.parametrize("place", ACCEPTED)
def test_sensible_places_are_accepted(place: str, tmp_path: Path) -> None:
    LossPluginsHook().before_train(runner(ACCEPTED[place](), tmp_path))
    assert (tmp_path / "loss_plugins.yaml").is_file()


def test_offsets_are_refused_without_the_hook_too() -> None:
    case = changed("RetinaNet", changes={"bbox_head.reg_decoded_bbox": False})
    with pytest.raises(SenselessSlot, match="have a width or height below 0"):
        case.step(case.build(EIOU), BATCHES["gt"])


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    case = changed("Cascade R-CNN", changes={f"roi_head.bbox_head.{i}.reg_decoded_bbox": False for i in range(3)})
    with pytest.raises(SenselessSlot) as refused:
        LossPluginsHook().before_train(runner(case.build(EIOU), tmp_path))
    assert str(refused.value).count("\n") == 2


def test_allowed_places_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = changed("YOLOX", reduction="mean").build(EIOU)
    with caplog.at_level("WARNING"):
        LossPluginsHook(allow=["bbox_head.loss_bbox"]).before_train(runner(model, tmp_path))
    assert "set model.bbox_head.loss_bbox.reduction='sum'" in caplog.text


@pytest.mark.parametrize("written", ["bbox_head.loss_bbox", "model.bbox_head.loss_bbox"])
def test_allow_is_written_as_messages_write_it(written: str, tmp_path: Path) -> None:
    """What is allowed trains: the loss does not raise either."""
    case = changed("RetinaNet", changes={"bbox_head.reg_decoded_bbox": False})
    model = case.build(EIOU)
    LossPluginsHook(allow=[written]).before_train(runner(model, tmp_path))
    case.step(model, BATCHES["gt"])
    assert model.bbox_head.loss_bbox.calls > 0


def test_allowed_paths_have_a_loss(tmp_path: Path) -> None:
    hook = LossPluginsHook(allow=["bbox_head.los_bbox"])
    with pytest.raises(ValueError, match=r"los_bbox'\] names no loss .*did you mean 'bbox_head.loss_bbox'"):
        hook.before_train(runner(CASES["ATSS"].build(EIOU), tmp_path))


def test_bare_core_module_is_refused(tmp_path: Path) -> None:
    model = CASES["ATSS"].build(EIOU)
    model.bbox_head.loss_bbox = EIoULoss()
    with pytest.raises(SenselessSlot, match=r"set model\.bbox_head\.loss_bbox\.type='loss_plugins\.EIoULoss'"):
        LossPluginsHook().before_train(runner(model, tmp_path))


def test_no_loss_of_ours_is_an_error(tmp_path: Path) -> None:
    """An unscoped name builds MMDetection's class: training would go on with another paper's loss."""
    model = CASES["ATSS"].build({"type": "EIoULoss"})
    with pytest.raises(LossNotUsed, match=r"type='loss_plugins\.EIoULoss'"):
        LossPluginsHook().before_train(runner(model, tmp_path))


def test_losses_in_a_list_belong_to_the_head_that_holds_it() -> None:
    head = nn.Module()
    head.losses = nn.ModuleList([MODELS.build(EIOU), MODELS.build(L1)])
    model = nn.Module()
    model.head = head
    slots = find_losses(model)
    assert [(slot.path, slot.slot, slot.head is head, slot.head_key) for slot in slots] == [
        ("head.losses.0", "losses.0", True, "model.head"),
        ("head.losses.1", "losses.1", True, "model.head"),
    ]


def test_record_and_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    case, hook = CASES["Cascade R-CNN"], LossPluginsHook()
    model = case.build(EIOU)
    run = runner(model, tmp_path)
    with caplog.at_level("INFO"):
        hook.before_train(run)
        case.step(model, BATCHES["gt"])
        hook.after_train_epoch(run)
        hook.after_train(run)
    assert "model.roi_head.bbox_head.1.loss_bbox of Shared2FCBBoxHead" in caplog.text
    assert "loss_plugins.EIoULoss called 5 times on" in caplog.text
    record = yaml.safe_load((tmp_path / "loss_plugins.yaml").read_text())
    assert record["versions"]["mmdet"] == "3.3.0"
    assert [entry["where"] for entry in record["losses"]] == [*case.slots]
    assert [entry["calls"] for entry in record["losses"]] == [5, 1, 1, 1]
    assert all(entry["boxes"] > 0 for entry in record["losses"])
    assert MODELS.build(record["losses"][0]["loss"]).spec() == model.rpn_head.loss_bbox.spec()
    checkpoint: dict[str, Any] = {}
    hook.before_save_checkpoint(run, checkpoint)
    assert checkpoint["meta"]["loss_plugins"] == record


@pytest.mark.parametrize("moment", ["after_train_epoch", "before_val_epoch"])
def test_a_loss_that_nobody_calls_is_an_error(moment: str, tmp_path: Path) -> None:
    case, hook = CASES["ATSS"], LossPluginsHook(canary=False)
    model = case.build(EIOU)
    model.bbox_head.loss_other = MODELS.build(L1)
    run = runner(model, tmp_path)
    hook.before_train(run)
    case.step(model, BATCHES["gt"])
    run.iter += ITERATIONS
    with pytest.raises(LossNotUsed, match=r"no head has called model\.bbox_head\.loss_other \(loss_plugins\.L1Loss\)"):
        getattr(hook, moment)(run)


def test_calls_without_gradient_prove_nothing(tmp_path: Path) -> None:
    hook, model = LossPluginsHook(), nn.Module()
    model.loss = MODELS.build(EIOU)
    hook.before_train(runner(model, tmp_path))
    with torch.no_grad():
        model.loss(torch.rand(3, 4), torch.rand(3, 4))
    with pytest.raises(LossNotUsed):
        hook.after_train_epoch(runner(model, tmp_path))


def test_yoloxs_late_l1_is_not_missed(tmp_path: Path) -> None:
    hook = LossPluginsHook()
    model = changed("YOLOX", slots=("bbox_head.loss_l1",)).build(L1)
    hook.before_train(runner(model, tmp_path))
    hook.after_train_epoch(runner(model, tmp_path))


def test_wrapped_model_is_unwrapped(tmp_path: Path) -> None:
    from mmengine.model import is_model_wrapper
    from torch.nn.parallel import DataParallel

    wrapped = DataParallel(CASES["ATSS"].build(EIOU))
    assert is_model_wrapper(wrapped)
    hook = LossPluginsHook()
    hook.before_train(runner(wrapped, tmp_path))
    assert [slot.path for slot in hook.slots] == ["bbox_head.loss_bbox"]


# --- doctor -------------------------------------------------------------------------------------------------

ATSS = """
_base_ = "mmdet::atss/atss_r18_fpn_8xb8-amp-lsj-200e_coco.py"
model = dict(bbox_head=dict(loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss")))
"""
RETINA = """
_base_ = "mmdet::retinanet/retinanet_r18_fpn_1xb8-1x_coco.py"
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))
model = dict(bbox_head=dict(loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss")))
"""


def checks(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in result["checks"]}


def test_doctor_of_this_installation() -> None:
    result = report()
    assert result["ok"], result
    assert result["versions"]["mmdet"] == "3.3.0"


def test_doctor_of_a_config(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(ATSS)
    result = report(str(file))
    assert result["ok"], result
    assert "not there" in checks(result)["LossPluginsHook"]["detail"]
    file.write_text(RETINA)
    result = report(str(file))
    assert not result["ok"]
    assert "set model.bbox_head.reg_decoded_bbox=True" in checks(result)["model.bbox_head.loss_bbox"]["detail"]


def work_dir(folder: Path, config: str, record: str) -> Path:
    """As MMEngine and the hook leave it after two starts."""
    for start, text in (("20260101_101010", "model = dict()"), ("20260102_080000", config)):
        (folder / start / "vis_data").mkdir(parents=True)
        (folder / start / "vis_data/config.py").write_text(text)
    (folder / "epoch_1.pth").write_bytes(b"")
    if record:
        (folder / "loss_plugins.yaml").write_text(record)
    return folder


RECORD = """
run: a
versions: {mmdet: 3.3.0}
iterations: [5, 8]
losses: [{where: bbox_head.loss_bbox, loss: {type: loss_plugins.EIoULoss}, calls: 20, boxes: 64}]
earlier: [{iterations: [1, 4], losses: []}]
"""


def test_doctor_of_a_work_directory(tmp_path: Path) -> None:
    from loss_plugins.adapters.ultralytics.runs import is_of_another_framework

    folder = work_dir(tmp_path / "run", ATSS, RECORD)
    for asked in (folder, folder / "epoch_1.pth", folder / "20260102_080000"):
        result = report(str(asked))
        assert result["ok"], result
        told = checks(result)
        assert told["trained by"]["detail"] == (
            "iterations 1 to 4: no loss of loss_plugins; resumed: iterations 5 to 8: loss_plugins.EIoULoss in "
            "bbox_head.loss_bbox, called 20 times on 64 boxes"
        )
        assert f"the model of {folder / '20260102_080000/vis_data/config.py'} can be built" in told
        assert "model.bbox_head.loss_bbox" in told
    assert is_of_another_framework(folder)


def test_doctor_of_a_work_directory_without_record_or_config(tmp_path: Path) -> None:
    from loss_plugins.adapters.ultralytics.runs import is_of_another_framework

    folder = work_dir(tmp_path / "run", ATSS, "")
    result = report(str(folder))
    assert not result["ok"]
    assert "no LossPluginsHook was there" in checks(result)["trained by"]["detail"]
    assert is_of_another_framework(folder)
    for start in folder.glob("*_*/vis_data/config.py"):
        start.unlink()
    told = checks(report(str(folder)))
    assert "loss-plugins doctor CONFIG.py, with the config that was trained" in told["the config is there"]["detail"]
    (folder / "atss.py").write_text(ATSS)  # which MMEngine keeps too
    assert f"the model of {folder / 'atss.py'} can be built" in checks(report(str(folder)))
    (tmp_path / "other").mkdir()
    assert report(str(tmp_path / "other")) is None
    assert not is_of_another_framework(tmp_path / "other")


def test_doctor_of_a_config_without_our_losses(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text('_base_ = "mmdet::atss/atss_r18_fpn_8xb8-amp-lsj-200e_coco.py"')
    assert (
        "no loss of loss_plugins is in it" in checks(report(str(file)))[f"the model of {file} can be built"]["detail"]
    )


WITHOUT = """
import sys, importlib.util, importlib.machinery, json
absent = sys.argv[1].split(",")
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in absent else real(name, package)
sys.meta_path.insert(0, Hide())
from loss_plugins.adapters.mmdet.doctor import report
print(json.dumps(report()))
"""


@pytest.mark.parametrize("absent", ["mmengine,mmcv,mmdet", "mmcv", "mmdet"])
def test_doctor_says_what_is_missing_and_how_to_install_it(absent: str) -> None:
    result = json.loads(fresh_python(WITHOUT, absent).splitlines()[-1])
    for name in absent.split(","):
        check = checks(result)[f"{name} can be imported"]
        assert not check["ok"]
        assert "pip install" in check["detail"]
        assert name in check["detail"]
    assert result["ok"] == (absent.count(",") == 2)  # nothing of it installed: nothing is broken
