"""The windows of dated questions, and what is asked of them."""

import re
from collections import Counter
from datetime import date

import pytest

from rlm_bench import tasks
from rlm_bench.samples import flat
from rlm_bench.tasks import windows
from rlm_bench.tasks.oolong_like import FORMS, evaluate
from rlm_bench.tasks.pairs import gold, query_of
from rlm_bench.tasks.windows import Line

# Appendix D.1 of arXiv 2512.24601, in short: the classes of either user, the class that is dated, and the
# date; then what the one and the other user have, "=" for exactly.
PUBLISHED = [
    "numeric value|location",
    "entity|human being",
    "description and abstract concept|abbreviation",
    "human being|location|human being after January 6, 2023",
    "entity|numeric value|entity before March 15, 2023",
    "location|abbreviation",
    "description and abstract concept|numeric value|numeric value after February 1, 2023",
    "human being|description and abstract concept",
    "entity|location|location after April 10, 2023",
    "numeric value|abbreviation|abbreviation before May 20, 2023",
    "1 entity, 1 abbreviation / =1 entity",
    "2 numeric value / 1 location, 1 human being",
    "=1 description and abstract concept / 1 abbreviation, 1 entity",
    "1 human being, 1 numeric value / =2 location",
    "1 entity, 1 location, 1 abbreviation / =1 numeric value",
    "1 description and abstract concept, 1 human being / 2 entity, =1 abbreviation",
    "=1 numeric value / 1 location, 1 description and abstract concept",
    "1 abbreviation, =1 human being / 1 entity, 1 numeric value",
    "2 location, 1 entity / =1 description and abstract concept, =1 abbreviation",
    "1 numeric value, 1 human being / 1 location, 1 entity, =1 abbreviation",
]


def in_words(told: str) -> str:
    """A form as our questions put it."""
    if "/" not in told:
        one, other, *dated = told.split("|")
        text = f"both users have at least one instance with the label {one!r} or {other!r}"
        for condition in dated:
            label, side, day = re.fullmatch(r"(.+) (after|before) (.+)", condition).groups()
            text += f", and all of both users' instances with the label {label!r} are dated {side} {day}"
        return text

    def needs(side: str) -> str:
        parts = []
        for one in side.split(", "):
            count, _, label = one.partition(" ")
            many = {"1": "one instance", "2": "two instances"}[count.strip("=")]
            parts.append(f"{'exactly' if '=' in count else 'at least'} {many} with the label {label!r}")
        return " and ".join(parts)

    this, _, that = told.partition(" / ")
    return f"one user has {needs(this)}, and the other user has {needs(that)}"


@pytest.mark.parametrize("form", range(20))
def test_the_twenty_conditions_are_those_that_were_published(form):
    assert in_words(PUBLISHED[form]) in query_of(form)


def line(user, label, day=date(2023, 3, 1)):
    return Line(day, user, label)


def test_pairs_are_counted_as_the_conditions_say():
    both = [line(3, "location"), line(1, "numeric value"), line(2, "entity"), line(5, "location")]
    assert gold(both, 0) == [(1, 3), (1, 5), (3, 5)]
    early = date(2023, 1, 1)
    assert gold([line(1, "human being"), line(2, "location"), line(3, "human being", early)], 3) == [(1, 2)]
    exactly = [
        line(1, "entity"),
        line(1, "abbreviation"),
        line(2, "entity"),
        line(3, "entity"),
        line(3, "entity"),
    ]
    assert gold(exactly, 10) == [(1, 2)]  # 3 has two, and a user is no pair with itself


def test_each_sample_has_a_window_of_its_own_and_25_have_all_kinds_of_question():
    samples = [tasks.get("oolong_like").sample(index=index) for index in range(25)]
    assert len({sample.sha256 for sample in samples}) == 25
    assert len({sample.meta["cluster"] for sample in samples}) == 25
    asked = Counter((sample.meta["kind"], sample.meta["scope"]) for sample in samples)
    assert asked == Counter(FORMS)
    assert len({kind for kind, _ in list(asked)[:5]}) >= 4
    kinds = Counter(kind for kind, _ in FORMS)
    assert kinds.keys() == {
        "most", "least", "second", "count", "relative", "times", "top_user", "more_of", "months", "top_date",
    }  # fmt: skip
    assert {scope for _, scope in FORMS} == {"all", "users", "before", "after", "month"}


def test_ties_have_no_answer_and_are_drawn_again():
    tied = [
        line(1, "entity"),
        line(2, "location"),
        line(3, "location"),
        line(4, "entity"),
        line(5, "abbreviation"),
    ]
    assert evaluate("most", {}, tied) is None
    assert evaluate("least", {}, tied) == "abbreviation"


def test_one_word_does_not_give_a_question_s_class_away():
    told = windows.read(flat(tasks.get("oolong_like").sample(size=200_000).context))
    right = sum(windows.first_word(line.text) == line.label for line in told)
    assert right / len(told) < 0.6
    assert min(len(openers) * len(bodies) for openers, bodies in windows.templates().values()) >= 150
    share = Counter(line.label for line in told)
    assert len(share) == 6
    assert min(share.values()) / len(told) >= 0.03
    by_user = Counter(line.user for line in told).most_common()
    busy = sum(count for _, count in by_user[: len(by_user) // 5])
    assert 0.7 < busy / len(told) < 0.9  # 80% of the lines are of 20% of the users
