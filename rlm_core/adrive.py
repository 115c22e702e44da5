"""The async driver: the same tree, performed on an event loop.

Plain sets of tasks, no TaskGroup (an ExceptionGroup would hide our own bugs), and as many tasks as the tree
hands out calls. Only opening a sandbox session goes to a thread; its frames come through the loop's
reader."""

from __future__ import annotations

import asyncio
import inspect
import selectors
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Protocol, cast

from rlm_core.delegates import Desk
from rlm_core.events import Chunk, Event
from rlm_core.lms import Completion, LMCallError, stopping
from rlm_core.loop import Result, Run
from rlm_core.requests import Ask, Delegate, Failed, InSandbox, Query, Reply, UseTool
from rlm_core.sandbox.protocol import Backend, Session, WorkerLost
from rlm_core.tree import Job, Live, Lost, Record, Tree
from rlm_core.views import View


class AsyncFront(Protocol):
    """The async twin of `Front`.  `ask` may be an async generator: it yields `Chunk`s, and the reply last."""

    concurrency: int

    def ask(self, view: View) -> Awaitable[Reply] | AsyncGenerator[Chunk | Reply, None]: ...

    async def ask_child(self, view: View) -> Reply: ...

    async def query(self, prompt: str, model: str | None) -> Completion: ...

    async def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


class AsyncDelegating(Protocol):
    """The async twin of `Delegating`."""

    async def delegate(self, args: tuple[Any, ...], desk: Desk) -> Any: ...


async def adrive(
    run: Run, front: AsyncFront, backend: Backend, record: Record | None = None
) -> AsyncGenerator[Event | Result, None]:
    """Events as they happen, and the result last.  Errors as in `drive`; cancelling or closing it ends
    everything, and a
    CancelledError that passes through carries what there is so far as its `result`."""
    driver = _Driver(Tree(run, front.concurrency, record), front, backend)
    try:
        async for item in driver.run():
            yield item
    except asyncio.CancelledError as cancelled:
        cancelled.result = driver.tree.stop("cancelled")  # type: ignore[attr-defined]
        raise
    finally:
        await driver.close()


class _Driver:
    def __init__(self, tree: Tree, front: AsyncFront, backend: Backend):
        self.tree, self.front, self.backend = tree, front, backend
        self.tasks: set[asyncio.Task[None]] = set()
        self.events: deque[Event] = deque()
        self.sessions: dict[Live, asyncio.Task[Session]] = {}
        self.bug: BaseException | None = None
        self.wake = asyncio.Event()
        self.stopping = threading.Event()  # of the calls: those that were sent go on, and nothing more is
        self.context = copy_context()
        self.context.run(stopping.set, self.stopping)

    async def run(self) -> AsyncGenerator[Event | Result, None]:
        while True:
            for item in self.tree.ready():
                if isinstance(item, Event):
                    yield item
                else:
                    self.start(item)
            while self.tree.ended:
                await self.close_session(self.tree.ended.pop())
            if self.tree.result is not None:
                yield self.tree.result
                return
            if self.tree.budget.latched:
                self.stopping.set()
            await self.wait()
            while self.events:
                yield self.events.popleft()
            if self.bug:
                raise self.bug

    async def wait(self) -> None:
        deadline = self.tree.deadline
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), timeout)
        self.wake.clear()
        self.tree.tick()

    def start(self, job: Job) -> None:
        if isinstance(job.request, (Ask, InSandbox)):
            self.open_session(job.live)  # behind the LM call: it will be needed
        task = asyncio.create_task(self.perform(job), context=self.context.copy())
        self.tasks.add(task)
        task.add_done_callback(self.finished)

    def finished(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.bug = task.exception()
        self.wake.set()

    async def perform(self, job: Job) -> None:
        request = job.request
        value: Any
        try:
            if isinstance(request, Query):
                value = await self.front.query(request.prompts[0], request.model)
            elif isinstance(request, Ask):
                value = await (
                    self.stream(request.view) if job.is_root else self.front.ask_child(request.view)
                )
            elif isinstance(request, UseTool):
                value = await self.use_tool(job, request)
            else:
                assert isinstance(request, InSandbox)
                value = await self.in_sandbox(job.live, request)
        except LMCallError as error:
            value = Failed(str(error), error.kind, error.usage)
        self.tree.settle(job, value)

    async def stream(self, view: View) -> Reply:
        reply = self.front.ask(view)
        if not inspect.isasyncgen(reply):
            return await cast("Awaitable[Reply]", reply)
        async for item in cast("AsyncGenerator[Chunk | Reply, None]", reply):
            if isinstance(item, Reply):
                return item
            self.events.append(item)
            self.wake.set()
        raise RuntimeError("the front's ask ended without a reply")

    async def use_tool(self, job: Job, request: UseTool) -> Any:
        try:
            if isinstance(request, Delegate):
                front = cast("AsyncDelegating", self.front)
                return await front.delegate(
                    request.args, Desk(self.tree, job, lambda event: self.tell(job, event))
                )
            return await self.front.tool(request.name, request.args, request.kwargs)
        except Exception as error:
            return Failed(f"{type(error).__name__}: {error}")

    def tell(self, job: Job, event: Event) -> None:
        self.tree.tell(job, event)
        self.wake.set()

    # ---- sandbox sessions

    def open_session(self, live: Live) -> None:
        if live not in self.sessions:
            opening = asyncio.to_thread(self.backend.open, live.run.task.values, live.run.repl)
            task = asyncio.create_task(opening)
            self.sessions[live] = task

    async def in_sandbox(self, live: Live, request: InSandbox) -> Any:
        session = await asyncio.shield(self.sessions[live])
        try:
            session.send(request.frame)
            while (frame := session.feed()) is None:
                await _until_ready(session)
            return frame
        except WorkerLost as lost:
            await self.close_session(live)
            return Lost(str(lost))

    async def close_session(self, live: Live) -> None:
        task = self.sessions.pop(live, None)
        if task is not None:
            await asyncio.wait([task])
            if not task.cancelled() and not task.exception():
                task.result().close()

    async def close(self) -> None:
        doing = list(self.tasks)
        for task in doing:
            task.cancel()
        await asyncio.gather(*doing, return_exceptions=True)
        for live in list(self.sessions):
            await self.close_session(live)


async def _until_ready(session: Session) -> None:
    """Waits until the session's descriptor is, or its deadline."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    number = session.fileno()
    waits: list[tuple[int, Callable[..., None], Callable[[int], bool]]] = [
        (selectors.EVENT_READ, loop.add_reader, loop.remove_reader),
        (selectors.EVENT_WRITE, loop.add_writer, loop.remove_writer),
    ]
    wanted = [(add, remove) for event, add, remove in waits if session.wants & event]
    for add, _ in wanted:
        add(number, ready.set)
    deadline = session.deadline
    try:
        await asyncio.wait_for(
            ready.wait(), None if deadline is None else max(0.0, deadline - time.monotonic())
        )
    except TimeoutError:
        pass
    finally:
        for _, remove in wanted:
            remove(number)
