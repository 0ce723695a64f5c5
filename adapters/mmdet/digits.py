"""The digits set as a data set of MMDetection: `dict(type='loss_plugins.DigitsDataset', split='train')`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mmdet.datasets import CocoDataset
from mmengine.dist import barrier, is_main_process

from loss_plugins.demo.digits import NAMES, make_digits
from loss_plugins.registry import DATASETS


class DigitsDataset(CocoDataset):  # type: ignore[misc]
    """Scenes of handwritten digits, composed below `root` on first use, without a network.

    Args:
        split: "train" (400 scenes) or "val" (100).
        root: folder of the set.
        train: number of training scenes.
        val: number of validation scenes.
        **options: those of CocoDataset.
    """

    METAINFO: ClassVar[dict[str, Any]] = {"classes": NAMES}

    def __init__(self, split: str, root: str = "data/digits", train: int = 400, val: int = 100, **options: Any) -> None:
        if is_main_process():
            make_digits(Path(root), train=train, val=val, progress=False)
        barrier()  # the other ranks read what the main one has composed
        super().__init__(
            ann_file=f"{root}/annotations/{split}.json", data_prefix={"img": f"{root}/images/{split}"}, **options
        )


if "DigitsDataset" not in DATASETS.module_dict:  # imported again, or under a second name
    DATASETS.register_module(module=DigitsDataset)
