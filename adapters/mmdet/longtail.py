"""Losses for long-tailed classes, which tell heads how many scores a row has, and how to read them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins import Loss, build_loss
from loss_plugins.errors import check_type, refusal
from loss_plugins.labels import IGNORED, numbers
from loss_plugins.tensors import Target, check_float, check_tensor

from .modules import MMDET
from .score_modules import ClassLoss

#: how many classes MMDetection's own have by default: those of LVIS
LVIS = 1203
#: how the loss of each part of Seesaw is called among those of the head
CLASSES, OBJECTNESS = "loss_cls_classes", "loss_cls_objectness"


class CountedLoss(ClassLoss):
    """A class loss with a statistic of each class; `num_classes` may be left out where the head tells it."""

    @property
    def num_classes(self) -> int | None:
        """The number of classes, without background; None: nobody has told it yet."""
        known: int | None = self.loss.resolved()["num_classes"]
        return known

    def take_classes(self, num_classes: int) -> None:
        """What a head says of its classes before it is trained.

        Raises:
            ValueError: the config of the loss says another number.
        """
        if self.num_classes is None:
            device = next(self.loss.buffers()).device
            self.loss = build_loss({**self.loss.spec(), "num_classes": num_classes}).to(device).train(self.training)
        elif self.num_classes != num_classes:
            came = f"num_classes={self.num_classes}, and the head has num_classes={num_classes}"
            remedy = f"set num_classes={num_classes} of this loss, or leave it out"
            raise refusal(self.entry.name, came, num_classes, remedy)


def tell_classes(model: nn.Module) -> None:
    """Tell the losses of a model how many classes their heads have.

    Raises:
        ValueError: the config of a loss says another number.
    """
    for head in model.modules():
        known: Any = getattr(head, "num_classes", None)
        for loss in head.children() if isinstance(known, int) else ():
            if isinstance(loss, CountedLoss):
                loss.take_classes(known)


class CountedSigmoids(CountedLoss):
    """EQLv2 or EFL: each score is read by its sigmoid, in a head of two stages those of the classes and of background.

    MMDetection's own EQLv2, `dialect="mmdet"`, leaves the reading of its scores to the head, which takes their softmax.

    Args:
        use_sigmoid: True, if it is said.
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        test_with_obj: scores of classes are multiplied by 1 - that of background.
        **parameters: the loss's own.
    """

    def __init__(
        self,
        use_sigmoid: bool | None = None,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        *positional: Any,
        test_with_obj: bool = True,
        **parameters: Any,
    ) -> None:
        if parameters.get("dialect") == MMDET:
            parameters.setdefault("num_classes", LVIS)
        super().__init__(use_sigmoid, reduction, loss_weight, *positional, **parameters)
        check_type(self.entry.name, "test_with_obj", test_with_obj, bool)
        self.test_with_obj = test_with_obj
        #: heads read all three
        self.custom_cls_channels = self.custom_activation = self.custom_accuracy = self.loss.dialect != MMDET

    def classes_of(self, pred: Tensor) -> int:
        """How many classes the scores are of, without that of background."""
        return super().classes_of(pred) if self.num_classes is None else self.num_classes

    def get_cls_channels(self, num_classes: int) -> int:
        """How many scores a row has in a head of so many classes."""
        self.take_classes(num_classes)
        return num_classes + 1

    def get_channel_num(self, num_classes: int) -> int:
        """The same, as MMDetection's own is asked for it."""
        return self.get_cls_channels(num_classes)

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Probabilities of the classes and, in a head of two stages, of background, (n, C + 1)."""
        scores = cls_score.sigmoid()
        if self.num_classes != scores.shape[-1] - 1:  # as of one stage, where no score is that of background
            return scores
        classes, background = scores[..., :-1], scores[..., -1:]
        return torch.cat([classes * (1 - background) if self.test_with_obj else classes, background], -1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """How many rows have their label for the highest score, in percent."""
        return {"acc": accuracy(cls_score, labels)}

    def spec(self) -> dict[str, Any]:
        """As in `ClassLoss`, with what is done with the scores."""
        return {**super().spec(), "test_with_obj": self.test_with_obj}


class Seesaw(CountedLoss):
    """Seesaw in a head of boxes: a softmax over the classes, and one of whether there is an object.

    Args:
        use_sigmoid: False, if it is said.
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        return_dict: whether the losses of both are given apart, by name, or their sum.
        **parameters: the loss's own.
    """

    custom_cls_channels = custom_activation = custom_accuracy = True

    def __init__(
        self,
        use_sigmoid: bool | None = None,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        *positional: Any,
        return_dict: bool = True,
        **parameters: Any,
    ) -> None:
        if parameters.get("dialect") == MMDET:
            parameters.setdefault("num_classes", LVIS)
        super().__init__(use_sigmoid, reduction, loss_weight, *positional, **parameters)
        check_type(self.entry.name, "return_dict", return_dict, bool)
        self.return_dict = return_dict
        self.of_objects: Loss = build_loss("cross_entropy", reduction=reduction)

    def forward(  # type: ignore[override]
        self,
        pred: Tensor = None,  # type: ignore[assignment]
        target: Target = None,  # type: ignore[assignment]
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        **others: Any,
    ) -> Tensor | dict[str, Tensor]:
        """As in `PluggedLoss`; pred has two columns more than there are classes: of an object, and of none."""
        check_tensor(self.entry.name, "pred", pred, "class scores")
        check_float(self.entry.name, "pred", pred, "values")
        classes, objects = self.parts(pred)
        call = weight, avg_factor, reduction_override
        found = super().forward(classes, target, *call, **others)
        beside = self.loss_weight * self.of_objects(objects, self.no_object(target, classes), *call)
        return {OBJECTNESS: beside, CLASSES: found} if self.return_dict else found + beside

    def parts(self, pred: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of the classes, and those of an object and of none.

        Raises:
            ValueError: there are not two more than there are classes.
        """
        classes = pred.shape[1] - 2 if pred.ndim == 2 else 0
        if classes < 1 or self.num_classes not in (None, classes):
            wanted = "C + 2" if self.num_classes is None else self.num_classes + 2
            came = f"pred has the shape {tuple(pred.shape)}, and num_classes is {self.num_classes}"
            remedy = "put it into a head of boxes of two stages, which asks it for the number of scores"
            raise refusal(self.entry.name, came, f"(n, {wanted}): one score per class, of an object, of none", remedy)
        return pred[:, :classes], pred[:, classes:]

    def no_object(self, target: Any, classes: Tensor) -> Tensor:
        """The label of the last two columns; what is ignored stays so."""
        ignored = numbers(self.loss.resolved()["ignore_index"])
        label: Tensor = (target == classes.shape[1]).long()
        for number in ignored:
            label = label.masked_fill(target == number, IGNORED)
        return label

    def get_cls_channels(self, num_classes: int) -> int:
        """How many scores a row has in a head of so many classes."""
        self.take_classes(num_classes)
        return num_classes + 2

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Probabilities of the classes, times that of an object, and of background, (n, C + 1)."""
        classes, objects = (part.softmax(-1) for part in self.parts(cls_score))
        return torch.cat([classes * objects[:, :1], objects[:, 1:]], -1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """How often objects are told from background, and their classes from each other, in percent."""
        classes, objects = self.parts(cls_score)
        return {
            "acc_objectness": accuracy(objects, self.no_object(labels, classes)),
            "acc_classes": accuracy(classes, labels, labels < classes.shape[1]),
        }

    def spec(self) -> dict[str, Any]:
        """As in `ClassLoss`, with the form of the result."""
        return {**super().spec(), "return_dict": self.return_dict}


def accuracy(scores: Tensor, labels: Tensor, among: Tensor | None = None) -> Tensor:
    """How many rows, or some of them, have their label for the highest score, in percent; 0 of no rows."""
    among = torch.ones_like(labels, dtype=torch.bool) if among is None else among
    hits = (scores.argmax(-1) == labels) & among
    return 100.0 * hits.sum().view(1) / among.sum().clamp(min=1)
