"""Many runs: `python benchmarks/batch.py` (threads of this process), `--ray` (Ray on this machine), `--nodes`
(a Ray cluster: a head, and nodes of one worker process each, all processes of this machine).

The model is scripted: each run makes one root call and one sub-call, which take `--delay` seconds.  Printed
are runs a second, how near that is to what the waiting alone allows, what a run takes of the driver's own
CPU, and the most memory and processes that all of it had."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.memory import family, used  # noqa: E402
from rlm_core import RLM, ScriptedLM  # noqa: E402
from rlm_core.batch import Row, map_runs  # noqa: E402
from rlm_core.ray_pool import Cluster  # noqa: E402

STEP = "```repl\nhits = grep('needle')\nprint(hits)\nSUBMIT(llm_query(hits[0]))\n```"


def make(delay: float, journal: Path | None) -> RLM:
    return RLM(ScriptedLM(STEP, answers="found", delay=delay), journal=journal)


def rows(count: int, folder: Path, chars: int) -> Iterator[Row]:
    for number in range(count):
        file = folder / f"{number}.txt"
        if not file.exists():
            line = "a line of hay, as long as another\n"
            half = line * (chars // 2 // len(line))
            file.write_text(f"{half}the needle of {number}\n{half}")
        yield Row(str(number), "Where is the needle?", file)


class Watch:
    """The most memory (bytes, shared pages shared out) and processes of this process and all under it."""

    def __init__(self) -> None:
        self.memory = self.processes = 0
        self.cpu = 0.0  # seconds, of looking
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            self.processes = max(self.processes, len(family(os.getpid())))
            self.memory = max(self.memory, used(os.getpid()))
            self.cpu = time.thread_time()


@contextmanager
def nodes(count: int) -> Iterator[Cluster]:
    """A cluster of so many nodes, and a head that does no work."""
    from ray.cluster_utils import Cluster as Nodes

    cluster: Any = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(count):
            cluster.add_node(num_cpus=1)
        yield Cluster(cluster.address, cpus=1.0)
    finally:
        cluster.shutdown()


def measure(args: argparse.Namespace, folder: Path, workers: int, cluster: Cluster | None) -> None:
    journal = None if args.no_journal else folder / f"journal-{workers}.db"
    made = partial(make, args.delay, journal)
    for _ in rows(args.runs, folder, args.chars):
        pass
    asked = rows(args.runs, folder, args.chars)
    backend = "ray" if cluster else "threads"
    queued = 2 * workers if args.nodes else workers  # so that a node has its next run when one ends
    done: list[float] = []
    with Watch() as watch:
        begun = time.perf_counter()
        for outcome in map_runs(asked, made, backend, workers=queued, name="benchmark", cluster=cluster):
            assert outcome.answer == "found", outcome
            done.append(time.perf_counter())
            if len(done) == 1:
                cpu = time.process_time() - watch.cpu
        cpu = time.process_time() - watch.cpu - cpu
    rate = (len(done) - 1) / (done[-1] - done[0])
    ideal = workers / (2 * args.delay) if args.delay else float("inf")
    print(
        f"{'nodes' if args.nodes else backend} {workers:>3}: {rate:6.1f} runs/s "
        f"({rate / ideal:4.0%} of what waiting allows), first after {done[0] - begun:4.1f} s, "
        f"{cpu / (len(done) - 1) * 1000:4.1f} ms of the driver's CPU a run, "
        f"{watch.memory / 1e6:5.0f} MB and {watch.processes} processes at most",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--chars", type=int, default=100_000, help="of each text")
    parser.add_argument("--delay", type=float, default=0.2, help="seconds that each call takes")
    parser.add_argument("--workers", type=int, nargs="+", default=[16], help="runs at once")
    parser.add_argument("--no-journal", action="store_true")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--nodes", type=int, nargs="+", help="sizes of clusters, in place of --workers")
    args = parser.parse_args()
    print(f"{args.runs:,} runs over texts of {args.chars:,} characters; load {os.getloadavg()[0]:.1f}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("RLM_HOME", folder)
        for count in args.nodes or ():
            with nodes(count) as cluster:
                measure(args, Path(folder), count, cluster)
        for workers in () if args.nodes else args.workers:
            measure(args, Path(folder), workers, Cluster() if args.ray else None)


if __name__ == "__main__":
    main()
