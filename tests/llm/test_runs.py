"""`llm rlm runs`, `show`, `resume`, `replay`, `export`, `rm`: what is kept of runs, and runs made again."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

TEXT = "".join(f"line {n} holds nothing\n" for n in range(2_000)) + "the magic word is xyzzy\n"
ASK = "```repl\nfound = llm_query_batched([context[n:n + 3_000] for n in range(0, 9_000, 3_000)])\nprint(found)\n```"
SUBMIT = "```repl\nSUBMIT(found[0] + grep('magic word')[0].split()[-1])\n```"


def script(*replies: str, sub: Any = "sub-answer ") -> Any:
    """A root model that says `replies` in turn, and answers sub-calls (chats of one message) with `sub`."""

    def say(chat: list[tuple[str, str]]) -> str:
        if len(chat) == 1:
            return sub(chat[0][1]) if callable(sub) else sub
        return replies[sum(role == "assistant" for role, _ in chat)]

    return say


@pytest.fixture
def journal(home: Path) -> Path:
    return home / "rlm" / "journal.db"


@pytest.fixture
def ask(cli: Any, scripted: Any) -> Any:
    """Runs the question once; gives the chats that the model was shown."""

    def run(*arguments: str, say: Any = None) -> list[Any]:
        chats = scripted("base", say or script(ASK, SUBMIT))
        result = cli("-m", "rlm-base", *arguments, "What is the magic word?", input=TEXT)
        assert result.stdout == "sub-answer xyzzy\n", result.output
        return chats

    return run


def break_off(journal: Path, calls: int) -> None:
    """Makes it look as if the process was killed when `calls` calls were answered."""
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE runs SET status = NULL, answer = NULL, steps = NULL, calls = NULL, cost = NULL")
        db.execute(
            "DELETE FROM answers WHERE (number, slot) NOT IN"
            " (SELECT number, slot FROM answers ORDER BY number, slot LIMIT ?)",
            (calls,),
        )
        db.execute("DELETE FROM events WHERE type IN ('Ended', 'Stepped')")


# ---- what is kept


def test_every_run_is_listed(cli: Any, ask: Any) -> None:
    ask()
    (row,) = json.loads(cli("rlm", "runs", "--json").stdout)
    assert (row["source"], row["model"], row["status"]) == ("llm", "base", "answered")
    assert (row["query"], row["answer"]) == ("What is the magic word?", "sub-answer xyzzy")
    assert (row["steps"], row["calls"], row["chars"]) == (2, 5, len(TEXT))
    listed = cli("rlm", "runs").stdout
    assert row["id"] in listed
    assert "What is the magic word?" in listed


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["-m", "base"], 2),
        (["-m", "other"], 0),
        (["-s", "answered"], 2),
        (["-s", "limit"], 0),
        (["-q", "MAGIC"], 2),
        (["-q", "xyzzy"], 2),
        (["-q", "100%"], 0),
        (["-n", "1"], 1),
        (["-n", "0"], 2),
    ],
    ids=" ".join,
)
def test_the_list_is_filtered(cli: Any, ask: Any, filters: list[str], count: int) -> None:
    ask()
    ask()
    assert len(json.loads(cli("rlm", "runs", "--json", *filters).stdout)) == count
