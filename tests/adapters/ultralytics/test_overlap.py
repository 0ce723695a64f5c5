"""The assigner's overlap by a box loss: ordered as the IoU, in [0, 1], above 0 where boxes overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.utils.tal import RotatedTaskAlignedAssigner, TaskAlignedAssigner

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.box_slot import STOCK
from loss_plugins.adapters.ultralytics.overlap import overlap_by
from loss_plugins.adapters.ultralytics.plug import plugged
from loss_plugins.catalog.entries import shipped
from loss_plugins.module.gain import turned

from .test_models import loss_and_gradients, make_model

#: losses of which 1 - loss is the overlap: it is above 0 about as often as the stock overlap is
PLAIN = {
    "alpha_ciou": lp.alpha_ciou_loss,
    "ciou": lp.ciou_loss,
    "giou": lp.giou_loss,
    "iou": lp.iou_loss,
    "extended_iou": lp.extended_iou_loss,
}
#: fall with the overlap, or do not depend on it alone
REFUSED = {"focal_eiou", "kfiou"}
NAMES = [entry.name for entry in shipped() if entry.kind in STOCK and entry.traits.units != "image"]


def of(name: str) -> Any:
    loss = lp.build_loss({"type": name, **lp.get_entry(name).example}, reduction="none")
    return overlap_by(loss, STOCK[loss.entry.kind])


@contextmanager
def registered(function: Callable[..., Tensor]) -> Iterator[str]:
    """The name of a loss of a test."""
    lp.register_loss("test_overlap")(function)
    yield "test_overlap"
    lp.unregister_loss("test_overlap")


def random_pairs(kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes of all sizes near their targets, and their IoU."""
    generator = torch.Generator().manual_seed(1)
    center = 320 + 40 * torch.rand(400, 2, generator=generator)
    side = 20 * torch.rand(400, 2, generator=generator).mul(2).exp()
    target = torch.cat([center - side / 2, center + side / 2], dim=-1)
    pred = target + (torch.rand(400, 4, generator=generator) - 0.5) * side.repeat(1, 2) * torch.rand(400, 1)
    iou = 1 - lp.iou_loss(pred, target)
    if kind == "rotated_box":
        pred, target = turned(pred, 640.0), turned(target, 640.0)
    return pred, target, iou


@pytest.mark.parametrize("name", sorted(set(NAMES) - REFUSED))
def test_it_orders_as_the_iou_does(name: str) -> None:
    kind = lp.get_entry(name).kind
    pred, target, iou = random_pairs(kind)
    overlap = of(name)(pred, target)
    assert overlap.shape == iou.shape
    assert ((overlap >= 0) & (overlap <= 1)).all()
    ranks = torch.stack([overlap.argsort().argsort().double(), iou.argsort().argsort().double()])
    # a loss in pixels orders boxes of one size
    assert float(torch.corrcoef(ranks)[0, 1]) > (0.85 if lp.get_entry(name).traits.units == "any" else 0.5)
    assert float((overlap[iou > 0.3] > 0).double().mean()) == 1.0
    same = of(name)(target, target)
    assert (same > 0.99).all()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_loss_that_does_not_order_is_refused_with_its_correlation(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: assigner='match'.*rank correlation .* is -?0\.\d\d"):
        of(name)
    with pytest.raises(ValueError, match="assigner='keep'"):
        lpu.trainer(box=name, assigner="match")


@pytest.mark.parametrize("name", PLAIN)
def test_one_minus_a_loss_that_suffices_is_left_alone(name: str) -> None:
    pred, target, _ = random_pairs("box")
    assert torch.equal(of(name)(pred, target), (1 - PLAIN[name](pred, target)).clamp(min=0))


def test_by_hand() -> None:
    """A loss of 4 (1 - IoU) has the value 1 at an IoU of 0.75: its overlap is the IoU again, down to 0.05."""
    with registered(lambda pred, target: 4 * lp.iou_loss(pred, target)) as name:
        overlap = of(name)
        pred, target, iou = random_pairs("box")
        torch.testing.assert_close(overlap(pred, target)[iou > 0.05], iou[iou > 0.05], atol=1e-5, rtol=0)
        apart = overlap(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[5.0, 5, 6, 6]]))
        assert float(apart) == pytest.approx(0.05 * 3.8 / 4)


@pytest.mark.parametrize(("assigner", "name"), [(TaskAlignedAssigner, "eiou"), (RotatedTaskAlignedAssigner, "kld")])
def test_assigners_use_it(assigner: type, name: str) -> None:
    pred, target, _ = random_pairs(lp.get_entry(name).kind)
    made = assigner()
    stock = made.iou_calculation(target, pred)
    with plugged(lpu.make_spec(name, assigner="match")):
        assert torch.equal(made.iou_calculation(target, pred), of(name)(pred, target))
        assert made.iou_calculation(target, pred.half()).dtype == torch.half
    assert torch.equal(made.iou_calculation(target, pred), stock)


@pytest.mark.parametrize("name", ["eiou", "piou", "giou", "siou"])
def test_an_untrained_model_has_positives(name: str) -> None:
    """1 - eiou is below 0 for most boxes of an untrained model: the assigner would find nothing to train on."""
    model = make_model("yolo11n.yaml")
    state = {key: value.clone() for key, value in model.state_dict().items()}
    rows = {}
    for assigner in ("keep", "match"):
        model.load_state_dict(state)
        model.criterion = None
        with lpu.patched(box=name, assigner=assigner) as report:
            loss_and_gradients(model)
        rows[assigner] = report.box.rows
    assert rows["match"] >= 0.8 * rows["keep"] > 0
