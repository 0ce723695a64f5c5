"""The assigner's overlap by a box loss: ordered as the IoU, in [0, 1], above 0 where boxes overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
NAMES = [entry.name for entry in shipped() if entry.kind in STOCK and entry.traits.units != "image"]


def of(name: str) -> Any:
    return of_spec({"type": name, **lp.get_entry(name).example})


def of_spec(spec: dict[str, Any]) -> Any:
    loss = lp.build_loss(spec, reduction="none")
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
    return (*as_kind(kind, pred, target), iou)  # type: ignore[return-value]


def fits(loss: lp.Loss) -> bool:
    """Whether boxes that lie apart cost no less than overlapping ones, and boxes of one size are ordered by the IoU."""
    return apart_over_overlapping(loss) > 0.99 and order_of_one_size(loss) > 0.9


@torch.no_grad()
def apart_over_overlapping(loss: lp.Loss) -> float:
    """The least cost of disjoint boxes on their way from a target, over the most of overlapping ones on that way."""
    sides = torch.tensor([[size * shape**0.5, size / shape**0.5] for size in (8, 64, 400) for shape in (1 / 3, 1, 3)])
    target = torch.cat([1000 - sides / 2, 1000 + sides / 2], dim=-1)

    def costs(shares: Sequence[float]) -> Tensor:
        boxes = torch.cat([target + share * sides.repeat(1, 2) for share in shares])
        return loss.elementwise(*as_kind(loss.entry.kind, boxes, target.repeat(len(shares), 1))).view(len(shares), -1)

    overlapping, apart = costs([0.1 * step for step in range(1, 10)]), costs([1.1, 1.5, 2.0, 5.0])
    return float((apart.amin(0) / overlapping.amax(0)).min())


@torch.no_grad()
def order_of_one_size(loss: lp.Loss) -> float:
    """The rank correlation of the loss with 1 - IoU; of boxes of one size, as a loss in pixels orders no others."""
    generator = torch.Generator().manual_seed(1)
    stretch = (torch.rand(400, 1, generator=generator) - 0.5).exp()
    side = 64 * torch.cat([stretch, 1 / stretch], dim=-1)
    target = torch.cat([320 - side / 2, 320 + side / 2], dim=-1)
    moved = (torch.rand(400, 4, generator=generator) - 0.5) * torch.rand(400, 1, generator=generator)
    pred = target + moved * side.repeat(1, 2)
    return correlation(loss.elementwise(*as_kind(loss.entry.kind, pred, target)), lp.iou_loss(pred, target))


def as_kind(kind: str, *boxes: Tensor) -> tuple[Tensor, ...]:
    return tuple(turned(each, 640.0) for each in boxes) if kind == "rotated_box" else boxes


def correlation(values: Tensor, others: Tensor) -> float:
    ranks = torch.stack([each.argsort().argsort().double() for each in (values, others)])
    return float(torch.corrcoef(ranks)[0, 1])


BUILT = {name: lp.build_loss({"type": name, **lp.get_entry(name).example}, reduction="none") for name in NAMES}
FITTING = [name for name, loss in BUILT.items() if fits(loss)]
REFUSED = [name for name in NAMES if name not in FITTING]


@pytest.mark.parametrize("name", FITTING)
def test_it_orders_as_the_iou_does(name: str) -> None:
    kind = lp.get_entry(name).kind
    pred, target, iou = random_pairs(kind)
    overlap = of(name)(pred, target)
    assert overlap.shape == iou.shape
    assert ((overlap >= 0) & (overlap <= 1)).all()
    # a loss in pixels orders boxes of one size
    assert correlation(overlap, iou) > (0.85 if lp.get_entry(name).traits.units == "any" else 0.5)
    assert float((overlap[iou > 0.3] > 0).double().mean()) == 1.0
    same = of(name)(target, target)
    assert (same > 0.99).all()


@pytest.mark.parametrize("name", REFUSED)
def test_a_loss_that_does_not_order_is_refused_with_its_correlation(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: assigner='match'.*rank correlation .* is -?0\.\d\d"):
        of(name)
    with pytest.raises(ValueError, match="assigner='keep'"):
        lpu.trainer(box=name, assigner="match")


def test_the_limits_are_named() -> None:
    """Disjoint boxes cost less than overlapping ones, which stay in order."""
    with pytest.raises(
        ValueError,
        match=r"; allowed: 0\.99 or more for the same box, a rise of .* on the way, .* touch or lie apart, .* an image",
    ):
        of_spec({"type": "piou", "version": 2})


#: of each loss of boxes the defaults, each other choice, and what has the same form with other numbers
SPECS = [
    *({"type": name, **lp.get_entry(name).example} for name in NAMES),
    *(
        {"type": name, **lp.get_entry(name).example, key: value}
        for name in NAMES
        for key, parameter in lp.get_entry(name).parameters.items()
        if isinstance(parameter.allowed, lp.Choice) and key != "box_format"
        for value in parameter.allowed.values
        if value != parameter.default
    ),
    {"type": "focal_eiou", "gamma": 0.1},
    {"type": "nwd", "constant": 200.0},
    {"type": "mix", "losses": [{"type": "ciou", "loss_weight": 0.1}]},
    {"type": "mix", "losses": [{"type": "ciou", "loss_weight": 20.0}, "nwd"]},
    {"type": "mix", "losses": ["ciou", {"type": "focal_eiou", "gamma": 0.1}]},
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_it_falls_from_the_same_box_towards_disjoint_ones(spec: Any) -> None:
    """Boxes that move away, in any direction and of any size, never come to overlap more; apart they overlap little."""
    loss = lp.build_loss(spec, reduction="none")
    kind = loss.entry.kind
    if loss.entry.traits.stateful:
        with pytest.raises(ValueError, match="running statistic"):
            lpu.make_spec(spec, assigner="match")
        return
    if not fits(loss):
        with pytest.raises(
            ValueError, match=rf"{spec['type']}: assigner='match'.*( is -?0\.\d\d|it is 1 for the same).*keep"
        ):
            lpu.trainer(box=spec, assigner="match")
        return
    generator = torch.Generator().manual_seed(3)
    side = 10 * 50 ** torch.rand(200, 2, generator=generator)
    target = torch.cat([300 - side / 2, 300 + side / 2], dim=-1)
    angle = 6.2832 * torch.rand(200, generator=generator)
    way = torch.stack([angle.cos(), angle.sin()], dim=-1) * side
    shares = torch.tensor([0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 3.0, 200.0])
    pred = (target + shares[:, None, None] * way.repeat(1, 2)).flatten(0, 1)
    targets = target.repeat(len(shares), 1)
    if kind == "rotated_box":
        pred, targets = turned(pred, 640.0), turned(targets, 640.0)
    overlap = overlap_by(loss, STOCK[kind])(pred, targets).view(len(shares), -1)
    assert (overlap[0] > 0.98).all()  # the root of a rounded 0 is not 0
    assert float(overlap.diff(dim=0).max()) < 1e-3
    assert float(overlap[-1].max()) < 0.05
    if loss.entry.traits.units == "any":  # in pixels, small boxes that lie apart are near each other
        assert float(overlap[-2].max()) < 0.3
        assert float(overlap[-2].mean()) < 0.1


def test_of_two_sizes_one_inside_the_other() -> None:
    """A mix of a tenth of CIoU is above 0.8 for disjoint boxes: by the table it overlaps as CIoU does."""
    overlap = overlap_by(lp.build_loss(SPECS[-3], reduction="none"), STOCK["box"])
    outer = torch.tensor([[0.0, 0.0, 100.0, 100.0]])
    inside = torch.stack([torch.tensor([50 - s, 50 - s, 50 + s, 50 + s]) for s in (50.0, 40.0, 25.0, 12.5)])
    iou = torch.tensor([1.0, 0.64, 0.25, 0.0625])
    torch.testing.assert_close(overlap(inside, outer.expand_as(inside)), iou, atol=0.1, rtol=0)


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
