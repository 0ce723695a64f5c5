"""WIoU (2301.10051): 1 - IoU times a distance factor, and times the focusing weight of `focusing`."""

from __future__ import annotations

import math
from typing import Annotated

from torch import Tensor
from typing_extensions import Unpack

from ..catalog.declare import Source, State, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval
from .boxes import Pair, center_offset, enclosing_diagonal2, squared_norm
from .family import IoUOptions, iou_family
from .focusing import WISE_ALPHA, WISE_DELTA, no_boxes, one, sum_of_iou_losses, updated_mean, wise_weight
from .penalties import no_penalty


def wiou_attention(pair: Pair) -> Tensor:
    """WIoU's R in [1, e): e to the squared centre distance over the enclosing diagonal, which has no gradient."""
    diagonal2 = enclosing_diagonal2(pair).detach()
    # at most 1 for valid boxes; an inverted one would overflow
    return (squared_norm(*center_offset(pair.p, pair.t, pair.convention)) / diagonal2).clamp(max=1).exp()


@register_loss(
    "wiou",
    formula=r"L_1 = e^{\rho^2 / \mathrm{sg}(c^2)} (1 - \mathrm{IoU}),\quad L_2 = \sqrt\beta\, L_1,\quad "
    r"L_3 = \frac{\beta L_1}{\delta \alpha^{\beta - \delta}},\quad "
    r"\beta = \mathrm{sg}\left(\frac{1 - \mathrm{IoU}}{\mathrm{mean}(1 - \mathrm{IoU})}\right)",
    source=Source(
        "Wise-IoU: Bounding Box Regression Loss with Dynamic Focusing Mechanism",
        2023,
        "https://arxiv.org/abs/2301.10051",
    ),
    traits=Traits(
        range=(0, math.inf),
        symmetric=True,
        scale_invariant=True,
        stateful=True,
        detached="the enclosing diagonal and the focusing weight (2301.10051)",
    ),
    use_when="Labels are of mixed quality: version 3 takes gradient away from outliers and from good boxes.",
    avoid_when="Runs are short: the running mean starts at 1 and, as in the paper, needs 10000 steps to settle.",
    options=iou_family,
    without=("wise", "wise_mean"),
)
def wiou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    version: Annotated[int, Choice(1, 2, 3)] = 1,
    alpha: Annotated[float, Interval(1, 10)] = WISE_ALPHA,
    delta: Annotated[float, Interval(0, 100, open_low=True)] = WISE_DELTA,
    mean: Annotated[Tensor | float, State(one, no_boxes, sum_of_iou_losses, updated_mean)] = 1.0,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Wise-IoU loss: 1 - IoU times a distance factor, and from version 2 on times a weight by how unusual the box is.

    The module keeps the running `mean` of 1 - IoU, which starts at 1, and updates it before use: once per call (or per
    `begin_step`), in training with gradients on, by m := (1 - momentum) m + momentum * mean(1 - IoU). Batches that are
    empty or not finite leave it alone, and processes each keep their own without `Loss.sync`. The loss of
    version 1 lies in [0, e); that of versions 2 and 3 has no upper bound.

    Args:
        version: 1 without weight, 2 with sqrt(beta), 3 with beta / (delta alpha^(beta - delta)), where beta is
            1 - IoU over its running mean.
        alpha: how fast outliers lose weight in version 3. The paper uses 1.9.
        delta: the beta whose weight is 1 in version 3. The paper uses 3.
        mean: running mean of 1 - IoU.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> wiou_loss(pred, target)  # e^(1 / 20) / 2
    tensor([0.5256])
    >>> wiou_loss(pred, target, version=2, mean=0.125)  # beta = 4
    tensor([1.0513])
    """

    def weighted(loss: Tensor, pair: Pair) -> Tensor:
        loss = wiou_attention(pair) * loss
        return loss if version == 1 else loss * wise_weight(1 - pair.iou, mean, version, alpha, delta)

    return iou_family(pred, target, no_penalty, weighted=weighted, **options)
