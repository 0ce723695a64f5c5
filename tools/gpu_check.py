"""Every loss on a GPU: its value and gradient are those of the CPU in float64, and the host never waits.

    python -m tools.gpu_check              # needs a GPU; exits with 1 where a loss fails
    python -m tools.gpu_check cpu          # the comparison alone, without one
    python -m tools.gpu_check cuda 2 8     # the third of eight parts, as compiling takes its time

Each loss is called eager in each form of target, in four precisions, and compiled in float32. Reduced precisions are
compared with float64 on inputs that were rounded to them.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from rich.progress import track
from torch import Tensor

from loss_plugins import build_loss
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.catalog.ranges import PerClass
from loss_plugins.fusion import by_autograd
from loss_plugins.samples import ordinary
from loss_plugins.tensors import Target, cast, class_axis

ROWS = 257
WARM_UP = 3
#: what the refusal of a loss says whose numbers depend on other rows
NOT_COMPILED = "compile=True does not serve this loss"
#: how far a value or a gradient may be from float64, in shares of the largest
ALLOWED = {torch.float64: 1e-9, torch.float32: 2e-4, torch.float16: 5e-2, torch.bfloat16: 2e-1}


class Case(NamedTuple):
    """A loss as it is called."""

    entry: Entry
    form: str
    compiled: bool
    dtype: torch.dtype
    numbers: str = ""

    def __str__(self) -> str:
        way = "compiled" if self.compiled else "eager"
        said = [self.form or "boxes", way, str(self.dtype).removeprefix("torch."), *filter(None, [self.numbers])]
        return f"{self.entry.name} ({', '.join(said)})"

    def spec(self, pred: Tensor) -> dict[str, Any]:
        """The loss, with a number for each class or key point of pred where the case has numbers."""
        spec = {"type": self.entry.name, **self.entry.example, "reduction": "none"}
        if self.numbers:
            count = pred.shape[-2 if self.entry.kind == "keypoint" else class_axis(pred)]
            spec[self.numbers] = [0.5 + number / 10 for number in range(count)]
            if self.entry.name == "lovasz_hinge":  # its regions hold all classes, unless it is told
                spec["over"] = "channel"
        return spec


def cases() -> Iterator[Case]:
    """Every loss in every form and precision, with numbers per class, and compiled where it is pure."""
    for entry in shipped():
        for form in entry.targets or ("",):
            for dtype in ALLOWED:
                yield Case(entry, form, False, dtype)
            for name, parameter in entry.parameters.items():
                if isinstance(parameter.allowed, PerClass):
                    yield Case(entry, form, False, torch.float32, name)
            if entry.pure and entry.name != "mix":  # its members compile
                yield Case(entry, form, True, torch.float32)


def inputs(case: Case) -> tuple[Tensor, Target]:
    """Ordinary input, rounded to the precision of the case, in float64."""
    kind, scale = case.entry.kind, case.entry.traits.scale
    pred, target = ordinary(kind, case.form or "dense", scale)(ROWS, 0, torch.float64)
    return pred.to(case.dtype).double(), cast(cast(target, case.dtype), torch.float64)


def found(loss: Any, pred: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Value and gradient of the sum."""
    leaf = pred.detach().clone().requires_grad_()
    value = loss(leaf, target)
    value.sum().backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def moved(target: Target, device: str, dtype: torch.dtype) -> Target:
    """A target on a device, its floats in a precision."""
    target = cast(target, dtype)
    return tuple(part.to(device) for part in target) if isinstance(target, tuple) else target.to(device)


def deviation(ours: Tensor, wanted: Tensor) -> float:
    """The largest distance, in shares of the largest number."""
    distance = (ours.double().cpu() - wanted).abs().max()
    return float(distance / wanted.abs().max().clamp(min=1e-12))


def fault_of(case: Case, device: str) -> str:
    """What is wrong with a case; "": nothing."""
    pred, target = inputs(case)
    with by_autograd():
        wanted = found(build_loss(case.spec(pred)).eval(), pred, target)
    more = {"compile": True} if case.compiled else {}
    loss = build_loss({**case.spec(pred), **more}).to(device).eval()
    given = pred.to(device, case.dtype), moved(target, device, case.dtype)
    for _ in range(WARM_UP):
        ours = found(loss, *given)
    for what, one, other in zip(("value", "gradient"), ours, wanted, strict=True):
        far = deviation(one, other)
        if not far <= ALLOWED[case.dtype]:
            return f"{what} is {far:.2g} away from float64 on the CPU"
    return wait_of(loss, *given) if device != "cpu" else ""


def wait_of(loss: Any, pred: Tensor, target: Target) -> str:
    """Where the host waits for the device in a step of training; "": nowhere."""
    leaf = pred.detach().clone().requires_grad_()
    loss.train()
    loss(leaf, target).sum().backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss(leaf, target).sum().backward()
    except RuntimeError:
        last = traceback.format_exc().strip().splitlines()
        return f"the host waits: {' | '.join(line.strip() for line in last[-5:])}"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return ""


def main(device: str = "cuda", part: str = "0", parts: str = "1") -> int:
    """Print each fault, and how many cases were tried."""
    todo, faults, refused = list(cases())[int(part) :: int(parts)], 0, 0
    for case in track(todo, f"on {device}"):
        try:
            fault = fault_of(case, device)
        except Exception as error:  # each is a fault of its case, and the others are tried as well
            fault = f"{type(error).__name__}: {error}"
        if NOT_COMPILED in fault:
            refused += 1
        elif fault:
            faults += 1
            print(f"{case}: {fault[:500]}", flush=True)
    name = torch.cuda.get_device_name() if device != "cpu" else "the CPU"
    print(f"{len(todo)} cases on {name}, torch {torch.__version__}: {faults} faults; {refused} refused to compile")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
