"""`RLM`: a Recursive Language Model over any LM, as a library."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_core import strategies
from rlm_core.adrive import adrive
from rlm_core.context import Context
from rlm_core.contract import Tool
from rlm_core.drive import drive
from rlm_core.events import Chunk, Event
from rlm_core.limits import Budget, Limits
from rlm_core.lms import LM, Completion, Message
from rlm_core.loop import DEFAULT_WINDOW, Reply, Result, Run, Task, View
from rlm_core.narrate import Narrator
from rlm_core.sandbox.protocol import Backend
from rlm_core.strategies import Strategy

CONCURRENCY = 16  # calls at once, where neither the limits nor the model say otherwise


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The last item of `RLM.stream`: it carries the result."""

    result: Result


class RLM:
    """Answers questions about contexts of any length (arXiv 2512.24601, section 2).

    lm        the root LM
    sub_lm    answers the sub-calls, and is the root LM of children; `lm` itself where None
    limits    what one call may use; see `Limits`
    strategy  a name ("default", "small", "frugal"), a file, or a `Strategy`
    tools     functions that the model's code may call; they run here, on the caller's thread, with full
              rights
    sandbox   "auto": refuses to start where the operating system cannot lock the worker in; "weak": goes on
              without; or a `Backend` of your own, which is not closed here
    verbose   tells on stderr what happens
    """

    def __init__(
        self,
        lm: LM,
        sub_lm: LM | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        strategy: str | Strategy = "default",
        tools: Sequence[Callable[..., Any]] = (),
        sandbox: str | Backend = "auto",
        verbose: bool = False,
    ):
        if isinstance(sandbox, str) and sandbox not in ("auto", "weak"):
            raise ValueError(f"sandbox={sandbox!r}: must be 'auto', 'weak' or a Backend")
        self.lm, self.sub_lm = lm, sub_lm or lm
        self.limits = limits
        self.strategy = strategies.load(strategy)
        self.tools = {_name(tool): tool for tool in tools}
        self.sandbox = sandbox
        self.verbose = verbose

    def completion(self, context: Any, query: str = "") -> Result:
        """The answer to `query` about `context`; without a query the context states the task.

        context  a str, bytes, a `pathlib.Path` to a file or folder, or lists and dicts of such; it reaches
                 the REPL as given

        Raises ContextError and SandboxError before anything is sent.  Whatever happens to the run later is
        in the result's status.  A KeyboardInterrupt carries the result so far as its `result`."""
        for event in self.stream(context, query):
            if isinstance(event, Finished):
                return event.result
        raise RuntimeError("the run ended without a result")

    async def acompletion(self, context: Any, query: str = "") -> Result:
        """As `completion`, on an event loop."""
        async for event in self.astream(context, query):
            if isinstance(event, Finished):
                return event.result
        raise RuntimeError("the run ended without a result")

    def stream(self, context: Any, query: str = "") -> Iterator[Event]:
        """Events as they happen; the last is `Finished`, with the result."""
        run, backend = self._run(context, query), self._backend()
        tell = self._narrator()
        try:
            events = drive(run, Front(self), backend)
            while True:
                try:
                    event = next(events)
                except StopIteration as stop:
                    yield Finished((), stop.value)
                    return
                tell(event)
                yield event
        finally:
            events.close()
            self._close(backend)

    async def astream(self, context: Any, query: str = "") -> AsyncIterator[Event]:
        """As `stream`, on an event loop."""
        run, backend = self._run(context, query), self._backend()
        tell = self._narrator()
        items = adrive(run, AsyncFront(self), backend)
        try:
            async for item in items:
                if isinstance(item, Result):
                    yield Finished((), item)
                else:
                    tell(item)
                    yield item
        finally:
            await items.aclose()
            self._close(backend)

    def _run(self, context: Any, query: str) -> Run:
        tools = tuple(Tool(name, _signature(tool), _doc(tool)) for name, tool in self.tools.items())
        return Run(
            Task(query, {"context": Context.of(context)}),
            Budget(self.limits),
            self.strategy,
            tools,
            window=self.lm.window or DEFAULT_WINDOW,
            sub_window=self.sub_lm.window or DEFAULT_WINDOW,
        )

    def _backend(self) -> Backend:
        if not isinstance(self.sandbox, str):
            return self.sandbox
        from rlm_core.sandbox.host import LocalSandbox

        backend = LocalSandbox(weak=self.sandbox == "weak")
        backend.start()  # behind the first LM call
        return backend

    def _close(self, backend: Backend) -> None:
        if backend is not self.sandbox:
            backend.close()

    def _narrator(self) -> Callable[[Event], None]:
        if not self.verbose:
            return lambda event: None
        narrator = Narrator()
        return lambda event: print(narrator.tell(event), end="", file=sys.stderr, flush=True)


class Front:
    """The library's front for the drivers: the RLM's own LMs and tools."""

    def __init__(self, rlm: RLM):
        self.rlm = rlm
        self.concurrency = rlm.limits.concurrency or rlm.sub_lm.concurrency or CONCURRENCY

    def ask(self, view: View) -> Generator[Chunk, None, Reply]:
        for piece in self.rlm.lm.stream(view.messages()):
            if isinstance(piece, Completion):
                return Reply.read(piece)
            yield Chunk(view.path, piece)
        raise RuntimeError("the LM's stream ended without a Completion")

    def ask_child(self, view: View) -> Reply:
        return Reply.read(self.rlm.sub_lm.complete(view.messages()))

    def query(self, prompt: str, model: str | None) -> Completion:
        return self.rlm.sub_lm.complete([_user(prompt)])

    def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.rlm.tools[name](*args, **kwargs)


class AsyncFront:
    def __init__(self, rlm: RLM):
        self.rlm = rlm
        self.concurrency = rlm.limits.concurrency or rlm.sub_lm.concurrency or CONCURRENCY

    async def ask(self, view: View) -> AsyncGenerator[Chunk | Reply, None]:
        async for piece in self.rlm.lm.astream(view.messages()):
            yield Reply.read(piece) if isinstance(piece, Completion) else Chunk(view.path, piece)

    async def ask_child(self, view: View) -> Reply:
        return Reply.read(await self.rlm.sub_lm.acomplete(view.messages()))

    async def query(self, prompt: str, model: str | None) -> Completion:
        return await self.rlm.sub_lm.acomplete([_user(prompt)])

    async def tool(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = self.rlm.tools[name](*args, **kwargs)
        return await value if inspect.isawaitable(value) else value


def _user(prompt: str) -> Message:
    return {"role": "user", "content": prompt}


def _name(tool: Callable[..., Any]) -> str:
    name = getattr(tool, "__name__", "")
    if not name.isidentifier() or name.startswith("_"):
        raise ValueError(f"tool {tool!r}: its name must be a public Python name; define it with def")
    return name


def _signature(tool: Callable[..., Any]) -> str:
    for eval_str in (True, False):  # annotations as written, where their names are known
        try:
            return str(inspect.signature(tool, eval_str=eval_str))
        except (TypeError, ValueError, NameError):
            continue
    return "(...)"


def _doc(tool: Callable[..., Any]) -> str:
    return (inspect.getdoc(tool) or "").partition("\n\n")[0].replace("\n", " ")
