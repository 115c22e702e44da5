"""`llm rlm map`: many rows by one command, which goes on where it was ended."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from processes import eventually
from scripts import declare, steps
from stub_server import Reply, StubServer, error

from llm_rlm import recording
from llm_rlm.answers import Answers, AnswersError
from rlm_core.journal import Journal

ANSWER = steps(
    "```repl\nword = context.split()[-1]\nprint(word)\nSUBMIT(llm_query(word))\n```", sub=str.upper
)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three texts, which is the current one."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.txt").write_text(f"the word is {name * 3}\n")
    monkeypatch.chdir(folder)
    return folder


def jsonl(path: Path, *rows: Any) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def answers(path: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}


def test_questions_with_texts_inline_by_path_and_by_glob(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    jsonl(
        work / "q.jsonl",
        {"id": "in", "question": "Which?", "context": "inline"},
        {"id": "path", "question": "Which?", "path": "a.txt"},
        {"id": "list", "query": "Which?", "context": ["one", "two"]},
    )
    result = cli("rlm", "map", "-m", "rlm-fake", "q.jsonl", "-o", "out.jsonl")
    assert result.exit_code == 1  # a list has no .split: that run ends without an answer
    got = answers(work / "out.jsonl")
    assert got["in"]["answer"] == "INLINE"
    assert got["path"]["answer"] == "AAA"
    assert set(got["in"]) == {
        "id", "question", "answer", "status", "reason", "unverified", "usage", "cost", "seconds", "run"
    }  # fmt: skip
    assert "3 rows, 2 answered" in result.stderr
    assert result.stdout == ""


def test_questions_from_csv(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    (work / "q.csv").write_text('id,question,path\nx,"Which, then?",a.txt\ny,Which?,b.txt\n')
    assert cli("rlm", "map", "-m", "fake", "q.csv", "-o", "out.jsonl").exit_code == 0
    assert {name: row["answer"] for name, row in answers(work / "out.jsonl").items()} == {
        "x": "AAA",
        "y": "BBB",
    }


def test_questions_from_standard_input(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    lines = '{"question": "Which?", "path": "a.txt"}\n{"question": "Which?", "glob": "[bc].txt"}\n'
    assert cli("rlm", "map", "-m", "fake", "-", "-o", "out.jsonl", input=lines).exit_code == 1
    got = answers(work / "out.jsonl")
    assert got["row 1"]["answer"] == "AAA"
    assert set(got) == {"row 1", "row 2"}  # two texts under names have no .split


def test_one_question_over_files_that_match(cli: Any, scripted: Any, work: Path) -> None:
    chats = scripted("fake", ANSWER)
    result = cli("rlm", "map", "-m", "rlm-fake", "--question", "Which word?", "*.txt", "-o", "out.jsonl")
    assert result.exit_code == 0
    assert {name: row["answer"] for name, row in answers(work / "out.jsonl").items()} == {
        "a.txt": "AAA", "b.txt": "BBB", "c.txt": "CCC"
    }  # fmt: skip
    assert any("Which word?" in text for chat in chats for _, text in chat)


def test_one_text_for_all_questions(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    jsonl(work / "q.jsonl", {"question": "One?"}, {"question": "Two?"})
    assert cli("rlm", "map", "-m", "fake", "q.jsonl", "--context", "c.txt", "-o", "out.jsonl").exit_code == 0
    assert [row["answer"] for row in answers(work / "out.jsonl").values()] == ["CCC", "CCC"]
    assert set(answers(work / "out.jsonl")) == {"row 1", "row 2"}


def test_each_answer_fits_the_schema(cli: Any, scripted: Any, work: Path) -> None:
    submit = "```repl\nprint(context)\nSUBMIT({'name': context.split()[-1], 'size': 3})\n```"
    scripted("fake", steps("```repl\nprint(context)\nSUBMIT('three')\n```", submit))
    command = [
        "rlm",
        "map",
        "-m",
        "fake",
        "--question",
        "?",
        "a.txt",
        "-o",
        "out.jsonl",
        "--schema",
        "name, size int",
    ]
    assert cli(*command).exit_code == 0
    assert answers(work / "out.jsonl")["a.txt"]["answer"] == {"name": "aaa", "size": 3}


def test_a_row_is_replayed_with_its_schema_and_its_sandbox(cli: Any, scripted: Any, work: Path) -> None:
    submit = "```repl\nprint(context)\nSUBMIT({'name': context.split()[-1], 'size': 3})\n```"
    scripted("fake", steps("```repl\nprint(context)\nSUBMIT('three')\n```", submit))
    command = ["rlm", "map", "-m", "fake", "--question", "?", "a.txt", "-o", "out.jsonl"]
    settings = ["--option", "sandbox", "weak", "--schema", "name, size int"]
    assert cli(*command, *settings).exit_code == 0
    result = cli("rlm", "replay", answers(work / "out.jsonl")["a.txt"]["run"])
    assert (result.exit_code, result.stdout) == (0, '{"name": "aaa", "size": 3}\n'), result.stderr
    (row,) = Journal(recording.path()).runs()
    assert (row["source"], json.loads(row["setup"])["sandbox"]) == ("map", "weak")


def test_a_row_without_an_id_takes_none_that_another_has(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    texts = {"context": "one"}, {"id": 1, "context": "two"}, {"id": 1, "context": "three"}
    jsonl(work / "q.jsonl", *({"question": "Which?", **text} for text in texts))
    assert cli("rlm", "map", "-m", "fake", "q.jsonl", "-o", "out.jsonl").exit_code == 1
    got = answers(work / "out.jsonl")
    assert {name: row["answer"] for name, row in got.items()} == {"row 1": "ONE", "1": "TWO", "row 3": None}
    assert got["row 3"]["question"] == "Which?"


def test_an_answer_so_far_that_does_not_fit_the_schema_is_none(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", lambda chat: "```repl\nprint(context)\nSUBMIT(6)\n```")
    command = ["rlm", "map", "-m", "fake", "--question", "?", "a.txt", "-o", "out.jsonl"]
    wanted = ["--schema", "name, size int", "--option", "max_iterations", "2"]
    assert cli(*command, *wanted).exit_code == 0
    row = answers(work / "out.jsonl")["a.txt"]
    assert (row["status"], row["answer"]) == ("limit", None)


def test_a_bad_row_is_one_row(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    (work / "binary").write_bytes(b"\x00\x01\x02\xff" * 100)
    (work / "q.jsonl").write_text(
        '{"id": "good", "question": "?", "path": "a.txt"}\n'
        "{broken\n[1]\n"
        '{"id": "gone", "question": "?", "path": "gone.txt"}\n'
        '{"id": "binary", "question": "?", "path": "binary"}\n'
        '{"id": "none", "path": "a.txt"}\n'
        '{"id": "two", "question": "?", "path": "a.txt", "context": "x"}\n'
        '{"id": "good", "question": "another?", "path": "a.txt"}\n'
        '{"id": ["list"], "question": "?", "path": "a.txt"}\n'
        '{"id": "empty", "question": "?", "context": ""}\n'
        '{"id": "glob", "question": "?", "glob": "*.nix"}\n'
    )
    result = cli("rlm", "map", "-m", "fake", "q.jsonl", "-o", "out.jsonl")
    got = answers(work / "out.jsonl")
    assert result.exit_code == 1
    assert {name for name, row in got.items() if row["status"] == "answered"} == {"good"}
    assert len(got) == 11
    assert "1 answered, 10 errors" in result.stderr
    assert "--retry-errors" in result.stderr
    (first,) = [line for line in result.stderr.splitlines() if line.startswith("The first error: ")]
    assert any(f"{name}: {row['reason']}" in first for name, row in got.items() if row["status"] == "error")


def test_the_same_command_again_asks_only_what_is_left(cli: Any, scripted: Any, work: Path) -> None:
    chats = scripted("fake", ANSWER)
    command = ["rlm", "map", "-m", "fake", "--question", "?", "a.txt", "b.txt", "late.txt", "-o", "out.jsonl"]
    assert cli(*command).exit_code == 1
    asked = len(chats)
    assert cli(*command).exit_code == 1
    assert len(chats) == asked
    (work / "late.txt").write_text("the word is late")
    assert cli(*command, "--retry-errors").exit_code == 0
    assert len(chats) == asked + 2
    assert answers(work / "out.jsonl")["late.txt"]["answer"] == "LATE"


def test_what_an_error_row_had_paid_for_is_not_paid_again(cli: Any, home: Path, work: Path) -> None:
    broken = True

    def reply(body: dict[str, Any]) -> Reply:
        asked = sum(message["role"] == "assistant" for message in body["messages"])
        if asked and broken:
            return error(400, "out of order")
        return Reply("```repl\nSUBMIT(word)\n```" if asked else "```repl\nword = context.split()[-1]\n```")

    command = ["rlm", "map", "-m", "rlm-stub", "--question", "?", "a.txt", "-o", "out.jsonl"]
    with StubServer(reply) as server:
        declare(home, server.url, can_stream=False)
        assert cli(*command).exit_code == 1
        assert "out of order" in answers(work / "out.jsonl")["a.txt"]["reason"]
        broken, before = False, len(server.requests)
        assert cli(*command, "--retry-errors").exit_code == 0
        assert len(server.requests) == before + 1
    assert answers(work / "out.jsonl")["a.txt"]["answer"] == "aaa"
    assert not list(work.glob("out.jsonl.*"))


def test_a_row_is_gone_on_with_by_its_batch(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    cli("rlm", "map", "-m", "fake", "--question", "?", "a.txt", "-o", "out.jsonl")
    result = cli("rlm", "resume", answers(work / "out.jsonl")["a.txt"]["run"])
    assert result.exit_code == 1
    assert "the same `llm rlm map` command" in result.stderr


def test_answers_to_other_questions_are_not_taken_for_these(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    assert cli("rlm", "map", "-m", "fake", "--question", "One?", "a.txt", "-o", "out.jsonl").exit_code == 0
    result = cli("rlm", "map", "-m", "fake", "--question", "Two?", "a.txt", "-o", "out.jsonl")
    assert result.exit_code == 1
    assert "answers another question" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_dry_run_sends_nothing(cli: Any, scripted: Any, work: Path) -> None:
    chats = scripted("fake", ANSWER)
    result = cli("rlm", "map", "-m", "fake", "--question", "?", "*.txt", "gone", "--dry-run")
    assert result.exit_code == 0
    assert "rows        4, 1 of which cannot be asked" in result.stdout
    assert "48 characters" in result.stdout
    assert not chats
    assert not (work / "out.jsonl").exists()


def test_a_batch_stops_at_its_cost_and_says_so(cli: Any, home: Path, work: Path) -> None:
    cheap = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20, "cost": 0.01}

    def reply(body: dict[str, Any]) -> Reply:
        chat = [(message["role"], message["content"]) for message in body["messages"]]
        return Reply(ANSWER(chat), usage=cheap)

    jsonl(work / "q.jsonl", *({"question": "?", "context": f"word {n}"} for n in range(20)))
    with StubServer(reply) as server:
        declare(home, server.url, can_stream=False)
        command = [
            "rlm",
            "map",
            "-m",
            "rlm-stub",
            "q.jsonl",
            "-o",
            "out.jsonl",
            "--workers",
            "1",
            "--max-cost",
        ]
        result = cli(*command, "0.1")
        assert result.exit_code == 4
        assert "--max-cost of $0.1 is spent" in result.stderr
        assert len(server.requests) == 10  # of a cent each, and two a row
        before = answers(work / "out.jsonl")
        assert [row["status"] for row in before.values()] == ["answered"] * 4  # the fifth has no cent left
        assert cli(*command, "5").exit_code == 0
        assert len(server.requests) == 40
    assert len(answers(work / "out.jsonl")) == 20


def test_the_users_own_prices_hold_a_batch_to_its_cost(cli: Any, home: Path, work: Path) -> None:
    used = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}  # a cent

    def reply(body: dict[str, Any]) -> Reply:
        chat = [(message["role"], message["content"]) for message in body["messages"]]
        return Reply(ANSWER(chat), usage=used)

    jsonl(work / "q.jsonl", *({"question": "?", "context": f"word {n}"} for n in range(40)))
    (home / "rlm").mkdir(exist_ok=True)
    (home / "rlm" / "prices.toml").write_text("[stub]\nwindow = 32000\ninput = 10.0\noutput = 0.0\n")
    command = ["rlm", "map", "-m", "rlm-stub", "q.jsonl", "-o", "out.jsonl", "--max-cost", "0.285"]
    with StubServer(reply) as server:
        declare(home, server.url, can_stream=False)
        result = cli(*command, "--workers", "1")
        assert result.exit_code == 4
        assert len(server.requests) == 29
        assert len(answers(work / "out.jsonl")) == 14  # of two calls each
        assert "26 rows are left, 1 of them begun, for 1,000 tokens, $0.0100. The same" in result.stderr


def test_prices_that_are_not_known_are_said_where_a_batch_has_a_limit(
    cli: Any, scripted: Any, work: Path
) -> None:
    scripted("fake", ANSWER)
    command = ["rlm", "map", "-m", "fake", "--question", "?", "a.txt", "-o"]
    assert "Prices of fake are not known" in cli(*command, "one.jsonl", "--max-cost", "1").stderr
    assert "Prices" not in cli(*command, "two.jsonl").stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["q.jsonl"], "-o FILE"),
        (["q.jsonl", "-o", "out.jsonl", "--max-cost", "nan"], "no number of dollars"),
        (["q.jsonl", "-o", "out.jsonl", "--max-cost=-1"], "no number of dollars"),
        (["-o", "out.jsonl"], "one file of questions"),
        (["gone.jsonl", "-o", "out.jsonl"], "no such file of questions"),
        (["--question", "?", "-o", "out.jsonl"], "needs files"),
        (["q.jsonl", "-o", "q.jsonl"], "line 1 is no answer"),
        (["q.jsonl", "-o", "-"], "give -o FILE"),
        (["q.jsonl", "-o", "/dev/full"], "no file of answers"),
        (["a.txt", "-o", "out.jsonl"], "no row of the questions can be asked; the first: not JSON"),
        (["q.jsonl", "-o", "out.jsonl", "--option", "max_sub_cals", "1"], "did you mean max_sub_calls?"),
        (["q.jsonl", "-o", "out.jsonl", "--option", "max_depth", "99"], "max_depth"),
        (["q.jsonl", "-o", "nowhere/out.jsonl"], "nowhere/out.jsonl"),
        (["q.jsonl", "-o", "out.jsonl", "-m", "rlm-nix"], "rlm-nix"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(
    cli: Any, scripted: Any, work: Path, arguments: list[str], told: str
) -> None:
    scripted("fake", ANSWER)
    jsonl(work / "q.jsonl", {"question": "?", "context": "x"})
    result = cli("rlm", "map", "-m", "fake", *arguments)
    assert result.exit_code in (1, 2)
    assert told in result.stderr
    assert "Traceback" not in result.stderr


# ---- the file of answers


def test_half_a_line_goes_when_the_file_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    whole = '{"id": "a", "question": "?", "status": "answered", "usage": {}, "cost": null, "run": ""}\n'
    file.write_text(whole + '{"id": "b", "sta')
    with Answers(file) as opened:
        assert set(opened.rows) == {"a"}
    assert file.read_text() == whole


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    with Answers(tmp_path / "out.jsonl") as first:
        with pytest.raises(AnswersError, match="another process"):
            Answers(tmp_path / "out.jsonl")
        first.expected = 1
        first.begin()
    assert list(tmp_path.glob("*.batch"))
    with Answers(tmp_path / "out.jsonl"):
        pass
    assert not list(tmp_path.glob("*.batch"))


def test_where_nothing_is_begun_nothing_comes_to_be_and_nothing_is_dropped(
    cli: Any, scripted: Any, work: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'llm-rlm[ray]'")
    scripted("fake", ANSWER)
    command = ["rlm", "map", "-m", "fake", "--question", "?", "a.txt", "gone.txt", "-o", "out.jsonl"]
    nowhere = ["--ray", "127.0.0.1:9"]
    there = set(work.iterdir())
    result = cli(*command, *nowhere)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no Ray cluster at 127.0.0.1:9" in result.stderr
    assert set(work.iterdir()) == there
    assert cli(*command).exit_code == 1
    before = (work / "out.jsonl").read_bytes()
    assert cli(*command, *nowhere, "--retry-errors").exit_code == 1
    assert (work / "out.jsonl").read_bytes() == before
    assert set(work.iterdir()) == {*there, work / "out.jsonl"}


def test_a_file_of_something_else_is_left_alone(cli: Any, scripted: Any, work: Path) -> None:
    scripted("fake", ANSWER)
    there = {path: path.read_bytes() for path in work.iterdir()}
    assert cli("rlm", "map", "-m", "fake", "--question", "?", "a.txt", "-o", "b.txt").exit_code == 1
    assert {path: path.read_bytes() for path in work.iterdir()} == there


# ---- a key that is refused


@pytest.mark.parametrize("count", [2, 20])
def test_a_key_that_is_refused_ends_the_batch_which_goes_on_with_another(
    cli: Any, home: Path, work: Path, count: int
) -> None:
    answered: set[str] = set()

    def reply(body: dict[str, Any]) -> Reply:
        chat = [(message["role"], message["content"]) for message in body["messages"]]
        if not good and len(answered) >= count // 10:
            return error(401, "Incorrect API key provided")
        answered.update(text for role, text in chat if len(chat) == 1)
        return Reply(ANSWER(chat))

    good = False
    jsonl(work / "q.jsonl", *({"question": "?", "context": f"word {n}"} for n in range(count)))
    command = ["rlm", "map", "-m", "rlm-stub", "q.jsonl", "-o", "out.jsonl", "--workers", "1"]
    with StubServer(reply) as server:
        declare(home, server.url, can_stream=False)
        result = cli(*command)
        assert result.exit_code == 1
        (stopped,) = [line for line in result.stderr.splitlines() if line.startswith("Stopped")]
        assert "Incorrect API key" in stopped
        assert "llm keys set" in stopped
        assert f"{count - count // 10} rows are left" in stopped
        kept = answers(work / "out.jsonl")
        assert [row["status"] for row in kept.values()] == ["answered"] * (count // 10)
        assert len(server.requests) <= 2 * (count // 10) + 3
        good, before = True, len(server.requests)
        assert cli(*command).exit_code == 0
        assert len(server.requests) == before + 2 * (count - count // 10)
    assert {row["status"] for row in answers(work / "out.jsonl").values()} == {"answered"}
    assert kept.items() <= answers(work / "out.jsonl").items()


def test_one_row_that_is_refused_stops_no_others(cli: Any, home: Path, work: Path) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        chat = [(message["role"], message["content"]) for message in body["messages"]]
        return error(403, "Forbidden") if "Which one?" in json.dumps(chat) else Reply(ANSWER(chat))

    questions = ["Which one?", *(f"Which {n}?" for n in range(5))]
    jsonl(work / "q.jsonl", *({"question": text, "context": "the word"} for text in questions))
    with StubServer(reply) as server:
        declare(home, server.url, can_stream=False)
        command = ["rlm", "map", "-m", "rlm-stub", "q.jsonl", "-o", "out.jsonl", "--workers", "1"]
        result = cli(*command)
    assert result.exit_code == 1
    assert len(answers(work / "out.jsonl")) == 5
    assert "403: Forbidden" in result.stderr
    assert "1 row is left" in result.stderr


def test_a_full_disk_leaves_whole_lines_and_the_same_command_goes_on(
    cli: Any, scripted: Any, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = scripted("fake", ANSWER)
    write, files = os.write, []

    def full(descriptor: int, data: bytes) -> int:
        if b'"status"' not in data:
            return write(descriptor, data)
        files.append(descriptor)
        if len(files) < 2:
            return write(descriptor, data)
        write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    command = ["rlm", "map", "-m", "fake", "--question", "?", "*.txt", "-o", "out.jsonl", "--workers", "1"]
    result = cli(*command)
    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert len(answers(work / "out.jsonl")) == 1
    monkeypatch.undo()
    monkeypatch.chdir(work)
    monkeypatch.setenv("LLM_USER_PATH", str(work.parent / "llm"))
    monkeypatch.setenv("RLM_HOME", str(work.parent / "rlm"))
    assert cli(*command).exit_code == 0
    assert len(answers(work / "out.jsonl")) == 3
    assert len(chats) <= 7  # each row's two calls, once; but for one that was under way


# ---- ended from outside


def started(command: list[str], work: Path) -> subprocess.Popen[str]:
    program = "from llm.cli import cli; cli()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *command],
        cwd=work,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
def test_ended_at_any_moment_the_same_command_goes_on(home: Path, work: Path, sign: signal.Signals) -> None:
    """Nothing that was answered is asked again."""

    def reply(body: dict[str, Any]) -> Reply:
        chat = [(message["role"], message["content"]) for message in body["messages"]]
        return Reply(ANSWER(chat), delay=0.05)

    jsonl(
        work / "q.jsonl",
        *({"id": f"r{n}", "question": f"q{n}q", "context": f"word w{n}w"} for n in range(24)),
    )
    command = ["rlm", "map", "-m", "rlm-stub", "q.jsonl", "-o", "out.jsonl", "--workers", "4"]
    out = work / "out.jsonl"
    with StubServer(reply) as server:
        declare(home, server.url, can_stream=False)
        process = started(command, work)
        assert eventually(lambda: out.exists() and out.read_bytes().count(b"\n") >= 6, 60)
        process.send_signal(sign)
        begun = time.monotonic()
        _, told = process.communicate(timeout=60)
        if sign == signal.SIGINT:
            assert "The same command goes on" in told
            assert time.monotonic() - begun < 20
        kept = {row["id"] for row in map(json.loads, out.read_text().splitlines()[:-1])}
        before = len(server.requests)
        process = started(command, work)
        assert process.wait(120) == 0
        asked = [json.dumps(request.body["messages"]) for request in server.requests]
    assert len(answers(out)) == 24
    assert all(row["answer"] == f"W{name[1:]}W" for name, row in answers(out).items())
    for name in kept:
        number = name[1:]
        assert not [text for text in asked[before:] if f"q{number}q" in text or f'"w{number}w"' in text]
    counts = Counter(asked)
    assert sum(count - 1 for count in counts.values()) <= 4  # what was in flight, and not answered
