"""The command `loss-plugins compare` with trainings that take no time."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from loss_plugins.evidence import cells
from loss_plugins.evidence import compare as command
from loss_plugins.evidence.cells import time_left
from loss_plugins.evidence.compare import line_of, planned
from loss_plugins.evidence.compared import Failed
from loss_plugins.evidence.grid import stored
from loss_plugins.plots.style import can_draw

from .trainings import WORDS, Quick, quick, told

__all__ = ["quick"]


def files(out: Path) -> list[Path]:
    return sorted(out.glob("cells/*.json"))


def test_rules_cells_verdict_picture_and_report(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "can_draw", can_draw)
    done = told("--losses", "CIoU", "--seeds", "3", "--out", str(tmp_path), *WORDS)
    assert quick.trained == [(loss, seed) for seed in range(3) for loss in ("stock", "ciou")]
    before, after = done.stdout.split("training 1 of 6: stock, seed 0\n")
    assert "verdict: better or worse where p of the paired t test, by Holm's correction for 1 loss" in before
    assert "each trained with the seeds 0, 1, 2" in before
    assert "ciou, seed 2: mAP50-95 45.00, mAP50 55.00" in after
    assert "minutes left" in after
    assert "- ciou: cannot tell; 43.00 ± 2.00 (3), +2.00 (3) to stock, 95 % interval -0.48 to +4.48, p 0.074" in after
    found = json.loads((tmp_path / "compare.json").read_text())
    assert found["command"] == f"loss-plugins compare --losses stock,CIoU --seeds 3 {shlex.join(WORDS)}"
    assert (found["seeds"], found["versions"]["quick"]) == ([0, 1, 2], "1.0")
    assert found["losses"][1]["mAP50-95"]["difference_to_stock"]["differences"] == [1.0, 2.0, 3.0]
    assert found["losses"][0]["mAP50-95"]["difference_to_stock"]["mean"] == 0.0
    assert found["same"]["box"] == 7.5
    assert found["command"] in (tmp_path / "compare.md").read_text()
    assert can_draw()
    assert (tmp_path / "compare.png").stat().st_size > 10_000
    rows = [*csv.reader(line for line in (tmp_path / "compare.csv").open() if line[0] != "#")]
    assert rows[0][:4] == ["loss", "seed", "mAP50-95 (points)", "mAP50-95 - stock (points)"]
    assert rows[4][:4] == ["ciou", "0", "41", "1"]


def test_json_alone_is_on_stdout(quick: Quick, tmp_path: Path) -> None:
    done = told("--losses", "stock,ciou,giou", "--seeds", "2", "--json", "--out", str(tmp_path), *WORDS)
    assert json.loads(done.stdout) == json.loads((tmp_path / "compare.json").read_text())
    assert "training 1 of 6" in done.stderr


def test_the_command_goes_on_where_it_stopped(quick: Quick, tmp_path: Path) -> None:
    line = ("--losses", "ciou", "--seeds", "2", "--out", str(tmp_path), *WORDS)
    told(*line)
    first = (tmp_path / "compare.json").read_text()
    quick.trained.clear()
    again = told(*line).stdout
    assert "4 of 4 trainings are there already" in again
    assert "training 1 of 4" not in again, "no process is started for it"
    assert quick.trained == []
    gone, torn = files(tmp_path)[:2]
    gone.unlink()
    torn.write_text(torn.read_text()[:80])
    told(*line)
    assert sorted(quick.trained) == [("ciou", 0), ("ciou", 1)]
    last = json.loads((tmp_path / "compare.json").read_text())
    assert [each["mAP50"] for each in last["losses"]] == [each["mAP50"] for each in json.loads(first)["losses"]]


def test_more_seeds_and_losses_keep_what_is_there(quick: Quick, tmp_path: Path) -> None:
    told("--losses", "ciou", "--seeds", "1", "--out", str(tmp_path), *WORDS)
    quick.trained.clear()
    told("--losses", "giou,ciou", "--seeds", "2", "--out", str(tmp_path), *WORDS)
    assert quick.trained == [("giou", 0), ("stock", 1), ("giou", 1), ("ciou", 1)]


def test_a_failed_cell_is_named_its_pair_left_out_and_tried_again(quick: Quick, tmp_path: Path) -> None:
    quick.fails = {("stock", 1)}
    line = ("--losses", "ciou", "--seeds", "3", "--out", str(tmp_path), *WORDS)
    done = told(*line).stdout
    assert "stock, seed 1 failed, and its pair is left out: no stock with 1" in done
    assert "stock, seed 1, is left out with its pair: no stock with 1" in done
    found = json.loads((tmp_path / "compare.json").read_text())
    assert found["failed"] == [{"loss": "stock", "seed": 1, "why": "no stock with 1"}]
    assert found["losses"][1]["mAP50-95"]["difference_to_stock"]["seeds"] == [0, 2]
    quick.trained.clear()
    quick.fails = set()
    assert "left out" not in told(*line).stdout.split("already")[1]
    assert quick.trained == [("stock", 1)]


def test_a_measure_that_is_no_number_is_a_failure(quick: Quick, tmp_path: Path) -> None:
    quick.value = float("nan")
    with pytest.raises(ValueError, match="stock, seed 0 measured"):
        told("--losses", "ciou", "--seeds", "1", "--cell", "0", "--out", str(tmp_path), *WORDS)
    assert files(tmp_path) == []


def test_one_seed_cannot_tell(quick: Quick, tmp_path: Path) -> None:
    done = told("--losses", "ciou", "--seeds", "1", "--out", str(tmp_path), *WORDS).stdout
    assert "- ciou: cannot tell; 41.00 ± - (1), +1.00 (1) to stock, 95 % interval -, p 1.000 (Holm)\n" in done


def test_results_of_other_versions_end_it_before_any_training(quick: Quick, tmp_path: Path) -> None:
    told("--losses", "ciou", "--seeds", "1", "--out", str(tmp_path), *WORDS)
    quick.trained.clear()
    quick.version = "2.0"
    with pytest.raises(ValueError, match=r"was trained elsewhere: versions\.quick='1\.0' and '2\.0' here"):
        told("--losses", "ciou", "--seeds", "2", "--out", str(tmp_path), *WORDS)
    assert quick.trained == []


@pytest.mark.parametrize(
    ("losses", "said"),
    [("coiu", "unknown loss"), ("focal", "focal is refused"), ("stock", "stock alone"), ("ciou(", "cannot be read"),
     ("stock(eps=1)", "gives stock parameters"), ("ciou(reduction='sum')", "names a reduction"),
     ("math:sqrt(x=1)", "in no catalogue")],
)  # fmt: skip
def test_a_loss_that_cannot_be_ends_it_before_any_training(
    losses: str, said: str, quick: Quick, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        told("--losses", losses, "--seeds", "1", "--out", str(tmp_path), *WORDS)
    assert quick.trained == []


def test_print_writes_lines_that_train_one_cell_each(quick: Quick, tmp_path: Path) -> None:
    losses = "stock, nwd(constant=12.8, mode=log)"
    done = told("--losses", losses, "--seeds", "2", "--gain", "match", "--out", str(tmp_path), "--print", *WORDS)
    assert quick.trained == []
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert "--threads" in line
        told(*shlex.split(line)[2:])
    assert [label for label, _ in quick.trained] == ["stock", "nwd(constant=12.8, mode='log')"] * 2
    assert len(files(tmp_path)) == 4
    quick.trained.clear()
    told(*shlex.split(lines[1])[2:])
    assert quick.trained == [], "a cell that is there is not trained again"


def test_collect_joins_what_came_back_from_several_machines(quick: Quick, tmp_path: Path) -> None:
    for machine, numbers in (("a", (0, 1, 2)), ("b", (2, 3, 4))):
        for cell in numbers:
            out = str(tmp_path / machine)
            told("--losses", "ciou", "--seeds", "3", "--cell", str(cell), "--threads", "1", "--out", out, *WORDS)
    quick.trained.clear()
    done = told("--collect", str(tmp_path)).stdout
    assert quick.trained == []
    assert "ciou, seed 2, is left out with its pair: it has no result here" in done
    found = json.loads((tmp_path / "compare.json").read_text())
    assert found["losses"][1]["mAP50-95"]["difference_to_stock"]["differences"] == [1.0, 2.0]
    assert len(found["cells"]) == 5
    assert json.loads(told("--collect", str(tmp_path), "--json").stdout) == found
    with pytest.raises(ValueError, match="--collect beside --losses"):
        told("--collect", str(tmp_path), "--losses", "ciou")
    with pytest.raises(ValueError, match="holds no result"):
        told("--collect", str(tmp_path / "none"))


def test_the_key_of_a_cell_is_of_all_that_changes_its_numbers() -> None:
    def keys(losses: str = "ciou", seeds: int = 1, gain: str = "keep", threads: int = 1, *words: str) -> list[str]:
        return [cell.key for cell in planned(words or WORDS[1:], losses, seeds, gain, threads).cells]

    stock, ciou = keys()
    assert keys() == [stock, ciou]
    assert keys("ciou", 1, "match")[0] == stock, "no gain applies to stock"
    others = [
        keys("ciou(eps=1e-6)")[1], keys("ciou", 2)[3], keys("ciou", 1, "match")[1], keys("ciou", 1, "keep", 2)[1],
        keys("ciou", 1, "keep", 1, "yolo")[1],
    ]  # fmt: skip
    assert len({ciou, *others}) == 6
    assert keys("CIoU")[1] == ciou


def test_the_cell_of_a_function_of_ones_own_has_another_key_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = []
    for factor in ("2", "3", "2  # as before"):
        sys.modules.pop("own_loss", None)
        source = f"def mine(pred, target):\n    return (pred - target).sum(-1) * {factor}\n"
        exec(compile(source, "own_loss.py", "exec"), vars(module := ModuleType("own_loss")))
        monkeypatch.setitem(sys.modules, "own_loss", module)
        (stock, mine) = planned(WORDS[1:], "own_loss:mine", 1, "keep", 1).cells
        assert (mine.loss.label, stock.loss.label) == ("own_loss:mine", "stock")
        keys.append(mine.key)
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(("code", "said"), [(-9, "it was ended by signal 9"), (0, "it printed nothing")])
def test_a_process_that_leaves_no_result_has_failed(
    code: int, said: str, quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell, _) = planned(WORDS[1:], "ciou", 1, "keep", 1).cells
    ended = subprocess.CompletedProcess[str]([], code)
    monkeypatch.setattr(cells.subprocess, "run", lambda *_, **__: ended)
    assert cells.run_cell(cell, tmp_path, []) == Failed("stock", 0, said)


def test_a_result_counts_however_its_process_has_ended(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell, _) = planned(WORDS[1:], "ciou", 1, "keep", 1).cells

    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        cells.train_here(cell, quick, tmp_path)
        return subprocess.CompletedProcess([], 1)

    monkeypatch.setattr(cells.subprocess, "run", run)
    assert cells.run_cell(cell, tmp_path, []) == stored(cell.file(tmp_path))


def test_a_cell_is_given_its_threads(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cell, _) = planned(WORDS[1:], "ciou", 1, "keep", 3).cells
    assert line_of(cell, tmp_path)[-5:] == list(WORDS[1:])
    given: list[dict[str, str]] = []
    run = cells.subprocess.run

    def noted(line: list[str], env: dict[str, str], **more: object) -> object:
        given.append(env)
        return run(line, **more)

    monkeypatch.setattr(cells.subprocess, "run", noted)
    told("--losses", "ciou", "--seeds", "1", "--threads", "3", "--out", str(tmp_path), *WORDS)
    assert [each["OMP_NUM_THREADS"] for each in given] == ["3", "3"]
    assert all(stored(file).asked["threads"] == 3 for file in files(tmp_path))  # type: ignore[union-attr]


def test_the_time_left_is_that_of_the_trainings_so_far() -> None:
    assert time_left([], 3) == ""
    assert time_left([60.0, 120.0], 4) == ", 6.0 minutes left"
    assert time_left([3600.0], 4) == ", 4.0 hours left"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--losses is missing"),
        (("--losses", "ciou", "--seeds", "2", "--cell", "4", *WORDS), "--cell=4 of 4 cells"),
        (("--losses", "ciou", "--cell", "0", "--print", *WORDS), "--cell=0 beside --print"),
        (("--losses", "ciou", "--gain", "equal", *WORDS), "--gain"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(arguments: tuple[str, ...], said: str, quick: Quick) -> None:
    with pytest.raises(ValueError, match=said):
        told(*arguments)


def test_words_that_train_nothing() -> None:
    with pytest.raises(ValueError, match="no training stands behind --"):
        command.training_of([])
    with pytest.raises(ValueError, match=r"'yollo' is no command that trains.*did you mean"):
        command.training_of(["yollo"])
