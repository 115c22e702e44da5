"""Frames: what one end sends, the other receives; what is malformed never becomes a frame."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rlm_core.sandbox import wire
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Resume, Submission
from rlm_core.sandbox.wire import HEADER, Channel, Ready, Refused

FRAMES: list[Any] = [
    HostCall("llm_query", ("prompt",), {"model": None}),
    HostCall("tool", ((1, 2), {3: {4}}, "\ud800"), {"key": (5,)}),
    Done("out"),
    Done("\udcff", "error \ud800", Submission("submit", {"answer": (1, 2)}, True), {"x": "int"}, 0.25),
    Done("", None, Submission("not_found", {"reason": "why"})),
    Done("", looked=(("grep", "context", 5, 100),)),
    Done("", "TimeoutError: x", timed_out=True),
    Ready({"seccomp": "34 calls"}),
    Refused("wall", "no seccomp"),
]
REQUESTS: list[Any] = [
    Execute("print('\ud800')", 1.5),
    Resume(("a", {1: None})),
    Resume(error="ValueError: x"),
    Resume(1, left=0.25),
]


def message(framed: bytes) -> bytes:
    (length,) = HEADER.unpack_from(framed)
    assert length == len(framed) - HEADER.size
    return framed[HEADER.size :]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_of_the_worker_arrives(frame: Any) -> None:
    arrived, ran = wire.decode_from_worker(message(wire.encode_from_worker(frame, ran=0.5)))
    assert arrived == frame
    assert ran == (0.5 if isinstance(frame, HostCall | Done) else 0.0)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_a_request_arrives(request_: Any) -> None:
    assert wire.decode_request(message(wire.encode_request(request_))) == request_


@pytest.mark.parametrize(
    "fields",
    [
        ["call", 0.0, "f", [], {}],  # a list where a tuple is due
        ["call", 0.0, "f", {"a": 1}, {}],
        ["call", 0.0, "f", [], []],
        ["call", 0.0, 5, [], {}],
        ["call", "0", "f", [], {}],
        ["call", float("nan"), "f", [], {}],
        ["call", float("inf"), "f", [], {}],
        ["call", -1.0, "f", [], {}],
        ["call", 0.0, "f"],
        ["done", 0.0, 5, None, None, {}, 0.0],
        ["done", 0.0, "", 5, None, {}, 0.0],
        ["done", 0.0, "", None, ["submit", [], False], {}, 0.0],
        ["done", 0.0, "", None, ["pardon", {}, False], {}, 0.0],
        ["done", 0.0, "", None, ["submit", {"a": 1}], {}, 0.0],
        ["done", 0.0, "", None, None, {1: "a"}, 0.0],
        ["done", 0.0, "", None, None, {"a": 1}, 0.0],
        ["done", 0.0, "", None, None, {}, 0.0, "looked"],
        ["done", 0.0, "", None, None, {}, 0.0, [("grep", "context", -1, 5)]],
        ["done", 0.0, "", None, None, {}, 0.0, [], "more"],
        ["execute", "code", 1.0],  # a request, which is the host's to send
        ["resume", None, None],
        ["unheard of"],
        [],
        {},
        None,
        "done",
    ],
    ids=repr,
)
def test_a_frame_of_the_wrong_shape_is_refused(fields: Any) -> None:
    import msgspec

    with pytest.raises((ValueError, TypeError, msgspec.MsgspecError)):
        wire.decode_from_worker(msgspec.msgpack.encode(fields))


def test_any_mutation_of_a_frame_is_a_frame_or_an_exception_and_quick() -> None:
    source = random.Random(7)
    messages = [message(wire.encode_from_worker(frame)) for frame in FRAMES]
    survived = 0
    for _ in range(4_000):
        data = bytearray(source.choice(messages))
        for _ in range(source.randint(1, 4)):
            match source.randrange(3):
                case 0:
                    data[source.randrange(len(data))] = source.randrange(256)
                case 1:
                    del data[source.randrange(len(data)) :]
                    data += b"\xc0"
                case 2:
                    at = source.randrange(len(data))
                    data[at:at] = source.randbytes(source.randint(1, 6))
        try:
            wire.decode_from_worker(bytes(data))
            survived += 1
        except Exception as error:
            assert not isinstance(error, AssertionError | SystemError | MemoryError)  # noqa: PT017
    assert survived > 0  # the mutations reach past the first check


# ---- the worker's channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    host, worker = socket.socketpair()
    with host, worker:
        yield Channel(worker.fileno(), limit=100_000), host


def test_the_channel_carries_requests_in_and_frames_out(ends: tuple[Channel, socket.socket]) -> None:
    channel, host = ends
    host.sendall(b"".join(wire.encode_request(request) for request in REQUESTS))
    assert [channel.recv() for _ in REQUESTS] == REQUESTS
    channel.send(Done("out"))
    (length,) = HEADER.unpack(host.recv(HEADER.size))
    assert wire.decode_from_worker(host.recv(length))[0] == Done("out")


def test_the_channel_reads_a_request_that_comes_byte_by_byte(ends: tuple[Channel, socket.socket]) -> None:
    channel, host = ends
    framed = wire.encode_request(Execute("pass", 1.0))
    thread = threading.Thread(target=lambda: [host.send(framed[i : i + 1]) for i in range(len(framed))])
    thread.start()
    assert channel.recv() == Execute("pass", 1.0)
    thread.join()


def test_the_channel_sends_nothing_of_what_cannot_cross(ends: tuple[Channel, socket.socket]) -> None:
    channel, host = ends
    host.setblocking(False)
    for refused in (object(), "x" * 200_000, [[0]] * 400_000):
        with pytest.raises(TypeError):
            channel.send(HostCall("f", (refused,)))
        with pytest.raises(BlockingIOError):
            host.recv(1)
    channel.send(HostCall("f", ("fits",)))
    assert host.recv(1)


def test_the_end_of_the_host_is_the_end_of_the_channel(ends: tuple[Channel, socket.socket]) -> None:
    channel, host = ends
    host.close()
    with pytest.raises(EOFError):
        channel.recv()
    with pytest.raises(EOFError):
        channel.send(Done(""))


def test_a_frame_cut_in_two_by_an_exception_ends_the_channel(
    ends: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, host = ends
    real = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        real(descriptor, data[:3])
        raise KeyboardInterrupt  # as a signal's handler would

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        channel.send(Done("out"))
    monkeypatch.undo()
    with pytest.raises(EOFError):
        channel.send(Done("out"))
    assert len(host.recv(100)) == 3
