"""How answers are scored, always twice: `strict` on the final answer, `compat` as RULER and earlier work did
it.

The headline is `strict`; where the two disagree, a report says so. No scorer searches an answer for a number
that happens to be right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rlm_bench.samples import Sample


@dataclass(frozen=True)
class Score:
    strict: float
    compat: float
    partial: float | None
    """Credit for near misses, where the task knows any (F1 of sets, .75 ** distance of counts)."""
    error_class: str
    """none where strict is 1; else empty, not_found, or what kind of wrong answer it is."""


def score(sample: Sample, answer: Any, status: str = "answered") -> Score:
    """The scores of an answer. `status` is what the method says of it: "not_found" is an answer too."""
    found = said(answer)
    result = SCORERS[sample.scorer](sample, found, answer)
    if sample.meta.get("unanswerable") or result.strict == 1.0:
        return result
    if status == "not_found" or (found and abstains(found)):
        return Score(0.0, result.compat, result.partial, "not_found")
    if not found:
        return Score(0.0, 0.0, 0.0 if result.partial is not None else None, "empty")
    return result


def said(answer: Any) -> str:
    """An answer as text: without thinking, lists with commas, a lone field by its value."""
    if answer is None:
        return ""
    if isinstance(answer, Mapping):
        return said(next(iter(answer.values()))) if len(answer) == 1 else json.dumps(answer, default=str)
    if isinstance(answer, list | tuple):
        return ", ".join(
            f"({said(item)})" if isinstance(item, list | tuple) else said(item) for item in answer
        )
    if isinstance(answer, set | frozenset):
        return said(sorted(answer, key=str))
    if isinstance(answer, float) and answer.is_integer():
        return str(int(answer))
    return re.sub(r"<think>.*?(</think>|\Z)", "", str(answer), flags=re.DOTALL).strip()


def plain(text: str) -> str:
    """Lower case, no articles, quotes, or punctuation at the ends, single spaces: what "the same words"
    compares."""
    text = re.sub(r"[\"'`*“”‘’]", "", text.lower())
    text = " ".join(word for word in text.split() if word not in ("a", "an", "the"))
    return text.strip(" .,:;!?()[]{}")


def abstains(text: str) -> bool:
    return re.sub(r"[^a-z]", "", text.lower()) == "notfound"


def wrong(sample: Sample, found: str) -> str:
    """The kind of a wrong answer: that of the decoy it gives, where it gives one."""
    for decoy, kind in sample.meta.get("decoys", {}).items():
        if re.search(rf"(?<!\w){re.escape(plain(str(decoy)))}(?!\w)", plain(found)):
            return str(kind)
    return "wrong"


TOKENS = {
    "number": r"(?<![\w.])\d{1,3}(?:,\d{3})+(?!\w)|(?<!\w)\d+(?!\w)",
    "uuid": r"(?<!\w)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?!\w)",
    "code12": r"(?<!\w)(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12}(?!\w)",
}


def tokens(answer_type: str, text: str) -> set[str]:
    """All the values of that type in a text."""
    flags = re.IGNORECASE if answer_type == "uuid" else 0
    found = re.findall(TOKENS[answer_type], text, flags)
    if answer_type == "number":
        return {token.replace(",", "") for token in found}
    return {token.lower() for token in found} if answer_type == "uuid" else set(found)


def value(sample: Sample, found: str, answer: Any) -> Score:
    """One value: strict if the answer holds it and no other of its type."""
    gold = str(sample.answer)
    compat = float(gold.lower() in found.lower())
    if sample.answer_type in TOKENS:
        got = tokens(sample.answer_type, found)
        right, extra = got == {gold}, gold in got
    else:
        last = re.split(r"(?:\bis\b:?|:)\s", found)[-1]
        right, extra = plain(gold) in (plain(found), plain(last)), plain(gold) in plain(found)
    kind = "none" if right else "extra" if extra else wrong(sample, found)
    return Score(float(right), compat, None, kind)


SCORERS: dict[str, Callable[[Sample, str, Any], Score]] = {"value": value}
