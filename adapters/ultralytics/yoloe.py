# SPDX-License-Identifier: AGPL-3.0-or-later
"""YOLOE: trainers that fine-tune a checkpoint on the classes of a data set. Older Ultralytics have none."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ultralytics.nn import tasks

from loss_plugins.errors import refusal

from .mixin import LossPluginMixin

#: the classes of its models, by task; one of masks is one of boxes too
MODELS: dict[Any, str] = {}
#: the layers that its models end with, by task
HEADS = {"YOLOEDetect": "yoloe", "YOLOESegment": "yoloe-seg", "YOLOESegment26": "yoloe-seg"}
TRAINERS: dict[str, type[LossPluginMixin]] = {}

if find_spec("ultralytics.models.yolo.yoloe") is not None:
    from ultralytics.models.yolo.yoloe import YOLOEPESegTrainer, YOLOEPETrainer

    class LossPluginYOLOETrainer(LossPluginMixin, YOLOEPETrainer):  # type: ignore[misc]
        """Fine-tuning of YOLOE on the classes of a data set, with plugged losses."""

        plugged_task = "yoloe"

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            """The model, with the names of the classes as its text prompts."""
            require_weights(self.plugged_task, cfg, weights)
            return super().get_model(cfg, weights, verbose)

    class LossPluginYOLOESegTrainer(LossPluginMixin, YOLOEPESegTrainer):  # type: ignore[misc]
        """Fine-tuning of YOLOE with masks on the classes of a data set, with plugged losses."""

        plugged_task = "yoloe-seg"

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            """The model, with the names of the classes as its text prompts."""
            require_weights(self.plugged_task, cfg, weights)
            return super().get_model(cfg, weights, verbose)

    MODELS = {tasks.YOLOESegModel: "yoloe-seg", tasks.YOLOEModel: "yoloe"}
    TRAINERS = {"yoloe": LossPluginYOLOETrainer, "yoloe-seg": LossPluginYOLOESegTrainer}


def require_weights(task: str, cfg: Any, weights: Any) -> None:
    """Raise unless there are weights to fine-tune."""
    if weights is None:
        file = cfg.get("yaml_file") if isinstance(cfg, dict) else cfg
        base = "YOLOETrainerFromScratch" if task == "yoloe" else "YOLOESegTrainerFromScratch"
        came = f"task={task!r} fine-tunes a checkpoint, and {file} has no weights"
        raise refusal("trainer", came, "a checkpoint", f"pass base={base} to train from scratch")
