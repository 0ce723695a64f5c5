"""Known faults of others, each a strict xfail against the installed version and a passing twin on ours.

When an upstream repairs one, its xfail turns into a failure here: the table in docs/audit.md is then out of date.
The numbers were measured with mmdet 3.3.0, torchvision 0.24, ultralytics 8.4.190,
transformers 5.24.0, rfdetr 1.11.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.peers import find
from loss_plugins.peers.calls import diagonal, over_masks, reduced, similarity, similarity_column

Loss = Callable[..., Tensor]


def ultralytics_iou(**flags: bool) -> Loss:
    return find("ultralytics", "bbox_iou").loss(similarity, xywh=False, **flags)


def mmdet(name: str, **parameters: Any) -> Loss:
    return find("mmdet", name).loss(**parameters)


def torchvision(name: str) -> Loss:
    return find("torchvision", name).loss()


def transformers_giou() -> Loss:
    return find("transformers", "generalized_box_iou").loss(diagonal)


def ours(name: str, **parameters: Any) -> Loss:
    return lp.build_loss(name, **{"reduction": "none", **parameters})


def boxes(*rows: list[float], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor(rows, dtype=dtype)


def gradient(loss: Loss, pred: Tensor, target: Tensor) -> Tensor:
    leaf = pred.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(leaf, target).sum(), leaf)
    return found


# --- probes: what a loss must do -----------------------------------------------------------------------------------


def finite_on_a_match(loss: Loss) -> None:
    box = boxes([10, 20, 50, 70])
    assert loss(box, box).isfinite().all()
    assert gradient(loss, box, box).isfinite().all()


def farther_costs_more(loss: Loss) -> None:
    target = boxes([100, 100, 200, 150]).expand(80, 4)
    shift = 5.0 * torch.arange(80)[:, None] * torch.tensor([1.0, 0, 1, 0])
    values = loss(target + shift, target)
    assert (values[1:] >= values[:-1] - 1e-5).all()


def half_precision_at_300_px(loss: Loss) -> None:
    pred, target = boxes([8, 8, 308, 300]), boxes([0, 0, 300, 300])
    exact = loss(pred.double(), target.double())
    assert (loss(pred.half(), target.half()).double() - exact).abs().max() < 1e-2


def finite_without_area(loss: Loss) -> None:
    point, box = boxes([12, 12, 12, 12]), boxes([10, 10, 20, 20])
    assert loss(point, box).isfinite().all()
    assert gradient(loss, point, box).isfinite().all()


def finite_where_both_have_no_area(loss: Loss) -> None:
    assert loss(boxes([7, 7, 7, 7]), boxes([9, 8, 9, 8])).isfinite().all()


def finite_on_one_point(loss: Loss) -> None:
    point = boxes([7, 7, 7, 7])
    assert loss(point, point).isfinite().all()
    assert gradient(loss, point, point).isfinite().all()


def bounded_gradient_without_area(loss: Loss) -> None:
    assert gradient(loss, boxes([12, 12, 12, 12]), boxes([10, 10, 20, 20])).abs().max() < 1e4


def bounded_gradient_on_a_line(loss: Loss) -> None:
    assert gradient(loss, boxes([7, 3, 7, 9]), boxes([7, 4, 7, 8])).abs().max() < 1e4


def aspect_counts_below_half_overlap(loss: Loss) -> None:
    # 2 x 4 and 4 x 2, concentric: IoU 1/3, v = 0.167823, alpha = 0.201108 (see tests/losses/test_box_losses.py)
    value = loss(boxes([-1, -2, 1, 2]), boxes([-2, -1, 2, 1]))
    assert value.item() == pytest.approx(2 / 3 + 0.201108 * 0.167823, abs=1e-4)


def is_efficient_iou(loss: Loss) -> None:
    # IoU = 1 / (4 + 3 - 1), rho^2 = 2.5 and c^2 = 20, sides differ by 1 of 2 and 1 of 4:
    # 1 - 1/6 + 2.5/20 + (1/2)^2 + (1/4)^2 = 1.27083
    assert loss(boxes([0, 0, 2, 2]), boxes([1, 1, 2, 4])).item() == pytest.approx(1.27083, abs=1e-4)


def mean_of_no_boxes_is_zero(loss: Loss) -> None:
    pred = torch.zeros(0, 4, requires_grad=True)
    value = loss(pred, torch.zeros(0, 4), reduction_override="mean")
    assert value.item() == 0


def no_boxes_stay_in_the_graph(loss: Loss) -> None:
    pred = torch.zeros(0, 4, requires_grad=True)
    loss(pred, torch.zeros(0, 4)).sum().backward()


def one_graph(loss: Loss) -> None:
    torch._dynamo.reset()
    pred = boxes([10, 20, 50, 70], [0, 0, 8, 6])
    torch.compile(loss, fullgraph=True, dynamic=True, backend="eager")(pred, pred + 1)


def double_target(loss: Loss) -> None:
    pred = boxes([10, 20, 50, 70], [0, 0, 8, 6])
    assert loss(pred, pred.double() + 1).isfinite().all()


def transposed_boxes_cost_the_same(loss: Loss) -> None:
    pred = boxes([1e-3, 1e-3, 2e-3, 3e-3], dtype=torch.float64)
    target = boxes([1.5e-3, 1.2e-3, 2.6e-3, 3.1e-3], dtype=torch.float64)
    swap = [1, 0, 3, 2]
    assert (loss(pred, target) - loss(pred[:, swap], target[:, swap])).abs().max() < 1e-9


def bounded_gradient_at_probability_zero(loss: Loss) -> None:
    assert gradient(loss, torch.zeros(1, 3), torch.ones(1, 3)).abs().max() <= 1e4


def target_left_alone(loss: Loss) -> None:
    target = torch.tensor([[0.5, 1.5, 2.5, 15.0]])
    kept = target.clone()
    loss(torch.zeros(4, 16), target)
    assert torch.equal(target, kept)


def large_masks_in_half_precision(loss: Loss) -> None:
    pred, target = torch.zeros(1, 1, 512, 512), torch.ones(1, 1, 512, 512)
    exact = loss(pred.double(), target.double())
    assert (loss(pred.half(), target.half()).double() - exact).abs().max() < 1e-2


def sums_over_anchors(loss: Loss) -> None:
    # the BCE that it replaces is summed and divided by the target scores: one anchor more may not shrink the others
    pred, target = torch.zeros(1, 100, 2), torch.zeros(1, 100, 2)
    whole, half = loss(pred, target).sum(), loss(pred[:, :50], target[:, :50]).sum()
    assert whole.item() == pytest.approx(2 * half.item())


@dataclass(frozen=True)
class Fault:
    """What a loss must do, who does not, and ours that does."""

    name: str
    probe: Callable[[Loss], None]
    theirs: Callable[[], Loss]
    twin: Callable[[], Loss]
    reason: str


def dfl(theirs: bool) -> Loss:
    if theirs:
        return find("ultralytics", "DFLoss").loss(reduced, reg_max=16)
    loss = ours("distribution_focal", margin=0.01)
    return lambda pred, target: loss(pred.view(*target.shape, 16), target)


FAULTS = [
    Fault(
        "mmdet CIoU, exact match",
        finite_on_a_match,
        lambda: mmdet("CIoULoss"),
        lambda: ours("ciou"),
        "alpha = v / (1 - IoU + v) is 0 / 0 once IoU rounds to 1",
    ),
    Fault(
        "mmdet SIoU, sign",
        farther_costs_more,
        lambda: mmdet("SIoULoss"),
        lambda: ours("siou"),
        "neg_gamma=False, the default, exponentiates +gamma: distance is rewarded",
    ),
    *(
        Fault(
            f"mmdet {name}, fp16 at 300 px",
            half_precision_at_300_px,
            lambda name=name: mmdet(name),
            lambda twin=twin: ours(twin),
            "areas above 65504 overflow; IoU and GIoU upcast the prediction only",
        )
        for name, twin in {
            "IoULoss": "iou",
            "GIoULoss": "giou",
            "DIoULoss": "diou",
            "CIoULoss": "ciou",
            "EIoULoss": "extended_iou",
            "SIoULoss": "siou",
        }.items()
    ),
    *(
        Fault(
            f"ultralytics bbox_iou {flag or 'IoU'}, fp16 at 300 px",
            half_precision_at_300_px,
            lambda flag=flag: ultralytics_iou(**({flag: True} if flag else {})),
            lambda flag=flag: ours(flag.lower() or "iou"),
            "computes in the input's dtype: areas above 65504 overflow",
        )
        for flag in ("", "GIoU", "DIoU", "CIoU")
    ),
    Fault(
        "torchvision CIoU, box without area",
        finite_without_area,
        lambda: torchvision("complete_box_iou_loss"),
        lambda: ours("ciou"),
        "w / h is 0 / 0",
    ),
    Fault(
        "ultralytics CIoU, box without area",
        bounded_gradient_without_area,
        lambda: ultralytics_iou(CIoU=True),
        lambda: ours("ciou"),
        "atan(w / (h + 1e-7)): a gradient of 1e6",
    ),
    Fault(
        "mmdet SIoU, two boxes without area",
        finite_where_both_have_no_area,
        lambda: mmdet("SIoULoss"),
        lambda: ours("siou"),
        "|w - wg| / max(w, wg) is 0 / 0",
    ),
    *(
        Fault(
            f"{name}, two boxes on a line",
            bounded_gradient_on_a_line,
            theirs,
            lambda: ours("giou"),
            "clamp passes the gradient at 0 (torch 2.9), divided by an epsilon",
        )
        for name, theirs in {
            "torchvision GIoU": lambda: torchvision("generalized_box_iou_loss"),
            "mmdet GIoU": lambda: mmdet("GIoULoss"),
            "ultralytics GIoU": lambda: ultralytics_iou(GIoU=True),
            "rfdetr GIoU": lambda: find("rfdetr", "elementwise_generalized_box_iou").loss(similarity_column),
        }.items()
    ),
    Fault(
        "mmdet CIoU, gate",
        aspect_counts_below_half_overlap,
        lambda: mmdet("CIoULoss"),
        lambda: ours("ciou"),
        "the aspect term counts above IoU 0.5 only (mmdet pull request 5835)",
    ),
    Fault(
        "mmdet EIoU, another loss",
        is_efficient_iou,
        lambda: mmdet("EIoULoss"),
        lambda: ours("eiou"),
        "EIoULoss is Extended IoU (mmdet pull request 9086)",
    ),
    Fault(
        "mmdet DIoU, mean of nothing",
        mean_of_no_boxes_is_zero,
        lambda: mmdet("DIoULoss"),
        lambda: ours("diou"),
        "mean of an empty tensor is NaN",
    ),
    Fault(
        "mmdet IoU, no boxes",
        no_boxes_stay_in_the_graph,
        lambda: mmdet("IoULoss"),
        lambda: ours("iou"),
        "bbox_overlaps returns a new tensor for an empty batch: backward raises",
    ),
    *(
        Fault(
            f"torchvision {name}, {what}",
            probe,
            lambda name=name: torchvision(name),
            lambda twin=twin: ours(twin),
            "boolean-mask assignment",
        )
        for name, twin in {
            "generalized_box_iou_loss": "giou",
            "distance_box_iou_loss": "diou",
            "complete_box_iou_loss": "ciou",
        }.items()
        for what, probe in {"fullgraph": one_graph, "float64 target": double_target}.items()
    ),
    *(
        Fault(f"transformers GIoU, {what}", probe, transformers_giou, lambda: ours("giou"), reason)
        for what, probe, reason in (
            ("two boxes without area", finite_where_both_have_no_area, "IoU is 0 / 0"),
            ("one point twice", finite_on_one_point, "IoU and the enclosing box are 0 / 0"),
            ("two boxes on a line", bounded_gradient_on_a_line, "IoU and the enclosing box are 0 / 0"),
            ("fullgraph", one_graph, "it looks at the boxes to refuse inverted ones"),
        )
    ),
    Fault(
        "ultralytics IoU, transposed",
        transposed_boxes_cost_the_same,
        ultralytics_iou,
        lambda: ours("iou"),
        "eps is added to heights, not to widths",
    ),
    Fault(
        "mmdet GaussianFocal, probability 0",
        bounded_gradient_at_probability_zero,
        lambda: mmdet("GaussianFocalLoss"),
        lambda: ours("gaussian_focal"),
        "ln(p + 1e-12): a gradient of 1e12",
    ),
    Fault(
        "ultralytics DFL, target",
        target_left_alone,
        lambda: dfl(theirs=True),
        lambda: dfl(theirs=False),
        "clamps its target in place",
    ),
    Fault(
        "ultralytics focal, reduction",
        sums_over_anchors,
        lambda: find("ultralytics", "FocalLoss").loss(reduced),
        lambda: ours("focal", gamma=1.5),
        "mean over axis 1, then a sum: with (b, anchors, classes) the loss shrinks by the number of anchors",
    ),
    *(
        Fault(
            f"{name} Dice, fp16 on 512 x 512",
            large_masks_in_half_precision,
            theirs,
            lambda: ours("dice"),
            "sums above 65504 overflow",
        )
        for name, theirs in {
            "mmdet": lambda: mmdet("DiceLoss", use_sigmoid=True),
            "transformers": lambda: find("transformers", "dice_loss").loss(over_masks),
            "rfdetr": lambda: find("rfdetr", "dice_loss").loss(over_masks),
        }.items()
    ),
]
every_fault = pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS])


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=fault.name, marks=pytest.mark.xfail(strict=True, reason=fault.reason)) for fault in FAULTS],
)
def test_upstream(fault: Fault) -> None:
    fault.probe(fault.theirs())


@every_fault
def test_theirs_is_there(fault: Fault) -> None:
    """A loss that cannot be built would pass for one that fails."""
    assert callable(fault.theirs())


@every_fault
def test_ours(fault: Fault) -> None:
    fault.probe(fault.twin())


def test_torchvision_ciou_ignores_eps_in_its_distance_term() -> None:
    """Recorded, not a failure of either: our dialect reproduces it on purpose, that of MMYOLO is told by its eps."""
    pred, target = boxes([0, 0, 0.01, 0.01]), boxes([0.005, 0.005, 0.015, 0.015])
    theirs = [find("torchvision", "complete_box_iou_loss").loss(eps=eps)(pred, target) for eps in (1e-7, 1e-3)]
    assert torch.equal(*theirs)
    ours, other = (
        [lp.ciou_loss(pred, target, eps=eps, dialect=dialect) for eps in (1e-7, 1e-3)]
        for dialect in ("torchvision", "mmyolo")
    )
    assert torch.equal(*ours)
    assert not torch.allclose(*other)
