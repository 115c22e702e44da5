"""Taking one measure of one candidate, in a fresh process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.candidates import CANDIDATES, Candidate
from benchmarks.peers.memory import Peak, used
from benchmarks.peers.script import Script
from tests.stub_server import StubServer

TOP = Path(__file__).resolve().parents[2]
ALONE = {  # nothing beyond this machine: proxies that answer nobody, and no list of prices from the web
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
}
TOO_SLOW = "too slow"


class Failed(Exception):
    """The candidate could not do it; the text says what came instead."""


@dataclass(frozen=True)
class Job:
    """One run, as all candidates make it.  Its code has gaps for what a REPL calls its things: {context}, and
    {sub_calls} and {children}, `count` of them."""

    code: tuple[str, ...]
    value: str
    expected: str
    chars: int = 0
    count: int = 0
    delay: float = 0.0
    depth: int = 1

    def script(self, candidate: Candidate) -> Script:
        """Raises Failed where the candidate has nothing to do it with."""
        if candidate.children is None and "{children}" in "".join(self.code):
            raise Failed("has none")
        gaps = {
            "{context}": candidate.context,
            "{sub_calls}": candidate.sub_calls.replace("{n}", str(self.count)),
            "{children}": (candidate.children or "").replace("{n}", str(self.count)),
        }

        def filled(code: str) -> str:
            for gap, name in gaps.items():
                code = code.replace(gap, name)
            return code

        return Script(candidate, tuple(map(filled, self.code)), filled(self.value), self.delay)


WARM = Job(("where = {context}.find('x')",), "where", "")


class Child:
    """A process that measures one candidate: lines of JSON from it, a line to it."""

    def __init__(self, name: str, python: str, seconds: float, **job: Any):
        self.deadline = time.monotonic() + seconds
        self.begun = time.perf_counter()
        job = {"candidate": name, "imports": CANDIDATES[name].imports, "timeout": seconds, **job}
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.peers.child", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ALONE, "PYTHONPATH": str(TOP)},
            start_new_session=True,
        )
        self._read = b""

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it is left."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def line(self) -> dict[str, Any]:
        """Raises Failed where none comes in time, or the process ends first."""
        assert self.process.stdout
        while b"\n" not in self._read:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed(TOO_SLOW)
            read = os.read(self.process.stdout.fileno(), 65_536)
            if not read:
                raise Failed(f"crashed ({self.process.wait()})")
            self._read += read
        line, _, self._read = self._read.partition(b"\n")
        return dict(json.loads(line))

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()


def run(
    name: str, python: str, seconds: float, job: Job, *, warm: bool = True, memory: bool = False
) -> dict[str, Any]:
    """One run of a candidate that has made a small one before.  Raises Failed where its answer is not the
    expected one.

    seconds   of the run, in its own process
    started   seconds from the start of the process to the answer
    step      median seconds from the arrival of one of the root's requests to that of the next
    peak, held  bytes more than before the run: the most, and when the root asks a second time"""
    candidate = CANDIDATES[name]
    script, warm_up = job.script(candidate), WARM.script(candidate)
    found: dict[str, Any] = {}
    with StubServer(script) as server, StubServer(warm_up) as other:
        turns = len(job.code) + 3
        given = {"url": server.url, "warm": other.url if warm else "", "chars": job.chars, "turns": turns}
        with Child(name, python, seconds, measure="run", depth=job.depth, **given) as child:
            child.line()
            if memory:
                pid = child.process.pid
                before = used(pid)
                script.at_second = lambda: found.update(held=used(pid) - before)
                with Peak(pid) as peak:
                    child.go()
                    said = child.line()
                found["peak"] = peak.highest - before
            else:
                child.go()
                said = child.line()
            found["started"] = time.perf_counter() - child.begun
    if said["answer"] != job.expected:
        raise Failed(f"answered {said['answer'][:60]!r}, not {job.expected!r}")
    gaps = sorted(later - one for one, later in zip(script.arrivals[1:], script.arrivals[2:], strict=False))
    return {**found, "seconds": said["seconds"], "step": gaps[len(gaps) // 2] if gaps else None}


def imported(name: str, python: str, seconds: float) -> dict[str, Any]:
    """`seconds` that the import takes in a fresh process, and the `version` that is installed."""
    with Child(name, python, seconds, measure="import") as child:
        return child.line()


def snippets() -> dict[str, str]:
    """Everyday Python, by title; each leaves its outcome in `result`."""
    parts = (TOP / "benchmarks" / "peers" / "snippets.txt").read_text().split("#### ")[1:]
    return {title: code for title, _, code in (part.partition("\n") for part in parts)}


def refused(name: str, python: str, seconds: float, chosen: dict[str, str]) -> list[str]:
    """Titles of the snippets that do not end with the result that plain Python has, each as a run of its own.
    One that ends the process is refused, and the next go on in another process."""
    codes = tuple(chosen.values())
    expected = [_result(code) for code in codes]
    script = Script(CANDIDATES[name], snippets=codes)
    answers: list[str] = []
    with StubServer(script) as server:
        while len(answers) < len(codes):
            given = {"url": server.url, "first": len(answers), "count": len(codes), "turns": 3, "depth": 1}
            with Child(name, python, seconds, measure="snippets", **given) as child:
                try:
                    while len(answers) < len(codes):
                        answers.append(str(child.line()["answer"]))
                except Failed as failed:
                    answers.append(str(failed))
                    if str(failed) == TOO_SLOW:  # whoever hangs once is not waited for 64 times
                        answers += [TOO_SLOW] * (len(codes) - len(answers))
    return [
        title
        for title, got, right in zip(chosen, answers, expected, strict=True)
        if got.strip() != right.strip()
    ]


def _result(code: str) -> str:
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(code, names)
    return f"result: {names['result']}"
