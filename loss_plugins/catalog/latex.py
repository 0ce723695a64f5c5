"""A formula in LaTeX as text that reads true in a terminal: `\\frac{C - U}{C}` becomes `(C - U)/C`.

What LaTeX shows by its place (above a line, under a root, raised) is bracketed wherever the text would else read
otherwise. pylatexenc, of the extra `cli`, parses the LaTeX and knows the symbols.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexEnvironmentNode,
    LatexGroupNode,
    LatexMacroNode,
    LatexSpecialsNode,
    LatexWalker,
    LatexWalkerParseError,
)

WORDS = {"mathrm", "text", "operatorname", "mathit", "mathbf"}
SPACES = {",", ";", ":", "!", " "}
FUNCTIONS = ("ln", "log", "exp", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "cosh", "max", "min")
#: kind and text of macros without arguments
SIGNS = {
    **{name: ("function", name) for name in FUNCTIONS},
    "sum": ("big", "∑"),
    "prod": ("big", "∏"),
    "lfloor": ("open", "⌊"),
    "rfloor": ("close", "⌋"),
    "lceil": ("open", "⌈"),
    "rceil": ("close", "⌉"),
}
TIGHT_BEFORE = {"slash", "comma", "gap"}
TIGHT_AFTER = {"slash", "gap"}
RELATIONS = {"=", "<", ">", "≤", "≥", "≠", "≈", "∈"}
RAISED = str.maketrans("0123456789-T", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ")
LOWERED = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")
CHARACTERS = {"(": "open", "[": "open", ")": "close", "]": "close", ",": "comma", "/": "slash", "|": "bar"}


class Unreadable(ValueError):
    """The formula holds something that this file does not know how to write on a line."""


@dataclass(frozen=True)
class Item:
    """One sign of a formula, or a bracketed part of it.

    Attributes:
        kind: operand, function, big (a sum), fraction, plus (or minus), relation, slash, comma, open, close, bar, gap
            or break.
        spaced: there is white space before it.
        raised: it carries an exponent.
        product: it is several letters, each a factor.
    """

    kind: str
    text: str
    spaced: bool = False
    raised: bool = False
    product: bool = False

    @property
    def is_factor(self) -> bool:
        """Whether it is multiplied with what stands beside it."""
        return self.kind in {"operand", "function", "big", "fraction"}


@dataclass(frozen=True)
class Text:
    """A rendered part, and how it binds: as an atom, power, product, application (ln x), quotient or sum."""

    text: str
    binding: str

    def within(self, *bindings: str) -> str:
        """The text, bracketed unless it binds as one of these."""
        return self.text if self.binding in bindings else f"({self.text})"


def rendered(latex: str) -> str:
    """The formula in Unicode; what follows a comma and `\\quad`, and each case, on a line of its own.

    Raises:
        Unreadable: broken LaTeX, or a macro or environment that is not known here: print the LaTeX itself.

    >>> print(rendered(r"1 - \\mathrm{IoU} + \\frac{C - U}{C},\\quad C = \\sqrt{a^2 + b^{-2 \\alpha}}"))
    1 - IoU + (C - U)/C
    C = √(a² + b^(-2 α))
    """
    lines: list[str] = []
    line: list[Item] = []
    for item in [*_items(_nodes(latex)), Item("break", "")]:
        if item.kind != "break":
            line.append(item)
        elif line:
            lines.append(_joined(line).text)
            line = []
    if latex.strip() and not "".join(lines).strip():
        raise Unreadable(f"nothing to read in {latex!r}")
    return "\n".join(lines)


def _nodes(latex: str) -> list[Any]:
    try:
        nodes: list[Any] = LatexWalker(latex, tolerant_parsing=False).get_latex_nodes()[0]
    except LatexWalkerParseError as error:
        raise Unreadable(f"{latex!r} is not LaTeX: {error}") from error
    return nodes


def _pieces(nodes: list[Any]) -> Iterator[Any]:
    """Words, numbers, signs and white space of plain text; other nodes as they are."""
    for node in nodes:
        if isinstance(node, LatexCharsNode):
            yield from re.findall(r"\s+|[A-Za-z]+|\d+(?:\.\d+)?|.", node.chars)
        else:
            yield node
            if isinstance(node, LatexMacroNode) and node.macro_post_space:
                yield " "


def _items(nodes: list[Any]) -> list[Item]:
    found: list[Item] = []
    pieces, spaced = list(_pieces(nodes)), False
    while pieces:
        piece = pieces.pop(0)
        if isinstance(piece, str) and piece.isspace():
            spaced = True
        elif isinstance(piece, LatexMacroNode) and piece.macroname in SPACES | {"left", "right"}:
            spaced = spaced or piece.macroname in SPACES
        elif isinstance(piece, str) and piece in "^_'":
            mark = "'" if piece == "'" else _script(piece, _next(pieces))
            found[-1:] = [_marked(found[-1] if found else Item("operand", ""), mark, raised=piece == "^")]
        else:
            found += [replace(item, spaced=spaced) for item in _sign(piece, found)]
            spaced = False
    return _folded(found)


def _next(pieces: list[Any]) -> list[Any]:
    """What a script stands for: a group, a macro or one character."""
    while pieces and isinstance(pieces[0], str) and pieces[0].isspace():
        pieces.pop(0)
    piece = pieces.pop(0) if pieces else ""
    if isinstance(piece, LatexGroupNode):
        return list(piece.nodelist)
    if isinstance(piece, str) and len(piece) > 1:
        pieces.insert(0, piece[1:])
        piece = piece[0]
    return _nodes(piece) if isinstance(piece, str) else [piece]


def _script(place: str, nodes: list[Any]) -> str:
    content = _joined(_items(nodes)).text
    if not content:
        raise Unreadable(f"nothing follows {place!r}")
    if place == "^":
        if re.fullmatch(r"-?\d+|T", content):
            return content.translate(RAISED)
        return "^" + (content if content.isalpha() else f"({content})")
    content = content.replace(" ", "")
    if re.fullmatch(r"\d+|[+-]", content):
        return content.translate(LOWERED)
    return "_" + (content if content.isalnum() else f"({content})")


def _marked(item: Item, mark: str, raised: bool) -> Item:
    if item.kind == "fraction" or item.text.startswith("√"):
        item = replace(item, kind="operand", text=f"({item.text})")
    return replace(item, text=item.text + mark, raised=raised or item.raised)


def _sign(piece: Any, before: list[Item]) -> list[Item]:
    if isinstance(piece, str):
        return [_character(piece)]
    if isinstance(piece, LatexGroupNode):
        return _items(piece.nodelist)
    if isinstance(piece, LatexEnvironmentNode) and piece.environmentname == "cases":
        return _cases(piece.nodelist)
    if isinstance(piece, LatexMacroNode):
        return _macro(piece, before)
    raise Unreadable(f"{piece.latex_verbatim()!r} is not known here")


def _character(sign: str) -> Item:
    if sign in "+-":
        return Item("plus", sign)
    if sign in RELATIONS:
        return Item("relation", sign)
    return Item(CHARACTERS.get(sign, "operand"), sign, product=len(sign) > 1 and sign.isalpha())


def _macro(node: LatexMacroNode, before: list[Item]) -> list[Item]:
    name, arguments = node.macroname, _arguments(node)
    if name in SIGNS:
        return [Item(*SIGNS[name])]
    if name in {"quad", "qquad"}:
        follows_comma = bool(before) and before[-1].kind == "comma"
        return [replace(before.pop(), kind="break")] if follows_comma else [Item("gap", "   ")]
    if name in WORDS and arguments:
        return [Item("operand", LatexNodes2Text().nodelist_to_text(arguments[-1]))]
    if arguments:
        return [_built(name, [_joined(_items(part)) for part in arguments])]
    symbol = LatexNodes2Text().nodelist_to_text([node]).strip()
    if len(symbol) != 1:
        raise Unreadable(f"\\{name} is not known here")
    return [_character(symbol)]


def _built(name: str, parts: list[Text]) -> Item:
    """A macro of its arguments."""
    if not all(part.text for part in parts):
        raise Unreadable(f"\\{name} without its argument")
    if name == "frac" and len(parts) == 2:
        above, below = parts
        return Item("fraction", f"{above.within('atom', 'power', 'product')}/{below.within('atom', 'power')}")
    if name == "sqrt" and len(parts) == 1:
        return Item("operand", "√" + parts[0].within("atom"))
    if name == "hat" and len(parts) == 1:
        return Item("operand", parts[0].within("atom") + "\u0302")
    if name == "overline" and len(parts) == 1:
        return Item("operand", f"overline({parts[0].text})")
    raise Unreadable(f"\\{name} is not known here")


def _arguments(node: LatexMacroNode) -> list[list[Any]]:
    given = node.nodeargd.argnlist if node.nodeargd else []
    present = [part for part in given or [] if part is not None]
    return [list(part.nodelist) if isinstance(part, LatexGroupNode) else [part] for part in present]


def _cases(nodes: list[Any]) -> list[Item]:
    rows: list[list[list[Any]]] = [[[]]]
    for node in nodes:
        if isinstance(node, LatexMacroNode) and node.macroname == "\\":
            rows.append([[]])
        elif isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(node)
    braces = ["⎧", *["⎨"] * (len(rows) - 2), "⎩"]
    cells = [[_joined(_items(cell)).text for cell in row] for row in rows]
    width = max(len(row[0]) for row in cells)
    found: list[Item] = []
    for brace, (value, *conditions) in zip(braces, cells, strict=False):
        when = "".join(f"   {_condition(condition)}" for condition in conditions)
        found += [Item("operand", f"{brace} {value:<{width}}{when}".rstrip()), Item("break", "")]
    return found


def _condition(text: str) -> str:
    return "otherwise" if text in {"else", "otherwise"} else f"if {text}"


def _folded(items: list[Item]) -> list[Item]:
    """Bracketed parts as one operand each, with the function before them if they are its arguments."""
    levels: list[list[Item]] = [[]]
    for item in items:
        if item.kind == "open" or (item.kind == "bar" and not _inside_bars(levels)):
            levels.append([item])
        elif item.kind in {"close", "bar"} and len(levels) > 1:
            first, *content = levels.pop()
            part = replace(
                item, kind="operand", text=first.text + _joined(content).text + item.text, spaced=first.spaced
            )
            levels[-1] = _called(levels[-1], part)
        else:
            levels[-1].append(item)
    return [item for level in levels for item in level]


def _inside_bars(levels: list[list[Item]]) -> bool:
    return len(levels) > 1 and levels[-1][0].kind == "bar"


def _called(before: list[Item], part: Item) -> list[Item]:
    if before and before[-1].kind in {"operand", "function"} and part.text[0] in "([" and not part.spaced:
        return [*before[:-1], replace(part, text=before[-1].text + part.text, spaced=before[-1].spaced)]
    return [*before, part]


def _joined(items: list[Item]) -> Text:
    text, space = "", ""
    for before, item, after in zip([None, *items], items, [*items[1:], None], strict=False):
        shown = item.text
        if item.kind == "fraction" and (
            _binds(before, "function", "slash") or _binds(after, "slash") or _factor(after)
        ):
            shown = f"({shown})"
        called = before is not None and before.kind == "function" and shown[0] == "("  # ln(a/b)
        text += ("" if called or item.kind in TIGHT_BEFORE else space) + shown
        is_sign = item.kind == "plus" and (
            before is None or before.kind in {"plus", "relation", "comma", "gap", "slash"}
        )
        space = "" if is_sign or item.kind in TIGHT_AFTER else " "
    return Text(text, _binding(items))


def _binds(item: Item | None, *kinds: str) -> bool:
    return item is not None and item.kind in kinds


def _factor(item: Item | None) -> bool:
    return item is not None and item.is_factor


def _binding(items: list[Item]) -> str:
    kinds = {item.kind for item in items}
    factors = [item for item in items if item.is_factor]
    if kinds & {"plus", "relation", "comma", "gap"}:
        return "sum"
    if kinds & {"slash", "fraction"}:
        return "quotient"
    if kinds & {"function", "big"}:
        return "application"
    if len(factors) == 1 and not factors[0].product:
        return "power" if factors[0].raised else "atom"
    return "product"
