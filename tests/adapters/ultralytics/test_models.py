"""One loss computation on every family: the plug reaches each branch, and the stock loss is reproduced to the bit."""

from __future__ import annotations

import copy
import inspect
import pickle
import random
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.utils.loss import BboxLoss, TVPDetectLoss
from ultralytics.utils.metrics import bbox_iou
from ultralytics.utils.tal import TaskAlignedAssigner

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import canary, probe
from loss_plugins.adapters.ultralytics.plug import BCEReplacement, Plug, plugged
from loss_plugins.catalog.entries import shipped

from .ultralytics_runs import batch_of

STOCK_TWIN = {"type": "ciou", "dialect": "ultralytics"}

#: model file -> class, number of criterion branches
MODELS = {
    "yolov8n.yaml": (tasks.DetectionModel, 1),
    "yolov9t.yaml": (tasks.DetectionModel, 1),
    "yolov10n.yaml": (tasks.DetectionModel, 2),
    "yolo11n.yaml": (tasks.DetectionModel, 1),
    "yolo12n.yaml": (tasks.DetectionModel, 1),
    "yolo26n.yaml": (tasks.DetectionModel, 2),
    "yolov8n-seg.yaml": (tasks.SegmentationModel, 1),
    "yolo26n-seg.yaml": (tasks.SegmentationModel, 2),
    "yolo11n-pose.yaml": (tasks.PoseModel, 1),
    "yolo26n-pose.yaml": (tasks.PoseModel, 2),
    "yolov8s-world.yaml": (tasks.WorldModel, 1),
}


def make_model(file: str) -> nn.Module:
    torch.manual_seed(0)
    random.seed(0)
    numpy.random.seed(0)
    cls = MODELS[file][0]
    model = cls(file, nc=3, verbose=False)
    model.args = get_cfg()
    return model.train()


def loss_and_gradients(model: nn.Module) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
    total, items = model.loss(batch_of(model))
    model.zero_grad()
    total.sum().backward()
    gradients = [p.grad.clone() if p.grad is not None else torch.zeros_like(p) for p in model.parameters()]
    return total.detach(), items, gradients


@pytest.mark.parametrize("file", MODELS)
def test_every_family(file: str) -> None:
    model = make_model(file)
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def computed(**losses: Any) -> tuple[Any, ...]:
        model.load_state_dict(state)
        model.criterion = None
        if not losses:
            return (*loss_and_gradients(model), None)
        with lpu.patched(**losses) as report:
            return (*loss_and_gradients(model), report)

    total, items, gradients, _ = computed()
    twin_total, twin_items, twin_gradients, report = computed(box=STOCK_TWIN)
    assert report.box.train_calls == report.box.gradient_calls == MODELS[file][1]
    assert torch.equal(twin_total, total)
    assert {name: float(value) for name, value in twin_items.items()} == {
        name: float(value) for name, value in items.items()
    }
    assert all(torch.equal(a, b) for a, b in zip(gradients, twin_gradients, strict=True))

    _, other_items, other_gradients, _ = computed(box="eiou")
    assert float(other_items["box_loss"]) != float(items["box_loss"])
    changed = sum(float((a - b).abs().sum()) for a, b in zip(gradients, other_gradients, strict=True))
    assert changed > 1e-3 * sum(float(a.abs().sum()) for a in gradients)
    untouched = [name for name in items if name != "box_loss"]
    assert all(float(items[name]) == float(other_items[name]) for name in untouched)

    seven = float(computed(box="constant")[1]["box_loss"])
    fourteen = float(computed(box={"type": "constant", "value": 14.0})[1]["box_loss"])
    assert fourteen == pytest.approx(2 * seven, rel=1e-6)


@pytest.mark.parametrize(
    ("cls", "file"), [(tasks.OBBModel, "yolov8n-obb.yaml"), (tasks.RTDETRDetectionModel, "rtdetr-l.yaml")]
)
def test_models_without_a_box_loss_of_ours_are_refused(cls: type, file: str) -> None:
    model = cls(file, nc=3, verbose=False)
    model.args, model.nc = get_cfg(), 3
    with pytest.raises(lpu.UnsupportedUltralytics, match="detect, segment, pose or world"):
        probe.require_branches(model.init_criterion())


@pytest.mark.parametrize("task", ["obb", "rtdetr", "classify", "yoloe", "semantic", "depth"])
def test_tasks_that_cannot_be_served_are_refused_with_a_reason(task: str) -> None:
    with pytest.raises(lpu.UnsupportedUltralytics, match=f"task '{task}' cannot be served: its? "):
        lpu.trainer(task, box="eiou")


def test_visual_prompts_are_refused() -> None:
    model = tasks.YOLOEModel("yoloe-11s.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    with pytest.raises(lpu.UnsupportedUltralytics, match="visual prompts"):
        probe.require_branches(TVPDetectLoss(model))


def test_visual_prompts_are_seen_by_the_gradient_count() -> None:
    """The box loss is called and logged, but nothing comes back: calls are no proof."""
    model = tasks.YOLOEModel("yoloe-11s.yaml", nc=3, verbose=False).train()
    model.args = get_cfg()
    criterion = TVPDetectLoss(model)
    head = model.model[-1]
    channels, anchors = 4 * head.reg_max, 64 + 16 + 4
    generator = torch.Generator().manual_seed(0)
    preds = {
        "boxes": torch.randn(2, channels, anchors, generator=generator).requires_grad_(),
        "scores": torch.randn(2, 5, anchors, generator=generator).requires_grad_(),
        "feats": [torch.zeros(2, 8, side, side) for side in (8, 4, 2)],
    }
    with lpu.patched(box="constant") as report:
        total, _ = criterion(preds, batch_of(model))
        total.sum().backward()
    assert report.box.train_calls == 1
    assert report.box.gradient_calls == 0


# --- one BboxLoss, by hand ---------------------------------------------------------------------------------------


def bbox_call(bins: int = 16) -> tuple[BboxLoss, dict[str, Tensor]]:
    bbox_loss = BboxLoss(bins)
    return bbox_loss, canary.fixed_arguments(bbox_loss)


@pytest.mark.parametrize("bins", [16, 1])
def test_value_equals_a_loop_over_boxes(bins: int) -> None:
    bbox_loss, call = bbox_call(bins)
    stock = bbox_loss(**call)
    with lpu.patched(box={"type": "eiou", "loss_weight": 3.0}):
        box, second = bbox_loss(**call)
    total = 0.0
    for anchor in range(3):
        loss = lp.eiou_loss(call["pred_bboxes"][0, anchor], call["target_bboxes"][0, anchor])
        total += 3.0 * float(loss) * float(call["target_scores"][0, anchor].sum())
    assert float(box) == pytest.approx(total / float(call["target_scores_sum"]), rel=1e-6)
    assert torch.equal(second, stock[1])


def test_boxes_arrive_in_pixels_where_the_trait_asks() -> None:
    bbox_loss, call = bbox_call()
    with lpu.patched(box="side_in_pixels"):
        box, _ = bbox_loss(**call)
    total = 0.0
    for anchor in range(3):
        distance = (call["pred_bboxes"][0, anchor] - call["target_bboxes"][0, anchor]).abs().mean()
        weight = call["target_scores"][0, anchor].sum()
        total += float(distance * call["stride"][anchor] / 640 * weight)
    assert float(box) == pytest.approx(total / float(call["target_scores_sum"]), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", ["area_in_pixels", "ciou", "eiou"])
def test_half_precision_predictions_of_large_boxes(loss: str, dtype: torch.dtype) -> None:
    """A box of 600 px has an area far above the largest half: pixels must be reached in float32."""
    bbox_loss, call = bbox_call()
    call["stride"] = torch.full_like(call["stride"], 32.0)
    call["target_bboxes"] = torch.tensor([0.5, 0.5, 19.5, 19.0]).expand(1, 4, 4).clone()
    call["pred_bboxes"] = call["target_bboxes"] + torch.tensor([0.5, 0.25, -0.5, 0.5])
    with lpu.patched(box=loss):
        full = float(bbox_loss(**call)[0])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = float(bbox_loss(**{**call, "pred_bboxes": call["pred_bboxes"].to(dtype)})[0])
    assert abs(half - full) < 1e-2
    assert full > 0.01


def test_empty_foreground_costs_a_connected_zero() -> None:
    bbox_loss, call = bbox_call()
    call["fg_mask"] = torch.zeros_like(call["fg_mask"])
    call["target_scores_sum"] = torch.tensor(1.0)
    call["pred_bboxes"].requires_grad_()
    with lpu.patched(box={"type": "focal_eiou", "normalize": True}):
        box, _ = bbox_loss(**call)
        box.backward()
    assert box.item() == 0.0
    assert torch.equal(call["pred_bboxes"].grad, torch.zeros(1, 4, 4))


def test_a_loss_of_the_wrong_shape_is_named() -> None:
    bbox_loss, call = bbox_call()
    with pytest.raises(ValueError, match=r"column returned shape \(3, 1\) for 3 boxes"), lpu.patched(box="column"):
        bbox_loss(**call)


def test_contexts_nest_and_restore_the_same_objects() -> None:
    bbox_loss, call = bbox_call()
    stock = vars(BboxLoss)["forward"]
    with lpu.patched(box="constant") as outer:
        outer_forward = vars(BboxLoss)["forward"]
        first = float(bbox_loss(**call)[0])
        with lpu.patched(box={"type": "constant", "value": 3.0}) as inner:
            second = float(bbox_loss(**call)[0])
        assert vars(BboxLoss)["forward"] is outer_forward
        third = float(bbox_loss(**call)[0])
    assert vars(BboxLoss)["forward"] is stock
    assert (first, second, third) == (7.0, 3.0, 7.0)
    assert (outer.box.val_calls, inner.box.val_calls) == (2, 1)


def test_an_exception_restores_the_same_objects() -> None:
    stock, assign = vars(BboxLoss)["forward"], vars(TaskAlignedAssigner)["iou_calculation"]

    def fail_inside() -> None:
        with lpu.patched(box="eiou", assigner="match"):
            assert vars(BboxLoss)["forward"] is not stock
            assert vars(TaskAlignedAssigner)["iou_calculation"] is not assign
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail_inside()
    assert vars(BboxLoss)["forward"] is stock
    assert vars(TaskAlignedAssigner)["iou_calculation"] is assign


def test_a_context_in_which_nothing_was_computed_raises() -> None:
    with pytest.raises(lpu.LossNotUsed, match="no criterion had called the box loss eiou"), lpu.patched(box="eiou"):
        pass


def test_the_assigner_keeps_the_stock_overlap_unless_told() -> None:
    assigner = TaskAlignedAssigner()
    gt, pred = torch.tensor([[0.0, 0, 4, 2]]), torch.tensor([[1.0, 0, 4, 4]])
    stock = bbox_iou(gt, pred, xywh=False, CIoU=True).squeeze(-1).clamp(0)
    bbox_loss, call = bbox_call()
    with lpu.patched(box="eiou"):
        bbox_loss(**call)
        assert torch.equal(assigner.iou_calculation(gt, pred), stock)
    with lpu.patched(box="eiou", assigner="match"):
        bbox_loss(**call)
        assert torch.equal(assigner.iou_calculation(gt, pred), (1 - lp.eiou_loss(pred, gt)).clamp(min=0))


def test_gain_match_equals_the_gradient_norms(capsys: pytest.CaptureFixture[str]) -> None:
    bbox_loss, call = bbox_call()

    def gradient_norm(**losses: Any) -> tuple[float, Any]:
        leaf = call["pred_bboxes"].clone().requires_grad_()
        with lpu.patched(**losses) as report:
            bbox_loss(**{**call, "pred_bboxes": leaf})[0].backward()
        return float(leaf.grad.norm(dim=-1).sum()), report

    stock, _ = gradient_norm(box=STOCK_TWIN)
    kept, _ = gradient_norm(box={"type": "alpha_iou", "loss_weight": 1.0})
    matched, report = gradient_norm(box="alpha_iou", gain="match")
    assert abs(kept / stock - 1) > 0.05
    assert matched == pytest.approx(stock, rel=1e-4)
    assert report.box.gain == pytest.approx(stock / kept, rel=1e-4)
    assert report.box.norms[0] / report.box.norms[1] == pytest.approx(report.box.gain)


# --- the probe ---------------------------------------------------------------------------------------------------


def renamed(self, pred_dist, pred_bboxes, anchors, target_bboxes, target_scores, target_scores_sum, fg_mask):  # type: ignore[no-untyped-def]
    return bbox_iou(pred_bboxes, target_bboxes)


def extended(  # type: ignore[no-untyped-def]
    self, pred_dist, pred_bboxes, anchor_points, target_bboxes, target_scores, target_scores_sum, fg_mask, quality
):
    return bbox_iou(pred_bboxes, target_bboxes)


def rewritten(  # type: ignore[no-untyped-def]
    self, pred_dist, pred_bboxes, anchor_points, target_bboxes, target_scores, target_scores_sum, fg_mask
):
    return pred_bboxes.sum()


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (renamed, r"lacks the parameters \['anchor_points'\]"),
        (extended, r"unknown parameters \['quality'\]"),
        (rewritten, "does not call bbox_iou"),
    ],
)
def test_an_unknown_forward_is_refused(monkeypatch: pytest.MonkeyPatch, forward: Any, reason: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BboxLoss, "forward", forward)
        with pytest.raises(lpu.UnsupportedUltralytics, match=reason):
            lpu.trainer("detect", box="eiou")
        assert not lpu.doctor()["ok"]


def test_an_unknown_parameter_can_be_allowed_but_the_canary_still_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BboxLoss, "forward", extended)
        patch.setenv(probe.ALLOW_UNVERIFIED, "1")
        assert probe.stock_forward() is extended
        with pytest.raises((TypeError, lpu.UnsupportedUltralytics)):
            canary.check_stock_contract(BboxLoss(16))


def test_a_missing_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delattr("ultralytics.utils.loss.BboxLoss")
        with pytest.raises(lpu.UnsupportedUltralytics, match=r"no ultralytics\.utils\.loss\.BboxLoss"):
            probe.stock_forward()


def test_a_changed_stock_reduction_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = BboxLoss.forward

    def heavier(  # type: ignore[no-untyped-def]
        self,
        pred_dist,
        pred_bboxes,
        anchor_points,
        target_bboxes,
        target_scores,
        target_scores_sum,
        fg_mask,
        imgsz,
        stride,
    ):
        assert bbox_iou is not None
        return stock(
            self, pred_dist, pred_bboxes, anchor_points, target_bboxes, target_scores**2, target_scores_sum, fg_mask,
            imgsz, stride,
        )  # fmt: skip

    with monkeypatch.context() as patch:
        patch.setattr(BboxLoss, "forward", heavier)
        with pytest.raises(lpu.UnsupportedUltralytics, match="the contract has changed"):
            canary.check_stock_contract(BboxLoss(16))


def test_a_plug_that_does_not_hold_is_noticed() -> None:
    """The live criterion must return the plugged loss, not merely be called."""
    plug = Plug(lpu.make_spec("eiou", "bce_with_logits"))  # built, but not plugged in
    branch = SimpleNamespace(bbox_loss=BboxLoss(16), bce=lambda logits, target: 0 * logits)
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"where eiou is .* the plug does not hold"):
        canary.check_box(branch, plug.box)
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"where bce_with_logits is .* the plug does not hold"):
        canary.check_cls(branch, plug.cls)


def test_pixel_losses_need_the_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(probe, "OPTIONAL", ("imgsz", "stride"))
        patch.setattr(probe, "has_stride", lambda: False)
        with pytest.raises(lpu.UnsupportedUltralytics, match="needs boxes in pixels"):
            lpu.trainer("detect", box="side_in_pixels")
        lpu.trainer("detect", box="eiou")


def test_doctor_reports_what_it_tried() -> None:
    report = lpu.doctor()
    assert report["ok"]
    assert report["tasks"] == ["detect", "segment", "pose", "world"]
    assert {check["name"] for check in report["checks"]} >= {"a plugged loss arrives (reg_max 1)", "trainer for pose"}


def test_no_callback_that_runs_on_one_rank_only() -> None:
    """on_pretrain_routine_start runs on rank 0 alone: a plug put in there would leave the other ranks stock."""
    from loss_plugins.adapters.ultralytics import guards, plug, slots, spec, trainers

    modules = (canary, guards, plug, probe, slots, spec, trainers)
    source = "".join(inspect.getsource(module) for module in modules)
    assert "on_pretrain_routine_start" not in source
    assert "add_callback" not in source


def test_a_criterion_that_is_pickled_holds_the_stock_class_loss() -> None:
    """Older versions put the criterion into last.pt; nothing of ours may be found there."""
    with plugged(lpu.make_spec(cls="quality_focal")) as plug:
        bce = BCEReplacement(plug.cls)
        assert isinstance(copy.deepcopy(bce), BCEReplacement)
        plain = pickle.loads(pickle.dumps(bce))
    assert type(plain) is nn.BCEWithLogitsLoss
    assert plain.reduction == "none"
    logits, target = torch.randn(2, 3, 4), torch.rand(2, 3, 4)
    assert torch.equal(bce(logits, target), plain(logits, target)), "outside of the context it is the stock loss"


# --- every loss ----------------------------------------------------------------------------------------------------


def slots() -> list[Any]:
    """Every shipped box loss, and every class loss that fits the class slot."""
    found = []
    for entry in shipped():
        spec = {"type": entry.name, **entry.example}
        if entry.kind == "box":
            found.append(pytest.param({"box": spec}, id=f"box-{entry.name}"))
        elif entry.name in CLASS_LOSSES:
            found.append(pytest.param({"cls": spec}, id=f"cls-{entry.name}"))
    return found


CLASS_LOSSES = {"asymmetric", "bce_with_logits", "focal", "ghm_c", "poly_focal", "quality_focal", "varifocal"}


def test_these_class_losses_fit_and_no_others() -> None:
    for entry in shipped():
        if entry.kind == "classification":
            try:
                lpu.make_spec(cls={"type": entry.name, **entry.example})
                fits = True
            except ValueError:
                fits = False
            assert fits == (entry.name in CLASS_LOSSES), entry.name


@pytest.fixture(scope="module")
def small_model() -> nn.Module:
    model = make_model("yolo11n.yaml")
    for level in model.model[-1].cv3:  # a new head says 'no' everywhere: here it hesitates, as a trained one does
        torch.nn.init.normal_(level[-1].bias, std=2.0)
    return model


@pytest.mark.parametrize("losses", slots())
def test_every_loss_trains_a_few_batches(losses: dict[str, Any], small_model: nn.Module) -> None:
    model = copy.deepcopy(small_model)
    model.criterion = None
    (slot,) = losses
    if slot == "box":
        with lpu.patched(box=STOCK_TWIN):
            _, items, stock = loss_and_gradients(model)
    else:
        _, items, stock = loss_and_gradients(model)
    model = copy.deepcopy(small_model)
    model.criterion = None
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with lpu.patched(**losses) as report:
        for step in range(3):
            total, new_items, gradients = loss_and_gradients(model)
            assert total.isfinite().all()
            assert all(gradient.isfinite().all() for gradient in gradients)
            if step == 0:
                changed = sum(float((a - b).abs().sum()) for a, b in zip(gradients, stock, strict=True))
            optimizer.step()
    assert getattr(report, slot).gradient_calls == 3
    same = losses[slot]["type"] in ("bce_with_logits",)
    assert (changed == 0) == same, "a loss of ours must pull otherwise than the stock loss"
    assert same or float(new_items["box_loss"]) != float(items["box_loss"])


def test_compiled_losses_train_as_the_others_do(small_model: nn.Module) -> None:
    """Box and class loss by machine code: the same loss and gradients, and the proof that they run."""
    results = []
    for compiled in (False, True):
        box, cls = ({"type": name, **({"compile": True} if compiled else {})} for name in ("eiou", "quality_focal"))
        model = copy.deepcopy(small_model)
        model.criterion = None
        with lpu.patched(box=box, cls=cls) as report:
            results.append(loss_and_gradients(model))
        assert report.box.train_calls == report.cls.train_calls == 1
    (plain, _, gradients), (machine, _, others) = results
    torch.testing.assert_close(machine, plain, rtol=1e-5, atol=1e-6)
    largest = max(float(gradient.abs().max()) for gradient in gradients)
    for ours, theirs in zip(others, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5 * largest)


def test_a_trainer_that_compiles_without_a_compiler_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeError, match="compile=True needs a C"):
        lpu.trainer("detect", box={"type": "ciou", "compile": True})
