"""The project's own sandbox, for inputs that some code of their own has to set up."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from dspy.primitives.sandbox_serializable import SandboxSerializable

from rlm_core.context import ContextError
from rlm_core.sandbox.host import LocalSandbox
from rlm_core.sandbox.protocol import Done, Execute, Repl, Session
from rlm_core.sandbox.sandbox import next_frame

SETUP_SECONDS = 60.0


class Native:
    """A backend over `LocalSandbox`.

    made     inputs that are set up by their own code (`SandboxSerializable`)
    """

    def __init__(self, weak: bool, made: Mapping[str, SandboxSerializable]):
        self._sandbox = LocalSandbox(weak=weak)
        self._made = dict(made)
        self._root: Mapping[str, Any] | None = None
        self._ready: Session | None = None
        self._lock = threading.Lock()

    def start(self, inputs: Mapping[str, Any], repl: Repl) -> None:
        """Starts it all behind the caller's back; but where inputs have to be set up, they are, now.  Raises
        ContextError for those that cannot be."""
        self._root = dict(inputs)
        if self._made:
            self._ready = self.open(inputs, repl)
        else:
            self._sandbox.start()

    def open(self, inputs: Mapping[str, Any], repl: Repl) -> Session:
        with self._lock:
            if not self._is_root(inputs):
                return self._sandbox.open(inputs, repl)
            if self._ready is not None:
                session, self._ready = self._ready, None
                return session
            raw = {f"raw_{name}": _payload(value) for name, value in self._made.items()}
            given = {name: value for name, value in inputs.items() if name not in self._made}
            session = self._sandbox.open({**given, **raw}, repl)
            for name, value in self._made.items():
                _set_up(session, name, value)
            return session

    def close(self) -> None:
        self._sandbox.close()

    def _is_root(self, inputs: Mapping[str, Any]) -> bool:
        root = self._root or {}
        return inputs.keys() == root.keys() and all(inputs[name] is root[name] for name in root)


def _payload(value: SandboxSerializable) -> str | bytes:
    payload = value.to_sandbox()
    if isinstance(payload, bytes):
        try:
            return payload.decode("utf-8")
        except UnicodeDecodeError:
            return payload
    return str(payload)


def _set_up(session: Session, name: str, value: SandboxSerializable) -> None:
    code = "\n".join(filter(None, [value.sandbox_setup(), value.sandbox_assignment(name, f"raw_{name}")]))
    session.send(Execute(code, SETUP_SECONDS))
    done = next_frame(session)
    if not isinstance(done, Done) or done.error:
        error = done.error if isinstance(done, Done) else "it called the host"
        session.close()
        raise ContextError(
            f"the input {name!r} ({type(value).__name__}) cannot be set up in the sandbox: {error}\n"
            "Give its data itself (a DataFrame crosses as a list of dicts), or an interpreter_factory whose "
            "Python has what it imports."
        )
