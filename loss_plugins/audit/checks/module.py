"""The module around a loss: copies, weights, reductions. Judged where the module speaks that contract."""

from __future__ import annotations

import copy
import functools
import inspect
import io
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...tensors import Target, on_target
from ..check import EVERY, Check, Finding, judged, not_applicable
from ..subject import Scores, Subject, literal

NOT_A_MODULE = "a function, not a module"
NO_CONTRACT = "forward takes no weight, avg_factor and reduction_override"
Contract = Callable[[Subject, nn.Module, Tensor, Target], Finding]


# --- copies --------------------------------------------------------------------------------------------------------


def copied(subject: Subject, make: Callable[[nn.Module], nn.Module]) -> Finding:
    """A copy of the module gives the same loss, bit for bit."""
    if subject.module is None:
        return not_applicable(NOT_A_MODULE)
    pair = subject.sample(8, dtype=torch.float32)
    same = torch.equal(make(subject.module)(*pair), subject.value(*pair))
    return judged(same, "same bits" if same else "the copy differs")


def through_pickle(module: nn.Module) -> nn.Module:
    """The module after pickling and unpickling."""
    return pickle.loads(pickle.dumps(module))  # type: ignore[no-any-return]


def through_file(module: nn.Module) -> nn.Module:
    """The module after torch.save and torch.load."""
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)  # type: ignore[no-any-return]


def through_state_dict(module: nn.Module) -> nn.Module:
    """A copy of the module with its state loaded by load_state_dict."""
    other = copy.deepcopy(module)
    other.load_state_dict(module.state_dict(), strict=True)
    return other


# --- running statistics --------------------------------------------------------------------------------------------


def keeps_state(subject: Subject) -> Finding:
    """In training, earlier calls change later ones if and only if the loss is declared stateful."""
    if subject.module is None:
        return not_applicable(NOT_A_MODULE)
    module = copy.deepcopy(subject.module).train()
    pair = subject.sample(16, dtype=torch.float32)
    first = module(*pair).detach().clone()
    for seed, fed in itertools.product(range(1, 4), every_form(subject)):
        module(*fed.sample(16, seed, torch.float32))
    changed = not torch.equal(first, module(*pair).detach()) or _state_differs(module, subject.module)
    promise = subject.traits is not None and subject.traits.stateful
    return judged(changed == promise, f"{'keeps' if changed else 'keeps no'} state; promised: {promise}")


def every_form(subject: Subject) -> list[Subject]:
    """The subject, fed with each form of the target that it takes: some teach a running statistic, others do not."""
    return [subject.fed(Scores(form, subject.scores.scale)) for form in subject.forms] or [subject]


def _state_differs(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return any(not torch.equal(a, b) for a, b in pairs)


def survives_bad_batches(subject: Subject) -> Finding:
    """The running statistic stays finite after an empty batch and one of NaN."""
    if subject.module is None or subject.traits is None or not subject.traits.stateful:
        return not_applicable("not declared stateful")
    module = copy.deepcopy(subject.module).train()
    for fed in every_form(subject):
        pred, target = fed.sample(16, dtype=torch.float32)
        module(pred[:0], on_target(lambda part: part[:0], target))
        module(pred * float("nan"), target)
        module(pred, target)
    loss = module.eval()(pred, target)
    return judged(bool(loss.isfinite().all()), f"loss afterwards {float(loss.sum()):.4g}", float(loss.sum()))


# --- the reduction table -------------------------------------------------------------------------------------------


def speaks_contract(module: nn.Module | None) -> bool:
    """forward takes weight, avg_factor and reduction_override, as MMDetection's heads pass them."""
    if module is None:
        return False
    return {"weight", "avg_factor", "reduction_override"} <= set(inspect.signature(module.forward).parameters)


def in_contract(check: Contract) -> Callable[[Subject], Finding]:
    """Run a check on modules whose forward takes those arguments; it does not apply to others."""

    def run(subject: Subject) -> Finding:
        module = subject.module
        if module is None:
            return not_applicable(NOT_A_MODULE)
        if not speaks_contract(module):
            return not_applicable(NO_CONTRACT)
        return check(subject, module, *subject.sample(6))

    return run


def close(found: Tensor, wanted: Tensor, what: str, code: str = "") -> Finding:
    """Equal up to rounding."""
    difference = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1)) if wanted.numel() else 0.0
    same = found.shape == wanted.shape and difference < 1e-6
    return judged(same, f"{what}: difference {difference:.2g}, shape {tuple(found.shape)}", difference, code)


def reduces(subject: Subject, module: nn.Module, pred: Tensor, target: Target, how: str) -> Finding:
    """sum adds up, mean divides by the number of elements (or by the loss's declared denominator)."""
    loss = module(pred, target, reduction_override="none")
    found = module(pred, target, reduction_override=how)
    wanted = loss.sum()
    if how == "mean":
        count = subject.denominator(pred, target) if subject.denominator else loss.numel()
        wanted = wanted / count
    return close(found, wanted, how, _contract_code(pred, target, f"reduction_override={how!r}"))


def divides_by_avg_factor(subject: Subject, module: nn.Module, pred: Tensor, target: Target) -> Finding:
    """Reduction "mean" with avg_factor is the sum divided by avg_factor."""
    found = module(pred, target, avg_factor=3.5, reduction_override="mean")
    wanted = module(pred, target, reduction_override="sum") / 3.5
    return close(found, wanted, "avg_factor", _contract_code(pred, target, "avg_factor=3.5, reduction_override='mean'"))


def refuses_avg_factor_with_sum(subject: Subject, module: nn.Module, pred: Tensor, target: Target) -> Finding:
    """avg_factor with reduction "sum" is a ValueError."""
    try:
        module(pred, target, avg_factor=3.5, reduction_override="sum")
    except ValueError as error:
        return judged(True, f"ValueError: {str(error)[:80]}")
    code = _contract_code(pred, target, "avg_factor=3.5, reduction_override='sum'")
    return judged(False, "avg_factor is accepted with 'sum'", code=code)


def refuses_unknown_reduction(subject: Subject, module: nn.Module, pred: Tensor, target: Target) -> Finding:
    """An unknown reduction is an error."""
    try:
        module(pred, target, reduction_override="avg")
    except (ValueError, AssertionError) as error:
        return judged(True, type(error).__name__)
    return judged(False, "accepted", code=_contract_code(pred, target, "reduction_override='avg'"))


def row_weights(pred: Tensor, seed: int = 5) -> Tensor:
    """A positive weight per row."""
    return 0.5 + torch.rand(len(pred), generator=torch.Generator().manual_seed(seed), dtype=pred.dtype)


def weights_rows(subject: Subject, module: nn.Module, pred: Tensor, target: Target) -> Finding:
    """A weight per row multiplies the row's loss."""
    weight = row_weights(pred)
    loss = module(pred, target, reduction_override="none")
    if not (loss.ndim and len(loss) == len(pred)):
        return not_applicable("no loss per row to weigh")
    given = weight if loss.ndim == 1 else weight.view(-1, *(1,) * (loss.ndim - 1)).expand_as(loss)
    found = module(pred, target, weight=given, reduction_override="none")
    return close(found, loss * given, "weight", _contract_code(pred, target, f"weight={literal(given[:2])}"))


def linear_in_weight(subject: Subject, module: nn.Module, pred: Tensor, target: Target) -> Finding:
    """Reduction "sum" is linear in the weight."""
    one, other = row_weights(pred, 5), row_weights(pred, 6)
    loss = module(pred, target, reduction_override="none")
    if not (loss.ndim and len(loss) == len(pred)):
        return not_applicable("no loss per row to weigh")

    def total(weight: Tensor) -> Tensor:
        shaped = weight.view(-1, *(1,) * (loss.ndim - 1)).expand_as(loss)
        return module(pred, target, weight=shaped, reduction_override="sum")  # type: ignore[no-any-return]

    return close(total(2 * one + 3 * other), 2 * total(one) + 3 * total(other), "linearity")


def zero_weights(subject: Subject, module: nn.Module, pred: Tensor, target: Target) -> Finding:
    """With all weights 0 the loss is 0 and has a gradient of zeros."""
    loss = module(pred, target, reduction_override="none")
    leaf = pred.clone().requires_grad_()
    found = module(leaf, target, weight=torch.zeros_like(loss), reduction_override="mean")
    found.sum().backward()
    ok = float(found.detach().sum()) == 0 and leaf.grad is not None and bool((leaf.grad == 0).all())
    return judged(ok, f"value {float(found.detach().sum()):g}, {'connected' if leaf.grad is not None else 'no graph'}")


def empty_mean(subject: Subject, module: nn.Module, pred: Tensor, target: Target, how: str) -> Finding:
    """The reduced loss of an empty batch is 0 and has an empty gradient."""
    leaf = pred[:0].clone().requires_grad_()
    nothing = tuple(part[:0] for part in target) if isinstance(target, tuple) else target[:0]
    found = module(leaf, nothing, reduction_override=how)
    found.sum().backward()
    value = float(found.detach().sum())
    return judged(
        value == 0 and leaf.grad is not None,
        f"value {value:g}",
        value,
        _contract_code(pred[:0], nothing, f"reduction_override={how!r}"),
    )


def scales_with_loss_weight(subject: Subject, module: nn.Module, pred: Tensor, target: Target) -> Finding:
    """loss_weight multiplies the result."""
    if not isinstance(getattr(module, "loss_weight", None), (int, float)):
        return not_applicable("the module has no loss_weight")
    heavier: Any = copy.deepcopy(module)
    heavier.loss_weight = 2.5 * heavier.loss_weight
    how = {"reduction_override": "sum"}
    return close(heavier(pred, target, **how), 2.5 * module(pred, target, **how), "loss_weight")


def _contract_code(pred: Tensor, target: Target, arguments: str) -> str:
    target = tuple(part[:2] for part in target) if isinstance(target, tuple) else target[:2]
    return f"print(f({literal(pred[:2].float())}, {literal(target)}, {arguments}))"


TABLE: dict[str, Contract] = {
    "reduction sum": functools.partial(reduces, how="sum"),
    "reduction mean": functools.partial(reduces, how="mean"),
    "avg_factor divides": divides_by_avg_factor,
    "avg_factor with sum refused": refuses_avg_factor_with_sum,
    "unknown reduction refused": refuses_unknown_reduction,
    "weight per row": weights_rows,
    "linear in the weight": linear_in_weight,
    "all weights 0": zero_weights,
    "mean of no rows": functools.partial(empty_mean, how="mean"),
    "sum of no rows": functools.partial(empty_mean, how="sum"),
    "loss_weight": scales_with_loss_weight,
}

CHECKS = (
    Check("deepcopy", "module", functools.partial(copied, make=copy.deepcopy), EVERY),
    Check("pickle", "module", functools.partial(copied, make=through_pickle), EVERY),
    Check("torch.save", "module", functools.partial(copied, make=through_file), EVERY),
    Check("state_dict", "module", functools.partial(copied, make=through_state_dict), EVERY),
    Check("state only where declared", "module", keeps_state, EVERY),
    Check("bad batches leave no trace", "module", survives_bad_batches, EVERY),
    *(Check(name, "reductions", in_contract(check), EVERY) for name, check in TABLE.items()),
)
