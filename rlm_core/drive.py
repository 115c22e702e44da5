"""The sync driver: performs the jobs that the tree hands out.

It is a generator of events, and the caller's thread is the scheduler: the tree and the caller's tools run
there.  Every LM call runs on a daemon thread that posts what came of it to an inbox and wakes the selector,
so that a limit or Ctrl-C never waits for a call that hangs (a ThreadPoolExecutor would join its threads at
exit).  Sandbox sessions need no thread: their descriptors are watched by the same selector; only opening one
is done on a thread.
"""

from __future__ import annotations

import contextvars
import inspect
import queue
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any, Protocol, cast

from rlm_core.delegates import Desk
from rlm_core.events import Chunk, Event
from rlm_core.lms import Completion, LMCallError, stopping
from rlm_core.loop import Result, Run
from rlm_core.requests import Ask, Delegate, Failed, Query, Reply, UseTool
from rlm_core.sandbox.protocol import Backend, Session, WorkerLost
from rlm_core.tree import Job, Live, Lost, Record, Tree
from rlm_core.views import View

HEED = 0.2  # seconds within which a run heeds that whoever runs it is `stopping`


class Front(Protocol):
    """What a packaging (the library, `llm`, DSPy) does for the drivers.  Only `tool` runs on the caller's
    thread.

    `ask` may be a generator: it yields `Chunk`s and returns the reply.  Failures of an LM raise
    LMCallError.  `delegate` is for fronts that give their runs `delegates`."""

    concurrency: int

    def ask(self, view: View) -> Reply | Generator[Chunk, None, Reply]: ...

    def ask_child(self, view: View) -> Reply: ...

    def query(self, prompt: str, model: str | None) -> Completion: ...

    def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


class Delegating(Protocol):
    """A front that has sub-agents of its own.  What `delegate` raises is the error of the code's call."""

    def delegate(self, args: tuple[Any, ...], desk: Desk) -> Any: ...


def drive(
    run: Run, front: Front, backend: Backend, record: Record | None = None
) -> Generator[Event, None, Result]:
    """Runs to the end, yielding events as they happen, and returns the result.

    A KeyboardInterrupt that passes through carries what there is so far as its `result`.  Closing the
    generator ends
    everything.  Raises SandboxError where the sandbox, and not the model's code, is at fault."""
    driver = _Driver(Tree(run, front.concurrency, record), front, backend)
    try:
        return (yield from driver.run())
    except KeyboardInterrupt as interrupt:
        interrupt.result = driver.tree.stop("cancelled")  # type: ignore[attr-defined]
        raise
    finally:
        driver.close()


class Threads:
    """Daemon threads for calls that may hang.  Each job runs in a copy of the context variables of its
    submitter, with `lms.stopping` set to an event that `close` sets."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[contextvars.Context, Callable[[], None]] | None] = (
            queue.SimpleQueue()
        )
        self._idle = 0
        self._count = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def submit(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                self._count += 1
                threading.Thread(target=self._serve, name="rlm-call", daemon=True).start()
        context = contextvars.copy_context()
        context.run(stopping.set, self._stopping)
        self._jobs.put((context, work))

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            context, work = job
            context.run(work)
            with self._lock:
                self._idle += 1

    def stop(self) -> None:
        """Calls that were sent go on; nothing more is."""
        self._stopping.set()

    def close(self) -> None:
        """Lets idle threads end; a busy one ends after its call."""
        self.stop()
        for _ in range(self._count):
            self._jobs.put(None)


class _Driver:
    def __init__(self, tree: Tree, front: Front, backend: Backend):
        self.tree, self.front, self.backend = tree, front, backend
        self.threads = Threads()
        self.inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.events: deque[Event] = deque()
        self.sessions: dict[Live, Session | None] = {}  # None while one is being opened
        self.waiting: dict[Live, Job] = {}  # sandbox jobs in flight, or waiting for their session
        self.selector = selectors.DefaultSelector()
        self.wake_up, self.waker = socket.socketpair()
        self.wake_up.setblocking(False)
        self.waker.setblocking(False)
        self.selector.register(self.wake_up, selectors.EVENT_READ)
        self.closed = False
        self.closing = threading.Lock()
        self.stopping = stopping.get()  # of a batch of runs, say, of which this is one

    def run(self) -> Generator[Event, None, Result]:
        while True:
            for item in self.tree.ready():
                if isinstance(item, Event):
                    yield item
                else:
                    self.start(item)
            while self.tree.ended:
                self.close_session(self.tree.ended.pop())
            if self.tree.result is not None:
                return self.tree.result
            if self.tree.budget.latched:
                self.threads.stop()
            self.wait()
            while self.events:
                yield self.events.popleft()

    # ---- starting jobs

    def start(self, job: Job) -> None:
        request = job.request
        if isinstance(request, Delegate):
            desk = Desk(self.tree, job, lambda event: self.post(lambda: self.tree.tell(job, event)))
            self.call(job, lambda: self.delegate(request, desk))
        elif isinstance(request, UseTool):
            self.tree.settle(job, self.use_tool(request))
        elif isinstance(request, Query):
            self.call(job, lambda: self.front.query(request.prompts[0], request.model))
        elif isinstance(request, Ask):
            self.open_session(job.live)  # behind the LM call: it will be needed
            self.call(
                job,
                (lambda: self.stream(request.view))
                if job.is_root
                else (lambda: self.front.ask_child(request.view)),
            )
        else:
            self.open_session(job.live)
            self.waiting[job.live] = job
            self.send(job.live)

    def call(self, job: Job, function: Callable[[], Any]) -> None:
        def work() -> None:
            try:
                value = function()
            except LMCallError as error:
                value = Failed(str(error), error.kind, error.usage)
            except BaseException as error:  # a bug: it must surface in the caller's thread, not end this one
                self.post(lambda error=error: _raise(error))  # type: ignore[misc]
                return
            self.came(job, value)

        self.threads.submit(work)

    def came(self, job: Job, value: Any) -> None:
        """From any thread: a call came back.  Where the run is over nobody reads the inbox any more, and the
        tree keeps the answer all the same."""
        with self.closing:
            if self.closed:
                self.tree.settle(job, value)
            else:
                self.post(lambda: self.tree.settle(job, value))

    def stream(self, view: View) -> Reply:
        reply = self.front.ask(view)
        if not inspect.isgenerator(reply):
            return reply  # type: ignore[return-value]
        while True:
            try:
                chunk = next(reply)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            if self.closed:
                reply.close()
                raise LMCallError("the run was over before this reply was", "cancelled")
            self.post(lambda chunk=chunk: self.events.append(chunk))  # type: ignore[misc]

    def use_tool(self, request: UseTool) -> Any:
        try:
            return self.front.tool(request.name, request.args, request.kwargs)
        except Exception as error:
            return Failed(f"{type(error).__name__}: {error}")

    def delegate(self, request: Delegate, desk: Desk) -> Any:
        try:
            return cast("Delegating", self.front).delegate(request.args, desk)
        except Exception as error:
            return Failed(f"{type(error).__name__}: {error}")

    # ---- sandbox sessions

    def open_session(self, live: Live) -> None:
        if live in self.sessions:
            return
        self.sessions[live] = None
        inputs = live.run.task.values
        repl = live.run.repl

        def work() -> None:
            try:
                session = self.backend.open(inputs, repl)
            except BaseException as error:
                self.post(lambda error=error: _raise(error))  # type: ignore[misc]
                return
            self.post(lambda: self.opened(live, session))
            if self.closed:
                session.close()

        self.threads.submit(work)

    def opened(self, live: Live, session: Session) -> None:
        if live not in self.sessions:  # its run has ended meanwhile
            session.close()
            return
        self.sessions[live] = session
        if live in self.waiting:
            self.send(live)

    def send(self, live: Live) -> None:
        session = self.sessions[live]
        if session is not None:
            session.send(self.waiting[live].request.frame)  # type: ignore[attr-defined]
            self.selector.register(session.fileno(), session.wants, live)

    def feed(self, live: Live) -> None:
        session = self.sessions[live]
        assert session is not None
        try:
            frame = session.feed()
        except WorkerLost as lost:
            job = self.waiting.pop(live)
            self.close_session(live)
            self.tree.settle(job, Lost(str(lost)))
            return
        if frame is None:
            self.selector.modify(session.fileno(), session.wants, live)
            return
        self.selector.unregister(session.fileno())
        self.tree.settle(self.waiting.pop(live), frame)

    def close_session(self, live: Live) -> None:
        self.waiting.pop(live, None)
        session = self.sessions.pop(live, None)
        if session is not None:
            if session.fileno() in self.selector.get_map():
                self.selector.unregister(session.fileno())  # before closing: the number may be used again
            session.close()

    # ---- waiting

    def wait(self) -> None:
        """Until something came back, or a session is due to be looked into."""
        moments = [deadline for _, deadline in self.deadlines()]
        if self.tree.deadline is not None:
            moments.append(self.tree.deadline)
        if self.stopping:
            moments.append(time.monotonic() + HEED)
        timeout = max(0.0, min(moments) - time.monotonic()) if moments else None
        for key, _ in self.selector.select(timeout):
            if key.data is None:
                self.wake_up.recv(4096)
            elif key.data in self.waiting:
                self.feed(key.data)
        while not self.inbox.empty():
            self.inbox.get()()
        for live, deadline in list(self.deadlines()):
            if time.monotonic() >= deadline:
                self.feed(live)
        self.tree.tick()
        if self.stopping and self.stopping.is_set():
            self.tree.stop("cancelled")

    def deadlines(self) -> Iterator[tuple[Live, float]]:
        for live in self.waiting:
            session = self.sessions.get(live)
            if session is not None and session.deadline is not None:
                yield live, session.deadline

    def post(self, action: Callable[[], None]) -> None:
        """From any thread: `action` is done on the caller's."""
        self.inbox.put(action)
        try:
            self.waker.send(b"x")
        except OSError:  # full: it will wake anyway; closed: the run is over
            pass

    def close(self) -> None:
        self.threads.close()
        for live in list(self.sessions):
            self.close_session(live)
        with self.closing:
            self.closed = True
            while not self.inbox.empty():
                with suppress(Exception):  # what ends the run goes before what came meanwhile
                    self.inbox.get()()
        self.selector.close()
        self.wake_up.close()
        self.waker.close()


def _raise(error: BaseException) -> None:
    raise error
