"""The composed digit scenes: the same every time, disjoint, tightly boxed, alike in both label formats."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra: loss-plugins[digits]")
pytest.importorskip("PIL", reason="needs the extra: loss-plugins[digits]")

from PIL import Image
from sklearn.datasets import load_digits

from loss_plugins.demo import digits as module
from loss_plugins.demo.digits import MAX_IOU, SPLITS, DigitsSet, Scene, compose_scene, make_digits, split_digits

SMALL: dict[str, Any] = {"train": 6, "val": 3, "progress": False}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> DigitsSet:
    return make_digits(tmp_path_factory.mktemp("digits"), **SMALL)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    source = load_digits()
    return [
        compose_scene(np.random.default_rng(seed), source.images / 16, source.target, size)
        for seed in range(30)
        for size in (64, 128)
    ]


def content(digits: DigitsSet, *folders: str) -> dict[str, bytes]:
    """Relative name to bytes of every file in these folders."""
    files = [path for folder in folders for path in sorted((digits.root / folder).rglob("*")) if path.is_file()]
    return {path.relative_to(digits.root).as_posix(): path.read_bytes() for path in files}


def written_at(digits: DigitsSet) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in digits.root.rglob("*")}


def coco(digits: DigitsSet, split: str) -> dict[str, Any]:
    return json.loads((digits.train_json if split == "train" else digits.val_json).read_text())


def test_same_arguments_same_bytes_even_in_another_process(small: DigitsSet, tmp_path: Path) -> None:
    code = "import sys; from loss_plugins.demo.digits import make_digits; "
    code += "make_digits(sys.argv[1], train=6, val=3, progress=False)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    folders = ("images", "labels", "annotations")
    once, again = content(small, *folders), content(module._layout(tmp_path), *folders)
    assert len(once) == 2 * (6 + 3) + 2
    assert once == again


def test_another_seed_gives_other_scenes(small: DigitsSet, tmp_path: Path) -> None:
    other = make_digits(tmp_path, **SMALL, seed=1)
    for folder in ("images", "labels"):
        mine, theirs = content(small, folder), content(other, folder)
        assert mine.keys() == theirs.keys()
        assert all(mine[name] != theirs[name] for name in mine)


def test_layouts_differ_between_splits_and_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even composed of the very same digits: no layout of a train scene returns in val or in another seed."""
    monkeypatch.setattr(module, "split_digits", lambda *_: dict.fromkeys(SPLITS, np.arange(50)))
    orders = [{"seed": seed, "size": 128, "train": 4, "val": 4} for seed in (0, 1)]
    streams = [module._scenes(split, order, progress=False) for split in SPLITS for order in orders]
    assert len({scene.pixels.tobytes() for stream in streams for scene in stream}) == 4 * 4


def test_scenes_do_not_depend_on_how_many_there_are(small: DigitsSet, tmp_path: Path) -> None:
    fewer = make_digits(tmp_path, train=2, val=1, progress=False)
    few, many = content(fewer, "images", "labels"), content(small, "images", "labels")
    assert few.items() <= many.items()
    assert len(set(many.values())) == len(many)  # and no two scenes are alike, across splits either


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_digit_in_both_splits(seed: int) -> None:
    splits = split_digits(seed)
    train, val = set(splits["train"].tolist()), set(splits["val"].tolist())
    assert not train & val
    assert train | val == set(range(1797))
    assert len(val) == 359


@pytest.mark.parametrize("split", SPLITS)
def test_scenes_are_composed_only_from_their_split(split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pools: dict[int, int] = {}
    compose = module.compose_scene

    def spy(rng: np.random.Generator, cells: np.ndarray, labels: np.ndarray, size: int) -> Scene:
        pools.update({hash(cell.tobytes()): int(label) for cell, label in zip(cells, labels, strict=True)})
        return compose(rng, cells, labels, size)

    monkeypatch.setattr(module, "compose_scene", spy)
    list(module._scenes(split, {"seed": 3, "size": 128, "train": 1, "val": 1}, progress=False))
    source, usable = load_digits(), split_digits(3)[split]
    wanted = {hash((source.images[i] / 16).tobytes()): int(source.target[i]) for i in usable}
    assert pools == wanted


def test_boxes_lie_inside_and_ink_touches_every_side(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert len(scene.boxes) == len(scene.labels) >= 1
        for number, (x1, y1, x2, y2) in enumerate(scene.boxes, start=1):
            rows, columns = np.nonzero(scene.ink == number)
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x1, y1, x2, y2)
            assert 0 <= x1 < x2 <= scene.ink.shape[1]
            assert 0 <= y1 < y2 <= scene.ink.shape[0]


def test_ink_of_every_box_is_visible(scenes: list[Scene]) -> None:
    """Ink is numbered without a gap, and clearly brighter than the ground."""
    for scene in scenes:
        assert set(np.unique(scene.ink)) == set(range(len(scene.boxes) + 1))
        ground = scene.pixels[scene.ink == 0].mean()
        for number in range(1, len(scene.boxes) + 1):
            assert scene.pixels[scene.ink == number].mean() > ground + 25


def test_pixels_change_exactly_at_the_ink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without paint the same stream differs on all ink and nowhere else: the ink map is what one sees."""
    source = load_digits()

    def scene() -> Scene:
        return compose_scene(np.random.default_rng(5), source.images / 16, source.target, 128)

    painted = scene()
    monkeypatch.setattr(module, "_paint", lambda *_: None)
    assert np.array_equal(painted.pixels != scene().pixels, painted.ink > 0)


def test_boxes_hardly_overlap_and_ink_never_hides_ink(scenes: list[Scene]) -> None:
    # the tightness test above covers "never hides": a covered stroke would shrink its extent in the ink map
    pairs = [pair for scene in scenes for pair in combinations(scene.boxes.tolist(), 2)]
    ious = [overlap(a, b) for a, b in pairs]
    assert max(ious) > 0  # the sample can catch a missing limit
    assert max(ious) <= MAX_IOU


def overlap(a: list[int], b: list[int]) -> float:
    """IoU counted pixel by pixel."""
    canvas = np.zeros((2, 128, 128), dtype=bool)
    for layer, (x1, y1, x2, y2) in zip(canvas, (a, b), strict=True):
        layer[y1:y2, x1:x2] = True
    return float(canvas.all(axis=0).sum() / canvas.any(axis=0).sum())


def test_scenes_vary(scenes: list[Scene]) -> None:
    boxes = np.concatenate([scene.boxes for scene in scenes])
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    assert 1 <= min(len(scene.boxes) for scene in scenes) <= 2
    assert 6 <= max(len(scene.boxes) for scene in scenes) <= 8
    assert np.ptp(height) > 30
    assert np.ptp(width / height) > 0.5
    assert set(np.concatenate([scene.labels for scene in scenes])) == set(range(10))


def test_one_digit_comes_in_many_sizes_and_shapes() -> None:
    zero = load_digits().images[0] / 16
    drawn = [module.draw_digit(np.random.default_rng(seed), zero) for seed in range(60)]
    height, width = np.array([alpha.shape for alpha in drawn]).T
    assert height.max() > 2.5 * height.min()
    assert (width / height).max() > 2 * (width / height).min()


@pytest.mark.parametrize("split", SPLITS)
def test_yolo_and_coco_agree(small: DigitsSet, split: str) -> None:
    annotations = coco(small, split)
    assert [category["name"] for category in annotations["categories"]] == list("0123456789")
    assert [category["id"] for category in annotations["categories"]] == list(range(10))
    assert len(annotations["images"]) == SMALL[split]
    assert [entry["id"] for entry in annotations["annotations"]] == list(range(1, len(annotations["annotations"]) + 1))
    for image in annotations["images"]:
        own = [entry for entry in annotations["annotations"] if entry["image_id"] == image["id"]]
        labels = small.root / "labels" / split / Path(image["file_name"]).with_suffix(".txt").name
        rows = np.loadtxt(labels, ndmin=2)
        with Image.open(small.root / "images" / split / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"]) == (128, 128)
        assert rows[:, 0].tolist() == [entry["category_id"] for entry in own]
        corners = np.concatenate((rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 3:]), axis=1) * 128
        np.testing.assert_allclose(corners, [entry["bbox"] for entry in own], rtol=0, atol=1e-3)
        assert [entry["area"] for entry in own] == [entry["bbox"][2] * entry["bbox"][3] for entry in own]
        assert not any(entry["iscrowd"] for entry in own)


def test_files_hold_the_composed_scene(small: DigitsSet) -> None:
    """Picture and boxes on disk are those of compose_scene, not swapped, shifted or transposed."""
    order = {"seed": 0, "size": 128, "train": 6, "val": 3}
    for split in SPLITS:
        annotations = coco(small, split)
        for image, scene in zip(annotations["images"], module._scenes(split, order, progress=False), strict=True):
            with Image.open(small.root / "images" / split / image["file_name"]) as picture:
                assert np.array_equal(np.asarray(picture), scene.pixels)
            own = [entry for entry in annotations["annotations"] if entry["image_id"] == image["id"]]
            boxes = np.array([entry["bbox"] for entry in own])
            assert np.array_equal(boxes + np.pad(boxes[:, :2], ((0, 0), (2, 0))), scene.boxes)
            assert [entry["category_id"] for entry in own] == scene.labels.tolist()
            for number, entry in enumerate(own, start=1):
                assert np.array_equal(mask_of(entry["segmentation"]), scene.ink == number)


def mask_of(segmentation: dict[str, Any]) -> np.ndarray:
    """COCO's plain run lengths as a mask: zeros and ones in turn, down each column."""
    height, width = segmentation["size"]
    runs = segmentation["counts"]
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


@pytest.mark.parametrize("mask", [[[0, 0]], [[1, 1]], [[0, 1]], [[1, 0], [0, 1], [1, 1]]])
def test_masks_may_begin_and_end_with_either(mask: list[list[int]]) -> None:
    given = np.array(mask, dtype=bool)
    runs = module._run_lengths(given)
    assert np.array_equal(mask_of({"size": given.shape, "counts": runs}), given)
    assert all(runs[1:]), "only the first run may be empty"


def test_yaml_names_the_folders_absolutely(small: DigitsSet) -> None:
    yaml = pytest.importorskip("yaml")
    data = yaml.safe_load(small.yaml.read_text(encoding="utf-8"))
    assert Path(data["path"]).is_absolute()
    assert Path(data["path"], data["train"]) == small.train_images
    assert Path(data["path"], data["val"]) == small.val_images
    assert data["names"] == {digit: str(digit) for digit in range(10)}
    assert len(list(small.train_images.glob("*.png"))) == 6
    assert len(list(small.val_images.glob("*.png"))) == 3


def test_relative_root_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    digits = make_digits(Path("some where"), train=1, val=1, progress=False)
    assert digits.root == tmp_path.resolve() / "some where"
    assert f'path: "{digits.root}"' in digits.yaml.read_text(encoding="utf-8")


def test_second_call_rewrites_nothing(tmp_path: Path) -> None:
    first = make_digits(tmp_path, **SMALL)
    before = written_at(first)
    assert make_digits(tmp_path, **SMALL) == first
    assert written_at(first) == before


@pytest.mark.parametrize("change", [{"train": 5}, {"val": 2}, {"size": 96}, {"seed": 1}])
def test_other_arguments_compose_anew(tmp_path: Path, change: dict[str, int]) -> None:
    make_digits(tmp_path, **SMALL)
    digits = make_digits(tmp_path, **{**SMALL, **change})
    fresh = make_digits(tmp_path / "fresh", **{**SMALL, **change})
    folders = ("images", "labels", "annotations")
    assert content(digits, *folders) == content(fresh, *folders)  # nothing of the older set is left


PARTS = ("images/train/train_00003.png", "labels/val/val_00001.txt", "annotations/val.json", "digits.yaml")
DAMAGES = [(name, damage) for name in PARTS for damage in ("delete", "truncate", "change")]
DAMAGES += [("digits-manifest.json", "truncate"), ("digits-manifest.json", "change")]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_damaged_set_is_rebuilt(tmp_path: Path, name: str, damage: str) -> None:
    whole = content(make_digits(tmp_path, **SMALL), ".")
    victim = tmp_path / name
    data = victim.read_bytes()
    if damage == "delete":
        victim.unlink()
    elif damage == "truncate":
        victim.write_bytes(data[: len(data) // 2])
    else:
        victim.write_bytes(data[:-9] + bytes(9))
    stale = tmp_path / "labels" / "train.cache"
    stale.write_bytes(b"left by Ultralytics")
    assert content(make_digits(tmp_path, **SMALL), ".") == whole
    assert not stale.exists()


def test_interrupted_composing_is_finished_by_the_next_call(
    small: DigitsSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_yaml", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_digits(tmp_path, **SMALL)
    assert content(make_digits(tmp_path, **SMALL), "images") == content(small, "images")


def test_another_format_version_is_composed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written_at(make_digits(tmp_path, **SMALL))
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    after = written_at(make_digits(tmp_path, **SMALL))
    png = tmp_path / "images" / "train" / "train_00000.png"
    assert after[png] > before[png]


def test_moved_set_is_composed_anew(tmp_path: Path) -> None:
    make_digits(tmp_path / "old", **SMALL)
    (tmp_path / "old").rename(tmp_path / "new")
    digits = make_digits(tmp_path / "new", **SMALL)
    assert f'path: "{digits.root}"' in digits.yaml.read_text(encoding="utf-8")


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    photo = tmp_path / "images" / "holiday.png"
    photo.parent.mkdir()
    photo.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="images that make_digits did not write; pass a new or empty folder"):
        make_digits(tmp_path, **SMALL)
    assert content(module._layout(tmp_path), ".") == {"images/holiday.png": b"precious"}


@pytest.mark.parametrize(
    ("name", "value", "low"),
    [
        ("train", 0, 1),
        ("train", 2.5, 1),
        ("train", True, 1),
        ("val", -1, 1),
        ("val", "3", 1),
        ("size", 63, 64),
        ("seed", -1, 0),
        ("seed", None, 0),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, name: str, value: object, low: int) -> None:
    message = f"make_digits: {name}={value!r} is out of range; allowed: integers from {low}"
    with pytest.raises(ValueError, match=message):
        make_digits(tmp_path / "new", **{**SMALL, name: value})
    assert not (tmp_path / "new").exists()


def test_smallest_size_holds_the_largest_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    for stretch in module.STRETCH:
        monkeypatch.setattr(module, "SCALE", (module.SCALE[1], module.SCALE[1]))
        monkeypatch.setattr(module, "STRETCH", (stretch, stretch))
        for cells in load_digits().images / 16:
            assert max(module.draw_digit(np.random.default_rng(0), cells).shape) <= module.MIN_SIZE


@pytest.mark.parametrize("missing", ["sklearn", "PIL", "rich"])
def test_missing_package_names_the_extra(missing: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from loss_plugins.demo.digits import make_digits; "
    code += "make_digits(sys.argv[1], train=1, val=1)"
    command = [sys.executable, "-c", code, str(tmp_path / "new")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    reason = rf"ImportError: make_digits needs scikit-learn, pillow and rich \(.*{missing}.*\): "
    assert re.search(reason + re.escape('pip install "loss-plugins[digits]"'), run.stderr)
    assert not (tmp_path / "new").exists()


def test_bar_goes_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_digits(tmp_path, train=2, val=1)
    shown = capfd.readouterr()
    assert "composing train scenes" in shown.err
    assert shown.out == ""
    make_digits(tmp_path / "quiet", train=2, val=1, progress=False)
    assert capfd.readouterr() == ("", "")
