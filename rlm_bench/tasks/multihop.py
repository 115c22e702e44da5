"""Several facts for one answer.

table  people with dogs, colours, managers and cities: 1 to 3 hops, in one block or scattered over the text
chain  2 to 6 facts about invented people, each in a sentence of its own, in any order
state  who moved where, over and over: the last move counts
"""

from __future__ import annotations

import random
import re
from typing import Any

from rlm_bench import prose
from rlm_bench.samples import BuildError, Sample, flat, rng
from rlm_bench.tasks.haystacks import haystack
from rlm_bench.tasks.placing import place
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

COLOURS = [
    "amber",
    "azure",
    "beige",
    "black",
    "blue",
    "brown",
    "crimson",
    "cyan",
    "gold",
    "green",
    "grey",
    "indigo",
    "ivory",
    "jade",
    "lilac",
    "lime",
]
CITIES = [
    "Arlen",
    "Bruvik",
    "Caldas",
    "Dorsel",
    "Elmira",
    "Fundao",
    "Gorna",
    "Halden",
    "Istad",
    "Jarrow",
    "Kelso",
    "Lorca",
    "Mirzec",
    "Nelas",
    "Orsova",
]
ROOMS = [
    "kitchen",
    "attic",
    "cellar",
    "library",
    "workshop",
    "garden",
    "stable",
    "pantry",
    "chapel",
    "observatory",
    "greenhouse",
    "garage",
]
RELATIONS = (
    "mentor",
    "tutor",
    "landlord",
    "rival",
    "heir",
    "employer",
    "biographer",
    "godparent",
    "physician",
)


FIRST_NAMES = (14 * 5) ** 2 * 6
"""So many words of two syllables does `prose.invented` have."""


def people(chance: random.Random, count: int) -> list[str]:
    """Full names of nobody, all different in both parts.  ValueError for more than there are."""
    if count > FIRST_NAMES:
        raise ValueError(f"there are names for {FIRST_NAMES} people at most, not for {count}")
    made: dict[str, str] = {}
    lasts: set[str] = set()
    while len(made) < count:
        first, last = (prose.invented(chance, 2).capitalize(), prose.invented(chance, 3).capitalize())
        if first not in made and last not in lasts:
            made[first] = last
            lasts.add(last)
    return [f"{first} {last}" for first, last in made.items()]


def table(params: Params, chance: random.Random, size: int, hops: int) -> Draft:
    count = positive(params, "people", 2)
    names = people(chance, count)
    dogs = [chance.randint(0, max(7, count // 2)) for _ in names]
    top = chance.randrange(count)
    dogs[top] = max(dogs) + 1
    managers = [
        chance.choice([name for name in names if name != me] if count < 20 else names) for me in names
    ]
    colours = [chance.choice(COLOURS) for _ in names]
    cities = [chance.choice(CITIES) for _ in names]
    lines = [
        f"{name}: {dogs[i]} dogs, favorite={colours[i]}, manager={managers[i]}, city={cities[i]}"
        for i, name in enumerate(names)
    ]
    length = sum(len(line) + 2 for line in lines) + 40
    if length > size:
        raise ValueError(f"size={size}: a table of {count} people needs {length} characters")
    hay = haystack("prose", chance, size - length)
    if one_of(params, "layout", ("block", "scattered")) == "block":
        block = "\n=== Database ===\n" + "\n".join(lines) + "\n=== End ===\n"
        text, _ = place(hay, [(chance.random(), block)])
    else:
        spots = sorted(chance.random() for _ in lines)
        told = [(spot, f"\n{line}\n") for spot, line in zip(spots, lines, strict=True)]
        text, _ = place(hay, told)
    needles = list[int]()  # lines without which there is no answer; without the top's, another is the top
    if hops == 1:
        me = chance.randrange(count)
        query, answer, needles = f"What is the favorite color of {names[me]}?", colours[me], [me]
    elif hops == 2:
        query, answer = "What is the favorite color of the person with the most dogs?", colours[top]
    else:
        query = "In which city is the manager of the person with the most dogs?"
        boss = names.index(managers[top])
        answer, needles = cities[boss], [] if boss == top else [boss]
    meta = {"hops": hops, "needles": [lines[n] for n in needles], "elsewhere": True}  # as others' colours are
    return Draft(text, f"{query} Answer with one word.", answer, "word", "text", meta)


def chain(params: Params, chance: random.Random, size: int, hops: int, index: int) -> Draft:
    if not 2 <= hops <= 6:
        raise ValueError(f"hops={hops}: a chain has 2 to 6")
    names = people(chance, hops + 1 + 8 * hops)
    path, others = names[: hops + 1], names[hops + 1 :]
    relations = [chance.choice(RELATIONS) for _ in range(hops)]
    facts = [f"The {relations[i]} of {path[i]} is {path[i + 1]}." for i in range(hops)]
    told = {(path[i], relations[i]) for i in range(hops)}
    noise = []
    for name in others:  # the same relations between others, and other relations of those on the path
        subject = chance.choice((name, chance.choice(path)))
        relation = chance.choice(RELATIONS)
        if (subject, relation) not in told:
            told.add((subject, relation))
            noise.append(
                f"The {relation} of {subject} is {chance.choice([o for o in others if o != subject])}."
            )
    spots = [chance.random() * 0.94 for _ in facts]
    if index % 2:  # the last hop lies at the end of the text in half of the samples
        spots[-1] = 0.95 + chance.random() * 0.05
    length = sum(len(fact) + 1 for fact in facts + noise)
    if length > size:
        raise ValueError(f"size={size}: {hops} hops need {length} characters")
    hay = haystack("prose", chance, size - length)
    pairs = [*zip(spots, facts, strict=True), *((chance.random(), fact) for fact in noise)]
    text, positions = place(hay, pairs)
    asked = path[0]
    for relation in relations:
        asked = f"the {relation} of {asked}"
    return Draft(
        context=text,
        query=f"Who is {asked}? Answer with the name only.",
        answer=path[-1],
        answer_type="name",
        scorer="text",
        meta={
            "positions": positions[:hops],
            "needles": facts,
            "elsewhere": True,  # the last of the chain may be told other things of
            "decoys": dict.fromkeys(path[1:-1], "too_few_hops"),
            "hops": hops,
        },
    )


def state(params: Params, chance: random.Random, size: int, index: int) -> Draft:
    moves = positive(params, "moves", 2, most=size // len("Xy moved to the attic."))
    names = [name.split()[0] for name in people(chance, max(3, min(12, moves // 4)))]
    told = [(chance.choice(names), chance.choice(ROOMS)) for _ in range(moves)]
    asked = chance.choice(sorted({name for name, _ in told}))
    if index % 2:  # the latest move is the last words of the text in half of the samples
        told[-1] = (asked, told[-1][1])
    sentences = [f"{name} moved to the {room}." for name, room in told]
    length = sum(len(sentence) + 1 for sentence in sentences)
    if length > size:
        raise ValueError(f"size={size}: {moves} moves need {length} characters")
    spots: list[float | str] = sorted(chance.random() for _ in sentences)
    if index % 2:
        spots[-1] = 1.0
    text, positions = place(
        haystack("prose", chance, size - length), list(zip(spots, sentences, strict=True))
    )
    last = max(i for i, (name, _) in enumerate(told) if name == asked)
    return Draft(
        context=text,
        query=f"Where is {asked} at the end of the text? Answer with the name of the place only.",
        answer=told[last][1],
        answer_type="word",
        scorer="text",
        meta={
            "positions": [positions[last]],
            "needles": [sentences[last]] if sentences.count(sentences[last]) == 1 else [],
            "elsewhere": True,  # others are there too
            "decoys": {room: "stale" for name, room in told if name == asked and room != told[last][1]},
            "keys": [asked],
        },
    )


def build(params: Params, seed: int, index: int) -> Draft:
    size, kind = positive(params, "size", 1_000), one_of(params, "kind", ("table", "chain", "state"))
    chance = rng("multihop", params, seed, index)
    if kind == "state":
        return state(params, chance, size, index)
    hops = positive(params, "hops")
    if kind == "chain":
        return chain(params, chance, size, hops, index)
    if hops > 3:
        raise ValueError(f"hops={hops}: a table has 1 to 3")
    return table(params, chance, size, hops)


ROW = re.compile(r"^(\w+ \w+): (\d+) dogs, favorite=(\w+), manager=(\w+ \w+), city=(\w+)$", re.MULTILINE)


def solve(sample: Sample) -> Any:
    text, query = flat(sample.context), sample.query
    if sample.params["kind"] == "state":
        asked = re.search(r"Where is (\w+)", query)
        moves = re.findall(rf"{asked[1]} moved to the (\w+)\.", text) if asked else []
        return moves[-1] if moves else None
    if sample.params["kind"] == "chain":
        facts: dict[tuple[str, str], str] = {}
        for relation, subject, other in re.findall(r"The (\w+) of (\w+ \w+) is (\w+ \w+)\.", text):
            if facts.setdefault((subject, relation), other) != other:
                raise BuildError(f"{subject} has two of {relation}: the path is not unique")
        relations = re.findall(r"the (\w+) of", query)[::-1]
        who = re.search(r"of (\w+ \w+)\?", query)
        name = who[1] if who else ""
        for relation in relations:
            name = facts.get((name, relation), "")
        return name or None
    rows = {name: (int(dogs), colour, boss, city) for name, dogs, colour, boss, city in ROW.findall(text)}
    if one := re.search(r"color of (\w+ \w+)\?", query):
        return rows[one[1]][1] if one[1] in rows else None
    top = max(rows.values())
    if sum(row[0] == top[0] for row in rows.values()) != 1:
        raise BuildError("two have the most dogs")
    if "color" in query:
        return top[1]
    return rows[top[2]][3] if top[2] in rows else None


def guess(sample: Sample) -> Any:
    """The last capitalised word or value in the first sentence that names the question's own name: one
    hop."""
    text = flat(sample.context)
    if sample.params["kind"] == "state":
        asked = re.search(r"Where is (\w+)", sample.query)
        found = re.search(rf"{asked[1]} moved to the (\w+)\.", text) if asked else None
    elif sample.params["kind"] == "chain":
        asked = re.search(r"the (\w+ of \w+ \w+)\?", sample.query)
        found = re.search(rf"The {asked[1]} is (\w+ \w+)\.", text) if asked else None
    else:
        asked = re.search(r"color of (\w+ \w+)\?", sample.query)
        found = re.search(rf"^{asked[1]}: .*favorite=(\w+)", text, re.MULTILINE) if asked else None
    return found[1] if found else None


TASK = Task(
    name="multihop",
    version=1,
    defaults={"size": 10_000, "kind": "table", "hops": 2, "people": 50, "layout": "scattered", "moves": 50},
    build=build,
    solve=solve,
    guess=guess,
)
