# SPDX-License-Identifier: AGPL-3.0-or-later
"""The trainings of `tune` by Ray Tune: values are drawn evenly, and trainings run side by side where there is room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from loss_plugins.errors import refusal

from .search import Search
from .space import Dimension, Values
from .tuned import Iteration, Tuning, failed


def require_ray() -> None:
    """Raise unless Ray Tune can be imported.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import ray.tune  # noqa: F401
    except ImportError as error:
        raise ImportError('lpu.tune(..., use_ray=True) needs Ray Tune: pip install "ray[tune]>=2.41"') from error


def by_ray(search: Search) -> Tuning:
    """The first training in this process, the others by Ray Tune."""
    require_ray()
    search.add(search.trained(1, search.start))
    found = trials(search, search.iterations - 1) if search.iterations > 1 else []
    for number, (values, fitness, folder) in enumerate(found, start=2):
        search.add(Iteration(number, fitness, values, folder))
    return Tuning(tuple(search.done), search.folder)


def trials(search: Search, wanted: int) -> list[tuple[Values, float, Path]]:
    """Train with `wanted` values that Ray draws; the values, the fitness and the folder of each.

    Raises:
        IterationFailed: a training raised, or its fitness is no finite number, or its process died; the others stop.
    """
    import ray
    from ray import tune

    gpus = gpus_of(search.train.get("device"))
    folder = search.folder.resolve()
    ours = not ray.is_initialized()
    tuner = tune.Tuner(
        tune.with_resources(trainable(search, folder, gpus), {"cpu": torch.get_num_threads(), "gpu": gpus}),
        param_space={each.key: domain(each) for each in search.space},
        tune_config=tune.TuneConfig(
            num_samples=wanted, search_alg=tune.search.BasicVariantGenerator(random_state=search.seed)
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder), name="ray", failure_config=tune.FailureConfig(fail_fast=True), verbose=0
        ),
    )
    try:
        results = list(tuner.fit())
    finally:
        if ours:
            ray.shutdown()
    numbered = list(enumerate(results, start=2))
    raised = [(number, result) for number, result in numbered if result.error is not None]
    without = [(number, result) for number, result in numbered if "values" not in (result.metrics or {})]
    for number, result in raised or without:
        error = result.error or RuntimeError("its process ended without a result")
        raise failed(f"{number} of {search.iterations}", rounded(result.config, search.space), error)
    return [(each.metrics["values"], each.metrics["fitness"], Path(each.metrics["folder"])) for each in results]


def trainable(search: Search, folder: Path, gpus: int) -> Any:
    """What a process of Ray computes: a training with values of its own."""
    space = search.space

    def train(drawn: dict[str, float]) -> dict[str, Any]:
        from ray import tune

        values = rounded(drawn, space)
        run = folder / f"trial-{tune.get_context().get_trial_id()}"
        device = {"device": None} if gpus else {}  # Ray shows each process its own GPU alone
        return {"fitness": search.fitness(values, run, **device), "values": values, "folder": str(run)}

    return train


def rounded(drawn: dict[str, float], space: Sequence[Dimension]) -> Values:
    """Values as all iterations have them."""
    return {each.key: each.rounded(drawn[each.key]) for each in space}


def domain(dimension: Dimension) -> Any:
    """What Ray draws a number from."""
    from ray import tune

    if dimension.whole:
        return tune.randint(math.ceil(dimension.low), math.floor(dimension.high) + 1)
    return tune.uniform(dimension.low, dimension.high)


def gpus_of(device: Any) -> int:
    """How many GPUs a training takes.

    Raises:
        ValueError: several.
    """
    if str(device) in ("cpu", "mps") or not torch.cuda.is_available():
        return 0
    several = isinstance(device, (list, tuple)) and len(device) > 1
    if several or "," in str(device).strip("[]()").rstrip(","):
        came = f"device={device!r}, and use_ray=True gives each training one GPU"
        raise refusal("tune", came, "one device", "leave device out, or use_ray=False")
    return 1
