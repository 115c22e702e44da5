"""A model of llm's as an LM of `rlm_core`, for what runs without `llm prompt`: batches and benchmarks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from rlm_core.lms import Completion, Message

if TYPE_CHECKING:
    from llm_rlm.callee import Callee


class CalleeLM:
    """See `rlm_core.lms.LM`; called as the plugin calls it."""

    def __init__(self, callee: Callee):
        self.callee = callee
        self.model = callee.model_id
        self.window = callee.window
        own = getattr(callee.pair.model, "concurrency", None)
        self.concurrency: int | None = own or (1 if callee.in_process else None)
        counter = getattr(callee.pair.model, "tokens", None)
        if counter:
            self.tokens = lambda text: int(counter(text, **callee.options))

    @property
    def strategy(self) -> str:
        from llm_rlm.settings import profile

        return profile(self.callee.pair.model)

    def complete(self, messages: Sequence[Message]) -> Completion:
        return self.callee.complete(messages)

    async def acomplete(self, messages: Sequence[Message]) -> Completion:
        return await self.callee.acomplete(messages)

    def stream(self, messages: Sequence[Message]) -> Iterator[str | Completion]:
        events = self.callee.stream(messages)
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                yield stop.value
                return
            if event.type == "text":
                yield event.chunk

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[str | Completion]:
        async for item in self.callee.astream(messages):
            if isinstance(item, Completion):
                yield item
            elif item.type == "text":
                yield item.chunk
