# SPDX-License-Identifier: AGPL-3.0-or-later
"""The picture of a `tune`: the fitness over each value that was searched."""

from __future__ import annotations

import math
from pathlib import Path

from loss_plugins.reports import beside

from .tuned import Tuning


def draw(found: Tuning, file: Path) -> None:
    """Save the picture; one plot for each key, the best iteration marked."""
    from matplotlib.figure import Figure

    keys = list(found.best.values)
    columns = math.ceil(math.sqrt(len(keys)))
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    plots = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    for plot, key in zip(plots, keys, strict=False):
        known = [each for each in found.iterations if each.values[key] is not None]
        plot.scatter([each.values[key] for each in known], [each.fitness for each in known], c="0.5")
        if found.best in known:
            plot.scatter([found.best.values[key]], [found.best.fitness], c="C1", label=f"iteration {found.best.number}")
            plot.legend()
        plot.set(xlabel=key, ylabel="fitness")
    for plot in plots:
        plot.set_axis_off()
    with beside(file) as part:
        figure.savefig(part, dpi=150)
