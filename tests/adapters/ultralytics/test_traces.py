# SPDX-License-Identifier: AGPL-3.0-or-later
"""The doctor names what others have patched: the ways in which losses are swapped by hand."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.nn import tasks
from ultralytics.utils import loss, metrics, tal

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import traces
from loss_plugins.adapters.ultralytics.doctor import ACTIONS, tried
from loss_plugins.adapters.ultralytics.plug import plugged

Patch = Callable[[pytest.MonkeyPatch], None]


def another_iou(*args: Any, **kwargs: Any) -> Any:
    return metrics.bbox_iou(*args, **kwargs)


class AnotherBboxLoss(loss.BboxLoss):
    """Says which IoU it wants, which nobody reads."""

    def __init__(self, reg_max: int = 16) -> None:
        super().__init__(reg_max)
        self.iou_type = "siou"


def in_metrics_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(metrics, "bbox_iou", another_iou)


def in_loss_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss, "bbox_iou", another_iou)


def as_a_subclass(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss, "BboxLoss", AnotherBboxLoss)


def a_wrapped_init(patch: pytest.MonkeyPatch) -> None:
    stock = loss.v8DetectionLoss.__init__

    @functools.wraps(stock)
    def init(self: Any, model: Any, tal_topk: int = 10) -> None:
        stock(self, model, tal_topk)

    patch.setattr(loss.v8DetectionLoss, "__init__", init)


def a_method(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss.BboxLoss, "forward", lambda self, *args: None)


def in_the_assigner(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tal.TaskAlignedAssigner, "iou_calculation", lambda self, a, b: a)


def in_a_decorated_method(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tal.TaskAlignedAssigner, "forward", torch.no_grad()(lambda self, *args: None))


def around_a_decorated_method(patch: pytest.MonkeyPatch) -> None:
    stock = tal.TaskAlignedAssigner.forward
    patch.setattr(tal.TaskAlignedAssigner, "forward", functools.wraps(stock)(lambda *args: stock(*args)))


def in_a_static_method(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss.v8SegmentationLoss, "single_mask_loss", staticmethod(another_iou))


def in_the_place_of_a_static_method(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss.v8SegmentationLoss, "single_mask_loss", loss.v8SegmentationLoss.single_mask_loss)


def a_new_method(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss.BboxLoss, "__call__", another_iou, raising=False)


def a_method_of_the_same_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss.BboxLoss, "forward", loss.RotatedBboxLoss.forward)


def a_class_of_the_same_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss, "BboxLoss", loss.RotatedBboxLoss)


def a_function_of_the_same_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(metrics, "bbox_iou", metrics.bbox_ioa)


def a_builtin(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss.BboxLoss, "forward", functools.partial(another_iou))


def a_method_away(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(loss.RotatedBboxLoss, "forward")


def an_imported_function(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loss, "F", metrics)


@pytest.mark.parametrize(
    ("patched", "named"),
    [
        (in_metrics_alone, [r"utils\.metrics\.bbox_iou is of .*test_traces\.py:\d+", r"loss has another bbox_iou"]),
        (in_loss_alone, [r"ultralytics\.utils\.loss has another bbox_iou than ultralytics\.utils\.metrics"]),
        (as_a_subclass, [r"ultralytics\.utils\.loss\.BboxLoss is of .*test_traces\.py:\d+"]),
        (a_wrapped_init, [r"v8DetectionLoss\.__init__ is of .*test_traces\.py:\d+"]),
        (a_method, [r"BboxLoss\.forward is of .*test_traces\.py:\d+"]),
        (in_the_assigner, [r"TaskAlignedAssigner\.iou_calculation is of"]),
        (in_a_decorated_method, [r"TaskAlignedAssigner\.forward is of .*test_traces\.py:\d+"]),
        (around_a_decorated_method, [r"TaskAlignedAssigner\.forward is of .*test_traces\.py:\d+"]),
        (in_a_static_method, [r"v8SegmentationLoss\.single_mask_loss is of .*test_traces\.py:\d+"]),
        (in_the_place_of_a_static_method, [r"v8SegmentationLoss\.single_mask_loss is "]),
        (a_new_method, [r"loss\.BboxLoss\.__call__ is of .*test_traces\.py:\d+"]),
        (a_method_of_the_same_file, [r"loss\.BboxLoss\.forward is of .*utils/loss\.py:\d+"]),
        (a_class_of_the_same_file, [r"loss\.BboxLoss is of .*utils/loss\.py:\d+"]),
        (a_function_of_the_same_file, [r"metrics\.bbox_iou is of .*utils/metrics\.py:\d+"]),
        (a_builtin, [r"loss\.BboxLoss\.forward is "]),
        (a_method_away, [r"loss\.RotatedBboxLoss\.forward was taken away"]),
        (an_imported_function, [r"utils\.loss has another F than torch\.nn\.functional", r"start Python without"]),
    ],
)  # fmt: skip
def test_a_patch_is_named(patched: Patch, named: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert traces.replaced_functions() == "Ultralytics' own"
    patched(monkeypatch)
    for text in named:
        with pytest.raises(RuntimeError, match=text):
            traces.replaced_functions()


@pytest.fixture
def read_anew() -> Iterator[None]:
    """`ultralytics.utils.loss` executed a second time, and everything put back afterwards."""
    before = dict(vars(loss))
    importlib.reload(loss)
    yield
    vars(loss).clear()
    vars(loss).update(before)
    assert sys.modules["ultralytics.utils.loss"] is loss
    assert tasks.v8DetectionLoss is loss.v8DetectionLoss


@pytest.mark.usefixtures("read_anew")
def test_a_module_that_was_read_anew_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"ultralytics\.nn\.tasks has another v8DetectionLoss"):
        traces.replaced_functions()


def test_our_own_plug_is_none() -> None:
    with plugged(lpu.make_spec("eiou", "focal", mask="dice", assigner="match")):
        assert traces.replaced_functions() == "Ultralytics' own"


def test_a_file_that_was_edited_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert traces.changed_files() == "5 files are as installed"
    original = traces._digest

    def digest(file: Path) -> str:
        copy = tmp_path / file.name
        copy.write_bytes(file.read_bytes() + (b"# edited\n" if file.name == "tal.py" else b""))
        return original(copy)

    monkeypatch.setattr(traces, "_digest", digest)
    with pytest.raises(RuntimeError, match=r"edited since it was installed: .*utils/tal\.py; install"):
        traces.changed_files()


def test_a_clone_has_no_list_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", files)
    assert traces.changed_files() == "installed without a list of its files"


def test_the_doctor_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "no function of losses is replaced"
    assert tried(name, ACTIONS[name]) == {"name": name, "ok": True, "detail": "Ultralytics' own"}
    in_metrics_alone(monkeypatch)
    found = tried(name, ACTIONS[name])
    assert not found["ok"]
    assert "bbox_iou" in found["detail"]
