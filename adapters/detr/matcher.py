"""The matcher of a criterion: with the new box loss as its cost, or called image by image."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from loss_plugins import build_loss
from loss_plugins.errors import refusal

from . import making
from .box_slot import BoxSlot
from .errors import UnsupportedCriterion
from .matches import Targets
from .rebound import rebound
from .slot import at_least_single

#: the function of every matcher of the family that gives its box cost
COST = "generalized_box_iou"
SEAT = "loss_plugins_matcher"
#: what of outputs and targets costs are computed from
COSTED = ("logits", "pred_logits", "pred_boxes")
TARGETED = ("boxes", "class_labels", "labels")


class PairwiseSimilarity:
    """1 - loss of every box with every other one, in the place of a matrix of GIoUs.

    Args:
        slot: whose loss it is; not changed, and it learns nothing.
    """

    def __init__(self, slot: BoxSlot) -> None:
        self.slot = slot
        self.loss = copy.deepcopy(slot.loss).eval()

    def __call__(self, boxes: Tensor, others: Tensor) -> Tensor:
        """(n, 4) and (m, 4) corners in sides of the image to (n, m)."""
        scale = self.slot.scale(boxes.device)
        pred, target = at_least_single(boxes), at_least_single(others)
        if scale is not None:
            pred, target = pred * scale, target * scale
        shape = (len(pred), len(target), 4)
        return 1 - self.loss.elementwise(pred[:, None].expand(shape), target[None].expand(shape))


class MatcherPlug:
    """What a plug changes in a matcher.

    Args:
        cost: in the place of its GIoU; None: that stays.
        by_image: call it image by image.
    """

    def __init__(self, cost: PairwiseSimilarity | None, by_image: bool) -> None:
        self.cost, self.by_image = cost, by_image
        self._classes: dict[type, type] = {}
        self._host: tuple[list[tuple[Tensor, int]], list[dict[str, Tensor]]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Classes made here do not pickle."""
        return {"cost": self.cost, "by_image": self.by_image, "_classes": {}, "_host": None}

    def begin(self) -> None:
        """Another batch: its targets are not on the host yet."""
        self._host = None

    def on_host(self, targets: Targets) -> list[dict[str, Tensor]]:
        """The targets of a batch on the host, where they are once for all layers, until something is written there."""
        read = [(target[name], _version(target[name])) for target in targets for name in TARGETED if name in target]
        if self._host is None or not _same(self._host[0], read):
            self._host = read, _on_host(targets)
        return self._host[1]

    def put_in(self, matcher: Any) -> None:
        """Change a matcher that has its own class; leave it alone where nothing would change."""
        if SEAT in matcher.__dict__ or not (self.by_image or self.cost is not None):
            return
        making.put_in(matcher, self._made_of, SEAT, self)

    def _made_of(self, stock: type) -> type:
        if stock not in self._classes:
            self._classes[stock] = _plugged(stock, self.cost)
        return self._classes[stock]

    def take_out(self, matcher: Any) -> None:
        """Give a matcher its class back; a second call does nothing, nor does one for what another plug has changed."""
        if matcher.__dict__.get(SEAT) is self:
            making.take_out(matcher, SEAT)


def plug_of_matcher(matcher: Any) -> MatcherPlug | None:
    """What a plug has changed in a matcher; None: nothing."""
    found: MatcherPlug | None = getattr(matcher, "__dict__", {}).get(SEAT)
    return found


def matcher_plug(where: str, criterion: Any, slot: BoxSlot | None, by_image: bool) -> MatcherPlug | None:
    """What changes in the matcher of a criterion; None: nothing.

    Args:
        where: the adapter, for errors.
        criterion: whose matcher it is.
        slot: whose loss is the cost; None: the cost stays.
        by_image: call the matcher image by image.

    Raises:
        UnsupportedCriterion: there is no matcher with a GIoU cost.
        ValueError: the loss keeps a running statistic; the matcher is shared with a criterion that has a plug.
    """
    matcher = getattr(criterion, "matcher", None)
    taken = plug_of_matcher(matcher) is not None
    if slot is None:
        return MatcherPlug(None, by_image) if by_image and matcher is not None and not taken else None
    if taken:
        came = "matcher='match', and the matcher of the criterion belongs to another one, whose losses are plugged"
        raise refusal(where, came, "a matcher of its own", "give each criterion one: copy.deepcopy(matcher)")
    if slot.loss.entry.traits.stateful:
        came = f"matcher='match' with box={slot.loss.entry.name!r}, whose running statistic would count candidates"
        raise refusal(where, came, "matcher='keep'", "leave matcher out")
    cost = PairwiseSimilarity(slot)
    if matcher is None or not with_cost(type(matcher), cost):
        found = "no attribute matcher" if matcher is None else f"{type(matcher).__name__} without it"
        remedy = "leave matcher out: it keeps its own cost"
        raise UnsupportedCriterion(criterion, f"sought a matcher that calls {COST}, found {found}", remedy)
    return MatcherPlug(cost, by_image)


def with_cost(stock: type, cost: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Callable[..., Any]]:
    """The methods of a class of matchers that compute a GIoU, with this function in its place."""
    found: dict[str, Callable[..., Any]] = {}
    for cls in stock.__mro__:
        for name, method in vars(cls).items():
            function = _unwrapped(method)
            if name not in found and function is not None and COST in function.__code__.co_names:
                replaced = rebound(function, **_names(function, cost))
                found[name] = torch.no_grad()(replaced) if function is not method else replaced
    return found


def _unwrapped(method: Any) -> FunctionType | None:
    """The function of a method, also under `torch.no_grad()`; None: it is none."""
    while hasattr(method, "__wrapped__"):
        method = method.__wrapped__
    return method if isinstance(method, FunctionType) else None


def _names(function: FunctionType, cost: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Any]:
    """The global names through which a function reaches the GIoU, with what they are to mean."""
    if COST in function.__globals__:
        return {COST: cost}
    modules = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    return {
        name: SimpleNamespace(**{**vars(module), COST: cost})
        for name, module in modules.items()
        if isinstance(module, ModuleType) and hasattr(module, COST)
    }


def _plugged(stock: type, cost: PairwiseSimilarity | None) -> type:
    """The subclass of a class of matchers."""
    methods = {} if cost is None else with_cost(stock, cost)
    match = methods.get("forward", getattr(stock, "forward", None))
    if match is not None:
        unchecked = with_cost(stock, PairwiseSimilarity(_giou_slot())) if cost is None else methods
        methods["forward"] = _by_image(match, unchecked.get("forward", match))
    return making.subclass_of(stock, methods, SEAT, _again)


def _again(matcher: Any, plug: MatcherPlug) -> None:
    plug.put_in(matcher)


def _giou_slot() -> BoxSlot:
    """GIoU as matchers compute it, without a check of the boxes that waits for the device."""
    return BoxSlot(build_loss("giou", reduction="none"), None)


def _by_image(match: Callable[..., Any], quick: Callable[..., Any]) -> Callable[..., Any]:
    """A matcher's `forward`, called once for each image: the costs of queries with objects of others are left out.

    Args:
        match: as it is called for a whole batch.
        quick: as it is called for an image.
    """

    @functools.wraps(match)
    def forward(self: Any, outputs: Mapping[str, Any], targets: Any, *more: Any, **named: Any) -> Any:
        plug: MatcherPlug = self.__dict__[SEAT]
        if not plug.by_image or not len(targets):
            return match(self, outputs, targets, *more, **named)
        host = {name: value.cpu() if name in COSTED else value for name, value in outputs.items()}
        found = [
            quick(self, _one(host, image, len(targets)), [target], *more, **named)
            for image, target in enumerate(plug.on_host(targets))
        ]
        if all(isinstance(each, Mapping) for each in found):
            return {name: [pair for each in found for pair in each[name]] for name in found[0]}
        return [pair for each in found for pair in each]

    return forward


def _one(outputs: Mapping[str, Any], image: int, images: int) -> dict[str, Any]:
    """The outputs of one image."""
    return {
        name: value[image : image + 1] if isinstance(value, (Tensor, list, tuple)) and len(value) == images else value
        for name, value in outputs.items()
    }


def _on_host(targets: Targets) -> list[dict[str, Tensor]]:
    """Boxes and labels of all images in one copy each; the rest as it is."""
    counts = [len(target["boxes"]) for target in targets]
    found = [dict(target) for target in targets]
    for name in TARGETED:
        if not all(
            name in target and len(target[name]) == count for target, count in zip(targets, counts, strict=True)
        ):
            continue
        parts = torch.split(torch.cat([target[name] for target in targets]).cpu(), counts)
        for target, part in zip(found, parts, strict=True):
            target[name] = part
    return found


def _version(tensor: Tensor) -> int:
    """How often something was written into a tensor; those of inference mode do not say, and are read once."""
    return -1 if tensor.is_inference() else tensor._version


def _same(known: list[tuple[Tensor, int]], read: list[tuple[Tensor, int]]) -> bool:
    return len(known) == len(read) and all(
        one is other and version == now for (one, version), (other, now) in zip(known, read, strict=True)
    )
