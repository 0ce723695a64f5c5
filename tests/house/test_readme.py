"""README and CONTRIBUTING: paths are there, tables are up to date, and every block of code runs.

Python runs in an environment that holds the wheel and what its extra asks for, without the checkout.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from loss_plugins.demo.digits import make_digits
from tools.readme import BEGIN, END, loss_table
from tools.wheel import ROOT

from .environments import distribution, environment, run

PAGES = ("README.md", "CONTRIBUTING.md")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, by the heading that it stands under."""

    page: str
    heading: str
    language: str
    text: str


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        heading = ""
        for match in re.finditer(r"^#+ ([^\n]*)$|^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S):
            if match[1]:
                heading = match[1]
            else:
                found.append(Block(page, heading, match[2], match[3]))
    return found


def commands() -> list[list[str]]:
    """The lines of all shell blocks, as words."""
    lines = [line for block in blocks() if block.language == "bash" for line in block.text.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


# --- Python --------------------------------------------------------------------------------------------------------

#: trains for one epoch on small pictures, whatever the example asks for
SHORT = {"epochs": 1, "imgsz": 64, "batch": 4, "workers": 0, "plots": False, "device": "cpu"}
SHORT_TRAININGS = f"""
from ultralytics.engine.model import Model
as_asked = Model.train
Model.train = lambda self, trainer=None, **asked: as_asked(self, trainer, **{{**asked, **{SHORT!r}}})
"""
SHORT_TRAININGS_END = """
assert report.box.train_calls == 1 and report.box.rows > 0
print("as described")
"""
#: pictures need not be as large as those of the examples
SMALL = ("3, 640, 640", "3, 64, 64")
#: the recipe enters a loss that there is: the room's names are at hand, and the name is free
RECIPE = """
import pydoc
import torch
import loss_plugins as lp
from loss_plugins.losses import iou, penalties
from loss_plugins.module.loss import Loss
shipped = lp.eiou_loss
lp.unregister_loss("eiou")
globals().update({**vars(penalties), **vars(iou)})
"""
RECIPE_END = """
pred, target = torch.rand(8, 4).cumsum(-1), torch.rand(8, 4).cumsum(-1)
assert eiou_loss is not shipped
assert torch.equal(eiou_loss(pred, target), shipped(pred, target))
assert torch.equal(EIoULoss(reduction="sum")(pred, target), shipped(pred, target).sum())
page = " ".join(pydoc.plain(pydoc.render_doc(EIoULoss)).replace("\\n |  ", " ").split())
entered = lp.get_entry("eiou")
for words in (
    "EIoULoss(reduction", "Efficient IoU loss", "Formula: 1 - IoU + ", "inner_ratio (default None; allowed: (0, 3])",
    entered.use_when, "https://arxiv.org/abs/2101.08158",
):
    assert words in page, words
print("as described")
"""
PLAIN_END = """
assert torch.equal(lp.build_loss("my_iou", reduction="none")(pred, target), my_iou_loss(pred, target))
assert loss(pred, target).isfinite()
print("as described")
"""
CONFIG = """
from pathlib import Path
import mmdet
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS
base = Path(mmdet.__file__).parent / ".mim/configs/retinanet/retinanet_r50_fpn_1x_coco.py"
Path("config.py").write_text(f"_base_ = {str(base)!r}\\n" + Path("block.py").read_text())
config = Config.fromfile("config.py")
head = MODELS.build({**config.model.bbox_head, "_scope_": "mmdet"})
assert type(head.loss_bbox).__module__.startswith("loss_plugins.") and head.loss_bbox.loss_weight == 2.0
assert type(head.loss_cls).__module__.startswith("mmdet.")
HOOKS.build(config.default_hooks.loss_plugins)
assert len(config.default_hooks) > 1
print("as described")
"""
DETR_END = """
import torch
labels = [{"class_labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.5, 0.4, 0.6]])}]
model(pixel_values=torch.rand(1, 3, 160, 160), labels=labels).loss.backward()
plugged.require_use()
assert plugged.report.box.calls > 1
assert type(callback).__name__ and callable(detr.plug)
from loss_plugins.adapters.transformers import doctor
doctor.detectors = lambda: [type(model)]
assert doctor.report()["tasks"] == [type(model).__name__]
print("as described")
"""
TORCHVISION_END = """
import torch
model.transform.min_size, model.transform.max_size = (64,), 64
boxes, labels = torch.tensor([[8.0, 8.0, 50.0, 40.0]]), torch.tensor([1])
sum(model(torch.rand(1, 3, 64, 64), [{"boxes": boxes, "labels": labels}]).values()).backward()
plugged.require_use()
print("as described")
"""
#: heading: what is installed, what is put before and after its blocks. The compiler of torch imports setuptools, which
#: lies in every environment up to Python 3.11, and which torch asks for from 3.12
PYTHON = {
    "Ultralytics in ten lines": ("loss-plugins[ultralytics]", SHORT_TRAININGS, SHORT_TRAININGS_END),
    "DETRs in three lines": ("loss-plugins[transformers]", "", DETR_END),
    "torchvision in three lines": ("loss-plugins[torchvision]", "", TORCHVISION_END),
    "In plain PyTorch": ("loss-plugins setuptools", "", PLAIN_END),
    "Add a loss": ("loss-plugins", RECIPE, RECIPE_END),
}


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """The folder of a user: a small data set, and the files that the pages speak of."""
    make_digits(tmp_path / "runs/demo/digits", train=8, val=4, progress=False)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


def test_every_block_is_of_a_kind_that_is_run() -> None:
    headings = {block.heading for block in blocks() if block.language == "python"}
    assert headings == {*PYTHON, "MMDetection in ten lines"}
    assert {block.language for block in blocks()} == {"bash", "python"}


@pytest.mark.parametrize("heading", PYTHON)
def test_python_blocks_run_from_the_wheel(heading: str, user: Path) -> None:
    """Those under one heading are one program."""
    requirements, before, after = PYTHON[heading]
    text = "\n".join(block.text for block in blocks() if (block.heading, block.language) == (heading, "python"))
    (user / "program.py").write_text("\n".join([before, text.replace(*SMALL), after]))
    done = run(environment(*requirements.split()), "python", "program.py", cwd=user)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "as described"


def test_the_mmdetection_block_is_a_config_that_builds(user: Path) -> None:
    (block,) = (block for block in blocks() if block.heading == "MMDetection in ten lines")
    (user / "block.py").write_text(block.text)
    done = run(environment("loss-plugins[mmdet]", "mmcv", "setuptools"), "python", "-c", CONFIG, cwd=user)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "as described"


# --- the shell -----------------------------------------------------------------------------------------------------


def yolo_commands() -> list[list[str]]:
    return [words for words in commands() if words[:2] == ["loss-plugins", "yolo"]]


@pytest.mark.parametrize("words", yolo_commands(), ids=lambda words: words[-1])
def test_commands_train_from_the_wheel(words: list[str], user: Path) -> None:
    short = [f"{key}={value}" for key, value in SHORT.items()]
    done = run(environment("loss-plugins[ultralytics]"), *words, *short, f"project={user}", "name=run", cwd=user)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (user / "run/loss_plugins.yaml").is_file()


def test_other_commands_name_what_there_is() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    seen = set()
    for program, *words in commands():
        seen.add(program)
        if program == "make":
            assert targets.issuperset(words)
        elif program == "pip":
            (extra,) = re.findall(r"^loss-plugins\[(\w+)\]$", words[-1])
            assert extra in distribution("loss-plugins").metadata.get_all("Provides-Extra")
        elif words[:2] == ["-m", "pytest"]:
            assert program == ".venv/bin/python"
            assert all((ROOT / word).exists() for word in words if "/" in word)
        elif (program, words[0]) == ("python", "-c"):
            continue  # test_the_data_of_the_examples_are_composed runs it
        elif words[:1] == ["-m"]:
            assert (ROOT / (words[1].replace(".", "/") + ".py")).is_file()
        else:
            assert (program, words[0]) == ("loss-plugins", "yolo"), f"nothing tests {program} {shlex.join(words)}"
    assert {"make", "pip", "loss-plugins", ".venv/bin/python"} <= seen


def test_the_data_of_the_examples_are_composed(tmp_path: Path) -> None:
    """By the line of Python, in an environment of the extras that the text names; the examples train on that file."""
    ((program, *words),) = (line for line in commands() if line[1] == "-c")
    text = (ROOT / "README.md").read_text()
    (extras,) = re.findall(r"install the extras `(\[[\w,]+\])`", text)
    (file,) = set(re.findall(r'^data = "(.*?)"', text, re.M)) | set(re.findall(r" data=(\S+)", text)) - {"data,"}
    done = run(environment(f"loss-plugins{extras}"), program, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / file).is_file()


@pytest.mark.parametrize("page", [*PAGES, "docs/mmdet.md"])
def test_commands_in_the_text_are_known(page: str) -> None:
    from loss_plugins.cli import HELP, app

    known = {*HELP, *(command.name or command.callback.__name__ for command in app.registered_commands)}
    named = set(re.findall(r"`loss-plugins ([\w-]+)", (ROOT / page).read_text()))
    assert named <= known


# --- paths, tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_files_and_folders_in_the_text_exist(page: str) -> None:
    """`losses/iou.py` is a file of the package, `tests/golden` one of the repository."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.M | re.S)
    named = re.findall(r"`((?:[\w.]+/)*\w+\.pyi?|(?:[\w.]+/)+\w*)`", text)
    assert named
    unknown = ("mmdet/__init__.py",)  # MMDetection's own
    places = (ROOT, ROOT / "loss_plugins")
    assert [
        name for name in named if name not in unknown and not any((place / name).exists() for place in places)
    ] == []


def test_the_readme_table_is_the_catalogue() -> None:
    readme = (ROOT / "README.md").read_text()
    written = readme[readme.index(BEGIN) + len(BEGIN) : readme.index(END)].strip()
    assert written == loss_table().strip(), "run: python -m tools.readme README.md"


def test_blocks_are_found() -> None:
    """A block that the search does not see would not be run."""
    for page in PAGES:
        fences = len(re.findall(r"^```", (ROOT / page).read_text(), re.M))
        assert fences == 2 * sum(block.page == page for block in blocks())
