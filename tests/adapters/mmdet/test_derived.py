"""A class that a user derives from one of ours is recorded, resumed and looked at by its own name and keywords."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from torch import Tensor, nn

import loss_plugins as lp
from loss_plugins.adapters import mmdet as adapter
from loss_plugins.adapters.mmdet.construction import construct, our_losses
from loss_plugins.adapters.mmdet.naming import in_plain_types
from loss_plugins.adapters.mmdet.offline import without_weights
from loss_plugins.adapters.mmdet.resuming import differences
from loss_plugins.adapters.mmdet.slot_rules import problems
from loss_plugins.adapters.mmdet.written import written

from .heads import shipped
from .runs import Detector, heard, run

register_all_modules(init_default_scope=True)
PRED, TARGET = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 4, 2]])


@MODELS.register_module(force=True)
class TimesEIoU(adapter.EIoULoss):  # type: ignore[misc, name-defined]
    """A loss with a keyword of its own, and another default for one of ours."""

    def __init__(self, *arguments: Any, extra: Any = 3, eps: float = 1e-3, **parameters: Any) -> None:
        super().__init__(*arguments, eps=eps, **parameters)
        self.extra = extra

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        return super().forward(*arguments, **keywords) * self.extra


class Unregistered(TimesEIoU):
    """As that one, by its full path, and with a keyword that its signature does not name."""

    def __init__(self, **parameters: Any) -> None:
        self.silent = parameters.pop("silent", None)
        super().__init__(**parameters)


class OwnForward(adapter.EIoULoss):  # type: ignore[misc, name-defined]
    """A loss that never comes to the code of ours."""

    def forward(self, pred: Tensor, target: Tensor, **others: Any) -> Tensor:
        return (pred - target).abs().mean()


class OwnCompute(adapter.EIoULoss):  # type: ignore[misc, name-defined]
    """As that one, one step further."""

    def compute(self, pred: Tensor, target: Tensor, *others: Any) -> Tensor:
        return (pred - target).abs().mean()


@MODELS.register_module(force=True)
class PairMix(adapter.MixLoss):  # type: ignore[misc, name-defined]
    """A mix with its members built in."""

    def __init__(self, share: float = 0.5, **parameters: Any) -> None:
        members = [{"type": "ciou", "loss_weight": share}, "mpdiou"]
        super().__init__(losses=members, **parameters)


@MODELS.register_module(force=True)
class BareDerived(lp.EIoULoss):
    """Of the core's class instead."""


NAMES: dict[str, tuple[Any, str]] = {
    "registered": ("TimesEIoU", "mmdet.TimesEIoU"),
    "with its scope": ("mmdet.TimesEIoU", "mmdet.TimesEIoU"),
    "by class": (TimesEIoU, "mmdet.TimesEIoU"),
    "of its full path": (f"{__name__}.Unregistered", f"{__name__}.Unregistered"),
    "unregistered by class": (Unregistered, f"{__name__}.Unregistered"),
}


@pytest.mark.parametrize("case", NAMES)
def test_it_is_named_as_a_config_names_it(case: str) -> None:
    kind, name = NAMES[case]
    model = Detector({"type": kind, "extra": 2, "loss_weight": 1.5}, [[9]])
    (slot,) = adapter.find_losses(model)
    assert slot.name == name
    said = slot.loss.spec()
    assert (said["type"], said["extra"], said["eps"], said["loss_weight"]) == (name, 2, 1e-3, 1.5)
    again = MODELS.build(said)
    assert type(again) is type(slot.loss)
    assert again.spec() == said
    assert again(PRED, TARGET) == slot.loss(PRED, TARGET)
    if not isinstance(kind, str):
        assert written(kind) == (f'"{name}"')


def test_of_ours_nothing_is_added() -> None:
    loss = MODELS.build({"type": "loss_plugins.EIoULoss", "loss_weight": 2.0})
    assert loss.spec() == {**loss.loss.spec(), "type": "loss_plugins.EIoULoss"}


def test_keywords_are_kept_in_plain_types() -> None:
    given = {
        "extra": {"scale": (1, torch.tensor([2.0])), "by": yaml.safe_load, "of": TimesEIoU, "other": nn.Identity()}
    }
    wanted = {"scale": [1, [2.0]], "by": "yaml.safe_load", "of": f"{__name__}.TimesEIoU", "other": "Identity()"}
    assert in_plain_types(given["extra"]) == wanted
    assert yaml.safe_load(yaml.safe_dump(wanted)) == wanted  # as the record is written
    assert Unregistered(silent=Path).spec()["silent"] == "pathlib.Path"


# --- resume -------------------------------------------------------------------------------------------------------


def training(folder: Path, loss: dict[str, Any], epochs: int = 1, **settings: Any) -> Any:
    return run(folder, loss, loop={"by_epoch": True, "max_epochs": epochs}, **settings)


def test_resuming_with_another_keyword_is_refused(tmp_path: Path) -> None:
    training(tmp_path, {"type": "mmdet.TimesEIoU", "extra": 2}).train()
    (loss,) = yaml.safe_load((tmp_path / "loss_plugins.yaml").read_text())["losses"]
    assert (loss["loss"]["type"], loss["loss"]["extra"]) == ("mmdet.TimesEIoU", 2)
    for other in ({"extra": 9}, {}):
        with pytest.raises(ValueError, match=rf"loss_bbox\.extra was 2, asked for now: {other.get('extra', 3)}"):
            training(tmp_path, {"type": "mmdet.TimesEIoU", **other}, epochs=2, resume=True).train()
    second = training(tmp_path, {"type": "mmdet.TimesEIoU", "extra": 2}, epochs=2, resume=True)
    messages = heard(second)
    second.logger.setLevel("INFO")
    second.train()
    assert any("mmdet.TimesEIoU called 4 times on 36 boxes" in text for text in messages)


def test_a_keyword_that_is_new_had_its_default() -> None:
    slots = adapter.find_losses(Detector({"type": TimesEIoU}, [[9]]))
    trained = slots[0].loss.spec()
    trained.pop("extra")
    assert differences([{"where": "bbox_head.loss_bbox", "loss": trained}], slots) == {}


# --- code of one's own --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [OwnForward, OwnCompute, TimesEIoU])
def test_calls_are_counted_once_whatever_is_overridden(kind: type, tmp_path: Path) -> None:
    training(tmp_path, {"type": kind}, levels=[[4, 5]]).train()
    (loss,) = yaml.safe_load((tmp_path / "loss_plugins.yaml").read_text())["losses"]
    assert (loss["calls"], loss["boxes"]) == (8, 36)


def test_without_gradients_no_call_is_counted() -> None:
    loss = pickle.loads(pickle.dumps(OwnForward()))
    with torch.no_grad():
        loss(PRED, TARGET)
    assert loss.calls == 0
    loss(pred=PRED, target=TARGET)
    assert (loss.calls, loss.rows) == (1, 1)


# --- mixes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))], ids=["copy", "pickle"]
)
def test_a_mix_with_built_in_members_stays_what_it_is(again: Any) -> None:
    loss = again(MODELS.build({"type": "PairMix", "share": 0.25}))
    assert isinstance(loss, PairMix)
    said = loss.spec()
    assert (said["type"], said["share"], said["losses"][0]["loss_weight"]) == ("mmdet.PairMix", 0.25, 0.25)
    assert loss.image is not None, "it has become one of boxes"
    assert MODELS.build({"type": "PairMix", "share": said["share"]}).spec() == said


@pytest.mark.parametrize("kind", ["mmdet.TimesEIoU", TimesEIoU, f"{__name__}.Unregistered"])
def test_as_a_member_of_a_mix_it_is_refused(kind: Any) -> None:
    wanted = r"TimesEIoU|Unregistered) is a class derived from loss_plugins\.EIoULoss, whose code a mix would not run"
    for member in (kind, {"type": kind, "extra": 2}):
        with pytest.raises(ValueError, match=rf"mix: losses: .*({wanted}.*register_loss"):
            MODELS.build({"type": "loss_plugins.MixLoss", "losses": ["ciou", member]})


# --- the doctor ---------------------------------------------------------------------------------------------------


def test_the_model_of_a_config_that_cannot_be_built_with_it_names_its_key() -> None:
    cfg = Config({"model": without_weights(shipped("atss/atss_r50_fpn_1x_coco.py"))})
    cfg.model.bbox_head.loss_bbox = {"type": "TimesEIoU", "extra": 2, "epss": 1.0}
    assert [key for key, _ in our_losses(cfg.model)] == ["model.bbox_head.loss_bbox"]
    found = construct(cfg.model)
    assert "unknown parameter epss=1.0" in found.faults["model.bbox_head.loss_bbox"].message
    assert found.config["bbox_head"]["loss_bbox"] == {"type": "TimesEIoU", "extra": 2}


def test_unscoped_names_of_mmdetection_are_not_ours() -> None:
    config = {
        "head": {"loss_bbox": {"type": "EIoULoss"}, "loss_cls": {"type": "mmdet.FocalLoss"}},
        "loss": {"type": "WIoULoss"},
    }
    assert list(our_losses(config)) == []


def test_a_class_derived_from_the_cores_is_told_from_what_to_derive() -> None:
    model = Detector({"type": "BareDerived"}, [[9]])
    (slot,) = adapter.find_losses(model)
    (fault,) = problems(slot)
    assert fault.message.endswith("derive mmdet.BareDerived from loss_plugins.adapters.mmdet.EIoULoss")
