"""The statistics of paired trainings: numbers worked out by hand, those of tables, and scipy's own test beside."""

from __future__ import annotations

import math
import random
import sys
from typing import Any

import pytest
from scipy import stats

from loss_plugins.evidence.paired import BETTER, CANNOT_TELL, WORSE, distributions, holm, paired, power_of, seeds_needed


def test_three_seeds_by_hand() -> None:
    """Of 1, 2, 3: t = 2 / (1 / sqrt(3)) with 2 degrees of freedom, where p = 1 - t / sqrt(2 + t^2) and, of 5 %,
    t = 0.95 sqrt(2 / (1 - 0.95^2)) = 4.302653."""
    found = paired([3.0, 1.0, 2.0])
    limit = 0.95 * math.sqrt(2 / (1 - 0.95**2))
    assert (found.mean, found.sd) == (2.0, 1.0)
    assert found.low == pytest.approx(2 - limit / math.sqrt(3), rel=1e-12)
    assert found.high == pytest.approx(2 + limit / math.sqrt(3), rel=1e-12)
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14), rel=1e-12)
    assert found.verdict(found.p) == CANNOT_TELL


def test_two_seeds_by_hand() -> None:
    """Of 1 and 3: with one degree of freedom t is Cauchy's, p = 1 - 2 atan(2) / pi, and of 5 % t = tan(0.475 pi)."""
    found = paired([1.0, 3.0])
    assert found.p == pytest.approx(1 - 2 * math.atan(2) / math.pi, rel=1e-12)
    assert found.high - found.mean == pytest.approx(math.tan(0.475 * math.pi), rel=1e-9)


@pytest.mark.parametrize("seeds", [2, 5, 12])
def test_scipys_paired_test_says_the_same(seeds: int) -> None:
    drawn = random.Random(seeds)
    ours, stock = ([drawn.gauss(mean, 0.4) for _ in range(seeds)] for mean in (40.3, 40))
    found = paired([a - b for a, b in zip(ours, stock, strict=True)])
    theirs: Any = stats.ttest_rel(ours, stock)
    interval = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_stock_against_stock_is_exactly_0() -> None:
    stock = [41.23456789, 39.87654321, 40.5]
    found = paired([a - b for a, b in zip(stock, stock, strict=True)])
    assert (found.mean, found.sd, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 0.0, 1.0)
    assert found.verdict(found.p) == CANNOT_TELL
    assert found.seeds is None


def test_one_seed_and_none_cannot_tell() -> None:
    for differences in ([5.0], []):
        found = paired(differences)
        assert (found.p, found.verdict(found.p), found.seeds) == (1.0, CANNOT_TELL, None)
        assert math.isnan(found.low)
        assert math.isnan(found.sd)
    assert paired([5.0]).mean == 5.0


@pytest.mark.parametrize("differences", [[2.0, 2.0, 2.0], [40.1 - 40.0, 70.1 - 70.0]])
def test_seeds_that_change_nothing_count_as_one(differences: list[float]) -> None:
    """Also where they differ by what subtraction has rounded."""
    found = paired(differences)
    assert (found.p, found.verdict(found.p), found.seeds) == (1.0, CANNOT_TELL, None)


def test_the_verdict_has_the_sign_of_the_mean_and_heeds_the_corrected_p() -> None:
    better, worse = paired([1.0, 1.1, 0.9]), paired([-1.0, -1.1, -0.9])
    assert (better.verdict(0.049), worse.verdict(0.049)) == (BETTER, WORSE)
    assert (better.verdict(0.05), worse.verdict(0.05)) == (CANNOT_TELL, CANNOT_TELL)
    assert better.p == pytest.approx(worse.p)
    assert better.verdict(better.p) == BETTER


def test_holms_correction_by_hand() -> None:
    """The smallest of three times 3, the next times 2, the largest times 1; none is smaller than one before it."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.02, 0.03, 0.9]) == pytest.approx([0.06, 0.06, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_seeds_at_80_percent_power_are_those_of_cohens_tables(effect: float, seeds: int) -> None:
    """Of the paired t test, 5 %, two-sided, as G*Power has them."""
    assert seeds_needed(0.3 / effect) == seeds
    assert power_of(seeds, effect) >= 0.8 > power_of(seeds - 1, effect)


def test_the_power_is_how_often_the_test_finds_it() -> None:
    """In 4,000 drawn experiments of 6 seeds; their share is within 3 standard errors."""
    drawn = random.Random(0)
    effect, seeds, tries = 1.2, 6, 4_000
    found = sum(paired([drawn.gauss(effect, 1) for _ in range(seeds)]).p < 0.05 for _ in range(tries))
    expected = power_of(seeds, effect)
    assert found / tries == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / tries))


def test_no_number_of_seeds_where_it_is_not_known() -> None:
    assert seeds_needed(0.0) is None
    assert seeds_needed(math.nan) is None
    assert seeds_needed(1e6) is None
    assert seeds_needed(1e-4) == 2


def test_without_scipy_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match=r'pip install "loss-plugins\[compare\]"'):
        distributions()
