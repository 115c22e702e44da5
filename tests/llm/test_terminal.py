"""What a person at a terminal sees and does: the live line, Ctrl-C.  Each test runs `llm` as a process of
its own."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from processes import descendants
from scripts import FIND, SUBMIT, TEXT, declare
from stub_server import Reply, StubServer

from llm_rlm.progress import Progress
from rlm_core.events import Asking, SubCalled, SubCalling
from rlm_core.limits import RunUsage, Spent

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `llm ARGUMENTS < TEXT`, in a process group of its own, as a shell does."""
    (tmp_path / "book.txt").write_text(TEXT)
    paths = [str(ROOT)]
    if not any(point.value == "llm_rlm" for point in metadata.entry_points(group="llm")):
        told = tmp_path / "site" / "llm_rlm-0.dist-info"  # what installing the project would add
        told.mkdir(parents=True)
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-rlm\nVersion: 0\n")
        (told / "entry_points.txt").write_text("[llm]\nrlm = llm_rlm\n")
        paths.append(str(tmp_path / "site"))
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, **more: Any) -> subprocess.Popen[bytes]:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more.pop("env", {})}
        command = [sys.executable, "-m", "llm", *arguments]
        with open(tmp_path / "book.txt", "rb") as text:
            pipes = {"stdin": text, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
            process = subprocess.Popen(command, env=env, start_new_session=True, **pipes)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# ---- the live line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def usage() -> RunUsage:
    return RunUsage((Spent("root", 0, "m", 2, 1_000, 200, 0, 0.0123),))


def test_the_line_tells_step_sub_calls_tokens_cost_and_time() -> None:
    progress = Progress(usage, file=Terminal())
    progress.note(Asking((), 3, 20))
    progress.note(SubCalling((), "llm_query", 8))
    progress.note(SubCalled((), 0, 1, 8, "p", "t"))
    assert re.fullmatch(r"step 3/20 · sub-calls 1/8 · 1,200 tokens · \$0.0123 · \d+ s", progress.line(79))
    assert re.fullmatch(r"step 3/20 · sub-calls 1/8 · \$0.0123 · \d+ s", progress.line(44))
    assert re.fullmatch(r"step 3/20 · sub-calls 1/8 · \d+ s", progress.line(34))
    assert progress.line(25) == "step 3/20 · sub-calls 1/8"
    assert progress.line(19) == "step 3/20"
    assert progress.line(6) == "step 3"


def test_no_line_where_stderr_is_no_terminal_or_all_is_to_be_quiet() -> None:
    assert Progress(usage, file=io.StringIO()).quiet
    assert Progress(usage, file=Terminal(), quiet=True).quiet
    assert not Progress(usage, file=Terminal()).quiet


@pytest.mark.parametrize(
    "arguments", [["-m", "rlm-stub", "Q"], ["rlm", "map", "--question", "Q", "-m", "stub"]]
)
def test_stderr_may_be_closed(start: Any, home: Path, tmp_path: Path, arguments: list[str]) -> None:
    with StubServer([FIND, SUBMIT]) as server:
        declare(home, server.url)
        if arguments[0] == "rlm":
            arguments = [*arguments, str(tmp_path / "book.txt"), "-o", str(tmp_path / "out.jsonl")]
        process = start(*arguments, stderr=None, preexec_fn=lambda: os.close(2))
        stdout = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert stdout == (b"" if arguments[0] == "rlm" else b"xyzzy\n")


def seen_on_a_terminal(start: Any, *arguments: str, columns: int = 80, **more: Any) -> tuple[bytes, str]:
    """stdout, and what was written to a terminal on stderr."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = start(*arguments, stderr=theirs, **more)
    os.close(theirs)
    written = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 4096):
                written.extend(piece)
        except OSError:  # EIO: the process has closed it
            pass

    reader = threading.Thread(target=read)
    reader.start()
    stdout = process.communicate(timeout=60)[0]
    reader.join(timeout=10)
    os.close(ours)
    return stdout, written.decode()


@pytest.mark.parametrize(("color", "columns"), [(True, 80), (False, 24)])
def test_the_line_comes_and_goes_on_a_real_terminal(
    start: Any, home: Path, color: bool, columns: int
) -> None:
    with StubServer([Reply(FIND, delay=1.0), Reply(SUBMIT, delay=1.0)]) as server:
        declare(home, server.url)
        env = {} if color else {"NO_COLOR": "1"}
        stdout, stderr = seen_on_a_terminal(start, "-m", "rlm-stub", "Q", columns=columns, env=env)
    assert stdout == b"xyzzy\n"
    drawn = re.findall(r"\r\x1b\[K(?:\x1b\[36m)?([^\r\x1b]+)", stderr)
    assert max(map(len, drawn)) < columns  # it never wraps
    assert "step 1/20" in stderr
    assert ("\x1b[36m" in stderr) is color
    shown = on_screen(stderr)
    assert "tokens ·" not in shown  # erased each time
    assert "grep('magic word')" in shown


def on_screen(written: str) -> str:
    """What is left when a line that is begun anew, and erased, is gone."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        lines.append(re.split(r"\r\x1b\[K", line)[-1])
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def test_quiet_is_quiet_on_a_terminal_too(start: Any, home: Path) -> None:
    with StubServer([Reply(FIND, delay=0.6), SUBMIT]) as server:
        declare(home, server.url)
        assert seen_on_a_terminal(start, "-m", "rlm-stub", "-R", "Q") == (b"xyzzy\n", "")


# ---- Ctrl-C

PATIENCE = 15  # seconds: far more than it takes, far less than what is interrupted


@pytest.mark.parametrize("flags", [[], ["--async"]], ids=["sync", "async"])
@pytest.mark.parametrize("place", ["root call", "batch", "step", "stream"])
def test_ctrl_c_ends_everything_and_tells_what_was_spent(
    start: Any, home: Path, place: str, flags: list[str]
) -> None:
    reached = threading.Event()

    def script(body: dict[str, Any]) -> Reply:
        chat = body["messages"]
        turn = sum(message["role"] == "assistant" for message in chat)
        if len(chat) == 1 or (place == "root call" and turn == 1):
            reached.set()
            return Reply("late", delay=60)
        if turn == 0:
            return Reply(FIND)
        if place == "stream":
            reached.set()
            return Reply("word " * 500, drip=1.0)
        if place == "step":
            threading.Timer(1.0, reached.set).start()
            return Reply("```repl\nwhile True:\n    pass\n```")
        return Reply("```repl\nllm_query_batched([str(n) for n in range(40)])\n```")

    with StubServer(script) as server:
        declare(home, server.url)
        process = start("-m", "rlm-stub", *flags, "Q")
        assert reached.wait(PATIENCE * 8)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
        stdout, stderr = process.communicate(timeout=PATIENCE)
        sent = len(server.requests)
        time.sleep(0.3)
        assert len(server.requests) == sent
    assert process.returncode not in (0, 3, 4)
    assert stdout.strip() == b""
    assert b"Cancelled. Spent: " in stderr
    assert b"Traceback" not in stderr, stderr.decode()
    with pytest.raises(ProcessLookupError):  # nobody is left in its group
        os.killpg(process.pid, 0)


# ---- ended by others: a closed terminal, a shutdown, `kill`


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP], ids=lambda sign: sign.name)
def test_a_signal_leaves_no_process_and_a_run_that_goes_on(
    start: Any, home: Path, sign: signal.Signals
) -> None:
    reached, asked_again = threading.Event(), False

    def script(body: dict[str, Any]) -> Reply:
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        if turn and not asked_again:
            reached.set()
            return Reply("late", delay=60)
        return Reply([FIND, SUBMIT][turn])

    usual = signal.signal(sign, signal.SIG_DFL)  # not what nohup made of it
    try:
        with StubServer(script) as server:
            declare(home, server.url)
            process = start("-m", "rlm-stub", "Q")
            assert reached.wait(PATIENCE * 8)
            below = descendants(process.pid)
            assert below  # the sandbox's
            process.send_signal(sign)  # to it alone
            assert process.wait(PATIENCE) == -sign
            until = time.monotonic() + PATIENCE
            while left := [one for one in below if Path(f"/proc/{one}").exists()]:
                assert time.monotonic() < until, left
                time.sleep(0.02)
            asked_again, before = True, len(server.requests)
            again = start("rlm", "resume")
            assert again.communicate(timeout=PATIENCE * 8)[0] == b"xyzzy\n"
            assert len(server.requests) == before + 1
    finally:
        signal.signal(sign, usual)
