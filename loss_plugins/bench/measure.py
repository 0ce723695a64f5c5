"""Time, memory and kernels of one training step of a loss: forward and backward of its sum."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from ..fusion import forget_scratch, graphs_compiled
from ..module.build import build_loss
from ..peers import LossCall
from .cases import BCE, CASES, COMPILED, OURS, Case

#: milliseconds of work between two looks at the clock
BURST_MS = 10.0
MOST_IN_A_BURST = 20


@dataclass
class Result:
    """One loss at one size. Times in milliseconds, by contender.

    Attributes:
        loss: catalogue name.
        size: boxes or logits.
        median: of a step.
        spread: half the distance of the quartiles.
        saved: bytes saved for backward over the bytes of the prediction, inputs not counted.
        peak: bytes allocated at the same time at most, over those of the prediction.
        kernels: launched in a step, on a GPU.
        limit: milliseconds to read pred and target and to write loss and gradient once, and nothing else.
    """

    loss: str
    size: int
    median: dict[str, float] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    saved: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    kernels: dict[str, int] = field(default_factory=dict)
    limit: float = 0.0

    @property
    def peers(self) -> dict[str, float]:
        """The medians of the others."""
        return {name: value for name, value in self.median.items() if name not in (OURS, COMPILED, BCE)}

    def ratio(self, contender: str) -> float | None:
        """The fastest peer's time over the contender's: above 1 is faster."""
        if not self.peers or contender not in self.median:
            return None
        return min(self.peers.values()) / self.median[contender]

    def over_bce(self, contender: str) -> float | None:
        """The contender's time over that of torch's BCE with logits."""
        if BCE not in self.median or contender not in self.median:
            return None
        return self.median[contender] / self.median[BCE]


def measure_case(case: Case, size: int, repeats: int, device: str) -> Result:
    """Run all contenders in turn, `repeats` times."""
    result = Result(case.loss, size)
    pred, target = case.inputs(size, device)
    runs = case.contenders()
    unit, bursts = pred.numel() * pred.element_size(), {}
    for name, loss in runs.items():
        step(loss, pred, target)  # compiles, fills caches
        result.saved[name] = saved_bytes(loss, pred, target) / unit
        result.peak[name] = peak_bytes(loss, pred, target) / unit
        if pred.is_cuda:
            result.kernels[name] = kernels(loss, pred, target)
        first = milliseconds(lambda loss=loss: step(loss, pred, target), 1, device)  # type: ignore[misc]
        bursts[name] = max(1, min(MOST_IN_A_BURST, round(BURST_MS / first)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, loss in runs.items():
            times[name].append(milliseconds(lambda loss=loss: step(loss, pred, target), bursts[name], device))  # type: ignore[misc]
    for name, values in times.items():
        lower, result.median[name], upper = statistics.quantiles(values, n=4)
        result.spread[name] = (upper - lower) / 2
    move = _mover(pred.detach(), target, runs[OURS](pred.detach(), target))
    result.limit = statistics.median(milliseconds(move, 1, device) for _ in range(repeats))
    return result


def step(loss: LossCall, pred: Tensor, target: Any) -> None:
    """Forward and backward of the sum."""
    loss(pred, target).sum().backward()  # type: ignore[no-untyped-call]
    pred.grad = None


def milliseconds(work: Callable[[], None], times: int, device: str) -> float:
    """Milliseconds of doing it once, the mean of so many times; on a GPU by its own events."""
    if device.startswith("cuda"):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()  # type: ignore[no-untyped-call]
        for _ in range(times):
            work()
        end.record()  # type: ignore[no-untyped-call]
        end.synchronize()  # type: ignore[no-untyped-call]
        return float(start.elapsed_time(end)) / times  # type: ignore[no-untyped-call]
    before = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - before) * 1e3 / times


def saved_bytes(loss: LossCall, pred: Tensor, target: Any) -> int:
    """Bytes that the graph keeps for backward, beside the inputs themselves."""
    kept = kept_for_backward(lambda: loss(pred, target))
    inputs_kept = {tensor.untyped_storage().data_ptr() for tensor in (pred, target)}
    return sum(size for pointer, size in kept.items() if pointer not in inputs_kept)


def kept_for_backward(call: Callable[[], Tensor]) -> dict[int, int]:
    """Bytes of each storage that the graph keeps for backward; one that several operators keep counts once."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = call()
    del value
    return kept


def peak_bytes(loss: LossCall, pred: Tensor, target: Any) -> int:
    """Bytes allocated at the same time at most during a step, the memory that programs keep included."""
    if pred.is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(loss, pred, target)
        return torch.cuda.max_memory_allocated() - before
    forget_scratch()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step(loss, pred, target)
    events = profiled.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    live = highest = 0
    for _, change in changes:
        live += change
        highest = max(highest, live)
    return highest


def kernels(loss: LossCall, pred: Tensor, target: Any) -> int:
    """How many GPU kernels a step launches."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        step(loss, pred, target)
        torch.cuda.synchronize()
    return sum(str(event.device_type).endswith("CUDA") for event in profiled.events() or ())


def _mover(pred: Tensor, target: Any, loss: Tensor) -> Callable[[], None]:
    """Reads as much as pred and target, writes as much as loss and gradient."""
    other = target if isinstance(target, Tensor) and target.shape == pred.shape else pred.clone()
    gradient = torch.empty_like(pred)

    def move() -> None:
        torch.add(pred, other, out=gradient)
        loss.zero_()

    move()
    return move


def compile_cost(device: str) -> dict[str, Any]:
    """Seconds to compile CIoU for few and for many boxes, and compilations while their number changes 50 times."""
    loss = build_loss("ciou", reduction="none", compile=True, eps=2e-7)  # an eps that nothing else has compiled
    seconds = [_seconds(loss, size, device) for size in (100, 20_000)]
    before = graphs_compiled()
    for size in range(150, 60_000, 1_200):
        step(loss, *CASES["ciou"].inputs(size, device))
    return {"seconds": [round(value, 2) for value in seconds], "recompilations": graphs_compiled() - before}


def _seconds(loss: LossCall, size: int, device: str) -> float:
    return milliseconds(lambda: step(loss, *CASES["ciou"].inputs(size, device)), 1, device) / 1e3


def record_cost() -> dict[str, Any]:
    """Seconds of a first eager step of CIoU, in which its program is recorded; the recorder is loaded already."""
    loss, inputs = build_loss("ciou", reduction="none", eps=2e-7), CASES["ciou"].inputs(100, "cpu")
    return {"seconds": round(milliseconds(lambda: step(loss, *inputs), 1, "cpu") / 1e3, 2)}
