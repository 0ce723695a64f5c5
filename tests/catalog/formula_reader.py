"""A reader of formulas that knows nothing of the package: LaTeX and terminal text become numbers by the usual rules.

Every name stands for a number of its own, so two formulas that read alike have one value. Text that can be read in two
ways, such as `a/b c`, is refused.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass, field

FUNCTIONS = {"ln", "log", "exp", "arctan", "cos", "cosh", "max", "min"}
SCRIPTS = {"⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ": ("^", "0123456789-T"), "₀₁₂₃₄₅₆₇₈₉₊₋": ("_", "0123456789+-")}
TOKEN = re.compile(r"\s+|\d+|[^\W\d_](?:[^\W_]|\u0302)*'?|∑|ℓ|.")
RELATION = re.compile(r"([=<>≤≥])")


class Ambiguous(ValueError):
    """The text can be read in two ways."""


def values(text: str) -> list[object]:
    """The value of each part of a formula: lines, cases and conditions, and both sides of each relation."""
    found: list[object] = []
    for line in text.split("\n"):
        for side in sides(line):
            if side.strip():
                found.append(side if RELATION.fullmatch(side) else Reader(side.strip()).value())
    return found


def sides(line: str) -> list[str]:
    """Both sides of each relation, and its sign; not of those in brackets."""
    found, depth = [""], 0
    for sign in line:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0 and RELATION.fullmatch(sign):
            found += [sign, ""]
        else:
            found[-1] += sign
    return found


def from_terminal(text: str) -> str:
    """Cases and raised digits written out."""
    text = re.sub(r"[⎧⎨⎩]", "", text).replace("otherwise", "\nelse")
    text = re.sub(r"\s{2,}if ", "\n", text)
    for signs, (mark, plain) in SCRIPTS.items():
        table = str.maketrans(signs, plain)
        text = re.sub(f"[{signs}]+", lambda match, m=mark, t=table: f"{m}({match[0].translate(t)})", text)  # type: ignore[misc]
    return text


def from_latex(latex: str) -> str:
    """LaTeX with every group in brackets."""
    text = (
        re.sub(r"\\(begin|end)\{cases\}", "\n", latex).replace(r",\quad", "\n").replace(r"\\", "\n").replace("&", "\n")
    )
    text = re.sub(r"\\(left|right)\b\s*|\\[,;:!]", lambda match: "" if match[1] else " ", text)
    text = re.sub(r"\\(?:mathrm|text)\{(\w+)\}", r"\1", text)
    text = re.sub(r"\\hat\{(\w)\}", "\\1\u0302", text)
    text = (
        text.replace(r"\sum", "∑")
        .replace(r"\ell", "ℓ")
        .replace(r"\le", "≤")
        .replace(r"\lfloor", "⌊")
        .replace(r"\rfloor", "⌋")
    )
    text = re.sub(r"(?<=[A-Za-z])(?=\\)", " ", text)
    text = re.sub(r"\\([A-Za-z]+)", lambda match: greek(match[1]), text)
    while True:  # innermost groups first
        changed = re.sub(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", text)
        changed = re.sub(r"\\sqrt\s*(?:\{([^{}]*)\}|([^\W\d_]))", lambda match: f"√({match[1] or match[2]})", changed)
        changed = re.sub(r"(?<=[_^])\{([^{}]*)\}", r"(\1)", changed)
        if changed == text:
            return text
        text = changed


def greek(name: str) -> str:
    """The letter of that name; other macros as they are, functions without their backslash."""
    if name in FUNCTIONS:
        return name
    size = "CAPITAL" if name[0].isupper() else "SMALL"
    name = {"varepsilon": "epsilon", "lambda": "lamda", "Lambda": "lamda"}.get(name, name)
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}")
    except KeyError:
        return f"\\{name}"


def number(name: str) -> complex:
    """A number between 1 and 2 that belongs to the name."""
    return 1 + zlib.crc32(unicodedata.normalize("NFD", name).encode()) / 2**32


@dataclass
class Reader:
    """Recursive descent; `value` reads a whole expression."""

    text: str
    tokens: list[str] = field(default_factory=list)
    place: int = 0
    bars: int = 0

    def value(self) -> complex:
        self.tokens = TOKEN.findall(self.text)
        result = self.sum()
        if self.peek():
            raise Ambiguous(f"{self.text!r} cannot be read on from {self.tokens[self.place :]}")
        return result

    def peek(self) -> str:
        while self.place < len(self.tokens) and self.tokens[self.place].isspace():
            self.place += 1
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if wanted and token != wanted:
            raise Ambiguous(f"{self.text!r}: {wanted!r} is missing before {self.tokens[self.place :]}")
        self.place += 1
        return token

    def sum(self) -> complex:
        total: complex = 0
        sign = 1
        while True:
            if self.peek() in "+-" and self.peek():
                sign = -1 if self.take() == "-" else 1
            total += sign * self.term()
            if self.peek() not in {"+", "-"}:
                return total

    def term(self) -> complex:
        result: complex = 1
        loose = False  # a bare function or a sum takes all that follows
        first = self.place
        while self.starts_factor():
            if loose == "function":
                raise Ambiguous(f"{self.text!r}: where does the function's argument end?")
            result, loose = self.factor_of_term(result, loose)
        if self.place == first:
            raise Ambiguous(f"{self.text!r}: nothing to multiply at {self.tokens[self.place :]}")
        if self.peek() == "/":
            if loose:
                raise Ambiguous(f"{self.text!r}: what is divided?")
            self.take()
            result /= self.factor()
            if self.starts_factor() or self.peek() == "/":
                raise Ambiguous(f"{self.text!r}: does what follows the quotient belong below?")
        return result

    def factor_of_term(self, result: complex, loose: object) -> tuple[complex, object]:
        if self.peek() in FUNCTIONS and self.after() != "(":
            name = self.take()
            if not self.starts_factor():  # a word of that name
                return result * number(name), loose
            return result * applied(name, [self.factor()]), "function"
        is_sum = self.peek() == "∑"
        return result * self.factor(), "sum" if is_sum or loose else loose

    def after(self) -> str:
        return self.tokens[self.place + 1] if self.place + 1 < len(self.tokens) else ""

    def starts_factor(self) -> bool:
        token = self.peek()
        return bool(token) and (token[0].isalnum() or token in "(⌊[√∑ℓ" or (token == "|" and not self.bars))

    def factor(self) -> complex:
        token = self.take()
        if token == "√":
            base = self.factor() ** 0.5
        elif token == "|":
            self.bars += 1
            inner, bars = self.sum(), self.bars
            self.take("|")
            self.bars = bars - 1
            base = applied("abs", [inner])
        elif token in "([⌊":
            hidden, self.bars = self.bars, 0
            base = self.sum()
            self.take({"(": ")", "[": "]", "⌊": "⌋"}[token])
            self.bars = hidden
            base = applied("floor", [base]) if token == "⌊" else base
        elif token.isdigit():
            base = int(token)
        else:
            return self.power(self.named(token))
        return self.power(base)

    def named(self, token: str) -> complex:
        name = token + self.subscript()
        if self.place < len(self.tokens) and self.tokens[self.place] == "(":  # tight: a function
            self.take()
            arguments = [self.sum()]
            while self.peek() == ",":
                self.take()
                arguments.append(self.sum())
            self.take(")")
            return applied(name, arguments) + (number(mark) if (mark := self.subscript()) else 0)
        return number(name)

    def subscript(self) -> str:
        if self.place >= len(self.tokens) or self.tokens[self.place] != "_":
            return ""
        self.take("_")
        return "_" + self.script()

    def script(self) -> str:
        if self.tokens[self.place] != "(":
            return self.take()
        depth, found = 0, ""
        while not found or depth > 0:
            token = self.take()
            if not token:
                raise Ambiguous(f"{self.text!r}: a bracket is not closed")
            depth += {"(": 1, ")": -1}.get(token, 0)
            found += token
        return found[1:-1]

    def power(self, base: complex) -> complex:
        while self.place < len(self.tokens) and self.tokens[self.place] == "^":
            self.take()
            if self.tokens[self.place] == "(":
                self.take()
                hidden, self.bars = self.bars, 0
                exponent = self.sum()
                self.bars = hidden
                self.take(")")
            else:
                name = self.take()
                exponent = int(name) if name.isdigit() else number(name + self.subscript())
            base = complex(base) ** exponent
        return base


def applied(name: str, arguments: list[complex]) -> complex:
    """A number that depends on the function and on each of its arguments."""
    return number(name) + sum((place + 1.5) * argument for place, argument in enumerate(arguments)) ** 2 / 7
