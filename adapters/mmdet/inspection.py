"""Whether each loss of a model fits its slot: by the rules that need no call, and by trying one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any

from torch import Tensor, nn

from .canary import Trial, canary, undisturbed
from .construction import construct, is_ours
from .edits import Edited
from .fits import FITTING, REDUCING, as_usual, gets_masks, instead, misfit
from .gradients import without_gradient
from .handed import BOXES, Handed
from .keys import path_in_trained
from .magnitude import out_of_scale
from .modules import PluggedLoss
from .remedies import Changes, Fault, Finding, coordinates_at, loss_called, setting
from .score_modules import OTHER_ACTIVATION
from .slot_rules import problems
from .slots import LossSlot, find_losses
from .usual import built, ignoring_alike, measures, of_the_loss, usual_config

REDUCTIONS = ("mean", "sum", "none")
#: of a loss whose head handed it nothing to judge by
NO_ROW = "on two images with objects the head handed it no row that counts, so what it gets is not known"
#: losses of scores that most heads can work with
PLAIN = ("BCEWithLogitsLoss", "FocalLoss")
Step = Callable[[nn.Module], None]
LossConfig = dict[str, Any]
NO_LOSS: LossConfig = {}


@dataclass
class Inspection:
    """What was found out about the losses of a model.

    Attributes:
        slots: all slots.
        findings: what is wrong with which loss.
        phased: paths of losses that their heads call in some phases of training only.
        untried: why the model could not be tried; "": it was.
        unknown: slots whose losses were called on no row that counts.
        handed: what each loss is handed, by path.
        scales: by path, what is to be said of a value of another order than that of the head's usual loss.
    """

    slots: list[LossSlot]
    findings: list[Finding] = field(default_factory=list)
    phased: frozenset[str] = frozenset()
    untried: str = ""
    unknown: list[LossSlot] = field(default_factory=list)
    handed: dict[str, Handed] = field(default_factory=dict)
    scales: dict[str, str] = field(default_factory=dict)

    def of(self, slot: LossSlot) -> list[str]:
        """What was found wrong with the loss in a slot."""
        return [each.message for each in self.findings if each.slot.path == slot.path]

    def add(self, slot: LossSlot, fault: Fault) -> None:
        """Something is wrong with the loss in a slot."""
        self.findings.append(Finding(slot, fault.message, fault.changes))

    @property
    def warnings(self) -> list[str]:
        """What could not be found out."""
        told = [f"{slot.key}: {NO_ROW}" for slot in self.unknown]
        if self.untried:
            told.append(f"the model could not be tried on made-up images ({self.untried}): no slot was looked at")
        return told


def inspect(model: nn.Module, config: Mapping[str, Any] | None = None, try_out: bool = True) -> Inspection:
    """Look at each loss of loss_plugins in a model.

    Args:
        model: a detector, which is left as it is.
        config: its config, if known, so that messages name keys as it has them.
        try_out: whether to call `loss` of a copy; otherwise only what needs no call is looked at.
    """
    found = Inspection(find_losses(model, config))
    for slot in found.slots:
        for fault in problems(slot):
            found.add(slot, fault)
    if try_out and found.slots:
        with undisturbed(), warnings.catch_warnings():  # a loss of a made-up image warns of nothing that matters
            warnings.simplefilter("ignore")
            _Examination(model, config, found).run()
    return found


def _once(find: Callable[..., Any]) -> Callable[..., Any]:
    """What is found of a slot is kept until the trial is another: each look costs several trials."""

    @wraps(find)
    def kept(self: _Examination, slot: LossSlot, path: str) -> Any:
        if (find, path) not in self.known:
            self.known[find, path] = find(self, slot, path)
        return self.known[find, path]

    return kept


class _Examination:
    """The trials of a model: losses that make it raise are replaced one after another, until it goes through."""

    def __init__(self, model: nn.Module, config: Mapping[str, Any] | None, found: Inspection) -> None:
        self.model, self.config, self.found = model, config, found
        slots = [slot for slot in found.slots if isinstance(slot.loss, PluggedLoss)]
        paths = {path_in_trained(model, slot.path): slot for slot in slots}
        self.tried = {path: slot for path, slot in paths.items() if path}
        self.replaced: dict[str, Step] = {}
        self.known: dict[tuple[Callable[..., Any], str], Any] = {}
        self.encoding = [path for path, slot in self.tried.items() if slot.compares_boxes and encodes(slot.head)]
        self.decoded: Trial | None = None
        self.trial = canary(model)

    def run(self) -> None:
        """Add to the findings what the trials show."""
        while self.trial.error is not None:
            path = self.blamed()
            if not path:
                if not self.replaced:  # otherwise what was found is mended first
                    self.found.untried = self.trial.reason
                return
            slot = self.tried[path]
            if not self.found.of(slot):
                self.found.add(slot, self.why_it_raised(slot, path))
            if len(self.replaced) + 1 == len(self.tried):  # nothing else is left to be judged
                return
            self.replace(path)
        self.judge()

    def replace(self, path: str) -> None:
        """Try again with a usual loss of the head in the place of one that raised, or with none if those raise too."""
        self.known = {}  # of other copies
        for config in (*_known(self.tried[path]), NO_LOSS):
            self.replaced[path] = _put(path, config)
            self.trial = self.again()
            if self.trial.error is None or self.trial.culprit not in ("", path):
                return

    def again(self, *steps: Step) -> Trial:
        """Another trial, of a copy in which losses that raised are replaced, and on which these steps were done."""
        return canary(self.model, _done((*self.replaced.values(), *steps)), self.trial)

    def blamed(self) -> str:
        """The path of the loss that made the model raise; "": none of them."""
        left = {path: slot for path, slot in self.tried.items() if path not in self.replaced}
        if self.trial.culprit in left:
            return self.trial.culprit
        called = {path: slot for path, slot in left.items() if self.trial.calls(path)}
        tests = (
            (called, lambda path: misfit(FITTING, left[path], self.trial.calls(path), self.trial.handed(path))),
            (called, lambda path: self.reduction_that_works(left[path], path)),
            (called, lambda path: self.known_that_works(left[path], path) is not None),
            (left, lambda path: self.other_activation(left[path], path)),  # the head may fail before its first call
        )
        return next((path for paths, test in tests for path in paths if test(path)), "")

    def why_it_raised(self, slot: LossSlot, path: str) -> Fault:
        """What is wrong with a loss that raised, or with which its head did."""
        if unfit := self.unfit(slot, path):
            return unfit
        remedy = self.reduction_that_works(slot, path)
        if self.trial.culprit == path:
            came = f"this loss raises on what the slot gets ({self.trial.reason}, {self.trial.where})"
        elif not self.trial.calls(path):
            came = f"its head fails before it calls this loss ({self.trial.reason})"
        else:
            came = f"its head cannot work with what this loss returns ({self.trial.reason})"
        return (remedy or self.other_activation(slot, path) or self.other(slot, path)).of(came)

    def judge(self) -> None:
        """Judge each loss by its calls."""
        phases = self.trial.phases
        called = {path: [bool(phase[path]) for phase in phases] for path in self.tried if path not in self.replaced}
        phased = [path for path, each in called.items() if any(each) and not all(each)]
        self.found.phased = frozenset(self.tried[path].path for path in phased)
        for path, slot in self.tried.items():
            if path in self.replaced:
                continue
            if not self.trial.calls(path):
                self.found.add(slot, _never_called(slot))
                continue
            self.found.handed[slot.path] = as_usual(slot, self.trial.calls(path), self.trial.handed(path))
            if self.trial.handed(path) == "nothing":
                self.found.unknown.append(slot)
            if not self.found.of(slot):
                for fault in self.faults(slot, path):
                    self.found.add(slot, fault)
            if not self.found.of(slot) and (told := out_of_scale(slot, self.trial.calls(path))):
                self.found.scales[slot.path] = told

    def faults(self, slot: LossSlot, path: str) -> Iterator[Fault]:
        """What is wrong with a loss, each with a remedy that was seen to help where one can be tried."""
        if unfit := self.unfit(slot, path):
            yield unfit
        if fault := misfit(REDUCING, slot, self.trial.calls(path), self.trial.handed(path)):
            yield (self.reduction_that_works(slot, path) or self.other(slot, path)).of(fault.message)
        elif not unfit and (fault := self.without_gradient(slot, path)):
            yield fault

    def without_gradient(self, slot: LossSlot, path: str) -> Fault | None:
        """That a loss trains nothing on what it gets; None: it does."""
        assert isinstance(slot.loss, PluggedLoss)
        assert self.trial.scene is not None
        return without_gradient(slot.loss, self.trial.calls(path), self.trial.scene.size)

    def unfit(self, slot: LossSlot, path: str) -> Fault | None:
        """What is wrong with what the loss is handed; None: nothing."""
        handed = self.trial.handed(path)
        fault = misfit(FITTING, slot, self.trial.calls(path), handed)
        return (self.by_decoding(slot, path) if fault and handed == "coordinates" else None) or fault

    def by_decoding(self, slot: LossSlot, path: str) -> Fault | None:
        """That the head should decode its boxes, if it can; None: it cannot."""
        if path not in self.encoding:
            return None
        if not self.gets_boxes_if_all_decode(path) and not self.gets_boxes_if_it_decodes(path):
            return None
        came = "this head hands over encoded offsets, and the IoU of offsets means nothing"
        return setting(f"{slot.head_key}.reg_decoded_bbox", True).of(came)

    def gets_boxes_if_all_decode(self, path: str) -> bool:
        """Whether a loss gets boxes if all heads decode theirs that can: several may need to."""
        trial = self.decoded or self.again(_decoding(self.encoding))
        if trial.error is None:
            self.decoded = trial  # whatever is replaced later
        return trial.error is None and trial.handed(path) in BOXES

    def gets_boxes_if_it_decodes(self, path: str) -> bool:
        """Whether a loss gets boxes if its head decodes them, and no other does."""
        trial = self.again(_decoding([path]))
        return trial.error is None and trial.handed(path) in BOXES

    @_once
    def reduction_that_works(self, slot: LossSlot, path: str) -> Fault | None:
        """The reduction with which the model goes through and no rule of reductions is broken; None: none."""
        for reduction in REDUCTIONS:
            if reduction == slot.loss.reduction:
                continue
            trial = self.again(_with_reduction(path, reduction))
            calls = trial.calls(path)
            if trial.error is None and calls and misfit(REDUCING, slot, calls, "nothing") is None:
                return setting(f"{slot.key}.reduction", reduction)
        return None

    @_once
    def other_activation(self, slot: LossSlot, path: str) -> Fault | None:
        """The sigmoid loss for a softmax one, or the other way round, or a plain one, with which a model goes through.

        The model is built anew, as heads have one output more for a softmax.
        """
        other = OTHER_ACTIVATION.get(slot.loss.entry.name, "BCEWithLogitsLoss")
        if self.config is None or measures(slot.loss.entry) != "scores":
            return None
        loss = {**loss_called(other), "reduction": slot.loss.reduction}
        if not self.fails_anew or not _goes_through(self.config, {slot.key: loss}):
            return None
        return Fault(
            f"put loss_plugins.{other} with use_sigmoid={loss['use_sigmoid']} into {slot.key}", {slot.key: loss}
        )

    @cached_property
    def fails_anew(self) -> bool:
        """Whether the model fails with other random weights too, as it is: otherwise no loss is to blame."""
        return self.config is not None and not _goes_through(self.config, {})

    def other(self, slot: LossSlot, path: str) -> Fault:
        """Another loss for a slot whose head cannot use what this one returns."""
        if slot.compares_boxes:
            return coordinates_at(slot.key)
        calls, handed = self.trial.calls(path), self.trial.handed(path)
        if gets_masks(slot, calls, handed):
            return instead(slot, calls, handed)
        known = self.known_that_works(slot, path)
        changes = {slot.key: known} if known else {}
        if known and is_ours(known["type"]) and "reduction" in known:
            return Fault(f"put {known['type']} with reduction={known['reduction']!r} into {slot.key}", changes)
        whose = "the head has by default" if known else "its shipped config has"
        return Fault(f"put the loss back that {whose} into {slot.key}", changes)

    @_once
    def known_that_works(self, slot: LossSlot, path: str) -> LossConfig | None:
        """The config of the first of `_known` with which the model goes through; None: with none."""
        return next((known for known in _known(slot) if self.again(_put(path, known)).error is None), None)


def _goes_through(config: Mapping[str, Any], changes: Changes) -> bool:
    """Whether a model goes through that is built of a config with these changes."""
    edited = Edited(config)
    edited.apply(changes)
    with undisturbed():
        model = construct(edited.config).model
    return model is not None and canary(model).error is None


def _never_called(slot: LossSlot) -> Fault:
    usual = usual_config(slot.head, slot.slot)
    return Fault(
        f"{type(slot.head).__name__} did not call it on two images with objects, so it would train nothing: take "
        f"{slot.key} out of the config, or name it in `allow` if it is called later",
        {} if usual is None else {slot.key: usual},
    )


# --- what is done to the copy that is tried ---------------------------------------------------------------------


def _done(steps: Iterable[Step]) -> Step:
    def prepare(model: nn.Module) -> None:
        for step in steps:
            step(model)

    return prepare


def _known(slot: LossSlot) -> list[LossConfig]:
    """Losses that may work where one does not, each reduction of them: the head's default; for scores two plain ones.

    Of a head without a default the first is no loss at all. PAA's mixture model fails on the values of its own default.
    """
    config = usual_config(slot.head, slot.slot)
    plain = PLAIN if measures(slot.loss.entry) == "scores" else ()
    usual = ignoring_alike(of_the_loss(config), slot.loss) if config else NO_LOSS
    losses = (usual, *(ignoring_alike(loss_called(name), slot.loss) for name in plain))
    return [usual, *({**each, "reduction": reduction} for each in losses if each for reduction in REDUCTIONS)]


def _put(path: str, config: LossConfig) -> Step:
    """To put a loss into a slot, or none."""

    def prepare(model: nn.Module) -> None:
        holder, _, slot = path.rpartition(".")
        model.get_submodule(holder).add_module(slot, built(config) if config else Nothing())

    return prepare


class Nothing(nn.Module):
    """In place of a loss whose head has none by default: costs nothing."""

    def forward(self, pred: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        """0, in the graph."""
        return pred.sum() * 0


def _with_reduction(path: str, reduction: str) -> Step:
    def prepare(model: nn.Module) -> None:
        loss = model.get_submodule(path)
        assert isinstance(loss, PluggedLoss)
        loss.loss.reduction = reduction  # type: ignore[assignment]

    return prepare


def encodes(head: nn.Module) -> bool:
    """Whether a head could decode its boxes, and does not."""
    return getattr(head, "reg_decoded_bbox", None) is False


def _decoding(paths: Iterable[str]) -> Step:
    def prepare(model: nn.Module) -> None:
        for path in paths:
            head: Any = model.get_submodule(path.rpartition(".")[0])
            head.reg_decoded_bbox = True

    return prepare
