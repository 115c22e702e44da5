"""Values on their way out of the worker, made plain: only data of Python's own types crosses."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import types
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any

from rlm_core.sandbox.inspection import MAX_INT_BITS

_MOMENTS = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
_AS_IS = frozenset([type(None), bool, int, float, complex, str, bytes, decimal.Decimal, *_MOMENTS])
_BASES = (str, int, float, bytes)  # a subclass of one of these goes as it
_LISTS = (Sequence, KeysView, ValuesView, ItemsView, Iterator)


def plain(value: Any, what: str) -> Any:
    """`value` with dataclasses and named tuples as dicts, enums as their values, subclasses as their bases
    and iterators as lists.  `what` names it in the error.

    Raises TypeError for what has no plain form, ValueError if it holds itself."""
    try:
        return _plain(value, what)
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply, or holds itself") from None


def _plain(value: Any, what: str) -> Any:
    kind = type(value)
    if issubclass(kind, int) and int.bit_length(value) > MAX_INT_BITS:
        raise ValueError(
            f"{what} holds a number of more than 4,300 digits: round it, or turn it into text in parts"
        )
    if kind in _AS_IS:
        return value
    if issubclass(kind, enum.Enum):
        return _plain(value.value, what)
    for base in _BASES:
        if issubclass(kind, base):
            return base.__str__(value) if base is str else base(value)
    if issubclass(kind, bytearray):
        return bytes(value)
    if issubclass(kind, fractions.Fraction):
        return str(value)
    if issubclass(kind, tuple):
        if (fields := getattr(kind, "_fields", None)) is not None:
            return {name: _plain(part, what) for name, part in zip(fields, value, strict=True)}
        return tuple(_plain(part, what) for part in value)
    if issubclass(kind, (set, frozenset)):
        return {_hashable(part, what) for part in value}
    if issubclass(kind, _LISTS):
        return [_plain(part, what) for part in value]
    if issubclass(kind, Mapping):
        return {_hashable(key, what): _plain(part, what) for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name), what) for f in dataclasses.fields(value)}
    if issubclass(kind, types.SimpleNamespace):
        return {key: _plain(part, what) for key, part in vars(value).items()}
    name = f"the {value.__name__!r} class" if isinstance(value, type) else f"a {kind.__name__}"
    raise TypeError(f"{what} holds {name}: turn it into plain data first (str, number, list, dict)")


def _hashable(value: Any, what: str) -> Any:
    """A key of a dict or a member of a set.  A named tuple stays a tuple here: a dict is no key."""
    if isinstance(value, tuple):
        return tuple(_hashable(part, what) for part in value)
    made = _plain(value, what)
    if isinstance(made, (dict, list, set)):
        raise TypeError(
            f"{what} holds a {type(value).__name__} as a key: turn it into a str or a tuple first"
        )
    return made
