"""This project beside its peers: python -m benchmarks.peers [--quick]   (make bench does it)

Each package stands in an environment of its own and speaks to the same scripted model behind a loopback
server.  Every number is from a fresh process; the packages take turns, so that all see the same machine.
Only ratios within one run mean something."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.candidates import CANDIDATES, OURS
from benchmarks.peers.envs import NotToBeHad, python_of
from benchmarks.peers.measures import Failed, Job, Peer, snippets
from benchmarks.peers.table import Row, table
from benchmarks.peers.text import text

SIZES = {"100K": 100_000, "1M": 1_000_000, "10M": 10_000_000, "100M": 100_000_000}
LOOK = Job(("print(len({context}))", "where = {context}.find('needle')"), "where", "")
SUB_CALLS = Job(
    ("replies = {sub_calls}\ngood = sum(reply == 'ok' for reply in replies)",),
    "good",
    "64",
    count=64,
    delay=0.05,
)
CHILDREN = Job(
    ("replies = {children}\ngood = sum(str(reply) == 'ok' for reply in replies)",),
    "good",
    "16",
    count=16,
    depth=2,
)
NO_OP = Job(
    ("print(len({context}))", *(f"x = {n}" for n in range(20)), "where = {context}.find('needle')"),
    "where",
    "",
)


Take = Callable[[Peer], tuple[float, ...]]


class Measure(NamedTuple):
    """`take` gives the rows their numbers, in order."""

    rows: tuple[Row, ...]
    take: Take
    at_most: int = 1_000  # repeats


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1M characters alone, 16 snippets, one repeat")
    parser.add_argument("--repeats", type=int, help="of each measure (5; 1 with --quick)")
    parser.add_argument("--timeout", type=float, help="seconds that a run may take (120; 30 with --quick)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=CANDIDATES, help="these packages")
    parser.add_argument("--rows", metavar="WORD", default="", help="only rows with this word in their title")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="keep every number, as JSON")
    options = parser.parse_args()
    repeats = options.repeats or (1 if options.quick else 5)
    seconds = options.timeout or (30 if options.quick else 120)
    chosen = [
        measure for measure in plan(options.quick) if any(options.rows in row.title for row in measure.rows)
    ]
    if not chosen:
        titles = "".join(f"\n  {row.title}" for measure in plan(options.quick) for row in measure.rows)
        parser.error(f"--rows {options.rows}: the rows are{titles}")
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(peer) for peer in installed(options.only or list(CANDIDATES), seconds)]
        try:
            for measure in chosen:
                taken(measure, peers, min(measure.at_most, repeats))
        except KeyboardInterrupt:
            print("interrupted: what there is so far", file=sys.stderr)
    rows = [row for measure in chosen for row in measure.rows if row.loads or row.failed]
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    print(f"{machine}, Python {platform.python_version()}.")
    print(f"Medians of {repeats} (and the least); ×: times the median of {OURS}.\n")
    print(table(rows, [peer.name for peer in peers]))
    if options.output:
        options.output.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))


def installed(names: list[str], seconds: float) -> list[Peer]:
    """Those that can be had."""
    found: list[Peer] = []
    for name in names:
        try:
            peer = Peer(name, python_of(name), seconds)
            print(f"{name} {peer.imported()['version']}", flush=True)
            found.append(peer)
        except (NotToBeHad, Failed) as error:
            print(f"{name} cannot be had: {error}", flush=True)
    return found


def plan(quick: bool) -> list[Measure]:
    measures: list[Measure] = []
    for name, chars in SIZES.items():
        if quick and name != "1M":
            continue
        title, job = f"{name} characters", about(LOOK, chars)
        measures.append(Measure((Row(f"{title}: a run"),), timed(job)))
        rows = Row(f"{title}: most extra memory", "MB"), Row(f"{title}: extra memory once loaded", "MB")
        measures.append(Measure(rows, look_at_memory(job), at_most=3))
    steps = "1M" if quick else "10M"
    no_op, small = about(NO_OP, SIZES[steps]), about(LOOK, 1_000)
    return [
        *measures,
        Measure((Row("64 sub-calls of 50 ms"),), timed(SUB_CALLS)),
        Measure((Row("16 children"),), timed(CHILDREN)),
        Measure(
            (Row(f"{steps} characters: a no-op iteration", "ms"),),
            lambda peer: (peer.run(no_op)["step"] * 1e3,),
        ),
        Measure((Row("import"),), lambda peer: (peer.imported()["seconds"],)),
        Measure((Row("from a process's start to its first answer"),), lambda peer: (peer.start(small),)),
        accepted(16 if quick else 64),
    ]


def about(job: Job, chars: int) -> Job:
    return dataclasses.replace(job, chars=chars, expected=str(text(chars).find("needle")))


def timed(job: Job) -> Take:
    return lambda peer: (peer.run(job)["seconds"],)


def look_at_memory(job: Job) -> Take:
    def take(peer: Peer) -> tuple[float, ...]:
        found = peer.run_with_memory(job)
        return found["peak"] / 1e6, found["held"] / 1e6

    return take


def accepted(count: int) -> Measure:
    chosen = dict(list(snippets().items())[:count])

    def take(peer: Peer) -> tuple[float, ...]:
        no = peer.refused(chosen)
        if no:
            print(f"  {peer.name} refuses: {'; '.join(no)}", file=sys.stderr)
        return (float(len(chosen) - len(no)),)

    return Measure((Row(f"everyday snippets accepted, of {count}", ""),), take, at_most=1)


def taken(measure: Measure, peers: list[Peer], repeats: int) -> None:
    """Takes the measure of all, in turns, another one first each time.  Who fails once is not asked again."""
    for repeat in range(repeats):
        print(f"→ {measure.rows[0].title}, {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
        first = repeat % len(peers)
        for peer in peers[first:] + peers[:first]:
            if peer.name in measure.rows[0].failed:
                continue
            try:
                values = measure.take(peer)
            except Failed as failed:
                print(f"  {peer.name}: {failed}", file=sys.stderr)
                for row in measure.rows:
                    row.failed[peer.name] = str(failed)
                continue
            for row, value in zip(measure.rows, values, strict=True):
                row.values.setdefault(peer.name, []).append(value)
                row.loads.append(os.getloadavg()[0])


if __name__ == "__main__":
    main()
