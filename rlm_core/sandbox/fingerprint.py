"""Telling two values of a variable apart without keeping them: whether a cell that was run again made the
same."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

MOST = 1_000  # values within one
LONG = 10_000  # characters of a text; of a longer one its length and both ends are looked at

_SCALARS = frozenset([type(None), bool, int, float, complex, bytes, Decimal, date, datetime, time, timedelta])


class _Unlike(Exception):
    """It is too large to look at, or of a type whose own code would have to be run."""


def fingerprints(names: Mapping[str, Any], of: Mapping[str, str]) -> dict[str, int]:
    """Name -> a number that tells its value from others, for the names in `of` whose values are plain."""
    found = {name: fingerprint(names.get(name)) for name in of}
    return {name: number for name, number in found.items() if number is not None}


def fingerprint(value: Any) -> int | None:
    """The same in every process.  None for what is not plain data, or is large."""
    parts: list[str] = []
    try:
        _write(value, parts)
    except (_Unlike, ValueError, RecursionError):  # ValueError: an int of too many digits
        return None
    return zlib.crc32("\0".join(parts).encode("utf-8", "surrogatepass"))


def _write(value: Any, parts: list[str]) -> None:
    kind = type(value)
    parts.append(kind.__name__)
    if len(parts) > MOST:
        raise _Unlike
    if kind is str:
        parts.append(value if len(value) <= LONG else f"{len(value)} {value[:LONG]}{value[-LONG:]}")
    elif kind in (datetime, time) and type(value.tzinfo) not in (type(None), timezone):
        raise _Unlike
    elif kind in _SCALARS:
        parts.append(repr(value) if kind is not bytes else f"{len(value)} {value[:LONG]!r}{value[-LONG:]!r}")
    elif kind in (list, tuple):
        for item in value[:MOST]:
            _write(item, parts)
        parts.append(str(len(value)))
    elif kind is dict and len(value) <= MOST:
        for key, item in value.items():
            _write(key, parts)
            _write(item, parts)
    elif kind in (set, frozenset) and len(value) <= MOST:
        written: list[list[str]] = []
        for item in value:
            written.append([])
            _write(item, written[-1])
        parts += ["\1".join(one) for one in sorted(written)]
    else:
        raise _Unlike
