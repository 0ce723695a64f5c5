"""Seesaw, EQLv2 and EFL in MMDetection's heads: channels, reading of scores, accuracy, losses, statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.models import losses as stock
from mmengine.registry import MODELS
from torch import Tensor

from loss_plugins.adapters.mmdet.hook import LossPluginsHook
from loss_plugins.adapters.mmdet.longtail import tell_classes
from loss_plugins.adapters.mmdet.scene import make_scene

from .heads import BOXES, CLASSES, FEW, Case, Heads, total, two_stage
from .runs import runner

CLS = "roi_head.bbox_head.loss_cls"
FASTER = Case("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", (CLS,), FEW, two_stage, (4, 8, 16, 32, 64))
MASK = Case("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", (CLS,), FEW, two_stage, (4, 8, 16, 32, 64))
CASCADE = Case(
    "cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py",
    tuple(f"roi_head.bbox_head.{stage}.loss_cls" for stage in range(3)),
    FEW,
    two_stage,
    (4, 8, 16, 32, 64),
)
RETINA = Case("retinanet/retinanet_r50_fpn_1x_coco.py", ("bbox_head.loss_cls",))
PAIRS = ["SeesawLoss", "EQLV2Loss"]
COUNTED = [*PAIRS, "EFLLoss"]


def ours(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": f"loss_plugins.{name}", **parameters}


def theirs(name: str) -> dict[str, Any]:
    return {"type": name, "num_classes": CLASSES}


def in_dialect(name: str) -> dict[str, Any]:
    return ours(name, num_classes=CLASSES, dialect="mmdet")


def built(config: dict[str, Any]) -> Any:
    return MODELS.build(config)


def draw(columns: int, n: int = 10, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(n, columns, generator=generator)
    labels = torch.randint(0, CLASSES + 1, (n,), generator=generator)
    return scores.requires_grad_(), labels, torch.rand(n, generator=generator)


def descend(heads: Heads, gradients: dict[str, Tensor | None]) -> None:
    for name, parameter in heads.named_parameters():
        gradient = gradients[name]
        if gradient is not None:
            parameter.data.sub_(0.01 * gradient)


def with_masks(heads: Heads) -> dict[str, Any]:
    """The losses of one iteration on a scene whose objects have masks."""
    torch.manual_seed(1)
    scene = make_scene(128, CLASSES, masks=True)
    return heads.loss(scene.images, scene.samples)


def as_one(losses: dict[str, Any]) -> dict[str, Any]:
    return {name: sum(value) if isinstance(value, list) else value for name, value in losses.items()}


def predicted(heads: Heads) -> list[Tensor]:
    """The boxes' scores of all classes, for a fixed set of regions."""
    head = heads.roi_head.bbox_head
    head = head[-1] if isinstance(head, torch.nn.ModuleList) else head
    features = torch.randn(6, 32, 7, 7, generator=torch.Generator().manual_seed(4))
    rois = torch.tensor([[0.0, 8 * row, 4, 8 * row + 30, 60] for row in range(6)])
    with torch.no_grad():
        scores, boxes = head(features)
        meta = {"img_shape": (128, 128), "scale_factor": (1.0, 1.0)}
        found = head.predict_by_feat((rois,), (scores,), (boxes,), [meta])
    return [found[0].scores, found[0].bboxes]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("case", [FASTER, CASCADE], ids=["Faster R-CNN", "Cascade R-CNN"])
def test_a_head_trains_and_predicts_as_with_mmdetection_s_own(name: str, case: Case) -> None:
    both = [case.build(config) for config in (theirs(name), in_dialect(name))]
    for _ in range(3):
        steps = [case.all_gradients(heads, BOXES) for heads in both]
        wanted, found = (as_one(losses) for losses, _ in steps)
        assert list(found) == list(wanted)
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5, msg=key)
        (_, first), (_, second) = steps
        for key in first.keys() & second.keys():
            if first[key] is not None:
                torch.testing.assert_close(second[key], first[key], rtol=1e-3, atol=1e-5, msg=key)
        for heads, (_, gradients) in zip(both, steps, strict=True):
            descend(heads, gradients)
    torch.testing.assert_close(*[predicted(heads.eval()) for heads in both][::-1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("case", [FASTER, MASK], ids=["Faster R-CNN", "Mask R-CNN"])
def test_a_config_line_trains_and_predicts(name: str, case: Case) -> None:
    """Our own form; its statistics have learnt, and all scores are probabilities."""
    heads = case.build(ours(name, num_classes=CLASSES))
    head = heads.roi_head.bbox_head
    assert head.fc_cls.out_features == CLASSES + (2 if name == "SeesawLoss" else 1)
    costs = []
    for _ in range(4):
        losses = with_masks(heads)
        names = {"loss_cls_classes", "loss_cls_objectness"} if name == "SeesawLoss" else {"loss_cls"}
        accuracies = {"acc_classes", "acc_objectness"} if name == "SeesawLoss" else {"acc"}
        assert names | accuracies <= losses.keys()
        costs.append(sum(float(losses[each].detach()) for each in names))
        heads.zero_grad()
        total(losses).backward()
        descend(heads, {key: parameter.grad for key, parameter in heads.named_parameters()})
    (statistic,) = head.loss_cls.loss.statistics.values()
    assert statistic.value.any()
    assert costs[-1] < costs[0]
    scores, boxes = predicted(heads.eval())
    assert len(scores) == len(boxes)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_efl_of_a_one_stage_head_learns_from_what_reaches_its_scores() -> None:
    """From all levels at once, and after the backward pass."""
    heads = RETINA.build(ours("EFLLoss", num_classes=CLASSES, use_sigmoid=True))
    loss = heads.bbox_head.loss_cls
    (statistic,) = loss.loss.statistics.values()
    loss.loss.begin_step()
    seen: list[Tensor] = []
    sums = torch.zeros(2, CLASSES, dtype=torch.float64)

    def watch(module: Any, given: Any) -> None:
        pred, target = given[:2]
        pred.register_hook(seen.append)
        labels.append(target)

    labels: list[Tensor] = []
    handle = loss.register_forward_pre_hook(watch)
    losses, _ = RETINA.all_gradients(heads, BOXES)
    handle.remove()
    assert len(losses["loss_cls"]) == len(labels) == len(seen) == 5
    for gradient, target in zip(seen, labels[::-1], strict=True):
        positive = torch.nn.functional.one_hot(target, CLASSES + 1)[:, :CLASSES]
        sums += torch.stack([(gradient.double().abs() * side).sum(0) for side in (positive, 1 - positive)])
    torch.testing.assert_close(statistic.current, sums, rtol=1e-4, atol=1e-9)
    again = RETINA.all_gradients(heads, BOXES)[0]["loss_cls"]
    loss.loss.begin_step()
    later = RETINA.all_gradients(heads, BOXES)[0]["loss_cls"]
    assert all(torch.equal(*pair) for pair in zip(losses["loss_cls"], again, strict=True)), "weighed as its step is"
    assert not all(torch.equal(*pair) for pair in zip(losses["loss_cls"], later, strict=True))


@pytest.mark.parametrize("name", COUNTED)
def test_the_number_of_classes_is_filled_in_or_checked_when_the_head_is_built(name: str) -> None:
    head = FASTER.build(ours(name)).roi_head.bbox_head
    assert head.loss_cls.num_classes == CLASSES
    with pytest.raises(ValueError, match=r"num_classes=7, and the head has num_classes=4; .*set num_classes=4"):
        FASTER.build(ours(name, num_classes=7))


def test_the_number_of_classes_is_filled_in_or_checked_before_a_one_stage_head_trains() -> None:
    for name in ("EFLLoss", "EQLV2Loss"):
        heads = RETINA.build(ours(name))
        tell_classes(heads)
        loss = heads.bbox_head.loss_cls
        assert loss.num_classes == CLASSES
        assert [part.current.shape for part in loss.loss.statistics.values()] == [(2, CLASSES)]
        with pytest.raises(ValueError, match="num_classes=7, and the head has num_classes=4"):
            tell_classes(RETINA.build(ours(name, num_classes=7)))


def test_the_hook_tells_it_before_the_run(tmp_path: Path) -> None:
    heads = RETINA.build(ours("EFLLoss"))
    LossPluginsHook().before_run(runner(heads, tmp_path))
    assert heads.bbox_head.loss_cls.num_classes == CLASSES


def test_seesaw_in_a_one_stage_head_is_refused_in_words() -> None:
    heads = RETINA.build(ours("SeesawLoss"))
    tell_classes(heads)
    with pytest.raises(ValueError, match=r"seesaw: pred has the shape \(\d+, 5\), and num_classes is 4; .*two stages"):
        RETINA.all_gradients(heads, BOXES)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("call", [{}, {"avg_factor": 5.0}, {"reduction_override": "sum"}], ids=str)
@pytest.mark.parametrize("weighed", [False, True])
def test_the_loss_by_itself_is_mmdetection_s(name: str, call: dict[str, Any], weighed: bool) -> None:
    first, second = getattr(stock, name)(num_classes=CLASSES), built(in_dialect(name))
    columns = first.get_cls_channels(CLASSES) if name == "SeesawLoss" else first.get_channel_num(CLASSES)
    assert columns == second.get_cls_channels(CLASSES)
    for seed in range(3):
        scores, labels, weight = draw(columns, seed=seed)
        given = weight if weighed else None
        wanted, found = first(scores, labels, given, **call), second(scores, labels, given, **call)
        if name == "SeesawLoss":
            assert list(found) == list(wanted)
            wanted, found = torch.stack(list(wanted.values())), torch.stack(list(found.values()))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
        gradients = [torch.autograd.grad(loss.sum(), scores)[0] for loss in (found, wanted)]
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(second.get_activation(scores), first.get_activation(scores.detach().clone()))
    if name == "SeesawLoss":
        torch.testing.assert_close(second.get_accuracy(scores, labels), first.get_accuracy(scores, labels))
        none = torch.full_like(labels, CLASSES)
        for key, value in first.get_accuracy(scores, none).items():
            assert float(second.get_accuracy(scores, none)[key]) == float(value), key


@pytest.mark.parametrize("name", PAIRS)
def test_heads_are_told_what_mmdetection_s_own_tells_them(name: str) -> None:
    first, second, own = getattr(stock, name)(), built(ours(name, dialect="mmdet")), built(ours(name))
    for flag in ("custom_cls_channels", "custom_activation", "custom_accuracy"):
        assert getattr(second, flag) == getattr(first, flag, False)
        assert getattr(own, flag), "scores of its own need readers of their own"
    assert second.num_classes == first.num_classes == 1203
    assert second.use_sigmoid == first.use_sigmoid


def test_seesaw_may_give_the_sum_of_both_parts() -> None:
    scores, labels, weight = draw(CLASSES + 2)
    apart, both = (built(ours("SeesawLoss", loss_weight=2.0, return_dict=each)) for each in (True, False))
    plain = built(ours("SeesawLoss"))(scores, labels, weight)
    weighed = apart(scores, labels, weight)
    torch.testing.assert_close(weighed, {name: 2 * value for name, value in plain.items()})
    torch.testing.assert_close(sum(weighed.values()), both(scores, labels, weight))
    again = built(built(ours("SeesawLoss", num_classes=4, return_dict=False)).spec())
    assert again.return_dict is False
    assert not built(built(ours("EQLV2Loss", test_with_obj=False)).spec()).test_with_obj


def test_ignored_rows_are_none_of_both_parts() -> None:
    scores, labels, _ = draw(CLASSES + 2)
    kept = torch.arange(10) != 3
    wanted = built(ours("SeesawLoss"))(scores[kept], labels[kept])
    found = built(ours("SeesawLoss", ignore_index=255))(scores, labels.masked_fill(~kept, 255))
    torch.testing.assert_close(found, wanted)


def test_without_rows_all_parts_are_0() -> None:
    """Where MMDetection's own are NaN."""
    scores, labels = torch.zeros(0, CLASSES + 2, requires_grad=True), torch.zeros(0, dtype=torch.long)
    losses = built(ours("SeesawLoss", num_classes=CLASSES))(scores, labels)
    assert all(float(loss.detach()) == 0 and loss.requires_grad for loss in losses.values())


@pytest.mark.parametrize("name", ["EQLV2Loss", "EFLLoss"])
def test_a_head_of_one_stage_has_no_score_of_background(name: str) -> None:
    scores = draw(CLASSES)[0].detach()
    for loss in (built(ours(name, num_classes=CLASSES)), built(ours(name))):
        torch.testing.assert_close(loss.get_activation(scores), scores.sigmoid())


@pytest.mark.parametrize("name", ["EQLV2Loss", "EFLLoss"])
def test_class_weight_has_a_number_for_each_class_and_perhaps_for_background(name: str) -> None:
    scores, labels, _ = draw(CLASSES + 1)
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    plain = built(ours(name, num_classes=CLASSES, reduction="none")).eval()(scores, labels)
    for given, background in ((weights.tolist(), 1.0), ([*weights.tolist(), 0.25], 0.25)):
        loss = built(ours(name, num_classes=CLASSES, reduction="none", class_weight=given)).eval()
        by_label = torch.cat([weights, torch.tensor([background])])[labels]
        torch.testing.assert_close(loss(scores, labels), plain * by_label.unsqueeze(1))
    with pytest.raises(ValueError, match="class_weight has 6 numbers"):
        built(ours(name, num_classes=CLASSES, class_weight=[1.0] * 6))(scores, labels)


def test_background_takes_from_the_scores_of_classes_unless_it_is_not_to() -> None:
    scores = torch.tensor([[0.0, 0.0, 0.0]])
    assert built(ours("EQLV2Loss", num_classes=2)).get_activation(scores).tolist() == [[0.25, 0.25, 0.5]]
    apart = built(ours("EQLV2Loss", num_classes=2, test_with_obj=False))
    assert apart.get_activation(scores).tolist() == [[0.5, 0.5, 0.5]]
