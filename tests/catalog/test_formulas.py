"""A formula in the terminal says what its LaTeX says."""

from __future__ import annotations

import cmath

import pytest
from pylatexenc.latex2text import LatexNodes2Text

from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.entry import Entry
from loss_plugins.catalog.formulas import READABLE
from loss_plugins.catalog.latex import rendered
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


@pytest.mark.parametrize("latex", ["", "^2", "x^", r"\frac{a}", r"\begin{matrix} a & b & c \\ d \end{matrix}", "(a"])
def test_a_formula_with_mistakes_is_shown_all_the_same(latex: str) -> None:
    assert isinstance(rendered(latex), str)


def test_help_has_the_formulas_of_today() -> None:
    assert FORMULAS.read_text(encoding="utf-8") == formulas(), "run: python -m tools.stubs"
    assert {entry.formula for entry in shipped()} == set(READABLE)
