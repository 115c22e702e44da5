"""Questions of real code, the interpreter's own library or the folder `src`; `ast` is the oracle.

Texts depend on the version of Python. `renamed` gives classes invented names, so that memory of the library
is no help.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from typing import Any

from rlm_bench import prose, stdlib
from rlm_bench.samples import BuildError, Sample, flat, rng
from rlm_bench.tasks.task import Draft, Params, Task, one_of, positive

QUESTIONS = ("define_where", "base_of", "subclasses")
HEAD = "=== FILE: {path} ===\n"


def classes(text: str) -> dict[str, list[tuple[str, list[str]]]]:
    """Name of a top-level class -> (path, its bases' plain names) for each place that defines it."""
    found = defaultdict(list)
    parts = re.split(r"^=== FILE: (.+) ===\n", text, flags=re.M)
    for path, code in zip(parts[1::2], parts[2::2], strict=True):
        try:
            body = ast.parse(code).body
        except (SyntaxError, ValueError):
            continue
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append((path, [b.id for b in node.bases if isinstance(b, ast.Name)]))
    return dict(found)


def answer_of(kind: str, name: str, known: dict[str, list[tuple[str, list[str]]]]) -> Any:
    if kind == "define_where":
        return known[name][0][0]
    if kind == "base_of":
        return known[name][0][1][0]
    return sorted(other for other, places in known.items() if any(name in bases for _, bases in places))


def build(params: Params, seed: int, index: int) -> Draft:
    size, kind = positive(params, "size", 5_000), one_of(params, "question", ("all", *QUESTIONS))
    kind = QUESTIONS[index % len(QUESTIONS)] if kind == "all" else kind
    chance = rng("codeqa", params, seed, index)
    for _ in range(40):
        files = stdlib.subset(chance, size, params["src"], whole=True)
        text = "\n".join(HEAD.format(path=source.path) + source.text for source in files)
        known = classes(text)
        once = sorted(name for name, places in known.items() if len(places) == 1 and len(name) > 4)
        if kind == "base_of":
            once = [name for name in once if len(known[name][0][1]) == 1 and known[name][0][1][0] != "object"]
        elif kind == "subclasses":
            once = [name for name in once if answer_of(kind, name, known)]
        if once:
            break
    else:
        raise BuildError(f"no files of {size} characters together have a class for {kind}")
    name = chance.choice(once)
    if params["renamed"]:
        new = {old: prose.invented(chance, 4).capitalize() + str(n) for n, old in enumerate(sorted(known))}
        text = re.sub(r"\b[A-Za-z_]\w*\b", lambda found: new.get(found[0], found[0]), text)
        known, name = classes(text), new[name]
    query = {
        "define_where": f"Which file defines the class {name}? Answer with the file's path only.",
        "base_of": f"What is the base class of the class {name}? Answer with its name only.",
        "subclasses": f"Which top-level classes have {name} as a direct base? Answer with names only.",
    }[kind]
    answer = answer_of(kind, name, known)
    scorer = "set" if kind == "subclasses" else "text"
    return Draft(text, query, answer, "name", scorer, {"keys": [name], "kind": kind, "name": name})


def solve(sample: Sample) -> Any:
    return answer_of(sample.meta["kind"], sample.meta["name"], classes(flat(sample.context)))


TASK = Task(
    name="codeqa",
    version=1,
    defaults={"size": 30_000, "question": "all", "renamed": False, "src": None},
    build=build,
    solve=solve,
)
