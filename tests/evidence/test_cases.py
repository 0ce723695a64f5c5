"""The cases of the regression experiment: which there are, and which of them are drawn."""

from __future__ import annotations

import math

import pytest
import torch

from loss_plugins.evidence.cases import DIOU, SETTINGS, SHAPES, WIOU, Setting, draw_cases, numbered


def rounded(values: torch.Tensor) -> list[float]:
    return sorted({round(value, 6) for value in values.tolist()})


def test_there_are_as_many_as_the_papers_have() -> None:
    assert DIOU.cases == WIOU.cases == 5000 * 7 * 7 * 7 == 1_715_000
    assert [round(shape, 3) for shape in SHAPES] == [0.25, 0.333, 0.5, 1, 2, 3, 4]


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_anchors_and_targets_are_those_of_the_setting(setting: Setting) -> None:
    cases = draw_cases(setting, 0, full=False)
    (x, y, w, h), target = cases.anchors, cases.targets
    assert torch.equal(target[:2], torch.full((2, len(cases)), setting.centre, dtype=torch.float64))
    assert rounded(target[2] * target[3]) == [round(setting.area, 6)]
    assert rounded(target[2] / target[3]) == rounded(w / h) == rounded(torch.tensor(SHAPES, dtype=torch.float64))
    assert rounded(w * h) == rounded(torch.tensor(setting.areas, dtype=torch.float64))
    far = (x - setting.centre).hypot(y - setting.centre)
    assert 0.98 * setting.reach < far.max() <= setting.reach


def test_centres_are_uniform_in_the_disc_of_one_setting_and_dense_in_the_middle_of_the_other() -> None:
    """Half of a disc lies within 1 / sqrt(2) of its radius; half of the others within ln(1 + (e^3 - 1) / 2) / 6."""
    for setting, half in ((DIOU, 3 / math.sqrt(2)), (WIOU, math.log(1 + (math.e**3 - 1) / 2) / 6)):
        offset = draw_cases(setting, 1, full=False).centres - setting.centre
        assert (offset.norm(dim=1) < half).double().mean() == pytest.approx(0.5, abs=0.03)
        assert offset.mean(0).abs().max() < 0.03 * setting.reach, "every direction is as likely"


def test_two_in_a_hundred_are_a_random_part_of_all() -> None:
    """Some of the cases of the same seed, each once, from everywhere; another seed draws others."""
    every, some, others = (draw_cases(DIOU, seed, full) for seed, full in ((3, True), (3, False), (4, False)))
    assert (len(every), len(some)) == (1_715_000, 34_300)
    drawn = some.centre
    for values, known in (
        (some.anchors[2] * some.anchors[3], DIOU.areas),
        (some.anchors[2] / some.anchors[3], SHAPES),
        (some.targets[2] / some.targets[3], SHAPES),
    ):
        drawn = 7 * drawn + (values[:, None] - torch.tensor(known)).abs().argmin(1)
    assert torch.equal(every.anchors[:, drawn], some.anchors)
    assert torch.equal(every.targets[:, drawn], some.targets)
    assert len(drawn.unique()) == 34_300
    share = torch.bincount(drawn // 171_500, minlength=10) / 3_430
    assert share.min() > 0.9, "no part of them is left out"
    assert torch.bincount(drawn % 343, minlength=343).min() > 50, "nor any combination of areas and shapes"
    assert drawn.sort().values.diff().max() > 200, "nor are they drawn at equal distances"
    assert not torch.equal(some.anchors, others.anchors)
    assert not torch.equal(some.centres, others.centres)
    assert torch.equal(some.centres, every.centres)


def test_a_number_names_its_case() -> None:
    """The target's shape runs fastest: 343 + 7 * 7 + 2 * 7 + 3 is centre 1, second area, third shape, fourth target."""
    centres = torch.tensor([[10.0, 10], [11, 12]], dtype=torch.float64)
    cases = numbered(DIOU, centres, torch.tensor([343 + 49 + 14 + 3]))
    assert cases.centre.tolist() == [1]
    x, y, w, h = cases.anchors[:, 0].tolist()
    assert (x, y) == (11, 12)
    assert (w * h, w / h) == pytest.approx((0.67, 1 / 2))
    assert cases.targets[:, 0].tolist() == pytest.approx([10, 10, 1, 1])
