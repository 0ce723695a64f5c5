"""Packages that bring losses by an entry point: found at the first look-up, in a fresh interpreter each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loss_plugins.catalog.plugins import ENTRY_POINTS

from ..adapters.interpreter import forked_python, fresh_python
from ..command_line import COMMAND, forked
from ..packages import write

#: a module that brings the loss `NAME`; it notes in a file how often it was run
MODULE = """
from pathlib import Path
from loss_plugins import register_loss

with Path(__file__).with_suffix(".runs").open("a") as file:
    file.write("run ")


@register_loss("NAME", kind="box")
def own_loss(pred, target, *, factor: float = 1.0):
    "Sum of the differences."
    return (pred - target).sum(-1) * factor
"""
#: what tests begin with: warnings, each once where it is given, are noted
NOTE = """
import sys, warnings
warnings.simplefilter("always")
noted = []
warnings.showwarning = lambda message, *_, **__: noted.append(str(message))
import loss_plugins as lp
"""


def runs(folder: Path, name: str) -> int:
    """How often the module of a package was run."""
    return len((folder / f"{name}.runs").read_text().split())


def told(folder: Path, code: str) -> list[str]:
    """The lines that code prints in a fresh interpreter which finds the packages."""
    return forked_python(NOTE + code, cwd=folder, PYTHONPATH=str(folder)).splitlines()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed a package of one module."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    (source / "plugged_losses.py").write_text(MODULE.replace("NAME", "plugged_iou"))
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "plugged-losses"\nversion = "1.0"\n'
        f'[project.entry-points."{ENTRY_POINTS}"]\nplugged = "plugged_losses"\n'
        '[tool.setuptools]\npy-modules = ["plugged_losses"]\n'
    )
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, source], check=True)
    return target


@pytest.mark.parametrize(
    "first",
    [
        "lp.list_losses()",
        "[lp.get_entry('PluggedIouLoss').name]",
        "[lp.build_loss({'type': 'loss_plugins.PluggedIouLoss'}).entry.name]",
        "[lp.build_loss('mix', losses=['PluggedIouLoss']).spec()['losses'][0]['type']]",
    ],
)
def test_an_installed_package_is_imported_at_the_first_look_up(first: str, installed: Path) -> None:
    code = f"print('plugged_losses' in sys.modules); print('plugged_iou' in {first}); print(noted)"
    assert told(installed, code) == ["False", "True", "[]"]


def test_names_of_this_package_are_found_without_it(installed: Path) -> None:
    code = "lp.build_loss('CIoULoss'); lp.get_entry('giou'); print('plugged_losses' in sys.modules)"
    assert told(installed, code) == ["False"]


def test_the_module_may_be_imported_before_anything_else(installed: Path) -> None:
    code = "import plugged_losses, loss_plugins as lp; print('plugged_iou' in lp.list_losses())"
    assert fresh_python(code, PYTHONPATH=str(installed)) == "True"


def test_the_command_line_knows_its_losses(installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [*COMMAND, "show", "plugged_iou", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=installed)
    shown = json.loads(done.stdout)
    assert shown["type"] == "loss_plugins.PluggedIouLoss"
    assert shown in json.loads(forked("list", "--json", cwd=installed, PYTHONPATH=str(installed)).stdout)


#: by the cause that the warning names: the module of a package that fails, and its entry point
BROKEN = {
    "No module named 'no_such_module_of_theirs'": ("import no_such_module_of_theirs", ""),
    "the name 'ciou' is taken": (MODULE.replace("NAME", "ciou"), ""),
    "SystemExit: usage": ("raise SystemExit('usage')", ""),
    "No module named 'no_such_module'": ("", "no_such_module"),
    "- -: ": ("", "- -"),
}


def test_each_that_fails_is_one_warning_and_the_others_are_there(tmp_path: Path) -> None:
    for name in ("first_losses", "zz_losses"):
        write(tmp_path, name, MODULE.replace("NAME", name.replace("losses", "iou")))
    for number, (module, value) in enumerate(BROKEN.values()):
        write(tmp_path, f"broken{number}_losses", module, value)
    code = "for _ in range(2): print({'first_iou', 'zz_iou', 'ciou'} <= {*lp.list_losses()})\nprint(*noted, sep='\\n')"
    first, second, *warnings = told(tmp_path, code)
    assert (first, second) == ("True", "True")
    assert len(warnings) == len(BROKEN)
    for number, cause in enumerate(BROKEN):
        (warning,) = (text for text in warnings if f"package broken{number}-losses " in text)
        assert cause in warning


def test_a_warning_that_is_an_error_leaves_the_others_there(tmp_path: Path) -> None:
    write(tmp_path, "broken_losses", "1 / 0")
    write(tmp_path, "sound_losses", MODULE.replace("NAME", "sound_iou"))
    code = (
        "warnings.simplefilter('error')\n"
        "try: lp.list_losses()\n"
        "except UserWarning as warning: print(warning)\n"
        "print('sound_iou' in lp.list_losses())"
    )
    warning, found = told(tmp_path, code)
    assert "broken-losses" in warning
    assert "ZeroDivisionError: division by zero" in warning
    assert found == "True"


LOOKS_UP = MODULE + "\nimport loss_plugins as lp\nprint('seen', {*lp.list_losses()} >= {'ciou', 'NAME'})\n"


def test_packages_that_look_losses_up_while_they_are_imported(tmp_path: Path) -> None:
    """Each finds what is there by then, and a name that is not is refused, not looked for without end."""
    for name in ("one", "two"):
        write(tmp_path, f"{name}_losses", LOOKS_UP.replace("NAME", f"{name}_iou"))
    wants = MODULE.replace("NAME", "wants_iou") + "\nimport loss_plugins as lp\nlp.build_loss('no_such_iou')"
    write(tmp_path, "wants_losses", wants)
    lines = told(tmp_path, "print({'one_iou', 'two_iou'} <= {*lp.list_losses()}); print(len(noted), noted[0])")
    assert lines[:3] == ["seen True", "seen True", "True"]
    assert lines[3].startswith("1 ")
    assert "wants-losses" in lines[3]
    assert "spec='no_such_iou' is an unknown loss" in lines[3]
    assert [runs(tmp_path, f"{name}_losses") for name in ("one", "two", "wants")] == [1, 1, 1]


SLOW = MODULE.replace("@register_loss", "__import__('time').sleep(0.3)\n\n@register_loss")
THREADS = """
import threading
found, start = [], threading.Barrier(4)
def look(number):
    start.wait()
    found.append(WORK)
threads = [threading.Thread(target=look, args=(number,), daemon=True) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join(60)
print(len(found), all(found)); print(noted)
"""


@pytest.mark.parametrize("first", ["'slow_iou' in lp.list_losses()", "lp.build_loss('slow_iou').entry.name"])
def test_threads_that_look_up_at_the_same_time_find_them_imported_once(first: str, tmp_path: Path) -> None:
    write(tmp_path, "slow_losses", SLOW.replace("NAME", "slow_iou"))
    assert told(tmp_path, THREADS.replace("WORK", first)) == ["4 True", "[]"]
    assert runs(tmp_path, "slow_losses") == 1


def test_threads_that_find_one_broken_are_told_once(tmp_path: Path) -> None:
    write(tmp_path, "slow_losses", SLOW.replace("NAME", "ciou"))
    number, warning = told(tmp_path, THREADS.replace("WORK", "'ciou' in lp.list_losses()"))
    assert number == "4 True"
    assert warning.count("of the package slow-losses") == 1


def test_a_thread_that_imports_the_module_itself_waits_for_nobody_who_waits_for_it(tmp_path: Path) -> None:
    looks_up = SLOW + "\nimport loss_plugins as lp\nlp.list_losses()\n"
    write(tmp_path, "slow_losses", looks_up.replace("NAME", "slow_iou"))
    work = "bool(__import__('slow_losses')) if number % 2 else 'slow_iou' in lp.list_losses()"
    assert told(tmp_path, THREADS.replace("WORK", work)) == ["4 True", "[]"]
    assert runs(tmp_path, "slow_losses") == 1
