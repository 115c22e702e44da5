"""Whatever a worker writes, or does not: the host gets `WorkerLost`, in time, and lives."""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from rlm_core.sandbox import host, wire
from rlm_core.sandbox.host import _TRUST, GRACE, LocalSession
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Repl, Resume, Submission, WorkerLost
from rlm_core.sandbox.sandbox import next_frame
from rlm_core.sandbox.wire import HEADER, Ready, framed
from rlm_core.sandbox.zygotes import Process, Zygote

REPL = Repl(tools=("lookup",), fields=("answer", "reason"), output_chars=100)


class Killed:
    """Stands for a worker's process and its zygote, and notes whether the worker was to be killed."""

    is_ours = True

    def __init__(self) -> None:
        self.killed = False

    def kill(self, process: object = None) -> bool:
        self.killed = True
        return True

    def ended(self, wait_seconds: float) -> bool:
        return True

    def forget(self) -> None:
        pass


class Evil:
    """A session, and the other end of its socket to write evil things to."""

    def __init__(self, size: int = 0):
        ours, self.socket = socket.socketpair()
        self.process = Killed()
        self.session = LocalSession(ours, cast(Process, self.process), cast(Zygote, self.process), REPL, size)

    def close(self) -> None:
        self.session.close()
        self.socket.close()

    def execute(self, *written: bytes, seconds: float = 0.2) -> HostCall | Done:
        self.session.send(Execute("code", seconds))
        writer = threading.Thread(target=self._write, args=(written,))
        writer.start()
        try:
            return next_frame(self.session)
        finally:
            writer.join(0.5)
            if writer.is_alive():
                self.socket.shutdown(socket.SHUT_RDWR)
            writer.join()

    def _write(self, written: tuple[bytes, ...]) -> None:
        try:
            self.socket.sendall(b"".join(written))
        except OSError:
            pass


@pytest.fixture
def evil() -> Iterator[Evil]:
    evil = Evil()
    yield evil
    evil.close()


def call(name: str = "lookup", args: tuple[Any, ...] = ()) -> bytes:
    return wire.encode_from_worker(HostCall(name, args))


def done(**fields: Any) -> bytes:
    return wire.encode_from_worker(Done(**{"output": "", **fields}))


def submission(kind: Any, values: Any) -> bytes:
    return done(submitted=Submission(kind, values))


@pytest.mark.parametrize(
    "written",
    [
        framed(b""),
        framed(b"\xc1"),
        framed(b"\x91" * 1_000_000),  # deep
        framed(b"\x81\xa1a" * 500_000 + b"\xc0"),
        framed(b"\xdd\xff\xff\xff\xff"),  # a list of 2**32, they say
        framed(b"not msgpack at all"),
        HEADER.pack(2**32 - 1),  # a message of 4 GiB is announced
        HEADER.pack(2**31) + b"x" * 1000,
        done() + b"\0",  # a frame, and the beginning of another
        done() + done(),
        call() + done(),
        wire.encode_from_worker(Ready({})),  # out of turn
        wire.encode_from_worker(wire.Refused("wall", "now?")),
        wire.encode_request(Execute("code for the host", 1.0)),
        wire.encode_request(Resume("an answer to nothing")),
        call("open"),
        call("__import__"),
        call("Lookup"),
        call("lookup\0"),
        submission("submit", {"answer": 1, "reason": 2, "more": 3}),
        submission("submit", {"answer": 1}),
        submission("submit", {}),
        submission("not_found", {"answer": 1, "reason": 2}),
        submission("not_found", {}),
        submission("granted", {"reason": "x"}),
    ],
    ids=lambda written: written[:24].hex(),
)
def test_an_evil_stream_is_a_lost_worker(evil: Evil, written: bytes) -> None:
    with pytest.raises(WorkerLost):
        evil.execute(written)
    assert evil.process.killed


def test_half_a_frame_is_waited_for_until_its_time_is_over(evil: Evil, clock: Clock) -> None:
    evil.session.send(Execute("code", 5.0))
    evil.socket.sendall(done()[:-1])
    assert evil.session.feed() is None
    clock.now += 5.0 + GRACE - 0.01
    assert evil.session.feed() is None
    clock.now += 0.02
    with pytest.raises(WorkerLost, match="did not stop"):
        evil.session.feed()
    assert evil.process.killed


def test_a_trickle_of_bytes_does_not_put_the_end_off(evil: Evil) -> None:
    """Something is always ready to be read, and never a whole frame."""
    stop = threading.Event()

    def trickle() -> None:
        with contextlib.suppress(OSError):
            for byte in framed(b"\xc0" * 10_000_000):
                if stop.is_set():
                    return
                evil.socket.send(bytes([byte]))

    evil.session.send(Execute("code", 0.01))
    writer = threading.Thread(target=trickle)
    writer.start()
    try:
        with pytest.raises(WorkerLost, match="did not stop"):
            next_frame(evil.session)
    finally:
        stop.set()
        evil.close()
        writer.join()


def test_a_flood_that_is_no_frame_yet_does_not_put_the_end_off(
    evil: Evil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is there each time that the host has read: one `feed` must not go on for ever."""
    monkeypatch.setattr(evil.session, "_longest", 2**32 - 1)
    evil.session.send(Execute("code", 0.0))

    class Endless:
        def __getattr__(self, name: str) -> Any:
            return getattr(connection, name)

        def recv(self, size: int) -> bytes:
            return HEADER.pack(2**32 - 1)

    connection = evil.session._connection
    monkeypatch.setattr(evil.session, "_connection", Endless())
    monkeypatch.setattr(evil.session, "_last", time.monotonic() - 1)
    with pytest.raises(WorkerLost, match="did not stop"):
        evil.session.feed()


def test_silence_is_waited_for_until_the_deadline(evil: Evil) -> None:
    with pytest.raises(WorkerLost, match="did not stop"):
        evil.execute()


@pytest.mark.parametrize("trickles", [False, True])
def test_the_host_never_waits_longer_than_two_seconds_past_the_limit(
    evil: Evil, monkeypatch: pytest.MonkeyPatch, trickles: bool
) -> None:
    """Told by a clock that goes on only while the host waits, so that a busy machine makes no difference."""
    now = 1_000.0
    monkeypatch.setattr(host.time, "monotonic", lambda: now)

    def drive() -> None:
        nonlocal now
        while evil.session.feed() is None:
            assert evil.session.deadline is not None
            now = max(now + 1e-6, evil.session.deadline)
            if trickles and now > 1_005:
                evil.socket.sendall(b"\0")

    evil.session.send(Execute("code", 5.0))
    if trickles:
        evil.socket.sendall(HEADER.pack(1_000))
    with pytest.raises(WorkerLost, match="did not stop"):
        drive()
    assert 1_005 < now <= 1_007


@pytest.mark.parametrize("written", [b"", b"\x05", done()[:-1]])
def test_closing_or_dying_at_any_point_is_a_lost_worker(evil: Evil, written: bytes) -> None:
    evil.session.send(Execute("code", 5))
    evil.socket.sendall(written)
    evil.socket.close()
    with pytest.raises(WorkerLost, match="ended"):
        next_frame(evil.session)


def test_a_frame_written_just_before_dying_still_counts(evil: Evil) -> None:
    evil.session.send(Execute("code", 5))
    evil.socket.sendall(done(output="last words"))
    evil.socket.close()
    assert next_frame(evil.session) == Done("last words")


def test_a_request_to_a_dead_worker_is_found_by_feed(evil: Evil) -> None:
    evil.socket.close()
    evil.session.send(Execute("x" * 1_000_000, 5))
    with pytest.raises(WorkerLost):
        evil.session.feed()


def test_never_reading_does_not_block_the_host(evil: Evil) -> None:
    assert isinstance(evil.execute(call()), HostCall)
    evil.session.send(Resume("x" * 50_000_000))
    assert evil.session.wants == selectors.EVENT_READ | selectors.EVENT_WRITE
    with pytest.raises(WorkerLost, match="did not stop"):
        next_frame(evil.session)


def test_an_answer_before_the_whole_request_was_read_is_an_answer(evil: Evil) -> None:
    evil.session.send(Execute("x" * 10_000_000, 5))
    evil.socket.sendall(done(output="did not read it all"))
    assert next_frame(evil.session) == Done("did not read it all")


def test_frames_before_their_turn_are_found_at_the_next_request(evil: Evil) -> None:
    evil.execute(done())
    evil.socket.sendall(done() + done())
    with pytest.raises(WorkerLost, match="out of turn"):
        evil.execute()


def test_frames_before_the_answer_to_a_call_are_out_of_turn(evil: Evil) -> None:
    """Each on its own in the socket, so that no two are ever read together."""
    assert isinstance(evil.execute(call()), HostCall)
    evil.socket.sendall(call())
    evil.session.send(Resume())
    with pytest.raises(WorkerLost, match="out of turn"):
        next_frame(evil.session)


def test_a_flood_of_calls_is_capped(evil: Evil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evil.session, "_most_calls", 50)
    evil.execute(call(), seconds=60)
    for _ in range(49):
        evil.session.send(Resume())
        evil.socket.sendall(call())
        assert isinstance(next_frame(evil.session), HostCall)
    evil.session.send(Resume())
    evil.socket.sendall(call())
    with pytest.raises(WorkerLost, match="calls"):
        next_frame(evil.session)


def test_the_bytes_of_a_step_are_capped(evil: Evil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evil.session, "_most_bytes", 10_000)
    evil.execute(call(args=("x" * 6_000,)), seconds=60)
    evil.session.send(Resume())
    evil.socket.sendall(call(args=("x" * 6_000,)))
    with pytest.raises(WorkerLost, match="bytes"):
        next_frame(evil.session)


def test_the_caps_start_anew_with_each_step(evil: Evil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evil.session, "_most_bytes", 10_000)
    for _ in range(5):
        assert evil.execute(done(output="x" * 6_000))


def test_a_report_longer_than_asked_for_is_cut(evil: Evil) -> None:
    frame = evil.execute(
        done(
            output="o" * 1_000_000,
            error="e" * 1_000_000,
            variables={f"{i}{'n' * 5000}": "d" * 5000 for i in range(1_000)},
        )
    )
    assert isinstance(frame, Done)
    assert len(frame.output) < 2_000
    assert len(frame.error or "") < 60_000
    assert max(map(len, [*frame.variables, *frame.variables.values()])) <= 1_000


def test_a_frame_of_a_million_empty_containers_is_refused_unmade(evil: Evil) -> None:
    count = 1_500_000  # bytes on the wire; 64 times as many in memory
    arguments = b"\xdd" + count.to_bytes(4, "big") + b"\x80" * count
    with pytest.raises(WorkerLost, match="values in one frame"):
        evil.execute(framed(b"\x95\xa4call\x00\xa6lookup" + arguments + b"\x80"), seconds=60)


# ---- whose time it was


class Clock:
    """Time that passes when a test says so, and not because the machine is busy."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(host.time, "monotonic", made)
    return made


def left(session: LocalSession, clock: Clock) -> float:
    """Seconds that the step in progress still has."""
    return session._last - clock.now


def served(evil: Evil) -> None:
    """The host takes a call, and answers it."""
    assert isinstance(evil.session.feed(), HostCall)
    evil.session.send(Resume())


def lying_call(evil: Evil, clock: Clock, seconds: float) -> None:
    """A worker lets time pass, at which the host looks on, and then says that it called at once."""
    until = clock.now + seconds
    while clock.now < until:
        assert evil.session.feed() is None
        assert evil.session.deadline is not None
        clock.now = min(until, evil.session.deadline)
    evil.socket.sendall(call())


def test_a_host_that_waits_believes_no_word_of_having_been_late(evil: Evil, clock: Clock) -> None:
    evil.session.send(Execute("code", 10.0))
    for _ in range(5):
        lying_call(evil, clock, 0.3)
        served(evil)
    assert left(evil.session, clock) <= 10 + GRACE - 5 * 0.3 + _TRUST + 1e-6


def test_a_host_that_was_busy_does_not_charge_the_step_for_it(evil: Evil, clock: Clock) -> None:
    evil.session.send(Execute("code", 10.0))
    for _ in range(4):
        evil.socket.sendall(call())
        clock.now += 0.5  # busy with something else
        served(evil)
    assert left(evil.session, clock) == pytest.approx(10 + GRACE, abs=0.01)


def test_a_busy_host_is_an_excuse_up_to_ten_times_the_limit(evil: Evil, clock: Clock) -> None:
    evil.session.send(Execute("code", 0.01))
    for _ in range(4):
        evil.socket.sendall(call())
        clock.now += 0.3
        served(evil)
    assert left(evil.session, clock) <= GRACE + 0.01 - (4 * 0.3 - 10 * 0.01 - _TRUST) + 1e-6


def takes_to_decode(clock: Clock, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(message: bytearray) -> Any:
        clock.now += seconds  # as for a list of half a million numbers
        return real(message)

    real = wire.decode_from_worker
    monkeypatch.setattr(wire, "decode_from_worker", decode)


def test_what_the_host_takes_to_decode_is_the_steps_own_time(
    evil: Evil, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_to_decode(clock, 0.3, monkeypatch)
    evil.session.send(Execute("code", 10.0))
    for _ in range(3):
        evil.socket.sendall(call())
        served(evil)
    assert left(evil.session, clock) == pytest.approx(10 + GRACE - 3 * 0.3, abs=0.01)


def test_calls_that_take_the_host_longer_than_the_step_had_are_not_served(
    evil: Evil, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_to_decode(clock, 0.4, monkeypatch)
    evil.session.send(Execute("code", 0.1))
    for _ in range(2):  # of 1.1 seconds
        evil.socket.sendall(call())
        served(evil)
    evil.socket.sendall(call())
    with pytest.raises(WorkerLost, match="did not stop"):
        evil.session.feed()
    assert evil.process.killed


def test_a_frame_that_lay_while_the_host_was_busy_past_the_end_counts(evil: Evil, clock: Clock) -> None:
    evil.session.send(Execute("code", 0.01))
    evil.socket.sendall(done(output="in time"))
    clock.now += 0.01 + GRACE + 0.1
    assert evil.session.feed() == Done("in time")


def test_waiting_for_the_host_is_not_the_steps_own_time(evil: Evil, clock: Clock) -> None:
    evil.session.send(Execute("code", 10.0))
    evil.socket.sendall(call())
    assert isinstance(evil.session.feed(), HostCall)
    clock.now += 1.0  # the host takes its time with the call
    evil.session.send(Resume())
    assert left(evil.session, clock) == pytest.approx(10 + GRACE)


def mutate(data: bytearray, source: random.Random) -> None:
    """A byte flipped, the end cut off, a part repeated, two parts swapped, or noise put in."""
    at, to = sorted(source.choices(range(len(data) + 1), k=2))
    match source.randrange(5):
        case 0:
            data[at % len(data)] = source.randrange(256)
        case 1:
            del data[max(at, 1) :]
        case 2:
            data[to:to] = data[at:to]
        case 3:
            data[:] = data[at:to] + data[:at] + data[to:]
        case 4:
            data[at:at] = source.randbytes(source.randint(1, 6))


def test_random_streams_never_raise_anything_else() -> None:
    source = random.Random(11)
    valid = [
        call(args=((1, "two"), {3: [4]})),
        done(output="x", variables={"a": "int"}),
        submission("submit", {"answer": 1, "reason": ""}),
    ]
    frames = lost = 0
    for _ in range(1_000):
        evil = Evil()
        data = bytearray(b"".join(source.choices(valid, k=source.choice([1, 1, 1, 2]))))
        for _ in range(source.randint(0, 3)):
            mutate(data, source)
        evil.session.send(Execute("code", 5))
        evil.socket.sendall(data)
        evil.socket.close()
        try:
            next_frame(evil.session)
            frames += 1
        except WorkerLost:
            lost += 1
        evil.close()
    assert frames > 20
    assert lost > 20


def test_closing_twice_and_feeding_a_closed_session_is_safe(evil: Evil) -> None:
    evil.session.close()
    evil.session.close()
    evil.session.send(Execute("code", 1))
    with pytest.raises(WorkerLost):
        evil.session.feed()
