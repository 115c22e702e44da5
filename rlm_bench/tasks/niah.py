"""A needle in a haystack (RULER's S-NIAH): one sentence that is asked for, anywhere in a text of any length.

Needles are RULER's sentence; `number5`, `fact` and `code` are the forms of the earlier reproduction, for
re-running it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from rlm_bench import prose
from rlm_bench.samples import Sample, flat, rng
from rlm_bench.tasks.haystacks import fresh, haystack, known, random_uuid, shaped
from rlm_bench.tasks.placing import across, parse, place
from rlm_bench.tasks.task import Draft, Params, Task, find, one_of, positive

DIGITS, ALNUM = "0123456789", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
KINDS = ("number7", "uuid", "word", "phrase", "code12", "number5", "fact", "code")
NOUN = {"number7": "number", "uuid": "uuid", "word": "word", "phrase": "phrase", "code12": "code"}

# The earlier reproduction's needles, word for word.
SEED_NUMBER = "The secret magic number is {value}. Remember this."
SEED_CODE = "# IMPORTANT: The system password is: {value}"
SEED_FACTS = (
    (
        "The capital of the fictional country Zephyria is Crystalton.",
        "What is the capital of Zephyria?",
        "Crystalton",
    ),
    (
        "Professor Xander invented the quantum toaster in 2087.",
        "What did Professor Xander invent?",
        "quantum toaster",
    ),
    (
        "The code name for the project was 'Blue Phoenix'.",
        "What was the code name for the project?",
        "Blue Phoenix",
    ),
    ("Agent Smith's favorite color is ultraviolet.", "What is Agent Smith's favorite color?", "ultraviolet"),
)


def code12(chance: random.Random) -> str:
    """Twelve letters and digits, some of each, so that it is no word and no number."""
    while True:
        made = "".join(chance.choices(ALNUM, k=12))
        if any(c.isdigit() for c in made) and any(c.isalpha() for c in made):
            return made


def value_of(kind: str, chance: random.Random) -> str:
    if kind == "number7":
        return str(chance.randint(10**6, 10**7 - 1))
    if kind == "number5":
        return str(chance.randint(10**4, 10**5 - 1))
    if kind == "uuid":
        return random_uuid(chance)
    if kind == "word":
        return prose.invented(chance)
    if kind == "phrase":
        return f"{prose.invented(chance)} {prose.invented(chance, 2)} {prose.invented(chance, 2)}"
    return code12(chance)


def sentence(kind: str, key: str, value: str) -> str:
    return f"One of the special magic {NOUN[kind]}s for {key} is: {value}."


def question(kind: str, key: str) -> str:
    return (
        f"What is the special magic {NOUN[kind]} for {key} mentioned in the provided text? "
        "Answer with the value only."
    )


def needle_of(
    kind: str, hay: str, key_of: Callable[[], str], chance: random.Random
) -> tuple[str, str, str, str]:
    """Sentence, question, value and key: none of them in the haystack."""
    if kind == "fact":
        needle, query, value = chance.choice(SEED_FACTS)
        return needle, query, value, ""
    value = fresh(lambda: value_of(kind, chance), hay)
    if kind == "number5":
        return (
            SEED_NUMBER.format(value=value),
            "What is the secret magic number mentioned in the context?",
            value,
            "",
        )
    if kind == "code":
        return (
            SEED_CODE.format(value=value),
            "What is the system password mentioned in the context?",
            value,
            "",
        )
    key = fresh(key_of, hay)
    return sentence(kind, key, value), question(kind, key), value, key


def build(params: Params, seed: int, index: int) -> Draft:
    size = positive(params, "size", 1_000)
    name, kind = known(params), one_of(params, "needle", KINDS)
    chance = rng("niah", params, seed, index)
    pos = chance.randint(0, 40) / 40 if params["pos"] == "random" else parse(params["pos"])
    hay = haystack(name, chance, size - 100, spare=1_000)

    def key() -> str:
        return random_uuid(chance) if name == "uuids" else prose.key(chance, 1 + (name == "needles"))

    needle, query, value, key_ = needle_of(kind, hay.text, key, chance)
    if isinstance(pos, str) and pos != "tail":
        text, positions = across(hay, needle, pos, size, chance)
    else:
        text, positions = place(hay.within(size - len(needle)), [(pos, needle)])
    return Draft(
        context=shaped(name, text),
        query=query,
        answer=value,
        answer_type={"number5": "number", "number7": "number", "code": "code12", "fact": "phrase"}.get(
            kind, kind
        ),
        scorer="value",
        meta={"positions": positions, "needles": [needle], "keys": [key_] if key_ else []},
    )


FORMS = (
    (r"special magic \w+ for (\S+) mentioned", r"special magic \w+ for {key} is: (.+?)\.(?!\w)"),
    (r"secret (magic) number", r"The secret magic number is (\d+)\."),
    (r"system (password)", r"The system password is: (\w+)"),
)


def solve(sample: Sample) -> Any:
    """Finds the sentence of the form that the question asks for."""
    text = flat(sample.context)
    for needle, query, value in SEED_FACTS:
        if query == sample.query:
            return value if needle in text else None
    return find(FORMS, sample.query, text)


TASK = Task(
    name="niah",
    version=1,
    defaults={"size": 10_000, "haystack": "prose", "needle": "number7", "pos": 0.5},
    build=build,
    solve=solve,
    guess=solve,
)
