"""A run that was ended by a limit, and goes on with another."""

from __future__ import annotations

import sqlite3

import pytest

from rlm_core import RLM, Limits, ScriptedLM
from rlm_core.events import Ended, Replied, Started, Stepped
from rlm_core.journal import Journal, JournalError
from rlm_core.sandbox.host import LocalSandbox
from rlm_core.trace import trace
from tests.core.stage import repl

TEXT = "the magic word is xyzzy\n" * 50
ASKING = repl("found = llm_query_batched(['a', 'b', 'c'])\nprint(len(context))")
CHILD = repl("left = rlm_query('Q', context[:9])\nprint(left)")
DONE = repl("SUBMIT(found[0] + left)")
GUESS = repl("other = rlm_query('R', 'z')\nSUBMIT('a guess' + llm_query('sure?'))")


@pytest.fixture(scope="module")
def backend():
    sandbox = LocalSandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture
def play(backend, tmp_path):
    """Plays a run, or goes on with it; gives the result, what was asked of the LM and the journal."""

    def play(steps, price=0.1, limits=None, **raised):
        def reply(messages):
            if len(messages) == 1:
                return f"<{messages[0]['content']}>"
            if "Question: Q" in messages[1]["content"] or "Question: R" in messages[1]["content"]:
                return repl("SUBMIT(context)")
            return steps[sum(message["role"] == "assistant" for message in messages)]

        lm = ScriptedLM(reply, price=price)
        rlm = RLM(lm, limits=limits or Limits(), sandbox=backend, journal=tmp_path / "journal.db")
        result = rlm.completion(TEXT, "Which word?") if limits else rlm.resume(**raised)
        return result, lm.calls, rlm.journal

    return play


def whole(steps, play):
    """What an undisturbed run comes to."""
    return play(steps, limits=Limits(depth=2, cost=None))[0]


@pytest.mark.parametrize(
    ("limit", "less", "more"), [("cost", 0.35, 10.0), ("tokens", 1_700, None), ("seconds", 0, 600)]
)
def test_a_run_that_a_limit_ended_goes_on_with_more(play, limit, less, more):
    steps = [ASKING, CHILD, DONE]
    expected = whole(steps, play)
    ended, before, _ = play(steps, limits=Limits(depth=2, **{"cost": None, limit: less}))
    assert (ended.status, ended.reason) == ("limit", limit)
    result, after, journal = play(steps, **{limit: more})
    assert (result.status, result.answer) == ("answered", "<a>the magic")
    assert len(before) + len(after) == result.usage.calls == expected.usage.calls
    assert journal.run("")["calls"] == expected.usage.calls
    told = [event for _, _, event in journal.events("")]
    assert sum(isinstance(event, Ended) and not event.path for event in told) == 1


@pytest.mark.parametrize("limit", ["cost", "tokens", "seconds"])
def test_without_more_it_ends_as_before_and_nothing_is_sent(play, limit):
    steps = [ASKING, CHILD, DONE]
    less = {"cost": 0.35, "tokens": 1_700, "seconds": 0}[limit]
    ended, _, _ = play(steps, limits=Limits(depth=2, **{"cost": None, limit: less}))
    result, sent, _ = play(steps)
    assert (result.status, result.reason, sent) == (ended.status, ended.reason, [])
    assert result.usage.calls == ended.usage.calls


def test_more_steps_are_taken_in_place_of_the_last_ask_which_stays_paid(play):
    ended, before, _ = play([ASKING, GUESS], limits=Limits(iterations=1, depth=2))
    assert (ended.status, ended.reason, ended.answer) == ("limit", "iterations", "a guess<sure?>")
    assert len(before) == ended.usage.calls == 1 + 3 + 1 + 1 + 1
    result, after, journal = play([ASKING, CHILD, DONE], iterations=9)
    assert (result.status, result.answer) == ("answered", "<a>the magic")
    assert len(after) == 2 + 1  # two steps, and the child of one of them
    assert result.usage.calls == len(before) + len(after)
    assert result.usage.cost == pytest.approx(0.1 * result.usage.calls)
    told = trace(journal.events(""))
    assert [step.turn for step in told.steps] == [1, 2, 3]
    assert [step.code for step in told.steps] == [turn.code for turn in result.trajectory]
    (child,) = told.steps[1].children
    assert (child.query, child.answer) == ("Q", "the magic")


def test_what_it_was_given_holds_when_it_is_broken_off_again(play):
    play([ASKING, GUESS], limits=Limits(iterations=1, depth=2))
    before, _, journal = play([ASKING, CHILD, DONE], iterations=9)
    with sqlite3.connect(journal.path) as db:  # as if it was killed at its third step
        db.execute("UPDATE runs SET status = NULL, ended = NULL, pid = 99999999")
        db.execute("DELETE FROM events WHERE type = 'Ended' AND path = ''")
        (last,) = db.execute("SELECT max(number) FROM answers WHERE path = ''").fetchone()
        db.execute("DELETE FROM answers WHERE path = '' AND number = ?", (last,))
    result, sent, _ = play([ASKING, CHILD, DONE])
    assert (result.answer, len(sent)) == (before.answer, 1)
    assert result.usage == before.usage


def test_iterations_of_children_stay_as_they_were(play):
    """What a child came to within its limit is part of what happened."""
    play([ASKING, GUESS], limits=Limits(iterations=1, depth=2))
    result, _, journal = play([ASKING, CHILD, DONE], iterations=9)
    asked = {event.path: event for _, _, event in journal.events("") if isinstance(event, Replied)}
    assert result.status == "answered"
    assert asked[(1,)].turn == 1


def test_its_time_counts_and_not_the_time_in_between(play):
    steps = [ASKING, CHILD, DONE]
    play(steps, limits=Limits(depth=2, cost=0.35, seconds=100))
    journal = play(steps)[2]
    with sqlite3.connect(journal.path) as db:  # 40 seconds' work, a day ago
        db.execute("UPDATE runs SET ended = ended - 86400, started = ended - 86440, paused = 0")
    result, _, _ = play(steps, cost=9)
    assert result.status == "answered"
    assert 40 < result.seconds < 90
    row = journal.run("")
    assert row["ended"] - row["started"] - row["paused"] == pytest.approx(result.seconds, abs=5)
    with sqlite3.connect(journal.path) as db:
        db.execute("UPDATE runs SET started = started - 100, status = NULL")
        db.execute("DELETE FROM answers WHERE path = '' AND number > 1")
    result, sent, _ = play(steps)
    assert (result.status, result.reason, sent) == ("limit", "seconds", [])


@pytest.mark.parametrize(
    ("raised", "error", "told"),
    [
        ({"sub_calls": 9}, ValueError, "sub_calls: a run that goes on may have other limits of iterations"),
        ({"cost": -1}, ValueError, "cost=-1"),
        ({"iterations": None}, TypeError, "iterations=None"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(play, raised, error, told):
    _, _, journal = play([ASKING, GUESS], limits=Limits(iterations=1))
    before = journal.run("")
    with pytest.raises(error, match=told):
        play([], **raised)
    assert journal.run("") == before


def test_of_two_that_would_go_on_with_it_only_one_does(play):
    _, _, journal = play([ASKING, GUESS], limits=Limits(iterations=1))
    first = journal.resume("")
    with pytest.raises(JournalError, match="still running, in process"):
        journal.resume("")
    first.close()


def test_it_does_not_go_on_where_nothing_can_be_written(play):
    """It would pay for answers that are lost."""
    _, _, journal = play([ASKING, GUESS], limits=Limits(iterations=1))
    with sqlite3.connect(journal.path) as db:
        db.execute("CREATE TRIGGER full BEFORE UPDATE ON runs BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    with pytest.raises(JournalError, match="disk full"):
        play([ASKING, CHILD, DONE], iterations=9)
    assert Journal(journal.path).run("")["status"] == "limit"


def test_events_of_what_is_taken_out_are_gone(play):
    _, _, journal = play([ASKING, GUESS], limits=Limits(iterations=1, depth=2))
    assert sum(isinstance(event, Started) for _, _, event in journal.events("")) == 2
    journal.resume("", raised={"iterations": 2}).close()
    told = [event for _, _, event in journal.events("")]
    assert [event.turn for event in told if isinstance(event, (Replied, Stepped))] == [1, 1]
    assert sum(isinstance(event, (Started, Ended)) for event in told) == 1


def test_a_run_of_a_dspy_program_is_not_made_again(play):
    _, _, journal = play([ASKING, GUESS], limits=Limits(iterations=1))
    with sqlite3.connect(journal.path) as db:
        db.execute("UPDATE runs SET source = 'dspy'")
    with pytest.raises(JournalError, match="neither resumed nor replayed"):
        journal.resume("")
