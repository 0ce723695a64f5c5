"""Trainings of a tiny model by the Trainer of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from .models import batch

IMAGES = 8


def items(model: Any, count: int = IMAGES) -> list[dict[str, Any]]:
    """Images with their labels, one by one."""
    made = [batch(model, 1, seed) for seed in range(count)]
    return [{"pixel_values": each["pixel_values"][0], "labels": each["labels"][0]} for each in made]


def collate(given: list[dict[str, Any]]) -> dict[str, Any]:
    pixels = torch.stack([each["pixel_values"] for each in given])
    return {"pixel_values": pixels, "labels": [dict(each["labels"]) for each in given]}


def trainer(model: Any, folder: Path, *callbacks: Any, kind: type = Trainer, **more: Any) -> Any:
    """One epoch of 4 steps; checkpoints after the second and the last."""
    asked = {
        "output_dir": str(folder),
        "num_train_epochs": 1,
        "per_device_train_batch_size": 2,
        "save_strategy": "steps",
        "save_steps": 2,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
    }
    made = kind(
        model,
        TrainingArguments(**{**asked, **more}),
        train_dataset=items(model),
        data_collator=collate,
        callbacks=[*callbacks],
    )
    made.remove_callback(PrinterCallback)
    return made
