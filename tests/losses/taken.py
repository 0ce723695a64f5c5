"""Parameters of a family of losses, as far as each of them has them."""

from __future__ import annotations

from typing import Any

from loss_plugins.catalog.entries import Entry


def taken(entry: Entry, **parameters: Any) -> dict[str, Any]:
    """Those parameters that the loss has."""
    return {name: value for name, value in parameters.items() if name in entry.parameters}


def allows(entry: Entry, **parameters: Any) -> bool:
    """Whether the loss takes these values of the parameters that it has."""
    known = ((entry.parameters[name].allowed, value) for name, value in taken(entry, **parameters).items())
    return all(allowed is None or value in allowed for allowed, value in known)
