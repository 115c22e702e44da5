"""The earlier reproduction's two aggregation tasks, in its own words and shape.

counting    "[Observation: Found a apple in this section.]", one to three times in sections chosen at random
comparison  the largest of the "** entity metric: value **" lines; lines "- entity metric: value" are not
meant

In the original a line that was not meant could hold the larger value, so that its answer was a matter of
reading. Here those stay below 1,000 and the others do not.
"""

from __future__ import annotations

import random
import re
from typing import Any

from rlm_bench import prose
from rlm_bench.samples import Sample, flat, rng
from rlm_bench.tasks.haystacks import words
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

THINGS = ["apple", "banana", "cherry", "grape", "lemon", "mango", "orange", "peach", "pear", "plum"]
ENTITIES = ("Alpha Corp", "Beta Inc", "Gamma LLC", "Delta Co", "Epsilon Ltd", "Zeta Group", "Eta Partners")
METRICS = ("Revenue", "Growth", "Profit", "Headcount", "Output")


def filler(chance: random.Random, chars: int) -> str:
    return words(chance, chars).text.strip()


def build(params: Params, seed: int, index: int) -> Draft:
    size, kind = positive(params, "size", 1_000), one_of(params, "kind", ("both", "counting", "comparison"))
    chance = rng("aggregation", params, seed, index)
    if kind == "both":
        kind = ("counting", "comparison")[index % 2]
    sections = max(4, min(200, size // 1_000))
    body = max(50, size // sections - (220 if kind == "comparison" else 160))
    parts: list[str] = []
    if kind == "counting":
        thing, total = chance.choice(THINGS), 0
        others = [other for other in THINGS if other != thing]
        chosen = set(chance.sample(range(sections), max(1, sections // 3)))
        for n in range(sections):
            lines = [f"## Section {n + 1}"]
            found = chance.randint(1, 3) if n in chosen else 0
            total += found
            marks = [thing] * found + [chance.choice(others)] * chance.randint(0, 1)
            chance.shuffle(marks)
            share = body // (len(marks) + 1)
            for mark in marks:
                lines += [filler(chance, share), f"[Observation: Found a {mark} in this section.]"]
            parts.append("\n".join([*lines, filler(chance, share)]))
        query = f"How many times is '{thing}' mentioned in the observations? Answer with the number only."
        answer, meta = total, {"keys": [thing]}
    else:
        metric, best = chance.choice(METRICS), 0
        rows = chance.sample(range(1_000, 10_000), sections)
        for n in range(sections):
            best = max(best, rows[n])
            entity = f"{chance.choice(ENTITIES)} {prose.invented(chance, 2).capitalize()}"
            other = f"{chance.choice(ENTITIES)} {prose.invented(chance, 2).capitalize()}"
            parts.append(
                f"## Section {n + 1}\n{filler(chance, body // 2)}\n** {entity} {metric}: {rows[n]} **\n"
                f"- {other} {metric}: {chance.randint(10, 999)}\n{filler(chance, body // 2)}"
            )
        query = (
            f"What is the highest {metric} value among the lines that are marked with ** on both sides? "
            "Answer with the number only."
        )
        answer, meta = best, {"keys": [metric]}
    return Draft("\n\n".join(parts), query, answer, "count", "integer", {**meta, "kind": kind})


def solve(sample: Sample) -> Any:
    text = flat(sample.context)
    if thing := re.search(r"'(\w+)' mentioned", sample.query):
        return len(re.findall(rf"\[Observation: Found a {thing[1]} in this section\.\]", text))
    metric = re.search(r"highest (\w+) value", sample.query)
    return max(int(v) for v in re.findall(rf"\*\* .+ {metric[1] if metric else ''}: (\d+) \*\*", text))


def guess(sample: Sample) -> Any:
    """Every whole word, or the largest number of the text: no look at what is marked."""
    text = flat(sample.context)
    if thing := re.search(r"'(\w+)' mentioned", sample.query):
        return len(re.findall(rf"\b{thing[1]}\b", text))
    return max(map(int, re.findall(r"\d+", text)))


TASK = Task(
    name="aggregation",
    version=1,
    defaults={"size": 10_000, "kind": "both"},
    build=build,
    solve=solve,
    guess=guess,
)
