"""How the inputs of a session reach its process: packed into an unnamed file in memory, whose descriptor
is handed over.

A pipe would have to be read while it is written, by one process at each end; a file is written once and
may be mapped by any number of processes.  Long strs are written beside the packed rest, a slice at a time
(a whole encoded copy would be one copy too many), as the code units that Python keeps them in: 1, 2 or 4
bytes for each character.  That is exact for lone surrogates, and reading it back is one look for the
widest character and one memcpy, where decoding UTF-8 is slow.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from rlm_core.sandbox.values import Decoder, encode_beside

_OUT_OF_LINE = 1 << 16  # characters or bytes from which on a value is written beside the rest
_SLICE = 1 << 22  # characters encoded at a time
_ALIGNMENT = 8

_ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}
_Kind = Literal[0, 1, 2, 4]


class Blob(msgspec.Struct, array_like=True, frozen=True):
    """A long str (`kind`: bytes a character) or bytes (0) in a parcel's file.  `size` in bytes."""

    kind: _Kind
    offset: int
    size: int


class Layout(msgspec.Struct, array_like=True, frozen=True):
    """What lies where in a parcel's file.  `size` is that of the whole file, in bytes."""

    blobs: list[Blob]
    packed: int
    size: int


def write(values: Sequence[Any]) -> tuple[int, Layout]:
    """A descriptor, which the caller closes, and its layout.  Raises TypeError for what cannot cross,
    OSError."""
    packed, blobs = encode_beside(list(values), _OUT_OF_LINE)
    descriptor = _unnamed_file()
    try:
        placed, end = [], 0
        for blob in blobs:
            start = -(-end // _ALIGNMENT) * _ALIGNMENT
            kind, size = _write_blob(descriptor, start, blob)
            placed.append(Blob(kind, start, size))
            end = start + size
        _write_at(descriptor, end, packed)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, Layout(placed, end, end + len(packed))


def read(descriptor: int, layout: Layout) -> list[Any]:
    """The values of a parcel.  Closes nothing."""
    populate = getattr(mmap, "MAP_POPULATE", 0)
    with mmap.mmap(descriptor, layout.size, flags=mmap.MAP_SHARED | populate) as file:
        blobs = [_read_blob(file, blob) for blob in layout.blobs]
        with memoryview(file) as view, view[layout.packed :] as packed:
            values: list[Any] = Decoder(list[Any], blob=blobs.__getitem__).decode(packed)
    return values


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rlm-inputs", os.MFD_CLOEXEC)
    descriptor, path = tempfile.mkstemp(prefix="rlm-inputs-")
    os.unlink(path)
    return descriptor


def _write_blob(descriptor: int, start: int, blob: str | bytes) -> tuple[_Kind, int]:
    if isinstance(blob, bytes):
        _write_at(descriptor, start, blob)
        return 0, len(blob)
    kind: _Kind = 1
    offset = start
    position = 0
    while position < len(blob):
        piece = blob[position : position + _SLICE]
        if kind < (needed := _kind_of(piece)):
            kind, offset, position = (
                needed,
                start,
                0,
            )  # a wider character than any before: from the start again
            continue
        data = piece.encode(_ENCODINGS[kind], "surrogatepass" if kind > 1 else "strict")
        _write_at(descriptor, offset, data)
        offset += len(data)
        position += len(piece)
    return kind, offset - start


_STR_HEADER = "\u00e9".__sizeof__() - 2


def _kind_of(piece: str) -> _Kind:
    """The bytes that Python keeps each character of a str in, or more (where it keeps the UTF-8 form as
    well)."""
    if piece.isascii():
        return 1
    width = (piece.__sizeof__() - _STR_HEADER) // (len(piece) + 1)
    return 1 if width < 2 else 2 if width < 4 else 4


def _write_at(descriptor: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


_from_units = ctypes.pythonapi.PyUnicode_FromKindAndData
_from_units.restype = ctypes.py_object
_from_units.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_ssize_t)


def _read_blob(file: mmap.mmap, blob: Blob) -> str | bytes:
    if blob.kind == 0:
        return file[blob.offset : blob.offset + blob.size]
    first = ctypes.c_char.from_buffer(file, blob.offset)
    text: str = _from_units(blob.kind, ctypes.addressof(first), blob.size // blob.kind)
    return text
