"""How box losses of dense criteria are called and reduced, and which known loss one equals: found out by calling it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins import Loss, build_loss, cxcywh_to_xyxy

from ..detr.agreement import close, leaf_gradient

#: losses that a criterion may have, as papers call them
STOCKS: dict[str, Any] = {
    "giou": "giou",
    "ciou": "ciou",
    "diou": "diou",
    "iou": "iou",
    "iou (squared)": {"type": "iou", "power": 2},
    "eiou": "eiou",
    "siou": "siou",
}
BOX_FORMATS = ("xyxy", "cxcywh")
#: what a function that is no box loss may raise when it gets boxes
NO_LOSS = (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError, AssertionError)


@dataclass(frozen=True)
class Form:
    """A way to call a box loss.

    Attributes:
        name: "rows" (pred, target), one loss per box; "averaged" (pred, target, weight, avg_factor), a number; or
            "masked" (pred, target, chosen, weight, avg_factor), of which boxes are chosen first, a number.
        box_format: of the boxes.
        stock: the loss that it equals; a key of STOCKS.
        scale: what a number is multiplied by.
        column: whether the losses of boxes are (n, 1).
    """

    name: str
    box_format: str = "xyxy"
    stock: str = ""
    scale: float = 1.0
    column: bool = False

    @property
    def arguments(self) -> int:
        """How many arguments of a call are read."""
        return {"rows": 2, "averaged": 4, "masked": 5}[self.name]

    def corners(self, boxes: Tensor) -> Tensor:
        """Boxes as xyxy."""
        return cxcywh_to_xyxy(boxes) if self.box_format == "cxcywh" else boxes

    def value(self, rows: Callable[[Tensor, Tensor], Tensor], *given: Any) -> Tensor:
        """What a call gives.

        Args:
            rows: (n, 4) corners of predictions and targets to (n,) losses.
            *given: what the loss is called with, in this order.
        """
        pred, target, *more = given
        if self.name == "masked":
            chosen, weight, total = more
            loss = rows(self.corners(pred[chosen]), self.corners(target[chosen])) * weight
            chosen_mean: Tensor = loss.sum() / total
            return chosen_mean
        loss = rows(self.corners(pred.reshape(-1, 4)), self.corners(target.reshape(-1, 4)))
        if self.name == "rows":
            return loss
        weight, total = more
        loss = loss if weight is None else loss * weight
        mean: Tensor = loss.mean() if total is None else loss.sum() / total
        return mean * self.scale


def entrance(cls: type) -> str:
    """The method of a class that its calls run."""
    own = cls.__call__
    return "forward" if issubclass(cls, nn.Module) and own is nn.Module.__call__ else "__call__"


def kind_of(function: Callable[..., Any]) -> str:
    """The name of a form whose arguments a function, or an object that is called, has; "": none."""
    called = function if inspect.isroutine(function) else getattr(function, entrance(type(function)))
    try:
        parameters = list(inspect.signature(called).parameters.values())
    except (TypeError, ValueError):  # written in C
        return ""
    if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters):
        return ""
    names = [each.name for each in parameters]
    needed = sum(each.default is each.empty for each in parameters)
    if needed == 2 and names[2:] == ["weight", "avg_factor"]:
        return "averaged"
    return {2: "rows", 5: "masked"}.get(needed, "")


def recognised(function: Callable[..., Any], scale: float = 1.0) -> Form | None:
    """The form of a box loss; None: it is none that is known, in value or gradient.

    Args:
        function: an object, or a function.
        scale: what a number of it is multiplied by.
    """
    kind = kind_of(function)
    given = _given(kind) if kind else []
    theirs: list[Tensor] = []
    for arguments in given:
        try:
            with torch.enable_grad():  # type: ignore[no-untyped-call]
                theirs.append(function(*arguments))
        except NO_LOSS:
            return None
    if not theirs or not all(isinstance(each, Tensor) and each.requires_grad for each in theirs):
        return None
    for stock, spec in STOCKS.items():
        for box_format in BOX_FORMATS:
            form = Form(kind, box_format, stock, scale, column=theirs[0].ndim == 2)
            rows = build_loss(spec).elementwise
            if all(_equal(one, form.value(rows, *each), each[0]) for one, each in zip(theirs, given, strict=True)):
                return form
    return None


def probe(function: Callable[..., Any], form: Form, loss: Loss, factor: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """A function on fixed boxes, the same by another loss, and the boxes.

    Args:
        function: that is called.
        form: how.
        loss: in its place.
        factor: on each row.
    """
    arguments = _given(form.name)[-1]

    def rows(pred: Tensor, target: Tensor) -> Tensor:
        return loss.elementwise(pred, target) * factor

    with torch.enable_grad():  # type: ignore[no-untyped-call]
        return function(*arguments), form.value(rows, *arguments), arguments[0]


def _given(kind: str) -> list[tuple[Any, ...]]:
    """Arguments to compare with: fixed boxes that overlap, and are none in the other format either."""
    pred, target = _boxes()
    weight = torch.linspace(0.2, 1.3, len(pred), dtype=pred.dtype)
    total = torch.tensor(3.5, dtype=pred.dtype)
    if kind == "masked":
        chosen = torch.tensor([[True, False, True, True, False], [False, True, True, False, True]])
        pred, target = (torch.stack([each, each.flip(0)]) for each in (pred.detach(), target))
        return [(pred.requires_grad_(), target, chosen, torch.linspace(0.2, 1.3, 6, dtype=pred.dtype), total)]
    if kind == "averaged":
        return [(pred, target, None, None), (pred, target, weight, 3.5)]
    return [(pred, target)]


def _boxes() -> tuple[Tensor, Tensor]:
    corner = torch.tensor([[3.0, 5], [11, 2], [7, 9], [20, 16], [1, 8]], dtype=torch.float64)
    size = torch.tensor([[25.0, 31], [30, 27], [19, 24], [28, 41], [33, 18]], dtype=torch.float64)
    pred = torch.cat([corner, corner + size], dim=-1)
    shift = torch.tensor([[2.0, -1, 3, 4], [-3, 2, 1, -5], [4, 1, -2, 6], [1, -4, 5, 2], [3, 2, -6, 1]])
    return pred.requires_grad_(), pred.detach() + shift


def _equal(theirs: Tensor, ours: Tensor, leaf: Tensor) -> bool:
    """Whether values are equal, but for an axis of one, and so are gradients."""
    if theirs.numel() != ours.numel() or theirs.ndim > 2:
        return False
    gradients = [leaf_gradient(loss, leaf) for loss in (theirs, ours)]
    if gradients[0] is None or gradients[1] is None:
        return False
    pairs = zip((theirs.detach().reshape(-1), gradients[0]), (ours.detach().reshape(-1), gradients[1]), strict=True)
    return all(close(one, other) for one, other in pairs)
