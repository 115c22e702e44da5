"""No surprise bills: what a run may cost is told before it, and a text that fits is asked plainly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripts import PNG, steps

from llm_rlm import settings

TEXT = "nothing here\n" * 500 + "the magic word is xyzzy\n"
RUN = steps("```repl\nfound = grep('magic word')\n```", "```repl\nSUBMIT(found[0].split()[-1])\n```")


@pytest.fixture
def priced(home: Path) -> None:
    (home / "rlm").mkdir()
    (home / "rlm" / "prices.toml").write_text(
        "[base]\nwindow = 1000\ninput = 100\noutput = 1000\n[small]\nwindow = 4000\ninput = 1\noutput = 1\n"
    )


@pytest.mark.parametrize("flags", [[], ["--async"]], ids=" ".join)
def test_a_dry_run_sends_nothing(cli: Any, scripted: Any, priced: None, flags: list[str]) -> None:
    chats = scripted("base", "unused")
    result = cli("-m", "rlm-base", *flags, "-o", "dry_run", "true", "Q", input=TEXT)
    assert result.exit_code == 0, result.stderr
    assert chats == []
    assert "6,524 characters, about 1,631 tokens" in result.stdout
    assert "base: window 1,000 tokens, $100.00 in and $1,000.00 out for a million tokens" in result.stdout
    assert "plain call  does not fit the window" in result.stdout
    for depth in (0, 1, 2):
        assert f"depth {depth}" in result.stdout
    assert "<- this run" in result.stdout.splitlines()[-5]
    assert (
        "at most     3,000,000 tokens, $5.00 where prices are known, 200 sub-calls, 3,600 s" in result.stdout
    )


def test_a_dry_run_shows_what_the_options_make_of_it(cli: Any, scripted: Any, priced: None) -> None:
    scripted("base", "unused")
    scripted("small", "unused")
    options = {
        "sub_model": "small",
        "max_cost": "1",
        "max_sub_calls": "7",
        "max_depth": "0",
        "strategy": "frugal",
    }
    flags = [part for pair in options.items() for part in ("-o", *pair)]
    stdout = cli("-m", "rlm-base", *flags, "-o", "dry_run", "1", "Q", input=TEXT).stdout
    assert "sub-calls   small: window 4,000 tokens, $1.00 in" in stdout
    assert "strategy    frugal" in stdout
    assert "$1.00 where prices are known, 7 sub-calls" in stdout
    assert "(code alone) <- this run" in stdout


def test_what_is_not_known_is_said(cli: Any, scripted: Any) -> None:
    scripted("base", "unused")
    stdout = cli("-m", "rlm-base", "-o", "dry_run", "1", "Q", input=TEXT).stdout
    assert "base: window not known, prices not known" in stdout
    assert "$" not in stdout.replace("$5.00 where prices are known", "")


def test_a_dry_run_needs_no_key(cli: Any) -> None:
    result = cli("-m", "rlm-glm-4.7", "-o", "dry_run", "1", "Q", input=TEXT)
    assert result.exit_code == 0
    assert "Nothing was sent." in result.stdout


def test_a_text_that_fits_is_said_to_be_better_asked_plainly(cli: Any, scripted: Any) -> None:
    scripted("base", RUN)
    result = cli("-m", "rlm-base", "What is the magic word?", input=TEXT)
    assert result.stdout == "xyzzy\n"
    assert "This text is short: one plain call would do" in result.stderr  # its window is not known
    assert "-o direct auto" in result.stderr
    assert "one plain call" not in cli("-m", "rlm-base", "-o", "direct", "never", "Q", input=TEXT).stderr
    assert "one plain call" not in cli("-m", "rlm-base", "Q", input=TEXT * 30).stderr


@pytest.mark.parametrize("flags", [[], ["--async"], ["--no-stream"]], ids=" ".join)
def test_direct_auto_asks_it_plainly(cli: Any, scripted: Any, flags: list[str], logs: Any) -> None:
    chats = scripted("base", "plain answer")
    result = cli("-m", "rlm-base", "-u", *flags, "-o", "direct", "auto", "-s", "Be brief.", "Q?", input=TEXT)
    assert result.stdout == "plain answer\n", result.stderr
    assert chats == [[("user", f"{TEXT}\n\nQ?\n\nInstructions: Be brief.")]]
    assert '"root": {"calls": 1' in result.stderr
    assert logs("select count(*) as n from turns") == [{"n": 1}]
    assert cli("-c", "Again?", "-o", "direct", "auto").stdout == "plain answer\n"
    assert TEXT in chats[1][0][1]


def test_direct_auto_leaves_a_long_text_to_the_run(cli: Any, scripted: Any) -> None:
    scripted("base", RUN)
    result = cli("-m", "rlm-base", "-R", "-o", "direct", "auto", "Q", input="nothing\n" * 9_000 + TEXT)
    assert result.stdout == "xyzzy\n"


def test_a_plain_call_is_no_way_for_what_the_model_does_not_see(
    cli: Any, scripted: Any, plugin: Any, tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(PNG)
    scripted("base", RUN)
    scripted("eye", "unused")
    plugin.models[-1][0].attachment_types = {"image/png"}
    options = ["-o", "direct", "auto", "-o", "sub_model", "eye"]
    result = cli("-m", "rlm-base", "-R", *options, "-a", str(tmp_path / "red.png"), "Q", input=TEXT)
    assert result.stdout == "xyzzy\n", result.stderr


@pytest.mark.parametrize(
    ("model_id", "profile"),
    [
        ("gpt-5.2", "default"),
        ("qwen3-coder-480b-a35b", "frugal"),
        ("qwen2.5-coder-1.5b-instruct", "small"),
        ("llama3.2:3b", "small"),
        ("llama-3.3-70b", "default"),
        ("zai-org/glm-4.7", "default"),
    ],
)
def test_model_families_have_a_strategy_that_suits_them(model_id: str, profile: str) -> None:
    class Model:
        pass

    model = Model()
    model.model_id = model_id  # type: ignore[attr-defined]
    assert settings.profile(model) == profile


def test_a_table_of_prices_that_cannot_be_read(cli: Any, scripted: Any, home: Path) -> None:
    (home / "rlm").mkdir()
    (home / "rlm" / "prices.toml").write_text("[base\n")
    chats = scripted("base", "unused")
    result = cli("-m", "rlm-base", "Q", input=TEXT)
    assert result.exit_code == 1
    assert "prices.toml cannot be read as TOML" in result.stderr
    assert chats == []
