"""How each case of the golden files of key points is called here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .golden_calls import OnInputs, dialect


def averaged(params: dict[str, Any]) -> dict[str, Any]:
    """RLE's parameters: `size_average` is what a reduction is here."""
    return {"reduction": "mean" if params["size_average"] else "sum", "residual": params["residual"]}


def as_points(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """RLE's errors as predictions of points at 0."""
    points = torch.zeros_like(inputs["error"])
    return {**inputs, "pred": inputs["error"] * (inputs["sigma"] + 1e-9), "points": points}


ON_POINTS: dict[str, OnInputs] = {
    "oks_ultralytics": OnInputs(
        "oks",
        "pred",
        ("target", "mask", "area"),
        fixed=dialect("ultralytics"),
        renamed={"eps": None},
        reduction="mean",
        given=("sigmas",),
    ),
    "oks_mmpose": OnInputs("oks", "pred", ("target", "mask", "area"), fixed=dialect("mmpose"), given=("sigmas",)),
    "rle_ultralytics": OnInputs(
        "rle",
        "pred",
        ("points", "weight", "sigma", "log_phi"),
        fixed=dialect("ultralytics"),
        convert=averaged,
        prepare=as_points,
    ),
    "wing_smp": OnInputs("wing", "pred", fixed=dialect("smp")),
    "wing_mmpose": OnInputs("wing", "pred", fixed=dialect("mmpose"), reduction="mean"),
}
