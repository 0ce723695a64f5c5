"""What two trainings of MMDetection have in common, told so that it can be compared: data, assigners, first weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def data_of(runner: Runner) -> dict[str, str]:
    """A digest of the names, sizes and labels of what is trained and validated on."""
    loaders = {"train": runner.train_dataloader, "val": runner.val_dataloader}
    return {split: _digest(_told(loader.dataset)) for split, loader in loaders.items()}


def _told(dataset: Any) -> Iterable[bytes]:
    for index in range(len(dataset)):
        told = dict(dataset.get_data_info(index))
        image = Path(str(told.pop("img_path", "")))
        size = image.stat().st_size if image.is_file() else 0
        yield f"{image.name} {size} {json.dumps(told.get('instances', []), default=str, sort_keys=True)}".encode()


def assigners_of(model: nn.Module) -> dict[str, str]:
    """Class and settings of what assigns objects to predictions, by the part of the model that holds it."""
    found = {}
    for path, part in bare(model).named_modules():
        for name in ("assigner", "alpha_assigner", "initial_assigner"):
            assigner = getattr(part, name, None)
            if assigner is not None:
                plain = {key: value for key, value in vars(assigner).items() if isinstance(value, (int, float, str))}
                said = ", ".join(f"{key}={value}" for key, value in sorted(plain.items()))
                found[f"{path}.{name}"] = f"{type(assigner).__name__}({said})"
    return found


def digest_of_weights(model: nn.Module) -> str:
    """Of all numbers of a model but for those of its losses, which may keep running statistics."""
    state = bare(model).state_dict()
    kept = (key for key in state if not any(part.startswith("loss") for part in key.split(".")))
    return _digest(part for key in kept for part in (key.encode(), state[key].cpu().numpy().tobytes()))


def digest(text: str) -> str:
    """Of a text."""
    return _digest([text.encode()])


def bare(model: nn.Module) -> nn.Module:
    """The model inside the wrapper of several processes."""
    inner: Any = model.module if is_model_wrapper(model) else model
    return inner  # type: ignore[no-any-return]


def _digest(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
        found.update(b"\0")
    return found.hexdigest()[:16]
