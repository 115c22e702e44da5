"""What the local model can do as the root of an RLM: 20 needles and 10 line counts in a million characters
each.

    python benchmarks/local_needles.py

Every text is made here from a seed.  No question or fact shares its wording with the worked examples of the
profile.  An answer counts only where code that the model wrote has run."""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rlm_core import RLM, Limits
from rlm_core.local import LocalLM


@dataclass(frozen=True)
class Case:
    """`lines` are hidden in the text: a needle's only line, or the lines to count."""

    kind: str
    query: str
    answer: str
    lines: tuple[str, ...]


NEEDLES = """\
What is the access code of the seed vault?  7315
    The access code of the seed vault was changed to 7315 in March.
Where does Marta Velez keep the spare boathouse key?  flowerpot
    Marta Velez keeps the spare boathouse key under the blue flowerpot.
Who repaired the church organ?  Tobias Lindqvist
    After the flood, the church organ was repaired by Tobias Lindqvist, free of charge.
How much did the brass telescope cost?  1,240
    At the auction in Bern the brass telescope went for 1,240 francs.
When does the ferry to Inishmore leave?  6:45
    From June the ferry to Inishmore leaves at 6:45 in the morning.
What is Dr. Okafor's room number?  B-219
    Dr. Okafor has moved; her room number is B-219 now.
Which river did the survey team cross?  Luangwa
    On the ninth day the survey team crossed the Luangwa river with two mules.
What is the name of the baker's dog?  Pumpernickel
    The baker's dog answers to the name of Pumpernickel, and to nothing else.
How many kilometres long is the Gotthard detour?  87
    Drivers were told that the Gotthard detour is 87 kilometres long.
Which password opens the archive terminal?  heron-salt-19
    To log in at the archive terminal use the password heron-salt-19.
Who won the chess tournament in Tartu?  Liis Saar
    Nobody had expected that Liis Saar would win the chess tournament in Tartu.
What did the inspector find in the cellar?  accordion
    All that the inspector found in the cellar was a broken accordion.
What is the serial number of the compressor?  KX-40871
    Compressor, installed 2019, serial number KX-40871, oil changed.
In which city was the violin maker born?  Cremona
    The violin maker was born in Cremona and never spoke of it.
What is the wifi password of the guest house?  plumtree88
    Guest house: breakfast from seven, wifi password plumtree88, no smoking.
How old is the oldest turtle in the aquarium?  112
    The oldest turtle in the aquarium turned 112 this spring.
Which company insured the cargo of the Meridian?  Halvorsen
    The cargo of the Meridian was insured by Halvorsen & Sons of Bergen.
What is the emergency frequency of the lookout tower?  156.8
    Lookout tower staff listen on the emergency frequency 156.8 MHz at all hours.
Who painted the ceiling of the town hall?  Agneta Brun
    It took Agneta Brun three winters to paint the ceiling of the town hall.
On which date does the fishing licence expire?  14 October
    Please note that the fishing licence expires on 14 October.
"""
"""A question and its answer, two spaces between them; then the line that holds it."""

COUNTS = (
    ("How many lines mention a burst pipe?", "burst pipe"),
    ("How many lines contain the words power cut?", "power cut"),
    ("Count the lines that speak of a stolen bicycle.", "stolen bicycle"),
    ("How many times is a lost umbrella reported?", "lost umbrella"),
    ("How many lines contain TIMEOUT?", "TIMEOUT"),
    ("In how many lines does the name Rosalind Achterberg appear?", "Rosalind Achterberg"),
    ("How many entries are about a fox sighting?", "fox sighting"),
    ("What is the number of lines with the phrase refund denied?", "refund denied"),
    ("How many lines say that a parcel was returned?", "parcel was returned"),
    ("Count how many lines mention invoice overdue.", "invoice overdue"),
)

WHO = (
    "The gardener",
    "A neighbour",
    "Our driver",
    "The new clerk",
    "Mrs. Pell",
    "The night porter",
    "An old friend",
    "The committee",
)
DID = (
    "wrote about",
    "asked for",
    "forgot",
    "talked about",
    "looked at",
    "sent back",
    "paid for",
    "complained about",
    "described",
)
WHAT = (
    "the weather in the valley",
    "a box of apples",
    "the broken gate",
    "a long letter",
    "the choir practice",
    "three wooden chairs",
    "the road works",
    "a map of the coast",
    "the school garden",
    "an unpaid bill",
    "the annual report",
    "a pair of boots",
)
WHEN = (
    "on Monday",
    "in the evening",
    "before lunch",
    "last week",
    "after the meeting",
    "at the station",
    "without a word",
    "again",
)
AROUND = (
    "Report {n}: {what}, seen to by {who}.",
    "{when} there was a note on {what} ({n})",
    "{who}: {what}, no. {n}",
    "Desk log {n} - {what} - {when}",
    "{what} - told by {who} {when}",
)


def filler(rng: random.Random) -> str:
    line = f"{rng.choice(WHO)} {rng.choice(DID)} {rng.choice(WHAT)} {rng.choice(WHEN)}."
    while rng.random() < 0.4:
        line += f" {rng.choice(WHO)} {rng.choice(DID)} {rng.choice(WHAT)} {rng.choice(WHEN)}."
    return line


def text(case: Case, chars: int, seed: str) -> str:
    """A text of `chars` characters with the case's lines in random places."""
    rng = random.Random(seed)
    lines, size = [], sum(len(line) + 1 for line in case.lines)
    while size < chars:
        lines.append(filler(rng))
        size += len(lines[-1]) + 1
    for line in case.lines:
        lines.insert(rng.randrange(len(lines)), line)
    return "\n".join(lines)[:chars]


def cases(seed: int) -> Iterator[Case]:
    lines = NEEDLES.splitlines()
    for asked, line in zip(lines[::2], lines[1::2], strict=True):
        query, answer = asked.split("  ")
        yield Case("needle", query, answer, (line.strip(),))
    for query, phrase in COUNTS:
        rng = random.Random(f"{seed} {phrase}")
        around = [
            rng.choice(AROUND).format(
                what=phrase, n=rng.randrange(100, 999), who=rng.choice(WHO).lower(), when=rng.choice(WHEN)
            )
            for _ in range(rng.randrange(3, 90))
        ]
        yield Case("count", query, str(len(around)), tuple(around))


def right(case: Case, answer: object) -> bool:
    said = str(answer)
    if case.kind == "count":
        return "".join(char for char in said if char.isdigit()) == case.answer
    return case.answer.lower() in said.lower()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="0.5b", help="0.5b, 1.5b, or the path of a GGUF file")
    parser.add_argument("--strategy", default="small")
    parser.add_argument("--chars", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="run the cases whose kind or question holds this")
    options = parser.parse_args()

    lm = LocalLM(options.model)
    start = time.monotonic()
    lm.complete([{"role": "user", "content": "hi"}])
    print(f"{lm.model} loaded in {time.monotonic() - start:.1f} s", flush=True)
    rlm = RLM(lm, strategy=options.strategy, limits=Limits(iterations=8))
    scores: dict[str, list[bool]] = {}
    seconds = []
    for case in cases(options.seed):
        if options.only not in case.kind and options.only not in case.query:
            continue
        context = text(case, options.chars, f"{options.seed} {case.query}")
        result = rlm.completion(context, case.query)
        by_code = any(turn.code for turn in result.trajectory)
        good = result.status == "answered" and by_code and right(case, result.answer)
        scores.setdefault(case.kind, []).append(good)
        seconds.append(result.seconds)
        print(
            f"{'right' if good else 'WRONG'} {result.seconds:5.1f} s {len(result.trajectory)} turns  "
            f"{case.query}  {result.answer!r}",
            flush=True,
        )
        if not good:
            print(f"    wanted {case.answer!r}; {result.status} {result.reason}")
            for turn in result.trajectory:
                for said in (turn.reasoning, turn.code, turn.shown):
                    print("    | " + said[:600].replace("\n", "\n    | "))
    for kind, goods in scores.items():
        print(f"{kind}s: {sum(goods)} of {len(goods)}")
    if seconds:
        print(f"median run {statistics.median(seconds):.1f} s, longest {max(seconds):.1f} s, after loading")
    sys.exit(0 if scores and all(sum(goods) >= 0.9 * len(goods) for goods in scores.values()) else 1)


if __name__ == "__main__":
    main()
