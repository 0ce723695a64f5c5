"""The command `loss-plugins simulate`: what it prints and writes, how it goes on, and what it refuses."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import loss_plugins as lp
from loss_plugins.evidence import cases, stored
from loss_plugins.evidence import simulate as command
from loss_plugins.evidence.simulate import simulate
from loss_plugins.plots.made import versions
from loss_plugins.plots.style import can_draw

FEW = 0.001  # of all cases: 1,715


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few cases that a loss takes a fraction of a second, and no pictures, which take longer."""
    monkeypatch.setattr(cases, "SHARE", FEW)
    monkeypatch.setattr(command, "can_draw", lambda: False)


@pytest.fixture
def drawing(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "can_draw", can_draw)


def told(*arguments: str) -> Any:
    """What the command prints: standard output alone."""
    app = typer.Typer()
    app.command()(simulate)
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.usefixtures("few")
def test_json_is_all_that_is_printed(tmp_path: Path) -> None:
    """A list of losses with 200 errors each, the command, the seed and the versions."""
    done = told("L1", "nwd(constant=1)", "--seed", "3", "--json", "--out", str(tmp_path))
    found = json.loads(done.stdout)
    assert [each["loss"] for each in found] == ["l1", "nwd(constant=1)"]
    assert (tmp_path / "simulate.json").read_text().strip() == done.stdout.strip()
    for each in found:
        assert len(each["error"]) == 200
        assert all(isinstance(error, float) and error > 0 for error in each["error"])
        assert each["error"][-1] == pytest.approx(1_715_000 * each["mean_final_error"])
        assert (each["cases"], each["of"], each["full"], each["seed"]) == (1_715, 1_715_000, False, 3)
        assert each["command"] == "loss-plugins simulate L1 'nwd(constant=1)' --seed 3"
        assert each["versions"] == versions()
        assert (each["setting"], each["gradients"]) == ("diou", "exact")


@pytest.mark.usefixtures("few")
def test_the_seven_losses_and_the_four_published(tmp_path: Path) -> None:
    seven = [each.label for each in command.chosen((), "exact")]
    assert seven == ["iou", "giou", "diou", "ciou", "eiou", "siou", "wiou"]
    done = told("--gradients", "published", "--json", "--out", str(tmp_path))
    published = {each["loss"]: each for each in json.loads(done.stdout)}
    assert list(published) == ["iou", "giou", "diou", "ciou"]
    assert published["giou"]["conventions"] == ["ties", "doubled_sides", "signed_union"]
    alone = told("giou", "--gradients", "published", "--convention", "signed-union", "--json", "--out", str(tmp_path))
    (found,) = json.loads(alone.stdout)
    assert found["conventions"] == ["signed_union"]
    assert found["command"].endswith("giou --gradients published --convention signed_union")
    assert found["error"] != published["giou"]["error"]


@pytest.mark.usefixtures("drawing")
def test_table_pictures_and_their_numbers(tmp_path: Path) -> None:
    shown = told("giou", "l1", "--out", str(tmp_path)).stdout
    results = {each["loss"]: each for each in json.loads((tmp_path / "simulate.json").read_text())}
    for each in results.values():
        assert f"{each['error'][-1]:,.0f}" in shown
    for name in ("curves", "map"):
        picture = (tmp_path / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 5_000
        assert b"loss-plugins simulate giou l1\nseed 0" in picture, "what made it"
        made, seeded, *lines = (tmp_path / f"{name}.csv").read_text().splitlines()
        assert made == "# loss-plugins simulate giou l1"
        assert seeded.startswith("# seed 0, loss_plugins ")
        rows = list(csv.DictReader(lines))
        if name == "curves":
            assert [float(row["giou"]) for row in rows] == pytest.approx(results["giou"]["error"])
        else:
            assert sum(int(row["cases"]) for row in rows) == 1_715
            mean = sum(int(row["cases"]) * float(row["l1"]) for row in rows) / 1_715
            assert mean == pytest.approx(results["l1"]["mean_final_error"])


@pytest.mark.usefixtures("few")
def test_a_stopped_run_goes_on_with_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = json.loads(told("giou", "wiou", "l1", "--json", "--out", str(tmp_path / "whole")).stdout)
    run, ran = command.outcome_of, []

    def stopping(drawn: Any, slopes: Any, *others: Any) -> Any:
        if slopes.named.label == "l1" and "l1" not in ran:
            ran.append("l1")
            raise KeyboardInterrupt
        ran.append(slopes.named.label)
        return run(drawn, slopes, *others)

    monkeypatch.setattr(command, "outcome_of", stopping)
    arguments = ("giou", "wiou", "l1", "--json", "--out", str(tmp_path / "stopped"))
    with pytest.raises(KeyboardInterrupt):
        simulate(names=["giou", "wiou", "l1"], as_json=True, out=tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "simulate.json").exists()
    again = json.loads(told(*arguments).stdout)
    assert ran == ["giou", "wiou", "l1", "l1"], "what was done is not done again"
    for one, other in zip(whole, again, strict=True):
        assert one["error"] == other["error"]
        assert one["mean_final_error"] == other["mean_final_error"]
    told("giou", "--seed", "1", "--json", "--out", str(tmp_path / "stopped"))
    assert ran[4:] == ["giou"]


def test_the_key_covers_what_changes_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(**changes: Any) -> stored.Asked:
        return stored.Asked(
            **{"setting": "diou", "gradients": "exact", "conventions": (), "full": False, "seed": 0, **changes}
        )  # type: ignore[arg-type]

    named = [command.named_losses([text], "simulate")[0] for text in ("ciou", "ciou(eps=1e-6)", "inner_ciou", "diou")]
    keys = [stored.key_of(each, asked()) for each in named]
    for changes in (
        {"setting": "wiou"}, {"gradients": "published"}, {"conventions": ("ties",)}, {"full": True}, {"seed": 1},
    ):  # fmt: skip
        keys.append(stored.key_of(named[0], asked(**changes)))
    assert stored.key_of(named[0], asked()) == keys[0]
    for changed in ("versions", "code_of_numbers"):
        with monkeypatch.context() as patch:
            patch.setattr(stored, changed, lambda: {"torch": "0"})
            keys.append(stored.key_of(named[0], asked()))
    assert len(set(keys)) == len(keys)


@pytest.mark.usefixtures("few")
def test_a_broken_result_is_computed_again(tmp_path: Path) -> None:
    first = told("iou", "--json", "--out", str(tmp_path)).stdout
    (file,) = (tmp_path / "done").iterdir()
    file.write_text(file.read_text()[:100])
    assert json.loads(told("iou", "--json", "--out", str(tmp_path)).stdout)[0]["error"] == json.loads(first)[0]["error"]


@pytest.mark.usefixtures("few")
def test_the_setting_of_wiou(tmp_path: Path) -> None:
    done = told("wiou", "--setting", "wiou", "--json", "--out", str(tmp_path))
    (found,) = json.loads(done.stdout)
    best = found["best_step"]
    assert found["mean_iou"][best - 1] == max(found["mean_iou"]) > 0.9
    assert 0 < found["minimum_over_centres"] < found["mean_over_centres"] < 1
    assert "error" not in found
    assert f"{found['minimum_over_centres']:.4f}" in told("wiou", "--setting", "wiou", "--out", str(tmp_path)).stdout


@pytest.mark.usefixtures("few")
def test_without_matplotlib_there_are_numbers(tmp_path: Path) -> None:
    assert "loss-plugins[plots]" in told("iou", "--out", str(tmp_path)).stdout
    assert (tmp_path / "simulate.json").exists()
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.usefixtures("few")
def test_what_a_loss_prints_is_no_part_of_the_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evidence_noise.py").write_text(
        "def f(pred, target):\n    print('noise')\n    return (pred - target).abs().sum(-1)\n"
    )
    monkeypatch.chdir(tmp_path)
    done = told("evidence_noise:f", "--json")
    assert [each["loss"] for each in json.loads(done.stdout)] == ["evidence_noise:f"]
    assert "noise" in done.stderr


@pytest.mark.usefixtures("drawing")
def test_a_loss_that_runs_away_is_told_and_drawn(tmp_path: Path) -> None:
    """Its numbers are null in JSON; others are drawn as they are."""

    def away(pred: Any, target: Any) -> Any:
        return -((pred - target).abs().sum(-1) ** 8)

    lp.register_loss("test_evidence_away")(away)
    try:
        for _ in range(2):  # the second time it is read
            found = json.loads(told("test_evidence_away", "l1", "--json", "--out", str(tmp_path)).stdout)
    finally:
        lp.unregister_loss("test_evidence_away")
    assert found[0]["error"][-1] is None
    assert math.isfinite(found[1]["error"][-1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"names": ["focal"]}, "simulate: focal is of kind classification"),
        ({"names": ["kld"]}, "simulate: kld is of kind rotated_box"),
        ({"names": ["nwd"]}, r"nwd measures by its constant.*nwd\(constant=1\)"),
        ({"names": ["mpdiou"]}, "mpdiou: parameter 'image_size' is required"),
        ({"names": ["eiou"], "gradients": "published"}, "none was published for eiou; allowed: iou, giou, diou, ciou"),
        ({"names": ["ciou(eps=1e-6)"], "gradients": "published"}, r"none was published for ciou\(eps=1e-06\)"),
        ({"gradients": "true"}, "--gradients='true'"), ({"setting": "giou"}, "--setting='giou'"),
        ({"seed": -1}, "--seed=-1"),
        ({"convention": ["ties"]}, "--convention=ties beside --gradients exact"),
        ({"gradients": "published", "setting": "wiou"}, "beside --setting wiou"),
        ({"gradients": "published", "names": ["iou"], "convention": ["tie"]}, "did you mean 'ties'"),
        ({"names": ["coiu"]}, "unknown loss"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_refused(
    arguments: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_simulated", None)  # nothing is computed
    with pytest.raises((ValueError, TypeError), match=said):
        simulate(out=tmp_path, **arguments)
