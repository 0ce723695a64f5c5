"""Rows of the table by what they are used for."""

from __future__ import annotations

from .table import PEERS
from .uses import Audited, Compared, Peer, Timed


def find(framework: str, name: str) -> Peer:
    """The row of a class or function.

    >>> find("mmdet", "GIoULoss").module
    'mmdet.models.losses:GIoULoss'
    """
    for peer in PEERS:
        if (peer.framework, peer.name) == (framework, name):
            return peer
    raise KeyError(f"no row for {name!r} of {framework!r}")


def compared(framework: str = "all") -> tuple[Compared, ...]:
    """What parity compares: of one framework, or of all."""
    peers = (peer for peer in PEERS if framework in ("all", peer.framework))
    return tuple(use for peer in peers for use in peer.uses_of(Compared))


def timed(loss: str) -> tuple[Timed, ...]:
    """What the benchmark times beside one of our losses."""
    return tuple(use for peer in PEERS for use in peer.uses_of(Timed) if use.loss == loss)


def audited() -> tuple[Audited, ...]:
    """What the audit page holds beside our losses."""
    return tuple(use for peer in PEERS for use in peer.uses_of(Audited))
