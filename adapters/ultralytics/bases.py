# SPDX-License-Identifier: AGPL-3.0-or-later
"""Trainer classes of users: which task they train, what they must not replace, what theirs with a plug is called."""

from __future__ import annotations

import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import Any

from torch import nn
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer

from loss_plugins.errors import refusal, shown

from .errors import UnsupportedUltralytics
from .places import found_at

PREFIX = "Plugged_"
#: letters that a name of Python does not have, and how the class is named for them
ESCAPED = {"_": "_u", ".": "_d", ":": "_c", "<": "_l", ">": "_g"}
#: through these the losses come in
NEEDED = ("__init__", "train", "_do_train", "_setup_train", "setup_model")
#: the methods of RT-DETR's criterion in which its losses are replaced
OF_LAYERS = ("_get_loss_bbox", "_get_loss_class")
SERVED = "a subclass of Ultralytics' trainer of a task"


def task_of(base: Any) -> str:
    """The task of a user's trainer class, told by the trainer of Ultralytics that it is made of.

    Raises:
        TypeError: it is no trainer of Ultralytics, or one without a task.
    """
    came = f"base={shown(base)}"
    if not isinstance(base, type):
        raise refusal("trainer", f"{came} is no class", SERVED, "pass the class, as base=MyTrainer", TypeError)
    stock = [cls for cls in base.__mro__ if cls.__module__.startswith("ultralytics.models.")]
    if not stock or not issubclass(base, BaseTrainer):
        remedy = "derive it, say, from ultralytics.models.yolo.detect.DetectionTrainer"
        raise refusal("trainer", f"{came} is none of a task of Ultralytics", SERVED, remedy, TypeError)
    task = stock[0].__module__.split(".")[-2]
    return "yoloe-seg" if task == "yoloe" and issubclass(base, SegmentationTrainer) else task


def check_base(base: type) -> None:
    """Raise unless the methods through which the losses come in go on to those of Ultralytics.

    Raises:
        UnsupportedUltralytics: one of them does not.
    """
    for cls, name in _replaced(base, NEEDED):
        raise UnsupportedUltralytics(
            f"{cls.__qualname__}.{name} does not call super().{name}(), through which the losses come in",
            f"Call super().{name}(...) in it, and change what it gives before or after",
        )


def check_criterion(criteria: Iterable[Any], parts: Iterable[str]) -> None:
    """Raise if a criterion of the user's own computes its losses beside the place where they are replaced.

    Args:
        criteria: a criterion and its branches.
        parts: the attributes that hold the losses asked for, "bbox_loss" and "bce".

    Raises:
        UnsupportedUltralytics: one does.
    """
    for part, criterion in itertools.product(parts, criteria):
        names = (part, "__call__", "forward", "loss", "get_assigned_targets_and_loss", *OF_LAYERS)
        held = getattr(criterion, part, None)
        found = _replaced(type(criterion), names, frozenset(names))
        found += _replaced(type(held), ("forward",)) if isinstance(held, nn.Module) else []
        for cls, name in found:
            beside, instead = "", ""
            if held is not None and cls in type(criterion).__mro__ and name != part:
                beside, instead = f" and without self.{part}", f", or self.{part}(...),"
            raise UnsupportedUltralytics(
                f"{cls.__qualname__}.{name} computes its losses without super().{name}(){beside}, so that the stock "
                "loss, or its own, would be trained",
                f"Call super().{name}(...){instead} in it",
            )


def _replaced(cls: type, names: Iterable[str], instead: frozenset[str] = frozenset()) -> list[tuple[type, str]]:
    """The methods of a user's classes that neither call that of the class above them nor name one of `instead`."""
    own = [
        each
        for each in cls.__mro__
        if each.__module__.partition(".")[0] not in ("ultralytics", "loss_plugins", "builtins", "torch")
    ]
    found = []
    for each, name in ((each, name) for each in own for name in names if name in vars(each)):
        code = getattr(inspect.unwrap(vars(each)[name]), "__code__", None)
        if code is None:
            continue
        bodies = list(_bodies(code, each, cls.__mro__ if instead else [each]))
        if not any(_goes_on(body, each, name) or instead.intersection(body.co_names) for body in bodies):
            found.append((each, name))
    return found


def _goes_on(code: CodeType, cls: type, name: str) -> bool:
    """Whether code says `super().NAME`, or names a class above this one, or an alias of it, and NAME."""
    names = {*code.co_names, *code.co_freevars, *(each for each in code.co_consts if isinstance(each, str))}
    known = vars(sys.modules.get(cls.__module__, object))
    above = cls.__mro__[1:]
    titles = {each.__name__ for each in above}
    return name in names and any(
        each == "super" or each in titles or any(known.get(each) is base for base in above) for each in names
    )


def _bodies(code: CodeType, cls: type, classes: Sequence[type]) -> Iterator[CodeType]:
    """The code of a method, of functions in it, and of methods of these classes and functions that they call."""
    waiting = [code]
    seen: set[int] = set()
    while waiting:
        now = waiting.pop()
        if id(now) in seen:
            continue
        seen.add(id(now))
        yield now
        waiting += [part for part in now.co_consts if isinstance(part, CodeType)]
        names = vars(sys.modules.get(cls.__module__, object))
        for name in now.co_names:
            called: Any = next((vars(each)[name] for each in classes if name in vars(each)), names.get(name))
            inside = getattr(inspect.unwrap(called), "__code__", None)
            waiting += [inside] if isinstance(inside, CodeType) else []


# --- the class with a plug, which other processes find by its name ---------------------------------------------------

_made: dict[str, type] = {}


def with_plug(base: type, mixin: type, module: str, task: str) -> type:
    """The class of a user's trainer with the mixin, made once.

    Args:
        base: the user's class.
        mixin: what plugs the losses.
        module: where the class is looked up by its name.
        task: of the base.
    """
    if issubclass(base, mixin):
        return base
    name = PREFIX + re.sub("[_.:<>]", lambda found: ESCAPED[found[0]], f"{base.__module__}:{base.__qualname__}")
    if name not in _made or base not in _made[name].__bases__:
        said = {"__module__": module, "__doc__": base.__doc__, "plugged_task": task}
        _made[name] = type(name, (mixin, base), said)
    return _made[name]


def base_called(name: str) -> type | None:
    """The user's class whose class with a plug has a name; None: there is no such."""
    if name in _made:
        return _made[name].__bases__[1]
    if not name.startswith(PREFIX):
        return None
    letters = {escaped: letter for letter, escaped in ESCAPED.items()}
    module, _, path = re.sub("_[udclg]", lambda found: letters[found[0]], name.removeprefix(PREFIX)).partition(":")
    importlib.import_module(module)
    found = found_at(module, path)
    return found if isinstance(found, type) else None


def check_importable(cls: type) -> None:
    """Raise unless other processes can import the user's class of a class with a plug.

    Raises:
        UnsupportedUltralytics: it is of a script, a notebook or a function.
    """
    base = cls.__bases__[1] if cls.__name__ in _made else None
    if base is None:
        return
    if found_at(base.__module__, base.__qualname__) is not base or base.__module__ == "__main__":
        raise UnsupportedUltralytics(
            f"base={base.__module__}.{base.__qualname__} cannot be imported by the processes of several GPUs",
            "Define it at the top level of a module of its own, and import that",
        )
