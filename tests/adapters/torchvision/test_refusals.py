"""What is not served is refused before training, with what was sought, what was found and what to do."""

import pickle

import pytest
import torch
from torch import nn
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import generalized_box_iou_loss

from loss_plugins import CIoULoss, register_loss
from loss_plugins.adapters.detr import UnsupportedCriterion
from loss_plugins.adapters.torchvision import UnsupportedModel, plug, unplug
from loss_plugins.catalog.entries import unregister_loss

from .models import built, faster_rcnn, fcos, losses, retinanet, ssd


class OtherLoss(FCOSHead):
    """Returns half of the box loss."""

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
        found = super().compute_loss(targets, head_outputs, anchors, matched_idxs)
        return {**found, "bbox_regression": found["bbox_regression"] / 2}


class HalfLoss(FCOSHead):
    """Likewise, by a function of its own that reads the global."""

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
        pred = self.box_coder.decode(head_outputs["bbox_regression"], torch.stack(anchors))
        total = 0
        for image, found in enumerate(matched_idxs):
            where = found >= 0
            target = targets[image]["boxes"][found[where]]
            total = total + generalized_box_iou_loss(pred[image][where], target, reduction="sum") ** 2
        return {"bbox_regression": total}


class Unused(FCOSHead):
    """Reads the global, and does not call it."""

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
        assert generalized_box_iou_loss is not None
        return {"bbox_regression": head_outputs["bbox_regression"].sum()}


class Fair(FCOSHead):
    """One's own, which is the stock loss in another form: a mean."""

    def compute_loss(self, targets, head_outputs, anchors, matched_idxs):
        pred = self.box_coder.decode(head_outputs["bbox_regression"], torch.stack(anchors))
        pairs = [(pred[i][m >= 0], targets[i]["boxes"][m[m >= 0]]) for i, m in enumerate(matched_idxs)]
        one, two = (torch.cat(each) for each in zip(*pairs, strict=True))
        loss = generalized_box_iou_loss(one, two, reduction="mean" if len(one) else "sum")
        return {"bbox_regression": loss + generalized_box_iou_loss(one, two).sum()}


def with_head(cls):
    model = built(fcos)
    model.head.__class__ = cls
    return model


def test_a_head_whose_loss_is_another_is_refused_with_both_numbers():
    model = with_head(HalfLoss)
    says = r"HalfLoss \(torchvision .*\): sought giou, \((.*), .*\) on fixed.*found \((.*), .*\) as"
    with pytest.raises(UnsupportedModel, match=says):
        plug(model, box="eiou")
    assert type(model.head) is HalfLoss


def test_a_head_that_calls_no_known_loss_is_refused():
    with pytest.raises(UnsupportedModel, match="without a call of generalized_box_iou_loss; plug the stock part"):
        plug(with_head(Unused), box="eiou")
    with pytest.raises(UnsupportedModel, match=r"found OtherLoss.compute_loss, which does not call it itself"):
        plug(with_head(OtherLoss), box="eiou")


def test_a_head_of_one_s_own_that_calls_the_stock_loss_is_served():
    model = with_head(Fair)
    placed = plug(model, box="eiou")
    found = losses(model)
    found["bbox_regression"].backward()
    assert placed.report.box.calls == 2
    placed.unplug()
    assert type(model.head) is Fair


def test_a_head_that_cannot_be_called_is_refused():
    class Strange(FCOSHead):
        def compute_loss(self, targets):
            return generalized_box_iou_loss(targets, targets)

    with pytest.raises(UnsupportedModel, match="found that it raises TypeError"):
        plug(with_head(Strange), box="eiou")


def test_an_unknown_kind_of_retinanet_is_refused():
    model = built(lambda: retinanet("alpha"))
    with pytest.raises(UnsupportedModel, match="sought a box loss of torchvision's, found _loss_type='alpha'"):
        plug(model, box="eiou")


@pytest.mark.parametrize(
    ("make", "asked", "says"),
    [
        (ssd, {"box": "eiou"}, "SSD .*its box loss is not served: .* compares encoded offsets.*served are FCOS"),
        (ssd, {"cls": "focal"}, "SSD .*its cls loss is not served: .* picks its negatives by the cross-entropy"),
        (faster_rcnn, {"cls": "focal"}, "RoIHeads .*its cls loss is not served: its scores are a softmax"),
        (lambda: nn.Linear(1, 1), {"box": "eiou"}, "sought a head of FCOS.* found a Linear without compute_loss"),
        (lambda: nn.ModuleList([fcos(), fcos()]), {"box": "eiou"}, "one part with a box loss, found 0.head, 1.head"),
        (lambda: fcos().head.regression_head, {"box": "eiou"}, "found a FCOSRegressionHead without"),
        (lambda: retinanet().head.regression_head, {"cls": "focal"}, "found RetinaNetRegressionHead"),
        (lambda: retinanet().head.classification_head, {"cls": "varifocal"}, "sought a RetinaNetHead around it"),
        (lambda: faster_rcnn().rpn, {"cls": "focal"}, "RegionProposalNetwork .*its one score says whether"),
    ],
)  # fmt: skip
def test_models_that_are_not_served_are_named(make, asked, says):
    model = built(make)
    before = [type(part) for part in model.modules()]
    with pytest.raises(UnsupportedModel, match=says):
        plug(model, **asked)
    assert [type(part) for part in model.modules()] == before


def test_the_error_travels_whole():
    error = UnsupportedModel(nn.Linear(1, 1), "sought a head, found none", "plug a model")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error).startswith("Linear (torchvision 0.")
    assert isinstance(error, UnsupportedCriterion)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"box": "kld"}, "box='kld' is a loss of kind rotated_box, and these heads compare upright boxes"),
        ({"box": "wing"}, "box='wing' is a loss of kind keypoint, and these heads compare upright boxes"),
        ({"box": "mgiou_quad"}, "box='mgiou_quad' is a loss of kind quad, and these heads compare upright boxes"),
        ({"cls": "ddf"}, "cls='ddf' is a loss of kind distribution"),
        ({"box": "smooth_l1"}, "box='smooth_l1' is a loss of kind coordinate"),
        ({"box": "focal"}, "box='focal' is a loss of kind classification"),
        ({"box": "mpdiou"}, r"box='mpdiou' needs the size of the images.*'image_size': \(height, width\)"),
        ({"box": {"type": "mix", "losses": ["mpdiou", "ciou"]}}, "needs the size of the images"),
        ({"box": {"type": "ciou", "box_format": "cxcywh"}}, "box='ciou': box_format='cxcywh'; allowed: 'xyxy'"),
        ({"box": {"type": "ciou", "reduction": "sum"}}, "allowed: no reduction"),
        ({"box": {"type": "ciou", "loss_weight": 0.0}}, "nothing would be trained"),
        ({"box": "coiu"}, "torchvision adapter: box='coiu' is an unknown loss.*did you mean 'ciou'"),
        ({"box": {"type": "coiu"}}, "box.type='coiu' is an unknown loss"),
        ({"box": {"losses": ["ciou"]}}, "has no 'type'"),
        ({"box": 3}, "box=3 is of type int"),
        ({"box": CIoULoss}, "box=CIoULoss is a class"),
        ({"cls": "cross_entropy"}, "cls='cross_entropy' is a softmax over classes"),
        ({"cls": "softmax_focal"}, "cls='softmax_focal' is a softmax over classes"),
        ({"cls": "bce"}, "cls='bce' takes probabilities, and these heads have logits"),
        ({"cls": "dice"}, "cls='dice' is a loss of kind region"),
        ({"cls": "ciou"}, "cls='ciou' is a loss of kind box"),
        ({}, "box=None and cls=None: no loss was asked for"),
        ({"box": "ciou", "gain": "mtch"}, "gain='mtch'"),
        ({"cls": "asymmetric", "gain": "match"}, "times as hard on negatives"),
        ({"bx": "ciou"}, "unknown argument bx='ciou'.*did you mean 'box'"),
    ],
    ids=str,
)
def test_losses_that_do_not_fit_are_refused_before_training(asked, says):
    with pytest.raises((ValueError, TypeError), match=says):
        plug(built(fcos), **asked)


def test_what_is_no_module_is_refused():
    for call in (lambda: plug("fcos", box="ciou"), lambda: unplug(None)):
        with pytest.raises(TypeError, match=r"torchvision adapter: model=.*allowed: Module"):
            call()


@pytest.fixture
def own():
    """Registers losses of one's own."""
    names = []

    def enter(function, kind="box"):
        register_loss("test_own", kind=kind)(function)
        names.append("test_own")
        return "test_own"

    yield enter
    for name in names:
        unregister_loss(name)


def test_a_loss_of_one_s_own_is_served(own):
    def test_own(pred, target):
        return (pred - target).abs().sum(-1) / 100

    model = built(fcos)
    with plug(model, box=own(test_own)) as placed:
        losses(model)["bbox_regression"].backward()
    assert placed.report.box.gradient_rows > 0


def test_a_loss_without_gradient_is_refused(own):
    def test_own(pred, target):
        return (pred.detach() - target).abs().sum(-1)

    with pytest.raises(UnsupportedModel, match="box loss test_own comes back without gradient"):
        plug(built(fcos), box=own(test_own))


def test_a_loss_without_gradient_has_no_gain(own):
    def test_own(pred, target):
        return 0 * (pred - target).abs().sum(-1)

    model = built(fcos)
    with pytest.raises(ValueError, match="gradient"):
        plug(model, box=own(test_own), gain="match")
    assert type(model.head) is FCOSHead


def test_a_loss_that_changes_from_call_to_call_is_refused(own):
    calls = []

    def test_own(pred, target):
        calls.append(pred)
        return (pred - target).abs().sum(-1) / len(calls)

    with pytest.raises(UnsupportedModel, match=r"box loss test_own .*the plug does not hold"):
        plug(built(fcos), box=own(test_own))


def test_a_loss_that_is_not_finite_is_refused(own):
    def test_own(pred, target):
        return (pred - target).abs().sum(-1).neg().log()

    model = built(retinanet)
    with pytest.raises(UnsupportedModel, match=r"box loss test_own is \(nan.*mend the loss: `loss-plugins check`"):
        plug(model, box=own(test_own))
    assert type(model.head.regression_head).__name__ == "RetinaNetRegressionHead"


def test_a_head_around_the_scores_that_is_another_is_refused():
    model = built(retinanet)
    model.head = nn.ModuleDict(dict(model.head.named_children()))
    with pytest.raises(UnsupportedModel, match=r"sought a RetinaNetHead around it.*found ModuleDict"):
        plug(model, cls="quality_focal")
    assert not isinstance(model.head, RetinaNetHead)


def test_a_plug_that_has_left_is_not_entered_again():
    plugged = plug(built(fcos), box="eiou")
    plugged.unplug()
    with pytest.raises(ValueError, match=r"model=FCOS were taken out already; .* call plug\(\.\.\.\) again"), plugged:
        pass
