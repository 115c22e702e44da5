"""Texts to hide things in, by name. None holds a digit run, a key or a phrase that a needle could be mistaken
for."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

from rlm_bench import prose
from rlm_bench.tasks.placing import Hay

NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.\n"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def noise(chance: random.Random, chars: int) -> Hay:
    """RULER's: the same sentences, over and over."""
    return Hay(NOISE * (chars // len(NOISE) + 1), "\n")


def words(chance: random.Random, chars: int) -> Hay:
    """The seed's: random words of 3 to 10 letters. Dense: about two characters a token."""
    made: list[str] = []
    length = 0
    while length < chars:
        word = "".join(chance.choices(LETTERS, k=chance.randint(3, 10)))
        made.append(word)
        length += len(word) + 1
    return Hay(" ".join(made) + " ", " ", before="\n\n", after="\n\n")


def prose_(chance: random.Random, chars: int) -> Hay:
    return Hay(prose.prose(chance, chars), ". ", after=" ")


def needles(chance: random.Random, chars: int) -> Hay:
    """Sentences of the needle's own form, with other keys (RULER's multikey); see `other_keys`."""
    made: list[str] = []
    length = 0
    while length < chars:
        key, value = f"{prose.key(chance)}-{prose.invented(chance)}", chance.randint(10**6, 10**7 - 1)
        line = f"One of the special magic numbers for {key} is: {value}."
        made.append(line)
        length += len(line) + 1
    return Hay("\n".join(made) + "\n", "\n")


HAYSTACKS: dict[str, Callable[[random.Random, int], Hay]] = {
    "noise": noise,
    "words": words,
    "prose": prose_,
    "needles": needles,
}


def haystack(name: str, chance: random.Random, chars: int, spare: int = 0) -> Hay:
    """The haystack of that name: the whole units that fit in `chars` characters, or `spare` and more on
    top."""
    hay = HAYSTACKS[name](chance, chars + spare)
    if spare:
        return hay
    end = hay.text.rfind(hay.mark, 0, max(1, chars))
    text = hay.text[: end + len(hay.mark)] if end >= 0 else hay.text[:chars]
    return Hay(text, hay.mark, hay.before, hay.after)


def random_uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
