"""What is computed: the stock loss where it is asked for, and the new one in its place and nowhere else."""

import pytest
import torch
from torch.nn import functional
from torchvision.models.detection import roi_heads
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import sigmoid_focal_loss

from loss_plugins import GHMCLoss, ciou_loss, eiou_loss, iou_loss, nwd_loss, poly_focal_loss, varifocal_loss
from loss_plugins.adapters.detr.asked import per_score
from loss_plugins.adapters.torchvision import plug
from loss_plugins.adapters.torchvision.stocks import class_stock, of_offsets
from loss_plugins.catalog.entries import shipped

from .models import CLASSES, DENSE, SERVED, batch, built, faster_rcnn, fcos, gradients, key_of, losses, retinanet

models = pytest.mark.parametrize("make", SERVED.values(), ids=SERVED)
dense = pytest.mark.parametrize("make", DENSE.values(), ids=DENSE)
counts = pytest.mark.parametrize("counts", [(2, 0, 3), (1,), (0, 0), (4, 1)], ids=str)


def box_inputs(model, seed=0, counts=(2, 0, 3), anchors=12):
    """Arguments of compute_loss for a head of FCOS or RetinaNet, and what is matched."""
    random = torch.Generator().manual_seed(seed)
    shape = len(counts), anchors
    outputs = {
        "cls_logits": torch.randn(*shape, CLASSES, generator=random, requires_grad=True),
        "bbox_regression": torch.rand(*shape, 4, generator=random, requires_grad=True),
        "bbox_ctrness": torch.randn(*shape, 1, generator=random, requires_grad=True),
    }
    corner = 40 * torch.rand(*shape, 2, generator=random)
    places = list(torch.cat([corner, corner + 10 + 20 * torch.rand(*shape, 2, generator=random)], dim=-1))
    low = -1 if "FCOS" in type(model.head).__name__ else -2
    targets, matched = [], []
    for image, count in enumerate(counts):
        # of anchors that are boxes of objects themselves, so that centers lie inside
        targets.append({"boxes": places[image][:count] + 1.5, "labels": torch.arange(count) % CLASSES})
        found = torch.randint(low, 0, (anchors,), generator=random)
        found[:count] = torch.arange(count)
        matched.append(found)
    return (targets, outputs, places, matched), outputs


def test_giou_is_the_stock_loss_of_heads_that_have_it():
    for make in (fcos, lambda: retinanet("giou")):
        model = built(make)
        stock = losses(model)
        wanted = gradients(model, sum(stock.values()))
        with plug(model, box="giou", cls="focal") as placed:
            found = losses(model)
            sum(found.values()).backward(retain_graph=True)
            assert placed.report.box.stock == "giou"
            assert placed.report.cls.stock == "focal"
        for key, loss in stock.items():
            torch.testing.assert_close(found[key], loss)
        torch.testing.assert_close(gradients(model, sum(found.values())), wanted)


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_the_dialect_of_each_kind_of_retinanet_is_its_own_loss(kind):
    model = built(lambda: retinanet(kind))
    stock = losses(model)
    placed = plug(model, box={"type": kind, "dialect": "torchvision"})
    assert placed.report.box.stock == kind
    torch.testing.assert_close(losses(model), stock, rtol=1e-6, atol=1e-7)


@models
@pytest.mark.parametrize("box", ["eiou", "nwd", {"type": "ciou", "loss_weight": 2.5}])
def test_only_the_box_loss_changes(make, box):
    model = built(make)
    stock = losses(model)
    placed = plug(model, box=box)
    found = losses(model)
    assert found.keys() == stock.keys()
    changed = {key for key in stock if not torch.equal(stock[key], found[key])}
    assert changed == {key_of(model)}
    assert placed.report.cls is None


def test_the_harmonised_loss_is_its_mean_times_the_scores_for_each_object():
    model = built(fcos)
    arguments, outputs = box_inputs(model, counts=(2, 1))
    logits, (targets, _, _, matched) = outputs["cls_logits"], arguments
    wanted = torch.zeros_like(logits)
    for image, found in enumerate(matched):
        for anchor in (found >= 0).nonzero().flatten():
            wanted[image, anchor, targets[image]["labels"][found[anchor]]] = 1
    with plug(model, cls="ghm_c"):
        found = model.head.compute_loss(*arguments)["classification"]
        found.backward()
    mean = GHMCLoss()(logits.flatten(0, 1), wanted.flatten(0, 1))
    torch.testing.assert_close(found, mean * logits.numel() / 3)


@dense
def test_only_the_class_loss_changes(make):
    model = built(make)
    stock = losses(model)
    plug(model, cls="poly_focal")
    found = losses(model)
    assert {key for key in stock if not torch.equal(stock[key], found[key])} == {"classification"}


@counts
@pytest.mark.parametrize("seed", range(2))
def test_fcos_sums_over_all_objects_of_the_batch(counts, seed):
    model = built(fcos)
    arguments, outputs = box_inputs(model, seed, counts)
    plug(model, box={"type": "eiou", "loss_weight": 1.5}, cls="poly_focal")
    found = model.head.compute_loss(*arguments)
    targets, _, places, matched = arguments
    boxes, wanted, scores = [], [], torch.zeros_like(outputs["cls_logits"])
    for image, each in enumerate(matched):
        for anchor in (each >= 0).nonzero()[:, 0].tolist():
            x1, y1, x2, y2 = places[image][anchor]
            middle, sides = torch.stack([x1 + x2, y1 + y2]) / 2, torch.stack([x2 - x1, y2 - y1])
            left, right = outputs["bbox_regression"][image, anchor].split(2)
            boxes.append(torch.cat([middle - left * sides, middle + right * sides]))
            wanted.append(targets[image]["boxes"][each[anchor]])
            scores[image, anchor, targets[image]["labels"][each[anchor]]] = 1
    number = max(1, len(boxes))
    total = 1.5 * eiou_loss(torch.stack(boxes), torch.stack(wanted)).sum() if boxes else torch.zeros(())
    torch.testing.assert_close(found["bbox_regression"], total / number)
    of_scores = poly_focal_loss(outputs["cls_logits"].flatten(0, 1), scores.flatten(0, 1)).sum()
    torch.testing.assert_close(found["classification"], of_scores / number)


@counts
@pytest.mark.parametrize("kind", ["l1", "giou", "smooth_l1"])
def test_retinanet_averages_over_the_objects_of_each_image(counts, kind):
    model = built(lambda: retinanet(kind))
    arguments, outputs = box_inputs(model, 3, counts)
    plug(model, box="ciou", cls={"type": "poly_focal", "loss_weight": 0.5})
    found = model.head.compute_loss(*arguments)
    targets, _, places, matched = arguments
    of_boxes, of_scores = [], []
    for image, each in enumerate(matched):
        where, valid = each >= 0, each != -2
        low, high = places[image].split(2, dim=-1)
        sides, middle = high - low, (low + high) / 2
        offsets = outputs["bbox_regression"][image]
        middle, sides = middle + offsets[:, :2] * sides, sides * offsets[:, 2:].exp()
        pred = torch.cat([middle - sides / 2, middle + sides / 2], dim=-1)[where]
        number = max(1, int(where.sum()))
        of_boxes.append(ciou_loss(pred, targets[image]["boxes"][each[where]]).sum() / number)
        scores = torch.zeros_like(outputs["cls_logits"][image])
        scores[where, targets[image]["labels"][each[where]]] = 1
        loss = 0.5 * poly_focal_loss(outputs["cls_logits"][image][valid], scores[valid])
        of_scores.append(loss.sum() / number)
    torch.testing.assert_close(found["bbox_regression"], torch.stack(of_boxes).mean())
    torch.testing.assert_close(found["classification"], torch.stack(of_scores).mean())


def test_qualities_are_the_iou_of_the_predicted_boxes():
    for make, kind in ((fcos, ""), (retinanet, "l1"), (retinanet, "giou")):
        model = built(make if not kind else lambda kind=kind: retinanet(kind))
        arguments, outputs = box_inputs(model, 5)
        targets, _, places, matched = arguments
        plug(model, cls="varifocal")
        found = model.head.compute_loss(*arguments)["classification"]
        parts = []
        for image, each in enumerate(matched):
            where, valid = each >= 0, each != -2
            coder = model.head.box_coder if make is fcos else model.head.regression_head.box_coder
            decode = coder.decode if make is fcos else coder.decode_single
            with torch.no_grad():
                pred = decode(outputs["bbox_regression"][image], places[image])[where]
                quality = 1 - iou_loss(pred, targets[image]["boxes"][each[where]])
            scores = torch.zeros_like(outputs["cls_logits"][image])
            scores[where, targets[image]["labels"][each[where]]] = quality
            loss = varifocal_loss(outputs["cls_logits"][image][valid], scores[valid]).sum()
            parts.append((loss, int(where.sum())))
        if make is fcos:
            wanted = sum(loss for loss, _ in parts) / sum(number for _, number in parts)
        else:
            wanted = sum(loss / max(1, number) for loss, number in parts) / len(parts)
        torch.testing.assert_close(found, wanted)
        assert torch.autograd.grad(found, outputs["bbox_regression"], allow_unused=True) == (None,)


def test_the_second_stage_decodes_what_its_proposals_are_moved_by(monkeypatch):
    model = built(faster_rcnn)
    handed = []

    def noted(logits, regression, labels, targets):
        handed.append((logits, regression, torch.cat(labels)))
        return stock(logits, regression, labels, targets)

    stock = roi_heads.fastrcnn_loss
    plug(model, box="eiou")
    monkeypatch.setattr(roi_heads, "fastrcnn_loss", noted)
    chosen = model.roi_heads.select_training_samples
    samples = []
    monkeypatch.setattr(
        model.roi_heads, "select_training_samples", lambda *given: samples.append(chosen(*given)) or samples[-1]
    )
    found = losses(model, (2, 0, 3))["loss_box_reg"]
    ((_, regression, label),), ((proposals, matched, *_),) = handed, samples
    objects = [targets["boxes"] for targets in _resized(model)]
    wanted = [
        boxes[found] if len(boxes) else torch.zeros(len(found), 4)
        for boxes, found in zip(objects, matched, strict=True)
    ]
    proposals, wanted, where = torch.cat(proposals), torch.cat(wanted), label > 0
    assert where.any()
    low, high = proposals[where].split(2, dim=-1)
    offsets = regression.view(len(label), CLASSES, 4)[where, label[where]] / torch.tensor([10.0, 10, 5, 5])
    middle = (low + high) / 2 + offsets[:, :2] * (high - low)
    half = offsets[:, 2:].exp() * (high - low) / 2
    pred = torch.cat([middle - half, middle + half], dim=-1)
    torch.testing.assert_close(found, eiou_loss(pred, wanted[where]).sum() / len(label), rtol=1e-4, atol=1e-6)


def _resized(model):
    return model.transform(*batch((2, 0, 3)))[1]


@pytest.mark.parametrize("positives", [3, 0])
def test_the_first_stage_is_served_by_itself(positives):
    part = built(faster_rcnn).rpn
    random = torch.Generator().manual_seed(4)
    corner = 40 * torch.rand(10, 2, generator=random)
    anchors = torch.cat([corner, corner + 12], dim=-1)
    boxes = anchors[:positives] + torch.tensor([1.0, -1.0, 3.0, 2.0])
    labels, matched = part.assign_targets_to_anchors([anchors], [{"boxes": boxes}])
    targets = part.box_coder.encode(matched, [anchors])
    offsets = torch.randn(10, 4, generator=random).mul(0.1).requires_grad_()
    objectness = torch.randn(10, 1, generator=random, requires_grad=True)
    with torch.random.fork_rng():
        stock = part.compute_loss(objectness, offsets, labels, targets)
    placed = plug(part, box="nwd")
    labels, matched = part.assign_targets_to_anchors([anchors], [{"boxes": boxes}])
    with torch.random.fork_rng():
        found = part.compute_loss(objectness, offsets, labels, targets)
    where = labels[0] > 0
    assert bool(where.any()) is bool(positives)
    low, high = anchors[where].split(2, dim=-1)
    middle = (low + high) / 2 + offsets[where, :2] * (high - low)
    half = offsets[where, 2:].exp() * (high - low) / 2
    wanted = nwd_loss(torch.cat([middle - half, middle + half], dim=-1), matched[0][where]).sum() / 10
    torch.testing.assert_close(found[0], stock[0])
    torch.testing.assert_close(found[1], wanted)
    assert placed.report.box.stock == "smooth_l1 of offsets"
    assert placed.report.box.rows == int(where.sum())


def test_the_model_of_a_first_stage_trains_with_it():
    model = built(faster_rcnn)
    stock = losses(model)
    with plug(model, box="eiou"), plug(model.rpn, box="giou") as first:
        found = losses(model)
        sum(found.values()).backward()
    assert {key for key in stock if not torch.equal(stock[key], found[key])} == {"loss_box_reg", "loss_rpn_box_reg"}
    assert first.report.box.gradient_rows > 0


def test_half_precision_keeps_the_pixels():
    """Corners in bfloat16 lie up to a pixel off at 200."""
    for make in (fcos, retinanet):
        model = built(make)
        arguments, outputs = box_inputs(model, 2)
        targets, _, places, matched = arguments
        far = [each + 200 for each in places]
        targets = [{**each, "boxes": each["boxes"] + 200} for each in targets]
        plug(model, box="ciou")
        half = {name: value.bfloat16() for name, value in outputs.items()}
        rounded = {name: value.float() for name, value in half.items()}
        found = model.head.compute_loss(targets, half, far, matched)["bbox_regression"]
        wanted = model.head.compute_loss(targets, rounded, far, matched)["bbox_regression"]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted)


def test_pixels_are_what_losses_in_pixels_get():
    model = built(fcos)
    arguments, outputs = box_inputs(model, 6)
    plug(model, box="nwd")
    found = model.head.compute_loss(*arguments)["bbox_regression"]
    targets, _, places, matched = arguments
    where = [each >= 0 for each in matched]
    decode = model.head.box_coder.decode
    pred = torch.cat([decode(o[w], p[w]) for o, p, w in zip(outputs["bbox_regression"], places, where, strict=True)])
    wanted = torch.cat([t["boxes"][m[w]] for t, m, w in zip(targets, matched, where, strict=True)])
    torch.testing.assert_close(found, nwd_loss(pred, wanted).mean())


@pytest.mark.parametrize("name", [entry.name for entry in shipped() if per_score(entry)])
def test_every_loss_of_single_scores_trains(name):
    model = built(retinanet)
    with plug(model, cls=name) as placed:
        loss = losses(model)["classification"]
        loss.backward()
    assert loss.isfinite()
    assert placed.report.cls.gradient_rows > 0


BOXES = [entry.name for entry in shipped() if entry.kind == "box" and entry.name not in ("mix", "mpdiou")]


@pytest.mark.parametrize(
    "box", [*BOXES, {"type": "mpdiou", "image_size": [64, 64]}, {"type": "mix", "losses": ["ciou", "nwd"]}], ids=str
)
def test_every_loss_of_upright_boxes_trains(box):
    model = built(fcos)
    with plug(model, box=box) as placed:
        losses(model)["bbox_regression"].backward()
    assert placed.report.box.gradient_rows > 0


def test_the_stock_focal_loss_is_the_catalogue_s():
    logits, target = torch.randn(5, 3), torch.rand(5, 3)
    torch.testing.assert_close(class_stock(logits, target), sigmoid_focal_loss(logits, target))


def test_offsets_are_compared_as_torchvision_does():
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    anchors = torch.tensor([[0.0, 0, 10, 20], [5, 5, 25, 15]])
    offsets, target = torch.randn(2, 4), torch.randn(2, 4)
    pred, boxes = (coder.decode_single(each, anchors) for each in (offsets, target))
    found = of_offsets("smooth_l1", beta=1 / 9).rows(pred, boxes, anchors, coder)
    wanted = functional.smooth_l1_loss(offsets, target, beta=1 / 9, reduction="none").sum(-1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
