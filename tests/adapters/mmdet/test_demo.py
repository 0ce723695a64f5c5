"""The demo: its config, and the way through mmdet's own training script, for one epoch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from PIL import Image
from typer.testing import CliRunner

from loss_plugins.adapters.mmdet import demo
from tools.wheel import unpacked

from ..interpreter import forked_python


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch):
    """The command, on the scenes of one step."""
    import typer

    few = [f"{loader}_dataloader['dataset'].update(train=8, val=4)" for loader in ("train", "val")]
    monkeypatch.setattr(demo, "CONFIG", "\n".join([demo.CONFIG, *few]))
    app = typer.Typer()
    app.command()(demo.demo_mmdet)
    return app


def test_one_epoch_through_mmdets_script(app, tmp_path: Path) -> None:
    arguments = ["--folder", str(tmp_path), "--box", "ciou", "--epochs", "1"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    run = tmp_path / "ciou-1"
    record = yaml.safe_load((run / "loss_plugins.yaml").read_text())
    [entry] = record["losses"]
    assert (entry["loss"]["type"], entry["head"], entry["calls"]) == ("loss_plugins.CIoULoss", "ATSSHead", 1)
    assert f"picture: {tmp_path / 'ciou-1.png'}" in done.output
    assert "bbox_mAP_50" in done.output
    assert "coco/bbox_mAP_50" in json.loads((run / "finished.json").read_text())
    with Image.open(tmp_path / "ciou-1.png") as picture:
        assert len(picture.convert("L").getcolors(1 << 16)) > 100  # not an empty figure
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "reusing the run" in again.output


def test_the_config_is_mmdets_with_our_loss(tmp_path: Path) -> None:
    cfg = Config.fromfile(demo.write_config(tmp_path, "eiou", 5))
    assert cfg.model.type == "ATSS"
    assert cfg.model.bbox_head.loss_bbox == {"type": "loss_plugins.EIoULoss", "loss_weight": 2.0}
    assert cfg.model.backbone.init_cfg is None
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].T_max == 5
    roots = {loader.dataset.root for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)}
    assert roots == {str(tmp_path / "digits")}
    assert cfg.default_hooks.loss_plugins == {"type": "loss_plugins.LossPluginsHook"}
    assert cfg.val_evaluator == cfg.test_evaluator
    assert cfg.val_evaluator.ann_file == f"{tmp_path / 'digits'}/annotations/val.json"
    assert (cfg.val_evaluator.type, cfg.train_dataloader.dataset.split) == ("CocoMetric", "train")


def test_its_base_is_in_the_wheel(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mmengine.config import Config\n"
        "from loss_plugins.adapters.mmdet import demo\n"
        "config = demo.write_config(Path(sys.argv[1]), 'eiou', 5)\n"
        "print(demo.__file__, Config.fromfile(config).train_dataloader.batch_size, config.read_text())"
    )
    package = unpacked()
    printed = forked_python(code, tmp_path, cwd=tmp_path, PYTHONPATH=str(package))
    adapter = package / "loss_plugins/adapters/mmdet"
    assert printed.startswith(f"{adapter / 'demo.py'} 8 ")
    assert (adapter / "_base_/demo.py").as_posix() in printed


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "missing", lambda: ["mmdet"])
    with pytest.raises(ImportError, match="mmdet is missing: pip install 'mmdet==3"):
        demo.demo_mmdet(tmp_path)
