"""Frames on a stream: 4 bytes of length, then one msgpack message.  Both ends of a session's socket, and
what they trust.

The host believes nothing that a worker writes.  `decode_from_worker` gives a frame whose every part has
been checked, or raises; `rlm_core.sandbox.host` turns whatever it raises into `WorkerLost`.  The worker
trusts the host.

A frame from the worker also says how long the code ran since the last request (`ran`): the worker cannot
know how long the host then let the frame lie, nor the host how long it lay.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any, Literal

import msgspec

from rlm_core.sandbox.inspection import MAX_NODES
from rlm_core.sandbox.protocol import MAX_SPANS, Done, Execute, HostCall, Resume, Span, Submission
from rlm_core.sandbox.values import Decoder, Packer, encode

HEADER = struct.Struct("<I")
MAX_LENGTH = (1 << 32) - 1

Seconds = float  # finite and not negative, once checked


class _Frame(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A message is an array: its tag, then its fields.  `Any` fields hold packed values."""


class _Execute(_Frame, tag="execute"):
    code: Any
    seconds: float


class _Resume(_Frame, tag="resume"):
    value: Any
    error: Any
    left: float | None


class _Ready(_Frame, tag="ready"):
    walls: dict[str, str]


class _Refused(_Frame, tag="refused"):
    what: Literal["wall", "start"]
    reason: str


class _Call(_Frame, tag="call"):
    ran: float
    name: str
    args: Any
    kwargs: Any


class _Done(_Frame, tag="done"):
    ran: float
    output: Any
    error: Any
    submitted: tuple[Literal["submit", "not_found"], Any, bool] | None
    variables: Any
    seconds: float
    looked: Any = ()
    timed_out: bool = False
    fingerprints: dict[str, int] = {}


class Ready(msgspec.Struct, frozen=True):
    """The worker is locked in and waits for its first cell.  `walls`: name of each wall that stands ->
    detail."""

    walls: dict[str, str]


class Refused(msgspec.Struct, frozen=True):
    """The worker ran nothing: a wall that must stand is missing, or it could not start."""

    what: Literal["wall", "start"]
    reason: str


def encode_request(request: Execute | Resume) -> bytes:
    """Raises TypeError for a value that cannot cross."""

    def build(packer: Packer) -> _Frame:
        match request:
            case Execute(code, seconds):
                return _Execute(packer.pack(code), seconds)
            case Resume(value, error, left):
                return _Resume(packer.pack(value), packer.pack(error), left)

    return framed(encode(build))


def encode_from_worker(frame: HostCall | Done | Ready | Refused, ran: Seconds = 0.0) -> bytes:
    """Raises TypeError for a value that cannot cross."""

    def build(packer: Packer) -> _Frame:
        pack = packer.pack
        match frame:
            case HostCall(name, args, kwargs):
                return _Call(ran, name, pack(args), pack(kwargs))
            case Done():
                done = frame.submitted
                return _Done(
                    ran,
                    pack(frame.output),
                    pack(frame.error),
                    None if done is None else (done.kind, pack(done.values), done.literal),
                    pack(frame.variables),
                    frame.seconds,
                    pack(frame.looked),
                    frame.timed_out,
                    frame.fingerprints,
                )
            case Ready(walls):
                return _Ready(walls)
            case Refused(what, reason):
                return _Refused(what, reason)

    return framed(encode(build, max_nodes=MAX_NODES // 2))


def framed(message: bytes) -> bytes:
    if len(message) > MAX_LENGTH:
        raise TypeError(f"{len(message):,} bytes cannot cross at once: pass them in pieces")
    return HEADER.pack(len(message)) + message


_requests: Decoder[Any] = Decoder(_Execute | _Resume)
_from_worker: Decoder[Any] = Decoder(_Ready | _Refused | _Call | _Done, hostile=True)


def decode_request(message: bytes | bytearray | memoryview) -> Execute | Resume:
    match _requests.decode(message):
        case _Execute(code, seconds):
            return Execute(code, seconds)
        case _Resume(value, error, left):
            return Resume(value, error, left)
    raise AssertionError("the decoder gives no other type")


def decode_from_worker(
    message: bytes | bytearray | memoryview,
) -> tuple[HostCall | Done | Ready | Refused, Seconds]:
    """The frame and how long the code ran for it.  Raises for anything malformed: a ValueError, a
    TypeError, an OverflowError, a RecursionError, a MemoryError, or one of msgspec's or decimal's own."""
    match _from_worker.decode(message):
        case _Call(ran, name, args, kwargs):
            return HostCall(name, _tuple(args), _by_name(kwargs)), _seconds(ran)
        case _Done() as done:
            submission = None
            if done.submitted is not None:
                kind, values, literal = done.submitted
                submission = Submission(kind, _by_name(values), literal)
            variables = _by_name(done.variables)
            for description in variables.values():
                _text(description)
            error = None if done.error is None else _text(done.error)
            seconds = _seconds(done.seconds)
            looked = tuple(map(_span, _tuple(done.looked)[:MAX_SPANS]))
            output, prints = _text(done.output), done.fingerprints
            frame = Done(output, error, submission, variables, seconds, looked, done.timed_out, prints)
            return frame, _seconds(done.ran)
        case _Ready(walls):
            return Ready(walls), 0.0
        case _Refused(what, reason):
            return Refused(what, reason), 0.0
    raise AssertionError("the decoder gives no other type")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"a str was due, not {type(value).__name__}")
    return value


def _tuple(value: Any) -> tuple[Any, ...]:
    if type(value) is not tuple:
        raise TypeError(f"a tuple was due, not {type(value).__name__}")
    return value


def _by_name(value: Any) -> dict[str, Any]:
    if type(value) is not dict or not all(type(name) is str for name in value):
        raise TypeError("a dict by name was due")
    return value


def _span(value: Any) -> Span:
    helper, text, start, length = _tuple(value)
    if not (type(start) is type(length) is int and start >= 0 and length >= 0):
        raise TypeError("a place in a text was due")
    return _text(helper), _text(text), start, length


def _seconds(value: float) -> Seconds:
    if not 0 <= value < 1e9:
        raise ValueError(f"{value} is no number of seconds")
    return value


class Channel:
    """The worker's end of a session: blocking, and made of `read` and `write` alone, which is all that the
    wall allows.

    `limit`: the longest message that the host takes, in bytes."""

    def __init__(self, descriptor: int, limit: int):
        self._descriptor, self._limit = descriptor, limit
        self._since = time.monotonic()
        self._whole = True  # whether the stream stands between two frames

    def recv(self) -> Execute | Resume:
        """Raises EOFError once the host is gone."""
        self._begin()
        (length,) = HEADER.unpack(self._read(HEADER.size))
        message = self._read(length)
        self._whole = True
        request = decode_request(message)
        self._since = time.monotonic()
        return request

    def send(self, frame: HostCall | Done | Ready | Refused) -> None:
        """Raises TypeError, having sent nothing, for what cannot cross; EOFError once the host is gone."""
        framed_message = encode_from_worker(frame, ran=time.monotonic() - self._since)
        if len(framed_message) - HEADER.size > self._limit:
            raise TypeError(
                f"{len(framed_message):,} bytes cannot cross at once (at most {self._limit:,}): "
                "pass them in pieces"
            )
        self._begin()
        view = memoryview(framed_message)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError from None
        self._whole = True

    def _begin(self) -> None:
        """An exception out of a signal's handler may have cut the last frame in two: the stream means
        nothing any more."""
        if not self._whole:
            raise EOFError
        self._whole = False

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        try:
            while view:
                count = os.readv(self._descriptor, [view])
                if count == 0:
                    raise EOFError
                view = view[count:]
        except ConnectionResetError:
            raise EOFError from None
        return data
