"""Losses for long-tailed classes: by hand, what their statistics learn, and MMDetection's own over several steps."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.module.state import sync_losses

C = 4
SEED = torch.Generator
NAMES = ["seesaw", "eqlv2", "efl"]
SIGMOID = ["eqlv2", "efl"]
LN2 = math.log(2)


def draw(seed: int, n: int = 12, columns: int = C, last: int = C) -> tuple[Tensor, Tensor]:
    """Scores, and labels up to `last`."""
    generator = SEED().manual_seed(seed)
    pred = 2 * torch.randn(n, columns, generator=generator, dtype=torch.float64)
    return pred.requires_grad_(), torch.randint(0, last + 1, (n,), generator=generator)


def state(module: lp.Loss) -> Tensor:
    (statistic,) = module.statistics.values()
    return statistic.current.clone()


def taught(module: lp.Loss, seed: int = 0, **call: Any) -> lp.Loss:
    """After one training step."""
    pred, target = draw(seed)
    module(pred, target, **call).sum().backward()
    return module


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_a_frequent_class_presses_less_on_a_rare_one() -> None:
    """ln(e^0 + S e^0): of class 0, met 16 times, S of class 1, met once, is (1/16)^0.5; the other way it is 1."""
    counts = torch.tensor([16.0, 1.0, 7.0])
    loss = lp.seesaw_loss(torch.zeros(2, 2), torch.tensor([0, 1]), num_classes=2, p=0.5, q=0.0, counts=counts)
    torch.testing.assert_close(loss, torch.tensor([math.log(1.25), LN2]))


def test_a_class_that_was_never_met_counts_as_met_once() -> None:
    counts = torch.tensor([4.0, 0.0, 0.0])
    loss = lp.seesaw_loss(torch.zeros(1, 2), torch.tensor([0]), num_classes=2, p=1.0, q=0.0, counts=counts)
    torch.testing.assert_close(loss, torch.tensor([math.log(1.25)]))


def test_a_class_that_scores_above_the_true_one_is_pressed_on_more() -> None:
    """Scores of 1/4 and 3/4: S = 3^2, so ln(1 + 9 * 3); below eps the true score counts as eps."""
    pred = torch.tensor([[0.0, math.log(3)]])
    loss = lp.seesaw_loss(pred, torch.tensor([0]), p=0.0, q=2.0)
    torch.testing.assert_close(loss, torch.tensor([math.log(1 + 9 * 3)]))
    floored = lp.seesaw_loss(pred, torch.tensor([0]), p=0.0, q=2.0, eps=0.5)
    torch.testing.assert_close(floored, torch.tensor([math.log(1 + 1.5**2 * 3)]))


def test_the_factors_of_seesaw_have_no_gradient() -> None:
    """It is the softmax of the pressed logits less the truth: of 1 and 27, as above."""
    pred = torch.tensor([[0.0, math.log(3)]], requires_grad=True)
    lp.seesaw_loss(pred, torch.tensor([0]), p=0.0, q=2.0).sum().backward()
    torch.testing.assert_close(pred.grad, torch.tensor([[1 / 28 - 1, 27 / 28]]))


def test_rows_of_background_cost_0_and_do_not_count_in_the_mean() -> None:
    pred, target = draw(1)
    target[::2] = C
    for module in (lp.SeesawLoss(num_classes=C).eval(), lp.SeesawLoss().eval()):
        kept = module(pred[target < C], target[target < C])
        torch.testing.assert_close(module(pred, target), kept)
        (gradient,) = torch.autograd.grad(module(pred, target), pred)
        assert not gradient[target == C].any()
        none = module(pred, torch.full_like(target, C))
        assert none == 0
        assert none.requires_grad


def test_eqlv2_weighs_positives_and_negatives_by_the_ratio_of_what_they_pull() -> None:
    """A ratio of mu: n is 1/2. None met: 1. No positives: n is e^-9.6 / (1 + e^-9.6)."""
    met = torch.tensor([[0.8, 0.0, 0.0], [1.0, 0.0, 1.0]])
    loss = lp.eqlv2_loss(torch.zeros(2, 3), torch.tensor([[1.0] * 3, [0.0] * 3]), num_classes=3, gradients=met) / LN2
    low = 1 / (1 + math.exp(9.6))
    torch.testing.assert_close(loss, torch.tensor([[3.0, 1.0, 1 + 4 * (1 - low)], [0.5, 1.0, low]]))


def test_the_column_of_background_weighs_1_and_is_not_learnt() -> None:
    met = torch.tensor([[0.8], [1.0]])
    loss = lp.eqlv2_loss(torch.zeros(2, 2), torch.tensor([0, 1]), num_classes=1, gradients=met) / LN2
    torch.testing.assert_close(loss, torch.tensor([[3.0, 1.0], [0.5, 1.0]]))
    module = lp.EQLV2Loss(num_classes=1)
    module(torch.zeros(2, 2, requires_grad=True), torch.tensor([0, 1]))
    assert state(module).tolist() == [[0.5], [0.5]]


def test_the_column_of_background_has_efl_s_plain_exponent_and_is_not_learnt() -> None:
    """Of the class f = 2 + 8 (1 - 1/2), and of background 2: of the second row it is the positive."""
    met = torch.tensor([[1.0], [2.0]])
    loss = lp.efl_loss(torch.zeros(2, 2), torch.tensor([0, 1]), num_classes=1, gradients=met) / LN2
    torch.testing.assert_close(loss, torch.tensor([[0.25 * 3 / 2**6, 0.75 / 4], [0.75 * 3 / 2**6, 0.25 / 4]]))
    module, pred = lp.EFLLoss(num_classes=1, reduction="sum"), torch.zeros(2, 2, requires_grad=True)
    module(pred, torch.tensor([0, 1])).backward()
    torch.testing.assert_close(state(module), pred.grad.abs()[:, :1].double())


def test_soft_targets_weigh_in_between_and_have_their_least_loss_at_the_target() -> None:
    met = torch.tensor([[0.8], [1.0]], dtype=torch.float64)
    target = torch.tensor([[0.25]], dtype=torch.float64)
    pred = target.logit().requires_grad_()
    loss = lp.eqlv2_loss(pred, target, num_classes=1, gradients=met)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    torch.testing.assert_close(loss, torch.tensor([[(0.25 * 3 + 0.75 * 0.5) * entropy]], dtype=torch.float64))
    assert torch.autograd.grad(loss.sum(), pred)[0].abs().max() < 1e-12


def test_efl_raises_the_exponent_of_classes_whose_negatives_pull_more() -> None:
    """f = 2 + 8 (1 - g) of ratios 1/2, 3 (which counts as 1) and of none met; -alpha_t f/2 (1/2)^f ln(1/2)."""
    met = torch.tensor([[1.0, 3.0, 0.0], [2.0, 1.0, 0.0]])
    loss = lp.efl_loss(torch.zeros(2, 3), torch.tensor([[1.0] * 3, [0.0] * 3]), num_classes=3, gradients=met) / LN2
    row = torch.tensor([3 / 2**6, 1 / 4, 1 / 4])
    torch.testing.assert_close(loss, torch.stack([0.25 * row, 0.75 * row]))
    plain = lp.efl_loss(torch.zeros(1, 3), torch.ones(1, 3), num_classes=3, alpha=None, gradients=met) / LN2
    torch.testing.assert_close(plain, row[None])


def test_efl_that_has_learnt_nothing_is_focal_loss() -> None:
    pred, target = draw(2)
    torch.testing.assert_close(lp.efl_loss(pred, target, gamma=1.5), lp.focal_loss(pred, target, gamma=1.5))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_value(name: str) -> None:
    """Of seesaw with q = 0: the other factor has no gradient on purpose."""
    pred, target = draw(3, n=5)
    fixed = {"q": 0.0} if name == "seesaw" else {}
    module = taught(lp.build_loss(name, reduction="none", **fixed)).eval()
    assert torch.autograd.gradcheck(lambda x: module(x, target), (pred,))


# --- what is learnt --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_statistics_learn_in_training_with_gradients_on_alone(name: str) -> None:
    module = lp.build_loss(name, num_classes=C)
    first, (pred, target) = state(module), draw(0)
    module.eval()(pred, target).backward()
    with torch.no_grad():
        module.train()(pred, target)
    assert torch.equal(state(module), first)
    module(pred, target).backward()
    assert not torch.equal(state(module), first)


@pytest.mark.parametrize("name", NAMES)
def test_the_calls_of_a_step_are_one_update_and_all_see_the_same(name: str) -> None:
    """EQLv2 and EFL weigh a step by the steps before it; seesaw counts before use, so that its last call knows all."""
    whole, parts = (taught(lp.build_loss(name, reduction="sum")) for _ in range(2))
    pred, target = draw(1)
    parts.begin_step()
    losses = [parts(pred[rows], target[rows]) for rows in (slice(0, 3), slice(3, 3), slice(3, 12))]
    sum(losses).backward()
    wanted = whole(pred, target)
    if name != "seesaw":
        torch.testing.assert_close(sum(losses), wanted)
    wanted.backward()
    torch.testing.assert_close(state(parts), state(whole))


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_weight_0_and_ignored_ones_teach_nothing(name: str) -> None:
    pred, target = draw(4)
    kept = torch.arange(12) % 3 > 0
    wanted = lp.build_loss(name, reduction="sum")
    wanted(pred[kept], target[kept]).backward()
    weighed = lp.build_loss(name, reduction="sum")
    weighed(pred, target, kept.double()).backward()
    ignoring = lp.build_loss(name, reduction="sum")
    wild = torch.where(kept.unsqueeze(1), pred, math.nan)
    ignoring(wild, target.masked_fill(~kept, -100)).backward()
    for module in (weighed, ignoring):
        torch.testing.assert_close(state(module), state(wanted))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch_costs_0_and_teaches_nothing(name: str) -> None:
    module = taught(lp.build_loss(name, num_classes=C))
    before = state(module)
    pred = torch.zeros(0, C, dtype=torch.float64, requires_grad=True)
    for reduction in ("mean", "sum"):
        loss = module(pred, torch.zeros(0, dtype=torch.long), reduction_override=reduction)
        loss.backward()
        assert loss == 0
    assert torch.equal(state(module), before)


@pytest.mark.parametrize("name", SIGMOID)
def test_a_batch_that_overflows_teaches_nothing(name: str) -> None:
    module = taught(lp.build_loss(name))
    before, (pred, target) = state(module), draw(1)
    loss = module(torch.where(torch.arange(12).unsqueeze(1) == 3, math.nan, pred), target)
    (loss * math.inf).backward()
    assert torch.equal(state(module), before)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_learnt_is_in_the_state_dict_and_in_copies(name: str) -> None:
    """Also of a module that does not know its number of classes yet."""
    module = taught(lp.build_loss(name))
    fresh, sized = lp.build_loss(name), lp.build_loss(name, num_classes=C)
    for other in (fresh, sized):
        other.load_state_dict(module.state_dict())
    for other in (fresh, sized, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(state(other), state(module))
        taught(other, 1)
        assert not torch.equal(state(other), state(module))
    again = [state(taught(each, 1)) for each in (module, copy.deepcopy(lp.build_loss(name)))]
    assert not torch.equal(*again)
    assert torch.equal(state(taught(fresh, 2)), state(taught(sized, 2)))


@pytest.mark.parametrize("name", NAMES)
def test_another_number_of_classes_than_pred_has_is_refused_before_it_is_learnt(name: str) -> None:
    pred, target = draw(0, columns=6, last=3)
    module = lp.build_loss(name, num_classes=C)
    before = state(module)
    for mode in (True, False):
        with pytest.raises(ValueError, match=rf"^{name}: num_classes=4, and pred \(12, 6\) has 6 scores"):
            module.train(mode)(pred, target)
    assert torch.equal(state(module), before)
    with pytest.raises(ValueError, match=rf"^{name}: num_classes=4, and pred \(12, 6\) has 6 scores.*set num_classes"):
        getattr(lp, f"{name}_loss")(pred, target, num_classes=4)


@pytest.mark.parametrize("columns", [C - 1, C + 1, C + 2])
@pytest.mark.parametrize("name", NAMES)
def test_another_number_of_classes_than_were_learnt_is_refused_by_what_the_user_may_set(
    name: str, columns: int
) -> None:
    """Also by a module that has them from a state dict; neither learns from it."""
    module, loaded = taught(lp.build_loss(name)), lp.build_loss(name)
    loaded.load_state_dict(module.state_dict())
    pred, target = draw(0, columns=columns, last=C - 2)
    before = state(module)
    said = rf"^{name}: num_classes is None, 4 classes have been learnt .*\(12, {columns}\) has {columns} scores"
    for each in (module, loaded):
        for mode in (True, False):
            with pytest.raises(ValueError, match=said + r".*allowed: 4 scores.*say num_classes=\.\.\."):
                each.train(mode)(pred, target)
        assert torch.equal(state(each), before)


# --- EFL learns in the backward pass ---------------------------------------------------------------------------------


def pulls(gradient: Tensor, target: Tensor) -> Tensor:
    """Sums of |gradient| of positives and of negatives."""
    positive = torch.nn.functional.one_hot(target, C + 1)[:, :C]
    return torch.stack([(gradient.abs() * side).sum(0) for side in (positive, 1 - positive)])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_efl_learns_the_gradient_that_reaches_its_prediction(dtype: torch.dtype) -> None:
    """With the weights, the normaliser and the scaling in it, and nothing of what else the prediction is used for."""
    pred, target = draw(5)
    pred = pred.detach().to(dtype).requires_grad_()
    weight = torch.rand(12, generator=SEED().manual_seed(6)) + 0.5
    module = lp.EFLLoss(loss_weight=3.0)
    loss = module(pred, target, weight, avg_factor=5.0)
    assert not state(module).any(), "nothing before the backward pass"
    (loss * 1024).backward(retain_graph=True)
    torch.testing.assert_close(state(module), pulls(pred.grad.double(), target), rtol=1e-2, atol=1e-2)
    assert state(module).isfinite().all()
    once = state(module)
    (pred.float().exp().sum()).backward()
    assert torch.equal(state(module), once)


def test_efl_adds_up_backward_passes_between_two_steps() -> None:
    """Accumulation of gradients: both passes of a step are weighed alike, and learnt together."""
    module, total = taught(lp.EFLLoss(reduction="sum")), torch.zeros(2, C, dtype=torch.float64)
    before = state(module)
    module.begin_step()
    for seed in (1, 2):
        pred, target = draw(seed)
        loss = module(pred, target)
        torch.testing.assert_close(loss, lp.efl_loss(pred, target, num_classes=C, gradients=before).sum())
        loss.backward()
        total += pulls(pred.grad, target)
    torch.testing.assert_close(state(module), before + total)
    module.begin_step()
    pred, target = draw(3)
    now = lp.efl_loss(pred, target, num_classes=C, gradients=before + total).sum()
    torch.testing.assert_close(module(pred, target), now)


def test_a_factor_on_all_gradients_changes_no_weight() -> None:
    """As of automatic mixed precision."""
    plain, scaled = lp.EFLLoss(), lp.EFLLoss()
    for seed in range(3):
        pred, target = draw(seed)
        losses = [module(pred, target) for module in (plain, scaled)]
        torch.testing.assert_close(*losses)
        losses[0].backward()
        (losses[1] * 65536).backward()


def test_efl_inside_of_transforms_and_exports_learns_nothing() -> None:
    module = taught(lp.EFLLoss(num_classes=C, reduction="none")).eval()
    before, (pred, target) = state(module), draw(1)
    rows = torch.func.vmap(torch.func.grad(lambda x, y: module(x, y).sum()))(pred.detach(), target)
    (wanted,) = torch.autograd.grad(module(pred, target).sum(), pred)
    torch.testing.assert_close(rows, wanted)
    exported = torch.export.export(module, (pred.detach(), target)).module()
    torch.testing.assert_close(exported(pred.detach(), target), module(pred, target).detach())
    assert torch.equal(state(module), before)


def test_a_compiler_meets_efl_before_it_knows_of_how_many_classes_it_is() -> None:
    losses = lp.EFLLoss(), lp.EFLLoss()
    compiled = torch.compile(losses[0], backend="aot_eager")
    for seed in range(2):
        pred, target = draw(seed)
        found, wanted = compiled(pred, target), losses[1](pred, target)
        torch.testing.assert_close(found, wanted)
        gradients = [torch.autograd.grad(each, pred)[0] for each in (found, wanted)]
        torch.testing.assert_close(*gradients)
    torch.testing.assert_close(*map(state, losses))


def test_prediction_without_gradient_teaches_efl_nothing() -> None:
    module = taught(lp.EFLLoss())
    before, (pred, target) = state(module), draw(1)
    module(pred.detach(), target)
    assert torch.equal(state(module), before)


# --- several processes, and other frameworks -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_dialect_has_no_steps(name: str) -> None:
    """MMDetection's statistics learn from each call, in each process by itself; ours are synchronised."""
    ours = lp.build_loss(name, num_classes=C)
    with pytest.raises(RuntimeError, match="never begun"):
        sync_losses([ours])
    if name != "efl":
        sync_losses([lp.build_loss(name, num_classes=C, dialect="mmdet")])


def stock_seesaw(**parameters: Any) -> Any:
    from mmdet.models.losses import SeesawLoss

    return SeesawLoss(num_classes=C, **parameters)


CALLS: list[dict[str, Any]] = [
    {},
    {"avg_factor": 7.0},
    {"weight": True},
    {"weight": True, "avg_factor": 3},
    {"reduction_override": "sum"},
    {"reduction_override": "sum", "weight": True},
    {"reduction_override": "none", "weight": True},
]


def weighed(call: dict[str, Any], seed: int) -> dict[str, Any]:
    """The call, with a weight for each row, of which some are 0."""
    weight = torch.rand(12, generator=SEED().manual_seed(seed)) * (torch.arange(12) % 4 > 0)
    return {**call, "weight": weight} if "weight" in call else call


@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("parameters", [{}, {"p": 0.5, "q": 1.0, "eps": 0.1, "loss_weight": 2.0}], ids=str)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_seesaw_is_mmdetection_s_step_by_step(call: dict[str, Any], parameters: dict[str, Any], mode: bool) -> None:
    """Its class part; rows of weight 0 are counted too."""
    theirs = stock_seesaw(**parameters).train(mode)
    ours = lp.SeesawLoss(num_classes=C, dialect="mmdet", **parameters).train(mode)
    for seed in range(4):
        pred, target = draw(seed, columns=C + 2)
        pred = pred.detach().float().requires_grad_()
        given = weighed(call, seed)
        stock = {("label_weights" if name == "weight" else name): value for name, value in given.items()}
        wanted = theirs(pred, target, **stock)["loss_cls_classes"]
        found = ours(pred[:, :C], target, **given)
        found = found[target < C] if found.ndim else found
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
        gradients = [torch.autograd.grad(loss.sum(), pred)[0] for loss in (found, wanted)]
        torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(state(ours).float(), theirs.cum_samples)


@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("parameters", [{}, {"mu": 0.5, "gamma": 6, "alpha": 2.0, "loss_weight": 0.5}], ids=str)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_eqlv2_is_mmdetection_s_step_by_step(call: dict[str, Any], parameters: dict[str, Any], mode: bool) -> None:
    """Which takes no heed of weight, avg_factor and reduction."""
    from mmdet.models.losses import EQLV2Loss

    theirs = EQLV2Loss(num_classes=C, **parameters).train(mode)
    ours = lp.EQLV2Loss(num_classes=C, dialect="mmdet", **parameters).train(mode)
    for seed in range(4):
        pred, target = draw(seed, columns=C + 1)
        pred, given = pred.detach().float().requires_grad_(), weighed(call, seed)
        wanted, found = theirs(pred, target, **given), ours(pred, target, **given)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
        gradients = [torch.autograd.grad(loss, pred)[0] for loss in (found, wanted)]
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(state(ours).float(), torch.stack([theirs.pos_grad, theirs.neg_grad]))


@pytest.mark.parametrize(("name", "columns"), [("seesaw", C), ("eqlv2", C + 1), ("efl", C)])
def test_our_own_form_honours_weight_avg_factor_and_reduction(name: str, columns: int) -> None:
    module = taught(lp.build_loss(name, num_classes=C)).eval()
    pred, target = draw(7, columns=columns)
    each = module(pred, target, reduction_override="none")
    weight = torch.rand(12, generator=SEED().manual_seed(8), dtype=torch.float64)
    by_row = weight if name == "seesaw" else weight.unsqueeze(1)
    rows = int((target < C).sum()) if name == "seesaw" else each.numel()
    torch.testing.assert_close(module(pred, target, weight, reduction_override="none"), by_row * each)
    torch.testing.assert_close(module(pred, target, weight), (by_row * each).sum() / rows)
    torch.testing.assert_close(module(pred, target, weight, reduction_override="sum"), (by_row * each).sum())
    torch.testing.assert_close(module(pred, target, weight, avg_factor=3.0), (by_row * each).sum() / 3)
