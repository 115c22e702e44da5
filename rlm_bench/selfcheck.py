"""Is the suite itself right?  Samples of every kind of every task, and what they are scored.

That the oracle finds the answer, that it vanishes with the needle and that decoys are there is checked
whenever a sample is made (`rlm_bench.tasks.task.check`).  Here follow the scores: the true answer has all
points, no answer and changed answers have not, and what making a sample costs is told."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlm_bench import methods, tasks
from rlm_bench.models import Meter
from rlm_bench.samples import BuildError, Sample
from rlm_bench.scorers import COMPARISONS, score
from rlm_bench.tasks.count import KINDS as COUNTS
from rlm_bench.tasks.decoys import KINDS as DECOYS
from rlm_bench.tasks.haystacks import HAYSTACKS
from rlm_bench.tasks.niah import KINDS as NEEDLES
from rlm_bench.tasks.placing import CUTS, DEPTHS, TENTHS
from rlm_bench.tasks.structured import FLAWS, FORMATS

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "niah": [{"haystack": name} for name in HAYSTACKS]
    + [{"needle": kind} for kind in NEEDLES]
    + [{"pos": pos} for pos in (*DEPTHS, *CUTS, *TENTHS, "random")],
    "niah_multi": [{"mode": mode} for mode in ("mk", "mv", "mq")]
    + [{"mode": "gather", "k": k} for k in (5, 20, 100)]
    + [{"haystack": "needles"}, {"haystack": "uuids", "needle": "uuid"}],
    "vt": [{"chains": chains, "hops": hops} for chains in (1, 4) for hops in (4, 8, 16)]
    + [{"haystack": "prose"}],
    "multihop": [{"hops": hops} for hops in (1, 2, 3)]
    + [{"people": 5, "layout": "block"}]
    + [{"kind": "chain", "hops": hops} for hops in range(2, 7)]
    + [{"kind": "state"}],
    "decoys": [{"kind": kind, "count": count} for kind in DECOYS for count in (3, 10, 50)],
    "unanswerable": [{"told": told} for told in (True, False)],
    "count": [{"kind": str(kind)} for kind in COUNTS],
    "structured": [
        *({"format": form, "flaw": flaw} for form in FORMATS for flaw in FLAWS),
        {"indent": 2},
        {"question": "json_seed"},
        {"question": "json_seed", "needle": "int", "outlier": True, "pos": 0.99},
    ],
    "oolong_like": [{"with_labels": shown} for shown in (False, True)],
    "pairs": [{"faithful": faithful} for faithful in (False, True)],
    "codeqa": [{"renamed": renamed} for renamed in (False, True)],
}
"""The kinds that parameters choose; those that the index chooses go round by it."""


@dataclass
class Checked:
    """Of one task: the mean strict scores of answers of each kind, and the worst that a sample took."""

    task: str
    samples: int = 0
    oracle: float = 0.0
    empty: float = 0.0
    changed: float = 0.0
    heuristic: float = 0.0
    seconds: float = 0.0
    """Of this process, for the sample that took longest."""
    megabytes: float = 0.0
    chars: int = 0
    failures: list[str] = field(default_factory=list)


def changed(sample: Sample) -> list[Any]:
    """Answers that are near the true one, and wrong."""
    gold = sample.answer
    if gold is None:
        return [sample.meta.get("value") or "1234567"]
    if isinstance(gold, list):
        other: Any = [1, 2] if sample.scorer == "pairs" else _other(str(gold[0]) if gold else "quixotic")
        while other in gold:
            other = _other(other)
        wrong = [[*gold, other]]
        if gold:
            wrong += [gold[:-1], [other, *gold[1:]]] if len(gold) > 1 else [[other]]
        return wrong
    if sample.answer_type == "comparison":
        return [phrase for phrase in COMPARISONS if phrase not in gold]
    if sample.scorer == "choice":
        return [n for n in range(4) if n != gold]
    if isinstance(gold, int):
        return [gold + 1, gold - 1]
    return [_other(str(gold))]


def _other(text: str) -> str:
    """The same form with its last letter or digit changed."""
    at = next(n for n in range(len(text) - 1, -1, -1) if text[n].isalnum())
    new = str((int(text[at]) + 1) % 10) if text[at].isdigit() else "x" if text[at] in "qQ" else "q"
    return text[:at] + (new.upper() if text[at].isupper() else new) + text[at + 1 :]


def checked(name: str, size: int, seeds: int) -> Checked:
    """All variants of a task with seeds from 0."""
    task, found = tasks.get(name), Checked(name)
    sums = dict.fromkeys(("oracle", "empty", "changed", "heuristic"), 0.0)
    for variant in VARIANTS.get(name, [{}]):
        for seed in range(seeds):
            start = time.process_time()
            try:
                sample = task.sample(seed=seed, index=seed, size=size, **variant)
            except ValueError as error:
                if "size=" in str(error) or "pos=" in str(error):
                    break  # it needs more room than this size has
                raise
            except BuildError as error:
                found.failures.append(str(error))
                continue
            found.seconds = max(found.seconds, time.process_time() - start)
            found.samples += 1
            found.chars = max(found.chars, sample.chars)
            scores = _scores(sample)
            for kind, value in scores.items():
                sums[kind] += value
            if (scores["oracle"], scores["empty"], scores["changed"]) != (1.0, 0.0, 0.0):
                found.failures.append(f"{name} {variant} seed {seed}: scored {scores}")
    for kind, total in sums.items():
        setattr(found, kind, total / max(1, found.samples))
    found.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024**2 if sys.platform == "darwin" else 1024
    )
    return found


def _scores(sample: Sample) -> dict[str, float]:
    def of(method: str) -> float:
        outcome = methods.MODELLESS[method](sample, None, Meter())  # type: ignore[arg-type]
        return score(sample, outcome.answer, outcome.status).strict

    return {
        "oracle": of("oracle"),
        "empty": of("empty") if sample.answer != [] else 0.0,
        "heuristic": of("heuristic"),
        "changed": max(score(sample, answer).strict for answer in changed(sample)),
    }


def each(names: Sequence[str], size: int, seeds: int) -> Iterator[Checked]:
    """Task by task, each in a process of its own: what memory it took is its own."""
    for name in names:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            yield pool.apply(checked, (name, size, seeds))
