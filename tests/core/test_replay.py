"""A recorded run once more: the real sandbox, and no LM."""

from __future__ import annotations

import sqlite3

import pytest

from rlm_core import RLM, Limits, ScriptedLM
from rlm_core.journal import Journal, about, again
from rlm_core.lms import LMCallError
from rlm_core.replay import replay
from rlm_core.sandbox.host import LocalSandbox

TEXT = "the magic word is xyzzy\n" * 50
STEPS = [
    "```repl\nfound = llm_query_batched(['a', 'b', 'c'])\nprint(found)\n"
    "first = rlm_query('Q', context[:100])\n```",
    "```repl\nSUBMIT(found[0] + first)\n```",
]
CHILD = "```repl\nSUBMIT(context[:9])\n```"


class SubLM(ScriptedLM):
    def complete(self, messages):
        if messages[-1]["content"] == "b":
            raise LMCallError("overloaded", "error")
        return super().complete(messages)


@pytest.fixture
def path(tmp_path):
    """A journal that holds one run, with a child and a sub-call that failed."""
    sub = SubLM(lambda messages: CHILD if len(messages) > 1 else f"<{messages[-1]['content']}>")
    rlm = RLM(ScriptedLM(STEPS), sub, limits=Limits(depth=2), journal=tmp_path / "journal.db")
    result = rlm.completion(TEXT, "Which word?")
    assert result.answer == "<a>the magic", result
    return tmp_path / "journal.db"


@pytest.fixture(scope="module")
def backend():
    sandbox = LocalSandbox()
    yield sandbox
    sandbox.close()


def played(path, backend):
    journal = Journal(path)
    row = journal.run("")
    return replay(journal, row["id"], again(about(row), journal.inputs(row)), backend)


def test_it_comes_out_the_same(path, backend):
    done = played(path, backend)
    assert (done.result.status, done.result.answer, done.differences) == ("answered", "<a>the magic", [])


def test_it_knows_the_tools_that_the_run_had(tmp_path, backend):
    def lookup(name: str) -> str:
        return f"<{name}>"

    lm = ScriptedLM(["```repl\nword = lookup(context[:9])\nSUBMIT(word)\n```"])
    rlm = RLM(lm, tools=[lookup], journal=tmp_path / "journal.db")
    assert rlm.completion(TEXT, "Which word?").answer == "<the magic>"
    done = played(tmp_path / "journal.db", backend)
    assert (done.result.answer, done.differences) == ("<the magic>", [])


def test_it_says_where_it_differs(path, backend):
    with sqlite3.connect(path) as db:
        db.execute("UPDATE answers SET value = CAST(replace(value, '<a>', '<A>') AS BLOB)")
    done = played(path, backend)
    assert done.result.answer == "<A>the magic"
    assert done.differences[0].startswith("step 1, output: was \"['<a>', ")
    assert done.differences[-1].startswith("the end, answer: was '<a>the magic', is '<A>the magic'")


def test_a_call_that_is_not_recorded_is_not_made(path, backend):
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM answers WHERE path = '1'")
    done = played(path, backend)
    assert "child 1, the end, status: was 'answered', is 'error'" in done.differences
    assert "this call is not in the journal" in str(done.differences)
