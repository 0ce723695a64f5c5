"""The wheel of this checkout, unpacked: built once for each state of the files that go into it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "build/wheels"
#: all that a wheel is made from
SOURCES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "loss_plugins",
    "adapters",
    "configs/mmdet/_base_",
    "configs/ultralytics",
)


def source_files() -> list[Path]:
    """The files that the build reads, compiled Python left out."""
    found = [
        file for name in SOURCES for file in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])
    ]
    return sorted(file for file in found if file.is_file() and "__pycache__" not in file.parts)


def wheel() -> Path:
    """The wheel file, from the cache where nothing has changed.

    The build sees a copy of the sources: a build folder in the checkout would carry deleted modules into the wheel.
    """
    digest = hashlib.sha256()
    for file in source_files():
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    folder = CACHE / digest.hexdigest()[:16]
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="building-") as temporary:
            _build(Path(temporary))
            with contextlib.suppress(OSError):  # another process has built the same wheel meanwhile
                (Path(temporary) / "dist").rename(folder)
    (file,) = folder.glob("*.whl")
    return file


def unpacked() -> Path:
    """The folder that holds the package `loss_plugins` as an installation has it, adapters included."""
    file = wheel()
    folder = file.with_name("unpacked")
    if not folder.is_dir():
        temporary = Path(tempfile.mkdtemp(dir=file.parent))
        with zipfile.ZipFile(file) as archive:
            archive.extractall(temporary)
        try:
            temporary.rename(folder)
        except OSError:  # another process has unpacked it meanwhile
            shutil.rmtree(temporary)
    return folder


def _build(folder: Path) -> None:
    copy = folder / "source"
    for file in source_files():
        target = copy / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder / "dist"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the wheel does not build:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
