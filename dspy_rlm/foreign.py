"""Interpreters of upstream's protocol behind the sandbox's seam: `PythonInterpreter`, `LocalInterpreter`,
mocks, remote ones.

`execute` blocks and calls tools back from threads of its own choice, while a session is fed through a
descriptor.  So each session has one thread that does all its executing (some interpreters belong to the
thread that first used them), and a tool's call becomes a frame; calls that come at the same time wait for one
another."""

from __future__ import annotations

import base64
import contextvars
import functools
import inspect
import logging
import queue
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from dspy.primitives.code_interpreter import (
    CodeExecutionError,
    CodeInterpreter,
    CodeInterpreterError,
    FinalOutput,
    _validate_interpreter,
)

try:
    from dspy.primitives import facade
except ImportError:  # before DSPy 3.4.1
    facade = None
from dspy.primitives.sandbox_serializable import SandboxSerializable
from dspy.utils.exceptions import format_error_for_lm

from rlm_core.sandbox.output import clip
from rlm_core.sandbox.protocol import Done, Execute, HostCall, LMError, Repl, Resume, Submission

Factory = Callable[[], CodeInterpreter]

logger = logging.getLogger(__name__)


class Interpreters:
    """A backend over a factory of interpreters.  The first is made at once, so that one that cannot be had is
    found before anything is sent.

    prepare  called with each interpreter and its inputs, before its first step; gives the inputs that are
             still to be handed over
    """

    def __init__(
        self,
        factory: Factory,
        output_fields: list[dict[str, Any]],
        tools: Mapping[str, Callable[..., Any]],
        prepare: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]],
    ):
        self._factory, self._fields, self._tools, self._prepare = factory, output_fields, tools, prepare
        self._made: list[InterpreterSession] = []
        self._first: Any = self._new()

    def _new(self) -> Any:
        interpreter = self._factory()
        _validate_interpreter(interpreter)
        return interpreter

    def open(self, inputs: Mapping[str, Any], repl: Repl) -> InterpreterSession:
        interpreter, self._first = self._first or self._new(), None
        prepare = functools.partial(self._prepare, interpreter, inputs)
        session = InterpreterSession(interpreter, repl, self._fields, self._tools, prepare)
        self._made.append(session)
        return session

    def close(self) -> None:
        for session in self._made:
            session.close()
        if self._first is not None:
            self._first.shutdown()
            self._first = None


class InterpreterSession:
    """One interpreter.  What `prepare` gives is handed over with the first cell, and only then."""

    def __init__(
        self,
        interpreter: Any,
        repl: Repl,
        fields: list[dict[str, Any]],
        tools: Mapping[str, Callable[..., Any]],
        prepare: Callable[[], Mapping[str, Any]],
    ):
        self.interpreter, self.repl = interpreter, repl
        self._prepare: Callable[[], Mapping[str, Any]] | None = prepare
        self._cells: queue.SimpleQueue[tuple[contextvars.Context, str] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._frames: queue.SimpleQueue[HostCall | Done | BaseException] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Resume] = queue.SimpleQueue()
        self._calling = threading.Lock()
        self._closed = False
        self._agents: list[tuple[Any, ...]] = []
        self._modules = list(repl.modules)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        interpreter.tools.update({name: self._tool(name, tools.get(name)) for name in repl.tools})
        if hasattr(interpreter, "output_fields"):
            interpreter.output_fields = fields
        if hasattr(interpreter, "_tools_registered"):  # upstream's PythonInterpreter: register them anew
            interpreter._tools_registered = False

    # ---- Session

    deadline = None  # an interpreter keeps its own time
    wants = selectors.EVENT_READ

    def fileno(self) -> int:
        return self._reader.fileno()

    def send(self, request: Execute | Resume) -> None:
        if isinstance(request, Resume):
            self._answers.put(request)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="rlm-interpreter", daemon=True)
            self._thread.start()
        self._cells.put((contextvars.copy_context(), request.code))

    def feed(self) -> HostCall | Done | None:
        with suppress(BlockingIOError):
            self._reader.recv(1)
            frame = self._frames.get()
            if isinstance(frame, BaseException):
                raise frame
            return frame
        return None

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._answers.put(Resume(error="the run is over"))
        self._cells.put(None)
        try:
            self.interpreter.shutdown()
        finally:
            self._reader.close()
            self._writer.close()

    # ---- the executing thread

    def _serve(self) -> None:
        while (cell := self._cells.get()) is not None:
            context, code = cell
            context.run(self._execute, code)

    def _execute(self, code: str) -> None:
        frame: Done | BaseException
        try:
            prepare, self._prepare = self._prepare, None
            inputs = dict(prepare()) if prepare else {}
            if facade and self._modules and self._modules[0] in code:
                self._install(self._modules.pop())
        except BaseException as error:
            self._post(error)
            return
        try:
            frame = self._done(self.interpreter.execute(code, variables=inputs))
        except (CodeExecutionError, SyntaxError) as error:
            frame = Done("", f"[Error] {format_error_for_lm(error)}")
        except BaseException as error:
            frame = error if isinstance(error, Exception) else CodeInterpreterError(repr(error))
        self._post(frame)

    def _done(self, result: Any) -> Done:
        if isinstance(result, FinalOutput):
            if not isinstance(result.output, dict):
                kind = type(result.output).__name__
                wanted = list(self.repl.fields)
                return Done("", f"[Error] FINAL returned {kind}, expected dict with fields: {wanted}")
            return Done("", None, Submission("submit", result.output))
        text = "\n".join(map(str, result)) if isinstance(result, list) else str(result) if result else ""
        return Done(clip(text, self.repl.output_chars))

    def _install(self, module: str) -> None:
        """Upstream's own `dspy` for interpreters, once the code speaks of it; its calls come here."""

        def construct(kind: str, signature: Any, attr_name: str, kwargs: dict[str, Any] | None = None) -> str:
            self._agents.append((kind, signature, kwargs or {}))
            return str(len(self._agents) - 1)

        def run(handle: str, inputs: dict[str, Any] | None = None) -> Any:
            return self._call(module, (*self._agents[int(handle)], inputs or {}), {})

        tools = {facade.CONSTRUCT_TOOL: construct, facade.CALL_TOOL: run}
        self.interpreter.tools.update(tools)
        if hasattr(self.interpreter, "_tools_registered"):
            self.interpreter._tools_registered = False
        try:
            token = {facade.HOST_TOKEN_VAR: facade._HOST_PROCESS_TOKEN}
            self.interpreter.execute(facade.SHIM_SETUP, variables=token)
        except (CodeExecutionError, SyntaxError) as error:
            for name in tools:
                self.interpreter.tools.pop(name)
            logger.warning("no sub-agents on %s: %s", type(self.interpreter).__name__, error)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._calling:
            self._post(HostCall(name, args, kwargs))
            answer = self._answers.get()
        if answer.error is not None:
            raise RuntimeError(answer.error)
        return answer.value

    def _tool(self, name: str, function: Callable[..., Any] | None) -> Callable[..., Any]:
        signatures: dict[str, Callable[..., Any]] = {
            "llm_query": _llm_query,
            "llm_query_batched": _llm_query_batched,
            "rlm_query": _rlm_query,
            "rlm_query_batched": _rlm_query_batched,
        }
        arrange = signatures.get(name) if function is None else None

        def call(*args: Any, **kwargs: Any) -> Any:
            if arrange is not None:
                args, kwargs = arrange(*args, **kwargs)
            return _plain_errors(self._call(name, args, kwargs))

        return _like(call, name, function or arrange)

    def _post(self, frame: HostCall | Done | BaseException) -> None:
        self._frames.put(frame)
        with suppress(OSError):  # closed meanwhile
            self._writer.send(b"x")


def _like(call: Callable[..., Any], name: str, function: Callable[..., Any] | None) -> Callable[..., Any]:
    """`call` with the name and signature of the caller's function: interpreters build stubs from them."""
    call.__name__ = call.__qualname__ = name
    call.__doc__ = inspect.getdoc(function) if function else None
    if function is not None:
        with suppress(TypeError, ValueError):
            call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call


def _plain_errors(value: Any) -> Any:
    """`LMError`s as the plain str that JSON carries."""
    if isinstance(value, list):
        return [str(item) if isinstance(item, LMError) else item for item in value]
    return value


def _llm_query(prompt: str, model: str | None = None) -> Any:
    """Query the LLM with a prompt string."""
    if not prompt:
        raise ValueError("prompt cannot be empty")
    return (str(prompt),), {} if model is None else {"model": model}


def _llm_query_batched(prompts: list[str], model: str | None = None) -> Any:
    """Query many prompts at once; the answers come in the same order."""
    return ([str(prompt) for prompt in prompts],), {} if model is None else {"model": model}


def _rlm_query(query: str, context: Any) -> Any:
    """Ask an RLM with a REPL of its own that holds `context`."""
    return (query, context), {}


def _rlm_query_batched(calls: list[Any]) -> Any:
    """Many of them at once: (query, context) each."""
    return ([tuple(call) for call in calls],), {}


def set_up(interpreter: Any, name: str, value: SandboxSerializable) -> None:
    """Puts a value into an interpreter by its own code, as upstream does."""
    raw, payload, lines = f"_raw_{name}", value.to_sandbox(), []
    variables = {raw: str(payload)}
    if isinstance(payload, bytes):
        try:
            variables = {raw: payload.decode("utf-8")}
        except UnicodeDecodeError:
            variables = {f"{raw}_base64": base64.b64encode(payload).decode("ascii")}
            lines = ["import base64", f"{raw} = base64.b64decode({raw}_base64)"]
    lines += [value.sandbox_setup(), value.sandbox_assignment(name, raw)]
    interpreter.execute("\n".join(filter(None, lines)), variables=variables)
