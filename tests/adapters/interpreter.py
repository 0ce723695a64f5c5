"""Code in a fresh interpreter: what was imported before, or is hidden, is the code's own affair."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def fresh_python(code: str, *arguments: object, cwd: Path | None = None, **environment: str) -> str:
    """What the code prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
