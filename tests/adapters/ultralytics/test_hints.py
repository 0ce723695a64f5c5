# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a message advises can be done, and leads on."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import ultralytics
import yaml
from torch import Tensor

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import cli, mixin
from loss_plugins.adapters.ultralytics.slots import non_defaults
from loss_plugins.adapters.ultralytics.spec import Spec

from .test_models import make_model
from .ultralytics_runs import batch_of

pytestmark = pytest.mark.usefixtures("own_losses")
PAIR = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])


def doubled(pred: Tensor, target: Tensor) -> Tensor:
    return 2 * lp.iou_loss(pred, target)


def of_a_script() -> Any:
    """A function that nobody could import."""
    names: dict[str, Any] = {"__name__": "__main__", "lp": lp}
    exec("def of_script(pred, target):\n    return lp.iou_loss(pred, target)", names)
    return names["of_script"]


@pytest.mark.parametrize("function", [lambda p, t: lp.iou_loss(p, t), of_a_script()], ids=["lambda", "script"])
def test_a_run_of_a_function_that_no_shell_finds_is_resumed_in_python(
    function: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell says so, and what it says is a trainer of the run's losses, though its record names no module."""
    losses = lpu.make_spec(function).as_dict()
    weights = tmp_path / "weights" / "last.pt"
    held = SimpleNamespace(model=SimpleNamespace(loss_plugins={"losses": losses, "state": {}}))
    monkeypatch.setattr(ultralytics, "YOLO", lambda file: held)
    (tmp_path / "loss_plugins.yaml").write_text(yaml.safe_dump({"losses": losses}), encoding="utf-8")
    lp.unregister_loss(losses["box"]["type"])
    with pytest.raises(ValueError, match="no shell finds") as refused:
        cli.losses_of(str(weights))
    assert "imports=" not in str(refused.value)
    (call,) = re.findall(r"trainer=(lpu\.trainer\(.*?\)),", str(refused.value))
    trainer = eval(call, {"lpu": lpu, "THE_FUNCTION": function})
    assert trainer.keywords["loss_spec"].as_dict() == losses


def test_a_function_takes_a_weight_as_other_losses_do() -> None:
    spec = lpu.make_spec({"type": doubled, "loss_weight": 0.25})
    assert spec.box == {**lpu.make_spec(doubled).box, "loss_weight": 0.25}
    assert float(spec.build("box")(*PAIR)) == pytest.approx(0.25 * 2 * 0.5)  # 1/4 of twice 1 - 1/2
    with pytest.raises(TypeError, match=r"cls\.type=.*doubled.* is a function; .*register_loss"):
        lpu.make_spec(cls={"type": doubled})


@pytest.mark.parametrize("slot", ["box", "cls", "mask", "sem", "dfl"])
@pytest.mark.parametrize("asked", [lp.EIoULoss, {"type": lp.EIoULoss}], ids=["class", "type"])
def test_the_class_of_a_loss_is_named_as_one(slot: str, asked: Any) -> None:
    with pytest.raises(TypeError, match=rf"{slot}\S*=EIoULoss is a class; .*; pass EIoULoss\(\) or 'eiou'"):
        lpu.make_spec(**{slot: asked})


def test_a_slip_in_a_name_is_told() -> None:
    with pytest.raises(ValueError, match=r"config='alpha-ciou' is not a file; .*did you mean 'alpha_ciou'"):
        lpu.make_spec(config="alpha-ciou")
    with pytest.raises(ValueError, match=r"got 'detetc train'.*did you mean 'detect' .*\? for example: loss-plugins"):
        cli.chosen_task(["detetc", "train"])
    with pytest.raises(ValueError, match=r"got 'detect trian'.*did you mean 'train'\?"):
        cli.chosen_task(["detect", "trian"])


def test_a_context_says_who_has_the_guard() -> None:
    with pytest.raises(TypeError, match=r"nan_guard=True; allowed: box, .*; leave it out: lpu.trainer has it") as told:
        lpu.patched(box="eiou", nan_guard=True)
    assert str(told.value).count("assigner") == 1
    with pytest.raises(TypeError) as told:
        lpu.patched(box="eiou", zzzzzz=True)
    assert str(told.value).count("assigner") == 1  # what is allowed, once


@pytest.mark.parametrize("bound", [True, False], ids=["model", "thread"])
def test_a_model_without_settings_is_told_how_to_get_them(bound: bool) -> None:
    """YOLO(...) has the settings as a dict, and the criterion reads its gains as attributes."""
    net = make_model("yolo11n.yaml")
    net.args = {**vars(net.args)}
    told = pytest.raises(ValueError, match=r"model\.args is a dict; .*set model\.args = get_cfg\(\)")
    with told, lpu.patched(box="eiou", model=net if bound else None):
        net.loss(batch_of(net))


def test_a_loss_of_bins_of_ones_own_is_told_its_target() -> None:
    """Registered without a form of its target it cannot be tried; with the form that is named it is taken."""

    def bins(pred: Tensor, target: Tensor) -> Tensor:
        return lp.distribution_focal_loss(pred, target)

    lp.register_loss("own_bins", kind="classification")(bins)
    with pytest.raises(ValueError, match="own is registered with targets=") as refused:
        lpu.make_spec(dfl="own_bins")
    (targets,) = re.findall(r"targets=(\(.*?\))", str(refused.value))
    lp.unregister_loss("own_bins")
    lp.register_loss("own_bins", kind="classification", targets=eval(targets))(bins)
    assert lpu.make_spec(dfl="own_bins").dfl["type"] == "own_bins"


def test_text_is_no_number() -> None:
    with pytest.raises(ValueError, match=r"alpha='two' is out of range; .*this is text, pass a number"):
        lpu.make_spec({"type": "alpha_iou", "alpha": "two"})


def test_the_line_of_a_mix_has_what_was_asked_for() -> None:
    losses = ["ciou", {"type": "wiou", "version": 3, "loss_weight": 0.5}]
    loss = Spec(box={"type": "mix", "losses": losses}).build("box")
    assert non_defaults(loss) == "(losses=ciou + wiou (version=3, loss_weight=0.5)) "
    assert non_defaults(lp.build_loss("mix", losses=["iou", {"type": "mix", "losses": losses}])).count("(losses=") == 2
    assert mixin.non_defaults is non_defaults
