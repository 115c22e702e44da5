"""The tasks: one file each, every sample pure, seeded and checked as it is made."""

from __future__ import annotations

from importlib import import_module

from rlm_bench.tasks.task import Task

_NAMES = (
    "niah",
    "niah_multi",
    "vt",
    "multihop",
    "decoys",
    "unanswerable",
    "aggregation",
    "count",
    "structured",
    "oolong_like",
    "pairs",
    "codeqa",
    "shapes",
)


def names() -> list[str]:
    return list(_NAMES)


def get(name: str) -> Task:
    """The task of that name, or "questions", whose samples are a file of the user's. ValueError that names
    them all for any other."""
    if name == "questions":
        from rlm_bench import questions

        return questions.TASK
    if name not in _NAMES:
        raise ValueError(f"no task {name!r}: the tasks are {', '.join(_NAMES)}")
    task = import_module(f"rlm_bench.tasks.{name}").TASK
    assert isinstance(task, Task)
    return task
