"""Words and built-in prose, so that nothing need be fetched."""

from __future__ import annotations

import random
from importlib import resources


def _words(name: str) -> tuple[str, ...]:
    return tuple(resources.files("rlm_bench").joinpath("data", f"{name}.txt").read_text("utf-8").split())


ADJECTIVES = _words("adjectives")
NOUNS = _words("nouns")


def key(chance: random.Random) -> str:
    """A name such as "quick-otter"."""
    return f"{chance.choice(ADJECTIVES)}-{chance.choice(NOUNS)}"


def keys(chance: random.Random, count: int) -> list[str]:
    """That many different ones."""
    if count > len(ADJECTIVES) * len(NOUNS):
        raise ValueError(f"there are {len(ADJECTIVES) * len(NOUNS)} keys, not {count}")
    return [
        f"{ADJECTIVES[i // len(NOUNS)]}-{NOUNS[i % len(NOUNS)]}"
        for i in chance.sample(range(len(ADJECTIVES) * len(NOUNS)), count)
    ]


def invented(chance: random.Random, syllables: int = 3) -> str:
    """A word of no language, such as "tovimel"."""
    return "".join(
        chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(syllables)
    ) + chance.choice("lmnrsx")


# A stand-in of few frames until the grammar comes.
SUBJECTS = ("The miller", "A baker", "The old ferryman", "Her neighbour", "The schoolteacher", "A clerk")
VERBS = ("mended", "painted", "carried", "forgot", "measured", "described", "sold", "watched over")


def sentence(chance: random.Random) -> str:
    one, other = (f"the {chance.choice(ADJECTIVES)} {chance.choice(NOUNS)}" for _ in range(2))
    return f"{chance.choice(SUBJECTS)} {chance.choice(VERBS)} {one} beside {other}."


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
