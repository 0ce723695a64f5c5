# SPDX-License-Identifier: AGPL-3.0-or-later
"""`tune`: trainings with other values of the trainer and of the losses, in search of the best ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ultralytics.cfg import get_cfg
from ultralytics.engine.model import Model

from loss_plugins.catalog.ranges import Interval, check_value
from loss_plugins.errors import check_type, in_our_words, refusal, shown

from . import ray_search
from .mixin import without_losses
from .search import Search
from .space import Ends, read_space, require_enough
from .spec import LossSpec, make_spec
from .trainers import kind_of, trainer_for
from .tuned import Tuning

#: what `tune` says itself of each training, and what to do instead
OURS = {
    "trainer": "use base=",
    "resume": "leave it out: each training starts anew",
    "save_dir": "use project= and name=",
}


@in_our_words
def tune(
    model: Model | str | Path,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    *,
    dfl: LossSpec | None = None,
    mask: LossSpec | None = None,
    sem: LossSpec | None = None,
    keypoint: LossSpec | None = None,
    gain: str | None = None,
    assigner: str | None = None,
    nan_guard: bool | None = None,
    config: str | Path | None = None,
    base: type | None = None,
    space: Mapping[str, Ends],
    iterations: int = 10,
    use_ray: bool = False,
    **train: Any,
) -> Tuning:
    """Train again and again with other values of the trainer and of the losses; the best ones, and all others.

    The first iteration has the values that hold without any search; each other one changes one of the best before it.
    All have the same seed. They train in this process, one after the other, from the same weights.

    Args:
        model: YOLO(...), or its file; what it holds is not changed.
        box: the box loss, as in `trainer`.
        cls: the class loss, likewise.
        dfl: the loss of the sides, likewise.
        mask: the mask loss, likewise.
        sem: the loss of semantic maps, likewise.
        keypoint: the loss of key points, likewise.
        gain: "keep" (default) or "match", as in `trainer`.
        assigner: "keep" (default) or "match", as in `trainer`.
        nan_guard: as in `trainer`.
        config: YAML file with a `losses` section.
        base: a trainer class of your own, as in `trainer`.
        space: what is searched: "box_loss.alpha", "cls_loss.gamma" and so on for parameters of the losses, "lr0", "box"
            and so on for numbers of Ultralytics' trainer; with (lowest, highest), or (lowest, highest, s) where s in
            (0, 1] makes mutations narrower.
        iterations: how many trainings.
        use_ray: all but the first one by Ray Tune, in processes of its own and at the same time where there is room;
            values are drawn evenly then.
        **train: settings of each training, as for YOLO(...).train.

    Raises:
        ValueError, TypeError: a wrong value, before the first training.
        ImportError: use_ray=True without Ray Tune.
        IterationFailed: a training raised; names its number and its values.
    """
    spec = make_spec(
        box,
        cls,
        dfl=dfl,
        mask=mask,
        sem=sem,
        keypoint=keypoint,
        gain=gain,
        assigner=assigner,
        nan_guard=nan_guard,
        config=config,
    )
    check_value("tune", "iterations", iterations, Interval(1, whole=True), "say how many trainings")
    check_type("tune", "use_ray", use_ray, bool)
    check_type("tune", "base", base, type, type(None))
    for key in sorted(train.keys() & OURS.keys()):
        came = f"{key}={shown(train[key])} is no setting of a training that is tuned"
        raise refusal("tune", came, "other settings of YOLO(...).train", OURS[key])
    loaded = _loaded(model)
    task = (kind_of(loaded.overrides.get("model")) or loaded.task) if base is None else None
    trainer_for(task, spec, base)
    usual = vars(get_cfg(overrides={**loaded.overrides, "task": loaded.task}))
    settings = {**usual, **without_losses(_of_cfg(train), spec), **train}
    dimensions = read_space(space, spec, settings)
    require_enough(dimensions, iterations)
    search = Search(loaded, spec, base, dimensions, settings, train, iterations)
    return ray_search.by_ray(search) if use_ray else search.by_mutation()


def _loaded(model: Any) -> Model:
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, Path)) and Path(model).suffix.lower() in (".pt", ".yaml", ".yml"):
        from ultralytics import YOLO

        loaded: Model = YOLO(str(model))
        return loaded
    came = f"model={shown(model)} is no model of Ultralytics"
    raise refusal("tune", came, "YOLO(...), or a file .yaml or .pt", "pass YOLO('yolo11n.yaml')", TypeError)


def _of_cfg(train: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the file that `cfg=` names."""
    if not train.get("cfg"):
        return {}
    from ultralytics.utils.checks import check_yaml

    found = yaml.safe_load(Path(check_yaml(train["cfg"])).read_text(encoding="utf-8"))
    return dict(found) if isinstance(found, Mapping) else {}
