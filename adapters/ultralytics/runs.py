# SPDX-License-Identifier: AGPL-3.0-or-later
"""What trained a run or a checkpoint: its record, stamps, args.yaml and results.csv, and where they disagree."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loss_plugins.errors import refusal, shown

from .loss_plot import COLUMN
from .mixin import ultralytics_versions
from .nan_guard import GUARD
from .record import PROOF_FILE, STAMP, TornError, checked, names_of, read_comment, read_record, read_yaml
from .slot_table import many
from .spec import differences

#: in the folder of every run
ARGUMENTS, RESULTS = "args.yaml", "results.csv"
#: folders of the logs of MMEngine, in its work directories
MMENGINE = "[0-9]" * 8 + "_" + "[0-9]" * 6


@dataclass(frozen=True)
class Finding:
    """One place that was looked at.

    Attributes:
        name: the place.
        agrees: whether it says what the others say.
        detail: what it says.
    """

    name: str
    agrees: bool
    detail: str


def examine(path: Path) -> dict[str, Any]:
    """What `loss-plugins doctor RUN|CHECKPOINT` shows.

    Args:
        path: the folder of a run, or a checkpoint.

    Returns:
        {"ok", "versions", "checks": [{"name", "ok", "detail"}]} in plain types.

    Raises:
        ValueError: a folder that is none of a run, or a file that is no checkpoint.
    """
    if not path.exists():
        raise refusal("doctor", f"{path} is missing", "the folder of a run, or a checkpoint", "name one that exists")
    whole = path.is_dir()
    folder = path if whole else path.parent.parent
    if whole and not any((path / name).exists() for name in (ARGUMENTS, PROOF_FILE, "weights")):
        came = f"{path} has no {ARGUMENTS}, no {PROOF_FILE} and no weights/"
        raise refusal("doctor", came, "the folder of a run, or a checkpoint", "name the folder that was logged")
    torn: list[Finding] = []
    record = _read(PROOF_FILE, lambda: read_record(folder), torn)
    stamps = {}
    for file in sorted((path / "weights").glob("*.pt")) if whole else [path]:
        stamp = _read(file.name, lambda: stamp_of(file), torn) if whole else stamp_of(file)  # noqa: B023
        if file.name not in {finding.name for finding in torn}:
            stamps[file] = stamp
    findings = [*_findings(folder, record, stamps, torn, whole), *torn]
    return {
        "ok": all(finding.agrees for finding in findings),
        "versions": ultralytics_versions(),
        "checks": [{"name": each.name, "ok": each.agrees, "detail": each.detail} for each in findings],
    }


def is_of_another_framework(folder: Path) -> bool:
    """Whether a record names versions, and none of Ultralytics; or no trace of a run, and files of another framework.

    Those are a config.json, and the folder of a start of MMEngine, which is called by its time.
    """
    if not any((folder / name).exists() for name in (ARGUMENTS, PROOF_FILE, "weights")):
        return (folder / "config.json").is_file() or any(folder.glob(MMENGINE)) or (folder / "vis_data").is_dir()
    try:
        said = read_yaml(folder / PROOF_FILE) if (folder / PROOF_FILE).is_file() else None
    except (OSError, ValueError):
        return False
    named = said.get("versions") if isinstance(said, Mapping) else None
    return isinstance(named, Mapping) and "ultralytics" not in named


def stamp_of(file: Path) -> dict[str, Any] | None:
    """The stamp of a checkpoint; None: no loss of ours trained it.

    Raises:
        ValueError: it is no checkpoint of Ultralytics.
    """
    from ultralytics.nn.tasks import torch_safe_load

    try:
        checkpoint, _ = torch_safe_load(str(file))
        model = checkpoint.get("ema") or checkpoint["model"]
    except Exception as error:  # whatever a file that is no checkpoint raises, in any of the pickle's classes
        came = f"{file} cannot be read: {type(error).__name__}: {error}"
        raise refusal("doctor", came, "a checkpoint of Ultralytics", "name one of weights/") from error
    stamp = getattr(model, STAMP, None)
    try:
        return None if stamp is None else checked(stamp)
    except ValueError as error:
        came = f"the stamp of {file} cannot be read: {error}"
        raise refusal("doctor", came, "a stamp of loss_plugins", "train anew from these weights") from error


def _read(name: str, reader: Callable[[], Any], torn: list[Finding]) -> Any:
    """What a file says; None, and one finding more, where it cannot be read."""
    try:
        return reader()
    except (OSError, ValueError) as error:
        torn.append(Finding(name, False, f"cannot be read: {error}"))
        return None


def _findings(
    folder: Path,
    record: Mapping[str, Any] | None,
    stamps: Mapping[Path, Mapping[str, Any] | None],
    torn: list[Finding],
    whole: bool,
) -> Iterator[Finding]:
    written = _read(RESULTS, lambda: _foreign(folder)[1], []) if whole else []
    foreign = [int(float(row[0])) for row in written or ()]
    said = record or next((stamp for stamp in stamps.values() if stamp is not None), None)
    if said is None:
        yield Finding("trained by", True, "no trace of loss_plugins: the stock losses, or others that left none")
    else:
        yield _trainers(said, foreign, stamps)
    if (record is not None or whole) and PROOF_FILE not in {finding.name for finding in torn}:
        detail = "none" if record is None else f"{names_of(record['losses'])}, run {record.get('run', '?')[:8]}"
        yield Finding(PROOF_FILE, record is not None or said is None, detail)
    for file, stamp in stamps.items():
        yield _of_checkpoint(file, stamp, said)
    if whole:
        yield from _read(ARGUMENTS, lambda: [*_of_arguments(folder, said)], torn) or ()
        yield from _read(RESULTS, lambda: [*_of_results(folder, said)], torn) or ()
        yield from _read(f"{GUARD}.yaml", lambda: [*_of_guard(folder, said)], torn) or ()


def _trainers(said: Mapping[str, Any], foreign: list[int], stamps: Mapping[Path, Mapping[str, Any] | None]) -> Finding:
    """Which epochs the losses of the record have trained, and which others."""
    detail = f"{names_of(said['losses'])}, {_epochs(said)}"
    unstamped = [file.name for file, stamp in stamps.items() if stamp is None]
    if foreign:
        starts = [at for at, epoch in enumerate(foreign) if at == 0 or epoch != foreign[at - 1] + 1]
        ends = [*(at - 1 for at in starts[1:]), len(foreign) - 1]
        detail += (
            f"; {_in_words([(foreign[a], foreign[b]) for a, b in zip(starts, ends, strict=True)])} by the stock losses"
        )
    elif unstamped:
        detail += f"; the last epoch of {', '.join(unstamped)} by the stock losses, or others than ours"
    return Finding("trained by", not (foreign or unstamped), detail)


def _epochs(said: Mapping[str, Any]) -> str:
    parts = [part["epochs"] for part in (*said.get("earlier", ()), said) if part.get("epochs")]
    return _in_words([(first, last) for first, last in parts if last >= first], ", resumed for ") or "no whole epoch"


def _in_words(parts: list[tuple[int, int]], between: str = " and ") -> str:
    """Epochs from first to last: "epoch 1", "epochs 1 to 2 and 4"."""
    texts = [f"{first}" if first == last else f"{first} to {last}" for first, last in parts]
    several = parts and (parts[0][0] != parts[0][1] or (len(parts) > 1 and between == " and "))
    return f"epoch{'s' if several else ''} {between.join(texts)}" if texts else ""


def _of_guard(folder: Path, said: Mapping[str, Any] | None) -> Iterator[Finding]:
    """A training that the guard against NaN has ended; one that has gone on since agrees."""
    for file in sorted(folder.glob(f"{GUARD}*.yaml")):
        found = read_yaml(file)
        if not (isinstance(found, Mapping) and {"what", "value", "epoch", "batch", "image"} <= found.keys()):
            raise TornError(f"{file.name} tells of no loss")
        went_on = ((_last(said) if said is not None else None) or 0) >= found["epoch"]
        where = f"epoch {found['epoch']}, batch {found['batch']}, image {found['image']}"
        end = "ended the training once" if went_on else "ended the training"
        yield Finding(file.name, went_on, f"{end}: the {found['what']} was {found['value']} in {where}")


def _last(said: Mapping[str, Any]) -> int | None:
    epochs = said.get("epochs")
    return None if epochs is None else int(epochs[1])


def _of_checkpoint(file: Path, stamp: Mapping[str, Any] | None, said: Mapping[str, Any] | None) -> Finding:
    if stamp is None:
        return Finding(
            file.name, said is None, "no stamp: the stock losses trained its last epoch, or others than ours"
        )
    detail = f"{names_of(stamp['losses'])}, {_epochs(stamp)}, run {stamp.get('run', '?')[:8]}"
    if said is None:
        return Finding(file.name, False, f"{detail}; and nothing else tells of it")
    wrong = differences(stamp["losses"], said["losses"])
    if stamp.get("run") != said.get("run"):
        wrong.append(f"another run than that of {PROOF_FILE}")
    return Finding(file.name, not wrong, "; ".join([detail, *wrong]))


def _of_arguments(folder: Path, said: Mapping[str, Any] | None) -> Iterator[Finding]:
    losses = read_comment(folder / ARGUMENTS)
    if losses is None:
        yield Finding(ARGUMENTS, said is None, "names no loss: a stock trainer wrote it, or an older version of ours")
    else:
        wrong = differences(losses, said["losses"]) if said is not None else ["and nothing else tells of it"]
        yield Finding(ARGUMENTS, not wrong, "; ".join([names_of(losses), *wrong]))


def _of_results(folder: Path, said: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Rows that a stock trainer has written are shorter than the head, or come after the last epoch of the record."""
    file = folder / RESULTS
    if not file.is_file():
        return
    rows, others, ours = _foreign(folder)
    foreign = [row[0] for row in others]
    detail = many(len(rows), "epochs")
    last = _last(said) if said is not None else None
    wrong = []
    if said is not None and foreign:
        was = "epoch {} was" if len(foreign) == 1 else "epochs {} were"
        wrong.append(f"{was.format(', '.join(foreign))} trained by a stock trainer")
    elif last is not None and rows and float(rows[-1][0]) > last:
        wrong.append(f"the last is {rows[-1][0]}, and {PROOF_FILE} ends with {last}")
    if said is None and ours:
        wrong.append(f"it has the columns {', '.join(ours)} of our trainer")
    yield Finding(RESULTS, not wrong, "; ".join([detail, *wrong]))


def _foreign(folder: Path) -> tuple[list[list[str]], list[list[str]], list[str]]:
    """The rows of results.csv, those of a stock trainer, and the columns of ours; none: there is no file."""
    if not (folder / RESULTS).is_file():
        return [], [], []
    head, *rows = _table(folder / RESULTS)
    ours = [name for name in head if name.startswith(COLUMN)]
    return rows, [row for row in rows if len(row) < len(head)] if ours else rows, ours


def _table(file: Path) -> list[list[str]]:
    """The head and the rows of results.csv, each of which begins with its epoch. What is torn is a ValueError."""
    text = file.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        raise TornError("it is empty, or its last line is not whole")
    head, *rows = ([value.strip() for value in row] for row in csv.reader(text.splitlines()))
    for number, row in enumerate(rows, 2):
        if not (row and row[0].replace(".", "", 1).isdecimal()):
            raise TornError(f"line {number} begins with no epoch: {shown(','.join(row))}")
    return [head, *rows]
