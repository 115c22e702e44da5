"""Bytes to text: which encoding they are in, and a clear error where they are not text.

In order: a byte order mark; UTF-16 without one (every other byte NUL); UTF-8; then a guess.  The guess is
Windows-1252 where the bytes look like a Western language in it, and else what `chardet` says, where that is
installed.  A guess is told to the caller, who may give the encoding instead."""

from __future__ import annotations

import codecs
import re

HEAD = 8_000  # bytes looked at for NULs, as git does to tell binary from text
_SAMPLE = 1 << 16  # bytes from the first non-ASCII one that a guess is made on


class DocumentError(ValueError):
    """A file or bytes cannot be read as text.  The text is one line: the `name` of it, `why`, and what to
    do."""

    def __init__(self, name: str, why: str, remedy: str = ""):
        super().__init__(f"{on_one_line(name)} {why}" + (f": {remedy}" if remedy else ""))
        self.name = name
        self.why = why


def on_one_line(name: str) -> str:
    """A file's name as a line can show it, whatever line ends or broken characters it holds."""
    return name if name.isprintable() else repr(name)


def decode(raw: bytes, name: str, encoding: str | None = None) -> tuple[str, str]:
    """The text, and the encoding that was guessed, "" where none had to be.  `encoding`: what it must be in.
    Raises DocumentError about `name`."""
    if encoding is not None:
        return _as(raw, encoding, name), ""
    for mark, marked in _MARKS:
        if raw.startswith(mark):
            return _as(raw, marked, name), ""
    if wide := _wide(raw[:HEAD]):
        return _as(raw, wide, name), wide
    if kind := binary_kind(raw):
        raise not_text(name, kind)
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        bad = error.start
    head = raw[:HEAD]
    if len(head.translate(None, _PLAIN)) > len(head) * 0.05:  # text has hardly any control characters
        raise not_text(name, "control bytes")
    sample = raw[max(0, bad - 100) : bad + _SAMPLE]
    if _nearly_utf8(sample):
        raise DocumentError(
            name,
            f"is UTF-8 but for byte {bad:,} (0x{raw[bad]:02x})",
            "repair it (iconv -c -t UTF-8), or give its encoding",
        )
    guess = "cp1252" if _western(sample) else _detected(sample, name)
    return _as(raw, guess, name), guess


def not_text(name: str, kind: str) -> DocumentError:
    return DocumentError(name, f"is binary ({kind}), not text", "convert it to text first")


def binary_kind(raw: bytes) -> str:
    """What binary data `raw` is, judged by its head; "" for what may be text."""
    for start, kind in _SIGNATURES.items():
        if raw.startswith(start):
            return kind
    if raw.startswith(tuple(mark for mark, _ in _MARKS)) or _wide(raw[:HEAD]):
        return ""
    return "NUL bytes" if b"\0" in raw[:HEAD] else ""


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNATURES = {
    b"%PDF-": "PDF",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "an empty zip",
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x89PNG\r\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF89a": "a GIF image",
    b"\x7fELF": "an ELF program",
    b"SQLite format 3\x00": "an SQLite database",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office file",
}
# Every byte but the control ones that text has no use for (tab, line ends, form feed, escape and so on are
# kept).
_PLAIN = bytes([*range(0x08, 0x0E), 0x1A, 0x1B, *range(0x20, 0x7F), *range(0x80, 0x100)])


def _as(raw: bytes, encoding: str, name: str) -> str:
    try:
        return raw.decode(encoding)
    except LookupError:
        raise DocumentError(name, f"cannot be in {encoding!r}: Python knows no such encoding") from None
    except UnicodeError as error:
        where = f" (byte {error.start:,}: {error.reason})" if isinstance(error, UnicodeDecodeError) else ""
        raise DocumentError(name, f"is not {encoding} text{where}", "give its right encoding") from None


def _wide(head: bytes) -> str:
    """UTF-16 without a mark: text that is largely ASCII has a NUL in every other byte."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if half >= 2 and max(even, odd) >= half * 0.6 and min(even, odd) <= half * 0.05:
        return "utf-16-le" if odd > even else "utf-16-be"
    return ""


def _nearly_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8 with a few bytes broken: the other non-ASCII bytes form sequences, which no other
    encoding's do."""
    bad = sum(1 for c in sample.decode("utf-8", "surrogateescape") if "\udc80" <= c <= "\udcff")
    high = len(sample.translate(None, bytes(range(0x80))))
    return bad * 4 < high - bad


def _western(sample: bytes) -> bool:
    """Whether it reads as Windows-1252.  There an accented letter mostly stands alone among ASCII ones, and
    signs such as `³` or `±` hardly ever stand between letters; Greek, Cyrillic and Asian text breaks the one,
    Polish and such the other."""
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    high = re.findall(rb"[\x80-\xff]+", sample)
    count = sum(map(len, high))
    inside = len(
        re.findall(rb"(?<=[A-Za-z])[\x82\x83\x88\x98\xa1-\xa9\xac-\xb6\xb8-\xbf](?=[A-Za-z])", sample)
    )
    odd = len(re.findall(rb"[\x83\x88\x98]", sample))
    return count <= 1.4 * len(high) and inside + odd <= 0.03 * count


def _detected(sample: bytes, name: str) -> str:
    try:
        import chardet  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise DocumentError(
            name,
            "is not UTF-8, and its encoding is not known",
            "give it, or llm install 'llm-rlm[documents]' to have it guessed",
        ) from None
    guess = chardet.detect(sample)["encoding"]
    if not guess:
        raise DocumentError(name, "is not text in any known encoding", "convert it to UTF-8 text first")
    return str(guess).lower()
