"""Which part is the context and which the question: every way to call llm, through the real command line."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llm
import pytest
from llm.parts import StreamEvent
from scripts import PNG

from llm_rlm import seam, turn

BOOK = "It was the best of times.\nIt was the worst of times.\n"


@pytest.fixture
def seams(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> list[seam.Seam]:
    """The seams that were found; each run answers "answer N" without a model."""
    found: list[seam.Seam] = []

    def run(twin: Any, prompt: Any, stream: bool, response: Any, key: str | None) -> Any:
        found.append(seam.find(prompt))
        yield StreamEvent(type="text", chunk=f"answer {len(found)}", provider_metadata=found[-1].record)

    async def arun(*arguments: Any) -> Any:
        for event in run(*arguments):
            yield event

    monkeypatch.setattr(turn, "run", run)
    monkeypatch.setattr(turn, "arun", arun)
    scripted("base", "unused")
    return found


def ask(cli: Any, *arguments: str, input: str | bytes | None = None) -> None:
    result = cli("-m", "rlm-base", *arguments, input=input)
    assert result.exit_code == 0, result.output


# ---- stdin


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (BOOK, "Which times?"),
        ("no newline at its end", "Which times?"),
        ("ends with a blank ", "Which times?"),
        ("Which times? Which times?", "Which times?"),
        ("Which times?", "Which times?"),
        (BOOK, "two\nlines"),
        (BOOK, " blanks around "),
        ("ünïcödé 🐑\n", "Wie viele Schafe?"),
        ("\r\nkept\r\n", "Q"),
    ],
)
def test_stdin_with_an_argument(cli: Any, seams: Any, text: str, question: str) -> None:
    ask(cli, question, input=text.encode())
    assert seams[0].question == question
    assert seams[0].context == text.replace("\r\n", "\n")  # llm reads stdin as text
    assert list(seams[0].documents) == ["stdin"]


def test_stdin_with_the_question_as_system_prompt(cli: Any, seams: Any) -> None:
    ask(cli, "-s", "Which times?", input=BOOK)
    assert (seams[0].context, seams[0].question, seams[0].instructions) == (BOOK, "Which times?", "")


def test_a_system_prompt_beside_a_question_instructs(cli: Any, seams: Any) -> None:
    ask(cli, "-s", "Answer in French.", "Which times?", input=BOOK)
    assert (seams[0].question, seams[0].instructions) == ("Which times?", "Answer in French.")
    assert "Answer in French." in seams[0].query


@pytest.mark.parametrize("argument", [[], [""]])
def test_stdin_alone_states_its_own_task(cli: Any, seams: Any, argument: list[str]) -> None:
    ask(cli, *argument, input=BOOK)
    assert (seams[0].context, seams[0].query) == (BOOK, "")


def test_async(cli: Any, seams: Any) -> None:
    ask(cli, "--async", "Which times?", input=BOOK)
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")


def test_a_tool_that_asks_a_model_while_llm_prompt_runs(seams: Any, cli: Any, monkeypatch: Any) -> None:
    """click's parameters then belong to another prompt."""
    inner = turn.run

    def outer(twin: Any, prompt: Any, *rest: Any) -> Any:
        if prompt._prompt.startswith("outer"):
            llm.get_model("rlm-base").prompt("inner question", fragments=["inner text"]).text()
        yield from inner(twin, prompt, *rest)

    monkeypatch.setattr(turn, "run", outer)
    ask(cli, "Which times?", input="outer")
    assert (seams[0].context, seams[0].question) == ("inner text", "inner question")


# ---- fragments


def test_a_fragment(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    ask(cli, "-f", str(tmp_path / "book.txt"), "Which times?")
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")
    assert list(seams[0].documents) == ["book.txt"]


def test_many_fragments_and_stdin_are_named_documents(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a/notes.txt", "b/notes.txt"):
        (tmp_path / name).write_text(f"in {name}")
    ask(
        cli, "-f", str(tmp_path / "a/notes.txt"), "-f", str(tmp_path / "b/notes.txt"), "Which?", input="piped"
    )
    assert seams[0].context == {
        "a/notes.txt": "in a/notes.txt",
        "b/notes.txt": "in b/notes.txt",
        "stdin": "piped",
    }
    assert seams[0].question == "Which?"


def test_a_question_by_stdin_about_a_file(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    ask(cli, "-f", str(tmp_path / "book.txt"), input="Which times?\n")
    assert (seams[0].context, seams[0].question.strip()) == (BOOK, "Which times?")


def test_a_fragment_of_stdin(cli: Any, seams: Any) -> None:
    ask(cli, "-f", "-", "Which times?", input=BOOK)
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")


def test_a_stored_fragment(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    assert cli("fragments", "set", "book", str(tmp_path / "book.txt")).exit_code == 0
    ask(cli, "-f", "book", "Which times?")
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")


# ---- attachments


def test_an_attached_file(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    ask(cli, "-a", str(tmp_path / "book.txt"), "Which times?")
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")
    assert list(seams[0].documents) == ["book.txt"]


def test_a_typed_attachment_of_any_type(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    ask(cli, "--at", str(tmp_path / "rows.csv"), "text/csv", "How many rows?")
    assert (seams[0].context, seams[0].question) == ("a,b\n1,2\n", "How many rows?")


def test_stdin_as_attachment(cli: Any, seams: Any) -> None:
    ask(cli, "--at", "-", "text/plain", "Which times?", input=BOOK)
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")


def test_an_attached_url(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/book.txt"
        ask(cli, "-a", url, "Which times?")
        server.shutdown()
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")
    assert list(seams[0].documents) == [url]


def test_images_are_for_models_that_see(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "sheep.png").write_bytes(PNG)
    ask(cli, "-a", str(tmp_path / "sheep.png"), "How many?", input=BOOK)
    assert list(seams[0].seen) == ["sheep.png"]
    assert seams[0].context == BOOK
    assert "'sheep.png'" in seams[0].query


# ---- templates


def template(home: Path, name: str, text: str) -> None:
    (home / "llm" / "templates").mkdir(exist_ok=True)
    (home / "llm" / "templates" / f"{name}.yaml").write_text(text)


def test_a_template_around_its_input(cli: Any, seams: Any, home: Path) -> None:
    template(home, "sum", "prompt: 'Summarize this: $input - in one line.'")
    ask(cli, "-t", "sum", input=BOOK)
    assert seams[0].context == BOOK
    assert seams[0].question == f"Summarize this: {seam.HERE} - in one line."


def test_a_template_around_stdin_and_argument(cli: Any, seams: Any, home: Path) -> None:
    template(home, "sum", "prompt: 'Task: $input!'")
    ask(cli, "-t", "sum", "in French", input=BOOK)
    assert seams[0].context == BOOK
    assert seams[0].question == f"Task: {seam.HERE} in French!"


def test_a_template_around_the_argument_works_on_it(cli: Any, seams: Any, home: Path) -> None:
    template(home, "sum", "prompt: 'Summarize this: $input'")
    ask(cli, "-t", "sum", BOOK)
    assert seams[0].context == BOOK
    assert seams[0].question == f"Summarize this: {seam.HERE}"


def test_a_template_with_parameters_and_a_file(cli: Any, seams: Any, home: Path, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    template(home, "ask", "prompt: 'In $language: $input'\ndefaults:\n  language: German")
    ask(cli, "-t", "ask", "-p", "language", "French", "-f", str(tmp_path / "book.txt"), "Which times?")
    assert (seams[0].context, seams[0].question) == (BOOK, "In French: Which times?")


def test_a_template_without_input_before_stdin_and_argument(cli: Any, seams: Any, home: Path) -> None:
    template(home, "brief", "prompt: 'Be brief.'")
    ask(cli, "-t", "brief", "Which times?", input=BOOK)
    assert (seams[0].context, seams[0].question) == (BOOK, "Be brief.\nWhich times?")


def test_a_template_that_is_a_system_prompt(cli: Any, seams: Any, home: Path) -> None:
    template(home, "sum", "system: 'Summarize.'")
    ask(cli, "-t", "sum", input=BOOK)
    assert (seams[0].context, seams[0].question) == (BOOK, "Summarize.")


def test_a_template_that_uses_its_input_twice(cli: Any, seams: Any, home: Path) -> None:
    template(home, "twice", "prompt: '$input and again $input.'")
    ask(cli, "-t", "twice", input=BOOK)
    assert seams[0].context == BOOK


def test_a_template_names_the_model(cli: Any, seams: Any, home: Path) -> None:
    template(home, "sum", "model: rlm-base\nprompt: 'Summarize: $input'")
    assert cli("-t", "sum", input=BOOK).exit_code == 0
    assert seams[0].context == BOOK


# ---- conversations


def test_a_follow_up_finds_the_whole_context_in_the_log(cli: Any, seams: Any) -> None:
    ask(cli, "Which times?", input=BOOK)
    ask(cli, "-c", "And the worst?")
    ask(cli, "-c", "Third?")
    for found in seams:
        assert found.context == BOOK
    assert seams[1].question == "And the worst?"
    assert seams[2].earlier == [("Which times?", "answer 1"), ("And the worst?", "answer 2")]
    assert "answer 2" in seams[2].query


def test_a_follow_up_by_id_with_files_of_every_kind(cli: Any, seams: Any, tmp_path: Path, logs: Any) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(f"in {name}")
    ask(cli, "-f", str(tmp_path / "one.txt"), "-a", str(tmp_path / "two.txt"), "First?", input="piped")
    (row,) = logs("select id from threads")
    ask(cli, "--cid", row["id"], "Second?", "-f", str(tmp_path / "one.txt"))
    assert seams[1].context == {"one.txt": "in one.txt", "stdin": "piped", "two.txt": "in two.txt"}
    assert seams[1].question == "Second?"


def test_a_follow_up_after_a_system_prompt_that_asked(cli: Any, seams: Any) -> None:
    ask(cli, "-s", "Which times?", input=BOOK)
    ask(cli, "-c", "And the worst?")
    assert seams[1].instructions == ""
    assert seams[1].earlier == [("Which times?", "answer 1")]


def test_a_conversation_that_another_model_began(cli: Any, seams: Any, scripted: Any) -> None:
    scripted("other", "Dickens")
    assert cli("-m", "other", "Who wrote it?").exit_code == 0
    ask(cli, "-c", "And which times?", input=BOOK)
    assert seams[0].earlier == [("Who wrote it?", "Dickens")]
    assert (seams[0].context, seams[0].question) == (BOOK, "And which times?")


def test_what_another_model_was_told_can_be_looked_into(cli: Any, seams: Any, scripted: Any) -> None:
    scripted("other", "Dickens")
    assert cli("-m", "other", "Who wrote it?", input=BOOK).exit_code == 0
    ask(cli, "-c", "And which times?")
    assert "worst of times" in seams[0].context
    assert "Dickens" in seams[0].context
    assert seams[0].question == "And which times?"


def test_chat_has_the_fragment_on_the_first_turn_only(cli: Any, seams: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    result = cli(
        "chat", "-m", "rlm-base", "-f", str(tmp_path / "book.txt"), input="Which times?\nAnd then?\nquit\n"
    )
    assert result.exit_code == 0, result.output
    assert [found.question for found in seams] == ["Which times?", "And then?"]
    assert [found.context for found in seams] == [BOOK, BOOK]


# ---- Python


def test_python_fragments(seams: Any) -> None:
    llm.get_model("rlm-base").prompt("Which times?", fragments=[BOOK]).text()
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")


def test_python_one_text_states_its_own_task(seams: Any) -> None:
    llm.get_model("rlm-base").prompt(BOOK + "Which times?").text()
    assert (seams[0].context, seams[0].query) == (BOOK + "Which times?", "")


def test_python_attachments_and_system(seams: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK)
    model = llm.get_model("rlm-base")
    model.prompt(
        attachments=[llm.Attachment(path=str(tmp_path / "book.txt"), type="text/plain")], system="Which?"
    ).text()
    model.prompt("Q", attachments=[llm.Attachment(content=BOOK.encode(), type="text/plain")]).text()
    assert [(found.context, found.question) for found in seams] == [(BOOK, "Which?"), (BOOK, "Q")]


def test_python_conversation(seams: Any) -> None:
    conversation = llm.get_model("rlm-base").conversation()
    conversation.prompt("Which times?", fragments=[BOOK]).text()
    conversation.prompt("And then?").text()
    assert (seams[1].context, seams[1].question) == (BOOK, "And then?")
    assert seams[1].earlier == [("Which times?", "answer 1")]


def test_python_messages(seams: Any) -> None:
    llm.get_model("rlm-base").prompt(
        messages=[llm.user("Who?"), llm.assistant("Dickens"), llm.user("Which times?")]
    ).text()
    assert seams[0].earlier == [("Who?", "Dickens")]
    assert seams[0].question == "Which times?"


async def test_python_async(seams: Any) -> None:
    await llm.get_async_model("rlm-base").prompt("Which times?", fragments=[BOOK]).text()
    assert (seams[0].context, seams[0].question) == (BOOK, "Which times?")


# ---- what is too long for the root model's prompt


def test_a_long_question_is_a_text_to_look_into(seams: Any) -> None:
    question = "Which of these? " + "one, two, " * 2_000
    llm.get_model("rlm-base").prompt(question, fragments=[BOOK]).text()
    assert seams[0].context == {"fragment 1": BOOK, "question": question}
    assert "'question'" in seams[0].query
    assert len(seams[0].query) < 200


def test_long_instructions_are_a_text_to_look_into(cli: Any, seams: Any) -> None:
    ask(cli, "-s", "Mind this. " * 2_000, "Which times?", input=BOOK)
    assert list(seams[0].documents) == ["stdin", "instructions"]
    assert len(seams[0].query) < 200


def test_a_long_conversation_keeps_its_last_turns_at_hand(seams: Any) -> None:
    conversation = llm.get_model("rlm-base").conversation()
    for number in range(9):
        conversation.prompt(f"Question {number}? " + "please " * 700, fragments=[BOOK]).text()
    last = seams[-1]
    assert len(last.query) < 35_000
    assert "Question 7?" in last.query
    assert "Question 0?" not in last.query
    assert "Question 0?" in last.documents["earlier conversation"]


# ---- what cannot be worked on


@pytest.mark.parametrize(
    ("arguments", "input", "told"),
    [
        (["Q"], "", "stdin was empty"),
        ([], "", "no question and no text"),
        (["-f", "{empty}", "Q"], None, "empty.txt is empty"),
        (["--at", "{empty}", "text/plain", "Q"], None, "empty.txt is empty"),
        (["--at", "{binary}", "text/plain", "Q"], None, "binary"),
        (["Q"], "text\0with NUL\0", "binary (NUL bytes)"),
        (["--at", "https://127.0.0.1:1/x", "text/plain", "Q"], None, "https://127.0.0.1:1/x cannot be read"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(
    cli: Any, seams: Any, tmp_path: Path, arguments: list[str], input: str | None, told: str
) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"\x7fELF\0\0\0")
    paths = {"empty": str(tmp_path / "empty.txt"), "binary": str(tmp_path / "binary.txt")}
    result = cli("-m", "rlm-base", *(argument.format(**paths) for argument in arguments), input=input)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert told in result.stderr
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_question_without_a_text_where_nobody_sits_at_a_terminal(
    cli: Any, seams: Any, monkeypatch: Any
) -> None:
    """As in cron and CI, where stdin is /dev/null: something that should have been read is missing."""
    result = cli("-m", "rlm-base", "Which times?")
    assert (result.exit_code, seams) == (1, [])
    assert "stdin was empty" in result.stderr
    monkeypatch.setattr(seam, "_stdin_was_read", lambda: False)
    ask(cli, "Which times?")
    assert seams[0].context == "Which times?"


def test_lone_surrogates_are_refused_before_anything_is_sent(seams: Any) -> None:
    """What binary input to stdin becomes where the locale lets it in."""
    binary = b"caf\xe9 and more".decode("utf-8", "surrogateescape")
    with pytest.raises(llm.ModelError, match=r"not UTF-8 \(at character 3\).*-f rlm:FILE"):
        llm.get_model("rlm-base").prompt("Q", fragments=[llm.Fragment(binary, "stdin")]).text()


def test_llm_changed_and_the_seam_is_lost(seams: Any, cli: Any, monkeypatch: Callable[..., Any]) -> None:
    """Then the whole prompt is the context, which states the task."""
    monkeypatch.setattr(seam, "_framing", lambda params: 1 / 0)
    ask(cli, "Which times?", input=BOOK)
    assert (seams[0].context, seams[0].query) == (f"{BOOK} Which times?", "")
