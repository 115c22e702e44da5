"""Tables, values that set themselves up, references, recorded runs."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.primitives.local_interpreter import LocalInterpreter
from dspy.primitives.sandbox_serializable import SandboxSerializable

from dspy_rlm import RLM, Reference, examples_from_runs
from rlm_core import RLM as CoreRLM
from rlm_core import ScriptedLM
from tests.dspy.scripted import Script, code


class Table(SandboxSerializable):
    """Rows that cross as JSON and are lists of dicts on the other side."""

    def __init__(self, text: str, setup: str = "import json"):
        self.text, self.setup = text, setup

    def sandbox_setup(self) -> str:
        return self.setup

    def to_sandbox(self) -> bytes:
        return self.text.encode()

    def sandbox_assignment(self, var_name: str, data_expr: str) -> str:
        return f"{var_name} = json.loads({data_expr})"

    def rlm_preview(self, max_chars: int = 500) -> str:
        return "a table of one row"


@pytest.mark.parametrize("fails", [False, True])
def test_a_journal_that_cannot_be_written_is_told_once(fails: bool, tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "file").touch()
    lm = Script([] if fails else code("SUBMIT(context)"))  # with nothing to say the run raises
    rlm = RLM("context, query -> answer", journal=tmp_path / "file" / "j.db")
    with dspy.context(lm=lm), pytest.raises(Exception) if fails else nullcontext():  # noqa: PT011
        assert rlm(context="abc", query="?").answer == "abc"
    told = [said for record in caplog.records if "in the journal" in (said := record.getMessage())]
    assert len(told) == 1
    assert told[0].count("in the journal") == 1


@pytest.mark.parametrize("factory", [None, LocalInterpreter])
def test_values_that_set_themselves_up(factory: Any) -> None:
    lm = Script(code("SUBMIT(rows[0]['a'] + other)"))
    with dspy.context(lm=lm):
        rlm = RLM("rows, other: int -> answer: int")
        assert rlm(rows=Table('[{"a": 41}]'), other=1, interpreter_factory=factory).answer == 42
    assert "a table of one row" in str(lm.sent[0])


def test_a_value_that_cannot_be_set_up_is_refused_before_anything_is_sent() -> None:
    lm = Script([])
    with dspy.context(lm=lm), pytest.raises(ValueError, match="cannot be set up in the sandbox"):
        RLM("rows -> answer")(rows=Table("[]", "import pandas as pd"))
    assert lm.sent == []


def test_data_frames_cross_as_rows() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"name": ["Ann", None], "n": [1, 2], "at": pandas.to_datetime(["2026-01-02", None])}
    )
    lm = Script(
        code("SUBMIT(f\"{rows[0]['name']} {rows[0]['at']:%d.%m.} {rows[1]['name']} {rows[1]['at']}\")")
    )
    with dspy.context(lm=lm):
        assert RLM("rows -> answer")(rows=frame).answer == "Ann 02.01. None None"


def test_references_are_read_when_the_program_runs(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("from a file")
    for value, seen in ((Reference("held"), "held"), (tmp_path / "text.txt", "from a file")):
        assert len(repr(value)) < 200
        with dspy.context(lm=Script(code("SUBMIT(context)"))):
            assert RLM("context -> answer")(context=value).answer == seen


def test_recorded_runs_are_training_examples(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    text = "the magic word is xyzzy\n" * 1_000
    lm = ScriptedLM(["I look.\n```repl\nprint(grep('magic')[0])\n```", "```repl\nSUBMIT('xyzzy')\n```"])
    CoreRLM(lm, journal=journal).completion(text, "What is the magic word?")
    (example,) = examples_from_runs(journal)
    assert (example.query, example.answer, example.status) == ("What is the magic word?", "xyzzy", "answered")
    assert set(example.inputs().keys()) == {"context", "query"}
    assert [step["reasoning"] for step in example.trajectory] == ["I look.", ""]
    assert example.trajectory[0]["output"] == "the magic word is xyzzy"
    assert "xyzzy" not in repr(example.context)
    with dspy.context(lm=Script(code("SUBMIT(len(context))"))):
        assert RLM("context, query -> answer: int")(**example.inputs()).answer == len(text)


def test_recorded_runs_serve_as_worked_examples_and_no_context_is_saved(tmp_path: Path) -> None:
    text = "the magic word is xyzzy\n" * 1_000
    lm = ScriptedLM(["I look.\n```repl\nprint(context)\n```", "```repl\nSUBMIT('xyzzy')\n```"])
    CoreRLM(lm, journal=tmp_path / "j.db").completion(text, "What is the magic word?")
    runs = examples_from_runs(tmp_path / "j.db")
    program = dspy.LabeledFewShot(k=1).compile(RLM("context, query -> answer"), trainset=runs)
    program.save(tmp_path / "program.json")
    again = RLM("context, query -> answer")
    again.load(tmp_path / "program.json")
    for rlm in (program, again):
        asked = Script(code("SUBMIT(context)"))
        with dspy.context(lm=asked):
            rlm(context="abc", query="q")
        told = [message["content"] for message in asked.sent[0]]
        assert told[1].startswith("`context`: str of 24,000 characters")
        assert told[1].endswith("Question: What is the magic word?")
        assert told[2] == "I look.\n```repl\nprint(context)\n```"
        assert "characters left out" in told[3]
        assert len(told[3]) < 2_200
    assert (tmp_path / "program.json").stat().st_size < 9_000


def test_a_dspy_run_is_recorded_too(tmp_path: Path) -> None:
    with dspy.context(lm=Script(["I look.\n```repl\nprint(1)\n```", *code("SUBMIT(context)")])):
        RLM("context, query -> answer", journal=tmp_path / "j.db")(context="abc", query="q")
    (example,) = examples_from_runs(tmp_path / "j.db", source="dspy")
    assert example.answer == "abc"
    assert example.trajectory == [
        {"reasoning": "I look.", "code": "print(1)", "output": "1"},
        {"reasoning": "", "code": "SUBMIT(context)", "output": ""},
    ]
    assert examples_from_runs(tmp_path / "j.db", source="llm") == []
    with pytest.raises(ValueError, match="must be one of"):
        examples_from_runs(tmp_path / "j.db", source="j.db")
