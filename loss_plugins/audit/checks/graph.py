"""Graph: one compiled graph for any number of rows, vmap, jacrev, export."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...tensors import on_target
from ..check import EVERY, Check, Finding, judged, measured, not_applicable, small_sample
from ..subject import Subject, frozen, literal


class _Wrapped(nn.Module):
    """The loss as a module, which torch.export asks for."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, pred: Tensor, target: Any) -> Tensor:
        return self.function(pred, target)  # type: ignore[no-any-return]


def compiles(subject: Subject) -> Finding:
    """fullgraph, dynamic: the same value and gradient, for three numbers of rows, from one graph."""
    graphs: list[Callable[..., Any]] = []

    def keeping(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(graph.forward)
        return graph.forward

    torch.compiler.reset()
    # a copy: Lightning's torch.compile leaves its keywords on the module, which could not be pickled then
    compiled = torch.compile(frozen(subject.function), fullgraph=True, dynamic=True, backend=keeping)
    largest = 0.0
    for n in (7, 30, 12):
        pred, target = subject.sample(n, dtype=torch.float32)
        leaf = pred.clone().requires_grad_()
        loss = compiled(leaf, target)
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        loss = loss.detach()
        expected, slope = subject.gradient(pred, target)
        largest = max(largest, float((loss - expected).abs().max()), float((gradient - slope).abs().max()))
    torch.compiler.reset()
    detail = f"{len(graphs)} graph(s), difference {largest:.2g}"
    return judged(largest < 1e-4 and len(graphs) == 1, detail, len(graphs))


def compile_code(subject: Subject) -> str:
    """The reproduction, with torch.compile."""
    return "g = torch.compile(f, fullgraph=True, dynamic=True, backend='eager'); " + _call(subject, "g")


def _call(subject: Subject, name: str) -> str:
    pred, target = small_sample(subject)
    return f"print({name}({literal(pred)}, {literal(target)}))"


def vmaps(subject: Subject) -> Finding:
    """vmap over rows, each a batch of one, gives the losses of the batch."""
    if coupled := subject.couples_rows:
        return not_applicable(coupled)
    pred, target = subject.sample(6)

    def one(p: Tensor, t: Any) -> Tensor:
        return subject.value(p.unsqueeze(0), on_target(lambda part: part.unsqueeze(0), t)).sum()

    rows = torch.func.vmap(one)(pred, target)
    together = subject.value(pred, target)
    if not subject.gives_rows:
        return measured("one number for the whole batch: only that vmap runs was seen", float(rows.sum()))
    difference = float((rows - together.reshape(6, -1).sum(-1)).abs().max())
    return judged(difference < 1e-9, f"difference to the batch {difference:.2g}", difference)


def vmap_code(subject: Subject) -> str:
    """The reproduction, with vmap."""
    return _call(subject, "torch.func.vmap(lambda p, t: f(p[None], t[None]).sum())")


def jacobian(subject: Subject) -> Finding:
    """torch.func.jacrev gives the gradient of autograd."""
    pred, target = subject.sample(5)
    found = torch.func.jacrev(lambda p: subject.value(p, target).sum())(pred)
    _, expected = subject.gradient(pred, target)
    difference = float((found - expected).abs().max())
    return judged(difference < 1e-9, f"difference to autograd {difference:.2g}", difference)


def jacobian_code(subject: Subject) -> str:
    """The reproduction, with jacrev."""
    return _call(subject, "torch.func.jacrev(lambda p, t: f(p, t).sum())")


def exports(subject: Subject) -> Finding:
    """torch.export for any number of rows gives the same values."""
    wrapped = _Wrapped(subject.function).eval()
    pair = subject.sample(6, dtype=torch.float32)
    rows = torch.export.Dim("rows", min=2, max=4096)
    shapes = {"pred": {0: rows}, "target": _dynamic(pair[1], rows)}
    program = torch.export.export(wrapped, pair, dynamic_shapes=shapes)
    other = subject.sample(9, dtype=torch.float32)
    difference = float((program.module()(*other) - subject.value(*other)).abs().max())
    return judged(difference < 1e-4, f"difference {difference:.2g}", difference)


def _dynamic(target: Any, rows: Any) -> Any:
    return on_target(lambda part: {0: rows}, target)  # type: ignore[arg-type, return-value]


def export_code(subject: Subject) -> str:
    """The reproduction, with torch.export and a dynamic number of rows."""
    pred, target = small_sample(subject)
    rows = "{0: torch.export.Dim.DYNAMIC}"
    rows_of_target = f"({', '.join([rows] * len(target))})" if isinstance(target, tuple) else rows
    return (
        "M = type('M', (torch.nn.Module,), {'forward': lambda self, p, t: f(p, t)}); "
        f"print(torch.export.export(M(), ({literal(pred)}, {literal(target)}), "
        f"dynamic_shapes={{'p': {rows}, 't': {rows_of_target}}}))"
    )


def quietly(run: Callable[[Subject], Finding]) -> Callable[[Subject], Finding]:
    """Run a check without what torch prints when a graph breaks: the exception says the same."""

    @functools.wraps(run)
    def silent(subject: Subject) -> Finding:
        level = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                return run(subject)
        finally:
            logging.disable(level)

    return silent


CHECKS = (
    Check("compiles to one graph", "graph", quietly(compiles), EVERY, compile_code),
    Check("vmap", "graph", quietly(vmaps), EVERY, vmap_code),
    Check("jacrev", "graph", quietly(jacobian), EVERY, jacobian_code),
    Check("export", "graph", quietly(exports), EVERY, export_code),
)
