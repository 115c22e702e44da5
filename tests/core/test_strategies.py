"""Strategies: picking, saving, loading."""

from __future__ import annotations

import json
import re

import pytest

from rlm_core import strategies
from rlm_core.strategies import Example, Step, Strategy, StrategyError


def test_built_in_strategies_go_by_name():
    assert {"default", "small", "frugal"} <= set(strategies.BUILT_IN)
    assert strategies.load("small").wording == "small"


def test_a_strategy_survives_saving_and_loading(tmp_path):
    strategy = Strategy(
        "mine", "Search.", (Example("Q?", "card", (Step("", "grep('x')", "[]"), Step("FINAL(1)"))),)
    )
    path = tmp_path / "mine.json"
    strategies.save(strategy, path)
    assert strategies.load(path) == strategy
    assert strategies.load("mine", folder=tmp_path) == strategy


def test_an_unknown_name_lists_what_there_is(tmp_path):
    strategies.save(Strategy("mine", "x"), tmp_path / "mine.json")
    with pytest.raises(StrategyError, match=r"'nope'; there are: default, frugal, mine, small"):
        strategies.load("nope", folder=tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "name": "x"}', "\x00"])
def test_a_file_that_is_no_strategy_is_named(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(StrategyError, match=r"bad\.json"):
        strategies.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"advice": 5}, "a text is no string"),
        ({"wording": "huge"}, "wording 'huge': must be one of full, small"),
        ({"card_chars": "many"}, "'many' characters"),
        ({"output_chars": 0}, "0 characters"),
        ({"examples": [{"query": "q", "card": "c", "steps": []}]}, "an example without steps"),
        ({"examples": [{"query": 1, "card": "c", "steps": [{"code": "x"}]}]}, "a text is no string"),
        ({"examples": [{"query": "q", "card": "c", "steps": [{"say": "x"}]}]}, "'say'"),
        ({"examples": 7}, "not a strategy"),
        ({"more": 1}, "'more'"),
    ],
)
def test_a_file_that_no_run_could_use_is_refused_when_it_is_loaded(tmp_path, change, said):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(strategies.to_dict(strategies.SMALL) | change))
    with pytest.raises(StrategyError, match=re.escape(said)) as caught:
        strategies.load(path)
    assert "\n" not in str(caught.value)


def test_what_was_added_is_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_HOME", str(tmp_path))
    strategies.save(Strategy("mine", "x"), tmp_path / "strategies" / "mine.json")
    assert strategies.load("mine").advice == "x"


def test_the_file_is_json_that_people_can_read_and_edit(tmp_path):
    strategies.save(strategies.SMALL, tmp_path / "s.json")
    data = json.loads((tmp_path / "s.json").read_text())
    assert data["examples"][0]["query"] == strategies.SMALL.examples[0].query
