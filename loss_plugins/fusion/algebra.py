"""Exact simplification of a recorded graph: fewer operations, the same numbers.

Autograd's formulas are written one operation at a time: they negate twice, divide by 1, multiply by 2 and halve again,
and ask four times which of two numbers is the smaller. Here each value is a *term*, a power of two (with sign) times
the result of an operation, and only what is left of the factors in the end is computed. Products with powers of two
are exact (but for subnormal numbers), so results stay what they were, bit for bit. What would be computed twice is
computed once.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Graph, Node

from . import columns
from .private import changes_its_argument, operation, spoken
from .recorder import Described
from .tracing import SAMPLE_ROWS, NotTraceable


class Term(NamedTuple):
    """scale * node; where there is no node, `scale` in every row."""

    node: Node | None
    scale: float


COMMUTATIVE = {torch.add, torch.mul, torch.minimum, torch.maximum}
#: functions of `torch`, which are called faster than the ATen operations of the same name
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function
    for function in (
        torch.abs, torch.atan, torch.atan2, torch.bitwise_and, torch.bitwise_not, torch.bitwise_or, torch.clamp,
        torch.clamp_max, torch.clamp_min, torch.cos, torch.eq, torch.erf, torch.exp, torch.exp2, torch.expm1,
        torch.floor, torch.ge, torch.gt, torch.isfinite, torch.le, torch.log, torch.log1p, torch.log2,
        torch.logical_and, torch.logical_not, torch.logical_or, torch.lt,
        torch.maximum, torch.minimum, torch.ne, torch.neg, torch.pow, torch.reciprocal,
        torch.relu, torch.rsqrt, torch.sigmoid, torch.sign, torch.sin, torch.sqrt, torch.tanh, torch.where,
    )
}  # fmt: skip
#: operations that hand their argument on
SAME = {"detach", "alias", "clone", "lift_fresh", "lift_fresh_copy"}
#: operations that make a tensor of one number, and that number
FILLED: dict[str, Callable[[Node], Any]] = {
    "scalar_tensor": lambda node: node.args[0],
    "zeros": lambda node: 0.0,
    "ones": lambda node: 1.0,
    "full": lambda node: node.args[1],
    "zeros_like": lambda node: 0.0,
    "ones_like": lambda node: 1.0,
    "new_zeros": lambda node: 0.0,
    "new_ones": lambda node: 1.0,
    "full_like": lambda node: node.args[1],
    "new_full": lambda node: node.args[2],
}


def simplify(graph: Graph, inputs: list[Tensor], *, finite: bool = True) -> Graph:
    """The same function in fewer operations, as calls of functions of `torch`.

    Args:
        graph: what `trace` recorded.
        inputs: the sample that it was recorded on.
        finite: no gradient is infinite before a slope of 0 or 1 multiplies it, so that 0 times it is 0.

    Returns:
        A graph whose nodes hold in `meta["sample"]` what they are on the sample.

    Raises:
        NotTraceable: an operation changes its argument, or depends on the number of rows.
    """
    simplifier = Simplifier(inputs, finite)
    for node in graph.nodes:
        simplifier.visit(node)
    simplifier.graph.eliminate_dead_code()
    return simplifier.graph


class Simplifier:
    """Reads a recorded graph node by node and writes another; `RULES` says what becomes of an operation."""

    def __init__(self, inputs: list[Tensor], finite: bool) -> None:
        self.graph = Graph()
        self._rules = RULES if finite else {name: rule for name, rule in RULES.items() if name not in SLOPES}
        self._inputs, self._device = iter(inputs), inputs[0].device
        self._terms: dict[Node, Term] = {}
        self._known: dict[Any, Node] = {}

    # --- reading -----------------------------------------------------------------------------------------------------

    def visit(self, node: Node) -> None:
        """Take over one node of the recorded graph."""
        if node.op == "get_attr":
            raise NotTraceable(
                "it makes a tensor of its own, as a list of indices is, which is not made anew in each call"
            )
        if node.op == "placeholder":
            new = self.graph.placeholder(str(node.target))
            new.meta["sample"] = next(self._inputs)
            self._terms[node] = Term(new, 1.0)
        elif node.op == "output":
            results: Any = node.args[0]
            self.graph.output(tuple(self.whole(result) for result in results))
        else:
            self._terms[node] = self._term_of(node)

    def read(self, argument: Any) -> Term:
        """What an argument of a recorded operation has become."""
        return self._terms[argument] if isinstance(argument, Node) else Term(None, float(argument))

    def _term_of(self, node: Node) -> Term:
        name, value = operation(node), node.meta.get("val")
        if not isinstance(value, Described) or not value.dtype.is_floating_point:
            return self._as_it_is(node)
        if name in FILLED:
            return Term(None, float(FILLED[name](node)))
        if name in SAME or (name == "expand" and self.read(node.args[0]).node is None):
            return self.read(node.args[0])
        term = self._rules[name](self, node) if name in self._rules else None
        if term is None or (term.node is not None and term.node.meta["sample"].ndim < len(value.shape)):
            return self._as_it_is(node)  # a number without dimension times ones is a column, which may be reshaped
        return term

    def _as_it_is(self, node: Node) -> Term:
        function: Any = node.target
        if changes_its_argument(node):
            raise NotTraceable(f"{spoken(node)} changes its argument")
        if any(SAMPLE_ROWS in argument for argument in node.args if isinstance(argument, (list, tuple))):
            raise NotTraceable(f"{spoken(node)} is given the number of rows, and holds only for as many")
        args, kwargs = torch.fx.map_arg((node.args, dict(node.kwargs)), self.whole)
        column = self._taken_apart(node, args)
        if column is not None:
            return Term(column, 1.0)
        return Term(self.emit(function if kwargs else FUNCTIONS.get(operation(node), function), *args, **kwargs), 1.0)

    def _taken_apart(self, node: Node, args: Any) -> Node | None:
        """The column itself, where columns are stacked and then taken apart again."""
        if node.target is operator.getitem and operation(args[0]) == "unbind":
            (stacked, axis), index = _with_axis(args[0]), args[1]
        elif operation(node) == "select":
            stacked, axis, index = args
        else:
            return None
        if operation(stacked) != "stack":
            return None
        columns, own_axis = _with_axis(stacked)
        rank = stacked.meta["sample"].ndim
        column: Node | None = columns[index] if own_axis % rank == axis % rank else None
        return column

    # --- writing -----------------------------------------------------------------------------------------------------

    def emit(self, function: Any, *args: Any, **kwargs: Any) -> Node:
        """The node of this call; the one that is there already if there is one."""
        key = _key(function, args, kwargs)
        if key not in self._known:
            node = self.graph.call_function(function, args, kwargs)
            on_sample = torch.fx.map_arg((args, kwargs), lambda argument: argument.meta["sample"])
            node.meta["sample"] = function(*on_sample[0], **on_sample[1])
            self._known[key] = node
        return self._known[key]

    def whole(self, recorded: Node) -> Node:
        """What a recorded node has become, factors included and in full shape."""
        node, scale = self._terms[recorded]
        if node is None:
            meta = recorded.meta["val"]
            return self.filled(scale, meta, meta.shape)
        return self.scaled(node, scale)

    def scaled(self, node: Node, scale: float) -> Node:
        """scale * node as a node."""
        if scale == 1:
            return node
        return self.emit(torch.neg, node) if scale == -1 else self.emit(torch.mul, node, scale)

    def filled(self, value: float, meta: Any, shape: Sequence[int]) -> Node:
        """A tensor of one number, of that shape and of the type that `meta` says."""
        if not shape:
            return self.emit(torch.full, (), value, dtype=meta.dtype, device=self._device)
        for node in self.graph.nodes:
            sample = node.meta.get("sample")
            if isinstance(sample, Tensor) and sample.shape == shape and sample.dtype == meta.dtype:
                return self.emit(torch.full_like, node, value)
        raise NotTraceable(f"no tensor of shape {tuple(shape)} to fill")

    # --- terms -------------------------------------------------------------------------------------------------------

    def product(self, a: Term, b: Term) -> Term:
        """a * b."""
        if a.node is not None and b.node is not None:
            return Term(self.emit(torch.mul, a.node, b.node), a.scale * b.scale)
        number, value = (a, b) if a.node is None else (b, a)
        if value.node is None or _is_power_of_two(number.scale):
            return Term(value.node, number.scale * value.scale)
        return Term(self.emit(torch.mul, value.node, number.scale), value.scale)

    def sum(self, a: Term, b: Term) -> Term:
        """a + b."""
        if a.node is None or b.node is None:
            return self._shifted(b, a.scale) if a.node is None else self._shifted(a, b.scale)
        if a.node is b.node and _is_power_of_two(a.scale + b.scale):
            return Term(a.node, a.scale + b.scale)
        if a.scale == b.scale:
            return Term(self.emit(torch.add, a.node, b.node), a.scale)
        if a.scale == -b.scale:
            difference = self.difference(a.node, b.node)
            return Term(difference.node, difference.scale * a.scale)
        large, small = (a, b) if abs(a.scale) >= abs(b.scale) else (b, a)
        assert large.node is not None
        return Term(self.emit(torch.add, large.node, small.node, alpha=small.scale / large.scale), large.scale)

    def _shifted(self, value: Term, number: float) -> Term:
        if value.node is None:
            return Term(None, value.scale + number)
        return value if number == 0 else Term(self.emit(torch.add, value.node, number / value.scale), value.scale)

    def difference(self, a: Node, b: Node) -> Term:
        """a - b, or -(b - a) where b - a is there already."""
        reverse = self._known.get(_key(torch.sub, (b, a), {}))
        return Term(self.emit(torch.sub, a, b), 1.0) if reverse is None else Term(reverse, -1.0)

    def step(self, a: Node, b: Node) -> Term:
        """1 where a > b, 0 where a < b, 1/2 where they are equal: the slope of max(a, b) in a."""
        difference = self.difference(a, b)
        assert difference.node is not None
        return self.sum(Term(None, 0.5), Term(self.emit(torch.sign, difference.node), 0.5 * difference.scale))


def _is_power_of_two(number: float) -> bool:
    return math.isfinite(number) and abs(math.frexp(number)[0]) == 0.5


def _with_axis(node: Node) -> tuple[Any, int]:
    """What `stack` and `unbind` work on, and along which axis."""
    axis: Any = node.args[1] if len(node.args) > 1 else 0
    return node.args[0], axis


def _key(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if function in COMMUTATIVE and not kwargs:
        args = tuple(sorted(args, key=str))
    return function, _hashable(args), _hashable(tuple(kwargs.items()))


def _hashable(argument: Any) -> Any:
    if isinstance(argument, (list, tuple)):
        return tuple(_hashable(item) for item in argument)
    # 1, 1.0 and True are equal, 0.0 and -0.0 too, but they are different arguments
    return argument if isinstance(argument, Node) else (type(argument), repr(argument))


# --- rules: from an operation to a term; None where the operation is to stay as it is ---------------------------------


def _alpha(node: Node) -> float:
    """The factor that ATen's additions and subtractions may have."""
    return float(node.kwargs.get("alpha", node.args[2] if len(node.args) > 2 else 1))  # type: ignore[arg-type]


def _neg(s: Simplifier, node: Node) -> Term:
    return s.product(s.read(node.args[0]), Term(None, -1.0))


def _mul(s: Simplifier, node: Node) -> Term:
    return s.product(s.read(node.args[0]), s.read(node.args[1]))


def _add(s: Simplifier, node: Node) -> Term:
    one, other = s.read(node.args[0]), s.read(node.args[1])
    stack = columns.added(s, one.node, other.node) if one.scale == other.scale == _alpha(node) == 1 else None
    return s.sum(one, s.product(other, Term(None, _alpha(node)))) if stack is None else Term(stack, 1.0)


def _in_place_of_cut(s: Simplifier, node: Node) -> Term | None:
    stack = columns.in_place_of_cut(s, node)
    return None if stack is None else Term(stack, 1.0)


def _sub(s: Simplifier, node: Node) -> Term:
    return s.sum(s.read(node.args[0]), s.product(s.read(node.args[1]), Term(None, -_alpha(node))))


def _rsub(s: Simplifier, node: Node) -> Term:
    return s.sum(s.read(node.args[1]), s.product(s.read(node.args[0]), Term(None, -_alpha(node))))


def _div(s: Simplifier, node: Node) -> Term | None:
    above, below = s.read(node.args[0]), s.read(node.args[1])
    if node.kwargs:  # with rounding
        return None
    if above.node is not None and below.node is not None:
        return Term(s.emit(torch.div, above.node, below.node), above.scale / below.scale)
    if above.node is not None:
        if _is_power_of_two(below.scale):
            return Term(above.node, above.scale / below.scale)
        return Term(s.emit(torch.div, above.node, below.scale), above.scale)
    if below.node is not None and _is_power_of_two(above.scale):
        return Term(s.emit(torch.reciprocal, below.node), above.scale / below.scale)
    return None


def _pow(s: Simplifier, node: Node) -> Term | None:
    base, exponent = s.read(node.args[0]), node.args[1]
    if exponent == 1:
        return base
    return s.product(base, base) if exponent == 2 else None


def _abs(s: Simplifier, node: Node) -> Term | None:
    value = s.read(node.args[0])
    return None if value.node is None else Term(s.emit(torch.abs, value.node), abs(value.scale))


def _relu(s: Simplifier, node: Node) -> Term | None:
    value = s.read(node.args[0])
    return None if value.node is None or value.scale < 0 else Term(s.emit(torch.relu, value.node), value.scale)


def _threshold_backward(s: Simplifier, node: Node) -> Term | None:
    """The derivative of relu: g where its result is above 0."""
    gradient, result, threshold = s.read(node.args[0]), s.read(node.args[1]), node.args[2]
    if threshold != 0 or result.node is None or result.node.target is not torch.relu:
        return None
    return s.product(gradient, Term(s.emit(torch.sign, result.node), 1.0))


def _where(s: Simplifier, node: Node) -> Term | None:
    """A factor that both choices have, 0 having any, comes out."""
    condition, yes, no = (s.read(argument) for argument in node.args)
    values = [term for term in (yes, no) if term.node is not None]
    if condition.node is None or not values:
        return None
    scale = values[0].scale
    if any(term.scale not in (scale, 0.0) if term.node is None else term.scale != scale for term in (yes, no)):
        scale = 1.0
    choices = (t.scale / scale if t.node is None else s.scaled(t.node, t.scale / scale) for t in (yes, no))
    return Term(s.emit(torch.where, condition.node, *choices), scale)


def _masked_fill(s: Simplifier, node: Node) -> Term | None:
    """The derivative of minimum and maximum: g where the argument is the one chosen, g / 2 where both are equal."""
    filled, mask, value = node.args
    if not isinstance(filled, Node) or not isinstance(mask, Node) or operation(filled) != "where" or value != 0:
        return None
    equal, halved, chosen = filled.args
    if not isinstance(equal, Node) or operation(equal) != "eq" or mask.args != equal.args or len(filled.users) > 1:
        return None
    half, full = s.read(halved), s.read(chosen)
    if half.node is not full.node or half.scale * 2 != full.scale:
        return None
    a, b = (s.whole(argument) for argument in mask.args)  # type: ignore[arg-type]
    slope = {"lt": (a, b), "gt": (b, a)}.get(operation(mask))
    return None if slope is None else s.product(full, s.step(*slope))


def _bce(s: Simplifier, node: Node) -> Term | None:
    """(1 - y) x - log sigmoid(x), as ATen computes it; 1 - y is often there already."""
    x, y, *rest = (*node.args, None, None, None)[:5]
    if rest[:2] != [None, None] or rest[2] != 0 or not isinstance(x, Node):
        return None
    negative = s.product(s.sum(Term(None, 1.0), s.product(s.read(y), Term(None, -1.0))), s.read(x))
    return s.sum(negative, Term(s.emit(torch.nn.functional.logsigmoid, s.whole(x)), -1.0))


def _sigmoid_backward(s: Simplifier, node: Node) -> Term:
    """g (1 - p) p, as ATen computes it."""
    gradient, p = s.read(node.args[0]), s.read(node.args[1])
    return s.product(s.product(gradient, s.sum(Term(None, 1.0), s.product(p, Term(None, -1.0)))), p)


#: rules that write a choice as a product with 0 or 1
SLOPES = ("threshold_backward", "masked_fill")
RULES: dict[str, Callable[[Simplifier, Node], Term | None]] = {
    "neg": _neg,
    "mul": _mul,
    "add": _add,
    "sub": _sub,
    "rsub": _rsub,
    "div": _div,
    "pow": _pow,
    "abs": _abs,
    "relu": _relu,
    "binary_cross_entropy_with_logits": _bce,
    "sigmoid_backward": _sigmoid_backward,
    "threshold_backward": _threshold_backward,
    "where": _where,
    "select_backward": _in_place_of_cut,
    "slice_backward": _in_place_of_cut,
    "masked_fill": _masked_fill,
}
