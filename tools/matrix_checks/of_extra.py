"""What works where pip has installed the wheel with one extra into an empty environment.

    python of_extra.py '{"modules": ["..."], "commands": [["list"]]}'

It is run by its path: nothing of the checkout can be imported there.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import torch

import loss_plugins


def said(words: list[str]) -> str:
    program = str(Path(sys.executable).with_name("loss-plugins"))
    run = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    return "ok" if run.returncode == 0 else (run.stderr.strip().splitlines() or ["no message"])[-1][:300]


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    found = {"version": loss_plugins.__version__, "torch": str(torch.__version__)}
    for name in asked["modules"]:
        importlib.import_module(name)
        found[f"import {name}"] = "ok"
    for words in asked["commands"]:
        found[" ".join(words)] = said(words)
    print("RESULT" + json.dumps(found), flush=True)
