"""Words and built-in prose, so that nothing need be fetched."""

from __future__ import annotations

import math
import random
import re
from importlib import resources


def _lines(name: str) -> tuple[str, ...]:
    return tuple(resources.files("rlm_bench").joinpath("data", f"{name}.txt").read_text("utf-8").splitlines())


ADJECTIVES = tuple(" ".join(_lines("adjectives")).split())
NOUNS = tuple(" ".join(_lines("nouns")).split())
PEOPLE, PLACES, OPENERS, FRAMES = map(_lines, ("people", "places", "openers", "frames"))


def key(chance: random.Random, adjectives: int = 1) -> str:
    """A name such as "quick-otter", or "quiet-amber-otter" with two adjectives."""
    return "-".join([*chance.sample(ADJECTIVES, adjectives), chance.choice(NOUNS)])


def keys(chance: random.Random, count: int, adjectives: int = 1) -> list[str]:
    """That many different ones, none of which is part of another.  ValueError for more than there are."""
    if count > (there := math.perm(len(ADJECTIVES), adjectives) * len(NOUNS)):
        raise ValueError(f"there are {there} different names at most, not {count}")
    made: dict[str, None] = {}
    while len(made) < count:
        made[key(chance, adjectives)] = None
    return list(made)


def invented(chance: random.Random, syllables: int = 3) -> str:
    """A word of no language, such as "tovimel"."""
    return "".join(
        chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(syllables)
    ) + chance.choice("lmnrsx")


# A frame is an opener (or none) and a core: len(FRAMES) * (len(OPENERS) + 1), some six thousand of them.
SLOTS = {"p": PEOPLE, "q": PEOPLE, "l": PLACES, "a": ADJECTIVES}
CORES = tuple(tuple(re.split(r"\{(\w)\}", frame)) for frame in FRAMES)


def sentence(chance: random.Random) -> str:
    """One sentence of everyday narrative, without digits, quotes or names."""
    pick = chance.random
    core = CORES[int(pick() * len(CORES))]
    parts = [core[0]]
    for slot, rest in zip(core[1::2], core[2::2], strict=True):
        if slot in "tu":
            parts.append(f"{ADJECTIVES[int(pick() * len(ADJECTIVES))]} {NOUNS[int(pick() * len(NOUNS))]}")
        else:
            parts.append(SLOTS[slot][int(pick() * len(SLOTS[slot]))])
        parts.append(rest)
    text = re.sub(r"\ba (?=[aeiou])", "an ", "".join(parts))
    if pick() < 0.4:
        text = f"{OPENERS[int(pick() * len(OPENERS))]}, {text}"
    return f"{text[0].upper()}{text[1:]}."


def prose(chance: random.Random, chars: int) -> str:
    """Sentences in paragraphs, no sentence twice, no digits: at least `chars` characters."""
    seen: set[str] = set()
    lines: list[str] = []
    length = 0
    while length < chars:
        line: list[str] = []
        for _ in range(chance.randint(3, 7)):
            made = sentence(chance)
            while made in seen:
                made = sentence(chance)
            seen.add(made)
            line.append(made)
        lines.append(" ".join(line))
        length += len(lines[-1]) + 2
    return " \n".join(lines) + " \n"
