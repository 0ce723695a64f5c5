"""What each loss is handed and gives back in one call of a model's `loss`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .modules import PluggedLoss
from .score_modules import choose_channels

#: operations that only lay numbers out anew: behind them lies what made the numbers
LAYOUT = (
    "View", "Reshape", "UnsafeView", "Permute", "Transpose", "TBackward", "Squeeze", "Unsqueeze", "Index", "Select",
    "Slice", "Cat", "Clone", "Copy", "Expand", "Alias", "Split", "Unbind", "MaskedSelect", "Clamp", "ToCopy", "Gather",
)  # fmt: skip
SQUASHING = ("Sigmoid", "Softmax")


@dataclass
class Call:
    """One call of a loss.

    Attributes:
        pred: what came for the prediction.
        target: what came for the target.
        weight: what came for the weight; integers there are labels, which choose the channel of a mask.
        avg_factor: what the head divides by.
        reduction: the reduction of this call, overrides included.
        others: other keywords of the call.
        squashed: whether the prediction comes from a sigmoid or a softmax.
        result: what the loss returned; None: it raised.
        factor: by how much the training loss changes with each element of `result`; None: not at all.
        handed_on: whether `result` itself is among the losses that the model returns.
    """

    pred: Tensor
    target: Any
    weight: Tensor | None
    avg_factor: Any
    reduction: str
    others: dict[str, Any] = field(default_factory=dict)
    squashed: bool = False
    result: Tensor | None = None
    factor: float | None = None
    handed_on: bool = False

    @property
    def counted(self) -> Tensor:
        """Which elements have a weight, in the shape of the weight; of no weight, which rows there are."""
        if self.weight is None or choose_channels(self.pred, self.target, self.weight):
            return torch.ones(self.pred.shape[:1], dtype=torch.bool, device=self.pred.device)
        return self.weight != 0


Calls = dict[str, list[Call]]


@contextmanager
def recording(losses: Mapping[str, PluggedLoss]) -> Iterator[Calls]:
    """Record the calls of losses, by their path, while the context lasts; `note_factors` has its place inside of it."""
    found: Calls = {path: [] for path in losses}
    handles = []
    for path, loss in losses.items():
        handles.append(loss.register_forward_pre_hook(_entering(found[path]), with_kwargs=True))
        handles.append(loss.register_forward_hook(_leaving(found[path])))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
        for call in (call for each in found.values() for call in each):
            call.result = call.result.detach() if isinstance(call.result, Tensor) else None  # lets the graph go


def _entering(calls: list[Call]) -> Any:
    def enter(loss: PluggedLoss, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        calls.append(_bound(loss, *arguments, **keywords))

    return enter


def _leaving(calls: list[Call]) -> Any:
    def leave(loss: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
        calls[-1].result = result

    return leave


def _bound(
    loss: PluggedLoss,
    pred: Any = None,
    target: Any = None,
    weight: Any = None,
    avg_factor: Any = None,
    reduction_override: Any = None,
    **others: Any,
) -> Call:
    squashed = isinstance(pred, Tensor) and is_squashed(pred)
    weight = weight if isinstance(weight, Tensor) else None  # the loss refuses anything else
    pred = pred.detach() if isinstance(pred, Tensor) else pred  # the graph is not kept
    reduction = reduction_override or loss.reduction
    return Call(pred, target, weight, avg_factor, reduction, others, squashed)


def values_of(losses: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that MMEngine adds up to the training loss."""
    named = [value for name, value in losses.items() if "loss" in name]
    return [part for value in named for part in (value if isinstance(value, (list, tuple)) else [value])]


def note_factors(calls: Calls, losses: Mapping[str, Any]) -> None:
    """Note of each call by what the model multiplies its result."""
    values = values_of(losses)
    made = [call for each in calls.values() for call in each if isinstance(call.result, Tensor)]
    for call in made:
        call.handed_on = any(value is call.result for value in values)
    traced = [call for call in made if call.result is not None and call.result.requires_grad and call.result.numel()]
    results = [call.result for call in traced if call.result is not None]
    total = [value.mean() for value in values if value.requires_grad and value.numel()]
    if not traced or not total:
        return
    gradients = torch.autograd.grad(torch.stack(total).sum(), results, allow_unused=True)
    for call, gradient in zip(traced, gradients, strict=True):
        call.factor = None if gradient is None else float(gradient.double().mean())


def is_squashed(pred: Tensor) -> bool:
    """Whether the numbers come from a sigmoid or a softmax, as the graph behind them says."""
    return _is_squashed(pred.grad_fn, {})


def _is_squashed(node: Any, known: dict[Any, bool]) -> bool:
    if node is None:
        return False
    if node not in known:
        name, before = node.name(), [each for each, _ in node.next_functions if each is not None]
        known[node] = any(word in name and "Log" + word not in name for word in SQUASHING)
        if any(word in name for word in LAYOUT):
            known[node] = any(_is_squashed(each, known) for each in before)
        elif name.startswith("Mul"):  # a product of probabilities is one
            known[node] = bool(before) and all(_is_squashed(each, known) for each in before)
    return known[node]
