"""What function a loss computes, told so that a pickled loss finds it again and never becomes another one."""

from __future__ import annotations

import copyreg
import enum
import hashlib
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import CellType, CodeType, FunctionType, ModuleType, NoneType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import refusal

PACKAGE = __name__.partition(".")[0]
#: types of values that their text tells apart
PLAIN = (bool, int, float, complex, str, bytes, NoneType, torch.dtype, torch.device)
#: so much is told of a function at most: one that holds on to a whole training reaches all of it
MANY = 100_000
#: constants of code, of which equal ones may be one object or not, as the compiler has it
CONSTANT = (tuple, frozenset, CodeType)


class Identity(NamedTuple):
    """Where a function is, and a digest of what it does.

    Attributes:
        module: where it is defined.
        qualname: its name there.
        python: the release that compiled it, as instructions differ between releases.
        digest: of its code, its defaults and what it takes from the functions around it; what it calls by a global name
            is not in it. "" for a loss of this package, of which there is one by each name.
    """

    module: str
    qualname: str
    python: tuple[int, int]
    digest: str

    @property
    def place(self) -> str:
        """The function as messages name it."""
        return f"{self.module}.{self.qualname}"

    def same_as(self, other: Identity) -> bool:
        """Whether both are one function; of two releases of Python, whether both are called the same."""
        comparable = self.python == other.python or "" in (self.digest, other.digest)
        return self.digest == other.digest if comparable else self.qualname == other.qualname


def identity_of(functions: Iterable[Callable[..., Any]]) -> Identity:
    """What tells a loss by its function, which is the first, and by others that belong to it."""
    first, *others = functions
    own = inspect.unwrap(first)
    place = (module_of(first), own.__qualname__, sys.version_info[:2])
    return Identity(*place, "" if is_shipped(first) else _digest((first, *others)))


def module_of(function: Callable[..., Any]) -> str:
    """The module of a function; in a process that was spawned, that of the script has another name."""
    module = inspect.unwrap(function).__module__ or "__main__"
    return "__main__" if module == "__mp_main__" else module


def place_of(function: Callable[..., Any]) -> str:
    """Module and name of a function."""
    return f"{module_of(function)}.{inspect.unwrap(function).__qualname__}"


def is_shipped(function: Callable[..., Any]) -> bool:
    """Whether a loss is one of this package."""
    return module_of(function).partition(".")[0] == PACKAGE


def not_pickled(name: str, saved: Identity, now: Identity | None) -> ValueError:
    """The error for a pickled loss whose function is not here.

    Args:
        name: of the loss.
        saved: what it computed.
        now: what the name stands for here; None: nothing.
    """
    came = f"this loss was saved with {saved.place}"
    if now is None:
        here = "which no loss that is registered here computes"
        remedy = f"import {saved.module}" if saved.module != "__main__" else "move the function to a file, import that"
    elif now.place == saved.place:
        here, remedy = "whose code or defaults have changed since", "bring it back as it was"
    else:
        here, remedy = f"and the name now stands for {now.place}", f"unregister_loss({name!r}), import {saved.module}"
    remedy += f" and load again; or load the state_dict() alone into build_loss({name!r})"
    return refusal(name, f"{came}, {here}", "the function that it was saved with", remedy)


def _digest(functions: Iterable[Callable[..., Any]]) -> str:
    digest = hashlib.sha256()
    for said in islice(_told(functions), MANY):
        digest.update(said.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _told(value: Any) -> Iterator[str]:
    """Types and parts of a value, down to numbers and text, the nearest first: the same in every process.

    Each object is told once, then by its number: functions call themselves, and what a function holds on to may be
    reached in many ways.
    """
    numbered: dict[int, tuple[int, Any]] = {}  # with the objects, as some are made here and would leave their number
    waiting = deque([value])
    while waiting:
        value = waiting.popleft()
        if is_plain(value):
            yield f"{type(value).__qualname__} {value!r}"
        elif id(value) in numbered:
            yield f"{type(value).__qualname__} {numbered[id(value)][0]}"
        else:
            if not isinstance(value, CONSTANT):
                numbered[id(value)] = len(numbered), value
            parts = list(next((parts for kinds, parts in PARTS if isinstance(value, kinds)), _of_any)(value))
            waiting.extend(parts)
            yield f"{type(value).__qualname__} of {len(parts)}"


def is_plain(value: Any) -> bool:
    """Whether the text of a value tells it apart: a number or a text, or many of them."""
    if type(value) in (list, tuple):
        return all(type(part) in PLAIN for part in value)
    return isinstance(value, PLAIN)


def _of_function(function: FunctionType) -> Iterable[Any]:
    code = function.__code__
    if function.__doc__ is not None:  # it changes nothing
        code = code.replace(co_consts=tuple(None if each == function.__doc__ else each for each in code.co_consts))
    return code, function.__defaults__, function.__kwdefaults__, *map(_inside, function.__closure__ or ())


def _inside(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it gets its value later
        return None


def _of_any(value: Any) -> Iterable[Any]:
    """Its names, and what a pickle would hold of it; what cannot be pickled is told by its type alone."""
    names = [getattr(value, name, "") for name in ("__module__", "__qualname__", "__name__")]
    said = [type(value).__module__, *(name for name in names if isinstance(name, str))]
    if isinstance(value, (type, ModuleType)):
        return said
    try:
        made_by = copyreg.dispatch_table.get(type(value))
        parts: Any = made_by(value) if made_by is not None else value.__reduce_ex__(4)
    except Exception:  # whatever an object raises that is not meant to be pickled
        parts = ()
    held = [list(part) if isinstance(part, Iterator) else part for part in parts] if isinstance(parts, tuple) else []
    return (*said, getattr(value, "__wrapped__", None), *held)


def _of_code(code: CodeType) -> Iterable[Any]:
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    caught = getattr(code, "co_exceptiontable", b"")  # from Python 3.11 on
    return code.co_code, code.co_names, code.co_freevars, code.co_consts, arguments, caught


def _of_tensor(tensor: Tensor) -> Iterable[Any]:
    """Of one that is not on the CPU, where the host would have to wait, not its numbers."""
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        return tensor.dtype, tensor.shape
    held = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    return tensor.dtype, tensor.shape, hashlib.sha256(bytes(held.tolist())).digest()


#: what tells values of a type apart
PARTS: tuple[tuple[Any, Callable[[Any], Iterable[Any]]], ...] = (
    (enum.Enum, lambda value: (value.name,)),
    ((list, tuple), lambda value: value),
    ((set, frozenset), lambda value: sorted(value, key=repr)),
    (Mapping, lambda value: value.items()),
    (Tensor, _of_tensor),
    (CodeType, _of_code),
    (FunctionType, _of_function),
)
