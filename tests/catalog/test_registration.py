"""What would corrupt a spec, or fail at the first batch, is refused when a loss of one's own is registered."""

from __future__ import annotations

import inspect
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.registration import WORDS
from loss_plugins.module.loss import Loss

from ..house.wrong_values import refused

NAME = "registered_own"
PRED, TARGET = torch.tensor([[0.0, 0, 4, 4], [1, 1, 3, 5]]), torch.tensor([[1.0, 0, 4, 6], [0, 0, 3, 3]])
#: imports and names that a file with a loss may have
HEAD = "import loss_plugins as lp\nimport math, torch\nfrom torch import Tensor\n"


@pytest.fixture(autouse=True)
def _free_name() -> Iterator[None]:
    yield
    if NAME in lp.list_losses():
        lp.unregister_loss(NAME)


def cost(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().sum(-1)


def with_keyword(keyword: str) -> Callable[..., Tensor]:
    """A function that has `keyword`, as "alpha: float = 2.0"."""
    names: dict[str, Any] = {"__name__": __name__, "lp": lp, "Annotated": Annotated, "Literal": Literal, "math": math}
    name = keyword.partition(":")[0].partition("=")[0].strip()
    exec(f"def own(pred, target, *, {keyword}):\n    return (pred - target).abs().sum(-1) * {name}", names)
    function: Callable[..., Tensor] = names["own"]
    return function


# --- words of a spec ------------------------------------------------------------------------------------------------


def words() -> set[str]:
    """What a spec holds beside parameters, and what is named where one is built."""
    spec = {**lp.build_loss("l1").spec(), **lp.build_loss("ciou", compile=False).spec()}
    parameters = {*lp.get_entry("l1").parameters, *lp.get_entry("ciou").parameters}
    named = [
        name
        for call in (lp.build_loss, Loss.__init__)
        for name, parameter in inspect.signature(call).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return {*spec, *named, "losses"} - parameters


def test_words_of_a_spec_are_no_keywords() -> None:
    assert {"type", "reduction", "loss_weight", "compile", "self", "losses"} <= words()
    for word in words() | {"dialect"}:
        refused(lambda: lp.register_loss(NAME)(with_keyword(f"{word}=1.0")), NAME, repr(word), "")  # noqa: B023
        assert NAME not in lp.list_losses()


@pytest.mark.parametrize(
    "word",
    ["name", "training", "forward", "entry", "fused", "labels", "fixed", "statistics", "parameters", "members",
     "function", "box_format", "dtype", "device", "args", "positional", "unknown", "cls", "parameters_given",
     "constants", "T_destination", "arguments", "avg_factor", "ignore_index", "where", "value", "names"],
)  # fmt: skip
def test_any_other_keyword_reaches_the_function_and_comes_back_in_the_spec(word: str) -> None:
    lp.register_loss(NAME)(with_keyword(f"{word}=1.0"))
    loss = lp.build_loss({"type": NAME, word: 2.0})
    assert loss.spec()[word] == 2.0
    for twin in (loss, lp.build_loss(loss.spec()), pickle.loads(pickle.dumps(loss))):
        assert twin(PRED, TARGET).item() == 2 * cost(PRED, TARGET).mean().item()


# --- defaults -------------------------------------------------------------------------------------------------------

WRONG_DEFAULTS = [
    ("a: Annotated[float, lp.Interval(0, 1)] = 5.0", "5.0"), ("a: Annotated[int, lp.Interval(0, 9)] = 1.5", "1.5"),
    ("a: int = 'x'", "'x'"), ("a: int = 2.5", "2.5"), ("a: bool = 0", "0"), ("a: float = math.nan", "nan"),
    ("a: float = math.inf", "inf"), ("a=math.nan", "nan"), ("a: Literal['x', 'y'] = 'z'", "'z'"),
    ("a: Annotated[str, lp.Choice('x', 'y')] = 'z'", "'z'"),
    ("a: Annotated[list[float], lp.Series(2, lp.Interval(0, 1))] = (0.5,)", "0.5"),
    ("a: Annotated[list[float], lp.PerClass(lp.Interval(0))] = (-1.0,)", "-1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("keyword", "came"), WRONG_DEFAULTS)
def test_a_default_out_of_its_own_range_is_refused(keyword: str, came: str) -> None:
    lp.register_loss(NAME)(with_keyword("a=2.0"))
    before = lp.get_entry(NAME)
    refused(lambda: lp.register_loss(NAME)(with_keyword(keyword)), NAME, "default a", came)
    assert lp.get_entry(NAME) is before, "what was registered stays"


@pytest.mark.parametrize(
    "keyword",
    ["a: Annotated[float, lp.Interval(0, 1)] = 0.5", "a: int = 2", "a: float = 1", "a: float | None = None",
     "a: Annotated[float | None, lp.Interval(0, 1)] = None", "a: bool = True", "a=math.inf",
     "a: Annotated[float, lp.Interval(0, 1)]"],
)  # fmt: skip
def test_a_default_in_its_range_can_be_built_again_from_the_spec(keyword: str) -> None:
    given = {} if "=" in keyword else {"a": 0.25}
    lp.register_loss(NAME)(with_keyword(keyword))
    spec = lp.build_loss(NAME, **given).spec()
    assert lp.build_loss(spec).spec() == spec


def test_the_defaults_of_the_catalogue_are_in_their_ranges() -> None:
    for entry in shipped():
        entry.check({key: each.default for key, each in entry.parameters.items() if not each.required})


# --- annotations and names ------------------------------------------------------------------------------------------


def defined(body: str) -> Any:
    """What a file with that text defines as `made`, annotations unevaluated."""
    names: dict[str, Any] = {"__name__": __name__}
    exec("from __future__ import annotations\n" + HEAD + body, names)
    return names["made"]


LOCAL = f"""
def made():
    from typing import Annotated as Noted
    share = lp.Interval(0, 1)
    @lp.register_loss("{NAME}")
    def own(pred, target, *, a: Noted[float, share] = 0.5):
        return (pred - target).abs().sum(-1) * a
"""
CHECKING = f"""
def made():
    @lp.register_loss("{NAME}")
    def own(pred, target, *, a: np.ndarray | None = None):
        return (pred - target).abs().sum(-1)
"""


def test_annotations_may_use_names_of_the_function_around() -> None:
    defined(LOCAL)()
    refused(lambda: lp.build_loss(NAME, a=2.0), NAME, "a", "2.0")
    assert lp.build_loss(NAME, a=1.0)(PRED, TARGET).item() == cost(PRED, TARGET).mean().item()


@pytest.mark.parametrize("hint", ["np.ndarray | None", "1 / 0", "Annotated[float, Interval(0, 1)]", "lp.Nothing"])
def test_an_annotation_that_cannot_be_read_is_named(hint: str) -> None:
    made = defined(CHECKING.replace("np.ndarray | None", hint))
    parts = refused(made, "own", "annotation a", hint)
    assert "TYPE_CHECKING" in parts["remedy"]
    assert NAME not in lp.list_losses()


def test_a_function_without_module_is_one_of_a_script() -> None:
    names: dict[str, Any] = {}
    exec("def own(pred, target):\n    return (pred - target).abs().sum(-1)", names)
    assert names["own"].__module__ is None or names["own"].__module__ == "builtins"
    names["own"].__module__ = None
    lp.register_loss(NAME)(names["own"])
    loss = lp.build_loss(NAME)
    for twin in (loss, pickle.loads(pickle.dumps(loss))):
        assert twin(PRED, TARGET).item() == cost(PRED, TARGET).mean().item()
    refused(lambda: lp.register_loss(NAME)(cost), "register_loss", "is taken by __main__.own", "")
    lp.register_loss(NAME)(names["own"])


# --- functions that belong to a loss ---------------------------------------------------------------------------------


def scaled(pred: Tensor, target: Tensor, *, a: float = 1.0) -> Tensor:
    return cost(pred, target) * a


@pytest.mark.parametrize(
    "denominator",
    [lambda: 1, lambda pred: 1, lambda pred, target: 1, lambda pred, target, more: 1, lambda pred, target, *, b: 1,
     lambda pred, target, *, a, b: 1],
)  # fmt: skip
def test_a_denominator_of_another_signature_is_refused(denominator: Any) -> None:
    parts = refused(lambda: lp.register_loss(NAME, denominator=denominator)(scaled), NAME, "denominator", "")
    assert parts["allowed"] == "(pred, target, *, a)"
    assert NAME not in lp.list_losses()


@pytest.mark.parametrize(
    "denominator",
    [lambda pred, target, **parameters: pred.new_tensor(2.0), lambda pred, target, *, a=1.0: pred.new_tensor(2.0),
     lambda pred, target, a=1.0: pred.new_tensor(2.0), lambda pred, target, *, a=1.0, b=2.0: pred.new_tensor(b)],
)  # fmt: skip
def test_a_denominator_that_can_be_called_is_taken(denominator: Any) -> None:
    lp.register_loss(NAME, denominator=denominator)(scaled)
    for given in ({}, {"a": 3.0}):
        value = lp.build_loss(NAME, **given)(PRED, TARGET).item()
        assert value == scaled(PRED, TARGET, **given).sum().item() / 2


@pytest.mark.parametrize("part", ["initial", "empty", "summary", "update"])
def test_a_running_statistic_of_another_signature_is_refused(part: str) -> None:
    parts: dict[str, Any] = {
        "initial": lambda parameters: torch.ones(()),
        "empty": lambda parameters: torch.zeros(()),
        "summary": lambda pred, target, weight, **parameters: torch.ones(()),
        "update": lambda value, summary: value + summary,
    }

    def own(pred: Tensor, target: Tensor, *, a: float = 1.0, seen: Tensor | None = None) -> Tensor:
        return cost(pred, target) * a

    for wrong in ({}, {part: lambda: 1}):
        own.__annotations__["seen"] = Annotated[Tensor | None, lp.State(**{**parts, **wrong})]
        lp.catalog.declare.keywords.cache_clear()
        if wrong:
            refused(lambda: lp.register_loss(NAME)(own), NAME, f"{part} of 'seen'", "")
        else:
            lp.register_loss(NAME)(own)
            lp.unregister_loss(NAME)


def test_a_running_statistic_has_the_size_that_a_parameter_says_or_is_refused() -> None:
    def own(pred: Tensor, target: Tensor, *, a: float = 1.0, seen: Tensor | None = None) -> Tensor:
        return cost(pred, target) * a

    own.__annotations__["seen"] = Annotated[Tensor | None, lp.State(**SUMS, sized_by="classes")]
    lp.catalog.declare.keywords.cache_clear()
    refused(lambda: lp.register_loss(NAME)(own), NAME, "'seen' is sized by 'classes', which is no parameter", "a")


@pytest.mark.parametrize(("name", "value"), [("late", 1), ("of_gradient", "yes"), ("sized_by", None)])
def test_what_else_is_said_of_a_running_statistic_has_its_type(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"State: {name}="):
        lp.State(**SUMS, **{name: value})


SUMS: dict[str, Any] = {
    "initial": lambda parameters: torch.ones(()),
    "empty": lambda parameters: torch.zeros(2),
    "summary": lambda pred, target, weight, **parameters: torch.stack([cost(pred, target).sum(), pred.new_ones(())]),
    "update": lambda value, summary: torch.where(summary[1] > 0, summary[0], value),
}


def with_annotation(keyword: str, hint: Any, text: str) -> Any:
    """A function with that keyword, whose annotation is no text."""
    names: dict[str, Any] = {"__name__": __name__, "torch": torch}
    exec(f"def own(pred, target, *, {keyword}=None):\n    return {text.replace('KEYWORD', keyword)}", names)
    names["own"].__annotations__[keyword] = hint
    return names["own"]


def names_of_a_module(loss: torch.nn.Module) -> set[str]:
    """Attributes of the class and of the object, those of torch's own module among them."""
    assert {"forward", "training", "_buffers"} <= set(dir(torch.nn.Module())) <= {*dir(loss)}
    return {name for name in (*dir(loss), *vars(loss), *dir(Loss)) if not name.startswith("__")}


def test_a_running_statistic_has_no_name_of_an_attribute_of_the_module() -> None:
    taken = names_of_a_module(lp.build_loss("l1")) | names_of_a_module(lp.build_loss("bce_with_logits"))
    assert {"training", "forward", "entry", "labels", "statistics", "fused"} <= taken
    for keyword in sorted(taken - WORDS.keys()):
        own = with_annotation(keyword, Annotated[Tensor, lp.State(**SUMS)], "(pred - target).abs().sum(-1) * KEYWORD")
        parts = refused(lambda: lp.register_loss(NAME)(own), NAME, repr(keyword), "")  # noqa: B023
        assert "the state dict" in parts["allowed"]
        assert NAME not in lp.list_losses()


@pytest.mark.parametrize("keyword", ["mean", "value", "before", "pending", "name", "where", "tensors", "seen", "state"])
def test_a_running_statistic_of_any_other_name_is_kept_copied_and_loaded(keyword: str) -> None:
    own = with_annotation(keyword, Annotated[Tensor, lp.State(**SUMS)], "(pred - target).abs().sum(-1) * KEYWORD")
    lp.register_loss(NAME)(own)
    loss, other = lp.build_loss(NAME), lp.build_loss(NAME)
    total = cost(PRED, TARGET).sum().item()
    assert loss(PRED, TARGET).item() == total * cost(PRED, TARGET).mean().item()
    assert list(loss.state_dict()) == [f"{keyword}.value"]
    other.load_state_dict(loss.state_dict())
    assert other.eval()(PRED, TARGET).item() == loss.eval()(PRED, TARGET).item()


def test_numbers_per_class_may_be_called_as_any_attribute_of_the_module() -> None:
    pred, target = torch.rand(5, 3), torch.rand(5, 3)
    numbers = torch.tensor([1.0, 2.0, 3.0])
    taken = names_of_a_module(lp.build_loss("bce_with_logits", pos_weight=[1.0, 2.0]).constants) | {"tensors"}
    for keyword in sorted(taken - WORDS.keys()):
        hint = Annotated[list[float] | None, lp.PerClass(lp.Interval(0))]
        lp.register_loss(NAME, kind="classification")(
            with_annotation(keyword, hint, "(pred - target).abs() * torch.as_tensor(KEYWORD)")
        )
        loss = lp.build_loss(NAME, **{keyword: numbers.tolist()})
        assert loss(pred, target).item() == pytest.approx(((pred - target).abs() * numbers).mean().item()), keyword
        lp.unregister_loss(NAME)


# --- what is left out -----------------------------------------------------------------------------------------------


def overlap(pred: Tensor, target: Tensor, ignored: Tensor | None = None, *, smooth: float = 1.0) -> Tensor:
    """One minus the share of the true pixels, of those that count."""
    p, t = pred.sigmoid(), target
    if t.shape != p.shape:
        t = torch.nn.functional.one_hot(t, p.shape[1]).movedim(-1, 1)
    if ignored is not None:
        p, t = p.masked_fill(ignored, 0), t.masked_fill(ignored, 0)
    return 1 - ((p * t).flatten(1).sum(1) + smooth) / (t.flatten(1).sum(1) + smooth)


def test_a_region_loss_is_told_what_is_left_out() -> None:
    torch.manual_seed(0)
    function = lp.register_loss(NAME, kind="region")(overlap)
    pred, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    labels[:, :, 3:] = 255
    loss = lp.build_loss(NAME, ignore_index=255)
    expected = overlap(pred[..., :3], labels[..., :3])  # the pixels that count, alone
    torch.testing.assert_close(loss(pred, labels), expected.mean())
    torch.testing.assert_close(function(pred, labels, ignore_index=255), expected)
    refused(lambda: lp.build_loss(NAME)(pred, labels), NAME, "label 255", "")
    assert lp.build_loss(loss.spec()).spec()["ignore_index"] == 255


def by_keyword(pred: Tensor, target: Tensor, *, ignored: Tensor | None = None) -> Tensor:
    return overlap(pred, target, ignored)


def without_default(pred: Tensor, target: Tensor, ignored: Tensor) -> Tensor:
    return overlap(pred, target, ignored)


@pytest.mark.parametrize("function", [by_keyword, without_default])
@pytest.mark.parametrize("kind", ["region", "classification", "box"])
def test_ignored_stands_before_the_keywords_and_is_none_by_default(kind: Any, function: Any) -> None:
    parts = refused(lambda: lp.register_loss(NAME, kind=kind)(function), NAME, "ignored", "")
    assert "before the *" in parts["remedy"]


def test_a_loss_without_labels_is_told_nothing() -> None:
    refused(lambda: lp.register_loss(NAME)(overlap), NAME, "takes ignored by position", "")
    refused(lambda: lp.register_loss(NAME, kind="region", targets=["dense"])(overlap), NAME, "ignored", "")


def by_any_keyword(pred: Tensor, target: Tensor, **power: float) -> Tensor:
    return (pred - target).abs().sum(-1)


def by_any_position(pred: Tensor, target: Tensor, *more: float) -> Tensor:
    return (pred - target).abs().sum(-1)


@pytest.mark.parametrize(("function", "came"), [(by_any_keyword, r"\*\*power"), (by_any_position, r"\*more")])
def test_hyper_parameters_have_names(function: Any, came: str) -> None:
    """No spec could set the others."""
    with pytest.raises(ValueError, match=rf"takes {came}.*, which no spec can set; .*name each hyper-parameter"):
        lp.register_loss("test_own")(function)


@pytest.mark.parametrize("targets", [(), []])
def test_a_loss_takes_some_form_of_a_target(targets: Any) -> None:
    with pytest.raises(ValueError, match=r"targets=.* leaves no form of a target; allowed: .*dense"):
        lp.register_loss("test_own", kind="classification", targets=targets)(without_default)
