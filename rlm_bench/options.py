"""What the options of `bench run` ask for: which samples, by which methods.

`given` are the options by name, as they stand in a run's config.json.  Everything here raises ValueError, in
one line that says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rlm_bench import corpora, folders, questions, stdlib, tasks
from rlm_bench import methods as methods_
from rlm_bench.presets import Cell, Preset, presets, with_twins
from rlm_bench.runner import Spec
from rlm_bench.samples import flat
from rlm_bench.tasks.haystacks import CORPUS

WORDS = {"True": "true", "False": "false", "None": "null"}
DEFAULT_METHODS = ("rlm0", "rlm1", "direct", "rag")
SMOKE_METHODS = ("oracle", "empty", "heuristic", "direct", "rag", "chunked", "rlm0", "rlm1")


def preset(given: dict[str, Any], count: Callable[[str], int]) -> Preset:
    """`count`: how the model counts tokens."""
    own, names, name = given.get("questions"), given["task_names"], given["preset"]
    if sum(map(bool, (own, names, name))) > 1:
        raise ValueError("give one of --preset, --task and --questions")
    if not names and (given["params"] or given.get("tokens")):
        raise ValueError("-p, --corpus and --tokens are for --task: all else has parameters of its own")
    if own:
        there = len(questions.samples(own))
        return Preset("questions", "", [Cell("questions", min(given["n"] or there, there), own)])
    if names:
        names = list(dict.fromkeys(names))
        return Preset("-".join(names), "", [_cell(name, given, count) for name in names])
    if not name:
        raise ValueError("say what to run: --preset smoke, or --task niah; llm rlm bench list shows all")
    if name not in presets():
        raise ValueError(f"no preset {name!r}: there are {', '.join(presets())}")
    return presets()[name].with_n(given["n"])


def _cell(task: str, given: dict[str, Any], count: Callable[[str], int]) -> Cell:
    told = params(given["params"])
    if given.get("tokens"):
        if "size" in told:
            raise ValueError("give --tokens or -p size=, not both")
        if "size" not in tasks.get(task).defaults:
            raise ValueError(f"task {task} has no size: leave out --tokens")
        told["size"] = _size(task, told, given["seed"], given["tokens"], count)
    Spec.of(task, told, given["seed"]).sample()  # its parameters are right
    return Cell(task, with_twins(task, given["n"] or 1), told)


def _size(task: str, told: dict[str, Any], seed: int, tokens: int, count: Callable[[str], int]) -> int:
    """Characters of so many tokens, by a sample's own density."""
    size = 4 * tokens
    for _ in range(3):
        text = flat(Spec.of(task, {**told, "size": size}, seed).sample().context)
        size = max(1_000, int(len(text) * tokens / count(text)) // 100 * 100)
    return size


def pinned(given: Iterable[str], corpus: Path | None = None) -> list[str]:
    """NAME=VALUE, in which folders of texts are named with a hash of what is in them.  `corpus`: the folder
    of a haystack."""
    given, found = list(given), list[str]()
    if corpus:
        if any(one.startswith("haystack=") for one in given):
            raise ValueError("give --corpus or -p haystack=, not both")
        given.append(f"haystack={CORPUS}{corpus}")
    for one in given:
        name, _, value = one.partition("=")
        if name == "src" and params([one])[name]:
            one = f"src={_hashed(value, stdlib.sources)}"
        elif name == "haystack" and value.startswith(CORPUS):
            one = f"haystack={CORPUS}{_hashed(value.removeprefix(CORPUS), corpora.files)}"
        found.append(one)
    return found


def _hashed(folder: str, files: folders.Files) -> str:
    return folders.reference(folders.opened(folder, files), files)


def params(given: Iterable[str]) -> dict[str, Any]:
    """Of NAME=VALUE; values are JSON, or Python's True, False and None, or else text."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise ValueError(f"-p {one}: write NAME=VALUE")
        try:
            found[name] = json.loads(WORDS.get(value, value))
        except ValueError:
            found[name] = value
    return found


def told(value: Any) -> str:
    """A parameter's value as `params` reads it."""
    return value if isinstance(value, str) else json.dumps(value)


def methods(given: dict[str, Any]) -> list[str]:
    names = given["method_names"]
    if not names:
        return list(SMOKE_METHODS if given["preset"] == "smoke" else DEFAULT_METHODS)
    for name in names:
        if name not in methods_.names():
            raise ValueError(f"no method {name!r}: there are {', '.join(methods_.names())}")
    return list(dict.fromkeys(names))
