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

from ..catalog.declare import COLUMNS
from ..labels import IGNORED
from ..module.build import build_loss
from ..module.loss import Loss
from ..peers.contract import ROWS, Contract
from ..peers.contracts import CONTRACTS
from ..tensors import Target, cast, without_class_axis
from .case_rules import CASE_RULES, CaseRule
from .cases import Case, cases_of, values_of
from .compare import evaluated
from .inputs import Pair, made
from .stated import Number, Trial

DOUBLE, SINGLE = 1e-9, 2e-6
#: how ours refuses
REFUSALS = (TypeError, ValueError, IndexError, RuntimeError)
#: value and gradient, or what was raised
Outcome = tuple[Tensor, Tensor] | Exception


@dataclass(frozen=True)
class CaseResult:
    """One case.

    Attributes:
        case: in words.
        value, gradient: largest differences from theirs, or from what the rule says, relative above 1; infinite where
            one side is not finite.
        verdict: "equal"; the name of a rule; or what is wrong.
        ok: equal, or as a rule says.
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
        """All cases are equal or known, and one at least is equal."""
        return all(case.ok for case in self.cases) and any(case.verdict == "equal" for case in self.cases)

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
        if self.ok:
            return "equal"
        return f"BROKEN in {len(self.wrong)} calls" if self.wrong else "NOT COMPARED: no call is equal"

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
    """One call of both; where they differ, or one refuses, ours must be what a rule says."""
    try:
        trial = trial_of(contract, case)
    except REFUSALS as error:
        return _wrong(case, f"refused by ours: {_line(error)}")
    theirs = _attempted(trial, Trial.theirs, Exception)  # whatever theirs raises is a refusal of theirs
    ours = _attempted(trial, Trial.ours, REFUSALS, theirs)
    if not isinstance(ours, Exception) and not isinstance(theirs, Exception):
        value, gradient = _differences(ours, theirs)
        if _close(contract, value, gradient):
            return CaseResult(str(case), value, gradient, "equal", True)
        why = f"DIFFERS: by {value:.2g} in value, {gradient:.2g} in gradient"
    else:
        refused = [(who, one) for who, one in (("theirs", theirs), ("ours", ours)) if isinstance(one, Exception)]
        why = "; ".join(f"refused by {who}: {_line(error)}" for who, error in refused)
    rule = rule_for(contract, case, isinstance(ours, Exception), isinstance(theirs, Exception))
    return _wrong(case, why) if rule is None else _by_rule(trial, rule, ours, theirs)


def rule_for(contract: Contract, case: Case, ours_raises: bool, theirs_raises: bool) -> CaseRule | None:
    """The rule that speaks of this call, if there is one."""
    for rule in CASE_RULES:
        if (rule.ours_raises, rule.theirs_raises) == (ours_raises, theirs_raises) and rule.applies(contract, case):
            return rule
    return None


def _by_rule(trial: Trial, rule: CaseRule, ours: Outcome, theirs: Outcome) -> CaseResult:
    """Ours beside the number that the rule gives for it; where ours raises, what is to be used instead beside theirs.

    Where both raise there is no number, and nothing is compared.
    """
    value = gradient = 0.0
    for number, found in ((rule.ours, ours), (rule.instead, theirs)):
        if number is not None and not isinstance(found, Exception):
            stated = _attempted(trial, number, like=found if number is rule.instead else None)
            assert not isinstance(stated, Exception)
            value, gradient = _differences(found, stated)
    if _close(trial.contract, value, gradient):
        return CaseResult(str(trial.case), value, gradient, rule.name, True)
    why = f"DIFFERS: by {value:.2g} in value, {gradient:.2g} in gradient from what the rule {rule.name} says"
    return CaseResult(str(trial.case), value, gradient, why, False)


def _wrong(case: Case, why: str) -> CaseResult:
    return CaseResult(str(case), torch.inf, torch.inf, why, False)


def trial_of(contract: Contract, case: Case) -> Trial:
    """The call with its tensors."""
    parameters = {**contract.given, **case.parameters}
    module = build_loss(contract.loss, dialect=contract.framework, **parameters)
    pred, target = _input(contract, case, module)
    at_the_call = bool(case.weight) and contract.reduction_at_call
    said = _said(case, pred, module, case.reduction if at_the_call else None)
    return Trial(contract, case, parameters, "mean" if at_the_call else case.reduction, pred, target, said)


def _input(contract: Contract, case: Case, module: Loss) -> Pair:
    """Prediction and target, as the parameters say: probabilities, another label that is ignored."""
    pred, target = made(case.inputs)
    if contract.single:
        pred, target = pred.float(), cast(target, torch.float32)
    activated = module.parameters_given.get("activation") == "none" or bool(module.parameters_given.get("activated"))
    outside = bool(((pred < 0) | (pred > 1)).any())
    ignored = case.parameters.get("ignore_index")
    if ignored is not None and isinstance(target, Tensor):
        target = target.masked_fill(target == IGNORED, ignored)
    return (pred.sigmoid() if activated and outside else pred), target


def _said(case: Case, pred: Tensor, module: Loss, reduction: str | None) -> dict[str, Any]:
    """What is said at the call beside prediction and target; of a weight, a third is 0."""
    said: dict[str, Any] = {} if reduction is None else {"reduction_override": reduction}
    if case.weight:
        of_labels = module.entry.kind == "classification" and "class_map" in module.entry.targets
        elements = without_class_axis(pred) if of_labels else tuple(pred.shape)
        rows = tuple(pred.shape[:-1]) if module.entry.kind in COLUMNS else tuple(pred.shape[:1])
        shape = rows if case.weight == ROWS else elements
        count = torch.arange(math.prod(shape)).view(shape)
        said["weight"] = (0.5 + count % 5).to(pred.dtype) * (count % 3 != 1)
    if case.avg_factor is not None:  # heads hand over numbers and tensors
        said["avg_factor"] = pred.new_tensor(case.avg_factor) if case.weight else case.avg_factor
    return said


def _attempted(
    trial: Trial,
    loss: Number,
    refusals: tuple[type[Exception], ...] | type[Exception] = (),
    like: Outcome | None = None,
) -> Outcome:
    """Value, and the gradient of a weighted sum of it, in the shape of another; or what it raised."""

    def shaped(pred: Tensor, _: Target) -> Tensor:
        value = loss(trial, pred)
        other = isinstance(like, tuple) and value.shape != like[0].shape
        return trial.contract.shape(value) if other else value

    try:
        return evaluated(shaped, trial.pred, trial.target, _weighted_sum)
    except refusals as error:
        return error


def _weighted_sum(value: Tensor) -> Tensor:
    return (value * torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).view(value.shape)).sum()


def _differences(ours: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """In value and in gradient; infinite where shapes or precisions of the values differ."""
    alike = (ours[0].shape, ours[0].dtype) == (other[0].shape, other[0].dtype)
    return _apart(ours[0], other[0]) if alike else torch.inf, _apart(ours[1], other[1])


def _close(contract: Contract, value: float, gradient: float) -> bool:
    return max(value, gradient) <= (SINGLE if contract.single else DOUBLE)


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
