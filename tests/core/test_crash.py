"""A process may be killed at any moment: its journal opens, and the run goes on and pays for nothing twice.

`benchmarks/kill_and_resume.py` does so with real kills."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter

import pytest

from rlm_core.journal import About, Journal, Recorder
from rlm_core.limits import Limits
from rlm_core.requests import InSandbox, Query
from rlm_core.sandbox.protocol import HostCall
from tests.core.stage import llm_query, llm_query_batched, printed, repl, stage, submitted

TEXT = "The magic number is 4711.\n" + "filler line\n" * 3_000
CELLS = {
    "context": [
        llm_query_batched(*"abcdefgh"),
        HostCall("weather", ("Oslo",)),
        llm_query("i"),
        printed("hi"),
    ],
    "context[0]": [HostCall("rlm_query_batched", ([("Q1", "a"), ("Q2", "b")],)), printed("")],
    "child": [llm_query_batched("x", "y"), submitted("Bob")],
    "SUBMIT(x)": submitted("4711"),
}
STEPS = ["context", "context[0]", "SUBMIT(x)"]


def say(view):
    return repl("child" if view.path else STEPS[len(view.turns)])


def play(recorder):
    played = stage(
        say,
        CELLS,
        context=TEXT,
        record=recorder,
        limits=Limits(depth=2, cost=None),
        tools=("weather",),
        tool=lambda name, city: ("sun", 7),
    )
    result = played.play()
    recorder.close()
    asked = Counter(
        (job.key, job.request.prompts if isinstance(job.request, Query) else "")
        for job in played.performed
        if not isinstance(job.request, InSandbox)
    )
    return result, asked


@pytest.fixture
def images(tmp_path, monkeypatch):
    """What a kill may leave on the disk: the file and its log as they are after each write of a run, and in
    its midst, when only a part of what it adds to the log is written."""
    rng = random.Random(0)
    journal = Journal(tmp_path / "whole" / "journal.db")
    about = About("python", "root-model", "sub-model", "What is the magic number?")
    found = []
    write = Recorder._write

    def image(cut=None):
        folder = tmp_path / str(len(found))
        shutil.copytree(tmp_path / "whole", folder, ignore=shutil.ignore_patterns("*-shm"))
        if cut is not None:
            with open(folder / "journal.db-wal", "r+b") as log:
                log.truncate(cut)
        found.append(Journal(folder / "journal.db"))

    def copied(recorder, *statement):
        log = tmp_path / "whole" / "journal.db-wal"
        before = log.stat().st_size
        write(recorder, *statement)
        image()
        if log.stat().st_size > before + 1:
            image(cut=rng.randrange(before + 1, log.stat().st_size))

    recorder = journal.begin(about, {"context": TEXT}, len(TEXT))
    recorder._keeping.join()
    monkeypatch.setattr(Recorder, "_write", copied)
    result, asked = play(recorder)
    monkeypatch.undo()
    return result, asked, found


def test_a_run_goes_on_from_what_a_kill_leaves(images):
    expected, asked, found = images
    assert len(found) > 60
    went_on = 0
    for journal in found:
        row = journal.run("")
        if row["status"]:
            continue
        with sqlite3.connect(journal.path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            kept = db.execute("SELECT count(*) FROM answers").fetchone()[0]
        result, again = play(journal.resume(row["id"], anyway=True))  # our own process is alive
        assert (result.status, result.answer, result.usage) == (
            expected.status,
            expected.answer,
            expected.usage,
        )
        assert not again - asked
        assert again.total() == asked.total() - kept
        went_on += 1
    assert went_on > 60
