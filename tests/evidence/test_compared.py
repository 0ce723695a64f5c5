"""What cells show together, and cells that must not be joined."""

from __future__ import annotations

from typing import Any

import pytest

from loss_plugins.evidence.compared import Failed, compare_results, rules
from loss_plugins.evidence.comparison_page import lines, page
from loss_plugins.plots.made import Made

from .trainings import result

STOCK = [result("stock", seed, 40.0 + seed) for seed in range(3)]
CIOU = [result("ciou", seed, 41.0 + 2 * seed) for seed in range(3)]


def test_the_differences_are_those_of_equal_seeds() -> None:
    """40, 41, 42 and 41, 43, 45: differences 1, 2, 3, whatever the order of the cells."""
    found = compare_results([*reversed(CIOU), *STOCK])
    ours = found.losses["ciou"]["mAP50-95"]
    assert list(found.losses) == ["stock", "ciou"]
    assert ours.paired.differences == (1.0, 2.0, 3.0)
    assert (ours.mean, ours.sd) == (43.0, 2.0)
    assert ours.p == pytest.approx(0.0741799)
    assert found.losses["ciou"]["mAP50"].mean == 53.0
    told = found.to_dict()["losses"][1]["mAP50-95"]
    assert told["difference_to_stock"]["interval"] == pytest.approx([-0.484138, 4.484138], abs=1e-6)
    assert (told["difference_to_stock"]["seeds"], told["verdict"]) == ([0, 1, 2], "cannot tell")


def test_stock_differs_from_itself_by_exactly_0() -> None:
    stock = compare_results([*STOCK, *CIOU]).losses["stock"]["mAP50-95"]
    assert stock.paired.differences == (0.0, 0.0, 0.0)
    assert (stock.paired.mean, stock.paired.low, stock.paired.high, stock.p) == (0.0, 0.0, 0.0, 1.0)
    assert stock.verdict == "cannot tell"


def test_holms_correction_is_over_the_losses_but_stock() -> None:
    giou = [result("giou", seed, 40.0 + seed + (-1) ** seed) for seed in range(3)]
    alone, both = compare_results([*STOCK, *CIOU]), compare_results([*STOCK, *CIOU, *giou])
    assert both.losses["ciou"]["mAP50-95"].p == pytest.approx(2 * alone.losses["ciou"]["mAP50-95"].p)


def test_the_pair_of_a_failed_cell_is_left_out_on_either_side() -> None:
    found = compare_results([*STOCK[1:], *CIOU[:2]], [Failed("stock", 0, "memory"), Failed("ciou", 2, "memory")])
    ours = found.losses["ciou"]["mAP50-95"]
    assert (ours.pairs, ours.paired.differences) == ((1,), (2.0,))
    assert list(ours.by_seed) == [0, 1]
    said = "\n".join(lines(found)) + page(found, rules(list(found.losses), [0, 1, 2]), Made("command"), "")
    assert "cannot tell" in said
    assert "ciou, seed 2, is left out with its pair: memory" in said
    assert "nan" not in said


def test_the_page_says_rules_verdict_and_what_went_on() -> None:
    went_on = [*STOCK, result("ciou", 0, 41.0, resumed=7), *CIOU[1:]]
    found = compare_results(went_on)
    said = page(found, rules(["stock", "ciou"], [0, 1, 2]), Made("command"), "compare.png")
    assert "| ciou | 43.00 ± 2.00 (3) | +2.00 (3) | -0.48 to +4.48 | 0.074 | cannot tell | 90 |" in said
    assert "ciou, seed 0, was stopped after epoch 7 and went on" in said
    assert "by Holm's correction for 1 loss, is below 0.05" in said
    assert "(compare.png)" in said
    assert "- box: 7.5" in said


MIXED: dict[str, tuple[list[Any], str]] = {
    "versions": ([result("ciou", 0, 41.0, versions={"torch": "3"})], r"differ in versions: torch='2' and '3'"),
    "hardware": ([result("ciou", 0, 41.0, hardware={"cpu": "y"})], r"differ in hardware: cpu='x' and 'y'"),
    "settings": ([result("ciou", 0, 41.0, same={"box": 9.0})], r"differ in settings: box=7\.5 and 9\.0"),
    "weights": ([result("ciou", 0, 41.0, start="others")], r"began with other weights"),
    "words": (
        [result("ciou", 0, 41.0, asked={"words": ["mmdet"], "gain": "keep", "threads": 1})],
        r"differ in what was asked for: words",
    ),
    "gains": (
        [*CIOU, result("giou", 0, 41.0, asked={"words": ["yolo"], "gain": "match", "threads": 1})],
        r"with gain=keep and giou, seed 0, with gain=match",
    ),
    "two results": ([*CIOU, result("ciou", 0, 41.5)], r"two results of ciou, seed 0"),
    "two ways": ([*CIOU, result("ciou", 0, 41.0, key="ciou-0-b")], r"ciou, seed 0, was trained in two ways"),
}


@pytest.mark.parametrize("what", MIXED)
def test_cells_that_differ_in_more_than_the_loss_are_not_joined(what: str) -> None:
    others, said = MIXED[what]
    with pytest.raises(ValueError, match=said):
        compare_results([*STOCK, *others])


def test_a_copy_of_a_result_counts_once() -> None:
    found = compare_results([*STOCK, *CIOU, *CIOU])
    assert found.losses["ciou"]["mAP50-95"].paired.differences == (1.0, 2.0, 3.0)
    assert len(found.results) == 6


def test_without_stock_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="no training with the stock losses is there"):
        compare_results(CIOU)
