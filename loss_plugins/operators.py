"""What operators are called while something is computed, how much they make, and how often the host waits for them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

#: operators after which the host goes on only when the device has answered
WAITS = ("aten._local_scalar_dense", "aten.nonzero", "aten.is_nonzero", "aten.equal")


class Counted(TorchDispatchMode):
    """Counts the operators that are called while it is active, and those that make the host wait.

    Attributes:
        operators: calls by name.
        copies: tensors that were copied from a device to the host.
        elements: numbers in all tensors that operators returned, views included.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: Counter[str] = Counter()
        self.copies = self.elements = 0

    def __enter__(self) -> Counted:
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operators[str(func).rpartition(".")[0]] += 1
        self.elements += result.numel() if isinstance(result, Tensor) else 0
        first = args[0] if args else None
        if isinstance(first, Tensor) and isinstance(result, Tensor) and first.device != result.device:
            self.copies += result.device.type == "cpu"
        return result

    @property
    def waits(self) -> int:
        """How often the host waited: for a number, for a shape, or for a copy from the device."""
        return sum(self.operators[name] for name in WAITS) + self.copies
