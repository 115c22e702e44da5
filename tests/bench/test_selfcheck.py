import dataclasses

import pytest

from rlm_bench import scorers, selfcheck, tasks
from rlm_bench.scorers import Score
from rlm_bench.selfcheck import changed, checked


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_HOME", str(tmp_path))


@pytest.mark.parametrize("name", tasks.names())
def test_the_true_answer_has_all_points_and_no_answer_and_changed_answers_have_none(name):
    found = checked(name, 10_000, 1)
    assert found.failures == []
    assert (found.oracle, found.empty, found.changed) == (1.0, 0.0, 0.0)
    assert found.samples >= len(selfcheck.VARIANTS.get(name, [{}])) - 3  # cuts at 20,000 need more room


def test_changed_answers_are_of_the_form_of_the_true_one():
    niah, vt = tasks.get("niah").sample(), tasks.get("vt").sample()
    (number,) = changed(niah)
    assert number.isdigit()
    assert len(number) == len(niah.answer)
    assert number != niah.answer
    more, fewer, other = changed(vt)
    assert (len(more), len(fewer), len(other)) == (6, 4, 5)
    assert set(other) != set(vt.answer)


def test_a_generator_that_errs_is_told_of(monkeypatch):
    task = tasks.get("niah")
    wrong = dataclasses.replace(task, solve=lambda sample: "1234567")
    monkeypatch.setattr(tasks, "get", lambda name: wrong)
    found = checked("niah", 10_000, 1)
    assert "the oracle finds '1234567'" in found.failures[0]


def test_a_scorer_that_errs_is_told_of(monkeypatch):
    monkeypatch.setitem(scorers.SCORERS, "value", lambda sample, found, answer: Score(1.0, 1.0, None, "none"))
    found = checked("decoys", 10_000, 1)
    assert "'changed': 1.0" in found.failures[0]
