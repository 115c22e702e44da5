"""A dspy LM that says what it is told to say, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import dspy

Reply = str | Exception | Callable[[Any], str]


class Script(dspy.BaseLM):
    """`replies` in order to chat calls; `answers` to plain prompts (sub-calls), whatever their order.  Each
    call takes `delay` seconds."""

    def __init__(
        self, replies: Sequence[Reply], answers: Reply = "", delay: float = 0.0, model: str = "scripted"
    ):
        super().__init__(model, "chat", 0.0, 1000, False)
        self.replies = list(replies)
        self.answers, self.delay = answers, delay
        self.sent: list[Any] = []
        self.prompts: list[str] = []
        self.threads: set[str] = set()
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: Any) -> Script:
        return self

    def _next(self, prompt: Any, messages: Any) -> str:
        with self._lock:
            self.threads.add(threading.current_thread().name)
            if messages is None:
                self.prompts.append(prompt)
                reply: Reply = self.answers
            else:
                self.sent.append(messages)
                reply = self.replies.pop(0)
        if callable(reply):
            reply = reply(prompt if messages is None else messages)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        time.sleep(self.delay)
        return [self._next(prompt, messages)]

    async def acall(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        await asyncio.sleep(self.delay)
        return [self._next(prompt, messages)]

    @property
    def system(self) -> str:
        """The system prompt of the last chat call."""
        return str(self.sent[-1][0]["content"])


def code(*blocks: str) -> list[str]:
    """Replies that run these blocks."""
    return [f"```repl\n{block}\n```" for block in blocks]
