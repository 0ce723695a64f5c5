"""The module around an element-wise loss: weight, reduction, avg_factor, loss_weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ..catalog.dialects import defaults_of, translated
from ..catalog.entries import Entry, add_alias, evaluate, get_entry, prepare
from ..catalog.ranges import Choice, Interval, PerClass, check_value
from ..fusion.fused import FusedLoss
from ..tensors import Target

Reduction = Literal["none", "mean", "sum"]
REDUCTIONS = Choice("none", "mean", "sum")
FINITE = Interval(open_low=True, open_high=True)
AVG_FACTOR_EPS = torch.finfo(torch.float32).eps

#: module classes by name
CLASSES: dict[str, type[Loss]] = {}


class Loss(nn.Module):
    """A catalogued loss as a module; subclasses name their catalogue entry.

    Args:
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        compile: compute value and gradient by machine code, see `fused`; the first call compiles.
        **parameters: the function's keywords, checked here once.

    Attributes:
        entry: what the catalogue says of this loss, with the traits that the parameters give it.

    Raises:
        ValueError: a reduction or parameter that is not allowed.
        TypeError: a keyword that the loss does not know; the error lists those it does.
        RuntimeError: compile=True where no compiler is found.
    """

    entry: Entry

    def __init_subclass__(cls, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.entry = get_entry(name)
        add_alias(cls.__name__, name)
        CLASSES[cls.__name__] = cls

    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, **parameters: Any
    ) -> None:
        super().__init__()
        entry = type(self).entry
        check_value(entry.name, "reduction", reduction, REDUCTIONS)
        check_value(entry.name, "loss_weight", loss_weight, FINITE)
        check_value(entry.name, "compile", compile, Choice(False, True))
        parameters = translated(entry.name, parameters)
        entry.check_complete(parameters)
        self.entry = entry.with_parameters(parameters)
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.parameters_given = {name: plain(value) for name, value in parameters.items()}
        self.step_shared = False
        self._exact: tuple[str, ...] = ()
        self._keep_constants()
        self._keep_states()
        self.compile_wanted = compile
        self._given = self.entry.arguments(self.parameters_given)
        self.fused = self._fused()

    def _fused(self) -> FusedLoss | None:
        """Value and gradient in one go; not for a dialect, which rounds as its framework does, unless compiled."""
        if self.parameters_given.get("dialect") is not None and not self.compile_wanted:
            return None
        fixed = {name: value for name, value in self._given.items() if name not in self._buffers}
        fused = FusedLoss(self.entry, fixed, self.compile_wanted)
        if self.compile_wanted:
            tensors = (name for name in (*self.states, *self._given) if name in self._buffers)
            fused.require({name: getattr(self, name) for name in tensors})
        return fused

    def _keep_constants(self) -> None:
        """One number per class becomes a buffer, so that it follows the module to its device."""
        for name, value in self.parameters_given.items():
            if isinstance(self.entry.parameters[name].allowed, PerClass) and isinstance(value, list):
                self._keep(name, torch.tensor(value, dtype=torch.float64), persistent=False)

    def _keep_states(self) -> None:
        parameters = self.resolved()
        active = (name for name, state in self.entry.states.items() if not state.when or parameters.get(state.when))
        self.states = tuple(active)
        self.update_parameters: dict[str, dict[str, Any]] = {}
        for name in self.states:
            state = self.entry.states[name]
            self.update_parameters[name] = {key: parameters[key] for key in state.update_keywords}
            self._keep(name, state.initial(parameters).double(), persistent=True)
            self._keep(f"{name}_before", state.initial(parameters).double(), persistent=False)
            self._keep(f"{name}_pending", state.empty(parameters).double(), persistent=False)

    def _keep(self, name: str, value: Tensor, persistent: bool) -> None:
        self.register_buffer(name, value, persistent)
        self._exact += (name,)

    def _apply(self, fn: Any, recurse: bool = True) -> Loss:
        # states move with the module, but no cast may round them: half precision would freeze a running mean
        kept = {name: self._buffers.pop(name) for name in self._exact}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in kept.items():
            assert before is not None
            device = fn(torch.empty(0, device=before.device)).device
            exact = before.float() if device.type == "mps" else before  # which has no float64
            moved = fn(exact)
            self._buffers[name] = moved if moved.dtype == exact.dtype else exact.to(moved.device)
        return self

    def resolved(self) -> dict[str, Any]:
        """All parameters, defaults included."""
        defaults = {name: parameter.default for name, parameter in self.entry.parameters.items()}
        return {**defaults, **self.parameters_given}

    def elementwise(self, pred: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """The loss per element, before weight and reduction; running statistics learn here.

        Args:
            pred: predictions.
            target: targets.
            weight: says which elements count for running statistics (those above 0); nothing is multiplied by it.
        """
        arguments = self._arguments(pred, target, weight)
        if self.fused is None:
            return evaluate(self.entry, pred, target, arguments)
        return self.fused(pred, target, arguments)

    def _constants(self) -> dict[str, Any]:
        """What was given, as the function takes it; numbers per class on the module's device."""
        return {name: self._buffers.get(name, value) for name, value in self._given.items()}

    def _arguments(self, pred: Tensor, target: Target, weight: Tensor | None) -> dict[str, Any]:
        arguments = self._constants()
        if weight is not None and "weight" in self.entry.keywords:
            arguments["weight"] = weight
        learning = self.training and torch.is_grad_enabled()
        for name in self.states:
            arguments[name] = self._learned(name, pred, target, weight) if learning else getattr(self, name)
        return arguments

    @torch.no_grad()
    def _learned(self, name: str, pred: Tensor, target: Target, weight: Tensor | None) -> Tensor:
        """Update a running statistic by these rows (and those of the calls before, in a shared step)."""
        state, value = self.entry.states[name], cast(Tensor, getattr(self, name))
        pred, target = prepare(self.entry, pred.detach(), target)
        parameters = self.resolved()
        summary = state.summary(pred, target, weight, **self.entry.arguments(parameters)).to(value.dtype)
        before = value
        if self.step_shared:
            before = getattr(self, f"{name}_before")
            summary = summary + getattr(self, f"{name}_pending")
            getattr(self, f"{name}_pending").copy_(summary)
        learned = state.update(before, summary, **self.update_parameters[name])
        value.copy_(learned)
        return learned

    def begin_step(self) -> None:
        """From now to the next `begin_step`, all calls make one update of the running statistics.

        A head that calls its loss once per level would otherwise update them once per level, however few boxes the
        level has. After k calls in a step the state is what one call with all rows would have made it. Without any
        `begin_step`, every call is a step of its own, as in the papers' code. Does nothing for losses without state.
        """
        for module in self.modules():
            if isinstance(module, Loss):
                module._begin_step()

    def _begin_step(self) -> None:
        self.step_shared = True
        for name in self.states:
            getattr(self, f"{name}_before").copy_(getattr(self, name))
            getattr(self, f"{name}_pending").zero_()

    def forward(
        self,
        pred: Tensor,
        target: Target,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: Reduction | None = None,
    ) -> Tensor:
        """The reduced loss.

        Args:
            pred: (n, 4) boxes, (n, 5) rotated boxes, (n, C) logits or (n, ...) masks, as the loss's kind demands.
            target: what to meet, in a form that the loss takes.
            weight: one number per row, (n,) or (n, 1), or per element; a loss per row takes the mean over the last
                axis.
            avg_factor: "mean" divides the sum by it; "none" ignores it.
            reduction_override: used instead of `reduction`.

        Returns:
            0-dim tensor, or the weighted loss per element for "none". An empty batch costs 0, in the graph.

        Raises:
            ValueError: an unknown reduction, avg_factor with "sum", or a weight that fits no row.
        """
        reduction = self.reduction
        if reduction_override is not None:
            check_value(self.entry.name, "reduction_override", reduction_override, REDUCTIONS)
            reduction = reduction_override
        loss = self.elementwise(pred, target, weight)
        if reduction == "mean" and avg_factor is None and self._denominator() is not None:
            reduced = self._own_mean(loss, pred, target, weight)
        else:
            reduced = reduce_loss(self.entry.name, loss, weight, reduction, avg_factor)
        return reduced if self.loss_weight == 1 else self.loss_weight * reduced

    def _own_mean(self, loss: Tensor, pred: Tensor, target: Target, weight: Tensor | None) -> Tensor:
        """The sum over the loss's own denominator; nothing to divide by costs 0."""
        denominator = self._denominator()
        assert denominator is not None
        arguments = self._constants()
        divisor = denominator(*prepare(self.entry, pred, target), **arguments)
        return reduce_loss(self.entry.name, loss, weight, "sum") / divisor.masked_fill(divisor == 0, 1.0)

    def _denominator(self) -> Callable[..., Tensor] | None:
        """What "mean" divides by, if not the number of elements: as the dialect has it, or the loss."""
        of_dialect = defaults_of(self.entry.name, self.parameters_given.get("dialect")).mean
        return MEANS[of_dialect] if of_dialect else self.entry.denominator

    def spec(self) -> dict[str, Any]:
        """Everything needed to build this loss again, all defaults resolved, in plain types."""
        return {
            "type": self.entry.name,
            "reduction": self.reduction,
            "loss_weight": self.loss_weight,
            **({"compile": True} if self.compile_wanted else {}),
            **self.resolved(),
        }

    def extra_repr(self) -> str:
        """What differs between two losses of one class."""
        given = {"reduction": self.reduction, "loss_weight": self.loss_weight, **self.parameters_given}
        return ", ".join(f"{name}={value!r}" for name, value in given.items())


def _rows(pred: Tensor, target: Any, **_: Any) -> Tensor:
    """Every row, ignored ones too."""
    return pred.new_tensor(float(max(len(pred), 1)))


def _columns(pred: Tensor, target: Any, **_: Any) -> Tensor:
    """The length of axis 1: its mean, summed over the rest."""
    return pred.new_tensor(float(max(pred.shape[1], 1)))


#: what "mean" divides by in a dialect; None: the number of elements
MEANS: dict[str, Callable[..., Tensor] | None] = {"rows": _rows, "columns": _columns, "elements": None}


def plain(value: Any) -> Any:
    """Tuples and tensors as lists: what YAML and JSON give back."""
    if isinstance(value, Tensor):
        value = value.tolist()
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def reduce_loss(
    where: str,
    loss: Tensor,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """Weight, then reduce, as MMDetection defines it.

    mean: the sum over the number of elements, or over `avg_factor` (+ float32's epsilon) if given.

    >>> reduce_loss("demo", torch.tensor([1.0, 3.0]), torch.tensor([1.0, 0.0]))
    tensor(0.5000)
    """
    if weight is not None:
        loss = loss * fit_weight(where, weight, loss)
    if reduction == "none":
        return loss
    if reduction == "sum":
        if avg_factor is not None:
            raise ValueError(
                f"{where}: avg_factor={avg_factor!r} goes with reduction 'mean' or 'none', not 'sum'; leave it out"
            )
        return loss.sum()
    if avg_factor is None:
        return loss.sum() / max(loss.numel(), 1)
    return loss.sum() / (avg_factor + AVG_FACTOR_EPS)


def fit_weight(where: str, weight: Tensor, loss: Tensor) -> Tensor:
    """The weight in the loss's shape: one per row is repeated, several per element become their mean."""
    if weight.shape == loss.shape:
        return weight
    if loss.ndim > 0 and weight.shape[:-1] == loss.shape:  # (n, 4) or (n, 1) for one loss per box
        return weight.mean(-1)
    if weight.ndim > 0 and weight.shape[-1] == 1 and weight.ndim == loss.ndim:
        weight = weight.squeeze(-1)
    if weight.ndim > 0 and weight.shape == loss.shape[: weight.ndim]:
        return weight.reshape(*weight.shape, *(1 for _ in range(loss.ndim - weight.ndim)))
    raise ValueError(
        f"{where}: weight has shape {tuple(weight.shape)}, the loss {tuple(loss.shape)}; "
        "pass one weight per row, (n,) or (n, 1), or one per element"
    )
