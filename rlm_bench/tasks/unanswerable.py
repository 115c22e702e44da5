"""Questions that the text does not answer, each with a twin that it does: an even index and the odd one after
it.

The twins' texts differ in the needle alone, and their question is the same. What a method gains by abstaining
always it loses on the answerable twin; only both numbers together say anything.

absent_key        other keys have values, one of them at a distance of one letter
absent_attribute  much is told of the person, but not this
false_premise     the question asks of nine cats; the text knows nine dogs
empty             nothing of the kind is in the text at all
out_of_scope      everyone knows the answer, the text does not have it: memory must not fill in
"""

from __future__ import annotations

import random
from typing import Any

from rlm_bench import prose
from rlm_bench.answers import plain
from rlm_bench.samples import Sample, flat, rng
from rlm_bench.tasks.decoys import TOLD, near
from rlm_bench.tasks.haystacks import fresh, haystack
from rlm_bench.tasks.multihop import COLOURS, people
from rlm_bench.tasks.placing import parse, place
from rlm_bench.tasks.task import Draft, Params, Task, find, one_of, positive

KINDS = ("absent_key", "absent_attribute", "false_premise", "empty", "out_of_scope")
WORD = "If the text does not contain the answer, reply exactly NOT_FOUND."
ATTRIBUTES = (
    "birthplace",
    "profession",
    "instrument",
    "favourite dish",
    "shoe size",
    "street",
    "lucky charm",
)
KNOWN = (
    ("the capital of Australia", "Canberra"),
    ("the capital of Canada", "Ottawa"),
    ("the chemical symbol of gold", "Au"),
    ("the author of Moby-Dick", "Herman Melville"),
    ("the largest planet of the solar system", "Jupiter"),
    ("the second magic number of nuclear physics", "8"),
    ("the year of the first moon landing", "1969"),
    ("the painter of the Mona Lisa", "Leonardo da Vinci"),
    ("the longest river of South America", "the Amazon"),
    ("the currency of Japan", "the yen"),
    ("the hardest natural mineral", "diamond"),
    ("the discoverer of penicillin", "Alexander Fleming"),
    ("the highest mountain on Earth", "Mount Everest"),
    ("the language of Brazil", "Portuguese"),
    ("the number of strings of a violin", "4"),
    ("the boiling point of water in degrees Fahrenheit at sea level", "212"),
)


def parts(kind: str, chance: random.Random, hay: str) -> tuple[str, str, str, str, list[str], dict[str, str]]:
    """Needle, question, answer, its type, other sentences of the text, decoys."""
    if kind in ("absent_key", "empty"):
        key, value = prose.key(chance), fresh(lambda: str(chance.randint(10**6, 10**7 - 1)), hay)
        others, decoys = list[str](), dict[str, str]()
        if kind == "absent_key":
            seen = [key]
            for n in range(8):
                make = (lambda: near(key, chance)) if n < 2 else (lambda: prose.key(chance))
                seen.append(fresh(make, "\n".join(seen)))
                wrong = fresh(lambda: str(chance.randint(10**6, 10**7 - 1)), hay, value, *decoys)
                decoys[wrong] = "near_key" if n < 2 else "other_key"
                others.append(TOLD.format(key=seen[-1], value=wrong))
        query = f"What is the special magic number for {key} mentioned in the text?"
        return TOLD.format(key=key, value=value), query, value, "number", others, decoys
    if kind == "absent_attribute":
        who, others, decoys = people(chance, 1)[0], [], {}
        for attribute in ATTRIBUTES:
            told = prose.invented(chance)
            decoys[told] = "other_attribute"
            others.append(f"The {attribute} of {who} is {told}.")
        value = fresh(lambda: prose.invented(chance), hay, *decoys)
        asked, needle = chance.randrange(len(ATTRIBUTES)), ""
        del decoys[others[asked].split()[-1].strip(".")]
        needle = f"The {ATTRIBUTES[asked]} of {who} is {value}."
        del others[asked]
        return needle, f"What is the {ATTRIBUTES[asked]} of {who}?", value, "word", others, decoys
    if kind == "false_premise":
        who = people(chance, 1)[0].split()[0]
        dog, _ = (
            prose.invented(chance, 2).capitalize() for _ in range(2)
        )  # without it, all else would change
        cat = fresh(lambda: prose.invented(chance, 2).capitalize(), hay, dog)
        others = [
            f"{who} keeps nine dogs.",
            f"The oldest of the nine dogs of {who} is {dog}, who is {chance.choice(COLOURS)}.",
        ]
        needle = f"{who} also keeps nine cats, and the oldest of the nine cats of {who} is {cat}."
        query = f"Which of the nine cats of {who} is the oldest? Answer with its name only."
        return needle, query, cat, "name", others, {dog: "premise"}
    topic, value = chance.choice(KNOWN)
    return (
        f"It is written that {topic} is {value}.",
        f"According to the text, what is {topic}?",
        value,
        "text",
        [],
        {},
    )


def build(params: Params, seed: int, index: int) -> Draft:
    size, pair = positive(params, "size", 1_500), index // 2
    chance = rng("unanswerable", params, seed, pair)
    kind = one_of(params, "kind", ("all", *KINDS))
    kind = KINDS[pair % len(KINDS)] if kind == "all" else kind
    hay = haystack("prose", chance, size - 900)
    needle, query, value, answer_type, others, decoys = parts(kind, chance, hay.text)
    pos = chance.random() if params["pos"] == "random" else parse(params["pos"])
    told: list[tuple[float | str, str]] = [(chance.random(), other) for other in others]
    absent = index % 2 == 1
    if not absent:
        told.append((pos, needle))
    text, positions = place(hay, told)
    query = f"{query} Answer with the value only." if "only" not in query else query
    if told_word := bool(params["told"]):
        query = f"{query} {WORD}"
    return Draft(
        context=text,
        query=query,
        answer=None if absent else value,
        answer_type=answer_type,
        scorer="abstain" if absent else "value",
        meta={
            "positions": [] if absent else [positions[-1]],
            "needles": [] if absent else [needle],
            "absent": needle if absent else "",
            "value": value,
            "elsewhere": kind == "out_of_scope",  # "8" and "Au" may be parts of words
            "decoys": decoys,
            "unanswerable": absent,
            "told": told_word,
            "kind": kind,
            "cluster": f"unanswerable-{seed}-{pair}-{kind}-{size}",
        },
    )


FORMS = (
    (r"(magic number for \S+) mentioned", r"The special {key} is: (\d+)\."),
    (r"What is (the .+ of \w+ \w+)\? Answer", r"(?i:{key}) is (\w+)\."),
    (r"the (nine cats of \w+)", r"the oldest of the {key} is (\w+)"),
    (r"what is (.+?)\?", r"It is written that {key} is (.+?)\."),
)


def solve(sample: Sample) -> Any:
    return find(FORMS, sample.query, flat(sample.context))


def guess(sample: Sample) -> Any:
    """What a search that is content with something near finds: it never abstains where there are decoys."""
    if found := solve(sample):
        return found
    return next(
        (decoy for decoy in sample.meta["decoys"] if plain(decoy) in flat(sample.context).lower()),
        "NOT_FOUND",
    )


TASK = Task(
    name="unanswerable",
    version=1,
    defaults={"size": 10_000, "kind": "all", "told": True, "pos": "random"},
    build=build,
    solve=solve,
    guess=guess,
)
