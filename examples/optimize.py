"""Optimizes the small local model with DSPy, offline, and shows what it gained.

    pip install 'llm-rlm[dspy,local]'
    python examples/optimize.py                    # BootstrapFewShot; the 1.5B model teaches the 0.5B one
    llm rlm strategies add optimized.json && llm -m rlm-local -o strategy optimized ...

A bare strategy (no advice, no worked example) is tried on test questions; BootstrapFewShot then lets a
teacher answer training questions, and keeps trajectories that were right as worked examples; and the same
test questions are asked again.  Questions are of four kinds, over texts of 100,000 characters made from
seeds; training and test differ in seeds and in wordings."""

from __future__ import annotations

import argparse
import logging
import math
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy

from dspy_rlm import RLM, Limits, Reference, export_strategy, load_strategy, local_lm

KINDS = ("needle", "count", "not found", "two-hop")
NAMES = {
    "train": [
        "Ada Holm",
        "Ben Frey",
        "Cleo Marsh",
        "Dirk Vance",
        "Edda Lund",
        "Finn Roth",
        "Gwen Ames",
        "Hal Bode",
    ],
    "test": [
        "Ivo Kern",
        "Jana Pohl",
        "Karl Rask",
        "Lena Moss",
        "Max Thorn",
        "Nora Quist",
        "Otto Brandt",
        "Pia Sand",
    ],
}
FACTS = {
    "train": [
        ("What is the locker number of {name}?", "The locker number of {name} is {value}."),
        ("Which badge code belongs to {name}?", "The badge code of {name} was set to {value}."),
    ],
    "test": [
        ("What is the parking permit of {name}?", "The parking permit of {name} carries the number {value}."),
        (
            "Give the telephone extension of {name}.",
            "The telephone extension of {name} is {value} since May.",
        ),
    ],
}
COUNTED = {
    "train": ["broken window", "lost umbrella", "late delivery", "flat tyre"],
    "test": ["missing parcel", "leaking tap", "barking dog", "wrong invoice"],
}
COUNTING = {"train": "How many lines mention a {what}?", "test": "In how many lines does a {what} come up?"}
HOPS = {
    "train": ("Who is the assistant of {name}, and what is that assistant's locker number?", "assistant"),
    "test": ("What is the parking permit of the deputy of {name}?", "deputy"),
}
WORDS = (
    "the",
    "of",
    "and",
    "to",
    "a",
    "in",
    "was",
    "for",
    "on",
    "that",
    "by",
    "with",
    "as",
    "it",
    "at",
    "from",
)


def example(kind: str, split: str, rng: random.Random) -> dspy.Example:
    """One question over a text of its own."""
    names = rng.sample(NAMES[split], 4)
    ask, say = rng.choice(FACTS[split])
    facts = [say.format(name=name, value=rng.randint(1000, 9999)) for name in names[1:]]
    value = str(rng.randint(1000, 9999))
    if kind == "needle":
        query, answer = ask.format(name=names[0]), value
        facts.append(say.format(name=names[0], value=value))
    elif kind == "not found":
        query, answer = ask.format(name=names[0]), ""
    elif kind == "count":
        what, count = rng.choice(COUNTED[split]), rng.randint(3, 40)
        query, answer = COUNTING[split].format(what=what), str(count)
        facts += [
            f"Report {rng.randint(100, 999)}: a {what} in house {rng.randint(1, 90)}." for _ in range(count)
        ]
    else:
        ask, role = HOPS[split]
        query, answer = ask.format(name=names[0]), value
        say = FACTS[split][0][1]
        facts += [f"The {role} of {names[0]} is {names[1]}.", say.format(name=names[1], value=value)]
        facts = facts[1:]  # the one that gave this name another value
    context = Reference(text(facts, rng))
    made = dspy.Example(context=context, query=query, answer=answer, kind=kind)
    return made.with_inputs("context", "query")


def text(facts: list[str], rng: random.Random, chars: int = 100_000) -> str:
    """Lines of words, with the facts among them."""
    lines: list[str] = []
    size = 0
    while size < chars:
        lines.append(" ".join(rng.choices(WORDS, k=12)).capitalize() + ".")
        size += len(lines[-1]) + 1
    for fact in facts:
        lines.insert(rng.randrange(len(lines)), fact)
    return "\n".join(lines)


def questions(count: int, split: str, seed: int) -> list[dspy.Example]:
    """The kinds by turns."""
    rng = random.Random(seed)
    return [example(KINDS[number % len(KINDS)], split, rng) for number in range(count)]


def right(example: Any, prediction: Any, trace: Any = None) -> bool:
    """Whether the answer is right.  A run that is to teach must also show how: no error, no empty turn, no
    answer out of thin air, and for a text that does not hold the answer a search that found nothing."""
    run = prediction.run
    if example.kind == "not found":
        correct = run.status == "not_found"
    else:
        correct = run.status == "answered" and example.answer in str(prediction.answer).replace(",", "")
    if trace is None or not correct:
        return correct
    clean = all(turn.code and not turn.error for turn in run.trajectory[:-1])
    exact = example.kind == "not found" or str(prediction.answer).strip().rstrip(".") == example.answer
    return clean and exact and not run.unverified and 2 <= len(run.trajectory) <= 3


def score(program: RLM, tests: list[dspy.Example], title: str) -> list[bool]:
    start = time.monotonic()
    marks = []
    for test in tests:
        try:
            marks.append(right(test, program(**test.inputs())))
        except dspy.DSPyError:  # three replies without code in a row
            marks.append(False)
        print("." if marks[-1] else "x", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    low, high = wilson(sum(marks), len(marks))
    by_kind = {
        kind: [mark for test, mark in zip(tests, marks, strict=True) if test.kind == kind] for kind in KINDS
    }
    parts = ", ".join(f"{kind} {sum(of)}/{len(of)}" for kind, of in by_kind.items())
    seconds = time.monotonic() - start
    print(
        f"{title}: {sum(marks)}/{len(marks)} (95%: {low:.2f} to {high:.2f}); {parts}; {seconds:.0f} s",
        flush=True,
    )
    return marks


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share."""
    share = right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return middle - half, middle + half


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--student", default="0.5b")
    parser.add_argument("--teacher", default="1.5b")
    parser.add_argument("--teach-with", default="bare", help="the teacher's strategy: bare, small, or a file")
    parser.add_argument("--train", type=int, default=24)
    parser.add_argument("--test", type=int, default=32)
    parser.add_argument("--demos", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("optimized.json"))
    options = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.ERROR)

    bare = replace(load_strategy("small"), name="bare", examples=())
    limits = Limits(depth=0)
    student = RLM("context, query -> answer", max_iters=4, strategy=bare, limits=limits)
    taught = bare if options.teach_with == "bare" else options.teach_with
    teacher = RLM("context, query -> answer", max_iters=4, strategy=taught, limits=limits)
    lm = local_lm(options.student, window=8_192, max_tokens=200, cache=False)
    tests = questions(options.test, "test", seed=2)

    with dspy.context(lm=lm):
        before = score(student, tests, "before")
        start = time.monotonic()
        optimizer = dspy.BootstrapFewShot(
            metric=right,
            teacher_settings={"lm": local_lm(options.teacher, window=8_192, max_tokens=200, cache=False)},
            max_bootstrapped_demos=options.demos,
            max_labeled_demos=0,
            max_errors=1_000,
        )
        optimized = optimizer.compile(
            student, teacher=teacher, trainset=questions(options.train, "train", seed=1)
        )
        print(f"optimized in {time.monotonic() - start:.0f} s")
        strategy = export_strategy(optimized, options.out)
        size = options.out.stat().st_size
        print(f"{options.out}: {len(strategy.examples)} worked examples, {size:,} bytes")
        after = score(optimized, tests, "after")
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    print(f"{sum(b for _, b in changed)} better, {sum(a for a, _ in changed)} worse")


if __name__ == "__main__":
    main()
