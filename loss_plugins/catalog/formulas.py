"""The formulas of the shipped losses in Unicode. Made by `python -m tools.stubs`; do not edit."""

from __future__ import annotations

READABLE: dict[str, str] = {}
