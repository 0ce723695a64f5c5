"""A copy of a loss, or a pickled one, computes what the loss computes, whatever its name stands for by then."""

from __future__ import annotations

import copy
import gc
import importlib
import io
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import loss_plugins as lp
from loss_plugins.catalog.entries import _LIVING
from loss_plugins.module.loss import CLASSES

NAME = "copied_own"
PRED, TARGET = torch.tensor([[0.0, 0, 4, 4], [1, 1, 3, 5]]), torch.tensor([[1.0, 0, 4, 6], [0, 0, 3, 3]])
Function = Callable[..., Tensor]


@pytest.fixture(autouse=True)
def _free_name() -> Iterator[None]:
    yield
    if NAME in lp.list_losses():
        lp.unregister_loss(NAME)


def scaled(factor: float) -> Function:
    def own(pred: Tensor, target: Tensor, *, power: float = 1.0) -> Tensor:
        return factor * (pred - target).abs().pow(power).sum(-1)

    return own


def scaled_by_a_tensor(factor: float) -> Function:
    factors = torch.tensor([factor, 1.0, 1.0, 1.0])

    def own(pred: Tensor, target: Tensor) -> Tensor:
        return ((pred - target).abs() * factors).sum(-1)

    return own


def scaled_by_a_function(factor: float) -> Function:
    def scale(difference: Tensor) -> Tensor:
        return difference * factor

    def own(pred: Tensor, target: Tensor) -> Tensor:
        return scale(pred - target).abs().sum(-1)

    return own


def scaled_by_default(factor: float) -> Function:
    def own(pred: Tensor, target: Tensor, *, scale: float = factor) -> Tensor:
        return scale * (pred - target).abs().sum(-1)

    return own


def scaled_in_code(factor: float) -> Function:
    text = f"def own(pred, target):\n    return {factor} * (pred - target).abs().sum(-1)"
    names: dict[str, Any] = {"__name__": __name__}
    exec(text, names)
    function: Function = names["own"]
    return function


MAKERS = (scaled, scaled_by_a_tensor, scaled_by_a_function, scaled_by_default, scaled_in_code)


def registered(function: Function, **said: Any) -> lp.Loss:
    function.__qualname__ = "own"  # as a cell of a notebook that is edited and runs again
    lp.register_loss(NAME, **said)(function)
    return lp.build_loss(NAME)


def in_model(loss: lp.Loss) -> lp.Loss:
    model = nn.Sequential(nn.Linear(4, 4))
    model.loss = loss
    return copy.deepcopy(model).eval().loss  # type: ignore[return-value]


def average(loss: lp.Loss) -> lp.Loss:
    from ultralytics.utils.torch_utils import ModelEMA

    model = nn.Sequential(nn.Linear(4, 4))
    model.loss = loss
    return ModelEMA(model).ema.loss  # type: ignore[no-any-return]


def saved(loss: lp.Loss) -> lp.Loss:
    file = io.BytesIO()
    torch.save(nn.ModuleDict({"loss": loss}), file)
    file.seek(0)
    return torch.load(file, weights_only=False)["loss"]  # type: ignore[no-any-return]


def in_mix(loss: lp.Loss) -> lp.Loss:
    mix = lp.build_loss("mix", losses=["iou"])
    mix.members[0] = loss  # type: ignore[index]
    return copy.deepcopy(mix).members[0]  # type: ignore[index,return-value]


def pickled(loss: lp.Loss) -> lp.Loss:
    return pickle.loads(pickle.dumps(loss))  # type: ignore[no-any-return]


COPIES = (copy.copy, copy.deepcopy, in_model, average, in_mix, pickled, saved)
copying = pytest.mark.parametrize("copied", COPIES)


def value_and_gradient(loss: lp.Loss) -> tuple[float, Tensor]:
    pred = PRED.clone().requires_grad_()
    value = loss(pred, TARGET)
    value.backward()
    assert pred.grad is not None
    return value.item(), pred.grad


@copying
@pytest.mark.parametrize("make", MAKERS)
def test_a_live_loss_and_its_copies_keep_their_function(make: Callable[[float], Function], copied: Any) -> None:
    loss = registered(make(1.0))
    before = value_and_gradient(loss)
    newer = registered(make(3.0))
    assert value_and_gradient(newer)[0] != before[0]
    lp.unregister_loss(NAME)
    for twin in (loss, copied(loss), copied(copied(loss))):
        torch.testing.assert_close(value_and_gradient(twin), before)
        assert type(twin) is type(loss)
    registered(make(5.0))
    torch.testing.assert_close(value_and_gradient(copied(loss)), before)
    assert float(lp.build_loss(NAME)(PRED, TARGET)) != before[0]


@copying
def test_a_copy_keeps_its_own_denominator_and_statistic(copied: Any) -> None:
    function = scaled(1.0)
    loss = registered(function, denominator=lambda pred, target, **parameters: pred.new_tensor(4.0))
    before = float(loss(PRED, TARGET))
    registered(function, denominator=lambda pred, target, **parameters: pred.new_tensor(8.0))
    assert float(copied(loss)(PRED, TARGET)) == before == 2 * float(lp.build_loss(NAME)(PRED, TARGET))


class Derived(lp.CIoULoss):
    """A class that a user derived."""


@copying
def test_a_class_derived_from_one_that_was_made_is_not_copied_as_that(
    copied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = type(registered(scaled(1.0)))
    derived = type("Twice", (base,), {"forward": lambda self, *given: 2 * base.forward(self, *given)})
    monkeypatch.setitem(globals(), "Twice", derived)  # pickle looks a class up by module and name
    derived.__module__ = __name__
    assert type(copied(Derived())) is Derived
    assert float(copied(derived())(PRED, TARGET)) == 2 * float(base()(PRED, TARGET))


@copying
@pytest.mark.parametrize(
    "members",
    [["ciou", "giou"], ["l1", "mse"], ["cross_entropy", "softmax_focal"], ["focal", "bce_with_logits"],
     ["dice", "tversky"], ["hinge_embedding"], ["kld", "gwd"]],
    ids=str,
)  # fmt: skip
def test_a_copy_of_a_mix_is_of_the_kind_of_its_members(members: list[str], copied: Any) -> None:
    mix = lp.build_loss("mix", losses=members)
    twin = copied(mix) if copied is not in_mix else copy.deepcopy(nn.ModuleList([mix]))[0]
    assert twin.entry == mix.entry
    assert twin.labels == mix.labels


# --- in another process ---------------------------------------------------------------------------------------------

OWN = """
from loss_plugins import register_loss

@register_loss("copied_own")
def own(pred, target, *, power=1.0):
    "A loss of one's own."
    return (pred - target).abs().pow(power).sum(-1)
"""


class Process:
    """A file of losses, and all that a process knows of it."""

    def __init__(self, folder: Path, text: str = OWN, module: str = "copied_own_losses") -> None:
        self.module, self.file = module, folder / f"{module}.py"
        self.file.write_text(text)

    def __enter__(self) -> Process:
        importlib.invalidate_caches()
        importlib.import_module(self.module)
        return self

    def __exit__(self, *error: Any) -> None:
        if NAME in lp.list_losses():
            lp.unregister_loss(NAME)
        forget(self.module)


def forget(module: str) -> None:
    """As if a new process began: nothing of the module is left, nor of its loss."""
    sys.modules.pop(module, None)
    CLASSES.pop("CopiedOwnLoss", None)
    for key in [key for key in _LIVING if key[0] == NAME]:
        del _LIVING[key]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget("copied_own_losses")
    return tmp_path


def dumped(folder: Path, text: str = OWN, module: str = "copied_own_losses") -> tuple[bytes, float]:
    with Process(folder, text, module):
        loss = lp.build_loss(NAME, power=2.0)
        result = pickle.dumps(nn.ModuleDict({"loss": loss})), float(loss(PRED, TARGET))
        del loss
    return result


def refused(data: bytes, *words: str) -> str:
    with pytest.raises(ValueError, match=rf"^{NAME}: .*; allowed: the function that it was saved with; ") as caught:
        pickle.loads(data)
    text = str(caught.value)
    assert all(word in text for word in words), text
    return text


HARMLESS = {
    "the same": OWN,
    "another docstring and a comment": OWN.replace("A loss of one's own.", "Mine.").replace("@", "# mine\n@"),
    "another traits": OWN.replace('"copied_own"', '"copied_own", use_when="always"'),
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize("imported", [True, False], ids=["imported before", "imported by pickle"])
def test_a_loss_of_an_importable_module_loads_in_another_process(folder: Path, text: str, imported: bool) -> None:
    data, value = dumped(folder)
    process = Process(folder, text)
    try:
        if imported:
            process.__enter__()
        assert float(pickle.loads(data)["loss"](PRED, TARGET)) == value
    finally:
        process.__exit__()


OTHER = {
    "code": OWN.replace(".sum(-1)", ".mean(-1)"),
    "a number in it": OWN.replace("return ", "return 3 * "),
    "a default": OWN.replace("power=1.0", "power=2.0"),
    "a denominator": OWN.replace('"copied_own"', '"copied_own", denominator=lambda pred, target, **more: 2.0'),
    "another function": OWN.replace("def own", "def other").replace(".sum(-1)", ".mean(-1)"),
}


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_a_loss_whose_name_means_something_else_now_is_refused(folder: Path, text: str) -> None:
    data, _ = dumped(folder)
    with Process(folder, text):
        refused(data, "saved with copied_own_losses.own", "state_dict()", "build_loss('copied_own')")
    with Process(folder, text, "copied_other_losses"):
        refused(data, "state_dict()")
        Process(folder).file.write_text(OWN)
        refused(data, "copied_other_losses.o", "unregister_loss('copied_own'), import copied_own_losses")
        lp.unregister_loss(NAME)
        forget("copied_other_losses")
        assert pickle.loads(data)["loss"].spec()["power"] == 2.0, "what the message says helps"


def test_a_loss_is_not_another_one_for_an_array_that_it_closes_over() -> None:
    lp.register_loss(NAME)(times(np.array([1.0])))
    data = pickle.dumps(lp.build_loss(NAME))
    lp.unregister_loss(NAME)
    forget_living()
    lp.register_loss(NAME)(times(np.array([100.0])))
    with pytest.raises(ValueError, match=r"whose code or defaults have changed since"):
        pickle.loads(data)


def times(array: Any) -> Function:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs().sum(-1) * float(array[0])

    return own


def forget_living() -> None:
    gc.collect()
    _LIVING.clear()


def test_a_loss_that_is_nowhere_is_refused_by_name(folder: Path) -> None:
    data, _ = dumped(folder)
    (folder / "copied_own_losses.py").write_text("")
    importlib.invalidate_caches()
    refused(data, "copied_own_losses.own", "no loss that is registered here", "import copied_own_losses")
    forget("copied_own_losses")
    (folder / "copied_own_losses.py").unlink()
    importlib.invalidate_caches()
    refused(data, "copied_own_losses.own")


def test_a_loss_of_a_script_loads_where_the_script_is_imported_and_in_the_processes_that_it_spawns(
    folder: Path,
) -> None:
    script = folder / "copied_own_losses.py"
    body = """
    import multiprocessing, pickle, sys
    import torch, loss_plugins as lp
    def child(data, answers):
        answers.put(float(pickle.loads(data)["loss"](torch.zeros(2, 4), torch.ones(2, 4))))
    if __name__ == "__main__":
        data = pickle.dumps(torch.nn.ModuleDict({"loss": lp.build_loss("copied_own", power=2.0)}))
        open(sys.argv[1], "wb").write(data)
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        process = context.Process(target=child, args=(data, answers))
        process.start()
        print(answers.get(timeout=120))
        process.join()
    """
    script.write_text(OWN + textwrap.dedent(body))
    output = subprocess.run([sys.executable, script, folder / "data"], capture_output=True, text=True, check=False)
    assert output.stdout.split() == ["4.0"], output.stderr
    with Process(folder, script.read_text()):
        assert float(pickle.loads((folder / "data").read_bytes())["loss"](PRED, TARGET)) > 0
    refused((folder / "data").read_bytes(), "__main__.own", "move the function to a file")
