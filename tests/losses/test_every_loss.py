"""What holds for every loss of the catalogue, beside what the audit proves of each (tests/audit/test_catalogue.py)."""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import loss_plugins as lp
from loss_plugins.audit.checks.points import POINT_CASES
from loss_plugins.catalog.entries import get_entry, shipped
from loss_plugins.corners import in_form
from loss_plugins.fusion import by_autograd
from loss_plugins.points import POINTS
from loss_plugins.samples import CLASSES, ordinary
from loss_plugins.tensors import Target, cast, on_target

from .taken import taken

NAMES = [entry.name for entry in shipped()]
BOUND = 1e4
#: ordinary sides, and every way of having none; targets are never inverted
SIDES = [(0.0, 10.0), (10.0, 20.0), (5.0, 5.0), (0.0, 0.0), (3.0, 640.0), (2.5, 4.0)]
INVERTED = [(10.0, 0.0), (20.0, 3.0)]


def sample(name: str, n: int = 12, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Target]:
    """Ordinary input, the target in the first form that the loss takes."""
    entry = get_entry(name)
    return ordinary(entry.kind, (entry.targets or ("dense",))[0], entry.traits.scale)(n, seed, dtype)


def build(name: str, **parameters: Any) -> lp.Loss:
    return lp.build_loss(name, **{"reduction": "none", **get_entry(name).example, **parameters})


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
    pred, target = (torch.cat(pair) for pair in zip(valid, upside_down, strict=True))
    return in_form(kind, pred), in_form(kind, target)


SIZES = [(10.0, 4.0), (0.0, 5.0), (0.0, 0.0), (7.0, 7.0), (640.0, 2.0)]


def crossed(rows: list[Any], others: list[Any]) -> tuple[Tensor, Tensor]:
    pairs = list(itertools.product(rows, others))
    return torch.tensor([a for a, _ in pairs]), torch.tensor([b for _, b in pairs])


def signs_of(target: Tensor) -> Tensor:
    """-1 and 1, for losses of signs."""
    return torch.where(target > 0.5, 1.0, -1.0)


def extreme(name: str) -> tuple[Tensor, Any]:
    """Degenerate boxes, saturated scores, points with and without area, near and far."""
    entry = get_entry(name)
    if entry.kind == "keypoint":
        return extreme_points(entry.targets[0])
    if entry.kind == "distribution":
        pred, _ = extreme_scores(entry)
        return pred, (pred.flip(0), torch.arange(len(pred)) % 2 == 0)
    return extreme_scores(entry) if entry.kind in ("classification", "region") else degenerate(entry.kind)


def extreme_points(form: str) -> tuple[Tensor, Any]:
    pairs = [case.tensors(form) for case in POINT_CASES if case.ordinary and len(case.pred) == POINTS]
    targets = [target if isinstance(target, tuple) else (target,) for _, target in pairs]
    target = tuple(torch.cat(parts) for parts in zip(*targets, strict=True))
    return torch.cat([pred for pred, _ in pairs]), target if len(target) > 1 else target[0]


def extreme_scores(entry: lp.Entry) -> tuple[Tensor, Any]:
    values = torch.tensor([-1e4, -100.0, -20.0, -1.0, 0.0, 1.0, 20.0, 100.0, 1e4])
    if entry.traits.scale == "probabilities":
        values = torch.tensor([0.0, 1e-30, 1e-7, 1e-3, 0.5, 0.999, 1 - 1e-7, 1.0])
    if entry.traits.scale == "log_probabilities":
        values = -values.abs()
    pred = torch.cartesian_prod(values, values)
    form = entry.targets[0]
    if form == "offset":  # of bins on either side of 0
        return torch.cat([pred, pred[:, :1]], 1), torch.linspace(-5, 5, len(pred))
    if form in ("class_map", "labels"):
        return pred, torch.arange(len(pred)) % 2
    if form == "score":
        return pred, torch.arange(len(pred)) / len(pred) * 1.5
    if form == "input_sign":
        return pred, (pred.flip(0), torch.ones_like(pred))
    target = torch.tensor([0.0, 1.0, 0.3, 1.0, 0.0]).repeat(len(pred))[: pred.numel()].view_as(pred)
    return pred, signs_of(target) if entry.holds == "signs" else target


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    *(
        (name, extra)
        for name in [entry.name for entry in shipped() if entry.kind == "box"]
        for extra in (
            {"inner_ratio": 0.7},
            {"inner_ratio": 1.4},
            {"focaler": [0.0, 0.95]},
            {"power": 2.0},
            {"focal_gamma": 0.5},
            {"wise": 2},
            {"wise": 3},
            {"interp": 0.98},
            {"d_interp": [0.6, 0.99]},
        )
        if extra.keys() <= get_entry(name).parameters.keys()
    ),
    *(("nwd", {"mode": mode}) for mode in ("sqrt", "log", "norm_sqrt")),
    *(("gcd", {"mode": mode}) for mode in ("log", "norm_sqrt")),
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
    *(("ia_bce", {"gamma": 0.5, "alpha": alpha}) for alpha in (0.0, 1.0)),
    ("ia_bce", {"dialect": "transformers"}),
    *((name, {"mu": mu}) for name in ("slide", "ema_slide") for mu in (0.0, 1.0)),
    *(("matchability", {"gamma": gamma}) for gamma in (0.0, 0.5)),
    ("asymmetric", {"gamma_pos": 0.0, "gamma_neg": 0.5, "detach_focus": False}),
    ("softmax_focal", {"gamma": 0.5, "alpha": 0.25}),
    ("cross_entropy", {"label_smoothing": 0.1, "class_weight": [1.0, 2.0]}),
    *(("dice", {"form": form, "log": log}) for form in ("vnet", "naive") for log in (False, True)),
    ("focal_tversky", {"gamma": 3.0}),
    ("kld", {"symmetric": "max"}),
    ("kfiou", {"fun": "ln"}),
    ("prob_iou", {"aspect": True, "floor": 0.01}),
    *(("oks", {"mode": mode, "over": over}) for mode in ("square", "log") for over in ("visible", "all")),
    *(
        ("oks", {"mode": mode, "dialect": dialect})
        for mode in ("linear", "log")
        for dialect in ("ultralytics", "mmpose")
    ),
    ("rle", {"residual": False}),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("name", "parameters"), VARIANTS, ids=str)
def test_extreme_input_has_finite_losses_and_bounded_gradients(
    name: str, parameters: dict[str, Any], dtype: torch.dtype
) -> None:
    """In single precision by a program, in double by autograd; the audit runs programs of double precision."""
    pred, target = extreme(name)
    pred, target = pred.to(dtype).requires_grad_(), cast(target, dtype)
    with by_autograd() if dtype == torch.float64 else contextlib.nullcontext():
        loss = build(name, **parameters)(pred, target)
    assert loss.isfinite().all()
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert gradient.isfinite().all()
    assert gradient.abs().max() < BOUND


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_raised_to_float32(name: str, dtype: torch.dtype) -> None:
    """The only error is that of rounding the input itself, in autocast too."""
    pred, target = sample(name, 200)
    pred, target = pred.to(dtype), cast(target, dtype)
    module = build(name).eval()
    loss, single = module(pred, target), module(pred.float(), cast(target, torch.float32))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, single)
    exact = module(pred.double(), cast(target, torch.float64))
    torch.testing.assert_close(loss.double(), exact, rtol=2e-5, atol=2e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = module(pred, target)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside.double(), exact, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_compiler_differentiates_it_in_training(name: str) -> None:
    """Value and gradient of the graph that AOTAutograd makes, while running statistics learn."""
    with torch._dynamo.config.patch(specialize_float=True):  # half the time: each is traced once
        differentiate_compiled(name)


@pytest.mark.parametrize("name", ["focal_eiou", "prob_iou", "balanced_l1", "asymmetric", "focal_tversky"])
def test_the_compiler_differentiates_it_with_parameters_as_symbols(name: str) -> None:
    """As torch takes the numbers of a module by default where shapes may change; one loss of each kind."""
    differentiate_compiled(name)


def differentiate_compiled(name: str) -> None:
    torch._dynamo.reset()
    sized = taken(get_entry(name), num_classes=CLASSES)  # what is found out in the first call cannot be traced
    module, other = build(name, **sized).train(), build(name, **sized).train()
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    for seed, n in enumerate((7, 30)):
        pred, target = sample(name, n, seed)
        leaf, expected_leaf = pred.clone().requires_grad_(), pred.clone().requires_grad_()
        loss, expected = compiled(leaf, target), other(expected_leaf, target)
        torch.testing.assert_close(loss, expected)
        loss.sum().backward()
        expected.sum().backward()
        torch.testing.assert_close(leaf.grad, expected_leaf.grad)


@pytest.mark.parametrize("name", [name for name in NAMES if get_entry(name).kind not in ("region", "distribution")])
def test_vmap_over_single_rows_gives_value_and_gradient(name: str) -> None:
    pred, target = sample(name)
    module = build(name).eval()
    if name == "ghm_c":
        module = build(name, bins=1).eval()  # its density depends on the batch: one bin, so that it does not
        pred, target = pred[:, :1], on_target(lambda part: part[:, :1], target)

    def row_loss(row: Tensor, goal: Any) -> tuple[Tensor, Tensor]:
        loss = module(row, goal)
        return loss.sum(), loss

    gradients, rows = torch.func.vmap(torch.func.grad(row_loss, has_aux=True))(pred, target)
    leaf = pred.clone().requires_grad_()
    together = module(leaf, target)
    (expected,) = torch.autograd.grad(together.sum(), leaf)
    torch.testing.assert_close(rows, together.detach())
    torch.testing.assert_close(gradients, expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_nan_shows_and_spoils_no_other(name: str) -> None:
    pred, target = sample(name)
    pred[3] = torch.nan
    loss = build(name).eval()(pred, target)
    assert not loss[3].isfinite().all()
    if name != "ghm_c":  # weighs each score by how many of the batch are as difficult
        assert torch.cat((loss[:3], loss[4:])).isfinite().all()


def saved_and_loaded(module: lp.Loss) -> lp.Loss:
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_learnt_survives_copies_and_the_modules_own_spec(name: str) -> None:
    module = build(name, loss_weight=0.25).train()
    pred, target = sample(name)
    module(pred.requires_grad_(), target)  # running statistics move
    module.eval()
    expected = module(pred, target)
    rebuilt = lp.build_loss(module.spec()).eval()
    rebuilt.load_state_dict(module.state_dict())
    for other in (pickle.loads(pickle.dumps(module)), saved_and_loaded(module), copy.deepcopy(module), rebuilt):
        assert torch.equal(other(pred, target), expected)
        torch.testing.assert_close(other.state_dict(), module.state_dict(), rtol=0, atol=0)
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
    unchecked = [p.name for p in entry.parameters.values() if p.allowed is None]
    assert unchecked == []
    assert f"{name}_loss" in lp.__all__ or name.endswith("_loss")


class Precisions(TorchDispatchMode):
    """Notes the floating-point types of all results."""

    def __init__(self) -> None:
        super().__init__()
        self.met: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        parts = result if isinstance(result, (tuple, list)) else (result,)
        self.met |= {part.dtype for part in parts if isinstance(part, Tensor) and part.is_floating_point()}
        return result


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_never_rounded_to_less_whatever_the_parameters(name: str) -> None:
    """A parameter rounded to float32 on its way is off by 5e-8."""
    pred, target = sample(name, dtype=torch.float64)
    own: list[dict[str, Any]] = [{}]
    for key, parameter in get_entry(name).parameters.items():
        if parameter.allowed is not None and not isinstance(parameter.default, (int, str)) and 0.9 in parameter.allowed:
            apart = {"over": "channel"} if key == "class_weight" and name == "lovasz_hinge" else {}
            own.append({key: 0.9, **apart})
    for parameters in own:
        module = build(name, **parameters).double()
        if "tau" in parameters and "label_score_rank" in module.entry.targets:
            pred, target = ordinary("classification", "label_score_rank")(12, 0, torch.float64)
        with Precisions() as precisions:
            module(pred, target)
        assert precisions.met <= {torch.float64}, parameters
