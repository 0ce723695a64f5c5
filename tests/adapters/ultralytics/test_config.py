# SPDX-License-Identifier: AGPL-3.0-or-later
"""The files that name losses, and the records that are read again: as YAML 1.2 reads them, or refused in one line."""

from __future__ import annotations

import datetime
import errno
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from ultralytics.utils.loss import BboxLoss

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.mmdet import demo as demo_mmdet
from loss_plugins.adapters.ultralytics import cli, demo, marks, record, spec
from loss_plugins.adapters.ultralytics.config import import_modules
from loss_plugins.adapters.ultralytics.yaml12 import DEEPEST, LARGEST, yaml_value
from loss_plugins.catalog.entries import shipped
from loss_plugins.parity import deviations
from tests.house.wrong_values import refused

ADAPTER = "ultralytics adapter"
#: YAML 1.2.2, section 10.3: what a plain scalar is by the core schema, where YAML 1.1 does not say otherwise
SAME = {
    "null": None, "~": None, "": None, "true": True, "True": True, "FALSE": False, "0": 0, "-19": -19, "+12": 12,
    "0o7": 7, "0x3A": 58, "007": 7, "0.": 0.0, "-0.0": -0.0, ".5": 0.5, "+12e03": 12000.0, "-2E+05": -200000.0,
    "1e-7": 1e-7, "12e3": 12000.0, ".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf, "eiou": "eiou",
    "1e": "1e", "1.2.3": "1.2.3", "e7": "e7", "0o8": "0o8", "2.9.1+cpu": "2.9.1+cpu", "08": 8,
}  # fmt: skip
#: what YAML 1.1 reads there, by its own types' pages (yaml.org/type), and the remedy
DIFFERENT = {
    "010": (8, "write 8 or 10"), "-0777": (-511, "write -511 or -777"), "1:30": (90, "write 90 or '1:30' in quotes"),
    "190:20:30.15": (685230.15, "write 685230.15 or"), "1_000": (1000, "write 1000 or"), "0b11": (3, "write 3 or"),
    "1_0.5": (10.5, "write 10.5 or"), "0x_1": (1, "write 1 or"),
    "yes": (True, "write true or 'yes' in quotes"), "No": (False, "write false or 'No' in quotes"),
    "on": (True, "write true or"), "OFF": (False, "write false or"),
    "2020-01-01": (datetime.date(2020, 1, 1), "write '2020-01-01' in quotes"),
    "2020-13-45": ("a date that there is not", "write '2020-13-45' in quotes"),
    "2001-12-14 21:59:43.10": (datetime.datetime(2001, 12, 14, 21, 59, 43, 100000), "in quotes"),
}  # fmt: skip


def refused_file(text: str | bytes, came: str, folder: Path) -> str:
    """The remedy for a file, whose error is one line and names the file."""
    file = folder / "losses.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    parts = refused(lambda: lpu.make_spec(config=file), "", "", "")
    assert "losses.yaml" in parts.group(), parts.group()
    assert came in parts.group(), parts.group()
    assert "\n" not in parts.group()
    return parts["remedy"]


@pytest.mark.parametrize("text", SAME)
def test_a_plain_scalar_is_what_it_is_in_yaml_1_2(text: str) -> None:
    for written in (f"[{text}]" if text else "[~]", f"- {text}"):
        (found,) = yaml_value(written, "here")
        assert (found, type(found)) == (SAME[text], type(SAME[text]))


def test_not_a_number_is_one() -> None:
    assert math.isnan(yaml_value(".nan", "here"))


@pytest.mark.parametrize("text", DIFFERENT)
def test_what_the_two_versions_read_differently_is_refused(text: str, tmp_path: Path) -> None:
    then, remedy = DIFFERENT[text]
    if not isinstance(then, str):
        assert yaml.safe_load(f"[{text}]") == [then], "which is what YAML 1.1 reads"
    for place in (f"losses: {{box: {{type: eiou, eps: {text}}}}}", f"losses:\n  box: {text}"):
        assert remedy in refused_file(place, f"{text} is ", tmp_path)
    for quoted in (f"'{text}'", f'"{text}"'):
        assert yaml_value(quoted, "here") == text


LISTS = zip("abcdefgh", ["x", *["*a", "*b", "*c", "*d", "*e", "*f", "*g"]], strict=True)
BOMB = "\n".join(f"{name}: &{name} [{','.join([value] * 10)}]" for name, value in LISTS)


@pytest.mark.parametrize(
    ("text", "came", "remedy"),
    [
        ("losses: {box: eiou, box: giou}", "line 1, column 21: the key 'box' again, after line 1", "one of the two"),
        ("losses: {box: eiou}\nlosses: {box: giou}", "line 2, column 1: the key 'losses' again", "one of the two"),
        ("losses: {box: {type: eiou, eps: 1e-7, 'eps': 1e-6}}", "the key 'eps' again", "leave one"),
        ("losses: &a {box: {type: mix, losses: [eiou, *a]}}", "the alias *a stands for what it is part", "write"),
        ("losses: &a [*a]", "the alias *a stands for", "write out"),
        (f"losses: {'[' * 5000}", f"more than {DEEPEST} deep", "brackets"),
        (f"{BOMB}\nlosses: {{box: eiou}}", f"more than {LARGEST} values", "fewer aliases"),
        ("losses: {box: !!python/object/apply:os.system [ls]}", "the tag '!!python/object/apply:os", "leave the tag"),
        ("losses: {box: !!int x}", "the tag '!!int'", "leave the tag out"),
        ("losses: {box: !!set {a}}", "the tag '!!set'", "leave the tag out"),
        ("losses: {box: !mine x}", "the tag '!mine'", "leave the tag out"),
        ("losses:\n\tbox: eiou", "line 2, column 1", "indent by spaces"),
        ("losses: {box: eiou}\n---\nlosses: {box: giou}", "another document", "write, say"),
        ("losses: {box: {type: eiou, <<: 3}}", "for merging", "write, say"),
        ("losses: {box: \"\x00\"}", "unacceptable", "write, say"),
        (b"\xff\xfel\x00o\x00", "is no text in UTF-8 (invalid start byte at byte 0)", "save it as UTF-8"),
        (b"losses: {box: \xe9}", "at byte 14", "save it as UTF-8"),
        (f"losses: {{box: {{type: eiou, eps: 1{'0' * 5000}}}}}", "a number of 5001 digits", "1e9"),
        ("", "it holds nothing", "write, say"),
        ("# nothing", "it holds nothing", "write, say"),
        ("- losses", "it holds ['losses']", "write, say"),
        ("eiou", "it holds 'eiou'", "write, say"),
        ("loses: {box: eiou}", "no section 'losses:'", "write 'losses' for 'loses'"),
        ("losses: [box]", "no section 'losses:' with keys, it holds {'losses': ['box']}", "write, say"),
        ("losses: {box: eiou}\nimports: [mylosses]", "the key imports stands beside losses:", "indent it"),
        ("losses: {box: eiou}\ngain: match", "the key gain stands beside losses:", "indent it"),
        ("losses: {bx: eiou}", "unknown key losses.bx", "did you mean 'box'"),
        ("losses: {box: eiou, asigner: keep}", "unknown key losses.asigner", "did you mean 'assigner'"),
        ("losses: {1: eiou}", "unknown key losses.1", "known: "),
        ("losses: {[a]: eiou}", "unhashable key", "write, say"),
        ("losses: {box: {tpye: eiou}}", "has no 'type'", "write 'type' for 'tpye'"),
        ("losses: {box: {type: eiou, ep: 1}}", "losses.box: eiou: unknown parameter 'ep'", "did you mean"),
        ("losses: {box: {type: eiou, eps: .nan}}", "losses.box: eiou: eps=nan", "leave it out"),
        ("losses: {box: {type: eiou, eps: .inf}}", "losses.box: eiou: eps=inf", "leave it out"),
        ("losses: {box: {type: eiou, eps: 1e999}}", "losses.box: eiou: eps=inf", "leave it out"),
        ("losses: {box: {type: eiou, loss_weight: 'yes'}}", "losses.box: eiou: loss_weight='yes'", ""),
        ("losses: {box: {type: eiou, eps: 1_0e-4}}", "losses.box: eiou: eps='1_0e-4'", "this is text"),
        ("losses: {box: eoiu}", "losses.box: ultralytics adapter, box loss: box='eoiu'", "did you mean 'eiou'"),
        ("losses: {box: true}", "losses.box: ultralytics adapter, box loss: box=True", "box="),
        ("losses: {cls: ciou}", "losses.cls: ultralytics adapter: cls='ciou' is a loss of kind box", "pass one"),
        ("losses: {cls: {type: focal, ignore_index: 99999999999999999999999}}", "losses.cls: focal: ignore_index=", ""),
        (f"losses: {{cls: {{type: focal, gamma: 1{'0' * 320}}}}}", "losses.cls: focal: gamma=1000", "leave it out"),
        ("losses: {box: eiou, gain: Match}", "losses.gain: ultralytics adapter: gain='Match'", "did you mean 'match'"),
        ("losses: {box: eiou, gain: }", "losses.gain: ultralytics adapter: gain=None", ""),
        ("losses: {box: eiou, assigner: true}", "losses.assigner: ultralytics adapter: assigner=True", ""),
    ],
)  # fmt: skip
def test_each_fault_of_a_file_is_one_line_with_the_file_the_key_and_the_fix(
    text: str | bytes, came: str, remedy: str, tmp_path: Path
) -> None:
    assert remedy in refused_file(text, came, tmp_path)


@pytest.mark.parametrize("imports", ["3", "true", "{a: b}", "mylosses", "[3]", "[null]"])
def test_imports_are_a_list_of_names(imports: str, tmp_path: Path) -> None:
    refused_file(f"losses: {{box: eiou, imports: {imports}}}", "imports=", tmp_path)


@pytest.mark.parametrize("module", ["", " ", ".x", "a b", "a..b", "a.", "1a", "my-losses", "mylosses.py/x", "../x"])
def test_names_of_modules_are_written_as_after_import(module: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert "as after `import`" in refused_file(
        f"losses: {{box: eiou, imports: ['{module}']}}", f"[{module!r}]", tmp_path
    )
    if module.strip() and "." not in module:
        with pytest.raises(ValueError, match="as after `import`"):
            cli.yolo(["train", "model=yolo11n.yaml", "box_loss=eiou", f"imports={module}"])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('no')", "raised ValueError: no"), ("import sys; sys.exit(0)", "raised SystemExit: 0"),
        ("x = (", "raised SyntaxError"), ("import nobody_has_it", "No module named 'nobody_has_it'"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_imported_is_named(
    code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_losses.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    refused_file("losses: {box: eiou, imports: [broken_losses]}", said, tmp_path)


MODULE = """
import loss_plugins as lp

@lp.register_loss("test_beside")
def beside(pred, target):
    return (pred - target).abs().mean(-1)
"""


def test_a_module_of_the_current_folder_is_found_without_further_ado(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by another process, which gets the spec alone, and where the command is a script of another folder."""
    import loss_plugins as lp

    (tmp_path / "losses_beside.py").write_text(MODULE)
    (tmp_path / "losses.yaml").write_text("losses: {box: test_beside, imports: [losses_beside]}")
    monkeypatch.chdir(tmp_path)
    there = [folder for folder in sys.path if folder not in ("", str(tmp_path))]
    try:
        monkeypatch.setattr(sys, "path", [*there])
        text = lpu.make_spec(config="losses.yaml").to_json()
        lp.unregister_loss("test_beside")
        del sys.modules["losses_beside"]
        monkeypatch.setattr(sys, "path", [*there])
        assert spec.Spec.from_json(text).build("box").entry.name == "test_beside"
        lp.unregister_loss("test_beside")
    finally:
        sys.modules.pop("losses_beside", None)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (".", "is a folder"), ("", "is a folder"), ("nowhere", "is not a file"), ("a\0b", "is not a file"),
        ("x" * 5000, "File name too long"), ("nowhere/" * 1000, "is not a file"), ("losses.yaml/x", "is not a file"),
        ("loop", "is not a file"), ("secret/losses.yaml", "Permission denied"), ("closed.yaml", "Permission denied"),
    ],
)  # fmt: skip
def test_each_fault_of_a_path_is_one_short_line(
    file: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "losses.yaml").write_text("losses: {box: eiou}")
    (tmp_path / "closed.yaml").write_text("losses: {box: eiou}")
    (tmp_path / "loop").symlink_to("loop")

    def guarded(call: Any, denied: str) -> Any:  # the tests may run as root, whom no mode keeps out
        def guard(self: Path, *arguments: Any, **named: Any) -> Any:
            if denied in str(self):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
            return call(self, *arguments, **named)

        return guard

    monkeypatch.setattr(Path, "is_file", guarded(Path.is_file, "secret"))
    monkeypatch.setattr(Path, "read_text", guarded(Path.read_text, "closed"))
    parts = refused(lambda: lpu.make_spec(config=file), ADAPTER, "config=", said)
    assert len(parts["came"]) < 200
    refused(lambda: cli.yolo(["train", "model=yolo11n.yaml", f"losses={file}"]), ADAPTER, "losses=", said)


def test_what_this_package_writes_is_read_again_as_it_was() -> None:
    """The record of a run is written by PyYAML, in version 1.1."""
    for entry in shipped():
        record = {name: parameter.default for name, parameter in entry.parameters.items()}
        record |= {"yes": "no", "a": "1:30", "date": "2020-01-01", "c": [1e-7, 1e22, -0.0, 12], "d": "010", "e": "~"}
        plain = json.loads(json.dumps(record))
        assert yaml_value(yaml.safe_dump(plain, sort_keys=False), "here") == plain


# --- the shell -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["box_loss={type: eiou, type: giou}"], "the key 'type' again"),
        (["box_loss={'type': 'eiou', 'type': 'giou'}"], "the key 'type' again"),
        (['box_loss={"type": "mix", "losses": [{"type": "eiou", "eps": 1e-7, "eps": 1e-6}]}'], "the key 'eps' again"),
        (["box_loss=eiou", "box_loss=giou"], "box_loss is given again"),
        (["box_loss=eiou", "box_loss.eps=1e-7", "box_loss.eps=1e-6"], "box_loss.eps is given again"),
        (["losses=eiou", "losses=giou"], "losses is given again"), (["gain=keep", "gain=match"], "gain is given again"),
        (["box_loss=eiou", "box_loss.eps=010"], "010 is 8 to YAML 1.1"),
        (["box_loss=eiou", "box_loss.compile=no"], "no is false to YAML 1.1"),
        (["box_loss=eiou", "box_loss.image_size=[640"], "line 1"),
    ],
)  # fmt: skip
def test_the_shell_reads_values_as_files_do(words: list[str], said: str) -> None:
    refused(lambda: cli.yolo(["train", "model=yolo11n.yaml", *words]), "", "", said)


@pytest.mark.parametrize("words", [["resume"], ["resume=True"], ["box_loss=eiou"], ["resume=False", "box_loss=eiou"]])
def test_the_shell_asks_for_a_model(words: list[str]) -> None:
    refused(lambda: cli.yolo(["train", *words]), "yolo", "model=... is missing", "")


def test_the_shell_resolves_a_spec_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    make = spec._box_module

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return make(*arguments)

    class Model:
        def train(self, trainer: Any, **settings: Any) -> None:
            assert trainer.keywords["loss_spec"].box["type"] == "eiou"

    monkeypatch.setattr(spec, "_box_module", counted)
    monkeypatch.setattr(cli, "make_model", lambda task, file: Model())
    cli.yolo(["detect", "train", "model=yolo11n.yaml", "box_loss=eiou"])
    assert made == [("eiou", "box_loss")]


# --- records that are read again -------------------------------------------------------------------------------------

BROKEN = ("", "[]", "3", "{", "{a: 1, a: 2}", "losses: 3", "\x00", "null", '{"mAP50": "x"}', "NaN")


@pytest.mark.parametrize("text", BROKEN)
def test_records_of_the_demos_that_are_broken_say_what_to_do(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("loss_plugins.yaml", "finished.yaml", "finished.json"):
        (tmp_path / name).write_text(text)
    refused(lambda: demo.print_result(tmp_path, Console()), "demo", str(tmp_path), "cannot be read")
    refused(lambda: demo_mmdet.print_result(tmp_path), "demo-mmdet", "finished.json", "cannot be read")
    if text not in ("[]",):
        monkeypatch.setattr(deviations, "MEASURED", tmp_path / "finished.json")
        refused(lambda: deviations._measured.__wrapped__(), "deviations", "finished.json", "cannot be read")


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "null", "{}", '{"imports": 3}', '{"imports": [], "bax": 1}'])
def test_a_spec_that_another_process_cannot_read_is_refused(text: str) -> None:
    refused(lambda: spec.Spec.from_json(text), ADAPTER, "the spec", "cannot be read")


STAMPS = [
    None, 3, "eiou", {}, {"losses": "eiou", "state": {}}, {"losses": {"box": None}},
    *({"losses": losses, "state": {}} for losses in ({}, {"box": None}, {"box": "eiou"}, {"box": {"type": 3}})),
    *({"losses": {"box": {"type": "eiou"}}, "state": {}, **part} for part in (
        {"state": None}, {"run": 3}, {"earlier": 3}, {"epochs": "1"}, {"epochs": [1]}, {"earlier": [{"epochs": 3}]})),
]  # fmt: skip


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_stamp_of_others_is_refused(stamp: Any) -> None:
    refused(lambda: record.read_stamp(stamp, "best.pt"), ADAPTER, "the stamp of best.pt", "cannot be read")


@pytest.mark.parametrize("text", [None, 3, "", "token", "a/b/c", ["a", "b"], {"a": 1}])
def test_a_mark_of_another_version_names_nobody(text: Any) -> None:
    part = BboxLoss(16)
    setattr(part, marks.ATTRIBUTE, text)
    assert marks.mark_of(part) is None


def test_a_module_that_is_imported_needs_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [folder for folder in sys.path if folder not in ("", str(Path.cwd()))]
    monkeypatch.setattr(sys, "path", [*before])
    import_modules(["loss_plugins"], "here")
    assert sys.path == before
