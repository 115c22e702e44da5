"""What the language wall costs: the same code behind it and in plain Python, side by side.

    python benchmarks/language_wall.py

Each loop runs in turns with and without the wall.  Times are of the processor, and the ratio is the median
over such pairs, as other work on the machine slows both.  The first loop is the measure (attribute reads,
item updates and calls: at most 1.2 times plain); the others show where the wall has a price.
"""

from __future__ import annotations

import statistics
import textwrap
import time
from typing import Any

from rlm_core.sandbox.namespace import make_globals
from rlm_core.sandbox.policy import compile_cell

ROUNDS = 41
LIMIT = 1.2
MEASURE = "attribute reads, item updates and calls"

LOOPS = {
    MEASURE: """
        class Record:
            def __init__(self, words):
                self.words = words
                self.count = 0
            def size(self, more):
                return len(self.words) + self.count + more
        def run():
            counts, total, r = {}, 0, Record(["a", "b"])
            for i in range(20_000):
                k = i % 100
                counts[k] = counts.get(k, 0) + 1
                counts[k] += len(r.words) + r.count
                total += r.size(k)
            return total
    """,
    "text: split, regex, strip, join": """
        import re
        text = "user=u1 | amount=12.50 | label=spam ID: 17\\n" * 300
        def run():
            found = []
            for line in text.splitlines():
                m = re.search(r"ID:\\s*(\\d+)", line)
                parts = [p.strip().split("=") for p in line.split("|")]
                found.append((m.group(1), parts[0][1].upper(), "-".join(parts[1])))
            return len(found)
    """,
    "Counter and defaultdict": """
        from collections import Counter, defaultdict
        words = ["alpha", "beta", "gamma", "delta"] * 500
        def run():
            c, groups = Counter(), defaultdict(list)
            for w in words:
                c[w] += 1
                groups[w[0]].append(w)
            return c.most_common(1)
    """,
    "comprehensions and sorting": """
        def run():
            rows = [{"n": i * 7 % 101, "s": str(i)} for i in range(3_000)]
            by_text = {r["s"]: r["n"] for r in rows if r["n"] % 2}
            return sorted(rows, key=lambda r: (r["n"], r["s"]))[0], len(by_text)
    """,
    "attribute writes (guarded)": """
        class Box:
            pass
        def run():
            b = Box()
            b.n = 0
            for i in range(10_000):
                b.n += i
                b.last = i
            return b.n
    """,
    "private attributes (guarded)": """
        class Box:
            def __init__(self):
                self._n = 0
            def add(self, x):
                self._n = self._n + x
        def run():
            b = Box()
            for i in range(10_000):
                b.add(i)
            return b._n
    """,
    "str.format of a literal": """
        def run():
            for i in range(3_000):
                s = "{}: {:>5} {name}".format(i, i, name="x")
            return s
    """,
    "str.format of a variable (guarded)": """
        template = "{}: {:>5} {name}"
        def run():
            for i in range(3_000):
                s = template.format(i, i, name="x")
            return s
    """,
}


def plain(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec", dont_inherit=True), names)
    return names


def walled(source: str) -> dict[str, Any]:
    names = make_globals(lambda text: None)
    exec(compile_cell(source), names)
    return names


def seconds(names: dict[str, Any]) -> float:
    run = names["run"]
    began = time.process_time()
    run()
    return time.process_time() - began


def compare(source: str) -> tuple[float, float, float]:
    """Seconds of one run in plain Python and behind the wall, and the ratio."""
    source = textwrap.dedent(source)
    sides = plain(source), walled(source)
    assert sides[0]["run"]() == sides[1]["run"]()
    pairs = [tuple(seconds(side) for side in sides) for _ in range(ROUNDS)]
    return min(p[0] for p in pairs), min(p[1] for p in pairs), statistics.median(p[1] / p[0] for p in pairs)


def main() -> None:
    began = time.process_time()
    make_globals(lambda text: None)
    print(f"first namespace, with all modules: {1e3 * (time.process_time() - began):8.1f} ms")
    began = time.process_time()
    make_globals(lambda text: None)
    print(f"every further one:                 {1e3 * (time.process_time() - began):8.2f} ms")
    source = textwrap.dedent(LOOPS["text: split, regex, strip, join"])
    began = time.process_time()
    compile_cell(source)
    print(f"compiling a cell of ten lines:     {1e3 * (time.process_time() - began):8.2f} ms\n")
    print(f"{'':42}{'plain ms':>9}{'walled ms':>11}{'ratio':>8}")
    for name, loop in LOOPS.items():
        before, behind, ratio = compare(loop)
        verdict = f"  at most {LIMIT}: {'yes' if ratio <= LIMIT else 'NO'}" if name == MEASURE else ""
        print(f"{name:42}{1e3 * before:9.2f}{1e3 * behind:11.2f}{ratio:8.2f}{verdict}")


if __name__ == "__main__":
    main()
