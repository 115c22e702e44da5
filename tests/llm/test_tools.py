"""llm's tools, schemas and images within a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import llm
import pytest
from llm.plugins import pm
from scripts import PNG, steps

TEXT = "nothing here\n" * 500 + "the magic word is xyzzy\n"


# ---- tools

ADD = "def add(a: int, b: int) -> int:\n    'Adds two numbers.'\n    return a + b\n"


@pytest.mark.parametrize("flags", [[], ["--async"], ["--no-stream"]], ids=" ".join)
def test_a_tool_is_a_function_in_the_repl(cli: Any, scripted: Any, flags: list[str]) -> None:
    chats = scripted("base", steps("```repl\ntotal = add(20, b=22)\n```", "```repl\nSUBMIT(total)\n```"))
    result = cli("-m", "rlm-base", *flags, "--functions", ADD, "Q", input=TEXT)
    assert result.stdout == "42\n", result.stderr
    assert "add(a, b) -> str: Adds two numbers." in chats[0][0][1]


def test_tools_debug_and_approval(cli: Any, scripted: Any, tmp_path: Path) -> None:
    scripted("base", steps("```repl\ntotal = add(20, 22)\n```", "```repl\nSUBMIT(total)\n```"))
    (tmp_path / "book.txt").write_text(TEXT)
    book = ["-f", str(tmp_path / "book.txt")]
    result = cli("-m", "rlm-base", "--functions", ADD, "--td", "Q", *book)
    assert "Tool call: add({'a': 20, 'b': 22})" in result.stderr
    assert result.stdout == "42\n"


@pytest.mark.parametrize(("said", "answer"), [("y", "42"), ("n", "refused")])
def test_a_tool_call_is_approved_or_not(cli: Any, scripted: Any, said: str, answer: str) -> None:
    """--ta asks on the terminal, which stands on stdin here; so the text comes from the conversation."""
    call = "total = add(20, 22)\nexcept Exception as e:\n    total = 'refused' * ('cancelled' in str(e))"
    scripted("base", steps(f"```repl\ntry:\n    {call}\n```", "```repl\nSUBMIT(total)\n```"))
    result = cli("chat", "-m", "rlm-base", "--functions", ADD, "--ta", input=f"Q\n{said}\nquit\n")
    assert f"\n{answer}\n" in result.stdout.replace("> ", "\n"), result.output


@pytest.mark.parametrize("name", ["context", "SUBMIT", "print", "llm_query"])
def test_a_tool_by_a_name_that_code_needs_is_refused_before_anything_is_sent(
    cli: Any, scripted: Any, name: str
) -> None:
    chats = scripted("base", "unused")
    result = cli("-m", "rlm-base", "--functions", f"def {name}() -> str: return 'x'", "Q", input=TEXT)
    assert (result.exit_code, chats) == (1, [])
    assert result.stderr == (
        f"Error: tool {name}: the name has a meaning in the REPL; give the tool another name\n"
    )


def test_a_tool_may_take_a_helpers_name(cli: Any, scripted: Any) -> None:
    scripted("base", steps("```repl\nSUBMIT(grep('x'))\n```"))
    functions = "def grep(pattern: str) -> str: return 'from the tool'"
    assert cli("-m", "rlm-base", "-R", "--functions", functions, "Q", input=TEXT).stdout == "from the tool\n"


def test_a_tool_whose_name_is_no_word_of_python(scripted: Any) -> None:
    """Those of other protocols are called so."""
    chats = scripted("base", steps("```repl\nSUBMIT(get_weather('Paris'))\n```"))
    tool = llm.Tool.function(lambda city: f"sun in {city}", name="get-weather")
    chain = llm.get_model("rlm-base").chain("Q", fragments=[TEXT], tools=[tool])
    assert chain.text() == "sun in Paris"
    assert "get_weather(city)" in chats[0][0][1]


class Shelf(llm.Toolbox):
    def __init__(self, name: str = "top"):
        self.shelf = name
        self.ready = False

    def prepare(self) -> None:
        self.ready = True

    def books(self, author: str) -> list[str]:
        "Books of an author"
        return [f"{author} on {self.shelf}, {self.ready}"]


class ShelfPlugin:
    @llm.hookimpl
    def register_tools(self, register: Any) -> None:
        register(Shelf)


def test_a_toolbox(cli: Any, scripted: Any, logs: Any) -> None:
    plugin = ShelfPlugin()
    pm.register(plugin, "shelf")
    try:
        scripted("base", steps("```repl\nb = Shelf_books('Eco')\n```", "```repl\nSUBMIT(b)\n```"))
        result = cli("-m", "rlm-base", "-R", "-T", 'Shelf("low")', "Q", input=TEXT)
    finally:
        pm.unregister(plugin)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == ["Eco on low, True"]
    assert len(logs("select * from turns")) == 1
    assert {row["name"] for row in logs("select name from tools")} == {"Shelf_books"}


def test_a_tool_that_fails_is_the_codes_to_handle(cli: Any, scripted: Any) -> None:
    fails = "def fails() -> str:\n    raise ValueError('no luck')\n"
    call = "try:\n    fails()\nexcept Exception as e:\n    told = str(e)"
    scripted("base", steps(f"```repl\n{call}\n```", "```repl\nSUBMIT(told)\n```"))
    assert "no luck" in cli("-m", "rlm-base", "-R", "--functions", fails, "Q", input=TEXT).stdout


def test_wrong_arguments_are_told_to_the_code(cli: Any, scripted: Any) -> None:
    call = "try:\n    add(1, 2, 3)\nexcept Exception as e:\n    told = str(e)"
    scripted("base", steps(f"```repl\n{call}\n```", "```repl\nSUBMIT(told)\n```"))
    assert (
        "add() takes 2 arguments, and 3 were given"
        in cli("-m", "rlm-base", "-R", "--functions", ADD, "Q", input=TEXT).stdout
    )


def test_pause_chain_leaves_the_run(scripted: Any) -> None:
    def ask_a_person() -> str:
        raise llm.PauseChain("waits for a person")

    scripted("base", steps("```repl\nask_a_person()\n```"))
    model = llm.get_model("rlm-base")
    with pytest.raises(llm.PauseChain) as raised:
        list(model.chain("Q", fragments=[TEXT], tools=[ask_a_person]))
    assert raised.value.tool_call.name == "ask_a_person"


async def test_pause_chain_leaves_an_async_run(scripted: Any) -> None:
    async def ask_a_person() -> str:
        raise llm.PauseChain("waits for a person")

    scripted("base", steps("```repl\nask_a_person()\n```"))
    with pytest.raises(llm.PauseChain):
        await llm.get_async_model("rlm-base").chain("Q", fragments=[TEXT], tools=[ask_a_person]).text()


def test_who_leaves_when_asked_to_approve_ends_the_run(cli: Any, scripted: Any) -> None:
    chats = scripted("base", steps(*["```repl\nprint(add(1, 2))\n```"] * 20))
    result = cli("chat", "-m", "rlm-base", "--ta", "--functions", ADD, input="Q\n")  # stdin ends there
    assert result.exit_code != 0
    assert "Cancelled. Spent: 1 call, " in result.stderr
    assert "Error" not in result.stderr
    assert len(chats) == 1


def test_approvals_cannot_be_asked_where_the_text_comes_by_stdin(cli: Any, scripted: Any) -> None:
    chats = scripted("base", "unused")
    result = cli("-m", "rlm-base", "--ta", "--functions", ADD, "Q", input=TEXT)
    assert (result.exit_code, chats) == (1, [])
    assert result.stderr == (
        "Error: --ta asks on the terminal, and stdin is taken by the text: give the text with -f FILE or -a "
        "FILE\n"
    )


# ---- schemas

FINDS = "```repl\nfound = grep('magic word')\n```"


@pytest.mark.parametrize("flags", [[], ["--async"], ["--no-stream"]], ids=" ".join)
def test_a_schema_is_what_the_answer_fits(cli: Any, scripted: Any, flags: list[str], logs: Any) -> None:
    chats = scripted(
        "base", steps(FINDS, "```repl\nSUBMIT({'word': found[0].split()[-1], 'count': len(found)})\n```")
    )
    result = cli("-m", "rlm-base", "-R", *flags, "--schema", "word, count int", "Q", input=TEXT)
    assert json.loads(result.stdout) == {"word": "xyzzy", "count": 1}
    assert '"count"' in chats[0][0][1]
    assert len(logs("select * from schemas")) == 1


def test_a_value_that_does_not_fit_comes_back_with_the_reason(cli: Any, scripted: Any) -> None:
    wrong = "```repl\nSUBMIT({'word': found[0].split()[-1], 'count': 'one'})\n```"
    right = "```repl\nSUBMIT({'word': found[0].split()[-1], 'count': 1})\n```"
    chats = scripted("base", steps(FINDS, wrong, right))
    result = cli("-m", "rlm-base", "-R", "--schema", "word, count int", "Q", input=TEXT)
    assert json.loads(result.stdout)["count"] == 1
    assert "at $.count: 'one' is not of type 'integer'" in chats[2][-1][1]


def test_a_value_that_never_fits_is_not_given_for_an_answer(cli: Any, scripted: Any) -> None:
    scripted("base", steps(FINDS, *["```repl\nSUBMIT({'count': 'one'})\n```"] * 20))
    options = ["-o", "max_iterations", "3", "--schema", "count int"]
    result = cli("-m", "rlm-base", "-R", *options, "Q", input=TEXT)
    assert (result.exit_code, result.stdout.strip()) == (4, "")
    assert "at $.count: 'one' is not of type 'integer'; no answer was found so far" in result.stderr


def test_several_objects(cli: Any, scripted: Any) -> None:
    submit = "```repl\nSUBMIT({'items': [{'word': w} for w in found[0].split()[:2]]})\n```"
    scripted("base", steps(FINDS, submit))
    result = cli("-m", "rlm-base", "-R", "--schema-multi", "word str", "Q", input=TEXT)
    assert json.loads(result.stdout) == {"items": [{"word": "the"}, {"word": "magic"}]}


def test_json_text_is_taken_for_its_value(cli: Any, scripted: Any) -> None:
    scripted("base", steps(FINDS, "```repl\nimport json\nSUBMIT(json.dumps({'word': found[0]}))\n```"))
    result = cli("-m", "rlm-base", "-R", "--schema", "word str", "Q", input=TEXT)
    assert json.loads(result.stdout) == {"word": "the magic word is xyzzy"}


@pytest.mark.parametrize(
    ("submitted", "wanted", "answer"),
    [
        ("found[0].split()[-1]", "word str", {"word": "xyzzy"}),
        ("str(122 + len(found))", "word str", {"word": "123"}),
        ("str(9 + len(found))", "count int", {"count": 10}),
        ("9 + len(found)", "count int", {"count": 10}),
    ],
)
def test_a_bare_value_is_the_one_field_of_the_schema(
    cli: Any, scripted: Any, submitted: str, wanted: str, answer: Any
) -> None:
    scripted("base", steps(FINDS, f"```repl\nSUBMIT({submitted})\n```"))
    result = cli("-m", "rlm-base", "-R", "--schema", wanted, "Q", input=TEXT)
    assert json.loads(result.stdout) == answer, result.stderr


def test_a_text_where_more_fields_are_wanted_comes_back(cli: Any, scripted: Any) -> None:
    right = "```repl\nSUBMIT({'word': word, 'count': 1})\n```"
    chats = scripted("base", steps(FINDS, "```repl\nword = found[0].split()[-1]\nSUBMIT(word)\n```", right))
    result = cli("-m", "rlm-base", "-R", "--schema", "word, count int", "Q", input=TEXT)
    assert json.loads(result.stdout) == {"word": "xyzzy", "count": 1}
    assert "it is a text, and should be a JSON value" in chats[2][-1][1]


# ---- images


def test_an_image_goes_with_the_sub_calls_that_name_it(
    cli: Any, scripted: Any, plugin: Any, tmp_path: Path
) -> None:
    (tmp_path / "sheep.png").write_bytes(PNG)
    look = "seen = llm_query('How many in sheep.png?')\nblind = llm_query('What is 1 + 1?')"
    scripted("base", steps(f"```repl\n{look}\n```", "```repl\nSUBMIT(seen + blind)\n```"))
    eye = scripted("eye", "3")
    sent: list[Any] = []
    model = plugin.models[-1][0]
    model.attachment_types = {"image/png"}
    execute = model.execute
    model.execute = lambda prompt, *rest, **more: (
        sent.append(prompt.attachments),
        execute(prompt, *rest, **more),
    )[1]
    result = cli(
        "-m", "rlm-base", "-R", "-o", "sub_model", "eye", "-a", str(tmp_path / "sheep.png"), "Q", input=TEXT
    )
    assert result.stdout == "33\n", result.stderr
    assert [len(attachments) for attachments in sent] == [1, 0]
    assert sent[0][0].path == str(tmp_path / "sheep.png")
    assert len(eye) == 2


def test_an_image_for_a_model_that_does_not_see(cli: Any, scripted: Any, tmp_path: Path) -> None:
    (tmp_path / "sheep.png").write_bytes(PNG)
    chats = scripted("base", "unused")
    result = cli("-m", "rlm-base", "-a", str(tmp_path / "sheep.png"), "Q", input=TEXT)
    assert result.exit_code == 1
    assert "base cannot see sheep.png (image/png)" in result.stderr
    assert "-o sub_model" in result.stderr
    assert chats == []
