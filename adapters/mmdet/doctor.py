"""What the installed MMDetection, or a config, allows, found out by trying it; a framework is imported in its check."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from .checks import checked
from .install import COMMANDS, PACKAGES, missing, mmdet_versions
from .runs import config_of, record_check, work_dir_of


def report(config: str | None = None, cfg_options: Sequence[str] = (), fix: bool = False) -> dict[str, Any] | None:
    """What `loss-plugins doctor [CONFIG.py|WORK_DIR]` shows of this adapter.

    Args:
        config: an MMDetection config; its model is built (without weights) and checked as the hook would. Or the work
            directory of a training, or a checkpoint in it: the config that MMEngine kept there, and what trained.
        cfg_options: KEY=VALUE, which override those of the config.
        fix: whether to find the lines that mend the config, which builds it several times.

    Returns:
        {"ok", "versions", "checks": [{"name", "ok", "detail"}]} in plain types, and with `fix` "fix", the lines. With
        nothing of MMDetection installed and no config to check, "ok" holds: the checks then say how to install it.
        None: `config` is a folder or a checkpoint, and not of MMEngine.
    """
    folder = None
    if config is not None and (Path(config).is_dir() or Path(config).suffix in (".pt", ".pth")):
        folder = work_dir_of(Path(config))
        if folder is None:
            return None
    absent = missing()
    lines: list[str] = []
    checks = [checked(f"{name} can be imported", partial(_import, name)) for name in PACKAGES]
    if all(check["ok"] for check in checks):
        checks.append(checked("losses are registered", _registered))
        checks.append(checked("MMDetection's own losses are untouched", _untouched))
        if folder is not None:
            checks.append(record_check(folder))
            kept = config_of(folder)
            config = None if kept is None else str(kept)
            if kept is None:
                came = f"{folder} holds none: write loss-plugins doctor CONFIG.py, with the config that was trained"
                checks.append({"name": "the config is there", "ok": False, "detail": came})
        if config is not None:
            from .configs import config_checks

            found, lines = config_checks(config, cfg_options, fix)
            checks += found
    unused = len(absent) == len(PACKAGES) and config is None and folder is None
    told = {"ok": unused or all(check["ok"] for check in checks), "versions": mmdet_versions(), "checks": checks}
    return {**told, "fix": lines} if fix else told


def _import(name: str) -> str:
    try:
        module = import_module(name)
        if name == "mmcv":
            import_module("mmcv.ops")  # compiled, and built for one torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}. Install it: {COMMANDS.get(str(error.name), COMMANDS[name])}") from error
    except (ImportError, AssertionError) as error:
        raise ImportError(f"{error}. Reinstall it: {COMMANDS[name]}") from error
    return str(module.__version__)


def _registered() -> str:
    from loss_plugins.registry import LOSSES

    from .registration import register_all

    register_all()
    return f"{len(LOSSES.module_dict)} losses as type='loss_plugins.X'"


def _untouched() -> str:
    from mmdet.models import losses  # noqa: F401 - registers them
    from mmdet.registry import MODELS

    owner = MODELS.module_dict["EIoULoss"].__module__
    if not owner.startswith("mmdet."):
        raise RuntimeError(f"EIoULoss of MMDetection was replaced by {owner}, which registered it with force=True")
    return "an unscoped EIoULoss is MMDetection's own (Extended IoU, another paper)"
