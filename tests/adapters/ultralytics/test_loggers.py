# SPDX-License-Identifier: AGPL-3.0-or-later
"""Loggers find the losses among the settings at each event at which they read them, and nobody does at others."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ultralytics
from ultralytics.utils.callbacks.base import default_callbacks

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.mixin import LossPluginMixin
from loss_plugins.adapters.ultralytics.record import read_comment, write_comment

CALLBACKS = Path(ultralytics.__file__).parent / "utils" / "callbacks"


def reads_whole_settings(function: ast.FunctionDef) -> bool:
    """Whether `trainer.args`, or a parameter `args`, is read in another way than for one setting of it."""
    parents = {id(child): node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
    parameters = {each.arg for each in function.args.args}
    for node in ast.walk(function):
        whole = isinstance(node, ast.Attribute) and ast.unparse(node) == "trainer.args"
        whole = whole or (isinstance(node, ast.Name) and node.id == "args" and "args" in parameters)
        if whole and not isinstance(parents[id(node)], ast.Attribute):
            return True
    return False


def events_of_loggers() -> Iterator[tuple[str, str]]:
    """(logger, event) wherever Ultralytics' callbacks read the settings, in themselves or in a function they call."""
    for file in sorted(CALLBACKS.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for event in sorted(default_callbacks.keys() & functions.keys() if file.stem != "base" else ()):
            called = {node.func.id for node in ast.walk(functions[event])
                      if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
            if any(reads_whole_settings(functions[name]) for name in (event, *sorted(called & functions.keys()))):
                yield file.stem, event


READ = list(events_of_loggers())


def test_the_loggers_of_ultralytics_are_found() -> None:
    assert {"wb", "mlflow", "clearml", "dvc", "comet"} <= {logger for logger, _ in READ}


class Stock:
    """A trainer that does nothing but call its callbacks."""

    seen: Any = None

    def run_callbacks(self, event: str) -> None:
        self.seen = dict(vars(self.args))  # type: ignore[attr-defined]


class Trainer(LossPluginMixin, Stock):
    """The same with a plug that checks nothing."""

    def __init__(self) -> None:
        self.args = SimpleNamespace(imgsz=64)
        self.loss_spec = lpu.make_spec("eiou")

    @property
    def _plug(self) -> Any:
        return SimpleNamespace(
            takes_progress=False, **dict.fromkeys(("begin_epoch", "begin_step", "sync"), lambda: None)
        )


@pytest.mark.parametrize(("logger", "event"), READ)
def test_a_logger_sees_the_losses_when_it_reads_the_settings(logger: str, event: str) -> None:
    trainer = Trainer()
    trainer.run_callbacks(event)
    assert trainer.seen["loss_plugins"] == trainer.loss_spec.as_dict()
    assert vars(trainer.args) == {"imgsz": 64}


def test_nobody_else_sees_them() -> None:
    told = {event for _, event in READ}
    checked = {"on_train_batch_end", "on_train_epoch_end"}  # need a training
    for event in sorted(default_callbacks.keys() - told - checked):
        trainer = Trainer()
        trainer.run_callbacks(event)
        assert trainer.seen == {"imgsz": 64}, event


def test_files_are_read_in_the_encoding_in_which_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "args.yaml"
    file.write_text("project: läufe\n", encoding="utf-8")
    (tmp_path / "results.csv").write_text("epoch,ä\n1,2\n", encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; import loss_plugins.adapters.ultralytics as lpu;"
        "from loss_plugins.adapters.ultralytics import record, runs, traces; file = Path(sys.argv[1]);"
        "record.write_comment(file, lpu.make_spec('eiou')); traces.replaced_functions();"
        "import json; print(json.dumps(runs.examine(file.parent)))"
    )
    settings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], env={**os.environ, **settings}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert [check["name"] for check in json.loads(done.stdout.splitlines()[-1])["checks"]][-1] == "results.csv"
    assert (read_comment(file) or {})["box"]["type"] == "eiou"
    write_comment(file, lpu.make_spec("giou"))
    assert "läufe" in file.read_text(encoding="utf-8")
