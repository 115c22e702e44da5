"""Users' own questions, from a JSONL file: a line is {"context" or "path", "query", "answer", "scorer"}.

`path` is a UTF-8 file, from the JSONL file's folder. `scorer` is a name in `rlm_bench.scorers.SCORERS`, by
default "set" for answers that are lists, "number" for numbers, and "text" otherwise; an answer of null is a
question that the context does not answer ("abstain"). `aliases`, other right answers, may be given too.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rlm_bench.samples import Sample
from rlm_bench.scorers import SCORERS

FIELDS = ("context", "path", "query", "answer", "scorer", "aliases")


def load(file: Path | str) -> list[Sample]:
    """One sample a line, blank lines apart. ValueError that names the line and what is wrong with it."""
    file = Path(file)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: cannot be read: {error}") from None
    made: list[Sample] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                made.append(_sample(json.loads(line), file, len(made)))
            except (ValueError, OSError) as error:
                raise ValueError(f"{file}, line {number}: {error}") from None
    if not made:
        raise ValueError(f"{file}: holds no question")
    return made


def _sample(row: Any, file: Path, index: int) -> Sample:
    if not isinstance(row, dict):
        raise ValueError('must be an object such as {"context": "...", "query": "...", "answer": "..."}')
    if unknown := sorted(set(row) - set(FIELDS)):
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
    if scorer not in SCORERS:
        raise ValueError(f"no scorer {scorer!r}: the scorers are {', '.join(SCORERS)}")
    if (scorer == "abstain") != (answer is None):
        raise ValueError("the scorer abstain is for an answer of null, and no other is")
    if (scorer in ("set", "pairs")) != isinstance(answer, list):
        raise ValueError(f"the scorer {scorer} does not fit an answer such as {answer!r}")
    if "path" in row:
        context: Any = file.parent / str(row["path"])
        if not context.is_file():
            raise ValueError(f"no file {context}")
    else:
        context = row["context"]
        if not isinstance(context, str | list | dict):
            raise ValueError("context must be a text, a list or an object")
    digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:12]
    return Sample(
        id=f"questions-{digest}",
        task="questions",
        version=1,
        params={"file": file.name},
        seed=0,
        index=index,
        context=context,
        query=row["query"],
        answer=answer,
        answer_type=scorer,
        scorer=scorer,
        meta={
            "positions": [],
            "needles": [],
            "decoys": {},
            "unanswerable": answer is None,
            "told": "NOT_FOUND" in row["query"],
            "aliases": row.get("aliases", []),
            "cluster": digest,
        },
    )
