"""The labels of a data set that cost most: label errors, found by the loss. It knows of tensors alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..catalog.entries import Entry
from ..errors import in_one_line, refusal, shown
from ..labels import Given
from ..module.loss import Loss
from ..module.state import statistics_of
from .named import Named, named_loss, require_kinds, require_size

WHERE = "hardest"
#: how near to 0 and 1 a score may come: a loss of logits has no bound there
SMALLEST = 1e-7
#: why a class loss does not fit, by what it wants for predictions
UNFIT = {
    "log_probabilities": "takes the logarithms of a softmax",
    "distances": "takes distances",
    "ranks": "takes pairs of scores",
}
CLASS_LOSSES = "class losses of single scores, such as bce_with_logits, focal or quality_focal"


@dataclass(frozen=True)
class Labelled:
    """The labels of an image, and what a model predicted there.

    Attributes:
        boxes: (n, 4), of the labels, x1, y1, x2, y2 in pixels; they may reach beyond the image.
        classes: (n,) whole numbers from 0.
        predicted: (m, 4), boxes of the predictions in the same form; m may be 0.
        scores: (m, classes), of each prediction the probability of each class, each by itself (a sigmoid's), 0 to 1.
    """

    boxes: Tensor
    classes: Tensor
    predicted: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Costs:
    """What each label of a data set costs; one row a label, in the order of images and of labels in them.

    Attributes:
        image: (labels,) number of its image.
        row: (labels,) number of the label in it.
        match: (labels,) which prediction of the image overlaps it most; -1: none overlaps it.
        iou: (labels,) with that prediction; 0: none.
        box: (labels,) box loss; infinite without a match.
        cls: (labels,) class loss, summed over the classes; infinite without a match.
    """

    image: Tensor
    row: Tensor
    match: Tensor
    iou: Tensor
    box: Tensor
    cls: Tensor

    def hardest(self, ranking: str, count: int | None = None) -> list[int]:
        """The rows of largest loss, worst first; those that cost the same as they come.

        Args:
            ranking: "box" or "cls".
            count: how many at most; None for all.
        """
        losses = {"box": self.box, "cls": self.cls}[ranking]
        order: list[int] = losses.sort(descending=True, stable=True).indices.tolist()
        return order[:count]


def hardest(images: Iterable[Labelled], box: str = "ciou", cls: str = "bce_with_logits") -> Costs:
    """What each label costs, given a model's predictions: labels that are wrong are among those that cost most.

    Each label takes the prediction of its image with the highest IoU, whatever its class; one prediction may serve
    several labels. A label that no prediction overlaps costs most of all.

    Args:
        images: of each image labels and predictions; read one at a time.
        box: of the matched boxes in pixels, per box; a loss by coordinate is summed over the four.
        cls: of the matched prediction's scores, as logits (probabilities for a loss that wants these), against 1 for
            the class of the label and 0 for the others; summed over the classes.

    Raises:
        ValueError: a loss that there is not, or that cannot be served; tensors of other shapes; a class without score;
            no image; a loss of one's own that raises, or whose result is not finite or of another shape.
        TypeError: a parameter that a loss does not have, or one that is missing.

    Both losses see the labels of all images in one call, so that a running statistic learns once, from all of them.

    >>> wide, shifted = [0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 6.0, 4.0]
    >>> labels = torch.tensor([wide, shifted]), torch.tensor([0, 0])
    >>> found = hardest([Labelled(*labels, torch.tensor([wide]), torch.tensor([[0.9]]))], box="iou")
    >>> found.hardest("box"), found.iou.tolist()  # 8 of 24 pixels are shared
    ([1, 0], [1.0, 0.3333333333333333])
    """
    losses = box_loss(box), class_loss(cls)
    found: list[tuple[Tensor, Tensor]] = []
    predicted, labels, scores, classes = [], [], [], []
    for number, each in enumerate(images):
        check(each, number)
        iou, match = matches(each.boxes, each.predicted)
        found.append((iou, match))
        kept = match >= 0
        predicted.append(each.predicted[match[kept]].double().cpu())
        labels.append(each.boxes[kept].double().cpu())
        scores.append(each.scores[match[kept]].float().cpu())
        classes.append(each.classes[kept].cpu())
    if not found:
        raise refusal(WHERE, "images holds no image", "at least one", "hand over labels and predictions of each")
    iou, match = (torch.cat(each).cpu() for each in zip(*found, strict=True))
    costs = [torch.full((len(iou),), math.inf, dtype=torch.float64) for _ in losses]
    if (match >= 0).any():
        widths = {each.shape[1] for each in scores if len(each)}
        if len(widths) > 1:
            came = f"scores of {sorted(widths)} classes"
            raise refusal(WHERE, came, "one model for all images", "hand over the scores of all its classes")
        costs[0][match >= 0] = _box_costs(losses[0], torch.cat(predicted), torch.cat(labels))
        costs[1][match >= 0] = _class_costs(losses[1], torch.cat([s for s in scores if len(s)]), torch.cat(classes))
    counts = torch.tensor([len(each) for each, _ in found])
    image = torch.repeat_interleave(torch.arange(len(counts)), counts)
    row = torch.cat([torch.arange(int(count)) for count in counts])
    return Costs(image, row, match, iou, *costs)


def check(each: Labelled, number: int) -> None:
    """Raise for tensors of an image that do not belong together."""
    labels, predictions = len(each.boxes), len(each.predicted)
    scores = each.scores.shape
    wrong = {
        "boxes": each.boxes.shape != (labels, 4),
        "classes": each.classes.shape != (labels,) or each.classes.is_floating_point(),
        "predicted": each.predicted.shape != (predictions, 4),
        "scores": len(scores) != 2 or scores[0] != predictions,
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            came = f"{name} of image {number} is {shown(getattr(each, name))}"
            allowed = "boxes (n, 4), classes (n,) of whole numbers, predicted (m, 4), scores (m, classes)"
            raise refusal(WHERE, came, allowed, "correct its shape")
    if labels and predictions and not ((each.classes >= 0) & (each.classes < scores[1])).all():
        came = f"classes of image {number} reach from {int(each.classes.min())} to {int(each.classes.max())}"
        raise refusal(WHERE, came, f"0 to {scores[1] - 1}, those with scores", "leave other labels out")


def matches(boxes: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Of each box the highest IoU with a prediction, and which it is; 0 and -1 where none overlaps it.

    >>> matches(torch.tensor([[0.0, 0, 2, 2], [8, 8, 9, 9]]), torch.tensor([[1.0, 1, 3, 3], [0, 0, 2, 3]]))
    (tensor([0.6667, 0.0000], dtype=torch.float64), tensor([ 1, -1]))
    """
    if not len(predicted):
        return torch.zeros(len(boxes), dtype=torch.float64), torch.full((len(boxes),), -1)
    iou, match = pairwise_iou(boxes, predicted).max(dim=1)
    return iou, torch.where(iou > 0, match, -1)


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """(n, m) IoUs of (n, 4) with (m, 4) boxes, x1, y1, x2, y2; 0 where a box has no area, or is inverted."""
    a, b = boxes.double()[:, None], others.double()[None]
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    sides_a, sides_b = (a[..., 2:] - a[..., :2]).clamp(min=0), (b[..., 2:] - b[..., :2]).clamp(min=0)
    union = sides_a.prod(-1) + sides_b.prod(-1) - shared
    return torch.where(union > 0, shared / union.clamp(min=torch.finfo(union.dtype).tiny), 0.0)


# --- losses ----------------------------------------------------------------------------------------------------------


def box_loss(text: str) -> Named:
    """The box loss that was asked for; raises for what cannot be served."""
    named = named_loss(text, WHERE)
    require_kinds([named], ("box", "coordinate"), WHERE)
    require_size([named], WHERE)
    require_no_training(named)
    return named


def class_loss(text: str) -> Named:
    """The class loss that was asked for; raises for what cannot be served."""
    named = named_loss(text, WHERE)
    require_kinds([named], ("classification",), WHERE)
    reason = "" if named.entry is None else misfit(named.entry)
    if reason:
        came = f"{named.label} {reason}, and a prediction here has a sigmoid's score for each class"
        raise refusal(WHERE, came, CLASS_LOSSES, "choose one of them")
    require_no_training(named)
    return named


def misfit(entry: Entry) -> str:
    """Why a class loss of the catalogue is none of single scores, each with a target of its own; "" if it is one."""
    scale, targets = entry.traits.scale, entry.targets
    if scale in UNFIT:
        return UNFIT[scale]
    if "class_map" in targets or targets == ("labels",):
        return "lets the classes share one softmax"
    return "" if "dense" in targets else f"takes targets of the form {' or '.join(targets)}"


def require_no_training(named: Named) -> None:
    """Raise for a loss that depends on a training that goes on."""
    for statistic in statistics_of([named.loss]) if isinstance(named.loss, Loss) else ():
        if statistic.of_gradient:
            came = f"{named.label}: its running statistic {statistic.name!r} learns from gradients, and nothing trains"
            raise refusal(WHERE, came, "losses of boxes and scores alone", "choose another one")


def _box_costs(named: Named, predicted: Tensor, labels: Tensor) -> Tensor:
    return _costs(named, predicted, labels, "boxes")


def _class_costs(named: Named, scores: Tensor, classes: Tensor) -> Tensor:
    target = one_hot(classes.long(), scores.shape[1]).double()
    inside = scores.double().clamp(SMALLEST, 1 - SMALLEST)
    wants_probabilities = named.entry is not None and named.entry.traits.scale == "probabilities"
    return _costs(named, inside if wants_probabilities else inside.logit(), target, "scores")


def _costs(named: Named, pred: Tensor, target: Tensor, what: str) -> Tensor:
    """One number for each row."""
    with torch.no_grad():
        try:
            found: Any = _elementwise(named.loss, pred, target) if isinstance(named.loss, Loss) else None
            found = named.loss(pred, target) if found is None else found
        except Exception as error:  # whatever a loss of one's own raises
            if named.entry is not None:
                raise
            came = f"{named.label}: on {what} {tuple(pred.shape)} it raised {in_one_line(error)}"
            raise refusal(WHERE, came, "a function (pred, target) to unreduced losses", "correct it") from error
    if not isinstance(found, Tensor) or found.shape not in (pred.shape, pred.shape[:1]):
        shape = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"type {type(found).__name__}"
        came = f"{named.label} returned {shape} for {what} {tuple(pred.shape)}"
        allowed = f"shape {tuple(pred.shape[:1])} or {tuple(pred.shape)}"
        raise refusal(WHERE, came, allowed, "return the loss without reduction")
    costs = found.double() if found.ndim == 1 else found.double().sum(dim=1)
    if not costs.isfinite().all():
        row = int((~costs.isfinite()).nonzero()[0])
        came = f"{named.label} is {float(costs[row])} for {pred[row].tolist()} and the target {target[row].tolist()}"
        raise refusal(WHERE, came, "finite losses", "correct the loss")
    return costs


def _elementwise(loss: Loss, pred: Tensor, target: Tensor) -> Tensor:
    """The loss, after its running statistics have learnt once from all rows; those that learn after use do not."""
    for statistic in statistics_of([loss]):
        if not statistic.is_late:
            statistic.begin_step()
            statistic.learn(Given(pred, target), None)
    return loss.elementwise(pred, target)
