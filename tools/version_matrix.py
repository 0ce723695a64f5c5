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

from .matrix_checks.found import RESULT
from .wheel import ROOT, wheel

CACHE = Path(os.environ.get("LOSS_PLUGINS_MATRIX", Path.home() / ".cache/loss-plugins-matrix"))
PAGE, RESULTS = ROOT / "docs/compatibility.md", ROOT / "docs/compatibility.json"
CHECKS = "tools.matrix_checks"
NEWEST = ""
MINUTES = 30

#: extra: modules that it must bring, commands that must work with it; `list` where no other is brought
EXTRAS: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "": (("loss_plugins.adapters",), ()),
    "cli": ((), (("list",), ("show", "ciou"), ("doctor",))),
    "compare": (("loss_plugins.evidence.compare", "scipy.stats", "matplotlib.pyplot"), (("compare", "--help"),)),
    "demo": (("loss_plugins.demo.pictures",), (("demo", "--help"),)),
    "digits": (("loss_plugins.demo.pictures", "sklearn.datasets", "PIL.Image", "matplotlib.pyplot"), (("list",),)),
    "mmdet": (("loss_plugins.adapters.mmdet",), (("demo-mmdet", "--help"),)),
    "libreyolo": (("loss_plugins.adapters.libreyolo",), (("doctor", "libreyolo"),)),
    "plots": (("loss_plugins.bench.chart",), ()),
    "rfdetr": (("loss_plugins.adapters.rfdetr",), (("doctor", "rfdetr"),)),
    "torchvision": (("loss_plugins.adapters.torchvision",), (("doctor", "torchvision"),)),
    "transformers": (("loss_plugins.adapters.transformers",), (("doctor", "transformers"),)),
    "ultralytics": (("loss_plugins.adapters.ultralytics",), (("doctor",), ("yolo", "--help"))),
}


def extra_checks(extra: str) -> list[str]:
    """The program that tries what an extra is for, and its argument."""
    modules, commands = EXTRAS[extra]
    return [str(ROOT / "tools/matrix_checks/of_extra.py"), json.dumps({"modules": modules, "commands": commands})]


@dataclass(frozen=True)
class Environment:
    """A version to try.

    Attributes:
        installs: what pip gets.
        shares: torch and the rest come from the environment that runs this; else everything is installed.
        checks: the program of tools/matrix_checks to run in it.
        argument: of the program, "" for none.
        extra: the wheel is installed with this extra, "" for none; None: this checkout is used as it is.
    """

    name: str
    installs: tuple[str, ...]
    checks: str
    shares: bool = True
    argument: str = ""
    extra: str | None = None

    def command(self, python: Path) -> list[str]:
        """What runs the checks; where the wheel is tried, nothing of the checkout can be imported."""
        if self.extra is None:
            return [str(python), "-m", f"{CHECKS}.{self.checks}", *([self.argument] if self.argument else [])]
        return [str(python), *extra_checks(self.extra)]

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
    return Environment(f"ultralytics-{version or 'newest'}", (pinned, "pandas", "pytz", "tzdata"), "of_ultralytics")


def _transformers(version: str) -> Environment:
    """With the tokenizers and the hub that an older version takes."""
    hub = "0.36.0" if version.startswith("4.") else "1.5.0"
    return _detr("transformers", version, ("tokenizers==0.22.1", f"huggingface-hub=={hub}") if version else ())


def _detr(framework: str, version: str, more: tuple[str, ...] = ()) -> Environment:
    """With a framework whose adapter's doctor tries everything."""
    pinned = f"{framework}=={version}" if version else framework
    return Environment(f"{framework}-{version or 'newest'}", (pinned, *more), "of_adapter", argument=framework)


def _extra(extra: str) -> Environment:
    return Environment(f"wheel[{extra}]" if extra else "wheel", (), "of_extra", shares=False, extra=extra)


ENVIRONMENTS = (
    *map(_ultralytics, ("8.2.103", "8.3.253", "8.4.0", "8.4.120", "8.4.150", "8.4.190", NEWEST)),
    Environment("mmdet-3.3.0", ("mmdet==3.3.0",), "of_mmdet"),
    Environment("onedl-mmdetection", ("onedl-mmdetection==3.5.1",), "of_mmdet"),
    # it takes no MMDetection after 3.1.0, which takes no mmcv from 2.1.0 on
    Environment("mmrotate-1.0.0rc1", ("mmrotate==1.0.0rc1", "mmdet==3.1.0"), "of_mmrotate"),
    Environment("mmrotate-1.0.0rc1 with mmdet-3.3.0", ("mmrotate==1.0.0rc1",), "of_mmrotate"),
    *map(_transformers, ("4.57.6", "5.0.0", "5.10.4", NEWEST)),
    *(_detr("rfdetr", version) for version in ("1.8.3", NEWEST)),
    *(_detr("libreyolo", version) for version in ("1.4.0", NEWEST)),
    Environment(
        "torch-newest",
        ("torch", "typing-extensions", "pytest", "pytest-timeout", "hypothesis", "numpy", "typer", "rich", "PyYAML"),
        "of_core",
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
    lines = packages() if environment.shares else []
    if environment.extra is None:
        (site / "zz_shared.pth").write_text("\n".join([*lines, editable()]) + "\n", encoding="utf-8")
    done.touch()
    return python


def packages() -> list[str]:
    """The folders of installed packages that are read here, those included that a .pth file of one of them names.

    Python does not read the .pth files of a folder that a .pth file names.
    """
    return [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]


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
            environment.command(built(environment)),
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
        if line.startswith(RESULT):
            return Outcome(**{**asdict(told), "found": json.loads(line.removeprefix(RESULT))})
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
every built-in of that version, value and gradient. *slots of MODEL* plugs a loss into each slot of the model's live
criterion, compares value and gradient there with the loss itself, and takes one training step with all of them; a slot
that the newest version has and this one has not is refused before training, with the reason given. The row of a model
trains it for four steps on the digits set, with its stock box loss and with our dialect of it: the curves are equal bit
for bit where our arithmetic repeats that of the version, else to the rounding given. *wheel[extra]*: pip installs the
wheel with that extra into an empty environment, and what the extra is for is tried there.
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
    for name in names or known:
        print(f"{name} ...", flush=True)
        outcome = run(known[name])
        print(f"  {'works' if outcome.ok else 'refused'}: {outcome.error or outcome.found}", flush=True)
        write([outcome], list(known))


def write(new: list[Outcome], order: list[str]) -> None:
    """Results and page, with some rows new; they are read again first, as another matrix may run beside this one."""
    kept = {}
    if RESULTS.is_file():
        kept = {row["name"]: Outcome(**row) for row in json.loads(RESULTS.read_text(encoding="utf-8"))}
    kept.update({outcome.name: outcome for outcome in new})
    rows = [kept[name] for name in order if name in kept]
    RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(compatibility_page(rows), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
