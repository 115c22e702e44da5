"""What the REPL's `context` holds: the caller's value as given, its size, its card, and whether a literal
occurs in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import chain, islice
from typing import Any, Literal

from rlm_core.card import card, is_documents
from rlm_core.decoding import DocumentError, decode
from rlm_core.grounding import occurs

MAX_DEPTH = 100  # levels of nesting, as many as values may have in the REPL
TOO_DEEP = f"the context is nested more than {MAX_DEPTH} levels deep, or holds itself"


class ContextError(ValueError):
    """The value cannot be a context; the text is one line that says why and what to do."""


@dataclass(frozen=True, eq=False)
class Context:
    """One context.  `value` is what the REPL holds: the very object that was given, where nothing had to be
    read or decoded; so the caller leaves it alone until the run is over.  `chars`: the characters of its text
    or documents; of data, those of all keys and leaves as they print.  `notes`: what the user should
    know of how paths and bytes were read, such as what was skipped in a folder."""

    value: Any
    chars: int
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Any) -> Context:
        """A str, bytes, a path to a file or a folder, or lists, tuples and dicts of such and of plain data,
        to any depth.  bytes and files become text, a folder becomes {name: text}; everything else stays as it
        is, identical. Raises ContextError; reads nothing but the paths."""
        if isinstance(value, Context):
            return value
        if value is None:
            raise ContextError("the context is None: give text, bytes, a path, or lists and dicts of them")
        try:
            chars, to_read = _survey(value)
            notes: list[str] = []
            if to_read:
                value = _resolved(value, notes)
                chars, _ = _survey(value)
        except DocumentError as error:
            raise ContextError(str(error)) from error
        if is_documents(value):
            chars = sum(map(len, value.values() if isinstance(value, dict) else value))
        return cls(value, chars, tuple(notes))

    @cached_property
    def kind(self) -> Literal["text", "documents", "data"]:
        """Text is one str; documents are a dict of str to str, or a list or tuple of str, not empty; data is
        the rest."""
        if isinstance(self.value, str):
            return "text"
        return "documents" if is_documents(self.value) else "data"

    @property
    def names(self) -> list[str]:
        """The documents' names; a list's documents have none, and go by their index."""
        return list(self.value) if self.kind == "documents" and isinstance(self.value, dict) else []

    def card(self, max_chars: int = 4_000, seconds: float = 0.5, data: str | None = "data") -> str:
        """What the root LM is told instead of the value, in at most `max_chars` characters.  `seconds`: how
        long the scan may take.  `data`: the REPL's name for the parsed text, None where it offers none."""
        return card(self.value, self.chars, max_chars=max_chars, seconds=seconds, data=data)

    def contains(self, literal: str, seconds: float = 2.0) -> bool:
        """Whether `literal` stands in any text, key or leaf; see `rlm_core.grounding.occurs`."""
        return occurs(literal, self.value, seconds)


def _survey(value: Any) -> tuple[int, bool]:
    """The characters in `value`, and whether it holds bytes or paths.  Raises ContextError where it is too
    deep, or holds what is no data.  Goes by batches of values, those of one type at C's speed."""
    chars = 0
    to_read = False
    batches: list[tuple[Sequence[Any], int]] = [((value,), 0)]
    while batches:
        batch, depth = batches.pop()
        if depth > MAX_DEPTH:
            raise ContextError(TOO_DEEP)
        kinds = set(map(type, batch))
        for kind in kinds:
            some: Sequence[Any] = batch if len(kinds) == 1 else [item for item in batch if type(item) is kind]
            if issubclass(kind, str):
                chars += sum(map(len, some))
            elif issubclass(kind, _PRINTED):
                chars += _printed(some)
            elif issubclass(kind, dict):
                batches += _batches(some, depth + 1)
                batches += _batches([one.values() for one in some], depth + 1)
            elif issubclass(kind, (list, tuple, set, frozenset)):
                batches += _batches(some, depth + 1)
            elif issubclass(kind, (os.PathLike, *_BYTES)):
                to_read = True
            else:
                what = "is" if depth == 0 else "holds"
                raise ContextError(
                    f"the context {what} a {kind.__name__}: give text, bytes, a path, or lists and dicts of "
                    "plain data"
                )
    return chars, to_read


_BYTES = (bytes, bytearray, memoryview)
_PRINTED = (int, float, complex, Decimal, date, time, timedelta, type(None))  # a datetime is a date


def _batches(containers: Iterable[Iterable[Any]], depth: int) -> Iterator[tuple[Sequence[Any], int]]:
    members = chain.from_iterable(containers)
    while batch := list(islice(members, 1 << 16)):
        yield batch, depth


def _printed(items: Sequence[Any]) -> int:
    """The characters of what is no text, as it prints."""
    try:
        return sum(map(len, map(str, items)))
    except ValueError:  # an int of more digits than Python prints
        return sum(int(item.bit_length() * 0.30103) + 1 for item in items)


def _resolved(value: Any, notes: list[str]) -> Any:
    """`value` with every path and all bytes in it made text."""
    if isinstance(value, os.PathLike):
        from rlm_core import documents  # and with it zipfile and such: not for every import

        found = documents.read(value)
        notes += found.notes()
        return found.value
    if isinstance(value, _BYTES):
        text, guess = decode(bytes(value), "the context")
        notes += [f"the context's bytes were read as {guess}, which is a guess"] if guess else []
        return text
    if isinstance(value, dict):
        return {key: _resolved(item, notes) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_resolved(item, notes) for item in value)
    return value
