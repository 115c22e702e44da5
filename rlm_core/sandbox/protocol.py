"""What the host and a sandbox session say to each other, and the seam where another backend plugs in.

A session is driven without threads: `send` a request, then `feed` whenever the descriptor is ready, until
a frame comes back.  One request gives exactly one frame: an `Execute` or a `Resume` is answered by a
`HostCall` (the code wants something from the host: answer it with `Resume`) or by `Done` (the cell is
over).

    session.send(Execute("print(llm_query('hi'))", seconds=60))
    frame = ...feed()...          # HostCall("llm_query", ("hi",), {})
    session.send(Resume("hello"))
    frame = ...feed()...          # Done(output="hello\\n", ...)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

SUBMITTING = frozenset(["SUBMIT", "FINAL", "FINAL_VAR", "NOT_FOUND"])  # the names by which code ends a run


class LMError(str):
    """The text that stands in for the answer of a sub-call that failed.  Starts with `[ERROR]`; falsy
    tests do not apply: test with `isinstance(x, LMError)`."""


@dataclass(frozen=True, slots=True)
class Execute:
    """Run one cell.  `seconds`: its own running time, not counting what the host spends on its calls."""

    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Resume:
    """The host's answer to a `HostCall`: a value, or the text of an exception that the call raises in the
    cell.  `left`: the seconds that the cell still has, where the session knows them; drivers leave it."""

    value: Any = None
    error: str | None = None
    left: float | None = None


@dataclass(frozen=True, slots=True)
class HostCall:
    """The cell called a function that the host serves.  `name` is one of the session's `Repl.tools`, or of
    its `Repl.modules`."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submission:
    """How the cell ended the run.  `literal`: every value was written out in the cell's own source, not
    computed."""

    kind: Literal["submit", "not_found"]
    values: dict[str, Any]  # field -> value; {"reason": str} for not_found
    literal: bool = False


Span = tuple[str, str, int, int]
"""(helper, text, start, length): where `grep` had hits, or what `chunks` cut up.  `text` is what code would
write for it: `context`, `context['a.txt']`."""
MAX_SPANS = 2_000  # of one cell


@dataclass(frozen=True, slots=True)
class Done:
    """The cell is over.  `output`: what it printed, head and tail with the count of what was cut between
    them.  `error`: its traceback as the model should see it, or None.  `variables`: name -> short
    description ("list, 3 items") of what the code has made so far.  `seconds`: its own running time.
    `timed_out`: it was stopped at its time limit, so that run again it would take as long again.
    `looked`: where its helpers looked in the inputs.  `fingerprints`: variable -> a number that tells its
    value from others, where the value is plain data and not large: whether a cell that is run again made the
    same."""

    output: str
    error: str | None = None
    submitted: Submission | None = None
    variables: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    looked: tuple[Span, ...] = ()
    timed_out: bool = False
    fingerprints: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Repl:
    """What a session's REPL offers beside Python.

    tools         names that the code may call and the host serves (`llm_query` is one of them where
                  sub-calls are on)
    helpers       names that the worker itself serves over the context: grep, chunks, SHOW_VARS, ...  An
                  input or a tool of the same name wins.
    fields        the output fields of `SUBMIT`, in order; one positional argument fills the first
    ready_answer  whether `answer = {"content": ..., "ready": True}` also submits (not where the caller
                  owns `answer`)
    modules       importable modules of the host's: name -> source, in the Python of cells.  It runs in the
                  sandbox when a cell first speaks of the module, and calls the host by `call_host(*args)`
    output_chars  how much of a cell's output comes back
    memory        bytes the worker may address beyond what its inputs need, or None for the default
    """

    tools: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ("grep", "chunks", "SHOW_VARS", "SUBMIT", "NOT_FOUND", "FINAL", "FINAL_VAR")
    fields: tuple[str, ...] = ("answer",)
    ready_answer: bool = True
    modules: dict[str, str] = field(default_factory=dict)
    output_chars: int = 20_000
    memory: int | None = None


class SandboxError(Exception):
    """The sandbox cannot do what was asked; the text says why and what to do."""


class SandboxUnavailable(SandboxError):
    """A wall that must stand is missing on this machine.  Nothing was started."""


class WorkerLost(SandboxError):
    """The worker process is gone (killed, crashed, or it broke the protocol), and its variables with it."""


def rebuilding_seconds(took: Iterable[float]) -> float:
    """What running cells again may take, all of them together, where each `took` so many seconds at first: a
    busy machine may be slower, but it must not take the limit of every cell anew."""
    return 2 * sum(took) + 1.0


def not_rebuilt(before: Done, after: Done | None) -> list[str]:
    """The variables that were there `before` a worker was lost, and which running its cells again did not
    bring back: those that are gone, and those whose value is another (of the clock, or of chance)."""
    if after is None:
        return list(before.variables)
    return [
        name
        for name, description in before.variables.items()
        if after.variables.get(name) != description
        or after.fingerprints.get(name) != before.fingerprints.get(name)
    ]


class Session(Protocol):
    """One REPL in one worker process.  No method but `close` waits."""

    @property
    def deadline(self) -> float | None:
        """`time.monotonic()` at which the driver calls `feed` at the latest, even if nothing is ready: so a
        step ends in time.  Each `feed` moves it: ask again.  None: there is no need to."""

    @property
    def wants(self) -> int:
        """`selectors.EVENT_READ`, or with `EVENT_WRITE` while part of a request is still unsent."""

    def fileno(self) -> int: ...

    def send(self, request: Execute | Resume) -> None:
        """Queues a request and writes what can be written now.  A dead worker is found by `feed`.  The
        value of a `Resume` that cannot cross is told to the code as the error of its call."""

    def feed(self) -> HostCall | Done | None:
        """Writes and reads what can be, and gives the frame once it is whole.  Raises WorkerLost, also where
        the step's time is over; what is left to do then is `close`."""

    def close(self) -> None:
        """Kills the worker and reaps it.  Idempotent."""


class Backend(Protocol):
    """Opens sessions: the local sandbox, or another (Docker, remote) that speaks this protocol."""

    def open(self, inputs: Mapping[str, Any], repl: Repl) -> Session:
        """A new session whose REPL holds `inputs` by name.  May block (fork, loading a large input):
        drivers call it off their own thread.  Raises SandboxUnavailable, SandboxError."""

    def close(self) -> None:
        """Ends every session and helper process."""
