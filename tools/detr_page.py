"""The table of criteria in docs/detr.md, measured on those that are installed: `python -m tools.detr_page`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loss_plugins.adapters.detr import UnsupportedCriterion, plug
from loss_plugins.adapters.detr.agreement import classes_of, device_of, leaf_gradient
from loss_plugins.adapters.detr.fixed import Fixed, fixed
from loss_plugins.reports import markdown_table

from .known_criteria import KNOWN, Known

PAGE = Path(__file__).parents[1] / "docs" / "detr.md"
BEGIN = "<!-- criteria: begin (made by python -m tools.detr_page) -->"
END = "<!-- criteria: end -->"
HEADINGS = ("criterion", "with GIoU", "with EIoU", "its gradient", "restored", "class loss", 'matcher="match"')
#: two losses, or two gradients, are equal; and are not
EQUAL, OTHER = 1e-5, 1e-2


@dataclass(frozen=True)
class Row:
    """What was measured of a criterion.

    Attributes:
        name: framework and criterion.
        giou: largest relative difference from its own losses, with the plug of GIoU.
        eiou: relative difference of the box loss with EIoU.
        turned: 1 - cosine of the gradients of both.
        restored: its own losses come back to the last bit, and its class.
        cls: the class loss that was recognised; "": none.
        matcher: whether the box loss can be the matcher's cost.
    """

    name: str
    giou: float
    eiou: float
    turned: float
    restored: bool
    cls: str
    matcher: bool

    def cells(self) -> list[str]:
        """The row of the page."""
        version = metadata.version(self.name.split()[0])
        framework, criterion = self.name.split(" ", 1)
        return [
            f"{framework} {version}: `{criterion}`",
            "equal" if self.giou <= EQUAL else f"**differs** by {self.giou:.1e}",
            "changed" if self.eiou >= OTHER else "**the same**",
            "differs" if self.turned > EQUAL else "**the same**",
            "yes" if self.restored else "**no**",
            self.cls or "not known: refused",
            "yes" if self.matcher else "no",
        ]


def measured(name: str, known: Known) -> Row:
    """A criterion as it is, with GIoU, with EIoU, and as it is again."""
    criterion = known.build()
    given, own = _given(criterion), type(criterion)
    stock = criterion.loss_boxes(*given)
    with_giou = _plugged(criterion, given, "giou")
    with_eiou = _plugged(criterion, given, "eiou")
    again = criterion.loss_boxes(*given)
    gradients = [leaf_gradient(losses["loss_giou"], given.boxes) for losses in (stock, with_eiou)]
    flat = [gradient.flatten() for gradient in gradients if gradient is not None]
    return Row(
        name,
        max(_relative(with_giou[key], loss) for key, loss in stock.items()),
        _relative(with_eiou["loss_giou"], stock["loss_giou"]),
        1 - float(torch.cosine_similarity(*flat, dim=0)),
        type(criterion) is own and all(torch.equal(again[key], loss) for key, loss in stock.items()),
        _class_loss(criterion),
        _matches(criterion),
    )


def _given(criterion: Any) -> Fixed:
    classes = classes_of(criterion)
    return fixed(classes, classes, device_of(criterion))


def _plugged(criterion: Any, given: Fixed, name: str) -> dict[str, Tensor]:
    made = plug(criterion, box=name)
    losses: dict[str, Tensor] = criterion.loss_boxes(*given)
    made.unplug()
    return losses


def _relative(loss: Tensor, wanted: Tensor) -> float:
    return ((loss - wanted).abs() / wanted.abs()).item()


def _class_loss(criterion: Any) -> str:
    twin = copy.deepcopy(criterion)
    for asked in ("focal", "cross_entropy"):
        try:
            report = plug(twin, cls=asked).report
        except (UnsupportedCriterion, ValueError):
            continue
        return report.cls.stock if report.cls is not None else ""
    return ""


def _matches(criterion: Any) -> bool:
    try:
        plug(copy.deepcopy(criterion), box="eiou", matcher="match")
    except UnsupportedCriterion:
        return False
    return True


def table() -> str:
    """One Markdown row for each criterion."""
    return markdown_table(HEADINGS, (measured(name, known).cells() for name, known in KNOWN.items()))


def update(file: Path) -> None:
    """Write the table between the markers of the page."""
    before, rest = file.read_text(encoding="utf-8").split(BEGIN)
    file.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(f"written: {file}")


if __name__ == "__main__":
    update(PAGE)
