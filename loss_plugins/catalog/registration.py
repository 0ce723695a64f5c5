"""What a function must be like to be registered as a loss, found out before it is."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ..errors import refusal, shown
from ..tensors import FORMS
from .declare import LABELS, Parameter, State
from .entry import SETTINGS
from .identity import is_shipped
from .ranges import Choice, check_value, plain

#: what the words of a spec mean, which no keyword of a loss of one's own may be called
WORDS: dict[str, str] = {
    "type": "the name of the loss",
    "spec": "the first argument of build_loss",
    "self": "the module itself",
    "losses": "the members of a mix",
    "dialect": "the framework whose convention to follow",
    **dict.fromkeys(SETTINGS, "a setting of every module"),
}
#: checks of what `register_loss` was called with, and of the names of its running statistics; the room of the modules,
#: which keeps them and lies above, puts its own here
CHECKS: list[Callable[[str, Collection[str]], None]] = []


def check_targets(name: str, targets: Any, forms: Collection[str]) -> None:
    """Raise unless all are forms of a target, and one of them is there if its kind has `forms`."""
    if forms and targets is not None and not len(targets):
        came, remedy = f"targets={shown(targets)} leaves no form of a target", "leave it out for those of its kind"
        raise refusal(f"register_loss({name!r})", came, Choice(*FORMS), remedy)
    for form in targets or ():
        remedy = "leave it out for those of its kind"
        check_value(f"register_loss({name!r})", "targets", form, Choice(*FORMS), remedy)


def check_function(name: str, function: Any, forms: Iterable[str]) -> None:
    """Raise unless this is a function (pred, target, *, ...), or, of labels, (pred, target, ignored=None, *, ...)."""
    where, allowed = f"register_loss({name!r})", "a function (pred, target, *, ...)"
    inside = inspect.unwrap(function)
    if not inspect.isfunction(inside):
        came = f"function={shown(function)}: got {type(function).__name__}"
        raise refusal(where, came, allowed, "write a def that calls it", TypeError)
    parameters = inspect.signature(function).parameters
    said = f"{inside.__qualname__}{inspect.signature(function)}"
    if list(parameters)[:2] != ["pred", "target"]:
        came = f"{said} must take (pred, target, *, ...)"
        raise refusal(where, came, allowed, "name the first two arguments pred and target")
    if is_shipped(inside):
        return
    ignored = parameters.get("ignored")
    if ignored is not None and (ignored.kind is ignored.KEYWORD_ONLY or ignored.default is not None):
        came = f"{said} takes ignored in another way"
        raise refusal(where, came, "(pred, target, ignored=None, *, ...)", "put ignored=None before the *")
    several = [str(each) for each in parameters.values() if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    if several:
        came = f"{said} takes {several[0]}, which no spec can set"
        raise refusal(where, came, allowed, "name each hyper-parameter, after a *")
    told = {"ignored"} if LABELS.intersection(forms) else set()
    loose = [each.name for each in parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    loose = [each for each in loose[2:] if each not in told]
    if loose:
        came = f"{inside.__qualname__} takes {', '.join(loose)} by position too"
        raise refusal(where, came, allowed, f"put a * before {loose[0]}, so that it becomes a hyper-parameter")


def check_keywords(name: str, own: Mapping[str, Parameter]) -> None:
    """Raise for a keyword that means something else in a spec, and for a default that is out of its own range."""
    where = f"register_loss({name!r})"
    for word, parameter in own.items():
        if word in WORDS:
            came = f"keyword {word!r} of its function means {WORDS[word]} in a spec"
            raise refusal(where, came, "any other name", f"call it '{word.strip('_')}_', say")
        default = plain(parameter.default)
        if parameter.state is not None or parameter.required or default is None:
            continue
        odd = isinstance(default, float) and math.isnan(default)
        if odd or (parameter.allowed is not None and default not in parameter.allowed):
            came = f"default {word}={shown(parameter.default)} is out of range"
            allowed = "a number" if parameter.allowed is None else parameter.allowed
            raise refusal(where, came, allowed, "mend the default or the range; None stands for no value")


def check_parts(
    name: str, denominator: Callable[..., Any] | None, states: Mapping[str, State], parameters: Iterable[str]
) -> None:
    """Raise unless the module can keep the running statistics, and the functions of a loss can be called."""
    names = tuple(parameters)
    if denominator is not None:
        _check_call(name, "denominator", denominator, ("pred", "target"), names)
    for check in CHECKS:
        check(f"register_loss({name!r})", states)
    for key, state in states.items():
        if state.sized_by and state.sized_by not in names:
            came = f"the running statistic {key!r} is sized by {state.sized_by!r}, which is no parameter"
            raise refusal(f"register_loss({name!r})", came, ", ".join(names) or "no parameter", "name one of these")
        _check_call(name, f"initial of {key!r}", state.initial, ("parameters",), ())
        _check_call(name, f"empty of {key!r}", state.empty, ("parameters",), ())
        _check_call(name, f"summary of {key!r}", state.summary, ("pred", "target", "weight"), names)
        _check_call(name, f"update of {key!r}", state.update, ("value", "summary"), state.update_keywords)


def _check_call(name: str, what: str, function: Any, positional: tuple[str, ...], names: Iterable[str]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # a function in C may have none
        return
    try:
        signature.bind(*positional, **dict.fromkeys(names))
    except TypeError as error:
        allowed = ", ".join((*positional, *(["*"] if names else []), *names))
        came = f"{what} has the signature {signature}: {error}"
        raise refusal(f"register_loss({name!r})", came, f"({allowed})", "let it take these, or **parameters") from None
