"""A model of llm's as an LM of `rlm_core`, for what runs without `llm prompt`: batches and benchmarks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from rlm_core.lms import Completion, Message

if TYPE_CHECKING:
    from llm_rlm.callee import Callee


class CalleeLM:
    """See `rlm_core.lms.LM`."""

    def __init__(self, callee: Callee, concurrency: int | None = None):
        self.callee = callee
        self.model = callee.model_id
        self.window = callee.window
        self.concurrency = concurrency

    def complete(self, messages: Sequence[Message]) -> Completion:
        return self.callee.complete(messages)

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        return await self.callee.acomplete(messages)

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Completion]:
        yield self.callee.complete(messages)

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[str | Completion]:
        yield await self.callee.acomplete(messages)
