"""RT-DETR: box and class loss of every decoder layer, against the stock losses, by hand, and in a training."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg
from ultralytics.models.utils.loss import DETRLoss, RTDETRDetectionLoss
from ultralytics.nn import tasks

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.detr import soft_targets
from loss_plugins.adapters.ultralytics.plug import plugged

from .ultralytics_runs import batch_of

STOCK_BOX = {"type": "giou", "dialect": "ultralytics"}
STOCK_CLS = {"type": "varifocal", "alpha": 0.25, "gamma": 1.5}
#: six decoder layers and the encoder, and six layers of denoising
LAYERS = 13


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    made = tasks.RTDETRDetectionModel("rtdetr-resnet50.yaml", nc=3, verbose=False)
    made.args, made.nc = get_cfg(), 3
    return made.train()


@pytest.fixture(scope="module")
def outputs(model: nn.Module) -> list[Any]:
    """What the criterion is called with on one batch: predictions, targets and denoising queries."""
    kept: list[Any] = []

    class Keep(RTDETRDetectionLoss):
        def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
            kept.extend([args, kwargs])
            found: dict[str, Tensor] = super().forward(*args, **kwargs)
            return found

    model.criterion = Keep(nc=3, use_vfl=True)
    model.loss(batch_of(model))
    model.criterion = None
    return kept


def leaves(value: Any) -> Any:
    """A copy of the outputs without a graph."""
    if isinstance(value, Tensor) and value.requires_grad:
        return value.detach().clone().requires_grad_()
    if isinstance(value, (tuple, list)):
        return type(value)(leaves(each) for each in value)
    return value


def computed(outputs: list[Any], **losses: Any) -> tuple[dict[str, Tensor], Tensor, Any]:
    """The criterion's losses, the gradient of its predictions, and the report."""
    args, kwargs = outputs
    args, kwargs = leaves(args), {key: leaves(value) for key, value in kwargs.items()}
    with plugged(lpu.make_spec(**losses), bound=False) if losses else plugged(lpu.make_spec(lp.GIoULoss())) as plug:
        criterion = RTDETRDetectionLoss(nc=3, use_vfl=True)
        if losses:
            plug.adopt(criterion)
        else:
            plug.bound = True
        found = criterion(*args, **kwargs)
        sum(found.values()).backward()
    boxes, scores = args[0]
    gradient = torch.cat([each.grad.flatten() for each in (boxes, scores, kwargs["dn_bboxes"], kwargs["dn_scores"])])
    return {key: value.detach() for key, value in found.items()}, gradient, plug.report


@pytest.mark.parametrize("slot", ["box", "cls"])
def test_the_stock_losses_are_reproduced(outputs: list[Any], slot: str) -> None:
    stock, gradient, _ = computed(outputs)
    twin, twin_gradient, report = computed(outputs, **{slot: STOCK_BOX if slot == "box" else STOCK_CLS})
    assert twin.keys() == stock.keys()
    for key, value in stock.items():
        torch.testing.assert_close(twin[key], value, rtol=2e-6, atol=1e-7, msg=key)
    torch.testing.assert_close(twin_gradient, gradient, rtol=1e-4, atol=1e-6)
    calls = getattr(report, slot)
    assert (calls.train_calls, calls.branch_calls, calls.gradient_calls) == (LAYERS, LAYERS, LAYERS)


@pytest.mark.parametrize("box", ["eiou", {"type": "wiou", "version": 3}, {"type": "mpdiou"}])
def test_only_the_box_loss_changes(outputs: list[Any], box: Any) -> None:
    stock, gradient, _ = computed(outputs)
    ours, changed, _ = computed(outputs, box=box)
    for key, value in stock.items():
        if "giou" in key:
            assert float(ours[key]) != float(value), key
        else:
            assert torch.equal(ours[key], value), key
    assert (changed - gradient).norm() > 0.01 * gradient.norm()


def test_a_constant_box_loss_has_the_stock_gain_in_each_layer(outputs: list[Any]) -> None:
    """Gain 2: 2 x 7 in the last layer, as often in the sums of the others."""
    found, _, _ = computed(outputs, box="constant")
    expected = {"loss_giou": 14.0, "loss_giou_aux": 6 * 14.0, "loss_giou_dn": 14.0, "loss_giou_aux_dn": 5 * 14.0}
    assert {key: float(value) for key, value in found.items() if "giou" in key} == pytest.approx(expected)


def test_the_class_loss_by_hand() -> None:
    """Two objects in one image; bce of all scores, summed, over two, with gain 1."""
    criterion = RTDETRDetectionLoss(nc=3, use_vfl=True)
    logits = torch.tensor([[[0.5, -1.0, 2.0], [1.0, 0.0, -2.0], [0.0, 0.0, 0.0]]])
    classes, scores = torch.tensor([[2, 3, 0]]), torch.tensor([[0.75, 0.0, 0.5]])
    target = torch.tensor([[[0.0, 0, 0.75], [0, 0, 0], [0.5, 0, 0]]])
    assert torch.equal(soft_targets(classes, scores, 3), target)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum") / 2
    with plugged(lpu.make_spec(cls="bce_with_logits")) as plug:
        plug.adopt(criterion)
        found = criterion._get_loss_class(logits, classes, scores, 2)["loss_class"]
    torch.testing.assert_close(found, expected)


def test_an_image_without_objects(model: nn.Module) -> None:
    batch = batch_of(model)
    for key, width in (("bboxes", 4), ("cls", 1)):
        batch[key] = torch.zeros(0, width)
    batch["batch_idx"] = torch.zeros(0)
    model.criterion = None
    with lpu.patched(box="eiou", cls="quality_focal", model=model) as report:
        total, _ = model.loss(batch)
        total.backward()
    assert torch.isfinite(total)
    assert (report.box.train_calls, report.box.expected_calls) == (0, 0)
    assert report.cls.train_calls == report.cls.expected_calls > 0


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ({"box": "nwd"}, "sides of the image, and nwd needs them in pixels"),
        ({"box": {"type": "mix", "losses": ["nwd", "ciou"]}}, "sides of the image, and nwd needs them in pixels"),
        ({"box": "kld"}, "kld is a loss of rotated ones"),
        ({"box": "eiou", "gain": "match"}, "its stock losses are GIoU and varifocal"),
        ({"box": "eiou", "assigner": "match"}, "its matcher has a cost of its own"),
    ],
)
def test_what_it_cannot_compute_is_refused_when_the_criterion_is_built(losses: dict[str, Any], reason: str) -> None:
    with plugged(lpu.make_spec(**losses)) as plug, pytest.raises(lpu.UnsupportedUltralytics, match=re.escape(reason)):
        plug.adopt(RTDETRDetectionLoss(nc=3, use_vfl=True))


def test_the_canary_notices_other_code_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    criterion = RTDETRDetectionLoss(nc=3, use_vfl=True)
    with plugged(lpu.make_spec("eiou", "quality_focal")) as plug:
        plug.adopt(criterion)
        assert plug.check(criterion) == 1
        assert plug.stock_gains == {"box": 2, "cls": 1}
        assert plug.box is not None
        assert plug.box.calls.train_calls == 0
        monkeypatch.setattr(criterion, "_get_loss_bbox", lambda pred, target, postfix="": {"loss_giou": 2 * pred.sum()})
        with pytest.raises(lpu.UnsupportedUltralytics, match="the plug does not hold"):
            plug.check(criterion)


def test_the_methods_are_put_back() -> None:
    before = {name: vars(DETRLoss)[name] for name in ("_get_loss", "_get_loss_bbox", "_get_loss_class")}
    with plugged(lpu.make_spec("eiou")):
        assert all(vars(DETRLoss)[name] is not method for name, method in before.items())
    assert all(vars(DETRLoss)[name] is method for name, method in before.items())
