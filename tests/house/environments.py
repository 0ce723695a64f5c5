"""Environments that hold the wheel and what it asks for, and nothing else: no checkout, no download.

The distributions are those of the environment that runs the tests, linked in; which ones is read from the metadata, as
pip would.
"""

from __future__ import annotations

import atexit
import functools
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.wheel import unpacked, wheel

NAME = "loss-plugins"


def required(*wanted: str) -> set[str]:
    """The names of the distributions that pip would install for these requirements, the wheel itself left out."""
    found, done, queue = set(), set(), [Requirement(text) for text in wanted]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        if (name, *sorted(requirement.extras)) in done:
            continue
        done.add((name, *sorted(requirement.extras)))
        found.add(name)
        extras = [{"extra": extra} for extra in ("", *requirement.extras)]
        for text in distribution(name).requires or []:
            child = Requirement(text)
            if child.marker is None or any(child.marker.evaluate(extra) for extra in extras):
                queue.append(child)
    return found - {NAME}


def distribution(name: str) -> importlib.metadata.Distribution:
    """The metadata of an installed distribution; ours is read from the wheel, as the checkout's may be out of date."""
    if name != NAME:
        return importlib.metadata.distribution(name)
    (folder,) = unpacked().glob("*.dist-info")
    return importlib.metadata.Distribution.at(folder)


@functools.cache
def environment(*wanted: str) -> Path:
    """The folder of an environment with the wheel and what these requirements ask for; its programs are in `bin`."""
    folder = Path(tempfile.mkdtemp(prefix="environment-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib*/python*/site-packages"))
    for name in required(*wanted):
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    _install(folder, site)
    return folder


#: the environment into which pip has installed the wheel, and its site-packages
_FIRST: list[tuple[Path, Path]] = []


def _install(folder: Path, site: Path) -> None:
    """The wheel: by pip into the first environment, and as it lies there into the others."""
    if not _FIRST:
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python")]
        options = ["install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps", str(wheel())]
        subprocess.run([*pip, *options], check=True)
        _FIRST.append((folder, site))
        return
    ((first, from_site),) = _FIRST
    installed = importlib.metadata.Distribution.at(next(from_site.glob("loss_plugins-*.dist-info"))).files or []
    for file in installed:
        source, target = Path(str(file.locate())), (site / file)
        target.parent.mkdir(parents=True, exist_ok=True)
        if ".." in file.parts:
            program = source.read_text(encoding="utf-8").replace(str(first), str(folder))  # begins with its Python
            target.write_text(program, encoding="utf-8")
            target.chmod(source.stat().st_mode)
        else:
            shutil.copy2(source, target)  # what pip has compiled is of the same time


def run(folder: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment, offline, without anything of the checkout in its path."""
    program = folder / "bin" / command[0]
    return subprocess.run(
        [str(program), *command[1:]],
        cwd=cwd,
        env={
            **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            "YOLO_OFFLINE": "1",
            "YOLO_AUTOINSTALL": "0",
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
