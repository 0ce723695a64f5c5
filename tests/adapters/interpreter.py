"""Code in a fresh interpreter: what was imported before, or is hidden, is the code's own affair."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

#: what takes longest to import, and knows nothing of this package or of MMEngine
KNOWN = ("torch", "torchvision", "scipy.optimize", "matplotlib.pyplot")
#: reads programs, a line each, and runs each in a fork, which ends as an interpreter does
FORKS = """
import importlib, json, os, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
for number, file in enumerate((os.devnull, asked["out"], asked["err"])):
    os.dup2(os.open(file, os.O_RDWR), number)
os.environ.clear()
os.environ.update(asked["environment"])
os.chdir(asked["cwd"])
sys.argv = ["-c", *asked["arguments"]]
sys.path[:0] = ["", *filter(None, asked["environment"].get("PYTHONPATH", "").split(os.pathsep))]
importlib.invalidate_caches()
exec(compile(asked["code"], "<string>", "exec"), {"__name__": "__main__"})
"""


def fresh_python(code: str, *arguments: object, cwd: Path | None = None, **environment: str) -> str:
    """What the code prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@functools.cache
def _forks() -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", FORKS, *KNOWN]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    return server


def forked_python(code: str, *arguments: object, cwd: Path | None = None, **environment: str) -> str:
    """The same in an interpreter that has imported `KNOWN`, whatever surrounds it."""
    done = forked(code, *arguments, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def forked(
    code: str, *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """However it ends."""
    server = _forks()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder, name) for name in ("out", "err"))
        asked = {
            **{"code": code, "arguments": list(map(str, arguments)), "cwd": str(cwd or Path.cwd())},
            **{"out": str(out), "err": str(err), "environment": {**os.environ, **environment}},
        }
        out.touch()
        err.touch()
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        code_of_exit = int(server.stdout.readline())
        return subprocess.CompletedProcess(asked["arguments"], code_of_exit, out.read_text(), err.read_text())
