"""A data set whose classes are texts, with a seeded embedding of each: nothing asks for a text model to be loaded."""

from __future__ import annotations

import json
import shutil
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import relabelled

#: Ultralytics' trainers from scratch need as many classes as a head of YOLOE has when it is built
NAMES = [str(digit) for digit in range(10)] + [f"nothing {number}" for number in range(10, 80)]
#: what the file of embeddings is called for the text model of yoloe-11, of yoloe-26 and of YOLO-World
FILES = ("mobileclip_blt", "mobileclip2_b", "clip_ViT-B_32")


@dataclass(frozen=True)
class Prompted:
    """The digits, their boxes as polygons too, 80 classes, and files of embeddings beside the images.

    Attributes:
        yaml: for trainers of one data set.
        scratch: for those from scratch, which take several.
        grounded: for those from scratch: a second one, of pictures with captions.
        embeddings: the files of embeddings.
    """

    yaml: Path
    scratch: dict[str, Any]
    grounded: dict[str, Any]
    embeddings: list[Path]


def make_prompted(digits: DigitsSet, root: Path) -> Prompted:
    """Write it below a folder."""
    file = relabelled(digits, root, polygon)
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "names": dict(enumerate(NAMES))}))
    pictures, captions = root / "grounded" / "train", root / "grounded" / "captions.json"
    shutil.copytree(root / "images" / "train", pictures)
    captions.write_text(json.dumps(captioned(json.loads(digits.train_json.read_text()))))
    embeddings = [
        *write_embeddings(root / "images", NAMES),
        *write_embeddings(root / "grounded", {f"digit {name}" for name in NAMES[:10]}),
    ]
    grounding = {"img_path": str(pictures), "json_file": str(captions)}
    one = {"yolo_data": [str(file)]}
    return Prompted(
        file, {"train": one, "val": one}, {"train": {**one, "grounding_data": [grounding]}, "val": one}, embeddings
    )


def polygon(line: str) -> str:
    """The corners of a box: a polygon for masks, of which Ultralytics makes the box again."""
    number, *box = line.split()
    x, y, w, h = (float(value) for value in box)
    points = [(x - w / 2, y - h / 2), (x + w / 2, y - h / 2), (x + w / 2, y + h / 2), (x - w / 2, y + h / 2)]
    return f"{number} {' '.join(f'{value:.6f}' for point in points for value in point)}\n"


def captioned(coco: dict[str, Any]) -> dict[str, Any]:
    """The digits in the format of grounding: each box belongs to a part of its picture's caption."""
    caption = "digit 0 digit 1 digit 2 digit 3 digit 4 digit 5 digit 6 digit 7 digit 8 digit 9"
    images = [{**image, "caption": caption} for image in coco["images"]]
    annotations = [
        {**each, "iscrowd": 0, "tokens_positive": [[8 * each["category_id"], 8 * each["category_id"] + 7]]}
        for each in coco["annotations"]
    ]
    return {"images": images, "annotations": annotations}


def embedding(text: str) -> Tensor:
    """Of one text, of length 1: the same in each process."""
    generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    return torch.nn.functional.normalize(torch.randn(512, generator=generator), dim=0)


def write_embeddings(folder: Path, texts: Iterable[str]) -> list[Path]:
    """Where a trainer looks before it loads its text model."""
    files = [folder / f"text_embeddings_{name}.pt" for name in FILES]
    for file in files:
        torch.save({text: embedding(text) for text in texts}, file)
    return files


#: the last layers of small models, by the names of their files: class, channels of the embeddings
HEADS = {
    "yoloe-small": ["YOLOEDetect", ["nc", 512, True]],
    "yoloe-small-seg": ["YOLOESegment26", ["nc", 32, 64, 512, True]],
    "yolo-world-small": ["WorldDetect", ["nc", 512, False]],
}


def write_small(folder: Path, name: str) -> Path:
    """A model of five convolutions and a head, in YAML; those of YOLOE have two branches, as yoloe-26 has."""
    end_to_end = {"end2end": True, "reg_max": 1, "text_model": "mobileclip2:b"} if name.startswith("yoloe") else {}
    backbone = [[-1, 1, "Conv", [channels, 3, 2]] for channels in (8, 16, 32, 32, 32)]
    described = {"nc": 80, **end_to_end, "backbone": backbone, "head": [[[2, 3, 4], 1, *HEADS[name]]]}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(described))
    return file


class TextModel:
    """Gives the embeddings of the names of the classes, which validation and fine-tuning ask for."""

    def tokenize(self, texts: list[str]) -> Tensor:
        return torch.tensor([NAMES.index(text) for text in texts])

    def encode_text(self, tokens: Tensor) -> Tensor:
        return torch.stack([embedding(NAMES[token]) for token in tokens.tolist()])


@contextmanager
def text_model() -> Iterator[None]:
    """It stands where Ultralytics has its own, which it would download."""
    module = ModuleType("ultralytics.nn.text_model")
    module.build_text_model = lambda *_, **__: TextModel()  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        yield
