"""What kind of package a file is, and what it unpacks to, never more than may be read: sizes are counted
while unpacking, whatever the package says of itself."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from rlm_core.decoding import DocumentError


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


Take = Callable[[Readable, int], bytes]
"""Reads all of a file whose size is said to be so much; raises DocumentError where that is more than may be
read."""

MAX_MEMBERS = 100_000


def is_package(head: bytes) -> bool:
    """Whether a file that begins so is one that `package_kind` may know."""
    return head.startswith((b"PK\x03\x04", b"\x1f\x8b", b"%PDF-")) or head[257:262] == b"ustar"


def package_kind(raw: bytes, path: str) -> str:
    """ "zip", "tar", "gzip", "pdf", "docx", "epub", or "" for none.  Raises DocumentError for a zip that is
    damaged or of an Office kind that is not read."""
    if raw.startswith(b"\x1f\x8b"):
        return "gzip"
    if raw.startswith(b"%PDF-"):
        return "pdf"
    if raw[257:262] == b"ustar":
        return "tar"
    if not raw.startswith(b"PK\x03\x04"):
        return ""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as package:
            names = set(package.namelist())
            kind = package.read("mimetype")[:60].decode("ascii", "replace") if "mimetype" in names else ""
    except _DAMAGED as error:
        raise _damaged(path, "zip", error) from error
    if "word/document.xml" in names:
        return "docx"
    if kind.strip() == "application/epub+zip":
        return "epub"
    if "[Content_Types].xml" in names or "opendocument" in kind:
        raise DocumentError(
            path, "is an Office file of a kind that is not read", "save it as DOCX, PDF or CSV first"
        )
    return "zip"


def gunzip(raw: bytes, path: str, take: Take) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            return take(file, 0)
    except _DAMAGED as error:
        raise _damaged(path, "gzip", error) from error


def members(raw: bytes, kind: str, path: str, take: Take) -> Iterator[tuple[str, bytes | DocumentError]]:
    """(name, content) of each file in a zip or tar, sorted by name; in place of the content, why there is
    none."""
    try:
        yield from (_zip if kind == "zip" else _tar)(raw, path, take)
    except _DAMAGED as error:
        raise _damaged(path, kind, error) from error


_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # zipfile's word for an encrypted member
    UnicodeError,
    ValueError,
)


def _zip(raw: bytes, path: str, take: Take) -> Iterator[tuple[str, bytes | DocumentError]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as package:
        entries = [entry for entry in package.infolist() if not entry.is_dir()]
        _count(entries, path)
        for entry in sorted(entries, key=lambda entry: entry.filename.split("/")):
            try:
                with package.open(entry) as file:
                    content: bytes | DocumentError = take(file, entry.file_size)
            except DocumentError:
                raise
            except _DAMAGED as error:
                content = _damaged(f"{path}/{entry.filename}", "zip member", error)
            yield entry.filename, content


def _tar(raw: bytes, path: str, take: Take) -> Iterator[tuple[str, bytes | DocumentError]]:
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as package:
        entries = [entry for entry in package if entry.isreg()]
        _count(entries, path)
        for entry in sorted(entries, key=lambda entry: entry.name.split("/")):
            file = package.extractfile(entry)
            if file is not None:
                yield entry.name.removeprefix("./"), take(file, entry.size)


def _count(entries: list[zipfile.ZipInfo] | list[tarfile.TarInfo], path: str) -> None:
    if len(entries) > MAX_MEMBERS:
        raise DocumentError(path, f"holds more than {MAX_MEMBERS:,} files", "unpack it and give a part of it")


def _damaged(path: str, kind: str, error: Exception) -> DocumentError:
    first = (str(error) or type(error).__name__).splitlines()[0][:200]
    return DocumentError(path, f"is a {kind} that cannot be unpacked ({first})")
