# SPDX-License-Identifier: AGPL-3.0-or-later
"""The trainings of `tune`: each of a copy of the model, with values of its own."""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from ultralytics.cfg import get_cfg, get_save_dir
from ultralytics.engine.model import Model

from loss_plugins.reports import write_whole

from .slots import log
from .space import Dimension, Values, applied, start_of
from .spec import Spec
from .sweeps import ended_by_its_cause
from .trainers import trainer_for
from .tuned import PLOT_FILE, TABLE_FILE, Iteration, Tuning, best_values, failed, listed, table
from .tuning_plot import draw

#: the best iterations, of which one is changed, and how often that is tried before any values are drawn
PARENTS, TRIES = 9, 100


class Search:
    """The trainings of one `tune`.

    Args:
        model: that each iteration trains a copy of.
        spec: the losses, before any value of the space is in them.
        base: a trainer class of the user's own.
        space: what is searched.
        settings: all of the trainer, for the start.
        train: those that were given.
        iterations: how many trainings.
    """

    def __init__(
        self,
        model: Model,
        spec: Spec,
        base: type | None,
        space: Sequence[Dimension],
        settings: Mapping[str, Any],
        train: Mapping[str, Any],
        iterations: int,
    ) -> None:
        self.model, self.spec, self.base, self.space, self.iterations = model, spec, base, space, iterations
        self.train = {"plots": False, **train}
        self.settings = settings
        self.start = start_of(space, spec, settings)
        self.seed = int(settings["seed"])
        args = get_cfg(overrides={**train, "task": model.task, "mode": "train"})
        self.folder = Path(get_save_dir(args, name=args.name or "tune"))
        self.done: list[Iteration] = []

    def by_mutation(self) -> Tuning:
        """One training after the other, in this process."""
        random = Random(self.seed)
        for number in range(1, self.iterations + 1):
            values = self.start if number == 1 else next_values(self.space, self.done, random)
            self.add(self.trained(number, values))
        return Tuning(tuple(self.done), self.folder)

    def trained(self, number: int, values: Values) -> Iteration:
        """One training.

        Raises:
            IterationFailed: it raised, or its fitness is no finite number.
        """
        folder = self.folder / f"iteration{number}"
        log(f"tune: iteration {number} of {self.iterations} with {listed(values)}")
        try:
            fitness = self.fitness(values, folder)
        except Exception as error:
            raise failed(f"{number} of {self.iterations}", values, error) from error
        return Iteration(number, fitness, values, folder)

    def fitness(self, values: Values, folder: Path, **more: Any) -> float:
        """Train a copy of the model with these values, and more settings; what ends several data sets is raised."""
        spec, settings = applied(values, self.spec)
        several = isinstance(self.train.get("data"), (list, tuple))  # Ultralytics makes a folder of its own for them
        place = {"project": str(folder if several else folder.parent), "name": folder.name, "exist_ok": True}
        trainer = partial(without_section, trainer_for(None, spec, self.base))
        with ended_by_its_cause():
            found = fresh(self.model).train(trainer=trainer, **{**self.train, **settings, **place, **more})
        fitness = fitness_of(found)
        if not math.isfinite(fitness):
            raise ArithmeticError(f"the fitness is {fitness}")
        return fitness

    def add(self, iteration: Iteration) -> None:
        """Note an iteration, write what is known, and keep the weights of the best one alone."""
        self.done.append(iteration)
        found = Tuning(tuple(self.done), self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / TABLE_FILE, table(found))
        write_whole(found.config, best_values(found, self.spec, self.settings))
        for each in self.done:
            for weights in list(each.folder.rglob("weights")) if each is not found.best else ():
                shutil.rmtree(weights)
        best = f"the best is {found.best.fitness:.5g} of iteration {found.best.number}"
        log(f"tune: fitness {iteration.fitness:.5g} of iteration {iteration.number}, {best}: {found.config}")
        if self.train["plots"]:
            draw(found, self.folder / PLOT_FILE)


def without_section(trainer: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A trainer of an iteration: the section `losses` of the file that `cfg=` names has the losses of the start."""
    overrides = kwargs.get("overrides") or {}
    return trainer(*args, **{**kwargs, "overrides": {key: each for key, each in overrides.items() if key != "losses"}})


def next_values(space: Sequence[Dimension], done: Sequence[Iteration], random: Random) -> Values:
    """Values that no iteration had: one of the best is changed, in about half of its numbers."""
    had = [each.values for each in done]
    best = sorted(done, key=lambda each: -each.fitness)[:PARENTS]
    odds = [each.fitness - best[-1].fitness + 1e-6 for each in best]
    attempts = count()
    while (values := _drawn(space, random) if next(attempts) >= TRIES else _mutated(best, odds, space, random)) in had:
        pass
    return values


def _drawn(space: Sequence[Dimension], random: Random) -> Values:
    return {each.key: each.drawn(random) for each in space}


def _mutated(best: list[Iteration], odds: list[float], space: Sequence[Dimension], random: Random) -> Values:
    parent, values = random.choices(best, odds)[0].values, {}
    for each in space:
        before = parent[each.key]
        changes = before is None or random.random() < 0.5
        values[each.key] = each.near(before, random) if changes else each.rounded(before)
    return values


def fresh(model: Model) -> Model:
    """A copy to train; the user's callbacks are called as they are."""
    kept = {id(model.callbacks): {event: [*called] for event, called in model.callbacks.items()}}
    return copy.deepcopy(model, kept)


def fitness_of(metrics: Any) -> float:
    """The fitness in what a training returned; NaN where there is none."""
    if isinstance(metrics, Mapping) and "fitness" not in metrics:  # of several data sets
        found = [fitness_of(each) for each in metrics.values()]
        return sum(found) / len(found) if found else math.nan
    numbers = metrics if isinstance(metrics, Mapping) else getattr(metrics, "results_dict", {})
    return float(numbers.get("fitness", math.nan))
