"""The operating system's wall: what a worker's process cannot do, whatever its code."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rlm_core.sandbox import host, oswall, zygotes
from rlm_core.sandbox.doctor import _WithoutLanguageWall
from rlm_core.sandbox.host import LocalSandbox, LocalSession
from rlm_core.sandbox.probes import PROBES
from rlm_core.sandbox.protocol import Done, Execute, Repl, SandboxUnavailable, WorkerLost
from rlm_core.sandbox.sandbox import next_frame

linux = pytest.mark.skipif(sys.platform != "linux", reason="walls of Linux")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    sandbox = _WithoutLanguageWall()
    yield sandbox
    sandbox.close()


@pytest.fixture
def session(sandbox: LocalSandbox) -> Iterator[LocalSession]:
    session = sandbox.open({"context": "text"}, Repl())
    yield session
    session.close()


@linux
@pytest.mark.parametrize("probe", [name for name in PROBES if name != "stall"])
def test_a_worker_cannot(session: LocalSession, probe: str) -> None:
    session.send(Execute(probe, 20))
    done = next_frame(session)
    assert isinstance(done, Done)
    assert (done.output, done.error) == ("", None)


@linux
@pytest.mark.parametrize(
    ("probe", "crossed"),
    [
        (
            "files",
            {"read /etc/passwd", "make a file", "remove a file", "list /", "open a file by system call"},
        ),
        ("environment", {"see the variable SECRET", "read /proc/self/environ"}),
        ("network", {"make a socket of AF_INET", "make a socket of AF_UNIX", "make a pair of sockets"}),
        ("native_code", {"map memory to execute", "make its memory executable"}),
        ("descriptors", {"use descriptor 100"}),
        ("system_calls", {"ask the kernel anything"}),
    ],
)
def test_the_same_probe_crosses_where_no_wall_stands(probe: str, crossed: set[str]) -> None:
    """Or else the test above would prove nothing."""
    code = f"""
import os
from rlm_core.sandbox import probes
os.dup2(0, 100)
print("\\n".join(probes.{probe}()))
try: os.rmdir("/tmp/rlm-doctor")
except OSError: pass
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "SECRET": "s"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert crossed <= set(done.stdout.splitlines()), done.stderr


@linux
def test_root_is_left_and_the_kernel_says_that_the_walls_stand(session: LocalSession) -> None:
    with open(f"/proc/{session.process.pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert status["Uid"].split()[1] == str(oswall.NOBODY if os.geteuid() == 0 else os.geteuid())
    assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapEff"], 16)) == ("1", "2", 0)
    assert session.walls.keys() >= {"no_new_privs", "rlimits", "seccomp"}


# ---- the filter, judged by running its program


def verdict(program: bytes, architecture: int, number: int, second: int = 0, third: int = 0) -> int:
    """What the kernel would make of a system call: classic BPF over struct seccomp_data."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, 0, second, third, 0, 0, 0)
    instructions = list(struct.iter_unpack("HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, k = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:
                accumulator &= k
            case 0x15:
                at += if_true if accumulator == k else if_false
            case 0x35:
                at += if_true if accumulator >= k else if_false
            case 0x45:
                at += if_true if accumulator & k else if_false
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050001, 0x80000000
X86_64, AARCH64 = 0xC000003E, 0xC00000B7


@pytest.mark.parametrize(
    ("machine", "architecture", "allowed", "refused", "mmap", "mprotect"),
    [
        (
            "x86_64",
            X86_64,
            {"read": 0, "write": 1, "futex": 202},
            {"open": 2, "socket": 41, "clone": 56},
            9,
            10,
        ),
        ("aarch64", AARCH64, {"read": 63, "write": 64, "futex": 98}, {"openat": 56, "socket": 198}, 222, 226),
    ],
)
def test_the_filter_allows_its_list_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    architecture: int,
    allowed: dict[str, int],
    refused: dict[str, int],
    mmap: int,
    mprotect: int,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    program = oswall._filter.__wrapped__()
    for number in allowed.values():
        assert verdict(program, architecture, number) == ALLOW
    for number in refused.values():
        assert verdict(program, architecture, number) == EPERM
    through = {number for number in range(1024) if verdict(program, architecture, number) == ALLOW}
    assert through == oswall.allowed_numbers()
    for number in (mmap, mprotect):
        assert verdict(program, architecture, number, third=0b011) == ALLOW
        assert verdict(program, architecture, number, third=0b100) == EPERM
        assert verdict(program, architecture, number, third=0b111) == EPERM
    for operation in range(32):
        for flags in (0, 128, 256, 384):
            allowed_too = verdict(program, architecture, allowed["futex"], second=operation | flags) == ALLOW
            assert allowed_too == (operation in (0, 1, 9, 10))
    other = AARCH64 if architecture == X86_64 else X86_64
    assert verdict(program, other, allowed["read"]) == KILL
    assert verdict(program, architecture, 0x40000000) == KILL  # the x32 calls


# ---- a wall that is missing


def locked(patch: str, weak: bool) -> subprocess.CompletedProcess[str]:
    code = f"""
import platform
from rlm_core.sandbox import oswall
{patch}
try: print(sorted(oswall.lock(1 << 30, weak={weak})))
except oswall.Missing as missing: print("Missing:", missing)
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


NO_TABLE = "platform.machine = lambda: 'riscv64'"
NO_SECCOMP = """
def no_seccomp(): raise OSError(22, "Invalid argument")
oswall._seccomp = no_seccomp
"""
NO_LANDLOCK = """
def no_landlock(): raise oswall.Missing("the kernel has none")
oswall._landlock = no_landlock
"""


@linux
@pytest.mark.parametrize(
    ("patch", "named"),
    [(NO_TABLE, "seccomp: no table of system calls for riscv64"), (NO_SECCOMP, "seccomp: ")],
)
def test_where_the_least_is_missing_nothing_starts_and_the_wall_is_named(patch: str, named: str) -> None:
    assert locked(patch, weak=False).stdout.startswith(f"Missing: {named}")


@linux
def test_weak_goes_on_with_the_walls_that_there_are() -> None:
    walls = locked(NO_SECCOMP, weak=True).stdout
    assert "rlimits" in walls
    assert "seccomp" not in walls


@linux
def test_landlock_may_be_missing() -> None:
    walls = locked(NO_LANDLOCK, weak=False).stdout
    assert "seccomp" in walls
    assert "Landlock" not in walls


@linux
def test_the_host_is_told_which_wall_is_missing_and_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through real processes, in which there is no table for this machine."""
    boot = zygotes._BOOT.replace(
        "import sys, types", "import sys, types, platform\nplatform.machine = lambda: 'riscv64'"
    )
    assert boot != zygotes._BOOT
    monkeypatch.setattr(zygotes, "_BOOT", boot)
    monkeypatch.setattr(zygotes, "_first", None)
    monkeypatch.setattr(zygotes, "_first_process", None)
    strict, weak = LocalSandbox(), LocalSandbox(weak=True)
    try:
        with pytest.raises(SandboxUnavailable, match=r"riscv64.*sandbox=\"weak\""):
            strict.open({"context": ""}, Repl())
        session = weak.open({"context": ""}, Repl())
        assert "seccomp" not in session.walls
        session.send(Execute("print('goes on')", 20))
        done = next_frame(session)
        assert isinstance(done, Done)
        assert done.output == "goes on\n"
    finally:
        strict.close()
        weak.close()
        zygotes._end_first()


def test_windows_is_pointed_to_wsl2_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SandboxUnavailable, match="WSL2"):
        zygotes._start()


# ---- memory


@pytest.mark.parametrize(
    ("memory", "size", "expected"),
    [(None, 1_000, 1 << 30), (None, 400_000_000, 1_600_000_000), (50 << 20, 400_000_000, 50 << 20)],
)
def test_the_memory_limit_grows_with_the_inputs(memory: int | None, size: int, expected: int) -> None:
    assert host._memory(Repl(memory=memory), size) == expected


@linux
def test_where_the_kernel_keeps_no_memory_limit_the_zygote_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS; here with Linux's own word for what a process uses."""
    patch = """
from rlm_core.sandbox import oswall
oswall.KEEPS_NO_MEMORY_LIMIT = True
oswall._limit = lambda addressable: "none"
def resident(pid):
    with open(f"/proc/{pid}/statm") as file: return int(file.read().split()[1]) * 4096
oswall.resident = resident
"""
    monkeypatch.setattr(
        zygotes,
        "_BOOT",
        zygotes._BOOT.replace("from rlm_core.sandbox.zygote", patch + "from rlm_core.sandbox.zygote"),
    )
    monkeypatch.setattr(zygotes, "_first", None)
    monkeypatch.setattr(zygotes, "_first_process", None)
    sandbox = LocalSandbox()
    try:
        session = sandbox.open({"context": "c" * 1000}, Repl(memory=50 << 20))
        session.send(Execute("x = b'x' * (20 << 20)\nimport time; time.sleep(0.2)", 20))
        assert isinstance(next_frame(session), Done)
        session.send(Execute("y = [b'x' * (10 << 20) for _ in range(6)]\nwhile True: pass", 20))
        with pytest.raises(WorkerLost, match="out of memory"):
            next_frame(session)
    finally:
        sandbox.close()
        zygotes._end_first()
