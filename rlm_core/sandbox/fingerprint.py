"""Telling two values of a variable apart without keeping them: whether a cell that was run again made the
same."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

MOST = 1_000  # values within one
LONG = 1_000  # characters of a text; of a longer one its length and both ends are looked at

_SCALARS = frozenset([type(None), bool, int, float, complex, Decimal, date, datetime, time, timedelta])


def fingerprints(names: Mapping[str, Any], of: Mapping[str, str]) -> dict[str, int]:
    """Name -> a number that tells its value from others, for the names in `of` whose values are plain."""
    found = {name: fingerprint(names.get(name)) for name in of}
    return {name: number for name, number in found.items() if number is not None}


def fingerprint(value: Any) -> int | None:
    """The same in every process.  None for what is not plain data, or is large."""
    written = _Written()
    try:
        written.write(value)
    except (_Unlike, ValueError, RecursionError, MemoryError):  # ValueError: an int of too many digits
        return None
    return written.crc


class _Unlike(Exception):
    """It is too large to look at, or of a type whose own code would have to be run."""


class _Written:
    """The checksum of a value's parts, each with its type."""

    def __init__(self) -> None:
        self.crc, self._left = 0, MOST

    def write(self, value: Any) -> None:
        kind = type(value)
        self._left -= 1
        if self._left < 0:
            raise _Unlike
        self._add(kind.__name__)
        if kind is str or kind is bytes:
            self._add(f"{len(value)} {value[:LONG]!r} {value[-LONG:]!r}")
        elif kind in (datetime, time) and type(value.tzinfo) not in (type(None), timezone):
            raise _Unlike
        elif kind in _SCALARS:
            self._add(repr(value))
        elif kind in (list, tuple, set, frozenset, dict) and len(value) <= self._left:
            self._add(str(len(value)))
            if kind is dict:
                for key, item in value.items():
                    self.write(key)
                    self.write(item)
            elif kind in (set, frozenset):
                for crc in sorted(map(self._apart, value)):
                    self._add(str(crc))
            else:
                for item in value:
                    self.write(item)
        else:
            raise _Unlike

    def _apart(self, value: Any) -> int:
        """The checksum of a member of a set, which has no order."""
        crc, self.crc = self.crc, 0
        self.write(value)
        crc, self.crc = self.crc, crc
        return crc

    def _add(self, text: str) -> None:
        self.crc = zlib.crc32(text.encode("utf-8", "surrogatepass") + b"\0", self.crc)
