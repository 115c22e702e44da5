"""Questions about long texts, made from seeds: what `optimize.py` trains and tests a model with.

Four kinds: a `needle` asks for a fact that one line holds; a `count` asks how many lines mention something; a
`two-hop` question needs one line to know what to look for in another; and to a `not found` question the text
holds no answer.  The three splits share no seed, no name and no wording.  Each text also holds other people's
facts, worded as the one that is asked for."""

from __future__ import annotations

import random
from dataclasses import dataclass

import dspy

from dspy_rlm import Reference

KINDS = ("needle", "count", "not found", "two-hop")
CHARS = 100_000  # of a text
SEEDS = {"train": 1, "dev": 2, "test": 3}


@dataclass(frozen=True)
class Wording:
    """How a split asks (first of a pair) and what its texts say (second)."""

    names: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    counts: tuple[tuple[str, str], ...]
    things: tuple[str, ...]
    hops: tuple[tuple[str, str], ...]


WORDINGS = {
    "train": Wording(
        names=(
            "Ada Holm",
            "Ben Frey",
            "Cleo Marsh",
            "Dirk Vance",
            "Edda Lund",
            "Finn Roth",
            "Gwen Ames",
            "Hal Bode",
        ),
        facts=(
            ("What is the locker number of {name}?", "The locker number of {name} is {value}."),
            ("In which year was {name} born?", "It was {value}, a cold year, when {name} was born."),
            ("Which badge code belongs to {name}?", "{name} was given a badge with the code {value}."),
            ("How much did {name} pay for the boat?", "For an old boat {name} paid {value} francs."),
        ),
        counts=(
            ("How many lines mention a {thing}?", "Report {number}: a {thing} in house {house}."),
            ("Count the lines about a {thing}.", "There was a {thing} again, said number {house}."),
        ),
        things=("broken window", "lost umbrella", "late delivery", "flat tyre"),
        hops=(
            ("What is the locker number of the assistant of {name}?", "The assistant of {name} is {other}."),
        ),
    ),
    "dev": Wording(
        names=(
            "Rosa Kemp",
            "Sven Alder",
            "Tilda Voss",
            "Uwe Brock",
            "Vera Nash",
            "Wim Harte",
            "Yara Fink",
            "Zeno Pratt",
        ),
        facts=(
            ("In which room does {name} work?", "Since the move {name} works in room {value}."),
            ("What is {name}'s customer number?", "Customer {value}: {name}, no arrears."),
        ),
        counts=(("How often is a {thing} reported?", "{number}: a {thing}, seen to by the porter."),),
        things=("power cut", "burst pipe", "stray cat", "blocked drain"),
        hops=(("In which room does the tutor of {name} work?", "{other} has been the tutor of {name}."),),
    ),
    "test": Wording(
        names=(
            "Ivo Kern",
            "Jana Pohl",
            "Karl Rask",
            "Lena Moss",
            "Max Thorn",
            "Nora Quist",
            "Otto Brandt",
            "Pia Sand",
        ),
        facts=(
            (
                "What is the parking permit of {name}?",
                "The parking permit of {name} carries the number {value}.",
            ),
            (
                "Give the telephone extension of {name}.",
                "{name} can be reached at extension {value} since May.",
            ),
            ("How many steps did {name} walk?", "The counter of {name} showed {value} steps in the evening."),
        ),
        counts=(
            ("In how many lines does a {thing} come up?", "A {thing} kept house {house} awake ({number})."),
            ("What is the number of lines with a {thing}?", "Desk log {number} - {thing} - house {house}"),
        ),
        things=("missing parcel", "leaking tap", "barking dog", "wrong invoice"),
        hops=(
            (
                "What is the parking permit of the deputy of {name}?",
                "The deputy of {name} is called {other}.",
            ),
        ),
    ),
}

WHO = ("the clerk", "a neighbour", "the driver", "an old friend", "the porter", "the committee")
DID = ("wrote about", "asked for", "forgot", "talked about", "sent back", "complained about", "described")
WHAT = ("the weather", "a box of apples", "the broken gate", "a long letter", "the choir", "the road works")
WHEN = ("on Monday", "in the evening", "before lunch", "last week", "after the meeting", "once more")


def questions(count: int, split: str) -> list[dspy.Example]:
    """The first so many questions of a split, the kinds by turns; `context` is a reference to a text."""
    rng = random.Random(SEEDS[split])
    return [_question(KINDS[number % len(KINDS)], WORDINGS[split], rng) for number in range(count)]


def _question(kind: str, wording: Wording, rng: random.Random) -> dspy.Example:
    """`about`: the words that find the lines in question.  `answer` is "" where there is none."""
    name, other, *others = rng.sample(wording.names, 5)
    ask, fact = wording.facts[0] if kind == "two-hop" else rng.choice(wording.facts)
    value = str(rng.randint(1000, 9999))
    lines = [fact.format(name=one, value=rng.randint(1000, 9999)) for one in others]
    query, about, answer = ask.format(name=name), name, value
    if kind == "needle":
        lines.append(fact.format(name=name, value=value))
    elif kind == "not found":
        answer = ""
    elif kind == "two-hop":
        ask, link = rng.choice(wording.hops)
        query = ask.format(name=name)
        lines += [link.format(name=name, other=other), fact.format(name=other, value=value)]
    else:
        ask, said = rng.choice(wording.counts)
        about, count = rng.choice(wording.things), rng.randint(3, 40)
        query, answer = ask.format(thing=about), str(count)
        lines += [
            said.format(thing=about, number=rng.randint(100, 999), house=rng.randint(1, 90))
            for _ in range(count)
        ]
    made = dspy.Example(
        context=Reference(_text(lines, rng)), query=query, answer=answer, kind=kind, about=about
    )
    return made.with_inputs("context", "query")


def _text(lines: list[str], rng: random.Random) -> str:
    """The lines in random places of a text about nothing."""
    text: list[str] = []
    size = sum(len(line) + 1 for line in lines)
    while size < CHARS:
        said = " ".join(map(rng.choice, (WHO, DID, WHAT, WHEN)))
        text.append(f"{said[0].upper()}{said[1:]}.")
        size += len(text[-1]) + 1
    for line in lines:
        text.insert(rng.randrange(len(text) + 1), line)
    return "\n".join(text)
