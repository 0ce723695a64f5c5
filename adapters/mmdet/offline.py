"""A model of a config without its weights: nothing is downloaded, and nothing is read from disk."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

#: what names weights, which some classes of MMDetection load when they are built
WEIGHTS = ("pretrained", "teacher_ckpt")
#: switches of the libraries that bring language models
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def without_weights(config: Any) -> Any:
    """A copy of a model's config without the weights that it starts from."""
    if isinstance(config, Mapping):
        left = copy.copy(config)
        for name, value in list(config.items()):
            if name in WEIGHTS or (name == "init_cfg" and _loads(value)):
                left.pop(name)  # type: ignore[attr-defined]
            else:
                left[name] = without_weights(value)  # type: ignore[index]
        return left
    if isinstance(config, (list, tuple)):
        return type(config)(without_weights(each) for each in config)
    return copy.deepcopy(config)


def _loads(init_cfg: Any) -> bool:
    """Whether an init_cfg, or one of a list, reads weights."""
    each = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]
    return any(isinstance(one, Mapping) and "checkpoint" in one for one in each)


@contextmanager
def offline() -> Iterator[None]:
    """Language models are taken from the disk or not at all while the context lasts."""
    before = {name: os.environ.get(name) for name in OFFLINE}
    os.environ.update(dict.fromkeys(OFFLINE, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
