"""Packages that bring losses, as they lie in a folder where pip has installed them."""

from __future__ import annotations

from pathlib import Path

from loss_plugins.catalog.plugins import ENTRY_POINTS


def write(folder: Path, name: str, module: str, value: str = "") -> None:
    """Put a package there as pip would: its module, and the metadata that name the entry point."""
    (folder / f"{name}.py").write_text(module)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nlosses = {value or name}\n")
