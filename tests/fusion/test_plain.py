"""Losses take the plain path where that is wanted: in this thread, until it is left."""

from __future__ import annotations

import threading

import pytest

import loss_plugins as lp
from loss_plugins.fusion import by_autograd
from loss_plugins.samples import sample_pairs

from .own import is_fused

PAIR = sample_pairs(8)


@pytest.mark.parametrize("compiled", [False, True])
def test_losses_take_it_and_nothing_is_compiled(compiled: bool) -> None:
    module = lp.build_loss("ciou", reduction="none", compile=compiled)
    with by_autograd():
        assert not is_fused(module, *PAIR)


def test_it_is_left_where_it_began_whatever_happens() -> None:
    module = lp.build_loss("ciou", reduction="none")
    with by_autograd():
        with pytest.raises(ZeroDivisionError), by_autograd():
            raise ZeroDivisionError
        assert not is_fused(module, *PAIR)
    assert is_fused(module, *PAIR)


def test_other_threads_do_not() -> None:
    module, found = lp.build_loss("ciou", reduction="none"), []
    with by_autograd():
        thread = threading.Thread(target=lambda: found.append(is_fused(module, *PAIR)))
        thread.start()
        thread.join()
    assert found == [True]
