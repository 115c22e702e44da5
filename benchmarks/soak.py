"""Many runs, in a row and at once, against a server that fails now and then: what is left behind, and whether
every run is accounted for: `python benchmarks/soak.py`.

Each run has 29 calls (a batch, single ones, a child with a batch of its own) and its own sandbox.  5% of all
sends fail, with each of the faults that real APIs have in turn.  Counted before and after: processes below
this one, threads, open descriptors, memory; and for each run, whether it ended, how, and whether the journal
holds every answer that it was given.  The server is a process of its own."""

from __future__ import annotations

import argparse
import collections
import gc
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from faulty import QUESTION, TEXT, Sometimes  # noqa: E402
from stub_server import StubServer  # noqa: E402

from benchmarks.memory import family  # noqa: E402
from rlm_core import RLM, Limits, OpenAIChat  # noqa: E402
from rlm_core.retry import RetryRule  # noqa: E402

IDLE = 6  # seconds, after which the client gives connections up that nobody uses
WARM_UP = 20  # runs before the first count: pools and caches are filled then


class Held(NamedTuple):
    """What this process holds."""

    processes: int
    threads: int
    descriptors: int
    megabytes: float

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        descriptors = len(os.listdir("/proc/self/fd"))
        return cls(
            len(family(os.getpid())) - 1,
            threading.active_count(),
            descriptors,
            pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        )

    def __str__(self) -> str:
        return (
            f"{self.processes} processes below, {self.threads} threads, {self.descriptors} descriptors, "
            f"{self.megabytes:.0f} MB"
        )


class Soak:
    def __init__(self, url: str, folder: Path):
        self.journal = folder / "journal.db"
        rule = RetryRule(first=0.01, longest=0.05)
        self.lm = OpenAIChat("stub", base_url=url, api_key="none", retries=rule)
        self.ended: collections.Counter[str] = collections.Counter()
        self.lock = threading.Lock()

    def run(self, _: int = 0) -> None:
        result = RLM(self.lm, limits=Limits(depth=2), journal=self.journal).completion(TEXT, QUESTION)
        whole = result.status == "answered" and str(result.answer).endswith(" and 0 failed")
        with self.lock:
            self.ended["answered whole" if whole else f"{result.status}: {result.reason or 'in part'}"] += 1

    def accounted(self) -> str:
        """Runs in the journal: how many, and how many whose calls are not all there."""
        with sqlite3.connect(self.journal) as db:
            (runs, open_) = db.execute("SELECT count(*), sum(status IS NULL) FROM runs").fetchone()
            (short,) = db.execute(
                "SELECT count(*) FROM runs WHERE"
                " (SELECT count(*) FROM answers WHERE run = id AND kind <> 'Failed') <>"
                " (SELECT count(*) FROM events WHERE run = id AND type IN ('Replied', 'SubCalled')"
                " AND json_extract(data, '$.error') = '')"
            ).fetchone()
            (sound,) = db.execute("PRAGMA integrity_check").fetchone()
        return f"{runs} runs in the journal ({sound}), {open_} without an end, {short} with an answer missing"


def serve() -> None:
    """The server: its address on stdout, and what it was asked once its stdin ends."""
    faults = Sometimes(0.05)
    with StubServer(faults) as server:
        print(server.url, flush=True)
        sys.stdin.read()
        print(f"{len(server.requests):,} requests, of which {faults.failed:,} failed")


def main(row: int, at_once: int) -> int:
    command = [sys.executable, __file__, "--serve"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(server.stdout.readline().strip(), Path(folder))
        for _ in range(WARM_UP):
            soak.run()
        before = settled()
        print(f"after {WARM_UP} runs: {before}", flush=True)
        started = time.monotonic()
        for _ in range(row):
            soak.run()
        print(f"{row} in a row, {time.monotonic() - started:.0f} s: {settled()}", flush=True)
        started = time.monotonic()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(soak.run, range(at_once)))
        print(f"{at_once} at once, {time.monotonic() - started:.0f} s: {settled()}", flush=True)
        time.sleep(IDLE)
        soak.run()
        print(f"{IDLE} s later, and one run: {(end := settled())}")
        print(server.communicate()[0].strip())
        for how, count in soak.ended.most_common():
            print(f"{count} {how}")
        print(soak.accounted())
    pool = 16  # connections that the client of a run may keep
    leaks = end.processes > before.processes or end.threads > before.threads
    leaks = leaks or end.descriptors > before.descriptors + pool
    lost = soak.ended.total() != WARM_UP + row + at_once + 1
    return 1 if leaks or lost else 0


def settled() -> Held:
    """What is held once threads have ended that are told to."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(t.name == "rlm-call" for t in threading.enumerate()):
        time.sleep(0.05)
    return Held.now()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--row", type=int, default=500, help="runs in a row")
    parser.add_argument("--at-once", type=int, default=50, help="runs at once")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.exit(serve() if arguments.serve else main(arguments.row, arguments.at_once))
