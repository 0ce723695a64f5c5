"""What each "Raises" of the adapters says, and a call for each condition; some are proved where a training is."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn import tasks
from ultralytics.utils.loss import BboxLoss

from loss_plugins import build_loss
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import (
    bases,
    canary,
    classes,
    config,
    mixin,
    own,
    plug,
    probe,
    record,
    runs,
    spec,
    trainers,
    yaml12,
)
from loss_plugins.adapters.ultralytics.cli import chosen_task, losses_of, shell_value, split_settings
from loss_plugins.module.image_size import require_size
from tests.house.raises_core import Table

ONE = torch.ones(())


def other_forward(self: Any, pred_bboxes: Any) -> None:
    """A `BboxLoss.forward` as no version has it."""


def unknown_installation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BboxLoss, "forward", other_forward)


def heavier_stock(patch: pytest.MonkeyPatch) -> None:
    stock = BboxLoss.forward
    twice = lambda *arguments, **named: [2 * part for part in stock(*arguments, **named)]  # noqa: E731
    patch.setattr(probe, "stock_forward", lambda *_: _like(stock, twice))
    canary.check_stock_contract(BboxLoss(16))


def _like(stock: Any, function: Any) -> Any:
    function.__signature__ = inspect.signature(stock)
    return function


def unplugged() -> plug.Plug:
    """Built, and never put in."""
    return plug.Plug(lpu.make_spec("eiou", "bce_with_logits"))


def stock_branch() -> Any:
    return SimpleNamespace(bbox_loss=BboxLoss(16), bce=lambda logits, target: 0 * logits)


def idle_context() -> None:
    with lpu.patched(box="eiou"):
        pass


def entered(**losses: Any) -> None:
    with lpu.patched(**losses):
        pass


def entered_twice(model: Any) -> None:
    with lpu.patched(box="eiou", model=model), lpu.patched(box="giou", model=model):
        pass


def detector(cls: Any = tasks.DetectionModel, file: str = "yolo11n.yaml") -> Any:
    model = cls(file, nc=3, verbose=False)
    model.args = get_cfg()
    return model


def rotated_detector() -> Any:
    return detector(tasks.OBBModel, "yolo11n-obb.yaml")


def with_criterion(model: Any) -> Any:
    model.criterion = model.init_criterion()
    return model


def built_inside(model: Any) -> None:
    with lpu.patched(box="eiou"):
        model.init_criterion()


def forward_only() -> None:
    bbox_loss = BboxLoss(16)
    call = canary.fixed_arguments(bbox_loss)
    with lpu.patched(box="eiou"):
        bbox_loss(**{**call, "pred_bboxes": call["pred_bboxes"].requires_grad_()})


def plugged_in() -> None:
    with plug.plugged(lpu.make_spec("eiou")):
        pass


def written(folder: Path, text: str) -> Path:
    (folder / "losses.yaml").write_text(text, encoding="utf-8")
    return folder / "losses.yaml"


def untrained_class() -> type:
    return type("Local", (nn.Module,), {})


ULTRALYTICS = "adapters/ultralytics"
#: where tests of the adapters lie that take a training
PROBES, REFUSALS, OWN = (
    f"tests/adapters/{file}.py::test_"
    for file in ("ultralytics/test_probe", "ultralytics/test_refusals", "ultralytics/test_own")
)
PROCESSES, CLASSES, MASKS, TRACES = (
    f"tests/adapters/ultralytics/test_{name}.py::test_"
    for name in ("processes", "class_weights", "mask_slot", "traces")
)
WRONG = {
    "unknown loss": {"box": "eoiu"},
    "parameter": {"box": {"type": "eiou", "eps": -1.0}},
    "value": {"box": "eiou", "gain": "much"},
}


def wrong(function: Any, *first: Any) -> dict[str, Any]:
    return {name: lambda *_, given=given: function(*first, **given) for name, given in WRONG.items()}


ADAPTERS: Table = {
    (f"{ULTRALYTICS}/__init__.py::patched", "ValueError, TypeError"): {
        **wrong(entered),
        "a model that has a plug": lambda *_: entered_twice(detector()),
        "is no model": lambda *_: entered(box="eiou", model=nn.Linear(1, 1)),
    },
    (f"{ULTRALYTICS}/__init__.py::patched", "UnsupportedUltralytics"): {
        "an installation": lambda patch, _: (unknown_installation(patch), entered(box="eiou")),
        "a criterion built inside the context, that cannot be served": lambda *_: built_inside(rotated_detector()),
    },
    (f"{ULTRALYTICS}/__init__.py::patched", "LossNotUsed"): {
        "the context ended and no criterion had called the loss": lambda *_: idle_context(),
        "no gradient had come back from it": lambda *_: forward_only(),
    },
    (f"{ULTRALYTICS}/canary.py::check_stock_contract", "UnsupportedUltralytics"): {
        "loss, weights or normaliser of the stock loss are not those known": lambda patch, _: (
            heavier_stock(patch),
            canary.check_stock_contract(BboxLoss(16)),
        ),
    },
    (f"{ULTRALYTICS}/canary.py::check_box", "UnsupportedUltralytics"): {
        "the live branch does not return the plugged loss and its gradient": lambda *_: canary.check_box(
            stock_branch(), unplugged().box
        ),
    },
    (f"{ULTRALYTICS}/canary.py::check_cls", "UnsupportedUltralytics"): {
        "the live branch does not return the plugged loss and its gradient": lambda *_: canary.check_cls(
            SimpleNamespace(bce=lambda logits, target: 0 * logits), unplugged().cls
        ),
    },
    (f"{ULTRALYTICS}/traces.py::changed_files", "RuntimeError"): {
        "a file is not the one that was installed; it names each": TRACES + "a_file_that_was_edited_is_named",
    },
    (f"{ULTRALYTICS}/traces.py::replaced_functions", "RuntimeError"): {
        "others have replaced a function, a method or a class in this process; it names each": TRACES
        + "a_patch_is_named",
    },
    (f"{ULTRALYTICS}/runs.py::examine", "ValueError"): {
        "a folder that is none of a run": lambda _, folder: runs.examine(folder),
        "a file that is no checkpoint": lambda *_: runs.examine(Path(__file__)),
    },
    (f"{ULTRALYTICS}/runs.py::stamp_of", "ValueError"): {
        "it is no checkpoint of Ultralytics": lambda *_: runs.stamp_of(Path(__file__)),
    },
    (f"{ULTRALYTICS}/mask_canary.py::check_stock", "UnsupportedUltralytics"): {
        "it is not": MASKS + "a_stock_loss_that_has_changed_is_noticed",
    },
    (f"{ULTRALYTICS}/mask_canary.py::check_mask", "UnsupportedUltralytics"): {
        "the live branch does not return the plugged loss and its gradient": MASKS
        + "a_criterion_with_a_mask_loss_of_its_own_is_noticed",
    },
    (f"{ULTRALYTICS}/fits.py::require_fit", "ValueError"): {
        "it does not": lambda *_: spec.make_spec(mask="cross_entropy"),
        "raises when it is tried": lambda *_: spec.make_spec(
            mask={"type": "bce_with_logits", "pos_weight": [1.0, 2.0]}
        ),
    },
    (f"{ULTRALYTICS}/mask_fits.py::require_mask_loss", "ValueError"): {
        "it is of another kind": lambda *_: spec.make_spec(mask="eiou"),
        "looks at pixels outside of the boxes": lambda *_: spec.make_spec(mask="ghm_c"),
        "does not train masks": lambda *_: spec.make_spec(mask="cross_entropy"),
    },
    (f"{ULTRALYTICS}/probe.py::require_masks", "UnsupportedUltralytics"): {
        "one has none": MASKS + "models_without_masks_are_refused",
    },
    (f"{ULTRALYTICS}/cli.py::chosen_task", "ValueError"): {
        "not of that form": lambda *_: chosen_task(["predict", "detect"])
    },
    (f"{ULTRALYTICS}/cli.py::split_settings", "ValueError"): {
        "a key that nobody knows": lambda *_: split_settings(["epoch=3"]),
        "a parameter of a loss that is not named": lambda *_: split_settings(["box_loss.alpha=2"]),
    },
    (f"{ULTRALYTICS}/cli.py::losses_of", "ValueError"): {
        "it was trained with the stock losses": lambda *_: losses_of("yolo11n.yaml"),
    },
    (f"{ULTRALYTICS}/cli.py::chosen_task", "UnsupportedUltralytics"): {
        "`tune`": lambda *_: chosen_task(["detect", "tune"]),
        "a task that cannot be served": lambda *_: lpu.trainer(chosen_task(["classify", "train"])[0], box="eiou"),
    },
    (f"{ULTRALYTICS}/mixin.py::check_task", "ValueError"): {
        "the model is one of another task": lambda *_: mixin.check_task(trainers.TRAINERS["pose"], detector()),
    },
    (f"{ULTRALYTICS}/mixin.py::check_imports", "UnsupportedUltralytics"): {
        "one of them is `__main__`, a script or a notebook": lambda *_: mixin.check_imports(
            spec.Spec({"type": "eiou"}, imports=("__main__",))
        ),
    },
    (f"{ULTRALYTICS}/trainers.py::trainer_of", "TypeError"): {"it is no text": lambda *_: trainers.trainer_of(3)},
    (f"{ULTRALYTICS}/trainers.py::trainer_of", "ValueError"): {
        "no such task": lambda *_: trainers.trainer_of("detection")
    },
    (f"{ULTRALYTICS}/trainers.py::trainer_of", "UnsupportedUltralytics"): {
        "a task that cannot be served": lambda *_: trainers.trainer_of("classify"),
    },
    (f"{ULTRALYTICS}/plug.py::Plug.bind", "TypeError"): {
        "it is no model of Ultralytics": lambda *_: unplugged().bind(nn.Linear(1, 1)),
    },
    (f"{ULTRALYTICS}/plug.py::Plug.bind", "ValueError"): {
        "the model has a plug": lambda *_: entered_twice(detector()),
    },
    (f"{ULTRALYTICS}/plug.py::Plug.bind", "UnsupportedUltralytics"): {
        "the criterion that it has cannot be served": lambda *_: unplugged().bind(with_criterion(rotated_detector())),
    },
    (f"{ULTRALYTICS}/plug.py::Plug.adopt", "UnsupportedUltralytics"): {
        "it computes no loss that could be replaced": lambda *_: unplugged().adopt(nn.Linear(1, 1)),
    },
    (f"{ULTRALYTICS}/plug.py::Plug.check", "UnsupportedUltralytics"): {
        "a branch does not compute the plugged loss": lambda *_: unplugged().check(stock_criterion()),
    },
    (f"{ULTRALYTICS}/plug.py::plugged", "UnsupportedUltralytics"): {
        "this installation cannot be served for certain": lambda patch, _: (unknown_installation(patch), plugged_in()),
    },
    (f"{ULTRALYTICS}/probe.py::stock_forward", "UnsupportedUltralytics"): {
        "the class": lambda patch, _: (patch.delattr("ultralytics.utils.loss.BboxLoss"), probe.stock_forward()),
        "its parameters": lambda patch, _: (unknown_installation(patch), probe.stock_forward()),
        "its use of `bbox_iou` are not those known": PROBES + "an_unknown_forward_is_refused",
    },
    (f"{ULTRALYTICS}/probe.py::require_branches", "UnsupportedUltralytics"): {
        "the criterion has no `BboxLoss`": lambda *_: probe.require_branches(nn.Linear(1, 1)),
        "one of other boxes": PROBES + "a_loss_of_other_boxes_is_refused_with_the_kind_to_use",
        "one that is not trained": PROBES + "visual_prompts_are_refused",
    },
    (f"{ULTRALYTICS}/spec.py::make_spec", "ValueError, TypeError"): {
        "naming argument, value and remedy": lambda *_: spec.make_spec(box="eoiu"),
    },
    (f"{ULTRALYTICS}/yaml12.py::yaml_value", "ValueError"): {
        "it is no YAML": lambda *_: yaml12.yaml_value("losses: {box", "here"),
        "may be read in two ways; in one line": lambda *_: yaml12.yaml_value("losses: 010", "here"),
    },
    (f"{ULTRALYTICS}/own.py::name_of_own", "ValueError"): {
        "it gives something else, or no gradient": lambda *_: own.name_of_own(nn.L1Loss(), "box"),
    },
    (f"{ULTRALYTICS}/own.py::enter_from", "ImportError"): {"there is none": lambda *_: own.enter_from("math:nobody")},
    (f"{ULTRALYTICS}/own.py::enter_from", "ValueError"): {
        "it is no loss of boxes": lambda *_: own.enter_from("math:sqrt")
    },
    (f"{ULTRALYTICS}/bases.py::task_of", "TypeError"): {
        "it is no trainer of Ultralytics": lambda *_: bases.task_of(nn.Linear),
        "one without a task": lambda *_: bases.task_of(BaseTrainer),
    },
    (f"{ULTRALYTICS}/bases.py::check_base", "UnsupportedUltralytics"): {
        "one of them does not": OWN + "a_base_that_replaces_what_the_losses_come_in_by_is_refused_before_training",
    },
    (f"{ULTRALYTICS}/bases.py::check_criterion", "UnsupportedUltralytics"): {
        "one does": OWN + "a_criterion_of_a_base_that_computes_its_own_loss_is_refused_before_training",
    },
    (f"{ULTRALYTICS}/bases.py::check_importable", "UnsupportedUltralytics"): {
        "it is of a script, a notebook or a function": OWN
        + "a_base_that_other_processes_cannot_import_is_refused_for_several_gpus",
    },
    (f"{ULTRALYTICS}/trainers.py::plugged_base", "TypeError"): {
        "it is no trainer of a task": lambda *_: trainers.plugged_base(None, nn.Linear),
    },
    (f"{ULTRALYTICS}/trainers.py::plugged_base", "ValueError"): {
        "it is one of another task": lambda *_: trainers.plugged_base("pose", DetectionTrainer),
    },
    (f"{ULTRALYTICS}/trainers.py::plugged_base", "UnsupportedUltralytics"): {
        "its task cannot be served": lambda *_: trainers.plugged_base(None, ClassificationTrainer),
        "it replaces what the losses come in by": OWN
        + "a_base_that_replaces_what_the_losses_come_in_by_is_refused_before_training",
    },
    (f"{ULTRALYTICS}/yaml12.py::yaml_file", "ValueError"): {
        "it cannot be read": lambda _, folder: yaml12.yaml_file(folder / "nowhere.yaml", "here"),
        "as `yaml_value`": lambda _, folder: yaml12.yaml_file(written(folder, "losses: {box"), "here"),
    },
    (f"{ULTRALYTICS}/config.py::found_file", "ValueError"): {
        "there is none": lambda _, folder: config.found_file(folder / "nowhere.yaml", "config"),
    },
    (f"{ULTRALYTICS}/spec.py::Spec.from_json", "ValueError"): {
        "the text is none that `to_json` wrote": lambda *_: spec.Spec.from_json("{}"),
    },
    (f"{ULTRALYTICS}/record.py::read_stamp", "ValueError"): {
        "it is none that this version wrote": lambda *_: record.read_stamp({}, "best.pt"),
    },
    (f"{ULTRALYTICS}/cli.py::shell_value", "ValueError"): {
        "neither": lambda *_: shell_value("[640", "box_loss.image_size"),
        "a key of a dict again": lambda *_: shell_value("{'type': 'eiou', 'type': 'giou'}", "box_loss"),
    },
    (f"{ULTRALYTICS}/config.py::read_config", "ValueError"): {
        "no such file": lambda _, folder: config.read_config(folder / "nowhere.yaml"),
        "no such section": lambda _, folder: config.read_config(written(folder, "box: eiou")),
        "a key in it that is not known": lambda _, folder: config.read_config(written(folder, "losses: {bax: eiou}")),
        "imports that are not followed": lambda _, folder: config.read_config(
            written(folder, "losses: {box: eiou, imports: [nobody_imported_it]}")
        ),
    },
    (f"{ULTRALYTICS}/config.py::follow_imports", "ValueError"): {
        "a file from elsewhere names a module that nobody has imported": lambda _, folder: config.follow_imports(
            folder / "losses.yaml", ["nobody_imported_it"], "here"
        ),
        "no list of names": lambda _, folder: config.follow_imports(folder / "losses.yaml", "mylosses", "here"),
        "no such module": lambda *_: config.follow_imports(Path.cwd() / "losses.yaml", ["nobody_imported_it"], "here"),
    },
    (f"{ULTRALYTICS}/config.py::import_modules", "ValueError"): {
        "one cannot be imported": lambda *_: config.import_modules(["nobody_imported_it"], "here"),
    },
    (f"{ULTRALYTICS}/trainers.py::trainer", "ValueError, TypeError"): wrong(lpu.trainer, "detect"),
    (f"{ULTRALYTICS}/trainers.py::trainer", "UnsupportedUltralytics"): {
        "a task": lambda *_: lpu.trainer("classify", box="eiou"),
        "an installation that cannot be served": lambda patch, _: (
            unknown_installation(patch),
            lpu.trainer("detect", box="eiou"),
        ),
    },
    (f"{ULTRALYTICS}/trainers.py::check_kind", "ValueError"): {
        "it computes on other ones": lambda *_: lpu.trainer("obb", box="eiou"),
    },
    (f"{ULTRALYTICS}/sweeps.py::not_passed_over", "SweepEnded"): {
        "from the error": PROCESSES + "a_loss_that_is_not_used_ends_the_trainings_on_several_data_sets",
    },
    (f"{ULTRALYTICS}/classes.py::require_classes", "ValueError"): {
        "it has numbers for another count": lambda *_: classes.require_classes(build_loss("focal"), 3, 2, "the model"),
    },
    (f"{ULTRALYTICS}/families.py::parts_of", "UnsupportedUltralytics"): {
        "it is of no family": lambda *_: unplugged().adopt(nn.Linear(1, 1)),
        "one of the losses cannot be computed there": lambda *_: built_inside(rotated_detector()),
    },
    (f"{ULTRALYTICS}/families.py::parts_of", "ValueError"): {
        "the class loss has numbers for another count of classes": CLASSES
        + "another_count_is_refused_when_the_criterion_is_built",
    },
    (f"{ULTRALYTICS}/overlap.py::overlap_by", "ValueError"): {
        "the loss does not order boxes as their IoU does": lambda *_: lpu.trainer(
            "detect", box="focal_eiou", assigner="match"
        ),
        "is small where boxes are disjoint": lambda *_: lpu.trainer(
            "detect", box={"type": "focal_eiou", "gamma": 0.1}, assigner="match"
        ),
    },
    ("loss_plugins/module/image_size.py::require_size", "ValueError"): {
        "it was given another one": lambda *_: require_size(
            build_loss("mpdiou", image_size=(3, 4)), [(3.0, 4.0)], (4, 3), "images are"
        ),
    },
    (f"{ULTRALYTICS}/canary.py::value_and_gradient", "UnsupportedUltralytics"): {
        "it has none": lambda *_: canary.value_and_gradient(unplugged().slots[0], torch.ones(()), torch.ones(1)),
    },
    (f"{ULTRALYTICS}/canary.py::checked", "UnsupportedUltralytics"): {
        "they differ": lambda *_: canary.checked(unplugged().slots[0], (ONE, ONE), (2 * ONE, ONE)),
        "are not finite": lambda *_: canary.checked(unplugged().slots[0], (ONE, ONE), (ONE / 0, ONE)),
    },
    (f"{ULTRALYTICS}/mixin.py::check_trainer", "UnsupportedUltralytics"): {
        "one of them fails": lambda *_: mixin.check_trainer(untrained_class()),
    },
    (f"{ULTRALYTICS}/training_parity.py::curve", "LossNotUsed"): {
        "a plugged loss was not the one trained": REFUSALS + "training_that_never_calls_the_loss_raises",
    },
}


def stock_criterion() -> Any:
    """A detection criterion without any plug."""
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolov8n.yaml", nc=2, verbose=False)
    model.args = get_cfg()
    return model.init_criterion()
