"""The operating system's wall: what a worker's process may do even if its code escapes from Python.

Linux, in this order, none of it needing root, user namespaces or cgroups:

    uid            where the host is root, its processes here are nobody no_new_privs   no exec can ever
    gain rights, and Landlock and seccomp may be set without any undumpable     no other process of this
    user can attach to it or read its memory Landlock       no file, no TCP port, no signal or abstract
    socket outside, where the kernel has it rlimits        memory; no file written, no descriptor opened,
    no process made, no core dumped seccomp        every system call fails with EPERM but the few that
    computing and talking over an open descriptor take

The last is the one that holds alone; the least that must stand is no_new_privs, rlimits and seccomp.

macOS: Seatbelt's own profile "pure-computation"; its kernel keeps no limit on memory, so the zygote
does.  Written after Apple's headers and not tested: there was no machine.

Everything is called through ctypes: no package on PyPI does this without a system library.
Sources: prctl(2), seccomp(2), landlock(7), setrlimit(2); the kernel's asm/unistd.h for the numbers.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Callable
from functools import cache

NOBODY = 65534
_CPU_SECONDS = 24 * 3600  # of a worker's whole life; a step's limit is the host's to keep

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_SYS_LANDLOCK_CREATE_RULESET, _SYS_LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_CREATE_RULESET_VERSION = 1

# name: number on x86_64, on aarch64 (None: it has no such call)
_ALLOWED: dict[str, tuple[int, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "close": (3, 57),
    "brk": (12, 214),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "sched_yield": (24, 124),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
# Allowed where their third argument, the protection, has no PROT_EXEC.
_ALLOWED_UNLESS_EXECUTABLE = {"mmap": (9, 222), "mprotect": (10, 226)}
_PROT_EXEC = 4
# Allowed to wait and to wake, in the old form and the newer; requeueing and priorities have had bugs.
_FUTEX = (202, 98)
_FUTEX_OPERATION = 0x7F
_FUTEX_ALLOWED = (0, 1, 9, 10)

# machine: AUDIT_ARCH_*, column above
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "arm64": (0xC00000B7, 1)}
_X32_BIT = 0x40000000

_EPERM = 1
_RET_ALLOW, _RET_ERRNO, _RET_KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _AND, _IF_EQUAL, _IF_ABOVE, _IF_BITS, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _SECOND_ARGUMENT_AT, _THIRD_ARGUMENT_AT = 0, 4, 24, 32


class Missing(Exception):
    """A wall that must stand cannot.  The text names it and says why."""


def allowed_numbers() -> set[int]:
    """The system calls that the filter lets through, by number."""
    _, column = _machine()
    numbers = (row[column] for row in (*_ALLOWED.values(), *_ALLOWED_UNLESS_EXECUTABLE.values(), _FUTEX))
    return {number for number in numbers if number is not None}


def preload() -> None:
    """Makes ready, in the zygote, what each of its workers would make for itself."""
    if sys.platform == "linux":
        _library()
        try:
            _filter()
        except Missing:
            pass  # `lock` will say so


def settle() -> None:
    """For the first zygote, before it takes any input; its forks keep all of it."""
    if sys.platform != "linux":
        return
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("300")  # where memory runs out, a worker that took much goes before the host
    except OSError:
        pass
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        except OSError:
            pass  # root without the right to leave (some containers): the other walls hold for root too
    _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent(parent: int) -> None:
    """The kernel kills this process when the thread that forked it ends; where there is no such thing,
    nothing."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)  # it ended before that


def lock(memory: int, weak: bool = False) -> dict[str, str]:
    """Locks this process in, for good, and gives the walls that stand: name -> detail.

    `memory`: bytes that it may address beyond what it does now.  Raises Missing where the least does not
    stand; with `weak`, sets what can be set."""
    walls: dict[str, str] = {}

    def build(name: str, wall: Callable[[], str], required: bool = True) -> None:
        try:
            walls[name] = wall()
        except (OSError, ValueError, Missing) as error:
            if required and not weak:
                raise Missing(f"{name}: {error}") from None

    if sys.platform == "linux":
        addressed = _addressed()
        if os.geteuid() != 0:
            walls["uid"] = str(os.geteuid())
        build("no_new_privs", _no_new_privs)
        build("undumpable", _undumpable, required=False)
        build("Landlock", _landlock, required=False)
        build("rlimits", lambda: _limit(addressed + memory))
        build("seccomp", _seccomp)
    elif sys.platform == "darwin":
        build("rlimits", lambda: _limit(None))
        build("Seatbelt", _seatbelt)
    else:
        build("seccomp", _nowhere)
    return walls


def _nowhere() -> str:
    raise Missing(f"there is no such wall for {sys.platform}")


# ---- Linux


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *arguments: int | ctypes.Array[ctypes.c_char]) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    as_longs = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in padded]
    if _library().prctl(option, *as_longs) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _no_new_privs() -> str:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return "set"


def _undumpable() -> str:
    _prctl(_PR_SET_DUMPABLE, 0)
    return "set"


def _addressed() -> int:
    """Bytes of address space in use."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return (
            2 * 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        )  # no /proc: a guess on the safe side


def _limit(addressable: int | None) -> str:
    limits = {
        "FSIZE": 0,
        "CORE": 0,
        "NPROC": 0,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
        "CPU": _CPU_SECONDS,
        "AS": addressable,
        "NOFILE": 0,
    }
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is not None and value is not None:
            _, hard = resource.getrlimit(kind)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))
    return f"{addressable >> 20} MiB" if addressable is not None else "without memory"


def _landlock() -> str:
    """A ruleset that handles every right the kernel knows and grants none."""
    library = _library()
    version = library.syscall(
        _SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_CREATE_RULESET_VERSION
    )
    if version <= 0:
        raise Missing("the kernel has none")
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    network = 0b11 if version >= 4 else 0  # bind and connect over TCP
    scoped = 0b11 if version >= 6 else 0  # abstract Unix sockets, signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("QQQ", files, network, scoped)[:size]
    ruleset = library.syscall(_SYS_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        if library.syscall(_SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(ruleset)
    return f"version {version}"


def _seccomp() -> str:
    program = _filter()
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header, len(header)))
    return f"{len(allowed_numbers())} system calls allowed"


def _machine() -> tuple[int, int]:
    bits = 8 * struct.calcsize("P")
    if platform.machine() not in _MACHINES or bits != 64:
        raise Missing(f"no table of system calls for {platform.machine()}, {bits} bit")
    return _MACHINES[platform.machine()]


@cache
def _filter() -> bytes:
    """The allow-list as a classic BPF program (struct sock_filter: code, jump if true, jump if false, k)."""
    arch, column = _machine()
    program: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_IF_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _RET_KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IF_ABOVE, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _RET_KILL_PROCESS),
    ]
    for numbers in _ALLOWED.values():
        number = numbers[column]
        if number is not None:
            program += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _RET_ALLOW)]
    for numbers in _ALLOWED_UNLESS_EXECUTABLE.values():
        program += [
            (_IF_EQUAL, 0, 4, numbers[column]),
            (_LOAD, 0, 0, _THIRD_ARGUMENT_AT),
            (_IF_BITS, 0, 1, _PROT_EXEC),
            (_RETURN, 0, 0, _RET_ERRNO | _EPERM),
            (_RETURN, 0, 0, _RET_ALLOW),
        ]
    program += [
        (_IF_EQUAL, 0, 2 + len(_FUTEX_ALLOWED), _FUTEX[column]),  # to the refusal
        (_LOAD, 0, 0, _SECOND_ARGUMENT_AT),
        (_AND, 0, 0, _FUTEX_OPERATION),
    ]
    for left, operation in zip(range(len(_FUTEX_ALLOWED) - 1, -1, -1), _FUTEX_ALLOWED, strict=True):
        program.append((_IF_EQUAL, left + 1, 0, operation))
    program += [(_RETURN, 0, 0, _RET_ERRNO | _EPERM), (_RETURN, 0, 0, _RET_ALLOW)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


# ---- macOS


def _seatbelt() -> str:
    """sandbox_init(3), kSBXProfilePureComputation: no file, no network, no other process."""
    named = 1
    library = ctypes.CDLL("/usr/lib/libSystem.B.dylib")
    error = ctypes.c_char_p()
    if library.sandbox_init(b"pure-computation", ctypes.c_uint64(named), ctypes.byref(error)) != 0:
        raise Missing((error.value or b"refused").decode(errors="replace"))
    return "pure-computation"


KEEPS_NO_MEMORY_LIMIT = sys.platform == "darwin"


def resident(pid: int) -> int:
    """Bytes of memory that a process uses: proc_pidinfo(PROC_PIDTASKINFO) of libproc.  0 for one that is
    gone."""
    task_info, size = 4, 96  # struct proc_taskinfo: the virtual size, the resident size, ...
    buffer = ctypes.create_string_buffer(size)
    library = ctypes.CDLL("/usr/lib/libproc.dylib")
    if library.proc_pidinfo(pid, task_info, ctypes.c_uint64(0), buffer, size) != size:
        return 0
    return int(struct.unpack_from("QQ", buffer)[1])
