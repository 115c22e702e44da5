"""Grounding: does a literal occur in a context?  Searched without ever copying a large text whole.

A literal occurs where it stands verbatim, or but for case and runs of white space, as words of its own: `42`
does not occur in `1042` or `3.42`, nor `cat` in `concatenate`.  Quotes around it, and a sentence's end after
it, are not part of it.  A number also occurs with thousands separators (`1,234`) or without, and as an int or
a float among data."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

SLICE = 1 << 20  # characters lowered at a time
_QUOTES = "\"'`“”‘’«» \t\r\n"
_NUMBER = re.compile(r"([-+]?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?")


def occurs(literal: str, value: Any, seconds: float = 2.0) -> bool:
    """Whether `literal` occurs in `value`: a str, or data whose leaves and keys are looked at.  Where
    `seconds` end before the search does, True: what was not looked for everywhere cannot be called absent.
    An empty literal occurs."""
    literal = literal.strip(_QUOTES).rstrip(".,;:!?").rstrip(_QUOTES)
    if not literal:
        return True
    search = _Search(literal, time.monotonic() + seconds)
    try:
        return any(map(search.found_in, _texts(value, search.number)))
    except _Late:
        return True


class _Late(Exception):
    """The time is over."""


_FOUND = object()


def _texts(value: Any, number: float | None) -> Iterator[Any]:
    """The texts in `value`: long ones as they are, leaves and keys joined by NUL into blocks.  `_FOUND` for a
    leaf that is `number`."""
    block: list[str] = []
    size = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if len(item) >= SLICE:
                yield item
                continue
        elif isinstance(item, Mapping):
            stack.extend(item.values())
            stack.extend(item)
            continue
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
            continue
        elif type(item) is int or type(item) is float:
            if item == number:
                yield _FOUND
            continue
        else:
            item = str(item)
        block.append(item)
        size += len(item) + 1
        if size >= SLICE:
            yield "\0".join(block)
            block, size = [], 0
    yield "\0".join(block)


class _Search:
    """One literal, and how it is looked for in one text after another."""

    def __init__(self, literal: str, deadline: float):
        self.deadline = deadline
        self.forms = [literal]
        self.number: float | None = None
        match = _NUMBER.fullmatch(literal)
        if match:
            sign, whole, fraction = match[1], match[2].replace(",", ""), match[3] or ""
            self.number = float(f"{sign}{whole}{fraction}")
            grouped = re.sub(r"(?<=\d)(?=(?:\d{3})+$)", ",", whole)
            self.forms = list(
                dict.fromkeys([literal, f"{sign}{whole}{fraction}", f"{sign}{grouped}{fraction}"])
            )
        words = literal.lower().split()
        self.anchor = max(words, key=len)
        self.phrase = re.compile(r"\s+".join(map(re.escape, words)))
        self.reach = (
            2 * len(literal) + 256
        )  # characters around the anchor that the other words are looked for in
        self.loosely = len(words) > 1 or literal.lower() != literal.upper()

    def found_in(self, text: Any) -> bool:
        return (
            text is _FOUND
            or any(self.verbatim(form, text) for form in self.forms)
            or (self.loosely and self.loose(text))
        )

    def verbatim(self, form: str, text: str) -> bool:
        at = text.find(form)
        while at >= 0:
            if _is_whole(text, at, at + len(form)):
                return True
            self.pause()
            at = text.find(form, at + 1)
        self.pause()
        return False

    def loose(self, text: str) -> bool:
        """Ignores case and runs of white space: looks for the longest word, and for the others around it."""
        for offset in range(0, len(text), SLICE):
            lowered = text[max(0, offset - self.reach) : offset + SLICE + self.reach].lower()
            at = lowered.find(self.anchor)
            while at >= 0:
                near = self.phrase.finditer(lowered, max(0, at - self.reach), at + self.reach)
                if any(_is_whole(lowered, match.start(), match.end()) for match in near):
                    return True
                self.pause()
                at = lowered.find(self.anchor, at + 1)
            self.pause()
        return False

    def pause(self) -> None:
        if time.monotonic() >= self.deadline:
            raise _Late


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether what stands at start:end does not go on beyond it, as a longer word or number."""
    return not (
        _goes_on(text[max(0, start - 2) : start][::-1], text[start])
        or _goes_on(text[end : end + 2], text[end - 1])
    )


def _goes_on(outside: str, edge: str) -> bool:
    """Whether `outside`, nearest character first, belongs to the word or number whose edge is `edge`."""
    if edge.isdigit():
        return outside[:1].isdigit() or (outside[:1] in (".", ",") and outside[1:].isdigit())
    return _has_case(edge) and _has_case(outside[:1])


def _has_case(character: str) -> bool:
    """Letters of scripts that divide words by spaces, nearly all: Chinese and Japanese have no case."""
    return character.lower() != character.upper()
