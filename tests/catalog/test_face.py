"""The public names of the package: every loss as a function and as a class, and little else."""

from __future__ import annotations

import inspect
import pickle

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.module.build import module_class

#: what is public beside the losses
TOOLS = {
    "Choice", "Effect", "Entry", "Interval", "Loss", "Parameter", "PerClass", "Series", "Source", "State", "Traits",
    "__version__", "build_loss", "cxcywh_to_xyxy", "get_entry", "list_losses", "register_loss", "unregister_loss",
}  # fmt: skip


def test_every_loss_is_public_as_function_and_class_and_nothing_else_is() -> None:
    functions = {entry.function.__name__ for entry in shipped()}
    classes = {module_class(entry.name).__name__ for entry in shipped()}
    assert set(lp.__all__) == functions | classes | TOOLS
    assert len(lp.__all__) == len(set(lp.__all__))


def test_no_module_is_among_the_public_names() -> None:
    assert [name for name in lp.__all__ if inspect.ismodule(getattr(lp, name))] == []


def test_functions_and_classes_are_pickled_by_name() -> None:
    for entry in shipped():
        for name in (entry.function.__name__, module_class(entry.name).__name__):
            public = getattr(lp, name)
            assert pickle.loads(pickle.dumps(public)) is public
