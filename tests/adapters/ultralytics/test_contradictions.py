"""What contradicts the place that a loss stands in, or trains nothing, is refused before training, with the cause."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel
from ultralytics.utils import ROOT

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import bases, cli, trainers
from loss_plugins.adapters.ultralytics.config import read_config
from loss_plugins.adapters.ultralytics.own import enter_from
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.adapters.ultralytics.yaml12 import yaml_value
from loss_plugins.catalog.entries import shipped

from .test_bbox_loss import bbox_call

CENTERED = [entry.name for entry in shipped() if entry.kind == "box" and "box_format" in entry.parameters]
CORNERS = r"box_format='cxcywh'; allowed: 'xyxy'; leave box_format out"


@pytest.mark.parametrize("name", CENTERED)
def test_boxes_are_corners(name: str) -> None:
    spec = {"type": name, **lp.get_entry(name).example, "box_format": "cxcywh"}
    for box in (spec, {"type": "mix", "losses": ["iou", spec]}, lp.build_loss(spec)):
        with pytest.raises(ValueError, match=f"{name}: .*{CORNERS}"):
            lpu.trainer(box=box)
    lpu.make_spec({**spec, "box_format": "xyxy"})


@pytest.mark.parametrize("name", ["focal", "quality_focal", "varifocal"])
@pytest.mark.parametrize("weight", [1.0, 1e-3])
def test_each_class_loss_of_a_mix_takes_logits(name: str, weight: float) -> None:
    """With a small weight the sum still falls as a logit moves to its target, and one of its losses is of no use."""
    of_probabilities = {"type": name, "activated": True, "loss_weight": weight}
    with pytest.raises(ValueError, match=rf"losses of different predictions: .*{name} \(probabilities\)"):
        lpu.trainer(cls={"type": "mix", "losses": [{"type": "bce_with_logits", "loss_weight": 5.0}, of_probabilities]})


@pytest.mark.parametrize("task", ["detect", "rtdetr"])
def test_a_mix_has_one_unit(task: str) -> None:
    with pytest.raises(ValueError, match="nwd needs pixels, and mpdiou sides of the image"):
        lpu.trainer(task, box={"type": "mix", "losses": ["nwd", "mpdiou"]})
    lpu.make_spec({"type": "mix", "losses": ["ciou", "mpdiou"]})


#: factors that leave nothing of a loss beside others, in float32, or nothing at all
NOTHING = {
    0.0: "loss_weight=0: nothing would be trained",
    9e-8: "nothing in float32 beside losses of weight 1: nothing would be trained",
    2e-38: "nothing in float32 beside losses of weight 1: nothing would be trained",
    1e-40: "loss_weight=1e-40 is out of range; .* pass 0, which float32 makes of it",
    1e-60: "loss_weight=1e-60 is out of range; .* pass 0, which float32 makes of it",
}


@pytest.mark.parametrize("weight", NOTHING)
@pytest.mark.parametrize(("key", "name"), [("box", "ciou"), ("cls", "focal"), ("mask", "dice")])
def test_a_weight_that_float32_does_not_resolve_trains_nothing(key: str, name: str, weight: float) -> None:
    weighted = {"type": name, "loss_weight": weight}
    for given in (weighted, {"type": "mix", "losses": [weighted]}):
        with pytest.raises(ValueError, match=NOTHING[weight]):
            lpu.make_spec(**{key: given})
    lpu.make_spec(**{key: {"type": name, "loss_weight": 1e-7}})


def test_the_weights_around_a_loss_multiply_its_own() -> None:
    def mixed(weight: float, *losses: Any) -> dict[str, Any]:
        return {"type": "mix", "loss_weight": weight, "losses": losses}

    small: Any = mixed(1e-4, "nwd", {"type": "ciou", "loss_weight": 1e-3})
    lpu.make_spec(small)
    for box in (mixed(0.1, small), mixed(1e-5, small), mixed(1.0, "giou", mixed(0.5, small))):
        with pytest.raises(ValueError, match=r"loss_weight=(1e-08|1e-09|5e-08) with those around it is nothing"):
            lpu.make_spec(box)
    with pytest.raises(ValueError, match=r"mix: loss_weight=1e-40 is out of range; .*the product of those around"):
        lpu.make_spec(mixed(1e-36, small))
    with pytest.raises(ValueError, match="loss_weight=-2 with those around it would train for a larger loss"):
        lpu.make_spec(mixed(2.0, "giou", mixed(-1.0, "ciou")))
    lpu.make_spec(mixed(1.0, "giou", {"type": "ciou", "loss_weight": 0.0}))  # what is switched off is 0, and said


def test_a_loss_times_0_trains_nothing() -> None:
    with pytest.raises(ValueError, match="has the gradient 0 on three boxes: nothing would be trained"):
        lpu.trainer(box=lambda pred, target: lp.ciou_loss(pred, target) * 0)


def test_use_is_a_gradient_that_is_not_0_on_some_row() -> None:
    """The loss got a gradient, and handed on zeros: a factor inside of it is 0."""
    bbox_loss, call = bbox_call()
    call["pred_bboxes"] = call["pred_bboxes"].requires_grad_()
    for factor in (1.0, 0.0):
        with plugged(lpu.make_spec("ciou")) as plug:
            assert plug.box is not None
            plug.box.calls.gain = 1.0
            inner = plug.box.loss_of(bbox_loss, torch.device("cpu"))
            inner.elementwise = lambda a, b, f=factor: lp.ciou_loss(a, b) * f  # type: ignore[method-assign]
            plug.expect(call["fg_mask"])
            bbox_loss(**call)[0].backward()
            for required in (plug.require_use, plug.box.require_call_and_gradient):  # of a training, of a context
                if factor:
                    required()
                    continue
                with pytest.raises(lpu.LossNotUsed, match="the gradient of each was 0: it trains nothing"):
                    required()


def test_each_batch_is_compared_with_a_size_that_was_given() -> None:
    bbox_loss, call = bbox_call()
    with plugged(lpu.make_spec({"type": "mpdiou", "image_size": [64, 64]})):
        bbox_loss(**{**call, "imgsz": torch.tensor([64.0, 64.0])})
        with pytest.raises(ValueError, match=r"mpdiou: image_size=\[64.0, 64.0\], and the images of this batch"):
            bbox_loss(**{**call, "imgsz": torch.tensor([96.0, 64.0])})


@pytest.fixture(scope="module")
def decoder() -> Any:
    made: Any = RTDETRDetectionModel("rtdetr-resnet50.yaml", nc=3, verbose=False)
    made.nc = 3
    return made


def test_rtdetr_does_not_know_the_size(decoder: Any) -> None:
    error = pytest.raises(ValueError, match=r"mpdiou: image_size=\[32.0, 32.0\], and RTDETRDetectionLoss has boxes")
    with plugged(lpu.make_spec({"type": "mpdiou", "image_size": [32, 32]})), error:
        decoder.init_criterion()
    with plugged(lpu.make_spec("mpdiou")):
        decoder.init_criterion()


@pytest.mark.parametrize(("ratio", "said"), [(9.0, "set loss_weight"), (float("nan"), "mend the loss: .*check giou")])
def test_the_remedy_is_one_that_is_taken(decoder: Any, ratio: float, said: str) -> None:
    """gain="match" and the trainer's box= do not reach RT-DETR; no gain mends a gradient that is no number."""
    with plugged(lpu.make_spec("giou")) as plug:
        decoder.init_criterion()
        assert plug.box is not None
        plug.box.ratio = ratio
        warning = plug.box.news()[-1]
    assert re.search(said, warning)
    assert "match" not in warning
    assert "box=" not in warning
    anchors = Plug(lpu.make_spec("giou")).box
    assert anchors is not None
    anchors.ratio = 9.0
    assert 'gain="match"' in anchors.news()[-1]


@pytest.mark.parametrize("key", ["box", "cls", "gain", "assigner", "imports"])
def test_what_stands_beside_losses_is_not_dropped(key: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"losses: {{box: ciou}}\n{key}: eiou\n")
    with pytest.raises(ValueError, match=f"the key {key} stands beside losses:"):
        read_config(tmp_path / "a.yaml")


@pytest.mark.parametrize("order", [1, -1])
def test_a_loss_is_named_once_on_the_command_line(order: int) -> None:
    with pytest.raises(ValueError, match=r"box_loss.type=eiou names a loss as a parameter.*write box_loss=eiou alone"):
        cli.split_settings(["box_loss=ciou", "box_loss.type=eiou"][::order])


@pytest.mark.parametrize("text", ["0x_", "0b_", "-0x_", "+0b_", "0x__", "1" * 5000, "1_" * 5000, "1" + ":1" * 5000])
@pytest.mark.parametrize("form", ["{}", "[{}]", "a: {}"])
def test_what_looks_like_a_number_has_an_error_of_ours(text: str, form: str) -> None:
    with pytest.raises(ValueError, match=r"ultralytics adapter: here, line 1, column .*allowed: YAML 1.2; write"):
        yaml_value(form.format(text), "here")


def test_an_error_in_a_users_module_is_the_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "breaks_here.py").write_text("import math\nmath.no_such_thing\n")
    (tmp_path / "lacks_it.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AttributeError, match="no_such_thing"):
        enter_from("breaks_here:my_iou")
    with pytest.raises(ImportError, match="lacks_it has no my_iou"):
        enter_from("lacks_it:my_iou")


@pytest.mark.parametrize("base", [YOLO, DetectionValidator, DetectionModel])
def test_a_base_is_a_trainer(base: type) -> None:
    with pytest.raises(TypeError, match=r"trainer: base=.* is none of a task of Ultralytics; allowed: a subclass"):
        lpu.trainer(box="ciou", base=base)


class Indirect(DetectionTrainer):  # type: ignore[misc]
    """Calls super() in a function, and in another method."""

    def train(self) -> Any:
        def go() -> Any:
            return super(Indirect, self).train()

        return go()

    def setup_model(self) -> Any:
        return self.made()

    def made(self) -> Any:
        return super().setup_model()


class Silent(DetectionTrainer):  # type: ignore[misc]
    """Calls another method, which does not call super() either."""

    def setup_model(self) -> Any:
        return self.made()

    def made(self) -> None:
        return None


class OfAnother(DetectionTrainer):  # type: ignore[misc]
    """Calls a method that calls super(), but for itself."""

    def setup_model(self) -> Any:
        self.model = self.get_model()

    def get_model(self, *args: Any, **kwargs: Any) -> Any:
        return super().get_model(*args, **kwargs)


class OfItsModel(DetectionTrainer):  # type: ignore[misc]
    """Calls a method of that name, but of another object."""

    def train(self) -> Any:
        self.model.train()


class ByName(DetectionTrainer):  # type: ignore[misc]
    """Names the class above, under its name and under another one."""

    def train(self) -> Any:
        return DetectionTrainer.train(self)

    def setup_model(self) -> Any:
        return Stock.setup_model(self)

    def _do_train(self) -> Any:
        return getattr(super(), "_do_train")()  # noqa: B009


Stock = DetectionTrainer


@pytest.mark.parametrize("base", [Indirect, ByName])
def test_an_indirect_super_is_one(base: type) -> None:
    bases.check_base(base)


@pytest.mark.parametrize(("base", "name"), [(Silent, "setup_model"), (OfAnother, "setup_model"), (OfItsModel, "train")])
def test_a_super_of_another_method_is_none(base: type, name: str) -> None:
    with pytest.raises(lpu.UnsupportedUltralytics, match=rf"{base.__name__}\.{name} does not call super\(\)\.{name}"):
        bases.check_base(base)


YAML_OF = {
    "detect": "11/yolo11.yaml",
    "rtdetr": "rt-detr/rtdetr-l.yaml",
    "world": "v8/yolov8-worldv2.yaml",
    "yoloe": "11/yoloe-11.yaml",
    "yoloe-seg": "26/yoloe-26-seg.yaml",
}


@pytest.mark.parametrize("task", YAML_OF)
@pytest.mark.parametrize("name", ["hello_world", "not-rtdetr", "RTDETR-L", "mine"])
def test_the_content_of_a_file_decides_not_its_name(
    task: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(trainers, "trainer_of", lambda asked: made.append(asked) or (lambda *_, **__: None))
    files = {end: tmp_path / f"{name}.{end}" for end in ("yaml", "pt")}
    shutil.copy(ROOT / "cfg" / "models" / YAML_OF[task], files["yaml"])
    classes = {each: cls for cls, each in trainers.BY_CLASS.items()}
    cls = classes.get(task, DetectionModel)
    torch.save({"model": cls.__new__(cls), "ema": None}, files["pt"])
    weights = tmp_path / "weights"  # where Ultralytics looks for a checkpoint that is given by its name alone
    weights.mkdir()
    shutil.copy(files["pt"], weights / "kept.pt")
    monkeypatch.setitem(trainers.SETTINGS, "weights_dir", str(weights))
    for file in (*files.values(), "kept.pt"):
        overrides = {"model": str(file), "task": "detect"}
        trainers.start(task=None, loss_spec=SimpleNamespace(), overrides=overrides)  # type: ignore[arg-type]
    assert made == [task, task, task]
