"""The command line: in a process of its own, as a user starts it, or in this one, which spares the imports."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from loss_plugins import cli

from .adapters import interpreter

COMMAND = [sys.executable, "-m", "loss_plugins"]
Done = subprocess.CompletedProcess[str]


def terminal(columns: int) -> dict[str, str]:
    """What the environment says of a terminal."""
    return {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"}


def started(*arguments: str, cwd: Path | None = None, columns: int = 200) -> Done:
    """From its start in a fresh interpreter: one test of each kind does this."""
    environment = {**os.environ, **terminal(columns)}
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def forked(*arguments: str, cwd: Path | None = None, columns: int = 200, **environment: str) -> Done:
    """In a process that has imported torch and nothing of this package: what other tests did is unknown there."""
    return interpreter.forked(
        "from loss_plugins.cli import main; main()", *arguments, cwd=cwd, **terminal(columns), **environment
    )


def called(*arguments: str, cwd: Path | None = None, columns: int = 200) -> Done:
    """Its entry point, called here with these arguments; an exception that it lets through fails the test."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["loss-plugins", *arguments])
        patch.setattr(cli.app, "registered_commands", [*cli.app.registered_commands])  # it adds those of the adapters
        for name, value in terminal(columns).items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        try:
            cli.main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
    written = []
    for file in (out, err):
        file.flush()
        written.append(file.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(list(arguments), code, *written)
