"""`RLM`: a Recursive Language Model over any LM, as a library."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_core import strategies
from rlm_core.context import Context
from rlm_core.contract import Tool, check_tool_name
from rlm_core.drive import drive
from rlm_core.events import Chunk, Event
from rlm_core.limits import Budget, Limits
from rlm_core.lms import LM, Completion, Message
from rlm_core.loop import DEFAULT_WINDOW, Result, Run, Task
from rlm_core.narrate import Narrator
from rlm_core.requests import Reply
from rlm_core.sandbox.protocol import Backend
from rlm_core.strategies import Strategy
from rlm_core.views import View

if TYPE_CHECKING:
    from rlm_core.journal import Journal, Recorder

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
    journal   a file, or a `Journal`, that keeps every run as it happens, so that `resume` can go on with it;
              see `rlm_core.journal`
    """

    source = "python"  # what the journal says of who made a run

    def __init__(
        self,
        lm: LM,
        sub_lm: LM | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        strategy: str | Strategy = "default",
        tools: Sequence[Callable[..., Any]] = (),
        sandbox: str | Backend = "auto",
        verbose: bool = False,
        journal: str | Path | Journal | None = None,
    ):
        for role, given in (("lm", lm), ("sub_lm", sub_lm or lm)):
            if not hasattr(given, "complete"):
                raise TypeError(f'{role}={given!r}: must be an LM, such as OpenAIChat("MODEL", base_url=URL)')
        if not isinstance(limits, Limits):
            raise TypeError(f"limits={limits!r}: must be a Limits, such as Limits(cost=1.0)")
        if sandbox not in ("auto", "weak") and not hasattr(sandbox, "open"):
            raise ValueError(f"sandbox={sandbox!r}: must be 'auto', 'weak' or a Backend")
        self.lm, self.sub_lm = lm, sub_lm or lm
        self.limits = limits
        self.strategy = strategies.load(strategy)
        self.tools: dict[str, Callable[..., Any]] = {}
        for tool in tools:
            name = _name(tool)
            if name in self.tools:
                raise ValueError(f"two tools are named {name}: give one of them another name")
            self.tools[name] = tool
        self.sandbox = sandbox
        self.verbose = verbose
        self.journal = None if journal is None else _journal(journal)

    def completion(self, context: Any, query: str = "") -> Result:
        """The answer to `query` about `context`; without a query the context states the task.

        context  a str, bytes, a `pathlib.Path` to a file or folder, or lists and dicts of such; it reaches
                 the REPL as given

        Raises ContextError and SandboxError before anything is sent.  Whatever happens to the run later is
        in the result's status.  A KeyboardInterrupt carries the result so far as its `result`."""
        return _result(self.stream(context, query))

    async def acompletion(self, context: Any, query: str = "") -> Result:
        """As `completion`, on an event loop."""
        async for event in self.astream(context, query):
            if isinstance(event, Finished):
                return event.result
        raise RuntimeError("the run ended without a result")

    def stream(self, context: Any, query: str = "") -> Iterator[Event]:
        """Events as they happen; the last is `Finished`, with the result."""
        run = self.prepare(context, query)
        return self._drive(run, self._recorder(run))

    def astream(self, context: Any, query: str = "") -> AsyncIterator[Event]:
        """As `stream`, on an event loop."""
        run = self.prepare(context, query)
        return self._adrive(run, self._recorder(run))

    def resume(self, run: str = "", anyway: bool = False, **raised: float | None) -> Result:
        """Goes on with a run of the journal, given by the beginning of its id or the newest, and asks nothing
        again that was answered.  It keeps the strategy and the limits that it began with, all that it has
        used counted, but for those given here: `resume(cost=10)`.

        anyway  also where a process seems to be still at it
        raised  other limits of iterations, tokens, cost or seconds; None lifts one

        Raises ValueError without a journal or with limits that make no sense, JournalError where the journal
        cannot be used."""
        if self.journal is None:
            raise ValueError("this RLM has no journal; give RLM(journal=PATH)")
        recorder = self.journal.resume(run, anyway, raised)
        return _result(self._drive(recorder.again(self._tools()), recorder))

    def recorded(self, context: Any, query: str, limits: Limits, run: str = "") -> tuple[Result, str]:
        """As `completion`, within these limits; and the id of the run in the journal, "" without one.

        run  an id to give it.  Where the journal has that run already, it is gone on with: what it asks
             again, and was answered, is not sent again."""
        made = self.prepare(context, query, limits)
        recorder = self._recorder(made, run)
        if recorder:
            made.budget.started -= recorder.seconds  # used up before
        return _result(self._drive(made, recorder)), recorder.run if recorder else ""

    def task(self, context: Context, query: str) -> Task:
        """What a run is asked.  A subclass may ask for other fields than `answer`, or check the values."""
        return Task(query, {"context": context})

    def setup(self, run: Run) -> dict[str, Any]:
        """What the journal keeps of a run to make it again.  A subclass whose task is another keeps more."""
        from rlm_core.journal import setup_of

        return setup_of(run, self.sandbox if isinstance(self.sandbox, str) else "auto")

    def _drive(self, run: Run, recorder: Recorder | None) -> Iterator[Event]:
        backend, tell = self._backend(run), self._narrator()
        events = drive(run, Front(self), backend, recorder)
        try:
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
            self._close(backend, recorder)

    async def _adrive(self, run: Run, recorder: Recorder | None) -> AsyncIterator[Event]:
        from rlm_core.adrive import adrive  # brings asyncio along: a sync user need not wait for it

        backend, tell = self._backend(run), self._narrator()
        items = adrive(run, AsyncFront(self), backend, recorder)
        try:
            async for item in items:
                if isinstance(item, Result):
                    yield Finished((), item)
                else:
                    tell(item)
                    yield item
        finally:
            await items.aclose()
            self._close(backend, recorder)

    def prepare(self, context: Any, query: str, limits: Limits | None = None) -> Run:
        if not isinstance(query, str):
            raise TypeError(f"query={query!r}: must be a str; the context comes first")
        return Run(
            self.task(Context.of(context), query),
            Budget(limits or self.limits),
            self.strategy,
            self._tools(),
            window=self.lm.window or DEFAULT_WINDOW,
            sub_window=self.sub_lm.window or DEFAULT_WINDOW,
        )

    def _tools(self) -> tuple[Tool, ...]:
        return tuple(Tool(name, _signature(tool), _doc(tool)) for name, tool in self.tools.items())

    def _recorder(self, run: Run, name: str = "") -> Recorder | None:
        if self.journal is None:
            return None
        from rlm_core.journal import About

        about = About(self.source, self.lm.model, self.sub_lm.model, run.task.query, self.setup(run))
        return self.journal.begin(about, run.task.input_values, run.task.chars, name)

    def _backend(self, run: Run) -> Backend:
        if not isinstance(self.sandbox, str):
            return self.sandbox
        from rlm_core.sandbox.host import LocalSandbox

        backend = LocalSandbox(weak=self.sandbox == "weak")
        # behind the first LM call
        backend.start(run.task.input_values)
        return backend

    def _close(self, backend: Backend, recorder: Recorder | None) -> None:
        if backend is not self.sandbox:
            backend.close()
        if recorder:
            recorder.close()
            if recorder.problem and sys.stderr:
                print(recorder.problem, file=sys.stderr)

    def _narrator(self) -> Callable[[Event], None]:
        if not (self.verbose and sys.stderr):
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
        value = self.rlm.tools[name](*args, **kwargs)
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise TypeError(f"{name} is an async tool: use acompletion or astream, which await it")
        return value


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


def _result(events: Iterator[Event]) -> Result:
    for event in events:
        if isinstance(event, Finished):
            return event.result
    raise RuntimeError("the run ended without a result")


def _journal(given: str | Path | Journal) -> Journal:
    from rlm_core.journal import Journal  # brings SQLite along

    return given if isinstance(given, Journal) else Journal(Path(given))


def _user(prompt: str) -> Message:
    return {"role": "user", "content": prompt}


def _name(tool: Callable[..., Any]) -> str:
    name = getattr(tool, "__name__", "")
    check_tool_name(name or repr(tool))
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
