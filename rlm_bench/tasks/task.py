"""What a task is: a pure function to samples, an oracle that solves them, a simple rule that often does, and
checks.

Each sample is checked as it is made. A sample whose answer does not follow from its text would count every
method wrong (or right) for nothing, and published results have suffered from just that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rlm_bench.samples import BuildError, Sample, flat, sample_id
from rlm_bench.scorers import score

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Draft:
    """What a task builds; the rest of a `Sample` is known without it."""

    context: Any
    query: str
    answer: Any
    answer_type: str
    scorer: str
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    name: str
    version: int
    """Counts up when this task's samples change."""
    defaults: Params
    """Every parameter the task takes, with its default."""
    build: Callable[[Params, int, int], Draft]
    """(params, seed, index) -> a draft; all chance from `samples.rng`."""
    solve: Callable[[Sample], Any]
    """The oracle: works the answer out from context and query alone, knowing how such texts are written."""
    guess: Callable[[Sample], Any] | None = None
    """What a simple rule (a search for the question's key, the first word of a line) answers; None for
    none."""
    baselines: Mapping[str, Callable[[Sample], Any]] = field(default_factory=dict)
    """Other answers that need no reading, by name, such as `all_pairs`."""

    def sample(self, seed: int = 0, index: int = 0, **params: Any) -> Sample:
        """One sample. ValueError for parameters that are unknown or make no sense, BuildError for a failed
        check."""
        unknown = sorted(set(params) - set(self.defaults))
        if unknown:
            known = ", ".join(sorted(self.defaults))
            raise ValueError(f"task {self.name} has no parameter {', '.join(unknown)}: it has {known}")
        full = {**self.defaults, **params}
        for name, default in self.defaults.items():
            if isinstance(default, bool) and not isinstance(full[name], bool):
                raise ValueError(f"{name}={full[name]!r}: must be true or false")
        draft = self.build(full, seed, index)
        made = Sample(
            id=sample_id(self.name, self.version, full, seed, index),
            task=self.name,
            version=self.version,
            params=full,
            seed=seed,
            index=index,
            context=draft.context,
            query=draft.query,
            answer=draft.answer,
            answer_type=draft.answer_type,
            scorer=draft.scorer,
            meta={"positions": [], "needles": [], "decoys": {}, "unanswerable": False, **draft.meta},
        )
        made.meta.setdefault("cluster", made.id)  # type: ignore[attr-defined]
        check(made, self.solve)
        return made

    def heuristic(self, sample: Sample) -> Any:
        return self.guess(sample) if self.guess else None


def check(sample: Sample, solve: Callable[[Sample], Any]) -> None:
    """BuildError unless the sample is what it says."""

    def require(true: bool, what: str) -> None:
        if not true:
            raise BuildError(
                f"{sample.task} {dict(sample.params)} seed {sample.seed} index {sample.index}: {what}"
            )

    meta, text = sample.meta, flat(sample.context)
    for key in meta.get("keys", ()):
        require(str(key) in sample.query, f"the question does not name its key {key!r}")
    for needle in meta["needles"]:
        require(text.count(needle) == 1, f"the needle {needle!r} is in the text {text.count(needle)} times")
    for decoy in meta["decoys"]:
        require(str(decoy) in text, f"the decoy {decoy!r} is not in the text")
    found = solve(sample)
    status = "not_found" if found is None else "answered"
    require(
        score(sample, found, status).strict == 1.0,
        f"the oracle finds {found!r}, the answer is {sample.answer!r}",
    )
    if not meta["unanswerable"] and sample.answer != []:
        require(score(sample, "").strict == 0.0, "an empty answer counts as right")
    if meta["needles"] and not meta["unanswerable"]:
        rest = text
        for needle in meta["needles"]:
            rest = rest.replace(needle, "")
        found = solve(replace(sample, context=rest))
        require(score(sample, found).strict == 0.0, "the oracle finds the answer without the needle")
        gold = sample.answer if isinstance(sample.answer, list) else [sample.answer]
        for value in () if meta.get("elsewhere") else gold:
            require(str(value).lower() not in rest.lower(), f"{value!r} is in the text without its needle")


def find(forms: tuple[tuple[str, str], ...], query: str, text: str) -> str | None:
    """What a sentence of the text says of what is asked for.  `forms`: patterns of a question, whose group is
    the key, and of the sentence that answers it, with {key} in it and the answer as its group."""
    for asked, told in forms:
        if key := re.search(asked, query):
            found = re.search(told.replace("{key}", re.escape(key[1])), text)
            return found[1] if found else None
    return None


def positive(params: Params, name: str, least: int = 1, most: int | None = None) -> int:
    """A whole number of at least `least` and at most `most`, or ValueError."""
    value = params[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r}: must be a whole number of at least {least}")
    if most is not None and value > most:
        raise ValueError(f"{name}={value!r}: must be at most {most}")
    return value


def one_of(params: Params, name: str, allowed: Mapping[str, Any] | tuple[str, ...]) -> str:
    value = params[name]
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: must be one of {', '.join(map(str, allowed))}")
    return str(value)
