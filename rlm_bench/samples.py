"""What a task hands out: one question with its context, its answer and how to score it.

A sample is a pure function of (suite version, task, params, seed, index), the same bytes on every machine. So
runs store a context's sha256 alone, and generate it again.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SUITE_VERSION = 1
"""Counts up whenever samples of any task change: results of different versions do not compare."""


class BuildError(Exception):
    """A generated sample failed its own check: a defect of the generator, never of what is being measured."""


@dataclass(frozen=True)
class Sample:
    id: str
    """Unique for (task, version, params, seed, index)."""
    task: str
    version: int
    params: Mapping[str, Any]
    seed: int
    index: int
    context: Any
    """str, list, dict, or a `pathlib.Path` of a UTF-8 file."""
    query: str
    """Everything a method is told, the sentence on the answer's form included."""
    answer: Any
    """The true answer; None where the context holds none."""
    answer_type: str
    """What kind of value the answer is: number7, uuid, set, integer, label, pairs, choice..."""
    scorer: str
    """A name in `rlm_bench.scorers.SCORERS`."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """positions (shares of the text's length), needles, decoys (wrong value -> its kind), unanswerable,
    cluster (samples of one context share it; intervals resample clusters), and what else the task says."""

    @property
    def chars(self) -> int:
        return len(flat(self.context))

    @property
    def sha256(self) -> str:
        """Of the context: what says that two machines asked about the same text."""
        return hashlib.sha256(canonical(self.context).encode("utf-8", "surrogatepass")).hexdigest()


def rng(task: str, params: Mapping[str, Any], seed: int, index: int) -> random.Random:
    """The only source of chance in the suite: the same on every machine and version of Python."""
    key = repr((SUITE_VERSION, task, sorted(params.items()), seed, index))
    return random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))


def sample_id(task: str, version: int, params: Mapping[str, Any], seed: int, index: int) -> str:
    key = repr((SUITE_VERSION, task, version, sorted(params.items()), seed, index))
    return f"{task}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def canonical(context: Any) -> str:
    """A context as one text that tells contexts apart: itself, or its JSON."""
    text = _read(context)
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)


def flat(context: Any) -> str:
    """All the text of a context, for searching: the strings in it, one after another."""
    value = _read(context)
    if isinstance(value, str):
        return value
    parts: list[str] = []
    _collect(value, parts)
    return "\n".join(parts)


def _read(context: Any) -> Any:
    return context.read_text(encoding="utf-8") if hasattr(context, "read_text") else context


def _collect(value: Any, parts: list[str]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            parts.append(str(key))
            _collect(item, parts)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, parts)
    else:
        parts.append(str(value))
