"""Events put where they belong: steps, their calls, the children that they started."""

from __future__ import annotations

from dataclasses import dataclass

from rlm_core.events import Asking, Ended, Event, Noted, Replied, Resumed, Started, Stepped, SubCalled
from rlm_core.journal import About, Journal, rows
from rlm_core.limits import Limits
from rlm_core.loop import Failed
from rlm_core.narrate import Narrator
from rlm_core.page import page
from rlm_core.sandbox.protocol import HostCall
from rlm_core.trace import trace
from tests.core.stage import llm_query, llm_query_batched, printed, repl, stage, submitted


@dataclass(frozen=True, slots=True)
class Slept(Event):
    """A type of event that nothing else has heard of."""

    seconds: float

    @property
    def words(self) -> str:
        return f"slept for {self.seconds:g} seconds"


def traced(tmp_path, replies, cells, **more):
    journal = Journal(tmp_path / "journal.db")
    recorder = journal.begin(About("python", "root", "sub", "Q?"), {"context": "text"}, 4)
    stage(replies, cells, record=recorder, **more).play()
    recorder.close()
    return trace(journal.events(recorder.run))


def test_calls_stand_in_their_step_by_batch_and_slot(tmp_path):
    cells = {
        "context": [llm_query_batched("a", "b"), llm_query("c"), printed("seen")],
        "SUBMIT(x)": submitted("4711"),
    }
    told = traced(tmp_path, [repl("context"), repl("SUBMIT(x)")], cells)
    first, second = told.steps
    assert (first.turn, first.code, first.output) == (1, "context", "seen")
    assert [(call.prompt, call.slot) for call in first.calls] == [("a", 0), ("b", 1), ("c", 0)]
    batches = [call.batch for call in first.calls]
    assert batches[0] == batches[1] != batches[2]
    assert second.calls == []
    assert (told.status, told.answer) == ("answered", "4711")


def test_children_stand_in_the_step_that_started_them(tmp_path):
    cells = {
        "context": [HostCall("rlm_query_batched", ([("Q1", "a"), ("Q2", "b")],)), printed("")],
        "child": submitted("Bob"),
        "SUBMIT(x)": submitted("4711"),
    }
    replies = [repl("context"), repl("child"), repl("child"), repl("SUBMIT(x)")]
    told = traced(tmp_path, replies, cells, limits=Limits(depth=2))
    assert [child.query for child in told.steps[0].children] == ["Q1", "Q2"]
    assert [(run.path, run.depth, run.answer) for run in told.runs()] == [
        ((), 0, "4711"),
        ((1,), 1, "Bob"),
        ((2,), 1, "Bob"),
    ]


def test_what_failed_is_told(tmp_path):
    cells = {"context": [llm_query("a"), printed("", error="NameError: x")]}
    told = traced(
        tmp_path,
        [repl("context"), Failed("no such model")],
        cells,
        answer=lambda prompt: Failed("overloaded"),
    )
    first, second = told.steps
    assert (first.calls[0].error, first.error) == ("overloaded", "NameError: x")
    assert second.asking.error == "no such model"
    assert (told.status, told.reason) == ("error", "no such model")


def test_the_last_ask_is_a_step_too(tmp_path):
    told = traced(tmp_path, [repl("context"), "It is 4711."], {}, limits=Limits(iterations=1))
    assert [(step.turn, step.asking.text) for step in told.steps] == [
        (1, repl("context")),
        (2, "It is 4711."),
    ]


def test_the_time_in_which_nobody_was_at_the_run_is_taken_out():
    events = [
        (100.0, 0, Started((), "Q", 4, "")),
        (100.0, 0, Asking((), 1, 20)),
        (103.0, 1, Replied((), 1, "x", "x", seconds=3.0)),
        (105.0, 2, SubCalled((), 0, 1, 2, "a", "b", seconds=1.0)),
        (9_000.0, 0, Resumed(())),
        (9_002.0, 2, SubCalled((), 1, 2, 2, "c", "d", seconds=2.0)),
        (9_003.0, 3, Stepped((), 1, "x", "", "", "")),
        (20_000.0, 1, Resumed(())),
        (20_001.0, 9, Ended((), "answered", "y")),
    ]
    told = trace(events)
    (step,) = told.steps
    assert [call.end for call in step.calls] == [105, 107]
    assert (step.end, told.start, told.end) == (108, 100, 109)


def test_a_note_on_the_inputs_makes_no_step():
    notes = [Noted((), "a.bin: skipped"), Asking((), 1, 20), Noted((), "asking again")]
    told = trace([(1.0, 0, event) for event in (Started((), "Q", 4, ""), *notes)])
    assert told.notes == ["a.bin: skipped"]
    assert [(step.turn, step.notes) for step in told.steps] == [(1, ["asking again"])]


def test_there_may_be_nothing():
    assert trace([]) is None


def test_a_new_type_of_event_is_kept_and_shown_wherever_events_are(tmp_path, monkeypatch):
    """`rlm_core.events` is the one place that it takes."""
    monkeypatch.setitem(rows.EVENT_TYPES, "Slept", Slept)  # as a class of that module is
    journal = Journal(tmp_path / "journal.db")
    recorder = journal.begin(About("python", "root", "sub", "Q?"), {"context": "text"}, 4)
    cells = {"context": printed("seen"), "SUBMIT(x)": submitted("4711")}
    played = stage([repl("context"), repl("SUBMIT(x)")], cells, record=recorder)
    steps = played.run.steps

    def sleeping():
        replies = steps()
        value = None
        while True:
            try:
                item = replies.send(value)
            except StopIteration as stop:
                return stop.value
            value = yield item
            if isinstance(item, (Started, Replied)):
                yield Slept((), 1.5 + isinstance(item, Replied))

    played.tree.root.gen = sleeping()
    played.play()
    recorder.close()
    row = journal.run(recorder.run)
    assert [event for _, _, event in journal.events(row["id"]) if isinstance(event, Slept)] == [
        event for event in played.events if isinstance(event, Slept)
    ]
    told = trace(journal.events(row["id"]))
    assert told.notes == ["slept for 1.5 seconds"]
    assert [step.notes for step in told.steps] == [["slept for 2.5 seconds"]] * 2
    narrator = Narrator()
    assert "(slept for 2.5 seconds)" in "".join(narrator.tell(event) for event in played.events)
    assert page(journal, row).count("slept for 2.5 seconds") == 2
