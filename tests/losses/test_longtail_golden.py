"""Losses for long-tailed classes against the numbers of MMDetection's code and of EFL's authors, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp

from .test_golden import assert_close, case_inputs, numbers, stateful_cases, tensor_of


def steps(case: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Tensor, Tensor]]:
    for step in case["steps"]:
        yield step, numbers(step["pred_logits"]).requires_grad_(), tensor_of(step["target"])


@pytest.mark.parametrize("case", stateful_cases("seesaw_ce"))
def test_seesaw_given_the_counts(case: dict[str, Any]) -> None:
    inputs = case_inputs(case)
    pred, counts = inputs["pred_logits"].requires_grad_(), inputs["cum_samples"]
    met = torch.cat([counts, counts.new_zeros(1)])
    loss = lp.seesaw_loss(pred, inputs["target"], num_classes=len(counts), counts=met, **case["params"])
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert_close(loss, numbers(case["loss"]), exact=True)
    assert_close(gradient, numbers(case["grad_pred_of_sum"]), exact=True)


@pytest.mark.parametrize("case", [case for case in stateful_cases("seesaw") if "steps" in case.values[0]])
def test_seesaw_sequence(case: dict[str, Any]) -> None:
    """The two channels behind the classes are a loss of their own, of whether there is an object."""
    parameters = dict(case["params"])
    divisor = parameters.pop("avg_factor")
    module = lp.build_loss("seesaw", **parameters)
    for step, pred, target in steps(case):
        assert_close(module.counts.value, numbers(step["cum_samples_before"]), exact=True)
        loss = module(pred[:, :-2], target, avg_factor=divisor)
        beside = lp.CrossEntropyLoss()(pred[:, -2:], (target == 4).long(), avg_factor=divisor)
        for part, name in ((loss, "classes"), (beside, "objectness")):
            (gradient,) = torch.autograd.grad(part, pred)
            assert_close(part, numbers(step[f"loss_cls_{name}"]), exact=True)
            assert_close(gradient, numbers(step[f"grad_{name}"]), exact=True)
        assert_close(module.counts.value, numbers(step["cum_samples_after"]), exact=True)


@pytest.mark.parametrize("case", stateful_cases("eqlv2"))
@pytest.mark.parametrize("dialect", [None, "mmdet"])
def test_eqlv2_sequence(case: dict[str, Any], dialect: str | None) -> None:
    module = lp.build_loss("eqlv2", dialect=dialect, **case["params"])
    for step, pred, target in steps(case):
        known = [numbers(step[f"{side}_grad_before"]) for side in ("pos", "neg")]
        assert_close(module.gradients.current, torch.stack(known), exact=True)
        loss = module(pred, target)
        if dialect is None:  # a mean over the scores
            loss = loss * pred.shape[1]
        (gradient,) = torch.autograd.grad(loss, pred)
        assert_close(loss, numbers(step["loss"]), exact=True)
        assert_close(gradient, numbers(step["grad_pred"]), exact=True)
        learnt = [numbers(step[f"{side}_grad_after"]) for side in ("pos", "neg")]
        assert_close(module.gradients.current, torch.stack(learnt), exact=True)


@pytest.mark.parametrize("case", stateful_cases("efl"))
def test_efl_sequence(case: dict[str, Any]) -> None:
    """Its labels are 0 for background, from 1 on for classes, and -1 for what is left out."""
    given = case["params"]
    alpha = given["focal_alpha"] if given["focal_alpha"] >= 0 else None
    parameters = {"gamma": given["focal_gamma"], "scale": given["scale_factor"], "alpha": alpha}
    module = lp.build_loss("efl", reduction="sum", num_classes=3, **parameters)
    for step, pred, label in steps(case):
        known = [numbers(step[f"{side}_grad_before"]) for side in ("pos", "neg")]
        assert_close(module.gradients.current, torch.stack(known), exact=True)
        target = torch.where(label < 0, -100, torch.where(label == 0, 3, label - 1))
        loss = module(pred, target) / given["normalizer"]
        assert_close(module.gradients.current, torch.stack(known), exact=True)
        (gradient,) = torch.autograd.grad(loss, pred)
        assert_close(loss, numbers(step["loss"]), exact=True)
        assert_close(gradient, numbers(step["grad_pred"]), exact=True)
        learnt = [numbers(step[f"{side}_grad_after"]) for side in ("pos", "neg")]
        assert_close(module.gradients.current, torch.stack(learnt), exact=True)
