"""What the reports of `parity` and `bench` share: when, where and with what they were measured; Markdown."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .errors import refusal
from .peers import framework_versions
from .version import __version__


@dataclass(frozen=True)
class Environment:
    """What measured numbers depend on.

    Attributes:
        date: of the measurement.
        python: its version.
        torch: its version, build included.
        device: what it ran on.
        threads: of torch, on the CPU.
        versions: of this package and of all others that are compared.
    """

    date: str
    python: str
    torch: str
    device: str
    threads: int
    versions: dict[str, str]

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {version}" for name, version in {**self.versions, "torch": self.torch}.items())
        threads = f"{self.threads} CPU thread" + ("" if self.threads == 1 else "s")
        return f"{self.date}, {self.device}, {threads}, Python {self.python}, {listed}"


def environment(device: str = "cpu") -> Environment:
    """The environment of a measurement in this process: today's date, and the device, threads and versions in use."""
    gpu = torch.device(device).type == "cuda"
    return Environment(
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=torch.cuda.get_device_name(device) if gpu else f"{os.cpu_count()} CPU cores",
        threads=torch.get_num_threads(),
        versions={"loss_plugins": __version__, **framework_versions()},
    )


def strict_json(value: Any, indent: int | None = 2) -> str:
    """JSON that every reader takes: null stands for infinities and NaN, which JSON does not have.

    >>> strict_json({"range": (0.0, math.inf)}, indent=None)
    '{"range": [0.0, null]}'
    """
    return json.dumps(_finite(value), indent=indent, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


@contextlib.contextmanager
def beside(file: Path) -> Iterator[Path]:
    """A file beside `file` to write, which takes its place at the end: a full disk leaves the old one whole."""
    with for_a_while_beside(file, file.suffix) as part:
        yield part
        part.chmod(file.stat().st_mode & 0o777 if file.exists() else 0o666 & ~_umask())
        part.replace(file)


@contextlib.contextmanager
def for_a_while_beside(file: Path, suffix: str) -> Iterator[Path]:
    """A file of another name in the folder of `file`, which is gone at the end."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}.", suffix=suffix)
    os.close(handle)
    part = Path(name)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def write_whole(file: Path, text: str) -> None:
    """Write a file by way of one beside it."""
    with beside(file) as part:
        part.write_text(text, encoding="utf-8")


def _umask() -> int:
    """The rights that new files do not get; asking means setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def markdown_list(lines: Iterable[str], none: str = "none") -> str:
    """A list in Markdown, or what is said of an empty one."""
    return "\n".join(f"- {line}" for line in lines) or f"- {none}"


def require_writable(option: str, file: Path | None) -> None:
    """Make the folder of a result's file; raise, before the work is done, if the file cannot be written."""
    if file is None:
        return
    allowed = "a file that can be written"
    if file.is_dir():
        raise refusal(option, f"{option}={str(file)!r} is a folder", allowed, "give the name of a file in it")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        came = f"{option}={str(file)!r} cannot be written: {error}"
        raise refusal(option, came, allowed, "name a file in a folder of yours") from error
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        came = f"{option}={str(file)!r} cannot be written"
        raise refusal(option, came, allowed, "name a file in a folder of yours")
