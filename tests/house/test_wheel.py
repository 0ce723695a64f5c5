"""The package as others receive it: what the wheel holds, and that it works beside what it asks for alone."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from tools.wheel import ROOT, unpacked

from .environments import environment, required, run

#: what the page of `loss-plugins explore` is put together of
PAGE = ROOT / "loss_plugins/evidence/explore/page"
#: beside Python, its stubs and the marker of types
DATA = {
    "loss_plugins/adapters/ultralytics/LICENSE",
    "loss_plugins/parity/deviations.json",
    *(f"loss_plugins/evidence/explore/page/{file.name}" for file in PAGE.iterdir()),
}


@pytest.fixture(scope="module")
def installed() -> Path:
    return unpacked()


def test_every_file_of_the_package_is_in_the_wheel(installed: Path) -> None:
    """A room that pyproject.toml does not list would be missing."""
    ours = {
        "loss_plugins": ROOT / "loss_plugins",
        "loss_plugins/adapters": ROOT / "adapters",
        "loss_plugins/adapters/mmdet/_base_": ROOT / "configs/mmdet/_base_",
        "loss_plugins/adapters/ultralytics/configs": ROOT / "configs/ultralytics",
    }
    wanted = {
        f"{package}/{file.relative_to(folder)}"
        for package, folder in ours.items()
        for file in folder.rglob("*")
        if file.suffix in (".py", ".pyi", ".typed", ".yaml")
    }
    held = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    assert len(wanted) > 90
    assert wanted <= held
    others = {name for name in held - wanted if ".dist-info/" not in name}
    assert others == DATA, "neither lab notes nor templates nor tools belong into the wheel"


def page_templates(file: Path) -> list[int]:
    """Lines at which a Markdown page is written out."""
    texts = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)]
    return [node.lineno for node in texts if isinstance(node.value, str) and re.match(r"# \w.*\n\n", node.value)]


def test_the_wheel_holds_no_page_of_the_documentation(installed: Path) -> None:
    found = {str(file): lines for file in installed.rglob("*.py") if (lines := page_templates(file))}
    assert found == {}


def test_the_wheel_says_its_licences(installed: Path) -> None:
    metadata = next(installed.glob("*.dist-info/METADATA")).read_text()
    assert "License-Expression: Apache-2.0 AND AGPL-3.0-or-later" in metadata
    assert "License-File: adapters/ultralytics/LICENSE" in metadata


CORE = """
import importlib.util, pathlib
import torch, loss_plugins, loss_plugins.adapters
assert not any(map(importlib.util.find_spec, ("ultralytics", "mmengine", "rich", "typer", "yaml", "numpy")))
a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 1, 3, 3]])
print(round(loss_plugins.build_loss("ciou")(a, b).item(), 4))
print(pathlib.Path(loss_plugins.__file__).parent, pathlib.Path(loss_plugins.adapters.__file__).parent)
"""


def test_the_core_works_beside_torch_alone(tmp_path: Path) -> None:
    assert "torch" in required("loss-plugins")
    folder = environment("loss-plugins")
    done = run(folder, "python", "-c", CORE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    value, core, adapters = done.stdout.split()
    assert value == "0.9683"
    assert folder.resolve() in Path(core).resolve().parents
    assert Path(adapters) == Path(core) / "adapters"


def test_digits_bring_no_framework() -> None:
    """Data and pictures are the same for every framework, and a demonstration of one needs no other."""
    needed = required("loss-plugins[digits]")
    assert {"scikit-learn", "pillow", "matplotlib", "rich", "typer"} <= needed
    assert not {"ultralytics", "transformers", "torchvision", "mmdet"} & needed
    assert "ultralytics" not in required("loss-plugins[digits,transformers]")


def test_the_environments_are_no_larger_than_what_is_asked_for(tmp_path: Path) -> None:
    """Else the tests above would prove nothing: what only the tests need cannot be imported there."""
    code = "import importlib.util; print([n for n in ('pytest', 'mmdet', 'sklearn') if importlib.util.find_spec(n)])"
    done = run(environment("loss-plugins[ultralytics]"), "python", "-c", code, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr
    assert "pytest" in sys.modules
