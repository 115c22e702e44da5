"""The LM protocol: what the strategy needs of a language model.  An OpenAI-compatible client and a scripted LM live here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict


class Message(TypedDict):
    role: str  # "system", "user" or "assistant"
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What LM calls used: tokens, and dollars or None where a price is not known.  `estimated`: the provider reported
    nothing, and the tokens were counted from the characters."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cost: float | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    text: str
    usage: Usage = Usage()
    model: str = ""
    reasoning: str = ""


class LM(Protocol):
    """A language model.  `window`: its context window in tokens, None if unknown.  `concurrency`: how many calls it serves
    at once, None for the default.  Every method raises `LMCallError` when the call failed for good."""

    model: str
    window: int | None
    concurrency: int | None

    def complete(self, messages: Sequence[Message]) -> Completion: ...

    async def acomplete(self, messages: Sequence[Message]) -> Completion: ...

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Completion]:
        """Pieces of the text as they come; the whole `Completion` last."""

    def astream(self, messages: Sequence[Message]) -> AsyncIterator[str | Completion]: ...


class LMCallError(Exception):
    """A call failed for good.  `kind` says how: "auth", "rate_limit", "overflow" (the prompt exceeds the window),
    "content_filter", "bad_reply" (garbage, or it stopped in mid-stream), "unreachable", "timeout", "error".  The text is one
    line that says what to do; it never holds a key."""

    def __init__(self, text: str, kind: str = "error"):
        super().__init__(text)
        self.kind = kind
