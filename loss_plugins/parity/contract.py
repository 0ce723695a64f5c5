"""Is our dialect the built-in in every way of calling it? Value and gradient of each case."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..module.build import build_loss
from ..module.loss import Loss
from ..peers.contracts import CONTRACTS, ROWS, Call, Contract
from ..tensors import Target, cast, without_class_axis
from .cases import Case, cases_of, values_of
from .inputs import Pair, made
from .rules import CASE_RULES, CaseRule

DOUBLE, SINGLE = 1e-9, 2e-6


@dataclass(frozen=True)
class CaseResult:
    """One case.

    Attributes:
        case: in words.
        value, gradient: largest differences, relative above 1; infinite where one side is not finite.
        verdict: "equal"; "refused by theirs", with the error; the name of a rule; or what is wrong.
        ok: equal, or known.
    """

    case: str
    value: float
    gradient: float
    verdict: str
    ok: bool


@dataclass(frozen=True)
class ContractResult:
    """All cases of one built-in.

    Attributes:
        calls: what was compared, and `cases` what was found, one each.
        parameters: those of theirs that were tried, with their values.
        lacking: those of theirs that our dialect refuses by name.
        remark: what was compared of a result that ours does not return in that form.
    """

    framework: str
    loss: str
    builtin: str
    calls: tuple[Case, ...]
    cases: tuple[CaseResult, ...]
    parameters: dict[str, list[Any]]
    lacking: tuple[str, ...]
    remark: str = ""

    @property
    def ok(self) -> bool:
        """All cases are equal or known."""
        return all(case.ok for case in self.cases)

    @property
    def counts(self) -> dict[str, int]:
        """How many cases have each verdict."""
        return dict(Counter(case.verdict.partition(":")[0] for case in self.cases))

    @property
    def wrong(self) -> list[CaseResult]:
        """Those that are neither."""
        return [case for case in self.cases if not case.ok]

    @property
    def verdict(self) -> str:
        """In words."""
        return "equal" if self.ok else f"BROKEN in {len(self.wrong)} calls"

    @property
    def varied(self) -> str:
        """What the calls differ in, in one line."""
        parts = [", ".join(dict.fromkeys(case.inputs for case in self.calls))]
        parts += [f"reduction {', '.join(dict.fromkeys(case.reduction for case in self.calls))}"]
        weights = dict.fromkeys(case.weight for case in self.calls if case.weight)
        parts += [f"weight {', '.join(weights)}"] if weights else []
        parts += ["avg_factor"] if any(case.avg_factor for case in self.calls) else []
        parts += [f"{name} {', '.join(map(repr, tried))}" for name, tried in self.parameters.items()]
        return "; ".join(parts)

    def largest(self, of: Callable[[CaseResult], float]) -> float:
        """Of the cases that are equal."""
        return max((of(case) for case in self.cases if case.verdict == "equal"), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        told = {name: value for name, value in asdict(self).items() if name != "calls"}
        return {**told, "ok": self.ok, "verdict": self.verdict, "counts": self.counts}


def contracts_of(framework: str = "all", progress: Callable[[str], None] = lambda _: None) -> Iterator[ContractResult]:
    """Every contract of a framework, or of all that are installed."""
    for contract in contracts_to_compare(framework):
        progress(f"{contract.framework} {contract.title}, every call")
        yield compare_contract(contract)


def contracts_to_compare(framework: str = "all") -> list[Contract]:
    """Those of a framework, or of all, that the installed versions have."""
    return [each for each in CONTRACTS if framework in ("all", each.framework) and not each.missing()]


def compare_contract(contract: Contract) -> ContractResult:
    """Our dialect beside the installed built-in, in every case."""
    values, lacking = values_of(contract)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a few numbers at a time: several threads take much longer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of theirs, about parameters that are tried on purpose
            calls = tuple(cases_of(contract))
            cases = tuple(compare_case(contract, case) for case in calls)
    finally:
        torch.set_num_threads(threads)
    return ContractResult(
        contract.framework, contract.title, contract.name, calls, cases, values, tuple(lacking), contract.remark
    )


def compare_case(contract: Contract, case: Case) -> CaseResult:
    """One call of both."""
    parameters = {**contract.given, **case.parameters}
    at_the_call = bool(case.weight) and contract.framework == "mmdet"
    reduction = "mean" if at_the_call else case.reduction
    rule = next((rule for rule in CASE_RULES if rule.applies(contract, case)), None)
    refusals = (TypeError, ValueError, IndexError, RuntimeError)
    try:
        module = build_loss(contract.loss, dialect=contract.framework, reduction=reduction, **parameters).train()
    except refusals as error:
        return _refused(case, rule, error)
    pred, target = _input(contract, case, module)
    said = _said(case, pred, module, case.reduction if at_the_call else None)
    try:
        theirs = _evaluated(contract.theirs(parameters, reduction, pred), pred, target, said)
    except Exception as error:  # whatever theirs raises is a refusal of theirs, and is told
        return CaseResult(str(case), 0.0, 0.0, f"refused by theirs: {_line(error)}", True)
    try:
        ours = _evaluated(module, pred, target, said, theirs[0], contract.shape)
    except refusals as error:
        return _refused(case, rule, error)
    alike = (ours[0].shape, ours[0].dtype) == (theirs[0].shape, theirs[0].dtype)
    value = _apart(ours[0], theirs[0]) if alike else torch.inf
    gradient = _apart(ours[1], theirs[1])
    tolerance = SINGLE if contract.single else DOUBLE
    if value <= tolerance and gradient <= tolerance:
        return CaseResult(str(case), value, gradient, "equal", True)
    if rule is not None and not rule.refused and all(part.isfinite().all() for part in ours):
        return CaseResult(str(case), value, gradient, rule.name, True)
    return CaseResult(
        str(case), value, gradient, f"DIFFERS: by {value:.2g} in value, {gradient:.2g} in gradient", False
    )


def _refused(case: Case, rule: CaseRule | None, error: Exception) -> CaseResult:
    if rule is not None and rule.refused:
        return CaseResult(str(case), torch.inf, torch.inf, rule.name, True)
    return CaseResult(str(case), torch.inf, torch.inf, f"refused by ours: {_line(error)}", False)


def _input(contract: Contract, case: Case, module: Loss) -> Pair:
    """Prediction and target; probabilities where a parameter says that the prediction holds them."""
    pred, target = made(case.inputs)
    if contract.single:
        pred, target = pred.float(), cast(target, torch.float32)
    activated = module.parameters_given.get("activation") == "none" or bool(module.parameters_given.get("activated"))
    outside = bool(((pred < 0) | (pred > 1)).any())
    return (pred.sigmoid() if activated and outside else pred), target


def _said(case: Case, pred: Tensor, module: Loss, reduction: str | None) -> dict[str, Any]:
    """What is said at the call beside prediction and target; of a weight, a third is 0."""
    said: dict[str, Any] = {} if reduction is None else {"reduction_override": reduction}
    if case.weight:
        of_labels = module.entry.kind == "classification" and "class_map" in module.entry.targets
        elements = without_class_axis(pred) if of_labels else tuple(pred.shape)
        shape = tuple(pred.shape[:1]) if case.weight == ROWS else elements
        count = torch.arange(math.prod(shape)).view(shape)
        said["weight"] = (0.5 + count % 5).to(pred.dtype) * (count % 3 != 1)
    if case.avg_factor is not None:  # heads hand over numbers and tensors
        said["avg_factor"] = pred.new_tensor(case.avg_factor) if case.weight else case.avg_factor
    return said


def _evaluated(
    loss: Call,
    pred: Tensor,
    target: Target,
    said: dict[str, Any],
    like: Tensor | None = None,
    shape: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Value, and the gradient of a weighted sum of it."""
    leaf = pred.detach().clone().requires_grad_()
    value = loss(leaf, target, **said)
    if like is not None and shape is not None and value.shape != like.shape:
        value = shape(value)
    weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).view(value.shape)
    (gradient,) = torch.autograd.grad((value * weights).sum(), leaf, allow_unused=True)
    return value.detach(), torch.zeros_like(leaf) if gradient is None else gradient


def _apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative above 1; equal where both are not finite in the same way."""
    if not ours.numel():
        return 0.0
    difference = (ours.double() - theirs.double()).abs() / theirs.double().abs().clamp(min=1)
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())
    return float(torch.where(same, 0.0, difference.nan_to_num(torch.inf, torch.inf, torch.inf)).max())


def _line(error: Exception) -> str:
    return f"{type(error).__name__} {str(error).strip().partition(chr(10))[0][:120]}"


def rules_met(results: Iterable[ContractResult]) -> list[CaseRule]:
    """The rules that some call has met."""
    names = {case.verdict for result in results for case in result.cases}
    return [rule for rule in CASE_RULES if rule.name in names]
