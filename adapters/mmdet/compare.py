"""The trainings of `loss-plugins compare -- mmdet CONFIG.py key=value ...`."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner, find_latest_checkpoint

from loss_plugins.catalog.entries import Entry
from loss_plugins.errors import in_one_line, refusal
from loss_plugins.evidence.contenders import Contender
from loss_plugins.evidence.grid import MEASURES, Trained
from loss_plugins.module.build import module_class
from loss_plugins.reports import strict_json, write_whole

from .compare_stamp import assigners_of, data_of, digest, digest_of_weights
from .configs import HOOK_KEY, Examined, read
from .construction import our_losses
from .demo import CHECKPOINTS_BY_PICKLE
from .edits import ROOT, Edited
from .gain import at_odds, matching_weight
from .install import mmdet_versions
from .lost_hooks import HOOK
from .remedies import loss_called
from .usual import built, entry_like, measures

#: names of slots for kinds of losses that are not told by what their stock loss measures
NAMES = {"classification": "loss_cls", "region": "loss_mask", "coordinate": "loss_bbox"}
KINDS = ("box", "rotated_box", *NAMES)
#: keys that the comparison sets itself
TAKEN = {
    "work_dir": "the folder is that of --out",
    "randomness.seed": "the seeds are those of --seeds",
    "randomness": "the seeds are those of --seeds",
    "resume": "a training that was stopped goes on by itself: give the same command again",
}
#: where `COCOeval.stats` has them
PLACES = {"mAP50-95": 0, "mAP50": 1}
RUN, START = "run", "start.json"


def training(words: Sequence[str]) -> MMDetTraining:
    """The training of a config with the values that the shell sets.

    Raises:
        ValueError: no config, a config that is missing or cannot be read, a key that the comparison sets, or an
            evaluation that is not COCO's of boxes.
    """
    return MMDetTraining(words)


class MMDetTraining:
    """A training by MMDetection, with the losses of its config or with one of ours.

    Args:
        words: config and KEY=VALUE.
    """

    def __init__(self, words: Sequence[str]) -> None:
        from mmdet.utils import register_all_modules

        if not words or "=" in words[0]:
            example = "loss-plugins compare --losses stock,ciou -- mmdet CONFIG.py"
            raise refusal("compare", "no config stands behind mmdet", "CONFIG.py key=value ...", f"write {example}")
        self._options = list(words[1:])
        require_free(self._options)
        register_all_modules(init_default_scope=True)
        self._config = read_config(words[0], self._options)
        require_boxes(self._config)

    def require(self, contender: Contender, gain: str) -> None:
        """Raise for a loss that the model cannot be trained with: it is built, and tried on made-up images."""
        cfg = self._with(contender, gain)
        faults = [*Examined(cfg.model).unmended()]
        if faults:
            remedy = "write a config whose stock losses fit, or leave the loss out"
            raise refusal("compare", f"{contender.label}: {faults[0]}", "losses that fit their slots", remedy)

    def versions(self) -> dict[str, str]:
        """Of what results depend on."""
        return {name: version or "missing" for name, version in mmdet_versions().items()}

    def train(self, contender: Contender, seed: int, gain: str, threads: int, folder: Path) -> Trained:
        """Train in this process; a training that was stopped in that folder goes on."""
        os.environ.setdefault(CHECKPOINTS_BY_PICKLE, "1")
        cfg = self._with(contender, gain)
        run = folder.resolve() / RUN
        resumed = epochs_done(run)
        cfg.work_dir = str(run)
        cfg.randomness = {**(cfg.get("randomness") or {}), "seed": seed}
        cfg.resume = resumed is not None
        cfg.launcher = "none"
        if resumed is None:
            shutil.rmtree(run, ignore_errors=True)
            (folder / START).unlink(missing_ok=True)
        runner = Runner.from_cfg(cfg)
        runner.register_hook(FirstWeights(folder / START))
        runner.train()
        with coco_numbers() as found:
            runner.val()
        told = json.loads((folder / START).read_text(encoding="utf-8"))
        numbers = found[-1] if found else None  # no object was found at all
        measured = {name: 100 * max(0.0, numbers[PLACES[name]]) if numbers else 0.0 for name in MEASURES}
        same = {
            "data": data_of(runner),
            "config": digest(self._config.pretty_text),
            "assigner": assigners_of(runner.model),
            "gains": gains_of(self._config.model),
        }
        losses = {key: dict(loss) for key, loss in our_losses(cfg.model)} if not contender.is_stock else {}
        return Trained(measured, same, told["start"], losses, resumed)

    def _with(self, contender: Contender, gain: str) -> Config:
        """A copy of the config, with the loss in every slot of its kind, and the hook that proves it."""
        cfg = copy.deepcopy(self._config)
        if not contender.is_stock:
            edited = Edited(cfg.model)
            for key, stock in slots_for(contender, cfg.model):
                edited.set(key, loss_for(contender, stock, gain))
            cfg.model = edited.config
        hooks = dict(cfg.get("default_hooks") or {})
        hooks.pop(HOOK_KEY.rpartition(".")[2], None)
        if next(our_losses(cfg.model), None) is not None:
            hooks[HOOK_KEY.rpartition(".")[2]] = {"type": f"loss_plugins.{HOOK}"}
        cfg.default_hooks = hooks
        return cfg


class FirstWeights(Hook):  # type: ignore[misc]
    """Notes the weights that a training begins with; one that goes on has noted them.

    Args:
        file: that holds them.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def before_train(self, runner: Runner) -> None:
        """After the weights were made, or loaded."""
        if not self.file.is_file():
            write_whole(self.file, strict_json({"start": digest_of_weights(runner.model)}))


def read_config(file: str, options: Sequence[str]) -> Config:
    """A config with the values of the shell; raises if it is missing, or holds no model."""
    try:
        cfg = read(file, options)
    except (OSError, SyntaxError, KeyError, TypeError, ValueError) as error:
        came = f"{file} cannot be read: {in_one_line(error)}"
        raise refusal("compare", came, "a config of MMDetection", "name one that exists") from error
    if not isinstance(cfg.get("model"), Mapping):
        raise refusal("compare", f"{file} has no model", "a config of MMDetection", "name one with model = dict(...)")
    return cfg


def require_free(options: Sequence[str]) -> None:
    """Raise for keys that the comparison sets itself."""
    for pair in options:
        key = pair.partition("=")[0]
        if key in TAKEN:
            raise refusal("compare", f"{pair} stands behind --", "keys of a training", TAKEN[key])


def require_boxes(cfg: Config) -> None:
    """Raise unless boxes are evaluated as COCO does."""
    evaluators = cfg.get("val_evaluator") or {}
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    for each in evaluators:
        kind = each.get("type")
        name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
        metric = each.get("metric", "bbox")
        if name.endswith("CocoMetric") and "bbox" in (metric if isinstance(metric, (list, tuple)) else [metric]):
            return
    came = f"val_evaluator={[each.get('type') for each in evaluators]} measures no COCO mAP of boxes"
    raise refusal("compare", came, "CocoMetric with metric='bbox'", "give the config one")


def slots_for(contender: Contender, model: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Config key and stock loss of every slot that a loss goes into, in every head.

    A loss of boxes goes where the stock loss compares boxes; one of coordinates where it compares those; others where
    slots of their kind are called so, and the head keeps its activation.
    """
    entry = contender.entry
    if entry is None or entry.kind not in KINDS:
        what = "a function that is in no catalogue" if entry is None else f"a loss of kind {entry.kind}"
        came, remedy = f"{contender.label} is {what}", "enter it by @register_loss, or choose another"
        raise refusal("compare", came, f"losses of kind {', '.join(KINDS)}", remedy)
    name = "loss_dfl" if entry.name == "distribution_focal" else NAMES.get(entry.kind)
    found = [(key, loss) for key, loss in stock_losses(model) if _takes(key, loss, name, entry)]
    if not found:
        losses = ", ".join(f"{key}={loss['type']}" for key, loss in stock_losses(model))
        came = f"{contender.label} has no slot: {losses}"
        decoded = ", as with reg_decoded_bbox=True and IoULoss" if measures(entry) == "boxes" else ""
        remedy = f"name a config whose stock loss is of this sort{decoded}"
        raise refusal("compare", came, f"a config with a loss of {measures(entry)} that this one can replace", remedy)
    return found


def _takes(key: str, stock: Mapping[str, Any], name: str | None, entry: Entry) -> bool:
    """Whether a slot takes a loss.

    Args:
        key: of the slot.
        stock: the loss that is there.
        name: what slots of this kind of loss are called; None: what the loss there measures tells it.
        entry: of the loss.
    """
    if name is not None and key.rpartition(".")[2] != name:
        return False
    if entry.kind in ("box", "rotated_box", "coordinate"):
        return measures(entry_like(stock["type"])) == measures(entry)
    sigmoid = getattr(built(dict(stock)), "use_sigmoid", None)
    return sigmoid is None or sigmoid == loss_called(module_class(entry.name).__name__).get("use_sigmoid", sigmoid)


def stock_losses(at: Any, key: str = ROOT) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Config key and config of every loss of a model."""
    if isinstance(at, Mapping):
        for name, value in at.items():
            if str(name).startswith("loss_") and isinstance(value, Mapping) and "type" in value:
                yield f"{key}.{name}", value
            else:
                yield from stock_losses(value, f"{key}.{name}")
    elif isinstance(at, (list, tuple)):
        for index, value in enumerate(at):
            yield from stock_losses(value, f"{key}.{index}")


def loss_for(contender: Contender, stock: Mapping[str, Any], gain: str) -> dict[str, Any]:
    """The config of a loss in the place of a stock one: with its weight, or with one that pulls as hard."""
    entry = contender.entry
    if entry is None:
        raise refusal("compare", f"{contender.label} is in no catalogue", "a registered loss", "enter it")
    config = {**loss_called(module_class(entry.name).__name__), **contender.parameters}
    if gain == "keep":
        return {**config, "loss_weight": stock.get("loss_weight", 1.0)}
    usual: Any = built(dict(stock))
    ours: Any = built({**config, "loss_weight": 1.0})
    weight = at_odds(ours, usual) or matching_weight(ours, usual)
    if isinstance(weight, str):
        raise refusal("compare", f"--gain=match: {contender.label}: {weight}", "losses alike", "use --gain=keep")
    return {**config, "loss_weight": weight}


def gains_of(model: Any) -> dict[str, float]:
    """The weights of the config's losses."""
    return {key: float(loss.get("loss_weight", 1.0)) for key, loss in stock_losses(model)}


def epochs_done(run: Path) -> int | None:
    """Epochs, or iterations, that a checkpoint of a work directory has done; None: there is none."""
    latest = find_latest_checkpoint(str(run)) if run.is_dir() else None
    number = re.search(r"(?:epoch|iter)_(\d+)\.pth$", str(latest))
    return int(number.group(1)) if number and Path(str(latest)).is_file() else None


@contextmanager
def coco_numbers() -> Iterator[list[list[float]]]:
    """What COCO's evaluations of boxes find for a while, before MMDetection rounds it."""
    from mmdet.evaluation.metrics import coco_metric

    found: list[list[float]] = []
    names = [name for name in ("COCOeval", "COCOevalMP") if hasattr(coco_metric, name)]
    before = {name: getattr(coco_metric, name) for name in names}
    for name, base in before.items():
        setattr(coco_metric, name, _noting(base, found))
    try:
        yield found
    finally:
        for name, base in before.items():
            setattr(coco_metric, name, base)


def _noting(base: Any, found: list[list[float]]) -> Any:
    class Noted(base):  # type: ignore[misc]
        """It keeps its numbers."""

        def summarize(self, *args: Any, **options: Any) -> Any:
            """As there; the numbers of boxes are kept."""
            result = super().summarize(*args, **options)
            if self.params.iouType == "bbox":
                found.append([float(value) for value in self.stats])
            return result

    return Noted
