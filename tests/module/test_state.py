"""Running statistics as modules: keys in checkpoints, precision, steps, and one state on all ranks."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.module.state import statistics_of
from loss_plugins.samples import ordinary

from ..two_ranks import STEPS, rows, run_two_ranks
from . import ranks
from .ranks import train

#: keys and shapes in the state dict of every loss that has a state by itself; none may ever change
CHECKPOINT: list[tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = [
    ({"type": "wiou"}, {"mean.value": (1,)}),
    ({"type": "ghm_c"}, {"counts.value": (10,)}),
    ({"type": "ema_slide"}, {"mean.value": (2,)}),  # the mean IoU, and how many updates it has seen
    ({"type": "uiou"}, {"progress.value": (1,)}),
    ({"type": "ghm_c", "bins": 30}, {"counts.value": (30,)}),
    *(
        ({"type": name, "num_classes": classes}, {key: shape})
        for classes in (None, 3)
        for name, key, shape in (
            ("seesaw", "counts.value", (4 if classes else 0,)),
            ("eqlv2", "gradients.value", (2, classes or 0)),
            ("efl", "gradients.value", (2, classes or 0)),
        )
    ),
    (
        {"type": "mix", "losses": ["giou", "wiou", {"type": "siou", "wise": 2}]},
        {"members.1.mean.value": (1,), "members.2.wise_mean.value": (1,)},
    ),
]
STATEFUL = [
    {"type": "wiou", "version": 3}, {"type": "ghm_c", "momentum": 0.5}, {"type": "eiou", "wise": 2},
    {"type": "eqlv2"}, {"type": "efl", "num_classes": 4},
]  # fmt: skip
PER_CLASS = {"type": "cross_entropy", "class_weight": [0.1, 1 / 3, 2.0]}
every_state = pytest.mark.parametrize("spec", STATEFUL, ids=str)


def learn(loss: lp.Loss, step: int = 0, count: int = 9) -> Tensor:
    pred, target = rows(loss.entry.kind, step, 0, count)
    found = loss(pred.requires_grad_(), target)
    if found.requires_grad:
        found.sum().backward()
    return found.detach()


def shapes(loss: lp.Loss) -> dict[str, tuple[int, ...]]:
    state = loss.state_dict()
    assert all(value.dtype == torch.float64 for value in state.values())
    assert state.keys() <= dict(loss.named_buffers()).keys(), "a key is the name of the buffer"
    return {key: tuple(value.shape) for key, value in state.items()}


# --- checkpoints ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "expected"), CHECKPOINT, ids=str)
def test_keys_and_shapes_in_a_checkpoint(spec: dict[str, Any], expected: dict[str, tuple[int, ...]]) -> None:
    assert shapes(lp.build_loss(spec)) == expected


def test_keys_and_shapes_of_all_other_losses() -> None:
    for entry in shipped():
        if entry.name not in {spec["type"] for spec, _ in CHECKPOINT}:
            assert shapes(lp.build_loss(entry.name, **entry.example)) == {}, entry.name
        if "wise" in entry.parameters:
            plain = shapes(lp.build_loss(entry.name, **entry.example))
            wise = lp.build_loss(entry.name, wise=3, **entry.example)
            assert shapes(wise) == {**plain, "wise_mean.value": (1,)}, entry.name


@every_state
def test_the_state_travels(spec: dict[str, Any]) -> None:
    loss, loaded = lp.build_loss(spec), lp.build_loss(spec)
    learn(loss)
    loaded.load_state_dict(loss.state_dict())
    for other in (loaded, copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        for step in (1, 2):
            assert torch.equal(learn(copy.deepcopy(loss), step), learn(copy.deepcopy(other), step))
        learn(other, 3)
        assert not same_state(other, loss), "a copy has a state of its own"


def same_state(one: lp.Loss, other: lp.Loss) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@every_state
def test_functional_call_takes_the_state_dict(spec: dict[str, Any]) -> None:
    loss, fresh = lp.build_loss(spec), lp.build_loss(spec).eval()
    learn(loss)
    pair = rows(loss.entry.kind, 1, 0, 9)
    outside = torch.func.functional_call(fresh, loss.state_dict(), pair)
    assert torch.equal(outside, loss.eval()(*pair))
    assert not torch.equal(outside, fresh(*pair))


# --- precision and device -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cast", ["half", "bfloat16", "float", "double", "to", "type"])
@pytest.mark.parametrize("spec", [*STATEFUL, PER_CLASS], ids=str)
def test_no_cast_rounds_buffers(spec: dict[str, Any], cast: str) -> None:
    loss = lp.build_loss(spec)
    if spec in STATEFUL:
        loss.begin_step()
        learn(loss)
    before = {name: buffer.clone() for name, buffer in loss.named_buffers()}
    assert before
    around = torch.nn.Sequential(torch.nn.Linear(2, 2), loss)
    getattr(around, cast)(*{"to": (torch.float16,), "type": (torch.bfloat16,)}.get(cast, ()))
    assert around[0].weight.dtype != torch.float32 or cast == "float"
    for name, buffer in loss.named_buffers():
        assert buffer.dtype == torch.float64
        assert torch.equal(buffer, before[name]), name


@pytest.mark.parametrize("spec", [*STATEFUL, PER_CLASS], ids=str)
def test_buffers_follow_the_module_to_its_device(spec: dict[str, Any]) -> None:
    loss = torch.nn.Sequential(lp.build_loss(spec)).to("meta", torch.float16)
    assert {buffer.device.type for buffer in loss.buffers()} == {"meta"}
    assert {buffer.dtype for buffer in loss.buffers()} == {torch.float64}


def test_numbers_per_class_belong_to_the_spec_and_not_to_the_state_dict() -> None:
    loss = lp.build_loss(PER_CLASS)
    assert not loss.state_dict()
    assert loss.spec()["class_weight"] == PER_CLASS["class_weight"]


def test_a_buffer_of_shape_1_does_not_change_the_shape_of_the_loss() -> None:
    loss = lp.build_loss({"type": "wiou", "version": 2})
    learn(loss)
    for count in (1, 5):
        pred, target = (part.float() for part in rows("box", 1, 0, count))
        for mean in (loss.mean.value, loss.mean.current, float(loss.mean.value)):
            for result in (
                lp.wiou_loss(pred, target, version=2, mean=mean),
                lp.giou_loss(pred, target, wise=3, wise_mean=mean),
            ):
                assert (result.shape, result.dtype) == ((count,), torch.float32)
            assert lp.wiou_loss(pred[0], target[0], version=3, mean=mean).shape == ()
        assert loss(pred, target).shape == ()
        assert loss(pred, target, reduction_override="none").shape == (count,)


@every_state
def test_updates_survive_the_compiler(spec: dict[str, Any]) -> None:
    # 0-dim float64 buffers do not: torch 2.9 loses their updates
    torch._dynamo.reset()
    plain, inner = lp.build_loss(spec), lp.build_loss(spec)
    compiled: Any = torch.compile(inner, fullgraph=True, backend="aot_eager")
    for step in range(3):
        torch.testing.assert_close(learn(compiled, step), learn(plain, step))
        torch.testing.assert_close(inner.state_dict(), plain.state_dict())


def test_a_size_is_learnt_by_the_compiler_though_a_hook_watches_buffers() -> None:
    # torch 2.9 leaves such a hook behind when torch.export fails, here of any loss, in the same process
    torch._dynamo.reset()
    plain, inner = lp.build_loss("eqlv2"), lp.build_loss("eqlv2")
    compiled: Any = torch.compile(inner, fullgraph=True, backend="aot_eager")
    seen = torch.nn.modules.module.register_module_buffer_registration_hook(lambda _module, name, _buffer: print(name))
    try:
        torch.testing.assert_close(learn(compiled), learn(plain))
    finally:
        seen.remove()
    torch.testing.assert_close(inner.state_dict(), plain.state_dict())


# --- steps ----------------------------------------------------------------------------------------------------------


@every_state
def test_sync_in_one_process_changes_nothing_however_often(spec: dict[str, Any]) -> None:
    synced, plain = lp.build_loss(spec), lp.build_loss(spec)
    for step in range(3):
        synced.begin_step()
        learn(synced, step)
        synced.sync()
        synced.sync()
        learn(plain, step)
        assert same_state(synced, plain)


@every_state
def test_sync_begins_the_next_step(spec: dict[str, Any]) -> None:
    once, each = lp.build_loss(spec), lp.build_loss(spec)
    once.begin_step()
    for step in range(3):
        each.begin_step()
        learn(each, step)
        learn(once, step)
        once.sync()
    assert same_state(once, each)


def test_sync_of_a_step_that_was_not_begun_is_refused() -> None:
    loss = lp.build_loss("mix", losses=["iou", {"type": "wiou", "version": 2}])
    learn(loss)
    with pytest.raises(RuntimeError, match=r"wiou: sync.*begin_step\(\)"):
        loss.sync()
    lp.build_loss("iou").sync()  # has no state, so there is no step


def test_a_mix_begins_the_steps_of_its_members() -> None:
    loss = lp.build_loss("mix", losses=[{"type": "mix", "losses": ["wiou"]}, {"type": "diou", "wise": 2}])
    loss.begin_step()
    assert [(part.name, part.in_step) for part in statistics_of([loss])] == [("mean", True), ("wise_mean", True)]


def test_two_ranks_have_the_state_of_one_process_with_all_rows_after_every_step() -> None:
    first, second = run_two_ranks(ranks.__file__)
    alone = train([[(step, rank, count) for rank, count in enumerate(counts)] for step, counts in enumerate(STEPS)])
    assert first == second
    for ours, whole in zip(first, alone, strict=True):
        assert ours == pytest.approx(whole, rel=1e-12)
    assert first[0] != first[1] != first[2] == first[3], "the last step has no rows on any rank"


@pytest.mark.parametrize("name", [entry.name for entry in shipped() if entry.traits.stateful])
def test_asking_why_a_call_is_not_fused_teaches_nothing(name: str) -> None:
    entry = lp.get_entry(name)
    loss = lp.build_loss(name, **entry.example).train()
    form = next(iter(entry.targets), "dense")
    pred, target = ordinary(entry.kind, form, entry.traits.scale)(8, seed=0)
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    loss.why_not_fused(pred.requires_grad_(), target)
    after = loss.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())
