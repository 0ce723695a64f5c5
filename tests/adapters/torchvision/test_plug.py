"""The life of a plug: counts, copies, pickles, steps, and the very class back."""

import copy
import io
import pickle
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from loss_plugins import build_loss
from loss_plugins.adapters.detr.proof import PROVEN_AFTER
from loss_plugins.adapters.torchvision import LossNotUsed, plug, unplug
from tests.two_ranks import run_two_ranks

from .models import DENSE, SERVED, built, faster_rcnn, fcos, keypoint_rcnn, losses, mask_rcnn, retinanet, retinanet_v2
from .ranks import STEPS, image

models = pytest.mark.parametrize("make", SERVED.values(), ids=SERVED)
dense = pytest.mark.parametrize("make", DENSE.values(), ids=DENSE)


def classes(model):
    return [type(part) for part in model.modules()]


def scores_of(make):
    return {} if make is faster_rcnn else {"cls": "varifocal"}


@models
def test_the_very_classes_come_back_and_the_very_losses(make):
    model = built(make)
    before, stock = classes(model), losses(model)
    placed = plug(model, box="eiou", **scores_of(make))
    assert classes(model) != before
    assert placed.plugged
    placed.unplug()
    placed.unplug()
    assert classes(model) == before
    assert not placed.plugged
    assert not any("loss_plugins" in name for part in model.modules() for name in vars(part))
    for key, loss in losses(model).items():
        assert torch.equal(loss, stock[key])


def test_plugs_of_two_parts_leave_in_any_order():
    for order in ((0, 1), (1, 0)):
        model = built(faster_rcnn)
        before = classes(model)
        placed = plug(model, box="eiou"), plug(model.rpn, box="giou")
        for which in order:
            placed[which].unplug()
            assert placed[1].plugged is (which == 0 and order[0] == 0)
        assert classes(model) == before


@models
def test_the_state_dict_is_a_stock_one(make):
    model, other = built(make), built(make, seed=5)
    keys = list(model.state_dict())
    plug(model, box="wiou", **scores_of(make))
    losses(model)
    assert list(model.state_dict()) == keys
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    assert b"loss_plugins" not in file.getvalue()
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))


@models
@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_copies_have_losses_of_their_own(make, how):
    model = built(make)
    placed = plug(model, box={"type": "wiou", "loss_weight": 1.5}, **scores_of(make))
    other = how(model)
    wanted = losses(model)
    assert classes(other) == classes(model)
    torch.testing.assert_close(losses(other), wanted)
    assert placed.report.box.calls == plug_of(other).calls
    losses(other)
    assert placed.report.box.calls < plug_of(other).calls
    with pytest.raises(ValueError, match=r"plugged already.*unplug\(model\)"):
        plug(other, box="giou")
    unplug(other)
    assert not any("Plugged" in cls.__name__ for cls in classes(other))
    assert placed.plugged


def plug_of(model):
    """What the box loss of a copy has counted."""
    seats = (vars(part).get("loss_plugins_losses") for part in model.modules())
    (use,) = (slot.use for seat in seats if seat for slot in seat.slots.values() if slot.name == "box")
    return use


def test_a_copied_head_of_retinanet_has_one_seat_for_its_two_classes():
    """The head hands the qualities to the part that computes scores, also in a copy."""
    model = copy.deepcopy(plugged(retinanet, cls="varifocal"))
    with_quality = losses(model)["classification"]
    assert not torch.equal(with_quality, losses(plugged(retinanet, cls={"type": "focal"}))["classification"])
    assert vars(model.head)["loss_plugins_losses"] is vars(model.head.classification_head)["loss_plugins_losses"]


def plugged(make, **asked):
    model = built(make)
    plug(model, **asked)
    return model


@models
def test_a_second_plug_is_refused_and_changes_nothing(make):
    model = built(make)
    plug(model, box="eiou")
    wanted, before = losses(model), classes(model)
    with pytest.raises(ValueError, match=r"losses of model=.* are plugged already; allowed: one plug"):
        plug(model, box="giou")
    assert classes(model) == before
    assert all(torch.equal(loss, wanted[key]) for key, loss in losses(model).items())


def test_a_plug_that_fails_leaves_the_model_as_it_was():
    model = built(fcos)
    before = classes(model)
    with pytest.raises(ValueError, match="does not take what FCOSHead gives it"):
        plug(model, box="eiou", cls={"type": "bce_with_logits", "pos_weight": [0.2, 0.3]})  # of four
    assert classes(model) == before


@dense
@pytest.mark.parametrize("counts", [(2, 0, 3), (1, 1), (0,)], ids=str)
def test_calls_rows_and_gradients_are_counted(make, counts):
    model = built(make)
    placed = plug(model, box="ciou", cls="focal")
    images = 1 if make is fcos else len(counts)
    for step in (1, 2):
        total = losses(model, counts)
        sum(total.values()).backward()
        report = placed.report
        assert (report.trained, report.validated) == (step, 0)
        assert report.box.calls == report.cls.calls == step * images
        assert report.box.rows == report.box.gradient_rows
        assert report.box.rows >= step * sum(counts)
        assert (report.box.rows > 0) is (sum(counts) > 0)
        assert report.cls.rows == report.cls.gradient_rows > report.box.rows
    with torch.no_grad():
        losses(model, counts)
    assert (placed.report.trained, placed.report.validated) == (2, 1)
    assert placed.report.box.val_calls == images
    assert placed.report.box.calls == 2 * images


def test_counts_of_an_evaluation_are_none():
    for make in (fcos, faster_rcnn):
        model = built(make).eval()
        placed = plug(model, box="ciou")
        model([torch.rand(3, 64, 64)])
        assert (placed.report.trained, placed.report.validated, placed.report.box.rows) == (0, 0, 0)


class Waits(TorchDispatchMode):
    """How often the host reads a number."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("make", [fcos, retinanet_v2], ids=["fcos", "retinanet"])
def test_no_step_makes_the_host_wait_more_than_the_stock_one(make):
    def waits(model):
        with Waits() as found:
            sum(losses(model).values()).backward()
        return found.count

    model = built(make)
    stock = waits(model)
    with plug(model, box="eiou", cls="focal"):
        waits(model)
        assert waits(model) <= stock


def test_leaving_raises_where_the_loss_was_not_used():
    model = built(fcos)
    with (
        pytest.raises(LossNotUsed, match=r"head \(FCOSHead\) computed no loss since the plug"),
        plug(model, box="eiou"),
    ):
        losses(copy.deepcopy(model))
    assert type(model.head).__name__ == "FCOSHead"

    without = r"box loss eiou was computed on .* rows and received no gradient"
    with pytest.raises(LossNotUsed, match=without), plug(model, box="eiou"):
        losses(model)["classification"].backward()

    with pytest.raises(ZeroDivisionError), plug(model, box="eiou"):
        raise ZeroDivisionError
    assert type(model.head).__name__ == "FCOSHead"


@pytest.mark.parametrize("make", [fcos, retinanet], ids=["fcos", "retinanet"])
def test_a_training_without_the_loss_ends_after_some_calls(make):
    model = built(make)
    plug(model, box={"type": "eiou", "loss_weight": 1.0}, cls="focal")
    for _ in range(3):
        losses(model)  # without a backward pass
    for _ in range(PROVEN_AFTER):
        found = losses(model)
        (found["classification"] + 0 * found["bbox_regression"]).backward()
    with pytest.raises(LossNotUsed, match=r"box loss eiou .* received no gradient.*after 8 calls"):
        losses(model)


def test_results_that_nothing_learns_from_end_no_training():
    model = built(faster_rcnn)
    with plug(model, box="eiou"):
        for _ in range(2 * PROVEN_AFTER):
            losses(model)
        sum(losses(model).values()).backward()


def test_heads_that_were_called_without_gradients_alone_are_told():
    model = built(fcos)
    with pytest.raises(LossNotUsed, match="without gradients alone"), plug(model, box="eiou"), torch.no_grad():
        losses(model)


def test_frozen_predictions_are_told():
    model = built(fcos).requires_grad_(False)
    frozen = "box loss eiou was computed on predictions that take no gradient"
    with pytest.raises(LossNotUsed, match=frozen), plug(model, box="eiou"):
        losses(model)


def test_a_part_that_was_replaced_is_told():
    model = built(fcos)
    placed = plug(model, box="eiou")
    model.head = built(fcos).head
    sum(losses(model).values()).backward()
    assert not placed.plugged
    with pytest.raises(LossNotUsed, match=r"was this part replaced \(it is FCOSHead now\)"):
        placed.require_use()
    del model.head
    assert not placed.plugged
    assert placed.report.trained == 0


def test_a_class_that_somebody_put_over_ours_stays():
    model = built(fcos)
    stock = losses(model)
    placed = plug(model, box="eiou")
    own = type("Own", (type(model.head),), {})
    model.head.__class__ = own
    placed.unplug()
    assert type(model.head) is own
    assert all(torch.equal(loss, stock[key]) for key, loss in losses(model).items())


@pytest.mark.parametrize("make", [fcos, retinanet], ids=["fcos", "retinanet"])
def test_running_statistics_learn_once_a_step(make):
    """Whatever the number of images, the mean moves by one update, of all rows together."""
    model, seen = built(make), []
    loss = {"type": "wiou"}
    placed = plug(model, box=loss)
    (seat,) = (vars(part)["loss_plugins_losses"] for part in model.modules() if "loss_plugins_losses" in vars(part))
    (slot,) = seat.slots.values()
    elementwise = slot.loss.elementwise
    slot.loss.elementwise = lambda *pair: seen.append([each.detach() for each in pair]) or elementwise(*pair)
    alone = build_loss(loss)
    for counts in ((2, 0, 3), (4, 1)):
        seen.clear()
        losses(model, counts)
        alone.elementwise(*(torch.cat(parts).requires_grad_() for parts in zip(*seen, strict=True)))
        torch.testing.assert_close(slot.loss.mean.value, alone.mean.value)
    before = slot.loss.mean.value.clone()
    with torch.no_grad():
        losses(model)
    assert torch.equal(slot.loss.mean.value, before)
    assert torch.equal(placed.state_dict()["box"]["statistics"]["mean.value"], before)


def test_two_processes_learn_what_one_would_have():
    found = run_two_ranks(Path(__file__).parent / "ranks.py")
    model = built(fcos)
    placed = plug(model, box="wiou")
    for step in range(len(STEPS)):
        (images, targets), (others, more) = image(step, 0), image(step, 1)
        model([*images, *others], [*targets, *more])
    mean = placed.state_dict()["box"]["statistics"]["mean.value"].item()
    assert [each["mean"] for each in found] == pytest.approx([mean, mean], rel=1e-6)
    assert sum(each["rows"] for each in found) == placed.report.box.rows
    assert found[0]["rows"] > found[1]["rows"] > 0


def test_the_probe_teaches_nothing_and_counts_nothing():
    model = built(retinanet)
    placed = plug(model, box="wiou", cls="ghm_c")
    first = build_loss("wiou").state_dict(), build_loss("ghm_c").state_dict()
    state = placed.state_dict()
    for slot, wanted in zip(("box", "cls"), first, strict=True):
        torch.testing.assert_close(state[slot]["statistics"], dict(wanted))
    assert (placed.report.trained, placed.report.box.calls, placed.report.cls.rows) == (0, 0, 0)


def test_the_state_of_a_plug_goes_on_in_another():
    model = built(fcos)
    first = plug(model, box="wiou", cls="focal", gain="match")
    losses(model)
    state = first.state_dict()
    pickle.loads(pickle.dumps(state))
    first.unplug()
    second = plug(model, box="wiou", cls="focal")
    second.load_state_dict(state)
    assert second.report.box.gain == first.report.box.gain != 1
    assert torch.equal(second.state_dict()["box"]["statistics"]["mean.value"], state["box"]["statistics"]["mean.value"])
    second.unplug()
    third = plug(model, box={"type": "wiou", "delta": 2.0}, cls="focal")
    with pytest.raises(ValueError, match=r"box: the state is of .*; allowed: .*; plug the losses that the state is of"):
        third.load_state_dict(state)


def test_masks_and_keypoints_keep_their_own_losses():
    for make, extra in ((mask_rcnn, "masks"), (keypoint_rcnn, "keypoints")):
        model = built(make)
        images = [torch.rand(3, 64, 64)]
        target = {"boxes": torch.tensor([[5.0, 5, 40, 50]]), "labels": torch.tensor([1])}
        target[extra] = torch.ones(1, 64, 64) if extra == "masks" else torch.full((1, 17, 3), 20.0)

        def found(model=model, images=images, target=target):
            torch.manual_seed(3)
            return model(images, [dict(target)])

        stock = found()
        plug(model, box="eiou")
        assert {key for key, loss in found().items() if not torch.equal(loss, stock[key])} == {"loss_box_reg"}


@pytest.mark.parametrize(
    ("make", "stock"), [(fcos, "giou"), (retinanet, "l1 of offsets"), (faster_rcnn, "smooth_l1 of offsets")]
)
def test_matching_makes_the_gradient_of_the_stock_loss(make, stock):
    model = built(make)
    with_gain, without = plug(model, box="eiou", gain="match"), losses
    report = with_gain.report.box
    assert report.stock == stock
    assert report.gain == pytest.approx(report.norms[0] / report.norms[1])
    assert report.gain != pytest.approx(1, abs=0.05)
    matched = without(model)
    with_gain.unplug()
    plug(model, box="eiou")
    kept = without(model)
    key = "loss_box_reg" if make is faster_rcnn else "bbox_regression"
    torch.testing.assert_close(matched[key], report.gain * kept[key])


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_where_gradients_are_off_a_plug_is_the_same(without):
    with without():
        off = plug(built(fcos), box="eiou", cls="focal", gain="match").report
    on = plug(built(fcos), box="eiou", cls="focal", gain="match").report
    assert off == on


def test_matching_the_stock_loss_itself_is_1():
    model = built(fcos)
    report = plug(model, box="giou", cls="focal", gain="match").report
    assert report.box.gain == pytest.approx(1, abs=1e-4)
    assert report.cls.gain == pytest.approx(1, abs=1e-6)


def test_a_report_reads_as_a_line():
    model = built(fcos)
    placed = plug(model, box="eiou")
    sum(losses(model, (1,)).values()).backward()
    rows = placed.report.box.rows
    assert str(placed.report) == (
        f"box loss eiou in the place of giou: 1 training calls on {rows} rows, gradient in {rows}; 0 without gradients"
    )
    assert repr(placed) == f"Plug(FCOS: {placed.report})"
    assert placed.report.box.probe[0] == pytest.approx(placed.report.box.probe[1], abs=1e-9)
    assert placed.report.box.canary != pytest.approx(placed.report.box.probe[0], abs=1e-3)
