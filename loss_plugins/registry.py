"""The registries of scope `loss_plugins`: for `type='loss_plugins.X'` MMEngine imports a module of exactly this name.

No other core module names MMEngine; the catalogue of losses is the package `catalog`. Import nothing but MMEngine here:
MMEngine hides an ImportError raised in this file, and reports that the type is not in the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

SCOPE = "loss_plugins"
ADAPTER = "loss_plugins.adapters.mmdet"  # MMEngine imports it at the first look-up; nothing here does


class PackageRegistry(Registry):  # type: ignore[misc]
    """Returns None for a full path into this package, as dumped configs have it, so that the caller imports it."""

    def get(self, key: str) -> Any:
        """The class called `key`."""
        scope, _ = self.split_scope_key(key)
        if scope is not None and scope != SCOPE and find_spec(f"{SCOPE}.{scope}") is not None:
            # "loss_plugins.adapters.mmdet.X" without its scope: MMEngine would import somebody else's `adapters`
            return None
        return super().get(key)


class LossRegistry(PackageRegistry):
    """Looks names up in the catalogue, so that losses registered later are found as well.

    Attributes:
        register: name of a class or of a loss to the registered class, made if need be; None: the catalogue has no such
            loss. The adapter sets it when it is imported.
        unknown: name to the message for one that is not in the catalogue; set by the adapter as well.
    """

    register: Callable[[str], type | None]
    unknown: Callable[[str], str]

    def get(self, key: str) -> Any:
        """The class called `key`, or that of the loss called so; a KeyError with the closest names if there is none."""
        scope, name = self.split_scope_key(key)
        in_scope = scope in (None, SCOPE)
        if in_scope:
            self.import_from_location()
            made = self.register(name)
            if made is not None:
                return made
        found = super().get(key)
        if found is None and in_scope:
            # with None, MMEngine would return an attribute `loss_plugins.<name>`: the core module of that name, say
            raise KeyError(self.unknown(name))
        return found

    def __contains__(self, key: str) -> bool:
        try:
            return self.get(key) is not None
        except KeyError:
            return False


def _child(root: Registry, kind: type[Registry], name: str, location: str) -> Registry:
    # an empty registry is falsy, hence `is None`; a second child of one scope is an error, also after a reload
    found = root.children.get(SCOPE)
    return kind(name, parent=root, scope=SCOPE, locations=[location]) if found is None else found


LOSSES = _child(ROOT_MODELS, LossRegistry, "loss", ADAPTER)
HOOKS = _child(ROOT_HOOKS, PackageRegistry, "hook", f"{ADAPTER}.hook")
DATASETS = _child(ROOT_DATASETS, PackageRegistry, "dataset", f"{ADAPTER}.digits")
