"""Texts to hide things in, by name. None holds a key or a phrase that a needle could be mistaken for."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from rlm_bench import corpora, prose, stdlib
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


def docs(chance: random.Random, chars: int) -> Hay:
    """Prose in documents of a page or so, each under a title of its own; see `shaped`."""
    made: list[str] = []
    length = 0
    for n, paragraph in enumerate(prose.prose(chance, chars).splitlines()):
        if n % 6 == 0:
            made.append(f"{TITLE}{prose.key(chance, 2).replace('-', ' ')}")
            length += len(made[-1]) + 1
        made.append(paragraph.strip())
        length += len(made[-1]) + 1
        if length > chars:
            break
    return Hay("\n".join(made) + "\n", "\n")


TITLE = "# "


def records(form: str) -> Callable[[random.Random, int], Hay]:
    """Lines of records, as `structured` has them."""

    def made(chance: random.Random, chars: int) -> Hay:
        from rlm_bench.tasks import structured  # which has tables of multihop, which has haystacks

        count = chars // structured.CHARS[form] + 20
        return Hay(structured.write(structured.records(chance, count), form), "\n")

    return made


HAYSTACKS: dict[str, Callable[[random.Random, int], Hay]] = {
    "noise": noise,
    "words": words,
    "prose": prose_,
    "needles": needles,
    "uuids": uuids,
    "log": log,
    "json": records("json"),
    "jsonl": records("jsonl"),
    "csv": records("csv"),
    "xml": records("xml"),
    "code": code,
    "docs": docs,
}
CORPUS = "corpus:"


def known(params: Mapping[str, Any]) -> str:
    """The haystack that is asked for: a name above, or "corpus:FOLDER" for a folder of texts."""
    name = params["haystack"]
    if isinstance(name, str) and name.startswith(CORPUS):
        corpora.pieces(name.removeprefix(CORPUS))
        return name
    if name not in HAYSTACKS:
        raise ValueError(
            f"haystack={name!r}: must be one of {', '.join(HAYSTACKS)}, or {CORPUS}FOLDER of text files"
        )
    return str(name)


def haystack(name: str, chance: random.Random, chars: int, spare: int = 0) -> Hay:
    """The haystack of that name: the whole units that fit in `chars` characters, or `spare` more than fit."""
    if name.startswith(CORPUS):
        hay = Hay(corpora.shuffled(name.removeprefix(CORPUS), chance, chars + spare), "\n")
    else:
        hay = HAYSTACKS[name](chance, chars + spare)
    return hay if spare else hay.within(chars)


def shaped(name: str, text: str) -> str | list[str]:
    """The context that a text of that haystack is given as: documents as a list, all else as it is."""
    return re.split(rf"\n(?={TITLE})", text) if name == "docs" else text


def fresh(make: Callable[[], str], *texts: str) -> str:
    """Something made that occurs in none of the texts.  ValueError where there is hardly anything left to
    make."""
    for _ in range(TRIES):
        made = make()
        if not any(made in text for text in texts):
            return made
    raise ValueError(f"there are not so many different ones such as {made!r}: ask for fewer")


TRIES = 10_000
"""Many times more than there are names that differ little from another."""


def random_uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
