"""How Python values cross between host and worker: msgpack, and an extension type for each kind that
msgpack lacks.

What crosses arrives exactly as it was: None, bool, int (of a worker's, what can be written in decimal),
float (nan and the infinities too), complex, str (lone surrogates too), bytes, list, tuple, dict (any
hashable of these as keys, in order), set, frozenset, datetime, date, time, timedelta, Decimal, and
`LMError`.  Of a subclass (a Counter, a namedtuple, an IntEnum) the builtin it is made of crosses; of a time
zone its offset and name at that moment.  Anything else is a TypeError that names the type.  No code
crosses, ever.

Values that msgpack carries as they are make up nearly all traffic, so a container of such is handed to
msgspec as it is, after one look at the types of its items at C speed.  Two kinds of leaf are found out too
late for that look: a str with a lone surrogate and an int past 64 bits.  msgspec raises on them, and the
value is packed again, leaf by leaf.

A frame from a worker is hostile: its bytes are inspected before they are decoded, and sets of equal hashes
are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from itertools import chain
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.msgpack import Ext

from rlm_core.sandbox.inspection import EXTENSION, MAX_DEPTH, MAX_INT_BITS, inspect
from rlm_core.sandbox.protocol import LMError

_MAX_EQUAL_HASHES = 64

_LEAVES = frozenset({type(None), bool, int, float, str, bytes})
_PLAIN_LEAVES = _LEAVES - {int, str}
_CONTAINERS = frozenset({list, dict})

T = TypeVar("T")
Buffer = bytes | bytearray | memoryview


class _Code:
    """The extension types.  Those in `NESTING` hold exactly one msgpack value."""

    TEXT = 1
    INT = 2
    COMPLEX = 3
    DECIMAL = 4
    LM_ERROR = 5
    BLOB = 6
    TUPLE = 10
    SET = 11
    FROZENSET = 12
    PAIRS = 13
    DATETIME = 14
    DATE = 15
    TIME = 16
    TIMEDELTA = 17


_encode = msgspec.msgpack.Encoder().encode


class Packer:
    """Turns a value into one that msgspec encodes without loss.  `blobs`, where given, takes strs and
    bytes of at least `blob_size` out of line (see `parcel`)."""

    def __init__(
        self,
        strict: bool,
        blobs: list[str | bytes] | None = None,
        blob_size: int = 0,
        max_nodes: int = 1 << 62,
    ):
        self._leaves = _PLAIN_LEAVES if strict else _LEAVES
        self._alone = self._leaves if blobs is None else self._leaves - {str, bytes}
        self._blobs, self._blob_size, self._blob_of = blobs, blob_size, dict[int, int]()
        self._left = max_nodes

    def pack(self, value: Any) -> Any:
        if type(value) in _CONTAINERS and self._is_plain(value):
            return value
        return self._pack(value, 0)

    def _is_plain(self, value: Any) -> bool:
        """Whether msgspec may have a value as it is: no container in it but lists and dicts, no leaf that
        msgpack lacks or that goes out of line.  A whole level at a time, at C speed."""
        left, level = self._left, [value]
        for _ in range(MAX_DEPTH):
            left -= len(level)
            kinds = set(map(type, level))
            if left < 0 or not kinds <= self._leaves | _CONTAINERS:
                return False
            if self._blobs is not None and self._has_long(level):
                return False
            lists = [item for item in level if type(item) is list] if list in kinds else []
            dicts = [item for item in level if type(item) is dict] if dict in kinds else []
            if not lists and not dicts:
                self._left = left
                return True
            if not self._leaves.issuperset(map(type, chain.from_iterable(dicts))):
                return False
            left -= sum(map(len, dicts))
            level = [*chain.from_iterable(lists), *chain.from_iterable(map(dict.values, dicts))]
        return False

    def _pack(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in self._alone:
            return value
        if kind is list:
            return self._list(value, depth)
        if kind is dict:
            return self._dict(value, depth)
        if kind is str:
            return self._text(value)
        if kind is bytes:
            return self._out_of_line(value)
        if kind is int:
            return self._integer(value)
        return self._other(value, depth)

    def _list(self, items: Sequence[Any], depth: int) -> Sequence[Any]:
        self._enter(len(items), depth)
        if self._are_plain_leaves(items):
            return items
        return [self._pack(item, depth + 1) for item in items]

    def _dict(self, entries: dict[Any, Any], depth: int) -> Any:
        self._enter(2 * len(entries), depth)
        if self._are_plain_leaves(entries):
            if self._are_plain_leaves(entries.values()):
                return entries
            return {key: self._pack(item, depth + 1) for key, item in entries.items()}
        keys = [self._pack(key, depth + 1) for key in entries]
        items = [self._pack(item, depth + 1) for item in entries.values()]
        if not any(type(key) is Ext for key in keys):
            return dict(zip(keys, items, strict=True))
        flat: list[Any] = [None] * (2 * len(keys))
        flat[::2], flat[1::2] = keys, items
        return _nested(_Code.PAIRS, flat)

    def _are_plain_leaves(self, items: Collection[Any]) -> bool:
        return self._leaves.issuperset(map(type, items)) and (
            self._blobs is None or not self._has_long(items)
        )

    def _has_long(self, items: Iterable[Any]) -> bool:
        texts = [item for item in items if type(item) is str or type(item) is bytes]
        return max(map(len, texts), default=0) >= self._blob_size

    def _enter(self, nodes: int, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise TypeError(
                f"a value nested more than {MAX_DEPTH} levels deep (or one that holds itself) cannot cross"
            )
        self._spend(nodes)

    def _spend(self, nodes: int) -> None:
        self._left -= nodes
        if self._left < 0:
            raise TypeError("a value of so many parts cannot cross at once: pass it in pieces")

    def _text(self, text: str) -> Any:
        if self._blobs is not None:
            moved = self._out_of_line(text)
            if moved is not text:
                return moved
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                self._spend(EXTENSION - 1)
                return Ext(_Code.TEXT, _utf8(text))
        return text

    def _integer(self, value: int) -> int | Ext:
        if -(1 << 63) <= value < 1 << 64:
            return value
        self._spend(EXTENSION - 1)
        return Ext(_Code.INT, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))

    def _out_of_line(self, value: str | bytes) -> Any:
        if self._blobs is None or len(value) < self._blob_size:
            return value
        index = self._blob_of.setdefault(id(value), len(self._blobs))
        if index == len(self._blobs):
            self._blobs.append(value)
        return _nested(_Code.BLOB, index)

    def _other(self, value: Any, depth: int) -> Any:
        self._spend(EXTENSION - 1)
        # The base type's own methods: a subclass may have overridden its iteration.
        match value:
            case tuple():
                return self._nested_list(_Code.TUPLE, list(tuple.__iter__(value)), depth)
            case LMError():
                return Ext(_Code.LM_ERROR, _utf8(str.__str__(value)))
            case str():
                return self._pack(str.__str__(value), depth)
            case int():
                return self._pack(int.__int__(value), depth)
            case float():
                return float.__float__(value)
            case list():
                return self._list(list.copy(value), depth)
            case dict():
                return self._dict(dict(dict.items(value)), depth)
            case set():
                return self._nested_list(_Code.SET, list(set.__iter__(value)), depth)
            case frozenset():
                return self._nested_list(_Code.FROZENSET, list(frozenset.__iter__(value)), depth)
            case complex():
                return Ext(_Code.COMPLEX, _encode([value.real, value.imag]))
            case Decimal():
                return Ext(_Code.DECIMAL, Decimal.__str__(value).encode())
            case datetime():
                self._spend(EXTENSION)  # its parts
                naive = value.replace(tzinfo=None, fold=0)
                return _nested(_Code.DATETIME, [naive.isoformat(), value.fold, *_zone(value)])
            case date():
                return _nested(_Code.DATE, value.isoformat())
            case time():
                self._spend(EXTENSION)
                return _nested(
                    _Code.TIME, [value.replace(tzinfo=None).isoformat(), value.fold, *_zone(value)]
                )
            case timedelta():
                self._spend(EXTENSION)
                return _nested(_Code.TIMEDELTA, [value.days, value.seconds, value.microseconds])
        raise TypeError(f"a value of type {type(value).__name__} cannot cross between the code and the host")

    def _nested_list(self, code: int, items: list[Any], depth: int) -> Ext:
        return _nested(code, self._list(items, depth))


def encode(build: Callable[[Packer], Any], max_nodes: int = 1 << 62) -> bytes:
    """The bytes of what `build` makes with a packer.  Raises TypeError for what cannot cross."""
    try:
        return _encode(build(Packer(strict=False, max_nodes=max_nodes)))
    except (UnicodeEncodeError, OverflowError):
        return _encode(build(Packer(strict=True, max_nodes=max_nodes)))


def encode_beside(value: Any, size: int) -> tuple[bytes, list[str | bytes]]:
    """The bytes of a value, without its strs and bytes of at least `size`, which come beside it in the
    order of their index."""
    for strict in (False, True):
        blobs: list[str | bytes] = []
        try:
            return _encode(Packer(strict, blobs, size).pack(value)), blobs
        except (UnicodeEncodeError, OverflowError):
            if strict:
                raise
    raise AssertionError("one of the two returns or raises")


def _nested(code: int, value: Any) -> Ext:
    return Ext(code, _encode(value))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _zone(moment: datetime | time) -> tuple[list[int] | None, str | None]:
    """The offset from UTC as (days, seconds, microseconds), and the zone's name where the offset alone
    does not give it."""
    if moment.tzinfo is None:
        return None, None
    offset = moment.utcoffset()
    if offset is None:
        raise TypeError(
            f"a time in the zone {moment.tzinfo} has no offset without its date, so it cannot cross"
        )
    name = moment.tzname()
    return [offset.days, offset.seconds, offset.microseconds], None if name == timezone(offset).tzname(
        None
    ) else name


class Decoder(Generic[T]):
    """Decodes a msgspec type whose `Any` fields hold packed values.  With `hostile`, for bytes that a
    worker wrote, the bytes are inspected first.  `blob(i)` gives the i-th out-of-line value.  Raises
    ValueError, TypeError, msgspec errors."""

    def __init__(
        self, type: type[T] | Any = Any, hostile: bool = False, blob: Callable[[int], Any] | None = None
    ):
        self._top = msgspec.msgpack.Decoder(type, ext_hook=self._extension)
        self._list = msgspec.msgpack.Decoder(list[Any], ext_hook=self._extension)
        self._hostile, self._blob = hostile, blob

    def decode(self, data: Buffer) -> T:
        if self._hostile:
            inspect(data)
        decoded: T = self._top.decode(data)
        return decoded

    def _extension(self, code: int, data: memoryview) -> Any:
        match code:
            case _Code.TEXT:
                return str(data, "utf-8", "surrogatepass")
            case _Code.INT:
                if self._hostile and len(data) > MAX_INT_BITS // 8 + 1:
                    raise ValueError("an int of too many digits")
                return int.from_bytes(data, "little", signed=True)
            case _Code.COMPLEX:
                return complex(*msgspec.msgpack.decode(data, type=tuple[float, float]))
            case _Code.DECIMAL:
                return Decimal(str(data, "ascii"))
            case _Code.LM_ERROR:
                return LMError(str(data, "utf-8", "surrogatepass"))
            case _Code.TUPLE:
                return tuple(self._list.decode(data))
            case _Code.SET:
                return set(self._hashable(self._list.decode(data)))
            case _Code.FROZENSET:
                return frozenset(self._hashable(self._list.decode(data)))
            case _Code.PAIRS:
                flat = self._list.decode(data)
                return dict(zip(self._hashable(flat[::2]), flat[1::2], strict=True))
            case _Code.DATETIME:
                text, fold, *zone = msgspec.msgpack.decode(data, type=_Moment)
                return datetime.fromisoformat(text).replace(tzinfo=_timezone(*zone), fold=fold)
            case _Code.DATE:
                return date.fromisoformat(msgspec.msgpack.decode(data, type=str))
            case _Code.TIME:
                text, fold, *zone = msgspec.msgpack.decode(data, type=_Moment)
                return time.fromisoformat(text).replace(tzinfo=_timezone(*zone), fold=fold)
            case _Code.TIMEDELTA:
                return timedelta(*msgspec.msgpack.decode(data, type=tuple[int, int, int]))
            case _Code.BLOB if self._blob is not None:
                return self._blob(msgspec.msgpack.decode(data, type=int))
        raise ValueError(f"unknown extension type {code}")

    def _hashable(self, keys: list[Any]) -> list[Any]:
        if self._hostile and len(keys) > _MAX_EQUAL_HASHES:
            [(_, count)] = Counter(map(hash, keys)).most_common(1)
            if count > _MAX_EQUAL_HASHES:
                raise ValueError("too many keys of equal hash")
        return keys


_Moment = tuple[str, int, tuple[int, int, int] | None, str | None]


def _timezone(offset: tuple[int, int, int] | None, name: str | None) -> tzinfo | None:
    if offset is None:
        return None
    return timezone(timedelta(*offset)) if name is None else timezone(timedelta(*offset), name)
