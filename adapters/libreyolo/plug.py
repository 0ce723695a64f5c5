"""Losses for LibreYOLO: of a criterion in hand, or of all that its trainers build."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from loss_plugins.errors import in_our_words, refusal, shown

from ..detr import LossSpec, Plug
from ..detr.asked import Asked
from ..detr.examination import requested
from ..detr.installed import framework
from ..detr.making import stock_class, take_out
from ..detr.patched import Patched
from ..detr.plug import unplug as unplug_criterion
from ..detr.subclass import losses_of
from .dense import SEAT, DensePlug
from .found import plugged_in
from .served import WHERE, Served, nothing_found
from .trainers import doors


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
) -> Plug | DensePlug:
    """Replace losses of a criterion of LibreYOLO.

    Criteria of the DETR family are served by `adapters.detr.plug`. Of dense ones (YOLO9, YOLOX, YOLO-NAS, RTMDet,
    PicoDet and their kin) the box loss is replaced, after a comparison of its value and gradient with the catalogue's.

    Args:
        criterion: an object that computes losses, or that holds one which does, as a head.
        box: as of `adapters.detr.plug`.
        cls: likewise; refused for dense criteria.
        image_size: likewise.
        gain: likewise.
        matcher: likewise.
        fast: likewise.

    Raises:
        UnsupportedCriterion: its losses are none that are known.
        ValueError, TypeError: what was asked for does not go with it; several criteria in one object.
    """
    asked = Asked(box, cls, image_size, gain, matcher, fast)
    requested(WHERE, asked)
    made: list[Any] = []
    others = Served(asked, made.append).serve(criterion)
    if not made:
        _check_free(criterion)
        _check_object(criterion, others)
        raise nothing_found(criterion, others)
    if len(made) > 1:
        for each in made:
            each.unplug()
        came = f"criterion={type(criterion).__name__} holds {len(made)} criteria"
        raise refusal(WHERE, came, "one", "pass the criterion itself")
    return made[0]  # type: ignore[no-any-return]


@in_our_words
def unplug(criterion: Any) -> None:
    """Give all in an object that computes other losses its own class back. Without a plug nothing changes.

    Args:
        criterion: as of `plug`: a copy, say, for which nobody has the plug.
    """
    for each in plugged_in(criterion):
        if losses_of(each) is not None:
            unplug_criterion(each)
        else:
            take_out(each, SEAT)


def _check_object(criterion: Any, others: list[str]) -> None:
    """Raise unless it may hold losses: a module, or an object of LibreYOLO."""
    if not others and not isinstance(criterion, nn.Module) and not _of_libreyolo(criterion):
        came = f"criterion={shown(criterion)} is of type {type(criterion).__name__}"
        raise refusal(WHERE, came, "a module, or an object of LibreYOLO", "pass the criterion", TypeError)


def _of_libreyolo(criterion: Any) -> bool:
    return type(criterion).__module__.partition(".")[0] == "libreyolo"


def _check_free(criterion: Any) -> None:
    names = ", ".join(sorted({stock_class(each).__name__ for each in plugged_in(criterion)}))
    if names:
        came = f"the losses of criterion={stock_class(criterion).__name__} ({names}) are plugged already"
        raise refusal(
            WHERE, came, "one plug for each criterion", "call .unplug() of the first one, or unplug(criterion)"
        )


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
    """A context in which `LibreYOLO(...).train(...)`, and all else of this thread, trains these losses.

    Whatever detector is trained inside, the objects of its trainer are looked at when it has been set up; the criterion
    of its validation, and the average of its weights, compute the same losses.

    Args:
        box: as of `plug`.
        cls: likewise.
        image_size: likewise.
        gain: likewise.
        matcher: likewise.
        fast: likewise.

    Returns:
        the context, with `.report`, `.plugs` and `.require_use()`. Leaving it raises `LossNotUsed` where no criterion
        was built or a loss was not used.

    Raises:
        ValueError, TypeError: an argument that no detector goes with.
        ModuleNotFoundError: LibreYOLO is not installed.
    """
    asked = Asked(box, cls, image_size, gain, matcher, fast)
    requested(WHERE, asked)
    framework("libreyolo.training.trainer")
    return Patched(WHERE, partial(doors, asked))
