"""What a parity run has found, as one value: table, JSON and Markdown are made of it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import closest, refusal
from ..peers import FRAMEWORKS, installed
from ..reports import Environment, environment
from ..samples import SAMPLES
from .case_rules import CASE_RULES, CaseRule
from .compare import Comparison, absent, parity_of
from .contract import ContractResult, contracts_of, rules_met
from .deviations import Deviation
from .reasons import measure_all
from .rules import RULES, Rule
from .training import GROUP, TrainingResult, compare_training, training_cases

Progress = Callable[[str], None]


def no_progress(step: str) -> None:
    """The progress of a run that shows none."""


@dataclass(frozen=True)
class Report:
    """What one run of `loss-plugins parity` has found.

    Attributes:
        rows: sampled for each comparison.
        seed: of the sampler.
        environment: when, where, and with which versions.
        comparisons: our dialects beside the installed built-ins, on many rows.
        contracts: the same in every way of calling them, on few rows.
        absent: built-ins that the installed versions do not have, with the reason.
        trained: models trained with the stock losses and with ours.
        deviations: our defaults beside the built-ins' defaults.
    """

    rows: int
    seed: int
    environment: Environment
    comparisons: tuple[Comparison, ...] = ()
    contracts: tuple[ContractResult, ...] = ()
    absent: tuple[str, ...] = ()
    trained: tuple[TrainingResult, ...] = ()
    deviations: tuple[Deviation, ...] = ()

    @property
    def ok(self) -> bool:
        """Something was compared, and all of it is equal."""
        found: tuple[Comparison | ContractResult | TrainingResult, ...]
        found = (*self.comparisons, *self.contracts, *self.trained)
        return bool(found) and all(row.ok for row in found)

    @property
    def samples(self) -> dict[str, str]:
        """The samples that were used, with their texts."""
        return {name: SAMPLES[name].text for name in dict.fromkeys(row.sample for row in self.comparisons)}

    @property
    def rules_used(self) -> list[Rule]:
        """The rules by which rows were left out."""
        names = {name for row in self.comparisons for name, count in row.excluded.items() if count}
        return [rule for rule in RULES if rule.name in names]

    @property
    def summary(self) -> str:
        """How many pairs of functions are equal, in one line."""
        functions = dict.fromkeys((row.framework, row.loss) for row in self.comparisons)
        broken = {(row.framework, row.loss) for row in self.comparisons if not row.ok}
        count = Counter(framework for framework, _ in functions)
        each = ", ".join(f"{name} {number}" for name, number in count.items())
        return f"{len(functions) - len(broken)} of {len(functions)} pairs of functions are equal ({each})"

    @property
    def case_rules_used(self) -> list[CaseRule]:
        """The rules by which calls are known to differ."""
        return rules_met(self.contracts)

    @property
    def contract_summary(self) -> str:
        """How many calls are equal, in one line."""
        count: Counter[str] = Counter()
        for contract in self.contracts:
            count.update(contract.counts)
        met = self.case_rules_used
        known = sum(count[rule.name] for rule in met)
        refused = sum(count[rule.name] for rule in met if rule.theirs_raises)
        wrong = sum(len(contract.wrong) for contract in self.contracts)
        return (
            f"{count['equal']} of {count.total()} calls are equal, {known} differ on purpose ({refused} of these are "
            "refused by the built-in)" + (f", {wrong} are BROKEN" if wrong else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain types, for JSON."""
        return {
            "ok": self.ok,
            "loss_plugins": self.environment.versions["loss_plugins"],
            "versions": {name: text for name, text in self.environment.versions.items() if name in FRAMEWORKS},
            "environment": asdict(self.environment),
            "rows": self.rows,
            "seed": self.seed,
            "samples": self.samples,
            "rules": {rule.name: rule.why for rule in RULES},
            "not_compared": list(self.absent),
            "call_rules": {rule.name: rule.why for rule in CASE_RULES},
            "comparisons": [row.to_dict() for row in self.comparisons],
            "contracts": [row.to_dict() for row in self.contracts],
            "training": [row.to_dict() for row in self.trained],
            "deviations": [vars(row) for row in self.deviations],
        }


def check_framework(against: str) -> None:
    """Raise for a name that is none, or a framework that is not installed."""
    if against == "all":
        return
    if against not in FRAMEWORKS:
        came, allowed = f"--against={against!r} is no framework", f"{', '.join(FRAMEWORKS)}, all"
        raise refusal("parity", came, allowed, closest(against, [*FRAMEWORKS, "all"]))
    if installed(against) is None:
        raise ImportError(f"{against} is not installed: pip install {FRAMEWORKS[against]}")


def make_report(
    against: str,
    pairs: int = 20_000,
    seed: int = 0,
    *,
    train_steps: int = 0,
    deviations: bool = False,
    progress: Progress = no_progress,
) -> Report:
    """Compare with every installed built-in, or train so many steps; with `deviations`, measure our defaults too."""
    return Report(
        rows=pairs,
        seed=seed,
        environment=environment(),
        comparisons=() if train_steps else tuple(parity_of(against, pairs, seed, progress)),
        contracts=() if train_steps else tuple(contracts_of(against, progress)),
        absent=() if train_steps else tuple(sorted(absent(against))),
        trained=_trained(against, train_steps, progress) if train_steps else (),
        deviations=tuple(measure_all(against, pairs, seed, progress)) if deviations else (),
    )


def _trained(against: str, steps: int, progress: Progress) -> tuple[TrainingResult, ...]:
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in training_cases(against):
            progress(f"training {case.framework} {case.name}: {case.losses}")
            results.append(compare_training(case, Path(folder), steps))
    if not results:
        raise ImportError(f"--train: no adapter brings cases for {against} (entry points {GROUP}); install one of them")
    return tuple(results)
