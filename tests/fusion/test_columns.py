"""A loss of one's own may read the columns of its boxes in any way: value and gradient still come in one go."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.declare import Kind
from loss_plugins.samples import ordinary

from .own import is_fused, long, registered, same_by_both

Apart = Callable[[Tensor], Tensor]
#: (rows, columns) to something of each row, with columns read one by one, in pieces, twice, from behind and in between
READS: dict[str, Apart] = {
    "select": lambda d: d[:, 0],
    "select of all axes": lambda d: d[..., 2],
    "from behind": lambda d: d.select(-1, -1) * d[:, -2],
    "two at once": lambda d: d[:, :2].sum(1),
    "the last two": lambda d: d[..., 2:].prod(-1),
    "every second": lambda d: d[:, ::2].sum(-1) + d[:, 1::2].exp().sum(-1),
    "in between": lambda d: d[:, 1:3].pow(2).sum(-1),
    "a piece of a piece": lambda d: d[:, 1:][:, :2].sin().sum(-1),
    "a column of a piece": lambda d: d[:, 1:3][:, 1],
    "one column as a matrix": lambda d: d[:, 1:2].squeeze(-1),
    "one column beside all": lambda d: (d * d[:, 3:]).sum(-1),
    "twice": lambda d: d[:, 0] * d[:, 0] - d[:, 0] * d[:, 1],
    "negated": lambda d: -(-d[:, 0] - d[:, 1] * 2) / 4,
    "narrow": lambda d: d.narrow(1, 1, 2).sum(1),
    "chunks": lambda d: d.chunk(2, -1)[0].sin().sum(-1) + torch.split(d, 1, 1)[3].squeeze(1),
}
ALIKE = {"unbind": lambda d: d.unbind(-1)[0] * d.unbind(-1)[1], **READS}


@pytest.mark.parametrize(("read", "kind"), [*((read, "box") for read in ALIKE), ("every second", "rotated_box")])
def test_however_columns_are_read(read: str, kind: Kind) -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return long(ALIKE[read]((pred - target) / 50).abs())

    pred, target = ordinary(kind, "dense", "logits")(3000, 0, torch.float64)
    with registered(own, kind) as name, warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = lp.build_loss(name, reduction="none")
        assert is_fused(loss, pred, target)
        assert loss.why_not_fused(pred.requires_grad_(), target) is None
        for rows in (slice(0), slice(1), slice(2), slice(23), slice(None)):
            same_by_both(loss, pred.detach()[rows], target[rows])


#: losses that are not recorded, and the words for it
PLAIN: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    "the worst coordinate": (
        lambda p, t: long((p - t).abs().max(dim=1).values),
        "scatter may compute with several rows",
    ),
    "a list of columns": (
        lambda p, t: long((p - t).abs()[:, [0, 2]].sum(-1)),
        "a tensor of its own, as a list of indices",
    ),
    "zeros as long as pred": (
        lambda p, t: long((p - t).abs().sum(-1)) + torch.zeros(len(p)).view(len(p)),
        "view is given the number of rows, and holds only for as many",
    ),
    "a number that is read": (
        lambda p, t: long((p - t).abs().sum(-1)) * (2.0 if float(p.detach().sum()) else 1.0),
        "it reads the numbers in its tensors",
    ),
    "sums so far": (lambda p, t: long((p - t).abs().sum(-1)).cumsum(0).sin(), ""),
}


@pytest.mark.parametrize("case", PLAIN)
def test_why_a_loss_is_not_fused_is_said_in_words(case: str) -> None:
    function, words = PLAIN[case]
    pred, target = ordinary("box", "dense", "logits")(40, 0, torch.float32)

    def own(pred: Tensor, target: Tensor) -> Tensor:
        return function(pred, target)

    with registered(own) as name, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss = lp.build_loss(name, reduction="none")
        assert not is_fused(loss, pred, target)
        said = loss.why_not_fused(pred.requires_grad_(), target)
    assert said is not None
    assert words in said
    for text in (said, *(str(each.message) for each in caught)):
        assert not re.search(r"%|aten|call_function|num_users|_tensor_constant|torch\.ops|\[23", text), text
