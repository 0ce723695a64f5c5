"""Slide loss: by hand, its mean IoU from targets, and the running mean."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.losses.slide import sum_of_ious
from loss_plugins.tensors import on_target

LN2 = math.log(2)
#: two rows with an object and one without; the second class is that of the objects
TARGET = torch.tensor([[0.0, 0.55], [0.0, 0.3], [0.0, 0.0]], dtype=torch.float64)
#: the last one is of no positive
IOU = torch.tensor([0.8, 0.4, 0.9], dtype=torch.float64)


def weights(loss: lp.Loss, target: object) -> Tensor:
    """What a score of 0 costs, over ln 2."""
    return loss(torch.zeros(3, 2, dtype=torch.float64), target) / LN2


def by_hand(level: float) -> Tensor:
    """2208.02019, with e^(1 - mu)."""
    return torch.tensor(
        [
            [1.0 if y <= level - 0.1 else math.exp(1 - level) if y < level else math.exp(1 - y) for y in row]
            for row in TARGET.tolist()
        ],
        dtype=torch.float64,
    )


@pytest.mark.parametrize(("mu", "level"), [(0.6, 0.6), (0.5, 0.5), (0.35, 0.35), (0.1, 0.2), (0.0, 0.2), (1.0, 1.0)])
def test_targets_around_the_mean_weigh_more_and_a_mean_below_a_fifth_counts_as_that(mu: float, level: float) -> None:
    for loss in (lp.SlideLoss(reduction="none", mu=mu), lp.EMASlideLoss(reduction="none", mu=mu)):
        torch.testing.assert_close(weights(loss, TARGET), by_hand(level))


def test_on_hard_targets_it_is_cross_entropy() -> None:
    pred, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 3, 1])
    for loss in (lp.slide_loss, lp.ema_slide_loss):
        torch.testing.assert_close(loss(pred, labels), lp.bce_with_logits_loss(pred, labels))


def test_the_mean_of_the_ious_of_positives_takes_the_place_of_mu() -> None:
    """0.6, as the third row has no target above 0; without positives mu stands."""
    loss = lp.SlideLoss(reduction="none", mu=0.3)
    torch.testing.assert_close(weights(loss, (TARGET, IOU)), by_hand(0.6))
    nothing = torch.zeros_like(TARGET)
    torch.testing.assert_close(weights(loss, (nothing, IOU)), torch.ones_like(TARGET))
    labels, quality = torch.tensor([1, 1, 2]), torch.tensor([0.55, 0.3, 0.9], dtype=torch.float64)
    torch.testing.assert_close(weights(loss, (labels, quality)), by_hand((0.55 + 0.3) / 2))


def test_maps_have_an_iou_per_pixel() -> None:
    target = TARGET.t().reshape(1, 2, 3, 1)
    loss = lp.SlideLoss(reduction="none")(torch.zeros(1, 2, 3, 1).double(), (target, IOU.view(1, 3, 1))) / LN2
    torch.testing.assert_close(loss, by_hand(0.6).t().reshape(1, 2, 3, 1))


def test_the_running_mean_learns_in_training_alone_and_mu_stands_until_then() -> None:
    loss = lp.EMASlideLoss(reduction="none", mu=0.3, decay=0.9, tau=3.0)
    given = TARGET, IOU
    torch.testing.assert_close(weights(loss.eval(), given), by_hand(0.3))
    loss.train()
    with torch.no_grad():
        weights(loss, given)
    assert loss.mean.current.tolist() == [1.0, 0.0]
    weights(loss, TARGET), weights(loss, (torch.zeros_like(TARGET), IOU))  # no IoU, and no positive
    assert loss.mean.current.tolist() == [1.0, 0.0]
    kept, level = 0.9 * (1 - math.exp(-1 / 3)), 0.6
    learnt = weights(loss, given)
    torch.testing.assert_close(learnt, by_hand(kept + (1 - kept) * level))
    torch.testing.assert_close(weights(loss.eval(), TARGET), learnt)
    assert loss.state_dict()["mean.value"].tolist() == pytest.approx([kept + (1 - kept) * level, 1.0])


def test_the_calls_of_a_step_are_one_update_by_all_their_positives() -> None:
    whole, parts = lp.EMASlideLoss(), lp.EMASlideLoss()
    pred = torch.zeros(3, 2, dtype=torch.float64)
    whole(pred, (TARGET, IOU))
    parts.begin_step()
    for row in range(3):
        parts(pred[row : row + 1], (TARGET[row : row + 1], IOU[row : row + 1]))
    torch.testing.assert_close(parts.mean.current, whole.mean.current)
    assert whole.mean.current[1] == 1


def test_no_ious_are_counted_where_the_scores_are() -> None:
    """A step adds its calls up on the device of the module, where a sum on another one would be an error."""
    pred = torch.zeros(3, 2, device="meta")
    for target in (TARGET, torch.tensor([1, 0, 2]), (TARGET, IOU)):
        assert sum_of_ious(pred, on_target(lambda part: part.to("meta"), target)).device == pred.device


def test_rows_of_weight_0_and_ignored_ones_teach_nothing() -> None:
    pred = torch.zeros(3, 2, dtype=torch.float64)
    wanted = lp.EMASlideLoss()
    wanted(pred[:1], (TARGET[:1], IOU[:1]))
    weighed = lp.EMASlideLoss()
    weighed(pred, (TARGET, IOU), torch.tensor([1.0, 0.0, 1.0]))
    marked, ignoring = TARGET.clone(), lp.EMASlideLoss(ignore_index=255)
    marked[1] = 255
    ignoring(pred, (marked, IOU))
    labelled = lp.EMASlideLoss()
    labelled(pred, (torch.tensor([1, -100, 2]), IOU))
    for loss in (weighed, ignoring, labelled):
        torch.testing.assert_close(loss.mean.current, wanted.mean.current)


def test_gradients_are_those_of_the_value() -> None:
    pred = torch.tensor([[0.4, -1.3], [-0.2, 0.9], [1.7, -0.6]], dtype=torch.float64, requires_grad=True)
    for loss in (lp.SlideLoss(reduction="none"), lp.EMASlideLoss(reduction="none").eval()):
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, (TARGET, IOU)), (pred,))
