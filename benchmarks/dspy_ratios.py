"""`dspy_rlm.RLM` beside `dspy.RLM`, in one run: python benchmarks/dspy_ratios.py [--full]

Part one: what each does in fourteen situations.  Part two: times, and their ratio.  Upstream runs on its
LocalInterpreter (no sandbox), and with --full on Deno too, where that starts.  Every LM is scripted."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import dspy
from dspy.predict.rlm import RLM as Upstream
from dspy.primitives.local_interpreter import LocalInterpreter

from dspy_rlm import RLM, Limits

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


class Scripted(dspy.BaseLM):  # type: ignore[misc]
    """Says its replies in order to chats, and "ok" to plain prompts, each after `delay` seconds.  A str is
    code; an exception is raised; anything else is said as it is."""

    def __init__(self, *replies: Any, delay: float = 0.0):
        super().__init__("scripted", "chat", 0.0, 1000, False)
        self.replies, self.delay, self.chars, self.asked = list(replies), delay, 0, 0

    def __deepcopy__(self, memo: Any) -> Scripted:
        return self

    def _say(self, messages: Any) -> list[str]:
        self.asked += 1
        if messages is None:
            return ["ok"]
        self.chars += sum(len(message["content"]) for message in messages)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, list):
            return reply
        return [
            f"[[ ## reasoning ## ]]\nr\n\n[[ ## code ## ]]\n```python\n{reply}\n```\n\n[[ ## completed ## ]]"
        ]

    def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        time.sleep(self.delay)
        return self._say(messages)

    async def acall(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        await asyncio.sleep(self.delay)
        return self._say(messages)


Maker = Callable[..., Any]


def ours(signature: str = "context -> answer", **kwargs: Any) -> Any:
    return RLM(signature, **kwargs)


def theirs(signature: str = "context -> answer", **kwargs: Any) -> Any:
    kwargs.pop("limits", None)
    return Upstream(signature, interpreter_factory=LocalInterpreter, **kwargs)


def call(rlm: Any, lm: Any, **inputs: Any) -> Any:
    with dspy.context(lm=lm):
        return rlm(**(inputs or {"context": "abc"}))


def ends(action: Callable[[], Any]) -> str:
    """What an action came to, in a line."""
    try:
        return str(action()).replace("\n", " ")[:70]
    except Exception as error:
        kept = getattr(error, "partial", None)
        steps = f", {len(kept.trajectory)} steps kept" if kept is not None else ", nothing kept"
        return f"raises {type(error).__name__}{steps}"


# ---- the fourteen


def bad_reply(make: Maker) -> str:
    lm = Scripted("print(1)", ["I do not know."], ["Nor now."], "SUBMIT('went on')", "SUBMIT('went on')")
    return ends(lambda: call(make(), lm).answer)


def transport(make: Maker) -> str:
    return ends(lambda: call(make(), Scripted("print(1)", dspy.LMTransportError("reset"))).answer)


def host_files(make: Maker) -> str:
    os.environ["A_SECRET"] = "seen"
    lm = Scripted("import os\nx = os.environ.get('A_SECRET')\nSUBMIT(x)", "SUBMIT('not seen')")
    return ends(lambda: f"environment of the host {call(make(), lm).answer}")


def edits(make: Maker) -> str:
    lm = Scripted("context = 'edited'", "SUBMIT(context)")
    return ends(lambda: f"the next step sees {call(make(), lm).answer!r}")


def history(make: Maker) -> str:
    lm = Scripted(*["print('x' * 10_000)"] * 39, "SUBMIT('end')")
    call(make(max_iters=40), lm)
    return f"40 turns sent {lm.chars:,} characters"


def contract(make: Maker) -> str:
    rlm, lm = make(), Seen("SUBMIT('x')")
    rlm.generate_action.signature = rlm.generate_action.signature.with_instructions("Be swift.")
    call(rlm, lm)
    return f"SUBMIT in the prompt once instructions are replaced: {'SUBMIT(' in lm.system}"


class Seen(Scripted):
    system = ""

    def __call__(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> list[str]:
        self.system = messages[0]["content"]
        return super().__call__(prompt, messages, **kwargs)


def traces(make: Maker) -> str:
    trace: list[Any] = []
    with dspy.context(trace=trace):
        call(make(), Scripted("print(1)", "print(2)", "SUBMIT('x')"))
    return f"{len(trace)} entries; the last one has {len(trace[-1][1]['repl_history'])} steps before it"


def overlap(make: Maker) -> str:
    async def one() -> None:
        lm = Scripted("x = llm_query('q')\nSUBMIT(x)", delay=0.25)
        with dspy.context(lm=lm):
            await make().acall(context="abc")

    async def four() -> float:
        start = time.monotonic()
        await asyncio.gather(*(one() for _ in range(4)))
        return time.monotonic() - start

    asyncio.run(one())
    return ends(lambda: f"four calls of 0.5 s at once: {asyncio.run(four()):.1f} s")


def timeout(make: Maker) -> str:
    if make is theirs:

        def make(**kwargs: Any) -> Any:
            return Upstream(
                "context -> answer", interpreter_factory=lambda: LocalInterpreter(execution_timeout=1.0)
            )

    lm = Scripted("x = 1", "while True: pass", "SUBMIT(f'x is {x}')")
    return ends(lambda: call(make(limits=Limits(step_seconds=1.0)), lm).answer)


def budget(make: Maker) -> str:
    lm = Scripted(*["print('x' * 8_000)"] * 12, "SUBMIT('end')")
    limited = make(limits=Limits(tokens=20_000))
    return ends(lambda: f"a limit of 20,000 tokens: {call(limited, lm) and lm.chars // 4:,} sent")


def positional(make: Maker) -> str:
    def join(a: str, b: str) -> str:
        return a + b

    lm = Scripted("x = join('a', 'b')\nSUBMIT(x)", "SUBMIT('join failed')")
    return ends(lambda: call(make(tools=[join]), lm).answer)


def batch(make: Maker) -> str:
    lm = Scripted("SUBMIT(str(len(llm_query_batched(['q'] * 32))))", delay=0.1)
    start = time.monotonic()
    call(make(limits=Limits(concurrency=32)), lm)
    return f"32 sub-calls of 0.1 s: {time.monotonic() - start:.1f} s"


def usage(make: Maker) -> str:
    prediction = call(make(), Scripted("SUBMIT(llm_query('q'))"))
    run = getattr(prediction, "run", None)
    return ", ".join(f"{row.role}: {row.calls}" for row in run.usage.rows) if run else "no usage by role"


def late(make: Maker) -> str:
    lm = Scripted("SUBMIT(str(sorted(context)))", "SUBMIT('x')")
    outcome = ends(lambda: call(make(), lm, context={1, 2}).answer)
    return f"a set: {outcome} ({lm.asked} calls paid)"


def set_lm(make: Maker) -> str:
    rlm = make()
    rlm.set_lm(Scripted("SUBMIT(llm_query('q'))", ["never"], "SUBMIT('not reached')"))
    with dspy.context(lm=None):
        return ends(lambda: f"sub-calls through set_lm: {rlm(context='abc').answer}")


SITUATIONS = [
    bad_reply, transport, host_files, edits, history, contract, traces, overlap, timeout, budget, positional,
    batch, usage, late, set_lm,
]  # fmt: skip


# ---- times


def noop(make: Maker, chars: int) -> float:
    lm = Scripted(*["1"] * 19, "SUBMIT(str(len(context)))")
    line = "On this day nothing of note was written down by anyone.\n"
    text = line * (chars // len(line))
    start = time.monotonic()
    call(make(), lm, context=text)
    return time.monotonic() - start


def first_step(make: Maker) -> float:
    start = time.monotonic()
    call(make(), Scripted("SUBMIT('x')"))
    return time.monotonic() - start


def fan_out(make: Maker) -> float:
    lm = Scripted("SUBMIT(str(len(llm_query_batched(['q'] * 64))))", delay=0.05)
    start = time.monotonic()
    call(make(max_llm_calls=100), lm)
    return time.monotonic() - start


def deno(signature: str = "context -> answer", **kwargs: Any) -> Any:
    return Upstream(signature, **kwargs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="100M characters, and Deno where it starts")
    options = parser.parse_args()
    print(f"dspy {dspy.__version__}\n\n{'situation':<12} {'dspy.RLM':<72} dspy_rlm.RLM")
    for situation in SITUATIONS:
        print(f"{situation.__name__:<12} {situation(theirs):<72} {situation(ours)}", flush=True)
    sizes = [1_000_000, 10_000_000, *([100_000_000] if options.full else [])]
    jobs: list[tuple[str, Callable[[Maker], float]]] = [
        ("start to first step", first_step),
        ("64 sub-calls of 50 ms", fan_out),
        *(
            (f"20 no-op steps, {size:,} characters", lambda make, size=size: noop(make, size))
            for size in sizes
        ),
    ]
    others = [("LocalInterpreter", theirs)]
    if options.full and shutil.which("deno"):
        others.append(("Deno", deno))
    for name, other in others:
        print(f"\nseconds, best of 3{'':<20} {'dspy.RLM on ' + name:>28} {'dspy_rlm.RLM':>14} {'ratio':>7}")
        for title, job in jobs:
            pairs = [(job(other), job(ours)) for _ in range(3)]
            their_best, our_best = (min(column) for column in zip(*pairs, strict=True))
            print(
                f"{title:<38} {their_best:>28.3f} {our_best:>14.3f} {their_best / our_best:>7.1f}", flush=True
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024 if sys.platform != "darwin" else 1024**2
    )
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\npeak memory: this process {peak:,.0f} MB, the largest of its workers {children:,.0f} MB")


if __name__ == "__main__":
    main()
