"""Names, scopes, configs."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import mmdet.registry
import pytest
import torch
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS
from torch import Tensor

import loss_plugins
from loss_plugins import Interval, Traits, list_losses, register_loss, unregister_loss
from loss_plugins.adapters import mmdet as adapter
from loss_plugins.adapters.mmdet import registration
from loss_plugins.module.build import module_class
from loss_plugins.registry import LOSSES
from tools.wheel import ROOT

from ...packages import write
from ..interpreter import forked_python, fresh_python

PRED, TARGET = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 4, 2]])
PAPER = 0.8  # Efficient IoU by hand: 1 - 1/2 + 1/20 + (2/4)^2 + 0

register_all_modules(init_default_scope=True)


# --- our names stay in our scope --------------------------------------------------------------------------------------


def test_scoped_name_is_the_paper_and_the_unscoped_one_is_mmdets() -> None:
    ours, theirs = MODELS.build({"type": "loss_plugins.EIoULoss"}), MODELS.build({"type": "EIoULoss"})
    assert ours(PRED, TARGET).item() == pytest.approx(PAPER)
    assert theirs(PRED, TARGET).item() != pytest.approx(PAPER, abs=0.01)
    assert type(ours).__module__ == "loss_plugins.adapters.mmdet"
    assert type(theirs).__module__.startswith("mmdet.")


def test_nothing_of_ours_is_in_other_registries() -> None:
    assert mmdet.registry.MODELS.module_dict["EIoULoss"].__module__ == "mmdet.models.losses.iou_loss"
    for registry in (MODELS, mmdet.registry.MODELS, HOOKS, mmdet.registry.HOOKS):
        assert not [cls for cls in registry.module_dict.values() if cls.__module__.startswith("loss_plugins")]


def test_every_catalogued_loss_is_registered() -> None:
    for name in list_losses():
        cls = MODELS.get(f"loss_plugins.{module_class(name).__name__}")
        assert cls is not None
        assert cls.entry.name == name
        assert LOSSES.module_dict[cls.__name__] is cls


def test_the_name_of_a_loss_is_an_alias_of_its_class() -> None:
    for name in list_losses():
        cls = MODELS.get(f"loss_plugins.{name}")
        assert cls is MODELS.get(f"loss_plugins.{module_class(name).__name__}")
        assert name not in LOSSES.module_dict, "the class is registered once"
    loss = MODELS.build({"type": "loss_plugins.alpha_ciou", "alpha": 2.0})
    assert loss.spec()["type"] == "loss_plugins.AlphaCIoULoss"
    assert type(MODELS.build({"type": "alpha_ciou", "_scope_": "loss_plugins"})) is type(loss)
    assert "alpha_ciou" in LOSSES
    said = r"loss_plugins\.alpha_cuoi.* is an unknown loss; .*; did you mean .*'alpha_ciou'"
    with pytest.raises(KeyError, match=said):
        MODELS.get("loss_plugins.alpha_cuoi")


def test_unknown_name_lists_the_closest() -> None:
    with pytest.raises(KeyError, match=r"loss_plugins\.EIuoLoss.* is an unknown loss; .*; did you mean .*EIoULoss"):
        MODELS.build({"type": "loss_plugins.EIuoLoss"})


def test_attribute_of_the_package_is_not_a_loss() -> None:
    """MMEngine would call any attribute of the package that was never registered."""
    assert callable(loss_plugins.build_loss)
    with pytest.raises(KeyError, match="is an unknown loss"):
        MODELS.build({"type": "loss_plugins.build_loss", "spec": "eiou"})


def test_contains() -> None:
    assert "EIoULoss" in LOSSES
    assert "EIuoLoss" not in LOSSES


# --- the same class, whatever was imported first ----------------------------------------------------------------------

BUILD = """
import sys
for name in sys.argv[1:]:
    __import__(name)
from mmengine.registry import MODELS, DefaultScope
if "mmdet.models" in sys.argv:
    from mmdet.utils import register_all_modules
    register_all_modules(init_default_scope=True)
loss = MODELS.build(dict(type="loss_plugins.EIoULoss"))
print(type(loss).__module__, type(loss).__qualname__)
"""


@pytest.mark.parametrize(
    "imports",
    [(), ("loss_plugins",), ("loss_plugins.adapters.mmdet",), ("mmdet.models",), ("mmdet.models", "loss_plugins")],
    ids=str,
)
def test_with_and_without_custom_imports(imports: tuple[str, ...]) -> None:
    assert forked_python(BUILD, *imports) == "loss_plugins.adapters.mmdet EIoULoss"


def test_hook_without_custom_imports() -> None:
    code = "from mmengine.registry import HOOKS; print(HOOKS.get('loss_plugins.LossPluginsHook').__name__)"
    assert fresh_python(code) == "LossPluginsHook"


# --- again is harmless ------------------------------------------------------------------------------------------------


def test_double_import_and_reload() -> None:
    code = """
import importlib, sys
import loss_plugins.registry, loss_plugins.adapters.mmdet as adapter
before = adapter.EIoULoss
rooms = ("modules", "registration", "hook")
for name in ("registry", *(f"adapters.mmdet.{room}" for room in rooms), "adapters.mmdet", "registry"):
    importlib.reload(importlib.import_module(f"loss_plugins.{name}"))
adapter.register_all()
sys.path.insert(0, sys.argv[1])
importlib.import_module("adapters.mmdet")  # the same files under a second name
from mmengine.registry import MODELS
print(MODELS.get("loss_plugins.EIoULoss") is before)
"""
    assert forked_python(code, ROOT) == "True"


# --- a user's own loss ------------------------------------------------------------------------------------


@pytest.fixture
def own() -> Iterator[str]:
    @register_loss("test_corner", kind="box", traits=Traits())
    def corner_loss(pred: Tensor, target: Tensor, *, power: Annotated[float, Interval(1, 4)] = 2.0) -> Tensor:
        """Distance of the corners."""
        return (pred - target).abs().pow(power).sum(-1)

    yield "loss_plugins.TestCornerLoss"
    unregister_loss("test_corner")


def test_own_loss_registered_after_the_adapter(own: str) -> None:
    loss = MODELS.build({"type": own, "power": 1.0, "loss_weight": 3.0})
    assert loss(PRED, TARGET).item() == 3 * 2
    assert own.partition(".")[2] in LOSSES.module_dict
    assert pickle.loads(pickle.dumps(loss))(PRED, TARGET).item() == 3 * 2


def test_own_loss_by_its_name(own: str) -> None:
    loss = MODELS.build({"type": "loss_plugins.test_corner", "power": 1.0})
    assert loss.spec()["type"] == own
    assert type(loss) is MODELS.get(own)


def test_threads_that_look_an_own_loss_up_make_one_class(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make = registration._make

    def slowly(*arguments: Any) -> Any:
        time.sleep(0.1)
        return make(*arguments)

    monkeypatch.setattr(registration, "_make", slowly)
    with ThreadPoolExecutor(4) as pool:
        assert len({*pool.map(MODELS.get, 4 * [own])}) == 1


def test_a_file_of_the_adapter_is_no_loss() -> None:
    """A loss may have the name of one, which Python asks the package for before it imports the file."""
    code = """
from loss_plugins import register_loss
@register_loss("hook")
def own(pred, target):
    "A loss."
    return (pred - target).sum(-1)
from loss_plugins.adapters import mmdet
print(hasattr(mmdet, "eiou"), hasattr(mmdet, "hook"), mmdet.HookLoss.__name__)
from loss_plugins.adapters.mmdet import hook
print(hook.__name__)
"""
    assert forked_python(code).split() == ["False", "False", "HookLoss", "loss_plugins.adapters.mmdet.hook"]


def test_own_loss_taken_out_and_registered_anew(own: str) -> None:
    MODELS.get(own)
    unregister_loss("test_corner")
    with pytest.raises(KeyError):
        MODELS.get("loss_plugins.TestCornerLossX")

    @register_loss("test_corner", kind="box")
    def other(pred: Tensor, target: Tensor) -> Tensor:
        """Seven."""
        return (pred - target).sum(-1) * 0 + 7

    assert MODELS.build({"type": own})(PRED, TARGET).item() == 7


def test_own_loss_registered_before_the_adapter() -> None:
    code = """
from loss_plugins import register_loss
@register_loss("mine", kind="box")
def mine(pred, target):
    "Five."
    return (pred - target).sum(-1) * 0 + 5
from mmengine.registry import MODELS
import torch
print(MODELS.build(dict(type="loss_plugins.MineLoss"))(torch.rand(2, 4), torch.rand(2, 4)).item())
"""
    assert forked_python(code) == "5.0"


PLUGIN = """
import time
from loss_plugins import register_loss
from loss_plugins.adapters.mmdet import CIoULoss
from mmengine.registry import MODELS
assert MODELS.get("loss_plugins.ciou") is CIoULoss
time.sleep(0.3)
@register_loss("plugged_iou", kind="box")
def own(pred, target):
    "Five."
    return (pred - target).sum(-1) * 0 + 5
print("imported")
"""


def test_loss_of_a_package_that_is_installed(tmp_path: Path) -> None:
    """Looked up by four threads at once; its module looks losses up itself."""
    write(tmp_path, "plugged_losses", PLUGIN)
    code = """
import threading
from mmengine.registry import MODELS
found, start = [], threading.Barrier(4)
def look(name):
    start.wait()
    found.append(MODELS.get(f"loss_plugins.{name}"))
threads = [threading.Thread(target=look, args=(name,)) for name in 2 * ("PluggedIouLoss", "plugged_iou")]
for thread in threads: thread.start()
for thread in threads: thread.join()
import torch
print(len(found), len(set(found)), found[0].__qualname__, found[0]()(torch.rand(2, 4), torch.rand(2, 4)).item())
"""
    printed = forked_python(code, PYTHONPATH=str(tmp_path))
    assert printed.split() == ["imported", "4", "1", "PluggedIouLoss", "5.0"]


# --- configs ----------------------------------------------------------------------------------------------------------


def test_leftover_keys_of_a_base_are_named() -> None:
    base = Config({"loss_bbox": {"type": "SmoothL1Loss", "beta": 0.11, "loss_weight": 1.0}})
    base.merge_from_dict({"loss_bbox": {"type": "loss_plugins.EIoULoss"}})  # without _delete_
    with pytest.raises(TypeError, match=r"eiou: unknown parameter beta=0\.11; .*_delete_=True"):
        MODELS.build(base.loss_bbox)


TEXT = """
_base_ = "mmdet::atss/atss_r50_fpn_1x_coco.py"
custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))
model = dict(bbox_head=dict(loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss", loss_weight=2.0)))
"""
# the wheel of mmdet ships no pure-Python bases, so this one stands alone
PYTHON = """
from loss_plugins.adapters.mmdet import EIoULoss, LossPluginsHook
default_hooks = dict(loss_plugins=dict(type=LossPluginsHook))
model = dict(bbox_head=dict(loss_bbox=dict(type=EIoULoss, loss_weight=2.0)))
"""


@pytest.mark.parametrize("text", [TEXT, PYTHON], ids=["text", "pure Python"])
def test_config_dump_and_reload(text: str, tmp_path: Path) -> None:
    file, dumped = tmp_path / "config.py", tmp_path / "dumped.py"
    file.write_text(text)
    config = Config.fromfile(file)
    config.merge_from_dict({"model.bbox_head.loss_bbox.loss_weight": 3.0})  # what --cfg-options does
    config.dump(dumped)
    loss = MODELS.build(Config.fromfile(dumped).model.bbox_head.loss_bbox)
    assert type(loss) is adapter.EIoULoss
    assert loss.loss_weight == 3.0
    assert type(HOOKS.build(Config.fromfile(dumped).default_hooks.loss_plugins)) is adapter.LossPluginsHook


@pytest.mark.parametrize("name", ["EIoULoss", "LossPluginsHook"])
def test_full_path_imports_nobody_elses_adapters(name: str, tmp_path: Path) -> None:
    (tmp_path / "adapters.py").write_text("raise RuntimeError('imported')")
    code = """
import sys
from mmengine.registry import HOOKS, MODELS
registry = HOOKS if "Hook" in sys.argv[1] else MODELS
print(registry.get("loss_plugins.adapters.mmdet." + sys.argv[1]).__module__, "adapters" in sys.modules)
"""
    module, imported = forked_python(code, name, cwd=tmp_path).split()
    assert module.startswith("loss_plugins.adapters.mmdet")
    assert imported == "False"


def test_config_in_a_worker_process(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(TEXT)
    script = tmp_path / "script.py"
    script.write_text(
        """
import sys, multiprocessing
from mmengine.config import Config
def build(file):
    from mmengine.registry import MODELS
    return type(MODELS.build(Config.fromfile(file).model.bbox_head.loss_bbox)).__qualname__
if __name__ == "__main__":
    print(multiprocessing.get_context("spawn").Pool(1).map(build, sys.argv[1:])[0])
"""
    )
    done = subprocess.run([sys.executable, str(script), str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "EIoULoss"


def test_modules_pickle_and_copy() -> None:
    loss: Any = MODELS.build({"type": "loss_plugins.AlphaCIoULoss", "alpha": 2.0, "loss_weight": 0.5})
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert twin(PRED, TARGET).item() == loss(PRED, TARGET).item()
        assert twin.spec() == loss.spec()


def test_spec_builds_the_same_again() -> None:
    loss = MODELS.build({"type": "loss_plugins.AlphaCIoULoss", "alpha": 2.0, "loss_weight": 0.5, "reduction": "sum"})
    assert MODELS.build(loss.spec()).spec() == loss.spec()
