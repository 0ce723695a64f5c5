"""What the files import and what `import loss_plugins` loads; the order of the rooms is in test_layers.py."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.wheel import ROOT

#: what a training script needs not, and so does not wait for
LABORATORY = {"adapters", "audit", "bench", "cli", "demo", "parity", "peers", "registry"}
#: the adapter whose licence is another one
AGPL = "ultralytics"
#: those of all frameworks, found in their folder
ADAPTERS = sorted(file.parent.name for file in (ROOT / "adapters").glob("*/__init__.py"))
#: what the losses are made for or compared with; torch is what they are written in
FRAMEWORKS = {"kornia", "mmcv", "mmengine", "monai", "segmentation_models_pytorch", *ADAPTERS} - {"detr"}


def sources(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Names of the modules that a file imports, anywhere in it; relative ones resolved from the package."""
    package = ("loss_plugins", *file.relative_to(ROOT).parent.parts[0:])
    if package[1] == "loss_plugins":
        package = package[1:]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


OTHERS = [
    file for file in sources("loss_plugins", "adapters") if file.relative_to(ROOT).parts[:2] != ("adapters", AGPL)
]


@pytest.mark.parametrize("file", OTHERS, ids=lambda f: str(f.relative_to(ROOT)))
def test_nothing_else_imports_the_agpl_adapter(file: Path) -> None:
    guilty = {name for name in imported(file) if re.match(r"(ultralytics|loss_plugins\.adapters\.ultralytics)\b", name)}
    assert guilty == set()


@pytest.mark.parametrize("file", sources("loss_plugins"), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_core_imports_no_framework(file: Path) -> None:
    allowed = {"mmengine"} if file.name == "registry.py" else set()
    assert {name.partition(".")[0] for name in imported(file)} & FRAMEWORKS <= allowed


def test_every_file_of_the_ultralytics_adapter_names_its_licence() -> None:
    files = sources(f"adapters/{AGPL}")
    assert files
    for file in files:
        assert file.read_text().startswith("# SPDX-License-Identifier: AGPL-3.0-or-later\n"), file
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in (ROOT / "adapters/ultralytics/LICENSE").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_imports_its_own_framework_alone(name: str) -> None:
    """And what that needs itself."""
    allowed = {name} | {"mmdet": {"mmcv", "mmengine"}, "detr": set()}.get(name, set())
    found = {module.partition(".")[0] for file in sources(f"adapters/{name}") for module in imported(file)}
    assert found & FRAMEWORKS <= allowed


def test_importing_the_package_loads_the_losses_alone() -> None:
    """Beside torch no other package, none of torch's compiler (half a second), and no room that training lacks."""
    code = "import torch, sys; before = set(sys.modules); import loss_plugins; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert {"loss_plugins", "loss_plugins.losses.iou", "loss_plugins.module.loss"} <= set(loaded)
    assert [name for name in loaded if name.partition(".")[0] != "loss_plugins"] == []
    rooms = {name.split(".")[1] for name in loaded if "." in name}
    assert rooms & LABORATORY == set()
