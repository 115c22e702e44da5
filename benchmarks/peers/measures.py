"""Measuring one candidate, in processes of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.memory import Peak, used
from benchmarks.peers.candidates import CANDIDATES, TOP, Candidate
from benchmarks.peers.script import Script
from benchmarks.peers.text import text
from tests.stub_server import StubServer

ALONE = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
}  # no list of prices from the web
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


WARM = Job(("where = {context}.find('needle')",), "where", str(text(100).find("needle")), chars=100)


class Child:
    """A process that measures one candidate: lines of JSON to it and from it."""

    def __init__(self, name: str, python: str, seconds: float, **job: Any):
        self.seconds = seconds
        self.begun = time.perf_counter()
        job = {"candidate": name, "imports": CANDIDATES[name].imports, "timeout": seconds, **job}
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.peers.child", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        self._read = b""

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def line(self) -> dict[str, Any]:
        """Raises Failed where none comes in time, or the process ends first."""
        assert self.process.stdout
        deadline = time.monotonic() + self.seconds
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed(TOO_SLOW)
            read = os.read(self.process.stdout.fileno(), 65_536)
            if not read:
                raise Failed(f"crashed ({self.process.wait()})")
            self._read += read
        line, _, self._read = self._read.partition(b"\n")
        return dict(json.loads(line))

    def tell(self, **what: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()

    def run(self, name: str, job: Job, memory: bool = False) -> dict[str, Any]:
        """One run.  Raises Failed where its answer is not the expected one.

        seconds     of the run, in its own process
        step        median seconds from the arrival of one of the root's requests to that of the next
        peak, held  bytes more than before the run: the most, and when the root asks a second time"""
        script = job.script(CANDIDATES[name])
        found: dict[str, Any] = {}
        with StubServer(script) as server:
            self.tell(url=server.url, chars=job.chars, turns=len(job.code) + 3, depth=job.depth)
            self.line()  # it has made the context
            with contextlib.ExitStack() as stack:
                if memory:
                    pid = self.process.pid
                    before = used(pid)
                    script.at_second = lambda: found.update(held=used(pid) - before)
                    peak = stack.enter_context(Peak(pid))
                self.tell()
                said = self.line()
            if memory:
                found["peak"] = peak.highest - before
        if "answer" not in said or said["answer"] != job.expected:
            raise Failed(f"{said.get('error') or said['answer']!r}"[:80])
        gaps = [later - one for one, later in zip(script.arrivals[1:], script.arrivals[2:], strict=False)]
        return {**found, "seconds": said["seconds"], "step": statistics.median(gaps) if gaps else None}


class Peer:
    """A candidate and the Python that has it.  Raises Failed where the candidate cannot do what it should.

    One process, which has made a small run before, makes the runs that are timed."""

    def __init__(self, name: str, python: str, seconds: float):
        self.name, self.python, self.seconds = name, python, seconds
        self._warm: Child | None = None

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        if self._warm:
            self._warm.__exit__(*error)
        self._warm = None

    def run(self, job: Job) -> dict[str, Any]:
        if self._warm is None:
            self._warm = self._child("runs")
            self._warm.run(self.name, WARM)
        try:
            return self._warm.run(self.name, job)
        except Failed:
            self.__exit__()  # what it is left in is not known
            raise

    def run_with_memory(self, job: Job) -> dict[str, Any]:
        """As `run`, with `peak` and `held`; in a process that has made nothing but a small run before."""
        with self._child("runs") as child:
            child.run(self.name, WARM)
            return child.run(self.name, job, memory=True)

    def start(self, job: Job) -> float:
        """Seconds from the start of a process to the answer."""
        with self._child("runs") as child:
            child.run(self.name, job)
            return time.perf_counter() - child.begun

    def imported(self) -> dict[str, Any]:
        """`seconds` that the import takes in a fresh process, and the `version` that is installed."""
        with self._child("import") as child:
            return child.line()

    def refused(self, chosen: dict[str, str]) -> list[str]:
        """Titles of the snippets that do not end with the result that plain Python has, each as a run of its
        own.  One that ends the process is refused, and the next go on in another process."""
        codes = tuple(chosen.values())
        expected = [_result(code) for code in codes]
        answers: list[str] = []
        with StubServer(Script(CANDIDATES[self.name], snippets=codes)) as server:
            while len(answers) < len(codes):
                with self._child("snippets", url=server.url, first=len(answers), count=len(codes)) as child:
                    try:
                        while len(answers) < len(codes):
                            answers.append(str(child.line()["answer"]))
                    except Failed as failed:
                        answers.append(str(failed))
        return [
            title
            for title, got, right in zip(chosen, answers, expected, strict=True)
            if got.strip() != right.strip()
        ]

    def _child(self, measure: str, **job: Any) -> Child:
        return Child(self.name, self.python, self.seconds, measure=measure, **job)


def _environment() -> dict[str, str]:
    """Bytecode is kept, as that of installed packages is."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **ALONE, "PYTHONPATH": str(TOP)}


def snippets() -> dict[str, str]:
    """Everyday Python, by title; each leaves its outcome in `result`."""
    parts = (TOP / "benchmarks" / "peers" / "snippets.txt").read_text().split("#### ")[1:]
    return {title: code for title, _, code in (part.partition("\n") for part in parts)}


def _result(code: str) -> str:
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(code, names)
    return f"result: {names['result']}"
