"""Class losses with one number per class: taken, compared with the model's classes, and what they train."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import torch
from torch import Tensor, nn

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import cli
from loss_plugins.adapters.ultralytics.classes import classes_of
from loss_plugins.adapters.ultralytics.plug import plugged

from .test_models import loss_and_gradients, make_model

POS_WEIGHT = [1.0, 2.0, 3.0]
#: each with one number for each of three classes
FITTING: list[Any] = [
    {"type": "bce_with_logits", "pos_weight": POS_WEIGHT},
    {"type": "mix", "losses": ["quality_focal", {"type": "bce_with_logits", "pos_weight": POS_WEIGHT}]},
    {"type": "of_classes", "numbers": POS_WEIGHT},
]


@pytest.fixture(autouse=True, scope="module")
def of_classes() -> Any:
    @lp.register_loss("of_classes", kind="classification", targets=("dense",))
    def loss(
        pred: Tensor, target: Tensor, *, numbers: Annotated[list[float], lp.PerClass(lp.Interval(0))] = POS_WEIGHT
    ) -> Tensor:
        plain = nn.functional.binary_cross_entropy_with_logits(pred, target, reduction="none")
        return plain * torch.as_tensor(numbers).to(pred)

    yield
    lp.unregister_loss("of_classes")


@pytest.mark.parametrize("cls", FITTING, ids=lambda spec: spec["type"])
@pytest.mark.parametrize("gain", ["keep", "match"])
def test_they_train_models_of_as_many_classes(cls: Any, gain: str) -> None:
    model = make_model("yolo11n.yaml")
    model.criterion = None
    with lpu.patched(cls=cls, gain=gain) as report:
        total, _, _ = loss_and_gradients(model)
    assert total.isfinite().all()
    assert report.cls.gradient_calls == 1


def test_the_numbers_are_those_of_torch() -> None:
    model = make_model("yolo11n.yaml")
    criterion = model.init_criterion()
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 7, 3, generator=generator), torch.rand(2, 7, 3, generator=generator)
    expected = nn.BCEWithLogitsLoss(reduction="none", pos_weight=torch.tensor(POS_WEIGHT))(logits, target)
    with plugged(lpu.make_spec(cls=FITTING[0])) as plug:
        plug.adopt(criterion)
        torch.testing.assert_close(criterion.bce(logits, target), expected)
        assert plug.check(criterion) == 1


def test_finding_it_out_teaches_no_running_statistic() -> None:
    fresh = lp.build_loss("ghm_c", reduction="none").state_dict()
    with plugged(lpu.make_spec(cls="ghm_c")) as plug:
        criterion = make_model("yolo11n.yaml").init_criterion()
        plug.adopt(criterion)
        plug.check(criterion)
        for loss in (plug.cls.prototype, *plug.cls.losses):
            assert all(torch.equal(loss.state_dict()[name], value) for name, value in fresh.items())
    module = lp.build_loss("ghm_c", reduction="none").train()
    classes_of(module)
    assert all(torch.equal(module.state_dict()[name], value) for name, value in fresh.items())


@pytest.mark.parametrize("file", ["yolo11n.yaml", "yolo26n.yaml"])
@pytest.mark.parametrize("count", [1, 2, 4, 80])
def test_another_count_is_refused_when_the_criterion_is_built(file: str, count: int) -> None:
    model = make_model(file)
    for key, name in (("pos_weight", "bce_with_logits"), ("alpha", "focal"), ("class_weight", "varifocal")):
        for cls in (
            {"type": name, key: [0.5] * count},
            {"type": "mix", "losses": [{"type": name, key: [0.5] * count}]},
        ):
            reason = rf"^{name}: {key} has {count} numbers, and .* has 3 classes; allowed: 3 numbers; .*in its order"
            with pytest.raises(ValueError, match=reason), lpu.patched(cls=cls, model=model):
                model.init_criterion()


def test_they_come_from_the_shell_too() -> None:
    losses, _ = cli.split_settings(["cls_loss=bce_with_logits", "cls_loss.pos_weight=1,2,3"])
    spec = lpu.make_spec(cls=losses["cls"])
    assert list(spec.cls["pos_weight"]) == POS_WEIGHT


@pytest.mark.parametrize(
    ("spec", "count"), [*((each, 3) for each in FITTING), ("focal", None), ("bce_with_logits", None)]
)
def test_how_many_classes_a_loss_is_for(spec: Any, count: int | None) -> None:
    assert classes_of(lp.build_loss(spec, reduction="none")) == count
