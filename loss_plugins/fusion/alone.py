"""A thread of its own for what is tried and recorded, one at a time.

PyTorch keeps per thread what surrounds a call: autocast, inference mode, the default device, dispatch and function
modes (FakeTensor, tracing), hooks of saved tensors. In a new thread there is none of it, so what is recorded does not
depend on where the first call happens to stand, and what stands around that call sees nothing of the recording.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from . import private

Result = TypeVar("Result")

_LOCK = threading.Lock()
_THREAD = threading.local()


def possible() -> bool:
    """Whether `alone` may be called here.

    Not in such a thread itself, which holds the lock. Nor in a backward pass: it may occupy the thread that computes
    all gradients of a GPU, and a recording would wait for that thread.
    """
    return not getattr(_THREAD, "busy", False) and not private.in_backward()


def alone(work: Callable[[], Result]) -> Result:
    """What `work` returns, or its exception, from a new thread; while it runs, no other does."""

    def locked() -> Result:
        with _LOCK:
            _THREAD.busy = True
            return work()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(locked).result()
