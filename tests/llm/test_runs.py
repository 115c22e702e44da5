"""`llm rlm runs`, `show`, `resume`, `replay`, `export`, `rm`: what is kept of runs, and runs made again."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

TEXT = "".join(f"line {n} holds nothing\n" for n in range(2_000)) + "the magic word is xyzzy\n"
ASK = """```repl
found = llm_query_batched([context[n:n + 3_000] for n in range(0, 9_000, 3_000)])
print(found)
```"""
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
        db.execute("UPDATE runs SET started = started - 9000, ended = NULL, pid = 99999999")
        db.execute("UPDATE events SET at = at - 9000")


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


def test_a_follow_up_is_listed_by_its_own_question(cli: Any, ask: Any) -> None:
    ask()
    assert cli("-c", "And again?").exit_code == 0
    rows = json.loads(cli("rlm", "runs", "--json").stdout)
    assert [row["query"] for row in rows] == ["And again?", "What is the magic word?"]


def test_a_run_without_a_question_is_listed_too(cli: Any, ask: Any) -> None:
    ask()
    cli("-m", "rlm-base", "-c", input=TEXT)
    assert "(the text states the task)" in cli("rlm", "runs").stdout
    assert json.loads(cli("rlm", "runs", "--json").stdout)[0]["query"] == ""
    assert "Earlier in this conversation" not in cli("rlm", "show").stdout.partition("step 1")[0]


def test_a_status_that_there_is_not_is_refused(cli: Any, ask: Any) -> None:
    ask()
    for wrong in (("-s", "answerd"), ("-n", "-3")):
        result = cli("rlm", "runs", *wrong)
        assert (result.exit_code, result.stdout) == (2, "")
    assert "'broken off'" in cli("rlm", "runs", "-s", "answerd").stderr


def test_the_list_is_filtered(cli: Any, ask: Any) -> None:
    ask()
    ask()
    counts = {
        "-m base": 2,
        "-m other": 0,
        "-s answered": 2,
        "-s limit": 0,
        "-s running": 0,
        "-q MAGIC": 2,
        "-q xyzzy": 2,
        "-q %": 0,
        "-n 1": 1,
        "-n 0": 2,
    }
    for filters, count in counts.items():
        assert len(json.loads(cli("rlm", "runs", "--json", *filters.split()).stdout)) == count, filters


def test_no_run_yet_is_said(cli: Any) -> None:
    result = cli("rlm", "runs")
    assert result.exit_code == 1
    assert "no run is recorded yet" in result.stderr


def test_a_run_is_recorded_only_as_far_as_the_user_wants(cli: Any, ask: Any, journal: Path) -> None:
    ask("-o", "journal", "never")
    assert not journal.exists()
    ask("-o", "journal", "no-context")
    with sqlite3.connect(journal) as db:
        assert db.execute("SELECT count(*) FROM contexts").fetchone() == (0,)
        assert len(db.execute("SELECT context FROM runs").fetchone()[0]) == 64  # its hash
    result = cli("rlm", "resume")
    assert result.exit_code == 1
    assert "was not kept" in result.stderr
    assert "sub-answer" in cli("rlm", "show").stdout


def test_keys_are_never_written(cli: Any, keyed: Any, journal: Path) -> None:
    keys = keyed("guarded", script(ASK, SUBMIT), "vault")
    result = cli("-m", "rlm-guarded", "--key", "sk-0123456789", "What is the magic word?", input=TEXT)
    assert result.stdout == "sub-answer xyzzy\n"
    assert set(keys) == {"sk-0123456789"}
    files = [file.read_bytes() for file in journal.parent.iterdir()]
    assert not any(b"sk-0123456789" in data for data in files)


def test_a_key_that_a_server_says_back_is_not_written_either(cli: Any, keyed: Any, journal: Path) -> None:
    def refuse(chat: list[tuple[str, str]]) -> str:
        raise RuntimeError("Incorrect API key provided: sk-0123456789")

    keyed("guarded", refuse, "vault")
    result = cli("-m", "rlm-guarded", "--key", "sk-0123456789", "What is the magic word?", input=TEXT)
    assert "Incorrect API key provided" in result.stderr
    assert "sk-0123456789" not in result.output
    files = [file.read_bytes() for file in journal.parent.iterdir()]
    assert not any(b"sk-0123456789" in data for data in files)


def test_a_run_does_not_go_on_with_a_key_that_is_none(cli: Any, keyed: Any, journal: Path) -> None:
    keyed("guarded", script(ASK, SUBMIT), "vault")
    cli("-m", "rlm-guarded", "--key", "sk-0123456789", "Q", input=TEXT)
    break_off(journal, 0)
    result = cli("rlm", "resume", "--key", "SEKRET99\r")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds characters that no key has" in result.stderr
    assert "SEKRET" not in result.output


def test_async_runs_are_recorded_too(cli: Any, ask: Any) -> None:
    ask("--async")
    (row,) = json.loads(cli("rlm", "runs", "--json").stdout)
    assert (row["status"], row["calls"]) == ("answered", 5)


# ---- looking


def test_a_run_is_shown_with_code_output_and_sub_calls(cli: Any, ask: Any) -> None:
    ask()
    shown = cli("rlm", "show").stdout
    assert "found = llm_query_batched(" in shown
    assert shown.count("→ sub-answer") == 3
    assert "> ['sub-answer ', 'sub-answer ', 'sub-answer ']" in shown
    assert "Answer sub-answer xyzzy" in shown


def test_notes_are_shown_where_they_fell(cli: Any, ask: Any, tmp_path: Path) -> None:
    guess = "```repl\nprint(context[:9])\nSUBMIT('a guess')\n```"  # before it has read what it printed
    ask(say=script(guess, ASK, SUBMIT))
    events = map(json.loads, cli("rlm", "export").stdout.splitlines())
    (note,) = [event["text"] for event in events if event["type"] == "Noted"]
    first, second = cli("rlm", "show", "--full").stdout.split("step 2")
    assert f"({note})" in " ".join(first.split())
    assert note not in " ".join(second.split())
    cli("rlm", "view", "--no-open", "-o", str(tmp_path / "run.html"))
    assert json.dumps(note)[1:-1] in (tmp_path / "run.html").read_text("utf-8")


def test_what_a_terminal_would_obey_is_taken_out(cli: Any, ask: Any) -> None:
    evil = "```repl\nprint('\u202e\x1b]0;owned\x07')\nfound = ['sub-answer ']\n```"
    ask(say=script(evil, SUBMIT))
    assert "owned" in (shown := cli("rlm", "show", "--full").stdout)
    assert not {"\u202e", "\x07"} & set(shown)
    assert "\x1b]" not in shown


def test_nothing_that_a_terminal_would_obey_reaches_it(cli: Any, scripted: Any) -> None:
    obeyed = "\x1b]0;owned\x07\x9b2J\u202e\rover"
    evil = f"{obeyed}\n```repl\n# {obeyed!r}\nprint({obeyed!r})\nprint(llm_query('a'))\n1 / 0\n```"
    failing = f"```repl\nprint(context[:9])\nraise ValueError({obeyed!r})\n```"
    chats = scripted("base", script(evil, failing, f"```repl\nNOT_FOUND({obeyed!r})\n```", sub=obeyed))
    asked = cli("-m", "rlm-base", "What is the magic word?", input=TEXT)
    assert "owned" in asked.stderr
    told = [asked.stderr]
    told += [cli("rlm", *arguments).output for arguments in (["show"], ["show", "--full"], ["runs"])]
    as_json = cli("rlm", "runs", "--json").stdout
    told += [as_json, exported := cli("rlm", "export").stdout]
    assert not {*"\x1b\x07\x9b\u202e\r"} & set("".join(told))
    # the model reads it as it is, and so does who reads the JSON
    assert obeyed in chats[-1][-3][1]
    assert json.loads(as_json)[0]["answer"] is None
    steps = [event for event in map(json.loads, exported.splitlines()) if event["type"] == "Stepped"]
    assert obeyed in steps[0]["output"]


def test_a_page_that_cannot_be_written_is_said(cli: Any, ask: Any, tmp_path: Path) -> None:
    ask()
    result = cli("rlm", "view", "--no-open", "-o", str(tmp_path / "none" / "run.html"))
    assert result.exit_code == 1
    assert "run.html: No such file or directory" in result.stderr


def test_a_resumed_run_says_that_its_answer_is_not_verified(cli: Any, scripted: Any, journal: Path) -> None:
    scripted("base", script("```repl\nprint(context[:9])\n```", *["```repl\nSUBMIT('a guess')\n```"] * 3))
    first = cli("-m", "rlm-base", "What is the magic word?", input=TEXT)
    assert "Not verified" in first.stderr
    break_off(journal, 0)
    result = cli("rlm", "resume")
    assert (result.exit_code, result.stdout) == (0, "a guess\n")
    assert "Not verified: the answer occurs neither in the text nor" in result.stderr


def test_a_run_is_exported_as_json_lines(cli: Any, ask: Any) -> None:
    ask()
    run, *events = map(json.loads, cli("rlm", "export").stdout.splitlines())
    assert (run["type"], run["answer"]) == ("Run", "sub-answer xyzzy")
    assert [event["type"] for event in events if not event["type"].startswith("Sub")] == [
        "Started",
        *["Asking", "Replied", "Stepped"] * 2,
        "Ended",
    ]
    prompts = [event["prompt"] for event in events if event["type"] == "SubCalled"]
    assert sorted(prompts) == sorted(TEXT[n : n + 3_000] for n in range(0, 9_000, 3_000))


def test_a_run_is_removed(cli: Any, ask: Any) -> None:
    ask()
    (row,) = json.loads(cli("rlm", "runs", "--json").stdout)
    assert cli("rlm", "rm", row["id"]).exit_code == 0
    assert json.loads(cli("rlm", "runs", "--json").stdout) == []
    result = cli("rlm", "show", row["id"])
    assert result.exit_code == 1
    assert "no run" in result.stderr


# ---- made again


@pytest.mark.parametrize("answered", [0, 1, 3, 5])
def test_a_run_goes_on_and_asks_nothing_that_was_answered(
    cli: Any, ask: Any, journal: Path, answered: int
) -> None:
    chats = ask()
    break_off(journal, answered)
    (row,) = json.loads(cli("rlm", "runs", "--json").stdout)
    assert row["status"] == "broken off"
    assert 0 <= row["seconds"] < 60
    del chats[:]
    result = cli("rlm", "resume")
    assert (result.exit_code, result.stdout) == (0, "sub-answer xyzzy\n")
    assert len(chats) == 5 - answered
    (row,) = json.loads(cli("rlm", "runs", "--json").stdout)
    assert (row["status"], row["calls"]) == ("answered", 5)


def test_it_goes_on_with_the_options_the_schema_and_the_key_it_had(
    cli: Any, keyed: Any, journal: Path
) -> None:
    say = script("```repl\nSUBMIT({'word': grep('magic')[0].split()[-1]})\n```")
    keys = keyed("guarded", say, "vault")
    options = ("--schema", "word str", "-o", "max_iterations", "7", "-o", "strategy", "frugal")
    first = cli("-m", "rlm-guarded", "--key", "sk-1", *options, "Which word?", input=TEXT)
    assert first.stdout == '{"word": "xyzzy"}\n', first.output
    break_off(journal, 0)
    missing = cli("rlm", "resume")
    assert missing.exit_code == 1
    assert "key" in missing.stderr.lower()
    result = cli("rlm", "resume", "--key", "sk-2")
    assert result.stdout == first.stdout, result.output
    assert keys == ["sk-1", "sk-2"]
    with sqlite3.connect(journal) as db:
        setup = json.loads(db.execute("SELECT setup FROM runs").fetchone()[0])
    assert (setup["limits"]["iterations"], setup["strategy"]["name"]) == (7, "frugal")


def test_a_run_that_a_process_is_still_at_is_left_to_it(cli: Any, ask: Any, journal: Path) -> None:
    ask()
    break_off(journal, 0)
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE runs SET ended = NULL, pid = 1")  # which never ends
    result = cli("rlm", "resume")
    assert result.exit_code == 1
    assert "still running, in process 1" in result.stderr
    assert cli("rlm", "resume", "--anyway").stdout == "sub-answer xyzzy\n"


def test_a_replay_calls_no_model_and_gives_the_same(cli: Any, ask: Any, journal: Path) -> None:
    chats = ask()
    del chats[:]
    before = journal.read_bytes()
    result = cli("rlm", "replay")
    assert (result.exit_code, result.stdout, chats) == (0, "sub-answer xyzzy\n", [])
    assert "Everything came out as it is recorded." in result.stderr
    assert journal.read_bytes() == before


def test_a_replay_says_where_it_differs(cli: Any, ask: Any, journal: Path) -> None:
    ask()
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE events SET data = replace(data, 'sub-answer', 'another') WHERE type = 'Stepped'")
    result = cli("rlm", "replay")
    assert result.exit_code == 1
    assert "step 1, output: was" in result.stderr


def test_a_replay_fails_where_calls_failed(cli: Any, ask: Any) -> None:
    import llm

    def moody(prompt: str) -> str:
        if prompt.startswith(TEXT[:40]):
            return "sub-answer "
        raise llm.ModelError("no such luck")

    ask(say=script(ASK, SUBMIT, sub=moody))
    assert "no such luck" in cli("rlm", "show").stdout
    result = cli("rlm", "replay")
    assert (result.exit_code, result.stdout) == (0, "sub-answer xyzzy\n"), result.stderr


def test_a_run_that_a_limit_ended_goes_on_with_more(cli: Any, scripted: Any, journal: Path) -> None:
    guess = "```repl\nSUBMIT('a guess')\n```"
    chats = scripted("base", script(ASK, SUBMIT, guess))
    ended = cli("-m", "rlm-base", "-o", "max_iterations", "1", "What is the magic word?", input=TEXT)
    assert ended.exit_code == 4, ended.output
    assert "-o max_iterations raises it" in ended.stderr
    before = len(chats)
    result = cli("rlm", "resume", "-o", "max_iterations", "5")
    assert (result.exit_code, result.stdout) == (0, "sub-answer xyzzy\n"), result.output
    assert len(chats) == before + 1
    (row,) = json.loads(cli("rlm", "runs", "--json").stdout)
    assert (row["status"], row["calls"], row["steps"]) == ("answered", before + 1, 2)
    assert cli("rlm", "replay").exit_code == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("-o", "max_sub_calls", "9"), "-o max_sub_calls: a run that goes on can be given max_iterations,"),
        (("-o", "max_cost", "much"), "-o max_cost much: input should be a valid number"),
        (("-o", "max_cost", "0"), "-o max_cost 0: input should be greater than 0"),
    ],
)
def test_what_a_run_cannot_be_given_is_said(cli: Any, ask: Any, options: Any, told: str) -> None:
    ask()
    result = cli("rlm", "resume", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr


def test_a_run_that_a_process_is_still_at_is_not_removed(cli: Any, ask: Any, journal: Path) -> None:
    ask()
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE runs SET status = NULL, ended = NULL, pid = 1")
    (row,) = json.loads(cli("rlm", "runs", "--json").stdout)
    result = cli("rlm", "rm", row["id"])
    assert result.exit_code == 1
    assert "still running, in process 1" in result.stderr
    assert cli("rlm", "rm", "--anyway", row["id"]).exit_code == 0
