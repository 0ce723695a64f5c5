# SPDX-License-Identifier: AGPL-3.0-or-later
"""The places of a criterion that take a loss, and what each is called where."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """What a slot is called.

    Attributes:
        name: in Python, in YAML and in the record of a run.
        shell: its key on the shell.
        attribute: of a criterion, that holds or computes the loss.
        rows: what it is computed on, one number each.
        gain: the trainer's setting that multiplies it in criteria of anchor points; others have gains of their own.
    """

    name: str
    shell: str
    attribute: str
    rows: str
    gain: str


PLACES = (
    Place("box", "box_loss", "bbox_loss", "boxes", "box"),
    Place("cls", "cls_loss", "bce", "anchors", "cls"),
    Place("dfl", "dfl_loss", "bbox_loss", "boxes", "dfl"),
    Place("mask", "mask_loss", "single_mask_loss", "masks", "box"),
    Place("sem", "sem_loss", "bcedice_loss", "images", "box"),
    Place("keypoint", "keypoint_loss", "keypoint_loss", "instances", "pose"),
)


def many(count: int, what: str) -> str:
    """A count with its noun in the plural, or of one in the singular: "2 boxes", "1 box"."""
    one = what.removesuffix("es") if what.endswith("xes") else what.removesuffix("s")
    return f"{count} {one if count == 1 else what}"


#: by name
SLOTS = {place.name: place for place in PLACES}
#: losses of Ultralytics that have no slot, by the trainer's setting that multiplies them, and what to do
UNSERVED = {
    name: f"leave it out: the loss of {what} stays the stock one"
    for name, what in {
        "kobj": "visible keypoints", "rle": "keypoints' likelihood", "angle": "angles",
    }.items()
}  # fmt: skip
UNSERVED["pose"] = "call it keypoint: pose is the trainer's setting that multiplies it"
