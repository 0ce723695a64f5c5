"""A formula in the terminal says what its LaTeX says."""

from __future__ import annotations

import cmath

import pytest
from pylatexenc.latex2text import LatexNodes2Text

from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.entry import Entry
from loss_plugins.catalog.formulas import READABLE
from loss_plugins.catalog.latex import Unreadable, rendered
from tools.stubs import FORMULAS, formulas

from .formula_reader import Ambiguous, from_latex, from_terminal, values

LOSSES = pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)


def says_the_same(text: str, latex: str) -> bool:
    """Whether text, read by the usual rules, has the value of the LaTeX, for whatever its letters stand for."""
    ours, theirs = values(from_terminal(text)), values(from_latex(latex))
    assert len(theirs) > 0
    return len(ours) == len(theirs) and all(
        a == b if isinstance(a, str) or isinstance(b, str) else cmath.isclose(a, b, rel_tol=1e-9)  # type: ignore[arg-type]
        for a, b in zip(ours, theirs, strict=True)
    )


@LOSSES
def test_the_rendered_formula_is_true(entry: Entry) -> None:
    assert says_the_same(rendered(entry.formula), entry.formula)


@pytest.mark.parametrize("name", ["giou", "mpdiou", "tversky", "bounded_iou", "alpha_giou", "shape_iou"])
def test_the_default_text_of_pylatexenc_is_not(name: str) -> None:
    """So this test can fail."""
    formula = next(entry.formula for entry in shipped() if entry.name == name)
    plain = LatexNodes2Text(strict_latex_spaces=True).latex_to_text(formula)
    try:
        assert not says_the_same(plain, formula)
    except Ambiguous:
        return


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"1 - \mathrm{IoU} + \frac{C - U}{C}", "1 - IoU + (C - U)/C"),
        (r"\frac{1}{2} \frac{a b}{c d} x", "(1/2) (a b/(c d)) x"),
        (r"\ln\frac{a}{b} - \sqrt{x^2} + \sqrt\beta", "ln(a/b) - √(x²) + √β"),
        (r"x_1^{-1} e^{-\frac{a}{b}} \left(\frac{a}{b}\right)^2", "x₁⁻¹ e^(-a/b) (a/b)²"),
        (r"\frac{a}{b}^2 / c", "(a/b)²/c"),
        (r"|x| |-y|", "|x| |-y|"),
        (r"\begin{cases} a & x < 1 \\ b c & \text{else} \end{cases},\quad x = \lfloor t \rfloor",
         "⎧ a     if x < 1\n⎩ b c   otherwise\nx = ⌊t⌋"),
        (r"\overline{a + b}", "overline(a + b)"),
        (r"\alpha^{\gamma_t}_{b(g)} x'", "α^(γ_t)_(b(g)) x'"),
    ],
)  # fmt: skip
def test_what_is_bracketed(latex: str, text: str) -> None:
    assert rendered(latex) == text


@pytest.mark.parametrize(("latex", "text"), [("", ""), ("^2", "²")])
def test_an_unusual_formula_is_shown_as_it_is(latex: str, text: str) -> None:
    assert rendered(latex) == text


def test_help_has_the_formulas_of_today() -> None:
    assert FORMULAS.read_text(encoding="utf-8") == formulas(), "run: python -m tools.stubs"
    assert {entry.formula for entry in shipped()} == set(READABLE)


@pytest.mark.parametrize(
    "latex",
    [
        "$x$", "%", "x^", "{", "}", r"\sqrt", r"\sqrt[3]{x}", r"\frac{}{}", r"\frac{a}", r"\dfrac{a + b}{c}",
        r"a \over b", r"\binom{n}{k}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}",
        r"\begin{matrix} a & b & c \\ d \end{matrix}",
        r"\begin{foo}", r"\mathbb{1}[x > 0]", r"\underbrace{x}_{y}", r"\unknown", r"\newcommand{\x}{y}",
    ],
)  # fmt: skip
def test_what_is_not_known_is_no_text(latex: str) -> None:
    with pytest.raises(Unreadable):
        rendered(latex)


def test_letters_beside_each_other_are_factors() -> None:
    assert rendered(r"\frac{1}{cd}") == "1/(cd)"
    assert rendered(r"\frac{1}{\mathrm{IoU}}") == "1/IoU"
