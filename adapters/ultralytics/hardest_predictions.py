# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a model predicts in images: boxes, each with the scores of all classes, where Ultralytics keeps the best one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loss_plugins.errors import in_one_line, refusal

WHERE = "hardest"
SERVED = ("detect", "segment", "pose")
#: why models of other tasks are not served
REFUSED = {
    "obb": "its boxes are rotated, and the losses here compare upright ones",
    "classify": "it predicts no boxes",
    "semantic": "it predicts no boxes",
    "depth": "it predicts no boxes",
}
#: boxes kept of an image at most
MOST = 300
WEIGHTS = ("best.pt", "last.pt")


@dataclass(frozen=True)
class Asked:
    """How to predict.

    Attributes:
        conf: least score of a prediction's best class.
        iou: a box that overlaps one of a better score by more than this is left out, whatever the classes.
        imgsz: side of the images that the model sees, in pixels.
        device: as torch names it; None: Ultralytics' choice.
        batch: images at once.
    """

    conf: float
    iou: float
    imgsz: int
    device: str | None
    batch: int


@dataclass
class Found:
    """The predictions in an image.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 in pixels of the image.
        scores: (n, classes) probabilities.
        speed: Ultralytics writes there how long it took.
    """

    boxes: Tensor
    scores: Tensor
    speed: dict[str, float] = field(default_factory=dict)


def weights_of(path: Path) -> Path:
    """The checkpoint that is meant by a file, or by the folder of a run."""
    allowed = "a .pt file of Ultralytics, or the folder of a run with weights/best.pt"
    if path.is_dir():
        there = [path / "weights" / name for name in WEIGHTS if (path / "weights" / name).is_file()]
        if not there:
            raise refusal(WHERE, f"MODEL_OR_RUN={path} has no weights/best.pt", allowed, "name a run that has ended")
        return there[0]
    if path.suffix != ".pt" or not path.is_file():
        came = f"MODEL_OR_RUN={path} is {'no .pt file' if path.is_file() else 'missing'}"
        raise refusal(WHERE, came, allowed, "name one that exists: nothing is downloaded")
    return path


def open_model(file: Path) -> Any:
    """The model of a checkpoint; raises for what cannot be served."""
    from ultralytics import YOLO

    try:
        model = YOLO(str(file.absolute()))
    except Exception as error:  # whatever a file that is no checkpoint raises, in any of the pickle's classes
        came = f"MODEL_OR_RUN={file} cannot be read: {in_one_line(error)}"
        raise refusal(WHERE, came, "a checkpoint of Ultralytics", "name one of weights/") from error
    of_detr = "RTDETR" in type(model.model).__name__ or "RTDETR" in type(model.model.model[-1]).__name__
    reason = "RT-DETR gives its boxes in another form" if of_detr else REFUSED.get(model.task, "")
    if reason or model.task not in SERVED:
        came = f"MODEL_OR_RUN={file} is of the task {'rtdetr' if of_detr else model.task}: {reason or 'unknown'}"
        raise refusal(WHERE, came, f"models of {', '.join(SERVED)}", "choose one of these")
    return model


def check_device(device: str | None) -> None:
    """Raise unless torch has the device."""
    if device is None or device == "cpu":
        return
    name = device.removeprefix("cuda:") if device != "cuda" else "0"
    here = name.isdecimal() and int(name) < torch.cuda.device_count()
    if not here and not (device == "mps" and torch.backends.mps.is_available()):
        cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        raise refusal(WHERE, f"--device={device!r} is not here", ", ".join(["cpu", *cards]), "choose one of them")


def predictions(model: Any, images: Sequence[Path], asked: Asked) -> Iterator[tuple[Any, Found | str]]:
    """Of each image its size, height and width, and what is found in it; or why it cannot be read."""
    from ultralytics.utils.patches import imread

    said = {"conf": asked.conf, "iou": asked.iou, "imgsz": asked.imgsz, "device": asked.device}
    said = {name: value for name, value in said.items() if value is not None}
    predictor = predictor_of(model)
    for start in range(0, len(images), asked.batch):
        part = [readable(imread, image) for image in images[start : start + asked.batch]]
        pixels = [each for each in part if not isinstance(each, str)]
        # square whatever is beside it, so that a prediction does not depend on the other images of a batch
        call = {"predictor": predictor, "rect": False, "verbose": False, "save": False, "batch": asked.batch}
        found = iter(model.predict(pixels, **call, **said) if pixels else ())
        for each in part:
            yield (None, each) if isinstance(each, str) else (each.shape[:2], next(found))


def readable(imread: Any, image: Path) -> Any:
    """The pixels of an image; or why there are none."""
    try:
        pixels = imread(str(image))
    except Exception as error:  # of whatever decodes it
        return f"{image}: {in_one_line(error)}"
    return f"{image}: {'is no image' if image.is_file() else 'is missing'}" if pixels is None else pixels


def predictor_of(model: Any) -> type:
    """Ultralytics' predictor for a model, which keeps the scores of all classes."""
    base: Any = model.task_map[model.task]["predictor"]
    end_to_end = bool(getattr(model.model.model[-1], "end2end", False))
    classes = len(model.names)

    class Scored(base):  # type: ignore[misc]
        """As Ultralytics' own, up to what comes out of the model."""

        def postprocess(self, preds: Any, img: Tensor, orig_imgs: Any, **_: Any) -> list[Found]:
            """Boxes and all of their scores, without the masks and key points of other tasks."""
            from ultralytics.utils.ops import scale_boxes

            while not isinstance(preds, Tensor):
                preds = preds[0]
            found = []
            for rows, original in zip(preds, orig_imgs, strict=True):
                boxes, scores = ranked_rows(rows, classes) if end_to_end else kept(rows, classes, self.args)
                chosen = scores.amax(1) >= self.args.conf
                boxes = scale_boxes(img.shape[2:], boxes[chosen].clone(), original.shape)
                found.append(Found(boxes.float().cpu(), scores[chosen].float().cpu()))
            return found

    return Scored


def kept(rows: Tensor, classes: int, args: Any) -> tuple[Tensor, Tensor]:
    """Boxes and scores of a dense head's (4 + classes + others, anchors), of those that overlap the best one alone."""
    try:
        from ultralytics.utils.nms import non_max_suppression
    except ImportError:  # where it lay up to 8.3
        from ultralytics.utils.ops import non_max_suppression

    scores = rows[4 : 4 + classes].float()
    places = torch.arange(rows.shape[1], device=rows.device)[None]
    # as one class, so that classes do not keep each other's boxes; each row goes with its place
    single = torch.cat((rows[:4].float(), scores.amax(0, keepdim=True), places.float()))[None]
    (found,) = non_max_suppression(single, args.conf, args.iou, max_det=MOST, nc=1)
    return found[:, :4], scores[:, found[:, 6].long()].t()


def ranked_rows(rows: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Boxes and scores of an end-to-end head, which gives rows of box, score and class, a row for each class.

    A class that it does not give for a box has a score below all that it gives: 0 here.
    """
    boxes, place = torch.unique(rows[:, :4], dim=0, return_inverse=True)
    scores = torch.zeros(len(boxes), classes, device=rows.device)
    return boxes.float(), scores.index_put((place, rows[:, 5].long()), rows[:, 4].float(), accumulate=False)
