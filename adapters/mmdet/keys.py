"""Where in the config a module of a model was set."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

#: what a semi-supervised detector calls its copies: the one that is trained, and the one that is not
STUDENT, TEACHER = "student", "teacher"


def trained_part(model: nn.Module) -> nn.Module:
    """The detector that is trained, of a model that keeps several."""
    return getattr(model, STUDENT, model)


def path_in_trained(model: nn.Module, path: str) -> str:
    """The path that a module has in the detector that is trained; "": it is in another one."""
    if trained_part(model) is model:
        return path
    first, _, rest = path.partition(".")
    return rest if first == STUDENT else ""


def config_key(model: nn.Module, path: str, config: Mapping[str, Any] | None = None) -> str:
    """The key under which a config sets what lies at a path of the model: "model.rpn_head.loss_bbox".

    A detector may keep a part under another name than its argument: `RPN` its rpn_head as `bbox_head`, a
    semi-supervised one its detector as `student` and `teacher`.

    Args:
        model: the model.
        path: path of a module in it.
        config: the model's config, if known: of a head that is written once for all stages it has no numbers.
    """
    names = _names(model, [name for name in path.split(".") if name])
    if names:
        names[-1] = argument(type(model.get_submodule(path.rpartition(".")[0])), names[-1])
    return ".".join(["model", *_as_written(names, config)])


def argument(head: type, slot: str) -> str:
    """The argument of a head's class that sets the loss of a slot: `FusedSemanticHead` keeps its loss_seg as criterion.

    Args:
        head: the class.
        slot: the name under which its heads keep a loss.
    """
    if slot.startswith("loss"):
        return slot
    parameters = [each for cls in head.__mro__[:-1] for each in inspect.signature(cls).parameters.values()]
    losses = {each.name for each in parameters if each.name.startswith("loss") and isinstance(each.default, Mapping)}
    return losses.pop() if len(losses) == 1 and slot not in {each.name for each in parameters} else slot


def _names(model: nn.Module, names: list[str]) -> list[str]:
    if not names:
        return []
    arguments = inspect.signature(type(model)).parameters
    first, rest = names[0], names[1:]
    if first in arguments:
        return names
    if "detector" in arguments and first in (STUDENT, TEACHER):
        return ["detector", *_names(getattr(model, first), rest)]
    alike = [name for name in arguments if name.endswith(first.rpartition("_")[2]) and not hasattr(model, name)]
    return [alike[0], *rest] if len(alike) == 1 else names


def _as_written(names: list[str], config: Mapping[str, Any] | None) -> list[str]:
    """Without the numbers of stages that the config does not tell apart."""
    written, at = [], config
    for name in names:
        if name.isdigit() and isinstance(at, Mapping):
            continue
        written.append(name)
        at = inside(at, name)
    return written


def inside(at: Any, name: str) -> Any:
    """What a config has under a name, or a list at a number; None: nothing."""
    if isinstance(at, Mapping):
        return at.get(name)
    return at[int(name)] if isinstance(at, (list, tuple)) and name.isdigit() and int(name) < len(at) else None
