"""Writes a long text with one fact in it, to ask for: `python make_haystack.py haystack.txt`.

A small grammar of our own tells the everyday life of a town, the same on every machine.  Nothing but the one
sentence speaks of an observatory or of a safe.
"""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path

FACT = "The combination of the observatory safe is 41-07-93."

WORDS = """
when: At dawn|Before noon|On market day|After the rain|In the first week of spring|Late in the evening
when: When the bells rang|During the frost|On the morning of the fair|Shortly after supper|All night
when: While the others slept|As the fog lifted|In the dry season|Two days later|Towards the end of autumn
who: the baker|the miller's daughter|old Tobias|the schoolmaster|a travelling tinker|the mayor's cook
who: the weaver|the night watchman|a boy from the tannery|the organist|Widow Harrow|the blacksmith
who: a stranger in a grey coat|the cooper's brother|the apothecary|the shepherd|Marten the ferryman
did: carried|repaired|sold|forgot|painted|counted|lost|borrowed|hid|polished|described|traded|weighed
did: brought back|asked about|dreamt of|argued over|wrapped up
what: a basket of plums|the broken clock|seven jars of honey|a bundle of letters|the best saddle
what: a bolt of blue cloth|the church candles|a crate of lemons|an unfinished map|the wooden flute
what: a sack of barley|three silver spoons|the new plough|a painted chest|a cart full of turnips
what: the parish ledger|a pair of boots|the copper kettle
where: beside the mill pond|in the upper orchard|under the stone bridge|at the inn|behind the chapel
where: near the quarry|along the river path|on the steps of the town hall|in the tannery yard
where: by the east gate|outside the school|at the edge of the forest|across from the bakery|on the hill road
why: for nobody else would do it|because the road was closed|to settle an old debt|as the custom demands
why: though the price was high|and said nothing of it at home|since the winter had been long
why: before the others could object|so that the children might see it|which pleased the neighbours
why: and the dogs barked for an hour|and wrote a song about it
weather: mild|bitterly cold|grey and still|bright|windy|close and heavy|wet|clear as glass
"""
FRAMES = (
    "{when}, {who} {did} {what} {where}.",
    "{when} {who} {did} {what}, {why}.",
    "It was {weather}, and {who} {did} {what} {where}, {why}.",
    "Nobody knew why {who} {did} {what} {where}.",
    "{when} the talk {where} was of {what}, and of little else.",
    "People say that {who} once {did} {what}, {why}.",
    "The day was {weather}; {who} stayed {where} until {who} came with {what}.",
    "{what}, which {who} {did} {where}, was never spoken of again.",
    "{when}, {where}, {who} met {who}, {why}.",
)


def haystack(chars: int, depth: float, seed: int) -> str:
    """Exactly `chars` characters of chronicle, 5 sentences a line, with FACT at `depth` (0 to 1) of them."""
    rng = random.Random(seed)
    words: dict[str, list[str]] = {}
    for kind, some in re.findall(r"(\w+): (.*)", WORDS):
        words.setdefault(kind, []).extend(some.split("|"))

    def sentence() -> str:
        text = re.sub(r"\{(\w+)\}", lambda slot: rng.choice(words[slot[1]]), rng.choice(FRAMES))
        return text[0].upper() + text[1:]

    lines, length = [], 0
    while length < chars:
        lines.append(" ".join(sentence() for _ in range(3)))
        length += len(lines[-1]) + 1
    text = "\n".join(lines)[: chars - len(FACT) - 2]
    at = text.rfind(". ", 0, int(depth * len(text)) + 2)  # between two sentences of a line
    at = at + 2 if at >= 0 else 0
    return f"{text[:at]}{FACT} {text[at:]}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--chars", type=int, default=1_000_000)
    parser.add_argument("--depth", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.file.write_text(haystack(args.chars, args.depth, args.seed), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
