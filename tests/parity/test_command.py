"""The command `loss-plugins parity`: one report, in the terminal, as JSON and as Markdown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import loss_plugins
from loss_plugins.parity import contract
from loss_plugins.parity import report as parity_report
from loss_plugins.parity.command import parity
from loss_plugins.parity.training import TrainingCase
from loss_plugins.peers import Compared, lookups
from loss_plugins.peers.uses import Peer
from loss_plugins.samples import SAMPLES

app = typer.Typer()
app.command()(parity)
FEW = ["--against", "torch", "--pairs", "400"]


def files_of_the_package() -> dict[Path, tuple[int, int]]:
    root = Path(loss_plugins.__file__).parent
    files = [file for file in root.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in files}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table in which torch's L1 loss stands for our MSE."""
    peer = Peer("torch", "torch.nn:L1Loss", uses=(Compared("mse", "offsets"),))
    monkeypatch.setattr(lookups, "PEERS", (peer,))
    monkeypatch.setattr(contract, "CONTRACTS", ())


def test_json_is_all_that_is_printed_and_exit_0() -> None:
    result = CliRunner().invoke(app, [*FEW, "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["ok"]
    assert told["versions"]["torch"]
    assert told["environment"]["device"].endswith("CPU cores")
    assert {row["framework"] for row in told["comparisons"]} == {"torch"}
    assert {row["framework"] for row in told["contracts"]} == {"torch"}
    assert all(case["ok"] for row in told["contracts"] for case in row["cases"])
    assert set(told["samples"]) == {row["sample"] for row in told["comparisons"]}


def test_what_a_framework_prints_is_not_in_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def chatty(against: str) -> list[str]:
        print("Creating new Settings")
        return []

    monkeypatch.setattr(parity_report, "absent", chatty)
    result = CliRunner().invoke(app, [*FEW, "--json"])
    assert json.loads(result.stdout)["ok"]
    assert "Creating new Settings" in result.stderr


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.usefixtures("broken")
def test_a_break_is_shown_and_exits_1(columns: int) -> None:
    result = CliRunner().invoke(app, FEW, env={"COLUMNS": str(columns)})
    assert result.exit_code == 1
    assert "0 of 1 pairs of functions are equal" in result.output
    assert "BROKEN in" in result.output
    assert max(map(len, result.output.splitlines())) <= columns


def test_a_terminal_of_80_columns_has_one_line_for_a_row() -> None:
    result = CliRunner().invoke(app, FEW, env={"COLUMNS": "80"})
    rows = [line for line in result.output.splitlines() if line.startswith(" torch ")]
    assert len(rows) == 22
    assert all(line.rstrip().endswith(" bit for bit") for line in rows)


@pytest.mark.usefixtures("broken")
def test_nothing_compared_is_not_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "PEERS", ())
    assert CliRunner().invoke(app, FEW).exit_code == 1


def test_the_three_faces_tell_the_same(tmp_path: Path) -> None:
    file = tmp_path / "new" / "parity.md"
    result = CliRunner().invoke(app, [*FEW, "--json", "--report", str(file)])
    told, page = json.loads(result.stdout), file.read_text()
    assert page.startswith("# Parity with the built-ins\n\n**11 of 11 pairs of functions are equal (torch 11).**")
    for row in told["comparisons"]:
        assert f"| {row['framework']} | {row['builtin']} | {row['loss']} | {row['dtype']} |" in page
    for row in told["contracts"]:
        assert f"| {row['framework']} | {row['builtin']} | {row['loss']} | {len(row['cases'])} |" in page
        assert set(row["counts"]) - {"equal"} <= set(told["call_rules"])
    for text in (SAMPLES["offsets"].text, "*by their rounding*", f"torch {told['environment']['torch']}"):
        assert text in page
    assert "{" not in page


def test_only_the_files_that_are_named_are_written(tmp_path: Path) -> None:
    before = files_of_the_package()
    files = tmp_path / "parity.md", tmp_path / "deviations.md"
    result = CliRunner().invoke(app, [*FEW, "--report", str(files[0]), "--deviations", str(files[1])])
    assert result.exit_code == 0
    assert files_of_the_package() == before
    assert sorted(tmp_path.iterdir()) == sorted(files)
    page = files[1].read_text()
    assert "| bce | torch" in page
    assert "| kl_div | torch" in page
    assert "mmdet 3" not in page.partition("| ours")[2]  # what was not measured is not told


@pytest.mark.parametrize("columns", [80, 140])
def test_trainings_are_told_as_comparisons_are(columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(folder: Path, ours: bool, steps: int) -> list[dict[str, float]]:
        return [{"loss": 1.0 + (ours and apart)} for _ in range(steps)]

    case = TrainingCase("mmdet", "ATSS", "loss_bbox GIoULoss", run)
    monkeypatch.setattr(parity_report, "training_cases", lambda against: iter([case]))
    arguments = ["--train", "--steps", "3", "--report", str(tmp_path / "training.md")]
    for apart, verdict, code in ((0.0, "equal bit for bit", 0), (0.5, "BROKEN", 1)):
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns)})
        assert result.exit_code == code
        assert "training mmdet ATSS: loss_bbox GIoULoss" in result.stderr
        assert max(map(len, result.output.splitlines()[1:-1])) <= columns
        assert f"| 0.0001 | {verdict} |" in (tmp_path / "training.md").read_text()
        (told,) = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["training"]
        assert (told["verdict"], told["steps"], told["largest"]) == (verdict, 3, apart)


def test_training_without_a_case_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity_report, "training_cases", lambda against: iter(()))
    with pytest.raises(ImportError, match="no adapter brings cases for torch"):
        parity(against="torch", train=True)


@pytest.mark.parametrize(("against", "error"), [("pytorch", ValueError), ("smp", ImportError)])
def test_a_framework_that_is_not_there_is_refused(
    against: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_report, "installed", lambda name: None)
    with pytest.raises(error, match=against):
        parity_report.check_framework(against)


def test_a_report_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path, tmp_path / "file/parity.md"):
        with pytest.raises(ValueError, match="--report="):
            parity(against="torch", report=wrong)
