"""What is run under a name: tasks, their parameters, and how many samples of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlm_bench.tasks import get, names
from rlm_bench.tasks.placing import CUTS, DEPTHS, TENTHS

SIZES = (10_000, 30_000, 100_000, 300_000, 500_000, 1_000_000, 3_000_000, 10_000_000)


@dataclass(frozen=True)
class Cell:
    """`n` samples of one task with one set of parameters."""

    task: str
    n: int
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    name: str
    about: str
    cells: Sequence[Cell]

    def with_n(self, n: int | None) -> Preset:
        """The same with `n` samples in every cell."""
        return self if n is None else replace(self, cells=[_cell(c.task, n, **c.params) for c in self.cells])

    @property
    def samples(self) -> int:
        return sum(cell.n for cell in self.cells)


def presets() -> dict[str, Preset]:
    made = (
        Preset("smoke", "every task once, 10K characters", list(_every(1, 10_000))),
        Preset("quick", "every task five times, 100K characters; twins in pairs", list(_every(5, 100_000))),
        Preset(
            "standard",
            "a needle at 13 places, all tasks and their kinds, at 100K and 1M characters",
            list(_standard()),
        ),
        Preset(
            "positions", "a needle at 26 places, on cuts too, in 300K and 1M characters", list(_positions())
        ),
        Preset("scale", "a needle, and an aggregation, from 10K to 10M characters", list(_scale())),
        Preset("seed", "the earlier reproduction's experiments, 5 samples a cell", list(_seed())),
    )
    return {preset.name: preset for preset in made}


def _cell(task: str, n: int, **params: Any) -> Cell:
    return Cell(task, with_twins(task, n), params)


def with_twins(task: str, n: int) -> int:
    """As many samples, and one more where an unanswerable one would be without its twin."""
    return n + n % 2 if task == "unanswerable" else n


def _every(n: int, size: int) -> Iterator[Cell]:
    for task in names():
        sized = {"size": size} if "size" in get(task).defaults else {}
        yield _cell(task, n, **sized)


def _standard() -> Iterator[Cell]:
    for size in (100_000, 1_000_000):
        for pos in DEPTHS:
            yield _cell("niah", 3, size=size, pos=pos)
        yield from (cell for cell in _every(20, size) if cell.task != "niah")
        yield _cell("codeqa", 20, size=size, renamed=True)
        for task, params in _kinds():
            yield _cell(task, 8, size=size, **params)


def _kinds() -> Iterator[tuple[str, dict[str, Any]]]:
    """What tasks have beside their defaults.  Eight samples of each, since records are asked eight
    questions."""
    for kind in ("stale", "near_key", "typed", "inject"):
        yield "decoys", {"kind": kind}
    for form in ("jsonl", "csv", "xml", "log"):
        yield "structured", {"format": form}
    for flaw in ("truncated", "duplicate_key", "nan", "comma"):
        yield "structured", {"flaw": flaw}
    for kind, hops in (("chain", 4), ("state", 2)):
        yield "multihop", {"kind": kind, "hops": hops}
    for mode, k in (("mv", 4), ("mq", 4), ("gather", 20)):
        yield "niah_multi", {"mode": mode, "k": k}
    yield "vt", {"chains": 4}


def _positions() -> Iterator[Cell]:
    for size in (300_000, 1_000_000):
        for pos in (*DEPTHS, *CUTS, *TENTHS):
            yield _cell("niah", 10, size=size, pos=pos)


def _scale() -> Iterator[Cell]:
    for size in SIZES:
        yield _cell("niah", 10, size=size, pos="random")
        yield _cell("oolong_like", 10, size=size)


def _seed() -> Iterator[Cell]:
    """Its sizes, places and counts, and not all of its texts.

    Needles in random words, A and B have its words, sentences, questions and records.  Aggregation has its
    sections, but the largest value is in no line that is not meant.
    C has RULER's sentences with keys at random places, where it had three needles at .2, .5 and .8.  D has
    sentences of ours, in prose.  E has questions of ours in prose, each with a twin that the text answers,
    where it asked about the one side alone.  F has its block of five people, ours by name, in prose.  So C to
    F compare with it by the kind of question and its size alone."""
    for size in (100_000, 300_000, 500_000, 1_000_000):  # and its experiment A, at 300K
        for pos in (0.1, 0.3, 0.5, 0.7, 0.9):
            yield _cell("niah", 5, size=size, pos=pos, haystack="words", needle="number5")
    for needle in ("fact", "code"):
        yield _cell("niah", 5, size=100_000, pos=0.5, haystack="words", needle=needle)
    yield _cell("aggregation", 5, size=45_000, kind="counting")
    yield _cell("aggregation", 5, size=39_000, kind="comparison")
    yield _cell("niah_multi", 5, size=100_000, mode="mk", k=3, haystack="words")  # C
    yield _cell("decoys", 5, size=100_000, kind="labelled", count=3)  # D
    yield _cell("unanswerable", 10, size=50_000, kind="empty", told=False)  # E
    for hops in (1, 2):  # F
        yield _cell("multihop", 5, size=80_000, kind="table", hops=hops, people=5, layout="block")
    for pos in (0.5, 0.99):  # B: its thousand records, and words of the same size
        yield _cell("structured", 5, question="json_seed", pos=pos)
        yield _cell("niah", 5, size=137_000, pos=pos, haystack="words", needle="number5")
    yield _cell("structured", 5, question="json_seed", needle="int", outlier=True)
