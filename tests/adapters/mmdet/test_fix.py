"""`doctor --fix`: its lines at the end of a config that is broken make a config that doctor passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from loss_plugins.adapters.mmdet import inspection
from loss_plugins.adapters.mmdet.doctor import report
from loss_plugins.adapters.mmdet.fragment import fragment
from loss_plugins.adapters.mmdet.lost_hooks import LINE
from loss_plugins.adapters.mmdet.remedies import Fault

#: a backbone and a head of few channels
SMALL = """
_base_ = "mmdet::{base}"
model = dict(
    backbone=dict({delete}type="ResNet", depth=18, base_channels=8, init_cfg=None, norm_cfg=dict(type="BN")),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=32),
    {heads}
)
"""
RETINA = SMALL.format(
    base="retinanet/retinanet_r18_fpn_1xb8-1x_coco.py", delete="_delete_=True, ",
    heads="bbox_head=dict(in_channels=32, feat_channels=32, stacked_convs=1, num_classes=4)",
)  # fmt: skip
STAGE = (
    'dict(type="Shared2FCBBoxHead", in_channels=32, fc_out_channels=32, roi_feat_size=7, num_classes=4, '
    'reg_class_agnostic=True, bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]), '
    'loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=False), loss_bbox=dict(type="{loss}"))'
)
STAGES = f"[{', '.join(STAGE.format(loss=loss) for loss in ('SmoothL1Loss', 'loss_plugins.GIoULoss', 'L1Loss'))}]"
CASCADE = SMALL.format(
    base="cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py", delete="_delete_=True, ",
    heads="rpn_head=dict(in_channels=32, feat_channels=32), roi_head=dict("
    "bbox_roi_extractor=dict(out_channels=32), bbox_head={stages})",
)  # fmt: skip
#: the base's list of stages: what is left of the shipped one, with few channels
BARE = STAGES.replace("loss_plugins.GIoULoss", "SmoothL1Loss")
EIOU = 'model = dict(bbox_head=dict(loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss"{more})))\n'
OFFSETS, NESTED = EIOU.format(more=""), EIOU.format(more=', reduction="none"')
PURE = """
from mmengine.config import read_base
from loss_plugins.adapters.mmdet import EIoULoss
with read_base():
    from .plain import *
model["bbox_head"]["loss_bbox"] = dict(type=EIoULoss)
"""

#: name: (base, config, some of the lines)
BROKEN: dict[str, tuple[str, str, list[str]]] = {
    "encoded offsets": (RETINA, OFFSETS, ['model["bbox_head"]["reg_decoded_bbox"] = True']),
    "in the base alone": (
        RETINA.replace("num_classes=4", 'num_classes=4, loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss")'),
        "",
        ["model = dict(bbox_head=dict(reg_decoded_bbox=True))", LINE.replace("'", '"')],
    ),
    "and a reduction": (RETINA, NESTED, ['model["bbox_head"]["loss_bbox"]["reduction"] = "mean"']),
    "a class loss for boxes": (
        RETINA,
        'model = dict(bbox_head=dict(loss_bbox=dict(_delete_=True, type="loss_plugins.FocalLoss", loss_weight=2.0)))\n',
        ['model["bbox_head"]["loss_bbox"] = dict(_delete_=True, loss_weight=2.0, type="loss_plugins.SmoothL1Loss")'],
    ),
    "a loss for boxes of classes": (
        RETINA,
        'model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type="loss_plugins.CIoULoss")))\n',
        [
            'model["bbox_head"]["loss_cls"] = '
            'dict(_delete_=True, type="loss_plugins.BCEWithLogitsLoss", use_sigmoid=True)'
        ],
    ),
    "without use_sigmoid": (
        RETINA,
        'model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type="loss_plugins.FocalLoss")))\n',
        ['model["bbox_head"]["loss_cls"]["use_sigmoid"] = True'],
    ),
    "parameters of the base": (
        RETINA,
        'model = dict(bbox_head=dict(loss_cls=dict(type="loss_plugins.CrossEntropyLoss")))\n',
        ['type="loss_plugins.BCEWithLogitsLoss"', "_delete_=True"],
    ),
    "a weight of nothing": (
        RETINA,
        OFFSETS.replace('EIoULoss"', 'EIoULoss", loss_weight=0.0'),
        ['model["bbox_head"]["loss_bbox"]["loss_weight"] = 1.0'],
    ),
    "changed afterwards": (
        RETINA,
        OFFSETS + 'model["bbox_head"].update(reg_decoded_bbox=False)\n',
        ['model.setdefault("bbox_head", {})["reg_decoded_bbox"] = True'],
    ),
    "other parts of the model": (
        RETINA.replace("num_classes=4", 'num_classes=4, loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss")'),
        "model = dict(neck=dict(num_outs=5))\n",
        ['model["bbox_head"] = dict(reg_decoded_bbox=True)'],
    ),
    "a stage of its own list": (
        CASCADE.format(stages=BARE),
        f"model = dict(roi_head=dict(bbox_head={STAGES}))\n",
        ['model["roi_head"]["bbox_head"][1]["reg_decoded_bbox"] = True'],
    ),
    "a stage of the base's list": (
        CASCADE.format(stages=STAGES),
        "",
        ["model = _base_.model", 'model["roi_head"]["bbox_head"][1]["reg_decoded_bbox"] = True'],
    ),
    "a stage of the base's list, beside others": (
        CASCADE.format(stages=STAGES),
        "model = dict(neck=dict(num_outs=5))\n",
        [
            'model["roi_head"] = _base_.model.roi_head',
            'model["roi_head"]["bbox_head"][1]["reg_decoded_bbox"] = True',
        ],
    ),
}


#: a loss of boxes for encoded offsets, and forms in which a config may assign it
LOSS = 'dict(bbox_head=dict(loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss")))'
FORMS = {
    "with a type": f"model: dict = {LOSS}\n",
    "one of several": f"model, other = {LOSS}, 1\n",
    "two names": f"other = model = {LOSS}\n",
    "in an if": f"if True:\n    model = {LOSS}\n",
    "in a for": f"for each in (1, 2):\n    model = {LOSS}\n",
    "in a try": f"try:\n    model = {LOSS}\nfinally:\n    pass\n",
    "as the variable of a for": f"for model in [{LOSS}]:\n    pass\n",
    "in an expression": f"(model := {LOSS})\n",
    "by way of another": f"head = {LOSS}\nmodel = head\ndel head\n",
    "under two names": f"model = {LOSS}\nother = model\nother['bbox_head'] = {LOSS}['bbox_head']\n",
    "a copy of the base's": 'model = _base_.model\nmodel.bbox_head.loss_bbox = dict(type="loss_plugins.EIoULoss")\n',
    "unset, and then the base's": f"model = {LOSS}\nmodel = dict(bbox_head={{{{_base_.model.bbox_head}}}})\n"
    'model["bbox_head"] = dict(loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss"))\n',
}
NO_MODEL = {
    "list.json": ("[1, 2]", "holds no dict"),
    "empty.yaml": ("", "holds no dict"),
    "null.json": ('{"model": null}', "it has no `model`"),
    "empty.py": ("", "it has no `model`"),
    "number.py": ("model = 5\n", "its `model` is 5, no dict"),
    "list.py": ("model = [1]\n", "its `model` is [1], no dict"),
}


def broken(name: str, folder: Path) -> Path:
    base, text, _ = BROKEN[name]
    (folder / "base.py").write_text(base)
    (file := folder / "config.py").write_text(text if not base else f'_base_ = "base.py"\n{text}')
    return file


def mended(file: Path, *options: str) -> list[str]:
    """The lines for a config that does not pass, with which it does."""
    found = examined(file, *options, fix=True)
    assert not found["ok"]
    with file.open("a", encoding="utf-8") as config:
        config.write("\n".join(found["fix"]) + "\n")
    after = examined(file, *options, fix=True)
    assert after["ok"], ([check for check in after["checks"] if not check["ok"]], file.read_bytes())
    assert after["fix"] == []
    lines: list[str] = found["fix"]
    return lines


def examined(file: Path, *options: str, fix: bool = False) -> dict[str, Any]:
    found = report(str(file), options, fix)
    assert found is not None
    return found


def test_what_is_left_after_all_changes_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A change that helps nothing, as the config has it already."""
    has = Fault("it is odd", {"model.bbox_head.num_classes": 4})
    monkeypatch.setattr(inspection, "problems", lambda slot: [has])
    told = examined(broken("encoded offsets", tmp_path), "model.bbox_head.reg_decoded_bbox=True", fix=True)["fix"]
    assert "# no change is known for model.bbox_head.loss_bbox: it is odd" in told


@pytest.mark.parametrize("more", ["", 'model = dict(neck=dict(type="NoSuchNeck"))\n'], ids=["stock", "not built"])
def test_a_config_without_a_loss_of_ours_gets_no_hook(more: str, tmp_path: Path) -> None:
    """The hook would end its training: it asks for a loss."""
    (file := tmp_path / "config.py").write_text(RETINA + more)
    (line,) = examined(file, fix=True)["fix"]
    assert line.startswith("# no change is known for ")
    assert ("no loss of loss_plugins is in it" in line) == (not more)


@pytest.mark.parametrize("pair", ["=3", "=", "model.neck", ""])
def test_an_option_without_a_key_or_a_value_is_refused(pair: str, tmp_path: Path) -> None:
    check = examined(broken("encoded offsets", tmp_path), pair)["checks"][-1]
    assert not check["ok"]
    assert f"--cfg-options {pair!r} names no key or no value" in check["detail"]


@pytest.mark.parametrize("name", BROKEN)
def test_its_lines_mend_the_config(name: str, tmp_path: Path) -> None:
    lines = mended(broken(name, tmp_path))
    for part in BROKEN[name][2]:
        assert any(part in line for line in lines), lines


def test_a_dumped_copy_is_mended(tmp_path: Path) -> None:
    """It has no bases to merge with, so nothing is to be deleted."""
    cfg = Config.fromfile(broken("a class loss for boxes", tmp_path))
    cfg.dump(dumped := tmp_path / "dumped.py")
    lines = mended(dumped)
    assert 'model["bbox_head"]["loss_bbox"] = dict(loss_weight=2.0, type="loss_plugins.SmoothL1Loss")' in lines
    assert 'default_hooks["loss_plugins"] = dict(type="loss_plugins.LossPluginsHook")' in lines


def test_a_config_in_pure_python_is_mended(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(RETINA)
    Config.fromfile(tmp_path / "base.py").dump(tmp_path / "plain.py")
    (file := tmp_path / "config.py").write_text(PURE)
    lines = mended(file)
    assert 'model["bbox_head"]["reg_decoded_bbox"] = True' in lines
    assert 'default_hooks["loss_plugins"] = dict(type="loss_plugins.LossPluginsHook")' in lines


def test_of_yaml_the_lines_are_a_new_config(tmp_path: Path) -> None:
    cfg = Config.fromfile(broken("encoded offsets", tmp_path))
    cfg.dump(dumped := tmp_path / "dumped.yaml")
    lines = examined(dumped, fix=True)["fix"]
    assert lines[:2] == ['_base_ = "dumped.yaml"', "model = dict(bbox_head=dict(reg_decoded_bbox=True))"]
    (child := tmp_path / "child.py").write_text("\n".join(lines))
    assert examined(child)["ok"]


def test_values_of_the_shell_count(tmp_path: Path) -> None:
    file = broken("encoded offsets", tmp_path)
    assert examined(file, "model.bbox_head.reg_decoded_bbox=True")["ok"]
    told = ("model.bbox_head.loss_bbox.loss_weight=0", "model.neck.in_channels=[8,16,32,64]")
    found = examined(file, *told, fix=True)
    assert "# on the shell, which has the last word: model.bbox_head.loss_bbox.loss_weight=1.0" in found["fix"]
    file.write_text("\n".join([file.read_text(encoding="utf-8"), *found["fix"]]))
    assert not examined(file, *told)["ok"]
    assert examined(file, *told[1:])["ok"]


def test_what_cannot_be_mended_is_a_comment(tmp_path: Path) -> None:
    file = broken("encoded offsets", tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("EIoULoss", "EOIULoss"))
    lines = examined(file, fix=True)["fix"]
    assert lines[0].startswith("# no change is known for model.bbox_head.loss_bbox: cannot be built: KeyError")
    assert "did you mean 'EIoULoss'" in lines[0]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            '"FocalLoss", use_sigmoid=True, alpha=[0.1] * 5',
            "alpha has 5 numbers, and this slot gets 4 scores per row: write 4 ",
        ),
        (
            '"EQLV2Loss", use_sigmoid=True, class_weight=[1.0, 2.0]',
            "class_weight has 2 numbers, and this slot has 4 classes: write 4 or 5 numb",
        ),
    ],
)
def test_numbers_per_class_are_counted_for_the_user(loss: str, said: str, tmp_path: Path) -> None:
    """One for all is proposed where all are alike; which number is missing or too many nobody can tell."""
    (tmp_path / "base.py").write_text(RETINA)
    loss = loss.replace('"', '"loss_plugins.', 1)
    lines = f'_base_ = "base.py"\nmodel = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type={loss})))\n'
    (file := tmp_path / "config.py").write_text(lines)
    if "alpha" in loss:
        assert any(line.endswith('["alpha"] = 0.1') for line in mended(file))
        file.write_text(lines)
    (check,) = [each for each in examined(file)["checks"] if not each["ok"]]
    assert check["detail"].startswith(said)
    assert f"into model.bbox_head.loss_cls.{said.partition(' ')[0]}" in check["detail"]


@pytest.mark.parametrize("name", ["EIOULoss", "eiou_loss", "EIoU"])
def test_a_name_that_is_written_otherwise_needs_no_mending(name: str, tmp_path: Path) -> None:
    file = broken("encoded offsets", tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("EIoULoss", name))
    assert not [line for line in mended(file) if line.startswith('model["bbox_head"]["loss_bbox"]')]


@pytest.mark.parametrize("form", FORMS)
def test_a_model_that_is_assigned_in_another_form_is_kept(form: str, tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(RETINA)
    (file := tmp_path / "config.py").write_text(f'_base_ = "base.py"\n{FORMS[form]}')
    before = Config.fromfile(file)
    lines = fragment(file, before, {"model.bbox_head.reg_decoded_bbox": True}, Config.fromfile)
    with file.open("a", encoding="utf-8") as config:
        config.write("\n".join(lines))
    before, after = before.model, Config.fromfile(file).model
    assert after.bbox_head.pop("reg_decoded_bbox")
    assert without_scopes(after) == without_scopes(before)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["base.py", "config.py"]


def without_scopes(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_scopes(each) for name, each in value.items() if name != "_scope_"}
    return [without_scopes(each) for each in value] if isinstance(value, (list, tuple)) else value


def test_what_no_line_at_the_end_does_is_left_to_the_user(tmp_path: Path) -> None:
    """A model that MMEngine puts into the place of a text once the file has been run."""
    (tmp_path / "base.py").write_text(RETINA)
    (tmp_path / "other.py").write_text('head = dict(loss_bbox=dict(_delete_=True, type="loss_plugins.EIoULoss"))\n')
    text = '_base_ = ["base.py", "other.py"]\nmodel = dict(bbox_head={{_base_.head}})\n'
    (file := tmp_path / "config.py").write_text(text)
    by_hand = "# by hand, as no line at the end of the file was seen to do it: model.bbox_head.reg_decoded_bbox=True"
    changes = {"model.bbox_head.reg_decoded_bbox": True, "default_hooks.other": {"type": "mmengine.EMAHook"}}
    assert fragment(file, Config.fromfile(file), changes, Config.fromfile) == [
        by_hand, 'default_hooks = dict(other=dict(type="mmengine.EMAHook"))'
    ]  # fmt: skip


def test_a_file_without_a_last_line_break_gets_one(tmp_path: Path) -> None:
    (file := broken("encoded offsets", tmp_path)).write_text(f'_base_ = "base.py"\n{OFFSETS}'.rstrip())
    assert mended(file)[0] == ""


@pytest.mark.parametrize("name", NO_MODEL)
def test_a_config_without_a_model_is_told_to_name_one(name: str, tmp_path: Path) -> None:
    text, came = NO_MODEL[name]
    (file := tmp_path / name).write_text(text)
    found = examined(file, fix=True)
    assert not found["ok"]
    said = found["checks"][-1]["detail"]
    assert came in said
    assert "write model = dict(type=...), or name a config in _base_ that has one" in said
    assert all(line.startswith("# no change is known for ") for line in found["fix"])


def test_a_base_by_the_folder_of_the_config(tmp_path: Path) -> None:
    file = broken("encoded offsets", tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace('"base.py"', '["{{ fileDirname }}/base.py"]'))
    assert 'model["bbox_head"]["reg_decoded_bbox"] = True' in mended(file)


def test_what_was_found_is_told_where_no_lines_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> list[str]:
        raise FileNotFoundError("base.py is gone")

    monkeypatch.setattr("loss_plugins.adapters.mmdet.configs.fragment", gone)
    found = examined(broken("encoded offsets", tmp_path), fix=True)
    assert found["fix"] == ["# no lines could be made: FileNotFoundError: base.py is gone"]
    assert any("reg_decoded_bbox" in check["detail"] for check in found["checks"])
