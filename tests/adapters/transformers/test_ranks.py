"""Two processes: their losses have learnt the same."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.two_ranks import run_two_ranks


def test_ranks_share_what_their_losses_have_learnt(tmp_path: Path) -> None:
    first, second = run_two_ranks(Path(__file__).parent / "ranks.py", str(tmp_path))
    assert first == second
    assert len({1.0, *first["each step"]}) == 4
    assert first["at the end"] == first["each step"][-1:]
    assert len(set(first["trainer"])) == 2
    record = yaml.safe_load((tmp_path / "loss_plugins.yaml").read_text(encoding="utf-8"))
    assert record["state"]["box"]["statistics"]["mean.value"] == [first["trainer"][-1]]
    assert record["steps"] == [1, 2]
