"""Weighted sums of catalogued losses, which are losses themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, cast

from torch import Tensor, nn

from ..catalog.declare import Parameter, Traits
from ..catalog.entries import Entry, register_loss
from ..catalog.entry import SETTINGS
from ..catalog.ranges import Choice, Interval, Specs, check_value, plain
from ..errors import refusal, shown
from ..labels import Given, LabelRule
from ..tensors import Target, check_weight
from .build import build_loss
from .loss import Loss
from .reduction import Reduction

Spec = str | Mapping[str, Any]
#: the smallest factor with which a loss still counts in float32 beside another one that is as large
RESOLVED = 1e-7
#: `Traits.units`, from the least demanding to the most
UNITS = ("any", "pixels", "image")
#: kinds of losses that maps of scores go through together: cross-entropy beside Dice, each reduced by its own rule
OF_MAPS = {"classification", "region"}
#: what help says of a keyword that every other loss takes
COMPILE = Parameter(
    "compile",
    False,
    Choice(False),
    meaning="belongs to the losses of the mix, each by itself: {'type': 'ciou', 'compile': True}.",
    hint=Literal[False],
)


@register_loss(
    "mix",
    formula=r"\sum_i \lambda_i L_i",
    traits=Traits(),
    use_when="One loss has what another lacks, for instance NWD for tiny boxes beside CIoU.",
    avoid_when="You compare with either of them: neither its values nor its gradient norm are kept.",
    example={"losses": [{"type": "ciou", "loss_weight": 0.5}, {"type": "nwd", "loss_weight": 0.5}]},
)
def mix_loss(
    pred: Tensor,
    target: Tensor,
    *,
    losses: Annotated[Sequence[Spec], Specs()],
    gate: Annotated[str | None, Choice("size")] = None,
    at: Annotated[float, Interval(0, open_low=True)] = 32.0,
) -> Tensor:
    """Weighted sum of catalogued losses of one kind, or of class and region losses.

    Each loss is weighted and reduced by its own rule, as it would be by itself: a mix of one loss is that loss. The
    module keeps the running statistics of its losses; the function takes their initial values.

    Args:
        pred: predictions that all of the losses take, for instance (..., 4) boxes, in the units that the most demanding
            loss needs.
        target: targets, likewise.
        losses: names or dicts with `type`, parameters and `loss_weight` (1 if not given), but no `reduction`.
        gate: "size": two box losses, the first for small targets and the second for large ones. For a target of w x h
            pixels the first weighs g = 1 / (1 + w h / at^2), and the second 1 - g.
        at: side of a square target, in pixels, for which both weigh 1/2.

    Returns:
        the weighted sum in the shape that the losses share, in float32 at least.

    Raises:
        ValueError: losses of different kinds; a spec that names a reduction; a gate for other than two box losses.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> mix_loss(pred, target, losses=["iou", {"type": "alpha_iou", "loss_weight": 2.0}])  # 1/2 + 2 (1 - 1/8)
    tensor([2.2500])
    >>> mix_loss(pred, target, losses=["iou", "giou"], gate="size", at=2.0)  # (1/3) (1/2) + (2/3) (1/2)
    tensor([0.5000])
    """
    return MixLoss(reduction="none", losses=losses, gate=gate, at=at).eval().elementwise(pred, target)


class MixLoss(Loss, name="mix"):  # noqa: D101 (its entry writes the docstring)
    other_settings: ClassVar = {"compile": COMPILE}

    def __init__(
        self,
        reduction: Reduction = "mean",
        loss_weight: float = 1.0,
        compile: bool = False,
        *positional: Any,
        losses: Sequence[Spec] | None = None,
        **unknown: Any,
    ) -> None:
        if plain(compile) is True:
            remedy = "pass it to them: {'type': 'ciou', 'compile': True}"
            raise refusal("mix", "compile=True belongs to its members", Choice(False), remedy)
        if isinstance(plain(loss_weight), (list, tuple)):
            remedy = "give each of its losses one: losses=[{'type': ..., 'loss_weight': 0.5}, ...]"
            raise refusal("mix", f"loss_weight={shown(loss_weight)} is several numbers", "one, of the sum", remedy)
        given = unknown if losses is None else {"losses": losses, **unknown}
        super().__init__(reduction, loss_weight, compile, *positional, **given)
        members = [build_member(spec) for spec in cast(Sequence[Spec], losses)]
        self.entry = joint_entry(self.entry, [member.entry for member in members], [m.loss_weight for m in members])
        self.gate, self.at = self.resolved()["gate"], self.resolved()["at"]
        if self.gate is not None:
            self.entry = gated_entry(self.entry, members)
        self.labels = joint_rule([member.labels for member in members])
        self.members = nn.ModuleList(members)
        for factor in factors(self):
            remedy = "it is the product of those around one of its losses: write it as one number"
            check_value("mix", "loss_weight", factor, SETTINGS["loss_weight"], remedy)
        self.parameters_given["losses"] = [member_spec(member) for member in members]

    def per_element(self, given: Given, weight: Tensor | None) -> Tensor:
        """The weighted sum of the members' losses per element."""
        losses = [m.loss_weight * m.per_element(given, weight) for m in self._members]
        if self.gate is None:
            return added(self._members, losses)
        share = share_of_small(cast(Tensor, given.target), self.at)
        return share * losses[0] + (1 - share) * losses[1]

    def reduced(
        self, given: Given, weight: Tensor | None, avg_factor: float | Tensor | None, reduction: Reduction
    ) -> Tensor:
        """The sum of the members' losses, each weighted and reduced by the member's own rule; of a gate per box."""
        if self.gate is not None:
            return super().reduced(given, weight, avg_factor, reduction)
        if weight is not None:
            check_weight(self.entry.name, weight, given.pred)
        losses = [member.reduced(given, weight, avg_factor, reduction) for member in self._members]
        total = added(self._members, losses)
        return total if self.loss_weight == 1 else self.loss_weight * total

    @property
    def _members(self) -> list[Loss]:
        return [cast(Loss, member) for member in self.members]

    def why_not_fused(self, pred: Tensor, target: Target) -> str | None:
        """What any of the members says."""
        found = [
            (member.entry.name, member.why_not_fused(pred, target)) for member in cast(Iterable[Loss], self.members)
        ]
        reasons = [f"{name}: {why}" if why else "" for name, why in found if why is not None]
        return next(filter(None, reasons), "" if reasons else None)


def added(members: Sequence[Loss], losses: Sequence[Tensor]) -> Tensor:
    """The sum of the members' losses; raise where they differ in shape, as torch would spread one along the other."""
    first, *rest = losses
    if any(loss.shape != first.shape for loss in rest):
        shapes = ", ".join(f"{m.entry.name} {tuple(x.shape)}" for m, x in zip(members, losses, strict=True))
        allowed = "for reduction 'none' losses per row, or per score, or per region"
        remedy = "reduce to 'mean' or 'sum', or mix each sort by itself"
        raise refusal("mix", f"losses: its losses differ in shape: {shapes}", allowed, remedy)
    return sum(rest, start=first)


def build_member(spec: Spec) -> Loss:
    """A member of a mix, which reduces by its own rule, as the mix is asked to."""
    if not isinstance(spec, str) and "reduction" in spec:
        remedy = "set it on the mix"
        raise refusal("mix", f"losses: {shown(dict(spec))} names a reduction", "one reduction, of the sum", remedy)
    return build_loss(spec, reduction="none")


def member_spec(member: Loss) -> dict[str, Any]:
    """The parameters from which `build_member` builds the member again."""
    return {name: value for name, value in member.spec().items() if name != "reduction"}


def joint_entry(entry: Entry, members: Sequence[Entry], weights: Sequence[float]) -> Entry:
    """The mix's entry with kind, target forms and traits of its members."""
    kinds = {member.kind for member in members}
    if len(kinds) > 1 and kinds != OF_MAPS:
        came = f"losses of different kinds: {', '.join(f'{m.name} ({m.kind})' for m in members)}"
        allowed = "losses of one kind, or class and region losses"
        raise refusal("mix", came, allowed, "mix each kind by itself")
    _check_scales(members)
    targets = common_forms(members, kinds == OF_MAPS)
    if members[0].targets and not targets:
        came = f"its losses have no target in common: {', '.join(f'{m.name} ({m.targets[0]})' for m in members)}"
        raise refusal("mix", came, "losses of one form of target", "mix losses of sigmoids, or of a softmax, alone")
    return replace(
        entry,
        kind="region" if kinds == OF_MAPS else members[0].kind,
        targets=targets,
        traits=joint_traits([member.traits for member in members], weights),
    )


def common_forms(members: Sequence[Entry], of_maps: bool) -> tuple[str, ...]:
    """The forms of target that all members take.

    Beside losses of regions, class losses of labels take class maps: labels in [0, C), none of which is background.
    """
    said = [each.targets for each in members]
    if of_maps:
        said = [(*dict.fromkeys("class_map" if form == "labels" else form for form in forms),) for forms in said]
    return tuple(form for form in said[0] if all(form in forms for forms in said))


def share_of_small(target: Tensor, at: float) -> Tensor:
    """1 / (1 + w h / at^2) of boxes in pixels: 1 for a point, 1/2 for a square of side `at`, 0 for the largest."""
    width, height = (target[..., 2:] - target[..., :2]).clamp(min=0).unbind(-1)
    return 1 / (1 + (width / at) * (height / at))


def gated_entry(entry: Entry, members: Sequence[Loss]) -> Entry:
    """The entry of a mix whose members share each box by its size.

    Raises:
        ValueError: the members are not two losses of boxes in pixels, given by their corners.
    """
    odd = [f"{each.entry.name} ({each.entry.kind})" for each in members if each.entry.kind != "box"]
    odd += [f"{each.entry.name} (in sides of the image)" for each in members if each.entry.traits.units == "image"]
    odd += [f"{m.entry.name} (cxcywh)" for m in members if m.resolved().get("box_format", "xyxy") != "xyxy"]
    if len(members) != 2 or odd:
        came = f"gate='size' beside {', '.join(odd or [f'{len(members)} losses'])}"
        allowed = "two losses of kind box, the first for small targets, of corners in pixels"
        raise refusal("mix", came, allowed, "leave gate out, or put the sum of several into a mix of its own")
    ends = [each.loss_weight * end for each in members for end in each.entry.traits.range]
    changed = {"range": (min(ends), max(ends)), "units": "pixels", "scale_invariant": False, "symmetric": False}
    return replace(entry, traits=replace(entry.traits, **changed))  # type: ignore[arg-type]


def _check_scales(members: Sequence[Entry]) -> None:
    """Raise unless class and region losses want one sort of prediction: all of them get the same."""
    scales = {member.traits.scale: member.name for member in members if member.kind in OF_MAPS}
    if len(scales) > 1:
        came = f"losses of different predictions: {', '.join(f'{name} ({scale})' for scale, name in scales.items())}"
        remedy = "take those of logits, bce_with_logits for bce, or mix each sort by itself"
        raise refusal("mix", came, "losses of one sort, all of logits or all of probabilities", remedy)


def joint_rule(rules: Sequence[LabelRule | None]) -> LabelRule | None:
    """Which labels the mix takes, and what it leaves out of all its losses: what any of them leaves out."""
    known = [rule for rule in rules if rule is not None]
    if not known:
        return None
    setting = [rule for rule in known if rule.adjust and not rule.follows]
    if len({frozenset(rule.ignore) for rule in setting}) > 1:
        came = " and ".join(f"{rule.where} {list(rule.ignore)}" for rule in setting)
        remedy = "give all of these the same ignore_index"
        raise refusal("mix", f"its losses ignore different labels: {came}", "one set of labels to ignore", remedy)
    scores, singles = {rule.scores for rule in known}, {rule.single for rule in known}
    return LabelRule(
        "mix",
        background=all(rule.background for rule in known),
        ignore=setting[0].ignore if setting else (),
        negative=any(rule.negative for rule in known),
        scores=next(each for each in ("none", "all", "given") if each in scores),
        adjust="give its losses" if any(rule.adjust for rule in known) else "",
        follows=not setting,
        single=singles.pop() if len(singles) == 1 else "refused",
        holds=tuple(dict.fromkeys(numbers for rule in known for numbers in rule.holds)),
    )


def joint_traits(traits: Sequence[Traits], weights: Sequence[float]) -> Traits:
    """What a weighted sum keeps of its terms' promises: what all promise, and the units of the most demanding."""
    counted = [(weight, each.range) for each, weight in zip(traits, weights, strict=True) if weight]
    ends = [sorted((weight * low, weight * high)) for weight, (low, high) in counted]
    positive = min(weights) > 0
    return Traits(
        range=(float(sum(low for low, _ in ends)), float(sum(high for _, high in ends))),
        zero_at_equality=all(each.zero_at_equality for each in traits),
        symmetric=all(each.symmetric for each in traits),
        scale_invariant=all(each.scale_invariant for each in traits),
        translation_invariant=all(each.translation_invariant for each in traits),
        units=max((each.units for each in traits), key=UNITS.index),
        stateful=any(each.stateful for each in traits),
        gradient_when_disjoint=any(each.gradient_when_disjoint for each in traits),
        scale=traits[0].scale,
        detached="; ".join(dict.fromkeys(each.detached for each in traits if each.detached)),
        not_monotone={} if any(not each.not_monotone for each in traits) else traits[0].not_monotone,
        not_mirrored="; ".join(dict.fromkeys(each.not_mirrored for each in traits if each.not_mirrored)),
        proper=True if positive and all(each.proper for each in traits) else None,
    )


def members_of(loss: Loss) -> list[tuple[float, Loss]]:
    """The loss, or the losses of a mix and of mixes in it; each with its factor, without the outermost loss's own."""
    if not isinstance(loss, MixLoss):
        return [(1.0, loss)]
    members = [cast(Loss, member) for member in loss.members]
    return [(member.loss_weight * factor, each) for member in members for factor, each in members_of(member)]


def factors(loss: Loss) -> list[float]:
    """What a loss is multiplied by; of a mix, each of its losses: its own `loss_weight` times every one around it."""
    return [loss.loss_weight * factor for factor, _ in members_of(loss)]


def trains_nothing(loss: Loss) -> str:
    """Why the factors of a loss, or of a mix's losses, would train nothing or the opposite; "": they train it."""
    found = factors(loss)
    if not any(found):
        return "loss_weight=0: nothing would be trained"
    low = min(found)
    lost = next((factor for factor in found if 0 < abs(factor) < RESOLVED), None)
    named = low if lost is None else lost
    said = f"loss_weight={named:g}{' with those around it' if len(found) > 1 else ''}"
    if lost is not None:
        return f"{said} is nothing in float32 beside losses of weight 1: nothing would be trained by it"
    return f"{said} would train for a larger loss" if low < 0 else ""
