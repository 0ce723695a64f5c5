# SPDX-License-Identifier: AGPL-3.0-or-later
"""The guard against losses that are NaN or infinite: it names the first row of a batch, saves its image, and raises.

It reads each loss and each gradient when they are computed, so that the host waits for the device in every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.utils.hooks import RemovableHandle
from ultralytics.utils import RANK

from loss_plugins.reports import beside, write_whole

from .errors import LossNotFinite

#: how the names of all files begin that it saves
GUARD = "nan_guard"
#: what is saved in the folder of the run, but for the ending; each process has its own
NAME = GUARD if RANK in {-1, 0} else f"{GUARD}-rank{RANK}"
#: longer lists of numbers are in the file of tensors alone
LONGEST = 100
ImageOf = Callable[[int], int]


@dataclass
class Batch:
    """What is trained on.

    Attributes:
        content: as the trainer has it on the device.
        epoch: from 1.
        number: in the epoch, from 1.
    """

    content: Mapping[str, Any]
    epoch: int
    number: int

    def __str__(self) -> str:
        return f"epoch {self.epoch}, batch {self.number}"


class Guard:
    """Looks at the rows of each loss, and of its gradient, while there is a batch.

    Attributes:
        batch: the one in training; None: nothing is looked at.
        folder: of the run.
    """

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.folder = Path()
        self._with_masks: list[int] = []
        self._last = (0, 0)
        self._gradients: list[RemovableHandle] = []

    def begin(self, content: Mapping[str, Any], epoch: int, folder: Path) -> None:
        """A batch begins."""
        self.let_go()
        number = self._last[1] + 1 if self._last[0] == epoch else 1
        self.batch, self.folder, self._last = Batch(content, epoch, number), folder, (epoch, number)

    def begin_epoch(self) -> None:
        """An epoch begins, or begins again: its batches are counted from 1."""
        self.let_go()
        self._last = (0, 0)

    def let_go(self) -> None:
        """A batch is over, or was given up: nothing of it is kept on the device, nor by the graph of its loss."""
        for handle in self._gradients:
            handle.remove()
        self.batch, self._with_masks, self._gradients = None, [], []

    def expect(self, foreground: Tensor) -> None:
        """A branch of the criterion was called: masks follow, of each image with foreground (b, anchors) in order."""
        self._with_masks = foreground.any(-1).nonzero().flatten().tolist() if self.batch is not None else []

    def next_with_masks(self) -> ImageOf:
        """The image that the masks of the next call are of."""
        image = self._with_masks.pop(0) if self._with_masks else None
        return lambda _: -1 if image is None else image

    def look(self, what: str, losses: Tensor, pred: Tensor, target: Tensor, image_of: ImageOf | None) -> None:
        """Raise where a loss is not finite, and later where its gradient is not.

        Args:
            what: "box loss eiou".
            losses: a number per row, or per row and class.
            pred: predictions, rows first.
            target: their targets.
            image_of: the image of a row; None: found by the target, which is one of its labels.

        Raises:
            LossNotFinite: from the first row that is not.
        """
        if self.batch is None or not (torch.is_grad_enabled() and losses.requires_grad):
            return
        batch, seen, wanted = self.batch, pred.detach(), target.detach()

        def require_finite(numbers: Tensor, said: str) -> None:
            numbers = numbers.detach()
            broken = ~numbers.isfinite()
            if broken.any():
                place = broken.nonzero()[0].tolist()
                value = float(numbers[tuple(place)])
                self._raise(f"{said}{what}", value, place, batch, seen[place[0]], wanted[place[0]], image_of)

        require_finite(losses, "")
        if pred.requires_grad:
            handle = pred.register_hook(lambda gradient: require_finite(gradient, "gradient of the "))  # type: ignore[no-untyped-call]
            self._gradients.append(handle)

    def require_finite_sum(self, items: Any, names: Any) -> None:
        """Raise where a part of the trainer's loss is not finite though each row was: a stock loss, or a sum.

        Raises:
            LossNotFinite: one is not.
        """
        if self.batch is None or items is None:
            return
        parts = items if isinstance(items, Mapping) else dict(zip(names, items, strict=False))
        for name, value in parts.items():
            if not torch.as_tensor(value).isfinite().all():
                raise LossNotFinite(
                    f"the trainer's {name} is {float(value)} in {self.batch}, and no row of a plugged loss was: a "
                    "stock loss, or the sum over the rows, is not finite"
                )

    def _raise(
        self, what: str, value: float, place: list[int], batch: Batch, pred: Tensor, target: Tensor, image_of: Any
    ) -> None:
        image = image_of(place[0]) if image_of is not None else labelled(batch.content, target)
        file, labels = file_of(batch.content, image), labels_of(batch.content, image)
        said = {
            "what": what, "value": value, "epoch": batch.epoch, "batch": batch.number, "row": place[0],
            **({"class" if what.split()[-3] in ("cls", "sem") else "column": place[1]} if len(place) > 1 else {}),
            "image": file, "labels": labels, "predicted": listed(pred), "target": listed(target),
        }  # fmt: skip
        told = self.folder / f"{NAME}.yaml"
        write_whole(
            told, yaml.safe_dump({key: each for key, each in said.items() if each is not None}, sort_keys=False)
        )
        picture = batch.content["img"][image].cpu() if image >= 0 else None
        with beside(told.with_suffix(".pt")) as part:
            torch.save({"predicted": pred.cpu(), "target": target.cpu(), "image": picture}, part)
        if picture is not None:
            save_picture(picture, told.with_suffix(".png"))
        raise LossNotFinite(told_of(said, batch, pred, told, picture is not None))


def told_of(said: Mapping[str, Any], batch: Batch, pred: Tensor, file: Path, drawn: bool) -> str:
    """The message: which loss, value, row and image, what was predicted, and where all of it is saved."""
    of_class = f", class {said['class']}" if "class" in said else ""
    shown = "" if said["predicted"] is None else f", predicted {said['predicted']} for {said['target']}"
    cause = "" if pred.isfinite().all() else "; the prediction itself is not finite: the model diverged before"
    return (
        f"the {said['what']} is {said['value']} in {batch}, row {said['row']}{of_class}, image {said['image']}{shown}"
        f"{cause}; see {file}, and beside it {file.stem}.pt with the tensors"
        + (f" and {file.stem}.png with the image as trained" if drawn else "")
    )


def listed(row: Tensor) -> Any:
    """The numbers of a row; None: they are many."""
    return row.tolist() if row.numel() <= LONGEST else None


def file_of(batch: Mapping[str, Any], image: int) -> str:
    """The file of an image; "unknown" where that is not known."""
    files = batch.get("im_file")
    return str(files[image]) if files is not None and image >= 0 else "unknown"


def labels_of(batch: Mapping[str, Any], image: int) -> list[list[float]]:
    """Class and box of each object of an image, as in a file of labels."""
    if "bboxes" not in batch:
        return []
    mine = batch["batch_idx"].flatten() == image
    return torch.cat([batch["cls"][mine].view(-1, 1), batch["bboxes"][mine]], dim=1).tolist()


def labelled(batch: Mapping[str, Any], target: Tensor) -> int:
    """The image of which a target (x1, y1, x2, y2) in sides of the image is a label; -1: none, or one of several."""
    box = torch.cat([(target[:2] + target[2:]) / 2, target[2:] - target[:2]])
    found = (batch["bboxes"].to(box) - box).abs().amax(-1).lt(1e-4).nonzero()
    images = batch["batch_idx"].flatten()[found.flatten().to(batch["batch_idx"].device)].unique()
    return int(images[0]) if len(images) == 1 else -1


def save_picture(image: Tensor, file: Path) -> None:
    """An image (3, h, w) of red, green and blue in [0, 1], as PNG."""
    import cv2

    pixels = (image.float().nan_to_num().clamp(0, 1) * 255).byte().permute(1, 2, 0).flip(-1).contiguous().numpy()
    with beside(file) as part:
        cv2.imwrite(str(part), pixels)
