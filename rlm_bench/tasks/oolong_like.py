"""Aggregation over labels that must be inferred line by line (after OOLONG): 25 kinds of question.

OOLONG asks all of them on each window. Here each sample has a window of its own: few samples say more when
they do not share one. Ties are drawn again. With `with_labels` the labels stand in the text: that isolates
counting from classifying.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from rlm_bench.samples import BuildError, Sample, flat, rng
from rlm_bench.tasks import windows
from rlm_bench.tasks.task import Draft, Params, Task, positive
from rlm_bench.tasks.windows import DAYS, FIRST_DAY, MONTHS, Line

Args = dict[str, Any]

FORMS: tuple[tuple[str, str], ...] = (
    # (what is asked, of which lines); 25 of them
    ("most", "all"),
    ("least", "all"),
    ("second", "all"),
    ("count", "all"),
    ("count", "all"),
    ("count", "all"),
    ("relative", "all"),
    ("relative", "all"),
    ("relative", "all"),
    ("times", "all"),
    ("most", "users"),
    ("second", "users"),
    ("count", "users"),
    ("count", "users"),
    ("relative", "users"),
    ("top_user", "all"),
    ("more_of", "all"),
    ("most", "before"),
    ("most", "after"),
    ("count", "before"),
    ("count", "after"),
    ("relative", "after"),
    ("count", "month"),
    ("months", "all"),
    ("top_date", "all"),
)
STRIDE = 12  # between the kinds of two samples: a few samples are of many kinds
LEAST_SHARE = 0.03  # of the lines, that every label has
TYPES = {"count": "count", "times": "count", "months": "count", "relative": "comparison", "top_date": "date"}
TYPES |= {"top_user": "user", "more_of": "user"}


def said(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


def chosen(lines: list[Line], args: Args) -> list[Line]:
    """The lines that a question is about."""
    if "users" in args:
        return [line for line in lines if line.user in args["users"]]
    if "before" in args:
        return [line for line in lines if line.day < args["before"]]
    if "after" in args:
        return [line for line in lines if line.day > args["after"]]
    if "month" in args:
        return [line for line in lines if (line.day.year, line.day.month) == args["month"]]
    return lines


def evaluate(kind: str, args: Args, lines: list[Line]) -> Any:
    """The answer, or None where it is not unique."""
    lines = chosen(lines, args)
    counts = Counter(line.label for line in lines)
    if kind in ("most", "least", "second"):
        if len(counts) < 3:
            return None
        ranked = sorted(counts.values(), reverse=True)
        wanted = {"most": ranked[0], "second": ranked[1], "least": ranked[-1]}[kind]
        names = [label for label, n in counts.items() if n == wanted]
        return names[0] if len(names) == 1 else None
    if kind == "count":
        return counts[args["label"]] or None
    if kind == "relative":
        a, b = counts[args["label"]], counts[args["other"]]
        return "more common than" if a > b else "less common than" if a < b else "same frequency as"
    if kind == "times":
        return sum(n == args["n"] for n in Counter(line.user for line in lines).values()) or None
    if kind in ("top_user", "top_date"):
        most = Counter(line.user if kind == "top_user" else line.day for line in lines).most_common(2)
        if len(most) == 2 and most[0][1] == most[1][1]:
            return None
        top = most[0][0]
        return f"{top:%m/%d/%Y}" if isinstance(top, date) else top
    if kind == "more_of":
        owned = Counter(line.user for line in lines if line.label == args["label"])
        one, other = args["two"]
        return None if owned[one] == owned[other] else one if owned[one] > owned[other] else other
    monthly = Counter((line.day.year, line.day.month, line.label) for line in lines)
    months = {(line.day.year, line.day.month) for line in lines}
    return sum(monthly[*month, args["label"]] > monthly[*month, args["other"]] for month in months)


def arguments(kind: str, scope: str, lines: list[Line], chance: random.Random) -> Args:
    label, other = chance.sample(windows.labels(), 2)
    args: Args = {}
    if kind in ("count", "relative", "more_of", "months"):
        args["label"] = label
    if kind in ("relative", "months"):
        args["other"] = other
    by_user = Counter(line.user for line in lines)
    if kind == "times":
        args["n"] = chance.choice(sorted(set(by_user.values())))
    if kind == "more_of":
        args["two"] = sorted(chance.sample([user for user, _ in by_user.most_common(10)], 2))
    if scope == "users":
        args["users"] = sorted(
            chance.sample([user for user, _ in by_user.most_common(12)], min(4, len(by_user)))
        )
    elif scope in ("before", "after"):
        args[scope] = FIRST_DAY + timedelta(chance.randint(DAYS // 4, DAYS * 3 // 4))
    elif scope == "month":
        day = chance.choice(lines).day
        args["month"] = (day.year, day.month)
    return args


def ask(kind: str, args: Args) -> str:
    listed = ", ".join(map(repr, windows.labels()))
    where = "In the above data"
    if "users" in args:
        where += f", counting only the instances of users {', '.join(map(str, args['users']))}"
    elif "before" in args:
        where += f", counting only the instances dated before {said(args['before'])}"
    elif "after" in args:
        where += f", counting only the instances dated after {said(args['after'])}"
    elif "month" in args:
        where += f", counting only the instances dated in {MONTHS[args['month'][1] - 1]} {args['month'][0]}"
    form = {"count": "'Answer: number'", "times": "'Answer: number'", "months": "'Answer: number'"}.get(
        kind, ""
    )
    if kind in ("most", "least", "second"):
        what = {"most": "most", "least": "least", "second": "second most"}[kind]
        return (
            f"{where}, which of the labels is the {what} common? "
            f"Give your final answer in the form 'Label: answer', where answer is one of: {listed}."
        )
    if kind == "count":
        text = f"{where}, how many data points should be classified as label {args['label']!r}?"
    elif kind == "relative":
        a, b = args["label"], args["other"]
        text = f"{where}, is label {a!r} more common, less common, or the same frequency as label {b!r}?"
        form = f"'Answer: {a} is [X] {b}', where [X] is 'more common than', 'less common than' "
        form += "or 'same frequency as'"
    elif kind == "times":
        text = f"{where}, how many user IDs are represented exactly {args['n']} times?"
    elif kind == "top_user":
        text, form = f"{where}, which user is represented most often?", "'User: id'"
    elif kind == "more_of":
        one, other = args["two"]
        text = (
            f"{where}, which of users {one} and {other} has more instances with the label {args['label']!r}?"
        )
        form = "'User: id'"
    elif kind == "months":
        a, b = args["label"], args["other"]
        text = f"{where}, in how many months does label {a!r} occur more often than label {b!r}?"
    else:
        text, form = f"{where}, which date is represented most often?", "'Date: MM/DD/YYYY'"
    return (
        f"{text} Each question is to be classified by the kind of its answer, as one of: {listed}. "
        f"Give your final answer in the form {form}."
    )


@lru_cache(maxsize=2)
def window(rows: int, users: int, seed: int, number: int) -> tuple[list[Line], str, str]:
    """Lines and the text with and without labels of a window whose general questions have one answer each."""
    for attempt in range(500):
        chance = rng("oolong_like.window", {"rows": rows, "users": users, "attempt": attempt}, seed, number)
        lines = windows.draw(chance, rows, users)
        top = Counter(line.day for line in lines).most_common(1)[0]
        while evaluate("top_date", {}, lines) is None:  # dates are many: one is made the most frequent
            at = chance.randrange(rows)
            lines[at] = Line(top[0], lines[at].user, lines[at].label)
        counts = Counter(line.label for line in lines)
        fair = all(counts[label] >= LEAST_SHARE * rows for label in windows.labels())
        unique = ("most", "least", "second", "top_user")
        if fair and all(evaluate(kind, {}, lines) is not None for kind in unique):
            lines = windows.told(lines, chance)
            return lines, windows.write(lines), windows.write(lines, with_labels=True)
    raise BuildError(f"no window of {rows} rows and {users} users has all labels and no ties")


def size_of(params: Params) -> tuple[int, int]:
    """Rows and users of a window."""
    labelled = 34 if params["with_labels"] else 0
    rows = max(30, positive(params, "size", 3_000) // (windows.LINE + labelled))
    rows = rows if params["rows"] is None else positive(params, "rows", 30)
    most = min(rows, len(windows.USERS))
    users = max(6, min(300, rows // 20)) if params["users"] is None else positive(params, "users", 4, most)
    return rows, users


def build(params: Params, seed: int, index: int) -> Draft:
    rows, users = size_of(params)
    lines, plain, labelled = window(rows, users, seed, index)
    kind, scope = FORMS[STRIDE * index % len(FORMS)]
    chance = rng("oolong_like", params, seed, index)
    for _ in range(300):
        args = arguments(kind, scope, lines, chance)
        if (answer := evaluate(kind, args, lines)) is not None:
            break
    else:
        raise BuildError(f"no question {kind} of {scope} has one answer in this window")
    return Draft(
        context=labelled if params["with_labels"] else plain,
        query=ask(kind, args),
        answer=answer,
        answer_type=TYPES.get(kind, "label"),
        scorer="oolong",
        meta={
            "kind": kind,
            "scope": scope,
            "asked": args,
            "rows": rows,
        },
    )


def solve(sample: Sample) -> Any:
    return evaluate(sample.meta["kind"], sample.meta["asked"], windows.read(flat(sample.context)))


def guess(sample: Sample) -> Any:
    """Counts exactly, but reads only the first word of each question."""
    return evaluate(
        sample.meta["kind"], sample.meta["asked"], windows.read(flat(sample.context), "first_word")
    )


def majority(sample: Sample) -> Any:
    """Without a look: the same label, comparison or share always."""
    fixed = {
        "label": windows.labels()[1],
        "comparison": "more common than",
        "count": sample.meta["rows"] // 6,
    }
    return fixed.get(sample.answer_type)


TASK = Task(
    name="oolong_like",
    version=2,
    defaults={"size": 10_000, "rows": None, "users": None, "with_labels": False},
    build=build,
    solve=solve,
    guess=guess,
    baselines={"majority": majority},
)
