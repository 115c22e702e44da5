"""A look at the bytes that a worker wrote, before anything is made of them.

msgspec alone would let a worker ask for a list of 2**32 items with five bytes, nest until the decoder's
recursion ends, or grow 64 times in memory (empty dicts).  So the bytes are walked first, without recursion
and without making anything.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_DEPTH = 100
"""How deep values may nest."""
MAX_NODES = 1_000_000
"""How many values one frame of a worker may hold; this bounds what it costs the host to make them."""
EXTENSION = 4
"""As how many values one of an extension type counts: a date takes that much longer to make than a number."""
MAX_INT_BITS = 14_284
"""How large an int of a worker may be: one of 4,301 digits and more Python writes nowhere, and the host that
wants to show an answer, or to record it, would fail."""
NESTING = frozenset(range(10, 18))
"""The extension types (see `values`) that hold exactly one msgpack value."""

# Lead byte of a msgpack value -> (kind, bytes of its length field, fixed size), for `inspect`.
_SCALAR, _BYTES, _ARRAY, _MAP, _EXT = range(5)


def _lead_bytes() -> Iterable[tuple[int, int, int]]:
    sized = {
        0xC4: (_BYTES, 1, 0), 0xC5: (_BYTES, 2, 0), 0xC6: (_BYTES, 4, 0),
        0xC7: (_EXT, 1, 0), 0xC8: (_EXT, 2, 0), 0xC9: (_EXT, 4, 0),
        0xCA: (_SCALAR, 0, 4), 0xCB: (_SCALAR, 0, 8),
        0xCC: (_SCALAR, 0, 1), 0xCD: (_SCALAR, 0, 2), 0xCE: (_SCALAR, 0, 4), 0xCF: (_SCALAR, 0, 8),
        0xD0: (_SCALAR, 0, 1), 0xD1: (_SCALAR, 0, 2), 0xD2: (_SCALAR, 0, 4), 0xD3: (_SCALAR, 0, 8),
        0xD4: (_EXT, 0, 1), 0xD5: (_EXT, 0, 2), 0xD6: (_EXT, 0, 4), 0xD7: (_EXT, 0, 8), 0xD8: (_EXT, 0, 16),
        0xD9: (_BYTES, 1, 0), 0xDA: (_BYTES, 2, 0), 0xDB: (_BYTES, 4, 0),
        0xDC: (_ARRAY, 2, 0), 0xDD: (_ARRAY, 4, 0), 0xDE: (_MAP, 2, 0), 0xDF: (_MAP, 4, 0),
    }  # fmt: skip
    for lead in range(256):
        if 0x80 <= lead < 0x90:
            yield _MAP, 0, lead & 0x0F
        elif 0x90 <= lead < 0xA0:
            yield _ARRAY, 0, lead & 0x0F
        elif 0xA0 <= lead < 0xC0:
            yield _BYTES, 0, lead & 0x1F
        else:
            yield sized.get(lead, (_SCALAR, 0, 0))


_LEAD = tuple(_lead_bytes())


def inspect(
    data: bytes | bytearray | memoryview, max_nodes: int = MAX_NODES, max_depth: int = 2 * MAX_DEPTH + 16
) -> int:
    """The number of values in a msgpack message, without decoding it.  Raises ValueError if it holds more
    than `max_nodes`, nests deeper than `max_depth` (a tuple takes two levels, the frame itself some),
    claims more than its bytes, or has a container for a key."""
    view = memoryview(data)
    position, end, nodes = 0, len(view), 0
    left, is_map = 1, False  # what is left of the container that the walk is in
    outer: list[tuple[int, bool, int]] = []  # (left, is_map, end) of those around it
    while True:
        while left == 0:
            if not outer:
                if position != len(view):
                    raise ValueError("bytes after the end of the message")
                return nodes
            inner_end = end
            left, is_map, end = outer.pop()
            if inner_end != end and position != inner_end:
                raise ValueError("bytes after the end of an extension")
        is_key = is_map and not left & 1
        left -= 1
        nodes += 1
        if nodes > max_nodes:
            raise ValueError(f"more than {max_nodes:,} values in one frame")
        if position >= end:
            raise ValueError("the message is cut short")
        kind, field, size = _LEAD[view[position]]
        position += 1
        if field:
            size = int.from_bytes(view[position : position + field], "big")
            position += field
        if kind <= _BYTES:
            position += size
            if position > end:
                raise ValueError("the message is cut short")
            continue
        if is_key:
            raise ValueError("a container as a key")
        if kind == _EXT:
            nodes += EXTENSION - 1
            code = view[position] if position < end else 0
            position += 1
            if position + size > end:
                raise ValueError("the message is cut short")
            if code not in NESTING:
                position += size
                continue
            entries, entered_map, inner_end = 1, False, position + size
        else:
            entered_map = kind == _MAP
            entries, inner_end = (2 * size if entered_map else size), end
            if entries > end - position:
                raise ValueError("a container claims more than the message holds")
        if len(outer) >= max_depth:
            raise ValueError(f"nested more than {max_depth} levels deep")
        outer.append((left, is_map, end))
        left, is_map, end = entries, entered_map, inner_end
