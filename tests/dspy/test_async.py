"""`aforward`, asynchronous from end to end: shown by what is under way at once, not by the clock."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import dspy

from dspy_rlm import RLM, Limits
from tests.dspy.scripted import Script, code

TOGETHER = 60  # seconds to wait for the others: only a failing test takes them


class Gate(Script):
    """An LM none of whose calls returns before `width` are under way at once: of the root's chats, and of the
    sub-calls' plain prompts.  Calls that did not overlap would wait for one another in vain."""

    def __init__(self, replies: list[str], width: int):
        super().__init__(replies, answers="b")
        self.gates = {"chat": asyncio.Barrier(width), "prompt": asyncio.Barrier(width)}
        self.threads = set()
        self.most_threads = 0

    async def acall(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        await asyncio.wait_for(self.gates["chat" if messages else "prompt"].wait(), TOGETHER)
        self.most_threads = max(self.most_threads, threading.active_count())
        return await super().acall(prompt, messages, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> list[str]:
        raise AssertionError("a call that blocks the loop")


async def together(count: int) -> Gate:
    """So many runs at once, each a root call and a sub-call."""
    lm = Gate(code("x = llm_query('a')\nSUBMIT(x + context)") * count, count)
    rlm = RLM("context -> answer")
    with dspy.context(lm=lm):
        made = await asyncio.gather(*(rlm.acall(context=str(number)) for number in range(count)))
    assert [each.answer for each in made] == [f"b{number}" for number in range(count)]
    return lm


async def test_the_calls_of_four_runs_are_under_way_at_once() -> None:
    await together(4)


async def test_two_hundred_runs_take_few_threads() -> None:
    before = threading.active_count()
    lm = await together(200)
    assert lm.threads == {threading.current_thread().name}
    assert lm.most_threads - before < 20


async def test_the_sub_calls_of_one_run_are_under_way_at_once() -> None:
    lm = Gate(code("SUBMIT(len(llm_query_batched(['q'] * 12)))"), 12)
    lm.gates["chat"] = asyncio.Barrier(1)
    with dspy.context(lm=lm):
        assert (await RLM("context -> answer: int").acall(context="")).answer == 12


async def test_the_loop_goes_on_while_code_runs() -> None:
    beats = 0

    async def heart() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    lm = Script(code("while True: pass", "SUBMIT('x')"))
    beating = asyncio.create_task(heart())
    with dspy.context(lm=lm):
        prediction = await RLM("context -> answer", limits=Limits(step_seconds=0.5)).acall(context="")
    beating.cancel()
    assert "TimeoutError" in prediction.trajectory[0]["output"]
    assert beats > 10


async def test_an_async_tool_is_awaited_on_the_loop() -> None:
    loop = asyncio.get_running_loop()

    async def here(word: str) -> str:
        """Where it runs."""
        await asyncio.sleep(0)
        return f"{word} {asyncio.get_running_loop() is loop}"

    lm = Script(code("SUBMIT(here('same'))"))
    with dspy.context(lm=lm):
        assert (await RLM("context -> answer", tools=[here]).acall(context="")).answer == "same True"
