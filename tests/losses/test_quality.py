"""Losses of scores that meet the IoU of their boxes: by hand, and where they differ from each other."""

from __future__ import annotations

import math

import pytest
import torch

import loss_plugins as lp

LOGITS = torch.tensor([[0.4, -1.3, 2.1], [-0.2, 0.9, -3.0], [1.7, -0.6, 0.1]], dtype=torch.float64)
#: a match, one that does not overlap, and background
MATCHED = (torch.tensor([2, 0, 3]), torch.tensor([0.7, 0.0, 0.0], dtype=torch.float64))


def test_a_match_of_quality_0_counts_in_full_and_differs_from_a_negative() -> None:
    """p = 1/2: it costs ln 2; a negative (1/2)^1.5 ln 2; in varifocal loss such a match costs nothing."""
    pred, target = torch.zeros(1, 2, dtype=torch.float64), (torch.tensor([0]), torch.zeros(1, dtype=torch.float64))
    ln2 = torch.tensor(2.0, dtype=torch.float64).log()
    torch.testing.assert_close(lp.matchability_loss(pred, target), torch.stack([ln2, 0.5**1.5 * ln2])[None])
    assert lp.varifocal_loss(pred, target)[0, 0] == 0


def test_one_power_serves_the_quality_and_the_weight_of_negatives_which_has_no_gradient() -> None:
    """Matched p - q^gamma, else alpha p^gamma p (2412.04234)."""
    for gamma, alpha in ((1.5, None), (2.0, 0.75)):
        pred = LOGITS.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(lp.matchability_loss(pred, MATCHED, gamma=gamma, alpha=alpha).sum(), pred)
        p = LOGITS.sigmoid()
        wanted = (1.0 if alpha is None else alpha) * p**gamma * p
        wanted[0, 2], wanted[1, 0] = p[0, 2] - 0.7**gamma, p[1, 0]
        torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("quality", [0.1, 0.5, 0.9])
def test_the_best_score_of_matchability_is_a_power_of_the_quality(quality: float) -> None:
    p = torch.linspace(1e-4, 1 - 1e-4, 9999, dtype=torch.float64)
    best = p[lp.matchability_loss(torch.logit(p), torch.full_like(p, quality)).argmin()]
    assert float(best) == pytest.approx(quality**1.5, abs=2e-4)


def test_the_short_name_of_the_paper_is_the_same_loss() -> None:
    loss = lp.build_loss("mal")
    assert type(loss) is lp.MatchabilityLoss
    assert loss.spec()["type"] == "matchability"
    assert lp.get_entry("mal") is lp.get_entry("matchability")
    assert "mal" not in lp.list_losses()


def test_the_dialects_take_the_names_and_the_default_of_their_frameworks() -> None:
    for dialect, given in (
        ("transformers", {"mal_alpha": 0.25, "focal_loss_gamma": 1.2}),
        ("libreyolo", {"mal_alpha": 0.25, "gamma": 1.2}),
    ):
        assert lp.build_loss("mal", dialect=dialect).resolved()["gamma"] == 2.0
        ours = lp.build_loss("mal", dialect=dialect, **given)(LOGITS, MATCHED)
        torch.testing.assert_close(ours, lp.MatchabilityLoss(gamma=1.2, alpha=0.25)(LOGITS, MATCHED))


def test_gradients_of_matchability_are_those_of_its_value_with_the_weights_held() -> None:
    """The weight of negatives is left out of the gradient, so it is held for the differences too."""
    weight = LOGITS.sigmoid() ** 1.5
    weight[0, 2] = weight[1, 0] = 1

    def held(pred: torch.Tensor) -> torch.Tensor:
        return lp.bce_with_logits_loss(pred, torch.zeros_like(pred).index_put((ROW, COLUMN), QUALITY)) * weight

    pred = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(held, (pred,))
    values = lp.matchability_loss(pred, MATCHED), held(pred)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value.sum(), pred)[0] for value in values))


ROW, COLUMN = torch.tensor([0, 1]), torch.tensor([2, 0])
QUALITY = torch.tensor([0.7**1.5, 0.0], dtype=torch.float64)


# --- IA-BCE ---------------------------------------------------------------------------------------------------------


def target_of_a_match(p: torch.Tensor, quality: float, alpha: float = 0.25, floor: float = 0.01) -> torch.Tensor:
    return (p**alpha * quality ** (1 - alpha)).clamp(min=floor)


def test_the_target_of_a_match_has_no_gradient_and_the_weight_of_a_negative_has() -> None:
    """Matched p - t; else the slope of p^gamma ln(1 + e^x) (2304.07527)."""
    pred = LOGITS.clone().requires_grad_()
    for alpha, gamma in ((0.25, 2.0), (0.4, 1.5)):
        (gradient,) = torch.autograd.grad(lp.ia_bce_loss(pred, MATCHED, alpha=alpha, gamma=gamma).sum(), pred)
        p = LOGITS.sigmoid()
        wanted = gamma * p**gamma * (1 - p) * -(1 - p).log() + p ** (gamma + 1)
        wanted[0, 2] = p[0, 2] - target_of_a_match(p[0, 2], 0.7, alpha)
        wanted[1, 0] = p[1, 0] - 0.01  # no overlap: the floor
        torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("quality", [0.1, 0.5, 0.9])
def test_the_score_of_a_match_settles_at_its_iou(quality: float) -> None:
    p = torch.tensor([quality - 0.02, quality, quality + 0.02], dtype=torch.float64)
    pred = torch.logit(p)[:, None].requires_grad_()
    target = torch.zeros(3, dtype=torch.int64), torch.full((3,), quality, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(lp.ia_bce_loss(pred, target).sum(), pred)
    assert gradient[0] < 0 < gradient[2]
    assert gradient[1].abs() < 1e-12


def test_a_later_candidate_is_to_score_less_after_the_floor() -> None:
    """Ranks 0, 1, 2: t, t / e^(1 / tau), and for no overlap 0.01 / e^(2 / tau)."""
    labels, quality, ranks = torch.tensor([0, 0, 0]), torch.tensor([0.7, 0.7, 0.0]).double(), torch.tensor([0, 1, 2])
    pred = torch.full((3, 1), 0.4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(lp.ia_bce_loss(pred, (labels, quality, ranks), tau=1.5).sum(), pred)
    p = pred.detach()[0, 0].sigmoid()
    best = target_of_a_match(p, 0.7)
    wanted = torch.stack([best, best * math.exp(-1 / 1.5), torch.full_like(best, 0.01 * math.exp(-2 / 1.5))])
    torch.testing.assert_close(gradient[:, 0], p - wanted)
    torch.testing.assert_close(lp.ia_bce_loss(pred, (labels, quality, ranks)), lp.ia_bce_loss(pred, (labels, quality)))


def test_without_ranks_each_match_is_the_best_of_its_object() -> None:
    plain = lp.ia_bce_loss(LOGITS, MATCHED)
    assert torch.equal(lp.ia_bce_loss(LOGITS, MATCHED, tau=1.5), plain)
    torch.testing.assert_close(lp.ia_bce_loss(LOGITS, (*MATCHED, torch.zeros(3)), tau=1.5), plain)


def test_gradients_of_negatives_are_those_of_their_value() -> None:
    pred = LOGITS.clone().requires_grad_()
    for dialect in (None, "transformers"):
        loss = lp.IABCELoss(reduction="none", dialect=dialect)
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, torch.zeros_like(x)), (pred,))


def test_by_rounded_logarithms_the_loss_is_finite_where_the_framework_s_is_not() -> None:
    """In float32 1 - p is 0 from logits of 17 on, and p from -104 on: there the logit is used."""
    pred = torch.tensor([[9.0, 40.0, -800.0, 16.0]], requires_grad=True)
    target = torch.tensor([[0.0, 0.0, 0.5, 0.0]])
    loss = lp.IABCELoss(reduction="none", dialect="transformers")(pred, target)
    plain = lp.ia_bce_loss(pred, target)
    torch.testing.assert_close(loss, plain, rtol=0.06, atol=0)
    assert (loss != plain)[0, [0, 3]].all()
    assert torch.autograd.grad(loss.sum(), pred)[0].isfinite().all()
    for module in ("rfdetr", "libreyolo"):
        assert torch.equal(lp.IABCELoss(reduction="none", dialect=module, focal_alpha=0.25)(pred, target), plain)


# --- background ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["rows", "classes", "iou"])
@pytest.mark.parametrize("name", ["quality_focal", "varifocal", "matchability", "ia_bce", "slide", "ema_slide"])
def test_the_quality_of_background_counts_for_nothing(name: str, form: str) -> None:
    """Also where it is NaN, as an IoU with no object may be."""
    if (form == "iou" and "slide" not in name) or (form == "classes" and name in ("quality_focal", "varifocal")):
        return  # these read the quality of each score that comes with labels of each score
    labels, quality = torch.tensor([2, 3, 0, 3]), torch.tensor([0.7, math.nan, 0.4, 0.9], dtype=torch.float64)
    classes = torch.nn.functional.one_hot(labels, 4)[:, :3].double()
    found = []
    for scores in (quality, quality.masked_fill(labels == 3, 0)):
        pred = torch.cat([LOGITS, LOGITS[:1]]).requires_grad_()
        each = torch.where(classes > 0, scores.unsqueeze(1), scores[1])
        target = {"rows": (labels, scores), "classes": (classes, each), "iou": (classes, scores)}[form]
        loss = lp.build_loss(name, reduction="none")(pred, target)
        found.append((loss, torch.autograd.grad(loss.sum(), pred)[0]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
        assert one.isfinite().all()


@pytest.mark.parametrize("rank", [math.nan, -1e9, math.inf])
def test_the_rank_of_background_counts_for_nothing(rank: float) -> None:
    ranks = torch.tensor([1.0, 0.0, rank])
    found = lp.ia_bce_loss(LOGITS, (*MATCHED, ranks), tau=1.5)
    torch.testing.assert_close(found, lp.ia_bce_loss(LOGITS, (*MATCHED, torch.tensor([1.0, 0.0, 0.0])), tau=1.5))
