# SPDX-License-Identifier: AGPL-3.0-or-later
"""The places of Ultralytics that ask whose loss to compute.

They are changed once, when the first plug comes in, and put back, the very objects found, when the last one leaves. In
between each criterion gets the loss of the plug that its mark names; a criterion without a mark is served by the
innermost context of its thread, and computes the stock loss where there is none.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from . import detr, matches, owners, semantic
from .branch_call import BranchCall
from .errors import UnsupportedUltralytics

Function = Callable[..., Any]


class Seam(NamedTuple):
    """A method that is changed: `wrap` makes the new one of the one found."""

    owner: type
    name: str
    wrap: Callable[[Any], Any]


class Changed(NamedTuple):
    """A method that has been changed."""

    owner: type
    name: str
    found: Any
    ours: Function


class Inside(threading.local):
    """What a thread is in: the criteria that it is building, and the objects whose changed method it runs."""

    def __init__(self) -> None:
        self.criteria: list[int] = []
        self.running: list[int] = []


_lock = threading.RLock()
_changed: list[Changed] = []
_inside = Inside()


def enter(plug: owners.Owner) -> None:
    """Bring a plug in, and change the seams if it is the first one."""
    with _lock:
        if owners.add(plug):
            kept = {(changed.owner, changed.name) for changed in _changed}
            _changed.extend(_change(seam) for seam in _seams() if (seam.owner, seam.name) not in kept)


def leave(plug: owners.Owner) -> None:
    """Take a plug out, in any order and from any thread; the last one puts the seams back."""
    with _lock:
        if owners.remove(plug):
            _changed[:] = [changed for changed in reversed(_changed) if not _put_back(changed)]


def _change(seam: Seam) -> Changed:
    found = vars(seam.owner)[seam.name]
    ours = seam.wrap(found)
    ours.plugged_over = found  # type: ignore[attr-defined]
    setattr(seam.owner, seam.name, ours)
    return Changed(seam.owner, seam.name, found, ours)


def _put_back(changed: Changed) -> bool:
    """Whether it is gone: what others have wrapped stays below theirs, and is not put in a second time."""
    current = vars(changed.owner)[changed.name]
    if current is changed.ours:
        setattr(changed.owner, changed.name, changed.found)
        return True
    while current is not None and current is not changed.ours:
        current = getattr(current, "__wrapped__", None)
    return current is None


def _seams() -> Iterator[Seam]:
    from ultralytics.engine import trainer as engine
    from ultralytics.engine.model import Model
    from ultralytics.models.utils import loss as queries
    from ultralytics.nn import tasks
    from ultralytics.utils import loss, tal

    yield from _of_subclasses(loss, loss.BboxLoss, "forward", _box_forward)
    yield from _of_subclasses(tal, tal.TaskAlignedAssigner, "forward", _assigned)
    yield from _of_subclasses(tal, tal.TaskAlignedAssigner, "iou_calculation", _overlap)
    yield from _of_subclasses(loss, loss.v8SegmentationLoss, "single_mask_loss", MaskLoss)
    if hasattr(loss, "BCEDiceLoss"):
        yield from _of_subclasses(loss, loss.BCEDiceLoss, "forward", _branch_maps)
    yield from _of_subclasses(loss, loss.KeypointLoss, "forward", _points)
    yield from _of_subclasses(loss, loss.v8PoseLoss, "calculate_keypoints_loss", _instances)
    if hasattr(loss, "SemanticSegmentationLoss"):
        yield from _of_subclasses(loss, loss.SemanticSegmentationLoss, "forward", _semantic)
    yield from _of_subclasses(queries, queries.DETRLoss, "_get_loss", _layer)
    yield from _of_subclasses(queries, queries.DETRLoss, detr.METHODS["box"], _layer_boxes)
    yield from _of_subclasses(queries, queries.DETRLoss, detr.METHODS["cls"], _layer_classes)
    for criterion in _classes(loss):
        made = vars(criterion).get("__init__")
        if made is not None and "model" in inspect.signature(made).parameters:
            yield Seam(criterion, "__init__", _criterion_init)
    for model in _classes(tasks):
        if "init_criterion" in vars(model):
            yield Seam(model, "init_criterion", _init_criterion)
    yield Seam(Model, "tune", functools.partial(_refused_in_a_plug, reason=_tunes))
    yield Seam(Model, "train", functools.partial(_refused_in_a_plug, reason=_trains_another_model))
    yield Seam(engine.BaseTrainer, "train", functools.partial(_refused_in_a_plug, reason=_starts_stock_ranks))
    if hasattr(engine, "MultiTrainer"):
        several = functools.partial(_refused_in_a_plug, reason=_starts_stock_data_sets)
        yield Seam(engine.MultiTrainer, "train", several)


def _of_subclasses(module: ModuleType, base: type, name: str, wrap: Callable[[Any], Any]) -> Iterator[Seam]:
    """A method wherever a class or one of its subclasses defines it, as that of rotated boxes does."""
    for cls in _classes(module):
        if issubclass(cls, base) and name in vars(cls):
            yield Seam(cls, name, wrap)


def _classes(module: ModuleType) -> list[type]:
    found = (value for value in vars(module).values() if isinstance(value, type))
    return [cls for cls in found if cls.__module__ == module.__name__]


def _box_forward(stock: Function) -> Function:
    """`BboxLoss.forward` with its losses replaced: that of the boxes, and that of their sides, DFL or L1."""
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        with _outermost(self) as first:
            boxes, sides, *others = stock(self, *args, **kwargs)
        if not first:
            return (boxes, sides, *others)
        call = BranchCall(signature.bind(self, *args, **kwargs).arguments)
        plug = owners.plug_for(self, "box")
        if plug is not None and plug.box is not None:
            boxes = plug.box.compute(self, call)
        plug = owners.plug_for(self, "dfl")
        if plug is not None and plug.dfl is not None:
            sides = plug.dfl.compute(self, call)
        return (boxes, sides, *others)

    return forward


@contextmanager
def _outermost(part: Any) -> Iterator[bool]:
    """Whether a changed method was not called by that of a subclass, which is changed too."""
    first = id(part) not in _inside.running
    _inside.running.append(id(part))
    try:
        yield first
    finally:
        _inside.running.remove(id(part))


def _assigned(stock: Function) -> Function:
    """The assigner runs once in each call of a branch: so many calls of the losses are expected."""
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with _outermost(self) as first:
            assigned = stock(self, *args, **kwargs)
        if not first:
            return assigned
        plug = owners.owner(self)
        if plug is not None:
            plug.expect(foreground=assigned[3])
        plug = owners.plug_for(self, "cls")
        if plug is not None and plug.cls is not None and plug.cls.reads != "dense":
            matches.keep(plug.cls.reads, signature.bind(self, *args, **kwargs).arguments, assigned)
        return assigned

    return forward


def _overlap(stock: Function) -> Function:
    """The assigner's overlap, computed from the box loss where that was asked for."""

    @functools.wraps(stock)
    def overlap(self: nn.Module, gt_bboxes: Tensor, pd_bboxes: Tensor) -> Any:
        plug = owners.plug_for(self, "box")
        if plug is None or plug.box is None or plug.box.overlap is None:
            return stock(self, gt_bboxes, pd_bboxes)
        return plug.box.overlap(pd_bboxes.float(), gt_bboxes.float()).to(pd_bboxes.dtype)

    return overlap


class MaskLoss:
    """`single_mask_loss`, a static method, which the criterion is told that calls it.

    Args:
        stock: the static method that was found.
    """

    def __init__(self, stock: Any) -> None:
        self.stock = stock

    def __get__(self, criterion: Any, owner: type) -> Function:
        """The stock loss, or that of the criterion's plug."""
        plug = owners.plug_for(criterion, "mask") if criterion is not None else None
        if plug is None or plug.mask is None:
            stock: Function = self.stock.__get__(criterion, owner)
            return stock
        return functools.partial(plug.mask.compute, criterion)


def _branch_maps(stock: Function) -> Function:
    """The loss of YOLO26-seg's semantic branch; the targets are brought to the size of the logits, as in the stock."""

    @functools.wraps(stock)
    def forward(self: nn.Module, pred: Tensor, target: Tensor) -> Any:
        plug = owners.plug_for(self, "sem")
        if plug is None or plug.sem is None:
            return stock(self, pred, target)
        if target.shape[-2:] != pred.shape[-2:]:
            target = nn.functional.interpolate(target, pred.shape[-2:], mode="nearest")
        return plug.sem.compute(self, pred, target, lambda logits: stock(self, logits, target))

    return forward


def _instances(stock: Function) -> Function:
    """What a criterion of poses does with its instances: the slot is told in which cells and images they lie."""
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def calculate(self: Any, *args: Any, **kwargs: Any) -> Any:
        plug = owners.plug_for(self.keypoint_loss, "keypoint")
        if plug is None or plug.keypoint is None:
            return stock(self, *args, **kwargs)
        given = signature.bind(self, *args, **kwargs).arguments
        with plug.keypoint.among(given["masks"], given["stride_tensor"]):
            return stock(self, *args, **kwargs)

    return calculate


def _points(stock: Function) -> Function:
    """The loss of key points."""

    @functools.wraps(stock)
    def forward(self: nn.Module, pred_kpts: Tensor, gt_kpts: Tensor, kpt_mask: Tensor, area: Tensor) -> Any:
        plug = owners.plug_for(self, "keypoint")
        if plug is None or plug.keypoint is None:
            return stock(self, pred_kpts, gt_kpts, kpt_mask, area)
        return plug.keypoint.compute(
            self, pred_kpts, gt_kpts, kpt_mask, area, lambda points: stock(self, points, gt_kpts, kpt_mask, area)
        )

    return forward


def _semantic(stock: Function) -> Function:
    """The criterion of semantic models, with the loss of its main maps replaced: one call is expected."""

    @functools.wraps(stock)
    def forward(self: nn.Module, preds: Any, batch: Any) -> Any:
        own = owners.owner(self)
        if own is not None:
            own.expect(foreground=torch.ones(1, 1, dtype=torch.bool))
        plug = owners.plug_for(self, "sem")
        if plug is None or plug.sem is None:
            return stock(self, preds, batch)
        return semantic.replaced(plug.sem, self, stock, preds, batch)

    return forward


def _layer(stock: Function) -> Function:
    """RT-DETR's loss of one decoder layer: so many calls of the losses are expected."""
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def get_loss(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with _outermost(self) as first:
            losses = stock(self, *args, **kwargs)
        plug = owners.owner(self) if first else None
        if plug is not None:
            boxes = signature.bind(self, *args, **kwargs).arguments["gt_bboxes"]
            plug.expect(foreground=boxes.new_ones(len(boxes), dtype=torch.bool))
        return losses

    return get_loss


def _layer_boxes(stock: Function) -> Function:
    """RT-DETR's box losses of one layer: `loss_giou` is replaced, the distance of the sides stays."""

    @functools.wraps(stock)
    def get_loss_bbox(self: nn.Module, pred_bboxes: Tensor, gt_bboxes: Tensor, postfix: str = "") -> dict[str, Tensor]:
        losses: dict[str, Tensor] = stock(self, pred_bboxes, gt_bboxes, postfix)
        plug = owners.plug_for(self, "box")
        if plug is not None and plug.box is not None and len(gt_bboxes):
            losses[f"loss_giou{postfix}"] = detr.box_loss(plug.box, self, pred_bboxes, gt_bboxes)
        return losses

    return get_loss_bbox


def _layer_classes(stock: Function) -> Function:
    """RT-DETR's class loss of one layer, replaced."""

    @functools.wraps(stock)
    def get_loss_class(
        self: nn.Module, pred_scores: Tensor, targets: Tensor, gt_scores: Tensor, num_gts: int, postfix: str = ""
    ) -> dict[str, Tensor]:
        plug = owners.plug_for(self, "cls")
        if plug is None or plug.cls is None:
            found: dict[str, Tensor] = stock(self, pred_scores, targets, gt_scores, num_gts, postfix)
            return found
        return {f"loss_class{postfix}": detr.class_loss(plug.cls, self, pred_scores, targets, gt_scores, num_gts)}

    return get_loss_class


def _criterion_init(stock: Function) -> Function:
    """The `__init__` of a criterion: once it is whole, it belongs to the plug of its model, or to a context."""
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if _inside.criteria:  # by the __init__ of a subclass, or as a part of another one, which is asked as a whole
            stock(self, *args, **kwargs)
            return
        _inside.criteria.append(id(self))
        try:
            stock(self, *args, **kwargs)
        finally:
            _inside.criteria.remove(id(self))
        model = signature.bind(self, *args, **kwargs).arguments.get("model")
        plug = owners.builder(model)
        if plug is not None:
            plug.adopt(self, model)

    return init


def _init_criterion(stock: Function) -> Function:
    """A model's `init_criterion`, for criteria that do not take the model."""

    @functools.wraps(stock)
    def init_criterion(self: nn.Module) -> Any:
        criterion = stock(self)
        plug = owners.builder(self)
        if plug is not None:
            plug.adopt(criterion, self)
        return criterion

    return init_criterion


USE_TRAINER = "Pass trainer=lpu.trainer(...) to YOLO(...).train(...), which other processes can import, without patched"


def _refused_in_a_plug(stock: Function, reason: Callable[[Any], str | None]) -> Function:
    """Training in other processes, or of another model, which would use the stock loss, raises while a plug is in."""

    @functools.wraps(stock)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        what = reason(self)
        if what:
            raise UnsupportedUltralytics(f"{what}, where the plugged loss would be missing", USE_TRAINER)
        return stock(self, *args, **kwargs)

    return guarded


def _tunes(model: Any) -> str | None:
    return "tune() trains in other processes" if owners.any_here() else None


def _trains_another_model(model: Any) -> str | None:
    """A trainer builds its model anew, from the file or the weights of the one that was given."""
    served = owners.owner(model.model)
    return "patched(model=...) serves that model, and train() trains a new one" if served is not None else None


def _starts_stock_data_sets(multi: Any) -> str | None:
    stock = owners.any_here() and multi.trainer is None
    return "train(data=[...]) without a trainer starts one process per data set" if stock else None


def _starts_stock_ranks(trainer: Any) -> str | None:
    stock = owners.any_here() and getattr(trainer, "ddp", False) and not hasattr(trainer, "loss_spec")
    return "training on several GPUs starts one process per GPU" if stock else None
