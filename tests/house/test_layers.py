"""The layer rules of pyproject.toml: they hold, and each kind of import that they forbid is seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.layers import lint
from tools.wheel import unpacked

CORE_TO_ADAPTER = "import loss_plugins.adapters.mmdet\n"
LAZILY = "def later():\n    from ..parity import compare\n    return compare\n"
TYPE_CHECKING = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from ..module.loss import Loss\n"

#: what is planted: the rule that it breaks, and what is added to which file
PLANTS: dict[str, tuple[str, dict[str, str]]] = {
    "from adapter to adapter": (
        "adapters",
        {"adapters/mmdet/modules.py": "from ..ultralytics.errors import *\n"},
    ),
    "from a further adapter to another": (
        "adapters",
        {"adapters/further/__init__.py": "", "adapters/further/a.py": "from ..mmdet.slots import *\n"},
    ),
    "from the shared adapter to another": (
        "adapters",
        {"adapters/detr/__init__.py": "from ..mmdet.slots import *\n"},
    ),
    "from the core to an adapter": ("layers", {"tensors.py": CORE_TO_ADAPTER}),
    "from the command line to an adapter": ("layers", {"cli.py": f"def later():\n    {CORE_TO_ADAPTER}"}),
    "from an adapter to the command line": ("layers", {"adapters/mmdet/doctor.py": "from ...cli import print_json\n"}),
    "upwards inside a function": ("layers", {"module/mix.py": LAZILY}),
    "upwards under TYPE_CHECKING": ("layers", {"catalog/ranges.py": TYPE_CHECKING}),
    "from one room to its neighbour": ("layers", {"bench/cases.py": "from ..parity import compare\n"}),
    "into a room without a place": ("layers", {"attic.py": ""}),
    "from the engine to the catalogue": ("fusion", {"fusion/algebra.py": "from ..catalog.ranges import Choice\n"}),
    "past the engine's door": ("door", {"bench/measure.py": "from ..fusion.program import Program\n"}),
    "a circle of two modules in a room": (
        "rooms",
        {"catalog/ranges.py": "from . import declare\n", "catalog/declare.py": "from .ranges import Choice\n"},
    ),
    "a circle by way of a room's __init__": (
        "circles",
        {"bench/__init__.py": "from .cases import Case\n", "bench/cases.py": "import loss_plugins.bench\n"},
    ),
}
ALLOWED = {
    "adapters/detr/__init__.py": "",
    "adapters/detr/slots.py": "import loss_plugins\n",
    "adapters/mmdet/slots.py": "from ..detr import slots\n",
    "adapters/ultralytics/slots.py": "from ..detr.slots import *\n",
}


@pytest.fixture(scope="module")
def package() -> Path:
    return unpacked()


@pytest.fixture
def copy(package: Path, tmp_path: Path) -> Path:
    shutil.copytree(package / "loss_plugins", tmp_path / "loss_plugins")
    return tmp_path


def plant(folder: Path, additions: dict[str, str]) -> None:
    for name, text in additions.items():
        file = folder / "loss_plugins" / name
        file.parent.mkdir(exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write("\n" + text)


def test_the_package_keeps_every_rule(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 kept, 0 broken" in done.stdout


@pytest.mark.parametrize("what", PLANTS)
def test_a_forbidden_import_breaks_its_rule(copy: Path, what: str) -> None:
    rule, additions = PLANTS[what]
    plant(copy, additions)
    done = lint(copy, "--contract", rule)
    assert done.returncode == 1
    assert "0 kept, 1 broken" in done.stdout, done.stdout + done.stderr


def test_adapters_may_share_detr(copy: Path) -> None:
    plant(copy, ALLOWED)
    done = lint(copy, "--contract", "adapters", "--contract", "layers")
    assert done.returncode == 0, done.stdout + done.stderr
