"""Which versions work: one environment per version, `doctor` and identity tests in each, the table in docs.

    python -m tools.version_matrix                     # all, into docs/compatibility.md
    python -m tools.version_matrix ultralytics-8.4.0   # some; the other rows stay as they were

Environments live in a cache folder. For Ultralytics and mmdet only that package is installed into them; torch and the
rest come from the environment that runs this, by a .pth file, which Python reads after the environment's own packages.
The rows of the wheel are empty environments into which pip installs it with one extra, torch and all (some gigabytes).
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .wheel import ROOT, wheel

CACHE = Path(os.environ.get("LOSS_PLUGINS_MATRIX", Path.home() / ".cache/loss-plugins-matrix"))
PAGE, RESULTS = ROOT / "docs/compatibility.md", ROOT / "docs/compatibility.json"
NEWEST = ""
MINUTES = 15

#: what runs in an environment with Ultralytics: {name: ok, or the reason}
ULTRALYTICS_CHECKS = """
import json, sys, tempfile, warnings
from pathlib import Path
warnings.filterwarnings("ignore")
import torch, ultralytics
found = {"version": ultralytics.__version__, "torch": torch.__version__}
def tried(name, action):
    try:
        found[name] = action()
    except BaseException as error:
        found[name] = f"{type(error).__name__}: {error}"[:300]
def doctor():
    from loss_plugins.adapters import ultralytics as lpu
    bad = [f"{check['name']}: {check['detail']}" for check in lpu.doctor()["checks"] if not check["ok"]]
    return "ok" if not bad else "; ".join(bad)
def losses():
    from loss_plugins.parity.compare import absent, parity_of
    rows, lacking = list(parity_of("ultralytics", 2000)), absent("ultralytics")
    bad = sorted({row.loss for row in rows if not row.ok})
    count = f"{len({row.loss for row in rows})} losses" + (f", {len(lacking)} not in this version" if lacking else "")
    return f"ok ({count})" if not bad else "broken: " + ", ".join(bad)
def trained(model, task):
    from functools import partial
    from loss_plugins.adapters.ultralytics import training_parity as cases
    from loss_plugins.parity.training import TrainingCase, compare_training
    run = partial(cases.curve, model, task, {"box": cases.BOX})
    with tempfile.TemporaryDirectory() as folder:
        result = compare_training(TrainingCase("ultralytics", model, "box ciou", run, 0.0), Path(folder), 4)
    if result.largest == 0:
        return "ok, bit for bit"
    far = f"differs by {result.largest:.1e} at step {result.at_step}"
    return f"ok, to {result.largest:.0e}" if result.largest < 1e-4 else far
configs = Path(ultralytics.__file__).parent / "cfg/models"
tried("doctor", doctor)
tried("losses", losses)
for model, task in (("yolov8n", "detect"), ("yolo11n", "detect"), ("yolo26n", "detect"), ("yolo11n-seg", "segment")):
    known = any(configs.rglob(model.replace("n-", "-").removesuffix("n") + ".yaml"))
    if known:
        tried(model, lambda: trained(model, task))
    else:
        found[model] = "not shipped"
print("RESULT" + json.dumps(found), flush=True)
"""
MMDET_CHECKS = """
import json, warnings
warnings.filterwarnings("ignore")
found = {}
import torch, mmdet
found.update(version=mmdet.__version__, torch=torch.__version__)
def tried(name, action):
    try:
        found[name] = action()
    except BaseException as error:
        found[name] = f"{type(error).__name__}: {error}"[:300]
def doctor():
    from loss_plugins.adapters.mmdet.doctor import report
    told = report(None)
    bad = [f"{check['name']}: {check['detail']}" for check in told["checks"] if not check["ok"]]
    return "ok" if told["ok"] else "; ".join(bad)
def losses():
    from loss_plugins.parity.compare import parity_of
    rows = list(parity_of("mmdet", 2000))
    bad = sorted({row.loss for row in rows if not row.ok})
    return f"ok ({len({row.loss for row in rows})} losses)" if not bad else "broken: " + ", ".join(bad)
tried("doctor", doctor)
tried("losses", losses)
print("RESULT" + json.dumps(found), flush=True)
"""
CORE_CHECKS = """
import json, subprocess, sys
import torch
run = subprocess.run(
    [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--noconftest",
     "tests/losses/test_golden.py", "tests/losses/test_box_losses.py", "tests/module/test_contract.py",
     "tests/fusion/test_fused.py", "tests/fusion/test_private.py"],
    capture_output=True, text=True)
last = (run.stdout.strip().splitlines() or [run.stderr.strip()[-300:]])[-1]
failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))][:3]
print("RESULT" + json.dumps({"version": torch.__version__, "torch": torch.__version__,
      "golden, contract and engine tests": "ok: " + last if run.returncode == 0 else "; ".join([last, *failed])[:400]}))
"""
#: what runs where pip has installed the wheel with one extra into an empty environment
EXTRA_CHECKS = """
import importlib, json, subprocess, sys
from pathlib import Path
import torch, loss_plugins
found = {"version": loss_plugins.__version__, "torch": torch.__version__}
for name in MODULES:
    importlib.import_module(name)
    found[f"import {name}"] = "ok"
for words in COMMANDS:
    run = subprocess.run([Path(sys.executable).with_name("loss-plugins"), *words], capture_output=True, text=True)
    last = (run.stderr.strip().splitlines() or ["no message"])[-1][:300]
    found[" ".join(words)] = "ok" if run.returncode == 0 else last
print("RESULT" + json.dumps(found), flush=True)
"""
#: extra: modules that it must bring, commands that must work with it
EXTRAS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "": (("loss_plugins.adapters",), ()),
    "cli": ((), (("list",), ("show", "ciou"), ("doctor",))),
    "demo": (("loss_plugins.demo.pictures",), (("list",), ("demo", "--help"))),
    "mmdet": (("loss_plugins.adapters.mmdet",), (("list",), ("demo-mmdet", "--help"))),
    "plots": (("loss_plugins.bench.chart",), ()),
    "ultralytics": (("loss_plugins.adapters.ultralytics",), (("list",), ("doctor",), ("yolo", "--help"))),
}


@dataclass(frozen=True)
class Environment:
    """A version to try.

    Attributes:
        installs: what pip gets.
        shares: torch and the rest come from the environment that runs this; else everything is installed.
        checks: the program to run in it.
        extra: the wheel is installed with this extra, "" for none; None: this checkout is used as it is.
    """

    name: str
    installs: tuple[str, ...]
    checks: str
    shares: bool = True
    extra: str | None = None

    def requirements(self) -> tuple[str, ...]:
        """What pip is asked for."""
        if self.extra is None:
            return self.installs
        name = f"loss-plugins[{self.extra}]" if self.extra else "loss-plugins"
        return (f"{name} @ {wheel().as_uri()}", *self.installs)


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    name: str
    date: str
    python: str
    found: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def ok(self) -> bool:
        """Everything that was tried works."""
        told = [value for key, value in self.found.items() if key not in ("version", "torch")]
        return not self.error and all(value.startswith(("ok", "not shipped")) for value in told)


def _ultralytics(version: str) -> Environment:
    pinned = f"ultralytics=={version}" if version else "ultralytics"
    # pandas, pytz and tzdata: needed up to 8.2, and by nothing else here
    return Environment(f"ultralytics-{version or 'newest'}", (pinned, "pandas", "pytz", "tzdata"), ULTRALYTICS_CHECKS)


def extra_checks(extra: str) -> str:
    """The program that tries what an extra is for."""
    modules, commands = EXTRAS[extra]
    return EXTRA_CHECKS.replace("MODULES", repr(modules)).replace("COMMANDS", repr(commands))


def _extra(extra: str) -> Environment:
    return Environment(f"wheel[{extra}]" if extra else "wheel", (), extra_checks(extra), shares=False, extra=extra)


ENVIRONMENTS = (
    *map(_ultralytics, ("8.2.103", "8.3.253", "8.4.0", "8.4.120", "8.4.190", NEWEST)),
    Environment("mmdet-3.3.0", ("mmdet==3.3.0",), MMDET_CHECKS),
    Environment("onedl-mmdetection", ("onedl-mmdetection", "onedl-mmengine", "onedl-mmcv"), MMDET_CHECKS),
    Environment(
        "torch-newest",
        ("torch", "typing-extensions", "pytest", "pytest-timeout", "hypothesis", "numpy", "typer", "rich", "PyYAML"),
        CORE_CHECKS,
        shares=False,
    ),
    *map(_extra, EXTRAS),
)


def built(environment: Environment) -> Path:
    """The Python of an environment, made now unless it is there."""
    folder = CACHE / environment.name
    python = folder / "bin/python"
    done = folder / "installed"
    if done.is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--disable-pip-version-check", "-q"]
    alone = ["--no-deps"] if environment.shares else []
    subprocess.run(
        [*pip, *alone, *environment.requirements()], check=True, timeout=MINUTES * 60, text=True, capture_output=True
    )
    site = next(folder.glob("lib/python*/site-packages"))
    lines = [sysconfig.get_paths()["purelib"]] if environment.shares else []
    if environment.extra is None:
        (site / "zz_shared.pth").write_text("\n".join([*lines, editable()]) + "\n", encoding="utf-8")
    done.touch()
    return python


def editable() -> str:
    """The line by which loss_plugins itself is found: that of this environment's editable installation."""
    site = Path(sysconfig.get_paths()["purelib"])
    line = next(site.glob("__editable__.loss_plugins-*.pth")).read_text(encoding="utf-8").strip()
    # the finder lies in a folder that an environment of its own does not have
    return f"import sys; sys.path.append({str(site)!r}); exec({line!r}); sys.path.remove({str(site)!r})"


def run(environment: Environment) -> Outcome:
    """Build it, check it."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    told = Outcome(environment.name, today, platform.python_version())
    offline = {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(CACHE / f"{environment.name}-config"),
    }
    try:
        Path(offline["YOLO_CONFIG_DIR"]).mkdir(parents=True, exist_ok=True)
        result = subprocess.run(
            [str(built(environment)), "-c", environment.checks],
            env={**os.environ, **offline},
            cwd=ROOT if environment.extra is None else CACHE,
            text=True,
            capture_output=True,
            timeout=MINUTES * 60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(**{**asdict(told), "error": f"no result within {MINUTES} minutes"})
    except subprocess.CalledProcessError as failure:
        reason = [line for line in failure.stderr.splitlines() if line.strip()][-3:]
        return Outcome(**{**asdict(told), "error": "does not install: " + " ".join(reason)[:300]})
    for line in result.stdout.splitlines():
        if line.startswith("RESULT"):
            return Outcome(**{**asdict(told), "found": json.loads(line.removeprefix("RESULT"))})
    last = (result.stderr.strip().splitlines() or ["no output"])[-1]
    return Outcome(**{**asdict(told), "error": last[:300]})


def compatibility_page(outcomes: Iterable[Outcome]) -> str:
    """docs/compatibility.md."""
    lines = []
    for outcome in outcomes:
        found = dict(outcome.found)
        version, torch = found.pop("version", ""), found.pop("torch", "")
        verdict = "**works**" if outcome.ok else "**refused**"
        checks = outcome.error or "<br>".join(f"{name}: {value}" for name, value in found.items())
        checks = checks.replace("|", "/").replace("\n", " ")
        lines.append(
            f"| {outcome.name} | {version} | {torch} | {outcome.python} | {outcome.date} | {verdict} | {checks} |"
        )
    return TEXT.format(rows="\n".join(lines))


TEXT = """# Which versions work

Made by `python -m tools.version_matrix`; do not edit. Each row is an environment of its own, on the date given.
*doctor* tries the adapter on the installed framework (capability probe, canary). *losses* compares our dialect with
every built-in of that version, value and gradient. The row of a model trains it for four steps on the digits set, with
its stock box loss and with our dialect of it: the curves are equal bit for bit where our arithmetic repeats that of
the version, else to the rounding given. *wheel[extra]*: pip installs the wheel with that extra into an empty
environment, and what the extra is for is tried there.
**refused**: something of this does not hold, see the last column.

| environment | version | torch | Python | date | verdict | checks |
|---|---|---|---|---|---|---|
{rows}
"""


def main(names: list[str]) -> None:
    known = {environment.name: environment for environment in ENVIRONMENTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    kept = {}
    if RESULTS.is_file():
        kept = {row["name"]: Outcome(**row) for row in json.loads(RESULTS.read_text(encoding="utf-8"))}
    for name in names or known:
        print(f"{name} ...", flush=True)
        kept[name] = run(known[name])
        print(f"  {'works' if kept[name].ok else 'refused'}: {kept[name].error or kept[name].found}", flush=True)
        rows = [kept[key] for key in known if key in kept]
        RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(compatibility_page(rows), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
