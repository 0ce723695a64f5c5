# SPDX-License-Identifier: AGPL-3.0-or-later
"""`loss-plugins yolo TASK train key=value ... box_loss=eiou`: the `yolo` command with a catalogued loss."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated, Any

import typer
from ultralytics.cfg import DEFAULT_CFG_DICT, smart_value

from loss_plugins.catalog.ranges import closest
from loss_plugins.errors import refusal

from . import yoloe
from .config import KEYS, import_modules, is_here
from .errors import UnsupportedUltralytics
from .own import importable
from .record import PROOF_FILE, STAMP, read_stamp
from .slot_table import PLACES, SLOTS, UNSERVED
from .spec import Said, spec_of
from .trainers import REFUSED, TRAINERS, trainer_for
from .yaml12 import yaml_value

SHELL = {place.shell: place.name for place in PLACES}
SETTINGS = {"losses": "config", "gain": "gain", "assigner": "assigner", "nan_guard": "nan_guard", "imports": "imports"}
SAID = Said(**{place.name: place.shell for place in PLACES}, config="losses", eiou="eiou")
#: keys of Ultralytics that have the names of our slots
GAINS_OF = tuple(name for name in (*SLOTS, *UNSERVED) if name in DEFAULT_CFG_DICT)
EXAMPLE = "loss-plugins yolo detect train model=yolo11n.yaml data=data.yaml box_loss=eiou"


def yolo(
    arguments: Annotated[
        list[str],
        typer.Argument(
            help=f"[TASK] train key=value ...; loss settings are {', '.join(f'{key}=NAME' for key in SHELL)} (or "
            "YAML), box_loss.PARAMETER=VALUE, "
            "losses=FILE, gain=keep|match, assigner=keep|match, nan_guard=True (ends where a loss is NaN, and names "
            "image and box), imports=MODULE,... (code that registers losses of your own; a FILE outside of the current "
            "folder imports nothing by itself); the rest goes to Ultralytics. "
            "With resume, the losses are those of the checkpoint."
        ),
    ],
) -> None:
    """Train an Ultralytics model with a loss of the catalogue."""
    words = [argument for argument in arguments if "=" not in argument]
    losses, overrides = split_settings([argument for argument in arguments if "=" in argument])
    task, flags = chosen_task(words)
    overrides.update(flags)
    modules = [module for module in losses.pop("imports", "").split(",") if module]
    import_modules(modules, f"imports={','.join(modules)}")
    resume, model_file = overrides.get("resume"), overrides.pop("model", None)
    of_run = bool(resume) and not losses.keys() - {"nan_guard"}
    if of_run:
        checkpoint = model_file if resume is True else resume
        losses = {**losses_of(str(checkpoint or required_model(None))), **losses}
    chosen = trainer_for(task, spec_of(losses, SAID), may_resume=of_run)
    make_model(task, required_model(model_file)).train(trainer=chosen, **overrides)


def required_model(file: Any) -> str:
    """The file of the model; raises where there is none."""
    if file is None:
        raise refusal("yolo", "model=... is missing", "a model file of Ultralytics", f"write, for example: {EXAMPLE}")
    return str(file)


def chosen_task(words: list[str]) -> tuple[str | None, dict[str, bool]]:
    """The task of `[TASK] train`, None for the model's, and the keys of Ultralytics that are set by their name alone.

    Raises:
        ValueError: not of that form.
        UnsupportedUltralytics: `tune`, or a task that cannot be served.
    """
    if "tune" in words:
        raise UnsupportedUltralytics(
            "tune trains in other processes, where the plugged loss would be missing",
            "Call lpu.tune(...) in Python, or use train with the settings you want to compare",
        )
    flags = {word: True for word in words if isinstance(DEFAULT_CFG_DICT.get(word), bool)}
    tasks = [word for word in words if word in (*TRAINERS, *REFUSED)]
    if len(tasks) > 1 or sorted({*words} - {*flags, *tasks}) != ["train"]:
        came = f"got {' '.join(words)!r}, and only training uses a loss"
        odd = next((word for word in words if word not in (*flags, *tasks, "train")), "")
        near = closest(odd, (*TRAINERS, "train"))
        guess = f"{near} " if odd and near.startswith("did you mean") else ""
        remedy = f"{guess}for example: {EXAMPLE}"
        raise refusal("yolo", came, f"train, or TASK train with TASK one of {', '.join(TRAINERS)}", remedy)
    return (tasks[0] if tasks else None), flags


def split_settings(pairs: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the losses, as arguments of `trainer`, and the rest, for Ultralytics; in any order.

    Raises:
        ValueError: a key that nobody knows, or a parameter of a loss that is not named.

    >>> split_settings(["box_loss.alpha=2", "box_loss=alpha_iou", "epochs=3"])
    ({'box': {'type': 'alpha_iou', 'alpha': 2}}, {'epochs': 3})
    """
    losses: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    parameters: list[tuple[str, str, str]] = []
    for pair in pairs:
        key, _, value = pair.partition("=")
        argument, _, parameter = key.partition(".")
        if (argument in SHELL or key in SETTINGS) and sum(other.startswith(f"{key}=") for other in pairs) > 1:
            came = f"{pair}: {key} is given again"
            raise refusal("yolo", came, "each key of a loss once", "leave one of the two out")
        if argument in SHELL and parameter == "type":
            came = f"{pair} names a loss as a parameter of one"
            raise refusal("yolo", came, f"{argument}=NAME", f"write {argument}={value} alone")
        if argument in SHELL and parameter:
            parameters.append((argument, parameter, value))
        elif key in SHELL:
            losses[SHELL[key]] = shell_value(value, pair)
        elif key in SETTINGS:
            losses[SETTINGS[key]] = smart_value(value) if key == "nan_guard" else value
        else:
            overrides[key] = smart_value(value)
            check_key(key, overrides[key])
    for argument, parameter, value in parameters:
        spec = losses.get(SHELL[argument])
        if spec is None:
            came = f"{argument}.{parameter}={value} was given without {argument}=NAME"
            raise refusal(
                "yolo", came, f"{argument}=NAME {argument}.{parameter}=VALUE", f"name the loss: {argument}=..."
            )
        spec = {"type": spec} if isinstance(spec, str) else spec
        losses[SHELL[argument]] = {**spec, parameter: shell_value(value, f"{argument}.{parameter}={value}")}
    return losses, overrides


def shell_value(text: str, where: str) -> Any:
    """A value as `yolo` reads it, 1e-7 or 640,640, and YAML beside.

    Raises:
        ValueError: neither, or a key of a dict again.
    """
    value = smart_value(text)
    if isinstance(value, (dict, list, tuple)):
        check_keys(text, where)
    return yaml_value(text, where) if isinstance(value, str) else value


def check_keys(text: str, where: str) -> None:
    """Raise if a dict in Python's notation has a key again: the last one would win in silence."""
    for part in ast.walk(ast.parse(text.strip(), mode="eval")):
        keys = [ast.unparse(key) for key in part.keys if key is not None] if isinstance(part, ast.Dict) else []
        again = [key for key in keys if keys.count(key) > 1]
        if again:
            raise refusal("yolo", f"{where}: the key {again[0]} again", "each key once", "leave one of the two out")


def check_key(key: str, value: Any) -> None:
    """Raise unless Ultralytics knows a key, and takes no loss for it."""
    if key in GAINS_OF and not isinstance(value, (int, float)):
        came, allowed = f"{key}={value}: {key} is Ultralytics' gain of the {key} loss", "a number"
        raise refusal("yolo", came, allowed, UNSERVED.get(key) or f"for another loss write {key}_loss={value}")
    if key not in DEFAULT_CFG_DICT and key not in ("save_dir", "augmentations", "session"):
        known = (*SHELL, *SETTINGS, *DEFAULT_CFG_DICT)
        remedy = f"for a loss write box_loss={value} or cls_loss={value}" if "loss" in key else closest(key, known)
        remedy = UNSERVED.get(key.removesuffix("_loss"), remedy)
        raise refusal("yolo", f"unknown key {key}={value}", "keys of `yolo train` and of the losses", remedy)


def losses_of(checkpoint: str) -> dict[str, Any]:
    """The losses that a checkpoint was trained with, as arguments of `trainer`.

    Raises:
        ValueError: it was trained with the stock losses.
    """
    from ultralytics import YOLO

    stamp = getattr(YOLO(checkpoint).model, STAMP, None)
    if stamp is None:
        came = f"{checkpoint} was trained with the stock losses"
        raise refusal("yolo", came, "a checkpoint of a loss of the catalogue", "resume it by `yolo train resume`")
    losses = read_stamp(stamp, checkpoint)["losses"]
    missing = [module for module in losses.get("imports", ()) if not is_here(module)]
    if missing:
        came, remedy = f"{checkpoint} was trained with a loss of {missing[0]}", f"say imports={','.join(missing)}"
        if not all(map(importable, missing)):
            ask = f"lpu.trainer(config={str(Path(checkpoint).parent.parent / PROOF_FILE)!r}, box=THE_FUNCTION)"
            resumed = f"YOLO({checkpoint!r}).train(trainer={ask}, resume=True)"
            remedy = f"no shell finds that; resume in the program that has it: {resumed}"
        raise refusal("yolo", came, "losses of this package, or of modules that are imported", remedy)
    return {key: losses[key] for key in KEYS if losses.get(key) is not None}


def make_model(task: str | None, file: str) -> Any:
    """The Ultralytics model of a file, of the class that the task needs."""
    from ultralytics import YOLO, YOLOWorld

    if task in yoloe.TRAINERS:
        from ultralytics import YOLOE

        return YOLOE(file)
    return YOLOWorld(file) if task == "world" else YOLO(file, task=task)


def report(asked: str | None = None) -> dict[str, Any] | None:
    """What `loss-plugins doctor [RUN|CHECKPOINT]` shows of this adapter.

    Args:
        asked: the folder of a run, or a checkpoint; None: the installation.

    Returns:
        The report; None: this is neither, another adapter may know it.
    """
    from .doctor import doctor
    from .runs import examine, is_of_another_framework

    if asked is None:
        return doctor()
    path = Path(asked)
    if path.is_dir():
        return None if is_of_another_framework(path) else examine(path)
    return examine(path) if path.suffix == ".pt" else None
