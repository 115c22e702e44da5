"""How answers are scored, always twice: `strict` on the final answer, `compat` as RULER and earlier work did
it.

The headline is `strict`; where the two disagree, a report says so. No scorer searches an answer for a number
that happens to be right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
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
    if sample.scorer == "abstain":
        return Score(1.0, 1.0, None, "none") if status == "not_found" else abstain(sample, found, answer)
    result = SCORERS[sample.scorer](sample, found, answer)
    nothing = 0.0 if result.partial is not None else None
    if status == "not_found" or abstains(found):
        return Score(0.0, 0.0, nothing, "not_found")
    empty = not found and sample.answer not in ([], "")
    return Score(0.0, 0.0, nothing, "empty") if empty else result


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
    """Whether it is the word for "not there", alone or before an explanation."""
    return bool(re.match(r"\W*not_found\b", text.lower())) or plain(text) == "not found"


def wrong(sample: Sample, found: str) -> str:
    """The kind of a wrong answer: that of the decoy it gives, where it gives one."""
    for decoy, kind in sample.meta.get("decoys", {}).items():
        if re.search(rf"(?<!\w){re.escape(plain(str(decoy)))}(?!\w)", plain(found)):
            return str(kind)
    return "wrong"


TOKENS = {
    "number": r"(?<![\w.])\d{1,3}(?:,\d{3})+(?!\w)|(?<!\w)\d+(?!\w)",
    "uuid": r"(?<!\w)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)",
    "code12": r"(?<!\w)(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12}(?!\w)",
    "variable": r"(?<!\w)[A-Z]{5}(?!\w)",
}
NUMBER = r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|-?\d+(?:\.\d+)?"


def tokens(answer_type: str, text: str) -> set[str]:
    """All the values of that type in a text."""
    found = re.findall(TOKENS[answer_type], text)
    if answer_type == "number":
        return {token.replace(",", "") for token in found}
    return {token.lower() for token in found} if answer_type == "uuid" else set(found)


def numbers(text: str) -> list[Decimal]:
    return [Decimal(token.replace(",", "")) for token in re.findall(NUMBER, text)]


def value(sample: Sample, found: str, answer: Any) -> Score:
    """One value: strict if the answer holds it and no other of its type."""
    gold = str(sample.answer)
    if sample.answer_type not in TOKENS:
        return text(sample, found, answer)
    got = tokens(sample.answer_type, found)
    kind = "none" if got == {gold} else "extra" if gold in got else wrong(sample, found)
    return Score(float(got == {gold}), float(gold.lower() in found.lower()), None, kind)


def text(sample: Sample, found: str, answer: Any) -> Score:
    """Words: strict if the answer, or what it says after its last "is" or colon, is the true one or an
    alias."""
    last = re.split(r"(?:\bis\b:?|:)\s", found)[-1]
    golds = [plain(str(gold)) for gold in (sample.answer, *sample.meta.get("aliases", ()))]
    right = any(gold in (plain(found), plain(last)) for gold in golds)
    compat = any(gold in plain(found) for gold in golds)
    kind = "none" if right else "extra" if compat else wrong(sample, found)
    return Score(float(right), float(compat), None, kind)


def exact(sample: Sample, found: str, answer: Any) -> Score:
    """The very same characters, but for white space at the ends."""
    right, gold = found == str(sample.answer).strip(), str(sample.answer).lower()
    return Score(float(right), float(gold in found.lower()), None, "none" if right else wrong(sample, found))


def contains(sample: Sample, found: str, answer: Any) -> Score:
    """The true answer anywhere in the answer given, in any case."""
    right = str(sample.answer).lower() in found.lower()
    return Score(float(right), float(right), None, "none" if right else wrong(sample, found))


def number(sample: Sample, found: str, answer: Any) -> Score:
    """One number, units apart: strict if it is the only one in the answer."""
    gold, got = Decimal(str(sample.answer)), numbers(found)
    right = set(got) == {gold}
    kind = "none" if right else "extra" if gold in got else wrong(sample, found)
    return Score(float(right), float(gold in got), None, kind)


def integer(sample: Sample, found: str, answer: Any) -> Score:
    """A count: strict on the last whole number of the answer; half a point off is off. Partial: .75 **
    distance."""
    gold, got = Decimal(str(sample.answer)), numbers(found)
    whole = [number for number in got if number == number.to_integral_value()]
    if not whole:
        return Score(0.0, 0.0, 0.0, wrong(sample, found))
    right = whole[-1] == gold
    partial = 0.75 ** min(float(abs(whole[-1] - gold)), 10_000.0)
    return Score(float(right), float(gold in got), partial, "none" if right else wrong(sample, found))


def items(sample: Sample, found: str, answer: Any) -> set[str]:
    """The things that an answer lists: a list's own, or those of the answer's type, or what commas and lines
    part."""
    if sample.answer_type in TOKENS:
        return tokens(sample.answer_type, found)
    if isinstance(answer, list | tuple | set | frozenset):
        return {plain(said(item)) for item in answer}
    listed = re.sub(r"^[^\n]*?:(?=\s)", "", found, count=1)
    parts = re.split(r"[,;\n]|\band\b", re.sub(r"(?m)^\s*(?:[-*•]|\d+[.)])\s+", "", listed))
    return {plain(part) for part in parts if plain(part)}


def set_(sample: Sample, found: str, answer: Any) -> Score:
    """A set: strict if it is the same. Partial: F1. Compat: the share of true values that occur in the
    answer."""
    gold = {str(item) if sample.answer_type in TOKENS else plain(str(item)) for item in sample.answer}
    got = items(sample, found, answer)
    compat = sum(item.lower() in found.lower() for item in gold) / max(1, len(gold))
    if got == gold:
        return Score(1.0, compat, 1.0, "none")
    kind = "missing" if got < gold else "extra" if got > gold else wrong(sample, found)
    return Score(0.0, compat, f1(got, gold), kind)


def f1(got: set[Any], gold: set[Any]) -> float:
    """Of two sets; 1 when both are empty."""
    return f1_of(len(got & gold), len(got), len(gold)) if got or gold else 1.0


def f1_of(both: int, got: int, gold: int) -> float:
    return 2 * both / (got + gold) if got + gold else 0.0


def pairs_in(found: str, answer: Any = None) -> set[tuple[int, int]]:
    """Pairs of numbers, lower first: "(a, b)" anywhere, else lines "a, b"."""
    if isinstance(answer, list | tuple | set | frozenset):
        try:
            return {(min(a, b), max(a, b)) for a, b in (map(int, pair) for pair in answer)}
        except (TypeError, ValueError):
            pass
    parsed = re.findall(r"\(\s*(-?\d+)\s*,\s*(-?\d+)\s*\)", found)
    parsed = parsed or re.findall(r"(?m)^\D*?(-?\d+)\s*,\s*(-?\d+)\D*$", found)
    return {(min(int(a), int(b)), max(int(a), int(b))) for a, b in parsed}


def pairs(sample: Sample, found: str, answer: Any) -> Score:
    """Pairs: strict if the set is the same; compat and partial are F1, as published. See `pair_rates`."""
    got, gold = pairs_in(found, answer), {(a, b) for a, b in sample.answer}
    if got == gold:
        return Score(1.0, 1.0, 1.0, "none")
    kind = "missing" if got < gold else "extra" if got > gold else "wrong"
    return Score(0.0, f1(got, gold), f1(got, gold), kind)


def pair_rates(gold_pairs: Iterable[tuple[int, int]], users: int, answer: Any) -> dict[str, float]:
    """Precision, recall, F1, and the lift of F1 over naming all pairs of so many users (1 is no better)."""
    got, gold = pairs_in(said(answer), answer), {(a, b) for a, b in gold_pairs}
    naive = f1_of(len(gold), users * (users - 1) // 2, len(gold))
    return {
        "precision": len(got & gold) / len(got) if got else float(not gold),
        "recall": len(got & gold) / len(gold) if gold else 1.0,
        "f1": f1(got, gold),
        "lift": f1(got, gold) / naive if naive else 1.0,
    }


def choice(sample: Sample, found: str, answer: Any) -> Score:
    """One of four, 0 to 3 or A to D: strict if the answer names just the right one; compat reads its last."""
    got = [
        "0123"["ABCD".find(mark)] if mark in "ABCD" else mark for mark in re.findall(r"\b[0-3A-D]\b", found)
    ]
    right = set(got) == {str(sample.answer)}
    compat = bool(got) and got[-1] == str(sample.answer)
    kind = "none" if right else "extra" if str(sample.answer) in got else "wrong"
    return Score(float(right), float(compat), None, kind)


COMPARISONS = ("more common", "less common", "same frequency")


def oolong(sample: Sample, found: str, answer: Any) -> Score:
    """OOLONG's own parse, then equality: what follows the last colon, or else a short answer, or the last
    word of a long one (but the label itself, however long). Partial: for numbers .75 ** distance.

    Compat is lenient: the true answer as words of their own in the last line.
    """
    gold = str(sample.answer)
    said_ = (
        found.split(":")[-1]
        if ":" in found
        else found
        if len(found) < 20 or found == gold
        else found.split()[-1]
    )
    said_ = re.sub(r"[*\[\]]", "", said_).strip()
    for comparison in COMPARISONS:
        said_ = comparison if comparison in said_.lower() else said_
    if sample.answer_type == "comparison":
        right = said_ in COMPARISONS and said_ in gold
        partial = float(right)
    elif sample.answer_type == "count":
        got = int(said_) if re.fullmatch(r"-?\d{1,12}", said_) else None
        partial = 0.0 if got is None else 0.75 ** min(abs(got - int(gold)), 10_000)
        right = got == int(gold)
    elif sample.answer_type == "date":
        right = day(said_) is not None and day(said_) == day(gold)
        partial = float(right)
    else:
        right = said_.lower() == gold.lower()
        partial = float(right)
    last = found.strip().split("\n")[-1].lower() if found else ""
    lenient = right or bool(re.search(rf"(?<!\w){re.escape(gold.lower())}(?!\w)", last))
    return Score(float(right), float(lenient), partial, "none" if right else wrong(sample, found))


DAYS = ("%m/%d/%Y", "%Y-%m-%d", "%b %d, %Y", "%B %d, %Y", "%d %B %Y")


def day(text: str) -> date | None:
    for form in DAYS:
        try:
            return datetime.strptime(text.strip(" ."), form).date()
        except ValueError:
            continue
    return None


NOTHING = (
    r"(?:does|do|did) ?(?:not|nt) (?:contain|mention|say|state|specify|provide|include|hold|give|reveal)",
    r"(?:is|are|was|were) ?(?:not|nt|never) (?:mentioned|specified|stated|provided|given|found|present|in)\b",
    r"(?:(?:could|can|did) ?(?:not|nt)|cannot) (?:be )?(?:find|found|determined?|answer(?:ed)?)",
    r"(?:no|not enough|insufficient) (?:such )?(?:information|mention|answer|evidence|record)",
    r"there (?:is|are|was|were) no\b",
    r"^(?:unknown|none|not (?:found|mentioned|specified|available|stated)|n/?a)$",
)
"""How answers say that
    the text does not say: a closed list, read only where the question names no word for it."""


def abstain(sample: Sample, found: str, answer: Any) -> Score:
    """Nothing to find: right is NOT_FOUND, or to say so where the question taught no word. See `score` for
    status."""
    told = sample.meta.get("told", True)
    phrased = any(re.search(phrase, plain(found)) for phrase in NOTHING)
    right = abstains(found) or (phrased and not told)
    kind = "none" if right else "empty" if not found else wrong(sample, found)
    return Score(
        float(right), float(abstains(found) or phrased), None, "invented" if kind == "wrong" else kind
    )


SCORERS: dict[str, Callable[[Sample, str, Any], Score]] = {
    "value": value,
    "text": text,
    "exact": exact,
    "contains": contains,
    "number": number,
    "integer": integer,
    "set": set_,
    "pairs": pairs,
    "choice": choice,
    "oolong": oolong,
    "abstain": abstain,
}
