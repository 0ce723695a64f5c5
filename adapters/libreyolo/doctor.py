"""What the installed LibreYOLO allows: the losses in the modules of its families are looked at, and tried."""

from __future__ import annotations

import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from typing import Any

from torch import nn

from ..detr import UnsupportedCriterion
from ..detr import plug as plug_criterion
from ..detr.doctors import Examined, reported
from ..detr.installed import framework
from .forms import recognised
from .found import place_of
from .trainers import PROCESSES, TRAINER

#: parts of the names of modules that hold losses
NAMES = ("loss", "criterion")


@reported("libreyolo")
def report() -> Examined:
    """The trainers, and the losses in the modules of all families.

    Raises:
        ModuleNotFoundError: LibreYOLO is not installed; the message says how to.
    """
    framework("libreyolo")
    served: dict[str, str] = {}
    refused: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of code that is tried
        for name, found in _looked_at():
            (served if found.startswith("its own") else refused)[name] = found
    losses = {"name": "box losses", "ok": bool(served), "detail": "; ".join(f"{k}: {v}" for k, v in served.items())}
    return Examined([_trainer(), losses], refused, list(served))


def _trainer() -> dict[str, Any]:
    """Whether `patched` finds what it stands in for."""
    (trainer, cls, method), (processes, start) = TRAINER, PROCESSES
    ok = method in vars(getattr(framework(trainer), cls)) and hasattr(framework(processes), start)
    return {"name": "trainers can be patched", "ok": ok, "detail": f"{cls}.{method}, {start}"}


def _looked_at() -> Iterator[tuple[str, str]]:
    """The losses of all families, with what was found."""
    for module in _modules():
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", "") != module.__name__:
                continue
            title = f"{module.__name__.removeprefix('libreyolo.models.')}.{name}"
            if isinstance(value, type) and hasattr(value, "loss_boxes"):
                yield title, _criterion(value)
                continue
            place = place_of(value()) if _is_made_of_nothing(value) else None
            form = recognised(value) if inspect.isfunction(value) else place and place.form
            if form is not None:
                yield title, f"its own {form.stock}"


def _modules() -> Iterator[Any]:
    models = framework("libreyolo.models")
    for family in pkgutil.iter_modules(models.__path__):
        if family.ispkg:
            package = framework(f"libreyolo.models.{family.name}")
            for each in pkgutil.iter_modules(package.__path__):
                if any(part in each.name for part in NAMES) and "validation" not in each.name:
                    yield framework(f"{package.__name__}.{each.name}")


def _criterion(cls: Any) -> str:
    """What a plug says of a criterion of the DETR family; only its loss of boxes is looked at."""
    criterion: Any = cls.__new__(cls)
    if isinstance(criterion, nn.Module):
        nn.Module.__init__(criterion)
    try:
        made = plug_criterion(criterion, box="eiou")
    except UnsupportedCriterion as error:
        return str(error)
    found = made.report.box
    return f"its own {found.stock}" if found is not None else "no box loss"


def _is_made_of_nothing(value: Any) -> bool:
    """Whether a class of losses can be made without arguments, and its objects are called."""
    if not isinstance(value, type) or "__call__" not in dir(value):
        return False
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(value).parameters.values()
    return all(each.default is not each.empty or each.kind in fixed for each in parameters)
