"""This project beside its peers: python -m benchmarks.peers [--quick]   (make bench does it)

Each package stands in an environment of its own and speaks to the same scripted model behind a loopback
server.  Every number is from a fresh process; the packages take turns, so that all see the same machine.
Only ratios within one run mean something."""

from __future__ import annotations

import argparse
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
from benchmarks.peers.measures import Failed, Job, imported, refused, run, snippets
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
NO_OP = Job(("print(len({context}))", *["x = 1"] * 20, "where = {context}.find('needle')"), "where", "")


class Measure(NamedTuple):
    """`take` gives the rows their numbers, in order; it is told the candidate, its Python, and the seconds
    that a process of it may take."""

    rows: tuple[Row, ...]
    take: Callable[[str, str, float], tuple[float, ...]]
    once: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 1M characters, 16 snippets, one repeat")
    parser.add_argument("--repeats", type=int, help="of each measure (5; 1 with --quick)")
    parser.add_argument(
        "--timeout", type=float, help="seconds that a process may take (120; 30 with --quick)"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=CANDIDATES, help="these packages")
    parser.add_argument("--rows", metavar="WORD", default="", help="only rows with this word in their title")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="keep every number, as JSON")
    options = parser.parse_args()
    repeats = options.repeats or (1 if options.quick else 5)
    seconds = options.timeout or (30 if options.quick else 120)
    pythons = installed(options.only or list(CANDIDATES))
    chosen = [
        measure for measure in plan(options.quick) if any(options.rows in row.title for row in measure.rows)
    ]
    try:
        for measure in chosen:
            taken(measure, pythons, 1 if measure.once else repeats, seconds)
    except KeyboardInterrupt:
        print("interrupted: what there is so far", file=sys.stderr)
    rows = [row for measure in chosen for row in measure.rows if row.loads]
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    print(f"{machine}, Python {platform.python_version()}.")
    print(f"Medians of {repeats} (and the least); ×: times the median of {OURS}.\n")
    print(table(rows, list(pythons)))
    if options.output:
        options.output.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))


def installed(names: list[str]) -> dict[str, str]:
    """The Pythons of those that can be had."""
    found: dict[str, str] = {}
    for name in names:
        try:
            python = python_of(name)
            print(f"{name} {imported(name, python, 120)['version']}", flush=True)
            found[name] = python
        except (NotToBeHad, Failed) as error:
            print(f"{name} cannot be had: {error}", flush=True)
    return found


def plan(quick: bool) -> list[Measure]:
    sizes = {name: chars for name, chars in SIZES.items() if not (quick and chars > 1_000_000)}
    measures: list[Measure] = []
    for name, chars in sizes.items():
        title = f"{name} characters"
        measures.append(Measure((Row(f"{title}: a run"),), look(chars)))
        rows = Row(f"{title}: most extra memory", "MB"), Row(f"{title}: extra memory once loaded", "MB")
        measures.append(Measure(rows, look_at_memory(chars)))
    steps = "1M" if quick else "10M"
    return [
        *measures,
        Measure((Row("64 sub-calls of 50 ms"),), timed(SUB_CALLS)),
        Measure((Row("16 children"),), timed(CHILDREN)),
        Measure((Row(f"{steps} characters: a no-op iteration", "ms"),), no_op(SIZES[steps])),
        Measure((Row("import"),), lambda *who: (imported(*who)["seconds"],)),
        Measure((Row("from the process's start to the first answer"),), start),
        accepted(16 if quick else 64),
    ]


def about(job: Job, chars: int) -> Job:
    return dataclasses.replace(job, chars=chars, expected=str(text(chars).find("needle")))


def timed(job: Job) -> Callable[[str, str, float], tuple[float, ...]]:
    return lambda *who: (run(*who, job)["seconds"],)


def look(chars: int) -> Callable[[str, str, float], tuple[float, ...]]:
    return timed(about(LOOK, chars))


def look_at_memory(chars: int) -> Callable[[str, str, float], tuple[float, ...]]:
    def take(*who: str) -> tuple[float, ...]:
        found = run(*who, about(LOOK, chars), memory=True)
        return found["peak"] / 1e6, found["held"] / 1e6

    return take


def no_op(chars: int) -> Callable[[str, str, float], tuple[float, ...]]:
    return lambda *who: (run(*who, about(NO_OP, chars))["step"] * 1e3,)


def start(*who: str) -> tuple[float, ...]:
    return (run(*who, about(LOOK, 1_000), warm=False)["started"],)


def accepted(count: int) -> Measure:
    chosen = dict(list(snippets().items())[:count])

    def take(name: str, python: str, seconds: float) -> tuple[float, ...]:
        no = refused(name, python, seconds, chosen)
        if no:
            print(f"  {name} refuses: {'; '.join(no)}", file=sys.stderr)
        return (float(len(chosen) - len(no)),)

    return Measure((Row(f"everyday snippets accepted, of {count}", ""),), take, once=True)


def taken(measure: Measure, pythons: dict[str, str], repeats: int, seconds: float) -> None:
    """Takes the measure of all, in turns, another one first each time.  Who fails once is not asked again."""
    names = list(pythons)
    for repeat in range(repeats):
        print(f"→ {measure.rows[0].title}, {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            if name in measure.rows[0].failed:
                continue
            try:
                values = measure.take(name, pythons[name], seconds)
            except Failed as failed:
                print(f"  {name}: {failed}", file=sys.stderr)
                for row in measure.rows:
                    row.failed[name] = str(failed)
                continue
            for row, value in zip(measure.rows, values, strict=True):
                row.values.setdefault(name, []).append(value)
                row.loads.append(os.getloadavg()[0])


if __name__ == "__main__":
    main()
