"""Optimizes the small local model with DSPy, offline, and shows what it gained.

    pip install 'llm-rlm[dspy,local]'
    python examples/optimize.py                        # BootstrapFewShot, then MIPROv2
    python examples/optimize.py --optimizers bootstrap gepa
    llm rlm strategies add optimized.json && llm -m rlm-local -o strategy optimized ...

A bare strategy (no advice, no worked example) is tried on test questions (`questions.py`).  Each optimizer
then works on it with training questions, and is tried on the same test questions; the 1.5B model teaches the
0.5B one, and proposes its instructions.  Of what came out, the best on the dev questions is exported, and
`llm` runs it on the test questions too: greedily, so that its replies can be compared with DSPy's one by one.

DSPy keeps the replies of the models in its cache: a script that was broken off goes on where it was, and one
that has run is done again in seconds (DSPY_CACHEDIR=FOLDER gives a fresh cache)."""

from __future__ import annotations

import argparse
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dspy
from questions import KINDS, questions

from dspy_rlm import (
    RLM,
    Limits,
    examples_from_runs,
    export_strategy,
    feedback,
    load_strategy,
    local_lm,
    strategy_of,
    used_components,
)
from rlm_core import weights

ITERATIONS = 4
WINDOW = 8_192  # tokens of a prompt and its reply
REPLY = 200  # tokens


# ---- what is right, and what is worth learning from


def right(example: dspy.Example, prediction: Any, trace: Any = None) -> bool:
    """Whether the answer is right.  With a trace, a run that is to teach, it must also show how: searched for
    the words in question, made no error, ran no code twice, and submitted nothing but the answer."""
    run = prediction.run
    if not example.answer:
        correct = run.status == "not_found"
    else:
        said = str(prediction.answer).replace(",", "")
        correct = run.status == "answered" and example.answer in said
    if trace is None or not correct:
        return correct
    *steps, _ = run.trajectory
    codes = [turn.code for turn in steps]
    searched = any(f"{quote}{example.about}{quote}" in code for code in codes for quote in "\"'")
    clean = all(codes) and len({*codes}) == len(codes) and not any(turn.error for turn in steps)
    exact = not example.answer or str(prediction.answer).strip(" .\"'") == example.answer
    return searched and clean and exact and not run.unverified


def explained(example: dspy.Example, prediction: Any) -> dspy.Prediction:
    """The same with a word on what was wanted, for GEPA."""
    wanted = (
        f"The right answer is {example.answer}." if example.answer else "The text does not hold the answer."
    )
    return dspy.Prediction(score=float(right(example, prediction)), feedback=wanted)


def no_answer(**kwargs: Any) -> dspy.Prediction:
    """In the place of `extract`, the last resort of a run that reached its limit: here such a run is wrong,
    and the optimizers have one predictor less to work on."""
    return dspy.Prediction(answer=None)


# ---- the optimizers


@dataclass
class Bench:
    """What an optimizer works with: the bare program, a program that teaches, its LM, and questions."""

    student: RLM
    teacher: RLM
    teacher_lm: dspy.LM
    train: list[dspy.Example]
    dev: list[dspy.Example]
    demos: int
    made: dict[str, RLM] = field(default_factory=dict)  # by the optimizers so far


def bootstrap(bench: Bench) -> Any:
    """The teacher's right runs become worked examples."""
    optimizer = dspy.BootstrapFewShot(
        metric=right,
        teacher_settings={"lm": bench.teacher_lm},
        max_bootstrapped_demos=bench.demos,
        max_labeled_demos=0,
        max_errors=1_000,
    )
    return optimizer.compile(bench.student, teacher=bench.teacher, trainset=bench.train)


def miprov2(bench: Bench) -> Any:
    """Several sets of worked examples and several instructions; the pair that does best on dev questions."""
    optimizer = dspy.MIPROv2(
        metric=right,
        auto=None,
        num_candidates=5,
        teacher_settings={"lm": bench.teacher_lm},
        prompt_model=bench.teacher_lm.copy(max_tokens=400),
        max_bootstrapped_demos=bench.demos,
        max_labeled_demos=0,
        num_threads=1,
        max_errors=1_000,
    )
    return optimizer.compile(
        bench.student,
        teacher=bench.teacher,
        trainset=bench.train,
        valset=bench.dev,
        num_trials=6,
        minibatch=False,
        # What the proposer is told is short, as a small model reads it.
        program_aware_proposer=False,
        data_aware_proposer=False,
        tip_aware_proposer=False,
    )


def gepa(bench: Bench) -> Any:
    """Instructions, proposed from feedback on whole runs; beside the worked examples found before."""
    optimizer = dspy.GEPA(
        metric=feedback(explained),
        max_metric_calls=5 * len(bench.dev),
        reflection_lm=bench.teacher_lm.copy(max_tokens=400),
        reflection_minibatch_size=2,
        component_selector=used_components,
        num_threads=1,
    )
    start = bench.made.get("bootstrap", bench.student)
    return optimizer.compile(start, trainset=bench.train, valset=bench.dev)


OPTIMIZERS: dict[str, Callable[[Bench], Any]] = {"bootstrap": bootstrap, "miprov2": miprov2, "gepa": gepa}


# ---- scores


def score(program: RLM, asked: list[dspy.Example], title: str) -> list[bool]:
    """Asks, prints the score, and gives what was right."""
    start = time.monotonic()
    marks = []
    for example in asked:
        try:
            marks.append(right(example, program(**example.inputs())))
        except dspy.DSPyError:  # three replies without code in a row
            marks.append(False)
        print("." if marks[-1] else "x", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    tell(title, asked, marks, time.monotonic() - start)
    return marks


def tell(title: str, asked: list[dspy.Example], marks: list[bool], seconds: float) -> None:
    low, high = wilson(sum(marks), len(marks))
    parts = []
    for kind in KINDS:
        of_kind = [mark for example, mark in zip(asked, marks, strict=True) if example.kind == kind]
        parts.append(f"{kind} {sum(of_kind)}/{len(of_kind)}")
    total = f"{sum(marks)}/{len(marks)} (95%: {low:.2f} to {high:.2f})"
    print(f"{title}: {total}; {', '.join(parts)}; {seconds:.0f} s", flush=True)


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share."""
    share = right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return middle - half, middle + half


# ---- the same strategy in llm


def run_in_llm(file: Path, asked: list[dspy.Example], model: str, home: Path) -> list[dspy.Example]:
    """Has `llm` answer the questions with a strategy file, and gives the runs in order.  `home` is a folder
    for its journal and logs, so that the user's own hold none of this."""
    there = {"RLM_HOME": str(home), "LLM_USER_PATH": str(home)}
    environment = os.environ | there | {"RLM_LOCAL_MODEL": str(weights.weights(model))}
    options = {
        "strategy": file.stem,
        "max_depth": 0,
        "max_iterations": ITERATIONS,
        "window": WINDOW,
    }
    given = [part for name, value in options.items() for part in ("-o", name, str(value))]

    def llm(*arguments: str, text: str = "") -> None:
        command = [sys.executable, "-m", "llm", *arguments]
        done = subprocess.run(command, input=text, env=environment, capture_output=True, text=True)
        if done.returncode and "rlm" in arguments:
            raise SystemExit(done.stderr)

    llm("models", "options", "set", "local", "max_tokens", str(REPLY))  # as in DSPy; the default is more
    llm("rlm", "strategies", "add", str(file))
    for example in asked:
        llm("-m", "rlm-local", "--no-log", *given, example.query, text=example.context.read())
        print("-", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return runs(home / "journal.db", "llm")


def runs(journal: Path, source: str) -> list[dspy.Example]:
    """The recorded runs, oldest first."""
    every = ("answered", "not_found", "limit", "error")
    return examples_from_runs(journal, source=source, status=every)[::-1]


def replies(run: dspy.Example) -> list[tuple[str, str]]:
    return [(step["reasoning"], step["code"]) for step in run.trajectory]


def compare(ours: list[dspy.Example], theirs: list[dspy.Example]) -> None:
    """DSPy's runs and llm's of the same questions, reply by reply."""
    same, of = 0, 0
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.query == other.query
        pairs = list(zip(replies(mine), replies(other), strict=False))
        longer = max(len(mine.trajectory), len(other.trajectory))
        equal = next((at for at, (a, b) in enumerate(pairs) if a != b), len(pairs))
        same, of = same + equal, of + longer
        if (equal, mine.status, mine.answer) != (longer, other.status, other.answer):
            print(f"  differs from reply {equal + 1} on: {mine.query}")
            for name, run in (("dspy", mine), ("llm", other)):
                print(f"    {name}: {run.status} {run.answer!r}; {replies(run)[equal:]}")
    print(f"replies of llm and DSPy: {same} of {of} the same")


# ---- all of it


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=["bootstrap", "miprov2"])
    parser.add_argument("--student", default="0.5b", help="0.5b, 1.5b, or the path of a GGUF file")
    parser.add_argument("--teacher", default="1.5b")
    parser.add_argument(
        "--teach-with",
        default="small",
        help="the teacher's strategy: small (hand-made examples), bare, or a file",
    )
    parser.add_argument("--train", type=int, default=24, help="questions")
    parser.add_argument("--dev", type=int, default=12)
    parser.add_argument("--test", type=int, default=32)
    parser.add_argument("--demos", type=int, default=6, help="worked examples at most")
    parser.add_argument("--out", type=Path, default=Path("optimized.json"))
    options = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.ERROR)
    start = time.monotonic()

    bare = replace(load_strategy("small"), name="bare", advice="", examples=())
    strategies = {"bare": bare}

    def program(strategy: str, journal: Path | None = None) -> RLM:
        rlm = RLM(
            "context, query -> answer",
            max_iters=ITERATIONS,
            limits=Limits(depth=0),
            strategy=strategies.get(strategy, strategy),
            journal=journal,
        )
        rlm.extract = no_answer
        return rlm

    bench = Bench(
        program("bare"),
        program(options.teach_with),
        local_lm(options.teacher, window=WINDOW, max_tokens=REPLY),
        questions(options.train, "train"),
        questions(options.dev, "dev"),
        options.demos,
    )
    tests = questions(options.test, "test")
    with dspy.context(lm=local_lm(options.student, window=WINDOW, max_tokens=REPLY)):
        before = score(bench.student, tests, "test, before")
        best = 0
        for name in options.optimizers:
            began = time.monotonic()
            compiled = OPTIMIZERS[name](bench)
            bench.made[name] = compiled
            acts = compiled.generate_action
            print(f"{name}: {len(acts.demos)} worked examples, {time.monotonic() - began:.0f} s")
            print(f"  advice: {strategy_of(compiled).advice!r}", flush=True)
            after = score(compiled, tests, f"test, after {name}")
            pairs = list(zip(before, after, strict=True))
            print(f"  {pairs.count((False, True))} better, {pairs.count((True, False))} worse than before")
            on_dev = sum(score(compiled, bench.dev, f"dev, after {name}"))
            if on_dev > best:
                best, chosen = on_dev, name
                export_strategy(compiled, options.out)
        if not best:
            raise SystemExit("nothing was right on the dev questions; nothing is exported")
        print(f"{options.out}: after {chosen}, {options.out.stat().st_size:,} bytes", flush=True)

        with tempfile.TemporaryDirectory() as home:
            began = time.monotonic()
            recorded = program(str(options.out), Path(home, "dspy.db"))
            score(recorded, tests, "test, the exported file in DSPy")
            theirs = run_in_llm(options.out, tests, options.student, Path(home))
            marks = [
                run.status == "not_found"
                if not test.answer
                else test.answer in str(run.answer).replace(",", "")
                for test, run in zip(tests, theirs, strict=True)
            ]
            tell("test, the exported file in llm", tests, marks, time.monotonic() - began)
            compare(runs(Path(home, "dspy.db"), "dspy"), theirs)
    print(f"{time.monotonic() - start:.0f} s in all")


if __name__ == "__main__":
    main()
