"""The command `loss-plugins bench`, with all peers, with some and with none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from loss_plugins.bench import cases as bench_cases
from loss_plugins.bench import command
from loss_plugins.bench.cases import COMPILED, OURS
from loss_plugins.bench.command import bench
from loss_plugins.bench.markdown import timing_page
from loss_plugins.bench.measure import Result
from loss_plugins.bench.report import Report
from loss_plugins.peers import packages, timed
from loss_plugins.peers.packages import FRAMEWORKS
from loss_plugins.reports import environment


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few boxes and few logits, and a number in place of what takes seconds to measure."""
    monkeypatch.setattr(bench_cases, "BOX_SIZES", (64, 128))
    monkeypatch.setattr(bench_cases, "LOGIT_SIZES", (1600,))
    monkeypatch.setattr(command, "record_cost", lambda: {"seconds": 0.1})
    monkeypatch.setattr(command, "compile_cost", lambda device: {"seconds": [1.0, 2.0], "recompilations": 0})


def hide(frameworks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the modules of packages fail to import, as if the packages were not installed."""
    packages.located.cache_clear()
    for loss in bench_cases.CASES:
        for peer in timed(loss):
            if peer.framework in frameworks:
                monkeypatch.setitem(sys.modules, peer.place.partition(":")[0], None)


def test_the_bench_measures_draws_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_cases, "BOX_SIZES", (64, 128))
    monkeypatch.setattr(bench_cases, "LOGIT_SIZES", (1600,))
    file = tmp_path / "new" / "performance.md"
    bench(out=tmp_path, losses="giou, focal,dice,giou", repeats=3, device="cpu", extensions=False, report=file)
    numbers = json.loads((tmp_path / "bench.json").read_text())
    found = {(row["loss"], row["size"]): row for row in numbers["results"]}
    assert len(found) == len(numbers["results"])
    assert set(found) == {("giou", 64), ("giou", 128), ("focal", 1600), ("dice", 1600)}
    assert set(found["giou", 64]["median"]) == {OURS, COMPILED, "ultralytics", "mmdet", "torchvision"}
    assert set(found["focal", 1600]["median"]) == {OURS, COMPILED, "mmdet", "torchvision", "kornia", "monai", "bce"}
    assert set(found["dice", 1600]["median"]) == {OURS, "monai"}  # not separable: nothing to compile
    assert all(value > 0 for row in numbers["results"] for value in row["median"].values())
    assert numbers["compile"]["recompilations"] == 0
    written = file.read_text()
    for text in (
        "| giou | 64 |",
        "![time over size](performance.png)",
        "*vs fastest peer*",
        f"{torch.get_num_threads()} CPU thread",
        "mmdet 3",
    ):
        assert text in written
    assert "GPU" not in written
    assert (file.with_suffix(".png")).stat().st_size > 10_000
    assert Report.from_dict(numbers).to_dict() == numbers


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kept", [["torch"], ["mmdet"], ["kornia", "ultralytics"]], ids=lambda kept: "+".join(kept))
def test_any_subset_of_peers_will_do(
    kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = [name for name in FRAMEWORKS if name not in kept]
    hide([name for name in hidden if name != "torch"], monkeypatch)
    bench(out=tmp_path, losses="giou,focal,l1", repeats=3, extensions=False, report=tmp_path / "page.md")
    numbers = json.loads((tmp_path / "bench.json").read_text())
    peers = {name for row in numbers["results"] for name in row["median"]} - {OURS, COMPILED, "bce"}
    assert peers == {*kept, "torch"}  # torch is always there
    left_out = {"mmdet", "ultralytics", "torchvision", "kornia", "monai"} - set(kept)
    assert set(numbers["left_out"]) == left_out
    written, told = (tmp_path / "page.md").read_text(), capsys.readouterr().out
    for name in left_out:
        assert f"- {name}: import of " in written
        assert f"{name} is left out: import of " in told
    assert ("of mmdet, goal" in written) <= ("mmdet" in kept)


@pytest.mark.usefixtures("small")
def test_without_matplotlib_there_is_a_report_without_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    bench(out=tmp_path, losses="l1", repeats=3, extensions=False, report=tmp_path / "page.md")
    assert "png" not in (tmp_path / "page.md").read_text()
    assert 'pip install "loss-plugins[plots]"' in capsys.readouterr().out


def test_what_an_adapter_cannot_measure_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics.nn.tasks", None)
    costs, without = command.extension_costs()
    assert costs == {}
    assert without == {"ultralytics": "import of ultralytics.nn.tasks halted; None in sys.modules"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"losses": "coiu"}, "no benchmark for 'coiu'; allowed: .*; did you mean 'ciou'"),
        ({"losses": "ciou,,l1"}, "no benchmark for ''"),
        ({"device": "gpu"}, "--device='gpu'; allowed: cpu, cuda"),
        ({"device": "meta"}, "--device='meta'; allowed: cpu, cuda"),
        ({"device": "cuda:99"}, "--device='cuda:99': torch sees "),
        ({"repeats": 2}, "--repeats=2; allowed: 3 or more"),
        ({"report": Path()}, "--report='.' is a folder"),
        ({"out": Path(__file__)}, "--out="),
        ({"criteria": True, "losses": "ciou"}, "--losses='ciou' beside --criteria; allowed: one of the two; leave"),
        ({"criteria": True, "extensions": True}, "bench: --extensions beside --criteria; allowed: one of the two"),
        ({"criteria": True, "extensions": False}, "--no-extensions beside --criteria; .*; leave --no-extensions out"),
    ],
    ids=str,
)
def test_unusable_arguments_are_refused_before_anything_is_timed(
    wrong: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("measure_case", "measure_criterion"):
        monkeypatch.setattr(command, name, lambda *_: pytest.fail("timed"))
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        bench(**wrong)  # type: ignore[arg-type]


def test_kernels_of_a_gpu_are_a_column_of_their_own() -> None:
    times = {OURS: 2.0, COMPILED: 1.0, "mmdet": 1.5}
    result = Result("ciou", 512, times, times, saved=times, peak=times, limit=1.0)
    assert "kernels" not in timing_page(Report(environment(), [result]))
    result.kernels = {OURS: 140, COMPILED: 3, "mmdet": 90}
    written = timing_page(Report(environment(), [result]))
    assert "| ours 140, ours compiled 3, mmdet 90 |" in written
    assert "*kernels in a step* are those that it launches" in written


@pytest.mark.parametrize("columns", [80, 140])
def test_the_table_fits_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from loss_plugins.bench.terminal import print_report

    monkeypatch.setenv("COLUMNS", str(columns))
    times = {OURS: 2.0, COMPILED: 1.0, "mmdet": 1.5}
    result = Result("distribution_focal", 4_000_000, times, times, saved=times, peak=times, limit=1.0)
    print_report(Report(environment(), [result], {"compile": {"seconds": [1.0, 2.0], "recompilations": 0}}), Console())
    told = capsys.readouterr().out
    assert "seconds 1.0 and 2.0, recompilations 0" in told.replace("\n", " ")
    assert max(map(len, told.splitlines())) <= columns
