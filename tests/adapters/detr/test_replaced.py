"""A matcher that somebody puts in the place of the one whose cost is the new box loss."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from loss_plugins.adapters.detr import LossNotUsed, plug
from tests.adapters.detr import own
from tests.adapters.detr.trainings import trained


@pytest.mark.parametrize("fast", [False, True])
def test_a_matcher_that_replaces_the_one_with_the_new_cost_is_told(fast: bool) -> None:
    criterion, given = own.Criterion(), own.layers()
    plugged = plug(criterion, box="eiou", matcher="match", fast=fast)
    for each in (criterion, copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        trained(each, *given)
    plugged.require_use()
    criterion.matcher = own.Matcher()
    with torch.no_grad():
        criterion(*given)
    with pytest.raises(LossNotUsed, match="whose cost is eiou was replaced by a Matcher, whose cost is its own"):
        criterion(*given)
    with pytest.raises(LossNotUsed, match="was replaced by a Matcher"):
        plugged.require_use()
    plugged.unplug()
    trained(criterion, *given)


def test_a_matcher_with_its_own_cost_may_be_replaced() -> None:
    criterion, given = own.Criterion(), own.layers()
    with plug(criterion, box="eiou"):
        criterion.matcher = own.Matcher()
        trained(criterion, *given)
