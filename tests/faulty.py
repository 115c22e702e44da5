"""A script for `StubServer` that fails as real APIs do, now and then, over a whole run; and such a run.

The run has a batch of sub-calls, single ones, a child with a batch of its own, and code between them.  Its
answer is the same however often calls had to be sent again."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from stub_server import Raw, Reply, Scripted, content_filter, error, html, overflow

TEXT = "".join(f"record {n}: value {n * 37 % 1_000}\n" for n in range(400))
QUESTION = "What is the digest?"
BATCH, SINGLE, CHILD = 16, 3, 5
STEPS = {
    "root": [
        f"size = len(context) // {BATCH} + 1\nparts = [context[n * size:][:size] for n in range({BATCH})]\n"
        "first = llm_query_batched([f'sum of {i}: {p}' for i, p in enumerate(parts)])\nprint(len(first))",
        f"singles = [llm_query(f'single {{i}}') for i in range({SINGLE})]\n"
        "child = rlm_query('left', context[:2_000])",
        "failed = sum(isinstance(one, LMError) for one in first)\n"
        "SUBMIT('|'.join([*(one for one in first if not isinstance(one, LMError)), *singles, child])\n"
        "       + f' and {failed} failed')",
    ],
    "child": [
        f"answers = llm_query_batched([f'{{context[:20]}} part {{i}}' for i in range({CHILD})])",
        "SUBMIT(''.join(answers))",
    ],
}
CALLS = 3 + BATCH + SINGLE + 2 + CHILD  # of a run in which nothing fails

PASSING: dict[str, Callable[[Reply], Scripted]] = {
    "429": lambda reply: error(429),
    "429 with Retry-After": lambda reply: error(429, retry_after=0.05),
    "500": lambda reply: error(500),
    "502 with HTML": lambda reply: html(502),
    "timeout": lambda reply: Reply(reply.text, delay=30.0),
    "reset in mid-stream": lambda reply: Reply(reply.text, fault="reset"),
    "truncated JSON": lambda reply: Reply(reply.text, fault="cut"),
    "wrong content type": lambda reply: Reply(reply.text, fault="wrong_type"),
    "empty choices": lambda reply: Reply(reply.text, fault="empty_choices"),
    "error with status 200": lambda reply: Reply(reply.text, fault="error_event"),
}
"""Failures after which the same call may succeed."""

HARMLESS: dict[str, Callable[[Reply], Scripted]] = {
    "duplicate chunks": lambda reply: Reply(reply.text, fault="duplicates"),
    "slow drip": lambda reply: Reply(reply.text, drip=0.005),
}
LASTING: dict[str, Callable[[Reply], Scripted]] = {
    "content filter": lambda reply: content_filter(),
    "context overflow": lambda reply: overflow(),
    "401": lambda reply: error(401, "bad key"),
}
"""Refusals: the same call would fail again."""


def answer(body: dict[str, Any]) -> Reply:
    """What a server says that does not fail: the next step to a root LM, a digest to a sub-call."""
    messages = body["messages"]
    if len(messages) == 1:
        return Reply(f"<{sum(messages[0]['content'].encode()) % 9_973}>")
    child = "Question: left" in messages[1]["content"]
    step = sum(message["role"] == "assistant" for message in messages)
    return Reply(f"```repl\n{STEPS['child' if child else 'root'][step]}\n```")


class Faulty:
    """`fails(call, time)` says whether this send of a call fails: `call` is the number of the call in the
    order of first sends, `time` counts its sends from 0.

    sends     how often each call was sent
    answered  how often each call got a whole answer
    """

    def __init__(self, fault: Callable[[Reply], Scripted], fails: Callable[[int, int], bool]):
        self.fault, self.fails = fault, fails
        self.sends: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Scripted:
        call = json.dumps(body["messages"][1:] or body["messages"])
        with self._lock:
            number = self._numbers.setdefault(call, len(self._numbers))
            failing = self.fails(number, self.sends[call])
            self.sends[call] += 1
            reply = answer(body)
            said = self.fault(reply) if failing else reply
            if isinstance(said, Reply) and said.fault in ("", "duplicates") and not said.delay:
                self.answered[call] += 1
            return said


class Sometimes:
    """Fails a share of all sends, with any of the passing faults in turn."""

    def __init__(self, share: float, seed: int = 0):
        self.share, self.random = share, random.Random(seed)
        self.failed = 0
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Scripted:
        reply = answer(body)
        with self._lock:
            if self.random.random() >= self.share:
                return reply
            self.failed += 1
            faults = [fault for name, fault in PASSING.items() if name != "timeout"]
            return faults[self.failed % len(faults)](reply)


__all__ = ["CALLS", "HARMLESS", "LASTING", "PASSING", "QUESTION", "TEXT", "Faulty", "Raw", "Sometimes"]
