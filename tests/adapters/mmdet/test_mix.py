"""Weighted sums of losses in a config: how their members are named, and what wraps them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest
import torch
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor, nn

from loss_plugins import register_loss, unregister_loss
from loss_plugins.adapters import mmdet as adapter
from loss_plugins.adapters.mmdet.registration import KINDS
from loss_plugins.samples import trial_pairs

from .heads import BATCHES, CASES, total

PRED, TARGET = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 4, 2]])

register_all_modules(init_default_scope=True)


@pytest.mark.parametrize(
    "first",
    ["ciou", "CIoULoss", "loss_plugins.CIoULoss", "loss_plugins.ciou", "loss_plugins.adapters.mmdet.CIoULoss", None],
    ids=str,
)
def test_members_of_a_mix_are_named_as_any_loss(first: str | None) -> None:
    """None: by the class itself, as in pure-Python configs."""
    member = {"type": first or adapter.CIoULoss, "loss_weight": 0.5}
    inner = {"type": "loss_plugins.MixLoss", "losses": [member, "loss_plugins.GIoULoss"]}
    config = Config({"loss_bbox": {"type": "loss_plugins.MixLoss", "losses": [inner, "diou"], "loss_weight": 2.0}})
    loss = MODELS.build(config.loss_bbox)
    one, two, three = (
        MODELS.build({"type": f"loss_plugins.{name}"})(PRED, TARGET) for name in ("ciou", "giou", "diou")
    )
    torch.testing.assert_close(loss(PRED, TARGET), 2 * (0.5 * one + two + three))
    assert loss.spec()["type"] == "loss_plugins.MixLoss"
    assert MODELS.build(loss.spec()).spec() == loss.spec()


def test_own_loss_in_a_mix() -> None:
    @register_loss("test_mixed", kind="box")
    def mixed(pred: Tensor, target: Tensor) -> Tensor:
        """Sum of the differences."""
        return (pred - target).abs().sum(-1)

    try:
        for name in ("loss_plugins.TestMixedLoss", "TestMixedLoss", "test_mixed"):
            loss = MODELS.build({"type": "loss_plugins.MixLoss", "losses": [{"type": name, "loss_weight": 3.0}]})
            assert loss(PRED, TARGET).item() == 3 * 2
    finally:
        unregister_loss("test_mixed")


@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        (
            [{"type": "loss_plugins.CIuoLoss"}],
            ValueError,
            r"type='loss_plugins\.CIuoLoss' is an unknown loss; .*'CIoULoss'",
        ),
        ([{"type": nn.L1Loss}], TypeError, "which is no text"),
        ("loss_plugins.CIoULoss", ValueError, "a list of losses"),
        (None, TypeError, "'losses' is required"),
        (
            [{"type": "focal", "use_sigmoid": False}],
            ValueError,
            r"losses: use_sigmoid=False, and theirs is True; .*leave",
        ),
        ([{"type": "mix", "losses": [{"type": "ciou", "use_sigmoid": True}]}], ValueError, "and theirs is None"),
    ],
)
def test_mistakes_in_a_mix_are_named(losses: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MODELS.build({"type": "loss_plugins.MixLoss", "losses": losses})


def test_hyper_parameters_by_position_are_refused() -> None:
    with pytest.raises(TypeError, match=r"mix: 1 hyper-parameter.* by position"):
        adapter.MixLoss("mean", 1.0, 2.0, losses=["ciou"])


# --- what wraps them --------------------------------------------------------------------------------------------------

ONE_OF_EACH = {
    "box": "ciou",
    "coordinate": "smooth_l1",
    "rotated_box": "kld",
    "classification": "focal",
    "region": "dice",
}


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_mix_of_one_loss_is_that_loss(kind: str) -> None:
    """Rows of weight 0 are left out as that loss leaves them out, and the mix is of the same class."""
    name = ONE_OF_EACH[kind]
    mix = MODELS.build({"type": "loss_plugins.MixLoss", "losses": [name], "loss_weight": 2.0})
    alone = MODELS.build({"type": f"loss_plugins.{name}", "loss_weight": 2.0})
    assert isinstance(mix, adapter.MixLoss)
    assert isinstance(mix, KINDS[kind])
    pred, target = trial_pairs(kind, 30)  # type: ignore[arg-type]
    torch.testing.assert_close(mix(pred, target), alone(pred, target))
    if kind in ("box", "rotated_box", "coordinate"):
        weight = torch.ones(len(pred)).index_fill(0, torch.tensor([0]), 0.0)
        pred = pred.index_fill(0, torch.tensor([0]), torch.inf)
        torch.testing.assert_close(mix(pred, target, weight, 7.0), alone(pred, target, weight, 7.0))
    for twin in (copy.deepcopy(mix), pickle.loads(pickle.dumps(mix)), MODELS.build(mix.spec())):
        assert type(twin) is type(mix)
        assert twin.spec() == mix.spec()
        assert twin.spec()["type"] == "loss_plugins.MixLoss"


def test_class_losses_mix_in_a_head() -> None:
    """Two halves of a focal loss are the focal loss, in RetinaNet, which reads use_sigmoid of the config."""
    half = {"type": "loss_plugins.FocalLoss", "use_sigmoid": True, "loss_weight": 0.5}
    mix = {"type": "loss_plugins.MixLoss", "use_sigmoid": True, "losses": [half, half]}
    found = []
    for loss in ({"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25}, mix):
        case = CASES["RetinaNet"]
        case = dataclasses.replace(case, changes={**case.changes, "bbox_head.loss_cls": loss})
        heads = case.build({"type": "loss_plugins.GIoULoss", "loss_weight": 2.0})
        found.append((heads.bbox_head.loss_cls.use_sigmoid, *case.step(heads, BATCHES["gt"])))
    (_, expected, gradients), (uses_sigmoid, losses, found_gradients) = found
    assert uses_sigmoid is True
    torch.testing.assert_close(total(losses), total(expected))
    torch.testing.assert_close(found_gradients, gradients, rtol=1e-4, atol=1e-6)
