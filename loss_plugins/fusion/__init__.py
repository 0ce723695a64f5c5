"""Value and gradient of a loss in one go: recorded, simplified, and run as a program or as machine code.

`fuse` is the door, and `program_of` that of what computes elsewhere than in torch. What is behind them knows tensors
and functions, and neither the catalogue nor the modules. It is loaded when the first loss is built, as it takes as long
as a fifth of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .plain import NotTraceable as NotTraceable
from .plain import by_autograd as by_autograd

if TYPE_CHECKING:
    from .fused import Fused as Fused
    from .listing import Listing as Listing
    from .tracing import LossFunction
    from .trials import Samples


def fuse(
    function: LossFunction,
    samples: Samples,
    per_row: bool,
    *,
    plain: LossFunction | None = None,
    fixed: Mapping[str, Any] | None = None,
    name: str = "loss",
    pure: bool = True,
    labels: bool = False,
    compiled: bool = False,
    tell: bool = True,
    finite: bool = False,
) -> Fused:
    """The loss, its value and gradient computed together wherever that can be.

    Args:
        function: (pred, target, **keywords) to the loss per row or element.
        samples: (rows, classes) to pred and target, ordinary ones, on the CPU; the loss is tried and recorded on them.
        per_row: the loss is one number per row of pred, not per element.
        plain: the same function as it is called where it runs by autograd; None: itself.
        fixed: keywords that never change; tensors that may are passed to the call.
        name: what errors call the loss.
        pure: the function depends on its arguments alone and does nothing but return a result; else it is never fused.
        labels: the last axis is classes, so targets may be labels, and keywords numbers per class.
        compiled: by machine code instead of a program.
        tell: warn once where a pure loss runs by autograd, as it cannot be recorded; compiled ones always do.
        finite: its derivative is made of finite numbers for any input, which a program may rely on to be shorter.

    >>> import torch
    >>> def distance(pred, target, *, power):
    ...     return (pred - target).abs().pow(power).sum(-1)
    >>> fused = fuse(distance, lambda rows, classes: torch.rand(2, rows, 4).unbind(), True, fixed={"power": 2})
    >>> pred = torch.ones(3, 4, requires_grad=True)
    >>> loss = fused(pred, torch.zeros(3, 4), {"power": 2})
    >>> loss.sum().backward()
    >>> loss.tolist(), pred.grad[0].tolist()
    ([4.0, 4.0, 4.0], [2.0, 2.0, 2.0, 2.0])
    """
    from .fused import Fused

    return Fused(
        function,
        samples,
        per_row,
        plain=plain or function,
        fixed=fixed or {},
        name=name,
        pure=pure,
        labels=labels,
        compiled=compiled,
        tell=tell,
        finite=finite,
    )


def program_of(
    function: LossFunction,
    samples: Samples,
    numbers: Mapping[str, float] | None = None,
    *,
    columns: int = 4,
    finite: bool = False,
) -> Listing:
    """Value and gradient of a loss per row as a plain list of operations, for what runs it without torch.

    It is the same program as `fuse` runs, recorded in float64: done in order with float64 numbers, its operations give
    what the loss and its gradient are, where they have no derivative too. A loss that cannot be written so raises
    `NotTraceable`, which says why: it reads the numbers in its tensors, or a row depends on others.

    Args:
        function: (pred, target, **numbers) to the loss per row.
        samples: (rows, classes) to pred and target, ordinary ones, on the CPU; the loss is tried and recorded on them.
        numbers: keywords that become inputs of the program, and what they are while it is recorded; the function gets
            tensors without dimension for them.
        columns: of pred, and of target.
        finite: as `fuse` takes it.

    >>> import torch
    >>> def distance(pred, target, *, scale):
    ...     return scale * (pred - target).abs().sum(-1)
    >>> program = program_of(distance, lambda rows, classes: torch.rand(2, rows, 1).unbind(), {"scale": 2.0}, columns=1)
    >>> program.inputs
    ('pred_0', 'target_0', 'scale')
    >>> for operation in program.operations:
    ...     print(*operation)
    v0 sub ('pred_0', 'target_0')
    v1 abs ('v0',)
    v2 mul ('scale', 'v1')
    v3 sign ('v0',)
    v4 mul ('scale', 'v3')
    >>> program.loss, program.gradient
    ('v2', ('v4',))
    """
    from .listing import listed

    return listed(function, samples, numbers or {}, columns, finite)


def graphs_compiled() -> int:
    """How many functions this process has compiled to machine code so far."""
    from .native import Native

    return Native.graphs


def rows_per_block() -> int:
    """How many rows (or elements) a program computes at a time on a CPU."""
    from . import program

    return program.rows_per_block()


def forget_scratch() -> None:
    """Give back the memory that this thread keeps for intermediate results."""
    from . import program

    program.forget_scratch()
