"""What every slot of MMDetection's shipped heads gets, and which losses fit it: docs/mmdet-heads.md.

    python -m tools.mmdet_heads                  # all that docs/mmdet-heads.json does not have, up to half an hour
    python -m tools.mmdet_heads tood retinanet   # those whose name has one of these words, printed only

Each config is built with random weights. First its built-in losses are replaced by our dialects and both are compared,
value and gradient; then each slot gets one loss of every kind in turn. There are three verdicts: a loss works, or it is
refused with what to do, or the config is left out by name.
"""

from __future__ import annotations

import copy
import json
import re
import sys
import time
import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from loss_plugins.adapters.mmdet.calls import Call, values_of
from loss_plugins.adapters.mmdet.canary import canary, losses_in, undisturbed
from loss_plugins.adapters.mmdet.construction import construct
from loss_plugins.adapters.mmdet.edits import Edited
from loss_plugins.adapters.mmdet.fits import FITTING, as_usual, misfit
from loss_plugins.adapters.mmdet.handed import WORDS, Handed
from loss_plugins.adapters.mmdet.inspection import encodes, inspect
from loss_plugins.adapters.mmdet.keys import TEACHER, path_in_trained, trained_part
from loss_plugins.adapters.mmdet.remedies import Fault, Same
from loss_plugins.adapters.mmdet.slots import LossSlot, find_losses
from loss_plugins.adapters.mmdet.training_parity import equivalent
from loss_plugins.adapters.mmdet.written import written
from loss_plugins.errors import in_one_line

from .mmdet_configs import CONFIGS, LEFT_OUT
from .mmdet_small import build, initialised, shipped
from .wheel import ROOT

PAGE, RESULTS = ROOT / "docs/mmdet-heads.md", ROOT / "docs/mmdet-heads.json"
#: one loss of every kind that a slot may be given
KINDS: dict[str, dict[str, Any]] = {
    "box": {"type": "loss_plugins.CIoULoss"},
    "box in pixels": {"type": "loss_plugins.NWDLoss"},
    "coordinate": {"type": "loss_plugins.SmoothL1Loss"},
    "sigmoid": {"type": "loss_plugins.FocalLoss", "use_sigmoid": True},
    "softmax": {"type": "loss_plugins.CrossEntropyLoss", "use_sigmoid": False},
    "heat map": {"type": "loss_plugins.GaussianFocalLoss"},
    "region": {"type": "loss_plugins.DiceLoss"},
    "quality": {"type": "loss_plugins.QualityFocalLoss", "use_sigmoid": True},
    "distribution": {"type": "loss_plugins.DistributionFocalLoss"},
}
#: the cells of a detector whose heads have no losses that a config sets
NO_SLOT = ("none: its head computes its losses itself", "", "")
#: what was found of a config with other losses, so that a remedy for several kinds is tried once
Known = dict[str, list[Fault]]
TEXT = """# What the slots of MMDetection's heads get

Made by `python -m tools.mmdet_heads`; do not edit. {count} shipped configs, each built with random weights, fewer
channels and proposals. Two images with twelve objects go through `loss`; "equal" says of how many built-in losses our
dialects were put in their places, with the same losses and gradients. Then each slot got one loss of every kind:

{kinds}

What does not stand under "fits" was refused before training, and where the head calls the slot with a change of the
config that was made and seen to help: a loss for this slot, or the parameter in parentheses, of the loss or
(`reg_decoded_bbox`) of its head. Of slots that stages repeat the first is shown. "Logits" are what a loss of scores
takes: targets are classes, or numbers from 0 to 1.

| config | our dialects | slot | gets | fits |
|---|---|---|---|---|
{rows}

Not applicable, as the model cannot be built or run here:

| config | why |
|---|---|
{left_out}
"""


@dataclass
class Row:
    """A slot: what it gets, which kinds of losses fit, and which do so after what was set, as they were refused."""

    slot: str
    handed: str = "nothing"
    called: bool = True
    works: list[str] = field(default_factory=list)
    after: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass
class Found:
    """What was found of one config."""

    config: str
    equal: str
    rows: list[Row]


def swap_all(config: Any) -> int:
    """Replace every built-in loss by our dialect, where there is one; how many."""
    count = 0
    for key, value in list(config.items()):
        if isinstance(value, dict) and "loss" in key:
            ours = equivalent(value)
            if ours is not None and _has_counterparts(ours):
                config[key] = ours
                count += 1
            continue
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(each, dict):
                count += swap_all(each)
    return count


def _has_counterparts(loss: dict[str, Any]) -> bool:
    """Whether the dialect has all parameters that the built-in one was given."""
    from mmdet.registry import MODELS

    try:
        MODELS.build(copy.deepcopy(loss))
    except ValueError as error:
        if "has no counterpart" not in str(error):
            raise
        return False
    return True


def losses_of(model: nn.Module) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The losses of one step on the scene that the canary found to work, and the gradients of their sum."""
    trial = canary(model)
    if trial.error is not None:
        raise trial.error
    tried: Any = trained_part(model)
    tried.train()
    with undisturbed():
        losses = losses_in(tried, trial.setting.scene(tried), 0)
    parameters = [each for each in tried.parameters() if each.requires_grad]
    total = torch.stack([value.mean() for value in values_of(losses)]).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return losses, [gradient for gradient in gradients if gradient is not None]


def compared(config: Any) -> str:
    """Whether a model with our dialects has the losses and gradients of the shipped one."""
    swapped = copy.deepcopy(config)
    count = swap_all(swapped)
    if not count:
        return "no loss has a dialect"
    stock, ours = build(config), build(swapped)
    ours.load_state_dict(stock.state_dict(), strict=False)
    (values, gradients), (values_ours, gradients_ours) = losses_of(stock), losses_of(ours)
    for mine, theirs in zip(values_of(values_ours), values_of(values), strict=True):
        torch.testing.assert_close(mine.mean(), theirs.mean(), rtol=1e-4, atol=1e-5)
    norm = torch.stack([each.double().norm() for each in gradients]).norm()
    apart = torch.stack([(a - b).double().norm() for a, b in zip(gradients, gradients_ours, strict=True)]).norm()
    if apart > 1e-3 * norm:
        raise AssertionError(f"gradients differ by {float(apart / norm):.2g} of their norm")
    return f"equal, {count} losses"


def slots_of(model: nn.Module) -> list[str]:
    """Paths of the losses of the model that is trained; neither what holds losses nor losses inside of losses."""
    modules = [path for path, _ in model.named_modules() if not path.startswith(f"{TEACHER}.")]
    paths = [path for path in modules if "loss_" in path.rpartition(".")[2]]
    holders = {path.rpartition(".")[0] for path in paths}
    return [path for path in paths if path not in holders and path.rpartition(".")[0] not in paths]


def first_of_each_stage(paths: list[str]) -> list[str]:
    """Of slots whose paths differ by the number of a stage alone, the first."""
    return list({re.sub(r"\.\d+\.", ".N.", path): path for path in reversed(paths)}.values())[::-1]


def probed(config: Any) -> list[Row]:
    """Each slot of a model with a loss of every kind in turn, and what the refused ones are to be changed to."""
    swapped = copy.deepcopy(config)
    swap_all(swapped)
    model = build(swapped)
    trial = canary(model)
    if trial.error is not None:
        raise trial.error
    rows = [Row(path) for path in first_of_each_stage(slots_of(model))]
    known: Known = {}
    for row in rows:
        path = path_in_trained(model, row.slot)
        calls, handed = trial.calls(path), trial.handed(path)
        for kind, loss in KINDS.items():
            slot, edited = with_loss(swapped, model, row.slot, loss)
            faults = seen_at_once(slot, calls, handed) or faults_of(edited, row, kind, known)
            row.handed = as_usual(slot, calls, handed) if calls else row.handed
            if not faults:
                row.works.append(kind)
                continue
            row.refused[kind] = "; ".join(each.message for each in faults)
            changes = what_helps(edited, row, kind, faults, known)
            if not any(isinstance(value, (dict, Same)) for value in changes.values()):  # the loss is still the same
                told = (f"{key.rpartition('.')[2]}={written(value)}" for key, value in changes.items())
                row.after[kind] = ", ".join(told)
            row.called = "did not call it" not in row.refused[kind]
            if not row.called:
                break  # nor is a loss of another kind
    return rows


def seen_at_once(slot: LossSlot, calls: list[Call], handed: Handed) -> list[Fault]:
    """What the calls of our loss that was there before show not to fit, so that no model is built once more for it."""
    if slot.compares_boxes and encodes(slot.head):
        return []  # whether it can decode is left to a trial
    fault = misfit(FITTING, slot, calls, handed) if calls else None
    return [fault] if fault else []


def with_loss(config: Any, model: nn.Module, path: str, loss: dict[str, Any]) -> tuple[LossSlot, Edited]:
    """A slot with another loss, of the reduction that the one there has, and the config that says so."""
    from mmdet.registry import MODELS

    holder, _, name = path.rpartition(".")
    reduction = getattr(model.get_submodule(path), "reduction", "mean")
    loss = {**loss, "reduction": reduction if reduction in ("sum", "none") else "mean"}
    tried = copy.deepcopy(model)
    tried.get_submodule(holder).add_module(name, MODELS.build(loss))
    slot = next(slot for slot in find_losses(tried, config) if slot.path == path)
    edited = Edited(config)
    edited.set(slot.key, loss)
    return slot, edited


def faults_of(edited: Edited, row: Row, kind: str, known: Known) -> list[Fault]:
    """What is wrong with the loss of a slot, when the model is built and when it is tried; `known` keeps it."""
    text = f"{row.slot}: {edited.config}"
    if text not in known:
        known[text] = list(found_in(edited, row, kind))
    return known[text]


def found_in(edited: Edited, row: Row, kind: str) -> list[Fault]:
    """What is wrong with the loss of a slot, when the model is built and when it is tried."""
    made = construct(edited.config)
    if made.model is None:
        raise AssertionError(f"{row.slot} with {kind}: {made.error}")
    if made.faults:
        return list(made.faults.values())
    initialised(made.model)
    found = inspect(made.model, made.config)
    if found.untried:
        raise AssertionError(f"{row.slot} with {kind}: {found.untried}")
    row.handed = found.handed.get(row.slot, row.handed)
    here = {slot.key for slot in found.slots if slot.path == row.slot}  # stages may share the key
    if others := [f"{each.slot.key}: {each.message}" for each in found.findings if each.slot.key not in here]:
        raise AssertionError(f"{row.slot} with {kind}: refused are {others}")
    return [Fault(each.message, each.changes) for each in found.findings]


def what_helps(edited: Edited, row: Row, kind: str, faults: list[Fault], known: Known) -> dict[str, Any]:
    """Make the changes that the faults name, and those of what is found then; all that were made."""
    made: dict[str, Any] = {}
    for _ in range(3):
        changes = {key: value for fault in faults for key, value in fault.changes.items()}
        made |= changes
        if not edited.apply(changes):
            break
        if not (faults := faults_of(edited, row, kind, known)):
            return made
    raise AssertionError(f"{row.slot} with {kind}: no change helps: {[fault.message for fault in faults]}")


def examined(config: str) -> Found:
    """Everything that is found out of a config."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = shipped(config)
        return Found(config, compared(model), probed(model))


def main(words: list[str]) -> None:
    """Examine the configs whose names have one of the words, or all that are not on record yet; then write the page."""
    MMLogger.get_current_instance().setLevel("WARNING")  # models tell of every weight that they initialise
    known = {} if words else read()
    wanted = [
        config for config in CONFIGS if config not in known and (not words or any(word in config for word in words))
    ]
    failed = []
    for index, config in enumerate(wanted, 1):
        start = time.monotonic()
        try:
            found = examined(config)
        except Exception as error:  # told at the end: the others are examined first
            failed.append(config)
            print(f"[{index}/{len(wanted)}] {config}: FAILED, {in_one_line(error)[:900]}", flush=True)
            continue
        print(
            f"[{index}/{len(wanted)}] {config} ({time.monotonic() - start:.0f} s)\n{described(found, bool(words))}",
            flush=True,
        )
        known[config] = found
        if not words:
            write(known)
    if failed:
        raise SystemExit(f"{len(failed)} failed: {', '.join(failed)}")


def described(found: Found, whole: bool) -> str:
    """What was found of a config, in lines."""
    lines = [f"    {found.equal}"]
    for row in found.rows:
        lines.append(f"    {row.slot}: {row.handed}; fits {_fitting(row)}")
        lines += [f"        {kind}: {message}" for kind, message in row.refused.items()] if whole else []
    return "\n".join(lines)


def read() -> dict[str, Found]:
    """What is on record, by config."""
    if not RESULTS.exists():
        return {}
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {
        each["config"]: Found(each["config"], each["equal"], [Row(**row) for row in each["rows"]]) for each in record
    }


def write(known: dict[str, Found]) -> None:
    """Write the record and the page that is made from it."""
    in_order = [known[config] for config in CONFIGS if config in known]
    record = [asdict(found) for found in in_order]
    for row in (row for found in record for row in found["rows"]):
        del row["refused"]  # the page has no room for it
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(in_order), encoding="utf-8")


def page(found: list[Found]) -> str:
    """The page of what was found."""
    rows = [line for each in found for line in _lines(each)]
    left_out = [f"| {config} | {reason} |" for config, reason in LEFT_OUT.items()]
    kinds = "\n".join(f"- {kind}: `{loss['type']}`" for kind, loss in KINDS.items())
    return TEXT.format(count=len(found), rows="\n".join(rows), left_out="\n".join(left_out), kinds=kinds)


def _lines(found: Found) -> list[str]:
    """The rows of a config in the table; its name and verdict stand in the first."""
    cells = [(row.slot, _in_words(row), _fitting(row)) for row in found.rows] or [NO_SLOT]
    names = [(found.config, found.equal), *[("", "")] * (len(cells) - 1)]
    return ["| " + " | ".join((*name, *cell)) + " |" for name, cell in zip(names, cells, strict=True)]


def _fitting(row: Row) -> str:
    """The kinds that fit, and those that do with another parameter."""
    after = [f"{kind} (with `{what}`)" for kind, what in row.after.items()]
    return ", ".join([*row.works, *after]) or "none of these"


def _in_words(row: Row) -> str:
    """What a slot gets, as the page says it."""
    if row.handed != "nothing":
        return WORDS[row.handed]
    return "other than one prediction and one target" if row.called else "nothing: the head does not call it"


if __name__ == "__main__":
    main(sys.argv[1:])
