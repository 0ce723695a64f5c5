"""MMEngine's door: `type='loss_plugins.X'` makes MMEngine import a module of exactly this name.

The only core module that names MMEngine; the catalogue of the core itself is `catalog.py`. Keep imports here to
MMEngine alone: it swallows an ImportError raised in this file, and then says "not in the registry" instead.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

SCOPE = "loss_plugins"
ADAPTER = "loss_plugins.adapters.mmdet"


class PackageRegistry(Registry):  # type: ignore[misc]
    """Leaves full paths into this package, as dumped configs have them, to the caller."""

    def get(self, key: str) -> Any:
        """The class called `key`."""
        scope, _ = self.split_scope_key(key)
        if scope is not None and scope != SCOPE and find_spec(f"{SCOPE}.{scope}") is not None:
            # "loss_plugins.adapters.mmdet.X" without its scope: MMEngine would import somebody else's `adapters`
            return None
        return super().get(key)


class LossRegistry(PackageRegistry):
    """Asks the catalogue, so that losses registered later are found as well."""

    def get(self, key: str) -> Any:
        """The class called `key`; a KeyError with the closest names for one that nobody knows."""
        scope, name = self.split_scope_key(key)
        ours = scope in (None, SCOPE)
        if ours:
            import_module(ADAPTER).register(name)
        found = super().get(key)
        if found is None and ours:
            # MMEngine would go on to any attribute `loss_plugins.<name>`, the plain core module for instance
            raise KeyError(import_module(ADAPTER).unknown(name))
        return found

    def __contains__(self, key: str) -> bool:
        try:
            return self.get(key) is not None
        except KeyError:
            return False


def _child(root: Registry, kind: type[Registry], name: str, location: str) -> Registry:
    # `is None`, as an empty registry is false; a second child of one scope is an error, also after a reload
    found = root.children.get(SCOPE)
    return kind(name, parent=root, scope=SCOPE, locations=[location]) if found is None else found


LOSSES = _child(ROOT_MODELS, LossRegistry, "loss", ADAPTER)
HOOKS = _child(ROOT_HOOKS, PackageRegistry, "hook", f"{ADAPTER}.hook")
DATASETS = _child(ROOT_DATASETS, PackageRegistry, "dataset", f"{ADAPTER}.digits")
