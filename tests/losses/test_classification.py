"""Class losses against torch, torchvision and MMDetection, and what the papers promise of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import loss_plugins as lp

N, C = 9, 4


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2


@pytest.fixture
def logits() -> Tensor:
    return draw(N, C).requires_grad_()


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 1])


@pytest.fixture
def soft() -> Tensor:
    return draw(N, C, seed=1).sigmoid()


def assert_same(ours: Tensor, theirs: Tensor, *leaves: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    for leaf in leaves:
        (a,) = torch.autograd.grad(ours.sum(), leaf, retain_graph=True)
        (b,) = torch.autograd.grad(theirs.sum(), leaf, retain_graph=True)
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# --- torch's own --------------------------------------------------------------------------------------------------


def test_bce_is_torch_s_where_probabilities_are_not_extreme(logits: Tensor, soft: Tensor) -> None:
    p = logits.detach().sigmoid().requires_grad_()
    assert p.min() > 2e-4
    assert_same(lp.bce_loss(p, soft), functional.binary_cross_entropy(p, soft, reduction="none"), p)


def test_bce_has_torch_s_values_at_0_and_1_with_a_bounded_gradient() -> None:
    p = torch.tensor([0.0, 0.0, 1.0, 1.0, 1e-30], requires_grad=True)
    y = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0])
    loss = lp.bce_loss(p, y)
    torch.testing.assert_close(loss, functional.binary_cross_entropy(p, y, reduction="none"))
    (gradient,) = torch.autograd.grad(loss.sum(), p)
    # away from the target the slope is that of the floor, 1 / 2e-4; at it, the logarithm's own, 1
    torch.testing.assert_close(gradient, torch.tensor([1.0, -5000.0, 5000.0, -1.0, -5000.0]))


def test_bce_in_torch_s_dialect_is_torch_s(soft: Tensor) -> None:
    p = torch.tensor([0.0, 1.0, 1e-30, 0.5], requires_grad=True)
    y = torch.tensor([1.0, 1.0, 1.0, 0.2])
    assert_same(lp.bce_loss(p, y, dialect="torch"), functional.binary_cross_entropy(p, y, reduction="none"), p)


@pytest.mark.parametrize("pos_weight", [None, 2.5, [0.5, 1.0, 2.0, 4.0]])
def test_bce_with_logits(logits: Tensor, soft: Tensor, pos_weight: Any) -> None:
    module = lp.BCEWithLogitsLoss(reduction="none", pos_weight=pos_weight)
    factor = None if pos_weight is None else torch.tensor(pos_weight, dtype=torch.float64)
    theirs = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none", pos_weight=factor)
    assert_same(module(logits, soft), theirs, logits)


def test_integer_labels_are_rows_of_a_one_hot_matrix_and_background_is_zeros(logits: Tensor) -> None:
    labels = torch.tensor([0, 1, 2, 3, C, C, C, C, 0])
    matrix = torch.zeros(N, C, dtype=torch.float64)
    matrix[[0, 1, 2, 3, 8], [0, 1, 2, 3, 0]] = 1
    for function in (lp.bce_with_logits_loss, lp.focal_loss, lp.poly_focal_loss, lp.asymmetric_loss, lp.ghm_c_loss):
        assert torch.equal(function(logits, labels), function(logits, matrix))


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0, 4.0]])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy(logits: Tensor, labels: Tensor, weights: Any, label_smoothing: float, reduction: str) -> None:
    labels[2] = -100
    module = lp.CrossEntropyLoss(reduction=reduction, class_weight=weights, label_smoothing=label_smoothing)
    factor = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    theirs = functional.cross_entropy(
        logits, labels, weight=factor, label_smoothing=label_smoothing, reduction=reduction
    )
    assert_same(module(logits, labels), theirs, logits)


def test_cross_entropy_of_maps_and_of_probabilities() -> None:
    logits, soft = draw(2, C, 3, 5), draw(2, C, 3, 5, seed=1).softmax(1)
    labels = soft.argmax(1)
    assert_same(lp.CrossEntropyLoss()(logits, labels), functional.cross_entropy(logits, labels))
    assert_same(lp.CrossEntropyLoss()(logits, soft), functional.cross_entropy(logits, soft))


def test_cross_entropy_in_which_all_is_ignored_costs_0_where_torch_s_is_nan(logits: Tensor) -> None:
    loss = lp.CrossEntropyLoss()(logits, torch.full((N,), -100))
    loss.backward()
    assert loss == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0, 4.0]])
def test_nll(logits: Tensor, labels: Tensor, weights: Any) -> None:
    log_p = logits.log_softmax(-1)
    factor = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    ours = lp.NLLLoss(class_weight=weights)(log_p, labels)
    assert_same(ours, functional.nll_loss(log_p, labels, weight=factor), logits)


@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(logits: Tensor, log_target: bool) -> None:
    log_p, q = logits.log_softmax(-1), draw(N, C, seed=1).softmax(-1)
    q[0] = torch.tensor([0.0, 0.0, 0.5, 0.5])
    target = (q + 1e-9).log() if log_target else q
    theirs = functional.kl_div(log_p, target, reduction="none", log_target=log_target)
    assert_same(lp.kl_div_loss(log_p, target, log_target=log_target), theirs, logits)
    batch_mean = functional.kl_div(log_p, target, reduction="batchmean", log_target=log_target)
    assert_same(lp.KLDivLoss(log_target=log_target)(log_p, target), batch_mean, logits)


@pytest.mark.parametrize("margin", [0.0, 0.5, -0.25])
def test_margin_ranking_and_hinge_embedding(margin: float) -> None:
    x, other = draw(20).requires_grad_(), draw(20, seed=1)
    y = torch.ones(20, dtype=torch.float64)
    y[::2] = -1
    theirs = functional.margin_ranking_loss(x, other, y, margin=margin, reduction="none")
    assert_same(lp.margin_ranking_loss(x, (other, y), margin=margin), theirs, x)
    hinge = functional.hinge_embedding_loss(x, y, margin=margin, reduction="none")
    assert_same(lp.hinge_embedding_loss(x, y, margin=margin), hinge, x)


# --- focal and kin ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.25, 0.75, None])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.3])
def test_focal_is_torchvision_s(logits: Tensor, soft: Tensor, alpha: float | None, gamma: float) -> None:
    from torchvision.ops import sigmoid_focal_loss

    theirs = sigmoid_focal_loss(logits, soft, alpha=-1 if alpha is None else alpha, gamma=gamma, reduction="none")
    assert_same(lp.focal_loss(logits, soft, alpha=alpha, gamma=gamma), theirs, logits, tolerance=1e-10)


def test_focal_without_focus_is_weighted_cross_entropy(logits: Tensor, soft: Tensor) -> None:
    plain = functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    assert_same(lp.focal_loss(logits, soft, alpha=0.5, gamma=0.0), plain / 2, logits)


def test_focal_of_probabilities_is_that_of_their_logits(logits: Tensor, soft: Tensor) -> None:
    for function in (lp.focal_loss, lp.quality_focal_loss, lp.varifocal_loss):
        assert_same(function(logits.sigmoid(), soft, activated=True), function(logits, soft), logits, tolerance=1e-9)


def test_softmax_focal_by_hand(logits: Tensor, labels: Tensor) -> None:
    p = logits.softmax(-1)[torch.arange(N), labels]
    assert_same(lp.softmax_focal_loss(logits, labels, gamma=1.5), -((1 - p) ** 1.5) * p.log(), logits, tolerance=1e-10)
    weighted = lp.softmax_focal_loss(logits, labels, gamma=1.5, alpha=0.2)
    assert_same(weighted, -(0.2 + 0.6 * (labels == 0).double()) * (1 - p) ** 1.5 * p.log(), tolerance=1e-10)


@pytest.mark.parametrize("beta", [1.0, 2.0, 2.7])
def test_quality_focal_is_mmdetection_s(logits: Tensor, soft: Tensor, beta: float) -> None:
    from mmdet.models.losses.gfocal_loss import QualityFocalLoss

    label, score = torch.tensor([0, 4, 2, 3, 4, 1, 2, 3, 1]), soft[:, 0].detach()
    theirs = QualityFocalLoss(beta=beta)(logits, (label, score))
    assert_same(lp.QualityFocalLoss(beta=beta)(logits, (label, score)), theirs, logits, tolerance=1e-9)
    dense = torch.zeros(N, C, dtype=torch.float64)
    kept = label < C
    dense[kept.nonzero().flatten(), label[kept]] = score[kept]
    assert_same(lp.QualityFocalLoss(beta=beta)(logits, dense), theirs, logits, tolerance=1e-9)


@pytest.mark.parametrize("iou_weighted", [True, False])
def test_varifocal_is_mmdetection_s(logits: Tensor, soft: Tensor, iou_weighted: bool) -> None:
    from mmdet.models.losses.varifocal_loss import varifocal_loss

    target = torch.where(soft > 0.6, soft, 0.0)
    theirs = varifocal_loss(logits, target, reduction="none", iou_weighted=iou_weighted)
    assert_same(lp.varifocal_loss(logits, target, iou_weighted=iou_weighted), theirs, logits, tolerance=1e-9)


def test_varifocal_with_labels_apart_is_ultralytics(logits: Tensor, soft: Tensor) -> None:
    from ultralytics.utils.loss import VarifocalLoss

    label = (soft > 0.6).double()
    score = torch.where(soft > 0.5, soft, 0.0)  # some soft negatives
    score[0] = 0  # and a positive of quality 0
    label[0, 0] = 1
    theirs = VarifocalLoss(2.0, 0.75)(logits, score, label)
    ours = lp.varifocal_loss(logits, (label, score)).mean(1).sum()
    assert_same(ours, theirs.to(ours), logits, tolerance=1e-5)  # theirs is float32 inside


def test_distribution_focal_is_mmdetection_s() -> None:
    from mmdet.models.losses.gfocal_loss import distribution_focal_loss

    pred, target = draw(20, 8).requires_grad_(), torch.linspace(0, 6.99, 20, dtype=torch.float64)
    theirs = distribution_focal_loss(pred, target, reduction="none")
    assert_same(lp.distribution_focal_loss(pred, target), theirs, pred, tolerance=1e-6)  # theirs rounds the weights


def test_distribution_focal_at_and_beyond_the_ends() -> None:
    # ln 4 wherever the target lies, as all bins are alike; the end bins alone for targets at or beyond them
    pred = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    loss = lp.distribution_focal_loss(pred, torch.tensor([-1.0, 0.0, 3.0, 9.0]))
    torch.testing.assert_close(loss, torch.full_like(loss, math.log(4)))
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    torch.testing.assert_close(gradient[:, 0], torch.tensor([-0.75, -0.75, 0.25, 0.25], dtype=torch.float64))
    torch.testing.assert_close(gradient[:, 3], torch.tensor([0.25, 0.25, -0.75, -0.75], dtype=torch.float64))


def test_distribution_focal_leaves_its_target_alone() -> None:
    target = torch.tensor([50.0, -3.0])
    lp.distribution_focal_loss(torch.zeros(2, 4), target, margin=0.01)
    assert target.tolist() == [50.0, -3.0]


@pytest.mark.parametrize("momentum", [0, 0.75])
def test_ghm_c_is_mmdetection_s(momentum: float) -> None:
    from mmdet.models.losses.ghm_loss import GHMC

    theirs, ours = GHMC(bins=10, momentum=momentum), lp.GHMCLoss(momentum=float(momentum))
    target = (draw(N, C, seed=3) > 1).float()
    weight = torch.ones(N, C)
    weight[0, :2] = 0
    for seed in range(4):
        pred = draw(N, C, seed=seed).float().requires_grad_()
        assert_same(ours(pred, target, weight), theirs(pred, target, weight), pred, tolerance=1e-5)
    if momentum:
        torch.testing.assert_close(ours.counts.value.float(), theirs.acc_sum)


def test_ghm_c_learns_in_training_only_and_the_same_from_parts_of_a_step() -> None:
    pred, target = draw(N, C).requires_grad_(), (draw(N, C, seed=1) > 1).double()
    whole, parts = lp.GHMCLoss(momentum=0.9), lp.GHMCLoss(momentum=0.9)
    whole(pred, target)
    parts.begin_step()
    for rows in (slice(0, 2), slice(2, 7), slice(7, 9)):
        parts(pred[rows], target[rows])
    assert torch.equal(whole.counts.value, parts.counts.value)
    before = whole.counts.value.clone()
    whole.eval()(pred, target)
    with torch.no_grad():
        whole.train()(pred, target)
    assert torch.equal(whole.counts.value, before)


def test_gaussian_focal_is_mmdetection_s(soft: Tensor) -> None:
    from mmdet.models.losses.gaussian_focal_loss import gaussian_focal_loss

    p, target = draw(N, C).sigmoid().requires_grad_(), soft.clone()
    target[::3, 1] = 1
    assert_same(lp.gaussian_focal_loss(p, target), gaussian_focal_loss(p, target, reduction="none"), p, tolerance=1e-9)


def test_poly_losses_without_epsilon_are_their_base(logits: Tensor, labels: Tensor, soft: Tensor) -> None:
    assert_same(lp.poly_cross_entropy_loss(logits, labels, epsilon=0.0), lp.cross_entropy_loss(logits, labels), logits)
    assert_same(lp.poly_focal_loss(logits, soft, epsilon=0.0), lp.focal_loss(logits, soft), logits)


def test_asymmetric_without_asymmetry_is_focal(logits: Tensor) -> None:
    target = (draw(N, C, seed=1) > 0).double()
    ours = lp.asymmetric_loss(logits, target, gamma_neg=2.0, gamma_pos=2.0, clip=0.0, detach_focus=False)
    assert_same(ours, lp.focal_loss(logits, target, alpha=None), logits, tolerance=1e-6)


def test_asymmetric_easy_negatives_are_free() -> None:
    pred = torch.tensor([-3.0, -10.0], requires_grad=True)  # p = 0.047 and less, below clip
    loss = lp.asymmetric_loss(pred, torch.zeros(2))
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert loss.abs().max() == 0
    assert gradient.abs().max() == 0


def best_score(loss: Any, quality: float) -> float:
    p = torch.linspace(1e-4, 1 - 1e-4, 9999, dtype=torch.float64)
    return float(p[loss(torch.logit(p), torch.full_like(p, quality)).argmin()])


@pytest.mark.parametrize("quality", [0.1, 0.3, 0.5, 0.8, 0.95])
def test_what_is_proper_has_its_minimum_at_the_target_and_focal_has_not(quality: float) -> None:
    for proper in (lp.quality_focal_loss, lp.varifocal_loss, lp.bce_with_logits_loss):
        assert best_score(proper, quality) == pytest.approx(quality, abs=2e-4)
    if quality != 0.5:
        assert abs(best_score(lp.focal_loss, quality) - quality) > 0.02


def test_focal_s_best_scores_for_soft_targets() -> None:
    # figures quoted in the documentation
    assert best_score(lp.focal_loss, 0.3) == pytest.approx(0.12, abs=0.01)
    assert best_score(lp.focal_loss, 0.8) == pytest.approx(0.95, abs=0.01)


# --- shapes, weights, errors --------------------------------------------------------------------------------------


def test_weights_per_row_and_per_score() -> None:
    pred, target = draw(3, 2), draw(3, 2, seed=1).sigmoid()
    loss = lp.bce_with_logits_loss(pred, target)
    module = lp.BCEWithLogitsLoss(reduction="none")
    row, score = torch.tensor([1.0, 0.0, 2.0]), torch.rand(3, 2)
    torch.testing.assert_close(module(pred, target, row), loss * row[:, None])
    torch.testing.assert_close(module(pred, target, row[:, None]), loss * row[:, None])
    torch.testing.assert_close(module(pred, target, score), loss * score)
    total = lp.BCEWithLogitsLoss()(pred, target, row, avg_factor=4.0)
    torch.testing.assert_close(total, (loss * row[:, None]).sum() / 4)
    with pytest.raises(ValueError, match="one weight per row"):
        module(pred, target, torch.ones(5))


def test_any_number_of_axes_before_the_classes() -> None:
    # the trainer of Ultralytics passes (batch, anchors, classes)
    pred, target = draw(2, 5, 3), draw(2, 5, 3, seed=1).sigmoid()
    focal = "focal", "quality_focal", "varifocal", "poly_focal", "asymmetric", "ghm_c"
    for name in ("bce_with_logits", *focal, "matchability", "ia_bce", "slide", "ema_slide"):
        loss = lp.build_loss(name, reduction="none")(pred, target)
        assert loss.shape == pred.shape
        flat = lp.build_loss(name, reduction="none")(pred.flatten(0, 1), target.flatten(0, 1))
        torch.testing.assert_close(loss.flatten(0, 1), flat)


@pytest.mark.parametrize(
    ("name", "target", "wanted"),
    [
        ("focal", torch.zeros(3), "integer labels"),
        ("cross_entropy", torch.zeros(4, dtype=torch.long), "class axis"),
        ("quality_focal", (torch.zeros(3, dtype=torch.long), torch.zeros(4)), "labels, scores"),
        ("distribution_focal", torch.zeros(3, dtype=torch.long), "floats"),
        ("margin_ranking", torch.zeros(3, 2), "second input"),
    ],
)
def test_a_target_of_the_wrong_form_is_refused_by_shape_and_remedy(name: str, target: Any, wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted) as error:
        lp.build_loss(name)(torch.zeros(3, 2), target)
    assert "(3, 2)" in str(error.value)
    assert name in str(error.value)


def test_integer_predictions_are_refused() -> None:
    with pytest.raises(TypeError, match=r"pred\.float"):
        lp.focal_loss(torch.zeros(2, 2, dtype=torch.long), torch.zeros(2, 2))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("bce_with_logits", {"pos_weight": -1.0}),
        ("bce_with_logits", {"pos_weight": [1.0, -1.0]}),
        ("cross_entropy", {"class_weight": -2.0}),
        ("cross_entropy", {"label_smoothing": 1.5}),
        ("focal", {"gamma": -1.0}),
        ("focal", {"alpha": 1.5}),
        ("ghm_c", {"bins": 0}),
        ("ghm_c", {"momentum": 1.0}),
        ("asymmetric", {"clip": 1.0}),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{name}: {next(iter(parameters))}=.*allowed"):
        lp.build_loss(name, **parameters)


def test_class_weights_follow_the_module_and_its_spec(labels: Tensor) -> None:
    module = lp.CrossEntropyLoss(class_weight=torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert module.spec()["class_weight"] == [1.0, 2.0, 3.0, 4.0]
    assert "constants.per_class_class_weight" in dict(module.named_buffers())
    assert module.half()(draw(N, C), labels).dtype == torch.float64


@pytest.mark.parametrize(
    "name",
    ["bce_with_logits", "focal", "quality_focal", "varifocal", "poly_focal", "softmax_focal", "poly_cross_entropy"],
)
def test_gradients_are_those_of_the_values(name: str, soft: Tensor, labels: Tensor) -> None:
    pred = draw(N, C).requires_grad_()
    target = labels if name in ("softmax_focal", "poly_cross_entropy") else soft
    function = getattr(lp, f"{name}_loss")
    assert torch.autograd.gradcheck(lambda x: function(x, target), (pred,))
