"""How answers are read: which value is meant, whatever is said around it.

`direct` and `rag` answer in prose, an RLM submits a value; both are to be judged alike. So a text that is
JSON is its value, and of prose the part counts that says that it is final. What an answer asserts is decided
by its own form and the question's, never by what would be right.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

FIELDS = ("answer", "final_answer", "final answer", "result", "value")


def parsed(answer: Any) -> Any:
    """The value that an answer is: of a text that is JSON or a Python literal, what it stands for; of an
    object, its answer; of one item alone, the item."""
    if isinstance(answer, str):
        text = unthought(answer)
        bare = re.sub(r"\A```\w*\n(.*?)\s*```\Z", r"\1", text, flags=re.DOTALL).strip()
        if re.fullmatch(r"\[.*\]|\{.*\}", bare, re.DOTALL):
            for read in (json.loads, ast.literal_eval):
                try:
                    return parsed(read(bare))
                except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                    continue
        return text
    if isinstance(answer, Mapping):
        named = {str(key).lower(): value for key, value in answer.items()}
        keys = list(named) if len(named) == 1 else [key for key in FIELDS if key in named]
        return parsed(named[keys[0]]) if keys else answer
    if isinstance(answer, list | tuple | set | frozenset) and len(answer) == 1:
        (item,) = answer
        return answer if isinstance(item, list | tuple | Mapping) else parsed(item)
    return answer


def unthought(text: str) -> str:
    return re.sub(r"<think>.*?(</think>|\Z)", "", text, flags=re.DOTALL).strip()


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
    return unthought(str(answer))


def plain(text: str) -> str:
    """Lower case, no articles before words, quotes, or punctuation at the ends, single spaces: what "the same
    words" compares."""
    words = re.sub(r"[\"'`*“”‘’]", "", text.lower()).split()
    kept = [word for at, word in enumerate(words, 1) if word not in ARTICLES or at == len(words)]
    return " ".join(kept).strip(" .,:;!?()[]{}")


ARTICLES = ("a", "an", "the")


def holds(text: str, part: str) -> bool:
    """Whether a text has that part as words of its own, by `plain`."""
    return bool(re.search(_whole(plain(part)), plain(text)))


def _whole(words: str) -> str:
    return rf"(?<![\w/]){re.escape(words)}(?![\w/])"


# ---- the final part


def unmarked(text: str) -> str:
    """Without Markdown, LaTeX and empty space; but bold stays, and so do boxes, for `stated`."""
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r"\n\s*\n", "\n\n", text)
    text = re.sub(r"```\w*\n?|`|\\[()\[\],!;]|\$", "", text)
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf|texttt)\s*\{([^{}]*)\}", r"\1", text)
    return text.replace("{,}", ",").replace("\\_", "_").replace("\\%", "%").replace("−", "-")


MARK = re.compile(
    r"\banswer\b\**(?:\s+(?:to|for)\b[^\n:.]{0,200}?)?\s*(?:\bis\b|\bwas\b|:|=)[\s:*]*+"
    r"(?!(?:based|found|given|located|stated|mentioned|derived|taken|correct|right|because|as)\b)"
    r"|^[^\w\n]*(?:label|user|date)\s*:[\s*]*",
    re.IGNORECASE | re.MULTILINE,
)


LONGEST = 4_000  # characters that are read for one value: what is final of more than that is at its end


def stated(found: str, one: bool = True) -> str:
    """What an answer calls final: what is boxed, or follows the last "answer is" (where `one` value is asked
    for, in that sentence); else all of it."""
    text = unmarked(found[-LONGEST:] if one else found)
    if boxed := re.findall(r"\\boxed\s*\{([^{}]*)\}", text):
        return str(boxed[-1])
    marks = [mark.end() for mark in MARK.finditer(text) if text[mark.end() :].strip(" \n*")]
    if not marks:
        return text
    text = text[marks[-1] :]
    end = ENDS.search(text) if one else None
    return text if end is None or takes_back(text[end.start() :]) else text[: end.start()]


ENDS = re.compile(r"(?:(?<=\d)|(?<=[a-z)*\"]{3}))[.!?]\**\s+(?=[A-Z])")
"""The end of a sentence, not of an abbreviation."""
EXPLAINS = re.compile(
    r"(?:(?<=[.!?)*])\s+|\n\s*|\s*[,;(–—]\s*|\s+(?=because|since))"
    r"(?:because|since|as (?:stated|mentioned|shown|said|given|the|its?|per|in)|which|this|that|these|those"
    r"|they|it (?:is|was|appears|can)|according"
    r"|(?:in )?(?:the|this) (?:text|document|context|passage|sentence|record)s?|based on|see"
    r"|i (?:found|counted|searched)|explanation|source|reason(?:ing)?|note|found|stated|mentioned"
    r"|let me|please)\b",
    re.IGNORECASE,
)
CORRECTS = r"\b(?:wait|actually|correction|sorry|mistake|scratch that)\b"
CONTRASTS = rf"{CORRECTS}|\b(?:however|but|or|instead|alternatively|though|rather)\b"


def takes_back(text: str, by: str = CONTRASTS) -> bool:
    return bool(re.search(by, text, re.IGNORECASE))


def unexplained(text: str, answers: Callable[[str], object]) -> str:
    """Without the explanation that follows what `answers`, if it takes nothing back."""
    for start in islice(EXPLAINS.finditer(text, 1), 20):
        if answers(text[: start.start()]):
            return text if takes_back(text[start.start() :]) else text[: start.start()]
    return text


DENIES = re.compile(
    r"(?:\bnot|n['’]t|\bnever|\brather than|\binstead of|\bno longer)\s+"
    r"(?:(?:the|an?|be|in|label|user)\s+)*\W*$",
    re.IGNORECASE,
)


def denied(text: str, at: int) -> bool:
    return bool(DENIES.search(text[max(0, at - 40) : at]))


def asserted(pattern: str, text: str) -> list[str]:
    """What a text has of that form, but for what it denies ("18, not 17")."""
    return [match[0] for match in re.finditer(pattern, text) if not denied(text, match.start())]


def final(found: str, pattern: str) -> str:
    """The part of an answer that states a value of that form: what is called final; in that, what stands
    alone in the first or the last line, in bold or at the end; else all, without explanation."""
    text = stated(found)
    lines = [line for line in text.split("\n") if line.strip()] or [""]
    spots = [lines[0], lines[-1], *re.findall(r"\*\*(.+?)\*\*", text), re.split(r":\s|=", text)[-1]]
    alone: dict[str, str] = {}
    for spot in dict.fromkeys(spots):
        at = text.find(spot)
        only = re.fullmatch(rf"[^\w-]*({pattern})(?:\s*[^\W\d]+)?\W*", spot)
        if only and not denied(text, at) and not takes_back(text[at:], CORRECTS):
            alone[only[1].replace(",", "").lower()] = spot
    if len(alone) == 1:
        return next(iter(alone.values()))
    return unexplained(text, re.compile(pattern).search)


# ---- kinds of values


TOKENS = {
    "number": r"(?<![\w.])\d{1,3}(?:,\d{3})+(?!\w|\.\d|,\d)|(?<![\w.])\d+(?!\w|\.\d)",
    "uuid": r"(?<!\w)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)",
    "code12": r"(?<!\w)(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12}(?!\w)",
    "variable": r"(?<!\w)[A-Z]{5}(?!\w)",
}
NUMBER = (
    r"(?<![\w.])(?<![A-Za-z_]-)(?:(?<!\d)-)?"  # not the 7 of item-7; of 2023-2024 both
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,]|\.\d)|\d+(?:\.\d+)?(?!\d|\.\d))"
)


def tokens(answer_type: str, text: str) -> set[str]:
    """All the values of that type in a text that it does not deny."""
    found = asserted(TOKENS[answer_type], text)
    if answer_type == "number":
        return {token.replace(",", "") for token in found}
    return {token.lower() for token in found} if answer_type == "uuid" else set(found)


def numbers(text: str, denied_too: bool = False) -> list[Decimal]:
    found = re.findall(NUMBER, text) if denied_too else asserted(NUMBER, text)
    return [Decimal(token.replace(",", "")) for token in found]


DATES = (
    r"\b\d{1,2}[/-]\d{1,2}[/-]\d{4}\b|\b\d{4}-\d{2}-\d{2}(?!\d)"
    r"|\b[A-Z][a-z]{2,8}\.? \d{1,2},? \d{4}\b|\b\d{1,2} [A-Z][a-z]{2,8} \d{4}\b"
)
FORMS = ("%m/%d/%Y", "%m-%d-%Y", "%Y-%m-%d", "%b %d %Y", "%B %d %Y", "%d %B %Y", "%d %b %Y")


def day(text: str) -> date | None:
    text = text.strip(" .")
    text = text if "/" in text else text.replace(",", "").replace(".", "")
    for form in FORMS:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None


def days(text: str) -> set[date]:
    text = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", text)
    return {found for token in asserted(DATES, text) if (found := day(token))}


# ---- words


FILLING = """
is was are were be been has have had do does did can it its this that there which who whose what where when a
an the of in at on to for from by with as so thus therefore here called named known located found stated
mentioned given provided listed defined said says according based text context document passage story data
code answer final correct value word name
"""
DOUBTING = "or either neither nor not no never maybe perhaps possibly whether unclear unless but"
FILLERS, DOUBTS = frozenset(FILLING.split()), frozenset(DOUBTING.split())


def strange(text: str, query: str) -> list[str]:
    """The words that are not the question's own and say something."""
    known = {_stem(word) for word in _words(plain(query))}
    return [word for word in _words(plain(text)) if word not in FILLERS and _stem(word) not in known]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:[/.]\w+)*", text)


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|ed|es|s|e|d)$", "", word)


def states(text: str, gold: str, query: str) -> bool:
    """Whether a text says `gold` (plain words) and beside it nothing that is not in the question, or says it
    after its last "is" or colon."""
    told = plain(re.sub(r"\s*\n\s*", " ; ", ENDS.sub(" ; ", text.strip())))
    rest, count = re.subn(_whole(gold), " ", told)
    if told == gold or not count or DOUBTS.intersection(_words(rest)):
        return told == gold
    last = re.split(r"\b(?:is|was|are|were)\b:?\s|[:=]\s", text)[-1]
    rest = re.sub(r"^(?:according|based|in|from|as|at)\b[^,]*,", "", rest)
    if not re.search(r"\d", gold):  # a year beside a name is none
        rest = re.sub(r"\b(?:in|on|since) \d[\d/-]*\b", " ", rest)
    return plain(last) == gold or not (strange(rest, query) or re.search(r"[,;]", rest))


# ---- no answer


WORD = re.compile(r"(?i:not_found)|NOT[ -]FOUND")
NOT_FOUND = re.compile(r"\W*(?:(?i:not_found)|NOT[ -]FOUND)\b|.*(?i:\bnot_found)\W*\Z", re.DOTALL)
NOTHING = (
    r"(?:does|do|did) ?(?:not|nt) (?:actually |explicitly )?"
    r"(?:contain|mention|say|state|specify|provide|include|hold|give|reveal|have|appear)",
    r"(?:is|are|was|were) ?(?:not|nt|never) (?:explicitly )?"
    r"(?:mentioned|specified|stated|provided|given|found|present|listed|in)\b",
    r"(?:(?:could|can|did) ?(?:not|nt|t)|unable to|not possible to) "
    r"(?:be )?(?:find|found|determined?|locate|say|answer(?:ed)?)",
    r"\bdo(?:nt| not) know\b",
    r"^no\b.*\b(?:mentioned|specified|stated|provided|given|found|present|listed|exists?|appears?)\b",
    r"(?:no|not enough|insufficient) (?:such )?(?:information|mention|answer|evidence|record)",
    r"there (?:is|are|was|were) (?:no|nothing) .{0,200}\b(?:text|document|context|passage|mentioned|given)\b",
    r"^(?:unknown|none|null|nothing|no answer|n/?a|not (?:mentioned|specified|available|stated))$",
    r"^not (?:found|mentioned|specified|available|stated) in (?:provided )?(?:text|document|context)$",
)
"""How answers say, in other words, that the text does not say: a closed list, looked for in the first
sentence."""
ANSWERS = (
    r"\b(?:but|however|though|although)\b(?:(?!\bnot\b|\bno\b|nt\b).){0,200}?\b(?:is|was|are|were|be)\b"
    r"(?! (?:not|no|never|possible|mentioned|stated|given|provided|listed|unclear|unknown)\b)",
    r"\banswer is\b(?! not\b)|\bso (?:it|answer) (?:is|must)\b",
    r"\bprobably\b|\blikely\b|\bguess\b|\bassum|\bknowledge\b",
)
"""How an answer goes on that is one all the same."""


def declines(found: str) -> str:
    """How an answer says that there is none: "not_found" by that word, alone or beside a reason; "declined"
    in other words; "" where it does not, or goes on to give one."""
    if NOT_FOUND.match(stated(found)) or plain(found) == "not found":
        return "not_found"
    found = unmarked(found[:LONGEST])
    first = plain(re.split(r"[.;!?:\n](?=\s)", found)[0])
    if not any(re.search(phrase, first) for phrase in NOTHING):
        return ""
    return "" if any(re.search(phrase, plain(found)) for phrase in ANSWERS) else "declined"
