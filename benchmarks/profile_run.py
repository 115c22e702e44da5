"""Where the milliseconds of one run go: python benchmarks/profile_run.py [--chars 10000000] [--functions]

A scripted LM answers at once (or after --delay), so all time but that is this project's own: the run's
events are timed as they come.  The first run of a process is told apart: it imports and starts what later
runs find there."""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
begun = time.perf_counter()
from rlm_core import RLM, Limits, ScriptedLM  # noqa: E402

IMPORT = time.perf_counter() - begun
from benchmarks.peers.text import text  # noqa: E402
from rlm_core.events import Asking, Replied, Started, Stepped  # noqa: E402
from rlm_core.rlm import Finished  # noqa: E402

PHASES = [
    "looking at the context, for the card",
    "a call of the LM, but for the LM's own time",
    "the first step: what is left of the sandbox's start, and its round trip",
    "a later step's round trip, but for the code's own time",
    "from a step's end to the next call",
    "ending",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chars", type=int, default=1_000_000, help="characters of the context")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that the LM takes for a reply")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--functions", action="store_true", help="also the functions of the caller's thread")
    options = parser.parse_args()
    context = text(options.chars)

    def once() -> dict[str, list[float]]:
        return phases(context, options.turns, options.delay)

    first = once()
    later = [once() for _ in range(options.runs)]
    print(f"{options.chars:,} characters, {options.turns} turns, an LM of {options.delay:g} s;", end=" ")
    print(f"{options.runs} runs after the first; load {os.getloadavg()[0]:.1f}\n")
    print("| ms | first run | median | least |\n|---|---|---|---|")
    print(f"| import rlm_core | {IMPORT * 1e3:.1f} | | |")
    for phase in [*PHASES, "the whole run, but for the LM"]:
        medians = [statistics.median(run[phase]) * 1e3 for run in later if run[phase]]
        if medians:
            own = statistics.median(first[phase]) * 1e3
            print(f"| {phase} | {own:.1f} | {statistics.median(medians):.1f} | {min(medians):.1f} |")
    if options.functions:
        profile = cProfile.Profile()
        profile.runcall(once)
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)


def phases(context: str, turns: int, delay: float) -> dict[str, list[float]]:
    """Seconds of one run, by phase."""
    steps = [
        "print(len(context))",
        *(f"x = {n}" for n in range(turns - 2)),
        "SUBMIT(str(context.find('needle')))",
    ]
    lm = ScriptedLM([f"```repl\n{step}\n```" for step in steps], delay=delay, chunk=1 << 20)
    rlm = RLM(lm, limits=Limits(iterations=turns + 1))
    found: dict[str, list[float]] = defaultdict(list)
    start = before = time.perf_counter()
    after: object = None
    for event in rlm.stream(context, "Where is the needle?"):
        now = time.perf_counter()
        spent = now - before
        if isinstance(event, Started):
            found[PHASES[0]].append(spent)
        elif isinstance(event, Replied):
            found[PHASES[1]].append(spent - delay)
        elif isinstance(event, Stepped):
            phase = PHASES[3] if found[PHASES[2]] else PHASES[2]
            found[phase].append(spent - event.seconds)
        elif isinstance(event, Asking) and isinstance(after, Stepped):
            found[PHASES[4]].append(spent)
        elif isinstance(event, Finished):
            assert event.result.answer == str(context.find("needle")), event.result
            found[PHASES[5]].append(spent)
        else:
            continue  # a Chunk, within a call
        after, before = event, now
    found["the whole run, but for the LM"].append(time.perf_counter() - start - turns * delay)
    return found


if __name__ == "__main__":
    main()
