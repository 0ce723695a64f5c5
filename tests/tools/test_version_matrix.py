"""The programs that the version matrix runs elsewhere name what there is here."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import venv
from importlib.metadata import version
from pathlib import Path

import pytest
from ultralytics.nn import tasks
from ultralytics.utils import tal

from tests.adapters.ultralytics.test_cells import CELLS
from tests.house.environments import distribution, environment, run
from tools.matrix_checks import of_adapter, of_core, slots
from tools.matrix_checks.found import Found, of_doctor
from tools.version_matrix import ENVIRONMENTS, EXTRAS, RESULTS, TEXT, Outcome, compatibility_page, extra_checks
from tools.wheel import ROOT

PROGRAMS = sorted({environment.checks for environment in ENVIRONMENTS})


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_import_what_there_is(program: str) -> None:
    source = (ROOT / f"tools/matrix_checks/{program}.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("loss_plugins"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
    assert [name for name in of_core.TESTS if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("framework", ["libreyolo", "rfdetr", "transformers"])
def test_a_framework_is_examined_by_its_own_doctor(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    each = next(each for each in ENVIRONMENTS if each.name == f"{framework}-newest")
    assert each.command(Path("python"))[2:] == ["tools.matrix_checks.of_adapter", framework]
    check = {"name": "a place", "ok": True, "detail": ""}
    doctor = importlib.import_module(f"loss_plugins.adapters.{framework}.doctor")
    monkeypatch.setattr(doctor, "report", lambda: {"checks": [check]})
    assert of_adapter.examined(framework).told == {
        "version": version(framework), "torch": version("torch"), "doctor": "ok: a place"
    }  # fmt: skip
    check["ok"] = False
    assert of_adapter.examined(framework).told["doctor"] == "a place: "


def test_packages_are_shared_through_environments_that_share_their_own(tmp_path: Path) -> None:
    """Python does not read the .pth files of a folder that a .pth file names."""
    far = tmp_path / "far/site-packages"
    far.mkdir(parents=True)
    (far / "far_away.py").touch()
    pythons = []
    for name in ("middle", "near"):
        venv.create(tmp_path / name, with_pip=False, symlinks=True)
        pythons.append(tmp_path / name / "bin/python")
    (next((tmp_path / "middle").glob("lib/python*/site-packages")) / "far.pth").write_text(f"{far}\n")
    told = "from tools.version_matrix import packages; print('\\n'.join(packages()))"
    shared = subprocess.run([pythons[0], "-c", told], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (next((tmp_path / "near").glob("lib/python*/site-packages")) / "shared.pth").write_text(shared)
    subprocess.run([pythons[1], "-c", "import far_away"], check=True)


def test_what_raises_stands_in_the_table() -> None:
    found = Found(version="1")
    found.tried("divided", lambda: str(1 // 0))
    found.tried("passed", lambda: "ok")
    assert found.told == {
        "version": "1",
        "divided": "ZeroDivisionError: integer division or modulo by zero",
        "passed": "ok",
    }
    assert (
        of_doctor({"checks": [{"name": "a", "ok": True, "detail": ""}, {"name": "b", "ok": False, "detail": "no"}]})
        == "b: no"
    )


def test_the_slots_tried_are_those_of_the_page() -> None:
    for (file, slot), says in CELLS.items():
        model = file.removesuffix(".yaml")
        has = slots.MODELS.get(model, slots.MODELS.get(model.replace("yolo11n-", "yolov8n-"), ("", ())))[1]
        assert (slot in has) == (says == "yes"), (file, slot)


def test_every_slot_of_a_model_is_tried() -> None:
    assert slots.tried_slots("yolo26n-seg") == "ok: box, cls, dfl, mask, sem"
    assert not slots.shipped("yolo1n")
    assert all(map(slots.shipped, slots.MODELS))


def test_a_slot_that_a_version_lacks_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tal, "rbox2dist")
    told = slots.tried_slots("yolov8n-obb")
    assert told == (
        "ok: box, cls; dfl refused (its distances to the sides of rotated boxes are others. Use 8.4.0 or newer, or "
        "leave dfl out)"
    )


def test_a_slot_that_is_not_reached_is_no_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loss holds on fixed inputs, and the training step computes none: it raises, which the table shows."""
    monkeypatch.setattr(tasks.DetectionModel, "loss", lambda self, batch: (self.model[0].conv.weight.sum(), {}))
    found = Found()
    found.tried("slots", slots.tried_slots, "yolo11n")
    assert "Error" in found.told["slots"] or "LossNotUsed" in found.told["slots"]
    assert not Outcome("", "", "", found.told).ok


def test_every_extra_has_its_environment() -> None:
    extras = set(distribution("loss-plugins").metadata.get_all("Provides-Extra"))
    assert extras - {"dev"} == {extra for extra in EXTRAS if extra}
    assert {environment.extra for environment in ENVIRONMENTS} == {None, *EXTRAS}


@pytest.mark.parametrize("extra", ["cli", "digits", "mmdet", "ultralytics"])
def test_an_extra_does_what_it_is_for(extra: str, tmp_path: Path) -> None:
    """The matrix's own program, where pip's work is done by links; the blocks of README try the other extras."""
    done = run(environment(f"loss-plugins[{extra}]"), "python", *extra_checks(extra), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT"))
    assert Outcome("", "", "", found).ok, found


def test_the_page_is_made_from_the_results() -> None:
    rows = [Outcome(**row) for row in json.loads(RESULTS.read_text(encoding="utf-8"))]
    assert (ROOT / "docs/compatibility.md").read_text(encoding="utf-8") == compatibility_page(rows)
    assert "{rows}" in TEXT
