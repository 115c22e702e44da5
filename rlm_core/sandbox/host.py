"""The local sandbox: REPLs in locked processes on this machine.

    sandbox = LocalSandbox()
    sandbox.start()                                   # returns at once; the first open then need not wait
    session = sandbox.open({"context": text}, Repl())
    session.send(Execute("print(len(context))", seconds=60))
    ...

`LocalSandbox` is one run's (one tree's): the inputs that its first session opens with are kept in the
run's own process, and any further session on the same objects shares them without a copy.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from rlm_core.sandbox import parcel, wire, zygotes
from rlm_core.sandbox.control import Hold, NewWorker
from rlm_core.sandbox.output import clip
from rlm_core.sandbox.protocol import (
    Done,
    Execute,
    HostCall,
    Repl,
    Resume,
    SandboxError,
    SandboxUnavailable,
    WorkerLost,
)
from rlm_core.sandbox.zygotes import Process, Zygote

# How long a step may take, in seconds.  In the worst case the host has its control back two past the limit.
GRACE = 1.0
"""Past a step's limit, after which its worker is killed: by then it should have stopped itself."""
_ARRIVAL = 0.5
"""For the rest of a frame that has begun to come in."""
_LOOK = 0.1
"""A host that waits looks so often whether a frame is there.  One that did not look was busy."""
_TRUST = 0.5
"""A step's, for frames that lay between two looks: there is only the worker's word for when they came."""
_LATE = 10
"""A step may wait for a busy host for so many times its limit before that counts as the step's own time."""
_OVERRAN = "the worker was killed: the step ran past its time limit and did not stop"

# What comes back of a step, whatever its worker sends: it keeps to less by itself.
_SLACK = 1_000  # characters of output for saying what was cut
_LONGEST_ERROR = 50_000
_LONGEST_NAME = 1_000
_MOST_VARIABLES = 10_000

_MiB = 1 << 20
_LEAST_MEMORY = 1 << 30
_MESSAGES = 4
"""Of the longest that a step may send: it may ask about all of its context, cut up with overlaps, some times
over.  What is called is recorded, so a step must not be able to fill the disk."""
_READ = 1 << 18
_STARTING = threading.BoundedSemaphore(8)
"""Threads that start sandboxes ahead, in this process: hundreds of runs may begin at once."""
_READY_SECONDS = 60.0
_LOAD_RATE = 20 * _MiB  # bytes a second that loading is slower than on no machine


class LocalSandbox:
    """Opens REPLs for one run.  Thread-safe.  `weak`: go on where a wall is missing."""

    _probing = False  # the doctor's own subclass has it True

    def __init__(self, weak: bool = False):
        self._weak = weak
        self._lock = threading.Lock()
        self._holder: Zygote | None = None  # holds the inputs of the first session
        self._other: Zygote | None = None  # holds nothing, for workers that take their own: children's
        # id of a held value -> its key, and itself, so that the id stays its own
        self._held: dict[int, tuple[int, Any]] = {}
        self._holds, self._held_size = False, 0
        self._sessions: weakref.WeakSet[LocalSession] = weakref.WeakSet()
        self._closed = False

    def start(self, inputs: Mapping[str, Any] | None = None) -> None:
        """Starts the processes, and loads the inputs that the first session will open with, behind the
        caller's back; where many sandboxes are being started, `open` does it.  What fails here fails again,
        and is raised, in `open`."""
        if _STARTING.acquire(blocking=False):
            threading.Thread(target=self._start, args=(inputs,), name="rlm-start", daemon=True).start()

    def open(self, inputs: Mapping[str, Any], repl: Repl) -> LocalSession:
        """See `Backend.open`.  Raises SandboxUnavailable, SandboxError; TypeError for an input that cannot
        cross."""
        with self._lock:
            try:
                return self._open(inputs, repl)
            except OSError as error:  # no descriptors left, no room in /tmp
                raise SandboxError(f"the sandbox could not start a worker: {error}") from error

    def close(self) -> None:
        self._closed = True
        for session in list(self._sessions):
            session.close()
        for zygote in (self._holder, self._other):
            if zygote is not None:
                zygote.close()
        self._held = {}

    def _start(self, inputs: Mapping[str, Any] | None) -> None:
        with self._lock:
            try:
                if inputs is None:
                    self._holder = self._running(self._holder)
                else:
                    self._hold(inputs)
            except (SandboxError, OSError, TypeError):
                pass
            finally:
                _STARTING.release()

    def _open(self, inputs: Mapping[str, Any], repl: Repl) -> LocalSession:
        if self._holder is None or not self._holder.is_alive or not self._holds:
            self._hold(inputs)
        known = self._held
        held = {name: known[id(value)][0] for name, value in inputs.items() if id(value) in known}
        own = [name for name in inputs if name not in held]
        if held:
            zygote = self._holder
            assert zygote is not None
        else:
            zygote = self._other = self._running(self._other)
        descriptors, layout, size = [], None, self._held_size if held else 0
        if own:
            descriptor, layout = parcel.write([inputs[name] for name in own])
            descriptors.append(descriptor)
            size += layout.size
        ours, theirs = socket.socketpair()
        try:
            order = NewWorker(
                held=held,
                own=own,
                layout=layout,
                repl=repl,
                memory=_memory(repl, size),
                limit=_longest_message(size),
                weak=self._weak,
                probing=self._probing,
            )
            process = zygote.order(order, [theirs.fileno(), *descriptors])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            for descriptor in descriptors:
                os.close(descriptor)
        session = LocalSession(ours, process, zygote, repl, size)
        self._sessions.add(session)
        try:
            session.walls = session.await_ready(_READY_SECONDS + size / _LOAD_RATE)
        except BaseException:
            session.close()
            raise
        return session

    def _hold(self, inputs: Mapping[str, Any]) -> None:
        self._holder = self._running(self._holder)
        values = {id(value): value for value in inputs.values()}
        descriptor, layout = parcel.write(list(values.values()))
        try:
            keys = list(range(len(values)))
            self._holder.order(Hold(keys, layout), [descriptor], _READY_SECONDS + layout.size / _LOAD_RATE)
        finally:
            os.close(descriptor)
        self._held = {identity: (key, values[identity]) for key, identity in enumerate(values)}
        self._holds, self._held_size = True, layout.size

    def _running(self, zygote: Zygote | None) -> Zygote:
        if zygote is None or not zygote.is_alive:
            zygote = zygotes.new_run()
        if self._closed:
            zygote.close()
            raise SandboxError("the sandbox is closed")
        return zygote


def _memory(repl: Repl, size: int) -> int:
    """Bytes that a worker whose inputs take `size` bytes may address beyond what it does at its start."""
    return repl.memory if repl.memory is not None else max(_LEAST_MEMORY, 4 * size)


def _longest_message(size: int) -> int:
    """Bytes that one message of a worker whose inputs take `size` bytes may have."""
    return min(64 * _MiB + 2 * size, wire.MAX_LENGTH)


class LocalSession:
    """See `Session`.  Whatever the worker does, this raises WorkerLost or nothing."""

    def __init__(self, connection: socket.socket, process: Process, zygote: Zygote, repl: Repl, size: int):
        self._connection, self.process, self._zygote = zygotes.own(connection), process, zygote
        connection.setblocking(False)
        self._repl = repl
        self._longest = _longest_message(size)
        self._most_bytes = _MESSAGES * self._longest
        self._most_calls = 100_000 + size // 100
        self._incoming = bytearray()
        self._outgoing = memoryview(b"")
        self._pending = False
        self._began = False  # whether a frame has begun to come in
        self._wrote_ahead = False  # whether the worker wrote before the request that it was to answer
        self._bytes = self._calls = 0
        self._left = self._trust = self._excused = 0.0  # seconds: the step's own, and of a late host's
        self._sent_at = self._looked = self._last = 0.0  # moments; `_last` ends the step
        self._end = weakref.finalize(self, _end, connection, process, zygote)
        self.deadline: float | None = None
        self.walls: dict[str, str] = {}

    @property
    def wants(self) -> int:
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)

    def fileno(self) -> int:
        return self._connection.fileno()

    def send(self, request: Execute | Resume) -> None:
        """A value that cannot cross is told to the code, as the error of its call."""
        assert not self._pending, "a request is sent once the one before it has been answered"
        if isinstance(request, Execute):
            self._left, self._trust, self._excused = request.seconds + GRACE, _TRUST, _LATE * request.seconds
            self._bytes = self._calls = 0
        else:
            request = replace(request, left=self._left - GRACE)
        try:
            message = wire.encode_request(request)
        except TypeError as error:
            if isinstance(request, Execute):
                raise
            message = wire.encode_request(replace(request, value=None, error=f"TypeError: {error}"))
        self._wrote_ahead = self._has_something_to_read()
        self._outgoing = memoryview(message)
        self._pending, self._began = True, False
        self._sent_at = time.monotonic()
        self._last = self._sent_at + self._left
        self._look(self._sent_at)
        try:
            self._write()
        except OSError:
            pass  # `feed` will find it out

    def feed(self) -> HostCall | Done | None:
        try:
            if self._wrote_ahead:
                raise ValueError("it wrote out of turn")
            message = self._exchange()
            now = time.monotonic()
            if message is None:
                if self._pending and now >= self._last:
                    raise WorkerLost(_OVERRAN)
                self._look(now)
                return None
            frame, ran = wire.decode_from_worker(message)
            match frame:
                case HostCall() | Done() if self._pending:
                    self._account(now, ran)
                    if isinstance(frame, HostCall) and self._left <= 0:
                        raise WorkerLost(_OVERRAN)
                    return self._check(frame)
            raise ValueError("it wrote out of turn")
        except WorkerLost:
            self._zygote.kill(self.process)
            raise
        except Exception as error:  # whatever a malformed message can raise
            self._zygote.kill(self.process)
            raise WorkerLost(
                f"the worker broke the protocol: {type(error).__name__}: {error}"[:500]
            ) from None

    def close(self) -> None:
        self.deadline = None
        self._end()

    def await_ready(self, seconds: float) -> dict[str, str]:
        """Waits until the worker is locked in, and gives its walls.  Raises SandboxUnavailable,
        SandboxError."""
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            while (message := self._exchange()) is None:
                if not selector.select(max(0.0, until - time.monotonic())) and time.monotonic() >= until:
                    raise SandboxError(f"the sandbox's worker was not ready within {seconds:.0f} s")
        match wire.decode_from_worker(message)[0]:
            case wire.Ready(walls):
                return walls
            case wire.Refused("wall", reason):
                raise SandboxUnavailable(
                    f"a wall of the sandbox cannot stand on this machine: {reason}. To run code without it, "
                    'choose the weak sandbox: sandbox="weak" in Python, `-o sandbox weak` in llm'
                )
            case wire.Refused(_, reason):
                raise SandboxError(f"the sandbox's worker did not start: {reason}")
        raise SandboxError("the sandbox's worker did not start")

    # ---- bytes

    def _exchange(self) -> bytearray | None:
        """Writes and reads what can be.  A whole message, or None."""
        try:
            self._write()
        except OSError:
            pass  # the worker closed its end: what it wrote before is still to be read
        while True:
            message = self._message()
            if message is not None:
                return message
            try:
                data = self._connection.recv(_READ)
            except BlockingIOError:
                return None
            except OSError:
                data = b""
            if not data:
                raise WorkerLost("the worker's process ended: out of memory, or its interpreter crashed")
            now = time.monotonic()
            if not self._began:
                self._began = True
                self._last = max(self._last, now + _ARRIVAL)
            self._incoming += data
            if self._pending and now >= self._last:  # there may be more and more of it
                return self._message()

    def _message(self) -> bytearray | None:
        """Takes a whole message out of what came in."""
        incoming = self._incoming
        if len(incoming) < wire.HEADER.size:
            return None
        (length,) = wire.HEADER.unpack_from(incoming)
        if length > self._longest:
            raise WorkerLost(f"the worker announced {length:,} bytes at once (at most {self._longest:,})")
        end = wire.HEADER.size + length
        if len(incoming) < end:
            return None
        if len(incoming) > end:
            raise WorkerLost("the worker broke the protocol: it wrote out of turn")
        self._bytes += end
        if self._bytes > self._most_bytes:
            raise WorkerLost(f"the step sent more than {self._most_bytes:,} bytes to the host")
        self._incoming = bytearray()
        del incoming[: wire.HEADER.size]
        return incoming

    def _has_something_to_read(self) -> bool:
        try:
            return bool(self._connection.recv(1, socket.MSG_PEEK))
        except OSError:  # nothing; or the end, which `feed` will find
            return False

    def _write(self) -> None:
        while self._outgoing:
            try:
                sent = self._connection.send(self._outgoing)
            except BlockingIOError:
                return
            self._outgoing = self._outgoing[sent:]

    # ---- frames

    def _look(self, now: float) -> None:
        """No frame is there, and the next look is due."""
        self._looked = now
        self.deadline = min(self._last, now + _LOOK) if self._pending else None

    def _account(self, arrived: float, ran: float) -> None:
        """Charges the step the time since the request, but for what the host let the frame lie.

        The worker says how long it `ran`; what is more was the host's time, as far as the host did not look
        for so long.  Between two looks the worker is believed, a little.  Decoding is the step's own time:
        a worker can make it long."""
        elapsed = arrived - self._sent_at
        late = min(max(0.0, elapsed - ran), arrived - self._looked)
        trusted, excused = min(late, _LOOK, self._trust), min(max(0.0, late - _LOOK), self._excused)
        self._trust -= trusted
        self._excused -= excused
        self._left -= time.monotonic() - self._sent_at - trusted - excused
        self._pending, self.deadline = False, None

    def _check(self, frame: HostCall | Done) -> HostCall | Done:
        """What a worker that keeps to the protocol would send, or WorkerLost."""
        repl = self._repl
        if isinstance(frame, HostCall):
            self._calls += 1
            if self._calls > self._most_calls:
                raise WorkerLost(f"the step made more than {self._most_calls:,} calls")
            if frame.name not in repl.tools and frame.name not in repl.modules:
                raise WorkerLost(f"the worker called {frame.name[:100]!r}, which is none of its tools")
            return frame
        submitted = frame.submitted
        if submitted is not None:
            due = {"reason"} if submitted.kind == "not_found" else set(repl.fields)
            if set(submitted.values) != due:
                raise WorkerLost("the worker submitted other fields than it was asked for")
        return replace(
            frame,
            output=clip(frame.output, repl.output_chars + _SLACK),
            error=None if frame.error is None else clip(frame.error, _LONGEST_ERROR),
            variables={
                name[:_LONGEST_NAME]: description[:_LONGEST_NAME]
                for name, description in islice(frame.variables.items(), _MOST_VARIABLES)
            },
            fingerprints=dict(islice(frame.fingerprints.items(), _MOST_VARIABLES)),
        )


def _end(connection: socket.socket, process: Process, zygote: Zygote) -> None:
    """Kills a worker; the kernel and its zygote clear it away."""
    if process.is_ours:
        zygote.kill(process)
        process.ended(wait_seconds=5.0)
    connection.close()
    process.forget()
