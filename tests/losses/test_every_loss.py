"""What holds for every loss of the catalogue: finite, bounded, in one precision, without a branch on data."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import get_entry, shipped

NAMES = [entry.name for entry in shipped()]
BOUND = 1e4
#: ordinary sides, and every way of having none; targets are never inverted
SIDES = [(0.0, 10.0), (10.0, 20.0), (5.0, 5.0), (0.0, 0.0), (3.0, 640.0), (2.5, 4.0)]
INVERTED = [(10.0, 0.0), (20.0, 3.0)]


def boxes(kind: str, seed: int = 0, count: int = 12) -> tuple[Tensor, Tensor]:
    """Ordinary boxes."""
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        corner = torch.rand(count, 2, generator=generator) * 60
        size = 4 + torch.rand(count, 2, generator=generator) * 40
        if kind == "rotated_box":
            angle = torch.rand(count, 1, generator=generator) * 3 - 1.5
            return torch.cat((corner, size, angle), -1)
        return torch.cat((corner, corner + size), -1)

    return draw(), draw()


def scores(name: str, seed: int = 0, count: int = 12) -> tuple[Tensor, Any]:
    """Logits (probabilities, log-probabilities) and a target in the first form that the loss takes."""
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(count, 5, generator=generator) * 2
    if name in ("bce", "gaussian_focal"):
        pred = pred.sigmoid()
    if name in ("nll", "kl_div"):
        pred = pred.log_softmax(-1)
    form = get_entry(name).targets[0]
    if form == "class_map":
        return pred, torch.randint(0, 5, (count,), generator=generator)
    if form == "score":
        return pred, torch.rand(count, generator=generator) * 4
    if form == "input_sign":
        return pred, (torch.randn(count, 5, generator=generator), torch.ones(count, 5))
    return pred, torch.rand(count, 5, generator=generator)


def sample(name: str, seed: int = 0) -> tuple[Tensor, Any]:
    kind = get_entry(name).kind
    return scores(name, seed) if kind in ("classification", "region") else boxes(kind, seed)


def build(name: str, **parameters: Any) -> lp.Loss:
    return lp.build_loss(name, **{"reduction": "none", **get_entry(name).example, **parameters})


def to(target: Any, dtype: torch.dtype) -> Any:
    if isinstance(target, tuple):
        return tuple(to(part, dtype) for part in target)
    return target.to(dtype) if target.is_floating_point() else target


def degenerate(kind: str) -> tuple[Tensor, Tensor]:
    if kind == "rotated_box":
        rows = [
            (x, y, w, h, a) for x, y in [(0.0, 0.0), (5.0, 5.0), (300.0, 0.0)] for w, h in SIZES for a in (0.0, 0.8)
        ]
        return crossed(rows, rows)
    targets = [(x[0], y[0], x[1], y[1]) for x, y in itertools.product(SIDES, SIDES)]
    inverted = [(x[0], y[0], x[1], y[1]) for x, y in itertools.product(INVERTED, SIDES + INVERTED)]
    proper = [box for box in targets if box[2] - box[0] > 1 and box[3] - box[1] > 1]
    valid, upside_down = crossed(targets, targets), crossed(inverted, proper)
    return torch.cat((valid[0], upside_down[0])), torch.cat((valid[1], upside_down[1]))


SIZES = [(10.0, 4.0), (0.0, 5.0), (0.0, 0.0), (7.0, 7.0), (640.0, 2.0)]


def crossed(rows: list[Any], others: list[Any]) -> tuple[Tensor, Tensor]:
    pairs = list(itertools.product(rows, others))
    return torch.tensor([a for a, _ in pairs]), torch.tensor([b for _, b in pairs])


def extreme(name: str) -> tuple[Tensor, Any]:
    """Degenerate boxes, saturated scores."""
    entry = get_entry(name)
    if entry.kind not in ("classification", "region"):
        return degenerate(entry.kind)
    values = torch.tensor([-1e4, -100.0, -20.0, -1.0, 0.0, 1.0, 20.0, 100.0, 1e4])
    if name in ("bce", "gaussian_focal"):
        values = torch.tensor([0.0, 1e-30, 1e-7, 1e-3, 0.5, 0.999, 1 - 1e-7, 1.0])
    if name in ("nll", "kl_div"):
        values = -values.abs()
    pred = torch.cartesian_prod(values, values)
    form = entry.targets[0]
    if form == "class_map":
        return pred, torch.arange(len(pred)) % 2
    if form == "score":
        return pred, torch.arange(len(pred)) / len(pred) * 1.5
    if form == "input_sign":
        return pred, (pred.flip(0), torch.ones_like(pred))
    return pred, torch.tensor([0.0, 1.0, 0.3, 1.0, 0.0]).repeat(len(pred))[: pred.numel()].view_as(pred)


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    *(
        (name, extra)
        for name in lp.list_losses(kind="box")
        for extra in (
            {"inner_ratio": 0.7},
            {"inner_ratio": 1.4},
            {"focaler": [0.0, 0.95]},
            {"power": 2.0},
            {"focal_gamma": 0.5},
            {"wise": 2},
            {"wise": 3},
        )
        if extra.keys() <= get_entry(name).parameters.keys()
    ),
    *(("nwd", {"mode": mode}) for mode in ("sqrt", "log", "norm_sqrt")),
    ("piou", {"version": 2}),
    ("piou", {"version": 2, "detach_weight": True}),
    ("wiou", {"version": 2}),
    ("wiou", {"version": 3}),
    *(("shape_iou", {"scale": scale}) for scale in (0.5, 1.0, 10.0)),
    *(("siou", {"theta": theta}) for theta in (1.0, 6.0)),
    *(("iou", {"mode": mode}) for mode in ("log", "square")),
    *(("focal", {"gamma": gamma}) for gamma in (0.0, 0.5)),
    *(("quality_focal", {"beta": beta}) for beta in (0.0, 0.5)),
    ("varifocal", {"gamma": 0.5}),
    ("asymmetric", {"gamma_pos": 0.0, "gamma_neg": 0.5, "detach_focus": False}),
    ("softmax_focal", {"gamma": 0.5, "alpha": 0.25}),
    ("cross_entropy", {"label_smoothing": 0.1, "class_weight": [1.0, 2.0]}),
    *(("dice", {"form": form, "log": log}) for form in ("vnet", "naive") for log in (False, True)),
    ("focal_tversky", {"gamma": 3.0}),
    ("kld", {"symmetric": "max"}),
    ("kfiou", {"fun": "ln"}),
    ("prob_iou", {"aspect": True, "floor": 0.01}),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("name", "parameters"), VARIANTS, ids=str)
def test_extreme_input_has_finite_losses_and_bounded_gradients(
    name: str, parameters: dict[str, Any], dtype: torch.dtype
) -> None:
    pred, target = extreme(name)
    pred, target = pred.to(dtype).requires_grad_(), to(target, dtype)
    loss = build(name, **parameters)(pred, target)
    assert loss.isfinite().all()
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert gradient.isfinite().all()
    assert gradient.abs().max() < BOUND


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_raised_to_float32(name: str, dtype: torch.dtype) -> None:
    pred, target = sample(name)
    pred, target = pred.to(dtype), to(target, dtype)
    loss = build(name)(pred, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, build(name)(pred.float(), to(target, torch.float32)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert build(name)(pred, target).dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_it_traces_without_a_break_for_any_number_of_rows(name: str) -> None:
    torch._dynamo.reset()
    module = build(name).train()
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    other = build(name).train()
    for seed in (0, 1):
        pred, target = sample(name, seed)
        torch.testing.assert_close(compiled(pred.requires_grad_(), target), other(pred, target))


@pytest.mark.parametrize("name", [name for name in NAMES if get_entry(name).kind != "region"])
def test_vmap_and_grad_agree_with_the_batch(name: str) -> None:
    pred, target = sample(name)
    module = build(name).eval()
    if name == "ghm_c":
        module = build(name, bins=1).eval()  # its density depends on the batch: one bin, so that it does not
        pred, target = pred[:, :1], target[:, :1]

    def row_loss(row: Tensor, goal: Any) -> Tensor:
        return module(row, goal).sum()

    gradients = torch.func.vmap(torch.func.grad(row_loss))(pred, target)
    leaf = pred.clone().requires_grad_()
    (expected,) = torch.autograd.grad(module(leaf, target).sum(), leaf)
    torch.testing.assert_close(gradients, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_an_empty_batch_costs_nothing_in_the_graph(name: str, reduction: str) -> None:
    pred, target = sample(name)
    none = tuple(part[:0] for part in target) if isinstance(target, tuple) else target[:0]
    pred = pred[:0].requires_grad_()
    loss = build(name, reduction=reduction)(pred, none)
    assert loss == 0
    assert loss.requires_grad
    loss.backward()
    assert pred.grad is not None


@pytest.mark.parametrize("name", NAMES)
def test_nan_in_gives_nan_out_and_no_error(name: str) -> None:
    pred, target = sample(name)
    pred[3] = torch.nan
    loss = build(name).eval()(pred, target)
    assert not loss[3].isfinite().all()
    if name != "ghm_c":
        rest = torch.cat((loss[:3], loss[4:]))
        assert rest.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_modules_survive_pickle_deepcopy_and_their_own_spec(name: str) -> None:
    module = build(name).train()
    pred, target = sample(name)
    module(pred.requires_grad_(), target)  # running statistics move
    module.eval()
    expected = module(pred, target)
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    rebuilt = lp.build_loss(module.spec()).eval()
    rebuilt.load_state_dict(module.state_dict())
    for other in (
        pickle.loads(pickle.dumps(module)),
        copy.deepcopy(module),
        torch.load(buffer, weights_only=False),
        rebuilt,
    ):
        assert torch.equal(other(pred, target), expected)
        assert other.spec() == module.spec()
        assert other.entry == module.entry


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flag", ["size_average", "reduce"])
def test_torch_s_old_flags_are_refused_by_naming_the_reduction(name: str, flag: str) -> None:
    instead = {"size_average": "reduction='sum'", "reduce": "reduction='none'"}[flag]
    with pytest.raises(TypeError, match=instead):
        lp.build_loss(name, **{flag: False})
    pred, target = sample(name)
    function = getattr(lp, f"{name}_loss")
    with pytest.raises(TypeError, match=instead):
        function(pred, target, **get_entry(name).example, **{flag: False})


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_complete(name: str) -> None:
    entry = get_entry(name)
    assert entry.formula
    assert entry.use_when.endswith(".")
    assert entry.avoid_when.endswith(".")
    assert entry.source.title or name == "mix"
    assert entry.source.url.startswith("https://") or name == "mix"
    unchecked = [p.name for p in entry.parameters.values() if p.allowed is None and p.name != "ignore_index"]
    assert unchecked == []
    assert f"{name}_loss" in lp.__all__ or name.endswith("_loss")


@pytest.mark.parametrize("name", NAMES)
def test_traits_hold(name: str) -> None:
    entry = build(name).entry
    pred, target = (part.double() if isinstance(part, Tensor) else part for part in sample(name))
    if entry.kind in ("classification", "region"):
        return
    module = build(name).eval()
    loss = module(pred, target)
    assert loss.min() >= entry.traits.range[0] - 1e-9
    assert loss.max() <= entry.traits.range[1] + 1e-6
    scale = torch.tensor([3.0] * 4 + [1.0] * (pred.shape[-1] - 4), dtype=torch.float64)
    shift = torch.tensor(
        [7.0, 7.0, 7.0, 7.0] if entry.kind != "rotated_box" else [7.0, 7.0, 0, 0, 0], dtype=torch.float64
    )
    same = {
        "symmetric": module(target, pred),
        "scale_invariant": module(pred * scale, target * scale),
        "translation_invariant": module(pred + shift, target + shift),
    }
    for trait, other in same.items():
        difference = (loss - other).abs().max()
        # bounded_iou's eps of 1e-3 px makes it nearly scale-invariant: a change of 1e-4
        assert (difference < 5e-5) == getattr(entry.traits, trait), f"{trait}: {difference}"
    at_equality = module(target, target)
    assert (at_equality.abs().max() < 2e-3) == entry.traits.zero_at_equality, at_equality.max()
    if entry.kind == "box":
        apart = (target + 50).requires_grad_()
        (gradient,) = torch.autograd.grad(module(apart, target).sum(), apart)
        assert bool(gradient.abs().max() > 1e-9) == entry.traits.gradient_when_disjoint
    moved = build(name).train()
    first = moved(pred.clone().requires_grad_(), target)
    state = {key: value.clone() for key, value in moved.state_dict().items()}
    assert bool(state) == entry.traits.stateful, first
