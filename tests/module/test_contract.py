"""What the module around a function promises beside what the audit proves: weights, errors, losses of one's own."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.samples import SAMPLES


def test_weights_of_every_shape() -> None:
    pred, target = SAMPLES["jittered boxes"](6, dtype=torch.float64)
    weight = torch.tensor([1.0, 0.0, 2.0, 0.5, 1.0, 0.0], dtype=torch.float64)
    loss = lp.giou_loss(pred, target)
    module = lp.GIoULoss(reduction="sum")
    for given_weight in (weight, weight[:, None], weight[:, None].expand(6, 4)):
        assert module(pred, target, given_weight).item() == pytest.approx((loss * weight).sum().item())
    columns = lp.L1Loss(reduction="sum")
    expected = ((pred - target).abs() * weight[:, None]).sum().item()
    for given_weight in (weight, weight[:, None], weight[:, None].expand(6, 4)):
        assert columns(pred, target, given_weight).item() == pytest.approx(expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_of_an_empty_batch_keep_the_graph(reduction: str) -> None:
    pred = torch.zeros(0, 4, requires_grad=True)
    loss = lp.CIoULoss(reduction=reduction)(pred, torch.zeros(0, 4), torch.zeros(0))
    loss.backward()
    assert loss.item() == 0.0
    assert pred.grad is not None
    assert pred.grad.shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: lp.ciou_loss(torch.rand(3, 5), torch.rand(3, 5)),
            ValueError,
            r"ciou: pred has shape \(3, 5\).*must be 4",
        ),
        (lambda: lp.ciou_loss(torch.rand(3, 4), torch.rand(4)), ValueError, "differ"),
        (
            lambda: lp.ciou_loss(torch.ones(3, 4).int(), torch.rand(3, 4)),
            TypeError,
            r"pred has dtype torch\.int32.*\.float",
        ),
        (lambda: lp.ciou_loss([1, 2, 3, 4], torch.rand(4)), TypeError, "pred must be a torch"),
        (lambda: lp.ciou_loss(torch.rand(4), torch.rand(4), eps=-1.0), ValueError, r"eps=-1\.0 is out of range"),
        (lambda: lp.ciou_loss(torch.rand(4), torch.rand(4), dialect="mdet"), ValueError, "dialect='mdet'.*'mmdet'"),
        (lambda: lp.eiou_loss(torch.rand(4), torch.rand(4), box_format="xywh"), ValueError, "'xyxy' or 'cxcywh'"),
        (lambda: lp.alpha_iou_loss(torch.rand(4), torch.rand(4), power=2.0), TypeError, "unknown parameter 'power'"),
        (lambda: lp.iou_loss(torch.rand(4), torch.rand(4), mode="ln"), ValueError, "mode='ln'.*'linear' or 'log'"),
        (lambda: lp.HuberLoss(delta=0.0), ValueError, r"delta=0\.0 is out of range; allowed: \(0, inf\)"),
        (lambda: lp.FocalL1Loss(beta=0.2), ValueError, "beta=0.2"),
        (lambda: lp.CIoULoss(reduction="avg"), ValueError, "reduction='avg' is out of range"),
        (lambda: lp.CIoULoss(loss_weight="2"), ValueError, "loss_weight='2'"),
        (lambda: lp.CIoULoss(gamma=1.0), TypeError, "unknown parameter 'gamma'"),
        (lambda: lp.build_loss("coiu"), ValueError, "did you mean 'ciou'"),
        (lambda: lp.build_loss({"loss": "ciou"}), TypeError, "has no 'type'"),
        (lambda: lp.build_loss(7), TypeError, "got int"),
        (lambda: lp.list_losses(kind="boxes"), ValueError, "kind='boxes'"),
        (
            lambda: lp.CIoULoss()(torch.rand(3, 4), torch.rand(3, 4), torch.rand(2)),
            ValueError,
            r"weight has shape \(2,\)",
        ),
        (
            lambda: lp.CIoULoss()(torch.rand(3, 4), torch.rand(3, 4), reduction_override="x"),
            ValueError,
            "reduction_override",
        ),
        (lambda: lp.CIoULoss("sum")(torch.rand(3, 4), torch.rand(3, 4), avg_factor=2), ValueError, "avg_factor=2"),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# --- registering one's own -----------------------------------------------------------------------------------------


def test_a_loss_of_ones_own() -> None:
    @lp.register_loss("test_own", traits=lp.Traits(range=(0, 1)))
    def own(pred: Tensor, target: Tensor, *, scale: float = 2.0) -> Tensor:
        """My own."""
        return scale * (pred - target).abs().mean(-1)

    try:
        assert "test_own" in lp.list_losses(kind="box")
        module = lp.build_loss("test_own", scale=3.0, reduction="sum")
        pred, target = torch.zeros(2, 4).half(), torch.ones(2, 4)
        assert module(pred, target).item() == 6.0
        assert pickle.loads(pickle.dumps(module))(pred, target).item() == 6.0
        assert copy.deepcopy(module)(pred, target).item() == 6.0
        assert own(pred, target).dtype == torch.float32
        with pytest.raises(ValueError, match=r"the name .test_own. is taken by .*test_contract"):
            lp.register_loss("test_own")(lambda pred, target: (pred - target).abs().sum(-1))
        lp.register_loss("test_own")(own)  # the same function again: a cell of a notebook that runs twice
        assert lp.build_loss("test_own", reduction="sum")(pred, target).item() == 4.0
    finally:
        lp.unregister_loss("test_own")
    with pytest.raises(ValueError, match="'test_own' is an unknown loss"):
        lp.build_loss("test_own")


def test_a_function_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must take \(pred, target"):

        @lp.register_loss("test_wrong")
        def wrong(boxes: Tensor, other: Tensor) -> Tensor:
            return boxes

    with pytest.raises(ValueError, match="kind='boxes'"):
        lp.register_loss("test_wrong", kind="boxes")  # type: ignore[arg-type]
