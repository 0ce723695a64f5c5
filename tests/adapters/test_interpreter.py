"""Code in a fork sees what it sees in a fresh interpreter, and fails a test likewise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .interpreter import forked_python, fresh_python

Run = Callable[..., str]
SEEN = """
import json, os, sys, importlib.util
ours = [name for name in sys.modules if name.split(".")[0] in ("loss_plugins", "adapters", "mmengine", "ultralytics")]
found = importlib.util.find_spec("beside") is not None
print(json.dumps([sys.argv, os.getcwd(), os.environ["ASKED"], __name__, ours, found, sys.stdin.read()]))
sys.modules["mmengine"] = "left behind"
"""


@pytest.mark.parametrize("run", [fresh_python, forked_python])
def test_code_sees_what_it_is_given_and_nothing_of_other_code(run: Run, tmp_path: Path) -> None:
    (tmp_path / "beside.py").touch()
    (work := tmp_path / "work").mkdir()
    for asked in ("first", "second"):
        printed = run(SEEN, "a", 2, cwd=work, ASKED=asked, PYTHONPATH=str(tmp_path))
        assert json.loads(printed) == [["-c", "a", "2"], str(work), asked, "__main__", [], True, ""]


@pytest.mark.parametrize("run", [fresh_python, forked_python])
@pytest.mark.parametrize("code", ["1 / 0", "import sys; sys.exit('ZeroDivisionError')", "import os; os._exit(3)"])
def test_code_that_ends_badly_fails_the_test(run: Run, code: str) -> None:
    with pytest.raises(AssertionError, match=None if "_exit" in code else "ZeroDivisionError"):
        run(code)


@pytest.mark.parametrize("run", [fresh_python, forked_python])
def test_threads_are_waited_for(run: Run) -> None:
    code = "import threading, time; threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()"
    assert run(code) == "late"
