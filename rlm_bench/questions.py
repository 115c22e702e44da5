"""Users' own questions, from a JSONL file: a line is {"context" or "path", "query", "answer", "scorer"}.

`path` is a UTF-8 file, from the JSONL file's folder. `scorer` is a name in `rlm_bench.scorers.SCORERS`, by
default "set" for answers that are lists, "number" for numbers, and "text" otherwise; an answer of null is a
question that the context does not answer ("abstain"). `aliases`, a list of other right answers, may be given
where the scorer is "text".

A file is a task like the others, whose samples are its lines.  A file of `gen -o` is one of questions too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from rlm_bench.samples import BuildError, Sample
from rlm_bench.scorers import SCORERS, score
from rlm_bench.tasks.task import Draft, Params, Task

FIELDS = ("context", "path", "query", "answer", "scorer", "aliases")
GENERATED = {field.name for field in fields(Sample)} | {"context_sha256"}
"""What `gen` writes beside them.  Of these only what scores go by is read: `answer_type`, and of `meta`:"""
SCORED_BY = {"decoys": dict, "value": str, "asked": dict, "told": bool, "cluster": str}


def reference(file: Path | str) -> dict[str, Any]:
    """The task's parameters for a file: its path, and a hash of what is in it and in the texts that it names,
    so that answers to other questions are never taken for answers to these.  ValueError if it cannot be
    read."""
    return {"file": str(Path(file).resolve()), "sha256": _sha256(Path(file))}


def samples(params: Params) -> list[Sample]:
    """One sample a line of a referenced file, blank lines apart.  ValueError that names the line and what is
    wrong with it, or says that the file was changed since."""
    _unchanged(Path(params["file"]), params["sha256"])
    made = []
    for index, draft in enumerate(_drafts(params["file"], params["sha256"])):
        try:
            made.append(TASK.sample(index=index, **params))
            if draft.scorer == "set" and not score(made[-1], ", ".join(map(str, draft.answer))).strict:
                raise ValueError  # as a list it is right, but no text could be
        except (BuildError, ArithmeticError, TypeError, ValueError):
            raise ValueError(
                f"{params['file']}, question {index + 1}: by the scorer {draft.scorer}, its own answer "
                f"{draft.answer!r} is not right, or no answer is: give another scorer, or another answer"
            ) from None
    return made


def _sha256(file: Path) -> str:
    """Of a file, and of the texts that it names."""
    try:
        told = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(told)
    for text in sorted(_texts(told)):
        if (file.parent / text).is_file():
            digest.update((file.parent / text).read_bytes())
    return digest.hexdigest()[:16]


def _texts(told: bytes) -> set[str]:
    """The paths in lines that can be read; the others are told of later."""
    found = set()
    for line in told.split(b"\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "path" in row:
            found.add(str(row["path"]))
    return found


def _unchanged(file: Path, sha256: str) -> None:
    if _sha256(file) != sha256:
        raise ValueError(f"{file}, or a text that it names, was changed since this run began: start another")


@lru_cache(maxsize=2)
def _drafts(name: str, sha256: str) -> list[Draft]:
    file = Path(name)
    _unchanged(file, sha256)
    made: list[Draft] = []
    for number, line in enumerate(_text(file, "utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                made.append(_draft(json.loads(line), file))
            except json.JSONDecodeError as error:
                raise ValueError(f"{file}, line {number}, column {error.colno}: {error.msg}") from None
            except (ValueError, OSError) as error:
                raise ValueError(f"{file}, line {number}: {error}") from None
    if not made:
        raise ValueError(f"{file}: holds no question")
    return made


def _text(file: Path, encoding: str = "utf-8") -> str:
    try:
        return file.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: is no UTF-8 text, at byte {error.start}: {error.reason}") from None


def _draft(row: Any, file: Path) -> Draft:
    if not isinstance(row, dict):
        raise ValueError('must be an object such as {"context": "...", "query": "...", "answer": "..."}')
    if unknown := sorted(set(row) - set(FIELDS) - GENERATED):
        raise ValueError(f"unknown field {', '.join(unknown)}: the fields are {', '.join(FIELDS)}")
    if ("context" in row) == ("path" in row):
        raise ValueError("needs either context or path")
    if not isinstance(row.get("query"), str) or not row["query"].strip():
        raise ValueError("needs a query, a text")
    if "answer" not in row:
        raise ValueError("needs an answer; null where the context does not hold one")
    answer = row["answer"]
    fitting = "abstain" if answer is None else "set" if isinstance(answer, list) else "text"
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        fitting = "number"
    scorer = row.get("scorer", fitting)
    if not isinstance(scorer, str) or scorer not in SCORERS:
        raise ValueError(f"no scorer {scorer!r}: the scorers are {', '.join(SCORERS)}")
    if (scorer == "abstain") != (answer is None):
        raise ValueError("the scorer abstain is for an answer of null, and no other is")
    if (scorer in ("set", "pairs")) != isinstance(answer, list):
        raise ValueError(f"the scorer {scorer} does not fit an answer such as {answer!r}")
    aliases = row.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(one, str) and one.strip() for one in aliases):
        raise ValueError('aliases must be a list of texts, such as ["Lovelace"]')
    if aliases and scorer != "text":
        raise ValueError(f"aliases are for the scorer text, not for {scorer}: leave them out")
    told, answer_type = row.get("meta", {}), row.get("answer_type", scorer)
    if not isinstance(told, dict) or not isinstance(answer_type, str):
        raise ValueError("meta must be an object and answer_type a text, as gen writes them")
    if "path" in row:
        context: Any = file.parent / str(row["path"])
        if not context.is_file():
            raise ValueError(f"no file {context}")
        _text(context)
    else:
        context = row["context"]
        if not isinstance(context, str | list | dict):
            raise ValueError("context must be a text, a list or an object")
    text = hashlib.sha256(json.dumps(row.get("path", row.get("context"))).encode()).hexdigest()[:16]
    return Draft(
        context=context,
        query=row["query"],
        answer=answer,
        answer_type=answer_type,
        scorer=scorer,
        meta={
            "unanswerable": answer is None,
            "told": "NOT_FOUND" in row["query"],
            "aliases": aliases,
            "cluster": text,  # questions of one text share its chances
            **{name: told[name] for name, kind in SCORED_BY.items() if isinstance(told.get(name), kind)},
        },
    )


def build(params: Params, seed: int, index: int) -> Draft:
    if not params["file"]:
        raise ValueError("questions are those of a file: --questions FILE")
    drafts = _drafts(params["file"], params["sha256"])
    if index >= len(drafts):
        raise ValueError(f"{params['file']} holds {len(drafts)} questions: there is no number {index + 1}")
    return drafts[index]


TASK = Task(
    name="questions",
    version=1,
    defaults={"file": "", "sha256": ""},
    build=build,
    solve=lambda sample: sample.answer,  # its author's word is all there is
)
