"""One class per catalogued loss, registered in MMEngine under the scope `loss_plugins`."""

from __future__ import annotations

from threading import RLock
from typing import Any

from torch import nn

from loss_plugins import list_losses
from loss_plugins.catalog.entries import Entry, get_entry, meaning_of
from loss_plugins.catalog.names import IN_CONFIGS
from loss_plugins.catalog.typed import Meaning
from loss_plugins.errors import check_type, in_our_words
from loss_plugins.module.build import module_class
from loss_plugins.registry import ADAPTER, LOSSES

from .box_modules import BoxLoss, CoordinateLoss, RotatedBoxLoss, SmoothL1
from .longtail import CountedSigmoids, Seesaw
from .mix import PluggedMix
from .modules import PluggedLoss
from .score_modules import ClassLoss, HeatmapLoss, ScoreLoss

PACKAGE = __name__.rpartition(".")[0]
KINDS: dict[str, type[PluggedLoss]] = {
    "box": BoxLoss,
    "coordinate": CoordinateLoss,
    "rotated_box": RotatedBoxLoss,
    "classification": ClassLoss,
    "region": ScoreLoss,
}
PluggedMix.wrappers = KINDS
#: the remedy for a loss of one's own that MMEngine does not find
OF_YOUR_OWN = "one of your own: name its module in custom_imports"
#: one class a loss, also where threads ask for it at the same time
MAKING = RLock()
#: wrappers of losses that heads ask more of than of others of their kind
LOSS_BY_NAME: dict[str, type[PluggedLoss]] = {
    "gaussian_focal": HeatmapLoss, "mix": PluggedMix, "smooth_l1": SmoothL1,
    "efl": CountedSigmoids, "eqlv2": CountedSigmoids, "seesaw": Seesaw,
}  # fmt: skip


@in_our_words
def register(name: str) -> type[PluggedLoss] | None:
    """The registered class called `name`, or of the loss called so, made now if need be.

    Names are "EIoULoss", "eiou", or as people type them: "InnerCIoULoss", "inner_ciou", "GIoU".

    None where the catalogue knows no such loss.
    """
    check_type("register", "name", name, str)
    names = {module_class(loss).__name__: loss for loss in list_losses()}
    if name in names:
        with MAKING:
            return _registered(name, get_entry(names[name]))
    try:
        meant = meaning_of(name, "MMEngine", "type")
    except ValueError:  # which `unknown` tells
        return None
    with MAKING:
        cls = _registered(module_class(meant.entry.name).__name__, meant.entry)
        return _composed(cls, meant) if meant.parameters else cls


def _composed(base: type[PluggedLoss], meant: Meaning) -> type[PluggedLoss]:
    """The registered class whose parameters have the defaults that its name sets."""
    name = meant.named(base.__name__)
    known: type[PluggedLoss] | None = LOSSES.module_dict.get(name)
    if known is not None and issubclass(known, base):
        return known

    def __init__(self: PluggedLoss, *positional: Any, **parameters: Any) -> None:
        base.__init__(self, *positional, **{**meant.parameters, **parameters})

    said = f"{meant.entry.summary}\n\nBuilt as {meant}."
    attributes = {"__init__": __init__, "__doc__": said, "__module__": PACKAGE, "__qualname__": name}
    cls = type(name, (base,), attributes)
    LOSSES.module_dict.pop(name, None)
    LOSSES.register_module(name=name, module=cls)
    return cls


def _registered(name: str, entry: Entry) -> type[PluggedLoss]:
    known: type[PluggedLoss] | None = LOSSES.module_dict.get(name)
    if known is not None and known.entry is entry:
        return known
    cls = _make(name, entry)
    LOSSES.module_dict.pop(name, None)  # one that was unregistered from the catalogue since
    LOSSES.register_module(name=name, module=cls)
    return cls


@in_our_words
def register_all() -> None:
    """Register every catalogued loss; those registered already are left alone."""
    for loss in list_losses():
        register(module_class(loss).__name__)


@in_our_words
def unknown(name: str) -> str:
    """The message for a name that is not in the catalogue, with the closest names."""
    check_type("unknown", "name", name, str)
    try:
        meant = meaning_of(f"{IN_CONFIGS}{name}", "MMEngine", "type", OF_YOUR_OWN)
    except ValueError as error:
        return str(error)
    return f"MMEngine: type='{IN_CONFIGS}{name}' is {meant}, which was no loss when it was asked for; build it again"


def _make(name: str, entry: Entry) -> type[PluggedLoss]:
    # pickles, and pure-Python configs when they are dumped, refer to the class as an attribute of the package
    attributes = {"entry": entry, "__doc__": entry.summary, "__module__": PACKAGE, "__qualname__": name}
    return type(name, _bases(name, entry), attributes)


#: losses that heads look for by MMDetection's own class: DETR and DINO pass (labels, scores) to its QualityFocalLoss
#: alone, and Dynamic R-CNN takes no other than its SmoothL1Loss
ALSO_THEIRS = ("QualityFocalLoss", "SmoothL1Loss")


def _bases(name: str, entry: Entry) -> tuple[type[nn.Module], ...]:
    """The wrapper of the loss or of its kind, and MMDetection's class where heads look for it."""
    base = LOSS_BY_NAME.get(entry.name, KINDS.get(entry.kind, PluggedLoss))
    if name not in ALSO_THEIRS:
        return (base,)
    try:
        from mmdet.models import losses
    except (ImportError, AssertionError):  # mmdet is not installed or refuses its mmcv: no head exists that would ask
        return (base,)
    return base, getattr(losses, name)


if PACKAGE == ADAPTER:  # not these files imported a second time, under another name
    LOSSES.register, LOSSES.unknown = register, unknown
