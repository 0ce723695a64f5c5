"""A small real detection data set, composed offline from the handwritten digits that scikit-learn ships.

Each scene is a gray picture with one to eight digits of different size, shape and brightness on a noisy
background, with tight boxes, labelled for Ultralytics (text files) and for MMDetection (COCO json, with the mask of
each digit) at once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import refusal
from ..reports import write_whole

FORMAT = 2  # raise it when the pictures or the files change: sets of another format are composed anew
SPLITS = ("train", "val")
NAMES = tuple("0123456789")
INSTALL = 'pip install "loss-plugins[digits]"'

VAL_SHARE = 0.2  # of the 1,797 digits
MAX_DIGITS = 8  # per scene
SCALE = (2.0, 6.0)  # pixels per cell of an 8x8 digit
STRETCH = (0.8, 1.25)  # wider by this, lower by this; 8 cells * 6 px * 1.25 still fit into MIN_SIZE
MIN_SIZE = 64
MAX_IOU = 0.1  # between any two boxes of a scene
TRIES = 40  # places tried before a digit is left out
INK_RAMP = (0.25, 0.75)  # cell values of no ink and of full ink: narrow, so that upscaled strokes stay crisp
FAINT = 64  # of 255: fainter ink is dropped, so that a box ends where the eye sees the stroke end


@dataclass(frozen=True)
class DigitsSet:
    """Where the parts of a composed set lie; all paths are absolute.

    `yaml` is for Ultralytics; the json files (COCO format, category id = digit) and image folders are for MMDetection.
    """

    root: Path
    yaml: Path
    train_json: Path
    val_json: Path
    train_images: Path
    val_images: Path


@dataclass(frozen=True)
class Scene:
    """One picture: gray `pixels` (size, size) uint8, `boxes` (n, 4) int xyxy in pixels, `labels` (n,) int.

    A box covers the pixels x1 <= x < x2, y1 <= y < y2. `ink` (size, size) is i + 1 on ink of digit i, or 0.
    """

    pixels: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    ink: np.ndarray


def make_digits(
    root: Path, *, train: int = 400, val: int = 100, size: int = 128, seed: int = 0, progress: bool = True
) -> DigitsSet:
    """Compose the set below `root` (8 MB, a few seconds), or reuse it if it is there, whole and the same.

    Args:
        root: folder to write to: images/, labels/, annotations/, digits.yaml and a manifest.
        train, val: scenes per split, at least 1. No handwritten digit appears in both splits.
        size: side of a scene in pixels, at least 64.
        seed: of all randomness, at least 0. The same arguments give the same bytes.
        progress: show a bar (on stderr) while composing.

    Raises:
        ValueError: an argument is out of range.
        ImportError: scikit-learn, pillow or (for the bar) rich is missing.
        FileExistsError: `root` holds images/, labels/ or annotations/ that this function did not write.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> digits = make_digits(Path(mkdtemp()), train=2, val=1, progress=False)
        >>> sorted(path.name for path in digits.train_images.iterdir())
        ['train_00000.png', 'train_00001.png']
    """
    order: dict[str, Any] = {"train": train, "val": val, "size": size, "seed": seed}
    for name, low in {"train": 1, "val": 1, "size": MIN_SIZE, "seed": 0}.items():
        _check_integer(name, order[name], low)
    digits = _layout(Path(root).resolve())
    order |= {"format": FORMAT, "root": str(digits.root)}  # root: the yaml of a moved set points elsewhere
    if not _is_whole(digits, order):
        _check_installed(progress)
        _clear(digits)
        _compose(digits, order, progress)
    return digits


def split_digits(seed: int = 0, count: int = 1797) -> dict[str, np.ndarray]:
    """Which of the `count` digits each split may use: disjoint indices, a fifth of them for "val".

    >>> {split: len(indices) for split, indices in split_digits().items()}
    {'train': 1438, 'val': 359}
    """
    shuffled = np.random.default_rng([seed, 0]).permutation(count)
    held_out = int(count * VAL_SHARE)
    return {"train": shuffled[held_out:], "val": shuffled[:held_out]}


def compose_scene(rng: np.random.Generator, cells: np.ndarray, labels: np.ndarray, size: int) -> Scene:
    """A scene with one to eight of the digits `cells` (n, 8, 8) in [0, 1] with `labels` (n,), where there is room."""
    base = rng.uniform(20, 80)
    picture = _background(rng, base, size)
    ink = np.zeros((size, size), dtype=np.int64)
    boxes: list[tuple[int, int, int, int]] = []
    chosen: list[int] = []
    for index in rng.integers(len(cells), size=rng.integers(1, MAX_DIGITS + 1)):
        alpha = draw_digit(rng, cells[index])
        box = _find_room(rng, alpha > 0, ink, boxes)
        if box is None:
            continue
        window = _window(box)
        _paint(picture[window], alpha, min(base + rng.uniform(60, 180), 255))
        boxes.append(box)
        chosen.append(int(labels[index]))
        ink[window][alpha > 0] = len(boxes)
    pixels = np.rint(picture + rng.normal(0, rng.uniform(2, 8), picture.shape)).clip(0, 255).astype(np.uint8)
    return Scene(pixels, np.array(boxes), np.array(chosen), ink)


def draw_digit(rng: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    """Upscale (8, 8) cells in [0, 1] by a random size and stretch: uint8 opacity, cropped to the ink."""
    scale, stretch = rng.uniform(*SCALE), rng.uniform(*STRETCH)
    bordered = np.pad(cells, 1)  # strokes at the rim of the 8x8 fade out there too
    smooth = _resize(bordered, width=round(10 * scale * stretch), height=round(10 * scale / stretch))
    low, high = INK_RAMP
    alpha = np.rint(((smooth - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)
    alpha[alpha < FAINT] = 0
    return _crop(alpha)


def _crop(alpha: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    return alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _background(rng: np.random.Generator, base: float, size: int) -> np.ndarray:
    """Soft clouds of +-20 gray levels around `base`, (size, size) float."""
    clouds = _resize(rng.uniform(0, 1, (8, 8)), width=size, height=size)
    return base + 40 * (clouds - 0.5)


def _paint(canvas: np.ndarray, alpha: np.ndarray, brightness: float) -> None:
    """Blend ink of one brightness into the canvas, in place."""
    canvas += (brightness - canvas) * (alpha / 255)


def _find_room(
    rng: np.random.Generator, shape: np.ndarray, ink: np.ndarray, boxes: list[tuple[int, int, int, int]]
) -> tuple[int, int, int, int] | None:
    """A random box for ink of this `shape` (h, w) that hides no other ink and hardly overlaps other boxes."""
    height, width = shape.shape
    for _ in range(TRIES):
        x, y = int(rng.integers(ink.shape[1] - width + 1)), int(rng.integers(ink.shape[0] - height + 1))
        box = (x, y, x + width, y + height)
        # ink on ink would hide strokes, and a box would no longer be tight around what one sees
        if not ink[_window(box)][shape].any() and all(_iou(box, other) <= MAX_IOU for other in boxes):
            return box
    return None


def _window(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    x1, y1, x2, y2 = box
    return slice(y1, y2), slice(x1, x2)


def _iou(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    # plain integers instead of tensors: this runs thousands of times, each time on one pair
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area_a + area_b - width * height)


def _resize(values: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Smoothly resize a 2-d array in [0, 1], as 8-bit gray: Pillow computes that alike on every machine."""
    from PIL import Image

    gray = Image.fromarray(np.rint(values * 255).astype(np.uint8))
    return np.asarray(gray.resize((width, height), Image.Resampling.BICUBIC)) / 255


def _compose(digits: DigitsSet, order: dict[str, Any], progress: bool) -> None:
    """Write all files. The manifest comes first, without a digest, so that `_clear` may remove an interrupted set."""
    digits.root.mkdir(parents=True, exist_ok=True)
    _write_json(_manifest(digits), {**order, "sha256": None})
    objects = {split: _write_split(digits, split, _scenes(split, order, progress)) for split in SPLITS}
    write_whole(digits.yaml, _yaml(digits.root))
    _write_json(_manifest(digits), {**order, "objects": objects, "sha256": _digest(digits, order)})


def _scenes(split: str, order: dict[str, Any], progress: bool) -> Iterator[Scene]:
    """The scenes of a split. Each has its own random stream: scene 7 is the same however many there are."""
    from sklearn.datasets import load_digits

    source = load_digits()
    usable = split_digits(order["seed"], len(source.images))[split]
    cells, labels = source.images[usable] / 16, source.target[usable]
    for index in _counted(order[split], f"composing {split} scenes", progress):
        rng = np.random.default_rng([order["seed"], 1 + SPLITS.index(split), index])
        yield compose_scene(rng, cells, labels, order["size"])


def _counted(total: int, what: str, progress: bool) -> Iterable[int]:
    """range(total), with a bar on stderr (stdout may be read by a program)."""
    if not progress:
        return range(total)
    from rich.console import Console
    from rich.progress import track

    return track(range(total), description=what, console=Console(stderr=True))


def _write_split(digits: DigitsSet, split: str, scenes: Iterable[Scene]) -> int:
    """Write images, text labels and the COCO file of a split; returns the number of objects."""
    from PIL import Image

    images, labels = digits.root / "images" / split, digits.root / "labels" / split
    for folder in (images, labels, digits.root / "annotations"):
        folder.mkdir(parents=True, exist_ok=True)
    coco = _empty_coco(split)
    for index, scene in enumerate(scenes):
        stem = _stem(split, index)
        Image.fromarray(scene.pixels).save(images / f"{stem}.png")
        (labels / f"{stem}.txt").write_text(_yolo_lines(scene), encoding="utf-8")
        _add_to_coco(coco, f"{stem}.png", scene)
    write_whole(_annotations(digits, split), json.dumps(coco) + "\n")  # in one line, as each run would take its own
    return len(coco["annotations"])


def _yolo_lines(scene: Scene) -> str:
    """One "class cx cy w h" line per object, in shares of the image side."""
    x1, y1, x2, y2 = scene.boxes.T / len(scene.pixels)
    rows = zip(scene.labels, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, strict=True)
    return "".join(f"{label} {cx:.8f} {cy:.8f} {w:.8f} {h:.8f}\n" for label, cx, cy, w, h in rows)


def _empty_coco(split: str) -> dict[str, Any]:
    return {
        "info": {"description": f"handwritten digits, {split}, composed by loss_plugins"},  # for pycocotools
        "licenses": [],
        "categories": [{"id": digit, "name": name} for digit, name in enumerate(NAMES)],
        "images": [],
        "annotations": [],
    }


def _add_to_coco(coco: dict[str, Any], file_name: str, scene: Scene) -> None:
    """Append one scene. Ids start at 1: COCO's evaluation takes annotation id 0 for "no match"."""
    height, width = scene.pixels.shape
    image_id = len(coco["images"]) + 1
    coco["images"].append({"id": image_id, "file_name": file_name, "width": width, "height": height})
    objects = zip(scene.labels.tolist(), scene.boxes.tolist(), strict=True)
    for number, (label, (x1, y1, x2, y2)) in enumerate(objects, start=1):
        sides = (x2 - x1, y2 - y1)
        coco["annotations"].append(
            {
                "id": len(coco["annotations"]) + 1,
                "image_id": image_id,
                "category_id": label,
                "bbox": [x1, y1, *sides],
                "area": sides[0] * sides[1],
                "segmentation": {"size": [height, width], "counts": _run_lengths(scene.ink == number)},
                "iscrowd": 0,
            }
        )


def _run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's plain run lengths of a mask (h, w): of zeros and ones in turn, column by column, zeros first."""
    flat = np.concatenate(([False], mask.T.ravel(), [not mask[-1, -1]]))
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(run) for run in np.diff(changes, prepend=0)]


def _yaml(root: Path) -> str:
    # json.dumps quotes any path so that YAML reads it back; quoted names stay text instead of becoming numbers
    names = "".join(f'  {digit}: "{name}"\n' for digit, name in enumerate(NAMES))
    path = json.dumps(str(root), ensure_ascii=False)
    return f"path: {path}\ntrain: images/train\nval: images/val\nnames:\n{names}"


def _layout(root: Path) -> DigitsSet:
    return DigitsSet(
        root=root,
        yaml=root / "digits.yaml",
        train_json=root / "annotations" / "train.json",
        val_json=root / "annotations" / "val.json",
        train_images=root / "images" / "train",
        val_images=root / "images" / "val",
    )


def _manifest(digits: DigitsSet) -> Path:
    return digits.root / "digits-manifest.json"


def _annotations(digits: DigitsSet, split: str) -> Path:
    return digits.train_json if split == "train" else digits.val_json


def _stem(split: str, index: int) -> str:
    return f"{split}_{index:05d}"


def _files(digits: DigitsSet, order: dict[str, Any]) -> Iterator[Path]:
    """Every file of a whole set but the manifest. Others (the caches of trainers) do not count."""
    yield digits.yaml
    for split in SPLITS:
        yield _annotations(digits, split)
        for index in range(order[split]):
            yield digits.root / "images" / split / f"{_stem(split, index)}.png"
            yield digits.root / "labels" / split / f"{_stem(split, index)}.txt"


def _digest(digits: DigitsSet, order: dict[str, Any]) -> str:
    """SHA-256 over the content of all files in order; FileNotFoundError if one is missing."""
    total = hashlib.sha256()
    for path in _files(digits, order):
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _is_whole(digits: DigitsSet, order: dict[str, Any]) -> bool:
    """Whether a set for these arguments is there, with every byte as it was written."""
    try:
        manifest = json.loads(_manifest(digits).read_text(encoding="utf-8"))
        return {**manifest, **order} == manifest and bool(manifest["sha256"] == _digest(digits, order))
    except (OSError, ValueError, TypeError, KeyError):  # no manifest, not json, not a dict; a file is missing
        return False


def _clear(digits: DigitsSet) -> None:
    """Remove an older set, with the caches that trainers left in it: they may not notice changed labels."""
    folders = [digits.root / name for name in ("images", "labels", "annotations")]
    present = [folder.name for folder in folders if folder.exists()]
    if present and not _manifest(digits).exists():
        raise FileExistsError(
            f"make_digits: root={str(digits.root)!r} holds {', '.join(present)} "
            "that make_digits did not write; pass a new or empty folder"
        )
    for name in present:
        shutil.rmtree(digits.root / name)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, json.dumps(content, indent=1) + "\n")


def _check_integer(name: str, value: Any, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        came = f"{name}={value!r} is out of range"
        raise refusal("make_digits", came, f"integers from {low}", "leave it out for the default")


def _check_installed(progress: bool) -> None:
    """Raise for a missing package, naming the extra that installs it, before anything is written."""
    try:
        import PIL.Image  # noqa: F401
        import sklearn.datasets  # noqa: F401

        if progress:
            import rich.progress  # noqa: F401
    except ImportError as error:
        raise ImportError(f"make_digits needs scikit-learn, pillow and rich ({error}): {INSTALL}") from error
