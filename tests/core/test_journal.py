"""The journal: what is kept of a run, and a run made again from it."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from processes import eventually

from rlm_core import RLM, ScriptedLM
from rlm_core.events import Ended, Noted, Replied, Resumed, Started, SubCalled
from rlm_core.journal import VERSION, About, Journal, JournalError, state
from rlm_core.limits import Limits
from rlm_core.lms import Completion, Usage
from rlm_core.loop import Failed
from rlm_core.sandbox.protocol import HostCall, LMError
from rlm_core.trace import trace
from tests.core.stage import llm_query, llm_query_batched, printed, repl, stage, submitted

ABOUT = About("python", "root-model", "sub-model", "What is the magic number?")
TEXT = "The magic number is 4711.\n" + "filler line\n" * 5_000
REPLIES = [repl("context"), repl("SUBMIT(x)")]
CELLS = {
    "context": [
        llm_query_batched("a", TEXT[100:9_000] + "?"),
        HostCall("weather", ("Oslo",)),
        llm_query("c"),
        printed("hi"),
    ],
    "SUBMIT(x)": submitted("4711"),
}


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "rlm" / "journal.db")


def record(journal, replies=REPLIES, cells=CELLS, recorder=None, **more):
    recorder = recorder or journal.begin(ABOUT, {"context": TEXT}, len(TEXT))
    play = stage(
        list(replies),
        cells,
        context=TEXT,
        record=recorder,
        answer=lambda prompt: f"{len(prompt)} characters",
        tools=("weather",),
        tool=lambda name, city: ("sun", 7),
        **more,
    )
    result = play.play()
    recorder.close()
    return play, result, recorder


def test_a_run_is_a_row_with_what_it_came_to(journal):
    _, result, recorder = record(journal)
    row = journal.run(recorder.run)
    assert (row["status"], json.loads(row["answer"]), row["model"]) == ("answered", "4711", "root-model")
    assert (row["steps"], row["calls"], row["cost"]) == (2, 5, result.usage.cost)
    assert row["ended"] >= row["started"]


def test_its_events_come_back_as_they_were(journal):
    play, _, recorder = record(journal)
    assert [event for _, _, event in journal.events(recorder.run)] == play.events


def test_prompts_that_quote_the_context_are_kept_as_references(journal):
    _, _, recorder = record(journal)
    with sqlite3.connect(journal.path) as db:
        stored = db.execute("SELECT sum(length(data)) FROM events WHERE type = 'SubCalled'").fetchone()[0]
    assert stored < 2_000
    prompts = [event.prompt for _, _, event in journal.events(recorder.run) if isinstance(event, SubCalled)]
    assert TEXT[100:9_000] + "?" in prompts


def test_the_context_is_kept_once_however_many_runs(journal):
    for _ in range(3):
        record(journal)
    with sqlite3.connect(journal.path) as db:
        assert db.execute("SELECT count(*) FROM contexts").fetchone() == (1,)
        assert db.execute("SELECT length(data) FROM contexts").fetchone()[0] < len(TEXT) / 10


@pytest.mark.parametrize(
    "inputs",
    [{"context": "a\r\n\ud800"}, {"context": {1: ("a", None)}}, {"report": "one", "notes": ["two"]}],
)
def test_inputs_come_back_exactly(journal, inputs):
    recorder = journal.begin(ABOUT, inputs, 10)
    recorder.close()
    assert journal.inputs(journal.run(recorder.run)) == inputs


def test_a_run_goes_on_from_any_moment_and_asks_nothing_that_was_answered(journal, tmp_path):
    _, expected, recorder = record(journal)
    with sqlite3.connect(journal.path) as db:
        keys = db.execute("SELECT path, number, slot FROM answers ORDER BY number, slot").fetchall()
    assert len(keys) == 6  # two root replies, three sub-calls, one tool
    for kept in range(len(keys) + 1):
        path = tmp_path / f"{kept}.db"
        with sqlite3.connect(journal.path) as source, sqlite3.connect(path) as copy:
            source.backup(copy)
            for key in keys[kept:]:
                copy.execute("DELETE FROM answers WHERE path = ? AND number = ? AND slot = ?", key)
        again = Journal(path)
        asked_before = sum(number == 1 or (path, number) == keys[-1][:2] for path, number, _ in keys[:kept])
        play, result, _ = record(again, REPLIES[asked_before:], CELLS, again.resume(recorder.run))
        assert (result.answer, result.usage) == (expected.answer, expected.usage)
        performed = [job for job in play.performed if type(job.request).__name__ != "InSandbox"]
        assert len(performed) == len(keys) - kept


def test_a_call_whose_prompt_changed_is_asked_again(journal):
    _, _, recorder = record(journal)
    calls = [llm_query_batched("a", "another prompt"), *CELLS["context"][1:]]
    play, _, _ = record(journal, [], CELLS | {"context": calls}, journal.resume(recorder.run))
    assert [job.request.prompts for job in play.performed if hasattr(job.request, "prompts")] == [
        ("another prompt",)
    ]


def test_only_the_hash_is_kept_where_that_is_asked(tmp_path):
    journal = Journal(tmp_path / "journal.db", keep_context=False)
    _, _, recorder = record(journal)
    assert len(journal.run(recorder.run)["context"]) == 64
    assert TEXT[:200].encode() not in journal.path.read_bytes()
    with pytest.raises(JournalError, match="was not kept"):
        journal.resume(recorder.run)
    assert list(journal.events(recorder.run))  # and it can still be looked at


def test_runs_are_found_by_the_beginning_of_their_id(journal):
    _, _, one = record(journal)
    _, _, two = record(journal)
    assert journal.run(one.run[:-1] if one.run[:-1] != two.run[:-1] else one.run)["id"] == one.run
    assert journal.run("")["id"] in (one.run, two.run)
    assert {row["id"] for row in journal.runs()} == {one.run, two.run}
    with pytest.raises(JournalError, match="no run 'zz'"):
        journal.run("zz")


def test_a_run_that_is_removed_takes_its_context_along(journal):
    _, _, one = record(journal)
    _, _, two = record(journal)
    journal.remove(one.run)
    assert journal.inputs(journal.run(two.run))["context"] == TEXT
    journal.remove(two.run)
    with sqlite3.connect(journal.path) as db:
        for table in ("runs", "contexts", "events", "answers"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_two_writers_at_once_lose_nothing(journal):
    threads = [threading.Thread(target=record, args=(journal,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["status"] for row in journal.runs()] == ["answered"] * 8


def test_a_file_that_cannot_be_written_is_said_and_the_run_goes_on(tmp_path):
    (tmp_path / "journal.db").mkdir()
    _, result, recorder = record(Journal(tmp_path / "journal.db"))
    assert result.status == "answered"
    assert "journal.db" in recorder.problem


def test_a_disk_that_fills_up_in_mid_run_is_said_and_the_run_goes_on(journal):
    recorder = journal.begin(ABOUT, {"context": TEXT}, len(TEXT))
    recorder._db.execute(
        f"PRAGMA max_page_count = {recorder._db.execute('PRAGMA page_count').fetchone()[0] + 1}"
    )
    _, result, _ = record(journal, cells=CELLS | {"context": printed("x" * 90_000)}, recorder=recorder)
    assert result.status == "answered"
    assert "full" in recorder.problem


@pytest.fixture
def read_only():
    """Makes a folder read-only, as a disk may be."""
    made = []

    def read_only(folder):
        if os.geteuid():
            folder.chmod(0o500)
            return
        for flags in ("--bind", "-oremount,ro,bind"):
            if subprocess.run(["mount", flags, folder, folder], capture_output=True).returncode:
                pytest.skip("needs to be another user than root, or one that may mount")
        made.append(folder)

    yield read_only
    for folder in made:
        subprocess.run(["umount", folder], check=True)


def test_a_read_only_journal_is_looked_at_and_a_run_goes_on_and_says_so(journal, read_only):
    _, _, recorder = record(journal)
    folder = journal.path.parent
    read_only(folder)
    assert [path.name for path in folder.iterdir()] == ["journal.db"]  # no log, and none can be made
    assert [row["id"] for row in journal.runs()] == [recorder.run]
    assert trace(journal.events(recorder.run)).status == "answered"
    _, result, second = record(journal)
    assert result.status == "answered"
    assert "readonly" in second.problem
    for change in (journal.resume, journal.remove):
        with pytest.raises(JournalError, match="readonly"):
            change(recorder.run)


def test_a_folder_in_which_no_file_can_be_made_is_said_and_the_run_goes_on(tmp_path, read_only):
    (tmp_path / "disk").mkdir()
    read_only(tmp_path / "disk")
    _, result, recorder = record(Journal(tmp_path / "disk" / "journal.db"))
    assert result.status == "answered"
    assert "disk/journal.db" in recorder.problem


def test_a_damaged_file_is_said_with_what_to_do(journal):
    _, _, recorder = record(journal)
    data = bytearray(journal.path.read_bytes())
    for start in range(4_096, len(data), 4_096):
        data[start : start + 200] = b"\x55" * 200
    journal.path.write_bytes(data)
    for look in (journal.runs, lambda: journal.run(recorder.run), lambda: list(journal.events(recorder.run))):
        with pytest.raises(JournalError, match="malformed; move it away, and a new one is begun"):
            look()
    _, result, recorder = record(journal)
    assert (result.status, "malformed" in recorder.problem) == ("answered", True)


def test_an_event_of_a_newer_version_is_passed_over(journal):
    play, _, recorder = record(journal)
    with sqlite3.connect(journal.path) as db:
        db.execute("INSERT INTO events VALUES (?, '', 99, 0, 'Dreamt', 0, '{}')", (recorder.run,))
    assert [event for _, _, event in journal.events(recorder.run)] == play.events


def test_a_file_of_an_older_version_is_brought_up_to_date(journal):
    _, _, recorder = record(journal)
    with sqlite3.connect(journal.path) as db:  # as version 1 was
        db.execute("ALTER TABLE runs DROP COLUMN paused")
        db.execute("PRAGMA user_version = 1")
    assert journal.run(recorder.run)["paused"] == 0
    with sqlite3.connect(journal.path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    record(journal)
    assert len(journal.runs()) == 2


def test_a_file_of_a_newer_version_is_refused_untouched(journal):
    record(journal)
    with sqlite3.connect(journal.path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="newer version"):
        journal.runs()


def test_nobody_else_may_read_it(journal):
    record(journal)
    assert journal.path.stat().st_mode & 0o077 == 0


def test_children_are_told_apart_by_their_path(journal):
    cells = {
        "context[0]": [HostCall("rlm_query_batched", ([("Q1", "a"), ("Q2", "b")],)), printed("")],
        "child": submitted("Bob"),
        "SUBMIT(x)": submitted("4711"),
    }
    replies = [repl("context[0]"), repl("child"), repl("child"), repl("SUBMIT(x)")]
    _, _, recorder = record(journal, replies, cells, limits=Limits(depth=2))
    told = [event for _, _, event in journal.events(recorder.run)]
    assert [event.path for event in told if isinstance(event, Started)] == [(), (1,), (2,)]
    assert {event.path for event in told if isinstance(event, Ended)} == {(), (1,), (2,)}


def test_what_failed_is_asked_again_and_what_came_of_it_is_what_is_shown(journal):
    _, _, recorder = record(journal, [Failed("overloaded")], {})
    assert journal.run(recorder.run)["status"] == "error"
    _, result, _ = record(journal, REPLIES, CELLS, journal.resume(recorder.run))
    assert result.status == journal.run(recorder.run)["status"] == "answered"
    told = trace(journal.events(recorder.run))
    assert [step.asking.error for step in told.steps] == ["", ""]
    assert told.status == "answered"


def test_a_failure_that_the_run_went_on_after_is_part_of_what_happened(journal):
    """Else the code would take another way, and its further calls would be paid again."""
    moody = {"answer": lambda prompt: Failed("overloaded") if prompt == "a" else f"<{prompt}>"}
    calls = [llm_query_batched("a", "b"), llm_query("a, once more"), printed("hi")]
    cells = {"context": calls, "SUBMIT(x)": submitted("4711")}

    def play(recorder, replies, **more):
        played = stage(replies, cells, context=TEXT, record=recorder, **more)
        result = played.play()
        recorder.close()
        return played, result

    recorder = journal.begin(ABOUT, {"context": TEXT}, len(TEXT))
    play(recorder, [REPLIES[0], Failed("overloaded")], **moody)
    played, result = play(journal.resume(recorder.run), [REPLIES[1]])
    assert result.status == "answered"
    assert [type(job.request).__name__ for job in played.performed if job.slot is not None] == []
    assert isinstance(played.resumed()[0][0], LMError)


def test_a_child_that_failed_is_tried_again_only_where_its_parent_has_not_gone_on(journal):
    cells = {
        "context": [HostCall("rlm_query_batched", ([("Q1", "a"), ("Q2", "b")],)), printed("")],
        "child": submitted("Bob"),
        "SUBMIT(x)": submitted("4711"),
    }

    def ends(view):
        if view.path:
            return Failed("overloaded") if view.path == (1,) else repl("child")
        return Failed("overloaded") if view.turns else repl("context")

    def goes_on(view):
        asked.append(view.path)
        return repl("child" if view.path else ["context", "SUBMIT(x)"][len(view.turns)])

    for broken_off in (False, True):
        recorder = journal.begin(ABOUT, {"context": TEXT}, len(TEXT))
        stage(ends, cells, context=TEXT, record=recorder, limits=Limits(depth=2)).play()
        recorder.close()
        if broken_off:  # as if it was killed when the first child had failed
            with sqlite3.connect(journal.path) as db:
                db.execute("DELETE FROM events WHERE run = ? AND path = '' AND number > 2", (recorder.run,))
                db.execute("DELETE FROM answers WHERE run = ? AND path = '' AND number > 2", (recorder.run,))
                db.execute(
                    "DELETE FROM events WHERE run = ? AND path = '' AND type = 'Ended'", (recorder.run,)
                )
        asked = []
        again = journal.resume(recorder.run)
        played = stage(goes_on, cells, context=TEXT, record=again, limits=Limits(depth=2))
        assert played.play().status == "answered"
        again.close()
        assert asked == ([(1,), ()] if broken_off else [()])


def test_a_call_keeps_its_time_when_its_run_goes_on(journal):
    _, _, recorder = record(journal)
    with sqlite3.connect(journal.path) as db:
        db.execute("UPDATE events SET at = 1000, data = json_set(data, '$.seconds', 7)")
        db.execute("UPDATE answers SET value = json_set(value, '$.seconds', 7) WHERE kind = 'Reply'")
    record(journal, [], CELLS, journal.resume(recorder.run))
    events = list(journal.events(recorder.run))
    assert {at for at, _, event in events if not isinstance(event, Resumed)} == {1000}
    assert {event.seconds for _, _, event in events if isinstance(event, (Replied, SubCalled))} == {7}


def test_the_time_while_nobody_was_at_a_run_is_told_apart(journal):
    _, _, recorder = record(journal)
    with sqlite3.connect(journal.path) as db:
        db.execute("UPDATE runs SET started = started - 1000, ended = ended - 900, status = NULL")
    record(journal, [], CELLS, journal.resume(recorder.run))
    row = journal.run(recorder.run)
    assert row["paused"] == pytest.approx(900, abs=30)
    assert row["ended"] - row["started"] - row["paused"] == pytest.approx(100, abs=30)


def test_several_events_of_one_type_at_one_request_are_all_kept(journal):
    recorder = journal.begin(ABOUT, {"context": TEXT}, len(TEXT))
    for text in ("one", "two"):
        recorder.tell(Noted((), text), 0)
    recorder.close()
    again = journal.resume(recorder.run)  # tells the same once more
    for text in ("one", "two"):
        again.tell(Noted((), text), 0)
    again.close()
    told = [event.text for _, _, event in journal.events(recorder.run) if isinstance(event, Noted)]
    assert told == ["one", "two"]


def test_an_answer_that_comes_once_the_recorder_is_closed_is_kept_and_counted(tmp_path, monkeypatch):
    """A call was in flight when the run was over, and its process lives on."""
    monkeypatch.setattr("rlm_core.tree.LINGER", 0.0)
    sent, ended = threading.Event(), threading.Event()

    def dear(messages):
        sent.wait(30)
        return Completion("dear", Usage(4_000, 1), "m")

    def slow(messages):
        sent.set()
        ended.wait(30)
        return Completion("late", Usage(7, 1), "m")

    lm = ScriptedLM([repl("x = llm_query_batched(['a', 'b'])")], answers={"a": dear, "b": slow})
    rlm = RLM(lm, limits=Limits(tokens=4_000), journal=tmp_path / "journal.db")
    result = rlm.completion("text", "Q?")
    assert (result.status, result.reason) == ("limit", "tokens")
    row = rlm.journal.run("")
    assert row["calls"] == 2
    ended.set()
    assert eventually(lambda: rlm.journal.run("")["calls"] == 3, 30)
    late = rlm.journal.run("")
    assert (late["calls"], late["input"], late["ended"]) == (3, row["input"] + 7, row["ended"])
    told = [event.text for _, _, event in rlm.journal.events(row["id"]) if isinstance(event, SubCalled)]
    assert told == ["dear", "late"]
    assert len(rlm.journal.answers(row["id"])) == 3


def test_a_process_that_is_no_longer_at_a_run_does_not_end_it(journal):
    _, result, recorder = record(journal)
    with sqlite3.connect(journal.path) as db:  # another process goes on with it
        db.execute("UPDATE runs SET status = NULL, ended = NULL, pid = 1")
    recorder.finish(result)
    assert journal.run(recorder.run)["status"] is None


def test_a_run_that_is_stopped_from_outside_is_recorded_as_that(journal):
    recorder = journal.begin(ABOUT, {"context": TEXT}, len(TEXT))
    play = stage([], {}, context=TEXT, record=recorder)
    list(play.tree.ready())
    play.tree.stop("cancelled")
    recorder.close()
    row = journal.run(recorder.run)
    assert (row["status"], row["steps"]) == ("cancelled", 0)
    assert row["ended"] is not None


def test_halves_of_surrogate_pairs_and_odd_answers_are_kept(journal):
    odd = {("a", 1): {2, 3}}
    cells = CELLS | {"SUBMIT(x)": submitted(odd, output="\ud800")}
    replies = [repl("context"), "\ud800\n" + repl("SUBMIT(x)")]
    _, result, recorder = record(journal, replies, cells)
    assert (result.answer, recorder.problem) == (odd, "")
    assert journal.run(recorder.run)["status"] == "answered"
    _, again, _ = record(journal, [], cells, journal.resume(recorder.run))
    assert again == replace(result, seconds=again.seconds)


def test_a_run_that_nobody_is_at_any_more_is_broken_off(journal):
    recorder = journal.begin(ABOUT, {"context": TEXT}, len(TEXT))
    assert state(journal.run(recorder.run)) == "running"
    recorder.close()
    assert state(journal.run(recorder.run)) == "broken off"


def test_two_processes_do_not_go_on_with_one_run(journal):
    recorder = journal.begin(ABOUT, {"context": TEXT}, len(TEXT))
    with pytest.raises(JournalError, match="still running, in process"):
        journal.resume(recorder.run)
    recorder.close()
    journal.resume(recorder.run).close()


def test_what_is_spent_is_known_before_the_end(journal):
    _, result, recorder = record(journal)
    spent = journal.spent(recorder.run)
    assert spent.pop("at") <= journal.run(recorder.run)["ended"]
    assert spent == {
        "steps": 2,
        "calls": 5,
        "input": result.usage.input,
        "output": result.usage.output,
        "cached": 0,
        "cost": result.usage.cost,
    }


DOCS = (Path(__file__).parents[2] / "docs" / "JOURNAL.md").read_text("utf-8")


@pytest.mark.parametrize(
    "query", re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL), ids=["costs", "mistakes", "slowest"]
)
def test_the_queries_of_the_docs_find_something(journal, query):
    record(journal, cells=CELLS | {"context": [llm_query("a"), printed("", error="NameError: x")]})
    with sqlite3.connect(journal.path) as db:
        assert db.execute(query).fetchall()
