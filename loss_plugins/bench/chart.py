"""The chart: growth of time with size on log axes, a panel per loss."""

from __future__ import annotations

from pathlib import Path

from .cases import BCE, CASES, COMPILED, OURS
from .measure import Result

STYLES = {OURS: ("tab:blue", "-"), COMPILED: ("tab:orange", "-"), BCE: ("black", ":")}


def draw(results: list[Result], file: Path) -> None:
    """Save the chart as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    names = list(dict.fromkeys(result.loss for result in results))
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(3.6 * columns, 2.9 * lines), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes.flat, names, strict=False):
        found = [result for result in results if result.loss == name]
        for contender in found[0].median:
            color, line = STYLES.get(contender, ("tab:gray", "--"))
            xs, ys = [result.size for result in found], [result.median[contender] for result in found]
            axis.loglog(xs, ys, color=color, linestyle=line, marker="o", markersize=3)
        axis.set(title=name, xlabel="boxes" if CASES[name].of_boxes else "logits", ylabel="ms")
        axis.grid(True, which="major", alpha=0.3)
        for scale in (axis.xaxis, axis.yaxis):  # between the powers of ten the labels would overlap
            scale.set_minor_formatter(ticker.NullFormatter())
    for axis in list(axes.flat)[len(names) :]:
        axis.set_axis_off()
    drawn = {contender for result in results for contender in result.median}
    handles = [
        pyplot.Line2D([], [], color=color, linestyle=line, label=name)
        for name, (color, line) in STYLES.items()
        if name in drawn
    ]
    handles.append(pyplot.Line2D([], [], color="tab:gray", linestyle="--", label="peers"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, 2 * columns))
    figure.savefig(file, dpi=100)
    pyplot.close(figure)
