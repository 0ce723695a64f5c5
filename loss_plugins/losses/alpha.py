"""Alpha-IoU (2110.13675): IoU and every penalty term of a loss, raised to the power alpha."""

from __future__ import annotations

from typing import Annotated, Protocol

from torch import Tensor
from typing_extensions import Unpack

from ..catalog.declare import Source, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import Interval
from .family import IoUOptions, iou_family
from .penalties import Penalty, ciou_penalty, diou_penalty, giou_penalty, no_penalty

ALPHA_IOU = Source(
    "Alpha-IoU: A Family of Power Intersection over Union Losses", 2021, "https://arxiv.org/abs/2110.13675"
)
Alpha = Annotated[float, Interval(0, 10, open_low=True)]


class AlphaLoss(Protocol):
    """An Alpha-IoU loss as a function."""

    def __call__(self, pred: Tensor, target: Tensor, *, alpha: Alpha = 3.0, **options: Unpack[IoUOptions]) -> Tensor:
        """The loss per box."""


def alpha_loss(
    name: str, penalty: Penalty, *, of: str, formula: str, traits: Traits, use_when: str, avoid_when: str, example: str
) -> AlphaLoss:
    """Register and return the Alpha form of a loss.

    Args:
        name: of the new loss.
        penalty: of the loss that it is made of.
        of: that loss as the papers write it.
        formula: LaTeX.
        traits: what the new loss promises.
        use_when: for whom it is good.
        avoid_when: for whom it is not.
        example: a doctest.
    """

    def loss(pred: Tensor, target: Tensor, *, alpha: Alpha = 3.0, **options: Unpack[IoUOptions]) -> Tensor:
        options["power"] = alpha
        return iou_family(pred, target, penalty, **options)

    loss.__name__ = loss.__qualname__ = f"{name}_loss"
    loss.__doc__ = f"""Alpha-{of} loss: {of} loss with every term raised to the power alpha.

    Args:
        alpha: exponent; 1 is the {of} loss, and the larger it is, the more good boxes count. The paper uses 3.

    {example}
    """
    return register_loss(
        name,
        formula=formula,
        source=ALPHA_IOU,
        traits=traits,
        use_when=use_when,
        avoid_when=avoid_when,
        options=iou_family,
        without=("power",),
    )(loss)


alpha_iou_loss = alpha_loss(
    "alpha_iou",
    no_penalty,
    of="IoU",
    formula=r"1 - \mathrm{IoU}^\alpha",
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True, gradient_when_disjoint=False),
    use_when="Boxes overlap and localisation at high IoU matters: alpha > 1 raises the weight of good boxes.",
    avoid_when="Boxes may be disjoint: as with IoU there is then no gradient.",
    example=""">>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> alpha_iou_loss(pred, target)  # 1 - (1/2)^3
    tensor([0.8750])""",
)

alpha_giou_loss = alpha_loss(
    "alpha_giou",
    giou_penalty,
    of="GIoU",
    formula=r"1 - \mathrm{IoU}^\alpha + \left(\frac{C - U}{C}\right)^\alpha",
    traits=Traits(range=(0, 2), symmetric=True, scale_invariant=True),
    use_when="As alpha_iou, where boxes may be disjoint.",
    avoid_when="Many boxes are far off: the powered penalty is small in the middle of its range, so they move slowly.",
    example=""">>> pred, target = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[3.0, 0, 4, 1]])
    >>> alpha_giou_loss(pred, target)  # 1 + (2/4)^3
    tensor([1.1250])""",
)

alpha_diou_loss = alpha_loss(
    "alpha_diou",
    diou_penalty,
    of="DIoU",
    formula=r"1 - \mathrm{IoU}^\alpha + \left(\frac{\rho^2}{c^2}\right)^\alpha",
    traits=Traits(range=(0, 2), symmetric=True, scale_invariant=True),
    use_when="As alpha_iou, with a pull of the centres for disjoint boxes.",
    avoid_when="Centres are nearly right already: the powered distance has almost no gradient there.",
    example=""">>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> alpha_diou_loss(pred, target)  # IoU 0, centres 2 apart, diagonal^2 20: 1 + (4/20)^3
    tensor([1.0080])""",
)

alpha_ciou_loss = alpha_loss(
    "alpha_ciou",
    ciou_penalty,
    of="CIoU",
    formula=r"1 - \mathrm{IoU}^\alpha + \left(\frac{\rho^2}{c^2}\right)^\alpha + (\beta v)^\alpha",
    traits=Traits(
        range=(0, 2.5), symmetric=True, scale_invariant=True, detached="the weight beta of the aspect term (2110.13675)"
    ),
    use_when="You train with CIoU and care for AP at high IoU.",
    avoid_when="Labels are noisy or training is short: gradients of poor boxes are smaller than under CIoU.",
    example=""">>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> alpha_ciou_loss(pred, target)  # equal shapes, so no aspect term: 1 + (4/20)^3
    tensor([1.0080])""",
)
