"""What labels cost: matches and losses against numbers worked out by hand, the order, and what is refused."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.evidence.hardest import Labelled, box_loss, class_loss, hardest, matches, misfit
from loss_plugins.evidence.hardest_rows import LETTERS, Row, as_table, draw_sheet, pixels_of, shortened, write_rows
from loss_plugins.module.imported import resolve
from loss_plugins.plots.made import Made
from loss_plugins.reports import strict_json

SQUARE = [0.0, 0.0, 4.0, 4.0]
MADE = Made("loss-plugins hardest run --data data.yaml", 3, {"loss_plugins": "1", "torch": "2"})


def image(
    boxes: list[list[float]], classes: list[int], predicted: list[list[float]], scores: list[list[float]]
) -> Labelled:
    return Labelled(
        torch.tensor(boxes).view(-1, 4),
        torch.tensor(classes, dtype=torch.int64),
        torch.tensor(predicted).view(-1, 4),
        torch.tensor(scores).view(len(predicted), len(scores[0]) if scores else 2),
    )


# --- matching --------------------------------------------------------------------------------------------------------

# beside a square of 16: one moved by (1, 1) shares 9 of 23, its upper half 8 of 16, a square of 1 inside it 1 of 16
PREDICTED = [[1.0, 1.0, 5.0, 5.0], [0.0, 0.0, 4.0, 2.0], [3.0, 3.0, 4.0, 4.0], [50.0, 50.0, 60.0, 60.0]]


@pytest.mark.parametrize(
    ("box", "iou", "match"),
    [
        (SQUARE, 8 / 16, 1),
        ([1.0, 1.0, 5.0, 5.0], 1.0, 0),
        ([2.0, 0.0, 6.0, 4.0], 9 / 23, 0),  # shares 3 of 4 columns and rows with the first, 4 of 20 with the second
        ([3.0, 3.0, 4.0, 5.0], 1 / 2, 2),
        ([4.0, 0.0, 5.0, 1.0], 0.0, -1),  # touches the second in an edge, and the first in none
        ([-9.0, -9.0, -5.0, -5.0], 0.0, -1),
        ([2.0, 2.0, 2.0, 4.0], 0.0, -1),  # no width
        ([4.0, 4.0, 0.0, 0.0], 0.0, -1),  # inverted
        ([-5.0, 45.0, 55.0, 55.0], 25 / (60 * 10 + 100 - 25), 3),
    ],
)
def test_a_label_takes_the_prediction_of_highest_iou(box: list[float], iou: float, match: int) -> None:
    found, chosen = matches(torch.tensor([box]), torch.tensor(PREDICTED))
    assert float(found[0]) == pytest.approx(iou, abs=1e-12)
    assert int(chosen[0]) == match


def test_one_prediction_serves_several_labels_whatever_their_class() -> None:
    costs = hardest([image([SQUARE, SQUARE], [0, 1], [SQUARE], [[0.8, 0.1]])])
    assert costs.match.tolist() == [0, 0]
    # p of class 0 is 0.8, of class 1 0.1: -ln 0.8 - ln 0.9 for the first label, -ln 0.2 - ln 0.1 for the second
    expected = [-math.log(0.8) - math.log(0.9), -math.log(0.2) - math.log(0.1)]
    assert costs.cls.tolist() == pytest.approx(expected, rel=1e-6)
    assert costs.box.tolist() == [0, 0]


def test_images_without_labels_or_predictions() -> None:
    costs = hardest(
        [
            image([], [], [SQUARE], [[0.5, 0.5]]),
            image([SQUARE, SQUARE], [0, 1], [], []),
            image([SQUARE], [0], [SQUARE], [[0.5, 0.5]]),
            image([], [], [], []),
        ]
    )
    assert costs.image.tolist() == [1, 1, 2]
    assert costs.row.tolist() == [0, 1, 0]
    assert costs.match.tolist() == [-1, -1, 0]
    assert costs.box.tolist() == [math.inf, math.inf, 0]
    assert costs.cls.tolist()[:2] == [math.inf, math.inf]


def test_a_data_set_without_any_match() -> None:
    costs = hardest([image([SQUARE], [0], [[9.0, 9.0, 10.0, 10.0]], [[0.5]])])
    assert costs.box.tolist() == costs.cls.tolist() == [math.inf]


# --- ranking ---------------------------------------------------------------------------------------------------------


def ranked() -> list[Labelled]:
    """Five labels: none, IoU 1 / 3, IoU 1, none, IoU 1 / 3; their classes with scores 0.9, 0.2 and 0.5."""
    half = [2.0, 0.0, 6.0, 4.0]  # shares 8 of 24
    return [
        image([[80.0, 80.0, 90.0, 90.0], half, SQUARE], [0, 0, 1], [SQUARE], [[0.9, 0.2]]),
        image([[80.0, 80.0, 90.0, 90.0]], [0], [], []),
        image([half], [0], [SQUARE], [[0.5, 0.5]]),
    ]


def test_the_largest_loss_comes_first_and_what_nothing_overlaps_before_it() -> None:
    costs = hardest(ranked(), box="iou")
    assert costs.box.tolist() == pytest.approx([math.inf, 2 / 3, 0, math.inf, 2 / 3], rel=1e-12)
    assert costs.hardest("box") == [0, 3, 1, 4, 2]  # those that cost the same as they come
    # -ln 0.9 - ln 0.8; -ln 0.1 - ln 0.2; twice -ln 0.5
    expected = [math.inf, -math.log(0.72), -math.log(0.02), math.inf, -math.log(0.25)]
    assert costs.cls.tolist() == pytest.approx(expected, rel=1e-6)
    assert costs.hardest("cls") == [0, 3, 2, 4, 1]
    assert costs.hardest("cls", 3) == [0, 3, 2]


def test_losses_by_coordinate_are_summed() -> None:
    costs = hardest([image([[1.0, 1.0, 5.0, 9.0]], [0], [SQUARE], [[0.5]])], box="l1")
    assert costs.box.tolist() == [1 + 1 + 1 + 5]


def test_a_loss_of_probabilities_gets_them_and_one_of_logits_their_logits() -> None:
    images = ranked()
    torch.testing.assert_close(hardest(images, cls="bce").cls, hardest(images, cls="bce_with_logits").cls)


def test_scores_of_0_and_1_cost_a_finite_loss() -> None:
    costs = hardest([image([SQUARE], [0], [SQUARE], [[0.0, 1.0]])])
    assert costs.cls.tolist() == pytest.approx([-2 * math.log(1e-7)], rel=1e-5)


def test_a_running_statistic_learns_once_from_all_labels() -> None:
    """As the module does in one call of a training."""
    predicted, labels = torch.rand(2, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).cumsum(-1)
    scores, classes = torch.full((9, 2), 0.5), torch.zeros(9, dtype=torch.int64)
    images = [Labelled(labels[k : k + 1], classes[:1], predicted[k : k + 1], scores[:1]) for k in range(9)]
    costs = hardest(images, box="wiou_v3")
    loss = lp.build_loss("wiou_v3", reduction="none").train()
    matched = costs.match >= 0
    expected = loss(predicted[matched], labels[matched])
    torch.testing.assert_close(costs.box[matched], expected)
    untaught = lp.build_loss("wiou_v3", reduction="none").eval()(predicted[matched], labels[matched])
    assert not torch.equal(costs.box[matched], untaught)


@pytest.mark.parametrize(
    "entry", [each for each in shipped() if each.kind == "classification"], ids=lambda each: each.name
)
def test_every_class_loss_is_served_or_refused_by_name(entry: Entry) -> None:
    wrong = [[0.02, 0.9, 0.1], [0.9, 0.02, 0.1], [0.9, 0.02, 0.1]]
    images = [image([SQUARE] * 1, [0], [SQUARE], [scores]) for scores in wrong]
    if misfit(entry) or entry.name == "efl":
        with pytest.raises(ValueError, match=f"^hardest: {entry.name}.*; allowed: .*; choose"):
            class_loss(entry.name)
        return
    costs = hardest(images, cls=entry.name)
    assert costs.cls.isfinite().all()
    assert costs.hardest("cls")[0] == 0, "the label whose class has hardly any score costs most"


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("coiu", "did you mean 'ciou'"),
        ("focal", "focal is of kind classification; allowed: losses of kind box or coordinate"),
        ("kld", "of kind rotated_box"),
        ("nwd", r"nwd measures by its constant.*write \"nwd\(constant=1\)\""),
        ("ciou(", "cannot be read"),
        ("torch:nosuch", "has no 'nosuch'"),
    ],
)
def test_box_losses_that_cannot_be_served_are_refused_with_the_reason(box: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        box_loss(box)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("hardest: ")


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        ("ciou", "ciou is of kind box"),
        ("dice", "dice is of kind region"),
        ("cross_entropy", "cross_entropy lets the classes share one softmax, and a prediction here has a sigmoid's"),
        ("seesaw", "lets the classes share one softmax"),
        ("kl_div", "takes the logarithms of a softmax"),
        ("margin_ranking", "takes pairs of scores"),
        ("distribution_focal", "takes targets of the form score"),
        ("efl", "learns from gradients, and nothing trains"),
    ],
)
def test_class_losses_that_cannot_be_served_are_refused_with_the_reason(cls: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        class_loss(cls)


OWN = """
import torch
def mean(pred, target): return (pred - target).abs().mean()
def nan(pred, target): return (pred - target).abs().sum(-1) * float("nan")
def broken(pred, target): raise KeyError("x y")
def none(pred, target): return None
def squares(pred, target): return (pred - target) ** 2
def sums(pred, target): return ((pred - target) ** 2).sum(-1)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "hardest_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert resolve("hardest_own:mean")
    return "hardest_own"


@pytest.mark.parametrize("what", ["box", "cls"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mean", r"mean returned shape \(\) for"),
        ("none", "none returned type NoneType"),
        ("nan", r"nan is nan for \[.*and the target \[.*allowed: finite losses"),
        ("broken", r"broken: on \w+ \(1, \d\) it raised KeyError: x y"),
    ],
)
def test_losses_of_ones_own_that_misbehave_are_refused(what: str, name: str, said: str, own: str) -> None:
    with pytest.raises(ValueError, match=said):
        hardest([image([SQUARE], [0], [SQUARE], [[0.5, 0.5]])], **{what: f"{own}:{name}"})


def test_losses_of_ones_own_by_box_and_by_coordinate(own: str) -> None:
    images = [image([[1.0, 0.0, 4.0, 6.0]], [0], [SQUARE], [[0.5, 0.5]])]
    for name in ("squares", "sums"):
        costs = hardest(images, box=f"{own}:{name}", cls=f"{own}:{name}")
        assert costs.box.tolist() == [1 + 4]
        assert costs.cls.tolist() == [1]  # logits 0 and 0 against 1 and 0


BOXES, CLASSES, SCORES = torch.rand(2, 4), torch.tensor([0, 1]), torch.rand(2, 3)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ((torch.rand(2, 5), CLASSES, BOXES, SCORES), r"boxes of image 0 is a tensor of shape \(2, 5\)"),
        ((BOXES, torch.tensor([0]), BOXES, SCORES), r"classes of image 0 is a tensor of shape \(1,\)"),
        ((BOXES, torch.tensor([0.0, 1.0]), BOXES, SCORES), "classes of image 0"),
        ((BOXES, CLASSES, torch.rand(4), SCORES), "predicted of image 0"),
        ((BOXES, CLASSES, BOXES, torch.rand(3, 3)), "scores of image 0"),
        ((BOXES, torch.tensor([0, 3]), BOXES, SCORES), "classes of image 0 reach from 0 to 3; allowed: 0 to 2"),
        ((BOXES, torch.tensor([-1, 0]), BOXES, SCORES), "classes of image 0 reach from -1 to 0"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(tensors: tuple[Tensor, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        hardest([Labelled(*tensors)])


def test_images_of_models_with_other_classes_and_no_image_are_refused() -> None:
    two = [image([SQUARE], [0], [SQUARE], [scores]) for scores in ([0.5, 0.5], [0.5, 0.5, 0.5])]
    with pytest.raises(ValueError, match=r"scores of \[2, 3\] classes"):
        hardest(two)
    with pytest.raises(ValueError, match="images holds no image"):
        hardest([])


# --- the report ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """A label with a prediction at the rim of its image, one outside of it, and one with a strange name."""
    Image.new("RGB", (40, 30), (90, 20, 20)).save(file := tmp_path / "picture.png")
    common = {"image": file, "label_file": tmp_path / "picture.txt"}
    predicted = {"predicted_name": "dog", "score": 0.25, "predicted_box": (0.0, 0.0, 8.0, 12.0)}
    return [
        Row(1, math.inf, **common, line=3, name="[cat]", box=(90.0, 90.0, 95.0, 99.0)),  # type: ignore[arg-type]
        Row(2, 1.5, **common, line=1, name="cat", box=(-4.0, 0.0, 8.0, 10.0), iou=0.5, **predicted),  # type: ignore[arg-type]
    ]


def test_the_table_names_file_and_line(rows: list[Row], capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    Console(width=120).print(as_table(rows, "box loss [ciou]"))
    told = capsys.readouterr().out
    for words in ("box loss [ciou]", "[cat]", "none", "inf", "picture.txt:3", "dog (0.25)", "1.500", "picture.txt:1"):
        assert words in told


def test_the_csv_holds_the_rows_and_what_made_them(rows: list[Row], tmp_path: Path) -> None:
    write_rows(file := tmp_path / "rows.csv", MADE, rows)
    lines = file.read_text().splitlines()
    assert lines[:2] == ["# loss-plugins hardest run --data data.yaml", "# seed 3, loss_plugins 1, torch 2"]
    first, second = csv.DictReader(lines[2:])
    assert (first["loss"], first["predicted_name"], first["predicted_box_x1"]) == ("inf", "", "")
    assert [float(second[f"box_{corner}"]) for corner in ("x1", "y1", "x2", "y2")] == [-4, 0, 8, 10]
    assert (second["line"], second["iou"], second["predicted_box_y2"]) == ("1", "0.5", "12")


def test_rows_are_plain_types_for_json(rows: list[Row]) -> None:
    first, second = json.loads(strict_json([each.to_dict() for each in rows]))
    assert first["loss"] is first["predicted_box"] is first["score"] is None
    assert second["predicted_box"] == [0, 0, 8, 12]
    assert Path(second["label_file"]).name == "picture.txt"


def test_the_contact_sheet_shows_both_boxes_and_says_what_made_it(rows: list[Row], tmp_path: Path) -> None:
    draw_sheet(rows, "box loss ciou", file := tmp_path / "sheet.png", MADE)
    with Image.open(file) as drawn:
        assert "loss-plugins hardest run" in drawn.info["Description"]
        assert "seed 3" in drawn.info["Description"]
        pixels = drawn.convert("RGB")
        colours = {colour: number for number, colour in pixels.getcolors(1 << 24) or ()}
        left = pixels.crop((0, 0, drawn.width // 2, drawn.height))
        first = {colour: number for number, colour in left.getcolors(1 << 24) or ()}
    label, prediction, image_colour = (0xFF, 0xD0, 0), (0xFF, 0x3F, 0xB4), (90, 20, 20)
    assert colours[label] > 300
    assert colours[prediction] > 100
    assert colours[image_colour] > 1000
    assert first[label] > 100
    assert image_colour not in first, "the first label lies outside of its image"


def test_a_crop_ends_where_the_image_does(tmp_path: Path) -> None:
    picture = Image.new("L", (40, 30))
    picture.putpixel((0, 0), 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right: what is at the top left comes to the top right
    picture.save(file := tmp_path / "turned.png", exif=exif)
    part, where = pixels_of(file, (20.5, -5.0, 99.0, 10.0))
    assert where == (20, 30, 10, 0)
    assert part.size == (10, 10)
    assert part.getpixel((9, 0)) == 200


def test_long_names_keep_both_ends() -> None:
    assert shortened("x" * LETTERS) == "x" * LETTERS
    cut = shortened("y" * 99 + ".txt:12")
    assert len(cut) == LETTERS
    assert cut.startswith("yyy")
    assert cut.endswith(".txt:12")
