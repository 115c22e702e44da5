"""rlm- models over a server that speaks chat completions, in good days and bad ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripts import FIND, SUBMIT, TEXT, declare
from stub_server import Reply, StubServer, error, html, overflow

from llm_rlm import family


@pytest.mark.parametrize("flags", [[], ["--no-stream"], ["--async"]], ids=" ".join)
def test_glm_needs_nothing_but_a_key(cli: Any, monkeypatch: Any, flags: list[str]) -> None:
    with StubServer([FIND, SUBMIT]) as server:
        monkeypatch.setattr(family, "ANANNAS", server.url)
        assert cli("keys", "set", "anannas", input="the-key\n").exit_code == 0
        result = cli("-m", "rlm-glm-4.7", "-R", *flags, "What is the magic word?", input=TEXT)
    assert (result.exit_code, result.stdout) == (0, "xyzzy\n"), result.stderr
    for request in server.requests:
        assert request.headers["authorization"] == "Bearer the-key"
        assert request.body["model"] == "zai-org/glm-4.7"
        assert len(json.dumps(request.body)) < 20_000  # the text itself stays here
    assert server.requests[0].body.get("stream", False) is True


def test_glm_takes_its_key_from_the_environment(cli: Any, monkeypatch: Any) -> None:
    with StubServer([FIND, SUBMIT]) as server:
        monkeypatch.setattr(family, "ANANNAS", server.url)
        monkeypatch.setenv("ANANNAS_API_KEY", "of-the-environment")
        assert cli("-m", "rlm-glm-4.7", "-R", "Q", input=TEXT).stdout == "xyzzy\n"
    assert server.requests[0].headers["authorization"] == "Bearer of-the-environment"


@pytest.mark.parametrize("odd", ["of-a-file-99\r", "caf\u00e9-of-99-keys", " of-a-paste-99"])
@pytest.mark.parametrize("whose", ["root", "sub"])
def test_a_key_that_no_server_takes_is_refused_and_never_shown(
    cli: Any, home: Path, odd: str, whose: str
) -> None:
    """HTTP libraries quote it in their errors, and those reach the screen, the journal and other models."""
    with StubServer([FIND, SUBMIT]) as server:
        declare(home, server.url, **({"api_key_name": "odd"} if whose == "root" else {}))
        (home / "llm" / "keys.json").write_text(json.dumps({"odd": odd, "anannas": odd}))
        more = [] if whose == "root" else ["-o", "sub_model", "glm-4.7"]
        result = cli("-m", "rlm-stub", *more, "Q", input=TEXT)
    assert result.exit_code == 1
    assert "copy it again, with llm keys set" in result.stderr
    assert "99" not in result.output + result.stderr
    assert not server.requests


def test_glm_without_a_key_says_how_to_get_on(cli: Any) -> None:
    result = cli("-m", "rlm-glm-4.7", "Q", input=TEXT)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: No key found - add one using 'llm keys set anannas' or set the ANANNAS_API_KEY "
        "environment variable\n"
    )


@pytest.mark.parametrize("stream", [True, False])
def test_a_server_of_ones_own(cli: Any, home: Path, stream: bool) -> None:
    with StubServer([FIND, SUBMIT]) as server:
        declare(home, server.url, can_stream=stream)
        result = cli("-m", "rlm-stub", "-u", "What is the magic word?", input=TEXT)
    assert result.stdout == "xyzzy\n", result.stderr
    assert server.requests[0].body.get("stream", False) is stream
    assert '"root": {"calls": 2' in result.stderr


def test_sub_calls_are_sent_at_once_up_to_the_concurrency(cli: Any, home: Path) -> None:
    ask = "```repl\ncount = len(llm_query_batched([str(n) for n in range(12)]))\n```"

    def script(body: dict[str, Any]) -> Reply:
        chat = body["messages"]
        if len(chat) == 1:
            return Reply("x", delay=0.5)
        return Reply([ask, "```repl\nSUBMIT(count)\n```"][sum(m["role"] == "assistant" for m in chat)])

    with StubServer(script) as server:
        declare(home, server.url)
        assert cli("-m", "rlm-stub", "-R", "-o", "concurrency", "4", "Q", input=TEXT).stdout == "12\n"
    assert server.peak == 4
    assert len(server.requests) == 14


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (error(401, "bad key"), "check the key"),
        (error(404, "no such model"), "no such model"),
        (error(500, "oops"), "oops"),
        (html(502), "HTML page"),
        (Reply(FIND, fault="reset"), "broke off"),
        (Reply(FIND, fault="cut"), "broke off"),
        (Reply(FIND, fault="empty_choices"), "bro"),
        (Reply(FIND, fault="wrong_type"), "bro"),
        (Reply(FIND, fault="error_event"), "upstream provider failed"),
    ],
    ids=lambda value: str(getattr(value, "fault", "") or getattr(value, "status", ""))[:20] or None,
)
@pytest.mark.parametrize("flags", [[], ["--async"]], ids=["sync", "async"])
def test_a_server_that_fails_at_once_is_one_line(
    cli: Any, home: Path, fault: Any, told: str, flags: list[str], monkeypatch: Any
) -> None:
    from llm_rlm import callee
    from rlm_core.retry import RetryRule

    monkeypatch.setattr(callee, "RETRY", RetryRule(retries=0))
    with StubServer(fault) as server:
        declare(home, server.url)
        result = cli("-m", "rlm-stub", "-R", *flags, "Q", input=TEXT)
    assert (result.exit_code, result.stdout.strip()) == (1, "")
    assert result.stderr.startswith("Error: stub: "), result.stderr
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("flags", [[], ["--no-stream"], ["--async"]], ids=" ".join)
@pytest.mark.parametrize(
    ("fault", "sent"),
    [(error(500, "oops"), 4), (error(429, "slow down"), 4), (Reply(FIND, fault="reset"), 2)],
)
def test_a_call_that_always_fails_is_sent_as_often_as_our_rule_says(
    cli: Any, home: Path, fault: Any, sent: int, flags: list[str], monkeypatch: Any
) -> None:
    from llm_rlm import callee

    monkeypatch.setattr(callee, "RETRY", replace(callee.RETRY, first=0.001))
    with StubServer(fault) as server:
        declare(home, server.url)
        result = cli("-m", "rlm-stub", "-R", *flags, "Q", input=TEXT)
    assert result.exit_code == 1
    assert len(server.requests) == sent


def test_a_server_that_is_down(cli: Any, home: Path, monkeypatch: Any) -> None:
    from llm_rlm import callee

    monkeypatch.setattr(callee, "RETRY", replace(callee.RETRY, first=0.001))
    declare(home, "http://127.0.0.1:9/v1")
    result = cli("-m", "rlm-stub", "-R", "Q", input=TEXT)
    assert result.exit_code == 1
    assert "is the server running, and its address right?" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_error_is_told_once_on_a_line_of_its_own(cli: Any, home: Path) -> None:
    with StubServer([FIND, *[Reply("Let me see", fault="reset")] * 2]) as server:
        declare(home, server.url)
        result = cli("-m", "rlm-stub", "Q", input=TEXT)
    errors = [line for line in result.stderr.splitlines() if "stub: " in line]
    assert errors[0].startswith("(stub: the reply broke off")
    assert errors[0].endswith(" - asking again)")
    assert errors[1].startswith("Error: stub: the reply broke off")
    assert len(errors) == 2


@pytest.mark.parametrize("begun", [True, False])
def test_an_end_that_does_not_come_is_not_told_twice(begun: bool) -> None:
    from llm_rlm.errors import BROKE_OFF, call_error
    from rlm_core.lms import LMCallError

    told = str(call_error(LMCallError(BROKE_OFF, "bad_reply"), "stub", begun))
    assert told.count("broke off") == 1


def test_a_server_that_fails_later_loses_nothing_of_what_was_paid(cli: Any, home: Path, logs: Any) -> None:
    with StubServer([FIND, error(400, "no more")]) as server:
        declare(home, server.url)
        result = cli("-m", "rlm-stub", "-u", "-R", "Q", input=TEXT)
    assert result.exit_code == 1
    assert "Error: stub: 400: no more" in result.stderr
    assert "Spent: 1 call, " in result.stderr
    assert "Token usage: " in result.stderr
    (row,) = logs("select * from turns")
    assert json.loads(row["response_json"])["rlm"]["status"] == "error"


def test_too_many_requests_are_waited_for(cli: Any, home: Path) -> None:
    with StubServer([error(429, retry_after=0), FIND, SUBMIT]) as server:
        declare(home, server.url)
        assert cli("-m", "rlm-stub", "-R", "Q", input=TEXT).stdout == "xyzzy\n"
    assert len(server.requests) == 3


def test_a_sub_call_that_fails_is_the_codes_to_handle(cli: Any, home: Path) -> None:
    ask = "```repl\nanswers = llm_query_batched(['good', 'bad'])\nprint(answers)\n```"
    submit = "```repl\nSUBMIT(answers[0] + (' only' if isinstance(answers[1], LMError) else ''))\n```"

    def script(body: dict[str, Any]) -> Any:
        chat = body["messages"]
        if len(chat) == 1:
            return overflow() if chat[0]["content"] == "bad" else "fine"
        return [ask, submit][sum(m["role"] == "assistant" for m in chat)]

    with StubServer(script) as server:
        declare(home, server.url)
        result = cli("-m", "rlm-stub", "Q", input=TEXT)
    assert result.stdout == "fine only\n", result.stderr
    assert "the prompt exceeds the model's window" in result.stderr


def test_the_price_limit_stops_a_run(cli: Any, home: Path, monkeypatch: Any) -> None:
    (home / "rlm").mkdir()
    (home / "rlm" / "prices.toml").write_text("[stub]\nwindow = 32000\ninput = 1000\noutput = 1000\n")
    with StubServer([FIND] * 20) as server:
        declare(home, server.url)
        result = cli("-m", "rlm-stub", "-R", "-o", "max_cost", "0.5", "Q", input=TEXT)
    assert result.exit_code == 4
    assert "Stopped by the limit of cost" in result.stderr
    assert ", $" in result.stderr
    assert len(server.requests) < 20
