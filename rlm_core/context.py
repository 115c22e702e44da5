"""What the REPL's `context` holds: the caller's value as given, its size, its card, and whether a literal
occurs in it."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from rlm_core import card as cards
from rlm_core import documents
from rlm_core.decoding import DocumentError, decode
from rlm_core.grounding import occurs

PLAIN = (bool, int, float, complex, Decimal, date, time, timedelta, list, tuple, set, frozenset)
"""What crosses into the sandbox as it is, besides str, bytes and dict (see `rlm_core.sandbox.values`)."""


class ContextError(ValueError):
    """The value cannot be a context; the text is one line that says why and what to do."""


@dataclass(frozen=True, eq=False)
class Context:
    """One context.  `value` is what the REPL holds, the very object that was given where nothing had to be
    read or decoded; a run must not see it change, so the caller leaves it alone until the run is over."""

    value: Any

    @classmethod
    def of(cls, value: Any) -> Context:
        """A str, bytes, a path to a file or a folder, or lists, tuples and dicts of such and of plain data,
        to any depth.

        bytes and files become text, a folder becomes {name: text}; everything else stays as it is, identical.
        Raises ContextError; reads nothing but the paths."""
        if isinstance(value, Context):
            return value
        if value is None:
            raise ContextError("the context is None: give text, bytes, a path, or lists and dicts of them")
        if isinstance(value, Iterator) or hasattr(value, "read"):
            raise ContextError(
                f"the context is a {type(value).__name__}: read it first, and give its text or a list"
            )
        try:
            return cls(_resolved(value, "the context"))
        except DocumentError as error:
            raise ContextError(str(error)) from error
        except RecursionError:
            raise ContextError("the context is nested too deeply, or holds itself") from None

    @cached_property
    def kind(self) -> Literal["text", "documents", "data"]:
        """ "text": one str.  "documents": a non-empty dict of str to str, or list or tuple of str.  "data":
        the rest."""
        if isinstance(self.value, str):
            return "text"
        return "documents" if cards.is_documents(self.value) else "data"

    @property
    def names(self) -> list[str]:
        """The documents' names; a list's documents have none, and go by their index."""
        return list(self.value) if self.kind == "documents" and isinstance(self.value, Mapping) else []

    @cached_property
    def chars(self) -> int:
        """Characters of text: of a str, of all documents, or of all leaves and keys of data as they would
        print."""
        return cards.count_chars(self.value)

    def card(self, max_chars: int = 4_000, seconds: float = 0.5) -> str:
        """What the root LM is told instead of the text, in at most `max_chars` characters; see
        `rlm_core.card`."""
        return cards.card(self.value, max_chars=max_chars, seconds=seconds)

    def contains(self, literal: str, seconds: float = 2.0) -> bool:
        """Whether `literal` stands in any text or leaf; see `rlm_core.grounding.occurs`."""
        return occurs(literal, self.value, seconds)


def _resolved(value: Any, where: str) -> Any:
    """`value` with every path and every bytes in it made text; the same object where there is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return decode(bytes(value), where)[0]
    if isinstance(value, (pathlib.Path, os.PathLike)):
        return documents.load(value)
    if isinstance(value, dict):
        made = {key: _resolved(item, f"{where}[{key!r}]") for key, item in value.items()}
        return value if all(made[key] is value[key] for key in value) else made
    if type(value) in (list, tuple):
        items = [_resolved(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return value if all(map(_same, items, value)) else type(value)(items)
    if value is None or isinstance(value, PLAIN):
        return value
    raise ContextError(
        f"{where} is a {type(value).__name__}, which cannot reach the REPL: give text, bytes, a path, "
        "numbers, dates, or lists, tuples, sets and dicts of them"
    )


def _same(one: Any, other: Any) -> bool:
    return one is other
