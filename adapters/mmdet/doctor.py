"""What the installed MMDetection, or a config, allows, found out by trying it; a framework is imported in its check."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from .install import COMMANDS, PACKAGES, missing, mmdet_versions


def report(config: str | None = None) -> dict[str, Any] | None:
    """What `loss-plugins doctor [CONFIG.py]` shows of this adapter.

    Args:
        config: an MMDetection config; its model is built (without weights) and checked as the hook would.

    Returns:
        {"ok", "versions", "checks": [{"name", "ok", "detail"}]} in plain types. With nothing of MMDetection
        installed and no config to check, "ok" holds: the checks then say how to install it. None: `config` is a folder
        or a checkpoint.
    """
    if config is not None and (Path(config).is_dir() or Path(config).suffix in (".pt", ".pth")):
        return None
    absent = missing()
    checks = [_tried(f"{name} can be imported", partial(_import, name)) for name in PACKAGES]
    if all(check["ok"] for check in checks):
        checks.append(_tried("losses are registered", _registered))
        checks.append(_tried("MMDetection's own losses are untouched", _untouched))
        if config is not None:
            checks += _config_checks(config)
    unused = len(absent) == len(PACKAGES) and config is None
    return {"ok": unused or all(check["ok"] for check in checks), "versions": mmdet_versions(), "checks": checks}


def _tried(name: str, action: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "detail": action()}
    except Exception as error:  # a broken installation may raise anything: mmdet asserts, mmcv fails to link
        return {"name": name, "ok": False, "detail": f"{type(error).__name__}: {error}"}


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


def _config_checks(config: str) -> list[dict[str, Any]]:
    found: list[Any] = []
    built = _tried(f"the model of {config} can be built", partial(_build, config, found))
    slots = [check for inspection in found for check in _slot_checks(inspection)]
    return [built, _tried("LossPluginsHook", partial(_hooks, config)), *slots]


def _build(config: str, found: list[Any]) -> str:
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from mmengine.registry import MODELS

    from .inspection import inspect

    register_all_modules(init_default_scope=True)
    cfg = Config.fromfile(config)
    model = MODELS.build(cfg.model)
    found.append(inspect(model, cfg.model))
    if not found[0].slots:
        raise RuntimeError("no loss of loss_plugins is in it: write the scope, type='loss_plugins.EIoULoss'")
    return type(model).__name__


def _hooks(config: str) -> str:
    from mmengine.config import Config

    from .lost_hooks import LINE, has_hook, in_words, lost_hooks

    cfg = Config.fromfile(config)
    lost = lost_hooks(cfg)
    if lost:
        raise RuntimeError(in_words(lost))
    if not has_hook(cfg):
        return f"not there, so nothing proves that the losses are trained: {LINE}"
    return "there, and no hook of a base is lost by it"


def _slot_checks(inspection: Any) -> list[dict[str, Any]]:
    """One check a slot, and one if the model could not be tried."""
    checks = [_slot_check(slot, inspection) for slot in inspection.slots]
    if inspection.untried:
        checks.append({"name": "the model can be tried on made-up images", "ok": True, "detail": inspection.untried})
    return checks


def _slot_check(slot: Any, inspection: Any) -> dict[str, Any]:
    from .handed import WORDS

    found = [message for other, message in inspection.findings if other.path == slot.path]
    handed = inspection.handed.get(slot.path)
    gets = f", which gets {WORDS[handed]}" if handed else ""
    detail = "; ".join(found) if found else f"{slot.name} in {type(slot.head).__name__}{gets}"
    return {"name": slot.key, "ok": not found, "detail": detail}
