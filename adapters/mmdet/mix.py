"""A weighted sum of losses whose members a config names as it names any other loss."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from loss_plugins import build_loss
from loss_plugins.errors import refusal, shown
from loss_plugins.module.image_size import filled
from loss_plugins.registry import ADAPTER

from .modules import PluggedLoss
from .naming import class_named, is_ours, type_name


class PluggedMix(PluggedLoss):
    """`mix` behind MMDetection's call contract; an instance is also of the class of its members' kind, as `ClassLoss`.

    Args:
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        losses: names or dicts with `type`, parameters and `loss_weight`; a type is the name of a loss ("ciou") or of a
            class ("CIoULoss"), either with or without its scope, or, as in pure-Python configs, the class itself or its
            full path. Class losses may say `use_sigmoid` here too.
        **parameters: what that class takes: of class losses `use_sigmoid`.
    """

    #: by kind of loss; the registration, which knows them, puts them here
    wrappers: ClassVar[Mapping[str, type[PluggedLoss]]] = {}

    def __init__(
        self,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        *positional: Any,
        losses: Any = None,
        **parameters: Any,
    ) -> None:
        if positional:
            raise self.entry.by_position(positional[0], len(positional))
        given = parameters if losses is None else {"losses": _for_core(losses), **parameters}
        if losses is not None:
            kind = build_loss(filled({"type": "mix", "losses": given["losses"]})).entry.kind
            self.__class__ = _of_kind(type(self).written_as or type(self), kind)
        super().__init__(reduction=reduction, loss_weight=loss_weight, **given)
        own = getattr(self, "use_sigmoid", None)
        for said in _said(losses):
            if said != own:
                came = f"losses: use_sigmoid={shown(said)}, and theirs is {own}"
                raise refusal(self.entry.name, came, own, "leave it out of the losses")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By the class that is registered, as the one made for a kind has no name of its own."""
        return _blank, (type(self).written_as or type(self), self.entry.kind), self.__dict__


@functools.cache
def _of_kind(registered: type[PluggedMix], kind: str) -> type[PluggedMix]:
    """The registered class, which is also the wrapper of a kind."""
    wrapper = registered.wrappers.get(kind)
    if wrapper is None:
        return registered
    same = {name: getattr(registered, name) for name in ("__doc__", "__module__", "__qualname__")}
    return type(registered.__name__, (registered, wrapper), {**same, "written_as": registered})


def _blank(registered: type[PluggedMix], kind: str) -> PluggedMix:
    made: PluggedMix = object.__new__(_of_kind(registered, kind))  # type: ignore[arg-type]  # a class is hashable
    return made


def _for_core(value: Any) -> Any:
    """The members, those of a mix among them included, as the core takes them; what is no member as it came."""
    if isinstance(value, (list, tuple)):
        return [_for_core(each) for each in value]
    if isinstance(value, Mapping):
        kept = {key: each for key, each in value.items() if key != "use_sigmoid"}
        return {key: _for_core(each) if key in ("type", "losses") else each for key, each in kept.items()}
    named = class_named(value) if isinstance(value, str) and "." in value else value
    if isinstance(named, type) and issubclass(named, PluggedLoss):
        if not is_ours(named):
            raise _no_member(named)
        return (named.written_as or named).__name__  # which may say more than the name of its loss: InnerCIoULoss
    return value.removeprefix(f"{ADAPTER}.") if isinstance(value, str) else value


def _no_member(cls: type[PluggedLoss]) -> Exception:
    """The error for a class of a user's own, of whose code a mix would run nothing."""
    base = next(each for each in cls.__mro__ if is_ours(each))
    came = f"losses: {type_name(cls)} is a class derived from {type_name(base)}, whose code a mix would not run"
    remedy = "register its formula with loss_plugins.register_loss and name that loss"
    return refusal("mix", came, "losses of the catalogue", remedy)


def _said(losses: Any) -> Iterator[Any]:
    """What the members say of `use_sigmoid`."""
    for member in losses if isinstance(losses, (list, tuple)) else ():
        if isinstance(member, Mapping):
            yield from [member["use_sigmoid"]] if "use_sigmoid" in member else []
            yield from _said(member.get("losses"))
