"""What `help` shows of the losses: written from their entries."""

from __future__ import annotations

import functools
import inspect
import pydoc
import re
from typing import Annotated

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.entry import Entry
from loss_plugins.module.build import module_class
from loss_plugins.module.loss import CLASSES

LOSSES = pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)


def function_of(entry: Entry) -> object:
    return getattr(lp, entry.function.__name__)


def told(parameter: lp.Parameter, text: str) -> bool:
    """Whether a help text says name, default, range and meaning of a parameter."""
    flat = " ".join(text.split())
    default = "required" if parameter.required else f"default {parameter.default!r}"
    allowed = "" if parameter.allowed is None else f"; allowed: {parameter.allowed}"
    return f"{parameter.name} ({default}{allowed}): {parameter.meaning}" in flat


def test_what_help_tells_to_see_is_public() -> None:
    things = [getattr(lp, name) for name in lp.__all__]
    pages = [inspect.getdoc(thing) or "" for thing in things] + [inspect.getdoc(lp.Loss.begin_step) or ""]
    named = {name.split(".")[0] for page in pages for name in re.findall(r"see\s+`([\w.]+)`", page)}
    assert named
    assert named <= set(lp.__all__)


@LOSSES
def test_every_parameter_has_a_meaning(entry: Entry) -> None:
    for name, parameter in {**entry.parameters, **entry.keywords}.items():
        assert len(parameter.meaning) > 5, f"{entry.name}: {name} is not explained under `Args`"


@LOSSES
def test_help_teaches_functions_and_classes(entry: Entry) -> None:
    function, cls = function_of(entry), module_class(entry.name)
    for thing in (function, cls):
        page = pydoc.plain(pydoc.render_doc(thing)).replace("\n |  ", "\n")
        flat = " ".join(page.split())
        assert entry.summary in flat
        for words in (entry.use_when, entry.avoid_when, entry.source.url):
            assert words in flat
        for heading in ("Formula:", "Args:", "Returns:", "Raises:", "ValueError: ", "pred: ", "target: "):
            assert heading in page
        assert page.count(">>> import torch\n") == 1
        for name, parameter in entry.parameters.items():
            assert told(parameter, page) or (thing is function and name not in entry.keywords)


@LOSSES
def test_the_signature_lists_all_keywords_with_their_defaults(entry: Entry) -> None:
    shown = inspect.signature(function_of(entry)).parameters  # type: ignore[arg-type]
    assert [*shown][:2] == ["pred", "target"]
    offered = {"dialect", "ignore_index"} & {*entry.parameters}
    assert {*shown} - {"pred", "target"} == {*entry.keywords} | offered
    for name in {*shown} & {*entry.parameters}:
        parameter = entry.parameters[name]
        assert shown[name].default == (inspect.Parameter.empty if parameter.required else parameter.default)
    cls = inspect.signature(module_class(entry.name)).parameters
    assert [*cls][:3] == ["reduction", "loss_weight", "compile"]
    assert {*cls} - {"reduction", "loss_weight", "compile", "unknown"} == {*entry.parameters}


def test_the_signature_of_a_member_of_the_family_is_expanded() -> None:
    assert str(inspect.signature(lp.ciou_loss)).startswith(
        "(pred: torch.Tensor, target: torch.Tensor, *, eps: float | None = None, "
        "box_format: str = 'xyxy', power: float | None = None, inner_ratio: float | None = None, "
    )
    assert str(inspect.signature(lp.FocalLoss)) == (
        "(reduction: Literal['none', 'mean', 'sum'] = 'mean', loss_weight: float = 1.0, compile: bool = False, *, "
        "alpha: float | collections.abc.Sequence[float] | torch.Tensor | None = 0.25, gamma: float = 2.0, "
        "pos_weight: float | collections.abc.Sequence[float] | torch.Tensor | None = None, activated: bool = False, "
        "ignore_index: int | collections.abc.Sequence[int] | None = -100, "
        "class_weight: collections.abc.Sequence[float] | torch.Tensor | float | None = None, "
        "label_smoothing: float = 0.0, dialect: str | None = None)"
    )


def test_help_of_a_mix_speaks_of_a_mix() -> None:
    page = " ".join((lp.MixLoss.__doc__ or "").split())
    assert "compile (default False; allowed: False): belongs to the losses of the mix" in page
    assert "Running statistics have" not in page
    assert "ValueError: losses of different kinds; a spec that names a reduction; a gate for other than two box" in page
    assert str(inspect.signature(lp.MixLoss)).endswith(
        "compile: Literal[False] = False, *, "
        "losses: collections.abc.Sequence[str | collections.abc.Mapping[str, typing.Any]], "
        "gate: str | None = None, at: float = 32.0)"
    )


def test_a_range_that_a_parameter_changes_is_that_of_the_defaults() -> None:
    assert "from 0 to 1 with the default parameters, in float32" in (lp.nwd_loss.__doc__ or "")
    assert "from 0 on, in float32" in (lp.focal_loss.__doc__ or "")


def test_instances_are_called_as_modules_are() -> None:
    assert inspect.signature(lp.FocalLoss()) == inspect.signature(torch.nn.L1Loss())
    assert lp.FocalLoss().__doc__ == lp.FocalLoss.__doc__


def test_a_class_of_ones_own_keeps_its_own_docstring_and_signature() -> None:
    class Halved(lp.FocalLoss, name="focal"):
        """Half of it."""

        def __init__(self, share: float = 0.5) -> None:
            super().__init__(loss_weight=share)

    del CLASSES["Halved"]
    assert Halved.__doc__ == "Half of it."
    assert [*inspect.signature(Halved).parameters] == ["share"]


def test_a_loss_of_a_user_says_whatever_its_author_said() -> None:
    @lp.register_loss("halves", kind="coordinate", formula=r"\frac{|d|}{k}", use_when="Two are one.")
    def halves_loss(
        pred: Tensor, target: Tensor, *, k: Annotated[float, lp.Interval(1, 4)] = 2.0, bare: bool = False
    ) -> Tensor:
        """Half the distance.

        Args:
            k: what to divide by. The paper
                uses 2.

        >>> halves_loss(torch.zeros(1, 4), torch.ones(1, 4))
        tensor([[0.5, 0.5, 0.5, 0.5]])
        """
        return (pred - target).abs() / k

    try:
        cls = type(lp.build_loss("halves"))
        for page in (halves_loss.__doc__ or "", cls.__doc__ or ""):
            assert "k (default 2.0; allowed: [1, 4]): what to divide by. The paper uses 2.\n" in page
            assert "bare (default False; allowed: False or True)" in page
            for words in ("Half the distance.", "Two are one.", "(..., 4)", ">>> import torch\n"):
                assert words in page
        assert [*inspect.signature(cls).parameters][-2:] == ["k", "bare"]
        assert lp.get_entry("halves").parameters["k"].meaning == "what to divide by. The paper uses 2."
        # registered again through a decorated function, nothing is lost
        lp.register_loss("halves_again", kind="coordinate")(halves_loss)
        assert lp.get_entry("halves_again").parameters == lp.get_entry("halves").parameters
    finally:
        for name in ("halves", "halves_again"):
            lp.unregister_loss(name)


def test_only_functions_are_registered() -> None:
    with pytest.raises(TypeError, match=r"got partial; .*; write a def that calls it"):
        lp.register_loss("partly")(functools.partial(lp.iou_loss, eps=1e-6))
