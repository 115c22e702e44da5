"""The host's handles of the processes that fork for it (see `zygote` for what they are).

One first zygote serves the whole host process: it takes about 0.1 s to start, once, and a run's zygote 3
ms from it.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

from rlm_core.sandbox import control
from rlm_core.sandbox.control import Answer, Carried, Failed, Kill, Made, NewRun, Order
from rlm_core.sandbox.protocol import SandboxError, SandboxUnavailable

_START_SECONDS = 60.0
_ORDER_SECONDS = 60.0

# The package's own __init__ is not run: it imports all of the host's side.
_BOOT = """
import sys, types
package = sys.modules["rlm_core"] = types.ModuleType("rlm_core")
package.__path__ = [sys.argv[2]]
sys.path += sys.argv[3:]
from rlm_core.sandbox.zygote import main
main(int(sys.argv[1]))
"""
_NEEDED = ("msgspec", "RestrictedPython")


class Process:
    """Another process: its number and, where the system has such, a descriptor of it, which no other
    process can come to bear as a number can."""

    def __init__(self, pid: int, descriptors: Sequence[int]):
        self.pid = pid
        self._owner = os.getpid()
        self._descriptor = descriptors[0] if descriptors else None

    @property
    def is_ours(self) -> bool:
        """Not in a child that the host forked: it is not the child's to end."""
        return os.getpid() == self._owner

    def kill(self) -> bool:
        """Whether that could be done from here."""
        if self._descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return True

    def ended(self, wait_seconds: float) -> bool:
        """Whether it has ended, after waiting for that at most so long."""
        if self._descriptor is not None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            return bool(poll.poll(wait_seconds * 1000))
        until = time.monotonic() + wait_seconds
        while True:
            try:
                os.kill(self.pid, 0)
            except OSError:
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.01)

    def forget(self) -> None:
        """Closes the descriptor: the process can no longer be killed from here."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Zygote:
    """A zygote's control connection.  Thread-safe: one order at a time."""

    def __init__(self, connection: socket.socket, process: Process | None = None):
        self._connection, self.process = own(connection), process
        self._lock = threading.RLock()

    def order(
        self, order: Order, descriptors: Sequence[int] = (), seconds: float = _ORDER_SECONDS
    ) -> Process:
        """Carries one out; for one that makes no process, the answer means nothing.  Raises SandboxError."""
        with self._lock:
            try:
                self._connection.settimeout(seconds)
                control.send(self._connection, order, descriptors)
                answer, given = control.receive_answer(self._connection)
            except (EOFError, OSError) as error:
                self.close()
                raise SandboxError(f"the sandbox's process ended: {error!r}") from error
            except (
                BaseException
            ):  # Ctrl-C, say: the answer that is still to come would be taken for the next one
                self.close()
                raise
        return _made(answer, given)

    def kill(self, worker: Process) -> None:
        if not worker.kill():
            try:
                self.order(Kill(worker.pid))
            except SandboxError:
                pass  # the zygote is gone, and killed its workers when it ended

    @property
    def is_alive(self) -> bool:
        if self.process is not None and self.process.ended(wait_seconds=0):
            self.close()
        return self._connection.fileno() >= 0

    def close(self) -> None:
        """Ends it and every process under it."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for an answer
        except OSError:
            pass
        with self._lock:
            self._connection.close()
        if self.process is not None and self.process.is_ours:
            self.process.kill()
            self.process.ended(wait_seconds=1.0)
            self.process.forget()


def _made(answer: Answer, given: list[int]) -> Process:
    match answer:
        case Made(pid):
            return Process(pid, given)
        case Carried():
            return Process(0, ())
        case Failed(reason):
            raise SandboxError(f"the sandbox's process could not do it: {reason}")


def new_run() -> Zygote:
    """A run's zygote.  Raises SandboxUnavailable, SandboxError."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = _first_zygote().order(NewRun(), [theirs.fileno()])
    except BaseException:
        ours.close()
        raise
    return Zygote(ours, process)


# ---- the first zygote

_first: Zygote | None = None
_first_process: subprocess.Popen[bytes] | None = None
_first_lock = threading.Lock()
_owned: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def own(connection: socket.socket) -> socket.socket:
    """Has a socket closed in children that the host forks itself: while they held it, its other end would
    see no end."""
    _owned.add(connection)
    return connection


def _first_zygote() -> Zygote:
    global _first, _first_process
    with _first_lock:
        if (
            _first is None
            or not _first.is_alive
            or _first_process is None
            or _first_process.poll() is not None
        ):
            _end_first()
            _first, _first_process = _start()
        return _first


def _start() -> tuple[Zygote, subprocess.Popen[bytes]]:
    if sys.platform == "win32":
        raise SandboxUnavailable(
            "Windows offers no way to lock a process in: run this in WSL2 (https://learn.microsoft.com/windows/wsl)"
        )
    if not sys.executable:
        raise SandboxUnavailable(
            "the sandbox needs a Python interpreter to start, and sys.executable names none"
        )
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, str(theirs.fileno()), *_paths()],
            pass_fds=[theirs.fileno()],
            env=_environment(),
            cwd="/",
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    ours.settimeout(_START_SECONDS)
    try:
        control.receive_answer(ours)
    except (EOFError, OSError):
        ours.close()
        process.kill()
        _, complaint = process.communicate()
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise SandboxError(f"the sandbox's process did not start: {last or 'no answer'}") from None
    except BaseException:
        ours.close()
        process.kill()
        process.wait()
        raise
    if process.stderr is not None:
        process.stderr.close()
    return Zygote(ours), process


def _paths() -> list[str]:
    """Where `rlm_core` lies, and the directories that what it imports there lies in."""
    directories = []
    for name in _NEEDED:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SandboxUnavailable(f"the sandbox needs the package {name}, and it is not installed")
        directories.append(str(Path(spec.origin).parent.parent))
    return [str(Path(__file__).parent.parent), *dict.fromkeys(directories)]


def _environment() -> dict[str, str]:
    """Nothing of the host's; but an interpreter that finds its own library by a variable does not start
    without it.

    glibc is told to take large blocks in huge pages: loading 100M characters then takes a third of the
    time, and forking a worker off them a tenth."""
    needed = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    kept = {name: os.environ[name] for name in needed if name in os.environ}
    return kept | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def _end_first() -> None:
    global _first, _first_process
    if _first is not None:
        _first.close()
    if _first_process is not None:
        try:
            _first_process.wait(1.0)
        except subprocess.TimeoutExpired:
            _first_process.kill()
            _first_process.wait()
    _first, _first_process = None, None


def _after_fork_in_child() -> None:
    global _first, _first_process, _first_lock
    for connection in list(_owned):
        connection.close()
    _first, _first_process, _first_lock = None, None, threading.Lock()


atexit.register(_end_first)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
