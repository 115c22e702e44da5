"""How long `dspy_rlm.RLM` takes beside `dspy.RLM`, and their ratio: python benchmarks/dspy_ratios.py [--full]

Upstream's class runs on its LocalInterpreter (no sandbox), and with --full on its default, Deno, too, where
that starts; ours always runs in its sandbox.  Every LM is scripted.  Each pair is measured by turns, and of
--repeat times the best is taken.  Memory is the peak of a process of its own, its children included, less
what importing and the context itself take."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable

import dspy
from dspy_upstream import NAMES, Maker, Scripted, call, deno, deno_starts, local, ours
from memory import Peak, used

SIZES = (1_000_000, 10_000_000, 100_000_000)
LINE = "On this day nothing of note was written down by anyone.\n"
SLOW = {deno: {100_000_000: 2}}  # steps of a run that would take most of an hour


def text(chars: int) -> str:
    return LINE * (chars // len(LINE))


def first_step(make: Maker) -> float:
    start = time.monotonic()
    call(make(), Scripted("SUBMIT('x')"))
    return time.monotonic() - start


def fan_out(make: Maker) -> float:
    lm = Scripted("SUBMIT(str(len(llm_query_batched(['q'] * 64))))", delay=0.05)
    start = time.monotonic()
    call(make(max_llm_calls=100), lm)
    return time.monotonic() - start


def noop(make: Maker, chars: int, steps: int) -> float:
    lm = Scripted(*map(str, range(steps - 1)), "SUBMIT(str(len(context)))")
    given = text(chars)
    start = time.monotonic()
    call(make(), lm, context=given)
    return time.monotonic() - start


def memory(make: Maker, chars: int) -> float:
    """MB that a run of two steps takes."""
    queue: multiprocessing.Queue[float | str] = multiprocessing.get_context("spawn").Queue()
    process = multiprocessing.get_context("spawn").Process(target=_memory, args=(make, chars, queue))
    process.start()
    found = queue.get()
    process.join()
    if isinstance(found, str):
        raise RuntimeError(found)
    return found


def _memory(make: Maker, chars: int, queue: multiprocessing.Queue[float | str]) -> None:
    if make is deno:
        deno_starts()
    given = text(chars)
    before = used(os.getpid())
    try:
        with Peak(os.getpid()) as peak:
            call(make(), Scripted("1", "SUBMIT(str(len(context)))"), context=given)
    except Exception as error:
        queue.put(f"{type(error).__name__}: {str(error)[:60]}")
        return
    queue.put((peak.highest - before) / 1e6)


def ends(job: Callable[[Maker], float], make: Maker) -> float | str:
    try:
        return job(make)
    except Exception as error:
        return type(error).__name__


def compare(other: Maker, title: str, job: Callable[[Maker], float], repeat: int, unit: str) -> None:
    pairs = [(ends(job, other), ends(job, ours)) for _ in range(repeat)]
    theirs, mine = (min(column, key=lambda x: (isinstance(x, str), x)) for column in zip(*pairs, strict=True))
    ratio = (
        f"{theirs / mine:.1f}" if isinstance(theirs, float) and isinstance(mine, float) and mine > 0 else "-"
    )
    shown = [f"{value:.3g} {unit}" if isinstance(value, float) else value for value in (theirs, mine)]
    print(f"{title:<44} {shown[0]:>26} {shown[1]:>14} {ratio:>8}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="100M characters, and Deno where it starts")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="of the runs whose steps do nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    others = [local]
    if options.full:
        if deno_starts():
            others.append(deno)
        else:
            print("Deno does not start here (pip install deno)")
    sizes = SIZES if options.full else SIZES[:2]
    print(f"dspy {dspy.__version__}, best of {options.repeat}")
    for other in others:
        print(f"\n{'':<44} {NAMES[other]:>26} {NAMES[ours]:>14} {'ratio':>8}")
        compare(other, "start to the end of the first step", first_step, options.repeat, "s")
        compare(other, "64 sub-calls of 50 ms", fan_out, options.repeat, "s")
        for size in sizes:
            steps = min(options.steps, SLOW.get(other, {}).get(size, options.steps))
            repeat = options.repeat if steps == options.steps else 1
            title = f"{steps} no-op steps, {size:,} characters"
            compare(other, title, lambda make, n=size, s=steps: noop(make, n, s), repeat, "s")
        for size in sizes:
            compare(other, f"memory, {size:,} characters", lambda make, n=size: memory(make, n), 1, "MB")


if __name__ == "__main__":
    main()
