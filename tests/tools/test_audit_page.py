"""The public audit: every peer can be built from its line, and the page says what was found."""

from __future__ import annotations

import re

import pytest

import loss_plugins as lp
from loss_plugins.audit import audit_subject, catalogued, checks_for
from loss_plugins.catalog.entries import shipped
from loss_plugins.peers import Audited, audited
from tools.audit_page import OURS, SHORT, Row, audit_page, peer_subject, short_table

CHEAP = ("equal", "zero size", "order", "traits", "saturated", "targets", "minimum")


@pytest.mark.parametrize("peer", audited(), ids=lambda peer: f"{peer.package} {peer.title}")
def test_every_peer_takes_its_samples(peer: Audited) -> None:
    subject = peer_subject(peer)
    loss, gradient = subject.gradient(*subject.sample(4))
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
    assert subject.kind == lp.get_entry(peer.like).kind


def test_the_peers_that_were_promised_are_there() -> None:
    boxes = [peer.package for peer in audited() if lp.get_entry(peer.like).kind in ("box", "coordinate")]
    assert boxes.count("torchvision") == 3
    assert boxes.count("ultralytics") == 4
    assert boxes.count("mmdet") >= 7
    assert {"monai", "kornia", "segmentation-models-pytorch"} <= {peer.package for peer in audited()}


def test_the_short_table_names_rows_that_exist() -> None:
    known = {(peer.package, peer.title) for peer in audited()} | {(OURS, entry.name) for entry in shipped()}
    assert set(SHORT) <= known
    assert 10 <= len(SHORT) <= 15


def rows() -> list[Row]:
    """Two of ours and two peers, on the checks that take no time."""
    chosen = [peer for peer in audited() if peer.package == "mmdet" and peer.title in ("CIoULoss", "SIoULoss")]
    subjects = [(OURS, catalogued("ciou")), (OURS, catalogued("siou"))]
    subjects += [(peer.package, peer_subject(peer)) for peer in chosen]
    found = []
    for package, subject in subjects:
        checks = [check for check in checks_for(subject.kind) if check.group in CHEAP]
        found.append(Row(package, subject.name, audit_subject(subject, checks)))
    return found


def test_the_page_is_honest_about_all() -> None:
    found = rows()
    text = audit_page(found)
    assert re.search(r"mmdet \d+\.\d+", text)
    assert re.search(r"Generated on \d{4}-\d\d-\d\d", text)
    assert "### mmdet `CIoULoss`" in text
    assert "equal / equal: value: value nan" in text
    assert "shifted right: the loss falls on 38 of 79 steps" in text
    assert text.count("```python") >= 4
    table = short_table(found)
    assert len(table.splitlines()) == 2 + len(found)
    assert "| mmdet | `CIoULoss` | **" in table
