"""How answers are scored, always twice: `strict` on the final answer, `compat` as RULER and earlier work did
it.

The headline is `strict`; where the two disagree, a report says so. No scorer searches an answer for a number
that happens to be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rlm_bench.answers import (
    DATES,
    EXPLAINS,
    NOTHING,
    NUMBER,
    TOKENS,
    WORD,
    asserted,
    day,
    days,
    declines,
    final,
    holds,
    numbers,
    parsed,
    plain,
    said,
    stated,
    states,
    strange,
    takes_back,
    tokens,
    unexplained,
)
from rlm_bench.samples import Sample


@dataclass(frozen=True)
class Score:
    strict: float
    compat: float
    partial: float | None
    """Credit for near misses, where the task knows any (F1 of sets, .75 ** distance of counts)."""
    error_class: str
    """none where strict is 1; else empty; not_found or declined (said that there is no answer: by that word,
    or in others); or what kind of wrong answer it is."""


def score(sample: Sample, answer: Any, status: str = "answered") -> Score:
    """The scores of an answer. `status` is what the method says of it: "not_found" is an answer too."""
    answer = answer if sample.scorer in ("exact", "contains") else parsed(answer)
    found = said(answer)
    if sample.scorer == "abstain":
        return Score(1.0, 1.0, None, "none") if status == "not_found" else abstain(sample, found, answer)
    result = SCORERS[sample.scorer](sample, found, answer)
    nothing = 0.0 if result.partial is not None else None
    kind = "not_found" if status == "not_found" else declined(sample, found)
    if kind == "not_found" or (kind and not result.strict):
        return Score(0.0, 0.0, nothing, kind)
    empty = not found and sample.answer not in ([], "")
    return Score(0.0, 0.0, nothing, "empty") if empty else result


def declined(sample: Sample, found: str) -> str:
    """As `declines`; but "" for an answer that names the value that the text lacks or, in words or before the
    word, another that could be it."""
    kind, gold = declines(found), str(sample.meta.get("value", sample.answer))
    lacking = [gold] if "value" in sample.meta else []
    others, told = list(map(str, sample.meta.get("decoys", {}))), found
    if kind == "declined":
        others += rivals(sample, found, [gold])
    else:  # behind the word stands a reason, which may name others
        told = WORD.split(found)[0]
    named = [(found, value) for value in lacking] + [(told, value) for value in others]
    given = any(holds(part, value) and not holds(sample.query, value) for part, value in named)
    return "" if given else kind


def wrong(sample: Sample, found: str) -> str:
    """The kind of a wrong answer: that of the decoy it gives, where it gives one."""
    for decoy, kind in sample.meta.get("decoys", {}).items():
        if holds(found, str(decoy)):
            return str(kind)
    return "wrong"


def value(sample: Sample, found: str, answer: Any) -> Score:
    """One value: strict if the answer states it and no other of its form."""
    gold, kind = str(sample.answer), sample.answer_type
    if kind not in TOKENS:
        return text(sample, found, answer)
    got = rivals(sample, final(found, TOKENS[kind]), [gold])
    told = "none" if got == {gold} else "extra" if gold in got else wrong(sample, found)
    return Score(float(got == {gold}), float(gold.lower() in found.lower()), None, told)


def rivals(sample: Sample, found: str, golds: Sequence[str]) -> set[str]:
    """The values in an answer that are true or could be: numbers with as many digits, or of any other kind
    those that the question does not name."""
    kind = sample.answer_type
    if kind not in TOKENS:
        return set()
    others = tokens(kind, found) - tokens(kind, sample.query).difference(golds)
    sizes, decoys = set(map(len, golds)), sample.meta.get("decoys", {})
    return {one for one in others if kind != "number" or len(one) in sizes or one in decoys}


def text(sample: Sample, found: str, answer: Any) -> Score:
    """Words: strict if the answer is the true one or an alias, or a sentence that says it and no more."""
    golds = [plain(said(parsed(gold))) for gold in (sample.answer, *sample.meta.get("aliases", ()))]
    part = stated(found)
    short = unexplained(part, lambda head: strange(head, sample.query))
    same = {plain(found), plain(str(answer))}
    if not takes_back(part):
        same |= {plain(part[: start.start()]) for start in EXPLAINS.finditer(part, 1)}
        same |= {plain(re.sub(r"\([^()]*\)", "", part))}
        same |= {plain(re.split("[,.;:!]", part)[0])} & {"yes", "no", "true", "false"}
    right = any(gold in same or states(short, gold, sample.query) for gold in golds)
    compat = any(gold in plain(found) for gold in golds)
    kind = "none" if right else "extra" if compat else wrong(sample, found)
    return Score(float(right), float(right or compat), None, kind)


def exact(sample: Sample, found: str, answer: Any) -> Score:
    """The very same characters, but for white space at the ends."""
    right, gold = found == str(sample.answer).strip(), str(sample.answer).lower()
    return Score(float(right), float(gold in found.lower()), None, "none" if right else wrong(sample, found))


def contains(sample: Sample, found: str, answer: Any) -> Score:
    """The true answer anywhere in the answer given, in any case."""
    right = str(sample.answer).lower() in found.lower()
    return Score(float(right), float(right), None, "none" if right else wrong(sample, found))


def number(sample: Sample, found: str, answer: Any) -> Score:
    """One number, units apart: strict if the answer states it and no other, those of the question apart."""
    gold = Decimal(str(sample.answer))
    got = counted(sample, found, gold)
    kind = "none" if got == {gold} else "extra" if gold in got else wrong(sample, found)
    return Score(float(got == {gold}), float(gold in numbers(found, denied_too=True)), None, kind)


def counted(sample: Sample, found: str, gold: Decimal) -> set[Decimal]:
    """The numbers that an answer states, without those that it repeats of the question."""
    got, asked = set(numbers(final(found, NUMBER))), set(numbers(sample.query)) - {gold}
    return got - asked or got


def integer(sample: Sample, found: str, answer: Any) -> Score:
    """A count: as `number`.  Partial: .75 ** distance."""
    gold = Decimal(str(sample.answer))
    got = counted(sample, found, gold)
    partial = min((0.75 ** min(float(abs(one - gold)), 10_000.0) for one in got), default=0.0)
    told = number(sample, found, answer)
    return Score(told.strict, told.compat, partial, told.error_class)


SPLITS = r"[,;\n]|\band\b|\s&\s"
BULLET = r"(?m)^\s*(?:[-*•]|\d+[.)])\s+"


def items(sample: Sample, found: str, answer: Any) -> set[str]:
    """The things that an answer lists: a list's own, or those of the answer's type, or what commas and lines
    part; but true ones that hold a comma or an "and" are one thing."""
    golds = sorted(map(str, sample.answer), key=len, reverse=True)
    part = stated(found, one=False)
    if sample.answer_type in TOKENS:
        return rivals(sample, part, golds)
    if isinstance(answer, list | tuple | set | frozenset):
        return {plain(said(item)) for item in answer}
    whole: set[str] = set()
    for gold in golds:
        if re.search(rf"{SPLITS}|:\s|\(", gold) and holds(part, gold):
            part = re.sub(rf"(?i)(?<!\w){re.escape(gold)}(?!\w)", ",", part)
            whole.add(plain(gold))
    part = unexplained(part, lambda head: strange(head, sample.query))
    part = re.sub(r"(?<=\w)\**[ ]+\([^()\n]*\)|^[^\n:]*:(?=\s)", "", part)
    if re.search(BULLET, part):  # what stands behind an item explains it
        part = re.sub(r"(?m)(?<=\w)\**(?::|[ ]+[–—-]).*$", "", part)
    split = [one.strip() for one in re.split(SPLITS, re.sub(BULLET, "", part))]
    listed = {plain(one): one for one in split if plain(one) and not one.endswith((" are", " is"))}
    for gold in map(plain, golds):  # "The trees are oak, ..."
        listed = {gold if states(one, gold, sample.query) else name: one for name, one in listed.items()}
    return whole | (set() if listed.keys() <= NONE else set(listed))


NONE = {"none", "nothing", "there are none", "empty list", "no items"}


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


def pairs_in(answer: Any) -> set[tuple[int, int]]:
    """Pairs of numbers, lower first: of a list, or "(a, b)" or "[a, b]" anywhere, else lines "a, b"."""
    answer = parsed(answer)
    if isinstance(answer, list | tuple | set | frozenset):
        if any(isinstance(item, str) for item in answer):
            answer = "\n".join(map(said, answer))
        else:
            try:
                return {(min(a, b), max(a, b)) for a, b in (map(whole, pair) for pair in answer)}
            except (TypeError, ValueError, OverflowError):
                pass
    found, pair = said(answer), r"(-?\d{1,18})\s*,\s*(-?\d{1,18})"
    named = re.findall(rf"[(\[]\s*{pair}\s*[)\]]", found)
    if not named:
        lines = (re.fullmatch(rf"\D*?{pair}\D*", line) for line in re.split(r"[;\n]", found))
        named = [line.groups() for line in lines if line]
    return {(min(int(a), int(b)), max(int(a), int(b))) for a, b in named}


def whole(value: Any) -> int:
    """Raises ValueError for what is no whole number, OverflowError for one without end."""
    if int(value) != float(value):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def pairs(sample: Sample, found: str, answer: Any) -> Score:
    """Pairs: strict if the set is the same; compat and partial are F1, as published. See `pair_rates`."""
    got, gold = pairs_in(answer), {(a, b) for a, b in sample.answer}
    if got == gold:
        return Score(1.0, 1.0, 1.0, "none")
    kind = "missing" if got < gold else "extra" if got > gold else "wrong"
    return Score(0.0, f1(got, gold), f1(got, gold), kind)


def pair_rates(gold_pairs: Iterable[tuple[int, int]], users: int, answer: Any) -> dict[str, float]:
    """Precision, recall, F1, and the lift of F1 over naming all pairs of so many users (1 is no better)."""
    got, gold = pairs_in(answer), {(a, b) for a, b in gold_pairs}
    naive = f1_of(len(gold), users * (users - 1) // 2, len(gold))
    return {
        "precision": len(got & gold) / len(got) if got else float(not gold),
        "recall": len(got & gold) / len(gold) if gold else 1.0,
        "f1": f1(got, gold),
        "lift": f1(got, gold) / naive if naive else 1.0,
    }


CHOICE = r"\b[0-3B-D]\b|\bA\b(?!\s+[a-z])"
"""A digit or a letter, but no article."""


def choice(sample: Sample, found: str, answer: Any) -> Score:
    """One of four, 0 to 3 or A to D: strict if the answer names just the right one, be it as its first mark
    ("2: ..."), as "statement 2", or as its only one; compat reads its last."""
    gold, part = digit(str(sample.answer)), unexplained(stated(found), re.compile(CHOICE).search)
    leading = re.findall(r"(?m)^\W*([0-3A-D])(?=\s*(?:[:.)\]*]|$|\s[–—-]\s))", part)
    named = [
        re.search(CHOICE, one)
        for one in asserted(rf"(?i:statement|option|choice|number)\W+(?:{CHOICE})", part)
    ]
    got = leading or [one[0] for one in named if one] or asserted(CHOICE, part)
    right = set(map(digit, got)) == {gold}
    every = [digit(mark) for mark in re.findall(r"\b[0-3A-D]\b", found)]
    compat = right or every[-1:] == [gold]
    kind = "none" if right else "extra" if gold in every else "wrong"
    return Score(float(right), float(compat), None, kind)


def digit(mark: str) -> str:
    return str("ABCD".index(mark)) if mark in "ABCD" else mark


COMPARISONS = ("more common", "less common", "same frequency")


def oolong(sample: Sample, found: str, answer: Any) -> Score:
    """Strict as the other scorers, by the answer's form: a label, a comparison, a count, a user, a date.
    Partial: for counts .75 ** distance.  Compat: OOLONG's own parse, as published."""
    gold, read = str(sample.answer), {"comparison": compared, "count": integer, "user": user, "date": dated}
    told = read.get(sample.answer_type, label)(sample, found, answer)
    compat = published(sample.answer_type, gold, found)
    partial = told.strict if told.partial is None else told.partial
    return Score(told.strict, compat, partial, told.error_class)


def judged(sample: Sample, found: str, right: bool) -> Score:
    return Score(float(right), float(right), None, "none" if right else wrong(sample, found))


def label(sample: Sample, found: str, answer: Any) -> Score:
    """One of the labels that the question quotes; where it quotes none, as `text`."""
    quoted = {plain(one) for one in re.findall(r"'([^']+)'", sample.query)}
    if (gold := plain(str(sample.answer))) not in quoted:
        return text(sample, found, answer)

    def named(part: str) -> set[str]:
        return {one for one in quoted if asserted(rf"(?<!\w){re.escape(one)}(?!\w)", plain(part))}

    part = stated(found)
    part = part if plain(part) == plain(found) else part.split("\n")[0]  # "Label: ..." ends with its line
    return judged(sample, found, named(unexplained(part, named)) == {gold})


def compared(sample: Sample, found: str, answer: Any) -> Score:
    """How often one label is beside another, whichever of the two comes first."""
    part = plain(stated(found).replace("[", "").replace("]", ""))
    part = re.sub(r"\b(more|less) frequent(?:ly)?\b", r"\1 common", part)
    got = set(asserted("|".join(COMPARISONS), part))
    asked = sample.meta.get("asked", {})
    first = part[: part.find(min(got, default=""))]
    if first.rfind(plain(str(asked.get("other", "?")))) > first.rfind(plain(str(asked.get("label", "?")))):
        got = {SWAPPED.get(one, one) for one in got}
    return judged(sample, found, len(got) == 1 and got.pop() in str(sample.answer))


SWAPPED = {"more common": "less common", "less common": "more common"}


def user(sample: Sample, found: str, answer: Any) -> Score:
    """One user, who may be said to have more than another."""
    gold, part = Decimal(str(sample.answer)), final(found, NUMBER)
    return judged(sample, found, set(numbers(re.split(r"(?<=more)\b.*\bthan\b", part)[0])) == {gold})


def dated(sample: Sample, found: str, answer: Any) -> Score:
    gold = days(str(sample.answer))
    asked = days(sample.query) - gold
    return judged(sample, found, days(final(found, DATES)) - asked == gold)


def published(answer_type: str, gold: str, found: str) -> float:
    """OOLONG's own: what follows the last colon, or else a short answer, or the last word of a long one (but
    the label itself, however long), and equality."""
    short = found if len(found) < 20 or found == gold else (found.split() or [""])[-1]
    part = re.sub(r"[*\[\]]", "", found.split(":")[-1] if ":" in found else short).strip()
    part = next((one for one in COMPARISONS if one in part.lower()), part)
    if answer_type == "comparison":
        return float(part in COMPARISONS and part in gold)
    if answer_type == "date":
        return float(day(part) is not None and day(part) == day(gold))
    return float(part.lower() == gold.lower())


def abstain(sample: Sample, found: str, answer: Any) -> Score:
    """Nothing to find: right is NOT_FOUND, or to say so where the question taught no word; see `score` for
    status.  Compat: any words that say so, anywhere."""
    kind = declined(sample, found)
    right = kind == "not_found" or (kind == "declined" and not sample.meta.get("told", True))
    lenient = right or any(re.search(phrase, plain(found)) for phrase in NOTHING)
    kind = "none" if right else kind or ("empty" if not found else wrong(sample, found))
    return Score(float(right), float(lenient), None, "invented" if kind == "wrong" else kind)


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
