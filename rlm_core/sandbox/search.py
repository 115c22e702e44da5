"""`grep` and `chunks`: every line that holds a pattern, and pieces that cover a text, at any length.

Both work on leaves, `(name, text)`: the one text of a str, or each text in a dict or list with its key, its
index, or the tuple of keys that leads to it.  `grep` copies no whole text: it folds and searches by slices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

LONG_LINE = 1_000  # characters; a longer line comes as a window around each match
WINDOW = 200  # characters on either side of the match
SLICE = 1 << 18  # characters folded at once

Find = Callable[[int], "tuple[int, int] | None"]
"""The first match at or after a position: its start and end."""


class Piece(str):
    """Part of a text, that knows where it stands: `text[piece.start:piece.end] == piece`.

    `name`: key, index or path of its document, None where there is but one text."""

    __slots__ = ("end", "name", "start")
    start: int
    end: int
    name: Any


class Line(Piece):
    """A line that holds a match.  `number` counts the lines of its document from 1."""

    __slots__ = ("number",)
    number: int


def leaves(value: Any) -> Iterator[tuple[Any, str]]:
    """The texts in `value`, and its numbers as text, each with its name."""
    if isinstance(value, str):
        yield None, value
        return
    for path, text in _walk(value, ()):
        yield path[0] if len(path) == 1 else path, text


def _walk(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, dict):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return
    for key, item in items:
        if isinstance(item, str):
            yield (*path, key), item
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            yield (*path, key), str(item)
        else:
            yield from _walk(item, (*path, key))


def fold(text: str) -> str:
    """`text` without its case, at the same length: an offset in one is the same offset in the other."""
    if text.isascii():
        return text.lower()
    # Only İ grows when lowered; and lowering picks one of two small sigmas by its neighbours.
    return text.replace("İ", "i").lower().replace("ς", "σ")


def literal(needle: str, case: bool) -> Callable[[str], Find]:
    """Finds `needle` as it is written; in any case unless `case`."""
    folded = needle if case else fold(needle)

    def on(text: str) -> Find:
        def find_exact(at: int) -> tuple[int, int] | None:
            start = text.find(needle, at)
            return None if start < 0 else (start, start + len(needle))

        begin, end, piece = 0, 0, ""  # the slice that was folded last

        def find_folded(at: int) -> tuple[int, int] | None:
            nonlocal begin, end, piece
            while at < len(text):
                if not begin <= at < end:
                    begin, end = at, min(at + SLICE, len(text))
                    piece = fold(text[begin : end + len(needle) - 1])
                if (start := piece.find(folded, at - begin)) >= 0:
                    return begin + start, begin + start + len(needle)
                at = end
            return None

        return find_exact if case else find_folded

    return on


def expression(pattern: str | re.Pattern[str], case: bool) -> Callable[[str], Find]:
    """Finds a regular expression; `^` and `$` stand at every line.  Raises ValueError if it is none."""
    try:
        compiled = (
            re.compile(pattern, re.MULTILINE | (0 if case else re.IGNORECASE))
            if isinstance(pattern, str)
            else pattern
        )
    except re.error as error:
        raise ValueError(
            f"{pattern!r} is not a regular expression ({error}); leave regex=True out for plain text"
        ) from None

    def on(text: str) -> Find:
        def find(at: int) -> tuple[int, int] | None:
            found = compiled.search(text, at)
            return found.span() if found else None

        return find

    return on


def any_of(finders: Sequence[Callable[[str], Find]]) -> Callable[[str], Find]:
    """Finds whichever comes first."""

    def on(text: str) -> Find:
        finds = [finder(text) for finder in finders]
        ahead: list[tuple[int, int] | None] = [(-1, -1)] * len(
            finds
        )  # the next match of each; -1: not looked for yet

        def find(at: int) -> tuple[int, int] | None:
            for index, match in enumerate(ahead):
                if match is not None and match[0] < at:
                    ahead[index] = finds[index](at)
            return min((match for match in ahead if match is not None), default=None)

        return find

    return on if len(finders) > 1 else finders[0]


def lines(name: Any, text: str, find: Find, around: int) -> Iterator[Line]:
    """The lines of one text that hold a match, with `around` lines on either side; what touches is one."""
    spans = _spans(text, find)
    number, counted = 1, 0
    for start, end in _joined(text, spans, around) if around else spans:
        number += text.count("\n", counted, start)
        counted = start
        line = Line(text[start : end - text.endswith("\r", start, end)])
        line.start, line.end, line.name, line.number = start, start + len(line), name, number
        yield line


def _spans(text: str, find: Find) -> Iterator[tuple[int, int]]:
    """From where to where: each line that holds a match, once; in a long line, a window around each match."""
    at, begin, end = 0, 0, -1  # `begin` and `end` of the line looked at last
    while at <= len(text) and (match := find(at)) is not None:
        start, stop = match
        if start > end:
            begin = max(text.rfind("\n", end + 1, start), end) + 1
        end = text.find("\n", max(stop - 1, start)) if stop > end else end
        end = end if end >= 0 else len(text)
        if end - begin > LONG_LINE:
            yield max(begin, start - WINDOW), min(end, min(stop, start + LONG_LINE) + WINDOW)
            at = max(stop, start + 1)
        else:
            yield begin, end
            at = end + 1


def _joined(text: str, spans: Iterator[tuple[int, int]], around: int) -> Iterator[tuple[int, int]]:
    """Each span with `around` lines on either side; those that touch are one."""
    held: tuple[int, int] | None = None
    for start, end in spans:
        start, end = _up(text, start, around), _down(text, end, around)
        if held and start <= held[1] + 1:
            held = held[0], max(held[1], end)
            continue
        if held:
            yield held
        held = start, end
    if held:
        yield held


def _up(text: str, start: int, count: int) -> int:
    """Where the line `count` lines above begins, were LONG_LINE the longest that lines get."""
    for _ in range(count):
        if start <= 0:
            break
        least = max(start - 1 - LONG_LINE, 0)
        start = max(text.rfind("\n", least, start - 1) + 1, least)
    return start


def _down(text: str, end: int, count: int) -> int:
    """Where the line `count` lines below ends; the same holds."""
    for _ in range(count):
        if end + 1 >= len(text):
            break
        most = min(end + 1 + LONG_LINE, len(text))
        found = text.find("\n", end + 1, most)
        end = found if found >= 0 else most
    return end


COUNTED = 100  # places of a word that are looked at
WORDS = 12  # of a phrase that are looked for
SAY_NOTHING = re.compile(
    r"the|and|for|are|was|were|has|had|have|his|her|its|who|whom|whose|how|did|does|not|you|with|from|that|this"
)
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def nearest(phrase: str, texts: Sequence[tuple[Any, str]], most: int = 2) -> list[str]:
    """For a phrase of several words that no line holds, but each of which stands somewhere: the lines that
    hold most of them, the long ones cut to what is around the rarest.

    Words match in any case, as parts of words, and without their endings.  Of the rarest word's lines,
    `COUNTED` are looked at."""
    words = dict.fromkeys(_WORD.findall(fold(phrase)))
    telling = [word for word in words if len(word) > 2 and not SAY_NOTHING.fullmatch(word)][:WORDS]
    stems = dict.fromkeys(map(_stem, telling))
    if len(stems) < 2:
        return []

    def around(stem: str) -> Iterator[Line]:
        finder = literal(stem, case=False)
        return islice((line for name, text in texts for line in lines(name, text, finder(text), 0)), COUNTED)

    places: dict[str, list[Line]] = {}
    for stem in stems:
        places[stem] = list(around(stem))
        if not places[stem]:
            return []
    rarest = min(stems, key=lambda stem: len(places[stem]))
    held = [sum(stem in fold(line) for stem in stems) for line in places[rarest]]
    best = max(held)
    nearest = dict.fromkeys(line for line, of in zip(places[rarest], held, strict=True) if of == best > 1)
    return [_cut(line, fold(line).find(rarest)) for line in islice(nearest, most)]


def _cut(line: str, at: int) -> str:
    return line[max(0, at - WINDOW) : at + WINDOW]


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.isalpha() and word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending)
    return word


def pieces(name: Any, text: str, size: int, overlap: int) -> Iterator[Piece]:
    """`text` in pieces of at most `size` characters, each beginning `overlap` before the last one's end.

    A piece ends at a line's end where there is one in its second half: no line is cut that need not be."""
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        if end < len(text):
            end = text.rfind("\n", start + max(size // 2, overlap), end) + 1 or end
        piece = Piece(text[start:end])
        piece.start, piece.end, piece.name = start, end, name
        yield piece
        if end == len(text):
            break
        start = end - overlap
