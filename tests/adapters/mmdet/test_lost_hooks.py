"""A config that keeps LossPluginsHook in custom_hooks loses the hooks of its base, which hook and doctor say."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from loss_plugins.adapters.mmdet.doctor import report
from loss_plugins.adapters.mmdet.lost_hooks import LINE, has_hook, lost_hooks

from .runs import HOOK, heard, run
from .shipped import CONFIGS

OURS = 'custom_hooks = [dict(type="loss_plugins.LossPluginsHook")]\n'
RTMDET = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
BASE = """
custom_hooks = [dict(type="EMAHook"), dict(type="MeanTeacherHook")]
"""


def write(folder: Path, **texts: str) -> Path:
    """Config files by name; the last is returned."""
    for name, text in texts.items():
        file = folder / f"{name}.py"
        file.write_text(text)
    return file


def lost(file: Path) -> list[str]:
    return lost_hooks(Config.fromfile(file))


def based(*names: str) -> str:
    return f"_base_ = {[f'./{name}.py' for name in names]}\n"


def test_hooks_of_the_base_are_named(tmp_path: Path) -> None:
    assert lost(write(tmp_path, base=BASE, child=based("base") + OURS)) == ["EMAHook", "MeanTeacherHook"]


def test_hooks_of_a_shipped_base_are_named(tmp_path: Path) -> None:
    file = write(tmp_path, child=f'_base_ = "{RTMDET}"\n{OURS}')
    assert lost(file) == ["EMAHook", "PipelineSwitchHook"]


def test_those_that_are_repeated_are_not(tmp_path: Path) -> None:
    kept = 'custom_hooks = [dict(type="loss_plugins.LossPluginsHook"), *_base_.custom_hooks[1:]]\n'
    assert lost(write(tmp_path, base=BASE, child=based("base") + kept)) == ["EMAHook"]


@pytest.mark.parametrize(
    "line",
    [LINE, "custom_hooks = [dict(type='EMAHook')]", "custom_hooks = []", ""],
    ids=["the documented form", "a list without ours", "an empty list", "nothing"],
)
def test_without_our_hook_in_the_list_it_is_the_users_choice(line: str, tmp_path: Path) -> None:
    assert lost(write(tmp_path, base=BASE, child=based("base") + line)) == []


def test_the_file_that_added_the_hook_is_found_among_the_bases(tmp_path: Path) -> None:
    """A grandchild that says nothing of hooks; and a base that had replaced the list on purpose before."""
    chosen = based("base") + 'custom_hooks = [dict(type="SyncBuffersHook")]\n'
    file = write(tmp_path, base=BASE, chosen=chosen, child=based("chosen") + OURS, grandchild=based("child"))
    assert lost(file) == ["SyncBuffersHook"]


def test_one_base_of_several(tmp_path: Path) -> None:
    other = "total = 3\n"
    assert lost(write(tmp_path, base=BASE, other=other, child=based("other", "base") + OURS)) == [
        "EMAHook",
        "MeanTeacherHook",
    ]


def test_pure_python_configs(tmp_path: Path) -> None:
    base = "from mmengine.hooks import EMAHook\ncustom_hooks = [dict(type=EMAHook)]\n"
    child = (
        "from mmengine.config import read_base\n"
        "from loss_plugins.adapters.mmdet import LossPluginsHook\n"
        "with read_base():\n    from .base import *\n"
        "custom_hooks = [dict(type=LossPluginsHook)]\n"
    )
    file = write(tmp_path, base=base, child=child)
    assert lost(file) == ["EMAHook"]
    assert has_hook(Config.fromfile(file))


def test_pure_python_configs_keep_the_hooks_of_a_base(tmp_path: Path) -> None:
    base = (
        "from mmengine.hooks import EMAHook, IterTimerHook\n"
        "default_hooks = dict(timer=dict(type=IterTimerHook))\n"
        "custom_hooks = [dict(type=EMAHook)]\n"
    )
    child = (
        "from mmengine.config import read_base\n"
        "from loss_plugins.adapters.mmdet import LossPluginsHook\n"
        "with read_base():\n    from .base import *\n"
        "default_hooks.update(loss_plugins=dict(type=LossPluginsHook))\n"
    )
    cfg = Config.fromfile(write(tmp_path, base=base, child=child))
    assert has_hook(cfg)
    assert (len(cfg.custom_hooks), sorted(cfg.default_hooks)) == (1, ["loss_plugins", "timer"])


def test_bases_that_are_put_together(tmp_path: Path) -> None:
    """MMEngine takes any expression of constants."""
    together = "_base_ = ['./base.py'] + ['./' + 'other.py']\n"
    assert lost(write(tmp_path, base=BASE, other="total = 3\n", child=together + OURS)) == [
        "EMAHook",
        "MeanTeacherHook",
    ]


def test_yaml_configs(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("custom_hooks:\n- type: EMAHook\n")
    child = tmp_path / "child.yaml"
    child.write_text("_base_: base.yaml\ncustom_hooks:\n- type: loss_plugins.LossPluginsHook\n")
    assert lost(child) == ["EMAHook"]


#: what MMEngine replaces in the text of child.py, whose base is base_of_child.py
SUBSTITUTED = {
    "folder": "_base_ = ['{{ fileDirname }}/base_of_child.py']\n",
    "name": "_base_ = './base_of_{{fileBasename}}'\n",
    "name and ending": "_base_ = './base_of_{{ fileBasenameNoExtension }}{{ fileExtname }}'\n",
    "environment": "_base_ = './{{$LOSS_PLUGINS_BASE:nowhere}}.py'\n",
    "environment's default": "_base_ = './{{$LOSS_PLUGINS_OTHER:base_of_child}}.py'\n",
    "a value of the base": "_base_ = './base_of_child.py'\na = {{ _base_.total }}\nb = {{'$LOSS_PLUGINS_OTHER:3'}}\n",
}


@pytest.mark.parametrize("name", SUBSTITUTED)
def test_text_that_mmengine_replaces(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSS_PLUGINS_BASE", "base_of_child")
    file = write(tmp_path, base_of_child=f"total = 3\n{BASE}", child=SUBSTITUTED[name] + OURS)
    assert lost(file) == ["EMAHook", "MeanTeacherHook"]


def test_text_that_mmengine_replaces_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("custom_hooks:\n- type: EMAHook\ntotal: 3\n")
    (child := tmp_path / "child.yaml").write_text(
        "_base_: '{{ fileDirname }}/base.yaml'\nagain: {{ _base_.total }}\n"
        "custom_hooks:\n- type: loss_plugins.LossPluginsHook\n"
    )
    assert lost(child) == ["EMAHook"]


def test_a_base_that_is_gone_ends_no_training(tmp_path: Path) -> None:
    """Its file may have been moved once the config was read."""
    cfg = Config.fromfile(write(tmp_path, base=BASE, child=based("base") + OURS))
    (tmp_path / "base.py").unlink()
    assert lost_hooks(cfg) is None
    training = run(tmp_path / "run", {"type": "loss_plugins.EIoULoss"}, cfg=cfg)
    said = heard(training)
    training.train()
    assert not any("will not run" in text for text in said)


def test_options_of_the_command_line(tmp_path: Path) -> None:
    file = write(tmp_path, base=BASE)
    replaced = Config.fromfile(file)
    replaced.merge_from_dict({"custom_hooks": [{"type": "loss_plugins.LossPluginsHook"}]})
    assert lost_hooks(replaced) == ["EMAHook", "MeanTeacherHook"]
    replaced.merge_from_dict({"custom_hooks": []})
    assert lost_hooks(replaced) == []  # the user's choice
    merged = Config.fromfile(file)
    merged.merge_from_dict({"default_hooks.loss_plugins.type": "loss_plugins.LossPluginsHook"})
    assert has_hook(merged)
    assert lost_hooks(merged) == []
    assert len(merged.custom_hooks) == 2


def test_of_a_config_without_bases_nothing_is_said(tmp_path: Path) -> None:
    file = write(tmp_path, base=BASE, child=based("base") + OURS)
    cfg = Config.fromfile(file)
    dumped = tmp_path / "dumped.py"
    cfg.dump(dumped)
    assert lost(dumped) == []
    file.unlink()
    assert lost_hooks(cfg) == []
    assert lost_hooks(Config({"custom_hooks": [{"type": "loss_plugins.LossPluginsHook"}]})) == []


def test_the_hook_warns_before_training(tmp_path: Path) -> None:
    cfg = Config.fromfile(write(tmp_path, base=BASE, child=based("base") + OURS))
    training = run(tmp_path / "run", {"type": "loss_plugins.EIoULoss"}, cfg=cfg)
    said = heard(training)
    training.train()
    (text,) = [text for text in said if "EMAHook, MeanTeacherHook of the base will not run" in text]
    assert LINE in text


def test_doctor_names_lost_hooks_and_a_missing_one(tmp_path: Path) -> None:
    model = 'model = dict(bbox_head=dict(loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss")))\n'
    base = f'_base_ = "{RTMDET}"\n'
    for line, ok, said in (
        (OURS, False, "EMAHook, PipelineSwitchHook of the base will not run"),
        ("", True, LINE),
        (f"{LINE}\n", True, "there, and no hook of a base is lost by it"),
    ):
        result = report(str(write(tmp_path, config=base + model + line)))
        check = next(check for check in result["checks"] if check["name"] == "LossPluginsHook")
        assert (check["ok"], said in check["detail"]) == (ok, True), check


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.py")), ids=lambda file: file.stem)
def test_shipped_configs_lose_nothing(file: Path) -> None:
    cfg = Config.fromfile(file)
    assert cfg.default_hooks.loss_plugins == HOOK["loss_plugins"]
    assert lost_hooks(cfg) == []
