"""Sizes of images in specs: where one is taken, left out, given."""

from __future__ import annotations

import pytest

import loss_plugins as lp
from loss_plugins.module.image_size import (
    filled,
    given_sizes,
    image_sizes,
    require_size,
    units_at_odds,
    with_image_size,
    without_image_size,
)


def test_specs() -> None:
    inner = {"type": "mpdiou", "image_size": (3, 4)}
    spec = filled({"type": "mix", "losses": ["mpdiou", "giou", inner]})
    assert spec["losses"] == [{"type": "mpdiou", "image_size": (1.0, 1.0)}, "giou", inner]
    assert filled("eiou") == "eiou"
    assert filled("no_such_loss") == "no_such_loss"
    full = lp.build_loss(spec).spec()
    assert image_sizes(full) == [(1.0, 1.0), (3.0, 4.0)]
    assert given_sizes(full) == [(3.0, 4.0)]
    assert given_sizes(with_image_size(full, (1, 1))) == []
    assert image_sizes(without_image_size(full)) == []
    assert image_sizes(lp.build_loss(filled(without_image_size(full))).spec()) == [(1.0, 1.0)] * 2


def test_a_size_that_is_not_that_of_the_images_is_refused() -> None:
    loss = lp.build_loss("mpdiou", image_size=(3, 4))
    require_size(loss, image_sizes(loss.spec()), (3, 4), "the images have")
    with pytest.raises(ValueError, match=r"mpdiou: image_size=\[3.0, 4.0\], and the images have \[4, 3\].*leave"):
        require_size(loss, image_sizes(loss.spec()), (4, 3), "the images have")


def test_units_that_no_boxes_can_have_at_once_are_told() -> None:
    sized = {"type": "mpdiou", "image_size": (3, 4)}
    both = lp.build_loss("mix", losses=["ciou", "nwd", sized])
    assert units_at_odds(both) == "nwd needs pixels, and mpdiou sides of the image"
    assert units_at_odds(lp.build_loss("mix", losses=["ciou", sized])) == ""
