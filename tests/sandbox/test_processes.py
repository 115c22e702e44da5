"""Processes: many at once, none left behind, whatever happens to the host."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from processes import eventually

from rlm_core.sandbox import control, parcel, zygotes
from rlm_core.sandbox.host import LocalSandbox, LocalSession
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Repl, Resume, SandboxError, WorkerLost
from rlm_core.sandbox.sandbox import next_frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def sandbox() -> Iterator[LocalSandbox]:
    sandbox = LocalSandbox()
    yield sandbox
    sandbox.close()


def run(session: LocalSession, code: str, seconds: float = 20, **tools: Callable[..., Any]) -> Done:
    session.send(Execute(code, seconds))
    while isinstance(frame := next_frame(session), HostCall):
        session.send(Resume(tools[frame.name](*frame.args, **frame.kwargs)))
    return frame


def printed(session: LocalSession, code: str) -> str:
    done = run(session, code)
    assert done.error is None
    return done.output.strip()


def below(pid: int) -> list[int]:
    """Every process under this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, ahead = [], [pid]
    while ahead:
        ahead += (new := children.get(ahead.pop(), []))
        found += new
    return found


def is_there(pid: int) -> bool:
    """Also as a zombie."""
    return Path(f"/proc/{pid}").exists()


def gone(pids: Iterable[int]) -> Callable[[], bool]:
    """A question: are all of them reaped?"""
    wanted = list(pids)
    return lambda: not any(map(is_there, wanted))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# ---- one


def test_a_session_keeps_its_variables_from_step_to_step(sandbox: LocalSandbox) -> None:
    session = sandbox.open({"context": "text"}, Repl())
    assert printed(session, "x = len(context); print(x)") == "4"
    assert printed(session, "print(x + 1)") == "5"


def test_a_call_is_answered_in_the_midst_of_a_cell(sandbox: LocalSandbox) -> None:
    session = sandbox.open({}, Repl(tools=("double",)))
    done = run(session, "print([double(x=i) for i in range(3)])", double=lambda x: 2 * x)
    assert done.output == "[0, 2, 4]\n"


@pytest.mark.parametrize(
    "value",
    [
        "CRLF\r\n\0 é 中 😀 \ud800",
        "é" * 200_000,
        b"\xff" * 100_000,
        {1: "int", "1": "str", (1, 2): [{3, 4}, None]},
        ["document " * 20_000, {"name": ("a", 2**80)}],
        "",
    ],
    ids=lambda value: type(value).__name__,
)
def test_inputs_and_tool_values_cross_both_ways_unchanged(sandbox: LocalSandbox, value: Any) -> None:
    session = sandbox.open({"context": value}, Repl(tools=("echo",)))
    seen = []

    def echo(given: Any) -> Any:
        seen.append(given)
        return given

    done = run(session, "SUBMIT(context if echo(context) == context else None)", echo=echo)
    assert done.submitted is not None
    assert done.submitted.values == {"answer": value}
    assert seen == [value]


def test_sessions_on_the_same_inputs_share_them_and_nothing_else(sandbox: LocalSandbox) -> None:
    inputs = {"context": ["a", "b"], "other": "text"}
    first, second = (sandbox.open(inputs, Repl()) for _ in range(2))
    assert printed(first, "context.append('c'); x = 1; print(context)") == "['a', 'b', 'c']"
    assert printed(second, "print(context, other, 'x' in SHOW_VARS())").startswith("['a', 'b'] text")
    assert inputs["context"] == ["a", "b"]


def test_a_session_with_inputs_of_its_own_has_only_those(sandbox: LocalSandbox) -> None:
    sandbox.open({"context": "the root's", "secret": "s"}, Repl())
    child = sandbox.open({"context": "the child's"}, Repl())
    assert printed(child, "print(context)") == "the child's"
    assert "NameError" in (run(child, "secret").error or "")


def test_a_run_knows_nothing_of_another_run() -> None:
    """Not even in the pages of its memory: what its workers are forked from never held it."""
    marker = "Zq7" * 50_000
    one, two = LocalSandbox(), LocalSandbox()
    try:
        one.open({"context": marker}, Repl())
        other = two.open({"context": "nothing"}, Repl())
        child = one.open({"context": "a child's own"}, Repl())
        for session in (other, child):
            assert marker[:300].encode() not in memory_of(session.process.pid)
        assert marker[:300].encode() in memory_of(one.open({"context": marker}, Repl()).process.pid)
    finally:
        one.close()
        two.close()


def memory_of(pid: int) -> bytes:
    if os.geteuid() != 0:
        pytest.skip("only root may read it")
    pieces = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, _, _, _, *name = line.split()
            if rights.startswith("rw") and name != ["[vvar]"]:
                start, end = (int(part, 16) for part in span.split("-"))
                memory.seek(start)
                try:
                    pieces.append(memory.read(end - start))
                except OSError:
                    pass
    return b"".join(pieces)


def test_what_starts_behind_the_back_is_what_open_uses(
    sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {"context": "x" * 1_000_000}
    writing, go_on = threading.Event(), threading.Event()
    written = []

    def write(values: list[Any]) -> tuple[int, parcel.Layout]:
        writing.set()
        go_on.wait(20)
        written.append(values)
        return real(values)

    real = parcel.write
    monkeypatch.setattr(parcel, "write", write)
    sandbox.start(inputs)  # returns while the input is still to be written
    assert writing.wait(20)
    assert written == []
    go_on.set()
    assert printed(sandbox.open(inputs, Repl()), "print(len(context))") == "1000000"
    assert written == [[inputs["context"]]]


def test_an_input_that_cannot_cross_is_refused_by_name(sandbox: LocalSandbox) -> None:
    sandbox.start({"context": object()})
    with pytest.raises(TypeError, match="object"):
        sandbox.open({"context": object()}, Repl())
    assert printed(sandbox.open({"context": "fine"}, Repl()), "print(context)") == "fine"


def test_ctrl_c_between_an_order_and_its_answer_does_not_mix_them_up(
    sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(connection: object) -> None:
        raise KeyboardInterrupt

    inputs = {"context": "text"}
    sandbox.open(inputs, Repl())
    with monkeypatch.context() as patch:
        patch.setattr(control, "receive_answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sandbox.open(inputs, Repl())
    assert printed(sandbox.open(inputs, Repl()), "print(context)") == "text"


def test_a_host_without_descriptors_left_is_told_so(sandbox: LocalSandbox) -> None:
    sandbox.open({}, Repl())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(SandboxError, match="open files"):
            sandbox.open({}, Repl())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert printed(sandbox.open({}, Repl()), "print(1)") == "1"


def test_a_closed_sandbox_opens_nothing(sandbox: LocalSandbox) -> None:
    sandbox.close()
    with pytest.raises(SandboxError):
        sandbox.open({}, Repl())


# ---- many


def test_sixty_four_in_parallel_from_threads_each_with_its_own_output(sandbox: LocalSandbox) -> None:
    def one(number: int) -> str:
        session = sandbox.open({"context": str(number)}, Repl(tools=("echo",)))
        try:
            done = run(session, "for i in range(20): print(context, echo(i))", echo=lambda i: (number, i))
            return done.output
        finally:
            session.close()

    with ThreadPoolExecutor(64) as pool:
        outputs = list(pool.map(one, range(64)))
    assert outputs == ["".join(f"{n} ({n}, {i})\n" for i in range(20)) for n in range(64)]


async def test_sixty_four_in_parallel_on_one_event_loop(sandbox: LocalSandbox) -> None:
    async def one(number: int) -> str:
        session = await asyncio.to_thread(sandbox.open, {"context": number}, Repl(tools=("echo",)))
        session.send(Execute("print(echo(context))", 20))
        while True:
            ready = asyncio.Event()
            asyncio.get_running_loop().add_reader(session.fileno(), ready.set)
            await ready.wait()
            asyncio.get_running_loop().remove_reader(session.fileno())
            match session.feed():
                case HostCall("echo", (value,)):
                    await asyncio.sleep(0.01)
                    session.send(Resume(value))
                case Done(output):
                    session.close()
                    return output

    assert await asyncio.gather(*map(one, range(64))) == [f"{n}\n" for n in range(64)]


def test_many_in_a_row_leave_no_process_no_descriptor_and_no_memory(sandbox: LocalSandbox) -> None:
    workers: list[int] = []

    def one(number: int) -> None:
        session = sandbox.open({"context": f"{number}"}, Repl())
        assert printed(session, "print(context)") == str(number)
        session.close()
        workers.append(session.process.pid)

    one(0)
    zygote = sandbox._holder.process.pid  # type: ignore[union-attr]
    one(1)
    before, resident = descriptors(), rss(zygote)
    for number in range(200):
        one(number)
    gc.collect()
    assert descriptors() == before
    assert eventually(gone(workers))
    assert rss(zygote) - resident < 2_000  # kB


def rss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    raise AssertionError("no RssAnon")


def test_the_end_of_a_sandbox_is_the_end_of_all_its_processes() -> None:
    sandbox = LocalSandbox()
    sandbox.open({}, Repl())
    before = set(below(os.getpid()))
    busy = sandbox.open({"context": "own"}, Repl())
    busy.send(Execute("while True: pass", 60))
    sandbox.close()
    assert eventually(gone([busy.process.pid]))
    assert eventually(lambda: len(set(below(os.getpid())) & before) < len(before))


def test_a_session_that_is_dropped_takes_its_worker_with_it(sandbox: LocalSandbox) -> None:
    session = sandbox.open({}, Repl())
    session.send(Execute("while True: pass", 60))
    pid = session.process.pid
    del session
    gc.collect()
    assert eventually(gone([pid]))


def test_a_worker_that_is_killed_from_outside_is_lost_and_leaves_no_zombie(sandbox: LocalSandbox) -> None:
    session = sandbox.open({}, Repl())
    session.send(Execute("while True: pass", 60))
    os.kill(session.process.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        next_frame(session)
    assert eventually(gone([session.process.pid]))
    assert printed(sandbox.open({}, Repl()), "print(1)") == "1"


def test_many_workers_that_end_at_once_do_not_take_their_zygote_with_them(sandbox: LocalSandbox) -> None:
    survivor = sandbox.open({"context": "survivor"}, Repl())
    for _ in range(10):
        sessions = [sandbox.open({"context": "survivor"}, Repl()) for _ in range(20)]
        for session in sessions:
            os.kill(session.process.pid, signal.SIGKILL)
        assert eventually(gone(session.process.pid for session in sessions))
    assert printed(survivor, "print(context)") == "survivor"


def test_when_a_runs_zygote_dies_its_workers_do_and_the_next_session_gets_another(
    sandbox: LocalSandbox,
) -> None:
    inputs = {"context": "text"}
    session = sandbox.open(inputs, Repl())
    os.kill(sandbox._holder.process.pid, signal.SIGKILL)  # type: ignore[union-attr]
    assert eventually(gone([session.process.pid]))
    assert printed(sandbox.open(inputs, Repl()), "print(context)") == "text"


def test_when_the_first_zygote_dies_another_is_started(sandbox: LocalSandbox) -> None:
    sandbox.open({}, Repl())
    assert zygotes._first_process is not None
    zygotes._first_process.kill()
    zygotes._first_process.wait()
    assert printed(sandbox.open({}, Repl()), "print(1)") == "1"  # a run goes on
    other = LocalSandbox()
    try:
        assert printed(other.open({}, Repl()), "print(2)") == "2"
    finally:
        other.close()


# ---- the host

HOST = """
import os, sys, time, signal
from rlm_core.sandbox.host import LocalSandbox
from rlm_core.sandbox.protocol import Execute, Repl
sandbox = LocalSandbox()
sessions = [sandbox.open({"context": "c" * 1000}, Repl()), sandbox.open({"context": "own"}, Repl())]
sessions[0].send(Execute("while True: pass", 600))
"""


def host(then: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A host of its own, with a worker that idles and one that does not stop, and the processes under it."""
    code = HOST + "print('ready', flush=True)\ninput()\n" + then
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    processes = below(process.pid)
    assert len(processes) == 5  # the first zygote, two of the run, two workers
    process.stdin.write("\n")
    process.stdin.flush()
    return process, processes


@pytest.mark.parametrize(
    ("then", "send"),
    [
        ("time.sleep(60)", signal.SIGKILL),
        ("time.sleep(60)", signal.SIGTERM),
        ("while True: time.sleep(0.1)", signal.SIGINT),
        ("os._exit(1)", None),
        ("raise ValueError", None),
        ("sys.exit()", None),
        ("sandbox.close()", None),
        ("del sandbox, sessions", None),
    ],
)
def test_nothing_is_left_of_a_host_that_ends(then: str, send: signal.Signals | None) -> None:
    process, processes = host(then)
    if send is not None:
        process.send_signal(send)
    _, complaint = process.communicate(timeout=20)
    assert eventually(gone(processes))
    assert "ignored" not in complaint  # as in "Exception ignored in: ..."


def test_a_terminals_ctrl_c_reaches_the_host_and_not_its_sandbox() -> None:
    code = HOST + (
        "from rlm_core.sandbox.sandbox import next_frame\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    while True: time.sleep(0.1)\n"  # a signal just before a long one would not cut it short
        "except KeyboardInterrupt: pass\n"
        "sessions[1].send(Execute('print(context)', 5))\n"
        "print(next_frame(sessions[1]).output)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=20)[0].strip() == "own"


def test_a_child_that_the_host_forks_has_a_sandbox_of_its_own(sandbox: LocalSandbox) -> None:
    session = sandbox.open({"context": "parent"}, Repl())
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            session.close()  # not the child's to end
            sandbox.close()
            own = LocalSandbox()
            if printed(own.open({"context": "child"}, Repl()), "print(context)") == "child":
                status = 0
            own.close()
            zygotes._end_first()
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert printed(session, "print(context)") == "parent"


def test_a_child_that_outlives_the_host_does_not_keep_its_sandbox_alive() -> None:
    process, processes = host(
        "pid = os.fork()\nif pid == 0: time.sleep(60)\nprint(pid, flush=True)\nos._exit(0)"
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        process.wait(timeout=20)
        assert eventually(gone(processes))
        assert is_there(child)
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()


def test_closing_while_an_input_loads_ends_the_loading(sandbox: LocalSandbox) -> None:
    text = "x" * 30_000_000
    failures: list[BaseException] = []

    def load() -> None:
        try:
            sandbox.open({"context": text}, Repl())
        except SandboxError as error:
            failures.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.01)
    sandbox.close()
    thread.join(timeout=20)
    assert not thread.is_alive()
