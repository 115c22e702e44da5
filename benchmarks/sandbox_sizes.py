"""What the sandbox costs, by the size of the context.

    python benchmarks/sandbox_sizes.py            # 1M, 10M and 100M characters
    python benchmarks/sandbox_sizes.py --large    # 1G as well: takes 8 GB of memory

Memory is that of all the sandbox's processes and of the files in memory between them, over what there was
before: each process's proportional share (PSS), and files that none has mapped.  "while loading" is the
highest of samples taken every few milliseconds.  Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from memory import Peak, used

from rlm_core.sandbox import LocalSandbox
from rlm_core.sandbox.host import LocalSession
from rlm_core.sandbox.protocol import Done, Execute, HostCall, Repl, Resume
from rlm_core.sandbox.sandbox import next_frame

MB = 1_000_000


def main() -> None:
    options = argparse.ArgumentParser(description="What the sandbox costs, by the size of the context.")
    options.add_argument("--large", action="store_true", help="1,000,000,000 characters as well")
    chosen = options.parse_args()
    with_zygote()
    sizes = [1 * MB, 10 * MB, 100 * MB] + ([1000 * MB] if chosen.large else [])
    contexts()
    for size in sizes:
        context(f"{size // MB:>4}M ASCII", "needle hay " * (size // 11))
    context(" 100M Latin-1", "nédle häy " * (10 * MB))
    context(" 100M CJK", "中文文本一二三四五六" * (10 * MB))
    context(" 100M, one emoji", "needle hay " * (100 * MB // 11) + "😀")
    context("  1M records", [{"id": i, "name": f"name {i}", "tags": ["a", "b"]} for i in range(200_000)])
    steps()


def with_zygote() -> None:
    started = time.perf_counter()
    sandbox = LocalSandbox()
    sandbox.open({}, Repl())
    print(f"the first session in a process, zygote's start included: {ms(started)}")
    sandbox.close()
    started = time.perf_counter()
    sandbox = LocalSandbox()
    sandbox.open({}, Repl())
    print(f"a further run's first session: {ms(started)}\n")
    sandbox.close()


def contexts() -> None:
    print(f"{'context':<18}{'MB':>7}{'first step':>12}{'plain pipe':>12}{'2nd worker':>12}", end="")
    print(f"{'while loading':>16}{'after':>8}{'with 2nd':>10}   (memory: times the context's own size)")


def context(name: str, value: Any) -> None:
    """From the call to the end of the first step, in a process whose zygote runs, as in all runs but the
    first.  Once for the times, and once more for the memory: looking at it takes time."""
    size = footprint(value)
    inputs = {"context": value}
    first, further, sandbox = timed(inputs)
    sandbox.close()
    before = used(os.getpid())
    with Peak(os.getpid()) as peak:
        *_, sandbox = timed(inputs, further=False)
    after = used(os.getpid())
    run(sandbox.open(inputs, Repl()), "print(len(context))")
    both = used(os.getpid())
    sandbox.close()
    pipe = through_a_pipe(value) if isinstance(value, str) else float("nan")
    print(f"{name:<18}{size / MB:>7.0f}{first:>10.3f} s{pipe:>10.3f} s{further:>10.3f} s", end="")
    loading, loaded, shared = ((now - before) / size for now in (peak.highest, after, both))
    print(f"{loading:>15.2f}x{loaded:>7.2f}x{shared:>9.2f}x")


def timed(inputs: dict[str, Any], further: bool = True) -> tuple[float, float, LocalSandbox]:
    sandbox = LocalSandbox()
    started = time.perf_counter()
    run(sandbox.open(inputs, Repl()), "print(len(context))")
    first = time.perf_counter() - started
    if not further:
        return first, 0.0, sandbox
    started = time.perf_counter()
    run(sandbox.open(inputs, Repl()), "print(len(context))")
    return first, time.perf_counter() - started, sandbox


def footprint(value: Any) -> int:
    """Bytes that a value takes in memory."""
    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(footprint(item) for item in value.values())
    if isinstance(value, list):
        return sys.getsizeof(value) + sum(map(footprint, value))
    return sys.getsizeof(value)


def through_a_pipe(text: str) -> float:
    """The same text to a bare Python of its own, which decodes it: what no design can avoid, interpreter's
    start included."""
    code = "import sys; print(len(sys.stdin.buffer.read().decode('utf-8', 'surrogatepass')))"
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        input=text.encode("utf-8", "surrogatepass"),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def steps() -> None:
    prompts = ["p" * 1_000] * 10_000
    sandbox = LocalSandbox()
    session = sandbox.open({"prompts": prompts}, Repl(tools=("ask",)))
    print()
    per("a step's round trip", 1_000, lambda count: [run(session, "pass") for _ in range(count)])
    per(
        "a call to the host",
        10_000,
        lambda count: run(session, f"for _ in range({count}): ask('x')"),
    )
    per(
        "a batch of 10,000 prompts of 1,000 characters, and as many answers",
        5,
        lambda count: [run(session, "x = ask(prompts)") for _ in range(count)],
    )
    sandbox.close()


# ---- measuring


def run(session: LocalSession, code: str) -> Done:
    session.send(Execute(code, 60))
    while isinstance(frame := next_frame(session), HostCall):
        session.send(Resume(frame.args[0]))  # the tool `ask` gives back what it got
    if frame.error:
        raise RuntimeError(frame.error)
    return frame


def per(what: str, count: int, do: Callable[[int], Any]) -> None:
    do(max(1, count // 10))
    started = time.perf_counter()
    do(count)
    took = (time.perf_counter() - started) / count
    print(f"{what}: {took * 1e6:.0f} µs" if took < 1e-3 else f"{what}: {took * 1e3:.1f} ms")


def ms(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1e3:.0f} ms"


if __name__ == "__main__":
    main()
