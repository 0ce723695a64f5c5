# SPDX-License-Identifier: AGPL-3.0-or-later
"""A resumed run goes on with the matched gains of its record, also those that are refused or found otherwise today."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import cli, slots
from loss_plugins.adapters.ultralytics.functions import functions_of
from loss_plugins.adapters.ultralytics.mixin import LossPluginMixin
from loss_plugins.adapters.ultralytics.plug import Plug
from loss_plugins.adapters.ultralytics.record import PROOF_FILE, STAMP, Record

#: a class loss whose matched gain is refused since what is right for positives is looked at on negatives
REFUSED = {"cls": "focal"}


class Events:
    """A trainer that starts, and reads a checkpoint."""

    def _do_train(self) -> str:
        return "trained"

    def resume_training(self, ckpt: Any) -> str:
        return "resumed"


class Run(LossPluginMixin, Events):
    def __init__(self, spec: lpu.Spec, resume: bool) -> None:
        self.loss_spec, self.resume, self.args = spec, resume, SimpleNamespace(imgsz=64)
        self.loss_plug, self.loss_record = None, Record()


def spec_of(**losses: Any) -> lpu.Spec:
    return lpu.make_spec(**losses, gain="match")


def stamp_of(spec: lpu.Spec, **gains: float) -> dict[str, Any]:
    """What a run has recorded."""
    report = {slot: {"gain": gain, "norms": [2 * gain, 2.0]} for slot, gain in gains.items()}
    functions = functions_of(Plug(spec, resumed=True).slots)
    return {**Record().as_dict(), "losses": spec.as_dict(), "report": report, "state": {}, "functions": functions}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(slots, "log", lines.append)
    return lines


def test_such_a_gain_is_refused_where_nothing_is_resumed(tmp_path: Path) -> None:
    """When the trainer is made; from a record, which may be that of a resumed run, when a new run starts."""
    with pytest.raises(ValueError, match=r"gain='match' would be .*to resume a run .*, pass config='.*/loss_plugins"):
        lpu.trainer("detect", **REFUSED, gain="match")
    spec = spec_of(**REFUSED)
    record = tmp_path / PROOF_FILE
    record.write_text(yaml.safe_dump(stamp_of(spec, cls=6.9)))
    started = lpu.trainer("detect", config=record).keywords["loss_spec"]
    assert started == spec
    with pytest.raises(ValueError, match="gain='match' would be"):
        Run(started, resume=False)._do_train()
    assert Run(started, resume=True)._do_train() == "trained"


def test_the_shell_resumes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, trained = spec_of(**REFUSED), []
    monkeypatch.setattr(cli, "losses_of", lambda _: {"cls": spec.cls, "gain": "match"})
    monkeypatch.setattr(cli, "make_model", lambda *_: SimpleNamespace(train=lambda **given: trained.append(given)))
    cli.yolo(["train", "resume", "model=last.pt"])
    assert trained[0]["trainer"].keywords["loss_spec"] == spec
    with pytest.raises(ValueError, match="gain='match' would be"):
        cli.yolo(["train", "model=last.pt", "cls_loss=focal", "gain=match"])


@pytest.mark.parametrize(
    ("losses", "gains"),
    [(REFUSED, {"cls": 6.9}), ({"box": "eiou"}, {"box": 0.5}), ({"box": "eiou", **REFUSED}, {"box": 0.5, "cls": 3.0})],
)
def test_a_resumed_run_has_the_gain_of_its_record(losses: Any, gains: dict[str, float], said: list[str]) -> None:
    spec = spec_of(**losses)
    run = Run(spec, resume=True)
    run.loss_plug = Plug(spec, resumed=True)
    ckpt = {"epoch": 0, "ema": SimpleNamespace(**{STAMP: stamp_of(spec, **gains)})}
    assert run.resume_training(ckpt) == "resumed"
    for slot in run.loss_plug.slots:
        assert slot.calls.gain == gains[slot.name]
        assert slot.calls.as_dict()["norms"] == [2 * gains[slot.name], 2.0]
        (line,) = [line for line in said if f"for the {slot.name} loss" in line]
        assert line.startswith(f"WARNING the run goes on with its gain of {gains[slot.name]:.3g}")
    assert len(said) == len(gains)


def test_the_gain_that_would_be_found_today_is_none_to_warn_of(said: list[str]) -> None:
    spec = spec_of(box="eiou", cls="ghm_c")
    first, again = Plug(spec), Plug(spec, resumed=True)
    again.restore(stamp_of(spec, **{slot.name: slot.calls.gain * (1 + 1e-6) for slot in first.slots}))
    assert said == []


def test_gains_that_are_kept_stay_1(said: list[str]) -> None:
    spec = lpu.make_spec("eiou", **REFUSED)
    plug = Plug(spec, resumed=True)
    plug.restore(stamp_of(spec, box=0.5, cls=6.9))
    assert [slot.calls.gain for slot in plug.slots] == [1, 1]
    assert said == []


def test_a_record_without_the_gain_is_refused() -> None:
    spec = spec_of(**REFUSED)
    with pytest.raises(ValueError, match="gain='match' would be"):
        Plug(spec, resumed=True).restore(stamp_of(spec))
