"""`loss-plugins bench`: time and memory of every loss that a peer has, ours beside theirs, interleaved in one run."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from .catalog import build_loss
from .parity import sample_pairs

BOX_SIZES = (512, 8_192, 200_000)
LOGIT_SIZES = (160_000, 4_000_000)
CLASSES = 80
EXTENSIONS = "loss_plugins.benchmarks"
FloatLoss = Callable[[Tensor, Tensor], Tensor]
console = Console()

#: loss -> peer -> (function, its keywords, whether it returns a similarity)
BOX_PEERS: dict[str, dict[str, tuple[str, dict[str, Any], bool]]] = {
    name: {
        "ultralytics": ("ultralytics.utils.metrics:bbox_iou", {"xywh": False, **flags}, True),
        "mmdet": (f"mmdet.models.losses.iou_loss:{name}_loss", {"reduction": "none", **extra}, False),
        **({"torchvision": (f"torchvision.ops:{vision}", {}, False)} if vision else {}),
    }
    for name, flags, extra, vision in (
        ("iou", {}, {"mode": "linear"}, ""),
        ("giou", {"GIoU": True}, {}, "generalized_box_iou_loss"),
        ("diou", {"DIoU": True}, {}, "distance_box_iou_loss"),
        ("ciou", {"CIoU": True}, {}, "complete_box_iou_loss"),
    )
}
BOX_PEERS["siou"] = {
    "mmdet": ("mmdet.models.losses.iou_loss:siou_loss", {"reduction": "none", "neg_gamma": True}, False)
}
BOX_PEERS["extended_iou"] = {"mmdet": ("mmdet.models.losses.iou_loss:eiou_loss", {"reduction": "none"}, False)}
DENSE_PEERS: dict[str, dict[str, tuple[str, dict[str, Any], bool]]] = {
    "focal": {
        "mmdet": ("mmdet.models.losses.focal_loss:py_sigmoid_focal_loss", {"reduction": "none"}, False),
        "torchvision": ("torchvision.ops:sigmoid_focal_loss", {}, False),
    },
    "quality_focal": {"mmdet": ("mmdet.models.losses.gfocal_loss:quality_focal_loss_tensor_target", {}, False)},
    "varifocal": {"mmdet": ("mmdet.models.losses.varifocal_loss:varifocal_loss", {"reduction": "none"}, False)},
    "asymmetric": {},
}


@dataclass
class Result:
    """Timings of one loss at one size, in milliseconds, forward and backward.

    Attributes:
        loss: catalogue name.
        size: boxes or logits.
        median: by contender: "ours", "ours compiled", peers, "bce" (torch's BCE with logits, for dense losses).
        spread: half the distance of the quartiles.
        saved: bytes saved for backward over the bytes of the prediction, inputs not counted.
    """

    loss: str
    size: int
    median: dict[str, float] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    saved: dict[str, float] = field(default_factory=dict)

    def ratio(self, contender: str) -> float | None:
        """The fastest peer's time over the contender's: above 1 is faster."""
        peers = [value for name, value in self.median.items() if not name.startswith(("ours", "bce"))]
        return min(peers) / self.median[contender] if peers else None

    def over_bce(self, contender: str) -> float | None:
        """The contender's time over that of torch's BCE with logits."""
        return self.median[contender] / self.median["bce"] if "bce" in self.median else None


def bench(
    out: Annotated[Path, typer.Option(help="Folder for bench.json and bench.png.")] = Path("runs/bench"),
    losses: Annotated[str, typer.Option(help="Comma-separated names; empty: all that a peer has.")] = "",
    repeats: Annotated[int, typer.Option(min=3, help="Interleaved repeats.")] = 30,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    extensions: Annotated[bool, typer.Option(help="Also run what adapters bring (a whole training step).")] = True,
) -> None:
    """Time every loss that a peer has, ours eager and compiled, and draw the chart."""
    wanted = [name for name in losses.split(",") if name] or [*BOX_PEERS, *DENSE_PEERS]
    jobs = [(name, size) for name in wanted for size in (BOX_SIZES if name in BOX_PEERS else LOGIT_SIZES)]
    results = [measure(name, size, repeats, device) for name, size in track(jobs, "timing", console=console)]
    more: dict[str, Any] = {"compile": compile_cost(device)}
    if extensions:
        for point in metadata.entry_points(group=EXTENSIONS):
            more[point.name] = point.load()()
    out.mkdir(parents=True, exist_ok=True)
    print_results(results, more)
    report = {"environment": environment(device), "results": [vars(result) for result in results], **more}
    (out / "bench.json").write_text(json.dumps(report, indent=2))
    draw(results, out / "bench.png")
    console.print(f"numbers: {out / 'bench.json'}\nchart: {out / 'bench.png'}")


def environment(device: str) -> dict[str, Any]:
    """What the numbers depend on."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else f"{os.cpu_count()} CPU cores"
    return {"torch": str(torch.__version__), "device": name, "threads": torch.get_num_threads()}


def contenders(name: str) -> dict[str, FloatLoss]:
    """Ours, ours compiled, the installed peers, and torch's BCE as the floor of dense losses."""
    found: dict[str, FloatLoss] = {
        "ours": build_loss(name, reduction="none"),
        "ours compiled": build_loss(name, reduction="none", compile=True),
    }
    for peer, (path, keywords, similarity) in {**BOX_PEERS, **DENSE_PEERS}[name].items():
        module, _, function = path.partition(":")
        try:
            loaded = getattr(importlib.import_module(module), function)
        except ImportError:
            console.print(f"{peer} is not installed: left out")
            continue
        found[peer] = _as_loss(loaded, keywords, similarity)
    if name in DENSE_PEERS:
        found["bce"] = lambda pred, target: functional.binary_cross_entropy_with_logits(pred, target, reduction="none")
    return found


def _as_loss(function: Callable[..., Tensor], keywords: dict[str, Any], similarity: bool) -> FloatLoss:
    if similarity:
        return lambda pred, target: 1.0 - function(pred, target, **keywords)
    return lambda pred, target: function(pred, target, **keywords)


def inputs(name: str, size: int, device: str) -> tuple[Tensor, Tensor]:
    """Boxes in pixels, or logits of 80 classes with one soft positive in forty."""
    if name in BOX_PEERS:
        pred, target = sample_pairs(size)
    else:
        generator = torch.Generator().manual_seed(0)
        shape = (size // CLASSES, CLASSES)
        pred = 3 * torch.randn(shape, generator=generator)
        positive = torch.rand(shape, generator=generator) < 1 / 40
        target = torch.rand(shape, generator=generator) * positive
    return pred.to(device).requires_grad_(), target.to(device)


def measure(name: str, size: int, repeats: int, device: str) -> Result:
    """Run all contenders in turn, `repeats` times."""
    result = Result(name, size)
    pred, target = inputs(name, size, device)
    runs = contenders(name)
    for contender, loss in runs.items():
        step(loss, pred, target)  # compiles, fills caches
        result.saved[contender] = saved_bytes(loss, pred, target) / (pred.numel() * pred.element_size())
    times: dict[str, list[float]] = {contender: [] for contender in runs}
    for _ in range(repeats):
        for contender, loss in runs.items():
            times[contender].append(timed(loss, pred, target))
    for contender, values in times.items():
        lower, median, upper = statistics.quantiles(values, n=4)
        result.median[contender], result.spread[contender] = median, (upper - lower) / 2
    return result


def step(loss: FloatLoss, pred: Tensor, target: Tensor) -> None:
    """Forward and backward of the sum."""
    loss(pred, target).sum().backward()  # type: ignore[no-untyped-call]
    pred.grad = None


def timed(loss: FloatLoss, pred: Tensor, target: Tensor) -> float:
    """Milliseconds of one step; on a GPU by its own events."""
    if pred.is_cuda:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()  # type: ignore[no-untyped-call]
        step(loss, pred, target)
        end.record()  # type: ignore[no-untyped-call]
        end.synchronize()  # type: ignore[no-untyped-call]
        return float(start.elapsed_time(end))  # type: ignore[no-untyped-call]
    before = time.perf_counter()
    step(loss, pred, target)
    return (time.perf_counter() - before) * 1e3


def saved_bytes(loss: FloatLoss, pred: Tensor, target: Tensor) -> int:
    """Bytes that the graph keeps for backward, beside the inputs themselves."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss(pred, target)
    inputs_kept = {tensor.untyped_storage().data_ptr() for tensor in (pred, target)}
    del value
    return sum(size for pointer, size in kept.items() if pointer not in inputs_kept)


def compile_cost(device: str) -> dict[str, Any]:
    """Seconds to compile CIoU, and graphs compiled while the number of boxes changes 50 times after the first two."""
    from torch._dynamo.utils import counters

    loss = build_loss("ciou", reduction="none", compile=True, eps=2e-7)  # an eps that nothing else has compiled
    before = time.perf_counter()
    step(loss, *inputs("ciou", 100, device))
    seconds = time.perf_counter() - before
    step(loss, *inputs("ciou", 101, device))
    graphs = counters["stats"]["unique_graphs"]
    for size in range(200, 250):
        step(loss, *inputs("ciou", size, device))
    return {"seconds": round(seconds, 2), "recompilations": counters["stats"]["unique_graphs"] - graphs}


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """One row per loss and size, as text."""
    for result in results:
        cells = [result.loss, f"{result.size:,}"]
        for contender in ("ours", "ours compiled"):
            ratio, over = result.ratio(contender), result.over_bce(contender)
            cells.append(f"{result.median[contender]:.3f} ± {result.spread[contender]:.3f}")
            cells.append("" if ratio is None else f"{ratio:.2f}x")
            cells.append("" if over is None else f"{over:.2f}")
            cells.append(f"{result.saved[contender]:.1f}")
        others = {name: value for name, value in result.median.items() if not name.startswith("ours")}
        cells.append(", ".join(f"{name} {value:.3f} ({result.saved[name]:.1f})" for name, value in others.items()))
        yield tuple(cells)


HEADINGS = (
    "loss", "size", "eager ms", "faster than the fastest peer", "over BCE", "saved",
    "compiled ms", "faster than the fastest peer", "over BCE", "saved", "others: ms (saved)",
)  # fmt: skip


def print_results(results: list[Result], more: dict[str, Any]) -> None:
    """The table, and what was measured beside it."""
    table = Table(*HEADINGS, title="forward + backward; saved for backward in multiples of the prediction")
    for row in rows(results):
        table.add_row(*row)
    console.print(table)
    for name, value in more.items():
        console.print(f"{name}: {value}")


def markdown(results: list[Result]) -> str:
    """The table for the documentation."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows(results))])


def draw(results: list[Result], file: Path) -> None:
    """Growth with size on log axes, one panel per loss."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(result.loss for result in results))
    columns = min(4, len(names))
    figure, axes = pyplot.subplots(
        -(-len(names) // columns), columns, figsize=(3.6 * columns, 3.1 * -(-len(names) // columns)),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    styles = {"ours": ("tab:blue", "-"), "ours compiled": ("tab:orange", "-"), "bce": ("black", ":")}
    for axis, name in zip(axes.flat, names, strict=False):
        found = [result for result in results if result.loss == name]
        for contender in found[0].median:
            color, line = styles.get(contender, ("tab:gray", "--"))
            xs, ys = [result.size for result in found], [result.median[contender] for result in found]
            axis.loglog(xs, ys, color=color, linestyle=line, marker="o", markersize=3)
            if contender not in styles:
                axis.annotate(contender, (xs[-1], ys[-1]), fontsize=7, ha="right", va="bottom", color="dimgray")
        axis.set(title=name, xlabel="boxes" if name in BOX_PEERS else "logits", ylabel="ms")
        axis.grid(True, which="major", alpha=0.3)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_axis_off()
    handles = [pyplot.Line2D([], [], color=color, linestyle=line, label=name) for name, (color, line) in styles.items()]
    handles.append(pyplot.Line2D([], [], color="tab:gray", linestyle="--", label="peers"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
