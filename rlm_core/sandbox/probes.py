"""Attempts to cross the operating system's wall from inside a worker, with the language wall off: what
`doctor` runs.

Each probe gives what it could do and should not have been able to, in words; an empty list is a wall that
held. Only modules that a worker's process holds anyway are used: it can import nothing.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import resource
import socket
import sys
import time
from collections.abc import Callable
from functools import partial

from rlm_core.sandbox import oswall
from rlm_core.sandbox.protocol import Done, Execute
from rlm_core.sandbox.wire import Channel

_x86 = platform.machine() == "x86_64"
_SYSCALLS = {  # not for Python to call: number on x86_64, on aarch64
    "openat": (257, 56),
    "openat2": (437, 437),
    "memfd_create": (319, 279),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "prctl": (157, 167),
    "seccomp": (317, 277),
    "unshare": (272, 97),
    "mount": (165, 40),
    "shmget": (29, 194),
    "add_key": (248, 217),
    "getuid": (102, 174),
    "clone3": (435, 435),
}
_PTRACE_SEIZE = 0x4206
_AT_FDCWD = -100
_LAST_SYSCALL = 511
# The kernel lets these past every filter, and ends a process that makes them anywhere but in its own uprobes.
_UNFILTERED = {335, 336} if _x86 else set()


def serve(channel: Channel) -> None:
    """In place of `worker.serve`: runs the probes that the host names, and answers with what each could
    do."""
    while True:
        try:
            request = channel.recv()
        except EOFError:
            return
        if not isinstance(request, Execute):
            return
        try:
            crossed, error = PROBES[request.code](), None
        except Exception as raised:
            crossed, error = [], f"{type(raised).__name__}: {raised}"
        channel.send(Done("\n".join(crossed), error))


def files() -> list[str]:
    passwd, made = b"/etc/passwd", "/tmp/rlm-doctor"
    how = b"\0" * 24  # struct open_how: read only
    return _crossed(
        {
            "read /etc/passwd": lambda: open("/etc/passwd").close(),
            "read its own interpreter": lambda: open(sys.executable, "rb").close(),
            "make a file": lambda: os.close(os.open(made, os.O_CREAT | os.O_WRONLY | os.O_EXCL)),
            "remove a file": lambda: os.unlink(made),
            "make a folder": lambda: os.mkdir(made),
            "list /": lambda: os.listdir("/"),
            "look up /": lambda: os.stat("/"),
            "open a file by system call": lambda: _syscall("openat", _AT_FDCWD, passwd, 0, 0),
            "open a file by its newer call": lambda: _syscall("openat2", _AT_FDCWD, passwd, how, len(how)),
            "make a file in memory": lambda: _syscall("memfd_create", b"x", 0),
            "set up io_uring": lambda: _syscall("io_uring_setup", 4, b"\0" * 120),
        }
    )


def environment() -> list[str]:
    crossed = [f"see the variable {name}" for name in os.environ]
    crossed += [f"see the path {path}" for path in (*sys.argv, *sys.orig_argv, *sys.path) if os.sep in path]
    return crossed + _crossed(
        {
            "read /proc/self/environ": lambda: open("/proc/self/environ").close(),
            "read the host's environment": lambda: open(f"/proc/{os.getppid()}/environ").close(),
        }
    )


def network() -> list[str]:
    families = [name for name in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK") if hasattr(socket, name)]
    attempts: dict[str, Callable[[], object]] = {
        f"make a socket of {name}": partial(socket.socket, getattr(socket, name)) for name in families
    }
    attempts["make a pair of sockets"] = socket.socketpair
    attempts["resolve a name"] = lambda: socket.getaddrinfo("localhost", 80)
    return _crossed(attempts)


def processes() -> list[str]:
    return _crossed(
        {
            "start a program": lambda: os.execv("/bin/sh", ["sh", "-c", "exit"]),
            "fork": _fork,
            "clone": lambda: _syscall("clone3", b"\0" * 88, 88),
            "signal another process": lambda: os.kill(1, 0),
            "signal its parent": lambda: os.kill(os.getppid(), 0),
            "attach to its parent": lambda: _syscall("ptrace", _PTRACE_SEIZE, 1, 0, 0),
            "read another process's memory": lambda: _syscall("process_vm_readv", 1, 0, 0, 0, 0, 0),
            "get hold of another process": lambda: _syscall("pidfd_open", 1, 0),
            "change its own process": lambda: _syscall("prctl", 4, 1, 0, 0, 0),
            "make namespaces": lambda: _syscall("unshare", 0x10000000),
        }
    )


def native_code() -> list[str]:
    executable = mmap.PROT_READ | mmap.PROT_EXEC
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    def make_executable() -> None:
        if (
            ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, executable)
            != 0
        ):
            raise OSError(ctypes.get_errno(), "mprotect")

    return _crossed(
        {
            "map memory to execute": lambda: mmap.mmap(-1, mmap.PAGESIZE, prot=executable),
            "make its memory executable": make_executable,
        }
    )


def system_calls() -> list[str]:
    """Every system call that is not allowed, one after another.  Only behind a filter: some of them end
    the process."""
    try:
        _syscall("getuid")
    except PermissionError:
        skipped = oswall.allowed_numbers() | _UNFILTERED
        return [
            f"make system call {number}"
            for number in range(_LAST_SYSCALL + 1)
            if number not in skipped and not _refused(number, -1, -1, -1, -1, -1, -1)
        ]
    return ["ask the kernel anything"]


def memory() -> list[str]:
    def fill() -> None:
        pieces = []
        until = time.monotonic() + 5
        for _ in range(256):  # a page of each: what is addressed is limited, not only what is used
            pieces.append(mmap.mmap(-1, 1 << 30))
            if time.monotonic() > until:
                return

    return _crossed(
        {
            "address 256 GiB at once": lambda: mmap.mmap(-1, 256 << 30),
            "address 256 GiB in pieces": fill,
            "raise its own limit": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
        }
    )


def descriptors() -> list[str]:
    """The last probe of a worker: it closes what it finds, but for the standard three and its session's,
    3."""
    return _crossed({f"use descriptor {number}": partial(os.close, number) for number in range(4, 4096)})


def stall() -> list[str]:
    while True:
        pass


PROBES: dict[str, Callable[[], list[str]]] = {
    probe.__name__: probe
    for probe in (
        files,
        environment,
        network,
        processes,
        native_code,
        system_calls,
        memory,
        descriptors,
        stall,
    )
}


def _crossed(attempts: dict[str, Callable[[], object]]) -> list[str]:
    crossed = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, ValueError, MemoryError, OverflowError):
            continue
        crossed.append(name)
    return crossed


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _refused(number: int, *arguments: int) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    return library.syscall(number, *map(ctypes.c_long, arguments)) == -1 and ctypes.get_errno() == errno.EPERM


def _syscall(name: str, *arguments: int | bytes) -> None:
    """Raises PermissionError if the call was refused; a call that was carried out and failed was not
    refused."""
    library = ctypes.CDLL(None, use_errno=True)
    number = _SYSCALLS[name][0 if _x86 else 1]
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if library.syscall(number, *passed) == -1 and ctypes.get_errno() == errno.EPERM:
        raise PermissionError(name)
