# SPDX-License-Identifier: AGPL-3.0-or-later
"""Frozen layers: a loss whose predictions take no gradient is named as such, after the first batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.plug import Plug, plugged

from .ultralytics_runs import stepped

#: the layers that predict, by what is predicted
HEADS = {"box": ("cv2", "one2one_cv2"), "cls": ("cv3", "one2one_cv3")}


def learning(file: str, *layers: str) -> DetectionModel:
    """A model in which these layers of the head learn alone, as with `freeze=` of all others."""
    model = DetectionModel(file, nc=3, verbose=False)
    model.args = get_cfg()
    head = model.model[-1]
    for parameter in model.parameters():
        parameter.requires_grad = False
    for layer in layers:
        for parameter in getattr(head, layer).parameters():
            parameter.requires_grad = True
    return model.train()


@pytest.fixture
def plug() -> Iterator[Plug]:
    with plugged(lpu.make_spec("eiou", "quality_focal"), bound=True) as found:
        yield found


def trained(plug: Plug, model: DetectionModel) -> None:
    """One batch, as the trainer counts it."""
    plug.bind(model)
    plug.begin_epoch()
    plug.begin_step()
    stepped(model)
    plug.sync()


@pytest.mark.parametrize(("loss", "other"), [("box", "cls"), ("cls", "box")])
def test_a_loss_of_frozen_predictions_is_named_after_the_first_batch(loss: str, other: str, plug: Plug) -> None:
    trained(plug, learning("yolo11n.yaml", HEADS[other][0]))
    with pytest.raises(lpu.LossNotUsed, match=rf"the {loss} loss .* take no gradient.*freeze=.*leave {loss} out"):
        plug.require_branch_call()
    with pytest.raises(lpu.LossNotUsed, match=rf"the {loss} loss .* take no gradient"):
        plug.require_use()


@pytest.mark.parametrize("learns", [0, 1])
def test_one_branch_of_two_may_be_frozen(learns: int, plug: Plug) -> None:
    trained(plug, learning("yolo26n.yaml", *(layers[learns] for layers in HEADS.values())))
    plug.require_branch_call()
    plug.require_use()
    for slot in plug.slots:
        assert slot.calls.frozen_calls == slot.calls.train_calls == 1


def test_a_context_says_so_too(caplog: pytest.LogCaptureFixture) -> None:
    """Values alone may have been wanted there: it is a warning."""
    model = learning("yolo11n.yaml", "cv3")
    with caplog.at_level("INFO"), lpu.patched("eiou", "quality_focal", model=model):
        stepped(model)
    (line,) = (line for line in caplog.messages if "take no gradient" in line)
    assert "WARNING the box loss eiou was computed 1 times" in line
    assert "torch.no_grad()" in line
