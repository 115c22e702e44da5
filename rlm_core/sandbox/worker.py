"""The worker: one REPL in one locked process.  It runs cells, one after another, until the host is gone."""

from __future__ import annotations

import dis
import random
import types
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn, Protocol

from rlm_core import formats
from rlm_core.sandbox import namespace, policy, tracebacks
from rlm_core.sandbox.fingerprint import fingerprints
from rlm_core.sandbox.interrupt import Ended, HostGone, Stop, Stopper, TimedOut
from rlm_core.sandbox.output import Output, clip
from rlm_core.sandbox.protocol import (
    SUBMITTING,
    Done,
    Execute,
    HostCall,
    LMError,
    Repl,
    Resume,
    Span,
    Submission,
)
from rlm_core.sandbox.repl_names import Names, is_ready_answer
from rlm_core.sandbox.reserve import Reserve

ERROR = 10_000  # characters of an error
OUT_OF_MEMORY = "MemoryError: out of memory; variables are kept: delete what is no longer needed"
HEADROOM = 60  # frames that a call to the host may need: it must not run into the recursion limit half-way


class Channel(Protocol):
    """The worker's end of the protocol."""

    def recv(self) -> Execute | Resume:
        """Waits.  Raises EOFError when the host is gone."""

    def send(self, frame: HostCall | Done) -> None:
        """Raises TypeError, having sent nothing, if the frame holds what cannot cross; EOFError as `recv`."""


def preload() -> None:
    """Imports what cells need; nothing can be imported once the worker is locked."""
    namespace.preload()


def serve(channel: Channel, inputs: dict[str, Any], repl: Repl) -> None:
    """Runs the cells that `channel` brings; returns when the host is gone.  In the main thread: signals."""
    with Stopper() as stopper:
        worker = Worker(channel, inputs, repl, stopper)
        with suppress(EOFError):
            while isinstance(
                request := channel.recv(), Execute
            ):  # else an answer to no call: nothing to go on
                done = worker.execute(request)
                if stopper.cause is HostGone:
                    return
                worker.report(done)


class Worker:
    """One session's namespace, and the running of cells in it."""

    def __init__(self, channel: Channel, inputs: dict[str, Any], repl: Repl, stopper: Stopper) -> None:
        self._channel, self._repl, self._stopper = channel, repl, stopper
        random.seed(0)  # a lost worker is rebuilt by running its cells again: they draw the same again
        self._output = Output(repl.output_chars)
        self._sources: dict[str, list[str]] = {}  # of every cell so far, by file name, for tracebacks
        self._reserve = Reserve()
        failed = {} if "LMError" in inputs else {"LMError": LMError}
        self._globals: dict[str, Any] = namespace.make_globals(self._output.emit, failed)
        self._names = Names(repl, inputs, self._globals, self._call, self._output.emit, self._submit)
        yielding = self._names.yielding
        self._restored = {**self._globals, **self._names.injected}
        self._offered = {name: self._restored.pop(name) for name in yielding}
        self._globals.update(inputs)
        if repl.ready_answer and "answer" not in {*inputs, *repl.tools}:
            self._globals["answer"] = self._names.injected["answer"] = {"content": "", "ready": False}
        self._modules = {name: repl.modules[name] for name in repl.modules if name not in inputs}
        text = inputs.get("context")
        sniffed = formats.sniff(text) if isinstance(text, str) else None
        taken = "data" in {*inputs, *repl.tools}
        self._format = sniffed if sniffed in formats.PARSED and not taken else None

    def execute(self, request: Execute) -> Done:
        """Runs one cell.  Raises nothing: whatever the code did, there is a report."""
        self._output.clear()
        self._names.begin()
        self._submitted: Submission | None = None
        self._error: str | None = None
        self._code: types.CodeType | None = None
        self._source = request.code
        filename = f"<cell {len(self._sources) + 1}>"
        self._sources[filename] = []
        try:
            self._reserve.fill()
            self._sources[filename] = request.code.split("\n")
            self._stand(
                self._stopper.run(lambda: self._cell(request.code, filename), request.seconds), request
            )
            variables = self._names.variables()
            return self._done(variables, self._names.looked.told(), fingerprints(self._globals, of=variables))
        except BaseException as error:  # no memory, most likely, even to say what went wrong
            self._reserve.give_up_part()
            self._error = f"{type(error).__name__}: the step could not be reported whole; variables are kept"
            return self._done({})

    def report(self, done: Done) -> None:
        try:
            self._channel.send(done)
        except (TypeError, ValueError, MemoryError, RecursionError) as error:
            self._reserve.give_up_part()
            problem = (
                f"{type(error).__name__}: {error}" if done.submitted else "MemoryError: the step's report"
            )
            self._channel.send(replace(done, submitted=None, error=problem))

    # ---- in the cell's time

    def _cell(self, source: str, filename: str) -> None:
        """All that the clock must cover: the code, and rendering what it raised, which may run code too."""
        try:
            self._code = code = policy.compile_cell(source, filename=filename)
            self._globals.update(self._restored)
            for name, function in self._offered.items():
                self._globals.setdefault(name, function)
            self._provide_data(code)
            self._provide_modules(source)
            exec(code, self._globals)
        except Stop:
            raise
        except MemoryError as error:
            self._reserve.give_up_part()
            where = tracebacks.stack(error.__traceback__, self._sources)
            self._error = "\n".join([*where, OUT_OF_MEMORY])
        except BaseException as error:
            self._error = tracebacks.render(error, self._sources)
        if self._submitted is None:
            try:
                self._submit_ready_answer()
            except Exception as error:  # of a class of the cell's own
                self._error = tracebacks.render(error, self._sources)

    def _provide_data(self, code: types.CodeType) -> None:
        """`data`, once a cell first reads it: parsing a large context costs seconds that few runs need."""
        if self._format is None or "data" in self._globals or not _reads_first(code, "data"):
            return
        text = self._globals.get("context")
        if not isinstance(text, str):
            return
        try:
            self._globals["data"] = self._names.injected["data"] = formats.parse(text, self._format)
        except ValueError as error:
            problem = (
                f"data: context does not parse as {self._format.upper()}: {error}; its text is in context"
            )
            raise ValueError(problem) from None

    def _provide_modules(self, source: str) -> None:
        """The host's modules, once a cell speaks of them: compiling them takes longer than most cells."""
        for name in [name for name in self._modules if name in source]:
            call_host = self._names.caller(name)
            module = namespace.add_module(self._globals, name, self._modules.pop(name), call_host)
            self._globals[name] = self._restored[name] = self._names.injected[name] = module

    def _submit_ready_answer(self) -> None:
        answer = self._globals.get("answer")
        if not (is_ready_answer(answer, self._repl) and answer["ready"] is True):
            return
        answer["ready"] = False  # so that no later cell submits it once more
        content = answer["content"]
        if content is None or content == "":
            problem = (
                "ValueError: answer['ready'] is True, but answer['content'] is empty: set the content first"
            )
            self._error = f"{self._error}\n{problem}" if self._error else problem
            return
        try:
            values = self._names.fields((content,), {})
        except (TypeError, ValueError) as error:
            self._error = tracebacks.render(error, self._sources)
            return
        literal = isinstance(content, str) and self._code is not None and content in _constants(self._code)
        self._submitted = Submission("submit", values, literal)

    def _submit(self, submission: Submission) -> NoReturn:
        self._stopper.check()  # the first submission stands, and none made after the time was up
        self._submitted = replace(submission, literal=policy.literal_calls(self._source, SUBMITTING))
        self._stopper.stop(Ended)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._stopper.check()
        _have_headroom(HEADROOM)
        reply: object = None
        self._stopper.pause()
        try:
            self._channel.send(HostCall(name, args, kwargs))
            with suppress(Exception):  # not EOFError alone: of half an answer the rest makes no sense
                reply = self._channel.recv()
        except EOFError:
            pass
        finally:
            self._stopper.resume(reply.left if isinstance(reply, Resume) else None)
        if not isinstance(reply, Resume):
            self._stopper.stop(HostGone)
        if reply.error is not None:
            raise RuntimeError(reply.error)
        return reply.value

    # ---- after it

    def _stand(self, stopped: types.TracebackType | None, request: Execute) -> None:
        """What the stop of a cell means for its error."""
        if self._stopper.cause is TimedOut:
            where = tracebacks.stack(stopped, self._sources)
            limit = f"TimeoutError: the step ran past its limit of {request.seconds:g} s; variables are kept"
            self._error = "\n".join([*where, limit])
        elif self._stopper.cause is Ended:
            self._error = None  # of code that went on in a `finally`, after the end

    def _done(
        self,
        variables: dict[str, str],
        looked: tuple[Span, ...] = (),
        prints: dict[str, int] | None = None,
    ) -> Done:
        error = self._error and clip(self._error, ERROR)
        timed_out = self._stopper.cause is TimedOut
        return Done(
            self._output.text(),
            error,
            self._submitted,
            variables,
            self._stopper.seconds,
            looked,
            timed_out,
            prints or {},
        )


_LOADS = frozenset(["LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"])
_BINDS = frozenset(["STORE_NAME", "STORE_GLOBAL", "DELETE_NAME", "DELETE_GLOBAL"])


def _reads_first(code: types.CodeType, name: str) -> bool:
    """Whether running `code` may read the global `name` before it binds it."""
    if name in code.co_names:
        for instruction in dis.get_instructions(code):
            if instruction.argval == name and instruction.opname in _LOADS | _BINDS:
                return instruction.opname in _LOADS
    return any(_reads_first(inner, name) for inner in _inner(code))


def _constants(code: types.CodeType) -> set[str]:
    texts = {constant for constant in code.co_consts if isinstance(constant, str)}
    return texts.union(*map(_constants, _inner(code)))


def _inner(code: types.CodeType) -> Iterator[types.CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, types.CodeType))


def _have_headroom(frames: int) -> None:
    """Raises RecursionError here rather than further in."""
    if frames:
        _have_headroom(frames - 1)
