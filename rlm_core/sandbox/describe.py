"""What the code has made, described by type and size without running any of its own code."""

from __future__ import annotations

import collections
import types
from collections.abc import Callable, Mapping
from typing import Any

MOST = 50
LONGEST = 100  # characters of a name

# Base class -> its own length and unit.  The base's `__len__`, as a subclass of the cell's may have any.
_SIZED: tuple[tuple[type, Callable[[Any], int], str], ...] = (
    (str, str.__len__, "character"),
    (bytes, bytes.__len__, "byte"),
    (bytearray, bytearray.__len__, "byte"),
    (dict, dict.__len__, "key"),
    (list, list.__len__, "item"),
    (tuple, tuple.__len__, "item"),
    (set, set.__len__, "item"),
    (frozenset, frozenset.__len__, "item"),
    (collections.deque, collections.deque.__len__, "item"),
)


def describe(value: object) -> str:
    """`list, 3 items`, `str, 1,204 characters`, `int`, `function`, `Person`."""
    kind = type(value)
    if issubclass(kind, type):
        return "class"
    for base, length, unit in _SIZED:
        if issubclass(kind, base):
            size = length(value)
            return f"{kind.__name__[:LONGEST]}, {size:,} {unit}{'' if size == 1 else 's'}"
    return "None" if value is None else kind.__name__[:LONGEST]


def variables(names: Mapping[str, object], given: Mapping[str, object]) -> dict[str, str]:
    """The public names, described; the `MOST` made last.

    Not what was only imported, and no name that still holds what it was `given`."""
    module = names.get("__name__")
    made = {
        name: describe(value)
        for name, value in list(names.items())
        if not (name.startswith("_") or value is given.get(name, names) or _imported(value, module))
        and len(name) <= LONGEST
    }
    return dict(list(made.items())[-MOST:])


def _imported(value: object, module: object) -> bool:
    """Whether the cell got `value` by an import: a module, or a function or class not of its own."""
    kind = type(value)
    if issubclass(kind, (types.FunctionType, type)):
        return bool(kind.__getattribute__(value, "__module__") != module)
    return issubclass(kind, (types.BuiltinFunctionType, types.ModuleType))
