"""README, CONTRIBUTING and docs/: links and anchors lead somewhere, and blocks of Python name what there is."""

from __future__ import annotations

import ast
import importlib
import re
import textwrap
from pathlib import Path

import pytest

from tools.wheel import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """The anchors of a page; a heading that comes again gets a number."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose(text), re.M):
        name, numbers = anchor(heading), iter(range(1, 1000))
        unique = name
        while unique in found:
            unique = f"{name}-{next(numbers)}"
        found.add(unique)
    return found


def broken(file: Path) -> list[str]:
    """The links of a page to files or headings that are not there."""
    lost = []
    for link in LINK.findall(prose(file.read_text(encoding="utf-8"))):
        path, _, name = link.partition("#")
        if link.startswith("http"):
            continue
        there = (file.parent / path).resolve() if path else file
        if not there.exists() or (name and name not in anchors(there.read_text(encoding="utf-8"))):
            lost.append(link)
    return lost


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_and_anchors_lead_somewhere(file: Path) -> None:
    assert broken(file) == []


def test_all_pages_are_read_and_anchors_are_among_their_links() -> None:
    links = {page.name: LINK.findall(prose(page.read_text(encoding="utf-8"))) for page in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "detr.md", "audit.md"} <= set(links)
    assert any(link.endswith(".png") for link in links["README.md"])
    assert sum("#" in link for found in links.values() for link in found if not link.startswith("http")) >= 3


@pytest.mark.parametrize(
    ("link", "lost"),
    [
        ("there.md", False),
        ("there.md#what-it-is-for-ours", False),
        ("#again-1", False),
        ("#again-2", True),
        ("there.md#what-it-was", True),
        ("nowhere.md", True),
        ("https://nowhere.example/#x", False),
    ],
)
def test_a_broken_link_is_found(link: str, lost: bool, tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# What `it` is for: [ours](x)\n", encoding="utf-8")
    (page := tmp_path / "page.md").write_text(f"# Again\n[a]({link})\n## Again\n```\n# Again\n```\n", encoding="utf-8")
    assert broken(page) == ([link] if lost else [])


def blocks() -> list[object]:
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, text in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize("text", blocks())
def test_blocks_of_python_import_what_there_is(text: str) -> None:
    for node in ast.walk(ast.parse(textwrap.dedent(text))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("loss_plugins"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
