"""The hooks of a config: whether LossPluginsHook is among them, and which of its bases went missing for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from .bases import bases

HOOK = "LossPluginsHook"
LINE = "default_hooks = dict(loss_plugins=dict(type='loss_plugins.LossPluginsHook'))"


def has_hook(cfg: Config) -> bool:
    """Whether a config, as it is merged, holds LossPluginsHook: in default_hooks, or in custom_hooks."""
    defaults = (cfg.get("default_hooks") or {}).values()
    return HOOK in [*_custom(cfg), *(_name(hook) for hook in defaults if hook is not None)]


def lost_hooks(cfg: Config) -> list[str] | None:
    """The hooks that bases of a config have in custom_hooks, and that a list with LossPluginsHook has replaced.

    MMEngine merges dicts and replaces lists. The file is read again, as a merged config does not know its bases; of
    one that has none, as a dumped copy, or whose file is gone, nothing is known and nothing said. None: a base cannot
    be read any more.
    """
    kept = _custom(cfg)
    if HOOK not in kept or not cfg.filename or not Path(cfg.filename).is_file():
        return []
    try:
        before = _before(Config.fromfile(cfg.filename, import_custom_modules=False))
    except Exception:  # a file that changed or moved since may raise anything, and this must end no training
        return None
    return [name for name in dict.fromkeys(before) if name not in kept]


def in_words(lost: list[str]) -> str:
    """What was lost, and what to do."""
    return (
        f"the list custom_hooks that holds {HOOK} has replaced the one of its _base_, so {', '.join(lost)} of the base "
        f"will not run: take {HOOK} out of custom_hooks, and write {LINE}, which is merged with the base's"
    )


def _before(cfg: Config) -> list[str]:
    """The custom hooks of the youngest configs of a tree of bases that do not hold ours."""
    names = _custom(cfg)
    if HOOK not in names:
        return names
    return [name for base in bases(Path(cfg.filename)) for name in _before(base)]


def _custom(cfg: Config) -> list[str]:
    return [_name(hook) for hook in cfg.get("custom_hooks") or ()]


def _name(hook: Any) -> str:
    """The class of a hook: of an instance, or of a dict whose type is a class or its name with or without a scope."""
    kind = hook.get("type") if isinstance(hook, dict) else type(hook)
    return kind.__name__ if isinstance(kind, type) else str(kind).rpartition(".")[2]
