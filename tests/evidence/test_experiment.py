"""The regression experiment: single steps worked out, and what must not change a number."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.evidence import experiment
from loss_plugins.evidence.cases import DIOU, WIOU, Cases, draw_cases, numbered
from loss_plugins.evidence.experiment import Outcome, adam_step, outcome_of, plain_iou, rate_of
from loss_plugins.evidence.named import Named, named_loss
from loss_plugins.evidence.published import Conventions
from loss_plugins.evidence.slopes import Slopes, by_centre_and_size, corners
from loss_plugins.module.loss import Loss


def few(setting: Any = DIOU, count: int = 700) -> Cases:
    """Some cases, from everywhere."""
    centres = draw_cases(setting, 0, full=False).centres
    return numbered(setting, centres, torch.arange(0, setting.cases, setting.cases // count))


def run(loss: str | Named, cases: Cases, published: Conventions | None = None) -> Outcome:
    slopes = Slopes(named_loss(loss, "simulate") if isinstance(loss, str) else loss)
    slopes.try_on(cases)
    return outcome_of(cases, slopes, published, lambda share: None)


def test_the_step_size_falls_twice() -> None:
    assert [rate_of(step) for step in (1, 160, 161, 180, 181, 200)] == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]


@pytest.mark.parametrize("loss", ["ciou", "siou", "l1", "balanced_l1", "nwd(constant=1)", "mix(losses=[giou, diou])"])
def test_the_gradient_is_that_of_autograd_in_float64(loss: str) -> None:
    cases, named = few(), named_loss(loss, "simulate")
    leaf = cases.anchors.clone().requires_grad_()
    value = named.loss(corners(leaf).t(), corners(cases.targets).t())
    (wanted,) = torch.autograd.grad(value.sum(), leaf)
    found = by_centre_and_size(Slopes(named)(corners(cases.anchors), corners(cases.targets)))
    assert found.dtype == torch.float64
    assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_an_experiment_is_descent_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By plain autograd, all cases at once; in parts of another size, and on another number of threads."""
    cases = few(count=300)
    boxes, target, errors = cases.anchors.clone(), corners(cases.targets).t(), []
    for step in range(1, 201):
        leaf = boxes.clone().requires_grad_()
        value = lp.diou_loss(corners(leaf).t(), target)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
        iou = 1 - lp.iou_loss(corners(boxes).t(), target)
        boxes = boxes - (0.1 if step <= 160 else 0.01 if step <= 180 else 0.001) * (2 - iou) * gradient
        errors.append(float((boxes - cases.targets).abs().sum()) * DIOU.cases / len(cases))
    found = run("diou", cases)
    assert found.curve == pytest.approx(errors, rel=1e-9)
    assert found.summary["mean_final_error"] == pytest.approx(errors[-1] / DIOU.cases)
    monkeypatch.setattr(experiment, "ROWS", 64)
    assert run("diou", cases).curve == pytest.approx(errors, rel=1e-9)


def test_threads_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "ROWS", 128)
    cases, before = few(count=300), torch.get_num_threads()
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append([run(loss, cases).curve for loss in ("giou", "wiou(version=3, momentum=0.1)")])
    assert found[0] == found[1]
    monkeypatch.undo()
    torch.set_num_threads(before)


def test_the_error_is_scaled_to_all_cases() -> None:
    """Before the first step moves anything, it is the mean over the drawn cases times 1,715,000."""
    cases = few()
    start = float((cases.anchors - cases.targets).abs().sum(0).mean())
    found = run("iou", cases).curve
    assert found[0] == pytest.approx(1_715_000 * start, rel=0.02)
    assert len(found) == 200


def test_a_running_statistic_learns_once_a_step_from_all_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts as at once: the mean of 1 - IoU over all cases, and not part by part."""
    cases = few(count=300)
    monkeypatch.setattr(experiment, "ROWS", 128)
    named = named_loss("wiou(version=2, momentum=0.5)", "simulate")
    seen: list[float] = []
    told = Slopes.learn

    def learn(self: Slopes, statistics: Any, pred: Any, target: Any) -> None:
        told(self, statistics, pred, target)
        if statistics:
            seen.append(float(named.loss.mean.current))  # type: ignore[attr-defined]
            assert len(pred) == 3, "all parts"

    monkeypatch.setattr(Slopes, "learn", learn)
    parts = run(named, cases)
    first = float((1 - plain_iou(corners(cases.anchors), corners(cases.targets))).mean())
    assert seen[0] == pytest.approx(0.5 + 0.5 * first)
    assert len(seen) == 200
    monkeypatch.setattr(experiment, "ROWS", 10_000)
    monkeypatch.setattr(Slopes, "learn", told)
    assert run("wiou(version=2, momentum=0.5)", cases).curve == pytest.approx(parts.curve, rel=1e-9)


def test_a_loss_whose_cases_depend_on_each_other_is_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def relative(pred: Tensor, target: Tensor) -> Tensor:
        far = (pred - target).abs().sum(-1)
        return far / far.detach().mean()

    cases = few()
    named = Named("own:relative", relative, None)
    at_once = run(named, cases)
    monkeypatch.setattr(experiment, "ROWS", 128)
    slopes = Slopes(named)
    slopes.try_on(cases)
    assert not slopes.apart
    assert run(named, cases).curve == at_once.curve


def test_a_loss_that_follows_the_training_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    tell = Loss.set_progress
    monkeypatch.setattr(Loss, "set_progress", lambda self, progress: (told.append(progress), tell(self, progress)))
    run("uiou(schedule=linear)", few(count=50))
    assert told == [step / 200 for step in range(200)]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda pred, target: (pred - target).abs().mean(), r"returned shape \(\) for 8 boxes"),
        (lambda pred, target: 3.0, "returned type float"),
        (lambda pred, target: pred[:, 9], "on ordinary boxes it raised IndexError"),
        (lambda pred, target: (pred - target).detach().sum(-1), "on ordinary boxes it raised RuntimeError"),
    ],
)
def test_what_is_no_loss_of_boxes_is_refused(function: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"own: ?{said}|own {said}"):
        run(Named("own", function, None), few())


def test_iou_of_inverted_and_touching_boxes_is_0() -> None:
    truth = torch.tensor([[0.0], [0], [1], [1]]).expand(4, 4)
    box = torch.tensor([[0.0, 0, 1, 1], [1, 0, 0, 1], [1, 0, 2, 1], [0.5, 0, 1.5, 1]]).t()
    assert plain_iou(box, truth).tolist() == pytest.approx([1, 0, 0, 1 / 3])


def test_adam_is_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(4, 6, dtype=torch.float64))
    adam = torch.optim.Adam([weight], lr=0.01)
    ours, moments = torch.zeros_like(weight), (torch.zeros_like(weight), torch.zeros_like(weight))
    for step in range(1, 6):
        weight.grad = torch.rand(4, 6, generator=generator, dtype=torch.float64) * 1e-6
        adam.step()
        ours = ours - adam_step(weight.grad, moments[0].detach(), moments[1].detach(), step)
    assert torch.allclose(ours, weight, rtol=1e-12)


def test_the_setting_of_wiou_stops_when_it_gets_no_better() -> None:
    cases = few(WIOU)
    found = run("iou", cases)
    best = found.summary["best_step"]
    assert max(found.curve) == found.curve[best - 1]
    assert len(found.curve) == min(120, best + 50)
    assert found.curve[best - 1] == pytest.approx(
        sum(v * n for v, n in zip(found.where.value, found.where.cases, strict=True)) / len(cases)
    )
    assert found.summary["minimum_over_centres"] <= found.summary["mean_over_centres"] <= 1


def test_waiting_ends_after_fifty_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that drives boxes apart is best at its first step."""
    cases = few(WIOU, 50)
    found = run(Named("own:away", lambda pred, target: -(pred - target).abs().sum(-1), None), cases)
    assert (found.summary["best_step"], len(found.curve)) == (1, 51)


def test_the_map_says_where_the_anchors_started() -> None:
    cases = few()
    where = experiment.map_of(cases, (cases.anchors[0] - 10).clone())
    assert sum(where.cases) == len(cases)
    assert where.value == pytest.approx(where.x, abs=3 / experiment.CELLS)
    assert max(math.hypot(x, y) for x, y in zip(where.x, where.y, strict=True)) < 3 + 3 / experiment.CELLS


def test_a_loss_is_left_as_it_was_named() -> None:
    """Running it again gives the same numbers, but for what its statistics have learnt."""
    named = named_loss("wiou(version=2, momentum=0.5)", "simulate")
    again = Named(named.label, copy.deepcopy(named.loss), named.entry)
    assert run(named, few(count=50)) == run(again, few(count=50))
