"""Whether a loss is better than another one: differences of trainings of the same seed, and what they allow to say.

Student's t over the seeds gives the interval and the p value (two-sided); Holm's correction (Holm 1979, "A Simple
Sequentially Rejective Multiple Test Procedure") takes into account how many losses were tried.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LEVEL = 0.05
POWER = 0.8
#: in points: the difference that `seeds_needed` is about
WORTH_SEEING = 0.3
BETTER, WORSE, CANNOT_TELL = "better", "worse", "cannot tell"
INSTALL = 'pip install "loss-plugins[compare]"'
#: in points: a spread below it is rounding
ROUNDING = 1e-9
#: more seeds than anybody trains: there the search ends
MOST_SEEDS = 1_000_000


@dataclass(frozen=True)
class Paired:
    """What the differences to the other loss show.

    Attributes:
        differences: one per seed, in points.
        mean: of them; NaN: there are none.
        sd: of them, with n - 1; NaN: there are fewer than two.
        low: lower end of the 95 % interval of the mean; NaN, likewise.
        high: upper end.
        p: of no difference, two-sided; 1 where nothing can be told.
        seeds: that it takes to see 0.3 points at 80 % power; None: not known.
    """

    differences: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    p: float
    seeds: int | None

    def verdict(self, p: float) -> str:
        """The word for it.

        Args:
            p: that of `p`, corrected.
        """
        if p >= LEVEL:
            return CANNOT_TELL
        return BETTER if self.mean > 0 else WORSE

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {
            "differences": list(self.differences),
            "mean": self.mean,
            "sd": self.sd,
            "interval": [self.low, self.high],
            "p": self.p,
            "seeds_for_0.3_points": self.seeds,
        }


def paired(differences: Sequence[float]) -> Paired:
    """What differences of pairs show.

    Differences that are all the same have no spread to compare their mean with: the seeds have changed nothing, and
    count as one, so that nothing can be told.

    Args:
        differences: one per seed, in points.

    >>> found = paired([1.0, 2.0, 3.0])
    >>> found.mean, found.sd, round(found.low, 3), round(found.high, 3), round(found.p, 4)
    (2.0, 1.0, -0.484, 4.484, 0.0742)
    """
    count = len(differences)
    mean = statistics.fmean(differences) if differences else math.nan
    if count < 2:
        return Paired(tuple(differences), mean, math.nan, math.nan, math.nan, 1.0, None)
    if max(differences) - min(differences) < ROUNDING:
        return Paired(tuple(differences), mean, 0.0, mean, mean, 1.0, None)
    stats = distributions()
    sd = statistics.stdev(differences)
    error = sd / math.sqrt(count)
    reach = float(stats.t.ppf(1 - LEVEL / 2, count - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, count - 1))
    return Paired(tuple(differences), mean, sd, mean - reach, mean + reach, p, seeds_needed(sd))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's corrected p values, in the same order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda k: p[k])
    corrected, reached = [1.0] * len(p), 0.0
    for place, k in enumerate(order):
        reached = max(reached, min(1.0, (len(p) - place) * p[k]))
        corrected[k] = reached
    return corrected


def seeds_needed(sd: float, difference: float = WORTH_SEEING) -> int | None:
    """The least number of seeds with which the paired test sees a difference at 80 % power.

    Args:
        sd: of the differences, in points.
        difference: the true one, in points.

    Returns:
        It, at least 2; None: the spread is 0 or unknown, or more would be needed than anybody trains.

    >>> seeds_needed(0.3), seeds_needed(0.6)
    (10, 34)
    """
    if not (math.isfinite(sd) and sd > 0):
        return None
    low, high = 1, 2  # too few, and perhaps enough
    while power_of(high, difference / sd) < POWER:
        low, high = high, 2 * high
        if high > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle, difference / sd) >= POWER else (middle, high)
    return high


def power_of(seeds: int, effect: float) -> float:
    """How likely the two-sided paired t test at 5 % finds an effect, by the noncentral t distribution.

    Args:
        seeds: at least 2.
        effect: the difference over the standard deviation of the differences.
    """
    stats = distributions()
    limit, shift = float(stats.t.ppf(1 - LEVEL / 2, seeds - 1)), effect * math.sqrt(seeds)
    if shift > 40:  # beyond, scipy's noncentral t is not reliable, and nothing is missed
        return 1.0
    return float(stats.nct.sf(limit, seeds - 1, shift) + stats.nct.cdf(-limit, seeds - 1, shift))


def distributions() -> Any:
    """`scipy.stats`.

    Raises:
        ImportError: scipy is missing.
    """
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError(f"loss-plugins compare needs scipy, which is missing ({error}): {INSTALL}") from error
    return stats
