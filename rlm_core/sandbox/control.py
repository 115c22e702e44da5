"""What the host and its zygotes say to each other.  Both are ours, and neither runs model-written code:
they trust each other.

A control connection carries one order at a time, each answered by one `Made`, `Done` or `Failed`;
descriptors ride along. Its end of file is the order to end.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

import msgspec

from rlm_core.sandbox.parcel import Layout
from rlm_core.sandbox.protocol import Repl

_HEADER = struct.Struct("<I")
_MAX_DESCRIPTORS = 4
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # not on macOS


class _Message(msgspec.Struct, array_like=True):
    pass


class NewRun(_Message, tag="new run"):
    """To the first zygote: fork one for a run of its own.  With it: its end of a new control connection."""


class Hold(_Message, tag="hold"):
    """To a run's zygote: read this parcel and keep its values for the workers to come.  With it: the
    parcel."""

    keys: list[int]
    layout: Layout


class NewWorker(_Message, tag="new worker"):
    """To a run's zygote: fork a worker.  With it: its end of the session's socket, and the parcel if there
    is one.

    held     name -> key of a held value
    own      names of the parcel's values, in order
    memory   bytes that the worker may address beyond what it does when it starts
    limit    the longest message that the host takes
    weak     go on where a wall is missing
    probing  run `probes`, for the doctor, and no code
    """

    held: dict[str, int]
    own: list[str]
    layout: Layout | None
    repl: Repl
    memory: int
    limit: int
    weak: bool
    probing: bool


class Kill(_Message, tag="kill"):
    """To a run's zygote, where the host has no descriptor of the worker: end this one."""

    pid: int


Order = NewRun | Hold | NewWorker | Kill


class Made(_Message, tag="made"):
    """A process was forked.  With it: a descriptor of it, where the system has those."""

    pid: int


class Carried(_Message, tag="carried"):
    """The order was carried out."""


class Failed(_Message, tag="failed"):
    """It was not."""

    reason: str


Answer = Made | Carried | Failed

_encode = msgspec.msgpack.Encoder().encode
_decode_order = msgspec.msgpack.Decoder(Order).decode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode


def send(connection: socket.socket, message: Order | Answer, descriptors: Sequence[int] = ()) -> None:
    """Raises OSError if the other end is gone."""
    data = _encode(message)
    data = _HEADER.pack(len(data)) + data
    sent = socket.send_fds(connection, [data], list(descriptors))
    connection.sendall(memoryview(data)[sent:])


def receive_order(connection: socket.socket) -> tuple[Order, list[int]]:
    """Raises EOFError."""
    data, descriptors = _receive(connection)
    return _decode_order(data), descriptors


def receive_answer(connection: socket.socket) -> tuple[Answer, list[int]]:
    """Raises EOFError."""
    data, descriptors = _receive(connection)
    return _decode_answer(data), descriptors


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, _MAX_DESCRIPTORS, _CLOEXEC)
    while data and (len(data) < _HEADER.size or len(data) < _HEADER.size + _HEADER.unpack_from(data)[0]):
        more = connection.recv(1 << 16)
        if not more:
            break
        data += more
    if len(data) < _HEADER.size:
        raise EOFError
    return data[_HEADER.size :], descriptors
