"""Losses for RF-DETR: of a criterion in hand, or of those that its trainer builds."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from loss_plugins.errors import in_our_words, refusal

from ..detr import LossSpec, Plug, UnsupportedCriterion
from ..detr.asked import Asked
from ..detr.doors import standing_in
from ..detr.installed import framework
from ..detr.patched import Patched
from ..detr.plug import plugged
from ..detr.plug import unplug as unplug_criterion

WHERE = "rfdetr adapter"
BUILDER = "build_criterion_from_config"
#: where criteria are built, by that name: the module that is trained, and the trial of batch sizes before
BUILT_IN = ("rfdetr.training.module_model", "rfdetr.training.auto_batch")
#: strategies of Lightning whose processes get a copy of the criterion, so that its counts are not seen here
SPAWNED = ("ddp_notebook", "ddp_spawn")
UNCOMPILED = (
    "%s: layers are computed one by one, as RF-DETR's one call for all of them (compile=True, on CUDA) computes "
    "its own losses alone"
)
logger = logging.getLogger("loss_plugins")


@in_our_words
def plug(
    criterion: Any,
    *,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    image_size: Sequence[float] | None = None,
    gain: str = "keep",
    matcher: str = "keep",
    fast: bool = False,
) -> Plug:
    """Replace losses of RF-DETR's criterion, or of the training module that has it.

    Masks and keypoints are trained as ever beside it.

    Args:
        criterion: a `SetCriterion`, or an `RFDETRModelModule`.
        box: as of `adapters.detr.plug`; takes the place of `loss_giou`.
        cls: likewise, where RF-DETR trains IoU-aware BCE (the default), focal or varifocal.
        image_size: likewise.
        gain: likewise.
        matcher: likewise.
        fast: likewise.

    Raises:
        UnsupportedCriterion: as of `adapters.detr.plug`.
        TypeError: a whole `RFDETR`, whose `train()` builds another criterion.
        ValueError: as of `adapters.detr.plug`.
    """
    return _plugged(criterion, Asked(box, cls, image_size, gain, matcher, fast))


def _criterion_of(criterion: Any) -> Any:
    """The criterion in hand, or that of a training module."""
    if hasattr(criterion, "loss_boxes"):
        return criterion
    if isinstance(criterion, framework("rfdetr.detr").RFDETR):
        came = f"criterion={type(criterion).__name__}, whose train() builds a criterion of its own"
        remedy = "call train() inside of `with patched(box=...)`"
        raise refusal(WHERE, came, "a SetCriterion or an RFDETRModelModule", remedy, TypeError)
    return getattr(criterion, "criterion", criterion)


def _plugged(criterion: Any, asked: Asked) -> Plug:
    criterion = _criterion_of(criterion)
    made = plugged(WHERE, criterion, asked)
    if hasattr(criterion, "enable_compiled_detection_losses"):
        logger.info(UNCOMPILED, made.name)
    return made


@in_our_words
def unplug(criterion: Any) -> None:
    """Give a criterion, or that of a training module, its own class back. Without a plug nothing changes.

    Args:
        criterion: as of `plug`.
    """
    unplug_criterion(_criterion_of(criterion))


@in_our_words
def patched(
    *,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    image_size: Sequence[float] | None = None,
    gain: str = "keep",
    matcher: str = "keep",
    fast: bool = False,
) -> Patched:
    """A context in which `RFDETRNano().train(...)`, and all else of this thread, trains these losses.

    The name by which RF-DETR builds its criterion means something else inside, and what it meant is put back at the
    end. Losses are compared with the installed RF-DETR's own when this is called.

    Args:
        box: as of `plug`.
        cls: likewise.
        image_size: likewise; (height, width) of what the network gets, which `multi_scale` changes.
        gain: likewise.
        matcher: likewise.
        fast: likewise.

    Returns:
        the context, with `.report`, `.plugs` and `.require_use()`. Leaving it raises `LossNotUsed` where no criterion
        was built or a loss was not used.

    Raises:
        UnsupportedCriterion, ValueError, TypeError: as of `plug`.
        ModuleNotFoundError: RF-DETR, or a package of its training, is not installed.
    """
    asked = Asked(box, cls, image_size, gain, matcher, fast)
    _plugged(criterion_with(), asked).unplug()
    return Patched(WHERE, partial(_doors, asked))


def criterion_with(**flags: bool) -> Any:
    """A criterion of the installed RF-DETR; without flags with a class loss that can be replaced."""
    matcher = framework("rfdetr.models.matcher").HungarianMatcher()
    losses = ["labels", "boxes", "cardinality"]
    return framework("rfdetr.models.criterion").SetCriterion(4, matcher, {}, 0.25, losses, **flags)


@contextmanager
def _doors(asked: Asked, context: Patched) -> Iterator[None]:
    def built(found: Any, model_config: Any, train_config: Any, *more: Any, **named: Any) -> Any:
        criterion, *others = found(model_config, train_config, *more, **named)
        _check_processes(criterion, train_config)
        context.take(_plugged(criterion, asked))
        return (criterion, *others)

    first, second = (framework(name) for name in BUILT_IN)
    with standing_in(first, BUILDER, built), standing_in(second, BUILDER, built):
        yield


def _check_processes(criterion: Any, train_config: Any) -> None:
    strategy = str(getattr(train_config, "strategy", "auto")).strip().lower()
    if strategy in SPAWNED:
        raise UnsupportedCriterion(
            criterion,
            f"strategy={strategy!r} trains copies of it in processes whose calls are not seen here",
            "start a script with strategy='ddp', whose processes each enter the context",
        )
