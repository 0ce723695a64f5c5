"""How the commands of evidence read losses: names as typed, with parameters in brackets, or of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loss_plugins.evidence.named import named_loss, named_losses, read_call, require_kinds, require_size
from loss_plugins.evidence.named import split_outside_brackets as split

OWN = """
import torch
import loss_plugins as lp

def distance(pred, target, power=1.0):
    return (pred - target).abs().pow(power).sum(-1)

@lp.register_loss("test_evidence_own")
def registered(pred, target):
    return (pred - target).abs().sum(-1)
"""


def labels(*texts: str) -> list[str]:
    return [each.label for each in named_losses(texts, "simulate")]


def test_commas_in_brackets_and_quotes_do_not_split() -> None:
    assert split("a,b(c=(1, 2), d=[3, 4]), e") == ["a", "b(c=(1, 2), d=[3, 4])", "e"]
    assert split("a(b='x,)y'),c") == ["a(b='x,)y')", "c"]
    assert split("a") == ["a"]


def test_names_as_people_type_them() -> None:
    assert labels("CIoU", "GIoULoss,Efficient IoU", "Inner-CIoU", "wiou_v3") == [
        "ciou", "giou", "eiou", "inner_ciou", "wiou_v3",
    ]  # fmt: skip
    loss = named_loss("Inner-CIoU(power=2, inner_ratio=0.5)", "simulate").loss
    assert loss.parameters_given == {"inner_ratio": 0.5, "power": 2}  # type: ignore[attr-defined]
    assert not loss.training  # type: ignore[attr-defined]


def test_each_loss_is_named_once() -> None:
    assert labels("ciou", "CIoULoss", "ciou(eps=1e-7)", "ciou") == ["ciou", "ciou(eps=1e-07)"]


def test_values_are_pythons_and_words_are_texts() -> None:
    text = "x(a=1e-3, b=(1, 2), c=log, d='log', e=[ciou, {'type': l1}], f=None, g=-2)"
    assert read_call(text, "simulate") == (
        "x",
        {"a": 1e-3, "b": (1, 2), "c": "log", "d": "log", "e": ["ciou", {"type": "l1"}], "f": None, "g": -2},
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ciou(", "cannot be read"), ("ciou(eps", "cannot be read"), ("ciou(eps=1) x", "cannot be read"),
        ("ciou(1e-7)", "1e-07 has no name"), ("ciou(eps=1, eps=2)", "eps is given again"),
        ("ciou(**{})", "a dict is unpacked"), ("ciou(eps=1+x)", "eps=1 \\+ x is no value"),
        ("", "names no loss"), (" (eps=1)", "names no loss"), ("ciou)", "names no loss"),
        ("coiu", "unknown loss"), ("ciou(power=99)", "out of range"), ("ciou(esp=5)", "unknown parameter"),
        ("ciou(reduction=sum)", "names a reduction"), ("no_such_module:f", "cannot import"),
        ("torch.nn.functional:no_such", "has no 'no_such'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        named_loss(text, "simulate")


def test_losses_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evidence_own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [each for each in __import__("sys").path if each != str(tmp_path)])
    own = named_loss("evidence_own:distance", "simulate")
    squared = named_loss("evidence_own:distance(power=2)", "simulate")
    boxes = torch.tensor([[0.0, 0, 3, 3]]), torch.tensor([[0.0, 0, 1, 1]])
    assert (own.loss(*boxes).item(), squared.loss(*boxes).item()) == (4, 8)
    assert own.entry is None
    assert named_loss("evidence_own:registered", "simulate").entry.name == "test_evidence_own"  # type: ignore[union-attr]
    assert named_loss("torch.nn:L1Loss", "simulate").loss.reduction == "none"  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="no_such"):
        named_loss("torch.nn:SmoothL1Loss(no_such=1)", "simulate")
    before = own.identity()
    (tmp_path / "evidence_own.py").write_text(OWN.replace(".sum(-1)", ".mean(-1)"))
    assert own.identity() != before, "a change of its code makes it another loss"
    assert own.identity() != squared.identity()


def test_what_a_command_cannot_serve_is_refused_by_name() -> None:
    focal, nwd, sized = named_losses(["focal, nwd, nwd(constant=1)"], "simulate")
    with pytest.raises(ValueError, match="simulate: focal is of kind classification; allowed: losses of kind box or"):
        require_kinds([nwd, focal], ("box", "coordinate"), "simulate")
    with pytest.raises(ValueError, match=r"nwd measures by its constant.*nwd\(constant=1\)"):
        require_size([sized, nwd], "simulate")
    require_size([sized], "simulate")
    with pytest.raises(TypeError, match="mpdiou: parameter 'image_size' is required"):
        named_loss("mpdiou", "simulate")
