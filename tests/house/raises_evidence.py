"""Every "Raises" of the comparison of trainings, with a call that raises it (tests/house/test_promises.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loss_plugins.evidence.paired import distributions
from tests.house.raises_core import Table

PAIRED = "loss_plugins/evidence/paired.py"


def without_scipy(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setitem(sys.modules, "scipy", None)
    distributions()


EVIDENCE: Table = {
    (f"{PAIRED}::distributions", "ImportError"): {"scipy is missing": without_scipy},
}
