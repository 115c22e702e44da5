"""Files, folders, globs and archives to named texts.

    read("notes")           every text under the folder, by its path within it, in sorted order
    read("src/**/*.py")     what the glob matches, by its path within `src`
    read("book.pdf")        one text
    read("logs.zip")        its files as documents; .gz is unpacked, .tar and .tar.gz too

Of a folder or glob, what git would ignore, hidden names, links that lead out of it and what is no text is
skipped, and `skipped` says so.  A file that is named itself is read whatever it is called, and is an error
where it cannot be. Nothing here waits: pipes and devices are refused unopened."""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass, field

from rlm_core import archives, extract
from rlm_core.decoding import HEAD, DocumentError, binary_kind, decode, not_text, on_one_line
from rlm_core.folders import Pattern, split_glob, walk
from rlm_core.html_text import html_source, html_text

__all__ = ["MAX_BYTES", "DocumentError", "Documents", "read", "read_bytes"]

MAX_BYTES = 1 << 30  # read and unpacked in one call, all files together
MAX_FILES = 100_000
MAX_NESTING = 3  # archives within archives; a .tar.gz counts two


@dataclass
class Documents:
    """Texts by name.  `skipped`: (name, why) of what was passed over, in order.  `encodings`: name ->
    encoding where it had to be guessed.  `single`: what was asked
    for is one text."""

    texts: dict[str, str] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    encodings: dict[str, str] = field(default_factory=dict)
    single: bool = False

    def skipped_line(self) -> str:
        """One line for the user: "skipped 3: dist/ is ignored by .gitignore (and 1 more); a.png is binary …";
        "" where nothing was."""
        counts = Counter(why for _, why in self.skipped)
        first = {why: name for name, why in reversed(self.skipped)}
        parts = [
            f"{on_one_line(first[why])} {why}" + (f" (and {count - 1:,} more)" if count > 1 else "")
            for why, count in counts.most_common(5)
        ]
        more = ["…"] if len(counts) > 5 else []
        return f"skipped {len(self.skipped):,}: {'; '.join(parts + more)}" if parts else ""

    def notes(self) -> list[str]:
        """What the user should know of how this was read, a line each."""
        guesses = [
            f"{on_one_line(name)} was read as {encoding}, which is a guess"
            for name, encoding in self.encodings.items()
        ]
        return guesses + ([self.skipped_line()] if self.skipped else [])

    @property
    def value(self) -> str | dict[str, str]:
        """The text of one file, or {name: text}."""
        return next(iter(self.texts.values())) if self.single else self.texts


def read(
    path: str | os.PathLike[str], *, encoding: str | None = None, max_bytes: int = MAX_BYTES
) -> Documents:
    """Reads a file, a folder, or a glob: a path that does not exist and has `*`, `?` or `[` in it; `**` is
    any depth. `encoding`: what the texts are in, where it is known.  `max_bytes`: how much is read and
    unpacked at most. Raises DocumentError where a file that was named is no text, nothing was found, or
    limits are exceeded."""
    root = os.path.expanduser(os.fspath(path))
    reader = _Reader(root, encoding, max_bytes)
    try:
        if os.path.isdir(root):
            reader.folder(root, None)
        elif os.path.lexists(root):
            reader.file(root)
        elif any(sign in root for sign in "*?["):
            reader.folder(*split_glob(root))
        else:
            raise DocumentError(root, "does not exist")
    except OSError as error:
        raise DocumentError(root, f"cannot be read: {error.strerror or error}") from error
    return reader.found()


def read_bytes(
    raw: bytes, name: str, *, encoding: str | None = None, max_bytes: int = MAX_BYTES
) -> Documents:
    """What `read` gives of a file with these bytes and this name."""
    reader = _Reader(name, encoding, max_bytes)
    reader.documents.single = reader.add(raw, _clean(name), name, "")
    return reader.found()


class _Full(DocumentError):
    """More than the limits allow: never passed over."""


class _Reader:
    def __init__(self, root: str, encoding: str | None, max_bytes: int):
        self.root = root
        self.encoding = encoding
        self.max_bytes = self.left = max_bytes
        self.documents = Documents()

    def found(self) -> Documents:
        if not self.documents.texts:
            skipped = self.documents.skipped_line()
            raise DocumentError(self.root, "holds no text" + (f": {skipped}" if skipped else ""))
        return self.documents

    def file(self, path: str) -> None:
        """One file that was named itself."""
        self.documents.single = self.add(self._bytes(path), _clean(os.path.basename(path)), path, "")

    def folder(self, root: str, pattern: Pattern | None) -> None:
        """Every file under `root`, or those whose path within it matches `pattern`."""
        inside = os.path.realpath(root)
        skipped = self.documents.skipped
        for path in walk(root, pattern, skipped):
            name = _clean(os.path.relpath(path, root))
            if len(self.documents.texts) + len(skipped) >= MAX_FILES:
                raise _Full(
                    self.root, f"holds more than {MAX_FILES:,} files", "give a narrower folder or glob"
                )
            try:
                if os.path.islink(path) and not _is_inside(os.path.realpath(path), inside):
                    skipped.append((name, "is a link out of the folder"))
                else:
                    self.add(self._bytes(path), name, path, name + "/")
            except _Full:
                raise
            except DocumentError as error:
                skipped.append((name, error.why))
            except OSError as error:
                skipped.append((name, f"cannot be read: {error.strerror or error}"))

    def _bytes(self, path: str) -> bytes:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe or device could wait, or do something
            kind = "a pipe" if stat.S_ISFIFO(status.st_mode) else "a device or socket"
            raise DocumentError(path, f"is {kind}, not a file", "give its text on standard input")
        with open(path, "rb") as file:
            head = file.read(HEAD)
            kind = binary_kind(head)
            if kind and not archives.is_package(head):
                raise not_text(path, kind)
            file.seek(0)
            return self._take(file, status.st_size)

    def _take(self, file: archives.Readable, size: int) -> bytes:
        """All of `file`, whose size is said to be `size`, counted against what may be read."""
        if size <= self.left:
            raw = file.read(size + 1)
            if len(raw) > size:  # it grows, is packed, or is under /proc, where sizes are said to be 0
                raw += file.read(self.left - size)
            self.left -= len(raw)
            if self.left >= 0:
                return raw
        raise _Full(
            self.root, f"holds more than the {self.max_bytes:,} bytes that are read", "give a part of it"
        )

    def add(self, raw: bytes, name: str, path: str, prefix: str, depth: int = 0) -> bool:
        """Adds the text of one file, or those of an archive, each named behind `prefix`; whether it was one
        text."""
        if depth > MAX_NESTING:
            raise DocumentError(path, "holds archives within archives", "unpack it first")
        package = archives.package_kind(raw, path)
        if package in ("zip", "tar"):
            for member, content in archives.members(raw, package, path, self._take):
                self._member(content, member, prefix + _clean(member), f"{path}/{member}", depth + 1)
            return False
        if package == "gzip":
            unpacked = archives.gunzip(raw, path, self._take)
            return self.add(unpacked, name.removesuffix(".gz"), path, prefix, depth + 1)
        if package in extract.READERS:
            text = extract.READERS[package](raw, path)
        elif _is_html(raw, name):
            text = html_text(html_source(raw, path, self.encoding))
        else:
            text, guess = decode(raw, path, self.encoding)
            if guess:
                self.documents.encodings[name] = guess
        self.documents.texts[name] = text
        return True

    def _member(self, content: bytes | DocumentError, member: str, name: str, path: str, depth: int) -> None:
        skipped = self.documents.skipped
        if any(part.startswith(".") for part in member.split("/")) or member.startswith("__MACOSX/"):
            skipped.append((name, "is hidden"))
        elif isinstance(content, DocumentError):
            skipped.append((name, content.why))
        else:
            try:
                self.add(content, name, path, name + "/", depth)
            except _Full:
                raise
            except DocumentError as error:
                skipped.append((name, error.why))


def _is_inside(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder


def _is_html(raw: bytes, name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    if suffix:
        return suffix in (".html", ".htm", ".xhtml")
    return raw[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _clean(name: str) -> str:
    """A name that is text whatever bytes the file system or archive holds."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
