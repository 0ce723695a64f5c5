"""The page of the regression experiment is made of its numbers, and says what they say."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from loss_plugins.evidence import cases
from loss_plugins.evidence import simulate as command
from loss_plugins.evidence.published import FOLLOWED
from tools import simulation_page
from tools.pages import DOCS
from tools.simulation_page import DRAWN, PICTURES, RUNS, page

NUMBERS = json.loads((DOCS / "simulation.json").read_text(encoding="utf-8"))


def changed(run: str, loss: str, error: float) -> dict[str, Any]:
    """The numbers with another final error."""
    found = copy.deepcopy(NUMBERS)
    (each,) = (each for each in found[run] if each["loss"] == loss)
    each["error"][-1] = error
    return found


def test_the_page_in_docs_is_made_of_the_numbers_in_docs() -> None:
    assert (DOCS / "simulation.md").read_text(encoding="utf-8") == page(NUMBERS)


def test_the_numbers_are_those_of_all_cases() -> None:
    for run in DRAWN:
        assert all(each["full"] and each["cases"] == each["of"] == 1_715_000 for each in NUMBERS[run])
        assert all(len(each["error"]) == 200 for each in NUMBERS[run])
    assert {*FOLLOWED} <= {each["loss"] for each in NUMBERS["exact"]}
    assert [each["loss"] for each in NUMBERS["published"]] == list(FOLLOWED)
    assert set(NUMBERS) == {*RUNS, "far"}


def test_the_command_beside_a_number_is_the_one_that_made_it() -> None:
    for name, arguments in RUNS.items():
        for each in NUMBERS[name]:
            words = each["command"].split()
            assert ("--full" in words) is arguments.get("full", False) is each["full"]
            assert ("published" in words) is (each["gradients"] == "published")
            assert [word for word in words if word in arguments.get("names", ())] == arguments.get("names", [])
    for loss, names in FOLLOWED.items():
        for name in names:
            assert NUMBERS[f"{loss}-{name}"][0]["conventions"] == [name]
            assert f"simulate {loss} --gradients published --convention {name}`" in page(NUMBERS)


def test_every_picture_lies_beside_its_numbers() -> None:
    text = (DOCS / "simulation.md").read_text(encoding="utf-8")
    for run in DRAWN:
        for name in PICTURES:
            for kind in ("png", "csv"):
                assert f"(simulation-{run}-{name}.{kind})" in text
            made = NUMBERS[run][0]["command"]
            assert made.encode() in (DOCS / f"simulation-{run}-{name}.png").read_bytes()
            assert f"# {made}\n" in (DOCS / f"simulation-{run}-{name}.csv").read_text()


def test_what_it_says_of_the_ranking_follows_the_numbers() -> None:
    exact = {each["loss"]: each["error"][-1] for each in NUMBERS["exact"] if each["loss"] in FOLLOWED}
    same = copy.deepcopy(NUMBERS)
    for each in same["published"]:
        each["error"][-1] = 2 * exact[each["loss"]]
    assert "ranking survives exact gradients" in page(same)
    best = min(exact, key=lambda loss: exact[loss])
    last = copy.deepcopy(same)
    (each,) = (each for each in last["published"] if each["loss"] == best)
    each["error"][-1] = 1e9
    assert "does not survive exact gradients" in page(last)


def test_what_it_says_of_a_convention_follows_the_numbers() -> None:
    for factor, said in ((2, "raised by"), (0.5, "lowered by"), (1.01, "within five per cent with")):
        exact = next(each["error"][-1] for each in NUMBERS["sample"] if each["loss"] == "giou")
        text = page(changed("giou-signed_union", "giou", factor * exact))
        (line,) = (line for line in text.splitlines() if line.startswith("- `giou`:"))
        (part,) = (part for part in line.split(";") if "signed_union" in part)
        assert said in part


def test_far_starts_are_told_apart_by_axis_and_diagonal(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(
        "# made\ndx,dy,cases,iou\n2.5,0,1,1\n0.5,-2.5,3,2\n2,2,1,8\n-2,1.9,1,4\n0.1,0.1,9,100\n"
    )
    assert simulation_page.far_starts(tmp_path / "map.csv") == {"iou": [1.75, 6]}


def test_runs_and_page_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four losses, a handful of cases and no conventions: what is there is not run again."""
    monkeypatch.setattr(cases, "SHARE", 0.0002)
    monkeypatch.setattr(command, "can_draw", lambda: False)
    ran: list[dict[str, Any]] = []
    monkeypatch.setattr(simulation_page, "simulate", lambda **named: (ran.append(named), command.simulate(**named)))
    monkeypatch.setattr(simulation_page, "RUNS", {"giou-ties": RUNS["giou-ties"], "published": {**RUNS["giou-ties"]}})
    for _ in range(2):
        simulation_page.run_missing(tmp_path)
    assert len(ran) == 2
    assert json.loads((tmp_path / "giou-ties" / "simulate.json").read_text())[0]["conventions"] == ["ties"]
    assert simulation_page.main(["one", "two"]) == 2
