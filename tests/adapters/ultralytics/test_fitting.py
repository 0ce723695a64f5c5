# SPDX-License-Identifier: AGPL-3.0-or-later
"""A refusal lists the losses of the catalogue that the slot takes: all of them, and no other."""

from __future__ import annotations

import re

import pytest

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.catalog.entries import shipped


@pytest.mark.parametrize("slot", ["cls", "dfl", "mask", "sem"])
def test_what_a_refusal_lists_is_what_is_taken(slot: str) -> None:
    taken = set()
    for entry in shipped():
        try:
            lpu.make_spec(**{slot: {"type": entry.name, **entry.example}})
        except (ValueError, TypeError):
            continue
        taken.add(entry.name)
    with pytest.raises(ValueError, match="allowed: ") as caught:
        lpu.make_spec(**{slot: "ciou"})
    allowed = str(caught.value).partition("allowed: ")[2].partition("; pass one of these")[0]
    assert {*re.findall(r"\w+", allowed)} & {entry.name for entry in shipped() if entry.name != "mix"} == taken
