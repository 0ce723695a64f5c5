"""The package as others receive it: wheel, licences, README, no word too many."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.module.build import module_class
from tools.readme import BEGIN, END, loss_table

ROOT = Path(__file__).parents[1]
ULTRALYTICS = ROOT / "adapters/ultralytics"


def sources(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Names of the modules that a file imports, anywhere in it; relative ones resolved from the package."""
    package = ("loss_plugins", *file.relative_to(ROOT).parent.parts[0:])
    if package[1] == "loss_plugins":
        package = package[1:]
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("file", sources("loss_plugins", "adapters/mmdet"), ids=lambda f: str(f.relative_to(ROOT)))
def test_nothing_else_imports_the_agpl_adapter(file: Path) -> None:
    guilty = {name for name in imported(file) if re.match(r"(ultralytics|loss_plugins\.adapters\.ultralytics)\b", name)}
    assert guilty == set()


@pytest.mark.parametrize("file", sources("loss_plugins"), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_core_imports_no_framework(file: Path) -> None:
    allowed = {"mmengine"} if file.name == "registry.py" else set()
    frameworks = {name.partition(".")[0] for name in imported(file)} & {"mmengine", "mmdet", "mmcv", "ultralytics"}
    assert frameworks <= allowed


def test_every_file_of_the_ultralytics_adapter_names_its_licence() -> None:
    files = sources("adapters/ultralytics")
    assert len(files) > 5
    for file in files:
        assert file.read_text().startswith("# SPDX-License-Identifier: AGPL-3.0-or-later\n"), file
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in (ULTRALYTICS / "LICENSE").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_importing_the_core_imports_torch_alone() -> None:
    code = (
        "import sys; import loss_plugins\n"
        "heavy = {'ultralytics', 'mmengine', 'mmdet', 'typer', 'rich', 'matplotlib', 'sklearn', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_loss_is_exported() -> None:
    for entry in shipped():
        assert hasattr(lp, module_class(entry.name).__name__)


# --- the wheel -----------------------------------------------------------------------------------------------------


def requirement_closure(name: str, seen: set[str]) -> set[str]:
    """An installed distribution and all it needs, by normalised name."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return seen
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return seen  # needed on other platforms or by extras only
    seen.add(key)
    for requirement in distribution.requires or []:
        if "extra ==" not in requirement:
            requirement_closure(re.split(r"[ ;<>=!~\[(]", requirement, maxsplit=1)[0], seen)
    return seen


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment beside torch: torch and what it needs are linked in, nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib*/python*/site-packages"))
    for name in requirement_closure("torch", set()):
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if top == ".." or (site / top).exists():
                continue
            (site / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)], check=True, capture_output=True
    )
    (file,) = out.glob("*.whl")
    return file


def test_the_wheel_works_beside_torch_alone(bare_environment: Path, wheel: Path, tmp_path: Path) -> None:
    python = bare_environment / "bin/python"
    site = next(bare_environment.glob("lib*/python*/site-packages"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)], check=True
    )
    code = (
        "import torch, loss_plugins, loss_plugins.adapters, pathlib, importlib.util\n"
        "assert importlib.util.find_spec('ultralytics') is None and importlib.util.find_spec('rich') is None\n"
        "a = torch.tensor([[0., 0, 2, 2]]); b = torch.tensor([[1., 1, 3, 3]])\n"
        "print(round(loss_plugins.build_loss('ciou')(a, b).item(), 4))\n"
        "print(pathlib.Path(loss_plugins.__file__).parent, pathlib.Path(loss_plugins.adapters.__file__).parent)\n"
        "assert pathlib.Path(loss_plugins.__file__).with_name('py.typed').exists()\n"
        "assert (pathlib.Path(loss_plugins.adapters.__file__).parent / 'ultralytics/LICENSE').exists()"
    )
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value, core, adapters = done.stdout.split()
    assert value == "0.9683"
    assert Path(core).parent == site.resolve() or Path(core).parent == site
    assert Path(adapters) == Path(core) / "adapters"


def test_the_wheel_says_its_licences(wheel: Path) -> None:
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "License-Expression: Apache-2.0 AND AGPL-3.0-or-later" in metadata
    assert "License-File: adapters/ultralytics/LICENSE" in metadata
    assert not [name for name in names if name.startswith(("tests", "adapters/", "configs"))]


# --- README --------------------------------------------------------------------------------------------------------


def test_the_readme_table_is_the_catalogue() -> None:
    readme = (ROOT / "README.md").read_text()
    written = readme[readme.index(BEGIN) + len(BEGIN) : readme.index(END)].strip()
    assert written == loss_table().strip(), "run: python -m tools.readme README.md"


def test_the_readme_links_and_pictures_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    local = [link for link in re.findall(r"\]\(([^)#]+)\)", readme) if not link.startswith("http")]
    assert any(link.endswith(".png") for link in local)
    for link in local:
        assert (ROOT / link).exists(), link


def test_importing_the_package_leaves_the_compilers_tools_alone() -> None:
    """They take half a second, which only a first training step needs to pay."""
    code = "import torch, sys; before = set(sys.modules); import loss_plugins; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = done.stdout.split()
    assert "loss_plugins" in new
    assert [name for name in new if name.startswith(("sympy", "torch.fx", "torch._inductor", "torch._dynamo"))] == []
