"""Texts to hide things in, by name. None holds a digit run, a key or a phrase that a needle could be mistaken
for."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from rlm_bench import prose, stdlib
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
    """Sentences of the needle's own form with other keys (RULER's multikey): two adjectives and a noun."""
    return _needles(
        chance, chars, lambda: prose.key(chance, 2), lambda: str(chance.randint(10**6, 10**7 - 1))
    )


def uuids(chance: random.Random, chars: int) -> Hay:
    """The same with uuids for keys and values (RULER's hardest)."""
    return _needles(chance, chars, lambda: random_uuid(chance), lambda: random_uuid(chance))


def _needles(chance: random.Random, chars: int, key: Callable[[], str], value: Callable[[], str]) -> Hay:
    seen: set[str] = set()
    made: list[str] = []
    length = 0
    while length < chars:
        name = key()
        if name not in seen:
            seen.add(name)
            kind = "uuid" if len(name) == 36 else "number"
            made.append(f"One of the special magic {kind}s for {name} is: {value()}.")
            length += len(made[-1]) + 1
    return Hay("\n".join(made) + "\n", "\n")


def log(chance: random.Random, chars: int) -> Hay:
    """Lines of a server's log."""
    made: list[str] = []
    length, time = 0, 1_700_000_000
    while length < chars:
        time += chance.randint(0, 20)
        line = (
            f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ} {chance.choice(LEVELS)} "
            f"[{chance.choice(prose.NOUNS)}-service] {chance.choice(ACTS)} {chance.choice(prose.ADJECTIVES)} "
            f"{chance.choice(prose.NOUNS)} in {chance.randint(1, 999)} ms"
        )
        made.append(line)
        length += len(line) + 1
    return Hay("\n".join(made) + "\n", "\n")


LEVELS = ("INFO", "INFO", "INFO", "DEBUG", "WARN")
ACTS = ("loaded", "stored", "queued", "dropped", "renewed", "checked", "closed")


def code(chance: random.Random, chars: int) -> Hay:
    """Files of the interpreter's own library: not the same text on every version of Python."""
    text = "\n".join(source.text for source in stdlib.subset(chance, chars))
    return Hay(text + "\n", "\n")


HAYSTACKS: dict[str, Callable[[random.Random, int], Hay]] = {
    "noise": noise,
    "words": words,
    "prose": prose_,
    "needles": needles,
    "uuids": uuids,
    "log": log,
    "code": code,
}


def haystack(name: str, chance: random.Random, chars: int, spare: int = 0) -> Hay:
    """The haystack of that name: the whole units that fit in `chars` characters, or `spare` more than fit."""
    hay = HAYSTACKS[name](chance, chars + spare)
    return hay if spare else hay.within(chars)


def fresh(make: Callable[[], str], *texts: str) -> str:
    """Something made that occurs in none of the texts."""
    while True:
        made = make()
        if not any(made in text for text in texts):
            return made


def random_uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
