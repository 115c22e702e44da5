"""Counting and reducing over the whole text: nothing may be skipped, and no single place holds the answer.

literal      a word, in this spelling only: longer words, capitals and plurals do not count
conditional  sections that mention both of two things
distinct     different visitors among many visits
argmax       the section with the most of something
sum, max     of "** entity metric: value **" lines, among others of other metrics
window       entries between two dates
cwe          the ten commonest words of a list (RULER): 30 times each, the others 3 times
fwe          the three commonest of coded words, zeta distributed (RULER), the very first being a row of dots
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from rlm_bench import prose
from rlm_bench.samples import Sample, flat, rng
from rlm_bench.tasks.haystacks import haystack
from rlm_bench.tasks.multihop import people
from rlm_bench.tasks.placing import place
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

NUMBER_ONLY = "Answer with the number only."


def scatter(chance: random.Random, size: int, sentences: list[str]) -> str:
    """The sentences in random order, each a unit of its own, among prose."""
    chance.shuffle(sentences)
    length = sum(len(sentence) + 1 for sentence in sentences)
    if length > size:
        raise ValueError(
            f"size={size}: what is to be counted needs {length} characters; give a smaller many="
        )
    hay = haystack("prose", chance, size - length)
    return place(hay, [(chance.random(), sentence) for sentence in sentences])[0]


def sections(chance: random.Random, size: int, told: list[list[str]]) -> str:
    """Numbered sections of prose, each with its sentences in it."""
    share = size // len(told)
    made = []
    for n, sentences in enumerate(told, 1):
        made.append(f"## Section {n}\n{scatter(chance, share - 20, sentences)}")
    return "\n\n".join(made)


def literal(chance: random.Random, size: int, many: int) -> Draft:
    word = prose.invented(chance)
    near = (word.capitalize(), word + "s", "un" + word, word.upper(), word + "ing")
    count = chance.randint(max(1, many // 2), many)
    told = [f"They spoke of the {word} near {chance.choice(prose.PLACES)}." for _ in range(count)]
    told += [
        f"They spoke of the {chance.choice(near)} near {chance.choice(prose.PLACES)}."
        for _ in range(many // 2)
    ]
    query = (
        f"How many times does the word '{word}' occur in the text? Count it as a whole word in lower case: "
        f"not in capitals, not in the plural and not as a part of longer words. {NUMBER_ONLY}"
    )
    return Draft(scatter(chance, size, told), query, count, "count", "integer", {"keys": [word]})


def conditional(chance: random.Random, size: int, many: int) -> Draft:
    one, other = (prose.invented(chance) for _ in range(2))
    told: list[list[str]] = []
    count = 0
    for _ in range(max(4, size // 800)):
        mine = [word for word in (one, other) if chance.random() < 0.6]
        count += len(mine) == 2
        told.append([f"There was a {word} at {chance.choice(prose.PLACES)}." for word in mine])
    if not count:
        told[0], count = [f"There was a {one}.", f"There was a {other}."], 1
    query = f"How many sections of the text mention both '{one}' and '{other}'? {NUMBER_ONLY}"
    return Draft(sections(chance, size, told), query, count, "count", "integer", {"keys": [one, other]})


def distinct(chance: random.Random, size: int, many: int) -> Draft:
    names = people(chance, max(2, many // 3))
    visits = [*names, *(chance.choice(names) for _ in range(many - len(names)))]
    told = [f"Visitor of {chance.choice(prose.PLACES)}: {name}." for name in visits]
    query = f'How many different visitors are named in the "Visitor of" entries of the text? {NUMBER_ONLY}'
    return Draft(scatter(chance, size, told), query, len(names), "count", "integer")


def argmax(chance: random.Random, size: int, many: int) -> Draft:
    word = prose.invented(chance)
    counts = [chance.randint(0, 3) for _ in range(max(4, size // 1_000))]
    best = chance.randrange(len(counts))
    counts[best] = max(counts) + 1
    told = [[f"A {word} was seen at {chance.choice(prose.PLACES)}." for _ in range(n)] for n in counts]
    query = f"What is the number of the section that mentions '{word}' most often? {NUMBER_ONLY}"
    return Draft(sections(chance, size, told), query, best + 1, "count", "integer", {"keys": [word]})


METRICS = ("revenue", "growth", "profit", "headcount", "output", "emissions", "turnover")
VALUES = range(10, 10_000)


def rows(chance: random.Random, size: int, many: int, kind: str) -> Draft:
    metric = chance.choice(METRICS)
    if many > len(VALUES):
        raise ValueError(f"many={many}: must be at most {len(VALUES)}")
    others = [other for other in METRICS if other != metric]
    values = chance.sample(VALUES, many)
    told = [f"** {prose.key(chance)} {metric}: {value} **" for value in values]
    told += [
        f"** {prose.key(chance)} {chance.choice(others)}: {chance.randint(10, 20_000)} **"
        for _ in range(many)
    ]
    answer = sum(values) if kind == "sum" else max(values)
    what = "sum of all" if kind == "sum" else "largest of the"
    query = (
        f'What is the {what} {metric} values in the text, as in "** name {metric}: value **"? {NUMBER_ONLY}'
    )
    return Draft(scatter(chance, size, told), query, answer, "count", "integer", {"keys": [metric]})


def window(chance: random.Random, size: int, many: int) -> Draft:
    days = [date(2023, 1, 1) + timedelta(chance.randrange(700)) for _ in range(many)]
    first = date(2023, 1, 1) + timedelta(chance.randrange(300))
    last = first + timedelta(chance.randint(90, 390))
    days[0] = first
    told = [f"[{day}] A parcel arrived at {chance.choice(prose.PLACES)}." for day in days]
    count = sum(first <= day <= last for day in days)
    query = f"How many parcels arrived from {first} to {last}, both days included? {NUMBER_ONLY}"
    return Draft(scatter(chance, size, told), query, count, "count", "integer", {"keys": [first, last]})


def cwe(chance: random.Random, size: int, many: int) -> Draft:
    words = list(dict.fromkeys(prose.invented(chance) for _ in range(size // 24 + 10)))
    line = 10 + len(str(size // 14))  # the longest: number, dot, space, word, end
    common, listed = words[:10], words[:10] * 30
    for word in words[10 : 10 + max(0, size // line - 300) // 3]:
        listed += [word] * 3
    chance.shuffle(listed)
    if len(listed) < 330:
        raise ValueError(f"size={size}: the ten words alone need 5,000 characters")
    text = "\n".join(f"{n}. {word}" for n, word in enumerate(listed, 1))
    query = "What are the 10 most common words in the list? Answer with the words only, separated by commas."
    return Draft(text, query, common, "words", "set")


DOTS = "..."


def fwe(chance: random.Random, size: int, many: int) -> Draft:
    vocabulary = [DOTS, *dict.fromkeys(prose.invented(chance, 2) for _ in range(2_000))]
    weights = [1 / rank**2 for rank in range(1, len(vocabulary) + 1)]
    total = size / 4.6 / sum(weights)  # words, dots and spaces; what is too much goes from the rarest
    counted = [max(1, round(weight * total)) for weight in weights]
    for i in range(3, 0, -1):  # no ties among the first four
        counted[i - 1] = max(counted[i - 1], counted[i] + 1)
    listed = [word for word, n in zip(vocabulary, counted, strict=True) for _ in range(n)]
    kept, length = list[str](), 0
    for word in listed:
        length += len(word) + 1
        if length > size:
            break
        kept.append(word)
    chance.shuffle(kept)
    query = (
        "Apart from the row of dots, what are the three most frequent coded words in the above text? "
        "Answer with the words only, separated by commas."
    )
    return Draft(" ".join(kept), query, vocabulary[1:4], "words", "set")


KINDS: dict[str, Callable[[random.Random, int, int], Draft]] = {
    "literal": literal,
    "conditional": conditional,
    "distinct": distinct,
    "argmax": argmax,
    "sum": lambda chance, size, many: rows(chance, size, many, "sum"),
    "max": lambda chance, size, many: rows(chance, size, many, "max"),
    "window": window,
    "cwe": cwe,
    "fwe": fwe,
}


def build(params: Params, seed: int, index: int) -> Draft:
    size, kind = positive(params, "size", 5_000), one_of(params, "kind", ("all", *KINDS))
    chance = rng("count", params, seed, index)
    kind = tuple(KINDS)[index % len(KINDS)] if kind == "all" else kind
    many = max(10, min(2_000, size // 500)) if params["many"] is None else positive(params, "many", 2)
    draft = KINDS[kind](chance, size, many)
    draft.meta["kind"] = kind
    return draft


def solve(sample: Sample) -> Any:
    text, kind = flat(sample.context), sample.meta["kind"]
    quoted = re.findall(r"'(\w+)'", sample.query)
    if kind == "literal":
        return len(re.findall(rf"\b{quoted[0]}\b", text))
    if kind in ("conditional", "argmax"):
        parts = re.split(r"## Section \d+\n", text)[1:]
        if kind == "conditional":
            return sum(all(word in part for word in quoted) for part in parts)
        counts = [part.count(quoted[0]) for part in parts]
        return counts.index(max(counts)) + 1 if counts.count(max(counts)) == 1 else None
    if kind == "distinct":
        return len(set(re.findall(r"Visitor of [^:]+: (\w+ \w+)\.", text)))
    if kind in ("sum", "max"):
        metric = sample.query.split(" values")[0].split()[-1]
        found = [int(value) for value in re.findall(rf"\*\* \S+ {metric}: (\d+) \*\*", text)]
        return sum(found) if kind == "sum" else max(found)
    if kind == "window":
        first, last = re.findall(r"\d{4}-\d\d-\d\d", sample.query)
        return sum(first <= day <= last for day in re.findall(r"\[(\d{4}-\d\d-\d\d)\] A parcel", text))
    counted = Counter(re.findall(r"[a-z]+", text)).most_common(11 if kind == "cwe" else 4)
    most, rest = counted[:-1], counted[-1]
    return [word for word, n in most if n > rest[1]]


def guess(sample: Sample) -> Any:
    """A search without the conditions: any case, any place, any date."""
    text, kind = flat(sample.context), sample.meta["kind"]
    quoted = re.findall(r"'(\w+)'", sample.query)
    if kind == "literal":
        return text.lower().count(quoted[0])
    if kind == "conditional":
        return text.count(quoted[0])
    if kind == "distinct":
        return len(re.findall("Visitor of", text))
    if kind == "window":
        return len(re.findall(r"A parcel arrived", text))
    if kind in ("sum", "max"):
        found = [int(value) for value in re.findall(r": (\d+) \*\*", text)]
        return sum(found) if kind == "sum" else max(found)
    return None if kind == "argmax" else solve(sample)


TASK = Task(
    name="count",
    version=1,
    defaults={"size": 10_000, "kind": "all", "many": None},
    build=build,
    solve=solve,
    guess=guess,
)
