"""Losses for long-tailed classes in the class slot: taken with the model's number of classes, or refused by name."""

from __future__ import annotations

import pytest
import torch

import loss_plugins.adapters.ultralytics as lpu
from loss_plugins import build_loss
from loss_plugins.adapters.ultralytics.classes import classes_of, require_classes
from loss_plugins.adapters.ultralytics.plug import plugged

from .test_models import loss_and_gradients, make_model


@pytest.mark.parametrize("name", ["eqlv2", "efl"])
def test_the_number_of_classes_is_that_of_the_model_or_refused(name: str) -> None:
    assert classes_of(build_loss(name)) is None, "any: the first batch tells"
    assert classes_of(build_loss(name, num_classes=3)) == 3
    mixed = build_loss("mix", losses=[{"type": name, "num_classes": 3}, "focal"])
    assert classes_of(mixed) == 3
    loss = build_loss(name, num_classes=3)
    with pytest.raises(ValueError, match=rf"{name}: it has one number for each of 3 classes, and the model has 80"):
        require_classes(loss, classes_of(loss), 80, "the model")


def test_seesaw_is_refused_before_training_by_what_it_lacks() -> None:
    with pytest.raises(ValueError, match=r"cls='seesaw' does not take .*integer labels.*allowed: .*eqlv2"):
        lpu.make_spec(cls="seesaw")


@pytest.mark.parametrize("name", ["eqlv2", "efl"])
def test_a_model_teaches_it_once_a_call_and_the_trial_before_does_not(name: str) -> None:
    model = make_model("yolo11n.yaml")
    model.criterion = None
    with lpu.patched(cls=name, model=model) as report:
        total, _, _ = loss_and_gradients(model)
    assert total.isfinite().all()
    assert report.cls.gradient_calls == 1


@pytest.mark.parametrize("name", ["eqlv2", "efl"])
def test_the_statistic_learns_what_comes_back_to_the_scores(name: str) -> None:
    """Of EFL with the gain of the trainer in it."""
    criterion = make_model("yolo11n.yaml").init_criterion()
    generator = torch.Generator().manual_seed(0)
    logits, target = (
        torch.randn(2, 7, 3, generator=generator, requires_grad=True),
        torch.rand(2, 7, 3, generator=generator),
    )
    with plugged(lpu.make_spec(cls=name)) as plug:
        plug.adopt(criterion)
        plug.check(criterion)
        loss = criterion.bce(logits, target)
        (7.5 * loss.sum()).backward()
        (module,) = plug.cls.losses
        (statistic,) = module.statistics.values()
    rows = [part.double().flatten(0, 1) for part in (logits.grad, target, logits.detach().sigmoid())]
    pull = rows[0].abs() if name == "efl" else (rows[2] - rows[1]).abs()
    wanted = torch.stack([(pull * rows[1]).sum(0), (pull * (1 - rows[1])).sum(0)])
    torch.testing.assert_close(statistic.current, wanted, rtol=1e-4, atol=1e-6)


def test_another_number_of_classes_is_refused_when_the_criterion_is_built() -> None:
    model = make_model("yolo11n.yaml")
    with (
        pytest.raises(ValueError, match=r"eqlv2: it has one number for each of 2 classes, and .* has 3"),
        lpu.patched(cls={"type": "eqlv2", "num_classes": 2}, model=model),
    ):
        model.init_criterion()
