"""The signature and the help text of a loss, written from its entry: for its function, and for its module class."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ..tensors import BETWEEN_BINS, FORMS
from .declare import Parameter
from .dialects import dialects_of
from .entry import Entry
from .formulas import READABLE

WIDTH = 96
#: what a loss takes, by kind; classification losses by what their prediction is
PREDICTIONS = {
    "box": "(..., 4) predicted boxes, corners (x1, y1, x2, y2), {units}.",
    "coordinate": "(..., 4) predicted boxes or offsets.",
    "rotated_box": "(..., 5) predicted boxes (centre x, centre y, width, height, angle in radians), {units}.",
    "quad": "(..., 8) predicted corners (x1, y1, ..., x4, y4) of quadrilaterals, in any order, {units}.",
    "region": "(n, ...) or (n, C, ...) {scale}, one mask per image or per class.",
    "classification": "{rows} {scale}.",
    "distribution": "(..., n) {scale} over n bins.",
    "keypoint": "(..., K, 2) predicted key points (x, y), {units}.",
}
TARGETS = {
    "box": "the boxes to meet, in the shape and unit of pred.",
    "coordinate": "the values to meet, in the shape and unit of pred.",
    "rotated_box": "the boxes to meet, in the shape and unit of pred.",
    "quad": "the corners to meet, in the shape and unit of pred.",
}
RESULTS = {
    "box": "(...) one loss per box",
    "coordinate": "(..., 4) one loss per coordinate",
    "rotated_box": "(...) one loss per box",
    "quad": "(...) one loss per quadrilateral",
    "region": "one loss per region",
    "classification": "{rows}",
    "distribution": "(...) one loss per row",
    "keypoint": "one loss per instance, key point or coordinate",
}
#: what the values of a target of class and region losses mean, beside its form
MEANINGS = {"dense": ", in [0, 1]", "labels": ", in [0, C], C for background", "class_map": ", in [0, C)"}
UNITS = {"any": "in any unit", "pixels": "in pixels", "image": "in the unit of image_size"}
#: what a module is called with beside pred and target
FORWARD = {
    "weight": "one number per row or per element; the loss is multiplied by it.",
    "avg_factor": 'what "mean" divides the sum by; None: the number of elements, or the loss\'s own number.',
    "reduction_override": "used instead of `reduction` in this call.",
}
RAISES = {
    "ValueError": "shapes that do not go together, or a parameter out of range; the message names what is allowed.",
    "TypeError": "tensors that are not of floating point, or an unknown parameter; the message lists the known ones.",
}


def function_signature(entry: Entry) -> inspect.Signature:
    """(pred, target, *, ...) with the keywords that `**options` stands for."""
    given = entry.function.__annotations__
    names = getattr(entry.function, "__globals__", {})
    types = {name: names.get(hint, hint) if isinstance(hint, str) else hint for name, hint in given.items()}
    tensors = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=types.get(name, Tensor))
        for name in ("pred", "target")
    ]
    return inspect.Signature(
        [*tensors, *map(_keyword_only, _function_keywords(entry))], return_annotation=types.get("return", Tensor)
    )


def class_signature(entry: Entry, own: Iterable[Parameter]) -> inspect.Signature:
    """What every module takes, then the parameters of the loss."""
    first = [_named(parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD) for parameter in own]
    return inspect.Signature([*first, *map(_keyword_only, _required_first(entry.parameters.values()))])


def function_text(entry: Entry) -> str:
    """The docstring of the function."""
    keywords = [parameter.described for parameter in _function_keywords(entry)]
    return _text(entry, {"Args": [*_tensors(entry), *keywords]}, _returns(entry))


def class_text(entry: Entry, own: Iterable[Parameter]) -> str:
    """The docstring of the module class; `own` are the parameters that every module has."""
    sections = {
        "Args": [parameter.described for parameter in (*own, *_required_first(entry.parameters.values()))],
        "Called with": [*_tensors(entry), *_named_texts(FORWARD)],
    }
    return _text(entry, sections, f'a 0-dim tensor; for reduction "none": {_returns(entry)}')


def _function_keywords(entry: Entry) -> list[Parameter]:
    keywords = {name: entry.parameters.get(name, keyword) for name, keyword in entry.keywords.items()}
    for name in ("ignore_index", "dialect"):  # which the catalogue offers
        if name in entry.parameters:
            keywords[name] = entry.parameters[name]
    return list(_required_first(keywords.values()))


def _required_first(parameters: Iterable[Parameter]) -> list[Parameter]:
    return sorted(parameters, key=lambda parameter: not parameter.required)


def _keyword_only(parameter: Parameter) -> inspect.Parameter:
    return _named(parameter, inspect.Parameter.KEYWORD_ONLY)


def _named(parameter: Parameter, kind: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if parameter.required else parameter.default
    return inspect.Parameter(parameter.name, kind, default=default, annotation=parameter.hint)


def _text(entry: Entry, sections: Mapping[str, list[str]], returns: str) -> str:
    said = entry.docstring
    parts = [said.summary, said.description, _section("Formula", readable(entry.formula))]
    parts += [_section(heading, _lines(items)) for heading, items in sections.items()]
    parts += [
        _section("Returns", wrapped(returns)),
        _section("Raises", _lines(_named_texts(_raises(said.raises)))),
        _section("Use it when", wrapped(entry.use_when)),
        _section("Avoid it when", wrapped(entry.avoid_when)),
        _section("Dialects", ", ".join(dialects_of(entry.name))),
        _section("Source", str(entry.source)),
        _section("Example", example(said.example)),
    ]
    return "\n\n".join(part for part in parts if part)


def readable(formula: str) -> str:
    """The formula in Unicode, as the table of this package has it; LaTeX for other formulas."""
    return READABLE.get(formula, formula)


def _section(heading: str, text: str) -> str:
    return f"{heading}:\n    " + text.replace("\n", "\n    ") if text else ""


def _raises(own: Mapping[str, str]) -> dict[str, str]:
    """What all losses raise, each after what this one raises beside it."""
    both = {name: f"{text.rstrip('.')}; {RAISES[name]}" for name, text in own.items() if name in RAISES}
    return {**RAISES, **own, **both}


def _lines(items: list[str]) -> str:
    return "\n".join(wrapped(item).replace("\n", "\n    ") for item in items)


def _named_texts(texts: Mapping[str, str]) -> list[str]:
    return [f"{name}: {text}" for name, text in texts.items()]


def _prediction(entry: Entry) -> str:
    return entry.docstring.arguments.get("pred") or PREDICTIONS[entry.kind].format(
        units=UNITS[entry.traits.units], scale=_scale(entry), rows=_rows(entry)[0]
    )


def _target(entry: Entry) -> str:
    meanings = {} if entry.kind == "keypoint" else MEANINGS
    forms = "; or ".join(FORMS[form][1] + meanings.get(form, "") for form in entry.targets)
    return entry.docstring.arguments.get("target") or TARGETS.get(entry.kind, f"{forms}.")


def _tensors(entry: Entry) -> list[str]:
    return _named_texts({"pred": _prediction(entry), "target": _target(entry)})


def _returns(entry: Entry) -> str:
    if entry.docstring.returns:
        return entry.docstring.returns
    low, high = entry.traits.range
    bounds = (
        "of either sign" if math.isinf(low) else f"from {low:g} on" if math.isinf(high) else f"from {low:g} to {high:g}"
    )
    varies = any("range" in effect.changes for each in entry.parameters.values() for effect in each.effects)
    condition = " with the default parameters" if varies else ""
    return f"{RESULTS[entry.kind].format(rows=_rows(entry)[1])}, {bounds}{condition}, in float32 at least."


def _scale(entry: Entry) -> str:
    return entry.traits.scale.replace("_", "-")


def _rows(entry: Entry) -> tuple[str, str]:
    """Shapes of the prediction and of the loss: softmax losses have one per row, the others one per score."""
    if "class_map" in entry.targets:
        return "(n, C) or (n, C, ...)", "(n) or (n, ...) one loss per row"
    if not BETWEEN_BINS.isdisjoint(entry.targets):
        return "(..., n)", "(...) one loss per row"
    if "labels" in entry.targets:
        return "(n, C) or (n, C, ...)", "one loss per score, in the shape of pred"
    return "(...)", "one loss per score, in the shape of pred"


def example(code: str) -> str:
    """The example with the imports that it needs, so that it runs wherever it is pasted."""
    functions = sorted(set(re.findall(r"\b\w+_loss(?=\()", code)))
    needed = {
        "import torch": "torch." in code,
        "import loss_plugins as lp": "lp." in code,
        f"from loss_plugins import {', '.join(functions)}": bool(functions),
    }
    imports = [f">>> {line}\n" for line, used in needed.items() if used]
    for line in imports:
        code = code.replace(line, "")
    return "".join(imports) + code


@functools.cache
def wrapped(text: str) -> str:
    """The text in lines of at most WIDTH characters; a tenth of the time of `textwrap`, as this runs at import."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])
