"""Wrong values at every entry of the adapters: the message names loss or adapter, argument, what came, remedy."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.mmdet.hook import LossPluginsHook
from loss_plugins.adapters.mmdet.registration import register
from loss_plugins.adapters.ultralytics import cli as shell
from loss_plugins.adapters.ultralytics import config, yaml12
from loss_plugins.catalog.declare import COLUMNS
from loss_plugins.catalog.entries import Entry, list_losses, shipped, unregister_loss
from loss_plugins.module.build import module_class

from .wrong_values import example_of, refused, samples, wrong_values

by_name = pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)
ADAPTER = "ultralytics adapter"


def wrapper(entry: Entry) -> Any:
    return register(module_class(entry.name).__name__)


@by_name
def test_wrappers_of_mmdetection_refuse_what_is_wrong(entry: Entry) -> None:
    cls, given = wrapper(entry), example_of(entry)
    for name, parameter in entry.parameters.items():
        for value in wrong_values(parameter):
            refused(functools.partial(cls, **{**given, name: value}), entry.name, name, "")
    wrong_settings = {"reduction": ("avg", None, 3, ["mean"]), "loss_weight": ("2", None, float("nan"), [1.0])}
    for name, values in wrong_settings.items():
        for value in values:
            refused(functools.partial(cls, **{**given, name: value}), entry.name, name, str(value))
    if entry.kind == "classification":
        refused(functools.partial(cls, use_sigmoid="yes", **given), entry.name, "use_sigmoid", "'yes'")
        refused(functools.partial(cls, None, "mean", 1.0, 0.25, **given), entry.name, "by position", "0.25")
    else:
        refused(functools.partial(cls, "mean", 1.0, 0.25, **given), entry.name, "by position", "0.25")
    refused(functools.partial(cls, nosuch=3, **given), entry.name, "nosuch", "3")


@by_name
def test_wrappers_of_mmdetection_refuse_wrong_tensors(entry: Entry) -> None:
    loss = wrapper(entry)(**example_of(entry))
    for given, target in samples(entry, 7):
        # heads of seesaw score whether there is an object in two more columns
        pred = torch.cat([given, given[:, :2]], 1) if entry.name == "seesaw" else given
        rows, first = len(pred), target[0] if isinstance(target, tuple) else target
        for wrong, shows in ((None, "None"), (pred.tolist(), "list"), (pred.int(), "int32"), (torch.zeros(()), "()")):
            refused(functools.partial(loss, wrong, target), entry.name, "pred", shows)
        for wrong, shows in ((None, "None"), (first.tolist(), "list"), ((), "")):
            refused(functools.partial(loss, pred, wrong), entry.name, "target", shows)
        if entry.kind in COLUMNS:
            refused(functools.partial(loss, pred, (target, target)), entry.name, "target", "tuple")
            if entry.kind != "quad":  # no slot of MMDetection takes it
                refused(functools.partial(loss, pred[0], target[0]), entry.name, "pred", "(")
        ones = torch.ones(rows)
        for weight, shows in (
            (1.0, "float"), ([1.0] * rows, "list"), (-ones, "-1"), (ones * float("nan"), "nan"),
            (ones.to(torch.complex64), "complex64"), (torch.ones(rows, 1, 9), "9"), (ones.to("meta"), "meta"),
        ):  # fmt: skip
            refused(functools.partial(loss, pred, target, weight), entry.name, "weight", shows)
        for factor, shows in (
            ("4", "'4'"), ([4.0], "[4.0]"), (-1, "-1"), (float("nan"), "nan"), (torch.ones(2), "(2,)"),
            (np.ones(2), "[1.0, 1.0]"[:1]),
        ):  # fmt: skip
            refused(functools.partial(loss, pred, target, avg_factor=factor), entry.name, "avg_factor", shows)
        for override in ("avg", 3, ["sum"]):
            call = functools.partial(loss, pred, target, reduction_override=override)
            refused(call, entry.name, "reduction_override", str(override))


@pytest.mark.parametrize("value", ["bbox_head.loss_bbox", [3], [None]])
def test_the_hook_of_mmdetection_takes_a_list_of_paths(value: Any) -> None:
    refused(lambda: LossPluginsHook(allow=value), "LossPluginsHook", "allow", str(value)[:5])


@pytest.mark.parametrize(
    ("arguments", "argument", "value"),
    [
        ({"box": 3}, "box", "3"), ({"box": ["eiou"]}, "box", "['eiou']"),
        ({"box": torch.nn.L1Loss()}, "box", "L1Loss()"),
        ({"box": {}}, "box", "{}"), ({"box": {"type": 3}}, "type", "3"), ({"box": {"type": "eiou", 3: 4}}, "key", "3"),
        ({"box": {"type": "eiou", "eps": "1e-7"}}, "eps", "'1e-7'"), ({"box": "l1"}, "box", "'l1'"),
        ({"box": {"type": "eiou", "loss_weight": 0}}, "loss_weight", "0"),
        ({"box": {"type": "eiou", "reduction": "sum"}}, "reduction", "'sum'"),
        ({"cls": 3}, "cls", "3"), ({"cls": "ciou"}, "cls", "'ciou'"), ({"cls": "nll"}, "cls", "'nll'"),
        ({"cls": {"type": "focal", "gamma": [2]}}, "gamma", "[2]"), ({}, "no loss", ""),
        ({"box": "eiou", "gain": 3}, "gain", "3"), ({"box": "eiou", "gain": ["match"]}, "gain", "['match']"),
        ({"box": "eiou", "assigner": "stock"}, "assigner", "'stock'"),
        ({"cls": "bce_with_logits", "assigner": "match"}, "assigner", "match"),
        ({"box": "wiou", "assigner": "match"}, "assigner", "wiou"), ({"config": 3}, "config", "3"),
        ({"config": "."}, "config", "'.'"), ({"config": "nowhere.yaml"}, "config", "'nowhere.yaml'"),
    ],
)  # fmt: skip
def test_specs_of_ultralytics_are_refused_by_name(arguments: dict[str, Any], argument: str, value: str) -> None:
    for call in (lpu.make_spec, functools.partial(lpu.trainer, "detect")):
        refused(functools.partial(call, **arguments), "", argument, value)
    with pytest.raises((ValueError, TypeError), match="; allowed: "), lpu.patched(**arguments):
        pass


@pytest.mark.parametrize("task", [3, ["detect"], "detection"])
def test_tasks_of_ultralytics_are_refused_by_name(task: Any) -> None:
    refused(lambda: lpu.trainer(task, box="eiou"), "trainer", "task", str(task))


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        ("losses: {box: {type: eiou", "line 1"),
        ("losses:\n  box: eiou\n cls: bce", "line 3"),
        ("losses: !!python/object:os.system {}", "line 1"),
        ("\x00", "unacceptable"),
        ("box: eiou", "no section 'losses:'"),
        ("losses: 3", "no section 'losses:'"),
        ("losses: {bax: eiou}", "losses.bax"),
        ("losses: {box: eiou, imports: mylosses}", "imports='mylosses'"),
        ("losses: {box: eiou, imports: [3]}", "imports=[3]"),
    ],
)
def test_broken_config_files_are_one_line(text: str, shows: str, tmp_path: Path) -> None:
    file = tmp_path / "losses.yaml"
    file.write_text(text)
    parts = refused(lambda: lpu.make_spec(config=file), ADAPTER, "losses.yaml", shows)
    assert "\n" not in parts.group()


@pytest.mark.parametrize("text", ["1e-7", "1E-07", "+1e-7", "1.0e-7", "10e-8", ".1e-6"])
def test_numbers_of_yaml_are_numbers(text: str, tmp_path: Path) -> None:
    file = tmp_path / "losses.yaml"
    file.write_text(f"losses: {{box: {{type: eiou, eps: {text}}}}}")
    spec = lpu.make_spec(config=file)
    assert spec.box is not None
    assert spec.box["eps"] == pytest.approx(1e-7, rel=1e-12)
    assert yaml12.yaml_value(f"'{text}'", "here") == text  # in quotes it is text


def test_imports_on_the_shell_are_followed_for_names_and_for_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the docs say: modules of the current folder, and those that a file from elsewhere names."""
    said = " ".join((Path(__file__).parents[2] / "docs/ultralytics.md").read_text(encoding="utf-8").split())
    assert "A file outside of the current folder imports nothing by itself: say `imports=mylosses` on the shell" in said
    (home := tmp_path / "home").mkdir()
    (home / "imported_module_3.py").write_text(MODULE.format(number=3))
    (away := tmp_path / "away.yaml").write_text("losses: {box: test_imported_3, imports: [imported_module_3]}")
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "path", [*sys.path])
    trained: list[Any] = []
    model = SimpleNamespace(train=lambda trainer, **settings: trained.append((trainer.keywords["loss_spec"], settings)))
    monkeypatch.setattr(shell, "make_model", lambda task, file: model)
    words = ["detect", "train", "model=yolo11n.yaml", "epochs=3"]
    try:
        refused(lambda: shell.yolo([*words, f"losses={away}"]), ADAPTER, "imports", "imported_module_3")
        refused(lambda: shell.yolo([*words, "box_loss=test_imported_3"]), ADAPTER, "box", "test_imported_3")
        refused(lambda: shell.yolo([*words, "imports=imported_module_4"]), ADAPTER, "imports", "imported_module_4")
        assert not trained
        for loss in ("box_loss=test_imported_3", f"losses={away}"):
            sys.modules.pop("imported_module_3", None)
            if "test_imported_3" in list_losses():
                unregister_loss("test_imported_3")
            shell.yolo(["imports=imported_module_3", *words, loss])
            spec, settings = trained.pop()
            assert (spec.box["type"], spec.imports) == ("test_imported_3", ("imported_module_3",))
            assert settings == {"epochs": 3}
    finally:
        sys.modules.pop("imported_module_3", None)
        if "test_imported_3" in list_losses():
            unregister_loss("test_imported_3")


MODULE = """
import loss_plugins as lp

@lp.register_loss("test_imported_{number}")
def imported(pred, target):
    return (pred - target).abs().mean(-1)
"""


def test_imports_of_files_from_elsewhere_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home := tmp_path / "home").mkdir()
    (away := tmp_path / "away").mkdir()
    for number, folder in enumerate((home, away)):
        (folder / f"imported_module_{number}.py").write_text(MODULE.format(number=number))
        text = f"losses: {{box: test_imported_{number}, imports: [imported_module_{number}]}}"
        (folder / "losses.yaml").write_text(text)
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(home)
    try:
        assert lpu.make_spec(config="losses.yaml").imports == ("imported_module_0",)
        parts = refused(lambda: lpu.make_spec(config=away / "losses.yaml"), ADAPTER, "imports", "imported_module_1")
        assert "imports=imported_module_1" in parts["remedy"]
        config.import_modules(["imported_module_1"], "imports=imported_module_1")  # as the command line does
        assert lpu.make_spec(config=away / "losses.yaml").imports == ("imported_module_1",)
    finally:
        import loss_plugins as lp

        for name in ("test_imported_0", "test_imported_1"):
            if name in lp.list_losses():
                lp.unregister_loss(name)


@pytest.mark.parametrize(
    ("losses", "allowed"),
    [
        ({"cls": "focal"}, "'match' beside a box loss, or 'keep'"),
        ({"box": {"type": "wiou", "version": 3}}, "'keep' beside wiou"),
        ({"box": {"type": "mpdiou", "image_size": [640, 640]}}, "'keep' beside mpdiou"),
    ],
    ids=str,
)
def test_an_assigner_that_cannot_follow_the_loss_is_not_named_as_allowed(losses: dict[str, Any], allowed: str) -> None:
    parts = refused(lambda: lpu.make_spec(**losses, assigner="match"), ADAPTER, "assigner='match'", "")
    assert parts["allowed"] == allowed
    lpu.make_spec(**losses, assigner="keep")


def test_functions_and_classes_are_shown_by_their_names() -> None:
    def own(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return pred - target

    for wrong, shows in (
        (own, "own"),
        (len, "len"),
        (dict, "dict"),
        (lambda: own, "<lambda>"),
        ("".join, "join"),
        ([own, dict], "[the function "),
    ):
        for slot in ("gain", "assigner"):
            refused(lambda: lpu.make_spec("ciou", **{slot: wrong}), ADAPTER, slot, shows)  # noqa: B023
    refused(lambda: lpu.make_spec(cls=own), ADAPTER, "cls", "the function ")
