"""Names as people type them, as the `type` of a config."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from mmengine.registry import MODELS

import loss_plugins as lp
from loss_plugins.adapters import mmdet as adapter
from loss_plugins.registry import LOSSES

PRED, TARGET = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 4, 2]])


@pytest.mark.parametrize(
    ("name", "cls", "call"),
    [
        ("InnerCIoULoss", "InnerCIoULoss", {"spec": "ciou", "inner_ratio": 0.75}),
        ("inner_ciou", "InnerCIoULoss", {"spec": "ciou", "inner_ratio": 0.75}),
        ("Wise-Inner-DIoU", "WiseInnerDIoULoss", {"spec": "diou", "wise": 3, "inner_ratio": 0.75}),
        ("PIoUv2", "PIoUV2Loss", {"spec": "piou", "version": 2}),
        ("GIoU", "GIoULoss", {"spec": "giou"}),
    ],
)
def test_a_typed_name_is_a_class_of_its_own(name: str, cls: str, call: dict[str, object]) -> None:
    made = MODELS.build({"type": f"loss_plugins.{name}", "loss_weight": 2.0})
    wanted = lp.build_loss(**call, loss_weight=2.0)
    assert type(made) is MODELS.get(f"loss_plugins.{cls}") is getattr(adapter, cls)
    assert made.core_spec() == wanted.spec()
    assert made(PRED, TARGET).equal(wanted(PRED, TARGET))
    for again in (MODELS.build(made.spec()), pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert type(again) is type(made)
        assert again.spec() == made.spec()
    assert f"loss_plugins.{name}" in LOSSES


def test_a_config_s_parameters_win() -> None:
    made = MODELS.build({"type": "loss_plugins.InnerCIoULoss", "inner_ratio": 1.2})
    assert made.core_spec() == lp.build_loss("ciou", inner_ratio=1.2).spec()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wise_iou", r"type='loss_plugins\.wise_iou' may mean wiou or iou with wise=3"),
        ("InnerCuIoULoss", r"type='loss_plugins\.InnerCuIoULoss' is an unknown loss; .*did you mean"),
    ],
)
def test_other_names_are_refused(name: str, said: str) -> None:
    with pytest.raises(KeyError, match=said):
        MODELS.build({"type": f"loss_plugins.{name}"})
    with pytest.raises(AttributeError, match=said):
        getattr(adapter, name)


def test_a_member_of_a_mix_keeps_what_its_name_sets() -> None:
    cls = adapter.InnerCIoULoss
    for member in ("loss_plugins.InnerCIoULoss", "inner_ciou", cls, f"{cls.__module__}.{cls.__qualname__}"):
        made = MODELS.build({"type": "loss_plugins.MixLoss", "losses": [{"type": member}, "loss_plugins.GIoULoss"]})
        assert [each["type"] for each in made.core_spec()["losses"]] == ["ciou", "giou"]
        assert made.core_spec()["losses"][0]["inner_ratio"] == 0.75
