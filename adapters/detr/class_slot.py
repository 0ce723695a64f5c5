"""The class slot: scores of all queries, of which those that are matched have an object."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .asked import of_quality
from .class_stocks import ClassStock
from .matches import Indices, Outputs, Pairs, Targets, labels_of, logits_of
from .slot import Slot, at_least_single


class ClassSlot(Slot):
    """The class loss of a criterion.

    Args:
        loss: of logits; what its targets are, it says itself: labels, or the IoU of each pair for losses of qualities.

    Attributes:
        method: of the criterion that computes the loss.
        key: under which it returns it.
        others: whether it returns more, if only sometimes, which it has to compute itself.
        stock_form: how the criterion's own class loss is computed.
        padded: whether it leaves out rows of targets that are not valid.
        scores: the name under which it finds scores, where outputs have two.
        classes: the name under which it finds classes, where targets have two.
    """

    name = "cls"
    method = ""
    key = ""
    others = False
    padded = False
    scores = "logits"
    classes = "class_labels"
    stock_form: ClassStock

    @property
    def of_quality(self) -> bool:
        """Whether the targets are the qualities of pairs, else labels."""
        return of_quality(self.loss)

    def value(
        self,
        criterion: Any,
        outputs: Outputs,
        targets: Targets,
        indices: Indices,
        pairs: Pairs,
        num_boxes: Any,
        quality: Tensor | None,
    ) -> Tensor:
        """What the criterion returns under `key` for one layer, counted.

        Args:
            criterion: that was called.
            outputs: of the layer.
            targets: of each image.
            indices: of each image the queries and the objects matched with them.
            pairs: of the layer.
            num_boxes: what sums are divided by, where the criterion divides by the number of objects.
            quality: (n,) of each pair, where the criterion knows it; None: their IoU.
        """
        given = logits_of(outputs, self.scores)
        logits = self.use.follow(given.flatten(0, 1))
        labels = labels_of(targets, indices, self.classes)
        form, loss_module = self.stock_form, self.loss_on(logits.device)
        with torch.autocast(logits.device.type, enabled=False):
            exact = at_least_single(logits)
            if form.softmax:
                wanted = classes_of_queries(given, pairs, labels)
                weights = form.weights_of(criterion, exact)[wanted]
                loss = loss_module.elementwise(exact, wanted) * self.factor
                total = (loss * weights).sum() / weights.sum()
            else:
                target = self.target(given, pairs, labels, quality)
                loss = loss_module.elementwise(exact, target) * self.factor
                total = loss.sum() / num_boxes
        self.use.count(total, logits)
        return total

    def target(self, logits: Tensor, pairs: Pairs, labels: Tensor, quality: Tensor | None) -> Tensor:
        """What the scores (b * queries, classes) are to meet: 1, or the quality of the pair, at the object's class."""
        if not self.of_quality:
            return dense_target(logits, pairs, labels, None).flatten(0, 1)
        known = pairs.quality() if quality is None else quality
        return dense_target(logits, pairs, labels, known.clamp(min=self.stock_form.lowest)).flatten(0, 1)


def classes_of_queries(logits: Tensor, pairs: Pairs, labels: Tensor) -> Tensor:
    """(b * queries,) the class of each query, the last one where no object was matched."""
    nothing = logits.shape[2] - 1
    classes = torch.full(logits.shape[:2], nothing, dtype=torch.int64, device=logits.device)
    wanted = labels.to(logits.device)
    classes[pairs.where] = wanted if pairs.valid is None else torch.where(pairs.valid > 0, wanted, nothing)
    return classes.flatten()


def dense_target(logits: Tensor, pairs: Pairs, labels: Tensor, quality: Tensor | None) -> Tensor:
    """(b, queries, classes) the target of each score: 1, or the quality of the pair, at the class of the object."""
    target = torch.zeros_like(logits, dtype=at_least_single(logits[:0]).dtype)
    wanted = target.new_ones(len(labels)) if quality is None else quality.to(target)
    images, queries = pairs.where
    target[images, queries, labels] = wanted if pairs.valid is None else wanted * pairs.valid
    return target
