"""The table of other packages' losses: each place once, nothing imported before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import loss_plugins as lp
from loss_plugins.peers import Audited, Compared, Timed, audited, compared, find, timed
from loss_plugins.peers.packages import FRAMEWORKS, located
from loss_plugins.peers.table import PEERS
from loss_plugins.peers.uses import Peer
from loss_plugins.samples import SAMPLES


def test_every_place_stands_once() -> None:
    places = [(peer.framework, place) for peer in PEERS for place in (peer.module, peer.function) if place]
    assert len(places) == len(set(places)) > 50
    assert {peer.framework for peer in PEERS} == set(FRAMEWORKS)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.framework}-{peer.name}")
def test_every_place_is_there_and_used(peer: Peer) -> None:
    uses = [use for kind in (Compared, Timed, Audited) for use in peer.uses_of(kind)]
    assert {use.place for use in uses} == {place for place in (peer.module, peer.function) if place}
    for use in uses:
        assert callable(located(use.place))
        assert (use.like if isinstance(use, Audited) else use.loss) in lp.list_losses()
        assert not isinstance(use, Compared) or use.sample in SAMPLES


def test_nothing_is_lost_on_the_way_from_the_table() -> None:
    count = sum(len(peer.uses) for peer in PEERS)
    assert count == len(compared()) + len(audited()) + sum(len(timed(loss)) for loss in lp.list_losses())


def test_a_row_is_found_by_package_and_name() -> None:
    assert find("mmdet", "EIoULoss").function == "mmdet.models.losses.iou_loss:eiou_loss"
    assert find("torchvision", "sigmoid_focal_loss").module == ""
    with pytest.raises(KeyError, match="EIoULoss"):
        find("torchvision", "EIoULoss")


def test_the_table_imports_no_package() -> None:
    code = "import sys; import loss_plugins.peers; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "loss_plugins.peers.table" in loaded
    packages = {"mmdet", "mmcv", "mmengine", "ultralytics", "torchvision", "kornia", "monai", "rfdetr", "transformers"}
    assert packages.isdisjoint(loaded)
    assert "segmentation_models_pytorch" not in loaded
