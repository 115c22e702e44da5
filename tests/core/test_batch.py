"""Many rows, a run for each: `rlm_core.batch`."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rlm_core import RLM, Limits, ScriptedLM
from rlm_core.batch import CostReached, Remote, Row, map_runs
from rlm_core.sandbox.protocol import SandboxUnavailable

ANSWER = "```repl\nprint(context[:40])\nSUBMIT(llm_query('read ' + context))\n```"


def sub_call(messages: list[Any]) -> str:
    return messages[-1]["content"].removeprefix("read ").upper()


def lm(**more: Any) -> ScriptedLM:
    return ScriptedLM(ANSWER, answers=sub_call, **more)


def rows(count: int) -> list[Row]:
    return [Row(str(n), f"question {n}", f"text {n}") for n in range(count)]


def test_every_row_gets_its_own_answer():
    outcomes = {outcome.id: outcome for outcome in map_runs(rows(20), RLM(lm()), workers=4)}
    assert {name: outcome.answer for name, outcome in outcomes.items()} == {
        str(n): f"TEXT {n}" for n in range(20)
    }
    assert outcomes["3"].status == "answered"
    assert outcomes["3"].usage["calls"] == 2


def test_rows_are_taken_only_as_places_come_free():
    taken = Counter[str]()

    def asked():
        for row in rows(50):
            taken["rows"] += 1
            yield row

    outcomes = map_runs(asked(), RLM(lm()), workers=2)
    next(outcomes)
    assert taken["rows"] < 10
    outcomes.close()


def test_runs_go_on_at_once():
    scripted = lm(delay=0.1)
    list(map_runs(rows(8), RLM(scripted), workers=8))
    assert scripted.peak >= 4


def test_a_row_that_cannot_be_read_is_an_outcome_and_not_the_end(tmp_path: Path):
    (tmp_path / "binary").write_bytes(b"\x00\x01\x02\xff" * 100)
    asked = [
        Row("gone", "?", tmp_path / "gone.txt"),
        Row("binary", "?", tmp_path / "binary"),
        Row("broken", problem="not JSON"),
        Row("scheme", "?", Remote("nonsense://x")),
        Row("good", "?", "text"),
    ]
    outcomes = {outcome.id: outcome for outcome in map_runs(asked, RLM(lm()), workers=2)}
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "gone": "error", "binary": "error", "broken": "error", "scheme": "error", "good": "answered"
    }  # fmt: skip
    assert "gone.txt" in outcomes["gone"].reason
    assert outcomes["broken"].reason == "not JSON"
    assert "nonsense" in outcomes["scheme"].reason


def test_a_url_is_read_where_its_run_is(tmp_path: Path):
    pytest.importorskip("fsspec")
    (tmp_path / "a.txt").write_text("text of a file")
    (outcome,) = map_runs([Row("a", "?", Remote(f"file://{tmp_path}/a.txt"))], RLM(lm()))
    assert outcome.answer == "TEXT OF A FILE"


def test_a_file_that_rows_share_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from rlm_core import documents

    file = tmp_path / "shared.txt"
    file.write_text("shared")
    reads: list[Any] = []
    read = documents.read
    monkeypatch.setattr(documents, "read", lambda path, **more: reads.append(path) or read(path, **more))
    list(map_runs([Row(str(n), "?", file) for n in range(5)], RLM(lm()), workers=1))
    assert reads == [file]


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_a_batch_never_spends_more_than_its_cost(workers: int):
    scripted = lm(price=0.01)
    outcomes = []
    batch = map_runs(rows(40), RLM(scripted), workers=workers, max_cost=0.2)
    with pytest.raises(CostReached):
        outcomes.extend(batch)
    assert len(scripted.calls) <= 20 + workers  # what a call costs is known only afterwards
    assert sum(outcome.cost for outcome in outcomes) <= 0.2 + 0.01 * workers
    assert any(outcome.status == "answered" for outcome in outcomes)
    assert all(outcome.unpaid for outcome in outcomes if outcome.status == "limit")


def test_what_the_batchs_cost_ended_is_unpaid_whatever_else_there_is_to_say_of_it():
    misfit = "```repl\nprint(context)\nSUBMIT(None)\n```"
    (outcome,) = map_runs(rows(1), RLM(ScriptedLM([misfit, ANSWER], price=0.02)), workers=1, max_cost=0.03)
    assert outcome.reason.startswith("cost; the answer does not fit")
    assert (outcome.status, outcome.unpaid) == ("limit", True)


def test_the_same_call_again_goes_on_where_a_batch_was_broken_off(tmp_path: Path):
    scripted = lm()
    rlm = RLM(scripted, journal=tmp_path / "journal.db")
    outcomes = map_runs(rows(12), rlm, workers=1, name="batch")
    first = [next(outcomes) for _ in range(5)]
    outcomes.close()
    asked = len(scripted.calls)
    again = list(map_runs(rows(12), rlm, workers=1, name="batch"))
    assert {outcome.id for outcome in again} == {str(n) for n in range(12)}
    assert {outcome.run for outcome in first} <= {outcome.run for outcome in again}
    prompts = Counter(str(messages) for messages in scripted.calls)
    answered = {outcome.id for outcome in first}
    for prompt, count in prompts.items():
        if any(f"question {name}\n" in prompt or f"read text {name}'" in prompt for name in answered):
            assert count == 1
    assert len(scripted.calls) - asked <= 2 * 7 + 2


def test_a_batch_of_another_name_asks_anew(tmp_path: Path):
    scripted = lm()
    rlm = RLM(scripted, journal=tmp_path / "journal.db")
    list(map_runs(rows(2), rlm, name="one"))
    list(map_runs(rows(2), rlm, name="two"))
    assert len(scripted.calls) == 8


def test_an_interrupt_ends_calls_that_hang():
    def interrupted():
        yield from rows(2)
        raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(map_runs(interrupted(), RLM(lm(delay=600)), workers=4))
    assert time.monotonic() - begun < 60  # far less than the calls would take
    assert not [thread for thread in threading.enumerate() if thread.name == "rlm-run"]


def test_a_sandbox_that_cannot_be_had_ends_the_batch(monkeypatch: pytest.MonkeyPatch):
    from rlm_core.sandbox.host import LocalSandbox

    def refuse(*_: Any) -> None:
        raise SandboxUnavailable("no walls here")

    monkeypatch.setattr(LocalSandbox, "open", refuse)
    with pytest.raises(SandboxUnavailable):
        list(map_runs(rows(3), RLM(lm(), limits=Limits(iterations=1))))


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"backend": "slurm"}])
def test_wrong_arguments_are_told(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        list(map_runs(rows(1), RLM(lm()), **wrong))
