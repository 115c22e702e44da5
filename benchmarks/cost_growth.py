"""How the cost of a run grows with context, iterations, sub-calls and depth: python benchmarks/cost_growth.py

The LM is scripted and answers at once: seconds are this project's own.  Tokens are estimated at four
characters each, as they would be for an LM that does not count."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.peers.text import text
from rlm_core import RLM, Limits, ScriptedLM

LOOK = "print(len(context), context.count('nothing'))"
END = "SUBMIT(str(len(context)))"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="runs of each; the quickest is shown")
    parser.add_argument("--most", type=int, default=100_000_000, help="characters of the largest context")
    options = parser.parse_args()
    print(f"best of {options.repeats}; load {os.getloadavg()[0]:.1f}")
    sizes = [size for size in (10**4, 10**5, 10**6, 10**7, 10**8) if size <= options.most]
    table("characters of context, 3 iterations", sizes, lambda n: run(text(n), LOOK, LOOK, END), options)
    short = text(100_000)
    table(
        "iterations, 100K characters",
        [2, 5, 10, 20, 40],
        lambda n: run(short, *(f"{LOOK}  # {turn}" for turn in range(n - 1)), END),
        options,
    )
    table(
        "sub-calls of 1,000 characters each, one batch",
        [0, 1, 8, 64, 512, 4096],
        lambda n: run(short, f"x = llm_query_batched([context[:1000]] * {n})\n{END}"),
        options,
    )
    table("depth, two children at each level", [0, 1, 2, 3, 4], tree, options)


def run(context: str, *steps: str) -> Callable[[], Any]:
    lm = ScriptedLM([fenced(step) for step in steps], answers="ok", chunk=1 << 20)
    limits = Limits(iterations=len(steps) + 1, sub_calls=None, tokens=None)
    return partial(RLM(lm, limits=limits).completion, context, "A question?")


def tree(depth: int) -> Callable[[], Any]:
    """Each run asks two children, down to `depth`; below it a call of the LM is what is left.  At depth 0
    the root works alone."""
    if depth == 0:
        return run("text", END)
    lm = ScriptedLM(
        fenced(f"x = rlm_query_batched([('q', 'a'), ('q', 'b')])\n{END}"), answers="ok", chunk=1 << 20
    )
    limits = Limits(iterations=2, sub_calls=None, depth=depth)
    return partial(RLM(lm, limits=limits).completion, "text", "A question?")


def fenced(code: str) -> str:
    return f"```repl\n{code}\n```"


def table(
    title: str, sizes: list[int], make: Callable[[int], Callable[[], Any]], options: argparse.Namespace
) -> None:
    print(f"\n| {title} | root calls | sub-calls | tokens in | tokens out | seconds |\n{'|---' * 6}|")
    for size in sizes:
        best = float("inf")
        for _ in range(options.repeats):
            asked = make(size)
            start = time.perf_counter()
            result = asked()
            best = min(best, time.perf_counter() - start)
        assert result.status == "answered", result
        rows = result.usage.rows
        root = sum(row.calls for row in rows if row.role != "sub")
        calls = sum(row.calls for row in rows)
        into, out = (sum(getattr(row, name) for row in rows) for name in ("input", "output"))
        print(f"| {size:,} | {root} | {calls - root:,} | {into:,} | {out:,} | {best:.3f} |", flush=True)


if __name__ == "__main__":
    main()
