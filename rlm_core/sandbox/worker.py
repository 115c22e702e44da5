"""The worker: one REPL in one locked process.  It runs cells, one after another, until the host is gone."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NoReturn, Protocol

from rlm_core import formats
from rlm_core.sandbox import namespace, policy, tracebacks
from rlm_core.sandbox.interrupt import Ended, HostGone, Stopper, TimedOut
from rlm_core.sandbox.output import Output
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Repl, Resume, Submission
from rlm_core.sandbox.repl_names import SUBMITTING, Names

SPARE = 4 << 20  # bytes set aside, and given up when memory runs out, so that this can still be said


class Channel(Protocol):
    """The worker's end of the protocol."""

    def recv(self) -> Execute | Resume:
        """Waits.  Raises EOFError when the host is gone."""

    def send(self, frame: HostCall | Done) -> None:
        """Raises TypeError or ValueError, having sent nothing, if the frame holds what cannot cross."""


def preload() -> None:
    """Imports what cells need; nothing can be imported once the worker is locked."""
    namespace.preload()


def serve(channel: Channel, inputs: dict[str, Any], repl: Repl) -> None:
    """Runs the cells that `channel` brings; returns when the host is gone.  In the main thread: signals."""
    with Stopper() as stopper:
        worker = Worker(channel, inputs, repl, stopper)
        while True:
            try:
                request = channel.recv()
            except EOFError:
                return
            if not isinstance(request, Execute):
                return  # an answer to no call: the host and we no longer understand each other
            done = worker.execute(request)
            if stopper.cause is HostGone:
                return
            worker.report(done)


class Worker:
    """One session's namespace, and the running of a cell in it."""

    def __init__(self, channel: Channel, inputs: dict[str, Any], repl: Repl, stopper: Stopper) -> None:
        self._channel, self._repl, self._stopper = channel, repl, stopper
        self._output = Output(repl.output_chars)
        self._sources: dict[str, list[str]] = {}
        self._submitted: Submission | None = None
        self._error: str | None = None
        self._source = ""
        self._spare: bytearray | None = None
        self._globals: dict[str, Any] = namespace.make_globals(self._output.emit)
        self._names = Names(repl, inputs, self._globals, self._call, self._output.emit, self._submit)
        self._restored = {**self._globals, **self._names.injected}
        self._globals.update(inputs)
        self._ready_answer = repl.ready_answer and "answer" not in {*inputs, *repl.tools}
        if self._ready_answer:
            self._globals["answer"] = {"content": "", "ready": False}
        text = inputs.get("context")
        taken = "data" in inputs or "data" in repl.tools
        sniffed = formats.sniff(text) if isinstance(text, str) and not taken else None
        self._format = sniffed if sniffed in formats.PARSED else None

    def execute(self, request: Execute) -> Done:
        """Runs one cell.  Raises nothing: whatever the code did, there is a report."""
        self._output.clear()
        self._submitted, self._error, self._source = None, None, request.code
        if self._spare is None:
            try:
                self._spare = bytearray(SPARE)
            except MemoryError:
                pass
        filename = f"<cell {len(self._sources) + 1}>"
        try:
            self._sources[filename] = request.code.split("\n")
            stood = self._stopper.run(lambda: self._cell(request.code, filename), request.seconds)
            if self._stopper.cause is TimedOut:
                where = tracebacks.stack(stood, self._sources)
                limit = (
                    f"TimeoutError: the step ran past its limit of {request.seconds:g} s; variables are kept"
                )
                self._error = "\n".join([*where, limit])
            stood = None
            return self._done()
        except BaseException as error:
            self._spare = None
            kind = type(error).__name__
            del error
            return Done("", f"{kind}: the step failed and its output is lost; variables are kept")

    def report(self, done: Done) -> None:
        try:
            self._channel.send(done)
        except (TypeError, ValueError, MemoryError, RecursionError) as error:
            self._channel.send(
                replace(done, submitted=None, error=f"{type(error).__name__}: the step's result cannot cross")
            )

    # ---- in the cell's time

    def _cell(self, source: str, filename: str) -> None:
        """All that the clock must cover: the code, and the rendering of what it raised, which may run code."""
        try:
            code = policy.compile_cell(source, filename=filename)
            self._globals.update(self._restored)
            self._provide_data(code)
            exec(code, self._globals)
        except MemoryError as error:
            self._spare = None
            where = tracebacks.stack(error.__traceback__, self._sources)
            self._error = "\n".join([*where, "MemoryError: the step ran out of memory; variables are kept"])
        except Exception as error:
            self._error = tracebacks.render(error, self._sources)
        if self._submitted is None and self._ready_answer:
            self._submit_ready_answer()

    def _provide_data(self, code: types.CodeType) -> None:
        """`data`, once a cell first reads it: parsing a large context costs seconds that few runs need."""
        if self._format is None or "data" in self._globals or not _reads_first(code, "data"):
            return
        text = self._globals.get("context")
        if isinstance(text, str):
            try:
                self._globals["data"] = formats.parse(text, self._format)
            except ValueError as error:
                message = (
                    f"data: context does not parse as {self._format.upper()}: {error}; its text is in context"
                )
                raise ValueError(message) from None

    def _submit_ready_answer(self) -> None:
        answer = self._globals.get("answer")
        if not (isinstance(answer, dict) and "content" in answer and answer.get("ready") is True):
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
            self._submitted = Submission("submit", self._names.fields((content,), {}))
        except (TypeError, ValueError) as error:
            self._error = tracebacks.render(error, self._sources)

    def _submit(self, submission: Submission) -> NoReturn:
        if self._submitted is None:
            literal = policy.literal_calls(self._source, SUBMITTING)
            self._submitted = replace(submission, literal=literal)
        self._stopper.stop(Ended)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._stopper.check()
        self._stopper.pause()
        try:
            self._channel.send(HostCall(name, args, kwargs))
            reply = self._channel.recv()
        except EOFError:
            self._stopper.stop(HostGone)
        finally:
            self._stopper.resume()
        if not isinstance(reply, Resume):
            self._stopper.stop(HostGone)
        if reply.error is not None:
            raise RuntimeError(reply.error)
        return reply.value

    # ---- after it

    def _done(self) -> Done:
        return Done(
            self._output.text(), self._error, self._submitted, self._names.variables(), self._stopper.seconds
        )


def _reads_first(code: types.CodeType, name: str) -> bool:
    """Whether running `code` may read the global `name` before it binds it."""
    for instruction in dis.get_instructions(code):
        if instruction.argval == name and instruction.opname.startswith(
            ("LOAD_NAME", "LOAD_GLOBAL", "STORE_", "DELETE_")
        ):
            return instruction.opname.startswith("LOAD")
    return any(_reads_first(inner, name) for inner in _inner(code))


def _inner(code: types.CodeType) -> Iterator[types.CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
