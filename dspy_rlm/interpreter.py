"""`RestrictedInterpreter`: upstream's CodeInterpreter on the project's sandbox.

`RLM` of this package does not go through it: given this class as its factory, it uses the sandbox directly.
It serves upstream's own modules, without Deno:

    dspy.configure(interpreter_factory=RestrictedInterpreter)
"""

from __future__ import annotations

import inspect
import keyword
import threading
from collections.abc import Callable, Mapping
from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput
from dspy.utils.callback import with_callbacks

from dspy_rlm import sub_agents
from dspy_rlm.inputs import plain
from dspy_rlm.tools import by_name, run_async
from rlm_core.sandbox.host import LocalSandbox
from rlm_core.sandbox.protocol import (
    Done,
    Execute,
    HostCall,
    Repl,
    Resume,
    SandboxError,
    Session,
    Submission,
    WorkerLost,
)
from rlm_core.sandbox.sandbox import next_frame

try:
    from dspy.primitives.facade import CALL_TOOL, CONSTRUCT_TOOL, SHIM_SETUP
except ImportError:  # before DSPy 3.4.1, whose RLM has no sub-agents
    CALL_TOOL = CONSTRUCT_TOOL = SHIM_SETUP = ""

VALUE, TOOL = "host_value", "host_tool"
"""Names in the REPL by which a cell fetches a variable, and by which the tools' stubs call the host."""


class RestrictedInterpreter:
    """A locked REPL.  State stays from call to call until `shutdown`.

    tools              functions by name that code may call, sync or async; may change between calls
    output_fields      [{"name": ..., "type": ...}, ...] of `SUBMIT`; one field "output" where None
    execution_timeout  seconds of a call's own running time, tools not counted.  A call that runs over is
                       stopped with a CodeExecutionError, and the variables stay
    sandbox            "auto", or "weak": goes on where the operating system cannot lock the worker in
    """

    execution_instructions = (
        "Code runs as Python in a locked worker process. Variables, imports and functions persist for this "
        "session. Modules of the standard library that compute are there; files, network and processes are "
        "not. Host tools and SUBMIT are global functions."
    )

    def __init__(
        self,
        tools: Mapping[str, Callable[..., Any]] | None = None,
        output_fields: list[dict[str, Any]] | None = None,
        *,
        execution_timeout: float = 60.0,
        output_chars: int = 1_000_000,
        memory: int | None = None,
        sandbox: str = "auto",
        callbacks: list[Any] | None = None,
    ):
        if execution_timeout <= 0:
            raise ValueError("execution_timeout must be positive")
        if sandbox not in ("auto", "weak"):
            raise ValueError(f"sandbox={sandbox!r}: must be 'auto' or 'weak'")
        self.tools: dict[str, Callable[..., Any]] = dict(tools or {})
        self.output_fields = output_fields
        self.execution_timeout = execution_timeout
        self.callbacks = list(callbacks or [])
        self._output_chars, self._memory, self._weak = output_chars, memory, sandbox == "weak"
        self._backend: LocalSandbox | None = None
        self._session: Session | None = None
        self._defined: set[str] = set()
        self._agents = 0
        self._ended = False
        self._lock = threading.Lock()

    @with_callbacks  # type: ignore[untyped-decorator]
    def start(self) -> None:
        """Starts the sandbox; the worker itself comes with the first call.  Raises CodeInterpreterError."""
        if self._ended:
            raise CodeInterpreterError("this RestrictedInterpreter has been shut down")
        if self._backend is None:
            self._backend = LocalSandbox(weak=self._weak)
            self._backend.start()

    @with_callbacks  # type: ignore[untyped-decorator]
    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        """Runs code with `variables` set first.  Gives a FinalOutput, the printed text, or None.

        Raises SyntaxError, CodeExecutionError for what the code did wrong, CodeInterpreterError for all else;
        after the latter the session is over."""
        if not self._lock.acquire(blocking=False):
            raise CodeInterpreterError("this RestrictedInterpreter already runs code")
        try:
            if SHIM_SETUP and code == SHIM_SETUP:  # DSPy's `dspy` for interpreters: this one has its own
                return None
            values = self._checked(code, variables or {})
            session = self._ready(values)
            return self._outcome(self._run(session, code, values))
        except (SandboxError, WorkerLost) as error:
            self.shutdown()
            raise CodeInterpreterError(str(error)) from error
        finally:
            self._lock.release()

    @with_callbacks  # type: ignore[untyped-decorator]
    def shutdown(self) -> None:
        """Ends the worker.  Idempotent."""
        self._ended = True
        session, self._session = self._session, None
        backend, self._backend = self._backend, None
        if session is not None:
            session.close()
        if backend is not None:
            backend.close()

    def __enter__(self) -> RestrictedInterpreter:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()

    def __call__(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        return self.execute(code, variables)

    # ---- before the code

    def _checked(self, code: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(code, str):
            raise CodeInterpreterError("code must be a string")
        for name in variables:
            if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
                raise CodeInterpreterError(f"{name!r} is no name for a variable")
        return {name: plain(value) for name, value in variables.items()}

    def _ready(self, values: dict[str, Any]) -> Session:
        """The session, with the tools' stubs and the variables in it."""
        self.start()
        assert self._backend is not None
        if self._session is None:
            self._session = self._backend.open({}, self._repl())
        names = [name for name in self.tools if name not in self._defined and not name.startswith("_")]
        lines = [f"def {name}(*args, **kwargs):\n    return {TOOL}({name!r}, args, kwargs)" for name in names]
        lines += [f"{name} = {VALUE}({name!r})" for name in values if not name.startswith("_")]
        if lines:
            done = self._run(self._session, "\n".join(lines), values)
            if done.error:
                raise CodeInterpreterError(f"the variables cannot be set: {done.error}")
        self._defined.update(names)
        return self._session

    def _repl(self) -> Repl:
        fields = [field["name"] for field in self.output_fields] if self.output_fields else ["output"]
        return Repl(
            tools=(VALUE, TOOL),
            helpers=("SUBMIT", "FINAL", "FINAL_VAR", "SHOW_VARS"),
            fields=tuple(fields),
            ready_answer=False,
            modules={sub_agents.MODULE: sub_agents.SOURCE} if CALL_TOOL in self.tools else {},
            output_chars=self._output_chars,
            memory=self._memory,
        )

    # ---- running it

    def _run(self, session: Session, code: str, values: Mapping[str, Any]) -> Done:
        session.send(Execute(code, self.execution_timeout))
        while isinstance(frame := next_frame(session), HostCall):
            session.send(self._serve(frame, values))
        return frame

    def _serve(self, call: HostCall, values: Mapping[str, Any]) -> Resume:
        try:
            if call.name == VALUE:
                return Resume(values[call.args[0]])
            if call.name == sub_agents.MODULE:
                return Resume(self._sub_agent(*call.args))
            name, args, kwargs = call.args
            return Resume(plain(self.invoke_tool(name, list(args), dict(kwargs))))
        except Exception as error:
            return Resume(error=f"{type(error).__name__}: {error}")

    def _sub_agent(self, kind: str, signature: Any, options: dict[str, Any], given: dict[str, Any]) -> Any:
        """Through the tools that DSPy gave for it."""
        self._agents += 1
        asked = {"kind": kind, "signature": signature, "kwargs": options}
        handle = self.tools[CONSTRUCT_TOOL](attr_name=f"sub_agent_{self._agents}", **asked)
        return self.tools[CALL_TOOL](handle=handle, inputs=given)

    @with_callbacks  # type: ignore[untyped-decorator]
    def invoke_tool(self, tool_name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Calls one of the tools as they are now."""
        if tool_name not in self.tools:
            raise CodeInterpreterError(f"Unknown tool: {tool_name}")
        tool = self.tools[tool_name]
        args_left, named = by_name(tool, args, kwargs)
        value = tool(*args_left, **named)
        return run_async(value) if inspect.isawaitable(value) else value

    def _outcome(self, done: Done) -> Any:
        if done.submitted is not None:
            return self._final(done.submitted)
        if done.error:
            last = done.error.strip().rpartition("\n")[2]
            if last.startswith("SyntaxError"):
                raise SyntaxError(done.error)
            output = done.output.rstrip("\n")
            raise CodeExecutionError(f"{output}\n{done.error}" if output else done.error)
        return done.output or None

    def _final(self, submitted: Submission) -> FinalOutput:
        return FinalOutput(dict(submitted.values))
