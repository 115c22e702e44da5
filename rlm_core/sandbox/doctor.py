"""Does every wall stand here?  Each is proved by trying to cross it, from an ordinary worker as runs use
it, with the language wall off: what holds then holds even if code escapes from Python.

    for check in checks():
        print(check.name, check.ok, check.detail)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rlm_core.sandbox.host import LocalSandbox, LocalSession
from rlm_core.sandbox.protocol import Done, Execute, Repl, SandboxError, SandboxUnavailable, WorkerLost
from rlm_core.sandbox.sandbox import Sandbox, next_frame

_PROBES = {
    "files": "no file can be read, made, listed or looked up",
    "environment": "no variable, neither its own nor the host's",
    "network": "no socket of any family",
    "processes": "no program started, no fork, no other process touched",
    "native_code": "no memory can be made executable",
    "system_calls": "every one refused that is not on the list",
    "memory": "what it can address is limited",
    "descriptors": "nothing open but /dev/null and its own socket",
}
_PROBE_SECONDS = 20.0
_INPUTS = {"context": "some text"}


@dataclass(frozen=True, slots=True)
class Check:
    """`ok`: the wall stood.  `detail`: what it is made of here, or how it gave way."""

    name: str
    ok: bool
    detail: str


def checks(weak: bool = False) -> list[Check]:
    """Takes about a second.  Starts processes and leaves none; changes nothing on the machine."""
    sandbox = _WithoutLanguageWall(weak=weak)
    try:
        return list(_checks(sandbox))
    except SandboxUnavailable as error:
        return [Check("sandbox", False, str(error))]
    finally:
        sandbox.close()


class _WithoutLanguageWall(LocalSandbox):
    """Its workers run the probes by name, and never code.  Nothing that a run can be given leads here."""

    _probing = True

    def kill_zygote(self) -> None:
        assert self._holder is not None
        assert self._holder.process is not None
        self._holder.process.kill()


def _checks(sandbox: _WithoutLanguageWall) -> Iterator[Check]:
    session = sandbox.open(_INPUTS, Repl())
    yield Check("walls", True, ", ".join(f"{name} ({detail})" for name, detail in session.walls.items()))
    yield from _status(session)
    for name, promise in _PROBES.items():
        if session.fileno() < 0:
            session = sandbox.open(_INPUTS, Repl())
        yield _probe(session, name, promise)
    yield _stalling(sandbox.open(_INPUTS, Repl()))
    yield _orphaned(sandbox)
    yield _language_wall()


def _probe(session: LocalSession, name: str, promise: str) -> Check:
    title = name.replace("_", " ")
    try:
        done = _run(session, name, _PROBE_SECONDS)
    except WorkerLost as lost:
        session.close()
        return Check(title, False, f"the probe ended its worker: {lost}")
    if done.error is not None:
        return Check(title, False, f"the probe failed: {done.error}")
    crossed = done.output.splitlines()
    return Check(title, not crossed, f"could {'; '.join(crossed[:5])}" if crossed else promise)


def _status(session: LocalSession) -> Iterator[Check]:
    """What the kernel itself says of the worker."""
    if sys.platform != "linux":
        return
    try:
        text = Path(f"/proc/{session.process.pid}/status").read_text()
    except OSError as error:
        yield Check("kernel's word", False, f"the worker's status cannot be read: {error}")
        return
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    user = status["Uid"].split()[1]
    yield Check("user", user != "0", f"runs as user {user}")
    yield Check("capabilities", int(status["CapEff"], 16) == 0, f"effective: {status['CapEff']}")
    yield Check("no new privileges", status["NoNewPrivs"] == "1", f"NoNewPrivs: {status['NoNewPrivs']}")
    yield Check("seccomp", status["Seccomp"] == "2", f"mode {status['Seccomp']} (2 is a filter)")


def _stalling(session: LocalSession) -> Check:
    started = time.monotonic()
    try:
        _run(session, "stall", 0.1)
    except WorkerLost:
        session.close()
        took = time.monotonic() - started
        return Check("time", took < 3, f"a step that does not stop was killed after {took:.1f} s")
    return Check("time", False, "a step that does not stop ended by itself")


def _orphaned(sandbox: _WithoutLanguageWall) -> Check:
    """The worker of a zygote that is killed must be gone with it."""
    session = sandbox.open(_INPUTS, Repl())
    session.send(Execute("stall", _PROBE_SECONDS))
    time.sleep(0.05)  # so that it is at it, and not reading its socket
    sandbox.kill_zygote()
    ended = session.process.ended(wait_seconds=2.0)
    session.close()
    return Check(
        "orphans", ended, "a worker ends with its parent" if ended else "a worker outlived its parent"
    )


def _language_wall() -> Check:
    with Sandbox() as repl:
        try:
            outcome = repl.execute("open('/etc/passwd')")
        except SandboxError as error:
            return Check("language wall", False, str(error))
    refused = outcome.error is not None
    return Check("language wall", refused, "`open` is refused" if refused else "`open` works")


def _run(session: LocalSession, probe: str, seconds: float) -> Done:
    """Raises WorkerLost."""
    session.send(Execute(probe, seconds))
    frame = next_frame(session)
    assert isinstance(frame, Done)
    return frame
