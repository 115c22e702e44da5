"""Many workers: in a row, side by side in threads, side by side on one event loop; what they leave behind;
and how soon the host has its control back from code that does not stop.

    python benchmarks/sandbox_workers.py              # 1,000 workers each way, 64 side by side
    python benchmarks/sandbox_workers.py --workers 100

Each worker prints what it was given and calls a tool; a line that another worker printed would be told.
Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from memory import family

from rlm_core.sandbox import LocalSandbox, Sandbox
from rlm_core.sandbox.host import LocalSession
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Repl, Resume
from rlm_core.sandbox.sandbox import next_frame

CODE = "print(context, tool(context))"
TOOLS = Repl(tools=("tool",))
LIMIT = 0.5  # seconds, of a step that does not stop
ENDLESS = {
    "while True: pass": "while True: pass",
    "every stop caught": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "a catastrophic regex": "import re; re.match('(a+)+$', 'a' * 40 + 'b')",
    "10 ** 10 ** 10": "10 ** 10 ** 10",
    "sum(iter(int, 1))": "sum(iter(int, 1))",
    "an evil __str__": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E()",
    "tool calls without end": "while True: tool(1)",
}


def main() -> None:
    options = argparse.ArgumentParser(description="Many workers, and what they leave behind.")
    options.add_argument("--workers", type=int, default=1_000, help="how many, each way")
    options.add_argument("--side-by-side", type=int, default=64)
    chosen = options.parse_args()
    sandbox = LocalSandbox()
    root = sandbox.open({"context": "root"}, TOOLS)
    count, width = chosen.workers, chosen.side_by_side

    def in_a_row() -> int:
        return sum(one(sandbox, number) for number in range(count))

    def in_threads() -> int:
        with ThreadPoolExecutor(width) as pool:
            return sum(pool.map(lambda number: one(sandbox, number), range(count)))

    def on_a_loop() -> int:
        return asyncio.run(side_by_side(sandbox, count, width))

    measured("in a row", in_a_row, count)
    measured(f"{width} side by side, in threads", in_threads, count)
    measured(f"{width} side by side, on an event loop", on_a_loop, count)
    root.close()
    sandbox.close()
    print()
    for name, code in ENDLESS.items():
        print(f"{name:<24} control back {past_the_limit(code):+.2f} s from a limit of {LIMIT} s")


def one(sandbox: LocalSandbox, number: int) -> bool:
    """Whether a worker printed what it was given, and nothing of another's."""
    session = sandbox.open({"context": str(number)}, TOOLS)
    try:
        session.send(Execute(CODE, 60))
        while isinstance(frame := next_frame(session), HostCall):
            session.send(Resume(frame.args[0]))
        return is_its_own(frame, number)
    finally:
        session.close()


async def side_by_side(sandbox: LocalSandbox, count: int, width: int) -> int:
    room = asyncio.Semaphore(width)

    async def run(number: int) -> bool:
        async with room:
            session = await asyncio.to_thread(sandbox.open, {"context": str(number)}, TOOLS)
            try:
                session.send(Execute(CODE, 60))
                while isinstance(frame := await next_of(session), HostCall):
                    session.send(Resume(frame.args[0]))
                return is_its_own(frame, number)
            finally:
                session.close()

    return sum(await asyncio.gather(*map(run, range(count))))


async def next_of(session: LocalSession) -> HostCall | Done:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(session.fileno(), ready.set)
    try:
        while (frame := session.feed()) is None:
            ready.clear()
            due = session.deadline
            try:
                await asyncio.wait_for(ready.wait(), None if due is None else due - time.monotonic())
            except TimeoutError:
                pass
        return frame
    finally:
        loop.remove_reader(session.fileno())


def is_its_own(done: Done, number: int) -> bool:
    return (done.output, done.error) == (f"{number} {number}\n", None)


def measured(name: str, work: Callable[[], int], count: int) -> None:
    work()  # once unmeasured: threads, arenas and caches stay, and are no leak
    gc.collect()
    time.sleep(0.5)  # for the kernel and the zygote to clear away
    before = left_behind()
    started = time.perf_counter()
    right = work()
    took = time.perf_counter() - started
    gc.collect()
    time.sleep(0.5)
    processes, descriptors, memory = (now - then for now, then in zip(left_behind(), before, strict=True))
    print(f"{name}: {right:,} of {count:,} right, {took / count * 1e3:.1f} ms each;", end=" ")
    print(f"more than before: {processes} processes, {descriptors} descriptors, {memory / 1024:.1f} MB")


def left_behind() -> tuple[int, int, int]:
    """Processes below this one (zombies too), its open descriptors, and the private kB of all of them."""
    pids = family(os.getpid())
    return len(pids) - 1, len(os.listdir("/proc/self/fd")), sum(map(private, pids))


def private(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    return 0  # a zombie


def past_the_limit(code: str) -> float:
    with Sandbox(tools={"tool": lambda value: value}, seconds=LIMIT) as repl:
        repl.execute("pass")
        started = time.perf_counter()
        outcome = repl.execute(code)
        took = time.perf_counter() - started
    assert outcome.error
    return took - LIMIT


if __name__ == "__main__":
    main()
