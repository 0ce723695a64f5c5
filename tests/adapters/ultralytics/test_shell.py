# SPDX-License-Identifier: AGPL-3.0-or-later
"""`loss-plugins yolo`: its words, keys and values, read as `yolo` reads them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ultralytics.cfg import DEFAULT_CFG_DICT

from loss_plugins.adapters.ultralytics import cli, make_spec
from loss_plugins.adapters.ultralytics.config import read_config, ready_made
from tools.wheel import ROOT

from .ultralytics_runs import Shared, proof, results

PAIRS = ["box_loss=alpha_iou", "box_loss.alpha=2", "cls_loss.gamma=1.5", "cls_loss=focal", "epochs=3"]


@pytest.mark.parametrize("pairs", list(itertools.permutations(PAIRS)), ids="-".join)
def test_the_order_of_keys_does_not_matter(pairs: list[str]) -> None:
    losses, overrides = cli.split_settings(list(pairs))
    assert losses == {"box": {"type": "alpha_iou", "alpha": 2}, "cls": {"type": "focal", "gamma": 1.5}}
    assert overrides == {"epochs": 3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-7", 1e-7), ("640,640", (640, 640)), ("[640, 640]", [640, 640]), ("True", True), ("true", True),
        ("none", None), ("2", 2), ("pixels", "pixels"), ("{type: eiou, eps: 1e-6}", {"type": "eiou", "eps": 1e-6}),
    ],
)  # fmt: skip
def test_values_are_written_as_for_yolo(text: str, value: Any) -> None:
    assert cli.shell_value(text, "box_loss.key") == value


def test_sizes_and_small_numbers_reach_the_loss() -> None:
    losses, _ = cli.split_settings(["box_loss.eps=1e-7", "box_loss.image_size=640,480", "box_loss=mpdiou"])
    box = make_spec(**losses).box
    assert (box["eps"], tuple(box["image_size"])) == (1e-7, (640, 480))


@pytest.mark.parametrize(
    ("words", "task", "flags"),
    [
        (["train"], None, {}),
        (["detect", "train"], "detect", {}),
        (["train", "pose"], "pose", {}),
        (["train", "resume", "cos_lr"], None, {"resume": True, "cos_lr": True}),
        (["segment", "train", "plots"], "segment", {"plots": True}),
    ],
)
def test_the_task_is_optional_and_flags_need_no_value(
    words: list[str], task: str | None, flags: dict[str, bool]
) -> None:
    assert cli.chosen_task(words) == (task, flags)


@pytest.mark.parametrize("words", [[], ["detect"], ["detect", "val"], ["detect", "pose", "train"], ["train", "epochs"]])
def test_other_words_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"yolo: got .* only training uses a loss; .*for example: loss-plugins yolo"):
        cli.chosen_task(words)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["train", "box=eiou"], r"box=eiou: box is Ultralytics' gain .*a number; .*write box_loss=eiou"),
        (["train", "cls=focal"], r"cls=focal: .*write cls_loss=focal"),
        (["train", "loss=eiou"], r"unknown key loss=eiou; .*write box_loss=eiou or cls_loss=eiou"),
        (["train", "box_los=eiou"], "unknown key box_los=eiou; .*box_loss"),
        (["train", "epoch=3", "box_loss=eiou"], "unknown key epoch=3; .*did you mean 'epochs'"),
        (["train", "box_loss=eoiu"], "box_loss='eoiu' is an unknown loss; .*did you mean 'eiou'"),
        (["train", "box_loss=focal"], "box_loss='focal' is a loss per classification"),
        (["train", "cls_loss=ciou"], "cls_loss='ciou' is a loss of kind box"),
        (["train", "model=yolo11n.yaml"], r"asked for \(box_loss=None, .*keypoint_loss=None\); .*pass box_loss=eiou"),
        (["train", "losses=nowhere"], r"losses='nowhere' is not a file; .*alpha_ciou, .*eiou"),
    ],
)  # fmt: skip
def test_errors_speak_of_the_keys_of_the_shell(words: list[str], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        cli.yolo(words)


def test_every_key_of_ultralytics_passes() -> None:
    for key, value in DEFAULT_CFG_DICT.items():
        cli.check_key(key, value)


def test_ready_made_losses_are_found_by_name() -> None:
    there = sorted(file.stem for file in (ROOT / "configs/ultralytics").glob("*.yaml"))
    assert sorted(ready_made()) == there
    for name in there:
        assert (
            read_config(name) == read_config(f"{name}.yaml") == read_config(ROOT / f"configs/ultralytics/{name}.yaml")
        )
    with pytest.raises(ValueError, match="is not a file"):
        read_config("elsewhere/eiou.yaml")


def test_resume_alone_goes_on_with_the_losses_of_the_checkpoint(shared: Shared) -> None:
    run = shared("yolo11n.yaml", box={"type": "constant", "value": 5.0}, name="told")
    before = len(results(run.folder))
    assert cli.losses_of(str(run.first_epoch))["box"]["value"] == 5.0
    cli.yolo(["train", "resume", f"model={run.first_epoch}"])
    assert len(results(run.folder)) == before + 1
    assert proof(run.folder)["losses"]["box"]["value"] == 5.0
