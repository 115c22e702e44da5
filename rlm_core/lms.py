"""The LM protocol: what the strategy needs of a language model; and a scripted LM, for tests and examples.

The client for OpenAI-compatible servers, `OpenAIChat`, is in `rlm_core.openai_chat`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypedDict


class Message(TypedDict):
    role: str  # "system", "user" or "assistant"
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What LM calls used: tokens, and dollars or None where a price is not known.  `cached`: the part of
    `input` that the provider had in its cache.  `estimated`: the provider reported nothing, and the tokens
    were counted from the characters."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cost: float | None = None
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        """The cost of a sum is known only where both costs are."""
        known = self.cost is not None and other.cost is not None
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            (self.cost or 0.0) + (other.cost or 0.0) if known else None,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    text: str
    usage: Usage = Usage()
    model: str = ""
    reasoning: str = ""


class LM(Protocol):
    """A language model.  `window`: its context window in tokens, None if unknown.  `concurrency`: how many
    calls it serves at once, None for the default.  Every method raises `LMCallError` when the call failed for
    good."""

    model: str
    window: int | None
    concurrency: int | None

    def complete(self, messages: Sequence[Message]) -> Completion: ...

    async def acomplete(self, messages: Sequence[Message]) -> Completion: ...

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Completion]:
        """Pieces of the text as they come; the whole `Completion` last."""

    def astream(self, messages: Sequence[Message]) -> AsyncIterator[str | Completion]: ...


class LMCallError(Exception):
    """A call failed for good.  The text is one line that says what to do; it never holds a key.

    kind         "auth" (the key, or the account's credit), "rate_limit", "overflow" (the prompt exceeds the
                 window), "content_filter", "bad_reply" (garbage), "broken_off" (it stopped in mid-stream,
                 when some of it was handed on: only who can do without that may send the call again),
                 "unreachable", "timeout", "cancelled" (see `stopping`), or "error"
    usage        what the call used all the same, as far as it is known: a reply that stops in mid-stream is
                 paid for
    again        whether the same call may succeed if it is sent again
    retry_after  seconds that the provider asks to wait before that
    """

    def __init__(
        self,
        text: str,
        kind: str = "error",
        *,
        usage: Usage | None = None,
        again: bool = False,
        retry_after: float | None = None,
    ):
        super().__init__(text)
        self.kind = kind
        self.usage = usage
        self.again = again
        self.retry_after = retry_after


stopping: ContextVar[threading.Event | None] = ContextVar("stopping", default=None)
"""A driver gives the calls that it starts an event here.  Once it is set, a call that waits (for its next
attempt, or for a place) ends with an LMCallError of kind "cancelled", and nothing more is sent."""
_HEED = 0.1  # seconds within which a call on an event loop heeds it


def pause(seconds: float) -> None:
    """Waits; raises LMCallError as soon as the driver is `stopping`."""
    stop = stopping.get()
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise _stopped()


async def apause(seconds: float) -> None:
    """`pause` on an event loop."""
    import asyncio

    stop, until = stopping.get(), time.monotonic() + seconds
    while not (stop and stop.is_set()):
        left = until - time.monotonic()
        if left <= 0:
            return
        await asyncio.sleep(min(left, _HEED) if stop else left)
    raise _stopped()


def _stopped() -> LMCallError:
    return LMCallError("the run was stopped before this call was sent", "cancelled")


def well_formed(text: str) -> str:
    """Halves of surrogate pairs, which UTF-8 has no form for, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def estimate_tokens(text: str | int) -> int:
    """About how many tokens a text has, or one of so many characters: four UTF-8 bytes a token.

    The usual rule for English; tokenizers work on bytes, so it is not far off for other scripts either.  A
    long text is sampled (65,536 characters, evenly): this costs next to nothing at any length."""
    if isinstance(text, int):
        return -(-text // 4)
    if text.isascii():
        return -(-len(text) // 4)
    sample = text[:: len(text) // 65_536 + 1]
    return -(-len(text) * len(sample.encode("utf-8", "surrogatepass")) // (4 * len(sample)))


class ScriptEnded(Exception):
    """A ScriptedLM was called more often than its script has replies: the test, not the LM, is at fault."""


Said = str | Completion | BaseException
ScriptedReply = Said | Callable[[list[Message]], Said]


class ScriptedLM:
    """An LM that says what it is told to say, for tests and examples.  Any thread may call it.

    script       the replies in order, one for each call; or one reply for every call.  A reply is a text, a
                 whole `Completion`, an exception to raise, or a function of the messages that returns one.
    answers      for a ScriptedLM that is root and sub-LM at once: what calls of one user message alone (plain
                 sub-calls) get, outside the script's order: one reply for all, or replies by prompt
    delay        seconds that each call takes
    price        dollars of each call, or None: not known
    chunk        characters of each piece of a stream

    calls        the messages of every call so far, in the order of their arrival
    peak         the most calls that were in flight at once
    """

    def __init__(
        self,
        script: ScriptedReply | Sequence[ScriptedReply],
        *,
        answers: ScriptedReply | Mapping[str, ScriptedReply] | None = None,
        model: str = "scripted",
        window: int | None = None,
        concurrency: int | None = None,
        delay: float = 0.0,
        price: float | None = None,
        chunk: int = 16,
    ):
        self.model = model
        self.window = window
        self.concurrency = concurrency
        self.delay = delay
        self.price = price
        self.chunk = chunk
        self.calls: list[list[Message]] = []
        self.peak = 0
        self._answers = answers
        one = isinstance(script, str | Completion | BaseException) or callable(script)
        self._script: Iterator[ScriptedReply] = itertools.repeat(script) if one else iter(script)  # type: ignore[arg-type]
        self._in_flight = 0
        self._lock = threading.Lock()

    def complete(self, messages: Sequence[Message]) -> Completion:
        reply = self._begin(messages)
        try:
            pause(self.delay)
            return self._read(reply, messages)
        finally:
            self._end()

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        import asyncio  # 40 ms that a sync user need not spend

        reply = self._begin(messages)
        try:
            await asyncio.sleep(self.delay)
            return self._read(reply, messages)
        finally:
            self._end()

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Completion]:
        completion = self.complete(messages)
        yield from self._pieces(completion.text)
        yield completion

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[str | Completion]:
        completion = await self.acomplete(messages)
        for piece in self._pieces(completion.text):
            yield piece
        yield completion

    def _begin(self, messages: Sequence[Message]) -> ScriptedReply:
        with self._lock:
            self.calls.append(list(messages))
            reply = self._choose(messages)
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            return reply

    def _end(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def _choose(self, messages: Sequence[Message]) -> ScriptedReply:
        if self._answers is not None and [message["role"] for message in messages] == ["user"]:
            if not isinstance(self._answers, Mapping):
                return self._answers
            prompt = messages[0]["content"]
            if prompt not in self._answers:
                raise ScriptEnded(f"the script has no answer to the sub-call {prompt[:200]!r}")
            return self._answers[prompt]
        for reply in self._script:
            return reply
        last = messages[-1]["content"][-500:] if messages else ""
        raise ScriptEnded(f"the script has ended, but call {len(self.calls)} came: {last!r}")

    def _read(self, reply: ScriptedReply, messages: Sequence[Message]) -> Completion:
        if callable(reply):
            reply = reply(list(messages))
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, Completion):
            return reply
        asked = sum(estimate_tokens(message["content"]) for message in messages)
        usage = Usage(asked, estimate_tokens(reply), cost=self.price, estimated=True)
        return Completion(reply, usage, self.model)

    def _pieces(self, text: str) -> Iterator[str]:
        return (text[at : at + self.chunk] for at in range(0, len(text), self.chunk))
