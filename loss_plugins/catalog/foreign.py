"""What is said of one framework's loss of the same name: its parameters, and what a reduction divides by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Keyword:
    """What a framework's parameter is here.

    Attributes:
        to: our name for it; "": we have none, because our loss always does what it asks for.
        values: their values and ours (None: our default stands); those not listed are refused. None: any, unchanged.
        convert: their value to ours, where a list will not do. None: unchanged.
        defaults: which of our defaults a value of theirs changes beside that.
        remedy: what to do where a value of theirs is refused; "": leave it out.
    """

    to: str = ""
    values: Mapping[Any, Any] | None = None
    convert: Callable[[Any], Any] | None = None
    defaults: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    remedy: str = ""


@dataclass(frozen=True)
class Defaults:
    """The parameters of one framework's loss of the same name.

    Attributes:
        values: its defaults, under our names; those that are ours too are left out.
        names: its parameters that have another name here, other values, or no counterpart because none is needed.
        meaning: our parameters from values that mean something else there; applied at the call only, so that a loss
            and its `spec()` keep the numbers that the user gave.
        mean: what its "mean" divides by: "" as ours; "columns": the mean over axis 1, summed; "rows": the sum over that
            axis, averaged; "elements" of the loss, ignored ones included; "instances", the length of axis 0;
            "scores": the elements of the prediction; "counted scores": those of rows that are not ignored; "kept
            pixels": all of them, but where pixels are ignored, the number of the others.
        sum: what its "sum" divides by: "" nothing; "columns" the length of axis 1; "pixels" what follows axis 1, less
            what is ignored in each image.
        counts_itself: its "mean" divides by what it has counted, whatever `avg_factor` says, and a weight tells only
            which elements count.
        learns: when its running statistics learn: "" as ours; from "each call", of evaluation too, whatever its weight,
            and in each process by itself.
        deaf: its loss is its "mean" without weight, whatever comes as weight, avg_factor and reduction.
        ignores: what it leaves out beside the labels in `ignore_index`: "" nothing; "negative" labels or scores;
            "scores" of a dense target that equal `ignore_index`, its default -100 too.
        weight: what a weight at the call is laid along: "rows" as ours; "last axes", as torch broadcasts it.
        none: its "none": "" as ours; "rows" the sum over the classes; "images" the mean over the channels; "pixel axes"
            with axes of length 1 for those that were summed over, "image axes" likewise where there is one per image.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, Keyword] = field(default_factory=dict)
    meaning: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    mean: Literal["", "columns", "rows", "elements", "instances", "scores", "counted scores", "kept pixels"] = ""
    sum: Literal["", "columns", "pixels"] = ""
    counts_itself: bool = False
    learns: Literal["", "each call"] = ""
    deaf: bool = False
    ignores: Literal["", "negative", "scores"] = ""
    weight: Literal["rows", "last axes"] = "rows"
    none: Literal["", "rows", "images", "pixel axes", "image axes"] = ""
