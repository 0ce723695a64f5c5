# SPDX-License-Identifier: AGPL-3.0-or-later
"""The context of `patched`: in force from entering to leaving, also where nobody keeps the object in between."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from loss_plugins.errors import refusal

from .errors import no_attribute
from .plug import Plug, Report, plugged
from .spec import Spec


class Patched(AbstractContextManager[Report]):
    """A plug for the time of a `with`, or of a function that it decorates.

    Args:
        spec: what was asked for.
        model: whose criteria are served; None: those of this thread.
    """

    def __init__(self, spec: Spec, model: Any) -> None:
        self._spec = spec
        self._model = model
        self._plug: Plug | None = None

    def __getattr__(self, name: str) -> Any:
        raise no_attribute(self, name)

    def __enter__(self) -> Report:
        """Put the losses in."""
        if self._plug is not None:
            raise refusal("patched", "this context is in force", "one entering until it is left", "make another one")
        with ExitStack() as leaving:
            plug = leaving.enter_context(plugged(self._spec, bound=self._model is not None))
            if self._model is not None:
                plug.bind(self._model)
            plug.leaving = leaving.pop_all()  # the plugs that are in are kept; the models that they serve are not
        self._plug = plug
        return plug.report

    def __exit__(self, *raised: Any) -> None:
        """Put back what was found; without an exception, raise unless the losses were called and got gradients."""
        plug, self._plug = self._plug, None
        if plug is None or plug.leaving is None:
            raise refusal("patched", "this context is not in force", "leaving after entering", "use it by `with`")
        plug.leaving.__exit__(*raised)
        if raised[0] is None:
            for slot in plug.slots:
                slot.require_call_and_gradient()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """As a decorator: a context of its own for each call."""

        @functools.wraps(function)
        def inside(*arguments: Any, **named: Any) -> Any:
            with Patched(self._spec, self._model):
                return function(*arguments, **named)

        return inside
