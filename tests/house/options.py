"""What each option of the command line changes: shown by a call here, or by a test that passes the option."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from loss_plugins import cli
from loss_plugins.audit import AuditReport, Subject
from loss_plugins.audit import command as audit_command
from loss_plugins.bench import command as bench_command
from loss_plugins.evidence import simulate as simulate_command
from loss_plugins.parity import command as parity_command

#: (patch, an empty folder): asserts that the option changes something
Effect = Callable[[pytest.MonkeyPatch, Path], None]


def told(command: Callable[..., Any], *arguments: str) -> str:
    """What a command prints."""
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def audited_subjects(patch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> list[Subject]:
    """The subjects that `check` hands to the audit, for a loss of a module in the folder."""
    subjects: list[Subject] = []

    def note(subject: Subject, progress: Any) -> AuditReport:
        subjects.append(subject)
        return AuditReport(subject.name, subject.kind, ())

    (folder / "options_loss.py").write_text("def f(pred, target):\n    return (pred - target).sum(-1)\n")
    patch.chdir(folder)
    patch.syspath_prepend(folder)
    patch.setattr(audit_command, "audit_subject", note)
    told(audit_command.check, "options_loss:f", *arguments)
    return subjects


def check_kind(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (subject,) = audited_subjects(patch, folder, "--kind", "rotated_box")
    assert subject.kind == "rotated_box"


def check_form(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (subject,) = audited_subjects(patch, folder, "--kind", "classification", "--form", "class_map")
    assert subject.sample(3)[1].shape == (3,)  # type: ignore[union-attr]


def parity_seed(patch: pytest.MonkeyPatch, folder: Path) -> None:
    few = ("--against", "torch", "--pairs", "400", "--json")
    patch.setattr(parity_command, "make_report", asked := Asked(parity_command.make_report))
    told(parity_command.parity, *few, "--seed", "7")
    assert asked.arguments[0][:3] == ("torch", 400, 7)


class Asked:
    """A function that notes its arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.arguments: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.arguments.append(arguments)
        return self.function(*arguments, **named)


def bench_extensions(patch: pytest.MonkeyPatch, folder: Path) -> None:
    asked = Asked(lambda: ({}, {}))
    patch.setattr(bench_command, "extension_costs", asked)
    patch.setattr(bench_command, "_measured", lambda *_: [])
    patch.setattr(bench_command, "record_cost", lambda: {"seconds": 0.1})
    patch.setattr(bench_command, "compile_cost", lambda device: {"seconds": [1.0, 2.0], "recompilations": 0})
    patch.setattr(bench_command, "write", lambda *_: {})
    for options, calls in (((), 1), (("--extensions",), 2), (("--no-extensions",), 2)):
        told(bench_command.bench, "--out", str(folder), "--losses", "l1", *options)
        assert len(asked.arguments) == calls


def doctor_settings(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Everything that follows --cfg-options is passed on, and --fix prints the lines and nothing else."""
    asked: list[dict[str, Any]] = []

    def examine(config: str, cfg_options: Any = (), fix: bool = False) -> dict[str, Any]:
        asked.append({"cfg_options": cfg_options, "fix": fix})
        return {"ok": True, "versions": {}, "checks": [], **({"fix": ["a = 1"]} if fix else {})}

    point = type("Point", (), {"name": "some", "load": lambda self: examine})()
    patch.setattr(cli, "_points", lambda group: iter([point]))
    (config := folder / "config.py").touch()
    app = typer.Typer()
    app.command(context_settings=cli.DOCTOR_SETTINGS)(cli.doctor)
    done = CliRunner().invoke(app, [str(config), "--cfg-options", "a=1", "b=2", "--fix"], catch_exceptions=False)
    assert done.stdout == "a = 1\n"
    assert asked == [{"cfg_options": ["a=1", "b=2"], "fix": True}]


def doctor_config(patch: pytest.MonkeyPatch, folder: Path) -> None:
    asked = Asked(lambda config: {"ok": True, "versions": {}, "checks": []})
    point = type("Point", (), {"name": "some", "load": lambda self: asked})()
    patch.setattr(cli, "_points", lambda group: iter([point]))
    (config := folder / "config.py").touch()
    told(cli.doctor, str(config))
    assert asked.arguments == [(str(config),)]


def show_json(patch: pytest.MonkeyPatch, folder: Path) -> None:
    assert told(cli.show, "ciou", "--json").startswith("{")
    assert not told(cli.show, "ciou").startswith("{")


def simulate_full(patch: pytest.MonkeyPatch, folder: Path) -> None:
    asked = Asked(lambda *_: [])
    patch.setattr(simulate_command, "_simulated", asked)
    patch.setattr(simulate_command, "_drawn", lambda *_: {})
    for options, full in (((), False), (("--full",), True)):
        told(simulate_command.simulate, "iou", "--json", "--out", str(folder), *options)
        assert asked.arguments[-1][1].full is full


CLI, AUDIT, BENCH = "tests/test_cli.py::test_", "tests/audit/test_audit.py::test_", "tests/bench/test_command.py::test_"
PARITY, ULTRALYTICS = "tests/parity/test_command.py::test_", "tests/adapters/ultralytics/test_demo.py::test_"
TRANSFORMERS = "tests/adapters/transformers/test_demo.py::test_an_epoch_through_the_trainer"
MMDET = "tests/adapters/mmdet/test_demo.py::test_one_epoch_through_mmdets_script"
HARDEST = "tests/adapters/ultralytics/test_hardest.py::test_"
COMMANDS = "tests/house/test_command_errors.py::test_"
PLOT = "tests/evidence/test_plot.py::test_"
COMPARED = "tests/evidence/test_compare.py::test_"
SIMULATED = "tests/evidence/test_simulate.py::test_"
DEMO = ULTRALYTICS + "the_demo_trains_proves_draws_and_reuses"
BENCHED = BENCH + "the_bench_measures_draws_and_reports"
EXPLORE = "tests/evidence/explore/test_command.py::test_"
#: (command, option) to its proof, and what the test passes
EFFECTS: dict[tuple[str, str], Effect | tuple[str, str]] = {
    ("", "version"): (COMMANDS + "the_command_line_says_its_version_and_what_it_is_made_for", '"--version"'),
    ("list", "kind"): (CLI + "list_of_one_kind_as_json", '"--kind"'),
    ("list", "as_json"): (CLI + "list_of_one_kind_as_json", '"--json"'),
    ("show", "name"): (CLI + "show_tells_formula_parameters_and_traits", '"show", "focal_eiou"'),
    ("show", "latex"): (CLI + "show_prints_latex_when_asked_or_where_the_terminal_has_no_unicode", '"--latex"'),
    ("show", "as_json"): show_json,
    ("doctor", "what"): doctor_config,
    ("doctor", "cfg_options"): doctor_settings,
    ("doctor", "fix"): doctor_settings,
    ("doctor", "as_json"): (CLI + "doctor_finds_a_working_installation", '"--json"'),
    ("check", "target"): (AUDIT + "command_passes_and_prints_a_table", '["giou"]'),
    ("check", "everything"): (AUDIT + "command_all", '"--all"'),
    ("check", "kind"): check_kind,
    ("check", "form"): check_form,
    ("check", "as_json"): (AUDIT + "command_fails_with_a_reproduction", '"--json"'),
    ("parity", "against"): (PARITY + "json_is_all_that_is_printed_and_exit_0", "FEW"),
    ("parity", "pairs"): parity_seed,
    ("parity", "seed"): parity_seed,
    ("parity", "as_json"): (PARITY + "json_is_all_that_is_printed_and_exit_0", '"--json"'),
    ("parity", "report"): (PARITY + "the_three_faces_tell_the_same", '"--report"'),
    ("parity", "deviations_to"): (PARITY + "only_the_files_that_are_named_are_written", '"--deviations"'),
    ("parity", "train"): (PARITY + "trainings_are_told_as_comparisons_are", '"--train"'),
    ("parity", "steps"): (PARITY + "trainings_are_told_as_comparisons_are", '"--steps", "3"'),
    ("explore", "names"): (EXPLORE + "named_losses_are_ticked_and_those_with_parameters_added", '"explore", *names'),
    ("explore", "out"): (EXPLORE + "the_page_is_written_where_it_is_wanted", '"--out", str(file)'),
    ("bench", "out"): (BENCHED, "out=tmp_path"),
    ("bench", "losses"): (BENCHED, "losses="),
    ("bench", "repeats"): (BENCH + "unusable_arguments_are_refused_before_anything_is_timed", "bench(**wrong)"),
    ("bench", "device"): (BENCH + "unusable_arguments_are_refused_before_anything_is_timed", "bench(**wrong)"),
    ("bench", "extensions"): bench_extensions,
    ("bench", "report"): (BENCHED, "report=file"),
    ("bench", "criteria"): (
        "tests/bench/test_criteria.py::test_the_command_writes_numbers_and_a_page",
        "criteria=True",
    ),
    ("simulate", "names"): (SIMULATED + "json_is_all_that_is_printed", '"L1", "nwd(constant=1)"'),
    ("simulate", "gradients"): (SIMULATED + "the_seven_losses_and_the_four_published", '"--gradients", "published"'),
    ("simulate", "convention"): (SIMULATED + "the_seven_losses_and_the_four_published", '"--convention"'),
    ("simulate", "setting"): (SIMULATED + "the_setting_of_wiou", '"--setting", "wiou"'),
    ("simulate", "full"): simulate_full,
    ("simulate", "seed"): (SIMULATED + "json_is_all_that_is_printed", '"--seed", "3"'),
    ("simulate", "out"): (SIMULATED + "table_pictures_and_their_numbers", '"--out"'),
    ("simulate", "as_json"): (SIMULATED + "json_is_all_that_is_printed", '"--json"'),
    ("plot", "names"): (PLOT + "losses_side_by_side_with_their_numbers", 'plot(["CIoU'),
    ("plot", "out"): (PLOT + "losses_side_by_side_with_their_numbers", "out=file"),
    ("plot", "dark"): (PLOT + "dark_pictures_are_dark", "dark=True"),
    ("plot", "kind"): (PLOT + "a_class_loss_of_your_own", 'kind="classification"'),
    ("plot", "form"): (PLOT + "a_class_loss_of_your_own", 'form="class_map"'),
    ("plot", "as_json"): (PLOT + "json_is_all_that_is_printed", '"--json"'),
    ("compare", "words"): (COMPARED + "rules_cells_verdict_picture_and_report", "*WORDS"),
    ("compare", "losses"): (COMPARED + "rules_cells_verdict_picture_and_report", '"--losses", "CIoU"'),
    ("compare", "seeds"): (COMPARED + "rules_cells_verdict_picture_and_report", '"--seeds", "3"'),
    ("compare", "gain"): (COMPARED + "print_writes_lines_that_train_one_cell_each", '"--gain", "match"'),
    ("compare", "threads"): (COMPARED + "a_cell_is_given_its_threads", '"--threads", "3"'),
    ("compare", "out"): (COMPARED + "rules_cells_verdict_picture_and_report", '"--out"'),
    ("compare", "cell"): (COMPARED + "collect_joins_what_came_back_from_several_machines", '"--cell"'),
    ("compare", "print_lines"): (COMPARED + "print_writes_lines_that_train_one_cell_each", '"--print"'),
    ("compare", "collect"): (COMPARED + "collect_joins_what_came_back_from_several_machines", '"--collect"'),
    ("compare", "as_json"): (COMPARED + "json_alone_is_on_stdout", '"--json"'),
    ("hardest", "model"): (HARDEST + "table_csv_sheets_and_json_say_the_same", "ran(trained.run"),
    **{
        ("hardest", name): (HARDEST + "table_csv_sheets_and_json_say_the_same", f'"--{name}"')
        for name in ("data", "split", "count", "box", "cls", "conf", "iou", "imgsz", "batch")
    },
    ("hardest", "device"): (
        HARDEST + "losses_devices_and_splits_are_refused_before_anything_is_looked_for",
        '"--device"',
    ),
    ("hardest", "out"): (HARDEST + "table_csv_sheets_and_json_say_the_same", '"--out"'),
    ("hardest", "as_json"): (HARDEST + "json_is_all_that_is_printed_from_the_first_start_on", '"--json"'),
    ("demo", "folder"): (DEMO, "folder=tmp_path"),
    ("demo", "box"): (DEMO, 'box="diou"'),
    ("demo", "epochs"): (DEMO, "epochs=1"),
    ("demo-mmdet", "folder"): (MMDET, '"--folder"'),
    ("demo-mmdet", "box"): (MMDET, '"--box"'),
    ("demo-mmdet", "epochs"): (MMDET, '"--epochs"'),
    ("demo-transformers", "folder"): (TRANSFORMERS, '"--folder"'),
    ("demo-transformers", "box"): (TRANSFORMERS, '"--box"'),
    ("demo-transformers", "epochs"): (TRANSFORMERS, '"--epochs"'),
    ("yolo", "arguments"): (CLI + "yolo_trains_with_the_loss", '"box_loss=alpha_iou"'),
}
