"""Contexts that are not one text: the needle or the record of `niah` and `structured` in other shapes.

list     documents, one string each
dict     title -> document
records  a list of dicts, with numbers as numbers
path     a UTF-8 file
two      two texts by name, the needle in either
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlm_bench import prose
from rlm_bench.samples import Sample, rng
from rlm_bench.tasks import niah, structured
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

SHAPES = ("list", "dict", "records", "path", "two")
DOCUMENT = 2_000
"""Characters of a document, at least: whole lines."""


def documents(text: str) -> list[str]:
    """Pieces that together are the text, cut at line ends."""
    made, start = [], 0
    while start < len(text):
        end = text.find("\n", start + DOCUMENT)
        end = len(text) if end < 0 else end + 1
        made.append(text[start:end])
        start = end
    return made


def stored(text: str) -> Path:
    """A file with that text in the bench's folder, written once: its name is its hash."""
    from rlm_core.home import home

    folder = home() / "bench" / "contexts"
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()}.txt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8", newline="") as file:
            file.write(text)
        os.replace(file.name, path)  # whole, or not there
    return path


def build(params: Params, seed: int, index: int) -> Draft:
    size, shape = positive(params, "size", 5_000), one_of(params, "shape", ("all", *SHAPES))
    shape = SHAPES[index % len(SHAPES)] if shape == "all" else shape
    chance = rng("shapes", params, seed, index)
    if shape == "records":
        asked = {"question": chance.choice(structured.QUESTIONS), "format": "jsonl", "size": size}
        draft = structured.build({**structured.TASK.defaults, **asked}, seed, index)
        context: Any = [json.loads(line) for line in draft.context.splitlines()]
        draft.meta.update(decoys={}, needles=[])  # they are told as text: 4.90, which as a number is 4.9
    else:
        share = size * 2 // 3 if shape == "two" else size
        draft = niah.build({**niah.TASK.defaults, "size": share, "pos": params["pos"]}, seed, index)
        context = documents(draft.context)
        if shape == "dict":
            titles = prose.keys(chance, len(context))
            context = dict(zip(titles, context, strict=True))
        elif shape == "path":
            context = stored(draft.context)
        elif shape == "two":
            other = prose.prose(chance, size - share)
            pair = [("report", draft.context), ("appendix", other)]
            context = dict(
                pair if chance.random() < 0.5 else [("report", other), ("appendix", draft.context)]
            )
            draft.meta["positions"] = []
    return replace(draft, context=context, meta={**draft.meta, "shape": shape})


def solve(sample: Sample) -> Any:
    if sample.meta["shape"] != "records":
        return niah.solve(sample)
    lines = "\n".join(json.dumps(item) for item in sample.context)
    return structured.solve(replace(sample, context=lines, params={"format": "jsonl"}))


def guess(sample: Sample) -> Any:
    """A search for the key in all that the context holds."""
    return structured.guess(sample) if sample.meta["shape"] == "records" else niah.solve(sample)


TASK = Task(
    name="shapes",
    version=1,
    defaults={"size": 10_000, "shape": "all", "pos": "random"},
    build=build,
    solve=solve,
    guess=guess,
)
