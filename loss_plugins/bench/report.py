"""What a run of the benchmark has found, as one value: table, JSON and Markdown are made of it; and the goals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..reports import Environment
from .cases import COMPILED, OURS
from .measure import Result

#: what compiled losses of boxes should gain on the fastest peer, by number of boxes
COMPILED_GOALS = {512: 3.5, 8_192: 4.0, 200_000: 6.0}
IOU_FAMILY = ("iou", "giou", "diou", "ciou", "siou", "extended_iou")
BCE_GOAL, SAVED_GOAL, FOCAL_GOAL = 1.2, 2.0, 1.3
#: the peer of FOCAL_GOAL
FOCAL_PEER = "mmdet"


@dataclass(frozen=True)
class Report:
    """One run of `loss-plugins bench`.

    Attributes:
        environment: when, where, and with which versions.
        results: one for each loss and size.
        costs: what was measured beside the losses, by name.
        left_out: peers that could not be timed, with the reason.
    """

    environment: Environment
    results: list[Result]
    costs: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def goals_missed(self) -> list[str]:
        """One line per goal that a result does not meet."""
        return [line for result in self.results for line in goals_missed(result)]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {
            "environment": asdict(self.environment),
            "left_out": self.left_out,
            "results": [vars(result) for result in self.results],
            **self.costs,
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Report:
        """The report that `to_dict` has told."""
        costs = {name: value for name, value in told.items() if name not in ("environment", "left_out", "results")}
        results = [Result(**result) for result in told["results"]]
        return cls(Environment(**told["environment"]), results, costs, dict(told["left_out"]))


def goals_missed(result: Result) -> list[str]:
    """The goals that one result does not meet. A goal that speaks of a peer needs that peer."""
    found = []
    where = f"{result.loss}, {result.size:,}"
    eager, compiled, over = result.ratio(OURS), result.ratio(COMPILED), result.over_bce(COMPILED)
    if eager is not None and eager < 1:
        found.append(f"{where}, eager: {eager:.2f}x of the fastest peer, goal 1")
    if result.saved[OURS] > SAVED_GOAL:
        found.append(f"{where}, eager: {result.saved[OURS]:.1f}x saved, goal {SAVED_GOAL:g}")
    if result.loss == "focal" and FOCAL_PEER in result.median:
        gain = result.median[FOCAL_PEER] / result.median[OURS]
        if gain < FOCAL_GOAL:
            found.append(f"{where}, eager: {gain:.2f}x of {FOCAL_PEER}, goal {FOCAL_GOAL}")
    goal = COMPILED_GOALS.get(result.size, 0.0)
    if result.loss in IOU_FAMILY and compiled is not None and compiled < goal:
        found.append(f"{where}, compiled: {compiled:.2f}x of the fastest peer, goal {goal:g}")
    if over is not None and over > BCE_GOAL:
        found.append(f"{where}, compiled: {over:.2f} times BCE, goal {BCE_GOAL}")
    return found
