"""Typed events: what happened in a run, in order.  Progress, trace, journal and viewer all read these.

A new type is a class here: the journal keeps it and gives it back, listeners get it, and its `words` are told
in the reasoning, in the terminal's tree and on the page.  What shows more of it than words is a case there.

`path` is the place of the run in the tree of runs: () is the root, (2,) its second child, (2, 1) that
one's first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rlm_core.lms import Usage

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Event:
    path: Path

    @property
    def words(self) -> str:
        """What people are told of it where it is not shown in a way of its own; "": nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Started(Event):
    """A run (the root's or a child's) begins.  `text`: a child's own context, where it is one text."""

    query: str
    chars: int  # characters of its context
    card: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """A run that was broken off, or ended, goes on, from what the journal kept of it."""


@dataclass(frozen=True, slots=True)
class Asking(Event):
    """The root LM of this run is asked for its next step.  `turn` counts from 1."""

    turn: int
    of: int


@dataclass(frozen=True, slots=True)
class Chunk(Event):
    """A piece of the root LM's reply, as it streams in."""

    text: str
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class Replied(Event):
    """The root LM's whole reply.  `usage` None where the call failed and `error` says how."""

    turn: int
    text: str
    code: str
    usage: Usage | None = None
    model: str = ""
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SubCalling(Event):
    """Sub-calls or children were asked for by code, `count` at once."""

    kind: str  # "llm_query", "rlm_query"
    count: int


@dataclass(frozen=True, slots=True)
class SubCalled(Event):
    """One sub-LM call came back; `done` of `of` in its batch.  `error` where it failed."""

    slot: int
    done: int
    of: int
    prompt: str
    text: str
    usage: Usage | None = None
    model: str = ""
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolUsed(Event):
    """A caller's tool was called by code."""

    name: str
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stepped(Event):
    """A step is over: what its code printed and how it failed, as the model will read it in `shown`.
    `looked`: where `grep` had hits and `chunks` cut the inputs up: (helper, text, start, length)."""

    turn: int
    code: str
    output: str
    error: str
    shown: str
    seconds: float = 0.0
    looked: tuple[tuple[str, str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Something the user should know: a submission pushed back, a lost worker, history compacted."""

    text: str

    @property
    def words(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """A run is over."""

    status: str
    answer: Any
    reason: str = ""
