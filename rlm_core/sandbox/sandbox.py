"""`Sandbox`: the REPL as a part of its own, without any LM.

with Sandbox(context=text, tools={"lookup": lookup}) as repl:
    outcome = repl.execute("print(lookup(context[:10]))")
    print(outcome.output, outcome.error)
"""

from __future__ import annotations

import keyword
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rlm_core.sandbox.host import LocalSandbox
from rlm_core.sandbox.protocol import (
    Backend,
    Done,
    Execute,
    HostCall,
    Repl,
    Resume,
    Session,
    Submission,
    WorkerLost,
    not_rebuilt,
    rebuilding_seconds,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a cell.  `output`, `error`, `submitted`, `variables`, `seconds` as in `Done`.

    note   what happened to the variables where the worker had to be replaced before this cell ran, else ""
    """

    output: str
    error: str | None = None
    submitted: Submission | None = None
    variables: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell that ran to its end, and what a fresh worker needs to run it again."""

    code: str
    calls: list[tuple[HostCall, Resume]]
    seconds: float  # what it took


class Sandbox:
    """A Python REPL in a locked worker process.

    context   the variable `context` in the REPL: any value that can cross (see `rlm_core.sandbox.values`)
    tools     functions by name, for the code to call; they run here, with full rights, on the thread that
              called `execute`; what they raise, the code gets as a RuntimeError
    seconds   what one cell may run, not counting its tools
    sandbox   "auto": raises SandboxUnavailable where the operating system cannot lock the worker in;
              "weak": goes on without; or a `Backend` of your own, which is not closed here
    fields    the names of what `SUBMIT` takes

    Not thread-safe: one REPL runs one cell at a time.
    """

    def __init__(
        self,
        context: Any = "",
        tools: Mapping[str, Callable[..., Any]] | None = None,
        seconds: float = 60.0,
        sandbox: str | Backend = "auto",
        fields: Sequence[str] = ("answer",),
        output_chars: int = 20_000,
        memory: int | None = None,
    ):
        if isinstance(sandbox, str) and sandbox not in ("auto", "weak"):
            raise ValueError(f"sandbox={sandbox!r}: must be 'auto', 'weak' or a Backend")
        self._tools = dict(tools or {})
        for name in self._tools:
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
                raise ValueError(f"tools: {name!r} is no name that code can call it by")
        self._seconds = _check_seconds(seconds)
        self._inputs = {"context": context}
        self._repl = Repl(
            tools=tuple(self._tools), fields=tuple(fields), output_chars=output_chars, memory=memory
        )
        self._own: LocalSandbox | None = None
        if isinstance(sandbox, str):
            self._own = LocalSandbox(weak=sandbox == "weak")
            self._own.start(self._inputs)
        self._backend: Backend = self._own if self._own is not None else sandbox  # type: ignore[assignment]
        self._session: Session | None = None
        self._cells: list[_Cell] = []
        self._last: Done | None = None  # of the last cell that ran to its end

    def execute(self, code: str, seconds: float | None = None) -> Outcome:
        """Runs one cell, and waits for it.  Variables stay for the next.

        Raises SandboxUnavailable and SandboxError where no worker can be had.  A worker that had to be
        killed is an outcome with an error, and the next cell gets a fresh one in which the cells before
        are run again, with what their tools gave recorded; in twice the time that they took, and a second."""
        limit = self._seconds if seconds is None else _check_seconds(seconds)
        note = ""
        if self._session is None:
            self._session, note = self._rebuild()
        calls: list[tuple[HostCall, Resume]] = []

        def serve(call: HostCall) -> Resume:
            try:
                answer = Resume(self._tools[call.name](*call.args, **call.kwargs))
            except Exception as error:
                answer = Resume(error=_told(error))
            calls.append((call, answer))
            return answer

        try:
            done = _run(self._session, Execute(code, limit), serve)
        except WorkerLost as lost:
            self._drop()
            return Outcome(
                "", f"{lost}. What this cell made is lost; what the cells before made is rebuilt", note=note
            )
        except BaseException:
            self._drop()
            raise
        self._last = done if done.variables else self._last
        if not done.timed_out:  # one that did not end by itself would take as long again
            self._cells.append(_Cell(code, calls, done.seconds))
        return Outcome(done.output, done.error, done.submitted, done.variables, done.seconds, note)

    def close(self) -> None:
        self._drop()
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _rebuild(self) -> tuple[Session, str]:
        session = self._backend.open(self._inputs, self._repl)
        last: Done | None = None
        left = rebuilding_seconds(cell.seconds for cell in self._cells)
        try:
            for cell in self._cells:
                last = _run(session, Execute(cell.code, left), _Recorded(cell.calls))
                left -= last.seconds
                if last.timed_out or left <= 0:
                    break
        except WorkerLost:
            session.close()
            session, last = self._backend.open(self._inputs, self._repl), None
        if self._last is None or not self._last.variables:
            return session, ""
        missing = not_rebuilt(self._last, last)
        return session, f"the worker was replaced; not rebuilt: {', '.join(missing) or 'nothing'}"


def _told(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # of its own `__str__`
        return type(error).__name__


def _check_seconds(seconds: float) -> float:
    if not 0 < seconds < 1e9:
        raise ValueError(f"seconds={seconds!r}: must be a number of seconds, more than 0")
    return seconds


class _Recorded:
    """Answers calls as they were answered when the cell first ran."""

    def __init__(self, calls: list[tuple[HostCall, Resume]]):
        self._calls = iter(calls)

    def __call__(self, call: HostCall) -> Resume:
        before, answer = next(self._calls, (None, Resume()))
        if call != before:
            return Resume(error="LookupError: the cell did not make this call when it first ran")
        return answer


def _run(session: Session, request: Execute, serve: Callable[[HostCall], Resume]) -> Done:
    """Raises WorkerLost."""
    session.send(request)
    while isinstance(frame := next_frame(session), HostCall):
        session.send(serve(frame))
    return frame


def next_frame(session: Session) -> HostCall | Done:
    """Waits for the answer to the request that was sent.  Raises WorkerLost."""
    with selectors.DefaultSelector() as selector:
        selector.register(session.fileno(), session.wants)
        while (frame := session.feed()) is None:
            selector.modify(session.fileno(), session.wants)
            due = session.deadline
            selector.select(None if due is None else max(0.0, due - time.monotonic()))
        return frame
