"""The tree of runs, sans-IO like the loop.

`ready()` steps every run that can be stepped and gives events, and jobs for a driver to perform, in any order
and place it likes; `settle(job, value)` takes what came of one.  Batches, children, the budget, the journal,
the rebuilding of a lost worker, stopping: all here, once, without a lock.  One thread at a time may call a
tree: the driver's, and after the end those on which late answers come, one after the other.

A call's key is (path of the run, number of its request, slot in its batch).  A run is deterministic in what
it is sent, so a record of what came of calls lets a run go on where another ended: its code runs again, and
what is recorded is not asked again.  In the same way, when a worker is lost, its cells are run again in a new
one, with the answers that they got, before the next cell.

A call that was sent is paid for.  So where tokens or cost are used up nothing more is sent, but what is in
flight is waited for, `LINGER` seconds at most; and what comes after the end is counted and recorded still.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

from rlm_core.events import Ended, Event, Noted, Path, SubCalled, ToolUsed
from rlm_core.limits import LimitReached
from rlm_core.lms import Completion
from rlm_core.loop import Result, Run, Status
from rlm_core.requests import Ask, Failed, InSandbox, Query, Recurse, Reply, Request, UseTool
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Resume, not_rebuilt, rebuilding_seconds

Key = tuple[Path, int, int | None]

LINGER = 15.0  # seconds


class Record(Protocol):
    """What a run has been told so far, kept outside: see `rlm_core.journal`."""

    def recall(self, key: Key, request: Request[Any]) -> Any:
        """What came of this request before, or None."""

    def keep(self, key: Key, request: Request[Any], value: Any) -> None:
        """What came of a request: the answer, or `Failed`."""

    def tell(self, event: Event, number: int) -> None:
        """An event, and the number of the request that its run was at."""

    def finish(self, result: Result) -> None:
        """What the whole came to, whichever way it ended."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What a driver settles a sandbox job with when the worker is gone.  `reason`: a line for the model."""

    reason: str


@dataclass(eq=False, slots=True)
class Job:
    """One piece of work.  A `Query` job holds one prompt; an `InSandbox` job is for the session of `live`."""

    live: Live
    request: Request[Any]
    slot: int | None = None
    reserved: int = 0  # tokens
    started: float = 0.0

    @property
    def key(self) -> Key:
        return (self.live.run.path, self.live.requests, self.slot)

    @property
    def is_root(self) -> bool:
        return self.live.parent is None

    @property
    def role(self) -> str:
        """Of an LM call, as `Spent` counts it."""
        if isinstance(self.request, Query):
            return "sub"
        return "root" if self.is_root else "child"


@dataclass(slots=True)
class Cell:
    """A cell that was run, the answers to its calls, and what it took."""

    execute: Execute
    resumes: list[Resume] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(eq=False, slots=True)
class Live:
    """A run being stepped."""

    run: Run
    parent: Live | None = None
    slot: int = 0
    requests: int = 0
    batch: list[Any] = field(default_factory=list)
    missing: int = 0  # answers of the batch that are still out
    cells: list[Cell] = field(default_factory=list)
    has_worker: bool = False
    rebuild: Generator[Execute | Resume, HostCall | Done, HostCall | Done] | None = None
    replaying: Cell | None = None
    replay_left: float = 0.0  # seconds
    done: Done | None = None  # of its last cell that ran to its end in a worker
    note: str = ""  # what the model must be told about the rebuilt worker
    gen: Generator[Request[Any] | Event, Any, Result] = field(init=False)

    def __post_init__(self) -> None:
        self.gen = self.run.steps()


class Tree:
    """`concurrency`: LM calls handed out at once, the root's own not counted.  `record`: what it recalls is
    not asked again; every new answer and every event is given to it."""

    def __init__(self, run: Run, concurrency: int = 16, record: Record | None = None):
        self.root = Live(run)
        self.concurrency = concurrency
        self.record = record
        self.budget = run.budget
        self.result: Result | None = None
        self._lingers_until: float | None = None
        self.ended: list[Live] = []  # runs whose workers a driver may close
        self._steps: deque[tuple[Live, Any]] = deque([(self.root, None)])
        self._jobs: deque[Job] = deque()
        self._calls: deque[Job] = deque()  # LM calls that wait for a place
        self._calling = 0
        self._events: deque[Event] = deque()

    # ---- for drivers

    def ready(self) -> Iterator[Event | Job]:
        """Events and jobs until every run waits for something.  `result` is set once the root has ended."""
        while True:
            if self._events:
                yield self._events.popleft()
            elif self.result is not None:
                return
            elif self.budget.latched:
                if self._lingers(self.budget.latched):
                    return
                self._finish(self.root, self.root.run.limited(self.budget.latched.limit))
            elif self._steps:
                self._step(*self._steps.popleft())
            elif (job := self._next()) is not None:
                yield job
            elif not self.budget.latched:
                return

    def settle(self, job: Job, value: Any) -> None:
        """Takes what came of a job: a Reply, a Completion, a frame, a tool's value, `Failed` or `Lost`."""
        if isinstance(job.request, InSandbox):
            if self.result is None:
                self._settle_frame(job, value)
            return
        if isinstance(job.request, Ask):
            value = replace(value, seconds=self._since(job))
        if isinstance(job.request, (Ask, Query)):
            self._settle_call(job, value)
        if self.result is not None and isinstance(value, Failed):
            return
        if self.record:
            self.record.keep(job.key, job.request, value)
        self._arrived(job, value)
        if self.result is not None and self.record:
            self.record.finish(replace(self.result, usage=self.budget.usage))

    @property
    def deadline(self) -> float | None:
        """When drivers must call `tick`, on the budget's clock."""
        moments = [at for at in (self.budget.deadline, self._lingers_until) if at is not None]
        return min(moments, default=None)

    def tell(self, job: Job, event: Event) -> None:
        """Takes an event of a job under way."""
        if self.result is None:
            self._tell(job.live, event)

    def tick(self) -> None:
        """Notices that time is over; `ready` ends the run then."""
        with suppress(LimitReached):
            self.budget.check()

    def stop(self, status: Status, reason: str = "") -> Result:
        """Ends the whole tree now, with what there is."""
        if self.result is None:
            self._finish(self.root, self.root.run.result(status, reason))
        assert self.result is not None
        return self.result

    # ---- stepping

    def _step(self, live: Live, value: Any) -> None:
        try:
            item = live.gen.send(value)
        except StopIteration as stop:
            self._finish(live, stop.value)
            return
        if isinstance(item, Event):
            self._tell(live, item)
            self._steps.appendleft((live, None))
            return
        live.requests += 1
        if isinstance(item, InSandbox):
            self._run_frame(live, item.frame)
        elif isinstance(item, Query):
            prompts = [Query((prompt,), item.model) for prompt in item.prompts]
            self._batch(live, [Job(live, prompt, slot) for slot, prompt in enumerate(prompts)])
        elif isinstance(item, Recurse):
            self._batch(live, [Live(run, live, slot) for slot, run in enumerate(item.runs)])
        else:
            self._hand_out(Job(live, item))

    def _batch(self, live: Live, items: list[Job] | list[Live]) -> None:
        live.batch, live.missing = [None] * len(items), len(items)
        if not items:
            self._steps.append((live, []))
        for item in items:
            if isinstance(item, Job):
                self._hand_out(item)
            else:
                self._steps.append((item, None))

    def _hand_out(self, job: Job) -> None:
        value = self.record.recall(job.key, job.request) if self.record else None
        if value is not None:
            if isinstance(job.request, (Ask, Query)):
                self._count(job, value)
            self._arrived(job, value)
        elif isinstance(job.request, Query) or (isinstance(job.request, Ask) and not job.is_root):
            self._calls.append(job)
        else:
            self._jobs.append(job)

    def _next(self) -> Job | None:
        """The next job that may start now, with what it will use set aside."""
        if self._jobs:
            job = self._jobs.popleft()
        elif self._calls and self._has_room(self._calls[0]):
            job = self._calls.popleft()
            self._calling += 1
        else:
            return None
        if isinstance(job.request, (Ask, Query)):
            try:
                job.reserved = self.budget.reserve(_prompt_chars(job.request))
            except LimitReached:
                return None
        job.started = self.budget.clock()
        return job

    def _has_room(self, job: Job) -> bool:
        if not self._calling:
            return True
        return self._calling < self.concurrency and not self.budget.crowded(job.role)

    def _settle_call(self, job: Job, value: Reply | Completion | Failed) -> None:
        if isinstance(job.request, Query) or not job.is_root:
            self._calling -= 1
        self.budget.release(job.reserved)
        self._count(job, value)
        self.tick()

    def _lingers(self, reached: LimitReached) -> bool:
        """Whether what is in flight is still waited for."""
        now = self.budget.clock()
        if self._lingers_until is None:
            self._lingers_until = now if reached.limit == "seconds" else now + LINGER
        deadline = self.deadline
        return self.budget.in_flight > 0 and deadline is not None and now < deadline

    def _count(self, job: Job, value: Reply | Completion | Failed) -> None:
        if value.usage is None:
            return
        depth = job.live.run.depth + isinstance(job.request, Query)
        model = "" if isinstance(value, Failed) else value.model
        self.budget.record(job.role, depth, model, value.usage)

    def _arrived(self, job: Job, value: Any) -> None:
        if isinstance(job.request, UseTool):
            error = value.error if isinstance(value, Failed) else ""
            self._tell(job.live, ToolUsed(job.live.run.path, job.request.name, error, self._since(job)))
        if job.slot is None:
            self._steps.append((job.live, value))
            return
        self._fill(job.live, job.slot, value)
        if isinstance(job.request, Query):
            self._tell(job.live, self._sub_called(job, job.slot, value))

    def _sub_called(self, job: Job, slot: int, value: Completion | Failed) -> SubCalled:
        assert isinstance(job.request, Query)
        live = job.live
        done, of = len(live.batch) - live.missing, len(live.batch)
        where = (live.run.path, slot, done, of, job.request.prompts[0])
        if isinstance(value, Failed):
            return SubCalled(*where, "", error=value.error, seconds=self._since(job))
        return SubCalled(*where, value.text, value.usage, value.model, seconds=self._since(job))

    def _fill(self, live: Live, slot: int, value: Any) -> None:
        live.batch[slot] = value
        live.missing -= 1
        if not live.missing:
            self._steps.append((live, live.batch))

    def _finish(self, live: Live, result: Result) -> None:
        live.gen.close()
        self.ended.append(live)
        self._tell(live, Ended(live.run.path, result.status, result.answer, result.reason))
        if live.parent is None:
            self.result = result
            if self.record:
                self.record.finish(result)
        else:
            self._fill(live.parent, live.slot, result)

    # ---- workers

    def _run_frame(self, live: Live, frame: Execute | Resume) -> None:
        if isinstance(frame, Execute):
            live.cells.append(Cell(frame))
        else:
            live.cells[-1].resumes.append(frame)
        if live.has_worker:
            self._jobs.append(Job(live, InSandbox(frame)))
        else:
            live.replay_left = rebuilding_seconds(cell.seconds for cell in live.cells[:-1])
            self._rebuild(live)

    def _rebuild(self, live: Live) -> None:
        """Starts a new worker, with everything run again that made its variables."""
        live.has_worker = True
        live.rebuild = self._replay(live)
        self._jobs.append(Job(live, InSandbox(next(live.rebuild))))

    def _replay(self, live: Live) -> Generator[Execute | Resume, HostCall | Done, HostCall | Done]:
        *earlier, current = live.cells
        last: Done | None = None
        for cell in earlier:
            if live.replay_left <= 0:
                break
            live.replaying = cell
            frame = yield replace(cell.execute, seconds=min(cell.execute.seconds, live.replay_left))
            answers = iter(cell.resumes)
            while isinstance(frame, HostCall):
                frame = yield next(answers, Resume(error="the answer to this call was not recorded"))
            live.replay_left -= frame.seconds
            last = frame
        live.replaying = None
        if live.done is not None:
            gone = not_rebuilt(live.done, last)
        else:  # of a run that is resumed only the names are known
            gone = [name for name in live.run.variables if last is None or name not in last.variables]
        if gone:
            live.note = f"[the REPL was restarted; these variables could not be rebuilt: {', '.join(gone)}]\n"
        frame = yield current.execute
        for resume in current.resumes:
            if isinstance(frame, Done):
                break
            frame = yield resume
        return frame

    def _settle_frame(self, job: Job, value: HostCall | Done | Lost) -> None:
        live = job.live
        if isinstance(value, Lost):
            live.replay_left -= self._since(job)
            self._lost(live, value)
            return
        if live.rebuild is not None:
            try:
                self._jobs.append(Job(live, InSandbox(live.rebuild.send(value))))
                return
            except StopIteration as stop:
                live.rebuild = None
                value = cast("HostCall | Done", stop.value)
        if live.note and isinstance(value, Done):
            value, live.note = replace(value, output=live.note + value.output), ""
        if isinstance(value, Done):
            live.done = value if value.variables else live.done
            live.cells[-1].seconds = value.seconds
            if value.timed_out:
                live.cells.pop()  # run again it would only take as long again
        self._steps.append((live, value))

    def _lost(self, live: Live, lost: Lost) -> None:
        live.has_worker, live.rebuild = False, None
        if live.replaying:  # an earlier cell, run again, killed the new worker: leave it out
            live.cells.remove(live.replaying)
            live.replaying = None
            self._rebuild(live)
            return
        live.cells.pop()
        self._tell(live, Noted(live.run.path, lost.reason))
        error = f"{lost.reason}\nThe variables of this step are lost; those of earlier steps are kept."
        self._steps.append((live, Done("", error)))

    # ---- events

    def _tell(self, live: Live, event: Event) -> None:
        self._events.append(event)
        if self.record:
            self.record.tell(event, live.requests)

    def _since(self, job: Job) -> float:
        return self.budget.clock() - job.started if job.started else 0.0


def _prompt_chars(request: Ask | Query) -> int:
    if isinstance(request, Query):
        return len(request.prompts[0])
    return sum(len(message["content"]) for message in request.view.messages())
