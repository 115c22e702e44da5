"""Pairs of users who satisfy a condition on the classes of their questions (the twenty forms of
OOLONG-Pairs).

The answer grows with the square of the users, and can be longer than a model's output. `index` % 20 is the
form, `index` // 20 the window. A window is drawn anew until the true pairs are 2% to 50% of all: without
that, naming all pairs scores well on some forms; `faithful` takes the first window, as published.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import date
from itertools import combinations
from typing import Any

from rlm_bench.samples import BuildError, Sample, flat, rng
from rlm_bench.tasks import windows
from rlm_bench.tasks.oolong_like import said, size_of
from rlm_bench.tasks.task import Draft, Params, Task
from rlm_bench.tasks.windows import Line

N, L, D, E, H, A = (
    "numeric value",
    "location",
    "description and abstract concept",
    "entity",
    "human being",
    "abbreviation",
)
# Both users have at least one instance of either class, and all of both users' instances of the third lie so.
SYMMETRIC: tuple[tuple[str, str, tuple[str, str, date] | None], ...] = (
    (N, L, None),
    (E, H, None),
    (D, A, None),
    (H, L, (H, "after", date(2023, 1, 6))),
    (E, N, (E, "before", date(2023, 3, 15))),
    (L, A, None),
    (D, N, (N, "after", date(2023, 2, 1))),
    (H, D, None),
    (E, L, (L, "after", date(2023, 4, 10))),
    (N, A, (A, "before", date(2023, 5, 20))),
)
# One user has all of these, the other all of those: class and count, positive for "at least", negative for
# "exactly".
Needs = tuple[tuple[str, int], ...]
ASYMMETRIC: tuple[tuple[Needs, Needs], ...] = (
    (((E, 1), (A, 1)), ((E, -1),)),
    (((N, 2),), ((L, 1), (H, 1))),
    (((D, -1),), ((A, 1), (E, 1))),
    (((H, 1), (N, 1)), ((L, -2),)),
    (((E, 1), (L, 1), (A, 1)), ((N, -1),)),
    (((D, 1), (H, 1)), ((E, 2), (A, -1))),
    (((N, -1),), ((L, 1), (D, 1))),
    (((A, 1), (H, -1)), ((E, 1), (N, 1))),
    (((L, 2), (E, 1)), ((D, -1), (A, -1))),
    (((N, 1), (H, 1)), ((L, 1), (E, 1), (A, -1))),
)
FORMS = len(SYMMETRIC) + len(ASYMMETRIC)
Pair = tuple[int, int]


def gold(lines: list[Line], form: int) -> list[Pair]:
    """The pairs that satisfy the form, lower id first, in order."""
    counts: dict[int, Counter[str]] = {}
    days: dict[tuple[int, str], list[date]] = {}
    for line in lines:
        counts.setdefault(line.user, Counter())[line.label] += 1
        days.setdefault((line.user, line.label), []).append(line.day)
    users = sorted(counts)
    if form < len(SYMMETRIC):
        one, other, dated = SYMMETRIC[form]

        def fits(user: int) -> bool:
            if not counts[user][one] + counts[user][other]:
                return False
            if dated is None:
                return True
            label, side, day = dated
            mine = days.get((user, label), [])
            return all(d > day if side == "after" else d < day for d in mine)

        return list(combinations([user for user in users if fits(user)], 2))

    def meets(needs: Needs) -> Callable[[int], bool]:
        return lambda user: all(counts[user][c] >= n if n > 0 else counts[user][c] == -n for c, n in needs)

    this, that = ASYMMETRIC[form - len(SYMMETRIC)]
    first, second = set(filter(meets(this), users)), set(filter(meets(that), users))
    return [
        (a, b)
        for a, b in combinations(users, 2)
        if (a in first and b in second) or (b in first and a in second)
    ]


def needs_in_words(needs: Needs) -> str:
    words = {1: "one instance", 2: "two instances"}
    parts = [f"{'at least' if n > 0 else 'exactly'} {words[abs(n)]} with the label {c!r}" for c, n in needs]
    return " and ".join(parts)


def query_of(form: int) -> str:
    head = (
        "In the above data, list all pairs of user IDs (no duplicate pairs, list the lower ID first) where "
    )
    if form < len(SYMMETRIC):
        one, other, dated = SYMMETRIC[form]
        text = f"both users have at least one instance with the label {one!r} or {other!r}"
        if dated:
            label, side, day = dated
            text += (
                f", and all of both users' instances with the label {label!r} are dated {side} {said(day)}"
            )
    else:
        this, that = ASYMMETRIC[form - len(SYMMETRIC)]
        text = f"one user has {needs_in_words(this)}, and the other user has {needs_in_words(that)}"
    return (
        f"{head}{text}. Each of the questions can be labelled as one of the labels (the data does not "
        "provide them, you need to figure the label out from the semantics of the question): "
        f"{', '.join(map(repr, windows.labels()))}. In your answer, list all pairs in the format "
        "(user_id_1, user_id_2), separated by newlines."
    )


def build(params: Params, seed: int, index: int) -> Draft:
    rows, users = size_of({**params, "with_labels": False})
    if params["users"] is None:
        users = max(8, min(231, rows // 13))
    number, form = divmod(index, FORMS)
    everyone = users * (users - 1) // 2
    for attempt in range(1 if params["faithful"] else 600):
        own = {} if params["faithful"] else {"form": form}
        chance = rng("pairs.window", {"rows": rows, "users": users, "attempt": attempt, **own}, seed, number)
        lines = windows.draw(chance, rows, users, kinds=(6, 3, 2, 4, 1, 5)[attempt % 6])
        answer = gold(lines, form)
        if params["faithful"] or 0.02 <= len(answer) / everyone <= 0.5:
            break
    else:
        raise BuildError(
            f"no window of {rows} rows and {users} users where form {form + 1} is 2% to 50% of the pairs"
        )
    return Draft(
        context=windows.write(windows.told(lines, chance)),
        query=query_of(form),
        answer=[list(pair) for pair in answer],
        answer_type="pairs",
        scorer="pairs",
        meta={"form": form + 1, "users": users, "rows": rows, "share": len(answer) / everyone}
        | ({"cluster": f"pairs-{rows}-{users}-{seed}-{number}"} if params["faithful"] else {}),
    )


def solve(sample: Sample) -> Any:
    return gold(windows.read(flat(sample.context)), sample.meta["form"] - 1)


def guess(sample: Sample) -> Any:
    """The condition exactly, but only the first word of each question read."""
    return gold(windows.read(flat(sample.context), "first_word"), sample.meta["form"] - 1)


def all_pairs(sample: Sample) -> Any:
    """Every pair of users in the text."""
    return list(combinations(sorted(set(map(int, re.findall(r"User: (\d+)", flat(sample.context))))), 2))


TASK = Task(
    name="pairs",
    version=1,
    defaults={"size": 10_000, "rows": None, "users": None, "faithful": False},
    build=build,
    solve=solve,
    guess=guess,
    baselines={"all_pairs": all_pairs},
)
