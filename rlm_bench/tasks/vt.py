"""Variable tracking (RULER's VT): chains of assignments, and which variables end up with a given value.

The lines of a chain are in order, and far apart. Other chains hold other values: what they name counts
against.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

from rlm_bench.samples import Sample, flat, rng
from rlm_bench.tasks.haystacks import haystack
from rlm_bench.tasks.placing import place
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = 4  # of a value that chains differ in


def distinct(chance: random.Random, alphabet: str, width: int, count: int) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(chance.choices(alphabet, k=width))] = None
    return list(made)


def build(params: Params, seed: int, index: int) -> Draft:
    size, hops = positive(params, "size", 1_000), positive(params, "hops")
    chains = positive(params, "chains", most=10**DIGITS)
    length = chains * (len("VAR ABCDE = 12345") + 2 + hops * (len("VAR ABCDE = VAR FGHIJ") + 2))
    if length > size:
        raise ValueError(f"size={size}: {chains} chains of {hops} hops need {length} characters")
    chance = rng("vt", params, seed, index)
    names = distinct(chance, CAPITALS, 5, chains * (hops + 1))
    values = [f"{chance.randint(1, 9)}{rest}" for rest in distinct(chance, "0123456789", DIGITS, chains)]
    lines: list[tuple[float, str]] = []
    for c in range(chains):
        mine = names[c * (hops + 1) : (c + 1) * (hops + 1)]
        told = [f"VAR {mine[0]} = {values[c]}", *(f"VAR {b} = VAR {a}" for a, b in pairwise(mine))]
        lines += zip(sorted(chance.random() for _ in told), told, strict=True)
    lines.sort()
    hay = haystack(one_of(params, "haystack", ("noise", "prose")), chance, size - length)
    inline = hay.mark != "\n"  # then a line of its own each
    text, positions = place(replace(hay, before="\n" if inline else "", after="\n"), lines)
    answer = names[: hops + 1]
    chosen = [i for i, (_, line) in enumerate(lines) if line.split()[1] in answer]
    return Draft(
        context=text,
        query=f"Find all variables that are assigned the value {values[0]} in the text above, directly or "
        "through other variables. Answer with their names only, separated by commas.",
        answer=answer,
        answer_type="variable",
        scorer="set",
        meta={
            "positions": [positions[i] for i in chosen],
            "needles": [lines[i][1] for i in chosen],
            "decoys": dict.fromkeys(names[hops + 1 :], "other_chain"),
            "keys": [values[0]],
        },
    )


def solve(sample: Sample) -> Any:
    asked = re.search(r"value (\d+)", sample.query)
    held: dict[str, str] = {}
    for name, variable, value in re.findall(
        r"VAR ([A-Z]{5}) = (?:VAR ([A-Z]{5})|(\d+))", flat(sample.context)
    ):
        held[name] = held.get(variable, "") if variable else value
    return [name for name, value in held.items() if asked and value == asked[1]]


def guess(sample: Sample) -> Any:
    """One hop: what a search for the value itself shows."""
    asked = re.search(r"value (\d+)", sample.query)
    return re.findall(rf"VAR ([A-Z]{{5}}) = {asked[1]}", flat(sample.context)) if asked else None


TASK = Task(
    name="vt",
    version=1,
    defaults={"size": 10_000, "chains": 1, "hops": 4, "haystack": "noise"},
    build=build,
    solve=solve,
    guess=guess,
)
