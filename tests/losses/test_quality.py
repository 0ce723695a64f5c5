"""Losses of scores that meet the IoU of their boxes: by hand, and where they differ from each other."""

from __future__ import annotations

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
