"""Values as a config has them in Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from .modules import PluggedLoss
from .naming import type_name


def written(value: Any) -> str:
    """A value of a config as Python text: "dict(type=\\"loss_plugins.CIoULoss\\")", "[1.0] * 133 + [0.1]"."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) and key.isidentifier() for key in value):
            return "{" + ", ".join(f"{written(key)}: {written(each)}" for key, each in value.items()) + "}"
        return f"dict({', '.join(f'{key}={written(each)}' for key, each in value.items())})"
    if isinstance(value, list):
        return _list(value)
    if isinstance(value, type):
        ours = issubclass(value, PluggedLoss)
        return written(type_name(value) if ours else f"{value.__module__}.{value.__qualname__}")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _list(values: list[Any]) -> str:
    """A list, with runs of one value as a product."""
    runs = [(text, len(list(same))) for text, same in groupby(map(written, values))]
    if all(count < 4 for _, count in runs):
        return f"[{', '.join(text for text, count in runs for _ in range(count))}]"
    return " + ".join(f"[{text}]" if count == 1 else f"[{text}] * {count}" for text, count in runs)
