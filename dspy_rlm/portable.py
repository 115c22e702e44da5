"""Between DSPy and everything else: a program's strategy as a file that `llm -o strategy` runs, such a file
as a program, and recorded runs as training examples."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import dspy

from dspy_rlm import adapter
from dspy_rlm.module import RLM
from dspy_rlm.references import Kept
from rlm_core import strategies
from rlm_core.events import Replied, Started, Stepped
from rlm_core.home import home
from rlm_core.journal import Journal
from rlm_core.strategies import Strategy
from rlm_core.views import Turn

SOURCES = ("llm", "map", "python", "dspy")  # who may have made a recorded run


def strategy_of(program: dspy.Module, name: str = "optimized") -> Strategy:
    """What was optimized of an RLM, or of the one RLM in a program: instructions and demos.

    Raises ValueError where there is none, or more than one.  Demos hold texts of the runs that they were made
    from: questions, what was printed, answers; never a context."""
    # Optimizers leave other candidates on a program: these are not what it runs.
    found = [program] if isinstance(program, RLM) else [rlm for _, rlm in program.named_sub_modules(RLM)]
    if len(found) != 1:
        raise ValueError(f"the program holds {len(found)} RLMs: export one of them")
    return replace(found[0].current_strategy(), name=name)


def export_strategy(program: dspy.Module, path: str | Path, name: str = "") -> Strategy:
    """Writes it as JSON, for `llm rlm strategies add FILE`.  `name`: the file's own, where none is given.
    Warns where it carries worked examples that no built-in strategy has.  Raises as `strategy_of`."""
    path = Path(path)
    strategy = strategy_of(program, name or path.stem)
    strategies.save(strategy, path)
    known = {example for built_in in strategies.BUILT_IN.values() for example in built_in.examples}
    if private := [example for example in strategy.examples if example not in known]:
        warnings.warn(
            f"{path} carries worked examples ({len(private)}): questions, code, what was printed, answers. "
            "Look through it for private text before you share it",
            stacklevel=2,
        )
    return strategy


def load_strategy(name: str | Path) -> Strategy:
    """A strategy by name (built in, or added with `llm rlm strategies add`) or from a file:
    `RLM(..., strategy=load_strategy("mine.json"))`.  Raises StrategyError."""
    return strategies.load(name)


def examples_from_runs(
    journal: str | Path | None = None,
    *,
    limit: int = 1_000,
    status: Iterable[str] = ("answered", "not_found"),
    source: str | None = None,
) -> list[dspy.Example]:
    """Recorded runs as training examples, newest first: `context` and `query` (its inputs), `answer`, and the
    run's `trajectory`, `card`, `status` and `run` (its id).  As demos of an RLM they are worked examples:
    `dspy.LabeledFewShot(k=4).compile(rlm, trainset=...)`.

    journal  the file; the home folder's where None
    status   of the runs to take
    source   one of SOURCES, who ran them; all where None

    A context is a `Kept`: a reference into the journal that is read when the program runs, so that no prompt
    of an optimizer and no saved file holds it.  A run's answer is what it submitted; whether that is right
    only you can tell.  Raises JournalError; ValueError for another source."""
    if source not in (None, *SOURCES):
        raise ValueError(f"source={source!r}: must be one of {', '.join(SOURCES)}, or None")
    kept = Journal(Path(journal) if journal is not None else home() / "journal.db")
    wanted = tuple(status)
    marks = ", ".join("?" * len(wanted))
    where, parameters = f"status IN ({marks})", [*wanted]
    if source is not None:
        where, parameters = f"{where} AND source = ?", [*wanted, source]
    return [_example(kept, row) for row in kept.runs(limit, where, *parameters)]


def _example(journal: Journal, row: dict[str, Any]) -> dspy.Example:
    answer = json.loads(row["answer"]) if row["answer"] else None
    card, trajectory = _story(journal, row["id"])
    return dspy.Example(
        context=Kept(journal.path, row["id"], row["chars"]),
        query=row["query"],
        answer=answer,
        trajectory=trajectory,
        card=card,
        status=row["status"],
        run=row["id"],
    ).with_inputs("context", "query")


def _story(journal: Journal, run: str) -> tuple[str, list[dict[str, str]]]:
    """What kind of thing the input was, and the root's steps."""
    steps: list[dict[str, str]] = []
    card = said = ""
    for _, _, event in journal.events(run):
        if event.path:
            continue
        if isinstance(event, Started):
            card = adapter.kinds(event.card)
        elif isinstance(event, Replied):
            said = event.text
        elif isinstance(event, Stepped):
            reasoning = adapter.read(said)["reasoning"]
            turn = Turn(reasoning, event.code, event.output, event.error)
            steps.append(asdict(adapter.step(turn)))
    return card, steps
