"""Windows of dated questions by users, each question of one of six classes (as in OOLONG): what `oolong_like`
and `pairs` ask about.

The questions are made from more than 150 templates a class, written so that the first word does not give the
class away: "Name the person who", "Name the city that", "Name the year of".
"""

from __future__ import annotations

import random
import re
from datetime import date, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import NamedTuple

from rlm_bench import prose

FIRST_DAY, DAYS = date(2022, 3, 1), 900
USERS = range(10_000, 100_000)
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
LINE = 106
"""Characters of a line, about."""


class Line(NamedTuple):
    day: date
    user: int
    label: str
    text: str = ""


@cache
def templates() -> dict[str, tuple[list[str], list[str]]]:
    """Class -> openers and bodies: each opener goes with each body."""
    made: dict[str, tuple[list[str], list[str]]] = {}
    openers, bodies = list[str](), list[str]()
    for line in (
        resources.files("rlm_bench").joinpath("data", "questions.txt").read_text("utf-8").splitlines()
    ):
        if line.startswith("# "):
            openers, bodies = made[line[2:]] = ([], [])
        elif line.startswith("> "):
            openers.append(line[2:])
        else:
            bodies.append(line)
    return made


def labels() -> list[str]:
    return list(templates())


def question(label: str, chance: random.Random) -> str:
    openers, bodies = templates()[label]
    body = chance.choice(bodies)
    slots = {
        "adj": chance.choice(prose.ADJECTIVES),
        "noun": chance.choice(prose.NOUNS),
        "place": chance.choice(prose.PLACES),
        "other": chance.choice(prose.PLACES),
        "person": chance.choice(prose.PEOPLE),
    }
    if "{letters}" in body:
        slots["letters"] = "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=chance.randint(2, 4)))
    return f"{chance.choice(openers)} {body.format(**slots)}?"


@cache
def _classes() -> tuple[re.Pattern[str], dict[str, str]]:
    by_opener = {opener: label for label, (openers, _) in templates().items() for opener in openers}
    longest = sorted(by_opener, key=len, reverse=True)
    return re.compile("|".join(f"{re.escape(opener)}(?= )" for opener in longest)), by_opener


def classify(text: str) -> str:
    """The class of a question, by the opener it was made from: the oracle's reading."""
    pattern, by_opener = _classes()
    found = pattern.match(text)
    if not found:
        raise ValueError(f"no question of ours: {text!r}")
    return by_opener[found[0]]


FIRST_WORD = {
    "Who": "human being",
    "Can": "human being",
    "Where": "location",
    "In": "location",
    "How": "numeric value",
    "Give": "numeric value",
    "Why": "description and abstract concept",
    "Describe": "description and abstract concept",
    "Tell": "description and abstract concept",
    "Which": "entity",
    "What": "entity",
    "Name": "human being",
}


def first_word(text: str) -> str:
    """What a rule that reads one word makes of a question."""
    return FIRST_WORD[text.split()[0].strip(",")]


def draw(chance: random.Random, rows: int, users: int, kinds: int = 6) -> list[Line]:
    """Lines without texts, in the order of the window: 80% of them of 20% of the users, labels unevenly
    shared, each user asking questions of at most `kinds` classes."""
    ids = chance.sample(USERS, users)
    busy = ids[: max(1, users // 5)]
    weights = [0.03 + 0.82 * chance.random() ** 2 for _ in labels()]
    own = {user: sorted(chance.sample(range(6), kinds)) for user in ids}
    share = {user: list(accumulate(weights[n] for n in mine)) for user, mine in own.items()}
    names, days = labels(), [FIRST_DAY + timedelta(n) for n in range(DAYS)]
    lines = []
    # Where windows are large, half of the users still ask a few questions only: conditions such as "exactly
    # one" would hold for nobody else.
    each, others = max(1, min(4, rows // (20 * users))), ids[: users // 2] if rows > 60 * users else ids
    for n in range(rows):
        user = (
            ids[n % users] if n < each * users else chance.choice(busy if chance.random() < 0.75 else others)
        )
        label = chance.choices(own[user], cum_weights=share[user])[0]
        lines.append(Line(chance.choice(days), user, names[label]))
    chance.shuffle(lines)
    return lines


def told(lines: list[Line], chance: random.Random) -> list[Line]:
    """The same lines with their questions."""
    return [line._replace(text=question(line.label, chance)) for line in lines]


def write(lines: list[Line], with_labels: bool = False) -> str:
    head = (
        f"The following lines contain {len(lines)} general-knowledge questions, one per line. Each line has "
        "a User ID, which is not necessarily unique: a user can have asked several questions. Each question "
        f"has an answer that can be described as one of 6 categories: {', '.join(map(repr, labels()))}."
    )
    rows = [head, ""]
    for line in lines:
        day = f"{MONTHS[line.day.month - 1][:3]} {line.day.day:02}, {line.day.year}"
        row = f"Date: {day} || User: {line.user} || Instance: {line.text}"
        rows.append(f"{row} || Label: {line.label}" if with_labels else row)
    return "\n".join(rows) + "\n"


ROW = re.compile(
    r"^Date: (\w{3} \d\d, \d{4}) \|\| User: (\d+) \|\| Instance: (.*?)(?: \|\| Label: (.+))?$", re.M
)


def read(text: str, rule: str = "oracle") -> list[Line]:
    """The lines of a window again, labelled by the oracle or by the `first_word` rule."""
    label_of = first_word if rule == "first_word" else classify
    return [
        Line(datetime.strptime(day, "%b %d, %Y").date(), int(user), label or label_of(told_), told_)
        for day, user, told_, label in ROW.findall(text)
    ]
