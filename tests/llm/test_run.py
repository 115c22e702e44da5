"""A run of an rlm- model from the command line to the log, with the real sandbox and models that follow a
script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import llm
import pytest
from scripts import FIND, SUBMIT, steps

TEXT = "".join(f"line {n} holds nothing\n" for n in range(2_000)) + "the magic word is xyzzy\n"
# ---- the answer, and where everything else goes


@pytest.mark.parametrize(
    "walks", [False, True], ids=["reads prompt.messages", "walks conversation.responses"]
)
@pytest.mark.parametrize("flags", [[], ["--async"], ["--no-stream"]], ids=" ".join)
def test_three_turns_with_each_style_of_plugin(
    cli: Any, scripted: Any, walks: bool, flags: list[str]
) -> None:
    chats = scripted("base", steps(FIND, "```repl\nprint(len(context))\n```", SUBMIT), walks=walks)
    result = cli("-m", "rlm-base", *flags, "What is the magic word?", input=TEXT)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "xyzzy\n"
    assert [len(chat) for chat in chats] == [2, 4, 6]
    roles = [role for role, _ in chats[2]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    texts = [text for _, text in chats[2]]
    assert "What is the magic word?" in texts[1]
    assert "grep('magic word')" in texts[2]
    assert "the magic word is xyzzy" in texts[3]
    assert str(len(TEXT)) in texts[5]
    assert chats[2][:4] == chats[1][:4]  # the prefix only grows


def test_the_trajectory_is_reasoning_on_stderr(cli: Any, scripted: Any) -> None:
    scripted("base", steps(FIND, SUBMIT))
    result = cli("-m", "rlm-base", "What is the magic word?", input=TEXT)
    assert result.stdout == "xyzzy\n"
    assert "grep('magic word')" in result.stderr
    assert "> ['the magic word is xyzzy']" in result.stderr


@pytest.mark.parametrize("flags", [["-R"], ["--no-stream"], ["-x"], ["-R", "--async"]], ids=" ".join)
def test_quiet(cli: Any, scripted: Any, flags: list[str]) -> None:
    scripted("base", steps(FIND, SUBMIT))
    result = cli("-m", "rlm-base", *flags, "What is the magic word?", input=TEXT)
    assert (result.stdout, result.stderr) == ("xyzzy\n", "")


def test_json_output(cli: Any, scripted: Any) -> None:
    scripted("base", steps(FIND, SUBMIT))
    (row,) = json.loads(cli("-m", "rlm-base", "--json", "What is the magic word?", input=TEXT).stdout)
    assert row["response"] == "xyzzy"
    assert row["response_json"]["rlm"]["status"] == "answered"


def test_extracting_a_code_block_from_the_answer(cli: Any, scripted: Any) -> None:
    scripted("base", steps("```repl\nSUBMIT('Here:\\n' + '`'*3 + '\\ncode\\n' + '`'*3 + '\\n')\n```", "", ""))
    result = cli("-m", "rlm-base", "-x", "Q", input=TEXT)
    assert result.stdout == "code\n\n"


def test_one_logged_turn_a_run_however_many_calls(cli: Any, scripted: Any, logs: Any) -> None:
    ask = "```repl\nfound = llm_query_batched([f'part {n}' for n in range(8)])\nprint(found)\n```"
    chats = scripted("base", steps(ask, "```repl\nSUBMIT(', '.join(found[:2]))\n```", sub=lambda p: f"<{p}>"))
    result = cli("-m", "rlm-base", "-u", "Q", input=TEXT)
    assert result.stdout == "<part 0>, <part 1>\n"
    assert len(chats) == 10
    (row,) = logs("select * from turns")
    assert row["model"] == "rlm-base"
    details = json.loads(row["token_details"])
    assert details["root"]["calls"] == 2
    assert details["sub"]["calls"] == 8
    assert row["input_tokens"] == details["root"]["input"] + details["sub"]["input"]
    assert "Token usage: " in result.stderr
    assert '"sub": {"calls": 8' in result.stderr
    assert len(row["response_json"]) < 2_000
    assert cli("logs", "list", "-n", "0", "--json").stdout.count('"model": "rlm-base"') == 1


def test_stdin_is_logged_once_and_out_of_the_search_index(cli: Any, scripted: Any, logs: Any) -> None:
    scripted("base", steps(FIND, SUBMIT))
    for _ in range(2):
        assert cli("-m", "rlm-base", "What is the magic word?", input=TEXT).exit_code == 0
    assert [row["content"] for row in logs("select content from fragments")] == [TEXT]
    assert {row["name"] for row in logs("select name from threads")} == {"What is the magic word?"}
    assert not [row for row in logs("select * from turn_search") if "holds nothing" in str(row)]
    texts = logs("select sum(length(coalesce(text, '')) + length(coalesce(payload, ''))) as n from parts")
    assert texts[0]["n"] < 5_000


def test_a_file_by_rlm_or_attached_costs_the_log_nothing(
    cli: Any, scripted: Any, logs: Any, tmp_path: Path
) -> None:
    (tmp_path / "big.txt").write_text(TEXT)
    scripted("base", steps(FIND, SUBMIT))
    for option in (["-f", f"rlm:{tmp_path / 'big.txt'}"], ["-a", str(tmp_path / "big.txt")]):
        result = cli("-m", "rlm-base", *option, "What is the magic word?")
        assert result.stdout == "xyzzy\n", result.stderr
    assert not [row for row in logs("select * from attachments") if row["content"]]
    assert "holds nothing" not in (tmp_path / "llm" / "logs.db").read_bytes().decode("latin-1")


def test_a_follow_up_runs_on_the_whole_text_again(cli: Any, scripted: Any) -> None:
    scripted("base", steps(FIND, SUBMIT))
    assert cli("-m", "rlm-base", "What is the magic word?", input=TEXT).stdout == "xyzzy\n"
    assert cli("-c", "And again?").stdout == "xyzzy\n"


def test_chat(cli: Any, scripted: Any, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT)
    scripted("base", steps(FIND, SUBMIT))
    result = cli("chat", "-m", "rlm-base", "-f", str(tmp_path / "book.txt"), input="Word?\nAgain?\nquit\n")
    assert result.stdout.count("xyzzy") == 2, result.output


def test_an_error_in_chat_is_one_line(cli: Any, keyed: Any) -> None:
    keyed("base", lambda chat: "unused", "some")
    result = cli("chat", "-m", "rlm-base", input="Q\nquit\n")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: No key found - add one using 'llm keys set some'\n",
    )


def test_an_answer_that_is_no_text_is_json(cli: Any, scripted: Any) -> None:
    scripted("base", steps("```repl\nSUBMIT({'lines': len(context.splitlines())})\n```"))
    assert json.loads(cli("-m", "rlm-base", "-R", "Q", input=TEXT).stdout) == {"lines": 2001}


def test_python(scripted: Any) -> None:
    scripted("base", steps(FIND, SUBMIT))
    response = llm.get_model("rlm-base").prompt("What is the magic word?", fragments=[TEXT])
    assert response.text() == "xyzzy"
    assert response.usage().details["root"]["calls"] == 2
    assert response.json()["rlm"]["status"] == "answered"


async def test_python_async(scripted: Any) -> None:
    scripted("base", steps(FIND, SUBMIT))
    response = llm.get_async_model("rlm-base").prompt("What is the magic word?", fragments=[TEXT])
    assert await response.text() == "xyzzy"


async def test_async_over_a_model_that_has_no_async_version(plugin: Any, scripted: Any) -> None:
    scripted("base", steps(FIND, "```repl\nprint(llm_query('part'))\n```", SUBMIT))
    plugin.models[0] = (plugin.models[0][0], None, ())
    response = llm.get_async_model("rlm-base").prompt("What is the magic word?", fragments=[TEXT])
    assert await response.text() == "xyzzy"


def test_a_model_that_bears_no_conversation_gets_one_message(plugin: Any, scripted: Any) -> None:
    chats = scripted("base", lambda chat: [FIND, SUBMIT][chat[-1][1].count("[assistant]")])
    plugin.models[0][0].supports_conversation = False
    assert llm.get_model("rlm-base").prompt("What is the magic word?", fragments=[TEXT]).text() == "xyzzy"
    assert [len(chat) for chat in chats] == [2, 1]


def test_a_model_that_takes_no_system_prompt_gets_it_with_the_first_message(
    plugin: Any, scripted: Any
) -> None:
    chats = scripted("base", [FIND, SUBMIT])
    model = plugin.models[0][0]
    execute = model.execute

    def picky(prompt: Any, *rest: Any, **more: Any) -> Any:
        if prompt.system:
            raise NotImplementedError("System prompts are not supported")
        return execute(prompt, *rest, **more)

    model.execute = picky
    assert llm.get_model("rlm-base").prompt("What is the magic word?", fragments=[TEXT]).text() == "xyzzy"
    assert [[role for role, _ in chat] for chat in chats] == [["user"], ["user", "assistant", "user"]]
    assert "SUBMIT" in chats[0][0][1]
    assert "What is the magic word?" in chats[0][0][1]


# ---- how it ends


def test_not_found_without_a_reason(cli: Any, scripted: Any) -> None:
    scripted("base", steps("```repl\nprint(grep('unicorn'))\n```", "```repl\nNOT_FOUND('')\n```"))
    result = cli("-m", "rlm-base", "-R", "Where is the unicorn?", input=TEXT)
    assert (result.exit_code, result.stdout) == (3, "NOT_FOUND\n")


def test_not_found_exits_with_3(cli: Any, scripted: Any, logs: Any) -> None:
    scripted("base", steps("```repl\nprint(grep('unicorn'))\n```", "```repl\nNOT_FOUND('no unicorn')\n```"))
    result = cli("-m", "rlm-base", "Where is the unicorn?", input=TEXT)
    assert (result.exit_code, result.stdout) == (3, "NOT_FOUND: no unicorn\n")
    assert len(logs("select * from turns")) == 1


@pytest.mark.parametrize("flags", [[], ["--no-stream"], ["-R"], ["--async"]], ids=" ".join)
def test_a_limit_exits_with_4_and_its_partial_answer(
    cli: Any, scripted: Any, logs: Any, flags: list[str]
) -> None:
    scripted("base", steps(FIND, FIND, "```repl\nSUBMIT(found[0])\n```"))
    result = cli("-m", "rlm-base", *flags, "-o", "max_iterations", "2", "Q", input=TEXT)
    assert result.exit_code == 4
    assert result.stdout == "the magic word is xyzzy\n"
    assert (
        "Stopped by the limit of iterations; the answer is the best so far; -o max_iterations"
        in result.stderr
    )
    assert "Spent: 3 calls" in result.stderr
    assert json.loads(logs("select response_json from turns")[0]["response_json"])["rlm"]["status"] == "limit"


def test_a_token_limit_stops_the_run(cli: Any, scripted: Any) -> None:
    scripted("base", steps(*[FIND] * 20))
    result = cli("-m", "rlm-base", "-o", "max_tokens", "2000", "Q", input=TEXT)
    assert (result.exit_code, result.stdout.strip()) == (4, "")
    assert "Stopped by the limit of tokens; no answer was found so far; -o max_tokens" in result.stderr
    assert "raises it, with llm rlm resume too" in result.stderr


def test_sub_calls_over_their_limit_are_refused_and_the_run_goes_on(cli: Any, scripted: Any) -> None:
    ask = "try:\n    llm_query_batched(['a', 'b', 'c'])\nexcept Exception as e:\n    told = str(e)"
    over = f"```repl\n{ask}\n```"
    scripted("base", steps(over, "```repl\nSUBMIT(told)\n```"))
    result = cli("-m", "rlm-base", "-R", "-o", "max_sub_calls", "2", "Q", input=TEXT)
    assert result.exit_code == 0
    assert "3 sub-calls asked for, 2 of 2 left" in result.stdout


def test_depth_0_has_no_sub_calls(cli: Any, scripted: Any) -> None:
    chats = scripted("base", steps("```repl\nSUBMIT('llm_query' in dir())\n```"))
    cli("-m", "rlm-base", "-o", "max_depth", "0", "Q", input=TEXT)
    assert "llm_query" not in chats[0][0][1]


def test_depth_2_has_children(cli: Any, scripted: Any) -> None:
    child = "```repl\nSUBMIT(str(len(context)))\n```"

    def script(chat: list[tuple[str, str]]) -> str:
        return child if "How long?" in chat[1][1] else "```repl\nSUBMIT(rlm_query('How long?', 'abc'))\n```"

    scripted("base", script)
    assert cli("-m", "rlm-base", "-R", "-o", "max_depth", "2", "Q", input=TEXT).stdout == "3\n"


# ---- the sub-model


def test_sub_calls_go_to_the_sub_model(cli: Any, scripted: Any) -> None:
    scripted("base", steps("```repl\nSUBMIT(llm_query('Hello?'))\n```"))
    asked = scripted("small", "from small", aliases=["s"])
    result = cli("-m", "rlm-base", "-R", "-o", "sub_model", "s", "Q", input=TEXT)
    assert result.stdout == "from small\n"
    assert asked == [[("user", "Hello?")]]


def test_code_may_call_the_runs_own_models_only(cli: Any, scripted: Any) -> None:
    code = (
        "```repl\nnames = ['base', 'small', 'dear']\nout = []\nfor name in names:\n    try:\n"
        "        out.append(llm_query('Hello?', model=name))\n    except Exception as e:\n"
        "        out.append(str(e))\nprint(out)\n```"
    )
    scripted("base", steps(code, "```repl\nSUBMIT(out)\n```", sub="from base"))
    scripted("small", "from small")
    dear = scripted("dear", "from dear")
    result = cli("-m", "rlm-base", "-o", "sub_model", "small", "Q", input=TEXT)
    assert result.exit_code == 0, result.stderr
    answers = json.loads(result.stdout)
    assert answers[:2] == ["from base", "from small"]
    assert "this run may call small and base" in answers[2]
    assert dear == []


@pytest.mark.parametrize(
    ("name", "told"),
    [("smol", "there is no model 'smol': did you mean small"), ("rlm-small", "name the model without rlm-")],
)
def test_a_sub_model_that_is_none(cli: Any, scripted: Any, name: str, told: str) -> None:
    chats = scripted("base", "unused")
    scripted("small", "unused")
    result = cli("-m", "rlm-base", "-o", "sub_model", name, "Q", input=TEXT)
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert chats == []


# ---- options of the base model, and stored ones


class Warm:
    """Gives a model an option, and keeps what it was called with."""

    def __init__(self, plugin: Any) -> None:
        self.given: list[Any] = []
        for kind in plugin.models[-1][:2]:
            kind.Options = type(
                "Options",
                (llm.Options,),
                {"__annotations__": {"warmth": float | None}, "warmth": None},
            )
            kind.script = self.keep(kind, kind.script)

    def keep(self, model: Any, script: Any) -> Any:
        execute = model.execute

        def kept(prompt: Any, *rest: Any, **more: Any) -> Any:
            self.given.append(prompt.options.warmth)
            return execute(prompt, *rest, **more)

        model.execute = kept
        return script


def test_options_of_the_base_model_reach_it_and_no_other(cli: Any, scripted: Any, plugin: Any) -> None:
    scripted("base", steps("```repl\nSUBMIT(llm_query('a') + llm_query('b', model='base'))\n```", sub="x"))
    base = Warm(plugin)
    scripted("small", "y")
    small = Warm(plugin)
    result = cli("-m", "rlm-base", "-R", "-o", "warmth", "0.5", "-o", "sub_model", "small", "Q", input=TEXT)
    assert result.stdout == "yx\n", result.stderr
    assert base.given == [0.5, 0.5]
    assert small.given == [None]


def test_stored_defaults_of_each_model_hold_for_its_calls(cli: Any, scripted: Any, plugin: Any) -> None:
    scripted("base", steps("```repl\nSUBMIT(llm_query('a'))\n```"))
    base = Warm(plugin)
    scripted("small", "y")
    small = Warm(plugin)
    for model, option, value in (
        ("base", "warmth", "0.1"),
        ("small", "warmth", "0.9"),
        ("rlm-base", "sub_model", "small"),
        ("rlm-base", "max_iterations", "3"),
    ):
        assert cli("models", "options", "set", model, option, value).exit_code == 0
    result = cli("-m", "rlm-base", "Q", input=TEXT)
    assert result.stdout == "y\n"
    assert "[step 1]" in result.stderr
    assert (base.given, small.given) == ([0.1], [0.9])


def test_an_unknown_option_is_refused(cli: Any, scripted: Any) -> None:
    scripted("base", "unused")
    result = cli("-m", "rlm-base", "-o", "max_iteration", "3", "Q", input=TEXT)
    assert result.exit_code == 1
    assert result.stderr == "Error: there is no option max_iteration: did you mean max_iterations?\n"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("max_depth", "99"), "less than or equal to 8"),
        (("max_cost", "0"), "greater than 0"),
        (("max_cost", "nan"), "finite number"),
        (("max_seconds", "inf"), "finite number"),
        (("max_iterations", "many"), "valid integer"),
        (("sandbox", "none"), "'auto' or 'weak'"),
    ],
)
@pytest.mark.parametrize("command", [[], ["chat"]], ids=["prompt", "chat"])
def test_an_option_out_of_range_is_one_line(
    cli: Any, scripted: Any, command: list[str], option: tuple[str, str], told: str
) -> None:
    scripted("base", "unused")
    result = cli(*command, "-m", "rlm-base", "-o", *option, *([] if command else ["Q"]), input="text\nquit\n")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: -o {' '.join(option)}: input should be ")
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_options_out_of_range_raise_in_python(scripted: Any) -> None:
    scripted("base", "unused")
    with pytest.raises(ValueError, match="max_depth"):
        llm.get_model("rlm-base").prompt("Q", max_depth=99)


@pytest.mark.parametrize("strategy", ["nosuch", "{file}"])
def test_a_strategy_that_is_none(cli: Any, scripted: Any, tmp_path: Path, strategy: str) -> None:
    (tmp_path / "bad.json").write_text("{}")
    scripted("base", "unused")
    name = strategy.format(file=tmp_path / "bad.json")
    result = cli("-m", "rlm-base", "-o", "strategy", name, "Q", input=TEXT)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: -o strategy: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_strategy_by_name(cli: Any, scripted: Any) -> None:
    chats = scripted("base", steps(FIND, SUBMIT))
    cli("-m", "rlm-base", "-o", "strategy", "frugal", "Q", input=TEXT)
    assert "never make one call per line" in chats[0][0][1]


def test_a_template_cannot_ask_for_the_weak_sandbox(cli: Any, scripted: Any, home: Path) -> None:
    chats = scripted("base", steps(FIND, SUBMIT))
    (home / "llm" / "templates").mkdir()
    (home / "llm" / "templates" / "sly.yaml").write_text("prompt: 'Do: $input'\noptions: {sandbox: weak}")
    result = cli("-m", "rlm-base", "-t", "sly", input=TEXT)
    assert result.exit_code == 1
    assert "-o sandbox weak" in result.stderr
    assert chats == []
    assert cli("-m", "rlm-base", "-t", "sly", "-o", "sandbox", "weak", input=TEXT).stdout == "xyzzy\n"


# ---- keys


def test_a_missing_key_is_told_before_anything_is_sent(cli: Any, keyed: Any) -> None:
    keys = keyed("base", lambda chat: "unused", "some")
    result = cli("-m", "rlm-base", "Q", input=TEXT)
    assert result.exit_code == 1
    assert result.stderr == "Error: No key found - add one using 'llm keys set some'\n"
    assert keys == []


@pytest.mark.parametrize("stored", ["SEKRET99\r", " SEKRET99", "SEKRET99\n", "SEKR\N{EURO SIGN}T99"])
@pytest.mark.parametrize("whose", ["root", "sub"])
def test_a_key_that_is_none_is_refused_before_anything_is_sent(
    cli: Any, keyed: Any, home: Path, stored: str, whose: str
) -> None:
    keys = keyed("base", steps(FIND, SUBMIT), "of_root")
    keyed("small", lambda chat: "unused", "of_sub")
    (home / "llm" / "keys.json").write_text(
        json.dumps({"of_root": "good", "of_sub": "good", f"of_{whose}": stored})
    )
    model, name = {"root": ("base", "of_root"), "sub": ("small", "of_sub")}[whose]
    told = (
        f"Error: {model}: the key holds characters that no key has, such as the end of a line: copy it again"
        f", with llm keys set {name}\n"
    )
    options = ("sub_model", "small")
    assert cli("-m", "rlm-base", "-o", *options, "Q", input=TEXT).stderr == told
    (home / "a.txt").write_text(TEXT)
    batch = (
        "rlm",
        "map",
        "-m",
        "rlm-base",
        "--option",
        *options,
        "--question",
        "Q",
        str(home / "a.txt"),
        "-o",
        str(home / "out.jsonl"),
    )
    assert cli(*batch).stderr == told
    assert keys == []


def test_a_stored_key_and_a_given_one(cli: Any, keyed: Any) -> None:
    keys = keyed("base", steps(FIND, SUBMIT), "some")
    assert cli("keys", "set", "some", "--value", "stored").exit_code == 0
    assert cli("-m", "rlm-base", "Q", input=TEXT).stdout == "xyzzy\n"
    assert cli("-m", "rlm-base", "--key", "given", "Q", input=TEXT).stdout == "xyzzy\n"
    assert keys == ["stored", "stored", "given", "given"]


def test_a_given_key_goes_only_to_models_that_use_the_same(cli: Any, keyed: Any) -> None:
    base = keyed("base", steps("```repl\nSUBMIT(llm_query('a'))\n```"), "some")
    small = keyed("small", lambda chat: "y", "other")
    assert cli("keys", "set", "other", "--value", "others").exit_code == 0
    result = cli("-m", "rlm-base", "-R", "--key", "given", "-o", "sub_model", "small", "Q", input=TEXT)
    assert result.stdout == "y\n", result.stderr
    assert (base, small) == (["given"], ["others"])


def test_a_given_key_reaches_a_model_that_takes_none_with_its_calls(cli: Any, plugin: Any) -> None:
    keys = []

    class Asks(llm.Model):
        model_id, needs_key, can_stream = "base", "some", True

        def execute(self, prompt, stream, response, conversation):  # type: ignore[no-untyped-def]
            keys.append(self.get_key())
            yield [FIND, SUBMIT][len(conversation.responses)]

    plugin.add(Asks())
    assert cli("-m", "rlm-base", "--key", "given", "Q", input=TEXT).stdout == "xyzzy\n"
    assert keys == ["given", "given"]


def test_a_key_set_on_the_python_object(keyed: Any) -> None:
    keys = keyed("base", steps(FIND, SUBMIT), "some")
    model = llm.get_model("rlm-base")
    model.key = "in Python"
    assert model.prompt("Q", fragments=[TEXT]).text() == "xyzzy"
    assert keys == ["in Python", "in Python"]
