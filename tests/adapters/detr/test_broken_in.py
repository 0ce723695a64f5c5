"""Criteria, matchers and trainings as users write them, which once broke the plug."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from loss_plugins import build_loss
from loss_plugins.adapters.detr import UnsupportedCriterion, plug
from loss_plugins.adapters.detr.agreement import classes_of
from loss_plugins.adapters.detr.box_slot import BoxSlot
from loss_plugins.errors import LossNotUsed

from . import own
from .criteria import CLASSES, KNOWN, batch
from .trainings import expected, same, trained

# --- methods as they are written --------------------------------------------------------------------------------------


class Static(own.Criterion):
    """Its methods need no object."""

    @staticmethod
    def loss_boxes(outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:  # type: ignore[override]
        return own.Criterion().loss_boxes(outputs, targets, indices, num_boxes)

    @classmethod
    def loss_labels(cls, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:  # type: ignore[override]
        return own.Criterion().loss_labels(outputs, targets, indices, num_boxes)


class Named(own.Criterion):
    """Calls its methods by keywords, under names of its own."""

    def loss_boxes(self, preds: Any, gts: Any, matches: Any, count: Any) -> dict[str, Tensor]:  # type: ignore[override]
        return super().loss_boxes(preds, gts, matches, count)

    def loss_labels(self, preds: Any, gts: Any, matches: Any, count: Any) -> dict[str, Tensor]:  # type: ignore[override]
        return super().loss_labels(preds, gts, matches, count)

    def forward(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        given = {"preds": outputs, "gts": targets, "matches": self.matcher(outputs, targets), "count": 5}
        return {**self.loss_labels(**given), **self.loss_boxes(**given)}


@pytest.mark.parametrize("asked", [{"box": "eiou"}, {"cls": "varifocal"}, {"box": "eiou", "cls": "varifocal"}])
def test_methods_may_be_static_or_of_the_class(asked: Any) -> None:
    same(expected(Static, **asked), expected(**asked))


@pytest.mark.parametrize("asked", [{"box": "eiou"}, {"cls": "varifocal"}])
def test_methods_may_be_called_by_keywords_of_other_names(asked: Any) -> None:
    stock, found = Named()(*own.layers()), expected(Named, **asked)
    changed = {name for name in stock if not torch.equal(found[name], stock[name])}
    assert changed == ({"loss_giou"} if "box" in asked else {"loss_ce"})


class Surplus(own.Criterion):
    """Multiplies by what comes last."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any, *more: Any) -> dict[str, Tensor]:
        found = super().loss_boxes(outputs, targets, indices, num_boxes)
        return {name: loss * (more[1] if more else 1) for name, loss in found.items()}


class Ignoring(own.Criterion):
    """Takes factors of pairs, and does not multiply by them."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any, **_: Any) -> dict[str, Tensor]:
        return super().loss_boxes(outputs, targets, indices, num_boxes)


def test_arguments_that_nobody_knows_are_not_lost() -> None:
    criterion = Surplus()
    plug(criterion, box="eiou")
    with pytest.raises(UnsupportedCriterion, match=r"^Surplus: it calls its losses with \*more="):
        criterion.loss_boxes(*batch(), None, 5.0)


def test_factors_of_pairs_count_where_the_criterion_multiplies_by_them() -> None:
    criterion, given = Ignoring(), batch()
    weight = torch.full((sum(len(queries) for queries, _ in given[2]),), 0.5, dtype=torch.float64)
    plug(criterion, box="eiou")
    plain = criterion.loss_boxes(*given)["loss_giou"]
    torch.testing.assert_close(criterion.loss_boxes(*given, boxes_weight=weight)["loss_giou"], plain)


def test_a_method_that_is_patched_in_the_class_is_the_one_that_is_called() -> None:
    class Patched(own.Criterion):
        pass

    plug(Patched(), box="eiou").unplug()
    Patched.forward = lambda self, *_: {"other": self.loss_boxes(*batch())["loss_giou"]}  # type: ignore[method-assign]
    criterion = Patched()
    plug(criterion, box="eiou")
    assert list(criterion(*own.layers())) == ["other"]


class Layerwise(own.Criterion):
    """Calls itself for each layer."""

    def forward(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        layers = outputs.get("aux_outputs", ())
        found = super().forward({**outputs, "aux_outputs": ()}, targets)
        for at, layer in enumerate(layers):
            found.update({f"{name}_{at}": loss for name, loss in self(layer, targets).items()})
        return found


@pytest.mark.parametrize("fast", [False, True])
def test_a_criterion_that_calls_itself_takes_one_step(fast: bool) -> None:
    criterion, usual, given = Layerwise(), own.Criterion(), own.layers()
    plugs = [plug(criterion, box="wiou", fast=fast), plug(usual, box="wiou")]
    for _ in range(2):
        same(trained(criterion, *given), trained(usual, *given))
    assert [each.report.trained for each in plugs] == [2, 2]
    assert len({each.state_dict()["box"]["statistics"]["mean.value"].item() for each in plugs}) == 1


class Uncalled:
    """No module, and computed by a method of its own."""

    num_classes = CLASSES
    matcher = own.Matcher()
    loss_boxes = own.Criterion.loss_boxes

    def compute(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        return self.loss_boxes(outputs, targets, self.matcher(outputs, targets), 3)  # type: ignore[arg-type]


def test_a_criterion_that_is_not_called_is_used_by_its_methods() -> None:
    criterion = Uncalled()
    with plug(criterion, box="eiou") as plugged:
        trained(type("", (), {"__call__": lambda _, *given: criterion.compute(*given)})(), *own.layers())
    assert plugged.report.box.gradient_rows > 0  # type: ignore[union-attr]
    with pytest.raises(LossNotUsed, match="received no gradient"), plug(criterion, box="eiou"):
        criterion.compute(*own.layers())
    with pytest.raises(LossNotUsed, match="Uncalled computed no loss since the plug"), plug(criterion, box="eiou"):
        pass


# --- objects whose class has no such method ---------------------------------------------------------------------------


class Bound(torch.nn.Module):
    """Has its method as an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.loss_boxes = own.Criterion().loss_boxes


class Rebound(own.Criterion):
    """Likewise, for the class loss."""

    def __init__(self) -> None:
        super().__init__()
        self.loss_labels = super().loss_labels  # type: ignore[method-assign]


class Keyed(own.Criterion):
    """Wants an argument of each subclass."""

    def __init_subclass__(cls, *, key: str) -> None:
        super().__init_subclass__()


@pytest.mark.parametrize(
    ("build", "asked", "says"),
    [
        (Bound, {"box": "eiou"}, r"^Bound: sought loss_boxes as a method of its class, .* make loss_boxes a method"),
        (Rebound, {"cls": "varifocal"}, r"^Rebound: sought loss_labels as a method of its class"),
        (
            lambda: torch.compile(own.Criterion()),
            {"box": "eiou"},
            "plug the criterion before it is wrapped or compiled",
        ),
        (Keyed, {"box": "eiou"}, "^Keyed: its class cannot be changed: .*'key'"),
    ],
)
def test_what_cannot_be_replaced_is_left_as_it_was(build: Any, asked: Any, says: str) -> None:
    criterion = build()
    before = type(criterion), {*vars(criterion)}
    for _ in range(2):
        with pytest.raises(UnsupportedCriterion, match=says):
            plug(criterion, **asked)
    assert (type(criterion), {*vars(criterion)}) == before


# --- copies -----------------------------------------------------------------------------------------------------------


class Packed(own.Criterion):
    """Pickles as a tuple."""

    def __getstate__(self) -> Any:
        return ({**vars(self)},)

    def __setstate__(self, state: Any) -> None:
        vars(self).update(state[0])


class Replacing(own.Criterion):
    """Takes the attributes that were saved, and no others."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__ = state


@pytest.mark.parametrize("build", [Packed, Replacing])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda criterion: pickle.loads(pickle.dumps(criterion))])
def test_copies_compute_the_loss_however_their_class_is_pickled(build: Any, copied: Any) -> None:
    criterion = build()
    plugged = plug(criterion, box="eiou")
    copied_criterion = copied(criterion)
    plugged.unplug()
    same(copied_criterion(*own.layers()), expected(box="eiou"))
    assert type(criterion) is build
    same(criterion(*own.layers()), own.Criterion()(*own.layers()))


# --- how long a plug lasts --------------------------------------------------------------------------------------------


def test_a_plug_that_has_left_cannot_be_entered() -> None:
    criterion = own.Criterion()
    with plug(criterion, box="eiou") as plugged:
        trained(criterion, *own.layers())
    with pytest.raises(ValueError, match=r"losses of criterion=Criterion were taken out already.* call plug"), plugged:
        pass


def test_a_matcher_that_two_criteria_share_has_one_cost() -> None:
    first, second = own.Criterion(), own.Criterion()
    second.matcher = first.matcher
    plugged = plug(first, box="eiou", matcher="match")
    with pytest.raises(ValueError, match=r"the matcher of the criterion belongs to another one.*copy\.deepcopy"):
        plug(second, box="siou", matcher="match")
    other = plug(second, box="siou", fast=True)
    other.unplug()
    assert type(first.matcher) is not own.Matcher
    plugged.unplug()
    assert type(first.matcher) is own.Matcher


@pytest.mark.parametrize("state", [None, "path.pt", [1]])
def test_a_state_is_a_dict(state: Any) -> None:
    with pytest.raises(TypeError, match=r"state=.* allowed: a dict"):
        plug(own.Criterion(), box="eiou").load_state_dict(state)


def test_a_state_of_more_losses_is_refused() -> None:
    state = plug(own.Criterion(), box="eiou", cls="focal").state_dict()
    with pytest.raises(ValueError, match=r"cls: the state is of .*'focal'.*allowed: None"):
        plug(own.Criterion(), box="eiou").load_state_dict(state)
    with pytest.raises(ValueError, match="box: the state is of 3"):
        plug(own.Criterion(), box="eiou").load_state_dict({"box": 3})


def test_a_plug_can_be_made_in_inference_mode() -> None:
    with torch.inference_mode():
        criterion = own.Criterion()
        plug(criterion, box="eiou", cls="varifocal")
    same(criterion(*own.layers()), expected(box="eiou", cls="varifocal"))


def test_what_is_moved_in_a_validation_can_be_trained_with() -> None:
    slot = BoxSlot(build_loss("wiou", reduction="none"), (480.0, 640.0))
    with torch.inference_mode():
        scale, loss = slot.scale(torch.device("meta")), slot.loss_on(torch.device("meta"))
    assert not any(tensor.is_inference() for tensor in (scale, *loss.buffers()))  # type: ignore[union-attr]


# --- numbers of other types -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [Tensor.numpy, Tensor.tolist, Tensor.int])
@pytest.mark.parametrize("fast", [False, True])
def test_matchers_may_return_arrays_lists_and_short_numbers(form: Any, fast: bool) -> None:
    class Matcher(own.Matcher):
        def forward(self, outputs: Any, targets: Any) -> Any:
            return [(form(queries), form(objects)) for queries, objects in super().forward(outputs, targets)]

    criterion = own.Criterion()
    criterion.matcher = Matcher()
    plug(criterion, box="eiou", cls="varifocal", fast=fast)
    for _ in range(2):
        same(criterion(*own.layers()), expected(box="eiou", cls="varifocal"))


@pytest.mark.parametrize("size", [(np.int64(480), np.int64(640)), [np.float32(480), np.float32(640)]])
def test_sides_may_be_numbers_of_numpy(size: Any) -> None:
    same(expected(box="nwd", image_size=size), expected(box="nwd", image_size=(480, 640)))


def test_classes_may_be_a_number_of_numpy() -> None:
    criterion = own.Criterion()
    criterion.num_classes = np.int64(7)  # type: ignore[assignment]
    assert classes_of(criterion) == 7


def test_a_criterion_in_half_precision_is_refused_with_its_numbers() -> None:
    with pytest.raises(UnsupportedCriterion, match=r"found loss_ce = \(1\.64"):
        plug(KNOWN["transformers ImageLoss"].build().bfloat16(), cls="cross_entropy")


def test_scores_and_classes_are_those_that_the_criterion_reads() -> None:
    criterion, (outputs, targets, indices, num_boxes) = own.Criterion(), batch()
    plug(criterion, cls="focal")
    wanted = own.Criterion().loss_labels(outputs, targets, indices, num_boxes)["loss_ce"]
    others = {**outputs, "logits": outputs["logits"] * 2}
    coarse = [{**target, "class_labels": target["labels"] * 0} for target in targets]
    for given in ((others, targets), (outputs, coarse)):
        torch.testing.assert_close(criterion.loss_labels(*given, indices, num_boxes)["loss_ce"], wanted)
