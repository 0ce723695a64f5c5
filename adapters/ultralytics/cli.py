# SPDX-License-Identifier: AGPL-3.0-or-later
"""`loss-plugins yolo TASK train key=value ... box_loss=eiou`: the `yolo` command with a catalogued loss."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from loss_plugins.errors import refusal

from .config import import_modules, yaml_value
from .errors import UnsupportedUltralytics
from .trainers import REFUSED, TRAINERS, trainer

SLOTS = {"box_loss": "box", "cls_loss": "cls"}
SETTINGS = {"losses": "config", "gain": "gain", "assigner": "assigner", "imports": "imports"}
EXAMPLE = "loss-plugins yolo detect train model=yolo11n.yaml data=data.yaml box_loss=eiou"


def yolo(
    arguments: Annotated[
        list[str],
        typer.Argument(
            help="TASK train key=value ...; loss settings are box_loss=NAME and cls_loss=NAME (or YAML), "
            "box_loss.PARAMETER=VALUE, "
            "losses=FILE, gain=keep|match, assigner=keep|match, imports=MODULE,... (code that registers losses of your "
            "own; a FILE outside of the current folder imports nothing by itself); the rest goes to Ultralytics."
        ),
    ],
) -> None:
    """Train an Ultralytics model with a loss of the catalogue."""
    words = [argument for argument in arguments if "=" not in argument]
    losses, overrides = split_settings([argument for argument in arguments if "=" in argument])
    task = chosen_task(words)
    modules = [module for module in losses.pop("imports", "").split(",") if module]
    if modules:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does, so that a module of this folder is found
        import_modules(modules, f"imports={','.join(modules)}")
    chosen = trainer(task, **losses)
    model_file = overrides.pop("model", None)
    if model_file is None:
        raise refusal("yolo", "model=... is missing", "a model file of Ultralytics", f"write, for example: {EXAMPLE}")
    make_model(task, model_file).train(trainer=chosen, **overrides)


def chosen_task(words: list[str]) -> str:
    """The task of `TASK train`.

    Raises:
        ValueError: not of that form.
        UnsupportedUltralytics: `tune`, or a task that cannot be served.
    """
    if "tune" in words:
        raise UnsupportedUltralytics(
            "tune trains in other processes, where the plugged loss would be missing",
            "Use train with the settings you want to compare",
        )
    if len(words) != 2 or words[1] != "train" or words[0] not in (*TRAINERS, *REFUSED):
        came = f"got {' '.join(words)!r}, and only training uses a loss"
        raise refusal("yolo", came, f"TASK train with TASK one of {', '.join(TRAINERS)}", f"for example: {EXAMPLE}")
    return words[0]


def split_settings(pairs: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the losses, as arguments of `trainer`, and the rest, for Ultralytics.

    >>> split_settings(["box_loss=alpha_iou", "box_loss.alpha=2", "epochs=3"])
    ({'box': {'type': 'alpha_iou', 'alpha': 2}}, {'epochs': 3})
    """
    from ultralytics.cfg import smart_value

    losses: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        argument, _, parameter = key.partition(".")
        name = SLOTS.get(argument)
        if name is not None and parameter:
            if name not in losses:
                came = f"{key}={value} was given without {argument}=NAME before it"
                raise refusal("yolo", came, f"{argument}=NAME {key}=VALUE", f"name the loss first: {argument}=...")
            spec = losses[name]
            losses[name] = {**({"type": spec} if isinstance(spec, str) else spec), parameter: yaml_value(value, pair)}
        elif name is not None:
            losses[name] = yaml_value(value, pair)
        elif key in SETTINGS:
            losses[SETTINGS[key]] = value
        else:
            overrides[key] = smart_value(value)
    return losses, overrides


def make_model(task: str, file: str) -> Any:
    """The Ultralytics model of a file, of the class that the task needs."""
    from ultralytics import YOLO, YOLOWorld

    return YOLOWorld(file) if task == "world" else YOLO(file, task=task)


def report(config: str | None = None) -> dict[str, Any]:
    """What `loss-plugins doctor` shows of this adapter."""
    from .doctor import doctor

    return doctor()
