"""Whole criteria against numbers of frameworks: with the plug of the loss that they have, nothing changes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rfdetr.models.criterion import SetCriterion
from torch import Tensor, nn
from transformers import Deimv2Config, DFineConfig, RTDetrConfig
from transformers.loss.loss_d_fine import DFineLoss
from transformers.loss.loss_deformable_detr import DeformableDetrImageLoss
from transformers.loss.loss_deimv2 import Deimv2Loss
from transformers.loss.loss_for_object_detection import ImageLoss
from transformers.loss.loss_lw_detr import LwDetrImageLoss
from transformers.loss.loss_rf_detr import RfDetrImageLoss
from transformers.loss.loss_rt_detr import RTDetrLoss

from loss_plugins.adapters.detr import plug

HOME = Path(__file__).parents[2] / "golden"
FILE = Path(os.environ.get("GOLDEN_DIR", HOME)) / "detr_criteria.json"
CASES = json.loads((FILE if FILE.exists() else HOME / FILE.name).read_text(encoding="utf-8"))["cases"]
CLASSES = 4
FLAGS = {
    "rfdetr_ia_bce": {"ia_bce_loss": True},
    "rfdetr_ia_bce_padded": {"ia_bce_loss": True},
    "zero_area_rfdetr": {"ia_bce_loss": True},
    "rfdetr_forward": {"ia_bce_loss": True},
    "rfdetr_focal": {},
    "rfdetr_varifocal": {"use_varifocal_loss": True},
    "rfdetr_position_supervised": {"use_position_supervised_loss": True},
}
#: criteria that take no double precision: they write numbers of one into tensors of another
SINGLE = ("d_fine_hf", "deimv2_hf")
PLAIN = ["labels", "boxes", "cardinality"]
#: the loss that equals the class loss of a case, with its parameters; a criterion without one is not plugged there
CLASS_LOSSES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "detr_hf": lambda given: {"type": "cross_entropy"},
    "deformable_detr_hf": lambda given: {"type": "focal", "alpha": given["alpha"], "gamma": given["gamma"]},
    "rt_detr_hf": lambda given: {
        "type": "varifocal",
        "alpha": given["alpha"],
        "gamma": given["gamma"],
        "detach_weight": True,
    },
    "deimv2_hf": lambda given: {"type": "mal", "gamma": given["gamma"], "alpha": given["mal_alpha"]},
    **dict.fromkeys(
        ("lw_detr_hf", "rf_detr_hf", "rfdetr_ia_bce", "rfdetr_ia_bce_padded"),
        lambda given: {"type": "ia_bce", "alpha": given["alpha"], "gamma": given["gamma"]},
    ),
    "rfdetr_focal": lambda given: {"type": "focal", "alpha": given["alpha"], "gamma": given["gamma"]},
}


class Given(nn.Module):
    """A matcher that says what the case says, layer by layer."""

    def __init__(self, layers: list[Any]) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, *_: Any, **__: Any) -> Any:
        return self.layers.pop(0)


def config_of(cls: Any, case: dict[str, Any]) -> Any:
    given = case["params"]
    said = {"focal_loss_alpha": given["alpha"], "focal_loss_gamma": given["gamma"], "num_labels": CLASSES}
    more = {name: given[name] for name in ("max_num_bins", "reg_scale", "up", "mal_alpha") if name in given}
    if "use_dense_one_to_one" in given:
        more["use_dense_one_to_one"] = given["use_dense_one_to_one"]
    return cls(**said, **more)


def criterion_of(case: dict[str, Any]) -> Any:
    given, name = case["params"], case["case"].removesuffix("_forward").removeprefix("NEGATIVE_")
    matcher = nn.Module()
    built: dict[str, Callable[[], Any]] = {
        "detr_hf": lambda: ImageLoss(matcher, CLASSES, given["eos_coef"], PLAIN),
        "deformable_detr_hf": lambda: DeformableDetrImageLoss(matcher, CLASSES, given["alpha"], PLAIN),
        "rt_detr_hf": lambda: RTDetrLoss(config_of(RTDetrConfig, case)),
        "zero_area_hf": lambda: RTDetrLoss(config_of(RTDetrConfig, case)),
        "d_fine_hf": lambda: DFineLoss(config_of(DFineConfig, case)),
        "deimv2_hf": lambda: Deimv2Loss(config_of(Deimv2Config, case)),
        "lw_detr_hf": lambda: LwDetrImageLoss(matcher, CLASSES, given["alpha"], PLAIN, given["group_detr"]),
        "rf_detr_hf": lambda: RfDetrImageLoss(matcher, CLASSES, given["alpha"], PLAIN, given["group_detr"], 16),
    }
    if name in built:
        return built[name]() if name in SINGLE else built[name]().double()
    flags = FLAGS[case["case"]]
    return SetCriterion(CLASSES, matcher, {}, given["alpha"], PLAIN, given.get("group_detr", 1), **flags)


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def inputs_of(case: dict[str, Any]) -> tuple[dict[str, Tensor], list[dict[str, Tensor]], list[Any], float]:
    given = case["inputs"]
    logits, boxes = (tensor(given[name]).requires_grad_() for name in ("logits", "pred_boxes"))
    targets = [target_of(target) for target in given["targets"]]
    indices = [tuple(torch.tensor(part, dtype=torch.int64) for part in pair) for pair in given["indices"]]
    return {"logits": logits, "pred_logits": logits, "pred_boxes": boxes}, targets, indices, given["num_boxes"]


def target_of(target: dict[str, Any]) -> dict[str, Tensor]:
    labels = torch.tensor(target["labels"], dtype=torch.int64)
    boxes = tensor(target["boxes"]).view(-1, 4)
    valid = {"valid": torch.tensor(target["valid"], dtype=torch.bool)} if "valid" in target else {}
    return {"labels": labels, "class_labels": labels, "boxes": boxes, **valid}


def close(found: Any, expected: Any, what: str, single: bool = False) -> None:
    """Equal to an epsilon of the criterion, or to single precision."""
    limit = 2e-5 if single else 2e-6
    torch.testing.assert_close(found, expected, rtol=limit, atol=limit, msg=lambda said: f"{what}: {said}")


def smooth(case: dict[str, Any], shape: torch.Size, layer: str = "main") -> Tensor:
    """Where the gradient is compared: a pair with equal sides has none of its own."""
    rows = torch.ones(shape[:2], dtype=torch.bool)
    for image, query in case.get("kinks", {}).get(layer, ()):
        rows[image, query] = False
    return rows


METHODS = [case for case in CASES if "grads" in case]


def named(case: dict[str, Any]) -> str:
    return f"{case['case']}-{'-'.join(str(value) for value in case['params'].values() if not isinstance(value, dict))}"


ORDINARY = [case for case in METHODS if case["status"] != "negative_example" and "zero_area" not in case["case"]]


@pytest.mark.parametrize("case", ORDINARY, ids=named)
def test_the_methods_give_the_numbers_of_the_framework(case: dict[str, Any]) -> None:
    criterion, given = criterion_of(case), inputs_of(case)
    outputs = given[0]
    cls = CLASS_LOSSES.get(case["case"], lambda params: None)(case["params"])
    with torch.enable_grad():
        made = plug(criterion, box="giou", cls=cls)
        found = {
            key: loss for name in methods_of(criterion, case) for key, loss in getattr(criterion, name)(*given).items()
        }
        made.unplug()
    for key, expected in case["losses"].items():
        if key in found:
            close(found[key].double(), torch.tensor(expected, dtype=torch.float64), key)
    assert {"loss_bbox", "loss_giou"} <= set(found) & set(case["losses"])
    for key, of in case["grads"].items():
        for name, values in of.items():
            (gradient,) = torch.autograd.grad(found[key], outputs[name], retain_graph=True)
            rows = smooth(case, gradient.shape)
            close(gradient[rows], tensor(values)[rows], f"gradient of {key}")


def methods_of(criterion: Any, case: dict[str, Any]) -> list[str]:
    """Those that return a loss of the case."""
    keys = {
        "loss_labels_vfl": "loss_vfl",
        "loss_labels_mal": "loss_mal",
        "loss_labels_bce": "loss_bce",
        "loss_labels": "loss_ce",
        "loss_boxes": "loss_giou",
    }
    return [name for name, key in keys.items() if key in case["grads"] and hasattr(criterion, name)]


@pytest.mark.parametrize("case", [case for case in METHODS if case["status"] == "negative_example"], ids=named)
def test_boxes_without_area_cost_a_finite_number(case: dict[str, Any]) -> None:
    assert case["losses"]["loss_giou"] == "nan"
    criterion, given = criterion_of(case), inputs_of(case)
    assert criterion.loss_boxes(*given)["loss_giou"].isnan()
    made = plug(criterion, box="giou")
    loss = criterion.loss_boxes(*given)["loss_giou"]
    made.unplug()
    (gradient,) = torch.autograd.grad(loss, given[0]["pred_boxes"])
    assert loss.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("case", [case for case in METHODS if case["case"] == "zero_area_rfdetr"], ids=named)
def test_equal_boxes_without_area_are_equal(case: dict[str, Any]) -> None:
    """RF-DETR counts such a pair as IoU 0 and GIoU 0, which costs 1; here it costs 0, as every equal pair does."""
    criterion, given = criterion_of(case), inputs_of(case)
    made = plug(criterion, box="giou")
    loss = criterion.loss_boxes(*given)["loss_giou"]
    made.unplug()
    close(loss, torch.tensor(case["losses"]["loss_giou"] - 1 / given[3], dtype=torch.float64), "loss_giou")


@pytest.mark.parametrize("case", [case for case in CASES if "grads_of_total" in case], ids=named)
def test_the_whole_criterion_gives_the_numbers_of_the_framework(case: dict[str, Any]) -> None:
    criterion, (outputs, targets, layers, matches) = criterion_of(case), layers_of(case)
    criterion.train()
    single = next(iter(layers.values()))["logits"].dtype == torch.float32
    criterion.matcher = Given(matches)
    with plug(criterion, box="giou") as plugged:
        found = criterion(outputs, targets)
        for key, expected in case["losses"].items():
            close(found[key].double(), torch.tensor(expected, dtype=torch.float64), key, single)
        total = total_of(case, found)
        close(total, torch.tensor(case["total"], dtype=torch.float64), "total", single)
        total.backward()
    assert plugged.report.box.calls == len(layers)  # type: ignore[union-attr]
    for layer, of in case["grads_of_total"].items():
        for name, values in of.items():
            leaf = layers[layer][name]
            rows = smooth(case, leaf.shape, layer)
            close(leaf.grad[rows].double(), tensor(values)[rows], f"gradient of the total by {name} of {layer}", single)


def total_of(case: dict[str, Any], found: dict[str, Tensor]) -> Tensor:
    weights = case.get("weights")
    if weights is None:
        return sum(loss for key, loss in found.items() if key.startswith("loss")).double()  # type: ignore[union-attr]
    return sum(weights[key] * loss for key, loss in found.items() if key in weights).double()  # type: ignore[union-attr]


def layers_of(
    case: dict[str, Any],
) -> tuple[dict[str, Any], list[dict[str, Tensor]], dict[str, dict[str, Tensor]], list[Any]]:
    """Outputs as the criterion takes them, targets, the leaves of each layer, and the matches in their order."""
    single = case["case"].removesuffix("_forward") in SINGLE
    dtype = torch.float32 if single else torch.float64
    targets = [target_of(target) for target in case["inputs"]["targets"]]
    for target in targets:
        target["boxes"] = target["boxes"].to(dtype)
    layers: dict[str, dict[str, Tensor]] = {}
    matches = []
    for layer in case["inputs"]["outputs"]:
        values = {name: tensor(value).to(dtype) for name, value in layer.items() if name not in ("name", "indices")}
        for name in case["grads_of_total"][layer["name"]]:
            values[name].requires_grad_()
        values["pred_logits"] = values["logits"]
        layers[layer["name"]] = values
        matches.append([tuple(torch.tensor(part, dtype=torch.int64) for part in pair) for pair in layer["indices"]])
    outputs: dict[str, Any] = dict(layers["main"])
    auxiliary = [values for name, values in layers.items() if name.startswith("aux")]
    outputs.update(auxiliary_outputs=auxiliary, aux_outputs=auxiliary)
    if "enc" in layers:
        outputs["enc_outputs"] = layers["enc"]
    return outputs, targets, layers, matches
