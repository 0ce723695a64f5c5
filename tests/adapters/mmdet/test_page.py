"""docs/mmdet.md: its configs pass the doctor, its table is what the slots get, its messages are those of the code."""

from __future__ import annotations

import ast
import inspect as reading
import json
import re
from pathlib import Path
from typing import Any

import pytest

import loss_plugins as lp
from loss_plugins.adapters.mmdet.handed import WORDS
from loss_plugins.adapters.mmdet.hook import LossPluginsHook
from loss_plugins.adapters.mmdet.inspection import inspect
from loss_plugins.catalog.entries import get_entry, list_losses
from loss_plugins.module.build import module_class
from tools.mmdet_small import build, shipped
from tools.wheel import ROOT

from ..interpreter import fresh_python

TEXT = (ROOT / "docs/mmdet.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)
CONFIGS = [block for block in BLOCKS if block.startswith("_base_")]
#: the class that configs name, and the entry of the loss
ENTRIES = {module_class(name).__name__: get_entry(name) for name in list_losses()}
CHECK = """
import json, sys
from loss_plugins.adapters.mmdet.doctor import report
print(json.dumps({name: report(name) for name in sys.argv[1:]}))
"""


def table(header: str) -> list[list[str]]:
    """The rows of a table, by the beginning of its header."""
    (rows,) = re.findall(rf"^\| {re.escape(header)}.*\n\|[-|]+\|\n((?:\|.*\n?)+)", TEXT, re.M)
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()]


# --- examples ------------------------------------------------------------------------------------------------------


def module_of_the_page() -> str:
    (module,) = (block for block in BLOCKS if block not in CONFIGS)
    return module


def test_the_configs_pass_the_doctor_and_have_the_hook(tmp_path: Path) -> None:
    """In a process and a folder of its own, with the module of the page beside them."""
    (tmp_path / "mylosses.py").write_text(module_of_the_page(), encoding="utf-8")
    names = [f"config{number}.py" for number in range(len(CONFIGS))]
    for name, block in zip(names, CONFIGS, strict=True):
        (tmp_path / name).write_text(block, encoding="utf-8")
    printed = fresh_python(CHECK, *names, cwd=tmp_path, PYTHONPATH=str(tmp_path)).splitlines()[-1]
    reports = json.loads(printed)
    assert len(reports) >= 5
    for name, found in reports.items():
        assert found["ok"], found
        told = {check["name"]: check["detail"] for check in found["checks"]}
        assert told["LossPluginsHook"].startswith("there, and no hook"), name
        assert any(check.startswith("model.") for check in told), name


def test_the_line_of_the_doctor_is_what_it_says() -> None:
    (line,) = re.findall(r"^```text\nok (.*?) - (.*)\n^```$", TEXT, re.M)
    config = shipped("retinanet/retinanet_r50_fpn_1x_coco")
    config.bbox_head.update(reg_decoded_bbox=True, loss_bbox={"type": "loss_plugins.EIoULoss"})
    found = inspect(build(config), config)
    (slot,) = found.slots
    head = type(slot.head).__name__
    assert line == (slot.key, f"{slot.name} in {head}, which gets {WORDS[found.handed[slot.path]]}")


def test_the_loss_of_ones_own_is_that_of_the_readme() -> None:
    assert re.sub(r'    """.*?"""\n', "", module_of_the_page()) in README


def test_the_configs_that_are_named_are_all_there_are() -> None:
    named = [name for first, _ in table("config | shows") for name in re.findall(r"`(\S+\.py)`", first)]
    assert sorted(named) == sorted(file.name for file in (ROOT / "configs/mmdet").glob("*.py"))


def test_links_lead_somewhere() -> None:
    found = re.findall(r"\]\(([^)#]*)(?:#([\w-]+))?\)", TEXT)
    assert len(found) > 3
    for file, heading in found:
        page = ROOT / "docs" / (file or "mmdet.md")
        assert page.exists(), file
        if heading:
            headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
            assert heading in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


# --- tables --------------------------------------------------------------------------------------------------------


def rows_by_config() -> dict[str, list[list[str]]]:
    """The rows of each config; those below the first leave its cell empty."""
    found: dict[str, list[list[str]]] = {}
    name = ""
    for first, *cells in table("config of MMDetection"):
        name = re.findall(r"`(.*?)`", first)[0] if first else name
        found.setdefault(name, []).append(cells)
    return found


ROWS = rows_by_config()


def first_loss(losses: str) -> dict[str, Any]:
    """The loss that a cell names first, with the reduction that it says."""
    name, reduction = re.findall(r"^`(\w+)`", losses)[0], re.findall(r'`reduction="(\w+)"`', losses)
    entry = ENTRIES[name]
    sigmoid = {"use_sigmoid": "class_map" not in entry.targets} if entry.kind == "classification" else {}
    return {"type": f"loss_plugins.{name}", **sigmoid, **({"reduction": reduction[0]} if reduction else {})}


@pytest.mark.parametrize("name", ROWS)
def test_slots_get_what_the_table_says_and_take_the_first_loss(name: str) -> None:
    config = shipped(name)
    for slot, _, losses in ROWS[name]:
        holder = config
        *path, last = slot.strip("`").split(".")
        for part in path:
            holder = holder[part]
        holder[last] = first_loss(losses)
    found = inspect(build(config), config)
    assert [each.message for each in found.findings] == []
    assert found.untried == ""
    wanted = {slot.strip("`"): gets for slot, gets, _ in ROWS[name]}
    assert {path: WORDS[handed] for path, handed in found.handed.items()} == wanted


def test_every_loss_of_the_tables_exists() -> None:
    named = set(re.findall(r"`(\w+Loss)`", TEXT))
    assert len(named) > 15
    assert named <= set(ENTRIES)


def test_what_is_sigmoid_and_what_is_not() -> None:
    for loss, use_sigmoid, other in table("loss | `use_sigmoid`"):
        said = [ENTRIES[each.strip("`")] for each in (loss, other)]
        assert use_sigmoid == "`True`"
        assert ["class_map" in entry.targets for entry in said] == [False, True]


def test_the_keys_of_the_hook_are_all_it_has() -> None:
    listed = {key.strip("`"): ast.literal_eval(default.strip("`")) for key, default, _ in table("key | default")}
    parameters = reading.signature(LossPluginsHook).parameters.values()
    assert listed == {each.name: each.default for each in parameters}


def test_messages_are_those_of_the_code() -> None:
    files = [*(ROOT / "adapters/mmdet").glob("*.py"), ROOT / "loss_plugins/tensors.py"]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    texts = [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    phrases = [phrase.strip("`") for phrase, _ in table("message | meaning")]
    assert len(phrases) > 8
    assert [phrase for phrase in phrases if not any(phrase in text for text in texts)] == []


def test_kinds_of_the_shell_exist() -> None:
    kinds = set(re.findall(r"`loss-plugins list --kind (\w+)`", TEXT))
    assert kinds == {"box", "coordinate", "classification", "region"}
    assert all(lp.list_losses(kind=kind) for kind in kinds)
