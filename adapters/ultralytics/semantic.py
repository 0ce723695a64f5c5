# SPDX-License-Identifier: AGPL-3.0-or-later
"""The criterion of semantic segmentation: cross-entropy plus Dice of the main maps is replaced, the auxiliary stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from loss_plugins.fusion import by_autograd

from . import probe
from .canary import TOLERANCE, checked, set_apart, twin, value_and_gradient
from .errors import UnsupportedUltralytics
from .sem_fits import require_labels
from .sem_slot import LEFT_OUT, SemSlot, mean_of, target_of
from .slots import Slot, Stock
from .spec import Spec

#: what the criterion logs, in the order of its sum
ITEMS = ("ce_loss", "dice_loss", "aux_loss")
#: weight of the auxiliary head's cross-entropy in that sum
AUXILIARY = 0.4
Losses = tuple[Tensor, dict[str, Tensor]]


def replaced(
    slot: SemSlot, criterion: Any, stock: Callable[..., Losses], preds: Tensor | tuple[Tensor, Tensor], batch: Any
) -> Losses:
    """The summed loss of a batch and what is logged of it, as the criterion returns them.

    Args:
        slot: the slot.
        criterion: that was called.
        stock: its own `forward`.
        preds: logits (n, C, h, w), in training with those of the auxiliary head.
        batch: with the labels (n, H, W) as "semantic_mask".
    """
    main, auxiliary = preds if isinstance(preds, tuple) else (preds, None)
    labels = batch["semantic_mask"].to(main.device)
    target = target_of(slot.prototype, labels, criterion.nc, LEFT_OUT)
    sem = slot.compute(
        criterion,
        as_large(main.float(), labels),
        target,
        lambda given: stock(criterion, given.to(main.dtype), batch)[0] / len(given),
    )
    beside = auxiliary_loss(criterion, auxiliary, labels) if auxiliary is not None else torch.zeros_like(sem)
    return (sem + beside) * len(main), {"sem_loss": sem.detach(), "aux_loss": beside.detach()}


def auxiliary_loss(criterion: Any, logits: Tensor, labels: Tensor) -> Tensor:
    """What the criterion adds for its auxiliary head: the mean cross-entropy of the pixels that count, times a weight.

    Args:
        criterion: whose classes, and weights of them, count.
        logits: of the auxiliary head (n, C, h, w).
        labels: (n, H, W).
    """
    logits, counted = as_large(logits, labels), labels != LEFT_OUT
    weight = getattr(criterion.ce, "weight", None)
    if criterion.nc == 1:
        cross, share = functional.binary_cross_entropy_with_logits, counted.float()
        target = labels.masked_fill(~counted, 0).to(logits)
        total = cross(logits[:, 0], target, weight=share, reduction="sum")
    else:
        share = counted if weight is None else weight[labels.long().masked_fill(~counted, 0)] * counted
        rows = logits.movedim(1, -1).flatten(0, 2)
        total = functional.cross_entropy(rows, labels.flatten().long(), weight, ignore_index=LEFT_OUT, reduction="sum")
    return total / share.sum().clamp_min(1) * AUXILIARY


def as_large(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits of the size of the labels, as the criterion brings them to it."""
    if logits.shape[2:] == labels.shape[1:]:
        return logits
    return functional.interpolate(logits, size=labels.shape[1:], mode="bilinear", align_corners=False)


class Semantic:
    """The criterion of semantic segmentation models, which have no boxes."""

    matches = False

    def parts(self, criterion: Any) -> list[Any]:
        """The criterion itself, or nothing."""
        from ultralytics.utils import loss

        return [criterion] if isinstance(criterion, getattr(loss, "SemanticSegmentationLoss", ())) else []

    def require(self, criterion: Any, slots: Iterable[Slot], spec: Spec) -> None:
        """Raise UnsupportedUltralytics if one of the losses cannot be computed there."""
        name = type(criterion).__name__
        for slot in slots:
            if not isinstance(slot, SemSlot):
                raise UnsupportedUltralytics(f"{name} has no {slot.name} loss", "Use sem, the loss of its maps")
            require_labels(slot.prototype, criterion.nc, f"the labels of {criterion.nc} classes")
        if weighted(criterion):
            raise UnsupportedUltralytics(
                f"cls_pw weighs the classes of the cross-entropy of {name}, which sem replaces",
                "Set cls_pw=0, and give the loss weights of its own (class_weight of cross_entropy)",
            )
        self.check_stock(criterion)

    def objects(self, part: Any) -> list[Any]:
        """The criterion."""
        return [part]

    def put_in(self, part: Any) -> None:
        """Nothing: the method of the class is changed."""

    def take_out(self, part: Any) -> None:
        """Nothing."""

    def gain_of(self, slot: Slot) -> str:
        """There is none."""
        return ""

    def gain(self, part: Any, slot: Slot) -> float:
        """None: cross-entropy and Dice are added as they are."""
        return 1.0

    def stock(self, slot: Slot) -> Stock | None:
        """None: it is one number for all maps."""
        return None

    def check_stock(self, part: Any) -> float:
        """The stock loss of fixed maps, after checking that it is cross-entropy plus Dice plus the auxiliary loss."""
        from ultralytics.utils.loss import SemanticSegmentationLoss

        main, auxiliary, batch = fixed_batch(part)
        total, items = probe.unplugged(SemanticSegmentationLoss.forward)(part, (main, auxiliary), batch)
        if tuple(items) != ITEMS:
            raise UnsupportedUltralytics(f"its own semantic loss logs {list(items)}, not {list(ITEMS)}", probe.REMEDY)
        expected = stock_by_hand(part, main, batch)
        found, rest = (
            float(items["ce_loss"] + items["dice_loss"]),
            float(total) / len(main) - float(sum(items.values())),
        )
        if abs(found - expected) > TOLERANCE or abs(rest) > TOLERANCE:
            raise UnsupportedUltralytics(
                f"its own semantic loss gives {found:.6f} where cross-entropy and Dice give {expected:.6f}, and "
                f"{rest:.6f} beside what it logs: the contract has changed",
                probe.REMEDY,
            )
        beside, known = float(items["aux_loss"]), float(auxiliary_loss(part, auxiliary, batch["semantic_mask"]))
        if abs(beside - known) > TOLERANCE:
            raise UnsupportedUltralytics(
                f"its own loss of the auxiliary head gives {beside:.6f} where {AUXILIARY} times cross-entropy gives "
                f"{known:.6f}: the contract has changed",
                probe.REMEDY,
            )
        return found

    def check(self, part: Any, slot: Slot) -> float:
        """The loss of fixed maps through the live criterion, after comparing it with that of the pixels that count."""
        if not isinstance(slot, SemSlot):
            raise UnsupportedUltralytics(f"{type(part).__name__} has no {slot.name} loss", "Use sem")
        main, auxiliary, batch = fixed_batch(part)
        plain = twin(slot, part)

        def through(loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
            logits = main.clone().requires_grad_()
            value, gradient = value_and_gradient(slot, loss(logits), logits)
            return value.cpu(), gradient.cpu()

        def called(logits: Tensor) -> Tensor:
            total, items = part((logits, auxiliary), batch)
            apart: Tensor = total / len(logits) - items["aux_loss"]
            return apart

        def of_pixels(logits: Tensor) -> Tensor:
            pixels, labels = counted_pixels(logits.cpu(), batch)
            found = mean_of(plain, pixels[..., None], target_of(plain, labels[..., None], part.nc, LEFT_OUT))
            return found / plain.loss_weight

        with set_apart(slot, part):
            live = through(called)
        with by_autograd():
            expected = through(of_pixels)
        return checked(slot, live, expected)


def weighted(criterion: Any) -> bool:
    """Whether a user asked for weights of classes; those of Cityscapes are the criterion's own."""
    from ultralytics.utils import loss

    weight = getattr(criterion.ce, "weight", None)
    own = getattr(loss, "CITYSCAPES_WEIGHT", ())
    return weight is not None and not torch.equal(weight, torch.as_tensor(own).to(weight))


def fixed_batch(criterion: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Main and auxiliary logits of two images, and labels of twice the size, in each as many that are left out."""
    classes, device = criterion.nc, criterion.device
    wave = (torch.linspace(-2, 2, 2 * classes * 12, device=device) * 7).sin() * 2
    main = wave.view(2, classes, 3, 4)
    labels = (torch.arange(2 * 48, device=device) % max(classes, 2)).view(2, 6, 8)
    labels[0, 1], labels[1, :4, 2], labels[1, 2:, 5] = LEFT_OUT, LEFT_OUT, LEFT_OUT
    return main, -main[:, :, :2, :2], {"semantic_mask": labels}


def counted_pixels(logits: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Logits (2, C, pixels) and labels (2, pixels) of the pixels that count."""
    labels = batch["semantic_mask"].cpu()
    whole = functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
    there = [label != LEFT_OUT for label in labels]
    return (
        torch.stack([image[:, counted] for image, counted in zip(whole, there, strict=True)]),
        torch.stack([label[counted] for label, counted in zip(labels, there, strict=True)]),
    )


def stock_by_hand(criterion: Any, main: Tensor, batch: dict[str, Tensor]) -> float:
    """Cross-entropy plus Dice, in a plain loop over the classes."""
    pixels, labels = (each.movedim(0, -2).flatten(-2) for each in counted_pixels(main.cpu(), batch))
    share = torch.cat([1 - pixels.sigmoid(), pixels.sigmoid()]) if criterion.nc == 1 else pixels.softmax(0)
    weight = getattr(criterion.ce, "weight", None)
    weights = torch.ones(len(share)) if weight is None else weight.float().cpu()
    right = share.gather(0, labels[None])[0]
    cross = -(right.log() * weights[labels]).sum() / weights[labels].sum()
    overlaps = []
    for number in [1] if criterion.nc == 1 else range(criterion.nc):
        p, t = share[number], labels == number
        overlaps.append(1 - (2 * p[t].sum() + 1) / (p.sum() + t.sum() + 1))
    return float(cross + torch.stack(overlaps).mean())
