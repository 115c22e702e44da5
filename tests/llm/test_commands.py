"""`llm rlm ...`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripts import steps


@pytest.mark.parametrize(
    "command", [[], ["models"], ["download"], ["doctor"], ["strategies"], ["strategies", "add"]], ids=" ".join
)
def test_help(cli: Any, command: list[str]) -> None:
    result = cli("rlm", *command, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.output
    assert "  llm " in result.output


def test_the_doctor_tries_every_wall(cli: Any) -> None:
    result = cli("rlm", "doctor")
    assert result.exit_code == (1 if "FAILED" in result.stdout else 0)
    assert "language wall" in result.stdout


def test_local_models_are_listed_with_how_to_get_them(cli: Any) -> None:
    result = cli("rlm", "models")
    assert result.exit_code == 0
    assert "llm rlm download 0.5b" in result.stdout
    assert "llm rlm download 1.5b" in result.stdout


def test_downloading_what_there_is_not(cli: Any) -> None:
    result = cli("rlm", "download", "7b")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "0.5b" in result.stderr


# ---- strategies


def test_strategies_are_listed(cli: Any) -> None:
    for command in (["rlm", "strategies"], ["rlm", "strategies", "list"]):
        lines = cli(*command).stdout.splitlines()
        assert {"default", "small", "frugal"} <= {line.split()[0] for line in lines}


def test_a_strategy_shown_can_be_changed_added_used_and_removed(
    cli: Any, scripted: Any, tmp_path: Path
) -> None:
    shown = json.loads(cli("rlm", "strategies", "show", "frugal").stdout)
    (tmp_path / "mine.json").write_text(json.dumps({**shown, "advice": "Think of the sheep."}))
    added = cli("rlm", "strategies", "add", str(tmp_path / "mine.json"), "--name", "mine")
    assert added.exit_code == 0, added.output
    assert "mine" in cli("rlm", "strategies").stdout
    chats = scripted("base", steps("```repl\nn = len(context)\n```", "```repl\nSUBMIT(n)\n```"))
    assert cli("-m", "rlm-base", "-R", "-o", "strategy", "mine", "Q", input="a text").stdout == "6\n"
    assert "Think of the sheep." in chats[0][0][1]
    assert cli("rlm", "strategies", "remove", "mine").exit_code == 0
    assert "mine" not in cli("rlm", "strategies").stdout


def test_what_strategies_refuse(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("[]")
    (tmp_path / "good.json").write_text(cli("rlm", "strategies", "show", "default").stdout)
    good, bad = str(tmp_path / "good.json"), str(tmp_path / "bad.json")
    assert cli("rlm", "strategies", "add", good, "--name", "g").exit_code == 0
    for command, told in (
        (["show", "nosuch"], "no strategy"),
        (["add", bad], "not a strategy"),
        (["add", good], "default is built in and stays"),
        (["add", good, "--name", "../evil"], "cannot be the name"),
        (["add", good, "--name", "g"], "--replace"),
        (["remove", "nosuch"], "no strategy 'nosuch'"),
        (["remove", "small"], "built in"),
    ):
        result = cli("rlm", "strategies", *command)
        assert result.exit_code == 1, command
        assert told in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert cli("rlm", "strategies", "add", good, "--name", "g", "--replace").exit_code == 0
