"""How the inputs of a session reach its process: packed into an unnamed file in memory, whose descriptor is
handed over.

A pipe would have to be read while it is written, by one process at each end; a file is written once, by
one alone.  Long strs are written beside the packed rest, a slice at a time: a whole encoded copy would be
one copy too many.  They are written in the code units that Python keeps them in, 1 or 2 bytes for each
character, and read back by one look for the widest character and one memcpy.  Only a text with characters
past U+FFFF, which Python keeps in 4 bytes each, is better off in UTF-8.  All forms are exact for lone
surrogates.
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
_SLICE = 1 << 15  # characters encoded at a time: small blocks, which malloc uses again
_ALIGNMENT = 8

_Form = Literal["bytes", "latin-1", "ucs-2", "utf-8"]
_CODEC = {
    "latin-1": ("latin-1", "strict"),
    "ucs-2": ("utf-16-le", "surrogatepass"),
    "utf-8": ("utf-8", "surrogatepass"),
}
_UNIT = {"latin-1": 1, "ucs-2": 2}


class Blob(msgspec.Struct, array_like=True):
    """A long str or bytes in a parcel's file.  `offset`, `size` in bytes."""

    form: _Form
    offset: int
    size: int


class Layout(msgspec.Struct, array_like=True):
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
            form = _form_of(blob)
            end = _write_blob(descriptor, start, blob, form)
            placed.append(Blob(form, start, end - start))
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


_STR_HEADER = (2 * chr(0x100)).__sizeof__() - 2 * 3  # of any str but ASCII; its characters and a NUL follow


def _form_of(blob: str | bytes) -> _Form:
    """The narrowest form that is sure to hold it; a wider one where Python keeps a text's UTF-8 form as
    well."""
    if isinstance(blob, bytes):
        return "bytes"
    if blob.isascii():
        return "latin-1"
    width = (blob.__sizeof__() - _STR_HEADER) // (len(blob) + 1)
    return "latin-1" if width < 2 else "ucs-2" if width < 4 else "utf-8"


def _write_blob(descriptor: int, offset: int, blob: str | bytes, form: _Form) -> int:
    """The offset of its end."""
    if isinstance(blob, bytes):
        return _write_at(descriptor, offset, blob)
    for start in range(0, len(blob), _SLICE):
        offset = _write_at(descriptor, offset, blob[start : start + _SLICE].encode(*_CODEC[form]))
    return offset


def _write_at(descriptor: int, offset: int, data: bytes) -> int:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written
    return offset


_from_units = ctypes.pythonapi.PyUnicode_FromKindAndData
_from_units.restype = ctypes.py_object
_from_units.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_ssize_t)


def _read_blob(file: mmap.mmap, blob: Blob) -> str | bytes:
    if blob.form in _UNIT:
        unit = _UNIT[blob.form]
        first = ctypes.c_char.from_buffer(file, blob.offset)
        text: str = _from_units(unit, ctypes.addressof(first), blob.size // unit)
        return text
    with memoryview(file) as view, view[blob.offset : blob.offset + blob.size] as data:
        return bytes(data) if blob.form == "bytes" else str(data, *_CODEC[blob.form])
