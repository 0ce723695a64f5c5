"""A PyTorch without what `fusion.private` uses: the public interface alone gives the same values and gradients."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._inductor.compile_fx  # noqa: F401 - has its own names for what the tests take away
import torch.fx.experimental.proxy_tensor
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.fusion import fused, native, private, probe, tracing
from loss_plugins.samples import trial_pairs
from tools.wheel import ROOT

Break = Callable[[pytest.MonkeyPatch], None]


# --- one file ---------------------------------------------------------------------------------------------------------


def private_uses(source: str) -> list[str]:
    """What a file names of torch's inside, and the private attributes of other objects that it reads."""
    found = []
    own = {"_replace"}  # of named tuples, documented
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if _is_inside_torch(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{a.name}" for a in node.names if _is_inside_torch(f"{node.module}.{a.name}")]
        elif isinstance(node, ast.Attribute) and _is_inside_torch(ast.unparse(node)):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            of_others = ast.unparse(node.value) not in ("self", "cls", "super()")
            found += [ast.unparse(node)] if of_others and node.attr not in own else []
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) > 1:
            name = ast.unparse(node.args[1]).strip("'\"")
            found += [name] if name.startswith("_") and not name.startswith("__") else []
    return found


def _is_inside_torch(name: str) -> bool:
    first, *rest = name.split(".")
    inside = any(part.startswith("_") and not part.startswith("__") for part in rest)
    return first == "torch" and (inside or rest[:2] == ["fx", "experimental"])


def test_no_other_file_names_what_is_private_to_torch() -> None:
    files = [*(ROOT / "loss_plugins").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")]
    named = {path.relative_to(ROOT).as_posix(): private_uses(path.read_text(encoding="utf-8")) for path in files}
    assert len(named.pop("loss_plugins/fusion/private.py")) > 10
    documented = {
        "loss_plugins/audit/checks/form.py": ["_version"] * 2,
        "loss_plugins/catalog/results.py": ["_version"] * 2,
        "loss_plugins/operators.py": ["TorchDispatchMode"],
        "adapters/detr/matcher.py": ["_version"],
        "adapters/torchvision/probe.py": ["_loss_type"],  # a keyword of its constructor, kept nowhere else
        "adapters/torchvision/stocks.py": ["_loss_type"],
    }
    for path, names in documented.items():
        assert [use.rpartition(".")[2] for use in named.pop(path)] == names, path
    assert {path: uses for path, uses in named.items() if uses} == {}


# --- the probe --------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing tried and nothing made before, nor kept after."""
    monkeypatch.setattr(fused, "_KERNELS", {})
    probe.works.cache_clear()
    yield
    probe.works.cache_clear()


def no_make_fx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.fx.experimental.proxy_tensor, "make_fx")


def no_dispatch_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.utils._python_dispatch, "TorchDispatchMode")


def operations_without_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "operation", lambda node: "")


def operations_that_hide_their_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "changes_its_argument", lambda node: False)


def sizes_that_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    record = private.recorded_for_any_size
    monkeypatch.setattr(probe, "recorded_for_any_size", lambda *arguments: (record(*arguments)[0], []))


def surroundings_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "CAN_LOOK_AROUND", False)
    monkeypatch.setattr(private, "transformed", private.look_around_publicly)


RECORDING = [
    no_dispatch_mode,
    operations_without_names,
    operations_that_hide_their_effect,
    sizes_that_decide_nothing,
    surroundings_unknown,
]


def no_table_of_decompositions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch._inductor.decomposition.select_decomp_table")


def another_way_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx_inner", lambda graph, inputs: lambda *arguments: [])


def wrong_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(graph: Any, inputs: Any) -> Any:
        return lambda arguments: [torch.zeros(arguments[0]), torch.zeros(arguments[0])]

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx_inner", zeros)


COMPILING = [no_table_of_decompositions, another_way_to_call, wrong_numbers]


@pytest.mark.parametrize(
    ("what", "without"),
    [*(("record", without) for without in RECORDING), *(("compile", without) for without in COMPILING)],
)
def test_the_probe_says_what_is_missing(what: Any, without: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    with pytest.warns(RuntimeWarning, match=f"does not {what} as expected") as told:
        answers = [probe.works(what, "cpu") for _ in range(2)]
    assert answers == [False, False]
    assert len(told) == 1  # tried once


def test_the_probe_finds_all_of_it_in_this_torch() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert private.CAN_LOOK_AROUND
        assert probe.works("record", "cpu")
        assert probe.works("compile", "cpu")


# --- the public way ---------------------------------------------------------------------------------------------------


def step(loss: lp.Loss, pred: Tensor, target: Any) -> tuple[Tensor, Tensor, str]:
    """Value, gradient under an upstream gradient that differs from number to number, and the node that computes it."""
    leaf = pred.detach().clone().requires_grad_()
    value = loss(leaf, target)
    upstream = torch.linspace(0.1, 1, value.numel()).view(value.shape)
    (gradient,) = torch.autograd.grad((value * upstream).sum(), leaf)
    return value.detach(), gradient, value.grad_fn.name()


def pairs_of(name: str, rows: int) -> tuple[Tensor, Tensor]:
    entry = lp.get_entry(name)
    pred, target = trial_pairs(entry.kind, rows)
    return pred, torch.where(target > 0.5, 1.0, -1.0) if entry.holds == "signs" else target


def recorded_losses() -> list[str]:
    """The losses that a program computes."""
    names = []
    for name in (entry.name for entry in shipped()):  # other tests may have registered losses
        module = lp.build_loss(name, reduction="none", **lp.get_entry(name).example)
        pred, target = pairs_of(name, 20)
        if module.entry.kind != "region" and "dense" in (module.entry.targets or ("dense",)):
            names += [name] if "ValueAndGradient" in step(module, pred, target)[2] else []
    return names


@pytest.mark.filterwarnings("ignore:loss_plugins. PyTorch:RuntimeWarning")
def test_a_torch_that_cannot_record_takes_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    names = recorded_losses()
    assert len(names) > 30
    modules = {name: lp.build_loss(name, reduction="none", **lp.get_entry(name).example) for name in names}
    inputs = {name: pairs_of(name, 50) for name in modules}
    expected = {name: step(module.eval(), *inputs[name]) for name, module in modules.items()}
    probe.works.cache_clear()
    monkeypatch.setattr(fused, "_KERNELS", {})
    surroundings_unknown(monkeypatch)
    for name in names:
        module = lp.build_loss(name, reduction="none", **lp.get_entry(name).example).eval()
        value, gradient, node = step(module, *inputs[name])
        assert "ValueAndGradient" not in node
        assert torch.equal(value, expected[name][0]), name
        torch.testing.assert_close(gradient, expected[name][1], rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.filterwarnings("ignore:loss_plugins. PyTorch:RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "parameters", "labels"),
    [
        ("ciou", {}, False),
        ("wiou", {"version": 3}, False),
        ("gwd", {}, False),
        ("balanced_l1", {}, False),
        ("focal", {}, False),
        ("focal", {}, True),
        ("bce_with_logits", {"pos_weight": [0.5, 1, 2, 3, 1, 1, 4]}, False),
        ("bce_with_logits", {"pos_weight": [0.5, 1, 2, 3, 1, 1, 4]}, True),
    ],
)
def test_a_torch_without_its_inside_compiles_publicly(
    name: str, parameters: dict[str, Any], labels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = lp.get_entry(name).kind
    no_table_of_decompositions(monkeypatch)
    surroundings_unknown(monkeypatch)
    compiled, plain = (lp.build_loss(name, reduction="none", compile=made, **parameters) for made in (True, False))
    called: list[int] = []
    original = native.publicly_compiled

    def counted(*arguments: Any) -> Any:
        called.append(1)
        return original(*arguments)

    monkeypatch.setattr(native, "publicly_compiled", counted)
    for rows in (40, 90, 30_000) if name == "ciou" else (40, 90):
        pred, target = trial_pairs(kind, rows, 7)
        goal = torch.arange(rows) % 8 if labels else target  # with background
        value, gradient, node = step(compiled, pred, goal)
        assert "ValueAndGradient" in node
        expected = step(plain, pred, goal)
        torch.testing.assert_close(value, expected[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient, expected[1], rtol=1e-4, atol=1e-6)
    assert len(called) == (2 if name == "ciou" else 1)  # one for few boxes, one for many


def test_any_number_of_losses_can_be_compiled_publicly(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile keeps eight compilations per code, and all losses come from one."""

    def of(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], list[Tensor]]:
        return lambda x: [function(x)]

    functions = [torch.sin, torch.cos, torch.tan, torch.exp, torch.log, torch.sqrt, torch.neg, torch.abs, torch.tanh]
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, options, **more: compile_(f, backend="eager", **more))
    x = torch.ones(3)
    for function in [*functions, torch.sigmoid, torch.relu]:
        (result,) = native.publicly_compiled(of(function), 0, serial=True)([x])
        assert torch.equal(result, function(x))


def test_what_goes_on_around_a_call_is_seen_by_public_means_too() -> None:
    pred, target = torch.rand(2, 3, 4).requires_grad_().unbind()

    def seen() -> bool:
        found = {look(pred, target) for look in (private.transformed, private.look_around_publicly)}
        assert len(found) == 1
        return found.pop()

    assert private.transformed is not private.look_around_publicly
    assert not seen()
    inside: list[bool] = []
    torch.func.vmap(lambda x: (inside.append(seen()), x)[1])(torch.ones(2))
    torch.func.grad(lambda x: (inside.append(seen()), x.sum())[1])(torch.ones(2))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(target, torch.ones_like(target))
        inside.append(private.transformed(pred, dual))
        inside.append(private.look_around_publicly(pred, dual))
    assert inside == [True] * 4


@pytest.mark.filterwarnings("ignore:loss_plugins. PyTorch:RuntimeWarning")
def test_the_public_way_leaves_other_ways_to_differentiate_to_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    no_table_of_decompositions(monkeypatch)
    surroundings_unknown(monkeypatch)
    module, plain = (lp.EIoULoss(reduction="none", compile=compiled) for compiled in (True, False))
    pred, target = trial_pairs("box", 6)
    torch.testing.assert_close(torch.func.vmap(module)(pred, target), plain(pred, target))
    torch.testing.assert_close(torch.func.jacrev(module)(pred, target), torch.func.jacrev(plain)(pred, target))
    second = []
    for loss in (module, plain):
        leaf = pred.clone().requires_grad_()
        (first,) = torch.autograd.grad(loss(leaf, target).sum(), leaf, create_graph=True)
        second.append(torch.autograd.grad((first**2).sum(), leaf)[0])
    torch.testing.assert_close(*second)


def test_the_package_can_be_imported_by_a_torch_that_lacks_the_names() -> None:
    code = """
import torch
from torch.autograd import forward_ad
kept = torch._C._are_functorch_transforms_active, torch._C._len_torch_dispatch_stack, torch._C._autograd
del torch._C._are_functorch_transforms_active, torch._C._len_torch_dispatch_stack, torch._C._autograd
import loss_plugins as lp
from loss_plugins.fusion import private
# PyTorch itself needs them
torch._C._are_functorch_transforms_active, torch._C._len_torch_dispatch_stack, torch._C._autograd = kept
assert private.transformed is private.look_around_publicly and private.may_run_again()
pred, target = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 3]]), torch.tensor([[0.0, 0, 2, 4]] * 2)
loss = lp.GIoULoss()(pred.requires_grad_(), target)
print(loss.grad_fn.name(), loss.item())
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    node, value = done.stdout.split()
    assert "ValueAndGradient" not in node
    # IoU 1/2 and 2/10, the enclosing boxes 8 and 12, the unions 8 and 10
    assert float(value) == pytest.approx((0.5 + 1 - 2 / 10 + 2 / 12) / 2)


# --- what a recording costs ------------------------------------------------------------------------------------------


def test_recordings_share_symbols_of_which_nothing_is_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is worked out for symbols is kept with them; what a function asks of them is known from then on."""
    made: list[FakeTensorMode] = []
    init = FakeTensorMode.__init__
    monkeypatch.setattr(FakeTensorMode, "__init__", lambda self, **how: (made.append(self), init(self, **how))[1])
    monkeypatch.setattr(private, "_UNDECIDED", {})
    asks: list[Callable[[Tensor], Any]] = [lambda x: None, lambda x: bool(x.shape[0] > 5), lambda x: x.sum().item()]

    def decided(ask: Callable[[Tensor], Any]) -> list[str]:
        def own(x: Tensor) -> list[Tensor]:
            ask(x)
            return [x.sin()]

        return private.recorded_for_any_size(own, [("n",)], [torch.rand(3)])[1]

    nothing, size, number = asks
    assert [decided(nothing), decided(nothing)] == [[]] * 2
    assert len(made) == 1
    first, again = decided(size), decided(size)
    assert first == again != []
    assert len(made) == 2  # for the second that asks
    assert [decided(number), decided(nothing)] == [[]] * 2
    assert len(made) == 4


def test_a_function_that_fails_leaves_no_symbols_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_UNDECIDED", {})

    def own(x: Tensor) -> list[Tensor]:
        if len(x) > 5:
            raise ZeroDivisionError
        return [x]

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            private.recorded_for_any_size(own, [("n",)], [torch.rand(3)])
        assert private._UNDECIDED == {}


def test_what_changes_its_copies_by_other_names_needs_the_compiler_s_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it such a loss is not recorded, and all others are."""
    monkeypatch.delattr(torch.fx.experimental.proxy_tensor, "make_fx")

    def own(pred: list[Tensor], target: list[Tensor], more: dict[str, Tensor]) -> list[Tensor]:
        copy = pred[0].clone()
        copy.view(-1).mul_(2)
        return [copy + target[0]]

    assert probe.works("record", "cpu")
    with pytest.raises(tracing.NotTraceable, match="make_fx"):
        tracing.trace(own, [torch.rand(3)], [torch.rand(3)], {})
