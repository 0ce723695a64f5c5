"""Checks for losses on scores and masks: saturation, empty and soft targets, properness, weights."""

from __future__ import annotations

import functools
import itertools
import math
import time

import torch
from torch import Tensor

from ...samples import CLASSES, REACH, as_scale, ordinary
from ...tensors import BETWEEN_BINS, Target, cast, on_target
from ..check import SCORES, Check, Finding, judged, measured, not_applicable, promised
from ..subject import Subject, literal, show_call

GRADIENT_BOUND = 1e4
MASKS, CLASSES_ONLY = ("region",), ("classification",)
SPREAD = (0.1, 0.3, 0.5, 0.7, 0.9)
#: how far the best score may lie from the target for a loss called proper
PROPER_WITHIN = 0.02


# --- extreme scores ------------------------------------------------------------------------------------------------


def one_sided(subject: Subject, size: float, right: bool) -> tuple[Tensor, Target]:
    """Saturated scores of magnitude `size`, all right or all wrong; probabilities are exactly 0 and 1."""
    pred, target = subject.sample(6, dtype=torch.float32)
    truth = dense_truth(subject, pred, target)
    sign = (2 * truth - 1) * (1 if right else -1)
    if subject.scale == "probabilities":
        return torch.where(sign > 0, 1.0, 0.0), target
    if subject.scale == "log_probabilities":
        return (size * sign).log_softmax(1), target
    if subject.scale == "distances":
        return size * (sign < 0).float(), target
    return size * sign, target


def dense_truth(subject: Subject, pred: Tensor, target: Target) -> Tensor:
    """1 where a score should be high, in pred's shape."""
    if isinstance(target, tuple):
        if subject.form == "input_sign":
            return (target[1] > 0).to(pred.dtype)
        target = target[0]
    if target.shape == pred.shape:
        return (target > 0).to(pred.dtype)
    axis = 1 if subject.kind == "region" or subject.form == "class_map" else -1
    if subject.form == "offset":  # as if the bins were uniform
        target = (target / REACH + 1) * (pred.shape[-1] - 1) / 2
    labels = target.round().long()  # of bins, the nearest
    return torch.nn.functional.one_hot(labels, pred.shape[axis]).movedim(-1, axis).to(pred.dtype)


def saturated_value(subject: Subject, size: float, right: bool) -> Finding:
    """The loss of saturated scores is finite."""
    loss = subject.value(*one_sided(subject, size, right)).detach()
    return judged(bool(loss.isfinite().all()), f"largest loss {float(loss.max()):.4g}", float(loss.max()))


def saturated_gradient(subject: Subject, size: float, right: bool) -> Finding:
    """The gradient at saturated scores is finite and bounded."""
    _, gradient = subject.gradient(*one_sided(subject, size, right))
    largest = float(gradient.abs().max())
    return judged(largest <= GRADIENT_BOUND, f"largest gradient {largest:.4g}", largest)


def saturation_checks(size: float, right: bool) -> list[Check]:
    """Value and gradient for one magnitude of scores."""
    name = f"scores of {size:g}, {'right' if right else 'wrong'}"

    def code(subject: Subject) -> str:
        pred, target = one_sided(subject, size, right)
        return (
            show_call(pred[:2], on_target(lambda part: part[:2], target))
            if pred.ndim == 2
            else masks_code(pred, target)
        )

    return [
        Check(f"{name}: value", "saturated", functools.partial(saturated_value, size=size, right=right), SCORES, code),
        Check(
            f"{name}: gradient",
            "saturated",
            functools.partial(saturated_gradient, size=size, right=right),
            SCORES,
            code,
        ),
    ]


def masks_code(pred: Tensor, target: Target) -> str:
    """The reproduction, for one mask of a few pixels."""
    return show_call(pred[:1, :, ::4, ::4], on_target(lambda part: part[:1, ..., ::4, ::4], target))


def probability_bounds(subject: Subject, at: float) -> Finding:
    """A probability of exactly 0 or 1, right or wrong, has a finite loss and a bounded gradient."""
    if subject.scale != "probabilities":
        return not_applicable(f"takes {subject.scale}, not probabilities")
    pred, target = subject.sample(6, dtype=torch.float32)
    loss, gradient = subject.gradient(torch.full_like(pred, at), target)
    largest = float(gradient.abs().max())
    fine = bool(loss.isfinite().all()) and largest <= GRADIENT_BOUND
    return judged(fine, f"largest loss {float(loss.max()):.4g}, gradient {largest:.4g}", largest)


# --- extreme targets -----------------------------------------------------------------------------------------------


def constant_target(subject: Subject, positive: bool, n: int = 6) -> tuple[Tensor, Target] | None:
    """A target without positives, or of positives only (of one class, where targets are labels)."""
    pred, target = subject.sample(n, dtype=torch.float32)
    if isinstance(target, tuple):
        return None
    if target.is_floating_point():
        low = -1.0 if subject.scale == "distances" else 0.0
        low = -REACH if subject.form == "offset" else low
        high = {"score": CLASSES - 1.0, "offset": REACH}.get(subject.form, 1.0)
        return pred, torch.full_like(target, high if positive else low)
    if subject.form == "labels":
        return pred, torch.full_like(target, 0 if positive else pred.shape[-1])
    return pred, torch.full_like(target, 1 if positive else 0)


def one_kind_of_target(subject: Subject, positive: bool) -> Finding:
    """Finite value and bounded gradient for a target without positives, or of positives only."""
    pair = constant_target(subject, positive)
    if pair is None:
        return not_applicable(f"targets of the form {subject.form!r} have no such case")
    loss, gradient = subject.gradient(*pair)
    largest = float(gradient.abs().max())
    fine = bool(loss.isfinite().all()) and largest <= GRADIENT_BOUND
    code = show_call(pair[0][:2], pair[1][:2]) if pair[0].ndim == 2 else masks_code(*pair)
    return judged(fine, f"largest loss {float(loss.max()):.4g}, gradient {largest:.4g}", float(loss.max()), code)


def mask_of_nothing(subject: Subject, wrong: bool) -> Finding:
    """An empty mask with an empty, or a full, prediction has a finite loss and gradient; the loss is reported."""
    pair = constant_target(subject, positive=False)
    assert pair is not None
    pred = torch.full_like(pair[0], 20.0 if wrong else -20.0)
    if subject.form == "class_map":
        pred[:, 0] = -pred[:, 0]
    loss, gradient = subject.gradient(pred, pair[1])
    fine = bool(loss.isfinite().all() and gradient.isfinite().all())
    return judged(fine, f"loss {float(loss.mean()):.4g}", float(loss.mean()), masks_code(pred, pair[1]))


def large_mask(subject: Subject, dtype: torch.dtype) -> Finding:
    """Masks of 512 x 512 pixels, whose sums half precision cannot hold."""
    pred, target = subject.sample(1, dtype=torch.float32)
    pred = pred.repeat_interleave(64, 2).repeat_interleave(64, 3)
    target = on_target(lambda part: part.repeat_interleave(64, -2).repeat_interleave(64, -1), target)
    exact = subject.value(pred.to(dtype).double(), cast(target, torch.float64)).detach()
    loss, gradient = subject.gradient(pred.to(dtype), cast(target, dtype))
    error = float((loss.double() - exact).abs().nan_to_num(math.inf).max())
    fine = error < 1e-2 and bool(gradient.isfinite().all())
    small = subject.sample(1, dtype=dtype)
    code = (
        f"big = lambda x: x.repeat_interleave(64, -2).repeat_interleave(64, -1); "
        f"print(f(big({literal(small[0])}), big({literal(small[1])})))"
    )
    return judged(fine, f"error {error:.2g}", error, code)


# --- where the minimum is ------------------------------------------------------------------------------------------


def best_score(subject: Subject, wanted: float) -> float | None:
    """The predicted probability of least loss for a soft target `wanted`, or hard targets with that share of ones."""
    grid = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)
    logits = (grid / (1 - grid)).log()
    curve = expected_loss(subject, grid, logits, wanted)
    return None if curve is None else float(grid[int(curve.argmin())])


def expected_loss(subject: Subject, grid: Tensor, logits: Tensor, wanted: float) -> Tensor | None:
    """The loss along a grid of predicted probabilities; None where the target has no such form."""
    if subject.kind == "region":
        return _mask_curve(subject, logits, wanted)
    if subject.form in ("label_score", "input_sign", "offset") or subject.scale in ("distances", "ranks"):
        return None
    if subject.form == "score":  # bins: the target lies between two
        return subject.rows(torch.stack([-logits / 2, logits / 2], dim=1), torch.full_like(grid, wanted))
    if subject.form in ("labels", "class_map") or subject.scale == "log_probabilities":
        pred = as_scale(torch.stack([-logits / 2, logits / 2], dim=1), subject.scale)
        if subject.form == "labels":
            pred = logits[:, None]
        return _share_of_ones(subject, pred, wanted)
    pred = (grid if subject.scale == "probabilities" else logits)[:, None]
    return subject.rows(pred, torch.full_like(pred, wanted))


def _share_of_ones(subject: Subject, pred: Tensor, share: float) -> Tensor:
    """Expected loss where class 1 is true with that probability, for targets that have to be hard."""
    n = len(pred)
    if subject.form == "dense":
        soft = torch.tensor([1 - share, share], dtype=pred.dtype).expand(n, 2)
        return subject.rows(pred, soft)
    one, other = (0, 1) if subject.form == "labels" else (1, 0)
    true, false = (subject.rows(pred, torch.full((n,), label)) for label in (one, other))
    return share * true + (1 - share) * false


def _mask_curve(subject: Subject, logits: Tensor, wanted: float) -> Tensor | None:
    if subject.form != "dense":
        return None
    pred = logits.view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    curve = [subject.value(row[None], torch.full_like(row[None], wanted)).detach().sum() for row in pred]
    return torch.stack(curve)


def proper(subject: Subject) -> Finding:
    """How far the score of least loss lies from a soft target; judged where the traits say if the loss is proper."""
    best = [best_score(subject, wanted) for wanted in SPREAD]
    if any(score is None for score in best):
        return not_applicable(f"{subject.scale} with targets of the form {subject.form!r} have no minimum")
    off = [abs(score - wanted) for score, wanted in zip(best, SPREAD, strict=True) if score is not None]
    worst = max(range(len(SPREAD)), key=lambda index: off[index])
    detail = f"for {SPREAD[worst]} the best score is {best[worst]:.3g}"
    return promised(subject.declared.proper, off[worst] < PROPER_WITHIN, detail, off[worst])


def better_costs_less(subject: Subject, right: bool) -> Finding:
    """From confident mistakes to confident hits the loss never rises, and back it never falls."""
    if subject.form == "input_sign" or subject.form in BETWEEN_BINS:
        return not_applicable(f"targets of the form {subject.form!r} are not right or wrong")
    sizes = torch.linspace(-6, 2, 33).tolist() if right else torch.linspace(2, -6, 33).tolist()
    losses = []
    for size in sizes:
        pred, target = _towards(subject, size)
        losses.append(float(subject.value(pred, target).detach().sum()))
    steps = [after - before for before, after in itertools.pairwise(losses)]
    wrong = [step for step in steps if (step > 1e-5 if right else step < -1e-5)]
    return judged(not wrong, f"{len(wrong)} of {len(steps)} steps in the wrong direction", len(wrong))


def _towards(subject: Subject, size: float) -> tuple[Tensor, Target]:
    pred, target = subject.sample(6)
    sign = 2 * dense_truth(subject, pred, target) - 1
    if subject.scale == "distances":
        return 1 / (1 + (size * sign).exp()), target
    return as_scale(size * sign, subject.scale), target


def soft_targets(subject: Subject) -> Finding:
    """Targets between 0 and 1: finite value and gradient, at soft and at saturated scores."""
    if subject.form not in ("dense", "label_score", *BETWEEN_BINS) or subject.scale == "distances":
        return not_applicable(f"targets of the form {subject.form!r} are hard")
    pred, target = subject.sample(6, dtype=torch.float32)
    if subject.form == "dense":
        assert isinstance(target, Tensor)
        target = 0.8 * target + 0.05
    for size in (1.0, 200.0):
        scores = pred if subject.scale != "logits" else size * pred
        loss, gradient = subject.gradient(scores, target)
        if not bool(loss.isfinite().all() and gradient.isfinite().all()):
            return judged(False, f"not finite for scores of about {size:g}")
    return judged(True, f"finite, largest loss {float(loss.max()):.3g}", float(loss.max()))


# --- classes -------------------------------------------------------------------------------------------------------


def many_classes(subject: Subject) -> Finding:
    """4 rows of 20 000 classes: finite, and done in seconds."""
    classes = 20_001 if subject.form == "offset" else 20_000  # as many bins on either side of 0
    pair = ordinary(subject.kind, subject.form, subject.scale, classes=classes)(4, 0, torch.float32)
    start = time.perf_counter()
    loss, gradient = subject.gradient(*pair)
    seconds = time.perf_counter() - start
    fine = bool(loss.isfinite().all() and gradient.isfinite().all())
    code = "p = torch.randn(4, 20000); print(f(p, torch.zeros_like(p)))"
    return judged(fine and seconds < 10, f"{seconds:.2f} s", seconds, code)


def class_weights(subject: Subject) -> Finding:
    """class_weight multiplies the loss of its class, and of no other."""
    if subject.rebuild is None or "class_weight" not in subject.parameters:
        return not_applicable("no parameter class_weight")
    pred, target = subject.sample(12)
    assert isinstance(target, Tensor)
    numbers = pred.new_tensor([3.0] + [1.0] * (CLASSES - 1))
    heavy, plain = subject.rebuild(class_weight=numbers.tolist())(pred, target), subject.value(pred, target)
    wanted = plain * (numbers if plain.shape == pred.shape else numbers[target])
    difference = float((heavy - wanted).abs().max())
    return judged(difference < 1e-9, f"difference {difference:.2g}", difference)


def positive_weight(subject: Subject) -> Finding:
    """pos_weight multiplies the loss of positives, and not of negatives."""
    if subject.rebuild is None or "pos_weight" not in subject.parameters:
        return not_applicable("no parameter pos_weight")
    allowed = subject.parameters["pos_weight"].allowed
    three = 3.0 if allowed is None or 3.0 in allowed else CLASSES * [3.0]
    pred, target = subject.sample(12)
    ratio = subject.rebuild(pos_weight=three)(pred, target) / subject.value(pred, target)
    difference = float((ratio - torch.where(dense_truth(subject, pred, target) > 0, 3.0, 1.0)).abs().max())
    return judged(difference < 1e-9, f"difference {difference:.2g}", difference)


def background_label(subject: Subject) -> Finding:
    """Label C is background: its loss is that of a one-hot row of zeros."""
    if "labels" not in subject.forms or "dense" not in subject.forms:
        return not_applicable("does not take both integer labels with a background and dense targets")
    pred, _ = subject.sample(6)
    as_label = subject.rows(pred, torch.full((6,), CLASSES))
    difference = float((as_label - subject.rows(pred, torch.zeros_like(pred))).abs().max())
    return judged(difference < 1e-9, f"difference to a row of zeros {difference:.2g}", difference)


def labels_equal_one_hot(subject: Subject) -> Finding:
    """Integer labels have the loss of their one-hot rows, where the loss takes both forms."""
    if "labels" not in subject.forms or "dense" not in subject.forms:
        return not_applicable("does not take both integer labels and dense targets")
    pred, one_hot = subject.sample(6)
    assert isinstance(one_hot, Tensor)
    difference = float((subject.rows(pred, one_hot.argmax(-1)) - subject.rows(pred, one_hot)).abs().max())
    return judged(difference < 1e-9, f"difference {difference:.2g}", difference)


def not_a_number(subject: Subject) -> Finding:
    """A NaN score gives a loss that is not finite."""
    pred, target = subject.sample(4, dtype=torch.float32)
    truth = dense_truth(subject, pred, target)
    pred[1] = torch.where(truth[1] > 0, math.nan, pred[1])
    loss = subject.value(pred, target).detach()
    return judged(not bool(loss.isfinite().all()), f"sum {float(loss.sum()):.4g}", code=show_call(pred, target))


def nan_stays_in_its_row(subject: Subject) -> Finding:
    """A NaN score changes neither loss nor gradient of the other rows."""
    if coupled := subject.couples_rows:
        return not_applicable(coupled)
    pred, target = subject.sample(4, dtype=torch.float32)
    clean, clean_gradient = subject.gradient(pred, target)
    if not subject.gives_rows:
        return measured("one number for the whole batch")
    pred[1] = math.nan
    loss, gradient = subject.gradient(pred, target)
    keep = torch.tensor([0, 2, 3])
    same = torch.equal(loss[keep], clean[keep]) and torch.equal(gradient[keep], clean_gradient[keep])
    return judged(same, "other rows unchanged" if same else "other rows changed", code=show_call(pred, target))


CHECKS = (
    *(check for size in (30.0, 200.0, 1e4) for right in (True, False) for check in saturation_checks(size, right)),
    Check("probability 0", "saturated", functools.partial(probability_bounds, at=0.0), CLASSES_ONLY),
    Check("probability 1", "saturated", functools.partial(probability_bounds, at=1.0), CLASSES_ONLY),
    Check("nothing is true", "targets", functools.partial(one_kind_of_target, positive=False), SCORES),
    Check("everything is true", "targets", functools.partial(one_kind_of_target, positive=True), SCORES),
    Check("empty mask, empty prediction", "targets", functools.partial(mask_of_nothing, wrong=False), MASKS),
    Check("empty mask, full prediction", "targets", functools.partial(mask_of_nothing, wrong=True), MASKS),
    Check("soft targets", "targets", soft_targets, SCORES),
    Check("where the minimum is", "minimum", proper, SCORES),
    Check("hits cost less", "minimum", functools.partial(better_costs_less, right=True), SCORES),
    Check("misses cost more", "minimum", functools.partial(better_costs_less, right=False), SCORES),
    Check("20 000 classes", "classes", many_classes, CLASSES_ONLY),
    Check("class weights", "classes", class_weights, CLASSES_ONLY),
    Check("positive weight", "classes", positive_weight, CLASSES_ONLY),
    Check("background label", "classes", background_label, CLASSES_ONLY),
    Check("labels equal one-hot rows", "classes", labels_equal_one_hot, CLASSES_ONLY),
    Check("NaN score shows", "not finite", not_a_number, SCORES),
    Check("NaN stays in its row", "not finite", nan_stays_in_its_row, SCORES),
    Check("fp16, 512 x 512 mask", "precision", functools.partial(large_mask, dtype=torch.float16), MASKS),
    Check("bf16, 512 x 512 mask", "precision", functools.partial(large_mask, dtype=torch.bfloat16), MASKS),
)
