"""One class per catalogued loss, registered in MMEngine under the scope `loss_plugins`."""

from __future__ import annotations

from torch import nn

from loss_plugins import list_losses
from loss_plugins.catalog.entries import Entry, get_entry, unknown_loss
from loss_plugins.errors import check_type, in_our_words
from loss_plugins.module.build import module_class
from loss_plugins.registry import ADAPTER, LOSSES

from .modules import BoxLoss, ClassLoss, CoordinateLoss, PluggedLoss, RotatedBoxLoss

PACKAGE = __name__.rpartition(".")[0]
KINDS: dict[str, type[PluggedLoss]] = {
    "box": BoxLoss,
    "coordinate": CoordinateLoss,
    "rotated_box": RotatedBoxLoss,
    "classification": ClassLoss,
}


@in_our_words
def register(name: str) -> type[PluggedLoss] | None:
    """The registered class called `name` ("EIoULoss"), made now if the catalogue knows the loss; else None."""
    check_type("register", "name", name, str)
    entries = {module_class(loss).__name__: get_entry(loss) for loss in list_losses()}
    if name not in entries:
        return None
    known: type[PluggedLoss] | None = LOSSES.module_dict.get(name)
    if known is not None and known.entry is entries[name]:
        return known
    cls = _make(name, entries[name])
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
    names = [module_class(loss).__name__ for loss in list_losses()]
    return str(unknown_loss(name, "MMEngine", f"type='loss_plugins.{name}'", names))


def _make(name: str, entry: Entry) -> type[PluggedLoss]:
    # pickles, and pure-Python configs when they are dumped, refer to the class as an attribute of the package
    attributes = {"entry": entry, "__doc__": entry.summary, "__module__": PACKAGE, "__qualname__": name}
    return type(name, _bases(name, entry), attributes)


def _bases(name: str, entry: Entry) -> tuple[type[nn.Module], ...]:
    """The wrapper of the kind; DETR and DINO pass (labels, scores) only to MMDetection's QualityFocalLoss."""
    base = KINDS.get(entry.kind, PluggedLoss)
    if name != "QualityFocalLoss":
        return (base,)
    try:
        from mmdet.models.losses import QualityFocalLoss
    except (ImportError, AssertionError):  # mmdet is not installed or refuses its mmcv: no head exists that would ask
        return (base,)
    return base, QualityFocalLoss


if PACKAGE == ADAPTER:  # not these files imported a second time, under another name
    LOSSES.register, LOSSES.unknown = register, unknown
